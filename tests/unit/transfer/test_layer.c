#include "store/transfer/layer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/mem.h"
#include "tests/lib/layer_fixture.h"
#include "tests/lib/tree_print.h"

#define NO_JOB ((struct ul_layer_job){ .blob_fd = -1 })

static int setup(void **state)
{
	struct layer_fixture *fixture = malloc(sizeof *fixture);

	layer_fixture_open(fixture);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	layer_fixture_close(*state);
	free(*state);
	return 0;
}

static struct ul_buf tar_of(const struct tar_item *items, size_t count)
{
	struct ul_buf tar = UL_BUF_INIT;
	size_t i;

	for (i = 0; i < count; i++)
		tar_add(&tar, &items[i]);
	tar_end(&tar);
	return tar;
}

static void lower(void *fixture, const struct tar_item *items, size_t count)
{
	struct ul_buf tar = tar_of(items, count);

	layer_below(fixture, &tar);
	ul_buf_release(&tar);
}

static struct ul_layer_result apply(void *fixture, const struct tar_item *items,
				    size_t count)
{
	struct ul_buf tar = tar_of(items, count);
	struct ul_err err = UL_ERR_INIT;
	struct ul_layer_result result;

	if (layer_apply_bytes(fixture, tar.data, tar.len, NO_JOB, &result,
			      &err))
		fail_msg("%s", err.msg);
	ul_buf_release(&tar);
	return result;
}

#define LOWER(state, ...)                                                      \
	do {                                                                   \
		const struct tar_item items_[] = { __VA_ARGS__ };              \
		lower(*(state), items_, ul_array_len(items_));                 \
	} while (0)
#define APPLY(state, ...)                                                      \
	do {                                                                   \
		const struct tar_item items_[] = { __VA_ARGS__ };              \
		apply(*(state), items_, ul_array_len(items_));                 \
	} while (0)

static int fs_fd(void **state)
{
	return ((struct layer_fixture *)*state)->fs_fd;
}

/* st_mode of a path in the layer; 0 where there is nothing. */
static struct stat stat_of(void **state, const char *path)
{
	struct stat st = { 0 };

	if (fstatat(fs_fd(state), path, &st, AT_SYMLINK_NOFOLLOW))
		st.st_mode = 0;
	return st;
}

static void assert_absent(void **state, const char *path)
{
	assert_int_equal(stat_of(state, path).st_mode, 0);
}

static void assert_whiteout(void **state, const char *path)
{
	struct stat st = stat_of(state, path);

	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(st.st_rdev, makedev(0, 0));
}

static void assert_text(void **state, const char *path, const char *text)
{
	struct ul_buf content = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_file_read(fs_fd(state), path, 1 << 20, &content, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(ul_buf_str(&content), text);
	ul_buf_release(&content);
}

static bool is_opaque(void **state, const char *path)
{
	char value[2] = { 0 };
	int fd = openat(fs_fd(state), path, O_RDONLY | O_DIRECTORY);
	ssize_t len = fgetxattr(fd, "trusted.overlay.opaque", value, 1);

	if (len != 1)
		len = fgetxattr(fd, "user.overlay.opaque", value, 1);
	close(fd);
	return len == 1 && value[0] == 'y';
}

static void test_layer__writes_what_the_tar_says(void **state)
{
	struct stat st;
	char target[8] = { 0 };

	APPLY(state, { .path = "./", .type = '5', .mode = 0711, .mtime = 7 },
	      { .path = "d", .type = '5', .mode = 0500, .mtime = 8 },
	      { .path = "d/f",
		.type = '0',
		.mode = 0640,
		.mtime = 9,
		.data = "text",
		.pax = { TAR_PAX("mtime", "9.123456789") } },
	      { .path = "d/s", .type = '2', .mtime = 10, .link = "../x" },
	      { .path = "p", .type = '6', .mode = 0600, .mtime = 11 });
	st = stat_of(state, ".");
	assert_int_equal(st.st_mode, S_IFDIR | 0711);
	assert_int_equal(st.st_mtim.tv_sec, 7);
	st = stat_of(state, "d");
	assert_int_equal(st.st_mode, S_IFDIR | 0500);
	assert_int_equal(st.st_mtim.tv_sec, 8);
	st = stat_of(state, "d/f");
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_mtim.tv_sec, 9);
	assert_int_equal(st.st_mtim.tv_nsec, 123456789);
	assert_text(state, "d/f", "text");
	st = stat_of(state, "d/s");
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(st.st_mtim.tv_sec, 10);
	assert_int_equal(readlinkat(fs_fd(state), "d/s", target, 8), 4);
	assert_string_equal(target, "../x");
	st = stat_of(state, "p");
	assert_int_equal(st.st_mode, S_IFIFO | 0600);
}

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

static void test_layer__names_are_bytes_in_every_locale(void **state)
{
	static const char *const locales[] = { "C", "C.UTF-8" };
	/* Latin-1; UTF-8; decomposed; one that normalizes to ASCII. */
	static const char *const names[] = { "caf\xe9", "caf\xc3\xa9",
					     "cafe\xcc\x81", "\xe2\x84\xaa",
					     "\xed\xa0\xbd\xed\xb8\x80" };
	size_t i, k;

	for (i = 0; i < ul_array_len(locales); i++) {
		assert_non_null(setlocale(LC_ALL, locales[i]));
		for (k = 0; k < ul_array_len(names); k++)
			APPLY(
			    state,
			    { .path = names[k], .type = '0', .data = "header" },
			    { .path = "x",
			      .type = '0',
			      .data = "pax",
			      .pax = { TAR_PAX("path", names[k]) } },
			    { .path = "l",
			      .type = '2',
			      .link = "y",
			      .pax = { TAR_PAX("linkpath", names[k]) } },
			    { .path = "h",
			      .type = '1',
			      .link = "y",
			      .pax = { TAR_PAX("linkpath", names[k]) } });
		for (k = 0; k < ul_array_len(names); k++)
			assert_text(state, names[k], "pax");
		assert_int_equal(stat_of(state, "l").st_size,
				 strlen(names[k - 1]));
		assert_int_equal(stat_of(state, "h").st_ino,
				 stat_of(state, names[k - 1]).st_ino);
		assert_absent(state, "K");
		layer_fixture_clear(*state);
	}
	setlocale(LC_ALL, "C");
}

static void test_layer__whiteouts_become_devices(void **state)
{
	LOWER(state, { .path = "d", .type = '5', .mode = 0700, .mtime = 5 },
	      { .path = "d/f", .type = '0', .data = "1" },
	      { .path = "g", .type = '0', .data = "2" });
	APPLY(state, { .path = ".wh.g", .type = '0' },
	      { .path = "d/.wh.f", .type = '0' });
	assert_whiteout(state, "g");
	assert_whiteout(state, "d/f");
	assert_absent(state, ".wh.g");
	assert_int_equal(stat_of(state, "d").st_mode, S_IFDIR | 0700);
	assert_int_equal(stat_of(state, "d").st_mtim.tv_sec, 5);
}

static void test_layer__whiteouts_that_hide_nothing_are_left_out(void **state)
{
	LOWER(state, { .path = "d", .type = '5' },
	      { .path = "d/f", .type = '0', .data = "1" },
	      { .path = "gone", .type = '0', .data = "1" },
	      { .path = "file", .type = '0', .data = "1" });
	LOWER(state, { .path = ".wh.gone", .type = '0' });
	APPLY(state, { .path = ".wh.gone", .type = '0' },
	      { .path = "d/.wh.x", .type = '0' },
	      { .path = "new", .type = '5' },
	      { .path = "new/.wh.x", .type = '0' },
	      { .path = "no/.wh.x", .type = '0' },
	      { .path = "d2", .type = '2', .link = "d" },
	      { .path = "d2/.wh.f", .type = '0' },
	      { .path = "file", .type = '0', .data = "2" },
	      { .path = ".wh.file", .type = '0' });
	assert_absent(state, "gone");
	assert_absent(state, "d/x");
	assert_absent(state, "new/x");
	assert_absent(state, "no");
	assert_whiteout(state, "d/f");
	assert_text(state, "file", "2");
}

static void test_layer__whiteouts_below_an_opaque_directory_go(void **state)
{
	LOWER(state, { .path = "d", .type = '5' },
	      { .path = "d/f", .type = '0' }, { .path = "d/e", .type = '5' },
	      { .path = "d/e/g", .type = '0' }, { .path = "d/h", .type = '5' },
	      { .path = "d/h/i", .type = '0' });
	APPLY(state, { .path = "d/.wh.f", .type = '0' },
	      { .path = "d/e/.wh.g", .type = '0' },
	      { .path = "d/h/.wh.i", .type = '0' },
	      { .path = "d/h", .type = '0', .data = "now a file" },
	      { .path = "d/.wh..wh..opq", .type = '0' });
	assert_true(is_opaque(state, "d"));
	assert_absent(state, "d/f");
	assert_absent(state, "d/e/g");
	assert_true(S_ISREG(stat_of(state, "d/h").st_mode));
}

static void
test_layer__a_directory_in_place_of_a_whiteout_is_opaque(void **state)
{
	LOWER(state, { .path = "d", .type = '5' },
	      { .path = "d/f", .type = '0' }, { .path = "e", .type = '5' },
	      { .path = "f", .type = '0' }, { .path = "g", .type = '5' });
	APPLY(state, { .path = ".wh.d", .type = '0' },
	      { .path = "d", .type = '5' },
	      { .path = "e", .type = '0', .data = "hides e" },
	      { .path = "e", .type = '5' }, { .path = ".wh.f", .type = '0' },
	      { .path = "f", .type = '5' }, { .path = ".wh.g", .type = '0' },
	      { .path = "g/made/unasked", .type = '0' });
	assert_true(is_opaque(state, "d"));
	assert_true(is_opaque(state, "e"));
	assert_false(is_opaque(state, "f"));
	assert_true(is_opaque(state, "g"));
	assert_false(is_opaque(state, "g/made"));
}

static void test_layer__a_whiteout_spares_what_the_layer_brings(void **state)
{
	LOWER(state, { .path = "d", .type = '5' },
	      { .path = "d/f", .type = '0' }, { .path = "e", .type = '5' });
	APPLY(state, { .path = "d/new", .type = '0', .data = "n" },
	      { .path = ".wh.d", .type = '0' },
	      { .path = ".wh.e", .type = '0' },
	      { .path = "e", .type = '0', .data = "e" });
	assert_true(is_opaque(state, "d"));
	assert_text(state, "d/new", "n");
	assert_text(state, "e", "e");
}

static void test_layer__an_opaque_root_hides_every_name(void **state)
{
	LOWER(state, { .path = "a", .type = '0' }, { .path = "b", .type = '5' },
	      { .path = "gone", .type = '0' });
	LOWER(state, { .path = "c", .type = '0' },
	      { .path = ".wh.gone", .type = '0' });
	APPLY(state, { .path = "b", .type = '5' },
	      { .path = ".wh..wh..opq", .type = '0' },
	      { .path = "c", .type = '0', .data = "new" });
	assert_whiteout(state, "a");
	assert_true(is_opaque(state, "b"));
	assert_text(state, "c", "new");
	assert_absent(state, "gone");
	assert_false(is_opaque(state, "."));
}

static void test_layer__hidden_lower_directories_lend_nothing(void **state)
{
	LOWER(state, { .path = "d", .type = '5', .mode = 0700 },
	      { .path = "d/e", .type = '5', .mode = 0711 });
	LOWER(state, { .path = ".wh.d", .type = '0' });
	LOWER(state, { .path = "o", .type = '5', .mode = 0700 },
	      { .path = "o/e", .type = '5', .mode = 0711 });
	LOWER(state, { .path = "o/.wh..wh..opq", .type = '0' });
	APPLY(state, { .path = "d/e/f", .type = '0', .mtime = 3 },
	      { .path = "o/e/f", .type = '0' });
	assert_int_equal(stat_of(state, "d").st_mode, S_IFDIR | 0755);
	assert_int_equal(stat_of(state, "d").st_mtim.tv_sec, 3);
	assert_int_equal(stat_of(state, "d/e").st_mode, S_IFDIR | 0755);
	assert_int_equal(stat_of(state, "o").st_mode, S_IFDIR | 0700);
	assert_int_equal(stat_of(state, "o/e").st_mode, S_IFDIR | 0755);
}

static void test_layer__symlinks_of_lower_layers_lead_on(void **state)
{
	LOWER(state, { .path = "usr/lib", .type = '5', .mode = 0711 },
	      { .path = "lib", .type = '2', .link = "usr/lib" },
	      { .path = "abs", .type = '2', .link = "/lib/../lib" },
	      { .path = "up", .type = '2', .link = "../../usr" },
	      { .path = "dangling", .type = '2', .link = "not/there" });
	LOWER(state, { .path = "usr", .type = '5', .mode = 0700 });
	APPLY(state, { .path = "lib/a", .type = '0', .data = "a" },
	      { .path = "abs/b", .type = '0', .data = "b" },
	      { .path = "up/lib/c", .type = '0', .data = "c" },
	      { .path = "dangling/d", .type = '0', .data = "d" });
	assert_absent(state, "lib");
	assert_text(state, "usr/lib/a", "a");
	assert_text(state, "usr/lib/b", "b");
	assert_text(state, "usr/lib/c", "c");
	assert_text(state, "usr/../usr/lib/c", "c");
	assert_text(state, "not/there/d", "d");
	assert_int_equal(stat_of(state, "usr").st_mode, S_IFDIR | 0700);
	assert_int_equal(stat_of(state, "usr/lib").st_mode, S_IFDIR | 0711);
}

static void test_layer__what_was_remembered_of_a_path_is_forgotten(void **state)
{
	LOWER(state, { .path = "a", .type = '5', .mode = 0700 },
	      { .path = "a/b", .type = '5' },
	      { .path = "l", .type = '2', .link = "a" });
	APPLY(state, { .path = "l/b/1", .type = '0', .data = "1" },
	      { .path = "l", .type = '5', .mode = 0711 },
	      { .path = "l/b/2", .type = '0', .data = "2" },
	      { .path = "a", .type = '2', .link = "l" },
	      { .path = "a/b/3", .type = '0', .data = "3" },
	      { .path = ".wh.l", .type = '0' }, { .path = "a", .type = '5' },
	      { .path = "a/b/4", .type = '0', .data = "4" });
	assert_int_equal(stat_of(state, "l").st_mode, S_IFDIR | 0711);
	assert_text(state, "l/b/2", "2");
	assert_text(state, "l/b/3", "3");
	assert_absent(state, "a/b/1");
	assert_text(state, "a/b/4", "4");
	assert_true(is_opaque(state, "a"));
}

static void test_layer__hard_links_copy_up(void **state)
{
	struct stat st, other;

	LOWER(state, { .path = "d", .type = '5', .mode = 0711, .mtime = 4 },
	      { .path = "d/f",
		.type = '0',
		.mode = 0604,
		.mtime = 5,
		.data = "text" },
	      { .path = "s", .type = '2', .link = "target", .mtime = 6 });
	APPLY(state, { .path = "new", .type = '1', .link = "d/f" },
	      { .path = "s2", .type = '1', .link = "s" });
	assert_text(state, "d/f", "text");
	st = stat_of(state, "d/f");
	other = stat_of(state, "new");
	assert_int_equal(st.st_ino, other.st_ino);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_mode, S_IFREG | 0604);
	assert_int_equal(st.st_mtim.tv_sec, 5);
	st = stat_of(state, "d");
	assert_int_equal(st.st_mode, S_IFDIR | 0711);
	assert_int_equal(st.st_mtim.tv_sec, 4);
	st = stat_of(state, "s");
	other = stat_of(state, "s2");
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(st.st_ino, other.st_ino);
	assert_int_equal(st.st_mtim.tv_sec, 6);
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

static void test_layer__survives_every_allocation_failure(void **state)
{
	const struct tar_item items[] = {
		{ .path = "lib/x/y", .data = "text" },
		{ .path = "d",
		  .type = '5',
		  .pax = { TAR_PAX("SCHILY.xattr.user.a", "b") } },
		{ .path = "d", .type = '5' },
		{ .path = ".wh.gone" },
		{ .path = "hl", .type = '1', .link = "usr/f" },
		{ .path = "tree/f", .data = "1" },
		{ .path = "tree", .data = "2" },
		{ .path = "opq/.wh..wh..opq" },
		{ .path = ".wh..wh..opq" },
	};
	struct ul_buf tar = tar_of(items, ul_array_len(items));
	struct ul_layer_result result = { .tar_bytes = 4711 };
	struct ul_err err = UL_ERR_INIT;
	long n;
	int rc;

	LOWER(state, { .path = "usr/lib", .type = '5' },
	      { .path = "lib", .type = '2', .link = "usr/lib" },
	      { .path = "gone", .type = '0' },
	      { .path = "opq",
		.type = '5',
		.pax = { TAR_PAX("SCHILY.xattr.user.k", "v") } },
	      { .path = "usr/f", .type = '0', .data = "f" });
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = layer_apply_bytes(*state, tar.data, tar.len, NO_JOB,
				       &result, &err);
		ul_mem_countdown = -1;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_int_equal(err.code, UL_E_NOMEM);
		assert_int_equal(result.tar_bytes, 4711);
		layer_fixture_clear(*state);
	}
	assert_true(n > 20);
	assert_int_equal(result.entry_count, ul_array_len(items));
	ul_buf_release(&tar);
}

/* As a child that is nobody, in a directory of its own. */
static void unprivileged_child(void)
{
	const struct tar_item items[] = {
		{ .path = "mine", .uid = 65534, .gid = 65534, .data = "m" },
		{ .path = "root", .mode = 04755, .data = "r" },
		{ .path = "null", .type = '3', .dev_major = 1, .dev_minor = 3 },
		{ .path = "closed", .type = '5', .mode = 0111 },
		{ .path = "closed/f", .data = "f" },
		{ .path = "cap",
		  .data = "c",
		  .pax = { TAR_PAX("SCHILY.xattr.trusted.x", "1") } },
		{ .path = ".wh.gone" },
		{ .path = "d/.wh..wh..opq" },
	};
	struct layer_fixture fixture;
	struct ul_layer_result result;
	void *state = &fixture;

	if (geteuid() == 0 && setresgid(65534, 65534, 65534))
		_exit(3);
	if (geteuid() == 0 && setresuid(65534, 65534, 65534))
		_exit(3);
	layer_fixture_open(&fixture);
	LOWER(&state, { .path = "gone", .type = '0' },
	      { .path = "d", .type = '5' });
	result = apply(&fixture, items, ul_array_len(items));
	assert_true(result.skipped_owners > 3);
	assert_int_equal(result.skipped_devices, 1);
	assert_int_equal(result.skipped_xattrs, 1);
	assert_int_equal(stat_of(&state, "root").st_mode, S_IFREG | 04755);
	assert_int_equal(stat_of(&state, "null").st_mode, S_IFREG | 0644);
	assert_int_equal(stat_of(&state, "closed").st_mode, S_IFDIR | 0111);
	assert_text(&state, "closed/f", "f");
	assert_whiteout(&state, "gone");
	assert_true(is_opaque(&state, "d"));
	layer_fixture_close(&fixture);
	_exit(0);
}

static void test_layer__works_without_root_and_says_what_it_left(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		unprivileged_child();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_layer__files_keep_holes(void **state)
{
	char data[1024] = "1\n1048576\n512\n";
	const struct tar_item item = {
		.path = "f",
		.data = data,
		.len = sizeof data,
		.pax = { TAR_PAX("GNU.sparse.major", "1"),
			 TAR_PAX("GNU.sparse.minor", "0"),
			 TAR_PAX("GNU.sparse.name", "f"),
			 TAR_PAX("GNU.sparse.realsize", "8388608") },
	};
	struct stat st;
	char byte = 0;
	int fd;

	memset(data + 512, 'x', 512);
	apply(*state, &item, 1);
	st = stat_of(state, "f");
	assert_int_equal(st.st_size, 8388608);
	assert_true(st.st_blocks < 64);
	fd = openat(fs_fd(state), "f", O_RDONLY);
	assert_int_equal(pread(fd, &byte, 1, 1048576 + 511), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(pread(fd, &byte, 1, 1048576 + 512), 1);
	assert_int_equal(byte, 0);
	close(fd);
}

static void test_layer__default_acls_are_not_inherited(void **state)
{
	/* Version 2, user::rwx, group::r-x, group 7: rwx, mask::rwx, other::-
	 */
	static const char acl[] = "\2\0\0\0\1\0\7\0\xff\xff\xff\xff"
				  "\4\0\5\0\xff\xff\xff\xff"
				  "\x8\0\7\0\7\0\0\0"
				  "\x10\0\7\0\xff\xff\xff\xff"
				  "\x20\0\0\0\xff\xff\xff\xff";
	const struct tar_item items[] = {
		{ .path = "d",
		  .type = '5',
		  .mode = 0755,
		  .pax = { { "SCHILY.xattr.system.posix_acl_default", acl,
			     sizeof acl - 1 } } },
		{ .path = "d/f", .mode = 0604, .data = "f" },
		{ .path = "d/e", .type = '5', .mode = 0705 },
		{ .path = "d/e/g", .mode = 0604 },
	};
	static const char *const paths[] = { "d/f", "d/e", "d/e/g" };
	char path[64], list[256];
	size_t i;
	int fd;

	assert_int_equal(
	    apply(*state, items, ul_array_len(items)).skipped_xattrs, 0);
	for (i = 0; i < ul_array_len(paths); i++) {
		fd = openat(fs_fd(state), paths[i], O_RDONLY);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		assert_int_equal(listxattr(path, list, sizeof list), 0);
		close(fd);
	}
	assert_int_equal(stat_of(state, "d/f").st_mode, S_IFREG | 0604);
	assert_int_equal(stat_of(state, "d/e").st_mode, S_IFDIR | 0705);
}

static void test_layer__an_unlisted_root_is_as_the_one_below(void **state)
{
	LOWER(state, { .path = "./",
		       .type = '5',
		       .mode = 0710,
		       .mtime = 12,
		       .pax = { TAR_PAX("SCHILY.xattr.user.k", "v") } });
	APPLY(state, { .path = "f", .type = '0' });
	assert_int_equal(stat_of(state, ".").st_mode, S_IFDIR | 0710);
	assert_int_equal(stat_of(state, ".").st_mtim.tv_sec, 12);
	assert_int_equal(fgetxattr(fs_fd(state), "user.k", NULL, 0), 1);
}

static void test_layer__what_is_no_entry_is_hidden_with_the_rest(void **state)
{
	LOWER(state, { .path = "c/c/f", .data = "f" },
	      { .path = "d/d/f", .data = "f" },
	      { .path = "e/f", .data = "f", .mode = 0600 },
	      { .path = "g", .data = "g" }, { .path = "h/h/h", .data = "h" });
	APPLY(state, { .path = "c/c/.wh..wh..opq" },
	      { .path = "c/.wh..wh..opq" }, { .path = "d/d/.wh.f" },
	      { .path = ".wh.d" }, { .path = "le", .type = '1', .link = "e/f" },
	      { .path = "e/.wh..wh..opq" },
	      { .path = "lg", .type = '1', .link = "g" }, { .path = ".wh.g" },
	      { .path = "h/.wh.h" }, { .path = "h/new", .data = "new" },
	      { .path = ".wh.h" });
	assert_true(is_opaque(state, "c"));
	assert_absent(state, "c/c");
	assert_whiteout(state, "d");
	assert_text(state, "le", "f");
	assert_int_equal(stat_of(state, "le").st_mode, S_IFREG | 0600);
	assert_true(is_opaque(state, "e"));
	assert_absent(state, "e/f");
	assert_text(state, "lg", "g");
	assert_whiteout(state, "g");
	assert_true(is_opaque(state, "h"));
	assert_absent(state, "h/h");
	assert_text(state, "h/new", "new");
}

static void test_layer__unlisted_directories_take_a_given_group(void **state)
{
	struct stat st;

	APPLY(state, { .path = "d", .type = '5', .mode = 02750 },
	      { .path = "d/e/f", .data = "f" });
	st = stat_of(state, "d/e");
	assert_int_equal(st.st_mode, S_IFDIR | 02755);
	assert_int_equal(st.st_gid, stat_of(state, "d").st_gid);
	assert_int_equal(stat_of(state, "d/e/f").st_mode, S_IFREG | 0644);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_layer__writes_what_the_tar_says),
		TEST(test_layer__an_empty_stream_is_an_empty_layer),
		TEST(test_layer__names_are_bytes_in_every_locale),
		TEST(test_layer__whiteouts_become_devices),
		TEST(test_layer__whiteouts_that_hide_nothing_are_left_out),
		TEST(test_layer__whiteouts_below_an_opaque_directory_go),
		TEST(test_layer__a_directory_in_place_of_a_whiteout_is_opaque),
		TEST(test_layer__a_whiteout_spares_what_the_layer_brings),
		TEST(test_layer__an_opaque_root_hides_every_name),
		TEST(test_layer__hidden_lower_directories_lend_nothing),
		TEST(test_layer__symlinks_of_lower_layers_lead_on),
		TEST(test_layer__what_was_remembered_of_a_path_is_forgotten),
		TEST(test_layer__hard_links_copy_up),
		TEST(test_layer__digests_are_verified),
		TEST(test_layer__every_cut_is_noticed),
		TEST(test_layer__bytes_after_the_tar_count),
		TEST(test_layer__large_files_are_whole),
		TEST(test_layer__tells_progress_and_stops_when_told),
		TEST(test_layer__both_threads_end_on_errors_of_either),
		TEST(test_layer__survives_every_allocation_failure),
		TEST(test_layer__works_without_root_and_says_what_it_left),
		TEST(test_layer__files_keep_holes),
		TEST(test_layer__default_acls_are_not_inherited),
		TEST(test_layer__an_unlisted_root_is_as_the_one_below),
		TEST(test_layer__what_is_no_entry_is_hidden_with_the_rest),
		TEST(test_layer__unlisted_directories_take_a_given_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
