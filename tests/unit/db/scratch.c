#include "tests/unit/db/scratch.h"

int scratch_setup(void **state)
{
	struct scratch *scratch = calloc(1, sizeof *scratch);

	strcpy(scratch->dir, "/tmp/ul-db-XXXXXX");
	if (!mkdtemp(scratch->dir))
		return -1;
	snprintf(scratch->path, sizeof scratch->path, "%s/ullage.db",
		 scratch->dir);
	*state = scratch;
	return 0;
}

int scratch_teardown(void **state)
{
	struct scratch *scratch = *state;
	char command[64];

	ul_mem_countdown = -1;
	ul_db_close(scratch->db);
	snprintf(command, sizeof command, "rm -rf %s", scratch->dir);
	free(scratch);
	return system(command);
}

struct ul_db *scratch_open(struct scratch *scratch)
{
	struct ul_err err = UL_ERR_INIT;

	ul_db_closep(&scratch->db);
	if (ul_db_open(scratch->path, UL_DB_WRITE, &scratch->db, &err))
		fail_msg("%s", err.msg);
	return scratch->db;
}

void scratch_sql(struct scratch *scratch, const char *sql)
{
	sqlite3 *other = NULL;
	char *msg = NULL;

	assert_int_equal(sqlite3_open(scratch->path, &other), SQLITE_OK);
	if (sqlite3_exec(other, sql, NULL, NULL, &msg))
		fail_msg("%s: %s", sql, msg);
	sqlite3_close(other);
}

int64_t scratch_number(struct scratch *scratch, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int64_t number;

	assert_int_equal(
	    sqlite3_prepare_v2(scratch->db->sqlite, sql, -1, &stmt, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	number = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return number;
}
