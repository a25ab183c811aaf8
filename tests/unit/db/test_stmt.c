#include "store/db/stmt.h"

#include "tests/unit/db/scratch.h"

static struct ul_stmt *get(struct scratch *scratch, enum ul_sql sql)
{
	struct ul_stmt *stmt = NULL;
	struct ul_err err = UL_ERR_INIT;

	if (ul_stmt_get(scratch->db, sql, &stmt, &err))
		fail_msg("statement %d: %s", sql, err.msg);
	return stmt;
}

static void test_stmt__every_one_of_the_table_prepares(void **state)
{
	struct scratch *scratch = *state;
	int sql;

	scratch_open(scratch);
	for (sql = 0; sql < UL_SQL_COUNT; sql++) {
		struct ul_stmt *stmt = get(scratch, sql);

		ul_stmt_putp(&stmt);
		assert_null(stmt);
	}
}

static int add(struct scratch *scratch, const char *path, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *stmt =
	    get(scratch, UL_SQL_STORE_ADD);

	ul_stmt_bind_text(stmt, ":kind", "oci");
	ul_stmt_bind_text(stmt, ":path", path);
	return ul_stmt_run(stmt, err);
}

static void test_stmt__rows_come_with_their_columns(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	struct ul_stmt *row;

	scratch_open(scratch);
	assert_int_equal(add(scratch, "here", &err), 0);
	row = get(scratch, UL_SQL_STORE_FIND);
	ul_stmt_bind_text(row, ":kind", "oci");
	ul_stmt_bind_text(row, ":path", "here");
	assert_int_equal(ul_stmt_next(row, &err), 1);
	assert_int_equal(ul_stmt_i64(row, 0), 1);
	assert_string_equal(ul_stmt_text(row, 1), "");
	assert_int_equal(ul_stmt_text_len(row, 1), 0);
	assert_int_equal(ul_stmt_next(row, &err), 0);
	ul_stmt_putp(&row);

	/* Given back: nothing of the last use is left. */
	row = get(scratch, UL_SQL_STORE_FIND);
	ul_stmt_bind_text(row, ":kind", "oci");
	assert_int_equal(ul_stmt_next(row, &err), 0);
	ul_stmt_putp(&row);
}

static void test_stmt__no_text_is_empty_text(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;

	scratch_open(scratch);
	assert_int_equal(add(scratch, NULL, &err), 0);
	assert_int_equal(
	    scratch_number(scratch,
			   "SELECT count(*) FROM store WHERE path = ''"),
	    1);
}

static void test_stmt__doubles_keep_their_value(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	struct ul_stmt *stmt;

	scratch_open(scratch);
	assert_int_equal(add(scratch, "x", &err), 0);
	stmt = get(scratch, UL_SQL_RUN_ADD);
	ul_stmt_bind_i64(stmt, ":store", 1);
	ul_stmt_bind_text(stmt, ":command", "gc");
	ul_stmt_bind_text(stmt, ":plan", "p");
	ul_stmt_bind_i64(stmt, ":started", 5);
	ul_stmt_bind_i64(stmt, ":planned", INT64_MAX);
	assert_int_equal(ul_stmt_run(stmt, &err), 0);
	ul_stmt_putp(&stmt);
	stmt = get(scratch, UL_SQL_RUN_SET);
	ul_stmt_bind_i64(stmt, ":id", 1);
	ul_stmt_bind_text(stmt, ":state", "done");
	ul_stmt_bind_double(stmt, ":seconds", 0.125);
	ul_stmt_bind_i64(stmt, ":freed", 1);
	ul_stmt_bind_i64(stmt, ":trashed", 2);
	ul_stmt_bind_i64(stmt, ":overhead", -3);
	ul_stmt_bind_i64(stmt, ":removed", 4);
	ul_stmt_bind_i64(stmt, ":declined", 5);
	assert_int_equal(ul_stmt_run(stmt, &err), 0);
	ul_stmt_putp(&stmt);
	stmt = get(scratch, UL_SQL_RUNS);
	ul_stmt_bind_text(stmt, ":kind", "oci");
	ul_stmt_bind_text(stmt, ":path", "x");
	ul_stmt_bind_i64(stmt, ":most", 10);
	assert_int_equal(ul_stmt_next(stmt, &err), 1);
	assert_true(ul_stmt_double(stmt, 7) > 0.1249 &&
		    ul_stmt_double(stmt, 7) < 0.1251);
	assert_true(ul_stmt_i64(stmt, 8) == INT64_MAX);
	assert_int_equal(ul_stmt_i64(stmt, 11), -3);
	ul_stmt_putp(&stmt);
}

static void test_stmt__a_broken_constraint_is_a_conflict(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	struct ul_stmt *stmt;

	scratch_open(scratch);
	assert_int_equal(add(scratch, "twice", &err), 0);
	assert_int_equal(add(scratch, "twice", &err), UL_E_CONFLICT);
	assert_non_null(strstr(err.msg, "UNIQUE"));
	/* A statement that failed works again. */
	assert_int_equal(add(scratch, "other", &err), 0);
	stmt = get(scratch, UL_SQL_WORD_ADD);
	ul_stmt_bind_i64(stmt, ":store", 77);
	ul_stmt_bind_i64(stmt, ":id", 0);
	ul_stmt_bind_text(stmt, ":text", "r");
	assert_int_equal(ul_stmt_run(stmt, &err), UL_E_CONFLICT);
	ul_stmt_putp(&stmt);
}

int main(void)
{
#define STMT(name)                                                             \
	cmocka_unit_test_setup_teardown(test_stmt__##name, scratch_setup,      \
					scratch_teardown)
	const struct CMUnitTest tests[] = {
		STMT(every_one_of_the_table_prepares),
		STMT(rows_come_with_their_columns),
		STMT(no_text_is_empty_text),
		STMT(doubles_keep_their_value),
		STMT(a_broken_constraint_is_a_conflict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
