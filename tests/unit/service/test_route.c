#include "service/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"

/* A request as text, and the words that come of it, or the message. */
struct parameter {
	const char *name, *value;
};

static int call_make(const char *method, const char *path,
		     const struct parameter *query, const char *body,
		     struct ul_arena *arena, struct ul_call *ret,
		     struct ul_err *err)
{
	char allow[UL_ROUTE_ALLOW_MAX];
	const char *operand;
	const struct ul_route *route =
	    ul_route_find(method, path, &operand, allow);
	struct ul_call_builder *builder;
	int rc = 0;

	assert_non_null(route);
	builder = ul_call_begin(route, operand, arena);
	if (!builder)
		return ul_err_nomem(err);
	for (; !rc && query && query->name; query++)
		rc = ul_call_add_query(builder, query->name, query->value, err);
	if (!rc && body)
		rc = ul_call_add_body(builder, body, strlen(body), err);
	return rc ? rc : ul_call_end(builder, ret, err);
}

static void words_expect(const char *method, const char *path,
			 const struct parameter *query, const char *body,
			 const char *expected)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_call call;
	char words[1024] = "";
	size_t len = 0;
	int i;

	if (call_make(method, path, query, body, &arena, &call, &err)) {
		assert_string_equal(err.msg, expected);
		return;
	}
	for (i = 0; i < call.count; i++)
		len += (size_t)snprintf(words + len, sizeof words - len, "%s%s",
					i ? " " : "", call.words[i]);
	assert_null(call.words[call.count]);
	assert_string_equal(words, expected);
}

#define Q(...) ((const struct parameter[]){ __VA_ARGS__, { NULL, NULL } })

static void test_route__queries_become_options(void **state)
{
	(void)state;
	words_expect("GET", "/v1/df", NULL, NULL, "df --json --");
	words_expect("HEAD", "/v1/df", NULL, NULL, "df --json --");
	words_expect("GET", "/v1/df", Q({ "verbose", "" }, { "measure", "1" }),
		     NULL, "df --json --verbose --measure --");
	words_expect("GET", "/v1/df",
		     Q({ "verbose", "false" }, { "measure", "0" }), NULL,
		     "df --json --");
	words_expect("GET", "/v1/df", Q({ "store", "a" }, { "store", "b" }),
		     NULL, "df --json --store=a --store=b --");
	words_expect("GET", "/v1/images", Q({ "sort", "unique" }), NULL,
		     "images --json --sort=unique --");
	words_expect("GET", "/v1/why", Q({ "object", "app:2" }), NULL,
		     "why --json -- app:2");
	words_expect("GET", "/v1/plan", Q({ "grace", "2h" }), NULL,
		     "gc --json --dry-run --grace=2h --");
}

static void test_route__bodies_become_options(void **state)
{
	(void)state;
	words_expect("POST", "/v1/gc", NULL, "", "gc --json --");
	words_expect("POST", "/v1/gc", NULL, "{\"now\":true,\"grace\":0}",
		     "gc --json --now --grace=0 --");
	words_expect("POST", "/v1/prune", NULL,
		     "{\"all\":true,\"filters\":[\"until=2h\",\"label=x\"],"
		     "\"names\":[\"a\",\"b:*\"],\"dry_run\":false}",
		     "prune --json --yes --all --filter=until=2h "
		     "--filter=label=x -- a b:*");
	words_expect("POST", "/v1/undo", NULL, "{\"run\":7}",
		     "undo --json -- 7");
	words_expect("POST", "/v1/pins", NULL, "{\"names\":[\"a\"]}",
		     "pin --json -- a");
	words_expect("DELETE", "/v1/pins/docker.io/library/a:1", NULL, NULL,
		     "unpin --json -- docker.io/library/a:1");
	words_expect("DELETE", "/v1/leases/l1", NULL, NULL,
		     "lease delete --json -- l1");
}

/* Nothing that a client says is taken for an option of the command. */
static void test_route__values_are_never_options(void **state)
{
	(void)state;
	words_expect("POST", "/v1/prune", NULL,
		     "{\"names\":[\"--state=/etc\",\"-a\"]}",
		     "prune --json --yes -- --state=/etc -a");
	words_expect("GET", "/v1/images", Q({ "sort", "--state=/etc" }), NULL,
		     "images --json --sort=--state=/etc --");
	words_expect("DELETE", "/v1/pins/-x", NULL, NULL, "unpin --json -- -x");
}

static void test_route__mistakes_are_told(void **state)
{
	(void)state;
	words_expect("GET", "/v1/df", Q({ "al", "" }), NULL,
		     "there is no parameter \"al\"; there is: verbose, "
		     "measure, store, namespace, as_of_unix_s");
	words_expect("GET", "/v1/df", Q({ "verbose", "yes" }), NULL,
		     "verbose is true or false");
	words_expect("GET", "/v1/why", NULL, NULL, "object is needed");
	words_expect("GET", "/v1/why", Q({ "object", "a" }, { "object", "b" }),
		     NULL, "object is given more than once");
	words_expect("POST", "/v1/undo", NULL, "{}", "run is needed");
	words_expect("POST", "/v1/gc", NULL, "{\"now\":1}",
		     "now is true or false");
	words_expect("POST", "/v1/gc", NULL, "{\"grace\":[1]}",
		     "grace is a text or a number");
	words_expect("POST", "/v1/gc", NULL, "{\"grace\":null}",
		     "grace is a text or a number");
	words_expect("POST", "/v1/prune", NULL, "{\"names\":\"a\"}",
		     "names is a list of texts");
	words_expect("POST", "/v1/prune", NULL, "{\"names\":[{}]}",
		     "names is a text");
	words_expect("POST", "/v1/gc", NULL, "{\"now\":true,\"now\":true}",
		     "the body: no valid JSON: line 1 column 17: duplicate "
		     "object key near '\"now\"'");
	words_expect("POST", "/v1/gc", NULL, "[]", "the body: no JSON object");
}

static void test_route__paths_and_methods(void **state)
{
	static const char *const nowhere[] = {
		"/",       "",       "/v1",       "/v1/",   "/v1/dfx",
		"/v1/df/", "/v2/df", "/v1/pins/", "/V1/df", "/v1/leases/",
		"/v1//df",
	};
	char allow[UL_ROUTE_ALLOW_MAX];
	const char *operand;
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(nowhere); i++) {
		assert_null(ul_route_find("GET", nowhere[i], &operand, allow));
		assert_string_equal(allow, "");
	}
	assert_null(ul_route_find("POST", "/v1/df", &operand, allow));
	assert_string_equal(allow, "GET");
	assert_null(ul_route_find("PUT", "/v1/leases", &operand, allow));
	assert_string_equal(allow, "GET, POST");
	assert_null(ul_route_find("get", "/v1/df", &operand, allow));
	assert_string_equal(allow, "GET");
}

/* What changes things is for those who may: the table says so, and only what
 * GET asks for may be read by everybody. */
static void test_route__changes_need_the_right_to_change(void **state)
{
	const struct ul_route *route;
	size_t count = 0;

	(void)state;
	for (route = ul_routes; route->path; route++, count++)
		assert_int_equal(route->right, strcmp(route->method, "GET")
						   ? UL_RIGHT_CHANGE
						   : UL_RIGHT_READ);
	assert_true(count >= 13);
}

static void test_route__dry_runs_are_known(void **state)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	struct ul_err err;
	struct ul_call call;

	(void)state;
	assert_int_equal(call_make("POST", "/v1/gc", NULL, "{\"dry_run\":true}",
				   &arena, &call, &err),
			 0);
	assert_true(call.is_dry);
	assert_int_equal(call_make("POST", "/v1/gc", NULL,
				   "{\"dry_run\":false,\"store\":\"s\"}",
				   &arena, &call, &err),
			 0);
	assert_false(call.is_dry);
	assert_int_equal(call.store_count, 1);
	assert_string_equal(call.stores[0], "s");
	assert_int_equal(
	    call_make("GET", "/v1/plan", NULL, NULL, &arena, &call, &err), 0);
	assert_true(call.is_dry);
}

static void test_route__bounds_what_is_asked(void **state)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_call call;
	static char body[16 * UL_CALL_WORDS_MAX];
	size_t len = (size_t)sprintf(body, "{\"names\":[\"a\"");
	size_t i;

	(void)state;
	for (i = 1; i <= UL_CALL_WORDS_MAX; i++)
		len += (size_t)sprintf(body + len, ",\"a\"");
	memcpy(body + len, "]}", 3);
	assert_int_equal(
	    call_make("POST", "/v1/prune", NULL, body, &arena, &call, &err),
	    UL_E_LIMIT);
	assert_string_equal(err.msg, "more than 1024 names");
}

static void test_route__survives_every_allocation_failure(void **state)
{
	static const char body[] = "{\"all\":true,\"filters\":[\"until=2h\"],"
				   "\"names\":[\"a\",\"b\"],\"store\":\"s\"}";
	long n;
	int rc;

	(void)state;
	for (n = 0;; n++) {
		struct ul_arena arena = UL_ARENA_INIT;
		struct ul_err err = UL_ERR_INIT;
		struct ul_call call = { .count = -1 };

		ul_mem_countdown = n;
		rc = call_make("POST", "/v1/prune", NULL, body, &arena, &call,
			       &err);
		ul_mem_countdown = -1;
		ul_arena_release(&arena);
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_int_equal(call.count, -1);
	}
	assert_true(n > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_route__queries_become_options),
		cmocka_unit_test(test_route__bodies_become_options),
		cmocka_unit_test(test_route__values_are_never_options),
		cmocka_unit_test(test_route__mistakes_are_told),
		cmocka_unit_test(test_route__paths_and_methods),
		cmocka_unit_test(test_route__changes_need_the_right_to_change),
		cmocka_unit_test(test_route__dry_runs_are_known),
		cmocka_unit_test(test_route__bounds_what_is_asked),
		cmocka_unit_test(test_route__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
