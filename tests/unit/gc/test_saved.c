#include "gc/saved.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "gc/plan.h"
#include "tests/lib/view_maker.h"

/* Image "a" with a layer; another image where the test wants one. */
static struct ul_view *view_of(struct view_maker *maker, const char *digest,
			       uint64_t layer_bytes, const char *user,
			       bool with_new)
{
	struct ul_view_image *image;
	uint32_t layer;

	view_begin(maker);
	view_image(maker, "a", digest, &image);
	view_file(maker, image->target, 1);
	layer = view_blob(maker, "layer", layer_bytes);
	view_ref(maker, image->target, layer, "layer 0");
	if (user) {
		view_image(maker, user, "other", &image);
		view_ref(maker, image->target, layer, "layer 0");
	}
	if (with_new) {
		size_t file = view_file(
		    maker, view_object(maker, UL_KIND_BLOB, "new"), 50);

		view_link(maker, file, 1, 2, 8);
		view_link(maker, 1, 1, 2, 8);
	}
	return view_made(maker);
}

static struct ul_plan plan_all(struct ul_view *view)
{
	const char *const patterns[] = { "a" };
	const struct ul_rule rule = { .patterns = patterns,
				      .pattern_count = 1 };
	const struct ul_plan_request request = { .rule = &rule };
	struct ul_plan plan = UL_PLAN_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_plan_build(view, &request, &plan, &err))
		fail_msg("%s", err.msg);
	return plan;
}

struct saved {
	struct view_maker maker;
	struct ul_view *view;
	struct ul_plan plan;
};

static int setup(void **state)
{
	struct saved *saved = calloc(1, sizeof *saved);

	saved->view = view_of(&saved->maker, "digest", 100, NULL, false);
	saved->plan = plan_all(saved->view);
	*state = saved;
	return 0;
}

static int teardown(void **state)
{
	struct saved *saved = *state;

	ul_plan_release(&saved->plan);
	ul_view_release(saved->view);
	free(saved);
	return 0;
}

static int again(struct ul_view *view, const struct ul_plan *saved,
		 struct ul_plan *plan, struct ul_err *err)
{
	const struct ul_plan_request request = { .saved = saved };

	return ul_plan_build(view, &request, plan, err);
}

static void refused(struct saved *saved, struct ul_view *view,
		    const char *message)
{
	struct ul_plan plan = UL_PLAN_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(again(view, &saved->plan, &plan, &err), UL_E_CONFLICT);
	assert_string_equal(err.msg, message);
	assert_null(plan.remove.items);
	ul_view_release(view);
}

static void test_saved__is_carried_out_as_it_is(void **state)
{
	struct saved *saved = *state;
	struct ul_plan plan = UL_PLAN_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(again(saved->view, &saved->plan, &plan, &err), 0);
	assert_string_equal(plan.fingerprint, saved->plan.fingerprint);
	assert_int_equal(plan.freed_bytes, 101);
	ul_plan_release(&plan);
}

static void test_saved__takes_nothing_else(void **state)
{
	struct saved *saved = *state;
	struct view_maker maker;
	struct ul_plan plan = UL_PLAN_INIT;
	struct ul_err err = UL_ERR_INIT;
	/* What came since holds an inode of the layer: it is not counted. */
	struct ul_view *view = view_of(&maker, "digest", 100, NULL, true);

	assert_int_equal(again(view, &saved->plan, &plan, &err), 0);
	assert_string_equal(plan.fingerprint, saved->plan.fingerprint);
	assert_int_equal(plan.collect.len, 2);
	ul_plan_release(&plan);
	ul_view_release(view);
}

static void test_saved__is_refused_with_what_changed(void **state)
{
	struct saved *saved = *state;
	struct view_maker maker;
	struct ul_view *view;

	refused(saved, view_of(&maker, "moved", 100, NULL, false),
		"the plan no longer fits: a stands for moved now, not digest");
	refused(saved, view_of(&maker, "digest", 104, NULL, false),
		"the plan no longer fits: blob layer gives back 104 bytes now, "
		"not 100");
	refused(saved, view_of(&maker, "digest", 100, "b", false),
		"the plan no longer fits: blob layer is needed again, or gone");
	view = view_of(&maker, "digest", 100, NULL, false);
	view->files[1].is_mounted = true;
	refused(saved, view,
		"the plan no longer fits: blob layer stays now: mounted");
	view = view_of(&maker, "digest", 100, NULL, false);
	view->images[0].is_pinned = true;
	refused(saved, view, "the plan no longer fits: a is pinned now");
	view = view_of(&maker, "digest", 100, NULL, false);
	view->images[0].containers = 1;
	refused(saved, view, "the plan no longer fits: a is in use now");
	view_begin(&maker);
	view_image(&maker, "b", "digest", NULL);
	refused(saved, view_made(&maker), "the plan no longer fits: a is gone");
}

static void test_saved__a_second_digest_of_the_name_is_no_matter(void **state)
{
	struct saved *saved = *state;
	struct ul_plan plan = UL_PLAN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_view_image *image;
	struct view_maker maker;
	struct ul_view *view;
	uint32_t layer;

	view_begin(&maker);
	view_image(&maker, "a", "second", NULL);
	view_image(&maker, "a", "digest", &image);
	view_file(&maker, image->target, 1);
	layer = view_blob(&maker, "layer", 100);
	view_ref(&maker, image->target, layer, "layer 0");
	view = view_made(&maker);
	assert_int_equal(again(view, &saved->plan, &plan, &err), 0);
	ul_plan_release(&plan);
	ul_view_release(view);
}

static void test_saved__without_memory_is_not_carried_out(void **state)
{
	struct saved *saved = *state;
	struct ul_plan plan = UL_PLAN_INIT;
	struct ul_err err = UL_ERR_INIT;
	int rc = UL_E_NOMEM;
	long n;

	for (n = 0; rc; n++) {
		ul_mem_countdown = n;
		rc = again(saved->view, &saved->plan, &plan, &err);
		ul_mem_countdown = -1;
		if (rc)
			assert_int_equal(rc, UL_E_NOMEM);
	}
	assert_string_equal(plan.fingerprint, saved->plan.fingerprint);
	ul_plan_release(&plan);
}

int main(void)
{
#define SAVED(name)                                                            \
	cmocka_unit_test_setup_teardown(test_saved__##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		SAVED(is_carried_out_as_it_is),
		SAVED(takes_nothing_else),
		SAVED(is_refused_with_what_changed),
		SAVED(a_second_digest_of_the_name_is_no_matter),
		SAVED(without_memory_is_not_carried_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
