#include "cli/json_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "accounting/report.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/oci/json.h"
#include "tests/lib/view_maker.h"

static char *text_of(json_t *json)
{
	struct ul_buf text = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(ul_json_dump(json, &text, &err), 0);
	json_decref(json);
	return ul_buf_detach(&text);
}

/* Whole, or nothing: never an answer that lacks a row. */
static void test_json_out__without_memory_there_is_no_answer(void **state)
{
	struct view_maker maker;
	struct ul_view_image *image;
	struct ul_view *view;
	struct ul_err err = UL_ERR_INIT;
	struct ul_df df = UL_DF_INIT;
	bool is_out = true;
	char *whole, *text;
	json_t *json;
	long n, none = 0;

	(void)state;
	view_begin(&maker);
	view_image(&maker, "app", "digest", &image);
	view_file(&maker, image->target, 4096);
	view = view_made(&maker);
	assert_int_equal(ul_df_build(view, &df, &err), 0);
	whole = text_of(ul_json_df(view, &df));
	for (n = 0; n < 500; n++) {
		ul_mem_countdown = n;
		json = ul_json_df(view, &df);
		is_out = ul_mem_countdown < 0;
		ul_mem_countdown = -1;
		none += !json;
		if (json) {
			text = text_of(json);
			assert_string_equal(text, whole);
			free(text);
		}
		if (!is_out)
			break;
	}
	assert_false(is_out);
	assert_true(none > 20);
	free(whole);
	ul_df_release(&df);
	ul_view_release(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_json_out__without_memory_there_is_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
