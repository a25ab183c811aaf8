#include "tests/unit/base/fixture.h"

static void test_mem__fails_the_allocation_counted_down_to(void **state)
{
	void *first, *second, *third;

	(void)state;
	ul_mem_countdown = 1;
	first = ul_malloc(1);
	second = ul_calloc(1, 1);
	third = ul_malloc(1);
	ul_mem_countdown = -1;
	assert_non_null(first);
	assert_null(second);
	assert_non_null(third);
	free(first);
	free(third);
}

static void test_mem__grows_by_doubling(void **state)
{
	size_t cap = 0;
	int *array, *grown;

	(void)state;
	array = ul_grow(NULL, &cap, 1, sizeof *array);
	assert_non_null(array);
	assert_true(cap >= 1);
	array[0] = 42;
	array = ul_grow(array, &cap, 1000, sizeof *array);
	assert_true(cap >= 1000);
	assert_int_equal(array[0], 42);
	assert_ptr_equal(ul_grow(array, &cap, cap, sizeof *array), array);
	ul_mem_countdown = 0;
	grown = ul_grow(array, &cap, cap + 1, sizeof *array);
	ul_mem_countdown = -1;
	assert_null(grown);
	assert_int_equal(array[0], 42);
	free(array);
}

static void test_mem__takes_overflow_for_no_memory(void **state)
{
	size_t cap = 0;

	(void)state;
	assert_null(ul_grow(NULL, &cap, SIZE_MAX, 1));
	assert_null(ul_grow(NULL, &cap, SIZE_MAX / 4, 8));
	assert_int_equal(cap, 0);
}

static void test_mem__copies_and_formats_text(void **state)
{
	ul_cleanup(ul_freep) char *copy = ul_strdup("abc");
	ul_cleanup(ul_freep) char *part = ul_strndup("abcdef", 2);
	ul_cleanup(ul_freep) char *text = ul_asprintf("%s-%d", "x", 5);
	char *stolen = ul_steal(copy);

	(void)state;
	assert_null(copy);
	assert_string_equal(stolen, "abc");
	assert_string_equal(part, "ab");
	assert_string_equal(text, "x-5");
	ul_freep(&stolen);
	assert_null(stolen);
	ul_mem_countdown = 0;
	stolen = ul_asprintf("%d", 1);
	ul_mem_countdown = -1;
	assert_null(stolen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_mem__fails_the_allocation_counted_down_to),
		cmocka_unit_test(test_mem__grows_by_doubling),
		cmocka_unit_test(test_mem__takes_overflow_for_no_memory),
		cmocka_unit_test(test_mem__copies_and_formats_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
