#include "store/oci/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/limits.h"

static int parse(const char *text, size_t len)
{
	struct ul_err err = UL_ERR_INIT;
	json_t *json = NULL;
	int rc = ul_json_parse(text, len, UL_JSON_MAX_DEPTH, &json, &err);

	assert_int_equal(rc, err.code);
	assert_int_equal(!rc, json != NULL);
	json_decref(json);
	return rc;
}

static void test_json__refuses_what_readers_would_take_differently(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"[]",
		"7",
		"null",
		"\"x\"",
		"{} {}",
		"{}x",
		"{\"a\":1,\"a\":1}",
		"{\"a\":{\"b\":1,\"b\":2}}",
		"{\"a\":\"x\\u0000y\"}",
		"{\"a\\u0000\":1}",
		"{\"a\":01}",
		"{\"a\":9223372036854775808}",
		"{\"a\":1e999}",
		"{a:1}",
		"{\"a\":\"\xff\"}",
		"{\"a\":\"\\ud800\"}",
		"{\"a\":1,}",
		"{\"a\":\"\n\"}",
		"\xef\xbb\xbf{}",
		"{'a':1}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(bad); i++) {
		if (parse(bad[i], strlen(bad[i])) != UL_E_CORRUPT)
			fail_msg("accepted: %s", bad[i]);
	}
	assert_int_equal(parse("{\"a\":1\0}", 9), UL_E_CORRUPT);
	assert_int_equal(parse("{}\0", 3), UL_E_CORRUPT);
	assert_int_equal(parse(" {\"a\":9223372036854775807}\n", 26), 0);
}

static void nest(struct ul_buf *text, size_t depth, const char *open,
		 const char *close)
{
	size_t i;

	ul_buf_reset(text);
	ul_buf_add_str(text, "{\"a\":");
	for (i = 1; i < depth; i++)
		ul_buf_add_str(text, open);
	ul_buf_add_str(text, "1");
	for (i = 1; i < depth; i++)
		ul_buf_add_str(text, close);
	ul_buf_add_str(text, "}");
}

static void test_json__bounds_nesting(void **state)
{
	struct ul_buf text = UL_BUF_INIT;

	(void)state;
	nest(&text, UL_JSON_MAX_DEPTH, "[", "]");
	assert_int_equal(parse(text.data, text.len), 0);
	nest(&text, UL_JSON_MAX_DEPTH + 1, "[", "]");
	assert_int_equal(parse(text.data, text.len), UL_E_LIMIT);
	nest(&text, UL_JSON_MAX_DEPTH + 1, "{\"b\":", "}");
	assert_int_equal(parse(text.data, text.len), UL_E_LIMIT);
	nest(&text, 1000000, "[", "");
	assert_int_equal(parse(text.data, text.len), UL_E_LIMIT);
	ul_buf_release(&text);
}

static void test_json__does_not_count_brackets_within_strings(void **state)
{
	struct ul_buf text = UL_BUF_INIT;
	int i;

	(void)state;
	ul_buf_add_str(&text, "{\"a\":\"\\\\\\\"");
	for (i = 0; i < 1000; i++)
		ul_buf_add_str(&text, "[{");
	ul_buf_add_str(&text, "\"}");
	assert_int_equal(parse(text.data, text.len), 0);
	ul_buf_release(&text);
}

static void test_json__bounds_the_number_of_values(void **state)
{
	struct ul_buf text = UL_BUF_INIT;
	unsigned int i;

	(void)state;
	ul_buf_add_str(&text, "{\"a\":[0");
	for (i = 0; i <= UL_JSON_MAX_VALUES; i++)
		ul_buf_add_str(&text, ",0");
	ul_buf_add_str(&text, "]}");
	assert_int_equal(parse(text.data, text.len), UL_E_LIMIT);
	ul_buf_release(&text);
}

static void test_json__says_where_a_file_is_wrong(void **state)
{
	static const struct {
		const char *text;
		int code, line, column;
		const char *message;
	} cases[] = {
		{ "{\n \"a\": 1\n \"b\"}", UL_E_CORRUPT, 3, 4,
		  "no valid JSON: '}' expected near '\"b\"'" },
		{ "{\"a\": 1,\n\"a\": 2}", UL_E_CORRUPT, 2, 3,
		  "no valid JSON: duplicate object key near '\"a\"'" },
		{ "\n[]", UL_E_CORRUPT, 0, 0, "no JSON object" },
		{ "{\"a\":[[]]}", UL_E_LIMIT, 0, 0,
		  "JSON nested deeper than 2 levels" },
		{ "{}", 0, 0, 0, "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(cases); i++) {
		ul_cleanup(ul_json_freep) json_t *json = NULL;
		struct ul_json_spot spot = { 9, 9 };
		struct ul_err err = UL_ERR_INIT;

		assert_int_equal(ul_json_parse_spot(cases[i].text,
						    strlen(cases[i].text), 2,
						    &json, &spot, &err),
				 cases[i].code);
		assert_string_equal(err.msg, cases[i].message);
		assert_int_equal(spot.line, cases[i].line);
		assert_int_equal(spot.column, cases[i].column);
	}
}

static void test_json__shows_foreign_text_on_one_line(void **state)
{
	char shown[UL_JSON_SHOWN_MAX], lengthy[500];

	(void)state;
	assert_string_equal(ul_json_show("a\n\033[1mb\xc3\xa9", shown),
			    "a??[1mb??");
	memset(lengthy, 'x', sizeof lengthy - 1);
	lengthy[sizeof lengthy - 1] = '\0';
	ul_json_show(lengthy, shown);
	assert_int_equal(strlen(shown), UL_JSON_SHOWN_MAX - 1);
	assert_string_equal(shown + UL_JSON_SHOWN_MAX - 5, "x...");
}

static void test_json__reads_null_as_absent(void **state)
{
	static const char text[] = "{\"t\":null,\"m\":null,\"a\":null,"
				   "\"s\":null}";
	struct ul_arena arena = UL_ARENA_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_annotation *texts = (void *)1;
	const char *t = "old";
	const json_t *member = (void *)1;
	json_t *json;
	uint64_t bytes = 5;
	size_t count = 9;

	(void)state;
	assert_int_equal(ul_json_parse(text, sizeof text - 1, 9, &json, &err),
			 0);
	assert_int_equal(ul_json_text(json, "t", "x", &arena, &t, &err), 0);
	assert_null(t);
	assert_int_equal(
	    ul_json_texts(json, "m", "x", &arena, &texts, &count, &err), 0);
	assert_int_equal(count, 0);
	assert_int_equal(ul_json_array(json, "a", "x", &member, &err), 0);
	assert_null(member);
	assert_int_equal(ul_json_bytes(json, "s", "x", &bytes, &err),
			 UL_E_CORRUPT);
	assert_string_equal(err.msg, "x has no s");
	assert_int_equal(bytes, 5);
	json_decref(json);
	ul_arena_release(&arena);
}

static void test_json__survives_every_allocation_failure(void **state)
{
	static const char text[] =
	    "{\"a\":[1,{\"b\":\"text that is long enough to grow a buffer "
	    "within the parser, once or twice\"},-2.5,true,null],\"c\":"
	    "{\"1\":1,\"2\":2,\"3\":3,\"4\":4,\"5\":5,\"6\":6,\"7\":7,"
	    "\"8\":8,\"9\":9,\"10\":10}}";
	struct ul_buf out = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	json_t *json = NULL;
	long n;

	(void)state;
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		if (!ul_json_parse(text, sizeof text - 1, 9, &json, &err))
			break;
		assert_int_equal(err.code, UL_E_NOMEM);
		assert_null(json);
	}
	/* jansson itself gives damaged text at two of these points. */
	assert_true(n > 20);
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		if (!ul_json_dump(json, &out, &err))
			break;
		assert_int_equal(err.code, UL_E_NOMEM);
		assert_int_equal(out.len, 0);
		assert_true(out.failed);
		ul_buf_release(&out);
	}
	ul_mem_countdown = -1;
	assert_true(n > 0);
	assert_string_equal(out.data, text);
	ul_buf_release(&out);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_json__refuses_what_readers_would_take_differently),
		cmocka_unit_test(test_json__bounds_nesting),
		cmocka_unit_test(
		    test_json__does_not_count_brackets_within_strings),
		cmocka_unit_test(test_json__bounds_the_number_of_values),
		cmocka_unit_test(test_json__says_where_a_file_is_wrong),
		cmocka_unit_test(test_json__shows_foreign_text_on_one_line),
		cmocka_unit_test(test_json__reads_null_as_absent),
		cmocka_unit_test(test_json__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
