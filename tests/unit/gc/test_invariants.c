/*
 * gc/INVARIANTS.md on a real store. Each test is a ctest of its own,
 * "invariant/I1_...": the program runs the one it is given, or all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/stmt.h"
#include "store/embedded/lease.h"
#include "store/embedded/snapshot.h"
#include "store/embedded/store.h"
#include "tests/lib/content_fixture.h"

static int setup(void **state)
{
	int rc = store_fixture_setup(state);

	if (rc)
		return rc;
	store_fixture_open(*state)->patience.limit_ms = 0;
	return 0;
}

static void reopen(struct store_fixture *fixture)
{
	store_fixture_open(fixture)->patience.limit_ms = 0;
}

static void set_mtime(const char *path, int64_t unix_s)
{
	const struct timespec times[] = { { .tv_sec = unix_s },
					  { .tv_sec = unix_s } };

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void note_scan(struct store_fixture *fixture, int64_t now_unix_s)
{
	struct ul_view view = content_scan(fixture, now_unix_s);

	ul_view_release(&view);
}

static void test_I1__what_a_root_reaches_stays(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image one = image_put(fixture, "one", "base");
	struct content_image two = image_put(fixture, "two", "base");
	struct content_digest stray = blob_put(fixture, "stray");

	image_unpack(fixture, &one);
	INDEX_PUT(fixture, { "one", one.manifest.text, NULL },
		  { NULL, two.manifest.text, NULL });
	content_gc(fixture, now, 0, true);
	assert_true(image_is_whole(fixture, &one));
	assert_true(image_is_whole(fixture, &two));
	assert_true(layer_exists(fixture, image_top(&one)));
	assert_true(layer_exists(fixture, one.shared_diff_id));
	assert_false(blob_exists(fixture, stray));
}

static void test_I1__what_is_needed_again_comes_back_even_with_now(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s();
	struct content_image app = image_put(fixture, "app", "base");
	struct content_digest inner =
	    blob_put(fixture,
		     "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_INDEX
		     "\",\"manifests\":[{\"mediaType\":\"" TYPE_MANIFEST
		     "\",\"digest\":\"%s\",\"size\":1}]}",
		     app.manifest.text);
	struct content_digest outer =
	    blob_put(fixture,
		     "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_INDEX
		     "\",\"manifests\":[{\"mediaType\":\"" TYPE_INDEX
		     "\",\"digest\":\"%s\",\"size\":1}]}",
		     inner.text);

	image_unpack(fixture, &app);
	INDEX_PUT(fixture, { "app", outer.text, TYPE_INDEX });
	note_scan(fixture, now);
	index_put(fixture, NULL, 0);
	note_scan(fixture, now + 60);
	content_gc(fixture, now + 2 * HOUR_S, HOUR_S, false);
	assert_int_equal(trash_count(fixture), 8);
	/* The record of what they were goes too. */
	note_scan(fixture, now + 2 * HOUR_S + 60);

	INDEX_PUT(fixture, { "app", outer.text, TYPE_INDEX });
	content_gc(fixture, now + 2 * HOUR_S + 120, 0, true);
	assert_true(blob_exists(fixture, outer));
	assert_true(blob_exists(fixture, inner));
	assert_true(image_is_whole(fixture, &app));
	assert_true(layer_exists(fixture, image_top(&app)));
	assert_true(layer_exists(fixture, app.shared_diff_id));
	assert_int_equal(trash_count(fixture), 0);
}

static void
test_I1__a_manifest_of_another_algorithm_keeps_its_blobs(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image app = image_put(fixture, "app", NULL);
	char text[4096] = "", other[UL_DIGEST_TEXT_MAX];
	struct ul_digest digest;
	FILE *file = fopen(blob_path(fixture, app.manifest), "r");
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	ul_digest_of(UL_DIGEST_SHA512, text, len, &digest);
	ul_digest_format(&digest, other);
	assert_int_equal(mkdir(store_path(fixture, "oci/blobs/sha512"), 0755),
			 0);
	file_write(store_path(fixture, "oci/blobs/sha512/%s", other + 7), text);
	assert_int_equal(unlink(blob_path(fixture, app.manifest)), 0);
	INDEX_PUT(fixture, { "app", other, NULL });
	content_gc(fixture, now, 0, true);
	assert_true(blob_exists(fixture, app.config));
	assert_true(blob_exists(fixture, app.layer));
	assert_true(
	    path_exists(store_path(fixture, "oci/blobs/sha512/%s", other + 7)));
}

static const struct ul_plan_item *declined(const struct ul_plan *plan,
					   const char *key)
{
	size_t i;

	for (i = 0; i < plan->declined.len; i++) {
		if (!strcmp(plan->declined.items[i].key, key))
			return &plan->declined.items[i];
	}
	fail_msg("%s is not declined", key);
	return NULL;
}

static void test_I2__what_is_new_stays_for_the_grace_period(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_digest stray = blob_put(fixture, "stray");
	struct content_run how = { .grace_s = HOUR_S };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct stat st;

	assert_int_equal(stat(blob_path(fixture, stray), &st), 0);
	how.now_unix_s = st.st_ctim.tv_sec + HOUR_S;
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_true(run.is_left);
	assert_true(blob_exists(fixture, stray));
	assert_int_equal(declined(&run.plan, stray.text)->not_before_unix_s,
			 how.now_unix_s + 1);
	ul_run_release(&run);
	content_gc(fixture, how.now_unix_s + 1, HOUR_S, false);
	assert_false(blob_exists(fixture, stray));
	assert_int_equal(trash_count(fixture), 1);
}

static void test_I2__a_name_that_vanishes_keeps_its_content(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s();
	struct content_image app = image_put(fixture, "app", NULL);

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	note_scan(fixture, now);
	index_put(fixture, NULL, 0);
	note_scan(fixture, now + 10 * HOUR_S);
	content_gc(fixture, now + 11 * HOUR_S, HOUR_S, true);
	assert_true(image_is_whole(fixture, &app));
	content_gc(fixture, now + 11 * HOUR_S + 1, HOUR_S, true);
	assert_false(blob_exists(fixture, app.layer));
	assert_false(blob_exists(fixture, app.manifest));
}

static void test_I2__what_a_young_thing_refers_to_stays(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s();
	struct content_image app = image_put(fixture, "app", NULL);

	set_mtime(blob_path(fixture, app.manifest), now + 2 * HOUR_S);
	content_gc(fixture, now + 2 * HOUR_S + 60, HOUR_S, true);
	assert_true(image_is_whole(fixture, &app));
	content_gc(fixture, now + 3 * HOUR_S + 60, HOUR_S, true);
	assert_false(blob_exists(fixture, app.layer));
}

/* What we let go of has no grace; what somebody writes again has. */
static void test_I2__what_is_written_anew_is_new(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 10;
	struct content_image app = image_put(fixture, "app", NULL);
	ul_cleanup(ul_names_release) struct ul_names entries = UL_NAMES_INIT;
	struct ul_store *store = &fixture->store->base;
	struct ul_err err = UL_ERR_INIT;
	struct ul_view view;
	uint32_t name;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	view = content_scan(fixture, now);
	name = ul_record_find(&view.record, UL_KIND_IMAGE, "", "", "app");
	assert_int_equal(ul_embedded_lock(fixture->store, &err), 0);
	assert_int_equal(store->ops->remove_roots(store, &view, &name, 1, NULL,
						  &entries, &err),
			 0);
	ul_embedded_unlock(fixture->store);
	ul_view_release(&view);
	/* Another program puts one of the blobs again, in its own way. */
	assert_int_equal(rename(blob_path(fixture, app.layer),
				store_path(fixture, "../old")),
			 0);
	tree_copy(store_path(fixture, "../old"), blob_path(fixture, app.layer));
	content_gc(fixture, now + 60, HOUR_S, true);
	assert_false(blob_exists(fixture, app.config));
	assert_true(blob_exists(fixture, app.layer));
}

static void test_I2__a_clock_set_back_makes_nothing_older(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 10 * HOUR_S;
	struct content_image app = image_put(fixture, "app", NULL);

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	note_scan(fixture, now);
	index_put(fixture, NULL, 0);
	note_scan(fixture, now - 9 * HOUR_S);
	content_gc(fixture, now + 60, HOUR_S, true);
	assert_true(image_is_whole(fixture, &app));
}

/*
 * A store where a run has all to do: names to remove, layers to sweep, trash
 * to put back and trash to empty.
 */
struct busy {
	struct content_image keep, back, go;
	int64_t now_unix_s;
};

static struct busy busy_make(struct store_fixture *fixture)
{
	struct busy busy;

	busy.now_unix_s = ul_clock_unix_s();
	busy.keep = image_put(fixture, "keep", "base");
	busy.back = image_put(fixture, "back", "other");
	busy.go = image_put(fixture, "go", "base");
	image_unpack(fixture, &busy.keep);
	image_unpack(fixture, &busy.back);
	INDEX_PUT(fixture, { "keep", busy.keep.manifest.text, NULL },
		  { "back", busy.back.manifest.text, NULL });
	note_scan(fixture, busy.now_unix_s);
	INDEX_PUT(fixture, { "keep", busy.keep.manifest.text, NULL });
	note_scan(fixture, busy.now_unix_s + 60);
	blob_put(fixture, "stray");
	busy.now_unix_s += 2 * HOUR_S;
	content_gc(fixture, busy.now_unix_s, HOUR_S, false);
	assert_int_equal(trash_count(fixture), 10);
	INDEX_PUT(fixture, { "keep", busy.keep.manifest.text, NULL },
		  { "go", busy.go.manifest.text, NULL },
		  { "back", busy.back.manifest.text, NULL });
	return busy;
}

static int busy_run(struct store_fixture *fixture, const struct busy *busy,
		    struct ul_err *err)
{
	static const char *const patterns[] = { "go" };
	static const struct ul_rule rule = { .patterns = patterns,
					     .pattern_count = 1 };
	const struct content_run how = {
		.now_unix_s = busy->now_unix_s + 60,
		.now = true,
		.rule = &rule,
	};
	struct ul_run run = UL_RUN_INIT;
	int rc = content_collect(fixture, &how, &run, err);

	ul_run_release(&run);
	return rc;
}

/* Nothing that was reachable is lost, and collecting again comes to an end. */
static void busy_expect(struct store_fixture *fixture, const struct busy *busy)
{
	reopen(fixture);
	content_gc(fixture, busy->now_unix_s + 120, 0, true);
	assert_true(image_is_whole(fixture, &busy->keep));
	assert_true(image_is_whole(fixture, &busy->back));
	assert_true(layer_exists(fixture, image_top(&busy->keep)));
	assert_true(layer_exists(fixture, busy->keep.shared_diff_id));
	assert_true(layer_exists(fixture, image_top(&busy->back)));
	assert_true(layer_exists(fixture, busy->back.shared_diff_id));
	assert_int_equal(trash_count(fixture), 0);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
}

static void test_I3__killed_at_any_time_nothing_is_lost(void **state)
{
	struct store_fixture *fixture = *state;
	struct busy busy;
	unsigned delay_us;
	char copy[128];
	int killed = 0;

	busy = busy_make(fixture);
	ul_embedded_closep(&fixture->store);
	snprintf(copy, sizeof copy, "%s/copy", fixture->top);
	tree_copy(fixture->state, copy);
	for (delay_us = 0; delay_us < 60000; delay_us += 2100) {
		char command[600];
		int status;
		pid_t pid;

		snprintf(command, sizeof command, "rm -rf %s && cp -a %s %s",
			 fixture->state, copy, fixture->state);
		ul_embedded_closep(&fixture->store);
		assert_int_equal(system(command), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			struct ul_err err = UL_ERR_INIT;

			reopen(fixture);
			_exit(busy_run(fixture, &busy, &err) ? 1 : 0);
		}
		usleep(delay_us);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		killed += WIFSIGNALED(status);
		assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		busy_expect(fixture, &busy);
	}
	assert_true(killed > 0);
}

static void test_I3__without_memory_at_any_point_nothing_is_lost(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_err err = UL_ERR_INIT;
	char copy[128], command[600];
	struct busy busy;
	long n;
	int rc;

	busy = busy_make(fixture);
	ul_embedded_closep(&fixture->store);
	snprintf(copy, sizeof copy, "%s/copy", fixture->top);
	tree_copy(fixture->state, copy);
	for (n = 0, rc = UL_E_NOMEM; rc; n += n / 16 + 1) {
		snprintf(command, sizeof command, "rm -rf %s && cp -a %s %s",
			 fixture->state, copy, fixture->state);
		ul_embedded_closep(&fixture->store);
		assert_int_equal(system(command), 0);
		reopen(fixture);
		ul_mem_countdown = n;
		rc = busy_run(fixture, &busy, &err);
		ul_mem_countdown = -1;
		if (rc)
			assert_int_equal(rc, UL_E_NOMEM);
		busy_expect(fixture, &busy);
	}
	assert_true(n > 100);
}

static void test_I3__what_a_stop_leaves_half_written_goes(void **state)
{
	static const char *const left[] = {
		"oci/.index.json.0123456789abcdef.tmp",
		"oci/.oci-layout.0123456789abcdef.tmp",
		".store-id.0123456789abcdef.tmp",
		"trash/89abcdef-7-0123abcd/.record.json.0123456789abcdef.tmp",
	};
	static const char *const theirs[] = {
		"oci/.index.json.swp",
		"oci/.oci-layout.tmp",
		"oci/.index.json.0123456789abcdef.tmp.bak",
		"trash/89abcdef-7-0123abce.old",
	};
	struct store_fixture *fixture = *state;
	size_t i;

	assert_int_equal(
	    mkdir(store_path(fixture, "trash/89abcdef-7-0123abcd"), 0700), 0);
	for (i = 0; i < ul_array_len(left); i++) {
		file_write(store_path(fixture, "%s", left[i]), "{\"ver");
		file_write(store_path(fixture, "%s", theirs[i]), "theirs");
	}
	blob_put(fixture, "stray");
	content_gc(fixture, ul_clock_unix_s() + 2 * HOUR_S, 0, true);
	for (i = 0; i < ul_array_len(left); i++) {
		assert_false(path_exists(store_path(fixture, "%s", left[i])));
		file_expect(store_path(fixture, "%s", theirs[i]), "theirs");
	}
	assert_int_equal(dir_count(store_path(fixture, "trash")), 1);
}

static struct ul_view plan_scan(struct store_fixture *fixture, int64_t now)
{
	const struct ul_scan_options options = {
		.as_of_unix_s = now,
		.for_plan = true,
	};
	struct ul_view view = UL_VIEW_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (fixture->store->base.ops->scan(&fixture->store->base, &options,
					   &view, &err))
		fail_msg("%s", err.msg);
	return view;
}

static void plans_expect_equal(const struct ul_plan *a, const struct ul_plan *b)
{
	size_t i;

	assert_string_equal(a->fingerprint, b->fingerprint);
	assert_int_equal(a->freed_bytes, b->freed_bytes);
	assert_int_equal(a->now_bytes, b->now_bytes);
	assert_int_equal(a->collect.len, b->collect.len);
	assert_int_equal(a->declined.len, b->declined.len);
	for (i = 0; i < a->declined.len; i++) {
		assert_string_equal(a->declined.items[i].key,
				    b->declined.items[i].key);
		assert_string_equal(a->declined.items[i].reason,
				    b->declined.items[i].reason);
	}
}

/* A dry run, and what it says as a value. */
struct dry {
	struct ul_view view;
	struct ul_plan plan;
};

static struct dry dry_run(struct store_fixture *fixture,
			  const struct content_run *how)
{
	const struct ul_plan_request request = {
		.rule = how->rule,
		.grace_s = how->grace_s,
		.now = how->now,
	};
	struct dry dry = { plan_scan(fixture, how->now_unix_s), UL_PLAN_INIT };
	struct ul_err err = UL_ERR_INIT;

	if (ul_plan_build(&dry.view, &request, &dry.plan, &err))
		fail_msg("%s", err.msg);
	return dry;
}

static void dry_release(struct dry *dry)
{
	ul_plan_release(&dry->plan);
	ul_view_release(&dry->view);
}

static void mount_layer(struct store_fixture *fixture,
			struct content_digest chain)
{
	char options[600];

	assert_int_equal(mkdir(store_path(fixture, "../upper"), 0755), 0);
	assert_int_equal(mkdir(store_path(fixture, "../work"), 0755), 0);
	assert_int_equal(mkdir(store_path(fixture, "../merged"), 0755), 0);
	/* overlayfs on overlayfs is refused: upper and work in memory. */
	assert_int_equal(
	    mount("none", store_path(fixture, "../upper"), "tmpfs", 0, NULL),
	    0);
	assert_int_equal(mkdir(store_path(fixture, "../upper/u"), 0755), 0);
	assert_int_equal(mkdir(store_path(fixture, "../upper/w"), 0755), 0);
	snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s",
		 store_path(fixture, "snapshots/layer-%s/fs", chain.text + 7),
		 store_path(fixture, "../upper/u"),
		 store_path(fixture, "../upper/w"));
	assert_int_equal(mount("overlay", store_path(fixture, "../merged"),
			       "overlay", 0, options),
			 0);
}

static void unmount_layer(struct store_fixture *fixture)
{
	assert_int_equal(umount(store_path(fixture, "../merged")), 0);
	assert_int_equal(umount(store_path(fixture, "../upper")), 0);
}

static void test_I4__a_dry_run_says_what_a_real_one_does(void **state)
{
	static const struct ul_rule rule = { .all = true };
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image one = image_put(fixture, "one", "base");
	struct content_image two = image_put(fixture, "two", "base");
	const struct content_run how = { .now_unix_s = now,
					 .grace_s = HOUR_S,
					 .rule = &rule };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	uint64_t collected = 0;
	struct dry dry;
	size_t i;

	image_unpack(fixture, &one);
	image_unpack(fixture, &two);
	INDEX_PUT(fixture, { "one", one.manifest.text, NULL },
		  { "two", two.manifest.text, NULL });
	blob_put(fixture, "stray");
	set_mtime(blob_path(fixture, blob_put(fixture, "young")), now - 60);
	mount_layer(fixture, image_top(&two));
	dry = dry_run(fixture, &how);
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	unmount_layer(fixture);
	plans_expect_equal(&dry.plan, &run.plan);
	assert_int_equal(run.planned_bytes, dry.plan.freed_bytes);
	assert_int_equal(run.planned_bytes,
			 run.freed_bytes + run.trashed_bytes);
	assert_int_equal(run.removed, 2);
	assert_int_equal(trash_count(fixture), run.plan.collect.len);
	for (i = 0; i < run.plan.collect.len; i++)
		collected += run.plan.collect.items[i].allocated_bytes;
	assert_int_equal(collected, run.planned_bytes);
	ul_run_release(&run);
	dry_release(&dry);
}

static void test_I4__a_saved_plan_is_carried_out_exactly(void **state)
{
	static const struct ul_rule rule = { .all = true };
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image one = image_put(fixture, "one", NULL);
	struct content_digest due = blob_put(fixture, "soon due"), later;
	struct content_run how = { .now_unix_s = now + 60,
				   .grace_s = HOUR_S,
				   .rule = &rule };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct dry dry;

	INDEX_PUT(fixture, { "one", one.manifest.text, NULL });
	content_gc(fixture, now, HOUR_S, false);
	assert_false(blob_exists(fixture, due));
	dry = dry_run(fixture, &how);
	assert_int_equal(dry.plan.collect.len, 3);
	/* Since then something else may go, and trash has become due. */
	later = blob_put(fixture, "not in the plan");
	how.now_unix_s = now + 2 * HOUR_S;
	how.rule = NULL;
	how.saved = &dry.plan;
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_string_equal(run.plan.fingerprint, dry.plan.fingerprint);
	assert_true(blob_exists(fixture, later));
	assert_false(blob_exists(fixture, one.layer));
	assert_int_equal(trash_count(fixture), 4);
	ul_run_release(&run);
	dry_release(&dry);
}

static void saved_refused(struct store_fixture *fixture, const struct dry *dry,
			  int64_t now, const char *why)
{
	const struct content_run how = { .now_unix_s = now,
					 .grace_s = HOUR_S,
					 .saved = &dry->plan };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(content_collect(fixture, &how, &run, &err),
			 UL_E_CONFLICT);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
	assert_int_equal(trash_count(fixture), 0);
}

static void lease_put(struct store_fixture *fixture, const char *id,
		      uint8_t kind, const char *key)
{
	const struct ul_lease lease = { .id = id };
	struct ul_err err = UL_ERR_INIT;

	if (ul_embedded_lock(fixture->store, &err) ||
	    ul_lease_create(fixture->store, &lease, &err) ||
	    ul_lease_add(fixture->store, id, kind, key, &err))
		fail_msg("%s", err.msg);
	ul_embedded_unlock(fixture->store);
}

static void lease_drop(struct store_fixture *fixture, const char *id)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_embedded_lock(fixture->store, &err) ||
	    ul_lease_delete(fixture->store, id, &err))
		fail_msg("%s", err.msg);
	ul_embedded_unlock(fixture->store);
}

static void test_I4__a_saved_plan_that_no_longer_fits_is_refused(void **state)
{
	static const struct ul_rule rule = { .all = true };
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image one = image_put(fixture, "one", NULL);
	struct content_image two;
	const struct content_run how = { .now_unix_s = now,
					 .grace_s = HOUR_S,
					 .rule = &rule };
	char away[1100];
	struct dry dry;

	INDEX_PUT(fixture, { "one", one.manifest.text, NULL });
	dry = dry_run(fixture, &how);
	two = image_put(fixture, "two", NULL);

	INDEX_PUT(fixture, { "one", two.manifest.text, NULL });
	saved_refused(fixture, &dry, now, "one stands for sha256:");
	index_put(fixture, NULL, 0);
	saved_refused(fixture, &dry, now, "one is gone");
	INDEX_PUT(fixture, { "one", one.manifest.text, NULL },
		  { "other", one.manifest.text, NULL });
	saved_refused(fixture, &dry, now, "is needed again, or gone");
	INDEX_PUT(fixture, { "one", one.manifest.text, NULL });
	lease_put(fixture, "l", UL_KIND_BLOB, one.layer.text);
	saved_refused(fixture, &dry, now, "is needed again, or gone");
	lease_drop(fixture, "l");

	snprintf(away, sizeof away, "%s", store_path(fixture, "../away"));
	assert_int_equal(rename(blob_path(fixture, one.layer), away), 0);
	saved_refused(fixture, &dry, now, "is needed again, or gone");
	assert_int_equal(rename(away, blob_path(fixture, one.layer)), 0);
	assert_int_equal(truncate(blob_path(fixture, one.layer), 50000), 0);
	file_write(blob_path(fixture, one.layer), "shorter");
	saved_refused(fixture, &dry, now, "bytes now, not");
	assert_true(image_is_whole(fixture, &one));
	dry_release(&dry);
}

static void test_I5__freed_bytes_are_what_du_says(void **state)
{
	static const struct ul_rule rule = { .all = true };
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image one = image_put(fixture, "one", "base");
	struct content_image two = image_put(fixture, "two", NULL);
	struct content_run how = { .now_unix_s = now, .rule = &rule };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	uint64_t before, after;

	image_unpack(fixture, &one);
	image_unpack(fixture, &two);
	/* Links between a layer and another, a blob, and the outside. */
	assert_int_equal(
	    link(store_path(fixture, "snapshots/layer-%s/fs/f-%.4s",
			    image_top(&one).text + 7, image_top(&one).text + 7),
		 store_path(fixture, "snapshots/layer-%s/fs/other",
			    image_top(&two).text + 7)),
	    0);
	assert_int_equal(link(blob_path(fixture, one.layer),
			      store_path(fixture, "snapshots/layer-%s/fs/blob",
					 image_top(&two).text + 7)),
			 0);
	assert_int_equal(link(blob_path(fixture, one.shared),
			      store_path(fixture, "../outside")),
			 0);
	INDEX_PUT(fixture, { "one", one.manifest.text, NULL },
		  { "two", two.manifest.text, NULL });
	note_scan(fixture, now);
	before = content_du(fixture);
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	after = content_du(fixture);
	assert_int_equal(trash_count(fixture), 0);
	assert_int_equal(run.freed_bytes, run.planned_bytes);
	assert_int_equal(run.trashed_bytes, 0);
	assert_int_equal((int64_t)(before - after),
			 (int64_t)run.freed_bytes - run.overhead_delta_bytes);
	assert_true(run.freed_bytes > 10000);
	ul_run_release(&run);
}

static void test_I5__trashed_bytes_come_back_when_they_are_due(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image one = image_put(fixture, "one", "base");
	struct content_run how = { .now_unix_s = now, .grace_s = HOUR_S };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	uint64_t moved, before, after;

	assert_int_equal(link(blob_path(fixture, one.layer),
			      store_path(fixture, "../outside")),
			 0);
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_int_equal(run.freed_bytes, 0);
	assert_int_equal(run.trashed_bytes, run.planned_bytes);
	assert_int_equal(trash_count(fixture), 4);
	moved = run.trashed_bytes;
	ul_run_release(&run);

	how.now_unix_s = now + HOUR_S - 1;
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_int_equal(run.plan.collect.len, 0);
	ul_run_release(&run);
	how.now_unix_s = now + HOUR_S;
	before = content_du(fixture);
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	after = content_du(fixture);
	assert_int_equal(run.freed_bytes, moved);
	assert_int_equal((int64_t)(before - after),
			 (int64_t)moved - run.overhead_delta_bytes);
	ul_run_release(&run);
	assert_int_equal(trash_count(fixture), 0);
}

/* DESIGN 9: it still reports and frees when the disk is full. */
static void test_I5__a_full_disk_is_reported_and_freed(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	char fill[128], bytes[1 << 16];
	struct content_digest stray;
	struct ul_view view;
	int fd;

	ul_embedded_closep(&fixture->store);
	assert_int_equal(mount("none", fixture->state, "tmpfs", 0, "size=160m"),
			 0);
	reopen(fixture);
	stray = blob_put(fixture, "stray");
	content_gc(fixture, ul_clock_unix_s() + 1, HOUR_S, false);
	ul_embedded_closep(&fixture->store);
	snprintf(fill, sizeof fill, "%s/fill", fixture->state);
	fd = open(fill, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	memset(bytes, 'x', sizeof bytes);
	while (write(fd, bytes, sizeof bytes) > 0)
		continue;
	close(fd);

	reopen(fixture);
	view = content_scan(fixture, now);
	assert_int_equal(view.available_bytes, 0);
	assert_int_equal(view.file_count, 1);
	ul_view_release(&view);
	content_gc(fixture, now, 0, true);
	assert_false(blob_exists(fixture, stray));
	assert_int_equal(trash_count(fixture), 0);
	ul_embedded_closep(&fixture->store);
	assert_int_equal(umount(fixture->state), 0);
}

/* Another program that writes the index while the person thinks. */
struct intruder {
	struct store_fixture *fixture;
	const char *name, *digest;
};

static int intrude(void *arg, const struct ul_plan *plan)
{
	struct intruder *intruder = arg;

	assert_true(plan->collect.len > 0);
	INDEX_PUT(intruder->fixture,
		  { intruder->name, intruder->digest, NULL });
	return 0;
}

static void test_I6__a_name_after_the_plan_ends_a_prune(void **state)
{
	static const struct ul_rule rule = { .all = true };
	struct store_fixture *fixture = *state;
	struct content_image one = image_put(fixture, "one", NULL);
	struct intruder intruder = { fixture, "new", one.manifest.text };
	const struct content_run how = {
		.now_unix_s = ul_clock_unix_s() + 2 * HOUR_S,
		.now = true,
		.rule = &rule,
		.confirm = intrude,
		.arg = &intruder,
	};
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	INDEX_PUT(fixture, { "one", one.manifest.text, NULL });
	assert_int_equal(content_collect(fixture, &how, &run, &err),
			 UL_E_CONFLICT);
	assert_true(image_is_whole(fixture, &one));
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
}

static void
test_I6__a_name_after_the_plan_keeps_what_gc_would_take(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image one = image_put(fixture, "one", NULL);
	struct content_digest stray = blob_put(fixture, "stray");
	struct intruder intruder = { fixture, "new", one.manifest.text };
	const struct content_run how = {
		.now_unix_s = ul_clock_unix_s() + 2 * HOUR_S,
		.now = true,
		.confirm = intrude,
		.arg = &intruder,
	};
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_true(run.is_left);
	ul_run_release(&run);
	assert_true(image_is_whole(fixture, &one));
	assert_false(blob_exists(fixture, stray));
}

static void refused(struct store_fixture *fixture, int64_t now, const char *why)
{
	static const struct ul_rule rule = { .all = true };
	struct content_run how = { .now_unix_s = now, .now = true };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(content_collect(fixture, &how, &run, &err),
			 UL_E_REFUSED);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
	how.rule = &rule;
	assert_int_equal(content_collect(fixture, &how, &run, &err),
			 UL_E_REFUSED);
}

static void test_I7__a_damaged_index_collects_nothing(void **state)
{
	static const struct {
		const char *text, *why;
	} damages[] = {
		{ "", "index.json" },
		{ "{\"schemaVersion\":2,\"manif", "index.json" },
		{ "manifests", "index.json" },
		{ "[]", "index.json" },
		{ "{\"schemaVersion\":2}", "index.json" },
		{ "{\"schemaVersion\":2,\"manifests\":[{}]}", "index.json" },
		{ "{\"manifests\":[{\"mediaType\":\"" TYPE_MANIFEST
		  "\",\"size\":1,\"digest\":\"sha256:12\"}]}",
		  "index.json" },
	};
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image one = image_put(fixture, "one", NULL);
	struct content_digest stray = blob_put(fixture, "stray");
	size_t i;

	INDEX_PUT(fixture, { "one", one.manifest.text, NULL });
	note_scan(fixture, now);
	for (i = 0; i < ul_array_len(damages); i++) {
		struct ul_view view;

		file_write(store_path(fixture, "oci/index.json"),
			   damages[i].text);
		refused(fixture, now, damages[i].why);
		/* Reports show the images of the last good reading. */
		view = content_scan(fixture, now);
		assert_int_equal(view.image_count, 1);
		assert_true(object_of(&view, UL_KIND_BLOB, one.layer.text)
				->is_reachable);
		ul_view_release(&view);
	}
	assert_int_equal(unlink(store_path(fixture, "oci/index.json")), 0);
	refused(fixture, now, "index.json is missing");
	assert_true(image_is_whole(fixture, &one));
	assert_true(blob_exists(fixture, stray));
	INDEX_PUT(fixture, { "one", one.manifest.text, NULL });
	content_gc(fixture, now, 0, true);
	assert_true(image_is_whole(fixture, &one));
	assert_false(blob_exists(fixture, stray));
}

static void test_I7__a_damaged_manifest_collects_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image one = image_put(fixture, "one", NULL);
	struct content_digest stray = blob_put(fixture, "stray");
	struct content_digest nonsense = blob_put(fixture, "nonsense");
	char good[4096] = "";
	FILE *file = fopen(blob_path(fixture, one.manifest), "r");

	assert_non_null(file);
	assert_true(fread(good, 1, sizeof good - 1, file) > 0);
	fclose(file);
	INDEX_PUT(fixture, { "one", one.manifest.text, NULL });
	/* Once before it was ever read, then after. */
	file_write(blob_path(fixture, one.manifest), "");
	refused(fixture, now, "does not have its digest");
	file_write(blob_path(fixture, one.manifest), good);
	note_scan(fixture, now);
	file_write(blob_path(fixture, one.manifest), "{\"schema");
	refused(fixture, now, "does not have its digest");
	refused(fixture, now, "does not have its digest");
	assert_int_equal(unlink(blob_path(fixture, one.manifest)), 0);
	note_scan(fixture, now);
	file_write(blob_path(fixture, one.manifest), "other bytes");
	refused(fixture, now, "does not have its digest");
	file_write(blob_path(fixture, one.manifest), good);
	INDEX_PUT(fixture, { "one", one.manifest.text, NULL },
		  { "two", nonsense.text, NULL });
	refused(fixture, now, nonsense.text);
	assert_true(image_is_whole(fixture, &one));
	assert_true(blob_exists(fixture, stray));
	INDEX_PUT(fixture, { "one", one.manifest.text, NULL });
	content_gc(fixture, now, 0, true);
	assert_false(blob_exists(fixture, stray));
	assert_false(blob_exists(fixture, nonsense));
	assert_true(image_is_whole(fixture, &one));
}

static void test_I7__a_database_of_another_store_collects_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_digest stray = blob_put(fixture, "stray");

	file_write(store_path(fixture, "store-id"),
		   "{\"version\":1,\"id\":\"0123456789abcdef0123456789abcdef\","
		   "\"generation\":0}\n");
	reopen(fixture);
	refused(fixture, now, "does not know the store");
	assert_true(blob_exists(fixture, stray));
}

static void test_I7__a_store_without_an_id_collects_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image app = image_put(fixture, "app", NULL);
	struct content_digest stray = blob_put(fixture, "stray");
	struct ul_view view;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	file_write(store_path(fixture, "store-id"), "garbage");
	reopen(fixture);
	refused(fixture, now, "store-id does not say which store this is");
	assert_true(blob_exists(fixture, stray));
	assert_true(image_is_whole(fixture, &app));
	file_expect(store_path(fixture, "store-id"), "garbage");
	/* Reports say what there is. */
	view = content_scan(fixture, now);
	assert_int_equal(view.image_count, 1);
	assert_int_equal(view.note_count, 1);
	ul_view_release(&view);
}

static void test_I7__a_database_that_is_behind_collects_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_digest stray = blob_put(fixture, "stray");
	char old[128], new[128];

	ul_embedded_closep(&fixture->store);
	snprintf(new, sizeof new, "%s/ullage.db", fixture->state);
	snprintf(old, sizeof old, "%s/old.db", fixture->top);
	tree_copy(new, old);
	reopen(fixture);
	lease_put(fixture, "l", UL_KIND_BLOB, stray.text);
	ul_embedded_closep(&fixture->store);
	tree_copy(old, new);
	reopen(fixture);
	refused(fixture, now, "older than the store");
	assert_true(blob_exists(fixture, stray));
}

static void waits(struct store_fixture *fixture, int64_t now)
{
	const struct content_run how = { .now_unix_s = now, .now = true };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_non_null(run.view.waiting);
	assert_true(run.is_left);
	assert_int_equal(run.run, 0);
	assert_int_equal(run.plan.collect.len, 0);
	ul_run_release(&run);
}

static void test_I7__a_clock_behind_collects_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_digest stray = blob_put(fixture, "stray");

	note_scan(fixture, now);
	waits(fixture, now - 60);
	assert_true(blob_exists(fixture, stray));
	content_gc(fixture, now, 0, true);
	assert_false(blob_exists(fixture, stray));
}

static void test_I7__a_file_from_the_future_collects_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_digest stray = blob_put(fixture, "stray");

	set_mtime(blob_path(fixture, stray), now + 60);
	waits(fixture, now);
	assert_true(blob_exists(fixture, stray));
	content_gc(fixture, now + 60, 0, true);
	assert_false(blob_exists(fixture, stray));
}

static void test_I8__what_is_not_ours_is_never_touched(void **state)
{
	static const char *const names[] = {
		"README",
		"oci/manifest.json",
		"oci/blobs/README",
		"oci/blobs/sha256/README",
		"oci/blobs/sha256/" HEX_1 ".partial",
		"oci/blobs/sha384",
		"snapshots/README",
		"snapshots/key-%zz",
		"trash/README",
		"trash/89abcdef-1-deadbeef",
	};
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 100 * HOUR_S;
	struct ul_view view;
	size_t i, n;

	for (i = 0; i < ul_array_len(names); i++) {
		const char *path = store_path(fixture, "%s", names[i]);

		assert_int_equal(mkdir(path, 0755), 0);
		file_write(store_path(fixture, "%s/file", names[i]), "theirs");
	}
	assert_int_equal(mkdir(store_path(fixture, "trash/empty"), 0755), 0);
	blob_put(fixture, "stray");
	content_gc(fixture, now, HOUR_S, false);
	assert_int_equal(trash_count(fixture), 1 + 2);
	view = content_scan(fixture, now);
	for (i = 0; i < ul_array_len(names); i++) {
		bool named = false;

		for (n = 0; n < view.note_count; n++)
			named = named ||
				strstr(view.notes[n],
				       store_path(fixture, "%s is", names[i]));
		if (!named)
			fail_msg("%s is not named", names[i]);
	}
	ul_view_release(&view);
	content_gc(fixture, now + 60, 0, true);
	for (i = 0; i < ul_array_len(names); i++)
		file_expect(store_path(fixture, "%s/file", names[i]), "theirs");
}

static void test_I8__leftovers_of_others_stay_for_a_day(void **state)
{
	static const char *const left[] = {
		"oci/oci-put-blob123456",
		"oci/.umoci-abc/part",
		"oci/ingest/deadbeef/data",
		"oci/ingest/..dots..",
	};
	struct store_fixture *fixture = *state;
	int64_t made = ul_clock_unix_s(), now = made + 2 * HOUR_S;
	int fd;
	size_t i;

	assert_int_equal(mkdir(store_path(fixture, "oci/.umoci-abc"), 0755), 0);
	assert_int_equal(mkdir(store_path(fixture, "oci/ingest"), 0755), 0);
	assert_int_equal(
	    mkdir(store_path(fixture, "oci/ingest/deadbeef"), 0755), 0);
	for (i = 0; i < ul_array_len(left); i++)
		file_write(store_path(fixture, "%s", left[i]), "half");
	file_write(store_path(fixture, "oci/ingest/\xff\xfe"), "unknown");
	content_gc(fixture, now, 0, true);
	for (i = 0; i < ul_array_len(left); i++)
		assert_true(path_exists(store_path(fixture, "%s", left[i])));

	/* Somebody is at one of them still. */
	fd = open(store_path(fixture, "oci/.umoci-abc"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	content_gc(fixture, made + 25 * HOUR_S, HOUR_S, false);
	assert_int_equal(trash_count(fixture), 3);
	assert_true(path_exists(store_path(fixture, "%s", left[1])));
	close(fd);
	content_gc(fixture, made + 26 * HOUR_S, 0, true);
	for (i = 0; i < ul_array_len(left); i++)
		assert_false(path_exists(store_path(fixture, "%s", left[i])));
	assert_int_equal(trash_count(fixture), 0);
	file_expect(store_path(fixture, "oci/ingest/\xff\xfe"), "unknown");
}

/* Its top is old and nobody has that locked: what is in it counts. */
static void test_I8__a_leftover_stays_while_a_file_in_it_is_used(void **state)
{
	static const char *const dirs[] = { "oci/.umoci-abc", "oci/ingest/x" };
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 25 * HOUR_S;
	char file[64];
	size_t i;
	int fd;

	assert_int_equal(mkdir(store_path(fixture, "oci/ingest"), 0755), 0);
	for (i = 0; i < ul_array_len(dirs); i++) {
		assert_int_equal(
		    mkdir(store_path(fixture, "%s", dirs[i]), 0755), 0);
		snprintf(file, sizeof file, "%s/data", dirs[i]);
		file_write(store_path(fixture, "%s", file), "half");
		fd =
		    open(store_path(fixture, "%s", file), O_WRONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		content_gc(fixture, now, HOUR_S, false);
		assert_true(path_exists(store_path(fixture, "%s", file)));
		close(fd);
		/* Written to a while ago: a day has to pass since then. */
		set_mtime(store_path(fixture, "%s", file), now - HOUR_S);
		content_gc(fixture, now + HOUR_S, 0, true);
		assert_true(path_exists(store_path(fixture, "%s", file)));
		now += 24 * HOUR_S;
		content_gc(fixture, now, 0, true);
		assert_false(path_exists(store_path(fixture, "%s", file)));
		now += HOUR_S;
	}
}

static void pin_put(struct store_fixture *fixture, const char *name)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL;
	struct ul_err err = UL_ERR_INIT;
	int64_t row;

	assert_int_equal(ul_embedded_store_row(fixture->store, &row, &err), 0);
	assert_int_equal(
	    ul_stmt_get(fixture->store->db, UL_SQL_PIN_ADD, &add, &err), 0);
	ul_stmt_bind_i64(add, ":store", row);
	ul_stmt_bind_text(add, ":name", name);
	ul_stmt_bind_i64(add, ":pinned", 1);
	assert_int_equal(ul_stmt_run(add, &err), 0);
}

static void test_I9__pinned_and_used_images_are_declined(void **state)
{
	static const char *const patterns[] = { "*" };
	static const struct ul_rule by_name = { .patterns = patterns,
						.pattern_count = 1 };
	static const struct ul_rule all = { .all = true, .untagged = true };
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image pinned = image_put(fixture, "pinned", "base");
	struct content_image used = image_put(fixture, "used", "base");
	struct content_image go = image_put(fixture, "go", "base");
	struct content_run how = { .now_unix_s = now,
				   .now = true,
				   .rule = &by_name };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	image_unpack(fixture, &used);
	lease_put(fixture, "container", UL_KIND_SNAPSHOT,
		  image_top(&used).text);
	INDEX_PUT(fixture, { "pinned", pinned.manifest.text, NULL },
		  { "used", used.manifest.text, NULL },
		  { "go", go.manifest.text, NULL });
	pin_put(fixture, "pinned");
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_string_equal(declined(&run.plan, "pinned")->reason, "pinned");
	assert_string_equal(declined(&run.plan, "used")->reason,
			    "in use by 1 container");
	assert_true(run.is_left);
	assert_int_equal(run.removed, 1);
	ul_run_release(&run);
	how.rule = &all;
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_int_equal(run.removed, 0);
	assert_string_equal(declined(&run.plan, "pinned")->reason, "pinned");
	ul_run_release(&run);
	assert_true(image_is_whole(fixture, &pinned));
	assert_true(image_is_whole(fixture, &used));
	assert_true(layer_exists(fixture, image_top(&used)));
	assert_false(blob_exists(fixture, go.layer));
}

static void test_I10__what_is_mounted_stays_with_what_it_stands_on(void **state)
{
	static const struct ul_rule all = { .all = true };
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image one = image_put(fixture, "one", "base");
	struct content_run how = { .now_unix_s = now,
				   .now = true,
				   .rule = &all };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	image_unpack(fixture, &one);
	INDEX_PUT(fixture, { "one", one.manifest.text, NULL });
	mount_layer(fixture, image_top(&one));
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_string_equal(declined(&run.plan, image_top(&one).text)->reason,
			    "mounted");
	assert_true(run.is_left);
	ul_run_release(&run);
	assert_false(blob_exists(fixture, one.manifest));
	assert_true(layer_exists(fixture, image_top(&one)));
	assert_true(layer_exists(fixture, one.shared_diff_id));
	unmount_layer(fixture);
	content_gc(fixture, now + 60, 0, true);
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 0);
}

struct mounter {
	struct store_fixture *fixture;
	const struct content_image *image;
};

static int mount_meanwhile(void *arg, const struct ul_plan *plan)
{
	struct mounter *mounter = arg;

	assert_true(plan->collect.len > 0);
	mount_layer(mounter->fixture, image_top(mounter->image));
	return 0;
}

static void test_I10__what_is_mounted_after_the_plan_stays_too(void **state)
{
	static const struct ul_rule all = { .all = true };
	struct store_fixture *fixture = *state;
	struct content_image one = image_put(fixture, "one", "base");
	struct mounter mounter = { fixture, &one };
	struct content_run how = {
		.now_unix_s = ul_clock_unix_s() + 2 * HOUR_S,
		.now = true,
		.rule = &all,
		.confirm = mount_meanwhile,
		.arg = &mounter,
	};
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	image_unpack(fixture, &one);
	INDEX_PUT(fixture, { "one", one.manifest.text, NULL });
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_true(run.is_left);
	ul_run_release(&run);
	assert_true(layer_exists(fixture, image_top(&one)));
	assert_true(layer_exists(fixture, one.shared_diff_id));
	unmount_layer(fixture);
}

static void test_I10__a_bind_mount_counts_too(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image one = image_put(fixture, "one", NULL);
	const char *fs;

	image_unpack(fixture, &one);
	fs = store_path(fixture, "snapshots/layer-%s/fs",
			image_top(&one).text + 7);
	assert_int_equal(mkdir(store_path(fixture, "../merged"), 0755), 0);
	assert_int_equal(
	    mount(fs, store_path(fixture, "../merged"), NULL, MS_BIND, NULL),
	    0);
	content_gc(fixture, now, 0, true);
	assert_true(layer_exists(fixture, image_top(&one)));
	assert_int_equal(umount(store_path(fixture, "../merged")), 0);
	content_gc(fixture, now + 60, 0, true);
	assert_false(layer_exists(fixture, image_top(&one)));
}

#define INVARIANT(name)                                                        \
	cmocka_unit_test_setup_teardown(test_##name, setup,                    \
					store_fixture_teardown)

static const struct CMUnitTest tests[] = {
	INVARIANT(I1__what_a_root_reaches_stays),
	INVARIANT(I1__what_is_needed_again_comes_back_even_with_now),
	INVARIANT(I1__a_manifest_of_another_algorithm_keeps_its_blobs),
	INVARIANT(I2__what_is_new_stays_for_the_grace_period),
	INVARIANT(I2__a_name_that_vanishes_keeps_its_content),
	INVARIANT(I2__what_a_young_thing_refers_to_stays),
	INVARIANT(I2__what_is_written_anew_is_new),
	INVARIANT(I2__a_clock_set_back_makes_nothing_older),
	INVARIANT(I3__killed_at_any_time_nothing_is_lost),
	INVARIANT(I3__without_memory_at_any_point_nothing_is_lost),
	INVARIANT(I3__what_a_stop_leaves_half_written_goes),
	INVARIANT(I4__a_dry_run_says_what_a_real_one_does),
	INVARIANT(I4__a_saved_plan_is_carried_out_exactly),
	INVARIANT(I4__a_saved_plan_that_no_longer_fits_is_refused),
	INVARIANT(I5__freed_bytes_are_what_du_says),
	INVARIANT(I5__trashed_bytes_come_back_when_they_are_due),
	INVARIANT(I5__a_full_disk_is_reported_and_freed),
	INVARIANT(I6__a_name_after_the_plan_ends_a_prune),
	INVARIANT(I6__a_name_after_the_plan_keeps_what_gc_would_take),
	INVARIANT(I7__a_damaged_index_collects_nothing),
	INVARIANT(I7__a_damaged_manifest_collects_nothing),
	INVARIANT(I7__a_database_of_another_store_collects_nothing),
	INVARIANT(I7__a_store_without_an_id_collects_nothing),
	INVARIANT(I7__a_database_that_is_behind_collects_nothing),
	INVARIANT(I7__a_clock_behind_collects_nothing),
	INVARIANT(I7__a_file_from_the_future_collects_nothing),
	INVARIANT(I8__what_is_not_ours_is_never_touched),
	INVARIANT(I8__leftovers_of_others_stay_for_a_day),
	INVARIANT(I8__a_leftover_stays_while_a_file_in_it_is_used),
	INVARIANT(I9__pinned_and_used_images_are_declined),
	INVARIANT(I10__what_is_mounted_stays_with_what_it_stands_on),
	INVARIANT(I10__what_is_mounted_after_the_plan_stays_too),
	INVARIANT(I10__a_bind_mount_counts_too),
};

static int run_one(const char *name)
{
	size_t i;

	for (i = 0; i < ul_array_len(tests); i++) {
		const struct CMUnitTest one[] = { tests[i] };

		if (!strcmp(tests[i].name + strlen("test_"), name))
			return cmocka_run_group_tests_name(
			    name, one, store_fixture_group, NULL);
	}
	fprintf(stderr, "no invariant %s\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return run_one(argv[1]);
	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
