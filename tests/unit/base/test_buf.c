#include "tests/unit/base/fixture.h"

#include "base/buf.h"

static void test_buf__grows_and_ends_with_nul(void **state)
{
	struct ul_buf buf = UL_BUF_INIT;
	char *text;
	int i;

	(void)state;
	assert_string_equal(ul_buf_str(&buf), "");
	assert_true(ul_buf_reserve(&buf, 10));
	assert_string_equal(ul_buf_str(&buf), "");
	for (i = 0; i < 1000; i++)
		assert_true(ul_buf_printf(&buf, "%d,", i % 10));
	assert_true(ul_buf_add_str(&buf, "end"));
	assert_true(ul_buf_add_char(&buf, '.'));
	assert_true(ul_buf_add(&buf, "", 0));
	assert_int_equal(buf.len, 2004);
	assert_string_equal(buf.data + 1998, "9,end.");
	ul_buf_reset(&buf);
	assert_string_equal(ul_buf_str(&buf), "");
	assert_true(ul_buf_add(&buf, "a\0b", 3));
	text = ul_buf_detach(&buf);
	assert_memory_equal(text, "a\0b", 4);
	assert_null(buf.data);
	free(text);
	text = ul_buf_detach(&buf);
	assert_string_equal(text, "");
	free(text);
}

static void test_buf__remembers_a_failure(void **state)
{
	struct ul_buf buf = UL_BUF_INIT;

	(void)state;
	ul_mem_countdown = 0;
	assert_false(ul_buf_add_str(&buf, "lost"));
	ul_mem_countdown = -1;
	assert_true(buf.failed);
	assert_false(ul_buf_add_str(&buf, "too late"));
	assert_false(ul_buf_printf(&buf, "too late"));
	assert_null(ul_buf_detach(&buf));
	assert_false(buf.failed);
	assert_true(ul_buf_add_str(&buf, "anew"));
	assert_false(ul_buf_reserve(&buf, SIZE_MAX - 1));
	ul_buf_release(&buf);
	ul_buf_release(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf__grows_and_ends_with_nul),
		cmocka_unit_test(test_buf__remembers_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
