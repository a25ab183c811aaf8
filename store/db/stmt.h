/*
 * store/db/stmt.h - prepared statements with typed, checked columns.
 *
 * Each query of queries.def is prepared once a connection, when first used.
 * Borrow it, bind by name, step, give it back (ul_cleanup(ul_stmt_putp)):
 *
 *	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
 *	rc = ul_stmt_get(db, UL_SQL_PINS, &row, err);
 *	...
 *	ul_stmt_bind_i64(row, ":store", id);
 *	while ((rc = ul_stmt_next(row, err)) > 0)
 *		name = ul_stmt_text(row, 0);
 */
#ifndef UL_STORE_DB_STMT_H
#define UL_STORE_DB_STMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ul_db;
struct ul_err;
struct ul_stmt; /* opaque */

enum ul_sql {
#define UL_SQL(id, text) UL_SQL_##id,
#include "store/db/queries.def"
#undef UL_SQL
	UL_SQL_COUNT
};

/* Borrow a statement. Borrowing one that is out already is an assert. */
int ul_stmt_get(struct ul_db *db, enum ul_sql sql, struct ul_stmt **ret_stmt,
		struct ul_err *err);
/* Give back: reset and unbound. NULL is fine. */
void ul_stmt_putp(struct ul_stmt **stmt);

/* Bind by name. Text is copied. A failure comes out of the next step. */
void ul_stmt_bind_i64(struct ul_stmt *stmt, const char *name, int64_t value);
void ul_stmt_bind_double(struct ul_stmt *stmt, const char *name, double value);
void ul_stmt_bind_text(struct ul_stmt *stmt, const char *name,
		       const char *text); /* NULL binds "" */
/* Bytes; these are borrowed until the statement has run. */
void ul_stmt_bind_blob(struct ul_stmt *stmt, const char *name, const void *data,
		       size_t len);

/* 1: a row, 0: no more, negative: UL_E_DB, UL_E_BUSY, UL_E_NOMEM. */
int ul_stmt_next(struct ul_stmt *stmt, struct ul_err *err);

/* For what gives no rows: step to the end and reset. 0 or negative. */
int ul_stmt_run(struct ul_stmt *stmt, struct ul_err *err);

/* Columns of the current row. Text is borrowed until the next step. */
int64_t ul_stmt_i64(struct ul_stmt *stmt, int column);
double ul_stmt_double(struct ul_stmt *stmt, int column);
const char *ul_stmt_text(struct ul_stmt *stmt, int column); /* never NULL */
size_t ul_stmt_text_len(struct ul_stmt *stmt, int column);
/* NULL where it is empty. */
const void *ul_stmt_blob(struct ul_stmt *stmt, int column, size_t *ret_len);

#endif
