#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/change.h"

enum { TEXT_MAX = 1024 };

/* What `print` writes to stdout. */
static void assert_printed(void (*print)(void), const char *wanted)
{
	int saved = dup(STDOUT_FILENO);
	FILE *file = tmpfile();
	char text[TEXT_MAX];
	size_t len;

	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	print();
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(file);
	len = fread(text, 1, sizeof text - 1, file);
	text[len] = '\0';
	fclose(file);
	assert_string_equal(text, wanted);
}

static json_t *make(void)
{
	json_t *answer = ul_cli_answer("names", json_array());

	ul_json_push(&answer, "names", ul_json_string("app:2"));
	ul_json_push(&answer, "names", ul_json_string("no \xff UTF-8"));
	ul_json_put(&answer, "count", json_integer(2));
	return answer;
}

static void print_answer(void)
{
	ul_cleanup(ul_json_freep) json_t *answer = make();
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(ul_cli_print_json(answer, &err), 0);
}

static void test_answer__is_one_document_in_one_line(void **state)
{
	(void)state;
	assert_printed(print_answer, "{\"version\":1,\"names\":[\"app:2\","
				     "\"no ? UTF-8\"],\"count\":2}\n");
}

static void test_answer__without_memory_is_reported_once(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	json_t *answer = NULL;
	long n;

	(void)state;
	for (n = 0; !answer; n++) {
		ul_mem_countdown = n;
		answer = make();
		ul_mem_countdown = -1;
	}
	/* What is answered is whole. */
	assert_int_equal(json_array_size(json_object_get(answer, "names")), 2);
	assert_int_equal(json_object_size(answer), 3);
	json_decref(answer);
	assert_true(n > 4);
	assert_int_equal(ul_cli_print_json(NULL, &err), UL_E_NOMEM);
	assert_string_equal(err.msg, "out of memory");
}

static void print_text(void)
{
	struct ul_err err = UL_ERR_INIT;

	ul_cli_print("one %s\nt\033wo\n", "a\033[2Jb");
	ul_cli_print("half");
	ul_cli_print(" a line\n");
	assert_int_equal(ul_cli_print_long("x\ny\rz", &err), 0);
}

static void
test_answer__text_keeps_lines_and_nothing_else_that_drives(void **state)
{
	(void)state;
	assert_printed(print_text, "one a?[2Jb\nt?wo\nhalf a line\nx\ny?z\n");
}

static void print_losses(void)
{
	const struct ul_loss losses[] = {
		{ .blob_count = 0 },
		{ .blob_count = 3, .allocated_bytes = 1210000 },
		{ .blob_count = 1, .allocated_bytes = 4096 },
		{ .snapshot_count = 1, .allocated_bytes = 999 },
		{ .blob_count = 1, .snapshot_count = 2, .allocated_bytes = 0 },
	};
	struct ul_cli cli = { .json = false };
	size_t i;

	for (i = 0; i < ul_array_len(losses); i++)
		ul_loss_print(&cli, &losses[i]);
}

static void test_answer__what_is_held_by_nothing_reads_well(void **state)
{
	(void)state;
	assert_printed(
	    print_losses,
	    "3 blobs (1.21 MB) are now held by nothing; `ullage gc` takes "
	    "them\n"
	    "1 blob (4.1 kB) is now held by nothing; `ullage gc` takes "
	    "it\n"
	    "1 snapshot (999 B) is now held by nothing; `ullage gc` takes "
	    "it\n"
	    "1 blob and 2 snapshots (0 B) are now held by nothing; "
	    "`ullage gc` takes them\n");
}

static void test_answer__labels_are_parsed_and_shown(void **state)
{
	ul_cleanup(ul_json_freep) json_t *labels = json_object();
	ul_cleanup(ul_freep) char *text = NULL;
	ul_cleanup(ul_freep) char *none = ul_labels_text("{}");
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	assert_int_equal(ul_label_add(labels, "a=b=c", &err), 0);
	assert_int_equal(ul_label_add(labels, "flag", &err), 0);
	assert_int_equal(ul_label_add(labels, "a=d", &err), 0);
	assert_int_equal(ul_label_add(labels, "=x", &err), UL_E_INVALID);
	assert_int_equal(ul_label_add(labels, "", &err), UL_E_INVALID);
	assert_int_equal(ul_label_add(labels, "k=\xff", &err), UL_E_INVALID);
	assert_int_equal(ul_label_add(labels, "\xff=v", &err), UL_E_INVALID);
	assert_int_equal(json_object_size(labels), 2);
	text = ul_labels_text("{\"a\":\"d\",\"flag\":\"\"}");
	assert_string_equal(text, "a=d, flag=");
	assert_string_equal(none, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer__is_one_document_in_one_line),
		cmocka_unit_test(test_answer__without_memory_is_reported_once),
		cmocka_unit_test(
		    test_answer__text_keeps_lines_and_nothing_else_that_drives),
		cmocka_unit_test(
		    test_answer__what_is_held_by_nothing_reads_well),
		cmocka_unit_test(test_answer__labels_are_parsed_and_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
