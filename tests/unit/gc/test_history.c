#include "gc/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "gc/run.h"
#include "store/db/db.h"
#include "store/db/stmt.h"
#include "tests/lib/content_fixture.h"

static int64_t begin(struct store_fixture *fixture, const struct ul_plan *plan,
		     int64_t when)
{
	struct ul_err err = UL_ERR_INIT;
	int64_t row, run;

	assert_int_equal(ul_embedded_store_row(fixture->store, &row, &err), 0);
	if (ul_history_begin(&fixture->store->base, "gc", when, row, plan, NULL,
			     &run, &err))
		fail_msg("%s", err.msg);
	return run;
}

static void end(struct store_fixture *fixture, int64_t number,
		const char *state)
{
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	run.run = number;
	run.seconds = 0.25;
	run.freed_bytes = 10;
	run.trashed_bytes = 20;
	run.overhead_delta_bytes = -30;
	run.removed = 40;
	if (ul_history_end(&fixture->store->base, &run, state, &err))
		fail_msg("%s", err.msg);
}

static struct ul_history load(struct store_fixture *fixture, int64_t most)
{
	struct ul_history history = UL_HISTORY_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_history_load(&fixture->store->base, most, &history, &err))
		fail_msg("%s", err.msg);
	return history;
}

static void test_history__says_what_was_and_what_became_of_it(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_plan plan = UL_PLAN_INIT;
	const struct ul_history_row *row;
	struct ul_history history;
	struct ul_err err = UL_ERR_INIT;
	int64_t first, second;
	const struct ul_plan_item item = { .kind = UL_KIND_BLOB,
					   .key = "sha256:1",
					   .reason = "r",
					   .allocated_bytes = 4096 };

	store_fixture_open(fixture);
	assert_int_equal(ul_plan_add(&plan, &plan.collect, &item, &err), 0);
	assert_int_equal(ul_plan_add(&plan, &plan.remove, &item, &err), 0);
	assert_int_equal(ul_plan_add(&plan, &plan.declined, &item, &err), 0);
	plan.freed_bytes = 4096;
	ul_plan_seal(&plan);
	first = begin(fixture, &plan, 100);
	end(fixture, first, "done");
	second = begin(fixture, &plan, 200);
	assert_true(second > first);
	history = load(fixture, 10);
	assert_int_equal(history.len, 2);
	row = &history.rows[0];
	assert_int_equal(row->run, second);
	assert_string_equal(row->state, "running");
	row = &history.rows[1];
	assert_int_equal(row->run, first);
	assert_string_equal(row->state, "done");
	assert_string_equal(row->command, "gc");
	assert_string_equal(row->store_kind, "embedded");
	assert_string_equal(row->plan, plan.fingerprint);
	assert_int_equal(row->started_unix_s, 100);
	assert_true(row->seconds > 0.2 && row->seconds < 0.3);
	assert_int_equal(row->planned_bytes, 4096);
	assert_int_equal(row->freed_bytes, 10);
	assert_int_equal(row->trashed_bytes, 20);
	assert_int_equal(row->overhead_delta_bytes, -30);
	assert_int_equal(row->removed, 40);
	ul_history_release(&history);
	history = load(fixture, 1);
	assert_int_equal(history.len, 1);
	assert_int_equal(history.rows[0].run, second);
	ul_history_release(&history);
	ul_history_release(&history);
	ul_plan_release(&plan);
}

static void test_history__a_stopped_run_has_failed(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_plan plan = UL_PLAN_INIT;
	struct ul_history history;

	store_fixture_open(fixture);
	ul_plan_seal(&plan);
	begin(fixture, &plan, 100);
	store_fixture_open(fixture);
	end(fixture, begin(fixture, &plan, 200), "done");
	history = load(fixture, 10);
	assert_string_equal(history.rows[0].state, "done");
	assert_string_equal(history.rows[1].state, "failed");
	ul_history_release(&history);
}

static void test_history__tells_what_can_be_undone(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_plan plan = UL_PLAN_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf elsewhere = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_store *store;
	int64_t run;

	store = &store_fixture_open(fixture)->base;
	ul_plan_seal(&plan);
	run = begin(fixture, &plan, 100);
	assert_int_equal(ul_history_expect(store, run, &elsewhere, &err), 0);
	assert_int_equal(ul_history_expect(store, 77, &elsewhere, &err),
			 UL_E_ABSENT);
	assert_string_equal(err.msg, "no run 77; `ullage history` lists them");
	assert_int_equal(ul_history_undone(store, run, &err), 0);
	assert_int_equal(ul_history_expect(store, run, &elsewhere, &err),
			 UL_E_CONFLICT);
	assert_string_equal(err.msg, "run 1 was undone already");
	assert_int_equal(elsewhere.len, 0);
}

static void test_history__without_memory_it_is_not_loaded(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_history history = UL_HISTORY_INIT;
	struct ul_plan plan = UL_PLAN_INIT;
	struct ul_err err = UL_ERR_INIT;
	int i, rc = UL_E_NOMEM;
	long n;

	store_fixture_open(fixture);
	ul_plan_seal(&plan);
	for (i = 0; i < 20; i++)
		begin(fixture, &plan, i);
	for (n = 0; rc; n++) {
		ul_mem_countdown = n;
		rc =
		    ul_history_load(&fixture->store->base, 100, &history, &err);
		ul_mem_countdown = -1;
		if (rc)
			assert_int_equal(rc, UL_E_NOMEM);
	}
	assert_true(n > 1);
	assert_int_equal(history.len, 20);
	ul_history_release(&history);
}

/* A prune, then its undoing: names, nameless entries, layers, content. */
static void test_undo__brings_back_names_and_content(void **state)
{
	static const struct ul_rule rule = { .all = true, .untagged = true };
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S, number;
	struct content_image one, two;
	struct content_run how = { .now_unix_s = now,
				   .grace_s = HOUR_S,
				   .rule = &rule };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_history history;
	struct ul_view view;
	size_t count = 0;

	store_fixture_open(fixture);
	one = image_put(fixture, "one", "base");
	two = image_put(fixture, "two", "base");
	image_unpack(fixture, &one);
	INDEX_PUT(fixture, { "one", one.manifest.text, NULL },
		  { NULL, two.manifest.text, NULL });
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_int_equal(run.removed, 2);
	assert_false(blob_exists(fixture, one.layer));
	number = run.run;
	ul_run_release(&run);

	if (ul_run_undo(&fixture->store->base, number, &count, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(count, 7 + 2 + 2);
	assert_true(image_is_whole(fixture, &one));
	assert_true(image_is_whole(fixture, &two));
	assert_true(layer_exists(fixture, image_top(&one)));
	view = content_scan(fixture, now + 60);
	assert_int_equal(view.image_count, 2);
	assert_int_equal(view.trash_count, 0);
	ul_view_release(&view);
	history = load(fixture, 1);
	assert_string_equal(history.rows[0].state, "undone");
	ul_history_release(&history);
	assert_int_equal(
	    ul_run_undo(&fixture->store->base, number, &count, &err),
	    UL_E_CONFLICT);
}

/* A name alone can be brought back as long as content could. */
static void test_undo__brings_back_a_name_that_held_nothing_alone(void **state)
{
	static const char *const patterns[] = { "second" };
	static const struct ul_rule rule = { .patterns = patterns,
					     .pattern_count = 1 };
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S, number;
	struct content_image app;
	struct content_run how = { .now_unix_s = now,
				   .grace_s = HOUR_S,
				   .rule = &rule };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_view view;
	size_t count = 0;

	store_fixture_open(fixture);
	app = image_put(fixture, "app", NULL);
	INDEX_PUT(fixture, { "first", app.manifest.text, NULL },
		  { "second", app.manifest.text, NULL });
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	number = run.run;
	assert_int_equal(run.removed, 1);
	ul_run_release(&run);
	/* Other collections in between take nothing of it away. */
	content_gc(fixture, now + 60, HOUR_S, false);
	blob_put(fixture, "stray");
	content_gc(fixture, now + 120, 0, false);
	if (ul_run_undo(&fixture->store->base, number, &count, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(count, 1);
	view = content_scan(fixture, now + 180);
	assert_int_equal(view.image_count, 1);
	assert_int_equal(view.images[0].name_count, 2);
	ul_view_release(&view);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);

	how.now_unix_s = now + 240;
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	ul_run_release(&run);
	content_gc(fixture, now + 240 + HOUR_S, HOUR_S, false);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
}

static void test_undo__a_name_that_was_given_anew_stays(void **state)
{
	static const struct ul_rule rule = { .all = true };
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S, number;
	struct content_image one, two;
	const struct content_run how = { .now_unix_s = now,
					 .grace_s = HOUR_S,
					 .rule = &rule };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_view view;
	size_t count;

	store_fixture_open(fixture);
	one = image_put(fixture, "one", NULL);
	INDEX_PUT(fixture, { "app", one.manifest.text, NULL });
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	number = run.run;
	ul_run_release(&run);
	two = image_put(fixture, "two", NULL);
	INDEX_PUT(fixture, { "app", two.manifest.text, NULL });
	if (ul_run_undo(&fixture->store->base, number, &count, &err))
		fail_msg("%s", err.msg);
	assert_true(image_is_whole(fixture, &one));
	view = content_scan(fixture, now + 60);
	assert_int_equal(view.image_count, 1);
	assert_string_equal(view.images[0].digest, two.manifest.text);
	ul_view_release(&view);
}

/* A later run took what an earlier one had left, since another name held it. */
static void test_undo__names_do_not_come_back_to_no_content(void **state)
{
	static const char *const first[] = { "first" }, *const second[] = {
		"second"
	};
	static const struct ul_rule rule1 = { .patterns = first,
					      .pattern_count = 1 };
	static const struct ul_rule rule2 = { .patterns = second,
					      .pattern_count = 1 };
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S, numbers[2];
	struct content_image app;
	struct content_run how = { .now_unix_s = now,
				   .grace_s = HOUR_S,
				   .rule = &rule1 };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_view view;
	size_t count;

	store_fixture_open(fixture);
	app = image_put(fixture, "app", NULL);
	INDEX_PUT(fixture, { "first", app.manifest.text, NULL },
		  { "second", app.manifest.text, NULL });
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	numbers[0] = run.run;
	ul_run_release(&run);
	how.rule = &rule2;
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	numbers[1] = run.run;
	ul_run_release(&run);
	/* In the trash it is there still, and comes out with its name. */
	if (ul_run_undo(&fixture->store->base, numbers[0], &count, &err))
		fail_msg("%s", err.msg);
	content_gc(fixture, now + 60, HOUR_S, false);
	assert_true(image_is_whole(fixture, &app));

	how.rule = &rule1;
	how.now_unix_s = now + 120;
	how.now = true;
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	numbers[0] = run.run;
	ul_run_release(&run);
	assert_false(blob_exists(fixture, app.manifest));
	assert_true(
	    ul_run_undo(&fixture->store->base, numbers[0], &count, &err) < 0);
	assert_true(
	    ul_run_undo(&fixture->store->base, numbers[1], &count, &err) < 0);
	view = content_scan(fixture, now + 180);
	assert_int_equal(view.image_count, 0);
	ul_view_release(&view);
	/* Names without content are nothing to keep a folder for. */
	content_gc(fixture, now + 240, HOUR_S, false);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
}

static void test_undo__names_do_not_come_back_to_half_the_content(void **state)
{
	static const struct ul_rule rule = { .all = true };
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S, number;
	struct content_image one;
	const struct content_run how = { .now_unix_s = now,
					 .grace_s = HOUR_S,
					 .rule = &rule };
	ul_cleanup(ul_names_release) struct ul_names dirs = UL_NAMES_INIT;
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_view view;
	size_t count;

	store_fixture_open(fixture);
	one = image_put(fixture, "one", NULL);
	INDEX_PUT(fixture, { "app", one.manifest.text, NULL });
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	number = run.run;
	ul_run_release(&run);
	assert_int_equal(ul_dir_names(fixture->store->trash_fd, &dirs, &err),
			 0);
	assert_int_equal(dirs.len, 1);
	assert_int_equal(
	    remove(store_path(fixture, "trash/%s/0", dirs.names[0])), 0);
	assert_int_equal(
	    ul_run_undo(&fixture->store->base, number, &count, &err),
	    UL_E_CONFLICT);
	assert_non_null(strstr(err.msg, "is gone from the trash"));
	view = content_scan(fixture, now + 60);
	assert_int_equal(view.image_count, 0);
	ul_view_release(&view);
}

static void test_undo__nothing_is_left_after_now(void **state)
{
	struct store_fixture *fixture = *state;
	const struct content_run how = {
		.now_unix_s = ul_clock_unix_s() + 2 * HOUR_S,
		.now = true,
	};
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	size_t count;

	store_fixture_open(fixture);
	blob_put(fixture, "stray");
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_int_equal(
	    ul_run_undo(&fixture->store->base, run.run, &count, &err),
	    UL_E_ABSENT);
	assert_string_equal(err.msg,
			    "the trash no longer holds anything of run 1");
	ul_run_release(&run);
}

int main(void)
{
#define HISTORY(name)                                                          \
	cmocka_unit_test_setup_teardown(test_##name, store_fixture_setup,      \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		HISTORY(history__says_what_was_and_what_became_of_it),
		HISTORY(history__a_stopped_run_has_failed),
		HISTORY(history__tells_what_can_be_undone),
		HISTORY(history__without_memory_it_is_not_loaded),
		HISTORY(undo__brings_back_names_and_content),
		HISTORY(undo__brings_back_a_name_that_held_nothing_alone),
		HISTORY(undo__a_name_that_was_given_anew_stays),
		HISTORY(undo__names_do_not_come_back_to_no_content),
		HISTORY(undo__names_do_not_come_back_to_half_the_content),
		HISTORY(undo__nothing_is_left_after_now),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
