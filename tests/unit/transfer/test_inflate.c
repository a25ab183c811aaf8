#include "store/transfer/inflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "tests/lib/tar_fixture.h"

static const struct ul_inflate_limits no_limits = {
	.bytes = UINT64_MAX,
	.ratio = UINT64_MAX,
	.ratio_from_bytes = UINT64_MAX,
};

/* Bytes that compress somewhat, the same each time. */
static struct ul_buf sample(size_t len)
{
	struct ul_buf buf = UL_BUF_INIT;
	uint32_t x = 1;

	while (buf.len < len) {
		x = x * 1664525u + 1013904223u;
		assert_true(ul_buf_add_char(&buf, "etaoin shrdlucm"[x >> 28]));
	}
	return buf;
}

/* Read all of a packed stream in steps; 0 and the output, or the code. */
static int inflate_all(const void *packed, size_t packed_len, size_t step,
		       struct ul_buf *out, struct ul_digest *digest,
		       struct ul_err *err)
{
	ul_cleanup(ul_inflate_closep) struct ul_inflate *inflate = NULL;
	int fd = fd_of_bytes(packed, packed_len);
	char *chunk = malloc(step);
	size_t len = step;
	int rc;

	rc = ul_inflate_open(fd, UL_DIGEST_SHA256, &no_limits, &inflate, err);
	while (!rc && len > 0) {
		rc = ul_inflate_read(inflate, chunk, step, &len, err);
		if (!rc)
			assert_true(ul_buf_add(out, chunk, len));
	}
	if (!rc && digest)
		ul_inflate_packed_digest(inflate, digest);
	if (!rc)
		assert_int_equal(ul_inflate_packed_bytes(inflate), packed_len);
	free(chunk);
	close(fd);
	return rc;
}

/* What the packed bytes hold, whatever the size of the reads. */
static void assert_inflates(const struct ul_buf *packed, const void *plain,
			    size_t plain_len)
{
	static const size_t steps[] = { 1, 7, 512, 4096, 1 << 20 };
	struct ul_err err = UL_ERR_INIT;
	struct ul_digest digest, expected;
	struct ul_buf out = UL_BUF_INIT;
	size_t i;

	ul_digest_of(UL_DIGEST_SHA256, ul_buf_str(packed), packed->len,
		     &expected);
	for (i = 0; i < ul_array_len(steps); i++) {
		ul_buf_reset(&out);
		if (inflate_all(ul_buf_str(packed), packed->len, steps[i], &out,
				&digest, &err))
			fail_msg("step %zu: %s", steps[i], err.msg);
		assert_int_equal(out.len, plain_len);
		assert_memory_equal(ul_buf_str(&out), plain, plain_len);
		assert_true(ul_digest_equal(&digest, &expected));
	}
	ul_buf_release(&out);
}

static void assert_fails(const struct ul_buf *packed, int code, const char *msg)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_buf out = UL_BUF_INIT;

	assert_int_equal(inflate_all(ul_buf_str(packed), packed->len, 4096,
				     &out, NULL, &err),
			 code);
	assert_string_equal(err.msg, msg);
	ul_buf_release(&out);
}

static void test_inflate__passes_plain_bytes_through(void **state)
{
	struct ul_buf plain = sample(700000);

	(void)state;
	assert_inflates(&plain, plain.data, plain.len);
	plain.len = 3;
	assert_inflates(&plain, plain.data, plain.len);
	plain.len = 0;
	assert_inflates(&plain, "", 0);
	ul_buf_release(&plain);
}

static void test_inflate__reads_gzip_and_zstd(void **state)
{
	struct ul_buf plain = sample(1200000);
	struct ul_buf gzip = UL_BUF_INIT;
	struct ul_buf zstd = UL_BUF_INIT;

	(void)state;
	pack_gzip(&gzip, plain.data, plain.len);
	pack_zstd(&zstd, plain.data, plain.len);
	assert_true(gzip.len < plain.len && zstd.len < plain.len);
	assert_inflates(&gzip, plain.data, plain.len);
	assert_inflates(&zstd, plain.data, plain.len);
	ul_buf_release(&gzip);
	ul_buf_release(&zstd);
	ul_buf_release(&plain);
}

static void test_inflate__reads_all_gzip_members_and_padding(void **state)
{
	static const char zeros[300000];
	struct ul_buf plain = sample(600000);
	struct ul_buf gzip = UL_BUF_INIT;
	size_t at;

	(void)state;
	for (at = 0; at < plain.len; at += 100000) {
		pack_gzip(&gzip, plain.data + at, 100000);
		pack_gzip(&gzip, "", 0);
	}
	assert_inflates(&gzip, plain.data, plain.len);
	ul_buf_add(&gzip, zeros, sizeof zeros);
	assert_inflates(&gzip, plain.data, plain.len);
	ul_buf_add(&gzip, "x", 1);
	assert_fails(&gzip, UL_E_CORRUPT, "gzip: foreign bytes after the end");
	ul_buf_release(&gzip);
	ul_buf_release(&plain);
}

static void test_inflate__refuses_a_member_after_padding(void **state)
{
	struct ul_buf gzip = UL_BUF_INIT;

	(void)state;
	pack_gzip(&gzip, "one", 3);
	ul_buf_add(&gzip, "\0\0", 2);
	pack_gzip(&gzip, "two", 3);
	assert_fails(&gzip, UL_E_CORRUPT, "gzip: foreign bytes after the end");
	ul_buf_release(&gzip);
}

/* RFC 1952, 2.3: FEXTRA, FNAME, FCOMMENT and FHCRC (not checked: zero). */
static void test_inflate__reads_all_gzip_header_fields(void **state)
{
	static const char fields[] = "\x04\0abcd"
				     "a name\0a comment";
	struct ul_buf member = UL_BUF_INIT;
	struct ul_buf gzip = UL_BUF_INIT;

	(void)state;
	pack_gzip(&member, "hello", 5);
	ul_buf_add(&gzip, member.data, 10);
	gzip.data[3] = 0x04 | 0x08 | 0x10;
	ul_buf_add(&gzip, fields, sizeof fields);
	ul_buf_add(&gzip, member.data + 10, member.len - 10);
	assert_inflates(&gzip, "hello", 5);
	ul_buf_release(&member);
	ul_buf_release(&gzip);
}

static void test_inflate__reads_all_zstd_frames_and_skippable_ones(void **state)
{
	static const char skippable[] = "\x5a\x2a\x4d\x18\x03\0\0\0abc";
	struct ul_buf plain = sample(600000);
	struct ul_buf zstd = UL_BUF_INIT;
	size_t at;

	(void)state;
	ul_buf_add(&zstd, skippable, sizeof skippable - 1);
	for (at = 0; at < plain.len; at += 200000) {
		pack_zstd(&zstd, plain.data + at, 200000);
		pack_zstd(&zstd, "", 0);
		ul_buf_add(&zstd, skippable, sizeof skippable - 1);
	}
	assert_inflates(&zstd, plain.data, plain.len);
	ul_buf_add(&zstd, "\0\0\0\0\0", 5);
	assert_fails(&zstd, UL_E_CORRUPT, "zstd: Unknown frame descriptor");
	ul_buf_release(&zstd);
	ul_buf_release(&plain);
}

static void test_inflate__notices_a_wrong_checksum_and_length(void **state)
{
	struct ul_buf gzip = UL_BUF_INIT;
	size_t i;

	(void)state;
	pack_gzip(&gzip, "hello, hello", 12);
	for (i = 1; i <= 8; i++) {
		gzip.data[gzip.len - i] ^= 0x10;
		assert_fails(&gzip, UL_E_CORRUPT,
			     "gzip: wrong checksum or length");
		gzip.data[gzip.len - i] ^= 0x10;
	}
	pack_gzip(&gzip, "more", 4);
	gzip.data[gzip.len - 5] ^= 1;
	assert_fails(&gzip, UL_E_CORRUPT, "gzip: wrong checksum or length");
	ul_buf_release(&gzip);
}

/* Every cut: of a member or frame, and in the middle of several. */
static void assert_every_cut_fails(const struct ul_buf *packed, size_t first)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_buf out = UL_BUF_INIT;
	size_t len;
	int rc;

	for (len = first; len < packed->len; len++) {
		ul_buf_reset(&out);
		rc = inflate_all(packed->data, len, 100, &out, NULL, &err);
		if (rc != UL_E_CORRUPT)
			fail_msg("cut at %zu: %d", len, rc);
	}
	ul_buf_release(&out);
}

static void test_inflate__notices_every_cut(void **state)
{
	struct ul_buf plain = sample(900);
	struct ul_buf gzip = UL_BUF_INIT;
	struct ul_buf zstd = UL_BUF_INIT;
	size_t one_gzip, one_zstd;

	(void)state;
	pack_gzip(&gzip, plain.data, plain.len);
	pack_zstd(&zstd, plain.data, plain.len);
	/* Shorter than the magic number, it is plain bytes. */
	assert_every_cut_fails(&gzip, 2);
	assert_every_cut_fails(&zstd, 4);
	one_gzip = gzip.len;
	one_zstd = zstd.len;
	pack_gzip(&gzip, plain.data, plain.len);
	pack_zstd(&zstd, plain.data, plain.len);
	assert_every_cut_fails(&gzip, one_gzip + 1);
	assert_every_cut_fails(&zstd, one_zstd + 1);
	ul_buf_release(&gzip);
	ul_buf_release(&zstd);
	ul_buf_release(&plain);
}

/* A damaged byte is noticed, or one without meaning (a time, a name). */
static void test_inflate__never_gives_other_bytes_for_damaged_ones(void **state)
{
	struct ul_buf plain = sample(900);
	struct ul_buf packed[2] = { UL_BUF_INIT, UL_BUF_INIT };
	struct ul_err err = UL_ERR_INIT;
	struct ul_buf out = UL_BUF_INIT;
	size_t k, at, refused = 0;
	int rc;

	(void)state;
	pack_gzip(&packed[0], plain.data, plain.len);
	pack_zstd(&packed[1], plain.data, plain.len);
	for (k = 0; k < 2; k++) {
		for (at = 4; at < packed[k].len; at++) {
			packed[k].data[at] ^= 0x04;
			ul_buf_reset(&out);
			rc = inflate_all(packed[k].data, packed[k].len, 4096,
					 &out, NULL, &err);
			packed[k].data[at] ^= 0x04;
			refused += rc != 0;
			if (rc)
				continue;
			assert_int_equal(out.len, plain.len);
			assert_memory_equal(out.data, plain.data, plain.len);
		}
		assert_true(refused > packed[k].len / 2);
	}
	ul_buf_release(&out);
	ul_buf_release(&packed[0]);
	ul_buf_release(&packed[1]);
	ul_buf_release(&plain);
}

static int inflate_limited(const struct ul_buf *packed,
			   const struct ul_inflate_limits *limits,
			   uint64_t *ret_bytes, struct ul_err *err)
{
	ul_cleanup(ul_inflate_closep) struct ul_inflate *inflate = NULL;
	int fd = fd_of_bytes(packed->data, packed->len);
	static char chunk[65536];
	size_t len = 1;
	int rc;

	*ret_bytes = 0;
	rc = ul_inflate_open(fd, UL_DIGEST_NONE, limits, &inflate, err);
	while (!rc && len > 0) {
		rc = ul_inflate_read(inflate, chunk, sizeof chunk, &len, err);
		*ret_bytes += rc ? 0 : len;
	}
	close(fd);
	return rc;
}

static void test_inflate__stops_at_its_limits(void **state)
{
	const struct ul_inflate_limits bytes = { 100000, UINT64_MAX,
						 UINT64_MAX };
	const struct ul_inflate_limits exact = { 8 << 20, UINT64_MAX,
						 UINT64_MAX };
	const struct ul_inflate_limits ratio = { UINT64_MAX, 50, 1 << 20 };
	struct ul_buf packed[2] = { UL_BUF_INIT, UL_BUF_INIT };
	char *zeros = calloc(1, 8 << 20);
	struct ul_err err = UL_ERR_INIT;
	uint64_t read_bytes;
	int k;

	(void)state;
	pack_gzip(&packed[0], zeros, 8 << 20);
	pack_zstd(&packed[1], zeros, 8 << 20);
	for (k = 0; k < 2; k++) {
		assert_int_equal(
		    inflate_limited(&packed[k], &bytes, &read_bytes, &err),
		    UL_E_LIMIT);
		assert_string_equal(err.msg,
				    "unpacks to more than 100000 bytes");
		assert_true(read_bytes <= 100000);
		assert_int_equal(
		    inflate_limited(&packed[k], &exact, &read_bytes, &err), 0);
		assert_int_equal(
		    inflate_limited(&packed[k], &ratio, &read_bytes, &err),
		    UL_E_LIMIT);
		assert_string_equal(err.msg, "unpacks to more than 50 "
					     "times its packed length");
		assert_true(read_bytes <= 1 << 20);
	}
	free(zeros);
	ul_buf_release(&packed[0]);
	ul_buf_release(&packed[1]);
}

static void test_inflate__refuses_a_zstd_window_of_two_gibibytes(void **state)
{
	/* Magic, no single segment, window exponent 21 (2^31 bytes), and a
	 * last raw block of one byte (RFC 8878, 3.1.1). */
	struct ul_buf zstd = UL_BUF_INIT;

	(void)state;
	ul_buf_add(&zstd, "\x28\xb5\x2f\xfd\x00\xa8\x09\x00\x00x", 10);
	assert_fails(&zstd, UL_E_LIMIT, "zstd: window larger than 128 MiB");
	ul_buf_release(&zstd);
}

static void test_inflate__reports_a_read_error(void **state)
{
	struct ul_inflate *inflate = NULL;
	struct ul_err err = UL_ERR_INIT;
	int fd = open(".", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(
	    ul_inflate_open(fd, UL_DIGEST_NONE, &no_limits, &inflate, &err),
	    UL_E_IO);
	assert_string_equal(err.msg, "read packed layer: Is a directory");
	assert_null(inflate);
	close(fd);
}

static void test_inflate__survives_every_allocation_failure(void **state)
{
	struct ul_inflate *inflate = NULL;
	struct ul_err err = UL_ERR_INIT;
	struct ul_buf gzip = UL_BUF_INIT;
	int fd;
	long n;

	(void)state;
	pack_gzip(&gzip, "hello", 5);
	fd = fd_of_bytes(gzip.data, gzip.len);
	for (n = 0;; n++) {
		lseek(fd, 0, SEEK_SET);
		ul_mem_countdown = n;
		if (!ul_inflate_open(fd, UL_DIGEST_SHA256, &no_limits, &inflate,
				     &err))
			break;
		assert_int_equal(err.code, UL_E_NOMEM);
		assert_null(inflate);
	}
	ul_mem_countdown = -1;
	assert_true(n > 0);
	assert_int_equal(ul_inflate_format(inflate), UL_INFLATE_GZIP);
	ul_inflate_close(inflate);
	ul_buf_release(&gzip);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inflate__passes_plain_bytes_through),
		cmocka_unit_test(test_inflate__reads_gzip_and_zstd),
		cmocka_unit_test(
		    test_inflate__reads_all_gzip_members_and_padding),
		cmocka_unit_test(test_inflate__refuses_a_member_after_padding),
		cmocka_unit_test(test_inflate__reads_all_gzip_header_fields),
		cmocka_unit_test(
		    test_inflate__reads_all_zstd_frames_and_skippable_ones),
		cmocka_unit_test(
		    test_inflate__notices_a_wrong_checksum_and_length),
		cmocka_unit_test(test_inflate__notices_every_cut),
		cmocka_unit_test(
		    test_inflate__never_gives_other_bytes_for_damaged_ones),
		cmocka_unit_test(test_inflate__stops_at_its_limits),
		cmocka_unit_test(
		    test_inflate__refuses_a_zstd_window_of_two_gibibytes),
		cmocka_unit_test(test_inflate__reports_a_read_error),
		cmocka_unit_test(
		    test_inflate__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
