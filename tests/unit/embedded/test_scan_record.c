/* What a scan records, and when it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/lease.h"
#include "store/embedded/snapshot.h"
#include "store/embedded/store.h"
#include "tests/unit/embedded/scan_fixture.h"

static void db_expect_sound(struct store_fixture *fixture)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *sqlite = NULL;
	char path[128];

	snprintf(path, sizeof path, "%s/ullage.db", fixture->state);
	assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(sqlite, "PRAGMA foreign_key_check",
					    -1, &stmt, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
	sqlite3_finalize(stmt);
	sqlite3_close(sqlite);
}

/* A store with some of everything. */
static struct content_image store_fill(struct store_fixture *fixture)
{
	struct content_image app = image_put(fixture, "app", "base");
	struct content_image two = image_put(fixture, "two", "base");
	const struct ul_lease flat = { .id = "flat", .is_flat = true };
	const struct ul_lease whole = { .id = "whole" };
	struct ul_err err = UL_ERR_INIT;

	referrer_put(fixture, app.manifest);
	blob_put(fixture, "stray");
	image_unpack(fixture, &app);
	INDEX_PUT(fixture, { "app", app.manifest.text, NULL },
		  { "same", app.manifest.text, NULL },
		  { NULL, two.manifest.text, NULL });
	if (ul_embedded_lock(fixture->store, &err) ||
	    ul_snapshot_prepare(fixture->store, "work", image_top(&app).text,
				false, "{}", &err) ||
	    ul_lease_create(fixture->store, &flat, &err) ||
	    ul_lease_create(fixture->store, &whole, &err) ||
	    ul_lease_add(fixture->store, "flat", UL_KIND_SNAPSHOT,
			 app.shared_diff_id.text, &err) ||
	    ul_lease_add(fixture->store, "flat", UL_KIND_BLOB, CHAIN_3, &err) ||
	    ul_lease_add(fixture->store, "whole", UL_KIND_SNAPSHOT, "work",
			 &err))
		fail_msg("%s", err.msg);
	ul_embedded_unlock(fixture->store);
	return app;
}

static void test_scan__a_second_one_writes_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = scan_start(), stamp;
	int round;

	store_fill(fixture);
	note_scan(fixture, now);
	stamp = scan_db_stamp(fixture);
	for (round = 0; round < 3; round++) {
		note_scan(fixture, now + round);
		if (round == 1)
			store_fixture_open(fixture);
		assert_int_equal(scan_db_stamp(fixture), stamp);
	}
}

static void test_scan__as_of_another_time_records_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	const struct ul_scan_options options = {
		.as_of_unix_s = scan_start() + 100 * HOUR_S,
		.is_as_of = true,
	};
	struct ul_view view = UL_VIEW_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct content_image app = store_fill(fixture);
	int64_t stamp = scan_db_stamp(fixture);

	assert_int_equal(fixture->store->base.ops->scan(&fixture->store->base,
							&options, &view, &err),
			 0);
	assert_true(is_reachable(&view, app.layer));
	ul_view_release(&view);
	assert_int_equal(scan_db_stamp(fixture), stamp);
}

/* As nobody: nothing may be written, not even opened for it. */
static int scan_as_nobody(const char *state_path, const char *layer)
{
	const struct ul_scan_options options = { .as_of_unix_s = scan_start() };
	ul_cleanup(ul_embedded_closep) struct ul_embedded *store = NULL;
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	struct ul_err err = UL_ERR_INIT;
	uint32_t at;

	if (setgid(65534) || setuid(65534))
		return 2;
	if (ul_embedded_open(state_path, &store, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 3;
	}
	if (store->is_writable || ul_embedded_lock(store, &err) != UL_E_REFUSED)
		return 4;
	if (store->base.ops->scan(&store->base, &options, &view, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 5;
	}
	at = ul_record_find(&view.record, UL_KIND_BLOB, "", "", layer);
	if (at == UL_OBJECT_NONE || !view.record.objects[at].is_reachable)
		return 6;
	return view.image_count == 2 ? 0 : 7;
}

static void test_scan__without_rights_it_works_from_memory(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = store_fill(fixture);
	uint64_t before;
	int status;
	pid_t pid;

	assert_int_equal(chmod(fixture->top, 0755), 0);
	ul_embedded_closep(&fixture->store);
	before = content_du(fixture);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(scan_as_nobody(fixture->state, app.layer.text));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(content_du(fixture), before);
}

static void test_scan__without_memory_the_record_stays_sound(void **state)
{
	struct store_fixture *fixture = *state;
	const struct ul_scan_options options = { .as_of_unix_s = scan_start() };
	struct content_image app = store_fill(fixture);
	struct ul_store *store = &fixture->store->base;
	struct ul_err err = UL_ERR_INIT;
	struct ul_view view;
	int rc = UL_E_NOMEM;
	long n;

	for (n = 0; rc; n++) {
		view = UL_VIEW_INIT;
		ul_mem_countdown = n;
		rc = store->ops->scan(store, &options, &view, &err);
		ul_mem_countdown = -1;
		if (rc) {
			assert_int_equal(rc, UL_E_NOMEM);
			assert_null(view.files);
		}
	}
	assert_true(n > 100);
	assert_true(is_reachable(&view, app.layer));
	assert_int_equal(view.image_count, 2);
	ul_view_release(&view);
	db_expect_sound(fixture);
	/* Halfway through it failed again and again: all is recorded once. */
	view = content_scan(fixture, options.as_of_unix_s);
	assert_int_equal(view.image_count, 2);
	assert_null(view.refusal);
	ul_view_release(&view);
}

int main(void)
{
#define SCAN(name)                                                             \
	cmocka_unit_test_setup_teardown(test_scan__##name,                     \
					store_fixture_setup_open,              \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		SCAN(a_second_one_writes_nothing),
		SCAN(as_of_another_time_records_nothing),
		SCAN(without_rights_it_works_from_memory),
		SCAN(without_memory_the_record_stays_sound),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
