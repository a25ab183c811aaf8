/* What a scan makes of the index: names, entries without one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "gc/policy.h"
#include "store/embedded/store.h"
#include "tests/unit/embedded/scan_fixture.h"

static void test_scan__names_vanish_and_come_back(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	int64_t now = scan_start();
	const struct ul_name *name;
	struct ul_view view;

	INDEX_PUT(fixture, { "app:1", app.manifest.text, NULL });
	view = content_scan(fixture, now);
	assert_true(is_reachable(&view, app.layer));
	assert_int_equal(view.note_count, 0);
	ul_view_release(&view);

	index_put(fixture, NULL, 0);
	view = content_scan(fixture, now + 10);
	assert_int_equal(view.image_count, 0);
	assert_false(is_reachable(&view, app.layer));
	assert_int_equal(
	    object_of(&view, UL_KIND_BLOB, app.layer.text)->reachable_unix_s,
	    now + 10);
	assert_true(object_of(&view, UL_KIND_BLOB, app.layer.text)->is_known);
	assert_true(has_note(&view, "name app:1 vanished"));
	ul_view_release(&view);

	INDEX_PUT(fixture, { "app:1", app.manifest.text, NULL });
	view = content_scan(fixture, now + 20);
	name = ul_record_find_name(&view.record, "", "app:1");
	assert_non_null(name);
	assert_int_equal(name->vanished_unix_s, 0);
	assert_true(is_reachable(&view, app.layer));
	assert_int_equal(view.note_count, 0);
	ul_view_release(&view);
}

static void test_scan__a_moved_name_leaves_its_old_digest_behind(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image old = image_put(fixture, "old", "base");
	struct content_image new = image_put(fixture, "new", "base");
	int64_t now = scan_start();
	struct ul_view view;

	INDEX_PUT(fixture, { "app", old.manifest.text, NULL });
	note_scan(fixture, now);
	INDEX_PUT(fixture, { "app", new.manifest.text, NULL });
	view = content_scan(fixture, now + 1);
	assert_int_equal(view.image_count, 1);
	assert_false(is_reachable(&view, old.layer));
	assert_true(is_reachable(&view, old.shared));
	assert_true(is_reachable(&view, new.layer));
	assert_string_equal(
	    ul_record_find_name(&view.record, "", "app")->digest,
	    new.manifest.text);
	assert_true(ul_record_was_named(&view.record, old.manifest.text));
	ul_view_release(&view);

	/* As skopeo leaves it: the old entry stays, without its name. */
	INDEX_PUT(fixture, { NULL, old.manifest.text, NULL },
		  { "app", new.manifest.text, NULL });
	view = content_scan(fixture, now + 2);
	assert_true(scan_image(&view, old.manifest)->is_nameless);
	assert_true(scan_image(&view, old.manifest)->is_dangling);
	assert_false(scan_image(&view, new.manifest)->is_nameless);
	assert_true(is_reachable(&view, old.layer));
	ul_view_release(&view);
}

/* The names of a view's images, in order, in one line. */
static const char *names_of(const struct ul_view *view)
{
	static char line[256];
	size_t i, n;

	line[0] = '\0';
	for (i = 0; i < view->image_count; i++) {
		for (n = 0; n < view->images[i].name_count; n++) {
			uint32_t name = view->images[i].names[n];

			snprintf(line + strlen(line),
				 sizeof line - strlen(line), "%.12s ",
				 view->record.objects[name].key);
		}
	}
	return line;
}

static void test_scan__an_index_that_is_recorded_says_the_same(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", "base");
	struct content_image nameless = image_put(fixture, "nameless", "base");
	int64_t now = scan_start();
	struct ul_view view;
	char names[256];
	int i;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL },
		  { NULL, nameless.manifest.text, NULL },
		  { "also", app.manifest.text, NULL });
	view = content_scan(fixture, now);
	assert_int_not_equal(view.record.index_hash, 0);
	strcpy(names, names_of(&view));
	assert_int_equal(view.image_count, 2);
	ul_view_release(&view);
	for (i = 1; i < 3; i++) {
		view = content_scan(fixture, now + i);
		assert_int_equal(view.record.index_hash, view.roots_stamp.hash);
		assert_string_equal(names_of(&view), names);
		assert_true(is_reachable(&view, app.layer));
		assert_true(is_reachable(&view, nameless.layer));
		assert_true(scan_image(&view, nameless.manifest)->is_nameless);
		ul_view_release(&view);
	}
	/* As long as before, and another. */
	INDEX_PUT(fixture, { "apq", app.manifest.text, NULL },
		  { NULL, nameless.manifest.text, NULL },
		  { "also", app.manifest.text, NULL });
	view = content_scan(fixture, now + 4);
	assert_null(strstr(names_of(&view), "app"));
	assert_non_null(strstr(names_of(&view), "apq"));
	ul_view_release(&view);
}

/* What no reading has seen: the name left the index, and is in it again. */
static void test_scan__a_recorded_index_that_came_back_is_read(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	int64_t now = scan_start();
	struct ul_view view;
	uint32_t name;
	struct ul_err err = UL_ERR_INIT;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	view = content_scan(fixture, now);
	name = ul_record_find(&view.record, UL_KIND_IMAGE, "", "", "app");
	assert_int_equal(
	    fixture->store->base.ops->lock(&fixture->store->base, &err), 0);
	assert_int_equal(
	    fixture->store->base.ops->remove_roots(&fixture->store->base, &view,
						   &name, 1, NULL, &err),
	    0);
	ul_embedded_unlock(fixture->store);
	ul_view_release(&view);
	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	view = content_scan(fixture, now + 1);
	assert_int_equal(
	    ul_record_find_name(&view.record, "", "app")->vanished_unix_s, 0);
	assert_true(is_reachable(&view, app.layer));
	assert_int_equal(view.note_count, 0);
	ul_view_release(&view);
}

static void
test_scan__entries_that_never_had_a_name_are_no_dangling(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	struct ul_view view;

	INDEX_PUT(fixture, { NULL, app.manifest.text, NULL });
	view = content_scan(fixture, scan_start());
	assert_int_equal(view.image_count, 1);
	assert_true(view.images[0].is_nameless);
	assert_false(view.images[0].is_dangling);
	assert_true(is_reachable(&view, app.layer));
	ul_view_release(&view);
}

static void test_scan__a_name_like_its_digest_is_a_name(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	const struct ul_rule rule = { .untagged = true };
	struct content_run how = { .grace_s = HOUR_S, .rule = &rule };
	char key[UL_DIGEST_TEXT_MAX + 1];
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	int64_t now = scan_start();
	struct ul_view view;

	snprintf(key, sizeof key, "=%s", app.manifest.text);
	INDEX_PUT(fixture, { app.manifest.text, app.manifest.text, NULL },
		  { NULL, app.manifest.text, NULL });
	view = content_scan(fixture, now);
	assert_int_equal(view.image_count, 1);
	assert_int_equal(view.images[0].name_count, 2);
	assert_false(view.images[0].is_nameless);
	object_of(&view, UL_KIND_IMAGE, key);
	object_of(&view, UL_KIND_IMAGE, app.manifest.text);
	assert_non_null(ul_record_find_name(&view.record, "", key));
	ul_view_release(&view);

	/* The entry without a name goes alone. */
	how.now_unix_s = now + 1;
	if (content_collect(fixture, &how, &run, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(run.removed, 1);
	ul_run_release(&run);
	view = content_scan(fixture, now + 2);
	assert_int_equal(view.images[0].name_count, 1);
	object_of(&view, UL_KIND_IMAGE, key);
	assert_true(is_reachable(&view, app.layer));
	ul_view_release(&view);

	/* And the other one is remembered when it vanishes. */
	index_put(fixture, NULL, 0);
	view = content_scan(fixture, now + 3);
	assert_true(has_note(&view, key));
	ul_view_release(&view);
}

static void test_scan__one_name_on_many_digests_keeps_them_all(void **state)
{
	enum { COUNT = 12 };
	struct store_fixture *fixture = *state;
	struct content_image images[COUNT];
	struct content_entry entries[COUNT];
	int64_t now = scan_start(), stamp;
	struct ul_view view;
	char seed[16];
	size_t i;

	for (i = 0; i < COUNT; i++) {
		snprintf(seed, sizeof seed, "seed %zu", i);
		images[i] = image_put(fixture, seed, NULL);
		entries[i] =
		    (struct content_entry){ "same", images[i].manifest.text,
					    NULL };
	}
	index_put(fixture, entries, COUNT);
	stamp = scan_db_stamp(fixture);
	view = content_scan(fixture, now);
	assert_int_equal(view.image_count, COUNT);
	for (i = 0; i < COUNT; i++)
		assert_true(is_reachable(&view, images[i].layer));
	/* The first is what the name stands for. */
	assert_string_equal(
	    ul_record_find_name(&view.record, "", "same")->digest,
	    images[0].manifest.text);
	ul_view_release(&view);
	assert_int_not_equal(scan_db_stamp(fixture), stamp);
	stamp = scan_db_stamp(fixture);
	note_scan(fixture, now);
	assert_int_equal(scan_db_stamp(fixture), stamp);
}

int main(void)
{
#define SCAN(name)                                                             \
	cmocka_unit_test_setup_teardown(test_scan__##name,                     \
					store_fixture_setup_open,              \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		SCAN(names_vanish_and_come_back),
		SCAN(a_moved_name_leaves_its_old_digest_behind),
		SCAN(an_index_that_is_recorded_says_the_same),
		SCAN(a_recorded_index_that_came_back_is_read),
		SCAN(entries_that_never_had_a_name_are_no_dangling),
		SCAN(a_name_like_its_digest_is_a_name),
		SCAN(one_name_on_many_digests_keeps_them_all),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
