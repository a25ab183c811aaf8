#include "store/transfer/layer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/unit/transfer/layer_expect.h"

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
	result = layer_apply(&fixture, items, ul_array_len(items));
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
	layer_apply(*state, &item, 1);
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
	    layer_apply(*state, items, ul_array_len(items)).skipped_xattrs, 0);
	for (i = 0; i < ul_array_len(paths); i++) {
		fd = openat(fs_fd(state), paths[i], O_RDONLY);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		assert_int_equal(listxattr(path, list, sizeof list), 0);
		close(fd);
	}
	assert_int_equal(stat_of(state, "d/f").st_mode, S_IFREG | 0604);
	assert_int_equal(stat_of(state, "d/e").st_mode, S_IFDIR | 0705);
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
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, layer_setup, layer_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_layer__writes_what_the_tar_says),
		TEST(test_layer__names_are_bytes_in_every_locale),
		TEST(test_layer__survives_every_allocation_failure),
		TEST(test_layer__works_without_root_and_says_what_it_left),
		TEST(test_layer__files_keep_holes),
		TEST(test_layer__default_acls_are_not_inherited),
		TEST(test_layer__unlisted_directories_take_a_given_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
