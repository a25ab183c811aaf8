#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/human.h"
#include "base/mem.h"

static void test_human__three_digits_round_up_into_the_next_unit(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" },
		{ 1, "1 B" },
		{ 982, "982 B" },
		{ 999, "999 B" },
		{ 1000, "1 kB" },
		{ 1004, "1 kB" },
		{ 1005, "1.01 kB" },
		{ 1210, "1.21 kB" },
		{ 1500, "1.5 kB" },
		{ 9994, "9.99 kB" },
		{ 9995, "10 kB" },
		{ 12345, "12.3 kB" },
		{ 99949, "99.9 kB" },
		{ 99950, "100 kB" },
		{ 999499, "999 kB" },
		{ 999500, "1 MB" },
		{ 999999, "1 MB" },
		{ 1000000, "1 MB" },
		{ 1210000, "1.21 MB" },
		{ 14300000000, "14.3 GB" },
		{ 999999999999, "1 TB" },
		{ 1000000000000000, "1 PB" },
		{ UINT64_MAX, "18.4 EB" },
	};
	char text[UL_HUMAN_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(cases); i++)
		assert_string_equal(ul_human_bytes(cases[i].bytes, text),
				    cases[i].text);
}

static void test_human__signed_shows_the_direction(void **state)
{
	char text[UL_HUMAN_MAX];

	(void)state;
	assert_string_equal(ul_human_signed(0, text), "0 B");
	assert_string_equal(ul_human_signed(1500, text), "+1.5 kB");
	assert_string_equal(ul_human_signed(-999999, text), "-1 MB");
	assert_string_equal(ul_human_signed(INT64_MIN, text), "-9.22 EB");
	assert_string_equal(ul_human_signed(INT64_MAX, text), "+9.22 EB");
}

static void test_human__when_counts_in_the_unit_people_would(void **state)
{
	enum { NOW = 2000000000 };
	static const struct {
		int64_t age_s;
		const char *text;
	} cases[] = {
		{ 0, "just now" },
		{ 59, "just now" },
		{ -59, "just now" },
		{ 60, "1 minute ago" },
		{ 119, "1 minute ago" },
		{ 120, "2 minutes ago" },
		{ 3599, "59 minutes ago" },
		{ 3600, "1 hour ago" },
		{ 48 * 3600 - 1, "47 hours ago" },
		{ 48 * 3600, "2 days ago" },
		{ 14 * 86400 - 1, "13 days ago" },
		{ 14 * 86400, "2 weeks ago" },
		{ 62 * 86400, "8 weeks ago" },
		{ 63 * 86400, "2 months ago" },
		{ 719 * 86400, "23 months ago" },
		{ 730 * 86400, "2 years ago" },
		{ -7200, "in 2 hours" },
		{ -60, "in 1 minute" },
	};
	char text[UL_HUMAN_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(cases); i++)
		assert_string_equal(
		    ul_human_when(NOW - cases[i].age_s, NOW, text),
		    cases[i].text);
	assert_string_equal(ul_human_when(0, NOW, text), "never");
}

static void test_human__sizes_are_read_as_people_type_them(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0 },
		{ "1000", 1000 },
		{ "12B", 12 },
		{ "1k", 1000 },
		{ "10GB", 10000000000 },
		{ "10 gb", 10000000000 },
		{ "10G", 10000000000 },
		{ "512MiB", 536870912 },
		{ "1Ki", 1024 },
		{ "1.5k", 1500 },
		{ "1.5 KiB", 1536 },
		{ "0.1MB", 100000 },
		{ "18446744073709551615", UINT64_MAX },
		{ "15EiB", (uint64_t)15 << 60 },
	};
	uint64_t bytes;
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(cases); i++) {
		bytes = 7;
		assert_true(ul_human_parse_bytes(cases[i].text, &bytes));
		assert_int_equal(bytes, cases[i].bytes);
	}
}

static void test_human__what_is_no_size_leaves_the_output_alone(void **state)
{
	static const char *const wrong[] = {
		"",
		"B",
		"-1",
		"1x",
		"1kk",
		"1 k B",
		"1.",
		".5k",
		"1.k",
		"1e3",
		"0x10",
		"1kb ",
		"18446744073709551616",
		"16EiB",
		"99999999999999999999999",
	};
	uint64_t bytes = 42;
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(wrong); i++) {
		if (ul_human_parse_bytes(wrong[i], &bytes))
			fail_msg("\"%s\" was taken for a size", wrong[i]);
	}
	assert_int_equal(bytes, 42);
}

static void test_human__durations_are_sums_of_units(void **state)
{
	int64_t seconds;

	(void)state;
	assert_true(ul_duration_parse("90", &seconds));
	assert_int_equal(seconds, 90);
	assert_true(ul_duration_parse("1h30m", &seconds));
	assert_int_equal(seconds, 5400);
	assert_true(ul_duration_parse("10d", &seconds));
	assert_int_equal(seconds, 864000);
	assert_true(ul_duration_parse("2w", &seconds));
	assert_int_equal(seconds, 1209600);
	assert_false(ul_duration_parse("soon", &seconds));
	assert_false(ul_duration_parse("", &seconds));
	assert_false(ul_duration_parse("-1h", &seconds));
	assert_int_equal(seconds, 1209600);
}

static void test_human__percents_have_two_digits_after_the_point(void **state)
{
	static const struct {
		const char *text;
		uint32_t hundredths;
	} good[] = {
		{ "0%", 0 },          { "1%", 100 },      { "85%", 8500 },
		{ "97.5%", 9750 },    { "99.99%", 9999 }, { "0.05 %", 5 },
		{ "100.00%", 10000 }, { "085%", 8500 },
	};
	static const char *const bad[] = {
		"",      "%",   "85",   "85%%",   "100.01%", "101%",
		"1000%", ".5%", "5.%",  "5.125%", "-5%",     "+5%",
		" 5%",   "5% ", "5 5%", "0x5%",   "5,5%",    "99999999999%",
	};
	uint32_t hundredths;
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(good); i++) {
		assert_true(ul_human_parse_percent(good[i].text, &hundredths));
		assert_int_equal(hundredths, good[i].hundredths);
	}
	hundredths = 7;
	for (i = 0; i < ul_array_len(bad); i++)
		assert_false(ul_human_parse_percent(bad[i], &hundredths));
	assert_int_equal(hundredths, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_human__three_digits_round_up_into_the_next_unit),
		cmocka_unit_test(test_human__signed_shows_the_direction),
		cmocka_unit_test(
		    test_human__when_counts_in_the_unit_people_would),
		cmocka_unit_test(
		    test_human__sizes_are_read_as_people_type_them),
		cmocka_unit_test(
		    test_human__what_is_no_size_leaves_the_output_alone),
		cmocka_unit_test(test_human__durations_are_sums_of_units),
		cmocka_unit_test(
		    test_human__percents_have_two_digits_after_the_point),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
