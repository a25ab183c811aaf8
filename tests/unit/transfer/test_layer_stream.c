/* The bytes of a layer: packed forms, digests, cuts, threads, progress. */
#include "store/transfer/layer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/fs.h"
#include "tests/unit/transfer/layer_expect.h"

static void test_layer__an_empty_stream_is_an_empty_layer(void **state)
{
	struct ul_layer_result result;
	struct ul_err err = UL_ERR_INIT;
	struct ul_buf gzip = UL_BUF_INIT;
	struct ul_buf zeros = UL_BUF_INIT;
	struct ul_digest empty;

	ul_digest_of(UL_DIGEST_SHA256, "", 0, &empty);
	assert_int_equal(
	    layer_apply_bytes(*state, "", 0, NO_JOB, &result, &err), 0);
	assert_int_equal(result.entry_count, 0);
	assert_int_equal(result.tar_bytes, 0);
	assert_true(ul_digest_equal(&result.diff_id, &empty));
	pack_gzip(&gzip, "", 0);
	assert_int_equal(layer_apply_bytes(*state, gzip.data, gzip.len, NO_JOB,
					   &result, &err),
			 0);
	assert_true(ul_digest_equal(&result.diff_id, &empty));
	tar_end(&zeros);
	assert_int_equal(layer_apply_bytes(*state, zeros.data, zeros.len,
					   NO_JOB, &result, &err),
			 0);
	assert_int_equal(result.entry_count, 0);
	assert_int_equal(result.tar_bytes, 1024);
	ul_buf_release(&gzip);
	ul_buf_release(&zeros);
}

static void test_layer__digests_are_verified(void **state)
{
	const struct tar_item item = { .path = "f", .data = "text" };
	struct ul_buf tar = tar_of(&item, 1);
	struct ul_buf gzip = UL_BUF_INIT;
	struct ul_layer_job job = NO_JOB;
	struct ul_layer_result result;
	struct ul_err err = UL_ERR_INIT;

	pack_gzip(&gzip, tar.data, tar.len);
	ul_digest_of(UL_DIGEST_SHA512, tar.data, tar.len, &job.diff_id);
	ul_digest_of(UL_DIGEST_SHA256, gzip.data, gzip.len, &job.blob_digest);
	assert_int_equal(
	    layer_apply_bytes(*state, gzip.data, gzip.len, job, &result, &err),
	    0);
	assert_true(ul_digest_equal(&result.diff_id, &job.diff_id));
	assert_true(ul_digest_equal(&result.blob_digest, &job.blob_digest));
	assert_int_equal(result.tar_bytes, tar.len);

	job.diff_id.bytes[0] ^= 1;
	assert_int_equal(
	    layer_apply_bytes(*state, gzip.data, gzip.len, job, &result, &err),
	    UL_E_CORRUPT);
	assert_non_null(strstr(err.msg, "layer: diff ID is sha512:"));
	job.blob_digest.bytes[0] ^= 1;
	assert_int_equal(
	    layer_apply_bytes(*state, gzip.data, gzip.len, job, &result, &err),
	    UL_E_CORRUPT);
	assert_non_null(strstr(err.msg, "layer: digest is sha256:"));
	ul_buf_release(&tar);
	ul_buf_release(&gzip);
}

/* Every cut of a packed layer is an error, whichever digest is known. */
static void assert_every_cut_fails(void **state, const struct ul_buf *packed,
				   struct ul_layer_job job)
{
	struct ul_layer_result result = { .tar_bytes = 4711 };
	struct ul_err err = UL_ERR_INIT;
	size_t len;
	int rc;

	for (len = 0; len < packed->len; len++) {
		rc = layer_apply_bytes(*state, packed->data, len, job, &result,
				       &err);
		if (rc != UL_E_CORRUPT)
			fail_msg("cut at %zu: %d %s", len, rc, err.msg);
		assert_int_equal(result.tar_bytes, 4711);
	}
	assert_int_equal(layer_apply_bytes(*state, packed->data, packed->len,
					   job, &result, &err),
			 0);
}

static void test_layer__every_cut_is_noticed(void **state)
{
	const struct tar_item items[] = {
		{ .path = "d/f", .data = "text" },
		{ .path = "s", .type = '2', .link = "d" },
	};
	struct ul_buf tar = tar_of(items, 2);
	struct ul_buf gzip = UL_BUF_INIT;
	struct ul_buf zstd = UL_BUF_INIT;
	struct ul_layer_job by_diff_id = NO_JOB;
	struct ul_layer_job by_gzip = NO_JOB;
	struct ul_layer_job by_zstd = NO_JOB;

	pack_gzip(&gzip, tar.data, tar.len);
	pack_zstd(&zstd, tar.data, tar.len);
	ul_digest_of(UL_DIGEST_SHA256, tar.data, tar.len, &by_diff_id.diff_id);
	ul_digest_of(UL_DIGEST_SHA256, gzip.data, gzip.len,
		     &by_gzip.blob_digest);
	ul_digest_of(UL_DIGEST_SHA256, zstd.data, zstd.len,
		     &by_zstd.blob_digest);
	assert_every_cut_fails(state, &gzip, by_diff_id);
	assert_every_cut_fails(state, &zstd, by_diff_id);
	assert_every_cut_fails(state, &gzip, by_gzip);
	assert_every_cut_fails(state, &zstd, by_zstd);
	ul_buf_release(&tar);
	ul_buf_release(&gzip);
	ul_buf_release(&zstd);
}

static void test_layer__bytes_after_the_tar_count(void **state)
{
	const struct tar_item items[] = { { .path = "f", .data = "text" } };
	struct ul_buf tar = tar_of(items, 1);
	struct ul_layer_result result;
	struct ul_err err = UL_ERR_INIT;
	struct ul_digest digest;
	size_t i;

	for (i = 0; i < 3000000; i++)
		ul_buf_add_char(&tar, "after"[i % 5]);
	ul_digest_of(UL_DIGEST_SHA256, tar.data, tar.len, &digest);
	assert_int_equal(
	    layer_apply_bytes(*state, tar.data, tar.len, NO_JOB, &result, &err),
	    0);
	assert_true(ul_digest_equal(&result.diff_id, &digest));
	assert_int_equal(result.tar_bytes, tar.len);
	assert_int_equal(result.entry_count, 1);
	assert_int_equal(result.blob_digest.alg, UL_DIGEST_NONE);
	ul_buf_release(&tar);
}

/* A file over many blocks of the pipe, whose bytes are its position. */
static struct ul_buf large_tar(size_t len)
{
	struct ul_buf data = UL_BUF_INIT;
	struct ul_buf tar = UL_BUF_INIT;
	struct tar_item item = { .path = "large" };
	uint32_t i;

	for (i = 0; data.len < len; i++)
		ul_buf_add(&data, &i, sizeof i);
	item.data = data.data;
	item.len = data.len;
	tar_add(&tar, &item);
	tar_end(&tar);
	ul_buf_release(&data);
	return tar;
}

static void test_layer__large_files_are_whole(void **state)
{
	struct ul_buf tar = large_tar(9000000);
	struct ul_buf gzip = UL_BUF_INIT;
	struct ul_buf content = UL_BUF_INIT;
	struct ul_layer_result result;
	struct ul_err err = UL_ERR_INIT;

	pack_gzip(&gzip, tar.data, tar.len);
	assert_int_equal(layer_apply_bytes(*state, gzip.data, gzip.len, NO_JOB,
					   &result, &err),
			 0);
	assert_int_equal(
	    ul_file_read(fs_fd(state), "large", 10 << 20, &content, &err), 0);
	assert_int_equal(content.len, 9000000);
	assert_memory_equal(content.data, tar.data + 512, content.len);
	ul_buf_release(&content);
	ul_buf_release(&gzip);
	ul_buf_release(&tar);
}

struct progress {
	uint64_t calls, last_bytes, stop_after;
};

static bool progress_count(void *arg, uint64_t packed_bytes)
{
	struct progress *progress = arg;

	assert_true(packed_bytes >= progress->last_bytes);
	progress->last_bytes = packed_bytes;
	return ++progress->calls <= progress->stop_after;
}

static void test_layer__tells_progress_and_stops_when_told(void **state)
{
	struct ul_buf tar = large_tar(6000000);
	struct progress progress = { .stop_after = UINT64_MAX };
	struct ul_layer_job job = NO_JOB;
	struct ul_layer_result result;
	struct ul_err err = UL_ERR_INIT;
	uint64_t stop, calls;

	job.progress = progress_count;
	job.arg = &progress;
	assert_int_equal(
	    layer_apply_bytes(*state, tar.data, tar.len, job, &result, &err),
	    0);
	assert_int_equal(progress.last_bytes, tar.len);
	assert_true(progress.calls > 20);
	calls = progress.calls;
	for (stop = 0; stop < calls; stop++) {
		progress = (struct progress){ .stop_after = stop };
		assert_int_equal(layer_apply_bytes(*state, tar.data, tar.len,
						   job, &result, &err),
				 UL_E_CANCELED);
		assert_int_equal(progress.calls, stop + 1);
	}
	ul_buf_release(&tar);
}

/* The reader stops for an error of its own while the other thread is far
 * ahead, waiting for room; and the other way round. */
static void test_layer__both_threads_end_on_errors_of_either(void **state)
{
	const struct tar_item bad = { .path = "../x" };
	struct ul_buf tar = UL_BUF_INIT;
	struct ul_buf large = large_tar(8000000);
	struct ul_buf gzip = UL_BUF_INIT;
	struct ul_layer_result result;
	struct ul_err err = UL_ERR_INIT;
	int i;

	tar_add(&tar, &bad);
	ul_buf_add(&tar, large.data, large.len);
	pack_gzip(&gzip, large.data, large.len);
	gzip.data[gzip.len / 2] ^= 0x7f;
	for (i = 0; i < 20; i++) {
		assert_int_equal(layer_apply_bytes(*state, tar.data, tar.len,
						   NO_JOB, &result, &err),
				 UL_E_CORRUPT);
		assert_string_equal(err.msg, "layer entry '../x': path leaves "
					     "the image");
		assert_int_equal(layer_apply_bytes(*state, gzip.data, gzip.len,
						   NO_JOB, &result, &err),
				 UL_E_CORRUPT);
		assert_non_null(strstr(err.msg, "gzip: "));
	}
	ul_buf_release(&tar);
	ul_buf_release(&large);
	ul_buf_release(&gzip);
}

int main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, layer_setup, layer_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_layer__an_empty_stream_is_an_empty_layer),
		TEST(test_layer__digests_are_verified),
		TEST(test_layer__every_cut_is_noticed),
		TEST(test_layer__bytes_after_the_tar_count),
		TEST(test_layer__large_files_are_whole),
		TEST(test_layer__tells_progress_and_stops_when_told),
		TEST(test_layer__both_threads_end_on_errors_of_either),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
