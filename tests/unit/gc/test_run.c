/*
 * How often a run looks at the store, and that what others do between two of
 * its steps is seen nevertheless (I1, I6).
 */
#include "gc/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/store.h"
#include "tests/lib/content_fixture.h"

static struct {
	const struct ul_store_ops *real;
	struct ul_store_ops ops;
	int scans, overheads;
	void (*before_sweep)(void), (*after_sweep)(void);
	struct store_fixture *fixture;
	struct content_digest put; /* by after_sweep() */
} watch;

static int scan_counted(struct ul_store *store,
			const struct ul_scan_options *options,
			struct ul_view *ret_view, struct ul_err *err)
{
	watch.scans++;
	return watch.real->scan(store, options, ret_view, err);
}

static int overhead_counted(struct ul_store *store, uint64_t *ret_bytes,
			    struct ul_err *err)
{
	watch.overheads++;
	return watch.real->overhead(store, ret_bytes, err);
}

static int sweep_watched(struct ul_store *store, const struct ul_view *view,
			 const struct ul_sweep_request *request,
			 struct ul_swept *ret_swept, struct ul_err *err)
{
	int rc;

	if (watch.before_sweep)
		watch.before_sweep();
	rc = watch.real->sweep(store, view, request, ret_swept, err);
	if (watch.after_sweep)
		watch.after_sweep();
	return rc;
}

static int setup(void **state)
{
	struct ul_store *store;

	if (store_fixture_setup(state))
		return -1;
	memset(&watch, 0, sizeof watch);
	watch.fixture = *state;
	store = &store_fixture_open(*state)->base;
	watch.real = store->ops;
	watch.ops = *store->ops;
	watch.ops.scan = scan_counted;
	watch.ops.overhead = overhead_counted;
	watch.ops.sweep = sweep_watched;
	store->ops = &watch.ops;
	return 0;
}

static void collect(const struct ul_rule *rule, struct ul_run *run)
{
	const struct content_run how = {
		.now_unix_s = ul_clock_unix_s() + 2 * HOUR_S,
		.grace_s = HOUR_S,
		.now = true,
		.rule = rule,
	};
	struct ul_err err = UL_ERR_INIT;

	if (content_collect(watch.fixture, &how, run, &err))
		fail_msg("%s", err.msg);
}

static void test_run__a_collection_scans_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_digest stray = blob_put(fixture, "stray");
	struct content_image app = image_put(fixture, "app", NULL);
	uint64_t before = content_du(fixture);
	struct ul_run run = UL_RUN_INIT;

	image_unpack(fixture, &app);
	before = content_du(fixture);
	collect(NULL, &run);
	assert_int_equal(watch.scans, 1);
	assert_int_equal(watch.overheads, 1);
	assert_false(blob_exists(fixture, stray));
	assert_false(layer_exists(fixture, image_top(&app)));
	assert_int_equal(trash_count(fixture), 0);
	assert_int_equal(run.freed_bytes, run.planned_bytes);
	assert_int_equal(run.trashed_bytes, 0);
	assert_int_equal((int64_t)(before - content_du(fixture)),
			 (int64_t)run.freed_bytes - run.overhead_delta_bytes);
	ul_run_release(&run);
}

static void test_run__removing_names_scans_twice(void **state)
{
	static const struct ul_rule all = { .all = true };
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	struct ul_run run = UL_RUN_INIT;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	collect(&all, &run);
	assert_int_equal(watch.scans, 2);
	assert_int_equal(watch.overheads, 1);
	assert_false(blob_exists(fixture, app.layer));
	assert_int_equal(trash_count(fixture), 0);
	assert_int_equal(run.freed_bytes, run.planned_bytes);
	ul_run_release(&run);
}

/* What earlier runs left in the trash goes by the same scan. */
static void test_run__emptying_the_trash_scans_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_digest stray = blob_put(fixture, "stray");
	struct ul_run run = UL_RUN_INIT;

	content_gc(fixture, ul_clock_unix_s() + 2 * HOUR_S, HOUR_S, false);
	assert_false(blob_exists(fixture, stray));
	assert_int_equal(trash_count(fixture), 1);
	watch.scans = 0;
	collect(NULL, &run);
	assert_int_equal(watch.scans, 1);
	assert_int_equal(trash_count(fixture), 0);
	assert_true(run.freed_bytes > 0);
	ul_run_release(&run);
}

/* A record is bounded by what can be read again. */
static void test_run__a_large_sweep_makes_several_folders(void **state)
{
	static const struct ul_rule all = { .all = true };
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", "base");
	struct content_run how = {
		.now_unix_s = ul_clock_unix_s() + 2 * HOUR_S,
		.grace_s = HOUR_S,
		.rule = &all,
	};
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	size_t count;

	image_unpack(fixture, &app);
	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	fixture->store->sweep_most = 2;
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_true(run.plan.collect.len > 4);
	assert_int_equal(trash_count(fixture), run.plan.collect.len);
	assert_int_equal(dir_count(store_path(fixture, "trash")),
			 (run.plan.collect.len + 1) / 2);
	assert_int_equal(run.trashed_bytes, run.planned_bytes);
	if (ul_run_undo(&fixture->store->base, run.run, &count, &err))
		fail_msg("%s", err.msg);
	assert_true(image_is_whole(fixture, &app));
	assert_true(layer_exists(fixture, image_top(&app)));
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
	ul_run_release(&run);
	how.now = true;
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_int_equal(run.freed_bytes, run.planned_bytes);
	assert_false(blob_exists(fixture, app.layer));
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
	ul_run_release(&run);
}

/* What undo has to keep in mind of the names is bounded by the same. */
static void test_run__names_that_refer_to_much_take_folders(void **state)
{
	static const struct ul_rule all = { .all = true };
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", "base");
	struct content_image web = image_put(fixture, "web", "base");
	struct content_image old = image_put(fixture, "old", NULL);
	struct content_run how = {
		.now_unix_s = ul_clock_unix_s() + 2 * HOUR_S,
		.grace_s = HOUR_S,
		.rule = &all,
	};
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	size_t count;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL },
		  { "web", web.manifest.text, NULL },
		  { "old", old.manifest.text, NULL });
	/* An image and its name: four blobs and one, or three and one. */
	fixture->store->keep_most = 5;
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_int_equal(run.removed, 3);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 3);
	assert_false(blob_exists(fixture, old.layer));
	if (ul_run_undo(&fixture->store->base, run.run, &count, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(count, run.plan.collect.len + 3);
	assert_true(image_is_whole(fixture, &app));
	assert_true(image_is_whole(fixture, &web));
	assert_true(image_is_whole(fixture, &old));
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
	ul_run_release(&run);
	content_gc(fixture, how.now_unix_s + 2 * HOUR_S, 0, true);
	assert_true(image_is_whole(fixture, &web));
}

/* The thing of this inode, wherever it lies in the trash. */
static void trash_lose(const struct store_fixture *fixture, ino_t inode)
{
	const char *path = store_path(fixture, "trash/*/*");
	glob_t found;
	size_t i, count = 0;
	struct stat st;

	assert_int_equal(glob(path, GLOB_NOSORT, NULL, &found), 0);
	for (i = 0; i < found.gl_pathc; i++) {
		assert_int_equal(lstat(found.gl_pathv[i], &st), 0);
		if (st.st_ino != inode)
			continue;
		assert_int_equal(unlink(found.gl_pathv[i]), 0);
		count++;
	}
	globfree(&found);
	assert_int_equal(count, 1);
}

/* Names of one folder do not wait for what those of another have lost. */
static void test_run__undo_brings_back_names_beside_lost_ones(void **state)
{
	static const struct ul_rule all = { .all = true };
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", "base");
	struct content_image web = image_put(fixture, "web", "base");
	struct content_image old = image_put(fixture, "old", NULL);
	struct content_run how = {
		.now_unix_s = ul_clock_unix_s() + 2 * HOUR_S,
		.grace_s = HOUR_S,
		.rule = &all,
	};
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct stat lost;
	size_t count;

	/* The things of a run lie with the last of its names. */
	INDEX_PUT(fixture, { "app", app.manifest.text, NULL },
		  { "web", web.manifest.text, NULL },
		  { "old", old.manifest.text, NULL });
	fixture->store->keep_most = 5;
	assert_int_equal(stat(blob_path(fixture, old.layer), &lost), 0);
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 3);
	trash_lose(fixture, lost.st_ino);
	assert_int_equal(
	    ul_run_undo(&fixture->store->base, run.run, &count, &err),
	    UL_E_CONFLICT);
	assert_non_null(strstr(err.msg, "some names are not"));
	ul_run_release(&run);
	/* What has its name again stays, what has none goes. */
	content_gc(fixture, how.now_unix_s + 4 * HOUR_S, 0, true);
	assert_true(image_is_whole(fixture, &app));
	assert_true(image_is_whole(fixture, &web));
	assert_false(blob_exists(fixture, old.manifest));
}

static void test_run__undo_without_memory_never_says_it_is_done(void **state)
{
	static const struct ul_rule all = { .all = true };
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", "base");
	const struct content_run how = {
		.now_unix_s = ul_clock_unix_s() + 2 * HOUR_S,
		.grace_s = HOUR_S,
		.rule = &all,
	};
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	size_t count;
	int rc;
	long n;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	/* The last thing that fails may come after all that there was to do. */
	for (n = 0, rc = UL_E_NOMEM; rc && rc != UL_E_ABSENT; n++) {
		err = UL_ERR_INIT;
		ul_mem_countdown = n;
		rc = ul_run_undo(&fixture->store->base, run.run, &count, &err);
		ul_mem_countdown = -1;
		if (rc && rc != UL_E_NOMEM && rc != UL_E_ABSENT)
			fail_msg("%ld: %s", n, err.msg);
	}
	ul_run_release(&run);
	content_gc(fixture, how.now_unix_s + 4 * HOUR_S, 0, true);
	assert_true(image_is_whole(fixture, &app));
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
}

static void test_run__a_name_too_large_to_undo_stays(void **state)
{
	static const struct ul_rule all = { .all = true };
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	struct content_image web = image_put(fixture, "web", "base");
	const struct content_run how = {
		.now_unix_s = ul_clock_unix_s() + 2 * HOUR_S,
		.grace_s = HOUR_S,
		.rule = &all,
	};
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL },
		  { "web", web.manifest.text, NULL });
	fixture->store->keep_most = 4;
	assert_int_equal(content_collect(fixture, &how, &run, &err),
			 UL_E_LIMIT);
	assert_non_null(strstr(err.msg, "web refers to more than 3 blobs"));
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
	content_gc(fixture, how.now_unix_s, 0, true);
	assert_true(image_is_whole(fixture, &app));
	assert_true(image_is_whole(fixture, &web));
}

static struct content_image coming;

static void name_comes(void)
{
	INDEX_PUT(watch.fixture, { "app", coming.manifest.text, NULL });
}

static void
test_run__a_name_before_the_deletion_brings_content_back(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_digest stray = blob_put(fixture, "stray");
	struct ul_run run = UL_RUN_INIT;

	coming = image_put(fixture, "app", "base");
	watch.after_sweep = name_comes;
	collect(NULL, &run);
	assert_true(watch.scans > 1);
	assert_true(image_is_whole(fixture, &coming));
	assert_false(blob_exists(fixture, stray));
	assert_int_equal(trash_count(fixture), 0);
	ul_run_release(&run);
}

static void test_run__what_came_back_is_not_in_the_trash(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_run how = {
		.now_unix_s = ul_clock_unix_s() + 4 * HOUR_S,
		.grace_s = HOUR_S,
	};
	struct content_digest due = blob_put(fixture, "due"), stray;
	struct ul_err err = UL_ERR_INIT;
	struct ul_run run = UL_RUN_INIT;
	struct stat st;

	content_gc(fixture, how.now_unix_s - 2 * HOUR_S, HOUR_S, false);
	assert_int_equal(trash_count(fixture), 1);
	assert_false(blob_exists(fixture, due));
	coming = image_put(fixture, "app", "base");
	stray = blob_put(fixture, "stray");
	assert_int_equal(stat(store_path(fixture, "oci/blobs/sha256/%s",
					 stray.text + strlen("sha256:")),
			      &st),
			 0);
	watch.after_sweep = name_comes;
	if (content_collect(fixture, &how, &run, &err))
		fail_msg("%s", err.msg);
	assert_true(image_is_whole(fixture, &coming));
	assert_false(blob_exists(fixture, stray));
	assert_int_equal(run.trashed_bytes, st.st_blocks * 512);
	ul_run_release(&run);
}

/* No entry of the index, and yet a reference: of a referrer of one. */
static void referrer_comes(void)
{
	watch.put =
	    blob_put(watch.fixture,
		     "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_MANIFEST "\","
		     "\"config\":{\"mediaType\":\"application/"
		     "vnd.oci.empty.v1+json\",\"digest\":\"%s\",\"size\":2},"
		     "\"layers\":[{\"mediaType\":\"application/x\",\"digest\":"
		     "\"%s\",\"size\":9}],"
		     "\"subject\":{\"mediaType\":\"" TYPE_MANIFEST
		     "\",\"digest\":\"%s\",\"size\":3}}",
		     watch.put.text, watch.put.text, coming.manifest.text);
}

static void
test_run__a_referrer_before_the_deletion_brings_content_back(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_digest payload = blob_put(fixture, "signature");
	struct content_digest stray = blob_put(fixture, "stray");
	struct ul_run run = UL_RUN_INIT;

	coming = image_put(fixture, "app", NULL);
	INDEX_PUT(fixture, { "app", coming.manifest.text, NULL });
	watch.put = payload;
	watch.after_sweep = referrer_comes;
	collect(NULL, &run);
	assert_true(watch.scans > 1);
	assert_true(blob_exists(fixture, payload));
	assert_true(blob_exists(fixture, watch.put));
	assert_false(blob_exists(fixture, stray));
	ul_run_release(&run);
}

/* The folder, moved out of the store, with a symlink in its place. */
static void lead_away(const char *folder, const char *outside)
{
	assert_int_equal(rename(folder, outside), 0);
	assert_int_equal(symlink(outside, folder), 0);
}

static void blobs_lead_away(void)
{
	lead_away(store_path(watch.fixture, "oci/blobs/sha256"),
		  store_path(watch.fixture, "../outside"));
}

static void trash_leads_away(void)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(
	    ul_dir_names(watch.fixture->store->trash_fd, &names, &err), 0);
	assert_int_equal(names.len, 1);
	lead_away(store_path(watch.fixture, "trash/%s", names.names[0]),
		  store_path(watch.fixture, "../outside"));
}

static int collect_now(struct store_fixture *fixture, struct ul_run *run)
{
	const struct content_run how = {
		.now_unix_s = ul_clock_unix_s() + 2 * HOUR_S,
		.grace_s = HOUR_S,
		.now = true,
	};
	struct ul_err err = UL_ERR_INIT;

	return content_collect(fixture, &how, run, &err);
}

static void test_run__no_symlink_leads_the_sweep_out(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_digest stray = blob_put(fixture, "stray");
	struct ul_run run = UL_RUN_INIT;

	watch.before_sweep = blobs_lead_away;
	assert_int_equal(collect_now(fixture, &run), UL_E_IO);
	assert_true(path_exists(store_path(fixture, "../outside/%s",
					   stray.text + strlen("sha256:"))));
}

static void test_run__no_symlink_leads_the_deletion_out(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_run run = UL_RUN_INIT;

	blob_put(fixture, "stray");
	watch.after_sweep = trash_leads_away;
	assert_int_equal(collect_now(fixture, &run), UL_E_IO);
	assert_true(path_exists(store_path(fixture, "../outside/0")));
}

int main(void)
{
#define RUN(name)                                                              \
	cmocka_unit_test_setup_teardown(test_run__##name, setup,               \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		RUN(a_collection_scans_once),
		RUN(removing_names_scans_twice),
		RUN(emptying_the_trash_scans_once),
		RUN(a_large_sweep_makes_several_folders),
		RUN(names_that_refer_to_much_take_folders),
		RUN(undo_brings_back_names_beside_lost_ones),
		RUN(undo_without_memory_never_says_it_is_done),
		RUN(a_name_too_large_to_undo_stays),
		RUN(a_name_before_the_deletion_brings_content_back),
		RUN(what_came_back_is_not_in_the_trash),
		RUN(no_symlink_leads_the_sweep_out),
		RUN(no_symlink_leads_the_deletion_out),
		RUN(a_referrer_before_the_deletion_brings_content_back),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
