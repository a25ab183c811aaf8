#include "service/jobs.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "service/config.h"
#include "service/schedule.h"

struct making {
	const struct ul_config *config;
	struct ul_arena *arena;
	struct ul_job *jobs;
	size_t count;
	int64_t since_unix_s;
	uint64_t seed;
	bool failed; /* no memory */
};

/* FNV-1a: jobs of one machine do not all wait as long. */
static uint64_t seed_of(const char *name, uint64_t seed)
{
	for (; *name; name++)
		seed = (seed ^ (unsigned char)*name) * 0x100000001b3u;
	return seed;
}

static const char *joined(struct making *making, const char *a, const char *b)
{
	size_t size = strlen(a) + strlen(b) + 1;
	char *text = ul_arena_alloc(making->arena, size);

	if (text)
		snprintf(text, size, "%s%s", a, b);
	else
		making->failed = true;
	return text;
}

static void word_add(struct making *making, const char *a, const char *b)
{
	struct ul_job *job = &making->jobs[making->count];

	job->words[job->count++] = (char *)joined(making, a, b);
}

/* Those that all jobs of a store have come last. */
static void job_end(struct making *making, const char *name,
		    const struct ul_schedule *schedule,
		    const struct ul_config_store *store)
{
	struct ul_job *job = &making->jobs[making->count];
	const char *before = joined(making, name, " ");

	word_add(making, "--store=", store->name);
	if (job->is_change && !store->keeps_trash)
		word_add(making, "--now", "");
	if (job->is_change && store->is_exclusive)
		word_add(making, "--exclusive", "");
	job->name = before ? joined(making, before, store->name) : NULL;
	job->schedule = schedule;
	job->last_unix_s = making->since_unix_s;
	if (making->failed)
		return;
	job->seed = seed_of(job->name, making->seed);
	making->count++;
}

static bool is_ever(const struct ul_schedule *schedule)
{
	return schedule->kind != UL_SCHEDULE_OFF;
}

static void store_jobs(struct making *making,
		       const struct ul_config_store *store)
{
	const struct ul_config *config = making->config;
	size_t i;

	if (is_ever(&config->sync)) {
		word_add(making, "df", "");
		word_add(making, "--measure", "");
		job_end(making, "sync", &config->sync, store);
	}
	if (is_ever(&config->gc)) {
		making->jobs[making->count].is_change = true;
		word_add(making, "gc", "");
		job_end(making, "gc", &config->gc, store);
	}
	for (i = 0; !making->failed && i < config->prunes.count; i++) {
		const struct ul_config_prune *prune = &config->prunes.items[i];
		const char *name = joined(making, "prune ", prune->name);

		if (!name || !is_ever(&prune->schedule) ||
		    !ul_config_prune_covers(prune, store->name))
			continue;
		making->jobs[making->count].is_change = true;
		word_add(making, "prune", "");
		word_add(making, "--yes", "");
		word_add(making, "--policy=", prune->name);
		job_end(making, name, &prune->schedule, store);
	}
}

int ul_jobs_make(const struct ul_config *config, int64_t since_unix_s,
		 uint64_t seed, struct ul_arena *arena,
		 struct ul_job **ret_jobs, size_t *ret_count,
		 struct ul_err *err)
{
	size_t most = config->stores.count * (2 + config->prunes.count), i;
	struct making making = {
		.config = config,
		.arena = arena,
		.jobs = ul_arena_alloc(arena, (most + 1) * sizeof *making.jobs),
		.since_unix_s = since_unix_s,
		.seed = seed,
	};

	if (!making.jobs)
		return ul_err_nomem(err);
	memset(making.jobs, 0, (most + 1) * sizeof *making.jobs);
	for (i = 0; !making.failed && i < config->stores.count; i++)
		store_jobs(&making, &config->stores.items[i]);
	if (making.failed)
		return ul_err_nomem(err);
	*ret_jobs = making.jobs;
	*ret_count = making.count;
	return 0;
}

static int64_t job_next(const struct ul_job *job, int64_t now_unix_s)
{
	return job->is_running
		   ? UL_SCHEDULE_NEVER
		   : ul_schedule_next(job->schedule, job->last_unix_s,
				      now_unix_s, job->seed);
}

int64_t ul_jobs_next(const struct ul_job *jobs, size_t count,
		     int64_t now_unix_s)
{
	int64_t next = UL_SCHEDULE_NEVER;
	size_t i;

	for (i = 0; i < count; i++) {
		int64_t due = job_next(&jobs[i], now_unix_s);

		next = due < next ? due : next;
	}
	return next;
}

struct ul_job *ul_jobs_due(struct ul_job *jobs, size_t count,
			   int64_t now_unix_s)
{
	struct ul_job *first = NULL;
	size_t i;

	for (i = 0; i < count; i++) {
		if (job_next(&jobs[i], now_unix_s) > now_unix_s)
			continue;
		if (!first || jobs[i].last_unix_s < first->last_unix_s)
			first = &jobs[i];
	}
	return first;
}
