/* store/db/db_internal.h - what db.c, stmt.c and migrate.c share. */
#ifndef UL_STORE_DB_DB_INTERNAL_H
#define UL_STORE_DB_DB_INTERNAL_H

#include <sqlite3.h>
#include <stdbool.h>

#include "store/db/stmt.h"

struct ul_stmt {
	sqlite3_stmt *handle;
	sqlite3 *sqlite;
	int bind_rc; /* first failed bind, or SQLITE_OK */
	bool is_out;
};

struct ul_db {
	sqlite3 *sqlite;
	bool is_read_only;
	bool is_in_tx;
	struct ul_stmt stmts[UL_SQL_COUNT];
};

/* Turn what SQLite says into an error of ours. */
int ul_db_fail(sqlite3 *sqlite, int sqlite_rc, const char *what,
	       struct ul_err *err);

/* Run SQL text without results. */
int ul_db_exec(struct ul_db *db, const char *sql, struct ul_err *err);

/*
 * Bring the schema up to date, one transaction a step. UL_E_UNSUPPORTED
 * where it is newer than we are (checked in read-only mode too).
 */
int ul_db_migrate(struct ul_db *db, struct ul_err *err);

#endif
