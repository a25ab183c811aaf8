#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/cli.h"

static const char *const commands[] = { "df",  "images", "prune", "pin",
					"tag", "untag",  "lease" };

static const char *suggest(const char *word)
{
	return ul_suggest(word, commands, ul_array_len(commands));
}

static void test_suggest__finds_the_word_that_was_meant(void **state)
{
	(void)state;
	assert_string_equal(suggest("imagse"), "images");
	assert_string_equal(suggest("prun"), "prune");
	assert_string_equal(suggest("prnue"), "prune");
	assert_string_equal(suggest("leases"), "lease");
	assert_string_equal(suggest("tga"), "tag");
	assert_string_equal(suggest("fd"), "df");
}

static void test_suggest__the_closest_of_several_wins(void **state)
{
	static const char *const words[] = { "app:22", "app:2", "apq:2" };

	(void)state;
	assert_string_equal(ul_suggest("app:2", words, 3), "app:2");
	assert_string_equal(ul_suggest("app:3", words, 3), "app:2");
}

static void test_suggest__nothing_close_is_no_suggestion(void **state)
{
	(void)state;
	assert_null(suggest("containers"));
	assert_null(suggest("x"));
	assert_null(suggest("xy"));
	assert_null(suggest(""));
	assert_null(ul_suggest("tag", NULL, 0));
}

static void test_suggest__words_past_any_bound_are_no_likeness(void **state)
{
	static char huge[5000];
	const char *words[] = { huge };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof huge - 1; i++)
		huge[i] = 'a';
	assert_null(ul_suggest("aaaa", words, 1));
	assert_null(suggest(huge));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suggest__finds_the_word_that_was_meant),
		cmocka_unit_test(test_suggest__the_closest_of_several_wins),
		cmocka_unit_test(test_suggest__nothing_close_is_no_suggestion),
		cmocka_unit_test(
		    test_suggest__words_past_any_bound_are_no_likeness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
