#include "accounting/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/graph/graph.h"
#include "tests/lib/view_maker.h"

static struct ul_df df_of(const struct ul_view *view)
{
	struct ul_df df = UL_DF_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_df_build(view, &df, &err))
		fail_msg("%s", err.msg);
	return df;
}

/* All bytes of the view, added up without any class. */
static uint64_t bytes_of(const struct ul_view *view)
{
	uint64_t bytes = view->overhead_bytes;
	uint32_t i;

	for (i = 0; i < view->graph.node_count; i++)
		bytes += view->graph.nodes[i].weight_bytes;
	return bytes;
}

static void row_expect(const struct ul_df *df, enum ul_class class,
		       uint64_t objects, uint64_t allocated,
		       uint64_t reclaimable)
{
	const struct ul_class_row *row = &df->rows[class];

	if (row->object_count != objects || row->allocated_bytes != allocated ||
	    row->reclaimable_bytes != reclaimable)
		fail_msg("%s: %llu objects, %llu bytes, %llu reclaimable",
			 ul_class_name(class),
			 (unsigned long long)row->object_count,
			 (unsigned long long)row->allocated_bytes,
			 (unsigned long long)row->reclaimable_bytes);
}

static size_t snapshot(struct view_maker *maker, const char *key,
		       uint64_t bytes, uint32_t *ret)
{
	*ret = view_object(maker, UL_KIND_SNAPSHOT, key);
	return view_file(maker, *ret, bytes);
}

/* One thing in each class, and a layer that all of them refer to. */
static struct ul_view *view_fill(struct view_maker *maker)
{
	struct ul_view_image *image;
	uint32_t base, at, lease, live;
	size_t file;

	view_begin(maker);
	base = view_blob(maker, "base", 1 << 20);
	view_image(maker, "used", "used digest", &image);
	image->containers = 1;
	view_file(maker, image->target, 1);
	view_ref(maker, image->target, base, "layer 0");
	view_image(maker, "unused", "unused digest", &image);
	view_file(maker, image->target, 2);
	view_ref(maker, image->target, base, "layer 0");
	view_image(maker, "pinned", "pinned digest", &image);
	image->is_pinned = true;
	view_file(maker, image->target, 4);

	lease = view_lease(maker, "container", true, false, false);
	snapshot(maker, "writable", 8, &at);
	view_ref(maker, lease, at, "lease");
	view_ref(maker, at, base, "parent");
	lease = view_lease(maker, "plain", false, false, false);
	view_ref(maker, lease, view_blob(maker, "leased", 16), "lease");
	lease = view_lease(maker, "expired", true, true, false);
	view_ref(maker, lease, view_blob(maker, "known", 32), "lease");
	file = snapshot(maker, "live", 64, &live);
	maker->view.live_snapshots[maker->view.live_snapshot_count++] = live;
	(void)file;

	view_trash(maker, "trash/1-a/0", 128, VIEW_NOW + 100);
	file =
	    view_file(maker, view_object(maker, UL_KIND_INGEST, "ingest"), 256);
	maker->view.files[file].is_ingest = true;
	at = view_blob(maker, "never seen", 512);
	maker->view.record.objects[at].is_known = false;
	file = view_file(maker, view_object(maker, UL_KIND_FILE, "left"), 1024);
	maker->view.files[file].is_orphan = true;
	maker->view.overhead_bytes = 2048;
	maker->view.overhead_count = 3;
	return view_made(maker);
}

static void
test_classes__each_thing_is_in_the_first_that_reaches_it(void **state)
{
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);
	struct ul_df df = df_of(view);

	(void)state;
	row_expect(&df, UL_CLASS_IMAGES_IN_USE, 2, (1 << 20) + 1, 0);
	row_expect(&df, UL_CLASS_IMAGES_UNUSED, 2, 2 + 4, 2);
	row_expect(&df, UL_CLASS_CONTAINERS, 1, 8, 0);
	row_expect(&df, UL_CLASS_BUILD_CACHE, 0, 0, 0);
	row_expect(&df, UL_CLASS_TRASH, 1, 128, 128);
	row_expect(&df, UL_CLASS_LEASED, 2, 16 + 64, 0);
	row_expect(&df, UL_CLASS_INGESTS, 1, 256, 0);
	row_expect(&df, UL_CLASS_COLLECTABLE, 1, 32, 32);
	row_expect(&df, UL_CLASS_ORPHANED, 2, 512 + 1024, 0);
	row_expect(&df, UL_CLASS_OVERHEAD, 3, 2048, 0);
	assert_int_equal(df.allocated_bytes, bytes_of(view));
	ul_df_release(&df);
	ul_df_release(&df);
	ul_view_release(view);
}

static void test_classes__are_called_as_in_json(void **state)
{
	static const char *const names[] = {
		"images-in-use", "images-unused", "containers", "build-cache",
		"trash",         "leased",        "ingests",    "collectable",
		"orphaned",      "overhead",
	};
	int i;

	(void)state;
	for (i = 0; i < UL_CLASS_COUNT; i++)
		assert_string_equal(ul_class_name((enum ul_class)i), names[i]);
}

static void test_classes__a_shared_inode_is_in_the_first_class(void **state)
{
	struct ul_view_image *image;
	struct view_maker maker;
	struct ul_view *view;
	struct ul_df df;
	uint32_t at;
	size_t a, b, c;

	(void)state;
	view_begin(&maker);
	view_image(&maker, "unused", "digest", &image);
	a = view_file(&maker, image->target, 1);
	b = snapshot(&maker, "collectable", 2, &at);
	view_trash(&maker, "trash/1-a/0", 4, VIEW_NOW);
	c = 2;
	/* Image and garbage; garbage and trash; garbage and the outside. */
	view_link(&maker, a, 1, 2, 100);
	view_link(&maker, b, 1, 2, 100);
	view_link(&maker, b, 2, 2, 1000);
	view_link(&maker, c, 2, 2, 1000);
	view_link(&maker, b, 3, 2, 10000);
	view = view_made(&maker);
	df = df_of(view);
	row_expect(&df, UL_CLASS_IMAGES_UNUSED, 1, 101, 101);
	row_expect(&df, UL_CLASS_TRASH, 1, 1004, 1004);
	row_expect(&df, UL_CLASS_COLLECTABLE, 1, 10002, 2);
	assert_int_equal(df.allocated_bytes, bytes_of(view));
	ul_df_release(&df);
	ul_view_release(view);
}

static void test_classes__orphans_give_back_what_is_theirs_alone(void **state)
{
	struct view_maker maker;
	struct ul_view *view;
	struct ul_err err = UL_ERR_INIT;
	bool goes[64] = { false };
	struct ul_df df;
	uint32_t at;
	size_t a, b, c;

	(void)state;
	view_begin(&maker);
	a = snapshot(&maker, "collectable", 2, &at);
	b = view_file(&maker, view_object(&maker, UL_KIND_FILE, "goes"), 4);
	c = view_file(&maker, view_object(&maker, UL_KIND_FILE, "stays"), 8);
	/* Collectable and orphaned; an orphan that goes and one that stays. */
	view_link(&maker, a, 1, 2, 100);
	view_link(&maker, b, 1, 2, 100);
	view_link(&maker, b, 2, 2, 1000);
	view_link(&maker, c, 2, 2, 1000);
	maker.view.files[b].is_orphan = true;
	maker.view.files[c].is_orphan = true;
	view = view_made(&maker);
	for (at = 0; at < 2; at++)
		goes[view->files[at].object] = true;
	df = df_of(view);
	assert_int_equal(ul_df_take_orphans(view, goes, &df, &err), 0);
	row_expect(&df, UL_CLASS_COLLECTABLE, 1, 102, 102);
	row_expect(&df, UL_CLASS_ORPHANED, 2, 1012, 4);
	ul_df_release(&df);
	ul_view_release(view);
}

static void test_classes__packed_and_unpacked_are_what_they_are(void **state)
{
	struct ul_view_image *image;
	struct ul_record *record;
	struct view_maker maker;
	struct ul_view *view;
	struct ul_df df;
	uint32_t one, two, blob;
	size_t a, b;

	(void)state;
	view_begin(&maker);
	view_image(&maker, "app", "digest", &image);
	blob = view_blob(&maker, "layer", 4096);
	a = snapshot(&maker, "one", 10, &one);
	b = snapshot(&maker, "two", 20, &two);
	view_ref(&maker, image->target, blob, "layer 0");
	view_ref(&maker, image->target, two, "unpacked");
	view_ref(&maker, two, one, "parent");
	record = &maker.view.record;
	record->objects[blob].length_bytes = 4000;
	record->objects[one].measure.unpacked_bytes = 5;
	record->objects[two].measure.unpacked_bytes = 6;
	/* Once outside fs, then inside, then inside again: counts once. */
	view_link(&maker, a, 1, 3, 100);
	record->objects[one].measure.links[0].in_split = false;
	view_link(&maker, b, 1, 3, 100);
	view_trash(&maker, "trash/1-a/0", 7, VIEW_NOW);
	record->objects[maker.view.trash[0].object].length_bytes = 3;
	view = view_made(&maker);
	df = df_of(view);
	assert_int_equal(df.rows[UL_CLASS_IMAGES_UNUSED].packed_bytes, 4000);
	assert_int_equal(df.rows[UL_CLASS_IMAGES_UNUSED].unpacked_bytes,
			 5 + 6 + 100);
	/* It was a blob, so it is packed in the trash too. */
	assert_int_equal(df.rows[UL_CLASS_TRASH].packed_bytes, 3);
	ul_df_release(&df);
	ul_view_release(view);
}

static void
test_classes__unused_images_give_back_what_they_hold_together(void **state)
{
	struct ul_view_image *image;
	struct view_maker maker;
	struct ul_view *view;
	struct ul_df df;
	uint32_t shared, held;

	(void)state;
	view_begin(&maker);
	shared = view_blob(&maker, "shared", 1000);
	held = view_blob(&maker, "held", 10000);
	view_image(&maker, "a", "da", &image);
	view_file(&maker, image->target, 1);
	view_ref(&maker, image->target, shared, "layer 0");
	view_ref(&maker, image->target, held, "layer 1");
	view_image(&maker, "b:1", "db", &image);
	view_image(&maker, "b:2", "db", NULL);
	view_file(&maker, image->target, 2);
	view_ref(&maker, image->target, shared, "layer 0");
	view_ref(&maker, view_lease(&maker, "l", false, false, false), held,
		 "lease");
	view = view_made(&maker);
	df = df_of(view);
	row_expect(&df, UL_CLASS_IMAGES_UNUSED, 4, 11003, 1003);
	ul_df_release(&df);
	ul_view_release(view);
}

static void test_classes__without_memory_there_is_no_report(void **state)
{
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);
	struct ul_df df = UL_DF_INIT;
	struct ul_err err = UL_ERR_INIT;
	int rc = UL_E_NOMEM;
	long n;

	(void)state;
	for (n = 0; rc; n++) {
		ul_mem_countdown = n;
		rc = ul_df_build(view, &df, &err);
		ul_mem_countdown = -1;
		if (rc) {
			assert_int_equal(rc, UL_E_NOMEM);
			assert_null(df.class_of);
		}
	}
	assert_true(n > 4);
	assert_int_equal(df.allocated_bytes, bytes_of(view));
	ul_df_release(&df);
	ul_view_release(view);
}

int main(void)
{
#define CLASSES(name) cmocka_unit_test(test_classes__##name)
	const struct CMUnitTest tests[] = {
		CLASSES(each_thing_is_in_the_first_that_reaches_it),
		CLASSES(are_called_as_in_json),
		CLASSES(a_shared_inode_is_in_the_first_class),
		CLASSES(orphans_give_back_what_is_theirs_alone),
		CLASSES(packed_and_unpacked_are_what_they_are),
		CLASSES(unused_images_give_back_what_they_hold_together),
		CLASSES(without_memory_there_is_no_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
