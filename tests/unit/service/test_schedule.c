/*
 * The schedule against a clock that the test sets and, for cron times, against
 * a model that looks at a wall clock minute by minute.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "service/limits.h"
#include "service/schedule.h"

static void zone_set(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

static int zone_reset(void **state)
{
	(void)state;
	unsetenv("TZ");
	tzset();
	return 0;
}

static struct ul_schedule parsed(const char *text)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_schedule schedule;

	if (ul_schedule_parse(text, &schedule, &err))
		fail_msg("\"%s\": %s", text, err.msg);
	return schedule;
}

static int64_t at(const char *text)
{
	int64_t unix_s = 0;

	assert_true(ul_time_parse(text, &unix_s));
	return unix_s;
}

static void assert_next(const char *text, const char *last, const char *now,
			const char *wanted)
{
	struct ul_schedule schedule = parsed(text);
	char next[UL_TIME_TEXT_MAX];

	ul_time_format(ul_schedule_next(&schedule, at(last), at(now), 1), next);
	if (at(next) != at(wanted))
		fail_msg("\"%s\" after %s, now %s: %s, not %s", text, last, now,
			 next, wanted);
}

/* Whatever came before, several days long. */
static void assert_times(const char *text, const char *after,
			 const char *const *wanted)
{
	for (; *wanted; wanted++) {
		assert_next(text, after, after, *wanted);
		after = *wanted;
	}
}
#define assert_times(text, after, ...)                                         \
	assert_times(text, after, (const char *const[]){ __VA_ARGS__, NULL })

static void test_schedule__an_interval_goes_from_the_last_run(void **state)
{
	(void)state;
	assert_next("every 6h", "2026-11-25T01:00:00Z", "2026-11-25T02:00:00Z",
		    "2026-11-25T07:00:00Z");
	assert_next("every 1h30m", "2026-11-25T01:00:00Z",
		    "2026-11-25T01:00:00Z", "2026-11-25T02:30:00Z");
	assert_next("every  90", "2026-11-25T01:00:00Z", "2026-11-25T01:00:01Z",
		    "2026-11-25T01:01:30Z");
}

static void test_schedule__what_was_missed_is_due_once_and_now(void **state)
{
	(void)state;
	assert_next("every 6h", "2026-11-20T01:00:00Z", "2026-11-25T02:00:00Z",
		    "2026-11-25T02:00:00Z");
	assert_next("every 6h", "2026-11-25T02:00:00Z", "2026-11-25T02:00:00Z",
		    "2026-11-25T08:00:00Z");
	assert_next("0 3 * * *", "2026-11-20T03:00:00Z", "2026-11-25T14:00:00Z",
		    "2026-11-25T14:00:00Z");
	assert_next("0 3 * * *", "2026-11-25T14:00:00Z", "2026-11-25T14:00:00Z",
		    "2026-11-26T03:00:00Z");
}

static void test_schedule__off_is_never(void **state)
{
	struct ul_schedule schedule = parsed("off");

	(void)state;
	assert_int_equal(schedule.kind, UL_SCHEDULE_OFF);
	assert_true(ul_schedule_next(&schedule, 0, 1795000000, 1) ==
		    UL_SCHEDULE_NEVER);
}

static void test_schedule__cron_times_fit_all_fields(void **state)
{
	(void)state;
	assert_times("30 4 * * *", "2026-11-25T00:00:00Z",
		     "2026-11-25T04:30:00Z", "2026-11-26T04:30:00Z");
	assert_times("*/20 8-9 * * mon-fri", "2026-11-27T08:50:00Z",
		     "2026-11-27T09:00:00Z", "2026-11-27T09:20:00Z",
		     "2026-11-27T09:40:00Z", "2026-11-30T08:00:00Z");
	assert_times("5,10-12,40-50/5 23 31 dec *", "2026-01-01T00:00:00Z",
		     "2026-12-31T23:05:00Z", "2026-12-31T23:10:00Z",
		     "2026-12-31T23:11:00Z", "2026-12-31T23:12:00Z",
		     "2026-12-31T23:40:00Z", "2026-12-31T23:45:00Z",
		     "2026-12-31T23:50:00Z", "2027-12-31T23:05:00Z");
	/* Seconds within the minute that fits: it has been. */
	assert_times("30 4 * * *", "2026-11-25T04:30:59Z",
		     "2026-11-26T04:30:00Z");
	assert_times("30 4 * * *", "2026-11-25T04:29:59Z",
		     "2026-11-25T04:30:00Z");
}

static void test_schedule__day_or_weekday_where_both_are_named(void **state)
{
	(void)state;
	/* 2026-11-29 is a Sunday. */
	assert_times("0 0 1 * sun", "2026-11-25T00:00:00Z",
		     "2026-11-29T00:00:00Z", "2026-12-01T00:00:00Z",
		     "2026-12-06T00:00:00Z");
	assert_times("0 0 */16 * sun", "2026-11-25T00:00:00Z",
		     "2027-01-17T00:00:00Z");
}

static void test_schedule__weekdays_wrap_at_sunday(void **state)
{
	static const char *const same[] = { "0 0 * * 6-7", "0 0 * * sat,sun",
					    "0 0 * * Sat-Sun", "0 0 * * 0,6",
					    "0 0 * * 6,7,0" };
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(same); i++)
		assert_int_equal(parsed(same[i]).weekdays, 0x41);
	assert_int_equal(parsed("0 0 * * *").weekdays, 0x7f);
	assert_int_equal(parsed("0 0 * * fri-sun").weekdays, 0x61);
	assert_int_equal(parsed("0 0 * * 0-7").weekdays, 0x7f);
}

static void test_schedule__names_stand_for_cron_fields(void **state)
{
	(void)state;
	assert_times("@hourly", "2026-11-25T04:30:00Z", "2026-11-25T05:00:00Z");
	assert_times("@daily", "2026-11-25T04:30:00Z", "2026-11-26T00:00:00Z");
	assert_times("@midnight", "2026-11-25T04:30:00Z",
		     "2026-11-26T00:00:00Z");
	assert_times("@weekly", "2026-11-25T04:30:00Z", "2026-11-29T00:00:00Z");
	assert_times("@monthly", "2026-11-25T04:30:00Z",
		     "2026-12-01T00:00:00Z");
	assert_times("@yearly", "2026-11-25T04:30:00Z", "2027-01-01T00:00:00Z");
	assert_times("@annually", "2026-11-25T04:30:00Z",
		     "2027-01-01T00:00:00Z");
}

static void test_schedule__29_february_waits_for_its_year(void **state)
{
	(void)state;
	assert_times("0 0 29 2 *", "2026-11-25T00:00:00Z",
		     "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z");
	assert_times("0 0 29 2 *", "2096-03-01T00:00:00Z",
		     "2104-02-29T00:00:00Z");
	/* On a weekend as well ("*" makes it both), over the year 2100. */
	assert_times("0 0 29 2 */6", "2088-03-01T00:00:00Z",
		     "2116-02-29T00:00:00Z");
}

static void test_schedule__a_time_that_does_not_exist_is_the_next(void **state)
{
	(void)state;
	/* 02:00 CET becomes 03:00 CEST. */
	zone_set("Europe/Berlin");
	assert_times("30 2 * * *", "2026-03-27T12:00:00Z",
		     "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z",
		     "2026-03-30T00:30:00Z");
	/* All of that hour's are one. */
	assert_times("*/20 2 * * *", "2026-03-29T00:59:00Z",
		     "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z");
	/* Midnight did not exist in Brazil. */
	zone_set("America/Sao_Paulo");
	assert_times("@daily", "2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z",
		     "2018-11-05T02:00:00Z");
	/* Nor did all of 30 December 2011 in Samoa. */
	zone_set("Pacific/Apia");
	assert_times("0 12 * * *", "2011-12-29T22:00:00Z",
		     "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z");
}

static void test_schedule__a_time_that_comes_twice_counts_once(void **state)
{
	(void)state;
	/* 03:00 CEST becomes 02:00 CET. */
	zone_set("Europe/Berlin");
	assert_times("30 2 * * *", "2026-10-24T12:00:00Z",
		     "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z");
	/* Begun within the second time of that hour. */
	assert_next("30 2 * * *", "2026-10-25T01:15:00Z",
		    "2026-10-25T01:15:00Z", "2026-10-26T01:30:00Z");
	assert_times("30 * * * *", "2026-10-25T00:00:00Z",
		     "2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z");
	/* By half an hour. */
	zone_set("Australia/Lord_Howe");
	assert_times("45 1 * * *", "2026-04-04T00:00:00Z",
		     "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z");
}

static void test_schedule__utc_knows_no_changes(void **state)
{
	struct ul_schedule schedule = parsed("30 2 * * *");

	(void)state;
	zone_set("Europe/Berlin");
	schedule.is_utc = true;
	assert_int_equal(ul_schedule_next(&schedule, at("2026-03-29T00:00:00Z"),
					  at("2026-03-29T00:00:00Z"), 1),
			 at("2026-03-29T02:30:00Z"));
}

static void test_schedule__a_clock_put_back_a_little_repeats_nothing(void **s)
{
	(void)s;
	assert_next("0 3 * * *", "2026-11-25T03:00:00Z", "2026-11-25T02:59:59Z",
		    "2026-11-26T03:00:00Z");
	assert_next("0 3 * * *", "2026-11-25T03:00:00Z", "2026-11-25T00:00:00Z",
		    "2026-11-26T03:00:00Z");
	assert_next("every 6h", "2026-11-25T03:00:00Z", "2026-11-25T00:30:00Z",
		    "2026-11-25T09:00:00Z");
}

static void test_schedule__a_clock_put_back_far_is_due_now(void **state)
{
	(void)state;
	assert_next("0 3 * * *", "2030-01-01T03:00:00Z", "2026-11-25T12:00:00Z",
		    "2026-11-25T12:00:00Z");
	assert_next("every 6h", "2026-11-25T06:00:00Z", "2026-11-25T02:59:59Z",
		    "2026-11-25T02:59:59Z");
	assert_next("every 5m", "2026-11-25T06:00:00Z", "2026-11-25T05:54:00Z",
		    "2026-11-25T05:54:00Z");
	assert_next("every 5m", "2026-11-25T06:00:00Z", "2026-11-25T05:55:00Z",
		    "2026-11-25T06:05:00Z");
}

static void test_schedule__a_clock_put_forward_is_due_once(void **state)
{
	(void)state;
	assert_next("0 3 * * *", "2026-11-25T03:00:00Z", "2031-01-01T12:00:00Z",
		    "2031-01-01T12:00:00Z");
	assert_next("0 3 * * *", "2031-01-01T12:00:00Z", "2031-01-01T12:00:00Z",
		    "2031-01-02T03:00:00Z");
}

static void test_schedule__any_clock_gets_an_answer(void **state)
{
	static const int64_t clocks[] = { INT64_MIN,
					  -1,
					  0,
					  1,
					  1795000000,
					  INT64_C(253402300799),
					  INT64_C(253402300800),
					  INT64_MAX - 1,
					  INT64_MAX };
	static const char *const texts[] = { "every 366d", "* * * * *",
					     "0 0 29 2 *", "off" };
	size_t i, last, now;

	(void)state;
	zone_set("Pacific/Apia");
	for (i = 0; i < ul_array_len(texts); i++) {
		struct ul_schedule schedule = parsed(texts[i]);

		schedule.jitter_s = UL_SCHEDULE_MAX_S;
		for (last = 0; last < ul_array_len(clocks); last++) {
			for (now = 0; now < ul_array_len(clocks); now++)
				assert_true(ul_schedule_next(
						&schedule, clocks[last],
						clocks[now], 1) >= clocks[now]);
		}
	}
}

static void test_schedule__jitter_stays_within_and_depends_on_seed(void **state)
{
	struct ul_schedule schedule = parsed("0 3 * * *");
	int64_t due = at("2026-11-25T03:00:00Z"), next, sum = 0;
	int64_t low = INT64_MAX, high = 0;
	uint64_t seed;

	(void)state;
	schedule.jitter_s = 600;
	for (seed = 0; seed < 1000; seed++) {
		next =
		    ul_schedule_next(&schedule, due - 1, due - 1, seed) - due;
		assert_in_range(next, 0, 600);
		sum += next;
		low = next < low ? next : low;
		high = next > high ? next : high;
		/* Asked again at any time until then, the same. */
		assert_int_equal(
		    ul_schedule_next(&schedule, due - 1, due + next / 2, seed),
		    due + next);
		assert_int_equal(
		    ul_schedule_next(&schedule, due - 1, due + next + 5, seed),
		    due + next + 5);
	}
	assert_in_range(sum / 1000, 270, 330);
	assert_true(low < 10 && high > 590);
}

static void test_schedule__what_is_wrong_is_refused_with_its_reason(void **s)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
#define FORMS                                                                  \
	"is no schedule: \"every 6h\", five fields of cron (\"30 4 * * "       \
	"sun\"), "                                                             \
	"@hourly, @daily, @weekly, @monthly, @yearly, or \"off\""
#define EXPECTED "a number, a list, a range or * is expected"
		{ "", "\"\" " FORMS },
		{ "never", "\"never\" " FORMS },
		{ "@reboot", "\"@reboot\" " FORMS },
		{ "@Daily", "\"@Daily\" " FORMS },
		{ "6h", "\"6h\" " FORMS },
		{ "* * * *", "\"* * * *\" " FORMS },
		{ "0 30 4 * * sun", "\"0 30 4 * * sun\" " FORMS },
		{ "every", "\"every\" " FORMS },
		{ "every ", "\"every \" has no duration like 90s, 1h30m or "
			    "10d" },
		{ "every day", "\"every day\" has no duration like 90s, 1h30m "
			       "or 10d" },
		{ "every 0s", "\"every 0s\" would never end" },
		{ "every 53w", "\"every 53w\" is more than 366 days" },
		{ "60 * * * *", "minute \"60\" is out of range: 0 to 59" },
		{ "0 24 * * *", "hour \"24\" is out of range: 0 to 23" },
		{ "0 0 0 * *", "day \"0\" is out of range: 1 to 31" },
		{ "0 0 32 * *", "day \"32\" is out of range: 1 to 31" },
		{ "0 0 * 0 *", "month \"0\" is out of range: 1 to 12" },
		{ "0 0 * 13 *", "month \"13\" is out of range: 1 to 12" },
		{ "0 0 * * 8", "weekday \"8\" is out of range: 0 to 7" },
		{ "99999999999999999999 * * * *",
		  "minute \"99999999999999999999\" is out of range: 0 to 59" },
		{ "1- * * * *", "minute \"1-\": " EXPECTED },
		{ "-1 * * * *", "minute \"-1\": " EXPECTED },
		{ "1,,2 * * * *", "minute \"1,,2\": " EXPECTED },
		{ "1, * * * *", "minute \"1,\": " EXPECTED },
		{ "1;2 * * * *", "minute \"1;2\": " EXPECTED },
		{ "** * * * *", "minute \"**\": " EXPECTED },
		{ "mon * * * *", "minute \"mon\": " EXPECTED },
		{ "0 0 * monday *", "month \"monday\": " EXPECTED },
		{ "0 0 * * sunday", "weekday \"sunday\": " EXPECTED },
		{ "0 0 * mai *", "month \"mai\": " EXPECTED },
		{ "0 22-2 * * *", "hour \"22-2\": a range that runs "
				  "backwards" },
		{ "0 0 * * fri-mon", "weekday \"fri-mon\": a range that runs "
				     "backwards" },
		{ "*/0 * * * *", "minute \"*/0\": a step of 0, or past the end "
				 "of its range" },
		{ "*/60 * * * *", "minute \"*/60\": a step of 0, or past the "
				  "end of its range" },
		{ "10-20/11 * * * *", "minute \"10-20/11\": a step of 0, or "
				      "past the end of its range" },
		{ "*/ * * * *", "minute \"*/\": " EXPECTED },
		{ "5/15 * * * *",
		  "minute \"5/15\": a step needs a range or *" },
		{ "0 0 30 2 *", "\"0 0 30 2 *\" never comes: no such month has "
				"such a day" },
		{ "0 0 30,31 feb *", "\"0 0 30,31 feb *\" never comes: no such "
				     "month has such a day" },
		{ "0 0 31 4,6,9,11 *", "\"0 0 31 4,6,9,11 *\" never comes: no "
				       "such month has such a day" },
		{ "0 0 31 2 */2", "\"0 0 31 2 */2\" never comes: no such month "
				  "has such a day" },
	};
	struct ul_schedule schedule, before;
	size_t i;

	(void)s;
	memset(&schedule, 7, sizeof schedule);
	before = schedule;
	for (i = 0; i < ul_array_len(cases); i++) {
		struct ul_err err = UL_ERR_INIT;

		if (ul_schedule_parse(cases[i].text, &schedule, &err) !=
		    UL_E_INVALID)
			fail_msg("\"%s\" was taken", cases[i].text);
		assert_string_equal(err.msg, cases[i].message);
		assert_memory_equal(&schedule, &before, sizeof before);
	}
	/* 30 February or a Monday: that comes. */
	assert_next("0 0 30 2 mon", "2026-02-25T00:00:00Z",
		    "2026-02-25T00:00:00Z", "2027-02-01T00:00:00Z");
}

/* The model: what a wall clock shows at each minute of some months. */
enum { WINDOW_DAYS = 120, WINDOW = WINDOW_DAYS * 24 * 60 };

static struct wall {
	int64_t from_unix_s;
	int64_t shown[WINDOW]; /* minutes */
	size_t changes[8];     /* where it does not go on by one */
	size_t change_count;
} wall;

static void wall_build(const char *zone, const char *from)
{
	size_t i;

	zone_set(zone);
	wall.from_unix_s = at(from);
	wall.change_count = 0;
	for (i = 0; i < WINDOW; i++) {
		time_t when = wall.from_unix_s + (int64_t)i * 60;
		struct tm tm;

		assert_non_null(localtime_r(&when, &tm));
		wall.shown[i] = timegm(&tm) / 60;
		if (i && wall.shown[i] != wall.shown[i - 1] + 1) {
			assert_true(wall.change_count < 8);
			wall.changes[wall.change_count++] = i;
		}
	}
}

/* What a cron time takes, as the generator made it; no code of ours. */
struct taken {
	bool minutes[60], hours[24], days[32], months[13], weekdays[7];
	bool is_day_any, is_weekday_any;
};

static bool takes(const struct taken *taken, int64_t minute)
{
	time_t when = minute * 60;
	struct tm tm;
	bool day, weekday;

	if (!taken->minutes[minute % 60])
		return false;
	gmtime_r(&when, &tm);
	if (!taken->hours[tm.tm_hour] || !taken->months[tm.tm_mon + 1])
		return false;
	day = taken->days[tm.tm_mday];
	weekday = taken->weekdays[tm.tm_wday];
	if (taken->is_day_any || taken->is_weekday_any)
		return day && weekday;
	return day || weekday;
}

/*
 * The first minute after `last` at which a clock shows, or has jumped over,
 * something that fits and that it had not shown or jumped over before; 0: none
 * in the window.
 */
static int64_t model_next(const struct taken *taken, int64_t last_unix_s)
{
	int64_t seen = wall.shown[0], minute;
	size_t i;

	for (i = 1; i < WINDOW; i++) {
		int64_t when = wall.from_unix_s + (int64_t)i * 60;

		for (minute = seen + 1; minute <= wall.shown[i]; minute++) {
			if (when > last_unix_s && takes(taken, minute))
				return when;
		}
		if (wall.shown[i] > seen)
			seen = wall.shown[i];
	}
	return 0;
}

static uint64_t random_state;

static unsigned random_below(unsigned below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state % below);
}

/* A list of one to three items within [min, max], where * goes to any_max, in
 * text and as a table. */
static void field_make(char *text, size_t size, bool *taken, unsigned min,
		       unsigned max, unsigned any_max, unsigned table_size,
		       bool *ret_is_any)
{
	unsigned items = 1 + random_below(3), from, to, step, i, k;
	size_t len = 0;

	*text = '\0';
	*ret_is_any = false;
	for (k = 0; k < items; k++) {
		bool is_any = random_below(3) == 0;

		from = is_any ? min : min + random_below(max - min + 1);
		to = is_any ? any_max : from + random_below(max - from + 1);
		step = random_below(2) || to == from
			   ? 1
			   : 1 + random_below(to - from);
		*ret_is_any = *ret_is_any || (is_any && !k);
		len += (size_t)snprintf(text + len, size - len, "%s",
					k ? "," : "");
		if (is_any)
			len += (size_t)snprintf(text + len, size - len, "*");
		else if (from == to)
			len += (size_t)snprintf(text + len, size - len, "%u",
						from);
		else
			len += (size_t)snprintf(text + len, size - len, "%u-%u",
						from, to);
		if (step > 1)
			len += (size_t)snprintf(text + len, size - len, "/%u",
						step);
		for (i = from; i <= to; i += step)
			taken[i % table_size] = true;
	}
}

/* Mostly those at which clocks are changed. */
static void hours_make(char *text, size_t size, bool *taken)
{
	unsigned from = random_below(5), to = from + random_below(3), i;
	bool ignored;

	if (random_below(2)) {
		field_make(text, size, taken, 0, 23, 23, 24, &ignored);
		return;
	}
	snprintf(text, size, "%u-%u", from, to);
	for (i = from; i <= to; i++)
		taken[i] = true;
}

static void schedule_make(char text[256], struct taken *taken)
{
	char minute[40], hour[40], day[40], month[40], weekday[40];
	bool ignored;

	memset(taken, 0, sizeof *taken);
	field_make(minute, sizeof minute, taken->minutes, 0, 59, 59, 60,
		   &ignored);
	hours_make(hour, sizeof hour, taken->hours);
	snprintf(day, sizeof day, "*");
	snprintf(month, sizeof month, "*");
	snprintf(weekday, sizeof weekday, "*");
	memset(taken->days, true, sizeof taken->days);
	memset(taken->months, true, sizeof taken->months);
	memset(taken->weekdays, true, sizeof taken->weekdays);
	taken->is_day_any = taken->is_weekday_any = true;
	if (random_below(2)) {
		memset(taken->days, 0, sizeof taken->days);
		field_make(day, sizeof day, taken->days, 1, 28, 31, 32,
			   &taken->is_day_any);
	}
	if (random_below(2)) {
		memset(taken->weekdays, 0, sizeof taken->weekdays);
		field_make(weekday, sizeof weekday, taken->weekdays, 0, 6, 6, 7,
			   &taken->is_weekday_any);
	}
	if (random_below(4) == 0) {
		memset(taken->months, 0, sizeof taken->months);
		field_make(month, sizeof month, taken->months, 1, 12, 12, 13,
			   &ignored);
	}
	snprintf(text, 256, "%s %s %s %s %s", minute, hour, day, month,
		 weekday);
}

/* Half of them around a change of the clock. */
static int64_t time_make(void)
{
	int64_t i = random_below(WINDOW);

	if (wall.change_count && random_below(2))
		i = (int64_t)wall
			.changes[random_below((unsigned)wall.change_count)] -
		    1560 + random_below(1800);
	return wall.from_unix_s + (i < 1 ? 1 : i) * 60 - random_below(60);
}

static void check_against_model(const char *zone, uint64_t seed)
{
	const int64_t end = wall.from_unix_s + (int64_t)(WINDOW - 1) * 60;
	struct taken taken;
	char text[256];
	unsigned i;

	schedule_make(text, &taken);
	for (i = 0; i < 6; i++) {
		struct ul_schedule schedule = parsed(text);
		int64_t last = time_make();
		int64_t wanted = model_next(&taken, last);
		int64_t next = ul_schedule_next(&schedule, last, last, 0);

		if (wanted ? next == wanted : next > end)
			continue;
		fail_msg("seed %llu, %s: \"%s\" after %lld is %lld, not %lld",
			 (unsigned long long)seed, zone, text, (long long)last,
			 (long long)next, (long long)wanted);
	}
}

static void test_schedule__cron_agrees_with_a_clock_read_each_minute(void **s)
{
	static const struct {
		const char *zone, *from;
	} zones[] = {
		{ "UTC", "2026-01-01T00:00:00Z" },
		{ "Europe/Berlin", "2026-03-01T00:00:00Z" },
		{ "Europe/Berlin", "2026-09-01T00:00:00Z" },
		{ "America/New_York", "2026-01-20T00:00:00Z" },
		{ "America/New_York", "2026-10-01T00:00:00Z" },
		{ "America/Sao_Paulo", "2018-01-15T00:00:00Z" },
		{ "America/Sao_Paulo", "2018-09-15T00:00:00Z" },
		{ "Australia/Lord_Howe", "2026-02-01T00:00:00Z" },
		{ "Australia/Lord_Howe", "2026-08-01T00:00:00Z" },
		{ "Asia/Kathmandu", "2026-02-01T00:00:00Z" },
		{ "Pacific/Apia", "2011-11-15T00:00:00Z" },
		{ "Pacific/Kwajalein", "1993-07-01T00:00:00Z" },
		{ "Africa/Casablanca", "2026-01-15T00:00:00Z" },
		{ "America/St_Johns", "2006-09-15T00:00:00Z" },
		{ "Africa/Cairo", "2010-08-01T00:00:00Z" },
		{ "Europe/Dublin", "2026-09-15T00:00:00Z" },
	};
	const char *given = getenv("UL_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : 20261125;
	size_t zone;
	int i;

	(void)s;
	for (zone = 0; zone < ul_array_len(zones); zone++) {
		wall_build(zones[zone].zone, zones[zone].from);
		random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + zone + 1;
		for (i = 0; i < 40; i++)
			check_against_model(zones[zone].zone, seed);
	}
}

/* Each time that comes out is after the last: a timer goes on. */
static void test_schedule__a_year_of_runs_ends(void **state)
{
	struct ul_schedule schedule = parsed("*/10 * * * *");
	int64_t now, next, count = 0;

	(void)state;
	zone_set("America/New_York");
	now = at("2026-01-01T05:00:00Z");
	while (now < at("2027-01-01T05:00:00Z")) {
		next = ul_schedule_next(&schedule, now, now, 3);
		assert_true(next > now);
		now = next;
		count++;
	}
	/* All but those of the hour that comes twice. */
	assert_int_equal(count, 365 * 144 - 6);
}

int main(void)
{
#define test(name) cmocka_unit_test_teardown(test_schedule__##name, zone_reset)
	const struct CMUnitTest tests[] = {
		test(an_interval_goes_from_the_last_run),
		test(what_was_missed_is_due_once_and_now),
		test(off_is_never),
		test(cron_times_fit_all_fields),
		test(day_or_weekday_where_both_are_named),
		test(weekdays_wrap_at_sunday),
		test(names_stand_for_cron_fields),
		test(29_february_waits_for_its_year),
		test(a_time_that_does_not_exist_is_the_next),
		test(a_time_that_comes_twice_counts_once),
		test(utc_knows_no_changes),
		test(a_clock_put_back_a_little_repeats_nothing),
		test(a_clock_put_back_far_is_due_now),
		test(a_clock_put_forward_is_due_once),
		test(any_clock_gets_an_answer),
		test(jitter_stays_within_and_depends_on_seed),
		test(what_is_wrong_is_refused_with_its_reason),
		test(cron_agrees_with_a_clock_read_each_minute),
		test(a_year_of_runs_ends),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
