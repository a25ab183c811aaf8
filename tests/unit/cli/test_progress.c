#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli.h"

static volatile sig_atomic_t seen;

static void count(int number)
{
	(void)number;
	seen++;
}

static void test_progress__a_signal_ends_work_between_steps(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	const struct ul_cli cli = { .quiet = true };
	struct ul_progress progress;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		ul_progress_start(&progress, &cli, "working", 10);
		assert_true(ul_progress_update(&progress, 1));
		assert_true(ul_progress_walk(&progress, 1, 1));
		raise(signals[i]);
		assert_false(ul_progress_update(&progress, 2));
		assert_false(ul_progress_walk(&progress, 2, 2));
		ul_progress_end(&progress);
	}
	/* What was asked of the last is not asked of the next. */
	ul_progress_start(&progress, &cli, "working", 10);
	assert_true(ul_progress_update(&progress, 1));
	ul_progress_end(&progress);
}

static void test_progress__handlers_are_as_before_at_its_end(void **state)
{
	const struct ul_cli cli = { .quiet = true };
	struct ul_progress progress;

	(void)state;
	signal(SIGINT, count);
	signal(SIGHUP, SIG_IGN);
	ul_progress_start(&progress, &cli, "working", 0);
	raise(SIGHUP); /* ignored, as nohup wants it */
	assert_true(ul_progress_update(&progress, 1));
	raise(SIGINT);
	assert_false(ul_progress_update(&progress, 1));
	ul_progress_end(&progress);
	assert_int_equal(seen, 0);
	raise(SIGINT);
	assert_int_equal(seen, 1);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
}

static void
test_progress__draws_nothing_where_there_is_no_terminal(void **state)
{
	const struct ul_cli cli = { .quiet = false };
	struct ul_progress progress;
	int saved = dup(STDERR_FILENO), ends[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	ul_progress_start(&progress, &cli, "working", 10);
	/* Long past its first second. */
	progress.started_ns -= 5000000000;
	ul_progress_update(&progress, 5);
	ul_progress_walk(&progress, 5, 5);
	ul_progress_end(&progress);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_progress__a_signal_ends_work_between_steps),
		cmocka_unit_test(
		    test_progress__handlers_are_as_before_at_its_end),
		cmocka_unit_test(
		    test_progress__draws_nothing_where_there_is_no_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
