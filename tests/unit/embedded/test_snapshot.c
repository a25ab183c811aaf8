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
#include "store/db/db.h"
#include "store/embedded/lease.h"
#include "store/embedded/snapshot_record.h"
#include "store/graph/graph.h"
#include "store/limits.h"
#include "tests/lib/store_fixture.h"

static void prepare(struct ul_embedded *store, const char *key,
		    const char *parent)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_snapshot_prepare(store, key, parent, false, NULL, &err))
		fail_msg("%s", err.msg);
}

static void view(struct ul_embedded *store, const char *key, const char *parent)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_snapshot_prepare(store, key, parent, true, NULL, &err))
		fail_msg("%s", err.msg);
}

static void commit(struct ul_embedded *store, const char *name, const char *key)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_snapshot_commit(store, name, key, NULL, &err))
		fail_msg("%s", err.msg);
}

static struct ul_snapshots load(struct ul_embedded *store)
{
	struct ul_snapshots list = UL_SNAPSHOTS_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_snapshots_load(store, &list, &err))
		fail_msg("%s", err.msg);
	return list;
}

static bool is_listed(struct ul_embedded *store, const char *key)
{
	struct ul_snapshots list = load(store);
	bool found = ul_snapshots_find(&list, key);

	ul_snapshots_release(&list);
	return found;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static struct ul_snapshot_mount mount_of(struct ul_embedded *store,
					 const char *key)
{
	struct ul_snapshot_mount found = UL_SNAPSHOT_MOUNT_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_snapshot_mount_find(store, key, &found, &err))
		fail_msg("%s", err.msg);
	return found;
}

/* "TYPE SOURCE OPTIONS", to be freed. */
static char *mounts_of(struct ul_embedded *store, const char *key)
{
	struct ul_snapshot_mount found = mount_of(store, key);
	char *text =
	    ul_asprintf("%s %s %s", found.type, found.source, found.options);

	assert_non_null(text);
	assert_null(found.directory);
	ul_snapshot_mount_release(&found);
	return text;
}

static void bind_it(const struct ul_snapshot_mount *found, const char *point)
{
	const unsigned long read_only = MS_REMOUNT | MS_BIND | MS_RDONLY;

	assert_string_equal(found->type, "bind");
	assert_int_equal(
	    mount(found->source, point, NULL, MS_BIND | MS_REC, NULL), 0);
	if (!strncmp(found->options, "ro,", 3))
		assert_int_equal(mount(NULL, point, NULL, read_only, NULL), 0);
}

/* mount(2) with what was found. */
static void mount_it(struct ul_embedded *store, const char *key,
		     const char *point)
{
	struct ul_snapshot_mount found = mount_of(store, key);
	char here[4096];

	assert_non_null(getcwd(here, sizeof here));
	if (found.directory)
		assert_int_equal(chdir(found.directory), 0);
	if (strcmp(found.type, "overlay") != 0)
		bind_it(&found, point);
	else if (mount(found.source, point, "overlay", 0, found.options))
		fail_msg("mount %s", found.options);
	assert_int_equal(chdir(here), 0);
	ul_snapshot_mount_release(&found);
}

static char *point_make(struct store_fixture *fixture)
{
	static char point[128];

	snprintf(point, sizeof point, "%s/mnt", fixture->top);
	mkdir(point, 0755);
	return point;
}

static const char *below(const char *point, const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof paths[0], "%s/%s", point, name);
	return path;
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
	list = load(store);
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
	view(store, "v", CHAIN_1);
	assert_int_equal(dir_count(store_path(fixture, "snapshots/key-v")), 1);
	assert_int_equal(dir_count(store_path(fixture, "snapshots/key-v/fs")),
			 0);
	list = load(store);
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

	prepare(store, "a", "");
	assert_int_equal(mode_of(store_path(fixture, "snapshots/key-a/fs")),
			 0755);
	assert_int_equal(chown(store_path(fixture, "snapshots/key-a/fs"), 7, 8),
			 0);
	assert_int_equal(
	    chmod(store_path(fixture, "snapshots/key-a/fs"), 03775), 0);
	commit(store, "c", "a");
	prepare(store, "b", "c");
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
	prepare(store, "a", CHAIN_1);
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
	prepare(store, key, "");
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
	list = load(store);
	assert_null(ul_snapshots_find(&list, "a"));
	found = ul_snapshots_find(&list, "c");
	assert_int_equal(found->kind, UL_SNAPSHOT_COMMITTED);
	assert_false(found->is_unpacked);
	assert_string_equal(found->parent, CHAIN_1);
	assert_string_equal(found->labels, "{\"new\":\"2\"}");
	ul_snapshots_release(&list);
	assert_false(path_exists(store_path(fixture, "snapshots/key-a")));
	file_expect(store_path(fixture, "snapshots/key-c/fs/new"), "new");
	prepare(store, "a", "c");
}

static void
test_snapshot__cannot_be_committed_where_it_makes_no_sense(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;

	store_fixture_layer(fixture, CHAIN_1, "");
	prepare(store, "a", "");
	view(store, "v", CHAIN_1);
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
	assert_true(is_listed(store, "a"));
	assert_true(path_exists(store_path(fixture, "snapshots/key-a/fs")));
	commit(store, "c", "a");
	assert_int_equal(ul_snapshot_commit(store, "d", "c", NULL, &err),
			 UL_E_INVALID);
}

static void test_snapshot__takes_its_leases_along(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;
	struct ul_leases leases = UL_LEASES_INIT;

	prepare(store, "a", "");
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
	commit(store, "c", "a");
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
	prepare(store, "a", CHAIN_1);
	file_write(store_path(fixture, "snapshots/key-a/fs/f"), "f");
	commit(store, "c", "a");
	view(store, "v", "c");
	assert_int_equal(ul_snapshot_remove(store, "c", &err), UL_E_REFUSED);
	assert_string_equal(err.msg, "removing snapshot \"c\": snapshot \"c\" "
				     "is the parent of \"v\"");
	assert_int_equal(ul_snapshot_remove(store, "v", &err), 0);
	assert_int_equal(ul_snapshot_remove(store, "c", &err), 0);
	assert_int_equal(ul_snapshot_remove(store, "c", &err), UL_E_ABSENT);
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 1);
	assert_int_equal(ul_snapshot_remove(store, CHAIN_1, &err), 0);
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 0);
	assert_false(is_listed(store, CHAIN_1));
}

static void test_snapshot__is_adopted_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;
	struct ul_snapshots list;

	store_fixture_layer(fixture, CHAIN_1, "");
	store_fixture_layer(fixture, CHAIN_2, CHAIN_1);
	list = load(store);
	assert_int_equal(list.len, 2);
	assert_true(list.snapshots[1].is_unpacked);
	assert_string_equal(list.snapshots[1].parent, CHAIN_1);
	assert_int_equal(list.snapshots[1].kind, UL_SNAPSHOT_COMMITTED);
	ul_snapshots_release(&list);
	file_expect(store_path(fixture, "snapshots/layer-%s/fs/f-1111", HEX_1),
		    CHAIN_1);
	assert_int_equal(mkdir(store_path(fixture, "ingest/again"), 0700), 0);
	assert_int_equal(
	    ul_snapshot_adopt_layer(store, "again", CHAIN_1, "", &err), 1);
	assert_true(path_exists(store_path(fixture, "ingest/again")));
	assert_int_equal(
	    ul_snapshot_adopt_layer(store, "again", "app", "", &err),
	    UL_E_CORRUPT);
	/* A user's snapshot of that name wins too. */
	prepare(store, "a", CHAIN_2);
	commit(store, CHAIN_3, "a");
	assert_int_equal(
	    ul_snapshot_adopt_layer(store, "again", CHAIN_3, CHAIN_2, &err), 1);
	assert_int_equal(
	    ul_snapshot_adopt_layer(store, "missing",
				    "sha256:44444444444444444444444444444444"
				    "44444444444444444444444444444444",
				    "", &err),
	    UL_E_IO);
}

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
	assert_int_equal(ul_snapshot_adopt_layer(store, "b", CHAIN_1, "", &err),
			 0);
	file_expect(store_path(fixture, "snapshots/layer-%s/fs/f-1111", HEX_1),
		    CHAIN_1);
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
	prepare(store, "base", "");
	prepare(store, "a", CHAIN_2);
	prepare(store, "one", CHAIN_1);
	view(store, "v", CHAIN_2);
	view(store, "v1", CHAIN_1);
	view(store, "v0", "");

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
	const char *point = point_make(fixture);
	struct ul_err err = UL_ERR_INIT;

	store_fixture_layer(fixture, CHAIN_1, "");
	store_fixture_layer(fixture, CHAIN_2, CHAIN_1);
	prepare(store, "a", CHAIN_2);
	mount_it(store, "a", point);
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
	assert_false(is_listed(store, "c"));
	assert_int_equal(ul_snapshot_remove(store, "a", &err), UL_E_REFUSED);
	assert_string_equal(
	    err.msg, "removing snapshot \"a\": snapshot \"a\" is mounted");
	assert_true(is_listed(store, "a"));
	assert_int_equal(umount(point), 0);

	commit(store, "c", "a");
	file_expect(store_path(fixture, "snapshots/layer-%s/fs/f-1111", HEX_1),
		    CHAIN_1);
	view(store, "v", "c");
	mount_it(store, "v", point);
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
	const char *point = point_make(fixture);
	struct ul_err err = UL_ERR_INIT;

	prepare(store, "a", "");
	mount_it(store, "a", point);
	file_write(below(point, "f"), "f");
	assert_int_equal(ul_snapshot_commit(store, "c", "a", NULL, &err),
			 UL_E_REFUSED);
	assert_int_equal(umount(point), 0);
	commit(store, "c", "a");
	view(store, "v", "c");
	mount_it(store, "v", point);
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
	const char *point = point_make(fixture);
	struct ul_embedded *store;
	struct ul_err err = UL_ERR_INIT;

	strcat(fixture->state, "a:b,c\\d");
	store = store_fixture_locked(fixture);
	store_fixture_layer(fixture, CHAIN_1, "");
	store_fixture_layer(fixture, CHAIN_2, CHAIN_1);
	prepare(store, "x:y,z", CHAIN_2);
	mount_it(store, "x:y,z", point);
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

/* Both records beside the one folder: a commit that was stopped. */
static void stop_commit(struct store_fixture *fixture, bool is_renamed)
{
	struct ul_embedded *store = store_fixture_locked(fixture);
	const struct ul_snapshot_record name = {
		.kind = UL_SNAPSHOT_COMMITTED,
	};
	struct ul_err err = UL_ERR_INIT;

	prepare(store, "a", "");
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
	assert_true(is_listed(store, "a"));
	assert_true(is_listed(store, "c"));
	prepare(store, "b", "");
	assert_true(is_listed(store, "a"));
	assert_false(is_listed(store, "c"));
	commit(store, "c", "a");
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
	assert_false(is_listed(store, "a"));
	file_expect(store_path(fixture, "snapshots/key-c/fs/f"), "f");
	prepare(store, "a", "c");
	assert_int_equal(ul_snapshot_remove(store, "c", &err), UL_E_REFUSED);
}

static void test_snapshot__stays_on_record_while_children_need_it(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;

	prepare(store, "a", "");
	commit(store, "c", "a");
	prepare(store, "b", "c");
	assert_int_equal(rename(store_path(fixture, "snapshots/key-c"),
				store_path(fixture, "ingest/lost")),
			 0);
	assert_int_equal(
	    ul_snapshot_prepare(store, "d", "c", false, NULL, &err),
	    UL_E_ABSENT);
	assert_non_null(strstr(err.msg, "/snapshots/key-c/fs is gone"));
	assert_true(is_listed(store, "c"));
	assert_true(is_listed(store, "b"));
}

static void test_snapshot__is_prepared_over_what_has_no_record(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);

	assert_int_equal(mkdir(store_path(fixture, "snapshots/key-a"), 0700),
			 0);
	file_write(store_path(fixture, "snapshots/key-a/left"), "left");
	prepare(store, "a", "");
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
	struct ul_snapshots list = load(fixture->store);
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

	prepare(store, "a", "");
	file_write(store_path(fixture, "snapshots/key-a/fs/f"), "f");
	for (n = 0, failures = 0;; n++, failures++) {
		ul_mem_countdown = n;
		rc = ul_snapshot_prepare(store, "n", "", false, "{}", &err);
		ul_mem_countdown = -1;
		expect_whole(fixture);
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_false(is_listed(store, "n"));
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
		assert_true(is_listed(store, "a"));
	}
	assert_true(n > 5);
	view(store, "v", "c");
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
	assert_false(is_listed(store, "v"));
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
		SNAPSHOT_TEST(is_adopted_over_what_has_no_record),
		SNAPSHOT_TEST(says_how_to_mount_it),
		SNAPSHOT_TEST(stops_where_a_chain_has_no_end),
		SNAPSHOT_TEST(is_mounted_written_and_committed),
		SNAPSHOT_TEST(keeps_what_a_view_is_bound_to),
		SNAPSHOT_TEST(is_mounted_below_strange_paths),
		SNAPSHOT_TEST(was_not_committed_where_that_stopped_early),
		SNAPSHOT_TEST(is_committed_where_that_stopped_late),
		SNAPSHOT_TEST(stays_on_record_while_children_need_it),
		SNAPSHOT_TEST(is_prepared_over_what_has_no_record),
		SNAPSHOT_TEST(survives_every_allocation_failure),
		SNAPSHOT_TEST(names_its_kinds),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
