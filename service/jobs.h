/*
 * service/jobs.h - what the configuration wants done at times, as commands.
 * Pure: no clock, no I/O.
 *
 * A job is one schedule for one store: "gc embedded", "prune nightly cache".
 */
#ifndef UL_SERVICE_JOBS_H
#define UL_SERVICE_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ul_arena;
struct ul_config;
struct ul_err;
struct ul_schedule;

enum { UL_JOB_WORDS_MAX = 8 };

struct ul_job {
	const char *name;
	char *words[UL_JOB_WORDS_MAX]; /* of the command; ends with NULL */
	int count;
	bool is_change;                     /* one after the other */
	const struct ul_schedule *schedule; /* the configuration's */
	uint64_t seed;                      /* of its jitter */
	/* When it was last begun; where it never was, since when it waits. */
	int64_t last_unix_s;
	bool is_running; /* or queued: not due meanwhile */
};

/*
 * All that is ever due. since_unix_s: since when those wait that never ran.
 * seed: of this machine.
 * Owner:   *ret_jobs is in the arena and borrows from the configuration.
 * Returns: 0; UL_E_NOMEM.
 */
int ul_jobs_make(const struct ul_config *config, int64_t since_unix_s,
		 uint64_t seed, struct ul_arena *arena,
		 struct ul_job **ret_jobs, size_t *ret_count,
		 struct ul_err *err);

/* When the next one is due, now_unix_s at the earliest; or
 * UL_SCHEDULE_NEVER. */
int64_t ul_jobs_next(const struct ul_job *jobs, size_t count,
		     int64_t now_unix_s);

/* The one that is due now and has been longest, or NULL. */
struct ul_job *ul_jobs_due(struct ul_job *jobs, size_t count,
			   int64_t now_unix_s);

#endif
