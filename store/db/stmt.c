#include "store/db/stmt.h"

#include <assert.h>

#include "base/err.h"
#include "store/db/db_internal.h"

static const char *const stmt_sql[UL_SQL_COUNT] = {
#define UL_SQL(id, text) [UL_SQL_##id] = text,
#include "store/db/queries.def"
#undef UL_SQL
};

int ul_stmt_get(struct ul_db *db, enum ul_sql sql, struct ul_stmt **ret_stmt,
		struct ul_err *err)
{
	struct ul_stmt *stmt = &db->stmts[sql];
	int rc;

	assert(!stmt->is_out);
	if (!stmt->handle) {
		rc = sqlite3_prepare_v3(db->sqlite, stmt_sql[sql], -1,
					SQLITE_PREPARE_PERSISTENT,
					&stmt->handle, NULL);
		if (rc)
			return ul_db_fail(db->sqlite, rc, "prepare", err);
		stmt->sqlite = db->sqlite;
	}
	stmt->bind_rc = SQLITE_OK;
	stmt->is_out = true;
	*ret_stmt = stmt;
	return 0;
}

void ul_stmt_putp(struct ul_stmt **stmt)
{
	if (!*stmt)
		return;
	sqlite3_reset((*stmt)->handle);
	sqlite3_clear_bindings((*stmt)->handle);
	(*stmt)->is_out = false;
	*stmt = NULL;
}

static int stmt_parameter(struct ul_stmt *stmt, const char *name)
{
	int index = sqlite3_bind_parameter_index(stmt->handle, name);

	assert(index > 0);
	return index;
}

static void stmt_bound(struct ul_stmt *stmt, int rc)
{
	if (stmt->bind_rc == SQLITE_OK)
		stmt->bind_rc = rc;
}

void ul_stmt_bind_i64(struct ul_stmt *stmt, const char *name, int64_t value)
{
	stmt_bound(stmt, sqlite3_bind_int64(stmt->handle,
					    stmt_parameter(stmt, name), value));
}

void ul_stmt_bind_double(struct ul_stmt *stmt, const char *name, double value)
{
	stmt_bound(stmt, sqlite3_bind_double(
			     stmt->handle, stmt_parameter(stmt, name), value));
}

void ul_stmt_bind_text(struct ul_stmt *stmt, const char *name, const char *text)
{
	stmt_bound(stmt,
		   sqlite3_bind_text(stmt->handle, stmt_parameter(stmt, name),
				     text ? text : "", -1, SQLITE_TRANSIENT));
}

void ul_stmt_bind_blob(struct ul_stmt *stmt, const char *name, const void *data,
		       size_t len)
{
	/* No bytes are a blob too, no NULL. */
	stmt_bound(stmt,
		   sqlite3_bind_blob64(stmt->handle, stmt_parameter(stmt, name),
				       data ? data : "", len, SQLITE_STATIC));
}

int ul_stmt_next(struct ul_stmt *stmt, struct ul_err *err)
{
	int rc = stmt->bind_rc;

	if (!rc)
		rc = sqlite3_step(stmt->handle);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return ul_db_fail(stmt->sqlite, rc, "database", err);
}

int ul_stmt_run(struct ul_stmt *stmt, struct ul_err *err)
{
	int rc;

	while ((rc = ul_stmt_next(stmt, err)) > 0)
		continue;
	sqlite3_reset(stmt->handle);
	return rc;
}

int64_t ul_stmt_i64(struct ul_stmt *stmt, int column)
{
	return sqlite3_column_int64(stmt->handle, column);
}

double ul_stmt_double(struct ul_stmt *stmt, int column)
{
	return sqlite3_column_double(stmt->handle, column);
}

const char *ul_stmt_text(struct ul_stmt *stmt, int column)
{
	const char *text =
	    (const char *)sqlite3_column_text(stmt->handle, column);

	return text ? text : "";
}

size_t ul_stmt_text_len(struct ul_stmt *stmt, int column)
{
	return (size_t)sqlite3_column_bytes(stmt->handle, column);
}

const void *ul_stmt_blob(struct ul_stmt *stmt, int column, size_t *ret_len)
{
	const void *data = sqlite3_column_blob(stmt->handle, column);

	*ret_len = (size_t)sqlite3_column_bytes(stmt->handle, column);
	return data;
}
