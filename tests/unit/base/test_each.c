#include "base/each.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"

enum { COUNT = 1000 };

struct seen {
	atomic_int times[COUNT];
	size_t fails_at;
};

static int see(void *arg, size_t i, bool is_caller, struct ul_err *err)
{
	struct seen *seen = arg;

	(void)is_caller;
	atomic_fetch_add(&seen->times[i], 1);
	if (i == seen->fails_at)
		return ul_err_set(err, UL_E_CORRUPT, "thing %zu", i);
	return 0;
}

static void test_each__does_each_once(void **state)
{
	static const size_t threads[] = { 0, 1, 2, 16, 1000 };
	struct ul_err err = UL_ERR_INIT;
	size_t t, i;

	(void)state;
	for (t = 0; t < ul_array_len(threads); t++) {
		struct seen *seen = calloc(1, sizeof *seen);

		seen->fails_at = COUNT;
		assert_int_equal(ul_each(COUNT, threads[t], see, seen, &err),
				 0);
		for (i = 0; i < COUNT; i++)
			assert_int_equal(seen->times[i], 1);
		free(seen);
	}
}

static void test_each__does_nothing_for_none(void **state)
{
	struct seen seen = { .fails_at = 0 };
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	assert_int_equal(ul_each(0, 4, see, &seen, &err), 0);
	assert_int_equal(seen.times[0], 0);
}

static void test_each__stops_at_a_failure_and_says_it(void **state)
{
	struct seen *seen = calloc(1, sizeof *seen);
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	seen->fails_at = 3;
	assert_int_equal(ul_each(COUNT, 1, see, seen, &err), UL_E_CORRUPT);
	assert_string_equal(err.msg, "thing 3");
	assert_int_equal(seen->times[4], 0);
	free(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each__does_each_once),
		cmocka_unit_test(test_each__does_nothing_for_none),
		cmocka_unit_test(test_each__stops_at_a_failure_and_says_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
