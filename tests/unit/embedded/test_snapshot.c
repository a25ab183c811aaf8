#include "store/embedded/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "store/embedded/lease.h"
#include "store/graph/graph.h"
#include "store/limits.h"
#include "tests/unit/embedded/snapshot_fixture.h"

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_snapshot__is_an_active_folder_with_its_record(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;
	const struct ul_snapshot *found;
	struct ul_snapshots list;

	assert_int_equal(ul_snapshot_prepare(store, "a/b", "", false,
					     "{\"k\": \"v\"}", &err),
			 0);
	list = snapshots_load(store);
	assert_int_equal(list.len, 1);
	found = ul_snapshots_find(&list, "a/b");
	assert_ptr_equal(found, &list.snapshots[0]);
	assert_null(ul_snapshots_find(&list, "a"));
	assert_string_equal(found->parent, "");
	assert_string_equal(found->labels, "{\"k\":\"v\"}");
	assert_int_equal(found->kind, UL_SNAPSHOT_ACTIVE);
	assert_false(found->is_unpacked);
	assert_true(found->created_unix_s > 1700000000);
	ul_snapshots_release(&list);
	assert_int_equal(mode_of(store_path(fixture, "snapshots/key-a%%2Fb")),
			 0700);
	assert_int_equal(
	    mode_of(store_path(fixture, "snapshots/key-a%%2Fb/fs")), 0755);
	assert_int_equal(
	    mode_of(store_path(fixture, "snapshots/key-a%%2Fb/work")), 0700);
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
}

static void test_snapshot__has_no_work_folder_where_it_is_a_view(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_snapshots list;

	store_fixture_layer(fixture, CHAIN_1, "");
	snapshot_view(store, "v", CHAIN_1);
	assert_int_equal(dir_count(store_path(fixture, "snapshots/key-v")), 1);
	assert_int_equal(dir_count(store_path(fixture, "snapshots/key-v/fs")),
			 0);
	list = snapshots_load(store);
	assert_int_equal(ul_snapshots_find(&list, "v")->kind, UL_SNAPSHOT_VIEW);
	assert_string_equal(ul_snapshots_find(&list, "v")->parent, CHAIN_1);
	ul_snapshots_release(&list);
}

static void test_snapshot__takes_owner_and_mode_of_its_parent(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	mode_t mask = umask(077);
	struct stat st;

	snapshot_prepare(store, "a", "");
	assert_int_equal(mode_of(store_path(fixture, "snapshots/key-a/fs")),
			 0755);
	assert_int_equal(chown(store_path(fixture, "snapshots/key-a/fs"), 7, 8),
			 0);
	assert_int_equal(
	    chmod(store_path(fixture, "snapshots/key-a/fs"), 03775), 0);
	snapshot_commit(store, "c", "a");
	snapshot_prepare(store, "b", "c");
	umask(mask);
	assert_int_equal(lstat(store_path(fixture, "snapshots/key-b/fs"), &st),
			 0);
	assert_int_equal(st.st_mode & 07777, 03775);
	assert_int_equal(st.st_uid, 7);
	assert_int_equal(st.st_gid, 8);
}

static void
test_snapshot__cannot_be_prepared_where_it_makes_no_sense(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;
	char key[UL_KEY_MAX_BYTES + 2];

	store_fixture_layer(fixture, CHAIN_1, "");
	snapshot_prepare(store, "a", CHAIN_1);
	assert_int_equal(ul_snapshot_prepare(store, "a", "", true, NULL, &err),
			 UL_E_CONFLICT);
	assert_string_equal(err.msg, "preparing snapshot \"a\": there is a "
				     "snapshot \"a\" already (active)");
	/* Chain IDs are of the same name space. */
	assert_int_equal(
	    ul_snapshot_prepare(store, CHAIN_1, "", false, NULL, &err),
	    UL_E_CONFLICT);
	assert_int_equal(
	    ul_snapshot_prepare(store, "b", CHAIN_2, false, NULL, &err),
	    UL_E_ABSENT);
	assert_non_null(strstr(err.msg, "no snapshot \"" CHAIN_2 "\""));
	assert_int_equal(
	    ul_snapshot_prepare(store, "b", "a", false, NULL, &err),
	    UL_E_INVALID);
	assert_string_equal(err.msg, "preparing snapshot \"b\": the parent "
				     "\"a\" is not committed (active)");
	assert_int_equal(ul_snapshot_prepare(store, "", "", false, NULL, &err),
			 UL_E_INVALID);
	assert_int_equal(
	    ul_snapshot_prepare(store, "a\nb", "", false, NULL, &err),
	    UL_E_INVALID);
	memset(key, 'k', sizeof key);
	key[UL_KEY_MAX_BYTES + 1] = '\0';
	assert_int_equal(ul_snapshot_prepare(store, key, "", false, NULL, &err),
			 UL_E_INVALID);
	assert_int_equal(
	    ul_snapshot_prepare(store, "b", key, false, NULL, &err),
	    UL_E_INVALID);
	assert_int_equal(ul_snapshot_prepare(store, "b", "", false, "[]", &err),
			 UL_E_INVALID);
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 2);
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
	key[UL_KEY_MAX_BYTES] = '\0';
	snapshot_prepare(store, key, "");
}

static void test_snapshot__is_committed_under_its_name(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;
	struct ul_snapshots list;
	const struct ul_snapshot *found;

	store_fixture_layer(fixture, CHAIN_1, "");
	assert_int_equal(ul_snapshot_prepare(store, "a", CHAIN_1, false,
					     "{\"old\":\"1\"}", &err),
			 0);
	file_write(store_path(fixture, "snapshots/key-a/fs/new"), "new");
	assert_int_equal(
	    ul_snapshot_commit(store, "c", "a", "{\"new\":\"2\"}", &err), 0);
	list = snapshots_load(store);
	assert_null(ul_snapshots_find(&list, "a"));
	found = ul_snapshots_find(&list, "c");
	assert_int_equal(found->kind, UL_SNAPSHOT_COMMITTED);
	assert_false(found->is_unpacked);
	assert_string_equal(found->parent, CHAIN_1);
	assert_string_equal(found->labels, "{\"new\":\"2\"}");
	ul_snapshots_release(&list);
	assert_false(path_exists(store_path(fixture, "snapshots/key-a")));
	file_expect(store_path(fixture, "snapshots/key-c/fs/new"), "new");
	snapshot_prepare(store, "a", "c");
}

static void
test_snapshot__cannot_be_committed_where_it_makes_no_sense(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;

	store_fixture_layer(fixture, CHAIN_1, "");
	snapshot_prepare(store, "a", "");
	snapshot_view(store, "v", CHAIN_1);
	assert_int_equal(ul_snapshot_commit(store, "c", "x", NULL, &err),
			 UL_E_ABSENT);
	assert_string_equal(err.msg,
			    "committing snapshot \"x\": no snapshot \"x\"");
	assert_int_equal(ul_snapshot_commit(store, "c", "v", NULL, &err),
			 UL_E_INVALID);
	assert_string_equal(err.msg, "committing snapshot \"v\": it is not "
				     "active but view");
	assert_int_equal(ul_snapshot_commit(store, CHAIN_1, "a", NULL, &err),
			 UL_E_CONFLICT);
	assert_int_equal(ul_snapshot_commit(store, "a", "a", NULL, &err),
			 UL_E_CONFLICT);
	assert_int_equal(ul_snapshot_commit(store, "", "a", NULL, &err),
			 UL_E_INVALID);
	assert_int_equal(ul_snapshot_commit(store, "c", "a", "1", &err),
			 UL_E_INVALID);
	assert_true(snapshot_is_listed(store, "a"));
	assert_true(path_exists(store_path(fixture, "snapshots/key-a/fs")));
	snapshot_commit(store, "c", "a");
	assert_int_equal(ul_snapshot_commit(store, "d", "c", NULL, &err),
			 UL_E_INVALID);
}

static void test_snapshot__takes_its_leases_along(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;
	struct ul_leases leases = UL_LEASES_INIT;

	snapshot_prepare(store, "a", "");
	assert_int_equal(
	    ul_lease_create(store, &(struct ul_lease){ .id = "l" }, &err), 0);
	assert_int_equal(
	    ul_lease_create(store, &(struct ul_lease){ .id = "m" }, &err), 0);
	assert_int_equal(ul_lease_add(store, "l", UL_KIND_SNAPSHOT, "a", &err),
			 0);
	assert_int_equal(ul_lease_add(store, "l", UL_KIND_SNAPSHOT, "c", &err),
			 0);
	assert_int_equal(ul_lease_add(store, "l", UL_KIND_IMAGE, "a", &err), 0);
	assert_int_equal(ul_lease_add(store, "m", UL_KIND_SNAPSHOT, "a", &err),
			 0);
	snapshot_commit(store, "c", "a");
	assert_int_equal(ul_leases_load(store, &leases, &err), 0);
	assert_int_equal(leases.leases[0].resource_count, 2);
	assert_int_equal(leases.leases[0].resources[0].kind, UL_KIND_IMAGE);
	assert_string_equal(leases.leases[0].resources[0].key, "a");
	assert_string_equal(leases.leases[0].resources[1].key, "c");
	assert_int_equal(leases.leases[1].resource_count, 1);
	assert_string_equal(leases.leases[1].resources[0].key, "c");
	ul_leases_release(&leases);
}

static void test_snapshot__goes_with_its_folder(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;

	store_fixture_layer(fixture, CHAIN_1, "");
	snapshot_prepare(store, "a", CHAIN_1);
	file_write(store_path(fixture, "snapshots/key-a/fs/f"), "f");
	snapshot_commit(store, "c", "a");
	snapshot_view(store, "v", "c");
	assert_int_equal(ul_snapshot_remove(store, "c", &err), UL_E_REFUSED);
	assert_string_equal(err.msg, "removing snapshot \"c\": snapshot \"c\" "
				     "is the parent of \"v\"");
	assert_int_equal(ul_snapshot_remove(store, "v", &err), 0);
	assert_int_equal(ul_snapshot_remove(store, "c", &err), 0);
	assert_int_equal(ul_snapshot_remove(store, "c", &err), UL_E_ABSENT);
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 1);
	assert_int_equal(ul_snapshot_remove(store, CHAIN_1, &err), 0);
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 0);
	assert_false(snapshot_is_listed(store, CHAIN_1));
}

static void test_snapshot__is_adopted_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;
	struct ul_snapshots list;

	store_fixture_layer(fixture, CHAIN_1, "");
	store_fixture_layer(fixture, CHAIN_2, CHAIN_1);
	list = snapshots_load(store);
	assert_int_equal(list.len, 2);
	assert_true(list.snapshots[1].is_unpacked);
	assert_string_equal(list.snapshots[1].parent, CHAIN_1);
	assert_int_equal(list.snapshots[1].kind, UL_SNAPSHOT_COMMITTED);
	ul_snapshots_release(&list);
	file_expect(store_path(fixture, "snapshots/layer-%s/fs/f-1111", HEX_1),
		    CHAIN_1);
	assert_int_equal(mkdir(store_path(fixture, "ingest/again"), 0700), 0);
	assert_int_equal(snapshot_adopt(store, "again", CHAIN_1, "", &err), 1);
	assert_true(path_exists(store_path(fixture, "ingest/again")));
	assert_int_equal(snapshot_adopt(store, "again", "app", "", &err),
			 UL_E_CORRUPT);
	/* A user's snapshot of that name wins too. */
	snapshot_prepare(store, "a", CHAIN_2);
	snapshot_commit(store, CHAIN_3, "a");
	assert_int_equal(snapshot_adopt(store, "again", CHAIN_3, CHAIN_2, &err),
			 1);
	assert_int_equal(
	    snapshot_adopt(store, "missing",
			   "sha256:44444444444444444444444444444444"
			   "44444444444444444444444444444444",
			   "", &err),
	    UL_E_IO);
}

static void test_snapshot__layers_are_adopted_all_or_none(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;
	struct ul_new_layer layers[] = {
		{ "one", CHAIN_1, "", false },
		{ "two", CHAIN_2, CHAIN_1, false },
		{ "three", CHAIN_3, CHAIN_2, false },
	};
	int64_t generation = store->generation;

	assert_int_equal(mkdir(store_path(fixture, "ingest/one"), 0700), 0);
	assert_int_equal(mkdir(store_path(fixture, "ingest/two"), 0700), 0);
	assert_int_equal(ul_snapshot_adopt_layers(store, layers, 3, &err),
			 UL_E_IO);
	assert_non_null(strstr(err.msg, CHAIN_3));
	assert_false(snapshot_is_listed(store, CHAIN_1));
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 0);
	assert_int_equal(store->generation, generation);

	store_fixture_layer(fixture, CHAIN_2, CHAIN_1);
	generation = store->generation;
	assert_int_equal(mkdir(store_path(fixture, "ingest/one"), 0700), 0);
	assert_int_equal(mkdir(store_path(fixture, "ingest/two"), 0700), 0);
	assert_int_equal(mkdir(store_path(fixture, "ingest/three"), 0700), 0);
	assert_int_equal(ul_snapshot_adopt_layers(store, layers, 3, &err), 0);
	assert_false(layers[0].was_there);
	assert_true(layers[1].was_there);
	assert_false(layers[2].was_there);
	assert_true(snapshot_is_listed(store, CHAIN_1));
	assert_true(snapshot_is_listed(store, CHAIN_3));
	assert_true(path_exists(store_path(fixture, "ingest/two")));
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 3);
	/* One change, whatever their number. */
	assert_int_equal(store->generation, generation + 1);
}

static void test_snapshot__names_its_kinds(void **state)
{
	(void)state;
	assert_string_equal(ul_snapshot_kind_name(UL_SNAPSHOT_ACTIVE),
			    "active");
	assert_string_equal(ul_snapshot_kind_name(UL_SNAPSHOT_VIEW), "view");
	assert_string_equal(ul_snapshot_kind_name(UL_SNAPSHOT_COMMITTED),
			    "committed");
}

int main(void)
{
#define SNAPSHOT_TEST(name)                                                    \
	cmocka_unit_test_setup_teardown(test_snapshot__##name,                 \
					store_fixture_setup,                   \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		SNAPSHOT_TEST(is_an_active_folder_with_its_record),
		SNAPSHOT_TEST(has_no_work_folder_where_it_is_a_view),
		SNAPSHOT_TEST(takes_owner_and_mode_of_its_parent),
		SNAPSHOT_TEST(cannot_be_prepared_where_it_makes_no_sense),
		SNAPSHOT_TEST(is_committed_under_its_name),
		SNAPSHOT_TEST(cannot_be_committed_where_it_makes_no_sense),
		SNAPSHOT_TEST(takes_its_leases_along),
		SNAPSHOT_TEST(goes_with_its_folder),
		SNAPSHOT_TEST(is_adopted_once),
		SNAPSHOT_TEST(layers_are_adopted_all_or_none),
		SNAPSHOT_TEST(names_its_kinds),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
