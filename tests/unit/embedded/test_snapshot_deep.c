/*
 * Chains so deep that mount(2) does not take whole paths.
 */
#include "store/embedded/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/embedded/snapshot_record.h"
#include "store/limits.h"
#include "tests/unit/embedded/snapshot_fixture.h"

/* Digits only where a layer's digest is of no interest. */
static const char *chain_id(size_t number)
{
	static char ids[2][80];
	static unsigned turn;
	char *id = ids[turn++ % 2];

	snprintf(id, sizeof ids[0], "sha256:%064zu", number);
	return id;
}

/* One layer with one file `fN`, on the one before. */
static void layer_make(struct store_fixture *fixture, size_t number)
{
	struct ul_snapshot_record record = {
		.kind = UL_SNAPSHOT_COMMITTED,
		.is_unpacked = true,
	};
	struct ul_err err = UL_ERR_INIT;

	if (number)
		snprintf(record.parent, sizeof record.parent, "%s",
			 chain_id(number - 1));
	assert_int_equal(
	    mkdir(store_path(fixture, "snapshots/layer-%064zu", number), 0700),
	    0);
	assert_int_equal(
	    mkdir(store_path(fixture, "snapshots/layer-%064zu/fs", number),
		  0755),
	    0);
	file_write(store_path(fixture, "snapshots/layer-%064zu/fs/f%zu", number,
			      number),
		   "below");
	if (ul_snapshot_record_add(fixture->store, chain_id(number), &record,
				   "{}", &err))
		fail_msg("%s", err.msg);
}

/* An unpacked image of so many layers; the key of its last. */
static const char *chain_make(struct store_fixture *fixture, size_t count)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	struct ul_err err = UL_ERR_INIT;
	size_t i;

	store_fixture_locked(fixture);
	assert_int_equal(ul_db_begin(fixture->store->db, &tx, &err), 0);
	for (i = 0; i < count; i++)
		layer_make(fixture, i);
	assert_int_equal(ul_db_commit(&tx, &err), 0);
	return chain_id(count - 1);
}

/* By short names: from the folder of all snapshots. */
static void mount_it(struct store_fixture *fixture, const char *key,
		     const char *point)
{
	struct ul_snapshot_mount found = snapshot_mount_of(fixture->store, key);

	assert_string_equal(found.type, "overlay");
	assert_non_null(found.directory);
	assert_true(strlen(found.options) <= UL_MOUNT_OPTIONS_MAX_BYTES);
	ul_snapshot_mount_release(&found);
	snapshot_mount(fixture->store, key, point);
}

/* The file of every layer is there, and says what it said. */
static void expect_layers(const char *point, size_t count)
{
	char path[160];
	size_t i;

	for (i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s/f%zu", point, i);
		file_expect(path, "below");
	}
	assert_int_equal(dir_count(point), count);
}

static void test_snapshot_deep__is_mounted_by_short_names(void **state)
{
	struct store_fixture *fixture = *state;
	const char *top = chain_make(fixture, 120), *point;
	char path[160];

	point = snapshot_mount_point(fixture);
	snapshot_prepare(fixture->store, "a", top);
	mount_it(fixture, "a", point);
	expect_layers(point, 120);
	snprintf(path, sizeof path, "%s/new", point);
	file_write(path, "new");
	assert_int_equal(umount(point), 0);
	file_expect(store_path(fixture, "snapshots/key-a/fs/new"), "new");
	snapshot_view(fixture->store, "v", top);
	mount_it(fixture, "v", point);
	expect_layers(point, 120);
	assert_int_equal(umount(point), 0);
}

static void test_snapshot_deep__may_be_what_overlayfs_takes(void **state)
{
	struct store_fixture *fixture = *state;
	const char *top = chain_make(fixture, UL_IMAGE_MAX_LAYERS), *point;

	point = snapshot_mount_point(fixture);
	snapshot_prepare(fixture->store, "a", top);
	mount_it(fixture, "a", point);
	expect_layers(point, UL_IMAGE_MAX_LAYERS);
	assert_int_equal(umount(point), 0);
}

static void test_snapshot_deep__is_refused_beyond_that(void **state)
{
	struct store_fixture *fixture = *state;
	const char *top = chain_make(fixture, UL_IMAGE_MAX_LAYERS + 1);
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(
	    ul_snapshot_prepare(fixture->store, "a", top, false, NULL, &err),
	    UL_E_LIMIT);
	assert_string_equal(err.msg,
			    "preparing snapshot \"a\": more than 500 parents, "
			    "which overlayfs does not mount");
	assert_false(path_exists(store_path(fixture, "snapshots/key-a")));
}

/* Only short names stand in the kernel's list of mounts. */
static void test_snapshot_deep__is_not_removed_while_mounted(void **state)
{
	struct store_fixture *fixture = *state;
	const char *top = chain_make(fixture, 60), *point;
	const char *keys[] = { "a", "v" };
	struct ul_err err = UL_ERR_INIT;
	size_t i;

	point = snapshot_mount_point(fixture);
	snapshot_prepare(fixture->store, "a", top);
	snapshot_view(fixture->store, "v", top);
	for (i = 0; i < ul_array_len(keys); i++) {
		mount_it(fixture, keys[i], point);
		assert_int_equal(
		    ul_snapshot_remove(fixture->store, keys[i], &err),
		    UL_E_REFUSED);
		assert_non_null(strstr(err.msg, "is mounted"));
		assert_int_equal(ul_snapshot_remove(fixture->store, top, &err),
				 UL_E_REFUSED);
		assert_int_equal(umount(point), 0);
		assert_int_equal(
		    ul_snapshot_remove(fixture->store, keys[i], &err), 0);
	}
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 60);
}

static void test_snapshot_deep__has_no_short_names_once_committed(void **state)
{
	struct store_fixture *fixture = *state;
	const char *top = chain_make(fixture, 60);
	struct ul_err err = UL_ERR_INIT;

	snapshot_prepare(fixture->store, "a", top);
	assert_int_equal(
	    dir_count(store_path(fixture, "snapshots/key-a/lower")), 60);
	if (ul_snapshot_commit(fixture->store, "c", "a", NULL, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(dir_count(store_path(fixture, "snapshots/key-c")), 2);
	snapshot_prepare(fixture->store, "b", "c");
	assert_int_equal(
	    dir_count(store_path(fixture, "snapshots/key-b/lower")), 61);
}

static void
test_snapshot_deep__has_no_short_names_where_whole_ones_fit(void **state)
{
	struct store_fixture *fixture = *state;
	const char *top = chain_make(fixture, 20);

	snapshot_prepare(fixture->store, "a", top);
	assert_int_equal(dir_count(store_path(fixture, "snapshots/key-a")), 2);
}

/* Moved to a longer path, or by somebody who tidied up. */
static void
test_snapshot_deep__says_so_where_it_can_not_be_mounted(void **state)
{
	struct store_fixture *fixture = *state;
	const char *top = chain_make(fixture, 60);
	struct ul_snapshot_mount none = UL_SNAPSHOT_MOUNT_INIT;
	struct ul_err err = UL_ERR_INIT;

	snapshot_prepare(fixture->store, "a", top);
	assert_int_equal(
	    unlink(store_path(fixture, "snapshots/key-a/lower/59")), 0);
	assert_int_equal(
	    symlink("../../layer-0/fs",
		    store_path(fixture, "snapshots/key-a/lower/59")),
	    0);
	assert_int_equal(
	    ul_snapshot_mount_find(fixture->store, "a", &none, &err),
	    UL_E_LIMIT);
	assert_non_null(strstr(err.msg, "and mount(2) takes 4095; one that is "
					"prepared now gets short names"));
	assert_null(none.type);
}

/* Put the store where its path has `bytes` more. */
static void store_move(struct store_fixture *fixture, size_t bytes)
{
	char path[4096];
	int len = snprintf(path, sizeof path, "%s", fixture->top);

	for (; bytes; bytes -= bytes < 200 ? bytes : 200) {
		len += snprintf(path + len, sizeof path - (size_t)len, "/%0*d",
				bytes < 200 ? (int)bytes : 199, 0);
		mkdir(path, 0755);
	}
	snprintf(path + len, sizeof path - (size_t)len, "/store");
	assert_int_equal(rename(fixture->store->path, path), 0);
	free(fixture->store->path);
	fixture->store->path = ul_strdup(path);
	assert_non_null(fixture->store->path);
}

static void
test_snapshot_deep__says_so_where_the_store_was_moved_too_far(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_snapshot_mount none = UL_SNAPSHOT_MOUNT_INIT;
	const char *top = chain_make(fixture, 60);
	struct ul_err err = UL_ERR_INIT;

	snapshot_prepare(fixture->store, "whole", chain_id(19));
	snapshot_prepare(fixture->store, "short", top);
	store_move(fixture, 400);
	assert_int_equal(
	    ul_snapshot_mount_find(fixture->store, "whole", &none, &err),
	    UL_E_LIMIT);
	assert_non_null(strstr(err.msg, "gets short names"));
	assert_int_equal(
	    ul_snapshot_mount_find(fixture->store, "short", &none, &err), 0);
	assert_true(strlen(none.options) <= UL_MOUNT_OPTIONS_MAX_BYTES);
	ul_snapshot_mount_release(&none);
	/* Not even they are of use: the message promises nothing. */
	store_move(fixture, 1800);
	assert_int_equal(
	    ul_snapshot_mount_find(fixture->store, "short", &none, &err),
	    UL_E_LIMIT);
	assert_null(strstr(err.msg, "short names"));
}

int main(void)
{
#define DEEP_TEST(name)                                                        \
	cmocka_unit_test_setup_teardown(test_snapshot_deep__##name,            \
					store_fixture_setup,                   \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		DEEP_TEST(is_mounted_by_short_names),
		DEEP_TEST(may_be_what_overlayfs_takes),
		DEEP_TEST(is_refused_beyond_that),
		DEEP_TEST(is_not_removed_while_mounted),
		DEEP_TEST(has_no_short_names_once_committed),
		DEEP_TEST(has_no_short_names_where_whole_ones_fit),
		DEEP_TEST(says_so_where_it_can_not_be_mounted),
		DEEP_TEST(says_so_where_the_store_was_moved_too_far),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
