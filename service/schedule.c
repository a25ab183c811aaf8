#include "service/schedule.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "service/civil.h"
#include "service/limits.h"
#include "service/schedule_cron.h"

/* As cron does: a clock that is put back by less has only been corrected. */
enum { CLOCK_CORRECTION_S = 3 * 3600 };

static int interval_parse(const char *text, struct ul_schedule *ret,
			  struct ul_err *err)
{
	int64_t seconds;

	if (!ul_duration_parse(text, &seconds))
		return ul_err_set(err, UL_E_INVALID,
				  "\"every %.40s\" has no duration like 90s, "
				  "1h30m or 10d",
				  text);
	if (!seconds)
		return ul_err_set(err, UL_E_INVALID,
				  "\"every %.40s\" would never end", text);
	if (seconds > UL_SCHEDULE_MAX_S)
		return ul_err_set(err, UL_E_INVALID,
				  "\"every %.40s\" is more than 366 days",
				  text);
	*ret = (struct ul_schedule){
		.kind = UL_SCHEDULE_INTERVAL,
		.interval_s = seconds,
	};
	return 0;
}

int ul_schedule_parse(const char *text, struct ul_schedule *ret,
		      struct ul_err *err)
{
	if (!strcmp(text, "off")) {
		*ret = (struct ul_schedule){ .kind = UL_SCHEDULE_OFF };
		return 0;
	}
	if (!strncmp(text, "every ", 6))
		return interval_parse(text + 6 + strspn(text + 6, " "), ret,
				      err);
	return ul_schedule_parse_cron(text, ret, err);
}

/* Same due time and seed, same delay; spread evenly (splitmix64's mixer). */
static int64_t delay_s(const struct ul_schedule *schedule, int64_t due_unix_s,
		       uint64_t seed)
{
	uint64_t x = seed + (uint64_t)due_unix_s * UINT64_C(0x9e3779b97f4a7c15);

	if (!schedule->jitter_s)
		return 0;
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return (int64_t)(x % ((uint64_t)schedule->jitter_s + 1));
}

static bool day_fits(const struct ul_schedule *schedule,
		     const struct ul_civil *civil)
{
	bool day = schedule->days >> civil->day & 1;
	bool weekday = schedule->weekdays >> ul_civil_weekday(civil) & 1;

	return schedule->is_either_day ? day || weekday : day && weekday;
}

static void to_next_day(struct ul_civil *civil)
{
	civil->hour = civil->minute = 0;
	if (civil->day++ < ul_civil_month_days(civil->year, civil->month))
		return;
	civil->day = 1;
	if (civil->month++ < 12)
		return;
	civil->month = 1;
	civil->year++;
}

static void to_next_month(struct ul_civil *civil)
{
	civil->day = ul_civil_month_days(civil->year, civil->month);
	to_next_day(civil);
}

static void to_next_hour(struct ul_civil *civil)
{
	civil->minute = 0;
	if (civil->hour++ == 23)
		to_next_day(civil);
}

/* The first minute that fits from this one on. */
static int64_t minute_fitting(const struct ul_schedule *schedule,
			      int64_t minute)
{
	struct ul_civil civil = ul_civil_of(minute);
	int last_year = civil.year + UL_SCHEDULE_SEARCH_YEARS;

	for (;;) {
		/* What never fits was refused when it was parsed. */
		assert(civil.year <= last_year);
		if (!(schedule->months >> civil.month & 1))
			to_next_month(&civil);
		else if (!day_fits(schedule, &civil))
			to_next_day(&civil);
		else if (!(schedule->hours >> civil.hour & 1))
			to_next_hour(&civil);
		else if (schedule->minutes >> civil.minute & 1)
			return ul_civil_minute(&civil);
		else if (civil.minute++ == 59)
			to_next_hour(&civil);
	}
}

/*
 * The first cron time after one. While a clock shows for the second time what
 * it had shown before, what fits then has been: those minutes are passed over.
 */
static int64_t cron_after(const struct ul_schedule *schedule, int64_t unix_s)
{
	int64_t minute = ul_civil_shown(unix_s, schedule->is_utc);
	int64_t when;

	do {
		minute = minute_fitting(schedule, minute + 1);
		when = ul_civil_first(minute, schedule->is_utc);
	} while (when <= unix_s);
	return when;
}

static int64_t due_after(const struct ul_schedule *schedule, int64_t unix_s)
{
	if (schedule->kind == UL_SCHEDULE_CRON)
		return cron_after(schedule, unix_s);
	return unix_s + schedule->interval_s;
}

static int64_t correction_s(const struct ul_schedule *schedule)
{
	if (schedule->kind == UL_SCHEDULE_INTERVAL &&
	    schedule->interval_s < CLOCK_CORRECTION_S)
		return schedule->interval_s;
	return CLOCK_CORRECTION_S;
}

int64_t ul_schedule_next(const struct ul_schedule *schedule,
			 int64_t last_run_unix_s, int64_t now_unix_s,
			 uint64_t seed)
{
	int64_t due;

	if (schedule->kind == UL_SCHEDULE_OFF)
		return UL_SCHEDULE_NEVER;
	if (now_unix_s < 0)
		now_unix_s = 0;
	if (last_run_unix_s < 0)
		last_run_unix_s = 0;
	if (last_run_unix_s > now_unix_s &&
	    last_run_unix_s - now_unix_s > correction_s(schedule))
		return now_unix_s;
	/* A clock beyond what dates can say; a run a second is no answer. */
	if (last_run_unix_s > UL_CIVIL_MAX_UNIX_S)
		return UL_SCHEDULE_NEVER;
	due = due_after(schedule, last_run_unix_s);
	due += delay_s(schedule, due, seed);
	return due > now_unix_s ? due : now_unix_s;
}
