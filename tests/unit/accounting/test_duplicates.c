#include "accounting/duplicates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounting/report.h"
#include "base/err.h"
#include "base/mem.h"
#include "tests/lib/view_maker.h"

static uint32_t layer(struct view_maker *maker, const char *key,
		      const char *diff_id, uint64_t bytes)
{
	uint32_t at = view_blob(maker, key, bytes);

	maker->view.record.objects[at].diff_id = diff_id;
	return at;
}

/* Three forms of one layer, two of another, one of a third. */
static struct ul_view *view_fill(struct view_maker *maker)
{
	struct ul_view_image *image;
	uint32_t at;

	view_begin(maker);
	layer(maker, "a zstd", "diff a", 100);
	layer(maker, "a gzip", "diff a", 120);
	layer(maker, "a plain", "diff a", 400);
	layer(maker, "b gzip", "diff b", 5000);
	at = layer(maker, "b zstd", "diff b", 3000);
	/* Its bytes hang on an inode that it shares. */
	maker->view.record.objects[at].measure.allocated_bytes = 0;
	view_link(maker, 4, 1, 2, 4000);
	layer(maker, "c", "diff c", 7000);
	view_blob(maker, "no layer", 10);
	view_blob(maker, "no layer either", 10);
	/* Known from a manifest, but not here. */
	at = view_object(maker, UL_KIND_BLOB, "c absent");
	maker->view.record.objects[at].diff_id = "diff c";
	/* The first form is in two images, the second in one, through more
	 * than one step; the third in none. */
	view_image(maker, "one", "d1", &image);
	view_platform(maker, image, image->target, "c1", "{}");
	view_ref(maker, image->target, 0, "layer 0");
	view_image(maker, "two", "d2", &image);
	at = view_blob(maker, "manifest", 1);
	view_ref(maker, image->target, at, "manifest 0");
	view_platform(maker, image, at, "c2", "{}");
	view_ref(maker, at, 0, "layer 0");
	view_ref(maker, at, 1, "layer 1");
	return view_made(maker);
}

static void test_duplicates__are_all_but_the_smallest(void **state)
{
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);
	struct ul_df df = UL_DF_INIT;
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	assert_int_equal(ul_duplicates_find(view, &df, &err), 0);
	assert_int_equal(df.duplicate_count, 2);
	assert_string_equal(df.duplicates[0].diff_id, "diff b");
	assert_int_equal(df.duplicates[0].extra_bytes, 5000);
	assert_int_equal(df.duplicates[0].blob_count, 2);
	assert_string_equal(
	    view->record.objects[df.duplicates[0].blobs[0].object].key,
	    "b zstd");
	assert_string_equal(df.duplicates[1].diff_id, "diff a");
	assert_int_equal(df.duplicates[1].extra_bytes, 520);
	assert_string_equal(
	    view->record.objects[df.duplicates[1].blobs[0].object].key,
	    "a zstd");
	assert_string_equal(
	    view->record.objects[df.duplicates[1].blobs[2].object].key,
	    "a plain");
	assert_int_equal(df.duplicate_layer_bytes, 5520);
	assert_int_equal(df.duplicates[1].blobs[0].image_count, 2);
	assert_int_equal(df.duplicates[1].blobs[0].images[0], 0);
	assert_int_equal(df.duplicates[1].blobs[0].images[1], 1);
	assert_int_equal(df.duplicates[1].blobs[1].image_count, 1);
	assert_int_equal(df.duplicates[1].blobs[1].images[0], 1);
	assert_int_equal(df.duplicates[1].blobs[2].image_count, 0);
	ul_df_release(&df);
	ul_view_release(view);
}

static void test_duplicates__there_may_be_none(void **state)
{
	struct view_maker maker;
	struct ul_view *view;
	struct ul_df df = UL_DF_INIT;
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	view_begin(&maker);
	view = view_made(&maker);
	assert_int_equal(ul_duplicates_find(view, &df, &err), 0);
	assert_int_equal(df.duplicate_count, 0);
	assert_int_equal(df.duplicate_layer_bytes, 0);
	ul_df_release(&df);
	ul_view_release(view);
}

static void test_duplicates__without_memory_are_not_told(void **state)
{
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);
	struct ul_df df = UL_DF_INIT;
	struct ul_err err = UL_ERR_INIT;
	int rc = UL_E_NOMEM;
	long n;

	(void)state;
	for (n = 0; rc; n++) {
		ul_df_release(&df);
		ul_mem_countdown = n;
		rc = ul_duplicates_find(view, &df, &err);
		ul_mem_countdown = -1;
		if (rc)
			assert_int_equal(rc, UL_E_NOMEM);
	}
	assert_true(n > 1);
	assert_int_equal(df.duplicate_layer_bytes, 5520);
	ul_df_release(&df);
	ul_view_release(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_duplicates__are_all_but_the_smallest),
		cmocka_unit_test(test_duplicates__there_may_be_none),
		cmocka_unit_test(test_duplicates__without_memory_are_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
