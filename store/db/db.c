#include "store/db/db.h"

#include <assert.h>
#include <errno.h>
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
	case SQLITE_FULL:
		ul_err_set(err, UL_E_DB, "%s: %s", what, msg);
		err->sys_errno = ENOSPC;
		return UL_E_DB;
	/* Of a quota that is used up SQLite says nothing else. */
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		ul_err_set(err, UL_E_DB, "%s: %s", what, msg);
		if (sqlite && sqlite3_system_errno(sqlite) == EDQUOT)
			err->sys_errno = EDQUOT;
		return UL_E_DB;
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
			"PRAGMA temp_store=MEMORY; PRAGMA mmap_size=4294967296;"
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
	int flags = db->is_read_only
			? SQLITE_OPEN_READONLY
			: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	int rc = sqlite3_open_v2(
	    mode == UL_DB_MEMORY ? ":memory:" : path, &db->sqlite,
	    flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);

	if (!rc)
		return db_setup(db, mode, err);
	if (db->is_read_only && (rc & 0xff) == SQLITE_CANTOPEN)
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

/* A log with something in it is a part of the database. */
static int log_has_content(const char *path, bool *ret_has, struct ul_err *err)
{
	ul_cleanup(ul_freep) char *log = ul_asprintf("%s-wal", path);
	struct stat st;

	if (!log)
		return ul_err_nomem(err);
	*ret_has = !stat(log, &st) && st.st_size;
	return 0;
}

static void db_forget(struct ul_db *db)
{
	sqlite3_close(db->sqlite);
	db->sqlite = NULL;
}

static int copy_pages(struct ul_db *db, sqlite3 *from, const char *path,
		      struct ul_err *err)
{
	sqlite3_backup *backup =
	    sqlite3_backup_init(db->sqlite, "main", from, "main");
	int rc;

	if (!backup)
		return ul_db_fail(db->sqlite, sqlite3_errcode(db->sqlite), path,
				  err);
	rc = sqlite3_backup_step(backup, -1);
	sqlite3_backup_finish(backup);
	return rc == SQLITE_DONE ? 0 : ul_db_fail(NULL, rc, path, err);
}

/* `uri` is the path where the log has content. Exclusive locking keeps the
 * log's index in memory (sqlite.org/wal.html, 8: without shared memory). */
static int copy_open(const char *uri, bool has_log, sqlite3 **ret_from,
		     struct ul_err *err)
{
	int flags = has_log ? SQLITE_OPEN_READWRITE
			    : SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
	int rc =
	    sqlite3_open_v2(uri, ret_from, flags | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc)
		return ul_db_fail(*ret_from, rc, uri, err);
	sqlite3_busy_timeout(*ret_from, DB_BUSY_MS);
	sqlite3_db_config(*ret_from, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (has_log)
		rc = sqlite3_exec(*ret_from, "PRAGMA locking_mode=EXCLUSIVE",
				  NULL, NULL, NULL);
	return rc ? ul_db_fail(*ret_from, rc, uri, err) : 0;
}

static int db_copy(struct ul_db *db, const char *path, bool has_log,
		   struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf uri = UL_BUF_INIT;
	sqlite3 *from = NULL;
	int rc;

	if (!immutable_uri(&uri, path))
		return ul_err_nomem(err);
	rc = copy_open(has_log ? path : ul_buf_str(&uri), has_log, &from, err);
	if (!rc)
		rc = sqlite3_open_v2(
		    ":memory:", &db->sqlite,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc > 0)
		rc = ul_db_fail(db->sqlite, rc, path, err);
	if (!rc)
		rc = copy_pages(db, from, path, err);
	sqlite3_close(from);
	if (!rc)
		rc = db_setup(db, UL_DB_READ, err);
	return rc ? rc : ul_db_exec(db, "PRAGMA query_only=ON", err);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/*
 * Without a log the file is all there is, and no lock is taken on it: what was
 * copied is whole where nobody has written meanwhile.
 */
static int db_open_copy(struct ul_db *db, const char *path, struct ul_err *err)
{
	struct stat before, after;
	bool had_log, has_log;
	int rc = log_has_content(path, &had_log, err);

	if (rc)
		return rc;
	db_forget(db);
	if (stat(path, &before))
		return ul_err_sys(err, "stat %s", path);
	rc = db_copy(db, path, had_log, err);
	if (rc || had_log)
		return rc;
	rc = log_has_content(path, &has_log, err);
	if (!rc &&
	    (has_log || stat(path, &after) || !is_same_file(&before, &after)))
		return ul_err_set(err, UL_E_BUSY,
				  "%s: was written while it was read", path);
	return rc;
}

/*
 * Where nothing can be written, not even the log's index can be made beside
 * the database. Without a log that has something in it the file alone is the
 * whole database, and nobody can change it; with one, a copy is.
 */
static int db_open_still(struct ul_db *db, const char *path, struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf uri = UL_BUF_INIT;
	bool has_log;
	int rc = log_has_content(path, &has_log, err);

	if (!rc && has_log)
		return db_open_copy(db, path, err);
	if (rc || !immutable_uri(&uri, path))
		return ul_err_nomem(err);
	db_forget(db);
	return db_open_sqlite(db, ul_buf_str(&uri), UL_DB_READ, err);
}

int ul_db_open(const char *path, enum ul_db_mode mode, struct ul_db **ret_db,
	       struct ul_err *err)
{
	ul_cleanup(ul_db_closep) struct ul_db *db = ul_calloc(1, sizeof *db);
	int rc;

	if (!db)
		return ul_err_nomem(err);
	db->is_read_only = mode == UL_DB_READ || mode == UL_DB_STILL;
	rc = db_open_sqlite(db, path, mode, err);
	if (rc == UL_E_DB && mode == UL_DB_READ)
		rc = db_open_still(db, path, err);
	if (rc == UL_E_DB && mode == UL_DB_STILL)
		rc = db_open_copy(db, path, err);
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
