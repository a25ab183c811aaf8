/*
 * gc/INVARIANTS.md: I4, I5, I6. What a plan says: that it is what is done, that
 * its bytes are those of du, and that it ends where the roots have changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/lease.h"
#include "store/embedded/store.h"
#include "tests/unit/gc/invariants.h"

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
	store_fixture_reopen(fixture);
	stray = blob_put(fixture, "stray");
	content_gc(fixture, ul_clock_unix_s() + 1, HOUR_S, false);
	ul_embedded_closep(&fixture->store);
	snprintf(fill, sizeof fill, "%s/fill", fixture->state);
	fd = open(fill, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	memset(bytes, 'x', sizeof bytes);
	while (write(fd, bytes, sizeof bytes) > 0)
		continue;
	close(fd);

	store_fixture_reopen(fixture);
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

static const struct CMUnitTest tests[] = {
	INVARIANT(I4__a_dry_run_says_what_a_real_one_does),
	INVARIANT(I4__a_saved_plan_is_carried_out_exactly),
	INVARIANT(I4__a_saved_plan_that_no_longer_fits_is_refused),
	INVARIANT(I5__freed_bytes_are_what_du_says),
	INVARIANT(I5__trashed_bytes_come_back_when_they_are_due),
	INVARIANT(I5__a_full_disk_is_reported_and_freed),
	INVARIANT(I6__a_name_after_the_plan_ends_a_prune),
	INVARIANT(I6__a_name_after_the_plan_keeps_what_gc_would_take),
};

int main(int argc, char **argv)
{
	return invariants_main(argc, argv, tests, ul_array_len(tests));
}
