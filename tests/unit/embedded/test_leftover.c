#include "store/embedded/leftover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/limits.h"
#include "tests/lib/store_fixture.h"

/* oci/ingest/x/part/data, as a program leaves it that was stopped. */
static int tree_setup(void **state)
{
	int rc = store_fixture_setup(state);
	struct store_fixture *fixture = *state;

	if (rc)
		return rc;
	store_fixture_open(fixture);
	mkdir(store_path(fixture, "oci/ingest"), 0755);
	mkdir(store_path(fixture, "oci/ingest/x"), 0755);
	mkdir(store_path(fixture, "oci/ingest/x/part"), 0755);
	file_write(store_path(fixture, "oci/ingest/x/part/data"), "half");
	file_write(store_path(fixture, "oci/ingest/x/ref"), "name");
	return 0;
}

static struct ul_leftover look(struct store_fixture *fixture, const char *path)
{
	struct ul_leftover leftover = { 0 };
	struct ul_err err = UL_ERR_INIT;

	if (ul_leftover_look(fixture->store->root_fd, path, &leftover, &err))
		fail_msg("%s", err.msg);
	return leftover;
}

static bool is_used(struct store_fixture *fixture)
{
	return look(fixture, "oci/ingest/x").is_used;
}

static int data_open(struct store_fixture *fixture, int flags)
{
	int fd = open(store_path(fixture, "oci/ingest/x/part/data"),
		      flags | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void test_leftover__is_as_young_as_anything_in_it(void **state)
{
	struct store_fixture *fixture = *state;
	const struct timespec times[] = { { .tv_sec = 5000000000 },
					  { .tv_sec = 5000000000 } };
	int64_t now = ul_clock_unix_s();
	struct ul_leftover found = look(fixture, "oci/ingest/x");

	assert_false(found.is_used);
	assert_in_range(found.newest_unix_s, now - 60, now + 2);
	assert_int_equal(
	    utimensat(AT_FDCWD, store_path(fixture, "oci/ingest/x/part/data"),
		      times, 0),
	    0);
	found = look(fixture, "oci/ingest/x");
	assert_false(found.is_used);
	assert_int_equal(found.newest_unix_s, 5000000000);
	assert_int_equal(look(fixture, "oci/ingest/x/part/data").newest_unix_s,
			 5000000000);
	assert_in_range(look(fixture, "oci/ingest/x/ref").newest_unix_s,
			now - 60, now + 2);
}

static void test_leftover__is_used_while_a_file_in_it_is_open(void **state)
{
	struct store_fixture *fixture = *state;
	const int flags[] = { O_RDONLY, O_WRONLY | O_APPEND };
	size_t i;

	for (i = 0; i < ul_array_len(flags); i++) {
		int fd = data_open(fixture, flags[i]);

		assert_true(is_used(fixture));
		assert_true(look(fixture, "oci/ingest/x/part/data").is_used);
		assert_false(look(fixture, "oci/ingest/x/ref").is_used);
		close(fd);
		assert_false(is_used(fixture));
	}
}

static void test_leftover__is_used_while_something_in_it_is_locked(void **state)
{
	static const char *const paths[] = {
		"oci/ingest/x",
		"oci/ingest/x/part",
		"oci/ingest/x/part/data",
	};
	struct store_fixture *fixture = *state;
	size_t i;
	int fd;

	for (i = 0; i < ul_array_len(paths); i++) {
		fd = open(store_path(fixture, "%s", paths[i]),
			  O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(flock(fd, LOCK_EX), 0);
		assert_true(is_used(fixture));
		close(fd);
		assert_false(is_used(fixture));
	}
}

static void test_leftover__is_used_while_it_cannot_be_told(void **state)
{
	struct store_fixture *fixture = *state;

	assert_true(look(fixture, "oci/ingest/gone").is_used);
	assert_int_equal(
	    symlink("/", store_path(fixture, "oci/ingest/x/part/link")), 0);
	assert_false(is_used(fixture));
	assert_int_equal(
	    mkfifo(store_path(fixture, "oci/ingest/x/part/fifo"), 0600), 0);
	assert_true(is_used(fixture));
}

static void test_leftover__is_used_where_it_is_too_deep(void **state)
{
	struct store_fixture *fixture = *state;
	char path[512] = "oci/ingest/x";
	unsigned depth;

	for (depth = 1; depth < UL_LEFTOVER_MAX_DEPTH; depth++) {
		strcat(path, "/d");
		assert_int_equal(mkdir(store_path(fixture, "%s", path), 0755),
				 0);
	}
	assert_false(is_used(fixture));
	strcat(path, "/d");
	assert_int_equal(mkdir(store_path(fixture, "%s", path), 0755), 0);
	assert_true(is_used(fixture));
}

static void test_leftover__is_used_where_it_is_too_large(void **state)
{
	struct store_fixture *fixture = *state;
	unsigned i;

	/* The directories and files of tree_setup() are four. */
	for (i = 4; i < UL_LEFTOVER_MAX_ENTRIES; i++)
		assert_int_equal(
		    symlink("-", store_path(fixture, "oci/ingest/x/%u", i)), 0);
	assert_false(is_used(fixture));
	assert_int_equal(symlink("-", store_path(fixture, "oci/ingest/x/0")),
			 0);
	assert_true(is_used(fixture));
}

static void test_leftover__without_memory_says_so(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_leftover found = { .newest_unix_s = -1 };
	struct ul_err err = UL_ERR_INIT;
	long n;
	int rc;

	for (n = 0, rc = UL_E_NOMEM; rc; n++) {
		ul_mem_countdown = n;
		rc = ul_leftover_look(fixture->store->root_fd, "oci/ingest/x",
				      &found, &err);
		ul_mem_countdown = -1;
		if (rc)
			assert_int_equal(rc, UL_E_NOMEM);
		assert_int_equal(rc ? found.newest_unix_s : -1, -1);
	}
	assert_true(n > 2);
	assert_false(found.is_used);
}

int main(void)
{
#define LEFTOVER(name)                                                         \
	cmocka_unit_test_setup_teardown(test_leftover__##name, tree_setup,     \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		LEFTOVER(is_as_young_as_anything_in_it),
		LEFTOVER(is_used_while_a_file_in_it_is_open),
		LEFTOVER(is_used_while_something_in_it_is_locked),
		LEFTOVER(is_used_while_it_cannot_be_told),
		LEFTOVER(is_used_where_it_is_too_deep),
		LEFTOVER(is_used_where_it_is_too_large),
		LEFTOVER(without_memory_says_so),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
