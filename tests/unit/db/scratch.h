/* tests/unit/db/scratch.h - a database in a scratch directory. */
#ifndef UL_TESTS_UNIT_DB_SCRATCH_H
#define UL_TESTS_UNIT_DB_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/db_internal.h"
#include "store/db/stmt.h"

struct scratch {
	char dir[32];
	char path[64];
	struct ul_db *db;
};

__attribute__((unused)) static int scratch_setup(void **state)
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

__attribute__((unused)) static int scratch_teardown(void **state)
{
	struct scratch *scratch = *state;
	char command[64];

	ul_mem_countdown = -1;
	ul_db_close(scratch->db);
	snprintf(command, sizeof command, "rm -rf %s", scratch->dir);
	free(scratch);
	return system(command);
}

/* Open (again) for writing: scratch->db. */
__attribute__((unused)) static struct ul_db *
scratch_open(struct scratch *scratch)
{
	struct ul_err err = UL_ERR_INIT;

	ul_db_closep(&scratch->db);
	if (ul_db_open(scratch->path, UL_DB_WRITE, &scratch->db, &err))
		fail_msg("%s", err.msg);
	return scratch->db;
}

/* SQL by another hand. */
__attribute__((unused)) static void scratch_sql(struct scratch *scratch,
						const char *sql)
{
	sqlite3 *other = NULL;
	char *msg = NULL;

	assert_int_equal(sqlite3_open(scratch->path, &other), SQLITE_OK);
	if (sqlite3_exec(other, sql, NULL, NULL, &msg))
		fail_msg("%s: %s", sql, msg);
	sqlite3_close(other);
}

/* The first column of the first row. */
__attribute__((unused)) static int64_t scratch_number(struct scratch *scratch,
						      const char *sql)
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

#endif
