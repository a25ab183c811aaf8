#include "base/flusher.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"

enum { MUCH = 64 << 20 };

static int folder_open(int flags)
{
	int fd = open(".", O_DIRECTORY | O_CLOEXEC | flags);

	assert_true(fd >= 0);
	return fd;
}

static void test_flusher__syncs_at_the_end(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_flusher *flusher;
	int fd = folder_open(O_RDONLY);

	(void)state;
	assert_int_equal(ul_flusher_open(fd, &flusher, &err), 0);
	assert_int_equal(ul_flusher_finish(flusher, &err), 0);
	ul_flusher_add(flusher, 1);
	assert_int_equal(ul_flusher_finish(flusher, &err), 0);
	ul_flusher_close(flusher);
	ul_flusher_close(NULL);
	close(fd);
}

static void test_flusher__syncs_meanwhile(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_flusher *flusher;
	int fd = folder_open(O_RDONLY), i, round;

	(void)state;
	assert_int_equal(ul_flusher_open(fd, &flusher, &err), 0);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 100; i++)
			ul_flusher_add(flusher, i % 2 ? 1 : MUCH);
		assert_int_equal(ul_flusher_finish(flusher, &err), 0);
	}
	/* Also without its end. */
	ul_flusher_add(flusher, MUCH);
	ul_flusher_close(flusher);
	close(fd);
}

/* The kernel tells of what it could not write only once. */
static void test_flusher__fails_for_ever(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_flusher *flusher;
	int good = folder_open(O_RDONLY), fd = folder_open(O_PATH);

	(void)state;
	assert_int_equal(ul_flusher_open(fd, &flusher, &err), 0);
	ul_flusher_add(flusher, MUCH);
	assert_int_equal(ul_flusher_finish(flusher, &err), UL_E_IO);
	assert_int_equal(err.sys_errno, EBADF);
	assert_int_equal(dup2(good, fd), fd);
	assert_int_equal(ul_flusher_finish(flusher, &err), UL_E_IO);
	assert_int_equal(err.sys_errno, EBADF);
	ul_flusher_close(flusher);
	close(fd);
	close(good);
}

static void test_flusher__survives_every_allocation_failure(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_flusher *flusher = NULL;
	int fd = folder_open(O_RDONLY);

	(void)state;
	ul_mem_countdown = 0;
	assert_int_equal(ul_flusher_open(fd, &flusher, &err), UL_E_NOMEM);
	ul_mem_countdown = -1;
	assert_null(flusher);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flusher__syncs_at_the_end),
		cmocka_unit_test(test_flusher__syncs_meanwhile),
		cmocka_unit_test(test_flusher__fails_for_ever),
		cmocka_unit_test(
		    test_flusher__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
