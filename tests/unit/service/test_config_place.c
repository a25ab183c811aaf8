/* Lines of keys and items, against documents whose lines are counted while they
 * are printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "service/config_place.h"

enum { DOCUMENTS = 300, DEPTH = 6, PLACES = 4096 };

/* What was printed, and on which line. */
struct printed {
	struct ul_buf text;
	size_t line;
	struct ul_config_step steps[DEPTH];
	size_t depth;
	struct place {
		struct ul_config_step steps[DEPTH];
		size_t depth, line;
	} places[PLACES];
	size_t place_count;
	uint64_t random;
};

static unsigned random_below(struct printed *printed, unsigned below)
{
	printed->random ^= printed->random << 13;
	printed->random ^= printed->random >> 7;
	printed->random ^= printed->random << 17;
	return (unsigned)(printed->random % below);
}

/* Blanks and line ends, as many as one likes. */
static void print_blanks(struct printed *printed)
{
	unsigned count = random_below(printed, 4);

	while (count--) {
		char c = " \t\r\n"[random_below(printed, 4)];

		ul_buf_add_char(&printed->text, c);
		printed->line += c == '\n';
	}
}

static void print_string(struct printed *printed)
{
	static const char *const parts[] = { "a",       "\\\"", "\\\\", "}",
					     "[",       "]",    "{",    ",",
					     "\\n",     ":",    "//",   " ",
					     "\\u00e4", "\\/" };
	unsigned count = random_below(printed, 6);

	ul_buf_add_char(&printed->text, '"');
	while (count--)
		ul_buf_add_str(
		    &printed->text,
		    parts[random_below(printed, ul_array_len(parts))]);
	ul_buf_add_char(&printed->text, '"');
}

static void place_note(struct printed *printed, const char *key, size_t at)
{
	struct place *place = &printed->places[printed->place_count++];

	assert_true(printed->place_count < PLACES);
	printed->steps[printed->depth++] = (struct ul_config_step){ key, at };
	memcpy(place->steps, printed->steps, sizeof place->steps);
	place->depth = printed->depth;
	place->line = printed->line;
}

static void print_value(struct printed *printed);

static void print_items(struct printed *printed, bool is_object)
{
	unsigned count = random_below(printed, 5), i;

	ul_buf_add_char(&printed->text, is_object ? '{' : '[');
	for (i = 0; i < count; i++) {
		print_blanks(printed);
		if (i)
			ul_buf_add_char(&printed->text, ',');
		print_blanks(printed);
		place_note(printed, is_object ? "key" : NULL, i);
		if (is_object) {
			print_string(printed);
			print_blanks(printed);
			ul_buf_add_char(&printed->text, ':');
			print_blanks(printed);
		}
		print_value(printed);
		printed->depth--;
	}
	print_blanks(printed);
	ul_buf_add_char(&printed->text, is_object ? '}' : ']');
}

static void print_value(struct printed *printed)
{
	static const char *const scalars[] = { "0",    "-1.5e+3", "true",
					       "null", "false",   "17" };
	unsigned what = random_below(printed, printed->depth < DEPTH ? 6 : 3);

	if (what >= 3)
		print_items(printed, what != 3);
	else if (what == 2)
		print_string(printed);
	else
		ul_buf_add_str(
		    &printed->text,
		    scalars[random_below(printed, ul_array_len(scalars))]);
}

static void test_config_place__lines_are_those_that_were_printed(void **state)
{
	const char *given = getenv("UL_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : 20261125, n;
	struct printed *printed = calloc(1, sizeof *printed);
	size_t i, line, checked = 0;

	(void)state;
	for (n = 0; n < DOCUMENTS; n++) {
		printed->random = (seed + n) * UINT64_C(0x9e3779b97f4a7c15) + 1;
		printed->line = 1;
		printed->place_count = printed->depth = 0;
		ul_buf_reset(&printed->text);
		print_blanks(printed);
		print_items(printed, true);
		print_blanks(printed);
		for (i = 0; i < printed->place_count; i++) {
			const struct place *place = &printed->places[i];

			line = ul_config_line(printed->text.data,
					      printed->text.len, place->steps,
					      place->depth);
			if (line != place->line)
				fail_msg("seed %llu: line %zu, not %zu, of\n%s",
					 (unsigned long long)(seed + n), line,
					 place->line, printed->text.data);
			checked++;
		}
	}
	assert_true(checked > 1000);
	ul_buf_release(&printed->text);
	free(printed);
}

static void test_config_place__what_is_not_there_is_where_it_would_be(void **s)
{
	static const char text[] = "\n{ \"a\": [\n1,\n{} ] }";
	static const struct ul_config_step steps[] = { { "a", 0 },
						       { NULL, 1 },
						       { "b", 0 } };
	static const struct ul_config_step past[] = { { "a", 0 }, { NULL, 2 } };
	static const struct ul_config_step none[] = { { "b", 1 } };
	size_t len = strlen(text);

	(void)s;
	assert_int_equal(ul_config_line(text, len, steps, 1), 2);
	assert_int_equal(ul_config_line(text, len, steps, 2), 4);
	assert_int_equal(ul_config_line(text, len, steps, 3), 4);
	assert_int_equal(ul_config_line(text, len, past, 2), 2);
	assert_int_equal(ul_config_line(text, len, none, 1), 1);
	assert_int_equal(ul_config_line("", 0, steps, 3), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_config_place__lines_are_those_that_were_printed),
		cmocka_unit_test(
		    test_config_place__what_is_not_there_is_where_it_would_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
