#include "gc/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "tests/lib/view_maker.h"

enum { HOUR_S = 3600 };

static struct ul_plan plan_of(struct ul_view *view,
			      const struct ul_plan_request *request)
{
	struct ul_plan plan = UL_PLAN_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_plan_build(view, request, &plan, &err))
		fail_msg("%s", err.msg);
	return plan;
}

static const struct ul_plan_item *item_in(const struct ul_plan_items *items,
					  const char *key)
{
	size_t i;

	for (i = 0; i < items->len; i++) {
		if (!strcmp(items->items[i].key, key))
			return &items->items[i];
	}
	return NULL;
}

/* The keys of a list, joined; a buffer of its own for each of four calls. */
static const char *keys_of(const struct ul_plan_items *items)
{
	static char texts[4][512];
	static unsigned turn;
	char *text = texts[turn++ % 4];
	size_t i;

	*text = '\0';
	for (i = 0; i < items->len; i++) {
		if (i)
			strcat(text, " ");
		strcat(text, items->items[i].key);
	}
	return text;
}

static uint64_t sum_of(const struct ul_plan_items *items)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < items->len; i++)
		sum += items->items[i].allocated_bytes;
	return sum;
}

/* Two images that share a layer, and something that nothing names. */
struct shared_layer {
	uint32_t a, b, a_layer, b_layer, base, stray;
};

static struct ul_view *view_shared(struct view_maker *maker,
				   struct shared_layer *ret)
{
	struct ul_view_image *image;

	view_begin(maker);
	ret->a = view_image(maker, "a", "ma", &image);
	view_file(maker, image->target, 1);
	ret->base = view_blob(maker, "base", 1000);
	ret->a_layer = view_blob(maker, "la", 100);
	view_ref(maker, image->target, ret->base, "layer 0");
	view_ref(maker, image->target, ret->a_layer, "layer 1");
	ret->b = view_image(maker, "b", "mb", &image);
	view_file(maker, image->target, 2);
	ret->b_layer = view_blob(maker, "lb", 200);
	view_ref(maker, image->target, ret->base, "layer 0");
	view_ref(maker, image->target, ret->b_layer, "layer 1");
	ret->stray = view_blob(maker, "stray", 5000);
	return view_made(maker);
}

static void test_plan__gc_takes_what_nothing_reaches(void **state)
{
	const struct ul_plan_request request = { .grace_s = HOUR_S };
	struct shared_layer at;
	struct view_maker maker;
	struct ul_view *view = view_shared(&maker, &at);
	struct ul_plan plan = plan_of(view, &request);

	(void)state;
	assert_int_equal(plan.remove.len, 0);
	assert_string_equal(keys_of(&plan.collect), "stray");
	assert_int_equal(plan.declined.len, 0);
	assert_int_equal(plan.freed_bytes, 5000);
	assert_int_equal(plan.now_bytes, 0);
	assert_int_equal(plan.collect.items[0].trash, SIZE_MAX);
	assert_int_equal(plan.collect.items[0].object, at.stray);
	ul_plan_release(&plan);
	ul_plan_release(&plan);
	ul_view_release(view);
}

static void test_plan__what_an_image_shares_stays_for_the_other(void **state)
{
	const char *const patterns[] = { "a", "b" };
	struct ul_rule rule = { .patterns = patterns, .pattern_count = 1 };
	const struct ul_plan_request request = { .rule = &rule,
						 .grace_s = HOUR_S };
	struct shared_layer at;
	struct view_maker maker;
	struct ul_view *view = view_shared(&maker, &at);
	struct ul_plan plan = plan_of(view, &request);

	(void)state;
	assert_string_equal(keys_of(&plan.remove), "a");
	assert_string_equal(plan.remove.items[0].digest, "ma");
	assert_string_equal(plan.remove.items[0].reason, "named");
	assert_string_equal(keys_of(&plan.collect), "ma la stray");
	assert_int_equal(plan.freed_bytes, 5101);
	ul_plan_release(&plan);
	rule.pattern_count = 2;
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.collect), "ma base la mb lb stray");
	assert_int_equal(plan.freed_bytes, 6303);
	assert_int_equal(sum_of(&plan.collect), 6303);
	ul_plan_release(&plan);
	ul_view_release(view);
}

static void test_plan__what_is_young_stays_with_what_it_refers_to(void **state)
{
	struct ul_plan_request request = { .grace_s = HOUR_S };
	struct view_maker maker;
	struct ul_view *view;
	struct ul_plan plan;
	uint32_t young, old, deep, seen, released;

	(void)state;
	view_begin(&maker);
	deep = view_blob(&maker, "deep", 1);
	old = view_blob(&maker, "old", 2);
	young = view_blob(&maker, "young", 4);
	seen = view_blob(&maker, "seen", 8);
	released = view_blob(&maker, "released", 16);
	view_blob(&maker, "other", 32);
	view_ref(&maker, young, old, "layer 0");
	view_ref(&maker, old, deep, "layer 0");
	maker.view.files[2].newest_unix_s = VIEW_NOW - HOUR_S;
	maker.view.record.objects[seen].reachable_unix_s =
	    VIEW_NOW - HOUR_S + 10;
	maker.view.record.objects[released].reachable_unix_s = VIEW_NOW - 1;
	maker.view.record.objects[released].is_released = true;
	view = view_made(&maker);

	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.collect), "released other");
	assert_string_equal(keys_of(&plan.declined), "young seen");
	assert_int_equal(plan.declined.items[0].not_before_unix_s,
			 VIEW_NOW + 1);
	assert_string_equal(plan.declined.items[0].reason,
			    "too young, may go from 2026-11-18T11:06:41Z");
	assert_int_equal(plan.declined.items[1].not_before_unix_s,
			 VIEW_NOW + 11);
	ul_plan_release(&plan);

	request.grace_s = HOUR_S - 1;
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.declined), "seen");
	ul_plan_release(&plan);
	request.grace_s = 0;
	plan = plan_of(view, &request);
	assert_int_equal(plan.declined.len, 0);
	assert_int_equal(plan.freed_bytes, 63);
	assert_int_equal(plan.now_bytes, 63);
	ul_plan_release(&plan);
	ul_view_release(view);
}

static void test_plan__what_it_releases_itself_has_no_grace(void **state)
{
	const struct ul_rule rule = { .all = true };
	const struct ul_plan_request request = { .rule = &rule,
						 .grace_s = HOUR_S };
	struct shared_layer at;
	struct view_maker maker;
	struct ul_view *view = view_shared(&maker, &at);
	struct ul_plan plan;
	size_t i;

	(void)state;
	for (i = 0; i < view->file_count; i++)
		view->files[i].newest_unix_s = VIEW_NOW;
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.collect), "ma base la mb lb");
	assert_string_equal(keys_of(&plan.declined), "stray");
	ul_plan_release(&plan);
	ul_view_release(view);
}

static void test_plan__pinned_and_used_ones_are_declined(void **state)
{
	const char *const patterns[] = { "*" };
	const struct ul_rule rule = { .patterns = patterns,
				      .pattern_count = 1 };
	const struct ul_plan_request request = { .rule = &rule };
	struct shared_layer at;
	struct view_maker maker;
	struct ul_view *view = view_shared(&maker, &at);
	struct ul_plan plan;

	(void)state;
	view->images[0].is_pinned = true;
	view->images[1].containers = 1;
	plan = plan_of(view, &request);
	assert_int_equal(plan.remove.len, 0);
	assert_string_equal(keys_of(&plan.declined), "a b");
	assert_string_equal(plan.declined.items[0].reason, "pinned");
	assert_string_equal(keys_of(&plan.collect), "stray");
	ul_plan_release(&plan);
	ul_view_release(view);
}

static void test_plan__what_is_mounted_stays_with_its_parents(void **state)
{
	const struct ul_plan_request request = { .now = true };
	struct view_maker maker;
	struct ul_view *view;
	struct ul_plan plan;
	uint32_t top, middle, bottom, other;

	(void)state;
	view_begin(&maker);
	bottom = view_object(&maker, UL_KIND_SNAPSHOT, "bottom");
	middle = view_object(&maker, UL_KIND_SNAPSHOT, "middle");
	top = view_object(&maker, UL_KIND_SNAPSHOT, "top");
	other = view_object(&maker, UL_KIND_SNAPSHOT, "other");
	view_ref(&maker, middle, bottom, "parent");
	view_ref(&maker, top, middle, "parent");
	view_ref(&maker, other, bottom, "parent");
	view_file(&maker, bottom, 1);
	maker.view.files[view_file(&maker, middle, 2)].is_mounted = true;
	view_file(&maker, top, 4);
	view_file(&maker, other, 8);
	view = view_made(&maker);
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.collect), "top other");
	assert_string_equal(keys_of(&plan.declined), "middle");
	assert_string_equal(plan.declined.items[0].reason, "mounted");
	ul_plan_release(&plan);
	ul_view_release(view);
}

/* I10: unknown is kept, until a person says so. */
static void test_plan__what_may_be_mounted_stays_unless_exclusive(void **state)
{
	struct ul_plan_request request = { .now = true };
	struct view_maker maker;
	struct ul_view *view;
	struct ul_plan plan;
	uint32_t mounted, hidden, under;

	(void)state;
	view_begin(&maker);
	under = view_object(&maker, UL_KIND_SNAPSHOT, "under");
	hidden = view_object(&maker, UL_KIND_SNAPSHOT, "hidden");
	mounted = view_object(&maker, UL_KIND_SNAPSHOT, "mounted");
	view_ref(&maker, hidden, under, "parent");
	view_file(&maker, under, 1);
	maker.view.files[view_file(&maker, hidden, 2)].may_be_mounted = true;
	maker.view.files[view_file(&maker, mounted, 4)].is_mounted = true;
	view_blob(&maker, "blob", 8);
	view = view_made(&maker);
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.collect), "blob");
	assert_string_equal(keys_of(&plan.declined), "hidden mounted");
	assert_non_null(strstr(plan.declined.items[0].reason, "may be"));
	ul_plan_release(&plan);
	request.is_exclusive = true;
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.collect), "under hidden blob");
	assert_string_equal(keys_of(&plan.declined), "mounted");
	ul_plan_release(&plan);
	ul_view_release(view);
}

static void test_plan__shared_inodes_are_counted_once(void **state)
{
	const struct ul_plan_request request = { .now = true };
	struct view_maker maker;
	struct ul_view_image *image;
	struct ul_view *view;
	struct ul_plan plan;
	size_t a, b, c;

	(void)state;
	view_begin(&maker);
	view_image(&maker, "kept", "kept digest", &image);
	c = view_file(&maker, image->target, 1000);
	a = view_file(&maker, view_object(&maker, UL_KIND_SNAPSHOT, "a"), 1);
	b = view_file(&maker, view_object(&maker, UL_KIND_SNAPSHOT, "b"), 2);
	/* Between the two; with what is kept; with the outside. */
	view_link(&maker, a, 1, 2, 4);
	view_link(&maker, b, 1, 2, 4);
	view_link(&maker, b, 2, 2, 8);
	view_link(&maker, c, 2, 2, 8);
	view_link(&maker, a, 3, 2, 16);
	view = view_made(&maker);
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.collect), "a b");
	assert_int_equal(plan.collect.items[0].allocated_bytes, 5);
	assert_int_equal(plan.collect.items[1].allocated_bytes, 2);
	assert_int_equal(plan.freed_bytes, 7);
	ul_plan_release(&plan);
	ul_view_release(view);
}

static void test_plan__trash_goes_when_it_is_due_or_now(void **state)
{
	struct ul_plan_request request = { .grace_s = HOUR_S };
	struct view_maker maker;
	struct ul_view *view;
	struct ul_plan plan;

	(void)state;
	view_begin(&maker);
	view_trash(&maker, "trash/1-a/0", 1, VIEW_NOW);
	view_trash(&maker, "trash/1-a/1", 2, VIEW_NOW + 1);
	view_trash(&maker, "trash/1-a/2", 4, VIEW_NOW)->is_wanted = true;
	view_blob(&maker, "stray", 8);
	/* The one that waits holds an inode of the one that goes. */
	view_link(&maker, 0, 1, 3, 16);
	view_link(&maker, 1, 1, 3, 16);
	view_link(&maker, 3, 1, 3, 16);
	view = view_made(&maker);
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.collect), "trash/1-a/0 stray");
	assert_int_equal(plan.collect.items[0].trash, 0);
	assert_int_equal(plan.freed_bytes, 9);
	assert_int_equal(plan.now_bytes, 1);
	ul_plan_release(&plan);
	request.now = true;
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.collect),
			    "trash/1-a/0 trash/1-a/1 stray");
	assert_int_equal(plan.freed_bytes, 1 + 2 + 8 + 16);
	assert_int_equal(plan.now_bytes, plan.freed_bytes);
	ul_plan_release(&plan);
	ul_view_release(view);
}

static void test_plan__leases_keep_until_they_expire(void **state)
{
	const struct ul_plan_request request = { .now = true };
	struct view_maker maker;
	struct ul_view *view;
	struct ul_plan plan;
	uint32_t lease, flat, expired, manifest, layer;

	(void)state;
	view_begin(&maker);
	layer = view_blob(&maker, "layer", 1);
	manifest = view_blob(&maker, "manifest", 2);
	view_ref(&maker, manifest, layer, "layer 0");
	lease = view_lease(&maker, "lease", false, false, false);
	view_ref(&maker, lease, manifest, "lease");
	expired = view_lease(&maker, "expired", false, true, false);
	view_ref(&maker, expired, view_blob(&maker, "lost", 4), "lease");
	/* A flat one keeps the thing alone. */
	manifest = view_blob(&maker, "flat manifest", 8);
	view_ref(&maker, manifest, view_blob(&maker, "flat layer", 16),
		 "layer 0");
	flat = view_lease(&maker, "flat", false, false, true);
	view_ref(&maker, flat, manifest, "lease");
	maker.view.files[2].is_ingest = false;
	view = view_made(&maker);
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.collect), "lost flat layer expired");
	assert_int_equal(plan.freed_bytes, 20);
	assert_int_equal(item_in(&plan.collect, "expired")->allocated_bytes, 0);
	ul_plan_release(&plan);
	ul_view_release(view);
}

/* Its name goes, nothing comes back, and whose doing that is is said. */
static void
test_plan__what_a_lease_holds_of_a_removed_image_is_said(void **state)
{
	static const struct ul_rule all = { .all = true };
	const struct ul_plan_request request = { .now = true, .rule = &all };
	struct view_maker maker;
	struct ul_view *view;
	struct ul_plan plan;
	uint32_t leased, flat, expired, lease;

	(void)state;
	view_begin(&maker);
	view_blob(&maker, "free", 1);
	leased = view_blob(&maker, "leased", 2);
	flat = view_blob(&maker, "flat", 4);
	expired = view_blob(&maker, "expired", 8);
	view_image(&maker, "free:1", "free", NULL);
	view_image(&maker, "leased:1", "leased", NULL);
	view_image(&maker, "leased:2", "leased", NULL);
	view_image(&maker, "flat:1", "flat", NULL);
	view_image(&maker, "expired:1", "expired", NULL);
	lease = view_lease(&maker, "ci", false, false, false);
	view_ref(&maker, lease, leased, "lease");
	lease = view_lease(&maker, "tests", false, false, true);
	view_ref(&maker, lease, flat, "lease");
	lease = view_lease(&maker, "old", false, true, false);
	view_ref(&maker, lease, expired, "lease");
	view = view_made(&maker);
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.remove),
			    "free:1 leased:1 leased:2 flat:1 expired:1");
	assert_string_equal(keys_of(&plan.collect), "free expired old");
	assert_string_equal(keys_of(&plan.declined), "leased flat");
	assert_string_equal(item_in(&plan.declined, "leased")->reason,
			    "held by lease ci");
	assert_string_equal(item_in(&plan.declined, "flat")->reason,
			    "held by lease tests");
	ul_plan_release(&plan);
	ul_view_release(view);
}

static void test_plan__changes_under_way_stay(void **state)
{
	const struct ul_plan_request request = { .now = true };
	struct view_maker maker;
	struct ul_view *view;
	struct ul_plan plan;

	(void)state;
	view_begin(&maker);
	maker.view
	    .files[view_file(&maker,
			     view_object(&maker, UL_KIND_INGEST, "alive"), 1)]
	    .is_ingest = true;
	view_file(&maker, view_object(&maker, UL_KIND_FILE, "dead"), 2);
	view = view_made(&maker);
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.collect), "dead");
	assert_int_equal(plan.declined.len, 0);
	ul_plan_release(&plan);
	ul_view_release(view);
}

#define SUBJECT                                                                \
	"sha256:"                                                              \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"       \
	"aa"
#define SIG                                                                    \
	"ghcr.io/x/y:sha256-"                                                  \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.sig"

static void test_plan__signatures_follow_their_subject(void **state)
{
	const char *const patterns[] = { "y:1" };
	const struct ul_rule rule = { .patterns = patterns,
				      .pattern_count = 1 };
	const struct ul_plan_request request = { .rule = &rule };
	struct view_maker maker;
	struct ul_view *view;
	struct ul_plan plan;

	(void)state;
	view_begin(&maker);
	view_image(&maker, "y:1", SUBJECT, NULL);
	view_image(&maker, SIG, "sig digest", NULL);
	view = view_made(&maker);
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.remove), "y:1 " SIG);
	assert_string_equal(plan.remove.items[1].reason, "follows its subject");
	ul_plan_release(&plan);
	view->images[1].containers = 1;
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.remove), "y:1");
	ul_plan_release(&plan);
	ul_view_release(view);

	/* One name of two: the subject stays, and so does the signature. */
	view_begin(&maker);
	view_image(&maker, "y:1", SUBJECT, NULL);
	view_image(&maker, "y:2", SUBJECT, NULL);
	view_image(&maker, SIG, "sig digest", NULL);
	view = view_made(&maker);
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.remove), "y:1");
	ul_plan_release(&plan);
	ul_view_release(view);
}

static void test_plan__a_name_of_two_images_goes_as_a_whole(void **state)
{
	const char *const patterns[] = { "twice" };
	const struct ul_rule rule = { .patterns = patterns,
				      .pattern_count = 1 };
	const struct ul_plan_request request = { .rule = &rule, .now = true };
	struct ul_view_image *one, *two;
	struct view_maker maker;
	struct ul_view *view;
	struct ul_plan plan;

	(void)state;
	view_begin(&maker);
	view_image(&maker, "twice", "d1", &one);
	view_image(&maker, "twice", "d2", &two);
	view_file(&maker, one->target, 1);
	view_file(&maker, two->target, 2);
	view = view_made(&maker);
	plan = plan_of(view, &request);
	assert_string_equal(keys_of(&plan.remove), "twice twice");
	assert_string_equal(keys_of(&plan.collect), "d1 d2");
	ul_plan_release(&plan);
	view->images[1].containers = 1;
	plan = plan_of(view, &request);
	assert_int_equal(plan.remove.len, 0);
	assert_int_equal(plan.collect.len, 0);
	assert_string_equal(keys_of(&plan.declined), "twice twice");
	ul_plan_release(&plan);
	ul_view_release(view);
}

static void add(struct ul_plan *plan, struct ul_plan_items *items, uint8_t kind,
		const char *key, uint64_t bytes)
{
	const struct ul_plan_item item = { .kind = kind,
					   .key = key,
					   .reason = "r",
					   .allocated_bytes = bytes };
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(ul_plan_add(plan, items, &item, &err), 0);
}

static void test_plan__the_fingerprint_is_of_what_is_done(void **state)
{
	struct ul_plan a = UL_PLAN_INIT, b = UL_PLAN_INIT;

	(void)state;
	add(&a, &a.remove, UL_KIND_IMAGE, "name", 0);
	add(&a, &a.collect, UL_KIND_BLOB, "blob", 5);
	add(&a, &a.declined, UL_KIND_BLOB, "x", 0);
	add(&a, &a.declined, UL_KIND_BLOB, "y", 0);
	add(&b, &b.remove, UL_KIND_IMAGE, "name", 0);
	add(&b, &b.collect, UL_KIND_BLOB, "blob", 5);
	add(&b, &b.declined, UL_KIND_BLOB, "y", 0);
	ul_plan_seal(&a);
	ul_plan_seal(&b);
	assert_int_equal(strlen(a.fingerprint), 32);
	assert_string_equal(a.fingerprint, b.fingerprint);
	b.collect.items[0].allocated_bytes++;
	ul_plan_seal(&b);
	assert_string_not_equal(a.fingerprint, b.fingerprint);
	b.collect.items[0].allocated_bytes--;
	b.collect.items[0].kind = UL_KIND_SNAPSHOT;
	ul_plan_seal(&b);
	assert_string_not_equal(a.fingerprint, b.fingerprint);
	b.collect.items[0].kind = UL_KIND_BLOB;
	b.remove.items[0].digest = "moved";
	ul_plan_seal(&b);
	assert_string_not_equal(a.fingerprint, b.fingerprint);
	b.remove.items[0].digest = "";
	ul_plan_seal(&b);
	assert_string_equal(a.fingerprint, b.fingerprint);
	ul_plan_release(&a);
	ul_plan_release(&b);
}

static void test_plan__without_memory_there_is_none(void **state)
{
	const struct ul_rule rule = { .all = true };
	const struct ul_plan_request request = { .rule = &rule };
	struct shared_layer at;
	struct view_maker maker;
	struct ul_view *view = view_shared(&maker, &at);
	struct ul_plan plan = UL_PLAN_INIT;
	struct ul_err err = UL_ERR_INIT;
	int rc = UL_E_NOMEM;
	long n;

	(void)state;
	for (n = 0; rc; n++) {
		ul_mem_countdown = n;
		rc = ul_plan_build(view, &request, &plan, &err);
		ul_mem_countdown = -1;
		if (rc) {
			assert_int_equal(rc, UL_E_NOMEM);
			assert_null(plan.collect.items);
		}
	}
	assert_true(n > 8);
	assert_string_equal(keys_of(&plan.collect), "ma base la mb lb stray");
	ul_plan_release(&plan);
	ul_view_release(view);
}

int main(void)
{
#define PLAN(name) cmocka_unit_test(test_plan__##name)
	const struct CMUnitTest tests[] = {
		PLAN(gc_takes_what_nothing_reaches),
		PLAN(what_an_image_shares_stays_for_the_other),
		PLAN(what_is_young_stays_with_what_it_refers_to),
		PLAN(what_it_releases_itself_has_no_grace),
		PLAN(pinned_and_used_ones_are_declined),
		PLAN(what_is_mounted_stays_with_its_parents),
		PLAN(what_may_be_mounted_stays_unless_exclusive),
		PLAN(shared_inodes_are_counted_once),
		PLAN(trash_goes_when_it_is_due_or_now),
		PLAN(leases_keep_until_they_expire),
		PLAN(what_a_lease_holds_of_a_removed_image_is_said),
		PLAN(changes_under_way_stay),
		PLAN(signatures_follow_their_subject),
		PLAN(a_name_of_two_images_goes_as_a_whole),
		PLAN(the_fingerprint_is_of_what_is_done),
		PLAN(without_memory_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
