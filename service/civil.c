#include "service/civil.h"

#include <time.h>

enum { MINUTES_A_DAY = 24 * 60, DAY_S = 86400 };

static int64_t floor_div(int64_t n, int64_t by)
{
	return n / by - (n % by < 0);
}

/*
 * Days since 1970 and back, in the calendar of today at any time. Years begin
 * in March, so that the day that comes and goes is their last; 400 of them have
 * 146097 days.
 */
static int64_t days_of(int64_t year, int month, int day)
{
	int64_t from_march = month > 2 ? month - 3 : month + 9;
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = floor_div(y, 400), of_era = y - era * 400;
	int64_t of_year = (153 * from_march + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 +
	       of_year - 719468;
}

static void date_of(int64_t days, struct ul_civil *ret)
{
	int64_t since = days + 719468, era = floor_div(since, 146097);
	int64_t of_era = since - era * 146097;
	int64_t year =
	    (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t from_march = (5 * of_year + 2) / 153;

	ret->day = (int)(of_year - (153 * from_march + 2) / 5 + 1);
	ret->month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
	ret->year = (int)(year + era * 400 + (ret->month <= 2));
}

int64_t ul_civil_minute(const struct ul_civil *civil)
{
	return days_of(civil->year, civil->month, civil->day) * MINUTES_A_DAY +
	       civil->hour * 60 + civil->minute;
}

struct ul_civil ul_civil_of(int64_t minute)
{
	int64_t days = floor_div(minute, MINUTES_A_DAY);
	int left = (int)(minute - days * MINUTES_A_DAY);
	struct ul_civil civil = { .hour = left / 60, .minute = left % 60 };

	date_of(days, &civil);
	return civil;
}

int ul_civil_weekday(const struct ul_civil *civil)
{
	int64_t days = days_of(civil->year, civil->month, civil->day);

	/* The first of 1970 was a Thursday. */
	return (int)(days + 4 - floor_div(days + 4, 7) * 7);
}

int ul_civil_month_days(int year, int month)
{
	return (int)(days_of(month == 12 ? year + 1 : year, month % 12 + 1, 1) -
		     days_of(year, month, 1));
}

/* Seconds that a wall clock is ahead of UTC. */
static int64_t offset_s(int64_t unix_s, bool is_utc)
{
	time_t when = unix_s;
	struct tm tm;

	if (is_utc || !localtime_r(&when, &tm))
		return 0;
	return tm.tm_gmtoff;
}

/* As seconds; the clock of a zone may once have been off by a part of a
 * minute. */
static int64_t shown_s(int64_t unix_s, bool is_utc)
{
	return unix_s + offset_s(unix_s, is_utc);
}

int64_t ul_civil_shown(int64_t unix_s, bool is_utc)
{
	return floor_div(shown_s(unix_s, is_utc), 60);
}

/* Between two times at which a clock shows less than wanted, and not less. */
static int64_t bisect(int64_t less, int64_t more, int64_t wanted_s)
{
	while (more - less > 1) {
		int64_t middle = less + (more - less) / 2;

		if (shown_s(middle, false) < wanted_s)
			less = middle;
		else
			more = middle;
	}
	return more;
}

/*
 * No clock is a day off UTC, so the times a day before and after lie on both
 * sides of a change that this minute has to do with. There are never two
 * within these two days.
 */
int64_t ul_civil_first(int64_t minute, bool is_utc)
{
	int64_t wanted_s = minute * 60;
	int64_t before = offset_s(wanted_s - DAY_S, is_utc);
	int64_t after = offset_s(wanted_s + DAY_S, is_utc);
	int64_t ahead = before > after ? before : after;
	int64_t behind = before > after ? after : before;

	/* The clock that is ahead gets there first. */
	if (offset_s(wanted_s - ahead, is_utc) == ahead)
		return wanted_s - ahead;
	if (offset_s(wanted_s - behind, is_utc) == behind)
		return wanted_s - behind;
	return bisect(wanted_s - ahead, wanted_s - behind, wanted_s);
}
