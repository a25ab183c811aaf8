#include "store/db/jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/db/db.h"

static struct ul_db *db_open(void)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_db *db = NULL;

	assert_int_equal(ul_db_open(NULL, UL_DB_MEMORY, &db, &err), 0);
	return db;
}

static void test_jobs__are_remembered_by_name(void **state)
{
	ul_cleanup(ul_db_closep) struct ul_db *db = db_open();
	struct ul_err err = UL_ERR_INIT;
	int64_t begun = 5;

	(void)state;
	assert_int_equal(ul_job_begun(db, "gc a", &begun, &err), 0);
	assert_int_equal(begun, 5);
	assert_int_equal(ul_job_begin(db, "gc a", 100, &err), 0);
	assert_int_equal(ul_job_begin(db, "gc b", 200, &err), 0);
	assert_int_equal(ul_job_begin(db, "gc a", 300, &err), 0);
	assert_int_equal(ul_job_begun(db, "gc a", &begun, &err), 1);
	assert_int_equal(begun, 300);
	assert_int_equal(ul_job_begun(db, "gc b", &begun, &err), 1);
	assert_int_equal(begun, 200);
	assert_int_equal(ul_job_begun(db, "gc", &begun, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jobs__are_remembered_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
