#include "store/embedded/mounts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "tests/lib/store_fixture.h"

static struct ul_mounts parse(const char *text)
{
	struct ul_mounts mounts = UL_MOUNTS_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(ul_mounts_add(&mounts, text, false, &err), 0);
	return mounts;
}

/* Is /s/snapshots/key-a (which is not there) in use, with these mounts? */
static bool uses(const char *text)
{
	struct ul_mounts mounts = parse(text);
	bool is_used = ul_mounts_use(&mounts, "/s/snapshots/key-a");

	ul_mounts_release(&mounts);
	return is_used;
}

#define OVERLAY(options)                                                       \
	"40 1 0:50 / /mnt rw,relatime shared:5 - overlay overlay rw," options  \
	"\n"

static void test_mounts__finds_layers_of_an_overlay(void **state)
{
	static const char *const used[] = {
		OVERLAY("lowerdir=/s/snapshots/key-a/fs:/x"),
		OVERLAY("lowerdir=/x:/s/snapshots/key-a/fs"),
		OVERLAY("lowerdir=/x:/y:/s/snapshots/key-a"),
		OVERLAY("lowerdir=/x,upperdir=/s/snapshots/key-a/fs"),
		OVERLAY("lowerdir=/x,workdir=/s/snapshots/key-a/work"),
		OVERLAY("lowerdir=/x::/s/snapshots/key-a/fs"),
		OVERLAY("lowerdir+=/x,lowerdir+=/s/snapshots/key-a/fs"),
		OVERLAY("lowerdir+=/x,datadir+=/s/snapshots/key-a/fs"),
		OVERLAY("lowerdir=/s/snapshots/key-a/fs/a\\040b"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(used); i++) {
		if (!uses(used[i]))
			fail_msg("not seen: %s", used[i]);
	}
}

static void test_mounts__compares_whole_components(void **state)
{
	static const char *const unused[] = {
		OVERLAY("lowerdir=/s/snapshots/key-ab/fs:/s/snapshots/key-"),
		OVERLAY("lowerdir=/s/snapshots/xkey-a/fs"),
		OVERLAY("lowerdir=/s/snapshots:/s"),
		OVERLAY("lowerdir=/s/xsnapshots/key-a/fs"),
		OVERLAY("lowerdir=/home/key-a/fs"),
		OVERLAY("lowerdir=key-ab/fs:xkey-a/fs"),
		OVERLAY("xlowerdir=/s/snapshots/key-a/fs"),
		"40 1 0:50 /key-a /mnt/key-a rw - ext4 /dev/key-a rw\n",
		"40 1 0:50 /x/snapshots/key-ab /mnt rw - ext4 /dev/sda rw\n",
		"40 1 0:50 / /m rw - tmpfs t rw,lowerdir=/s/snapshots/key-a\n",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(unused); i++) {
		if (uses(unused[i]))
			fail_msg("seen: %s", unused[i]);
	}
}

static void test_mounts__says_yes_where_it_cannot_know(void **state)
{
	static const char *const used[] = {
		/* Relative to where mount() was called. */
		OVERLAY("lowerdir=key-a/fs:key-b/fs"),
		OVERLAY("lowerdir=../snapshots/key-a/fs"),
		/* The state directory as another namespace has it. */
		OVERLAY("lowerdir=/data/store/snapshots/key-a/fs"),
		"40 1 0:50 /v/snapshots/key-a/fs /mnt rw - ext4 /dev/sda rw\n",
		"40 1 0:50 /snapshots/key-a /mnt rw - ext4 /dev/sda rw\n",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(used); i++) {
		if (!uses(used[i]))
			fail_msg("not seen: %s", used[i]);
	}
}

static void test_mounts__finds_mount_points_in_a_folder(void **state)
{
	(void)state;
	assert_true(uses("40 1 0:50 / /s/snapshots/key-a rw - tmpfs t rw\n"));
	assert_true(
	    uses("40 1 0:50 / /s/snapshots/key-a/fs/x rw - tmpfs t rw\n"));
	assert_false(uses("40 1 0:50 / /s/snapshots rw - tmpfs t rw\n"));
	assert_false(uses("40 1 0:50 / /s/snapshots/key-ab rw - tmpfs t rw\n"));
}

static void test_mounts__undoes_both_kinds_of_escapes(void **state)
{
	struct ul_mounts mounts =
	    parse("40 1 0:50 / /m\\134n\\011t rw - tmpfs t rw\n"
		  "41 1 0:50 /r\\040o /x rw - overlay o\\040o "
		  "rw,lowerdir=/a\\134:b:/c\\054d,upperdir=/e\\134\\134f,"
		  "lowerdir+=/g:h,workdir=/i\\01\n");
	const char *const layers[] = {
		"/a:b",  "/a\\:b", "/c,d",   "/e\\\\f",
		"/e\\f", "/g:h",   "/i\\01", "/i01",
	};
	size_t i, n, found = 0;

	(void)state;
	for (i = 0; i < mounts.word_count; i++) {
		if (mounts.words[i].kind != UL_MOUNT_LAYER)
			continue;
		for (n = 0; n < ul_array_len(layers); n++)
			found += !strcmp(mounts.words[i].path, layers[n]);
	}
	assert_int_equal(found, ul_array_len(layers));
	assert_string_equal(mounts.words[1].path, "/m\\n\tt");
	assert_string_equal(mounts.words[2].path, "/r o");
	ul_mounts_release(&mounts);
}

static void test_mounts__passes_over_lines_that_make_no_sense(void **state)
{
	struct ul_mounts mounts = parse("\n"
					"x\n"
					"1 2 3 4 5 6\n"
					"1 2 0:3 / /a rw shared:1\n"
					"1 2 0:3 / /a rw shared:1 -\n"
					"1 2 0:3 / /a rw - ext4\n"
					"1 2 0:3 / /a rw - ext4 dev\n"
					"1 2 zero / /a rw - ext4 dev rw\n"
					"1 2 0:3 / /b rw - ext4  rw");

	(void)state;
	assert_int_equal(mounts.word_count, 2);
	assert_string_equal(mounts.words[1].path, "/b");
	ul_mounts_release(&mounts);
}

/* What is mounted now, and whether a folder is part of it. */
static bool now_uses(const char *path)
{
	struct ul_mounts mounts = UL_MOUNTS_INIT;
	struct ul_err err = UL_ERR_INIT;
	bool is_used;

	if (ul_mounts_read(&mounts, &err))
		fail_msg("%s", err.msg);
	assert_false(mounts.is_partial);
	is_used = ul_mounts_use(&mounts, path);
	ul_mounts_release(&mounts);
	return is_used;
}

static void dirs_make(const struct store_fixture *fixture)
{
	static const char *const dirs[] = {
		"",
		"snapshots",
		"snapshots/key-a",
		"snapshots/key-a/fs",
		"snapshots/key-a/work",
		"snapshots/key-b",
		"snapshots/key-b/fs",
		"mnt",
	};
	size_t i;

	assert_int_equal(mkdir(fixture->state, 0755), 0);
	for (i = 0; i < ul_array_len(dirs); i++)
		assert_int_equal(
		    mkdir(store_path(fixture, "%s", dirs[i]), 0755), 0);
}

static void overlay_mount(const struct store_fixture *fixture,
			  const char *options)
{
	const char *point = store_path(fixture, "mnt");

	if (mount("overlay", point, "overlay", 0, options)) {
		perror(options);
		fail();
	}
}

static void test_mounts__sees_a_real_overlay(void **state)
{
	struct store_fixture *fixture = *state;
	char options[1024];

	dirs_make(fixture);
	assert_false(now_uses(store_path(fixture, "snapshots/key-a")));
	snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s",
		 store_path(fixture, "snapshots/key-b/fs"),
		 store_path(fixture, "snapshots/key-a/fs"),
		 store_path(fixture, "snapshots/key-a/work"));
	overlay_mount(fixture, options);
	assert_true(now_uses(store_path(fixture, "snapshots/key-a")));
	assert_true(now_uses(store_path(fixture, "snapshots/key-b")));
	assert_false(now_uses(store_path(fixture, "snapshots/key-c")));
	assert_int_equal(umount(store_path(fixture, "mnt")), 0);
	assert_false(now_uses(store_path(fixture, "snapshots/key-a")));
	assert_false(now_uses(store_path(fixture, "snapshots/key-b")));
}

static void test_mounts__sees_an_overlay_given_relative_paths(void **state)
{
	struct store_fixture *fixture = *state;
	char old[1024];

	dirs_make(fixture);
	assert_non_null(getcwd(old, sizeof old));
	assert_int_equal(chdir(store_path(fixture, "snapshots")), 0);
	overlay_mount(fixture, "lowerdir=key-a/fs:key-b/fs");
	assert_int_equal(chdir(old), 0);
	assert_true(now_uses(store_path(fixture, "snapshots/key-a")));
	assert_true(now_uses(store_path(fixture, "snapshots/key-b")));
	assert_int_equal(umount(store_path(fixture, "mnt")), 0);
}

static void test_mounts__sees_a_bind_mount_and_its_root(void **state)
{
	struct store_fixture *fixture = *state;
	const char *point;

	dirs_make(fixture);
	point = store_path(fixture, "mnt");
	assert_int_equal(mount(store_path(fixture, "snapshots/key-a/fs"), point,
			       NULL, MS_BIND, NULL),
			 0);
	assert_true(now_uses(store_path(fixture, "snapshots/key-a")));
	assert_false(now_uses(store_path(fixture, "snapshots/key-b")));
	assert_int_equal(umount(point), 0);
	/* One of everything is a use of nothing in it. */
	point = store_path(fixture, "mnt");
	assert_int_equal(
	    mount(store_path(fixture, "snapshots"), point, NULL, MS_BIND, NULL),
	    0);
	assert_false(now_uses(store_path(fixture, "snapshots/key-a")));
	assert_int_equal(umount(point), 0);
}

static void test_mounts__translates_paths_below_a_bind_mount(void **state)
{
	struct store_fixture *fixture = *state;
	char folder[1024];

	/* The store stands at STATE/store/mnt too, and is used there. */
	dirs_make(fixture);
	assert_int_equal(mount(store_path(fixture, "snapshots"),
			       store_path(fixture, "mnt"), NULL, MS_BIND, NULL),
			 0);
	snprintf(folder, sizeof folder, "%s", store_path(fixture, "mnt/key-a"));
	assert_false(now_uses(folder));
	assert_int_equal(mount(store_path(fixture, "snapshots/key-a"),
			       store_path(fixture, "snapshots/key-b"), NULL,
			       MS_BIND, NULL),
			 0);
	assert_true(now_uses(folder));
	assert_int_equal(umount(store_path(fixture, "snapshots/key-b")), 0);
	assert_int_equal(umount(store_path(fixture, "mnt")), 0);
}

static void test_mounts__tells_stores_with_the_same_layer_apart(void **state)
{
	struct store_fixture *fixture = *state;
	char other[128], point[256], layer[256], options[1024];

	dirs_make(fixture);
	snprintf(other, sizeof other, "%s/other", fixture->top);
	tree_copy(fixture->state, other);
	snprintf(point, sizeof point, "%s/store/mnt", other);
	snprintf(layer, sizeof layer, "%s/store/snapshots/key-a", other);
	snprintf(options, sizeof options, "lowerdir=%s/fs:%s/work", layer,
		 layer);
	assert_int_equal(mount("overlay", point, "overlay", 0, options), 0);
	assert_true(now_uses(layer));
	assert_false(now_uses(store_path(fixture, "snapshots/key-a")));
	assert_int_equal(umount(point), 0);
}

static void test_mounts__follows_a_symlink_to_the_state_directory(void **state)
{
	struct store_fixture *fixture = *state;
	char link[128], folder[256], options[2048];

	dirs_make(fixture);
	snprintf(link, sizeof link, "%s/link", fixture->top);
	assert_int_equal(symlink("state", link), 0);
	snprintf(folder, sizeof folder, "%s/store/snapshots/key-a", link);
	snprintf(options, sizeof options, "lowerdir=%s/fs:%s", folder,
		 store_path(fixture, "snapshots/key-b/fs"));
	overlay_mount(fixture, options);
	assert_true(now_uses(store_path(fixture, "snapshots/key-a")));
	assert_true(now_uses(folder));
	snprintf(folder, sizeof folder, "%s/store/snapshots/key-b", link);
	assert_true(now_uses(folder));
	assert_int_equal(umount(store_path(fixture, "mnt")), 0);
}

static void test_mounts__sees_what_another_namespace_has_mounted(void **state)
{
	struct store_fixture *fixture = *state;
	char options[1024], byte;
	int ready[2], done[2], status;
	pid_t pid;

	dirs_make(fixture);
	snprintf(options, sizeof options, "lowerdir=%s:%s",
		 store_path(fixture, "snapshots/key-a/fs"),
		 store_path(fixture, "snapshots/key-b/fs"));
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(done), 0);
	pid = fork();
	if (!pid) {
		close(done[1]);
		if (!unshare(CLONE_NEWNS) &&
		    !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
		    !mount("overlay", store_path(fixture, "mnt"), "overlay", 0,
			   options) &&
		    write(ready[1], "r", 1) == 1)
			_exit(read(done[0], &byte, 1) != 0);
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_true(now_uses(store_path(fixture, "snapshots/key-a")));
	close(done[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(done[0]);
	assert_false(now_uses(store_path(fixture, "snapshots/key-a")));
}

static void test_mounts__reads_on_without_privileges(void **state)
{
	struct ul_mounts mounts = UL_MOUNTS_INIT;
	struct ul_err err = UL_ERR_INIT;
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		if (setgid(65534) || setuid(65534) ||
		    ul_mounts_read(&mounts, &err))
			_exit(1);
		_exit(!(mounts.own_count && mounts.word_count));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_mounts__survives_every_allocation_failure(void **state)
{
	struct ul_mounts mounts = UL_MOUNTS_INIT;
	struct ul_err err = UL_ERR_INIT;
	long n;
	int rc;

	(void)state;
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = ul_mounts_read(&mounts, &err);
		ul_mem_countdown = -1;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_null(mounts.words);
		assert_null(mounts.own);
		assert_null(mounts.arena.blocks);
		/* Hundreds of processes: the same few lines each time. */
		n += n / 16;
	}
	assert_true(n > 5);
	assert_true(mounts.word_count > 0);
	ul_mounts_release(&mounts);
}

int main(void)
{
#define MOUNTS_TEST(name)                                                      \
	cmocka_unit_test_setup_teardown(                                       \
	    test_mounts__##name, store_fixture_setup, store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		MOUNTS_TEST(finds_layers_of_an_overlay),
		MOUNTS_TEST(compares_whole_components),
		MOUNTS_TEST(says_yes_where_it_cannot_know),
		MOUNTS_TEST(finds_mount_points_in_a_folder),
		MOUNTS_TEST(undoes_both_kinds_of_escapes),
		MOUNTS_TEST(passes_over_lines_that_make_no_sense),
		MOUNTS_TEST(sees_a_real_overlay),
		MOUNTS_TEST(sees_an_overlay_given_relative_paths),
		MOUNTS_TEST(sees_a_bind_mount_and_its_root),
		MOUNTS_TEST(translates_paths_below_a_bind_mount),
		MOUNTS_TEST(tells_stores_with_the_same_layer_apart),
		MOUNTS_TEST(follows_a_symlink_to_the_state_directory),
		MOUNTS_TEST(sees_what_another_namespace_has_mounted),
		MOUNTS_TEST(reads_on_without_privileges),
		MOUNTS_TEST(survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
