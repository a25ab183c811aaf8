/*
 * An image layout of others as a store: the same safety as the embedded one,
 * and nothing of ours left in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "gc/history.h"
#include "gc/policy.h"
#include "store/embedded/layout.h"
#include "store/embedded/store.h"
#include "tests/lib/content_fixture.h"

enum { DAY_S = 24 * HOUR_S };

static int setup(void **state)
{
	struct store_fixture *fixture;
	int rc = store_fixture_setup(state);

	if (rc)
		return rc;
	fixture = *state;
	store_fixture_layout(fixture);
	store_fixture_reopen(fixture);
	return 0;
}

/* Late enough for everything that was just written to have its grace behind
 * it. */
static int64_t late(void)
{
	return ul_clock_unix_s() + DAY_S + HOUR_S;
}

/* Nothing but what an image layout has. */
static bool is_bare(const struct store_fixture *fixture)
{
	return dir_count(store_path(fixture, "oci")) == 3 &&
	       path_exists(store_path(fixture, "oci/oci-layout")) &&
	       path_exists(store_path(fixture, "oci/index.json")) &&
	       path_exists(store_path(fixture, "oci/blobs"));
}

static uint64_t classes_sum(const struct ul_view *view)
{
	uint64_t sum = view->overhead_bytes;
	size_t i;

	for (i = 0; i < view->graph.node_count; i++)
		sum += view->graph.nodes[i].weight_bytes;
	return sum;
}

/* An image that is called "one". */
static struct content_image one_put(struct store_fixture *fixture)
{
	struct content_image one = image_put(fixture, "one", NULL);

	INDEX_PUT(fixture, { "one", one.manifest.text, NULL });
	return one;
}

/* All names go, with a grace of a day; the number of the run. */
static int64_t all_pruned(struct store_fixture *fixture, int64_t now)
{
	static const struct ul_rule rule = { .all = true };
	const struct content_run how = {
		.now_unix_s = now,
		.grace_s = DAY_S,
		.rule = &rule,
	};
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	int64_t number;

	if (content_collect(fixture, &how, &run, &err))
		fail_msg("%s", err.msg);
	number = run.run;
	ul_run_release(&run);
	return number;
}

static void test_layout__what_is_needed_stays_and_the_rest_goes(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = image_put(fixture, "one", "base");
	struct content_image two = image_put(fixture, "two", "base");
	struct content_digest stray = blob_put(fixture, "stray");
	int64_t now = late();

	INDEX_PUT(fixture, { "one", one.manifest.text, NULL },
		  { NULL, two.manifest.text, NULL });
	content_gc(fixture, now, DAY_S, false);
	assert_false(blob_exists(fixture, stray));
	assert_int_equal(trash_count(fixture), 1);
	assert_true(image_is_whole(fixture, &one));
	assert_true(image_is_whole(fixture, &two));
	content_gc(fixture, now + DAY_S + 1, DAY_S, false);
	assert_true(is_bare(fixture));
	assert_true(image_is_whole(fixture, &one));
	assert_true(image_is_whole(fixture, &two));
}

static void test_layout__what_is_young_stays(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_digest stray = blob_put(fixture, "stray");

	content_gc(fixture, ul_clock_unix_s() + 23 * HOUR_S, DAY_S, false);
	assert_true(blob_exists(fixture, stray));
	assert_true(is_bare(fixture));
}

static void test_layout__the_classes_are_what_du_says(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_view view;
	int i;

	one_put(fixture);
	blob_put(fixture, "stray");
	for (i = 0; i < 2; i++) {
		view = content_scan(fixture, late());
		/* du counts the folder above the layout as well. */
		assert_int_equal(view.record.residual_bytes, 0);
		assert_true(classes_sum(&view) > 0);
		ul_view_release(&view);
		content_gc(fixture, late(), DAY_S, false);
	}
}

static void test_layout__a_grace_of_zero_is_no_leave_to_delete(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_digest stray = blob_put(fixture, "stray");
	struct content_image late_one;
	int64_t now = late();

	content_gc(fixture, now, 0, false);
	assert_false(blob_exists(fixture, stray));
	assert_int_equal(trash_count(fixture), 1);
	/* It becomes needed before the next run, which would delete it. */
	INDEX_PUT(fixture, { "late", stray.text, TYPE_LAYER });
	content_gc(fixture, now + 1, 0, true);
	assert_true(blob_exists(fixture, stray));
	late_one = image_put(fixture, "late", NULL);
	content_gc(fixture, now + DAY_S, 0, true);
	assert_false(image_is_whole(fixture, &late_one));
	assert_true(is_bare(fixture));
}

static void test_layout__entries_without_a_name_are_roots(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = one_put(fixture);
	struct ul_rule rule = { .all = true };
	struct content_run how = { .now_unix_s = late(), .rule = &rule };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	/* It had a name once: elsewhere that would make it dangling. */
	content_gc(fixture, how.now_unix_s, DAY_S, false);
	INDEX_PUT(fixture, { NULL, one.manifest.text, NULL });
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_int_equal(run.removed, 0);
	ul_run_release(&run);
	assert_true(image_is_whole(fixture, &one));
	rule.untagged = true;
	how.now_unix_s += 2 * DAY_S;
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_int_equal(run.removed, 1);
	ul_run_release(&run);
	assert_false(image_is_whole(fixture, &one));
}

static void test_layout__a_prune_can_be_undone(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = one_put(fixture);
	int64_t now = late(), run;
	struct ul_err err = UL_ERR_INIT;
	size_t count = 0;

	run = all_pruned(fixture, now);
	assert_false(image_is_whole(fixture, &one));
	/* Another process, as it were. */
	store_fixture_reopen(fixture);
	assert_int_equal(ul_run_undo(&fixture->store->base, run, &count, &err),
			 0);
	assert_int_equal(count, 4);
	assert_true(image_is_whole(fixture, &one));
	content_gc(fixture, now + 2 * DAY_S, 0, true);
	assert_true(image_is_whole(fixture, &one));
	assert_true(is_bare(fixture));
}

/* Runs are numbered through all stores of a database. */
static void test_layout__a_run_is_undone_where_it_was(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = one_put(fixture);
	ul_cleanup(ul_embedded_closep) struct ul_embedded *other = NULL;
	ul_cleanup(ul_history_release) struct ul_history runs = UL_HISTORY_INIT;
	int64_t run = all_pruned(fixture, late());
	struct ul_err err = UL_ERR_INIT;
	char hint[200];
	size_t count = 0;

	assert_int_equal(mkdir(store_path(fixture, "b"), 0755), 0);
	assert_int_equal(mkdir(store_path(fixture, "b/blobs"), 0755), 0);
	file_write(store_path(fixture, "b/index.json"), "{\"manifests\":[]}");
	assert_int_equal(ul_layout_open(store_path(fixture, "b"),
					fixture->state, &other, &err),
			 0);
	assert_int_equal(ul_history_load(&other->base, 10, &runs, &err), 0);
	assert_int_equal(runs.len, 0);
	assert_int_equal(ul_run_undo(&other->base, run, &count, &err),
			 UL_E_ABSENT);
	snprintf(hint, sizeof hint, "`ullage --store oci:%s undo %d` undoes it",
		 fixture->store->path, (int)run);
	assert_non_null(strstr(err.msg, hint));
	assert_int_equal(ul_run_undo(&fixture->store->base, run, &count, &err),
			 0);
	assert_true(image_is_whole(fixture, &one));
	assert_int_equal(
	    ul_history_load(&fixture->store->base, 10, &runs, &err), 0);
	assert_int_equal(runs.len, 1);
	assert_string_equal(runs.rows[0].state, "undone");
}

/* The trash came with it; what it came from can still be undone. */
static void test_layout__a_copy_undoes_its_own_trash(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = one_put(fixture);
	ul_cleanup(ul_embedded_closep) struct ul_embedded *copy = NULL;
	int64_t run = all_pruned(fixture, late());
	struct ul_err err = UL_ERR_INIT;
	char command[600];
	size_t count = 0;

	snprintf(command, sizeof command, "cp -a %s %s.copy",
		 fixture->store->path, fixture->store->path);
	assert_int_equal(system(command), 0);
	assert_int_equal(ul_layout_open(store_path(fixture, "oci.copy"),
					fixture->state, &copy, &err),
			 0);
	assert_int_equal(ul_run_undo(&copy->base, run, &count, &err), 0);
	assert_int_equal(count, 4);
	assert_int_equal(ul_run_undo(&fixture->store->base, run, &count, &err),
			 0);
	assert_int_equal(count, 4);
	assert_true(image_is_whole(fixture, &one));
}

static void
test_layout__a_prune_that_finds_the_index_locked_leaves_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = one_put(fixture);
	const char *lock = store_path(fixture, "oci/index.json.lock");
	struct ul_rule rule = { .all = true };
	struct content_run how = { .now_unix_s = late(), .rule = &rule };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	ul_cleanup(ul_closep) int fd = -1;

	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_return_code(fd, errno);
	assert_return_code(flock(fd, LOCK_EX | LOCK_NB), errno);
	fixture->store->index_lock.wait_ms = 20;
	assert_int_equal(content_collect(fixture, &how, &run, &err), UL_E_BUSY);
	assert_non_null(strstr(err.msg, fixture->store->path));
	assert_null(strstr(err.msg, "/oci/oci"));
	assert_int_equal(unlink(lock), 0);
	assert_true(is_bare(fixture));
	assert_true(image_is_whole(fixture, &one));
}

static void test_layout__what_is_needed_again_comes_back(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = image_put(fixture, "one", NULL);
	int64_t now = late();

	content_gc(fixture, now, DAY_S, false);
	assert_false(image_is_whole(fixture, &one));
	INDEX_PUT(fixture, { "one", one.manifest.text, NULL });
	/* Not even a run that deletes at once deletes it. */
	content_gc(fixture, now + 2 * DAY_S, 0, true);
	assert_true(image_is_whole(fixture, &one));
	assert_true(is_bare(fixture));
}

static void test_layout__what_is_not_of_a_layout_is_kept_and_named(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_digest stray = blob_put(fixture, "stray");
	static const char *const alien[] = {
		"oci/README",
		"oci/.git",
		"oci/manifest.json",
		"oci/blobs/notes",
		"oci/blobs/sha256/not-a-digest",
		"oci/sub/index.json",
		"oci/sub/blobs/sha256/" HEX_1,
		"oci/blobs/sha256/" HEX_2,
		"oci/link",
	};
	struct ul_view view;
	size_t i, named = 0;

	assert_int_equal(mkdir(store_path(fixture, "oci/sub"), 0755), 0);
	assert_int_equal(mkdir(store_path(fixture, "oci/sub/blobs"), 0755), 0);
	assert_int_equal(
	    mkdir(store_path(fixture, "oci/sub/blobs/sha256"), 0755), 0);
	for (i = 0; i < ul_array_len(alien) - 2; i++)
		file_write(store_path(fixture, "%s", alien[i]), "{}");
	/* A blob that is a symlink is none. */
	assert_int_equal(
	    symlink(blob_path(fixture, stray),
		    store_path(fixture, "oci/blobs/sha256/" HEX_2)),
	    0);
	assert_int_equal(symlink("/", store_path(fixture, "oci/link")), 0);
	view = content_scan(fixture, late());
	for (i = 0; i < view.note_count; i++)
		named += strstr(view.notes[i], "none of ours") != NULL;
	assert_int_equal(named, 8);
	assert_int_equal(view.record.residual_bytes, 0);
	ul_view_release(&view);
	content_gc(fixture, late(), 0, true);
	assert_false(blob_exists(fixture, stray));
	for (i = 0; i < ul_array_len(alien); i++) {
		struct stat st;

		assert_int_equal(
		    lstat(store_path(fixture, "%s", alien[i]), &st), 0);
	}
}

static void gc_refused(struct store_fixture *fixture, const char *why)
{
	struct content_run how = { .now_unix_s = late(), .now = true };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(content_collect(fixture, &how, &run, &err),
			 UL_E_REFUSED);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" says nothing of \"%s\"", err.msg, why);
}

/* Names must not go where content cannot. */
static void test_layout__blobs_on_a_mount_of_their_own_end_it(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = one_put(fixture);
	struct content_digest stray = blob_put(fixture, "stray");
	const char *blobs = store_path(fixture, "oci/blobs");
	struct ul_rule rule = { .all = true };
	struct content_run how = {
		.now_unix_s = late(),
		.now = true,
		.rule = &rule,
	};
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_view view;
	int rc;

	assert_return_code(mount(blobs, blobs, NULL, MS_BIND, NULL), errno);
	store_fixture_reopen(fixture);
	rc = content_collect(fixture, &how, &run, &err);
	view = content_scan(fixture, late());
	ul_embedded_closep(&fixture->store);
	assert_return_code(umount(blobs), errno);
	assert_int_equal(rc, UL_E_REFUSED);
	assert_non_null(strstr(err.msg, "oci/blobs is a mount of its own"));
	assert_int_equal(view.image_count, 1);
	ul_view_release(&view);
	assert_true(image_is_whole(fixture, &one));
	assert_true(blob_exists(fixture, stray));
	store_fixture_reopen(fixture);
	content_gc(fixture, late(), 0, true);
	assert_false(blob_exists(fixture, stray));
	assert_true(image_is_whole(fixture, &one));
}

static void test_layout__a_mount_that_is_not_of_it_is_not_counted(void **state)
{
	struct store_fixture *fixture = *state;
	const char *point = store_path(fixture, "oci/mnt");
	struct ul_view view;
	uint64_t sum;
	bool is_named;

	assert_return_code(mkdir(point, 0755), errno);
	assert_return_code(mount("none", point, "tmpfs", 0, NULL), errno);
	file_write(store_path(fixture, "oci/mnt/x"), "x");
	view = content_scan(fixture, late());
	sum = classes_sum(&view);
	is_named = view.note_count == 1 &&
		   strstr(view.notes[0], "oci/mnt is a mount point");
	assert_return_code(umount(point), errno);
	assert_int_equal(view.record.residual_bytes, 0);
	assert_true(is_named);
	ul_view_release(&view);
	view = content_scan(fixture, late());
	assert_true(classes_sum(&view) > sum);
	ul_view_release(&view);
}

/* Its layers are known to nobody: they must not go. */
static void test_layout__a_needed_manifest_that_is_no_file_ends_it(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = one_put(fixture);
	const char *place = blob_path(fixture, one.manifest);
	const char *outside = store_path(fixture, "outside");

	assert_int_equal(rename(place, outside), 0);
	assert_int_equal(symlink(outside, place), 0);
	gc_refused(fixture, "is a symlink, behind which nothing is looked at");
	/* What it leads to being away for a while makes no difference. */
	assert_int_equal(rename(outside, store_path(fixture, "away")), 0);
	gc_refused(fixture, "put the file itself in its place");
	assert_int_equal(unlink(place), 0);
	assert_int_equal(mkdir(place, 0755), 0);
	gc_refused(fixture, "is no file or folder of a layout");
	assert_int_equal(rmdir(place), 0);
	assert_int_equal(rename(store_path(fixture, "away"), place), 0);
	content_gc(fixture, late(), 0, true);
	assert_true(image_is_whole(fixture, &one));
}

/* A layer refers to nothing. */
static void test_layout__a_layer_behind_a_symlink_is_no_obstacle(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = one_put(fixture);
	struct content_digest stray = blob_put(fixture, "stray");
	const char *place = blob_path(fixture, one.layer);
	const char *outside = store_path(fixture, "outside");

	assert_int_equal(rename(place, outside), 0);
	assert_int_equal(symlink(outside, place), 0);
	content_gc(fixture, late(), 0, true);
	assert_false(blob_exists(fixture, stray));
	assert_true(image_is_whole(fixture, &one));
}

static void test_layout__blobs_behind_a_symlink_are_not_ours(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = one_put(fixture);
	struct content_digest stray = blob_put(fixture, "stray");
	const char *outside = store_path(fixture, "outside");
	struct ul_view view;

	assert_int_equal(rename(store_path(fixture, "oci/blobs"), outside), 0);
	assert_int_equal(symlink(outside, store_path(fixture, "oci/blobs")), 0);
	store_fixture_reopen(fixture);
	/* Nothing says that the image is gone, least of all that its name may
	 * go. */
	view = content_scan(fixture, late());
	assert_non_null(strstr(view.refusal, "blobs is a symlink"));
	assert_int_equal(view.note_count, 2);
	ul_view_release(&view);
	gc_refused(fixture, "blobs is a symlink");
	assert_true(path_exists(
	    store_path(fixture, "outside/sha256/%s", stray.text + 7)));
	assert_true(path_exists(
	    store_path(fixture, "outside/sha256/%s", one.layer.text + 7)));
}

static void test_layout__one_without_blobs_or_marker_is_read(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;
	struct ul_view view;

	/* Caches of older BuildKits. */
	assert_int_equal(unlink(store_path(fixture, "oci/oci-layout")), 0);
	assert_int_equal(rmdir(store_path(fixture, "oci/blobs/sha256")), 0);
	store_fixture_reopen(fixture);
	view = content_scan(fixture, late());
	assert_int_equal(view.image_count, 0);
	assert_null(view.refusal);
	ul_view_release(&view);
	content_gc(fixture, late(), 0, true);
	/* No layout at all. */
	assert_int_equal(unlink(store_path(fixture, "oci/index.json")), 0);
	assert_int_equal(ul_layout_open(store_path(fixture, "oci"),
					fixture->state, &store, &err),
			 UL_E_CORRUPT);
	assert_non_null(strstr(err.msg, "no OCI image layout"));
	assert_int_equal(ul_layout_open(store_path(fixture, "nowhere"),
					fixture->state, &store, &err),
			 UL_E_ABSENT);
	assert_null(store);
}

/* Leases and snapshots of that store hold what lies there. */
static void test_layout__that_of_an_embedded_store_is_refused(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;

	fixture->is_layout = false;
	store_fixture_open(fixture);
	assert_int_equal(ul_layout_open(store_path(fixture, "oci"),
					fixture->state, &store, &err),
			 UL_E_REFUSED);
	assert_non_null(strstr(err.msg, "leases and snapshots"));
	assert_int_equal(unlink(store_path(fixture, "store-id")), 0);
	assert_int_equal(ul_layout_open(store_path(fixture, "oci/../oci"),
					fixture->state, &store, &err),
			 UL_E_REFUSED);
	assert_null(store);
	/* A neighbour of that name alone says nothing. */
	assert_int_equal(rmdir(store_path(fixture, "snapshots")), 0);
	assert_int_equal(ul_layout_open(store_path(fixture, "oci"),
					fixture->state, &store, &err),
			 0);
	ul_embedded_closep(&store);
}

static void test_layout__a_report_makes_no_state_directory(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_view view;
	char path[256];

	one_put(fixture);
	snprintf(path, sizeof path, "%s/none", fixture->top);
	strcpy(fixture->state + strlen(fixture->top), "/none");
	ul_embedded_closep(&fixture->store);
	{
		struct ul_err err = UL_ERR_INIT;
		char layout[256];

		snprintf(layout, sizeof layout, "%s/state/store/oci",
			 fixture->top);
		assert_int_equal(
		    ul_layout_open(layout, path, &fixture->store, &err), 0);
	}
	view = content_scan(fixture, late());
	assert_int_equal(view.image_count, 1);
	assert_null(view.refusal);
	ul_view_release(&view);
	assert_false(path_exists(path));
	/* A change makes it, and what was done stands there. */
	content_gc(fixture, late(), 0, true);
	strcat(path, "/ullage.db");
	assert_true(path_exists(path));
}

static void
test_layout__what_is_known_of_another_directory_says_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = one_put(fixture);
	const char *layout = store_path(fixture, "oci");
	const char *old = store_path(fixture, "old");

	/* Let go of by us: no grace where it turns up again in this one. */
	all_pruned(fixture, late());
	assert_int_equal(rename(layout, old), 0);
	store_fixture_layout(fixture);
	image_put(fixture, "one", NULL);
	store_fixture_reopen(fixture);
	content_gc(fixture, ul_clock_unix_s() + HOUR_S, DAY_S, false);
	assert_true(image_is_whole(fixture, &one));
	assert_true(is_bare(fixture));
}

static void test_layout__a_name_that_vanishes_keeps_its_content(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = one_put(fixture);
	struct ul_view view;
	int64_t now = late();

	content_gc(fixture, now, DAY_S, false);
	INDEX_PUT(fixture, { "two", one.manifest.text, TYPE_LAYER });
	index_put(fixture, NULL, 0);
	view = content_scan(fixture, now + 2 * DAY_S);
	assert_int_equal(view.note_count, 1);
	assert_non_null(strstr(view.notes[0], "name one vanished"));
	ul_view_release(&view);
	content_gc(fixture, now + 2 * DAY_S + HOUR_S, DAY_S, false);
	assert_true(image_is_whole(fixture, &one));
	content_gc(fixture, now + 4 * DAY_S, DAY_S, false);
	assert_false(image_is_whole(fixture, &one));
}

static void test_layout__a_trash_record_that_cannot_be_read_stays(void **state)
{
	struct store_fixture *fixture = *state;
	const char *folder;

	folder = store_path(fixture, "oci/.ullage-trash/01234567-1-89abcdef");
	assert_int_equal(mkdir(store_path(fixture, "oci/.ullage-trash"), 0700),
			 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(
	    mkdir(store_path(fixture, "oci/.ullage-trash/01234567-1-89abcdef/"
				      "record.json"),
		  0700),
	    0);
	content_gc(fixture, late(), 0, true);
	assert_true(path_exists(folder));
	/* One without a record never held anything. */
	assert_int_equal(
	    rmdir(store_path(fixture, "oci/.ullage-trash/01234567-1-89abcdef/"
				      "record.json")),
	    0);
	content_gc(fixture, late(), 0, true);
	assert_true(is_bare(fixture));
}

static void test_layout__fails_whole_without_memory(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = one_put(fixture);
	int64_t now = late();
	long n;

	blob_put(fixture, "stray");
	for (n = 0;; n++) {
		struct content_run how = { .now_unix_s = now, .now = true };
		struct ul_run run = UL_RUN_INIT;
		struct ul_err err = UL_ERR_INIT;
		int rc;

		ul_mem_countdown = n;
		rc = content_collect(fixture, &how, &run, &err);
		ul_mem_countdown = -1;
		assert_true(image_is_whole(fixture, &one));
		if (!rc) {
			ul_run_release(&run);
			break;
		}
		assert_int_equal(rc, UL_E_NOMEM);
	}
	assert_true(n > 10);
	content_gc(fixture, now + 1, 0, true);
	assert_true(is_bare(fixture));
}

int main(void)
{
#define LAYOUT(name)                                                           \
	cmocka_unit_test_setup_teardown(test_layout__##name, setup,            \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		LAYOUT(what_is_needed_stays_and_the_rest_goes),
		LAYOUT(what_is_young_stays),
		LAYOUT(the_classes_are_what_du_says),
		LAYOUT(a_grace_of_zero_is_no_leave_to_delete),
		LAYOUT(entries_without_a_name_are_roots),
		LAYOUT(a_prune_can_be_undone),
		LAYOUT(a_run_is_undone_where_it_was),
		LAYOUT(a_copy_undoes_its_own_trash),
		LAYOUT(a_prune_that_finds_the_index_locked_leaves_nothing),
		LAYOUT(what_is_needed_again_comes_back),
		LAYOUT(what_is_not_of_a_layout_is_kept_and_named),
		LAYOUT(blobs_on_a_mount_of_their_own_end_it),
		LAYOUT(a_mount_that_is_not_of_it_is_not_counted),
		LAYOUT(a_needed_manifest_that_is_no_file_ends_it),
		LAYOUT(a_layer_behind_a_symlink_is_no_obstacle),
		LAYOUT(blobs_behind_a_symlink_are_not_ours),
		LAYOUT(one_without_blobs_or_marker_is_read),
		LAYOUT(that_of_an_embedded_store_is_refused),
		LAYOUT(a_report_makes_no_state_directory),
		LAYOUT(what_is_known_of_another_directory_says_nothing),
		LAYOUT(a_name_that_vanishes_keeps_its_content),
		LAYOUT(a_trash_record_that_cannot_be_read_stays),
		LAYOUT(fails_whole_without_memory),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
