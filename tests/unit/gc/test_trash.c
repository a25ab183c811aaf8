/*
 * Whose the trash is, and what happens to the names in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "gc/history.h"
#include "gc/run.h"
#include "tests/lib/content_fixture.h"

static const struct ul_rule everything = { .all = true };

/* Remove these names; the number of the run. */
static int64_t prune(struct store_fixture *fixture, int64_t now,
		     const struct ul_rule *rule, bool at_once)
{
	const struct content_run how = { .now_unix_s = now,
					 .grace_s = HOUR_S,
					 .now = at_once,
					 .rule = rule };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	int64_t number;

	if (content_collect(fixture, &how, &run, &err))
		fail_msg("%s", err.msg);
	number = run.run;
	assert_int_equal(run.removed, 1);
	ul_run_release(&run);
	return number;
}

/* Another database takes the store's place, or that one comes back. */
static void db_swap(struct store_fixture *fixture, const char *keep,
		    const char *take)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	char from[160], to[160];
	size_t i;

	ul_embedded_closep(&fixture->store);
	for (i = 0; i < ul_array_len(suffixes); i++) {
		snprintf(from, sizeof from, "%s/ullage.db%s", fixture->state,
			 suffixes[i]);
		snprintf(to, sizeof to, "%s/%s%s", fixture->top, keep,
			 suffixes[i]);
		rename(from, to);
		snprintf(to, sizeof to, "%s/%s%s", fixture->top, take,
			 suffixes[i]);
		rename(to, from);
	}
	store_fixture_open(fixture);
}

/* One image of each database, both pruned by a run of the same number. */
struct turns {
	struct content_image first, second;
	int64_t now, run;
};

static void turns_take(struct store_fixture *fixture, struct turns *turns)
{
	turns->now = ul_clock_unix_s() + 2 * HOUR_S;
	store_fixture_open(fixture);
	turns->first = image_put(fixture, "first", NULL);
	INDEX_PUT(fixture, { "first", turns->first.manifest.text, NULL });
	turns->run = prune(fixture, turns->now, &everything, false);
	db_swap(fixture, "a.db", "none");
	turns->second = image_put(fixture, "second", NULL);
	INDEX_PUT(fixture, { "second", turns->second.manifest.text, NULL });
	assert_int_equal(prune(fixture, turns->now + 60, &everything, false),
			 turns->run);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 2);
}

static void test_trash__undo_takes_what_its_own_database_swept(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_err err = UL_ERR_INIT;
	struct turns turns;
	struct ul_view view;
	size_t count;

	turns_take(fixture, &turns);
	if (ul_run_undo(&fixture->store->base, turns.run, &count, &err))
		fail_msg("%s", err.msg);
	assert_true(image_is_whole(fixture, &turns.second));
	assert_false(blob_exists(fixture, turns.first.layer));
	view = content_scan(fixture, turns.now + 120);
	assert_int_equal(view.image_count, 1);
	assert_string_equal(view.images[0].digest, turns.second.manifest.text);
	assert_int_equal(view.trash_count, 3);
	assert_true(view.trash[0].is_foreign);
	ul_view_release(&view);
	/* And the first its own, when its turn comes again. */
	db_swap(fixture, "b.db", "a.db");
	if (ul_run_undo(&fixture->store->base, turns.run, &count, &err))
		fail_msg("%s", err.msg);
	assert_true(image_is_whole(fixture, &turns.first));
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
}

static void test_trash__of_another_database_comes_back_when_needed(void **state)
{
	struct store_fixture *fixture = *state;
	struct turns turns;

	turns_take(fixture, &turns);
	INDEX_PUT(fixture, { "again", turns.first.manifest.text, NULL });
	content_gc(fixture, turns.now + 120, HOUR_S, true);
	assert_true(image_is_whole(fixture, &turns.first));
	assert_false(blob_exists(fixture, turns.second.layer));
	assert_int_equal(trash_count(fixture), 0);
}

/* --now empties what is ours; what is not waits for the grace it was given. */
static void test_trash__of_another_database_has_its_own_grace(void **state)
{
	struct store_fixture *fixture = *state;
	const struct content_run at_once = { .grace_s = 0, .now = true };
	struct content_run how = at_once;
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct turns turns;
	size_t i;

	turns_take(fixture, &turns);
	how.now_unix_s = turns.now + HOUR_S - 1;
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_int_equal(run.plan.collect.len, 3);
	assert_int_equal(run.plan.declined.len, 3);
	for (i = 0; i < run.plan.declined.len; i++)
		assert_non_null(strstr(run.plan.declined.items[i].reason,
				       "another database's trash, may go "
				       "from "));
	ul_run_release(&run);
	assert_int_equal(trash_count(fixture), 3);
	how.now_unix_s = turns.now + HOUR_S;
	assert_int_equal(content_collect(fixture, &how, &run, &err), 0);
	assert_int_equal(run.plan.collect.len, 3);
	assert_int_equal(run.plan.declined.len, 0);
	ul_run_release(&run);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
}

/* A name that held nothing alone: its folder has no things in it. */
static int64_t name_prune(struct store_fixture *fixture, int64_t now,
			  bool at_once)
{
	static const char *const patterns[] = { "second" };
	static const struct ul_rule rule = { .patterns = patterns,
					     .pattern_count = 1 };
	struct content_image app;

	store_fixture_open(fixture);
	app = image_put(fixture, "app", NULL);
	INDEX_PUT(fixture, { "first", app.manifest.text, NULL },
		  { "second", app.manifest.text, NULL });
	return prune(fixture, now, &rule, at_once);
}

static void expect_no_undo(struct store_fixture *fixture, int64_t run)
{
	struct ul_err err = UL_ERR_INIT;
	size_t count;

	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
	assert_int_equal(ul_run_undo(&fixture->store->base, run, &count, &err),
			 UL_E_ABSENT);
}

static void test_trash__with_names_alone_goes_at_once_with_now(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S, run;

	run = name_prune(fixture, now, false);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 1);
	content_gc(fixture, now + 60, HOUR_S, false);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 1);
	/* Nothing is there to be collected. */
	content_gc(fixture, now + 120, HOUR_S, true);
	expect_no_undo(fixture, run);
	/* Something is. */
	run = name_prune(fixture, now + 180, false);
	blob_put(fixture, "stray");
	content_gc(fixture, now + 240, HOUR_S, true);
	expect_no_undo(fixture, run);
	/* The run itself says so. */
	run = name_prune(fixture, now + 300, true);
	expect_no_undo(fixture, run);
}

static void test_trash__names_of_another_database_stay_with_now(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	char command[160];

	name_prune(fixture, now, false);
	/* A store with nothing in it takes any database. */
	snprintf(command, sizeof command, "rm %s",
		 store_path(fixture, "oci/blobs/sha256/*"));
	assert_int_equal(system(command), 0);
	index_put(fixture, NULL, 0);
	db_swap(fixture, "a.db", "none");
	content_gc(fixture, now + HOUR_S - 1, HOUR_S, true);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 1);
	content_gc(fixture, now + HOUR_S, HOUR_S, false);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
}

/* A run that is killed when the index has changed and nothing has moved. */
static int64_t stop_after_names(struct store_fixture *fixture, int64_t now)
{
	struct ul_store *store = &fixture->store->base;
	struct ul_sweep_request undo = { .now_unix_s = now, .grace_s = HOUR_S };
	struct ul_view view = content_scan(fixture, now);
	struct ul_plan plan = UL_PLAN_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(view.image_count, 1);
	ul_plan_seal(&plan);
	assert_int_equal(store->ops->lock(store, &err), 0);
	if (ul_history_begin(store, "prune", now, view.record.store_row, &plan,
			     NULL, &undo.run, &err))
		fail_msg("%s", err.msg);
	if (store->ops->remove_roots(store, &view, view.images[0].names, 1,
				     &undo, &err))
		fail_msg("%s", err.msg);
	ul_view_release(&view);
	ul_plan_release(&plan);
	store_fixture_open(fixture);
	view = content_scan(fixture, now);
	assert_int_equal(view.image_count, 0);
	ul_view_release(&view);
	return undo.run;
}

static void
test_trash__names_come_back_after_a_stop_before_the_sweep(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S, run;
	struct content_image app;
	struct ul_err err = UL_ERR_INIT;
	struct ul_view view;
	bool is_swept;
	size_t count;

	store_fixture_open(fixture);
	app = image_put(fixture, "app", NULL);
	image_unpack(fixture, &app);
	/* At once, and when a later run has swept what the name held. */
	for (is_swept = false;; is_swept = true, now += HOUR_S) {
		INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
		run = stop_after_names(fixture, now);
		assert_int_equal(dir_count(store_path(fixture, "trash")), 1);
		if (is_swept)
			content_gc(fixture, now + 60, HOUR_S, false);
		assert_int_equal(!image_is_whole(fixture, &app), is_swept);
		if (ul_run_undo(&fixture->store->base, run, &count, &err))
			fail_msg("%s", err.msg);
		assert_int_equal(count, 1);
		/* The next start puts back what the name needs. */
		content_gc(fixture, now + 120, HOUR_S, true);
		assert_true(image_is_whole(fixture, &app));
		assert_true(layer_exists(fixture, image_top(&app)));
		view = content_scan(fixture, now + 180);
		assert_int_equal(view.image_count, 1);
		ul_view_release(&view);
		assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
		if (is_swept)
			return;
	}
}

int main(void)
{
#define TRASH(name)                                                            \
	cmocka_unit_test_setup_teardown(                                       \
	    test_trash__##name, store_fixture_setup, store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		TRASH(undo_takes_what_its_own_database_swept),
		TRASH(of_another_database_comes_back_when_needed),
		TRASH(of_another_database_has_its_own_grace),
		TRASH(with_names_alone_goes_at_once_with_now),
		TRASH(names_of_another_database_stay_with_now),
		TRASH(names_come_back_after_a_stop_before_the_sweep),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
