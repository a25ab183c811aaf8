#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/terminal.h"
#include "cli/text.h"

static void assert_clean(const char *text, const char *wanted)
{
	ul_cleanup(ul_freep) char *copy = ul_strdup(text);

	ul_text_clean(copy);
	assert_string_equal(copy, wanted);
}

static void assert_cut(const char *text, size_t width, const char *wanted)
{
	ul_cleanup(ul_freep) char *copy = ul_strdup(text);

	ul_text_cut(copy, width);
	assert_string_equal(copy, wanted);
	assert_true(ul_text_width(copy) <= width);
}

static void assert_wrap(const char *text, size_t indent, size_t width,
			const char *wanted)
{
	ul_cleanup(ul_freep) char *out = NULL;
	size_t len;
	FILE *stream = open_memstream(&out, &len);

	ul_text_wrap(text, indent, width, stream);
	fclose(stream);
	assert_string_equal(out, wanted);
}

static void test_text__width_is_in_columns(void **state)
{
	(void)state;
	assert_int_equal(ul_text_width(""), 0);
	assert_int_equal(ul_text_width("app:2"), 5);
	assert_int_equal(ul_text_width("bücher"), 6);
	assert_int_equal(ul_text_width("e\xcc\x81t\xc3\xa9"), 3);
	assert_int_equal(ul_text_width("映像"), 4);
	assert_int_equal(ul_text_width("\xf0\x9f\x90\xb3"), 2);
	assert_int_equal(ul_text_width("a\xff\xfe"), 3);
}

static void test_text__clean_leaves_nothing_that_drives_a_terminal(void **state)
{
	(void)state;
	assert_clean("app:2", "app:2");
	assert_clean("bücher 映像", "bücher 映像");
	assert_clean("a\033[31mb\nc\td\r", "a?[31mb?c?d?");
	assert_clean("\x7f", "?");
	assert_clean("c1 \xc2\x9b 31m", "c1 ? 31m");
	assert_clean("\xe2\x80\xaegnp", "?gnp");
	assert_clean("\xff\xc3", "??");
	assert_clean("over \xc0\xaf", "over ??");
	assert_clean("surrogate \xed\xa0\x80", "surrogate ???");
}

static void test_text__cut_keeps_both_ends(void **state)
{
	(void)state;
	assert_cut("docker.io/library/app:2", 23, "docker.io/library/app:2");
	assert_cut("docker.io/library/app:2", 13, "doc..ry/app:2");
	assert_cut("abcdefgh", 5, "a..gh");
	assert_cut("abcdefgh", 4, "..gh");
	assert_cut("abcdefgh", 3, "abc");
	assert_cut("abcdefgh", 0, "");
}

static void test_text__cut_never_splits_a_character(void **state)
{
	size_t width;

	(void)state;
	assert_cut("映像映像映像", 8, "..映像");
	assert_cut("aaaae\xcc\x81zz", 5, "a..zz");
	for (width = 0; width < 14; width++) {
		char text[] = "映ü像e\xcc\x81映像\xf0\x9f\x90\xb3zz";
		char clean[sizeof text];

		ul_text_cut(text, width);
		memcpy(clean, text, sizeof text);
		ul_text_clean(clean);
		assert_string_equal(clean, text);
		assert_true(ul_text_width(text) <= width);
	}
}

static void test_text__wrap_fills_lines_and_keeps_paragraphs(void **state)
{
	(void)state;
	assert_wrap("one two three four", 0, 9, "one two\nthree\nfour\n");
	assert_wrap("one two three four", 2, 11,
		    "  one two\n  three\n  four\n");
	assert_wrap("one\n\ntwo", 0, 20, "one\n\ntwo\n");
	assert_wrap("intro:\n  as it  stands\nafter", 0, 8,
		    "intro:\n  as it  stands\nafter\n");
	assert_wrap("a-word-that-is-too-long x", 0, 10,
		    "a-word-that-is-too-long\nx\n");
	assert_wrap("", 0, 10, "");
}

static void test_text__columns_come_from_the_environment(void **state)
{
	FILE *file = tmpfile();

	(void)state;
	setenv("COLUMNS", "132", 1);
	assert_int_equal(ul_terminal_columns(file), 132);
	setenv("COLUMNS", "3", 1);
	assert_int_equal(ul_terminal_columns(file), 40);
	setenv("COLUMNS", "99999999", 1);
	assert_int_equal(ul_terminal_columns(file), 80);
	setenv("COLUMNS", "wide", 1);
	assert_int_equal(ul_terminal_columns(file), 80);
	unsetenv("COLUMNS");
	assert_int_equal(ul_terminal_columns(file), 80);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text__width_is_in_columns),
		cmocka_unit_test(
		    test_text__clean_leaves_nothing_that_drives_a_terminal),
		cmocka_unit_test(test_text__cut_keeps_both_ends),
		cmocka_unit_test(test_text__cut_never_splits_a_character),
		cmocka_unit_test(
		    test_text__wrap_fills_lines_and_keeps_paragraphs),
		cmocka_unit_test(test_text__columns_come_from_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
