/* Snapshots of which only the record or only the folder is there: what was
 * stopped, failed or lost. */
#include "store/embedded/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/snapshot_record.h"
#include "tests/unit/embedded/snapshot_fixture.h"

static void test_snapshot__is_adopted_over_what_has_no_record(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;

	/* An adoption that was stopped before the record. */
	assert_int_equal(
	    mkdir(store_path(fixture, "snapshots/layer-%s", HEX_1), 0700), 0);
	file_write(store_path(fixture, "snapshots/layer-%s/old", HEX_1), "old");
	store_fixture_layer(fixture, CHAIN_1, "");
	assert_false(
	    path_exists(store_path(fixture, "snapshots/layer-%s/old", HEX_1)));
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 1);
	/* A record whose folder is gone gets one again. */
	assert_int_equal(
	    rename(store_path(fixture, "snapshots/layer-%s", HEX_1),
		   store_path(fixture, "ingest/b")),
	    0);
	assert_int_equal(snapshot_adopt(store, "b", CHAIN_1, "", &err), 0);
	file_expect(store_path(fixture, "snapshots/layer-%s/fs/f-1111", HEX_1),
		    CHAIN_1);
}

/* Both records beside the one folder: a commit that was stopped. */
static void stop_commit(struct store_fixture *fixture, bool is_renamed)
{
	struct ul_embedded *store = store_fixture_locked(fixture);
	const struct ul_snapshot_record name = {
		.kind = UL_SNAPSHOT_COMMITTED,
	};
	struct ul_err err = UL_ERR_INIT;

	snapshot_prepare(store, "a", "");
	file_write(store_path(fixture, "snapshots/key-a/fs/f"), "f");
	assert_int_equal(ul_snapshot_record_add(store, "c", &name, "{}", &err),
			 0);
	if (is_renamed)
		assert_int_equal(rename(store_path(fixture, "snapshots/key-a"),
					store_path(fixture, "snapshots/key-c")),
				 0);
}

static void
test_snapshot__was_not_committed_where_that_stopped_early(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store;

	stop_commit(fixture, false);
	store = store_fixture_locked(fixture);
	assert_true(snapshot_is_listed(store, "a"));
	assert_true(snapshot_is_listed(store, "c"));
	snapshot_prepare(store, "b", "");
	assert_true(snapshot_is_listed(store, "a"));
	assert_false(snapshot_is_listed(store, "c"));
	snapshot_commit(store, "c", "a");
	file_expect(store_path(fixture, "snapshots/key-c/fs/f"), "f");
}

static void test_snapshot__is_committed_where_that_stopped_late(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store;
	struct ul_err err = UL_ERR_INIT;

	stop_commit(fixture, true);
	store = store_fixture_locked(fixture);
	assert_int_equal(ul_snapshot_commit(store, "c", "a", NULL, &err),
			 UL_E_ABSENT);
	assert_false(snapshot_is_listed(store, "a"));
	file_expect(store_path(fixture, "snapshots/key-c/fs/f"), "f");
	snapshot_prepare(store, "a", "c");
	assert_int_equal(ul_snapshot_remove(store, "c", &err), UL_E_REFUSED);
}

static void test_snapshot__stays_on_record_while_children_need_it(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;

	snapshot_prepare(store, "a", "");
	snapshot_commit(store, "c", "a");
	snapshot_prepare(store, "b", "c");
	assert_int_equal(rename(store_path(fixture, "snapshots/key-c"),
				store_path(fixture, "ingest/lost")),
			 0);
	assert_int_equal(
	    ul_snapshot_prepare(store, "d", "c", false, NULL, &err),
	    UL_E_ABSENT);
	assert_non_null(strstr(err.msg, "/snapshots/key-c/fs is gone"));
	assert_true(snapshot_is_listed(store, "c"));
	assert_true(snapshot_is_listed(store, "b"));
}

static void test_snapshot__is_prepared_over_what_has_no_record(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);

	assert_int_equal(mkdir(store_path(fixture, "snapshots/key-a"), 0700),
			 0);
	file_write(store_path(fixture, "snapshots/key-a/left"), "left");
	snapshot_prepare(store, "a", "");
	assert_false(path_exists(store_path(fixture, "snapshots/key-a/left")));
	assert_true(path_exists(store_path(fixture, "snapshots/key-a/fs")));
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 1);
}

/*
 * Wherever it failed: what has a record has its folder, and of a commit one
 * of both, with the content.
 */
static void expect_whole(struct store_fixture *fixture)
{
	struct ul_snapshots list = snapshots_load(fixture->store);
	size_t i, whole = 0;

	for (i = 0; i < list.len; i++) {
		const char *key = list.snapshots[i].key;

		if (!path_exists(store_path(fixture, "snapshots/key-%s", key)))
			continue;
		whole++;
		if (strcmp(key, "n") != 0)
			file_expect(
			    store_path(fixture, "snapshots/key-%s/fs/f", key),
			    "f");
	}
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), whole);
	ul_snapshots_release(&list);
}

static void test_snapshot__survives_every_allocation_failure(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;
	struct ul_snapshot_mount found = UL_SNAPSHOT_MOUNT_INIT;
	struct ul_snapshots list;
	long n, failures;
	int rc;

	snapshot_prepare(store, "a", "");
	file_write(store_path(fixture, "snapshots/key-a/fs/f"), "f");
	for (n = 0, failures = 0;; n++, failures++) {
		ul_mem_countdown = n;
		rc = ul_snapshot_prepare(store, "n", "", false, "{}", &err);
		ul_mem_countdown = -1;
		expect_whole(fixture);
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_false(snapshot_is_listed(store, "n"));
	}
	assert_true(failures > 3);
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = ul_snapshot_commit(store, "c", "a", NULL, &err);
		ul_mem_countdown = -1;
		expect_whole(fixture);
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_true(snapshot_is_listed(store, "a"));
	}
	assert_true(n > 5);
	snapshot_view(store, "v", "c");
	file_write(store_path(fixture, "snapshots/key-v/fs/f"), "f");
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = ul_snapshot_mount_find(store, "v", &found, &err);
		ul_mem_countdown = -1;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_null(found.type);
	}
	assert_true(n > 2);
	ul_snapshot_mount_release(&found);
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = ul_snapshots_load(store, &list, &err);
		ul_mem_countdown = -1;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
	}
	assert_int_equal(list.len, 3);
	ul_snapshots_release(&list);
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = ul_snapshot_remove(store, "v", &err);
		ul_mem_countdown = -1;
		if (!rc || rc == UL_E_ABSENT)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
	}
	assert_true(n > 5);
	assert_false(snapshot_is_listed(store, "v"));
}

int main(void)
{
#define SNAPSHOT_TEST(name)                                                    \
	cmocka_unit_test_setup_teardown(test_snapshot__##name,                 \
					store_fixture_setup,                   \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		SNAPSHOT_TEST(was_not_committed_where_that_stopped_early),
		SNAPSHOT_TEST(is_committed_where_that_stopped_late),
		SNAPSHOT_TEST(stays_on_record_while_children_need_it),
		SNAPSHOT_TEST(is_prepared_over_what_has_no_record),
		SNAPSHOT_TEST(is_adopted_over_what_has_no_record),
		SNAPSHOT_TEST(survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
