#include "service/jobs.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "service/config.h"
#include "service/schedule.h"

static const char text[] =
    "{\"stores\":[{\"name\":\"embedded\",\"kind\":\"embedded\"},"
    "{\"name\":\"c\",\"kind\":\"oci\",\"path\":\"/c\",\"exclusive\":true,"
    "\"trash\":false}],"
    "\"schedules\":{\"zone\":\"UTC\",\"sync\":{\"when\":\"off\"},"
    "\"gc\":{\"when\":\"every 1h\"}},"
    "\"prune\":[{\"name\":\"r\",\"stores\":[\"c\"],\"when\":\"30 4 * * *\","
    "\"all\":true}]}";

struct fixture {
	struct ul_config config;
	struct ul_arena arena;
	struct ul_job *jobs;
	size_t count;
};

enum { SINCE = 1000000 };

static void fixture_init(struct fixture *fixture, const char *config)
{
	struct ul_err err = UL_ERR_INIT;

	fixture->arena = UL_ARENA_INIT;
	if (!config)
		ul_config_init(&fixture->config);
	else
		assert_int_equal(ul_config_parse(config, strlen(config), "test",
						 &fixture->config, &err),
				 0);
	assert_int_equal(ul_jobs_make(&fixture->config, SINCE, 7,
				      &fixture->arena, &fixture->jobs,
				      &fixture->count, &err),
			 0);
}

static void fixture_release(struct fixture *fixture)
{
	ul_config_release(&fixture->config);
	ul_arena_release(&fixture->arena);
}

static void job_expect(const struct ul_job *job, const char *name,
		       const char *words, bool is_change)
{
	char line[256] = "";
	size_t len = 0;
	int i;

	for (i = 0; i < job->count; i++)
		len += (size_t)snprintf(line + len, sizeof line - len, "%s%s",
					i ? " " : "", job->words[i]);
	assert_null(job->words[job->count]);
	assert_string_equal(job->name, name);
	assert_string_equal(line, words);
	assert_int_equal(job->is_change, is_change);
	assert_int_equal(job->last_unix_s, SINCE);
}

static void test_jobs__are_commands_of_each_store(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, text);
	assert_int_equal(fixture.count, 3);
	job_expect(&fixture.jobs[0], "gc embedded", "gc --store=embedded",
		   true);
	job_expect(&fixture.jobs[1], "gc c", "gc --store=c --now --exclusive",
		   true);
	job_expect(&fixture.jobs[2], "prune r c",
		   "prune --yes --policy=r --store=c --now --exclusive", true);
	assert_int_not_equal(fixture.jobs[0].seed, fixture.jobs[1].seed);
	fixture_release(&fixture);
}

static void test_jobs__of_no_configuration(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_init(&fixture, NULL);
	assert_int_equal(fixture.count, 2);
	job_expect(&fixture.jobs[0], "sync embedded",
		   "df --measure --store=embedded", false);
	job_expect(&fixture.jobs[1], "gc embedded", "gc --store=embedded",
		   true);
	fixture_release(&fixture);
}

static void test_jobs__are_due_when_their_time_has_come(void **state)
{
	struct fixture fixture;
	struct ul_job *job;
	int64_t at;

	(void)state;
	fixture_init(&fixture, text);
	assert_int_equal(ul_jobs_next(fixture.jobs, 3, SINCE), SINCE + 3600);
	assert_null(ul_jobs_due(fixture.jobs, 3, SINCE + 3599));
	/* The first of two that are due alike; not again while it runs. */
	job = ul_jobs_due(fixture.jobs, 3, SINCE + 3600);
	assert_ptr_equal(job, &fixture.jobs[0]);
	job->is_running = true;
	job = ul_jobs_due(fixture.jobs, 3, SINCE + 3600);
	assert_ptr_equal(job, &fixture.jobs[1]);
	job->is_running = true;
	assert_null(ul_jobs_due(fixture.jobs, 3, SINCE + 3600));
	/* Then half past four of the next day: 1970-01-12 13:46:40 is SINCE. */
	at = ul_jobs_next(fixture.jobs, 3, SINCE + 3600);
	assert_int_equal(at, 12 * 86400 + 4 * 3600 + 30 * 60);
	fixture.jobs[0].is_running = fixture.jobs[1].is_running = false;
	fixture.jobs[0].last_unix_s = at;
	fixture.jobs[1].last_unix_s = at - 1;
	assert_ptr_equal(ul_jobs_due(fixture.jobs, 3, at), &fixture.jobs[2]);
	fixture.jobs[2].last_unix_s = at;
	assert_null(ul_jobs_due(fixture.jobs, 3, at));
	/* The one that has waited longest goes first. */
	assert_ptr_equal(ul_jobs_due(fixture.jobs, 3, at + 7200),
			 &fixture.jobs[1]);
	fixture_release(&fixture);
}

static void test_jobs__that_were_missed_are_due_once(void **state)
{
	struct fixture fixture;
	int64_t later = SINCE + 10 * 86400;
	struct ul_job *job;
	size_t runs = 0;

	(void)state;
	fixture_init(&fixture, text);
	while ((job = ul_jobs_due(fixture.jobs, 3, later))) {
		job->last_unix_s = later;
		runs++;
		assert_in_range(runs, 1, 3);
	}
	assert_int_equal(runs, 3);
	assert_true(ul_jobs_next(fixture.jobs, 3, later) > later);
	fixture_release(&fixture);
}

static void test_jobs__that_are_never_due(void **state)
{
	(void)state;
	assert_int_equal(ul_jobs_next(NULL, 0, SINCE), UL_SCHEDULE_NEVER);
	assert_null(ul_jobs_due(NULL, 0, SINCE));
}

static void test_jobs__survive_every_allocation_failure(void **state)
{
	struct ul_config config;
	struct ul_err err = UL_ERR_INIT;
	long n;
	int rc;

	(void)state;
	assert_int_equal(
	    ul_config_parse(text, strlen(text), "test", &config, &err), 0);
	for (n = 0;; n++) {
		struct ul_arena arena = UL_ARENA_INIT;
		struct ul_job *jobs = NULL;
		size_t count = 99;

		ul_mem_countdown = n;
		rc = ul_jobs_make(&config, 0, 0, &arena, &jobs, &count, &err);
		ul_mem_countdown = -1;
		ul_arena_release(&arena);
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_null(jobs);
		assert_int_equal(count, 99);
	}
	assert_true(n >= 1);
	ul_config_release(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jobs__are_commands_of_each_store),
		cmocka_unit_test(test_jobs__of_no_configuration),
		cmocka_unit_test(test_jobs__are_due_when_their_time_has_come),
		cmocka_unit_test(test_jobs__that_were_missed_are_due_once),
		cmocka_unit_test(test_jobs__that_are_never_due),
		cmocka_unit_test(test_jobs__survive_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
