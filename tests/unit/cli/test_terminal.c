#include "cli/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/table.h"

struct told {
	char label[64];
	uint64_t done, total;
	bool goes_on;
};

static bool on_progress(void *arg, const char *label, uint64_t done,
			uint64_t total, bool is_bytes)
{
	struct told *told = arg;

	snprintf(told->label, sizeof told->label, "%s", label);
	told->done = done;
	told->total = total;
	assert_true(is_bytes);
	return told->goes_on;
}

struct collected {
	char *out, *talk;
	size_t out_len, talk_len;
	struct ul_terminal terminal;
};

static void collect(struct collected *collected)
{
	collected->terminal.out =
	    open_memstream(&collected->out, &collected->out_len);
	collected->terminal.talk =
	    open_memstream(&collected->talk, &collected->talk_len);
	ul_terminal_set(&collected->terminal);
}

static void collected_expect(struct collected *collected, const char *out,
			     const char *talk)
{
	ul_terminal_set(NULL);
	fclose(collected->terminal.out);
	fclose(collected->terminal.talk);
	assert_string_equal(collected->out, out);
	assert_string_equal(collected->talk, talk);
	free(collected->out);
	free(collected->talk);
}

static void test_terminal__collects_answers_and_talk(void **state)
{
	struct collected collected = { .out = NULL };
	struct ul_cli cli = { .quiet = false };
	struct ul_err err = UL_ERR_INIT;
	json_t *json = json_pack("{s:i}", "version", 1);

	(void)state;
	collect(&collected);
	ul_cli_print("%d images\n", 3);
	ul_cli_say(&cli, "note: %s", "two");
	assert_int_equal(ul_cli_print_json(json, &err), 0);
	ul_err_set(&err, UL_E_IO, "a disk failed");
	assert_int_equal(ul_cli_fail(&err), UL_EXIT_FAILED);
	collected_expect(&collected, "3 images\n{\"version\":1}\n",
			 "note: two\nullage: a disk failed\n");
	json_decref(json);
}

static void test_terminal__cuts_tables_to_the_reader(void **state)
{
	static const struct ul_column columns[] = {
		{ .heading = "NAME", .is_shrink = true },
	};
	static const char name[] =
	    "a-name-that-is-longer-than-forty-columns-by-far";
	char cut[] = "a-name-tha..ger-than-forty-columns-by-far";
	bool is_cut;

	(void)state;
	for (is_cut = false;; is_cut = true) {
		struct collected collected = { .out = NULL };
		struct ul_err err = UL_ERR_INIT;
		struct ul_table table;
		char expected[128];

		collected.terminal.columns = strlen(cut);
		collected.terminal.is_cut = is_cut;
		ul_table_init(&table, columns, 1);
		ul_table_add(&table, name);
		collect(&collected);
		assert_int_equal(ul_terminal_columns(stdout), strlen(cut));
		assert_int_equal(ul_cli_print_table(&table, &err), 0);
		snprintf(expected, sizeof expected, "NAME\n%s\n",
			 is_cut ? cut : name);
		collected_expect(&collected, expected, "");
		ul_table_release(&table);
		if (is_cut)
			break;
	}
}

static void test_terminal__asks_nobody_who_is_not_there(void **state)
{
	struct collected collected = { .out = NULL };

	(void)state;
	collect(&collected);
	assert_false(ul_terminal_can_ask());
	assert_int_equal(ul_cli_ask("sure?"), -1);
	collected_expect(&collected, "",
			 "ullage: no terminal to ask on; -y answers yes\n");
}

static void test_terminal__hears_of_progress_and_ends_it(void **state)
{
	struct told told = { .goes_on = true };
	struct collected collected = {
		.terminal = { .progress = on_progress, .progress_arg = &told },
	};
	struct ul_cli cli = { .quiet = false };
	struct ul_progress progress;

	(void)state;
	collect(&collected);
	ul_progress_start(&progress, &cli, "reading", 70);
	progress.is_bytes = true;
	assert_true(ul_progress_update(&progress, 7));
	assert_string_equal(told.label, "reading");
	assert_int_equal(told.done, 7);
	assert_int_equal(told.total, 70);
	assert_true(ul_progress_walk(&progress, 8, 1000));
	assert_int_equal(told.done, 8);
	told.goes_on = false;
	assert_false(ul_progress_update(&progress, 9));
	ul_progress_end(&progress);
	collected_expect(&collected, "", "");
}

/* NULL: only its own lines came. */
static void *print_many(void *arg)
{
	struct collected collected = { .out = NULL };
	char line[32], *at;
	size_t i;
	bool ok = true;

	snprintf(line, sizeof line, "line of %s\n", (const char *)arg);
	collect(&collected);
	for (i = 0; i < 1000; i++)
		ul_cli_print("line of %s\n", (const char *)arg);
	ul_terminal_set(NULL);
	fclose(collected.terminal.out);
	fclose(collected.terminal.talk);
	for (at = collected.out; *at; at += strlen(line)) {
		ok = ok && !strncmp(at, line, strlen(line));
		i--;
	}
	free(collected.out);
	free(collected.talk);
	return ok && !i ? NULL : arg;
}

static void test_terminal__is_a_threads_own(void **state)
{
	char names[2][4] = { "one", "two" };
	pthread_t threads[2];
	void *wrong;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, print_many, names[i]), 0);
	assert_ptr_equal(ul_terminal()->out, stdout);
	assert_ptr_equal(ul_terminal()->talk, stderr);
	for (i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_terminal__collects_answers_and_talk),
		cmocka_unit_test(test_terminal__cuts_tables_to_the_reader),
		cmocka_unit_test(test_terminal__asks_nobody_who_is_not_there),
		cmocka_unit_test(test_terminal__hears_of_progress_and_ends_it),
		cmocka_unit_test(test_terminal__is_a_threads_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
