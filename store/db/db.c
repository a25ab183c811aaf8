#include "store/db/db.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/db/db_internal.h"

enum { DB_BUSY_MS = 10000 };

int ul_db_fail(sqlite3 *sqlite, int sqlite_rc, const char *what,
	       struct ul_err *err)
{
	const char *msg =
	    sqlite ? sqlite3_errmsg(sqlite) : sqlite3_errstr(sqlite_rc);

	switch (sqlite_rc & 0xff) {
	case SQLITE_NOMEM:
		return ul_err_nomem(err);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ul_err_set(err, UL_E_BUSY, "%s: database is busy", what);
	case SQLITE_CONSTRAINT:
		return ul_err_set(err, UL_E_CONFLICT, "%s: %s", what, msg);
	default:
		return ul_err_set(err, UL_E_DB, "%s: %s", what, msg);
	}
}

int ul_db_exec(struct ul_db *db, const char *sql, struct ul_err *err)
{
	int rc = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);

	return rc ? ul_db_fail(db->sqlite, rc, "database", err) : 0;
}

/*
 * Two that open a new database at once both hold a shared lock and both want
 * it exclusive; SQLite then says busy at once, without its busy handler, so
 * that one of them lets go.
 */
static int db_set_wal(struct ul_db *db, struct ul_err *err)
{
	const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
	int waited_ms, rc;

	for (waited_ms = 0;; waited_ms += 5) {
		rc = ul_db_exec(db, "PRAGMA journal_mode=WAL", err);
		if (rc != UL_E_BUSY || waited_ms >= DB_BUSY_MS)
			return rc;
		nanosleep(&pause, NULL);
	}
}

static int db_setup(struct ul_db *db, enum ul_db_mode mode, struct ul_err *err)
{
	int rc;

	sqlite3_busy_timeout(db->sqlite, DB_BUSY_MS);
	rc = ul_db_exec(db,
			"PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;"
			"PRAGMA temp_store=MEMORY; PRAGMA mmap_size=268435456;"
			"PRAGMA cache_size=-16384",
			err);
	if (!rc && mode == UL_DB_WRITE)
		rc = db_set_wal(db, err);
	if (!rc && mode == UL_DB_WRITE)
		rc = ul_db_exec(db, "PRAGMA synchronous=FULL", err);
	return rc ? rc : ul_db_migrate(db, err);
}

static int db_open_sqlite(struct ul_db *db, const char *path,
			  enum ul_db_mode mode, struct ul_err *err)
{
	int flags = mode == UL_DB_READ
			? SQLITE_OPEN_READONLY
			: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	int rc = sqlite3_open_v2(
	    mode == UL_DB_MEMORY ? ":memory:" : path, &db->sqlite,
	    flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);

	if (!rc)
		return db_setup(db, mode, err);
	if (mode == UL_DB_READ && (rc & 0xff) == SQLITE_CANTOPEN)
		return ul_err_set(err, UL_E_ABSENT, "no database %s", path);
	return ul_db_fail(db->sqlite, rc, path, err);
}

/* "file:" with the path's special bytes escaped, as SQLite reads URIs. */
static bool immutable_uri(struct ul_buf *uri, const char *path)
{
	ul_buf_add_str(uri, "file:");
	for (; *path; path++) {
		if (strchr("%?#", *path))
			ul_buf_printf(uri, "%%%02X", (unsigned char)*path);
		else
			ul_buf_add_char(uri, *path);
	}
	return ul_buf_add_str(uri, "?immutable=1");
}

/*
 * Where nothing can be written, not even the log's index can be made beside
 * the database. Without a log that has something in it the file alone is the
 * whole database, and nobody can change it.
 */
static int db_open_immutable(struct ul_db *db, const char *path,
			     struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf uri = UL_BUF_INIT;
	ul_cleanup(ul_freep) char *log = ul_asprintf("%s-wal", path);
	struct stat st;

	if (!log || !immutable_uri(&uri, path))
		return ul_err_nomem(err);
	if (!stat(log, &st) && st.st_size)
		return UL_E_DB; /* err is of the first try */
	sqlite3_close(db->sqlite);
	db->sqlite = NULL;
	return db_open_sqlite(db, ul_buf_str(&uri), UL_DB_READ, err);
}

int ul_db_open(const char *path, enum ul_db_mode mode, struct ul_db **ret_db,
	       struct ul_err *err)
{
	ul_cleanup(ul_db_closep) struct ul_db *db = ul_calloc(1, sizeof *db);
	int rc;

	if (!db)
		return ul_err_nomem(err);
	db->is_read_only = mode == UL_DB_READ;
	rc = db_open_sqlite(db, path, mode, err);
	if (rc == UL_E_DB && mode == UL_DB_READ)
		rc = db_open_immutable(db, path, err);
	if (rc)
		return rc == UL_E_ABSENT ? rc
					 : ul_err_wrap(err, "opening %s", path);
	*ret_db = ul_steal(db);
	return 0;
}

void ul_db_close(struct ul_db *db)
{
	size_t i;

	if (!db)
		return;
	for (i = 0; i < UL_SQL_COUNT; i++)
		sqlite3_finalize(db->stmts[i].handle);
	sqlite3_close(db->sqlite);
	free(db);
}

void ul_db_closep(struct ul_db **db)
{
	ul_db_close(*db);
	*db = NULL;
}

bool ul_db_is_read_only(const struct ul_db *db)
{
	return db->is_read_only;
}

static int db_start(struct ul_db *db, const char *sql, struct ul_db **ret_tx,
		    struct ul_err *err)
{
	int rc;

	assert(!db->is_in_tx);
	rc = ul_db_exec(db, sql, err);
	if (rc)
		return rc;
	db->is_in_tx = true;
	*ret_tx = db;
	return 0;
}

int ul_db_begin(struct ul_db *db, struct ul_db **ret_tx, struct ul_err *err)
{
	return db_start(db, "BEGIN IMMEDIATE", ret_tx, err);
}

int ul_db_commit(struct ul_db **tx, struct ul_err *err)
{
	int rc = ul_db_exec(*tx, "COMMIT", err);

	if (rc)
		return rc;
	(*tx)->is_in_tx = false;
	*tx = NULL;
	return 0;
}

void ul_db_rollbackp(struct ul_db **tx)
{
	if (!*tx)
		return;
	/* SQLite may have rolled back by itself (disk full): no error then. */
	sqlite3_exec((*tx)->sqlite, "ROLLBACK", NULL, NULL, NULL);
	(*tx)->is_in_tx = false;
	*tx = NULL;
}

int ul_db_read_begin(struct ul_db *db, struct ul_db **ret_read,
		     struct ul_err *err)
{
	return db_start(db, "BEGIN", ret_read, err);
}

void ul_db_read_endp(struct ul_db **read)
{
	ul_db_rollbackp(read);
}

int ul_db_data_version(struct ul_db *db, int64_t *ret_version,
		       struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = ul_stmt_get(db, UL_SQL_DATA_VERSION, &row, err);

	if (!rc)
		rc = ul_stmt_next(row, err);
	if (rc < 0)
		return rc;
	*ret_version = ul_stmt_i64(row, 0);
	return 0;
}

bool ul_db_uid_is_one(const char *text)
{
	return strspn(text, "0123456789abcdef") == UL_DB_UID_MAX - 1 &&
	       !text[UL_DB_UID_MAX - 1];
}

int ul_db_uid(struct ul_db *db, char ret_uid[UL_DB_UID_MAX], struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = ul_stmt_get(db, UL_SQL_META_UID, &row, err);

	if (!rc)
		rc = ul_stmt_next(row, err);
	if (rc < 0)
		return rc;
	if (!rc || !ul_db_uid_is_one(ul_stmt_text(row, 0)))
		return ul_err_set(err, UL_E_CORRUPT, "the database has no id");
	memcpy(ret_uid, ul_stmt_text(row, 0), UL_DB_UID_MAX);
	return 0;
}

int ul_db_renew_uid(struct ul_db *db, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int rc = ul_stmt_get(db, UL_SQL_META_RENEW, &set, err);

	return rc ? rc : ul_stmt_run(set, err);
}

int64_t ul_db_last_id(const struct ul_db *db)
{
	return sqlite3_last_insert_rowid(db->sqlite);
}
