#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t ul_clock_unix_s(void)
{
	return time(NULL);
}

int64_t ul_clock_mono_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t unit_seconds(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	case 'w':
		return 7 * 86400;
	default:
		return 0;
	}
}

bool ul_duration_parse(const char *text, int64_t *ret_seconds)
{
	const int64_t most = (int64_t)1 << 53;
	int64_t total = 0;
	bool is_first = true;

	if (!*text)
		return false;
	while (*text) {
		int64_t number = 0, unit;
		const char *start = text;

		for (; *text >= '0' && *text <= '9'; text++) {
			number = number * 10 + (*text - '0');
			if (number > most)
				return false;
		}
		if (text == start)
			return false;
		unit = *text ? unit_seconds(*text++) : is_first;
		if (!unit || __builtin_mul_overflow(number, unit, &number) ||
		    number > most - total)
			return false;
		total += number;
		is_first = false;
	}
	*ret_seconds = total;
	return true;
}

/* Exactly n digits at *text, which moves past them; -1 if there are not. */
static int digits(const char **text, int n)
{
	int value = 0;

	while (n--) {
		if (**text < '0' || **text > '9')
			return -1;
		value = value * 10 + (*(*text)++ - '0');
	}
	return value;
}

static bool skip(const char **text, char c)
{
	return **text == c && (*text)++;
}

static int month_days(int year, int month)
{
	static const int8_t days[] = { 31, 28, 31, 30, 31, 30,
				       31, 31, 30, 31, 30, 31 };
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month] + (month == 1 && is_leap);
}

static bool parse_clock(const char **text, struct tm *tm)
{
	tm->tm_year = digits(text, 4) - 1900;
	if (tm->tm_year < -1900 || !skip(text, '-'))
		return false;
	tm->tm_mon = digits(text, 2) - 1;
	if (tm->tm_mon < 0 || tm->tm_mon > 11 || !skip(text, '-'))
		return false;
	tm->tm_mday = digits(text, 2);
	if (tm->tm_mday < 1 ||
	    tm->tm_mday > month_days(tm->tm_year + 1900, tm->tm_mon))
		return false;
	if (!skip(text, 'T') && !skip(text, 't') && !skip(text, ' '))
		return false;
	tm->tm_hour = digits(text, 2);
	if (tm->tm_hour < 0 || tm->tm_hour > 23 || !skip(text, ':'))
		return false;
	tm->tm_min = digits(text, 2);
	if (tm->tm_min < 0 || tm->tm_min > 59 || !skip(text, ':'))
		return false;
	tm->tm_sec = digits(text, 2);
	return tm->tm_sec >= 0 && tm->tm_sec <= 60;
}

static bool parse_zone(const char **text, int64_t *ret_offset_s)
{
	int sign, hours, minutes;

	*ret_offset_s = 0;
	if (skip(text, 'Z') || skip(text, 'z'))
		return true;
	sign = **text == '-' ? -1 : 1;
	if (!skip(text, '+') && !skip(text, '-'))
		return false;
	hours = digits(text, 2);
	if (hours < 0 || hours > 23 || !skip(text, ':'))
		return false;
	minutes = digits(text, 2);
	if (minutes < 0 || minutes > 59)
		return false;
	*ret_offset_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

bool ul_time_parse(const char *text, int64_t *ret_unix_s)
{
	struct tm tm = { 0 };
	int64_t offset_s;

	if (!parse_clock(&text, &tm))
		return false;
	if (skip(&text, '.')) {
		if (digits(&text, 1) < 0)
			return false;
		while (*text >= '0' && *text <= '9')
			text++;
	}
	if (!parse_zone(&text, &offset_s) || *text)
		return false;
	*ret_unix_s = timegm(&tm) - offset_s;
	return true;
}

void ul_time_format(int64_t unix_s, char text[UL_TIME_TEXT_MAX])
{
	time_t when = unix_s;
	struct tm tm;
	size_t len;

	if (!gmtime_r(&when, &tm) || tm.tm_year > 8099 || tm.tm_year < -1900) {
		snprintf(text, UL_TIME_TEXT_MAX, "%lld", (long long)unix_s);
		return;
	}
	/* strftime() does not pad the year, and Go's zero time is of year 1.
	 */
	len =
	    (size_t)snprintf(text, UL_TIME_TEXT_MAX, "%04d", tm.tm_year + 1900);
	strftime(text + len, UL_TIME_TEXT_MAX - len, "-%m-%dT%H:%M:%SZ", &tm);
}
