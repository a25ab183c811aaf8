/*
 * gc/INVARIANTS.md: I3, I7. Trouble: a run that is stopped loses nothing, and
 * nothing is collected where something damaged hides what is needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/store.h"
#include "tests/unit/gc/invariants.h"

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
	store_fixture_reopen(fixture);
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

			store_fixture_reopen(fixture);
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
		store_fixture_reopen(fixture);
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
	store_fixture_reopen(fixture);
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
	store_fixture_reopen(fixture);
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
	store_fixture_reopen(fixture);
	lease_put(fixture, "l", UL_KIND_BLOB, stray.text);
	ul_embedded_closep(&fixture->store);
	tree_copy(old, new);
	store_fixture_reopen(fixture);
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

static const struct CMUnitTest tests[] = {
	INVARIANT(I3__killed_at_any_time_nothing_is_lost),
	INVARIANT(I3__without_memory_at_any_point_nothing_is_lost),
	INVARIANT(I3__what_a_stop_leaves_half_written_goes),
	INVARIANT(I7__a_damaged_index_collects_nothing),
	INVARIANT(I7__a_damaged_manifest_collects_nothing),
	INVARIANT(I7__a_database_of_another_store_collects_nothing),
	INVARIANT(I7__a_store_without_an_id_collects_nothing),
	INVARIANT(I7__a_database_that_is_behind_collects_nothing),
	INVARIANT(I7__a_clock_behind_collects_nothing),
	INVARIANT(I7__a_file_from_the_future_collects_nothing),
};

int main(int argc, char **argv)
{
	return invariants_main(argc, argv, tests, ul_array_len(tests));
}
