/*
 * service/civil.h - dates and wall clocks, for service/schedule.c alone.
 *
 * A civil minute counts the minutes that a wall clock showed since 1970 began
 * on it, as if its time zone had never changed. Pure but for TZ.
 */
#ifndef UL_SERVICE_CIVIL_H
#define UL_SERVICE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

/* From 1970 to the end of 9999: what localtime_r(3) and a date can say. */
#define UL_CIVIL_MAX_UNIX_S INT64_C(253402300799)

struct ul_civil {
	int year, month, day; /* month and day from 1 */
	int hour, minute;
};

int64_t ul_civil_minute(const struct ul_civil *civil);
struct ul_civil ul_civil_of(int64_t minute);

/* 0 is Sunday. */
int ul_civil_weekday(const struct ul_civil *civil);
int ul_civil_month_days(int year, int month);

/* The minute that a wall clock shows at that time. */
int64_t ul_civil_shown(int64_t unix_s, bool is_utc);

/*
 * The first time at which a wall clock shows this minute or, where it is put
 * forward over it, a later one.
 */
int64_t ul_civil_first(int64_t minute, bool is_utc);

#endif
