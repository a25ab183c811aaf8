#include "base/search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmocka.h>

enum { COUNT_MAX = 40 };

static int number_cmp(const void *a, const void *b)
{
	const int *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static size_t bound_of(const int *numbers, size_t count, int key)
{
	return ul_lower_bound(&key, numbers, count, sizeof *numbers,
			      number_cmp);
}

/* Odd numbers stand there `times` times, even ones not. */
static void test_search__finds_the_first_or_where_it_would_be(void **state)
{
	int numbers[COUNT_MAX], key;
	size_t times, count, i;

	(void)state;
	for (times = 1; times < 4; times++) {
		for (i = 0; i < COUNT_MAX; i++)
			numbers[i] = 2 * (int)(i / times) + 1;
		for (count = 0; count <= COUNT_MAX; count++) {
			for (key = 0; key < 2 * COUNT_MAX + 2; key++) {
				for (i = 0; i < count && numbers[i] < key;)
					i++;
				assert_int_equal(bound_of(numbers, count, key),
						 i);
			}
		}
	}
}

static void test_search__nothing_has_no_items(void **state)
{
	(void)state;
	assert_int_equal(bound_of(NULL, 0, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_search__finds_the_first_or_where_it_would_be),
		cmocka_unit_test(test_search__nothing_has_no_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
