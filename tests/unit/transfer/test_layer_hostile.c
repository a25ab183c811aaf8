/*
 * Layers that try to harm, and what becomes of them: refused with a message
 * that says why, or applied within the layer's directory. In either case
 * nothing around it changes, not even a time.
 */
#include "store/transfer/layer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/lib/layer_fixture.h"
#include "tests/lib/tree_print.h"
#include "tests/unit/transfer/hostile_layers.h"

/* What the layers below have. */
static void below(struct layer_fixture *fixture)
{
	static const struct tar_item items[] = {
		{ .path = "file", .type = '0', .data = "below" },
		{ .path = "dir", .type = '5', .mode = 0750 },
		{ .path = "dir/f", .type = '0', .data = "f" },
		{ .path = "escape",
		  .type = '2',
		  .link = "../../../../outside" },
		{ .path = "abs", .type = '2', .link = "/outside" },
		{ .path = "loop", .type = '2', .link = "loop" },
		{ .path = "gone", .type = '0', .data = "gone" },
	};
	struct ul_buf tar = UL_BUF_INIT;
	size_t i;

	for (i = 0; i < ul_array_len(items); i++)
		tar_add(&tar, &items[i]);
	tar_end(&tar);
	layer_below(fixture, &tar);
	ul_buf_release(&tar);
}

static void hostile_bytes(const struct hostile *hostile, struct ul_buf *bytes)
{
	size_t i;

	if (hostile->build) {
		hostile->build(bytes);
		return;
	}
	for (i = 0; i < ul_array_len(hostile->items); i++)
		if (hostile->items[i].path)
			tar_add(bytes, &hostile->items[i]);
	tar_end(bytes);
}

static struct ul_layer_limits hostile_limits(const struct hostile *hostile)
{
	struct ul_layer_limits limits = UL_LAYER_LIMITS_INIT;
	const struct ul_layer_limits *own = &hostile->limits;

	if (own->entry_count)
		limits.entry_count = own->entry_count;
	if (own->bytes)
		limits.bytes = own->bytes;
	if (own->ratio)
		limits.ratio = own->ratio;
	if (own->ratio_from_bytes)
		limits.ratio_from_bytes = own->ratio_from_bytes;
	if (own->kept_bytes)
		limits.kept_bytes = own->kept_bytes;
	if (own->xattr_bytes)
		limits.xattr_bytes = own->xattr_bytes;
	return limits;
}

/* Whether it came out as the table says; tells what did not. */
static bool hostile_try(struct layer_fixture *fixture,
			const struct hostile *hostile)
{
	struct ul_layer_limits limits = hostile_limits(hostile);
	struct ul_layer_job job = { .blob_fd = -1, .limits = &limits };
	struct ul_layer_result result = { .entry_count = 4711 };
	struct ul_err err = UL_ERR_INIT;
	struct ul_buf bytes = UL_BUF_INIT;
	bool is_right;
	int rc;

	hostile_bytes(hostile, &bytes);
	rc = layer_apply_bytes(fixture, ul_buf_str(&bytes), bytes.len, job,
			       &result, &err);
	is_right = rc == hostile->code && !strcmp(err.msg, hostile->msg) &&
		   (rc == 0 || result.entry_count == 4711);
	if (!is_right)
		print_error("%s (%s): %d \"%s\"\n", hostile->name,
			    hostile->tries, rc, err.msg);
	ul_buf_release(&bytes);
	return is_right;
}

static void test_layer_hostile__nothing_around_the_layer_changes(void **state)
{
	struct layer_fixture fixture;
	struct ul_buf before = UL_BUF_INIT;
	struct ul_buf after = UL_BUF_INIT;
	size_t wrong = 0;
	size_t i;

	(void)state;
	layer_fixture_open(&fixture);
	below(&fixture);
	tree_print(fixture.top, "fs", &before);
	for (i = 0; i < hostile_count; i++) {
		wrong += !hostile_try(&fixture, &hostiles[i]);
		ul_buf_reset(&after);
		tree_print(fixture.top, "fs", &after);
		if (strcmp(before.data, after.data) != 0)
			fail_msg("%s (%s) changed something:\n%s\nwas\n%s",
				 hostiles[i].name, hostiles[i].tries,
				 after.data, before.data);
		layer_fixture_clear(&fixture);
	}
	assert_int_equal(wrong, 0);
	ul_buf_release(&before);
	ul_buf_release(&after);
	layer_fixture_close(&fixture);
}

static void test_layer_hostile__knows_at_least_forty_layers(void **state)
{
	size_t i, k, refused = 0;

	(void)state;
	for (i = 0; i < hostile_count; i++) {
		refused += hostiles[i].code != 0;
		for (k = 0; k < i; k++)
			assert_string_not_equal(hostiles[i].name,
						hostiles[k].name);
	}
	assert_true(refused >= 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_layer_hostile__nothing_around_the_layer_changes),
		cmocka_unit_test(
		    test_layer_hostile__knows_at_least_forty_layers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
