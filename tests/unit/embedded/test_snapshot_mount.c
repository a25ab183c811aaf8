/* Snapshots as they are mounted: what is said of that, and what it keeps. */
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

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/snapshot_record.h"
#include "tests/unit/embedded/snapshot_fixture.h"

/* "TYPE SOURCE OPTIONS", to be freed. */
static char *mounts_of(struct ul_embedded *store, const char *key)
{
	struct ul_snapshot_mount found = snapshot_mount_of(store, key);
	char *text =
	    ul_asprintf("%s %s %s", found.type, found.source, found.options);

	assert_non_null(text);
	assert_null(found.directory);
	ul_snapshot_mount_release(&found);
	return text;
}

static const char *below(const char *point, const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof paths[0], "%s/%s", point, name);
	return path;
}

static void test_snapshot__says_how_to_mount_it(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_snapshot_mount none = UL_SNAPSHOT_MOUNT_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_buf expected = UL_BUF_INIT;
	char *got;

	store_fixture_layer(fixture, CHAIN_1, "");
	store_fixture_layer(fixture, CHAIN_2, CHAIN_1);
	snapshot_prepare(store, "base", "");
	snapshot_prepare(store, "a", CHAIN_2);
	snapshot_prepare(store, "one", CHAIN_1);
	snapshot_view(store, "v", CHAIN_2);
	snapshot_view(store, "v1", CHAIN_1);
	snapshot_view(store, "v0", "");

	got = mounts_of(store, "base");
	ul_buf_printf(&expected, "bind %s rw,rbind",
		      store_path(fixture, "snapshots/key-base/fs"));
	assert_string_equal(got, expected.data);
	free(got);

	ul_buf_reset(&expected);
	got = mounts_of(store, "v0");
	ul_buf_printf(&expected, "bind %s ro,rbind",
		      store_path(fixture, "snapshots/key-v0/fs"));
	assert_string_equal(got, expected.data);
	free(got);

	ul_buf_reset(&expected);
	got = mounts_of(store, "v1");
	ul_buf_printf(&expected, "bind %s ro,rbind",
		      store_path(fixture, "snapshots/layer-%s/fs", HEX_1));
	assert_string_equal(got, expected.data);
	free(got);

	ul_buf_reset(&expected);
	got = mounts_of(store, "v");
	ul_buf_printf(&expected, "overlay overlay lowerdir=%s:%s",
		      store_path(fixture, "snapshots/layer-%s/fs", HEX_2),
		      store_path(fixture, "snapshots/layer-%s/fs", HEX_1));
	assert_string_equal(got, expected.data);
	free(got);

	ul_buf_reset(&expected);
	got = mounts_of(store, "a");
	ul_buf_printf(&expected,
		      "overlay overlay lowerdir=%s:%s,upperdir=%s,workdir=%s",
		      store_path(fixture, "snapshots/layer-%s/fs", HEX_2),
		      store_path(fixture, "snapshots/layer-%s/fs", HEX_1),
		      store_path(fixture, "snapshots/key-a/fs"),
		      store_path(fixture, "snapshots/key-a/work"));
	assert_string_equal(got, expected.data);
	free(got);

	ul_buf_reset(&expected);
	got = mounts_of(store, "one");
	ul_buf_printf(&expected,
		      "overlay overlay lowerdir=%s,upperdir=%s,workdir=%s",
		      store_path(fixture, "snapshots/layer-%s/fs", HEX_1),
		      store_path(fixture, "snapshots/key-one/fs"),
		      store_path(fixture, "snapshots/key-one/work"));
	assert_string_equal(got, expected.data);
	free(got);

	assert_int_equal(ul_snapshot_mount_find(store, CHAIN_1, &none, &err),
			 UL_E_INVALID);
	assert_int_equal(ul_snapshot_mount_find(store, "x", &none, &err),
			 UL_E_ABSENT);
	assert_null(none.type);
	ul_buf_release(&expected);
}

static void test_snapshot__stops_where_a_chain_has_no_end(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	const struct ul_snapshot_record circle = {
		.kind = UL_SNAPSHOT_COMMITTED,
		.parent = "circle",
	};
	const struct ul_snapshot_record orphan = {
		.kind = UL_SNAPSHOT_ACTIVE,
		.parent = "gone",
	};
	struct ul_snapshot_record child = { .kind = UL_SNAPSHOT_ACTIVE,
					    .parent = "circle" };
	struct ul_snapshot_mount none = UL_SNAPSHOT_MOUNT_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(
	    ul_snapshot_record_add(store, "circle", &circle, "{}", &err), 0);
	assert_int_equal(
	    ul_snapshot_record_add(store, "child", &child, "{}", &err), 0);
	assert_int_equal(
	    ul_snapshot_record_add(store, "orphan", &orphan, "{}", &err), 0);
	assert_int_equal(ul_snapshot_mount_find(store, "child", &none, &err),
			 UL_E_LIMIT);
	assert_int_equal(ul_snapshot_mount_find(store, "orphan", &none, &err),
			 UL_E_CORRUPT);
	assert_null(none.type);
}

static void test_snapshot__is_mounted_written_and_committed(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	const char *point = snapshot_mount_point(fixture);
	struct ul_err err = UL_ERR_INIT;

	store_fixture_layer(fixture, CHAIN_1, "");
	store_fixture_layer(fixture, CHAIN_2, CHAIN_1);
	snapshot_prepare(store, "a", CHAIN_2);
	snapshot_mount(store, "a", point);
	file_expect(below(point, "f-1111"), CHAIN_1);
	file_expect(below(point, "f-2222"), CHAIN_2);
	file_write(below(point, "f-1111"), "changed");
	assert_int_equal(unlink(below(point, "f-2222")), 0);
	file_write(below(point, "new"), "new");

	/* Nothing that the mount stands on can go or change. */
	assert_int_equal(ul_snapshot_commit(store, "c", "a", NULL, &err),
			 UL_E_REFUSED);
	assert_string_equal(
	    err.msg, "committing snapshot \"a\": snapshot \"a\" is mounted");
	assert_false(snapshot_is_listed(store, "c"));
	assert_int_equal(ul_snapshot_remove(store, "a", &err), UL_E_REFUSED);
	assert_string_equal(
	    err.msg, "removing snapshot \"a\": snapshot \"a\" is mounted");
	assert_true(snapshot_is_listed(store, "a"));
	assert_int_equal(umount(point), 0);

	snapshot_commit(store, "c", "a");
	file_expect(store_path(fixture, "snapshots/layer-%s/fs/f-1111", HEX_1),
		    CHAIN_1);
	snapshot_view(store, "v", "c");
	snapshot_mount(store, "v", point);
	file_expect(below(point, "f-1111"), "changed");
	file_expect(below(point, "new"), "new");
	assert_false(path_exists(below(point, "f-2222")));
	assert_int_equal(mkdir(below(point, "d"), 0755), -1);
	assert_int_equal(ul_snapshot_remove(store, "c", &err), UL_E_REFUSED);
	assert_int_equal(umount(point), 0);
}

static void test_snapshot__keeps_what_a_view_is_bound_to(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	const char *point = snapshot_mount_point(fixture);
	struct ul_err err = UL_ERR_INIT;

	snapshot_prepare(store, "a", "");
	snapshot_mount(store, "a", point);
	file_write(below(point, "f"), "f");
	assert_int_equal(ul_snapshot_commit(store, "c", "a", NULL, &err),
			 UL_E_REFUSED);
	assert_int_equal(umount(point), 0);
	snapshot_commit(store, "c", "a");
	snapshot_view(store, "v", "c");
	snapshot_mount(store, "v", point);
	file_expect(below(point, "f"), "f");
	assert_int_equal(mkdir(below(point, "d"), 0755), -1);
	/* The mount is one of the parent alone. */
	assert_int_equal(ul_snapshot_remove(store, "v", &err), 0);
	assert_int_equal(ul_snapshot_remove(store, "c", &err), UL_E_REFUSED);
	file_expect(below(point, "f"), "f");
	assert_int_equal(umount(point), 0);
	assert_int_equal(ul_snapshot_remove(store, "c", &err), 0);
}

static void test_snapshot__is_mounted_below_strange_paths(void **state)
{
	struct store_fixture *fixture = *state;
	const char *point = snapshot_mount_point(fixture);
	struct ul_embedded *store;
	struct ul_err err = UL_ERR_INIT;

	strcat(fixture->state, "a:b,c\\d");
	store = store_fixture_locked(fixture);
	store_fixture_layer(fixture, CHAIN_1, "");
	store_fixture_layer(fixture, CHAIN_2, CHAIN_1);
	snapshot_prepare(store, "x:y,z", CHAIN_2);
	snapshot_mount(store, "x:y,z", point);
	file_expect(below(point, "f-1111"), CHAIN_1);
	file_expect(below(point, "f-2222"), CHAIN_2);
	file_write(below(point, "new"), "new");
	file_expect(store_path(fixture, "snapshots/key-x%%3Ay%%2Cz/fs/new"),
		    "new");
	assert_int_equal(ul_snapshot_remove(store, "x:y,z", &err),
			 UL_E_REFUSED);
	assert_int_equal(umount(point), 0);
	assert_int_equal(ul_snapshot_remove(store, "x:y,z", &err), 0);
}

int main(void)
{
#define SNAPSHOT_TEST(name)                                                    \
	cmocka_unit_test_setup_teardown(test_snapshot__##name,                 \
					store_fixture_setup,                   \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		SNAPSHOT_TEST(says_how_to_mount_it),
		SNAPSHOT_TEST(stops_where_a_chain_has_no_end),
		SNAPSHOT_TEST(is_mounted_written_and_committed),
		SNAPSHOT_TEST(keeps_what_a_view_is_bound_to),
		SNAPSHOT_TEST(is_mounted_below_strange_paths),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
