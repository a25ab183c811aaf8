#include "store/db/check.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "tests/unit/db/scratch.h"

static int check(struct scratch *scratch, bool is_deep, char *first,
		 size_t size)
{
	ul_cleanup(ul_names_release) struct ul_names problems = UL_NAMES_INIT;
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_db_check(scratch->path, is_deep, &problems, &err);

	*first = '\0';
	if (problems.len)
		snprintf(first, size, "%s", problems.names[0]);
	assert_int_equal(rc == 1, problems.len != 0);
	if (rc < 0)
		assert_int_equal(err.code, rc);
	return rc;
}

static void closed(struct scratch *scratch)
{
	ul_db_close(scratch->db);
	scratch->db = NULL;
}

static void overwrite(struct scratch *scratch, off_t at, size_t len)
{
	ul_cleanup(ul_closep) int fd = open(scratch->path, O_WRONLY);
	ul_cleanup(ul_freep) char *junk = ul_calloc(1, len);

	memset(junk, 'j', len);
	assert_int_equal(pwrite(fd, junk, len, at), (ssize_t)len);
}

static void test_check__finds_nothing_in_a_new_one(void **state)
{
	struct scratch *scratch = *state;
	char first[200];

	assert_int_equal(check(scratch, false, first, sizeof first),
			 UL_E_ABSENT);
	scratch_open(scratch);
	assert_int_equal(check(scratch, false, first, sizeof first), 0);
	closed(scratch);
	assert_int_equal(check(scratch, false, first, sizeof first), 0);
	assert_int_equal(check(scratch, true, first, sizeof first), 0);
}

static void test_check__tells_what_is_no_database(void **state)
{
	struct scratch *scratch = *state;
	char first[200];

	scratch_open(scratch);
	closed(scratch);
	overwrite(scratch, 0, 100);
	assert_int_equal(check(scratch, false, first, sizeof first), 1);
	assert_non_null(strstr(first, "not a database"));
}

static void test_check__tells_damaged_pages(void **state)
{
	struct scratch *scratch = *state;
	char first[200];

	scratch_open(scratch);
	closed(scratch);
	overwrite(scratch, 8192, 8192);
	assert_int_equal(check(scratch, false, first, sizeof first), 1);
	assert_true(*first);
	assert_int_equal(check(scratch, true, first, sizeof first), 1);
}

static void test_check__tells_rows_that_refer_to_nothing(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	char first[200];

	scratch_open(scratch);
	assert_int_equal(
	    ul_db_exec(scratch->db,
		       "PRAGMA foreign_keys=OFF; INSERT INTO pin (store, name,"
		       " pinned_unix_s) VALUES (7, 'x', 1)",
		       &err),
	    0);
	closed(scratch);
	assert_int_equal(check(scratch, false, first, sizeof first), 1);
	assert_string_equal(
	    first, "a row of pin refers to one of store that is not there");
}

static void test_check__leaves_a_newer_one_alone(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	char first[200];

	scratch_open(scratch);
	assert_int_equal(
	    ul_db_exec(scratch->db, "PRAGMA user_version=999", &err), 0);
	closed(scratch);
	assert_int_equal(check(scratch, false, first, sizeof first),
			 UL_E_UNSUPPORTED);
}

int main(void)
{
#define SCRATCH_TEST(test)                                                     \
	cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_check__finds_nothing_in_a_new_one),
		SCRATCH_TEST(test_check__tells_what_is_no_database),
		SCRATCH_TEST(test_check__tells_damaged_pages),
		SCRATCH_TEST(test_check__tells_rows_that_refer_to_nothing),
		SCRATCH_TEST(test_check__leaves_a_newer_one_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
