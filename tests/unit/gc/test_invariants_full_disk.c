/*
 * gc/INVARIANTS.md, I11, on a small file system without a free block.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/snapshot.h"
#include "store/embedded/store.h"
#include "tests/unit/gc/invariants.h"

static const struct ul_rule everything = { .all = true };

enum { MANY_BYTES = 2 << 20 };

static int setup(void **state)
{
	struct store_fixture *fixture;
	int rc = store_fixture_setup(state);

	if (rc)
		return rc;
	fixture = *state;
	if (mkdir(fixture->state, 0755) ||
	    mount("none", fixture->state, "tmpfs", 0, "size=16m"))
		return -1;
	store_fixture_reopen(fixture);
	return 0;
}

static int teardown(void **state)
{
	struct store_fixture *fixture = *state;

	ul_embedded_closep(&fixture->store);
	if (umount(fixture->state))
		return -1;
	return store_fixture_teardown(state);
}

static const char *fill_path(const struct store_fixture *fixture)
{
	return store_path(fixture, "../fill");
}

/* To the last block, and as a process that starts then finds it. */
static void fill(struct store_fixture *fixture)
{
	char bytes[4096];
	int fd;

	ul_embedded_closep(&fixture->store);
	unlink(store_path(fixture, "../ullage.reserve"));
	fd = open(fill_path(fixture), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	memset(bytes, 'x', sizeof bytes);
	while (write(fd, bytes, sizeof bytes) > 0)
		continue;
	close(fd);
	store_fixture_reopen(fixture);
}

static struct content_digest many_put(struct store_fixture *fixture)
{
	ul_cleanup(ul_freep) char *text = ul_malloc(MANY_BYTES + 1);

	assert_non_null(text);
	memset(text, 'm', MANY_BYTES);
	text[MANY_BYTES] = '\0';
	return blob_put(fixture, "%s", text);
}

/* One with a name, one that has none any more, one that a lease holds. */
struct three {
	struct content_image named, loose, leased;
	int64_t now;
};

static void three_put(struct store_fixture *fixture, struct three *three)
{
	three->now = ul_clock_unix_s() + 2 * HOUR_S;
	three->named = image_put(fixture, "named", "base");
	three->loose = image_put(fixture, "loose", "base");
	three->leased = image_put(fixture, "leased", NULL);
	INDEX_PUT(fixture, { "named", three->named.manifest.text, NULL },
		  { "loose", three->loose.manifest.text, NULL });
	image_unpack(fixture, &three->named);
	image_unpack(fixture, &three->loose);
	lease_put(fixture, "l", UL_KIND_BLOB, three->leased.manifest.text);
	note_scan(fixture, ul_clock_unix_s());
	INDEX_PUT(fixture, { "named", three->named.manifest.text, NULL });
	note_scan(fixture, ul_clock_unix_s());
}

static void three_expect(struct store_fixture *fixture,
			 const struct three *three, bool loose)
{
	assert_true(image_is_whole(fixture, &three->named));
	assert_true(layer_exists(fixture, image_top(&three->named)));
	assert_true(layer_exists(fixture, three->named.shared_diff_id));
	assert_true(image_is_whole(fixture, &three->leased));
	assert_int_equal(image_is_whole(fixture, &three->loose), loose);
	assert_int_equal(blob_exists(fixture, three->loose.layer), loose);
	assert_int_equal(layer_exists(fixture, image_top(&three->loose)),
			 loose);
}

static bool row_exists(struct store_fixture *fixture,
		       struct content_digest chain)
{
	struct ul_snapshots list = UL_SNAPSHOTS_INIT;
	struct ul_err err = UL_ERR_INIT;
	bool is_there;

	assert_int_equal(ul_snapshots_load(fixture->store, &list, &err), 0);
	is_there = ul_snapshots_find(&list, chain.text) != NULL;
	ul_snapshots_release(&list);
	return is_there;
}

static void test_I11__what_gc_would_take_goes_in_place(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct content_digest many;
	uint64_t before, after;
	struct three three;
	struct content_run how = { .now = true, .grace_s = HOUR_S };

	three_put(fixture, &three);
	many = many_put(fixture);
	fill(fixture);
	how.now_unix_s = three.now;
	before = content_du(fixture);
	if (content_collect(fixture, &how, &run, &err))
		fail_msg("%s", err.msg);
	after = content_du(fixture);
	three_expect(fixture, &three, false);
	assert_false(blob_exists(fixture, many));
	assert_true(run.freed_bytes >= MANY_BYTES);
	assert_int_equal(run.in_place_bytes, run.freed_bytes);
	assert_int_equal(run.planned_bytes, run.freed_bytes);
	assert_int_equal((int64_t)(before - after),
			 (int64_t)run.freed_bytes - run.overhead_delta_bytes);
	/* There was room for the rest. */
	assert_int_equal(run.stopped.code, 0);
	assert_true(run.run > 0);
	ul_run_release(&run);
	assert_false(row_exists(fixture, image_top(&three.loose)));
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
	assert_int_equal(trash_count(fixture), 0);
}

/* Nothing but the names' own content could make room for removing them. */
static void test_I11__names_stay_where_there_is_no_room(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct three three;
	struct ul_view view;
	struct content_run how = { .now = true, .rule = &everything };

	three_put(fixture, &three);
	fill(fixture);
	how.now_unix_s = three.now;
	if (content_collect(fixture, &how, &run, &err))
		fail_msg("%s", err.msg);
	assert_true(run.in_place_bytes > 0);
	assert_int_equal(run.run, 0);
	assert_int_not_equal(run.stopped.code, 0);
	assert_int_equal(run.removed, 0);
	assert_true(run.is_left);
	ul_run_release(&run);
	three_expect(fixture, &three, false);
	/* The record still has it: nothing could be written. */
	ul_embedded_closep(&fixture->store);
	assert_int_equal(unlink(fill_path(fixture)), 0);
	store_fixture_reopen(fixture);
	assert_true(row_exists(fixture, image_top(&three.loose)));
	view = content_scan(fixture, three.now);
	assert_int_equal(view.image_count, 1);
	assert_null(view.refusal);
	ul_view_release(&view);
	/* It is a deletion that has ended. */
	content_gc(fixture, three.now + 60, HOUR_S, false);
	assert_false(row_exists(fixture, image_top(&three.loose)));
	three_expect(fixture, &three, false);
}

static void expect_nothing(struct store_fixture *fixture,
			   const struct content_run *how, const char *why)
{
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_true(content_collect(fixture, how, &run, &err) < 0);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
}

static void test_I11__without_now_nothing_goes_in_place(void **state)
{
	struct store_fixture *fixture = *state;
	struct three three;
	struct content_run how = { .now = false };

	three_put(fixture, &three);
	fill(fixture);
	how.now_unix_s = three.now;
	expect_nothing(fixture, &how, "`ullage gc --now`");
	how.rule = &everything;
	expect_nothing(fixture, &how, "`ullage gc --now`");
	three_expect(fixture, &three, true);
}

static void test_I11__what_is_young_stays_in_place(void **state)
{
	struct store_fixture *fixture = *state;
	struct three three;
	struct content_run how = { .now = true, .grace_s = 3 * HOUR_S };

	three_put(fixture, &three);
	fill(fixture);
	how.now_unix_s = three.now;
	expect_nothing(fixture, &how, "without a record");
	three_expect(fixture, &three, true);
}

static void test_I11__an_unreadable_database_lets_nothing_go(void **state)
{
	struct store_fixture *fixture = *state;
	struct three three;
	struct content_run how = { .now = true };
	char keep[160], path[160];

	three_put(fixture, &three);
	ul_embedded_closep(&fixture->store);
	snprintf(path, sizeof path, "%s/ullage.db", fixture->state);
	snprintf(keep, sizeof keep, "%s/keep.db", fixture->top);
	tree_copy(path, keep);
	file_write(path, "SQLite format 3, but what follows is none");
	fill(fixture);
	how.now_unix_s = three.now;
	expect_nothing(fixture, &how, "leased or pinned cannot be read");
	how.rule = &everything;
	expect_nothing(fixture, &how, "leased or pinned cannot be read");
	ul_embedded_closep(&fixture->store);
	assert_int_equal(unlink(fill_path(fixture)), 0);
	tree_copy(keep, path);
	store_fixture_reopen(fixture);
	three_expect(fixture, &three, true);
}

/* A damaged index means unknown roots, here as elsewhere (I7). */
static void test_I11__a_damaged_index_lets_nothing_go(void **state)
{
	struct store_fixture *fixture = *state;
	struct three three;
	struct content_run how = { .now = true };

	three_put(fixture, &three);
	file_write(store_path(fixture, "oci/index.json"), "{\"manif");
	fill(fixture);
	how.now_unix_s = three.now;
	expect_nothing(fixture, &how, "index.json");
	three_expect(fixture, &three, true);
}

/* A process that was killed leaves the log, a restart of the machine no index
 * of it; there is no room for another. */
static void test_I11__a_lease_that_only_the_log_has_holds(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct three three;
	struct stat st;
	int status;
	pid_t child;
	struct content_run how = { .now = true };

	three_put(fixture, &three);
	many_put(fixture);
	ul_embedded_closep(&fixture->store);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		store_fixture_reopen(fixture);
		lease_put(fixture, "new", UL_KIND_BLOB,
			  three.loose.manifest.text);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(stat(store_path(fixture, "../ullage.db-wal"), &st), 0);
	assert_true(st.st_size > 0);
	assert_int_equal(unlink(store_path(fixture, "../ullage.db-shm")), 0);
	fill(fixture);
	how.now_unix_s = three.now;
	if (content_collect(fixture, &how, &run, &err))
		fail_msg("%s", err.msg);
	assert_true(run.in_place_bytes >= MANY_BYTES);
	ul_run_release(&run);
	assert_true(image_is_whole(fixture, &three.loose));
	assert_true(image_is_whole(fixture, &three.leased));
	assert_true(image_is_whole(fixture, &three.named));
}

/* The store as it was, and full again. */
static void put_back(struct store_fixture *fixture, const char *copy)
{
	char command[600];

	ul_embedded_closep(&fixture->store);
	snprintf(command, sizeof command,
		 "rm -rf %s/* && cp -a %s/. %s && rm -f %s/ullage.db-shm",
		 fixture->state, copy, fixture->state, fixture->state);
	assert_int_equal(system(command), 0);
	fill(fixture);
}

static void test_I11__without_memory_nothing_else_goes(void **state)
{
	struct store_fixture *fixture = *state;
	struct three three;
	struct content_run how = { .now = true };
	char copy[128];
	long n;
	int rc = UL_E_NOMEM;

	three_put(fixture, &three);
	ul_embedded_closep(&fixture->store);
	snprintf(copy, sizeof copy, "%s/copy", fixture->top);
	tree_copy(fixture->state, copy);
	how.now_unix_s = three.now;
	for (n = 0; rc; n += n / 16 + 1) {
		struct ul_run run = UL_RUN_INIT;
		struct ul_err err = UL_ERR_INIT;

		put_back(fixture, copy);
		ul_mem_countdown = n;
		rc = content_collect(fixture, &how, &run, &err);
		ul_mem_countdown = -1;
		if (!rc && run.stopped.code == UL_E_NOMEM)
			rc = UL_E_NOMEM;
		ul_run_release(&run);
		if (rc)
			assert_int_equal(rc, UL_E_NOMEM);
		assert_true(image_is_whole(fixture, &three.named));
		assert_true(layer_exists(fixture, image_top(&three.named)));
		assert_true(image_is_whole(fixture, &three.leased));
	}
	assert_true(n > 100);
	three_expect(fixture, &three, false);
}

#define FULL_DISK(name)                                                        \
	cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

static const struct CMUnitTest tests[] = {
	FULL_DISK(I11__what_gc_would_take_goes_in_place),
	FULL_DISK(I11__names_stay_where_there_is_no_room),
	FULL_DISK(I11__without_now_nothing_goes_in_place),
	FULL_DISK(I11__what_is_young_stays_in_place),
	FULL_DISK(I11__an_unreadable_database_lets_nothing_go),
	FULL_DISK(I11__a_damaged_index_lets_nothing_go),
	FULL_DISK(I11__a_lease_that_only_the_log_has_holds),
	FULL_DISK(I11__without_memory_nothing_else_goes),
};

int main(int argc, char **argv)
{
	return invariants_main(argc, argv, tests, ul_array_len(tests));
}
