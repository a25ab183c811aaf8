#include "store/db/db.h"

#include "tests/unit/db/scratch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_db__reading_needs_one_that_is_there(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	struct ul_db *db = NULL;

	assert_int_equal(ul_db_open(scratch->path, UL_DB_READ, &db, &err),
			 UL_E_ABSENT);
	assert_null(db);
	assert_false(ul_db_is_read_only(scratch_open(scratch)));
	assert_int_equal(ul_db_open(scratch->path, UL_DB_READ, &db, &err), 0);
	assert_true(ul_db_is_read_only(db));
	assert_int_equal(ul_db_exec(db, "DELETE FROM store", &err), UL_E_DB);
	ul_db_close(db);
}

static void test_db__in_memory_it_has_all_tables(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_db *db = NULL;

	(void)state;
	assert_int_equal(ul_db_open(NULL, UL_DB_MEMORY, &db, &err), 0);
	assert_false(ul_db_is_read_only(db));
	assert_int_equal(
	    ul_db_exec(db, "INSERT INTO store (kind, path) VALUES ('oci', 'x')",
		       &err),
	    0);
	assert_int_equal(ul_db_last_id(db), 1);
	ul_db_close(db);
}

static void test_db__is_durable_and_strict(void **state)
{
	struct scratch *scratch = *state;

	scratch_open(scratch);
	assert_int_equal(scratch_number(scratch, "PRAGMA synchronous"), 2);
	assert_int_equal(scratch_number(scratch, "PRAGMA foreign_keys"), 1);
	assert_int_equal(
	    scratch_number(scratch, "SELECT count(*) FROM pragma_journal_mode"
				    " WHERE journal_mode = 'wal'"),
	    1);
	assert_int_equal(
	    scratch_number(scratch,
			   "SELECT count(*) FROM pragma_table_list WHERE type "
			   "= 'table' AND schema = 'main' AND NOT strict AND "
			   "name NOT LIKE 'sqlite_%'"),
	    0);
}

static void test_db__a_newer_schema_is_refused_with_both_numbers(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	struct ul_db *db = NULL;
	char numbers[64];
	int64_t newest;
	int mode;

	scratch_open(scratch);
	newest = scratch_number(scratch, "PRAGMA user_version");
	ul_db_closep(&scratch->db);
	scratch_sql(scratch, "PRAGMA user_version = 4711");
	snprintf(numbers, sizeof numbers,
		 "has schema 4711, this ullage knows up to %d:", (int)newest);
	for (mode = UL_DB_WRITE; mode <= UL_DB_READ; mode++) {
		assert_int_equal(ul_db_open(scratch->path, mode, &db, &err),
				 UL_E_UNSUPPORTED);
		assert_non_null(strstr(err.msg, numbers));
		assert_null(db);
	}
}

static void test_db__an_old_schema_cannot_be_read_only(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	struct ul_db *db = NULL;

	scratch_sql(scratch, "CREATE TABLE t (x)");
	assert_int_equal(ul_db_open(scratch->path, UL_DB_READ, &db, &err),
			 UL_E_ABSENT);
}

static void test_db__what_is_no_database_is_refused(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	struct ul_db *db = NULL;
	int fd = open(scratch->path, O_WRONLY | O_CREAT, 0644), i;

	for (i = 0; i < 100; i++)
		assert_int_equal(write(fd, "this is no database", 19), 19);
	close(fd);
	assert_int_equal(ul_db_open(scratch->path, UL_DB_WRITE, &db, &err),
			 UL_E_DB);
	assert_non_null(strstr(err.msg, scratch->path));
}

static void add_store(struct ul_db *db, const char *path)
{
	struct ul_err err = UL_ERR_INIT;
	char sql[128];

	snprintf(sql, sizeof sql,
		 "INSERT INTO store (kind, path) VALUES ('oci', '%s')", path);
	if (ul_db_exec(db, sql, &err))
		fail_msg("%s", err.msg);
}

static void leave_early(struct ul_db *db)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(ul_db_begin(db, &tx, &err), 0);
	add_store(db, "lost");
}

static void test_db__what_is_not_committed_is_rolled_back(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	struct ul_db *tx = NULL;

	leave_early(scratch_open(scratch));
	assert_int_equal(scratch_number(scratch, "SELECT count(*) FROM store"),
			 0);
	assert_int_equal(ul_db_begin(scratch->db, &tx, &err), 0);
	add_store(scratch->db, "kept");
	assert_int_equal(ul_db_commit(&tx, &err), 0);
	assert_null(tx);
	ul_db_rollbackp(&tx);
	scratch_open(scratch);
	assert_int_equal(scratch_number(scratch, "SELECT count(*) FROM store"),
			 1);
}

static void test_db__a_reader_sees_one_state(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	struct ul_db *read = NULL;

	scratch_open(scratch);
	assert_int_equal(ul_db_read_begin(scratch->db, &read, &err), 0);
	assert_int_equal(scratch_number(scratch, "SELECT count(*) FROM store"),
			 0);
	scratch_sql(scratch,
		    "INSERT INTO store (kind, path) VALUES ('oci', 'x')");
	assert_int_equal(scratch_number(scratch, "SELECT count(*) FROM store"),
			 0);
	ul_db_read_endp(&read);
	assert_null(read);
	assert_int_equal(scratch_number(scratch, "SELECT count(*) FROM store"),
			 1);
}

static void test_db__a_second_writer_waits_and_then_says_busy(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	struct ul_db *other = NULL, *tx = NULL, *second = NULL;

	assert_int_equal(ul_db_begin(scratch_open(scratch), &tx, &err), 0);
	assert_int_equal(ul_db_open(scratch->path, UL_DB_WRITE, &other, &err),
			 0);
	sqlite3_busy_timeout(other->sqlite, 20);
	assert_int_equal(ul_db_begin(other, &second, &err), UL_E_BUSY);
	assert_null(second);
	ul_db_rollbackp(&tx);
	assert_int_equal(ul_db_begin(other, &second, &err), 0);
	ul_db_rollbackp(&second);
	ul_db_close(other);
}

static void test_db__many_may_open_a_new_one_at_once(void **state)
{
	enum { COUNT = 12 };
	struct scratch *scratch = *state;
	pid_t pids[COUNT];
	int i, round, status, failed = 0;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < COUNT; i++) {
			pids[i] = fork();
			assert_true(pids[i] >= 0);
			if (!pids[i]) {
				struct ul_err err = UL_ERR_INIT;
				struct ul_db *db = NULL;
				int rc = ul_db_open(scratch->path, UL_DB_WRITE,
						    &db, &err);

				if (rc)
					fprintf(stderr, "%s\n", err.msg);
				ul_db_close(db);
				_exit(rc ? 1 : 0);
			}
		}
		for (i = 0; i < COUNT; i++) {
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			failed += !WIFEXITED(status) || WEXITSTATUS(status);
		}
		assert_int_equal(failed, 0);
		unlink(scratch->path);
	}
}

static void test_db__without_memory_it_is_not_opened(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	struct ul_db *db = NULL;

	ul_mem_countdown = 0;
	assert_int_equal(ul_db_open(scratch->path, UL_DB_WRITE, &db, &err),
			 UL_E_NOMEM);
	ul_mem_countdown = -1;
	assert_null(db);
}

static void test_db__has_an_id_of_its_own(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	char uid[UL_DB_UID_MAX], again[UL_DB_UID_MAX], other[UL_DB_UID_MAX];
	struct ul_db *db = NULL;

	assert_int_equal(ul_db_uid(scratch_open(scratch), uid, &err), 0);
	assert_true(ul_db_uid_is_one(uid));
	assert_int_equal(ul_db_uid(scratch_open(scratch), again, &err), 0);
	assert_string_equal(again, uid);
	assert_int_equal(ul_db_open(NULL, UL_DB_MEMORY, &db, &err), 0);
	assert_int_equal(ul_db_uid(db, other, &err), 0);
	assert_string_not_equal(other, uid);
	ul_db_close(db);

	assert_int_equal(ul_db_renew_uid(scratch_open(scratch), &err), 0);
	assert_int_equal(ul_db_uid(scratch_open(scratch), again, &err), 0);
	assert_string_not_equal(again, uid);
	assert_int_equal(
	    ul_db_exec(scratch_open(scratch), "DELETE FROM meta", &err), 0);
	assert_int_equal(ul_db_uid(scratch_open(scratch), uid, &err),
			 UL_E_CORRUPT);
	assert_false(ul_db_uid_is_one(""));
	assert_false(ul_db_uid_is_one("0123456789abcdef0123456789abcdef0"));
	assert_false(ul_db_uid_is_one("0123456789abcdef0123456789abcdeF"));
}

int main(void)
{
#define DB(name)                                                               \
	cmocka_unit_test_setup_teardown(test_db__##name, scratch_setup,        \
					scratch_teardown)
	const struct CMUnitTest tests[] = {
		DB(reading_needs_one_that_is_there),
		DB(in_memory_it_has_all_tables),
		DB(is_durable_and_strict),
		DB(a_newer_schema_is_refused_with_both_numbers),
		DB(an_old_schema_cannot_be_read_only),
		DB(what_is_no_database_is_refused),
		DB(what_is_not_committed_is_rolled_back),
		DB(a_reader_sees_one_state),
		DB(a_second_writer_waits_and_then_says_busy),
		DB(many_may_open_a_new_one_at_once),
		DB(has_an_id_of_its_own),
		DB(without_memory_it_is_not_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
