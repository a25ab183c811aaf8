#include "base/holder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int setup(void **state)
{
	char *dir = strdup("/tmp/ullage-holder-XXXXXX");

	*state = dir;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	rmdir(*state);
	free(*state);
	return 0;
}

/* A child of that name holds the lock until the pipe's other end is closed. */
static pid_t child_lock(const char *dir, const char *name, int op,
			int *ret_release)
{
	int ready[2], release[2];
	char byte;
	pid_t pid;

	assert_return_code(pipe(ready), errno);
	assert_return_code(pipe(release), errno);
	pid = fork();
	assert_return_code(pid, errno);
	if (!pid) {
		int fd = open(dir, O_RDONLY | O_DIRECTORY);

		close(release[1]);
		prctl(PR_SET_NAME, name);
		if (flock(fd, op | LOCK_NB))
			_exit(1);
		(void)!write(ready[1], "r", 1);
		(void)!read(release[0], &byte, 1);
		_exit(0);
	}
	close(ready[1]);
	close(release[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*ret_release = release[1];
	return pid;
}

static void child_end(pid_t pid, int release)
{
	int status;

	close(release);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_holder__is_named_by_number_and_command(void **state)
{
	int fd = open(*state, O_RDONLY | O_DIRECTORY), release;
	char text[UL_HOLDER_MAX], wanted[UL_HOLDER_MAX];
	pid_t pid = child_lock(*state, "cooper", LOCK_EX, &release);

	snprintf(wanted, sizeof wanted, "process %d (cooper)", (int)pid);
	assert_string_equal(ul_holder_text(fd, text), wanted);
	child_end(pid, release);
	close(fd);
}

static void test_holder__of_no_exclusive_lock_is_nobody_known(void **state)
{
	int fd = open(*state, O_RDONLY | O_DIRECTORY), release;
	char text[UL_HOLDER_MAX];
	pid_t pid = child_lock(*state, "cooper", LOCK_SH, &release);

	assert_string_equal(ul_holder_text(fd, text), "another process");
	child_end(pid, release);
	assert_string_equal(ul_holder_text(fd, text), "another process");
	close(fd);
	assert_string_equal(ul_holder_text(-1, text), "another process");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_holder__is_named_by_number_and_command, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_holder__of_no_exclusive_lock_is_nobody_known, setup,
		    teardown),
	};

	return cmocka_run_group_tests_name("holder", tests, NULL, NULL);
}
