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
#include "tests/lib/view_maker.h"

static struct ul_image_rows rows_of(const struct ul_view *view)
{
	struct ul_image_rows rows = UL_IMAGE_ROWS_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_image_rows_build(view, &rows, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(rows.len, view->image_count);
	return rows;
}

static void row_expect(const struct ul_image_row *row, uint64_t packed,
		       uint64_t unpacked, uint64_t allocated, uint64_t unique)
{
	assert_int_equal(row->packed_bytes, packed);
	assert_int_equal(row->unpacked_bytes, unpacked);
	assert_int_equal(row->allocated_bytes, allocated);
	assert_int_equal(row->unique_bytes, unique);
	assert_int_equal(row->shared_bytes, allocated - unique);
}

/*
 * Two images on one base: a is unpacked and has two names; b has a second
 * platform that is not here, and an attestation.
 */
static struct ul_view *view_fill(struct view_maker *maker)
{
	struct ul_view_image *a, *b;
	uint32_t base, la, lb, top, below, manifest;

	view_begin(maker);
	base = view_blob(maker, "base", 1000);
	la = view_blob(maker, "la", 100);
	lb = view_blob(maker, "lb", 200);
	below = view_object(maker, UL_KIND_SNAPSHOT, "below");
	top = view_object(maker, UL_KIND_SNAPSHOT, "top");
	view_file(maker, below, 5000);
	view_file(maker, top, 6000);
	maker->view.record.objects[below].measure.unpacked_bytes = 4000;
	maker->view.record.objects[top].measure.unpacked_bytes = 5000;
	maker->view.record.objects[la].length_bytes = 99;
	view_ref(maker, top, below, "parent");

	view_image(maker, "a:1", "da", &a);
	view_image(maker, "a:2", "da", NULL);
	view_file(maker, a->target, 1);
	view_platform(maker, a, a->target, "ca", "{}");
	view_ref(maker, a->platforms[0].config, top, "unpacked");
	a->platforms[0].top_snapshot = top;
	view_ref(maker, a->target, base, "layer 0");
	view_ref(maker, a->target, la, "layer 1");

	view_image(maker, "b", "db", &b);
	view_file(maker, b->target, 2);
	manifest = view_blob(maker, "mb", 4);
	view_ref(maker, b->target, manifest, "manifest 0");
	view_platform(maker, b, manifest, "cb", "{}");
	view_ref(maker, manifest, base, "layer 0");
	view_ref(maker, manifest, lb, "layer 1");
	b->platforms[b->platform_count++] = (struct ul_view_platform){
		.platform = "linux/s390x",
		.manifest = view_object(maker, UL_KIND_BLOB, "absent"),
		.config = UL_OBJECT_NONE,
		.top_snapshot = UL_OBJECT_NONE,
	};
	b->platforms[b->platform_count++] = (struct ul_view_platform){
		.platform = "unknown",
		.manifest = view_blob(maker, "attestation", 8),
		.config = UL_OBJECT_NONE,
		.top_snapshot = UL_OBJECT_NONE,
		.is_attestation = true,
		.is_present = true,
	};
	view_ref(maker, b->target, b->platforms[2].manifest, "manifest 2");
	return view_made(maker);
}

static void test_images__say_what_each_holds(void **state)
{
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);
	struct ul_image_rows rows = rows_of(view);
	const struct ul_image_row *a = &rows.rows[0], *b = &rows.rows[1];

	(void)state;
	row_expect(a, 1 + 100 + 1000 + 99, 9000, 1 + 100 + 1000 + 100 + 11000,
		   1 + 100 + 100 + 11000);
	assert_int_equal(a->platform_count, 1);
	assert_int_equal(a->attestation_count, 0);
	assert_true(a->platforms[0].is_unpacked);
	assert_int_equal(a->platforms[0].unpacked_bytes, 9000);
	assert_string_equal(a->platforms[0].platform, "linux/amd64");
	assert_string_equal(a->platforms[0].manifest, "da");

	row_expect(b, 2 + 4 + 100 + 1000 + 200 + 8, 0,
		   2 + 4 + 100 + 1000 + 200 + 8, 2 + 4 + 100 + 200 + 8);
	assert_int_equal(b->platform_count, 2);
	assert_int_equal(b->attestation_count, 1);
	assert_false(b->platforms[0].is_unpacked);
	assert_int_equal(b->platforms[0].packed_bytes, 4 + 100 + 1000 + 200);
	assert_string_equal(b->platforms[1].platform, "linux/s390x");
	assert_int_equal(b->platforms[1].packed_bytes, 0);
	ul_image_rows_release(&rows);
	ul_image_rows_release(&rows);
	ul_view_release(view);
}

static void test_images__what_a_lease_holds_is_not_unique(void **state)
{
	struct ul_view_image *image;
	struct view_maker maker;
	struct ul_view *view;
	struct ul_image_rows rows;
	uint32_t layer, deep;

	(void)state;
	view_begin(&maker);
	view_image(&maker, "a", "d", &image);
	view_file(&maker, image->target, 1);
	layer = view_blob(&maker, "layer", 10);
	deep = view_blob(&maker, "deep", 100);
	view_ref(&maker, image->target, layer, "layer 0");
	view_ref(&maker, layer, deep, "layer 0");
	view_ref(&maker, view_lease(&maker, "flat", false, false, true), layer,
		 "lease");
	/* One that has expired holds nothing. */
	view_ref(&maker, view_lease(&maker, "old", false, true, false), deep,
		 "lease");
	view = view_made(&maker);
	rows = rows_of(view);
	row_expect(&rows.rows[0], 111, 0, 111, 101);
	ul_image_rows_release(&rows);
	ul_view_release(view);
}

/* The name stays a way to the image when it is no root itself any more. */
static void test_images__what_a_lease_holds_by_name_is_not_unique(void **state)
{
	struct ul_view_image *image;
	struct view_maker maker;
	struct ul_view *view;
	struct ul_image_rows rows;
	uint32_t lease;

	(void)state;
	view_begin(&maker);
	view_image(&maker, "a", "d", &image);
	view_file(&maker, image->target, 1);
	lease = view_lease(&maker, "lease", false, false, false);
	view_ref(&maker, lease, image->names[0], "lease");
	view_image(&maker, "b", "e", &image);
	view_file(&maker, image->target, 10);
	view = view_made(&maker);
	rows = rows_of(view);
	assert_int_equal(rows.rows[0].allocated_bytes, 1);
	assert_int_equal(rows.rows[0].unique_bytes, 0);
	assert_int_equal(rows.rows[1].unique_bytes, 10);
	ul_image_rows_release(&rows);
	ul_view_release(view);
}

static void
test_images__hard_links_count_once_and_outside_ones_stay(void **state)
{
	struct ul_view_image *image;
	struct view_maker maker;
	struct ul_view *view;
	struct ul_image_rows rows;
	uint32_t one, two;
	size_t a, b;

	(void)state;
	view_begin(&maker);
	view_image(&maker, "a", "d", &image);
	view_file(&maker, image->target, 1);
	one = view_object(&maker, UL_KIND_SNAPSHOT, "one");
	two = view_object(&maker, UL_KIND_SNAPSHOT, "two");
	a = view_file(&maker, one, 10);
	b = view_file(&maker, two, 20);
	view_ref(&maker, image->target, two, "unpacked");
	view_ref(&maker, two, one, "parent");
	view_link(&maker, a, 1, 2, 100);
	view_link(&maker, b, 1, 2, 100);
	view_link(&maker, b, 2, 2, 1000);
	view = view_made(&maker);
	rows = rows_of(view);
	row_expect(&rows.rows[0], 1, 1100, 1131, 131);
	ul_image_rows_release(&rows);
	ul_view_release(view);
}

#define SUBJECT                                                                \
	"sha256:"                                                              \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"       \
	"aa"
#define SIG                                                                    \
	"x/y:sha256-"                                                          \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.sig"

static void test_images__what_follows_a_subject_counts_with_it(void **state)
{
	struct ul_view_image *subject, *sig;
	struct view_maker maker;
	struct ul_view *view;
	struct ul_image_rows rows;

	(void)state;
	view_begin(&maker);
	view_image(&maker, "y", SUBJECT, &subject);
	view_file(&maker, subject->target, 1);
	view_image(&maker, SIG, "sig", &sig);
	view_file(&maker, sig->target, 10);
	view = view_made(&maker);
	rows = rows_of(view);
	assert_int_equal(rows.rows[0].unique_bytes, 11);
	assert_int_equal(rows.rows[1].unique_bytes, 10);
	ul_image_rows_release(&rows);
	view->images[1].is_pinned = true;
	rows = rows_of(view);
	assert_int_equal(rows.rows[0].unique_bytes, 1);
	ul_image_rows_release(&rows);
	ul_view_release(view);
}

static void test_images__without_memory_there_are_no_rows(void **state)
{
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);
	struct ul_image_rows rows = UL_IMAGE_ROWS_INIT;
	struct ul_err err = UL_ERR_INIT;
	int rc = UL_E_NOMEM;
	long n;

	(void)state;
	for (n = 0; rc; n++) {
		ul_mem_countdown = n;
		rc = ul_image_rows_build(view, &rows, &err);
		ul_mem_countdown = -1;
		if (rc) {
			assert_int_equal(rc, UL_E_NOMEM);
			assert_null(rows.rows);
		}
	}
	assert_true(n > 5);
	assert_int_equal(rows.rows[0].unpacked_bytes, 9000);
	ul_image_rows_release(&rows);
	ul_view_release(view);
}

int main(void)
{
#define IMAGES(name) cmocka_unit_test(test_images__##name)
	const struct CMUnitTest tests[] = {
		IMAGES(say_what_each_holds),
		IMAGES(what_a_lease_holds_is_not_unique),
		IMAGES(what_a_lease_holds_by_name_is_not_unique),
		IMAGES(hard_links_count_once_and_outside_ones_stay),
		IMAGES(what_follows_a_subject_counts_with_it),
		IMAGES(without_memory_there_are_no_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
