#include "tests/unit/base/fixture.h"

#include "base/clock.h"

static void test_clock__reads_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} right[] = {
		{ "0", 0 },         { "90", 90 },
		{ "90s", 90 },      { "1h30m", 5400 },
		{ "10d", 864000 },  { "2w", 1209600 },
		{ "1d1d", 172800 }, { "9007199254740992", (int64_t)1 << 53 },
	};
	static const char *const wrong[] = { "",
					     " ",
					     "h",
					     "1x",
					     "-1",
					     "1h30",
					     "0h30",
					     "0s5",
					     "1 h",
					     "1.5h",
					     "9007199254740993",
					     "99999999999999999999",
					     "9007199254740992w",
					     "9007199254740992s1s" };
	int64_t seconds = 77;
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(wrong); i++) {
		if (ul_duration_parse(wrong[i], &seconds))
			fail_msg("%s was taken", wrong[i]);
		assert_int_equal(seconds, 77);
	}
	for (i = 0; i < ul_array_len(right); i++) {
		assert_true(ul_duration_parse(right[i].text, &seconds));
		assert_int_equal(seconds, right[i].seconds);
	}
}

static void test_clock__reads_rfc_3339(void **state)
{
	static const struct {
		const char *text;
		int64_t unix_s;
	} right[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-23T08:40:24.5Z", 1795423224 },
		{ "2026-11-23T10:40:24.123456789+02:00", 1795423224 },
		{ "2026-11-23t03:10:24-05:30", 1795423224 },
		{ "2024-02-29T00:00:00Z", 1709164800 },
		{ "0001-01-01T00:00:00Z", -62135596800 },
	};
	static const char *const wrong[] = {
		"",
		"2026-11-23",
		"2026-11-23T08:40:24",
		"2026-11-23T08:40:24.Z",
		"2026-02-30T00:00:00Z",
		"2025-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2026-04-31T00:00:00Z",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z",
		"2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z",
		"2026-01-01T00:00:61Z",
		"2026-01-01T00:00:00+2:00",
		"2026-01-01T00:00:00Z ",
		"-026-01-01T00:00:00Z",
	};
	int64_t unix_s = 77;
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(wrong); i++) {
		if (ul_time_parse(wrong[i], &unix_s))
			fail_msg("%s was taken", wrong[i]);
		assert_int_equal(unix_s, 77);
	}
	for (i = 0; i < ul_array_len(right); i++) {
		assert_true(ul_time_parse(right[i].text, &unix_s));
		assert_int_equal(unix_s, right[i].unix_s);
	}
}

static void test_clock__writes_what_it_reads(void **state)
{
	static const int64_t times[] = { 0, 1795423224, -62135596800,
					 253402300799, -1 };
	char text[UL_TIME_TEXT_MAX];
	int64_t unix_s;
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(times); i++) {
		ul_time_format(times[i], text);
		assert_true(ul_time_parse(text, &unix_s));
		assert_int_equal(unix_s, times[i]);
	}
	ul_time_format(1795423224, text);
	assert_string_equal(text, "2026-11-23T08:40:24Z");
	ul_time_format(-62135596800, text);
	assert_string_equal(text, "0001-01-01T00:00:00Z");
	ul_time_format(INT64_MIN, text);
	assert_string_equal(text, "-9223372036854775808");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock__reads_durations),
		cmocka_unit_test(test_clock__reads_rfc_3339),
		cmocka_unit_test(test_clock__writes_what_it_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
