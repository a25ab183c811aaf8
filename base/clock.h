/*
 * base/clock.h - wall time and durations, as text and as numbers.
 *
 * Wall time is whole seconds since 1970 (`_unix_s`). Code that decides takes
 * the time as a parameter; only the edge asks for it.
 */
#ifndef UL_BASE_CLOCK_H
#define UL_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* What time it is. */
int64_t ul_clock_unix_s(void);

/* A clock that only moves forward, for measuring how long something took. */
int64_t ul_clock_mono_ns(void);

/*
 * A duration: a sum of numbers with units s, m, h, d or w ("90", "1h30m",
 * "10d"); a bare number is seconds. False for anything else and past 2^53 s.
 */
bool ul_duration_parse(const char *text, int64_t *ret_seconds);

/*
 * An RFC 3339 time, as OCI and Docker write it ("2026-11-23T08:40:24.5Z").
 * Fractions are dropped. False for anything else.
 */
bool ul_time_parse(const char *text, int64_t *ret_unix_s);

/* "2026-11-23T08:40:24Z" and a NUL. */
#define UL_TIME_TEXT_MAX 32
void ul_time_format(int64_t unix_s, char text[UL_TIME_TEXT_MAX]);

#endif
