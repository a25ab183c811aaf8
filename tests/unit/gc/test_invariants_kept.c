/*
 * gc/INVARIANTS.md: I1, I2, I8, I9, I10. What stays: what roots reach, what is
 * new, what is not ours, what is pinned, used or mounted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/db/stmt.h"
#include "store/embedded/store.h"
#include "tests/unit/gc/invariants.h"

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
	struct ul_store *store = &fixture->store->base;
	struct ul_err err = UL_ERR_INIT;
	struct ul_view view;
	uint32_t name;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	view = content_scan(fixture, now);
	name = ul_record_find(&view.record, UL_KIND_IMAGE, "", "", "app");
	assert_int_equal(ul_embedded_lock(fixture->store, &err), 0);
	assert_int_equal(
	    store->ops->remove_roots(store, &view, &name, 1, NULL, &err), 0);
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

static const struct CMUnitTest tests[] = {
	INVARIANT(I1__what_a_root_reaches_stays),
	INVARIANT(I1__what_is_needed_again_comes_back_even_with_now),
	INVARIANT(I1__a_manifest_of_another_algorithm_keeps_its_blobs),
	INVARIANT(I2__what_is_new_stays_for_the_grace_period),
	INVARIANT(I2__a_name_that_vanishes_keeps_its_content),
	INVARIANT(I2__what_a_young_thing_refers_to_stays),
	INVARIANT(I2__what_is_written_anew_is_new),
	INVARIANT(I2__a_clock_set_back_makes_nothing_older),
	INVARIANT(I8__what_is_not_ours_is_never_touched),
	INVARIANT(I8__leftovers_of_others_stay_for_a_day),
	INVARIANT(I8__a_leftover_stays_while_a_file_in_it_is_used),
	INVARIANT(I9__pinned_and_used_images_are_declined),
	INVARIANT(I10__what_is_mounted_stays_with_what_it_stands_on),
	INVARIANT(I10__what_is_mounted_after_the_plan_stays_too),
	INVARIANT(I10__a_bind_mount_counts_too),
};

int main(int argc, char **argv)
{
	return invariants_main(argc, argv, tests, ul_array_len(tests));
}
