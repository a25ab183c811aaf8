/*
 * service/schedule.h - when something is due: intervals and cron times. Pure:
 * the caller brings the time, a timer only waits for what comes out.
 *
 * Texts:
 *   off              never
 *   every DURATION   that long after the last run ("every 6h", "every 1h30m")
 *   M H D MON DOW    cron: minute 0-59, hour 0-23, day 1-31, month 1-12 or
 *                    jan-dec, weekday 0-7 or sun-sat (0 and 7 are Sunday);
 *                    each *, or a list of numbers and ranges A-B, * and ranges
 *                    with a step /N. As in every cron since Vixie's: where
 *                    neither day nor weekday begins with *, one of them is
 *                    enough, else both have to fit.
 *   @hourly @daily @midnight @weekly @monthly @yearly @annually
 *
 * Cron times are those of a wall clock. One that does not exist, because a
 * clock is put forward over it, is the next moment that does exist; one that
 * comes twice, because a clock is put back, counts the first time alone.
 */
#ifndef UL_SERVICE_SCHEDULE_H
#define UL_SERVICE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct ul_err;

enum ul_schedule_kind {
	UL_SCHEDULE_OFF,
	UL_SCHEDULE_INTERVAL,
	UL_SCHEDULE_CRON,
};

struct ul_schedule {
	enum ul_schedule_kind kind;
	int64_t interval_s; /* INTERVAL: 1 or more */
	/* CRON: what fits, bit 0 being minute 0, hour 0, day 0 (unused), month
	 * 0 (unused), Sunday. */
	uint64_t minutes;
	uint32_t hours, days;
	uint16_t months;
	uint8_t weekdays;
	bool is_either_day; /* day or weekday is enough */
	bool is_utc;        /* CRON: of UTC, not of the local time zone */
	int64_t jitter_s;   /* later by up to that; the caller sets it */
};

/* What is never due. */
#define UL_SCHEDULE_NEVER INT64_MAX

/*
 * Parse a text as above; of local time, without jitter.
 * Returns: 0; UL_E_INVALID with the reason: no such form, a number out of
 *          range, days that no month has (30 February), an interval of 0 or
 *          more than UL_SCHEDULE_MAX_S (service/limits.h).
 */
int ul_schedule_parse(const char *text, struct ul_schedule *ret,
		      struct ul_err *err);

/*
 * When it is next due: a time from now_unix_s on, or UL_SCHEDULE_NEVER. What
 * was missed, in suspend or while stopped, is due now, once. Asked again before
 * it has run, the answer is the same, or now: a timer may ask as often as it
 * likes.
 *
 * last_run_unix_s: when it was last begun; where it never was, since when it
 * has been waiting (not 0: that is a run missed in 1970).
 * A clock put back: what ran in a future of up to three hours (an interval: of
 * up to its length) has run; what is said to have run later than that was
 * recorded by a wrong clock, and is due now.
 * seed: the same for each call about one schedule of one machine; with the time
 * that is due it decides the delay within jitter_s.
 *
 * Local time is that of the process (TZ); who changes it calls tzset().
 * Thread: any.
 */
int64_t ul_schedule_next(const struct ul_schedule *schedule,
			 int64_t last_run_unix_s, int64_t now_unix_s,
			 uint64_t seed);

#endif
