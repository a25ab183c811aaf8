#include "service/timers.h"

#include <ev.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "service/config.h"
#include "service/jobs.h"
#include "service/schedule.h"
#include "service/task.h"
#include "service/workers.h"
#include "store/db/db.h"
#include "store/db/jobs.h"

/* Where no worker takes it, or the clock cannot be waited for longer. */
enum { RETRY_S = 60 };
enum { MACHINE_ID_MAX_BYTES = 64 };

struct ul_timers {
	struct ul_timers_options options;
	struct ul_arena arena;
	struct ul_job *jobs; /* in the arena */
	size_t job_count, running;
	char *db_path; /* owned */
	ev_periodic due;
	struct ul_work reading; /* of what ran before */
	bool is_stopped, is_read;
};

/* A job that is carried out. */
struct running {
	struct ul_work work; /* first: it is cast */
	struct ul_timers *timers;
	struct ul_job *job;
	int64_t begun_unix_s, ended_unix_s;
	struct ul_command_run run;
	struct ul_err noted; /* why it is not remembered, or code 0 */
};

static void arm(struct ul_timers *timers, int64_t earliest_unix_s)
{
	int64_t now_unix_s = ul_clock_unix_s();
	int64_t next =
	    ul_jobs_next(timers->jobs, timers->job_count, now_unix_s);

	ev_periodic_stop(timers->options.loop, &timers->due);
	if (timers->is_stopped || next == UL_SCHEDULE_NEVER)
		return;
	if (next < earliest_unix_s)
		next = earliest_unix_s;
	ev_periodic_set(&timers->due, (double)next, 0., NULL);
	ev_periodic_start(timers->options.loop, &timers->due);
}

static void running_tell(struct running *running)
{
	bool is_bad = running->run.status != 0 && running->run.status != 3;
	const char *line =
	    ul_command_last_line(is_bad ? running->run.talk : running->run.out);

	if (running->work.is_cancelled)
		return;
	fprintf(stderr, "%s: %s (%lld s)\n", running->job->name, line,
		(long long)(running->ended_unix_s - running->begun_unix_s));
	if (running->noted.code)
		fprintf(stderr, "%s: that it ran is not remembered: %s\n",
			running->job->name, running->noted.msg);
}

static void running_free(struct running *running)
{
	free(running->run.out);
	free(running->run.talk);
	free(running);
}

/* Where there is no database yet there is nothing to do either. */
static int begun_note(struct running *running)
{
	ul_cleanup(ul_db_closep) struct ul_db *db = NULL;
	struct ul_err *err = &running->noted;
	int rc;

	if (access(running->timers->db_path, F_OK))
		return 0;
	rc = ul_db_open(running->timers->db_path, UL_DB_WRITE, &db, err);
	return rc ? rc
		  : ul_job_begin(db, running->job->name, running->begun_unix_s,
				 err);
}

static void job_run(struct ul_work *work)
{
	struct running *running = (struct running *)work;
	const struct ul_service_options *service =
	    running->timers->options.service;

	running->begun_unix_s = ul_clock_unix_s();
	(void)begun_note(running);
	service->runner(service->runner_arg, &running->run);
	running->ended_unix_s = ul_clock_unix_s();
}

static void job_done(struct ul_work *work)
{
	struct running *running = (struct running *)work;
	struct ul_timers *timers = running->timers;

	running_tell(running);
	if (!work->is_cancelled)
		running->job->last_unix_s = running->begun_unix_s;
	running->job->is_running = false;
	timers->running--;
	running_free(running);
	arm(timers, 0);
	timers->options.ended(timers->options.arg);
}

/* False: not now. */
static bool job_start(struct ul_timers *timers, struct ul_job *job)
{
	const struct ul_timers_options *options = &timers->options;
	struct running *running = ul_calloc(1, sizeof *running);
	struct ul_err ignored = UL_ERR_INIT;

	if (!running)
		return false;
	running->timers = timers;
	running->job = job;
	running->work.run = job_run;
	running->work.done = job_done;
	running->run = (struct ul_command_run){
		.words = job->words,
		.count = job->count,
		.is_stopping = options->is_stopping,
		.arg = options->arg,
	};
	if (ul_workers_add(job->is_change ? options->changes : options->answers,
			   &running->work, &ignored)) {
		running_free(running);
		return false;
	}
	job->is_running = true;
	timers->running++;
	return true;
}

static void on_due(struct ev_loop *loop, ev_periodic *periodic, int events)
{
	struct ul_timers *timers = periodic->data;
	int64_t now_unix_s = ul_clock_unix_s(), earliest_unix_s = 0;
	struct ul_job *job;

	(void)loop;
	(void)events;
	while (
	    (job = ul_jobs_due(timers->jobs, timers->job_count, now_unix_s))) {
		if (job_start(timers, job))
			continue;
		earliest_unix_s = now_unix_s + RETRY_S;
		break;
	}
	arm(timers, earliest_unix_s);
}

static struct ul_timers *timers_of(struct ul_work *reading)
{
	return (struct ul_timers *)((char *)reading -
				    offsetof(struct ul_timers, reading));
}

/* What cannot be read has not run: it waits from now on. */
static void reading_run(struct ul_work *work)
{
	struct ul_timers *timers = timers_of(work);
	ul_cleanup(ul_db_closep) struct ul_db *db = NULL;
	struct ul_err ignored = UL_ERR_INIT;
	size_t i;

	if (ul_db_open(timers->db_path, UL_DB_READ, &db, &ignored))
		return;
	for (i = 0; i < timers->job_count; i++)
		(void)ul_job_begun(db, timers->jobs[i].name,
				   &timers->jobs[i].last_unix_s, &ignored);
}

static void reading_done(struct ul_work *work)
{
	struct ul_timers *timers = timers_of(work);

	timers->is_read = true;
	arm(timers, 0);
	timers->options.ended(timers->options.arg);
}

/* machine-id(5): random, and the same for the life of an installation. */
static uint64_t machine_seed(void)
{
	ul_cleanup(ul_buf_release) struct ul_buf id = UL_BUF_INIT;
	struct ul_err ignored = UL_ERR_INIT;

	if (ul_file_read(AT_FDCWD, "/etc/machine-id", MACHINE_ID_MAX_BYTES, &id,
			 &ignored))
		return 0;
	return strtoull(ul_buf_str(&id) + (id.len > 16 ? 16 : 0), NULL, 16);
}

static int timers_init(struct ul_timers *timers, struct ul_err *err)
{
	const struct ul_service_options *service = timers->options.service;

	timers->db_path = ul_asprintf("%s/ullage.db", service->state_path);
	if (!timers->db_path)
		return ul_err_nomem(err);
	return ul_jobs_make(service->config, ul_clock_unix_s(), machine_seed(),
			    &timers->arena, &timers->jobs, &timers->job_count,
			    err);
}

int ul_timers_new(const struct ul_timers_options *options,
		  struct ul_timers **ret_timers, struct ul_err *err)
{
	struct ul_timers *timers = ul_calloc(1, sizeof *timers);
	int rc;

	if (!timers)
		return ul_err_nomem(err);
	timers->options = *options;
	timers->arena = UL_ARENA_INIT;
	ev_periodic_init(&timers->due, on_due, 0., 0., NULL);
	timers->due.data = timers;
	timers->reading.run = reading_run;
	timers->reading.done = reading_done;
	rc = timers_init(timers, err);
	if (!rc)
		rc = ul_workers_add(options->answers, &timers->reading, err);
	if (rc) {
		ul_timers_free(timers);
		return rc;
	}
	*ret_timers = timers;
	return 0;
}

void ul_timers_stop(struct ul_timers *timers)
{
	if (!timers)
		return;
	timers->is_stopped = true;
	ev_periodic_stop(timers->options.loop, &timers->due);
}

size_t ul_timers_running(const struct ul_timers *timers)
{
	return timers->running + !timers->is_read;
}

void ul_timers_free(struct ul_timers *timers)
{
	if (!timers)
		return;
	ul_timers_stop(timers);
	ul_arena_release(&timers->arena);
	free(timers->db_path);
	free(timers);
}
