/*
 * service/timers.h - carries out what the configuration wants done at times.
 *
 * The jobs (service/jobs.h) wait for the wall clock, whatever it does; workers
 * run them as commands, and the database remembers when each was last begun.
 * What they do is told on stderr, a line each. All functions are for the
 * loop's thread.
 */
#ifndef UL_SERVICE_TIMERS_H
#define UL_SERVICE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>

#include "service/service.h"

struct ev_loop;
struct ul_err;
struct ul_timers;
struct ul_workers;

struct ul_timers_options {
	struct ev_loop *loop;
	const struct ul_service_options *service;
	struct ul_workers *answers, *changes;
	bool (*is_stopping)(void *arg); /* any thread; ends runs */
	void (*ended)(void *arg);       /* one more thing was called back */
	void *arg;
};

/*
 * Make the jobs and begin to wait. What is known of earlier runs is read by a
 * worker first; nothing is due before that.
 * Owner:   *ret_timers, freed by ul_timers_free() after the workers.
 * Returns: 0; UL_E_BUSY (the workers take nothing); UL_E_NOMEM.
 */
int ul_timers_new(const struct ul_timers_options *options,
		  struct ul_timers **ret_timers, struct ul_err *err);

/* Nothing more is begun. NULL is fine. */
void ul_timers_stop(struct ul_timers *timers);

/* Jobs that are being carried out, or wait for a worker. */
size_t ul_timers_running(const struct ul_timers *timers);

void ul_timers_free(struct ul_timers *timers);

#endif
