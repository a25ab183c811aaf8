#include "tests/unit/base/fixture.h"

static void test_err__says_what_failed_outermost_first(void **state)
{
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	errno = EIO;
	assert_int_equal(ul_err_sys(&err, "read %s", "x"), UL_E_IO);
	assert_int_equal(err.sys_errno, EIO);
	assert_int_equal(ul_err_wrap(&err, "layer %d", 3), UL_E_IO);
	assert_string_equal(err.msg, "layer 3: read x: Input/output error");
	errno = ENOMEM;
	assert_int_equal(ul_err_sys(&err, "map"), UL_E_NOMEM);
	assert_int_equal(ul_err_set(&err, UL_E_LIMIT, "%d", 7), UL_E_LIMIT);
	assert_int_equal(err.code, UL_E_LIMIT);
	assert_int_equal(err.sys_errno, 0);
	assert_int_equal(ul_err_nomem(&err), UL_E_NOMEM);
}

static void test_err__a_quota_that_is_used_up_is_a_full_disk(void **state)
{
	(void)state;
	assert_true(ul_errno_is_full(ENOSPC));
	assert_true(ul_errno_is_full(EDQUOT));
	assert_false(ul_errno_is_full(EIO));
	assert_false(ul_errno_is_full(0));
}

static void test_err__keeps_the_cause_of_a_long_message(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	char path[5000];
	int i;

	(void)state;
	memset(path, 'p', sizeof path);
	path[sizeof path - 1] = '\0';
	errno = ENOSPC;
	ul_err_sys(&err, "write %s", path);
	assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
	assert_memory_equal(err.msg, "write ppp", 9);
	for (i = 0; i < 3; i++) {
		assert_non_null(strstr(err.msg, ": No space left on device"));
		assert_true(strlen(err.msg) < sizeof err.msg);
		ul_err_wrap(&err, "outer %s", path);
		assert_memory_equal(err.msg, "outer ppp", 9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err__says_what_failed_outermost_first),
		cmocka_unit_test(
		    test_err__a_quota_that_is_used_up_is_a_full_disk),
		cmocka_unit_test(test_err__keeps_the_cause_of_a_long_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
