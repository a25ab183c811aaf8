/*
 * store/db/db.h - the connection to ullage.db.
 *
 * The only folder that speaks SQL. Write-ahead log, full sync (something may
 * be deleted next), foreign keys on, one busy time-out. A connection belongs
 * to one thread at a time.
 */
#ifndef UL_STORE_DB_DB_H
#define UL_STORE_DB_DB_H

#include <stdbool.h>
#include <stdint.h>

struct ul_db; /* opaque */
struct ul_err;

#define UL_DB_UID_MAX 33

/* Whether a text has the form of a database's id. */
bool ul_db_uid_is_one(const char *text);

enum ul_db_mode {
	UL_DB_WRITE,  /* create and migrate where needed */
	UL_DB_READ,   /* must exist; never written */
	UL_DB_STILL,  /* the same, and what is read is one state of it, also
			 where the disk is so full that SQLite cannot open it:
			 then it is a copy in memory, as of now */
	UL_DB_MEMORY, /* empty, gone with the connection */
};

/*
 * Open the database at path (ignored for MEMORY).
 * Owner:   *ret_db, closed by ul_db_close().
 * Returns: 0, or
 *   UL_E_ABSENT       READ, and there is no such file
 *   UL_E_UNSUPPORTED  made by a newer ullage (both schema numbers in the
 *                     message)
 *   UL_E_DB           SQLite refused (no database, no rights, disk full)
 *   UL_E_BUSY         STILL, and it is being written
 *   UL_E_NOMEM
 */
int ul_db_open(const char *path, enum ul_db_mode mode, struct ul_db **ret_db,
	       struct ul_err *err);
void ul_db_close(struct ul_db *db); /* NULL is fine */
void ul_db_closep(struct ul_db **db);

/* Opened for READ: changes are not recorded. */
bool ul_db_is_read_only(const struct ul_db *db);

/*
 * A writing transaction; waits for other writers (UL_E_BUSY after 10 s).
 * Ends by commit; ul_cleanup(ul_db_rollbackp) rolls back what was not
 * committed: `struct ul_db *tx` is NULL after a commit.
 */
int ul_db_begin(struct ul_db *db, struct ul_db **ret_tx, struct ul_err *err);
int ul_db_commit(struct ul_db **tx, struct ul_err *err);
void ul_db_rollbackp(struct ul_db **tx);

/*
 * A reading transaction: all statements until ul_db_read_endp() see one
 * state of the database.
 */
int ul_db_read_begin(struct ul_db *db, struct ul_db **ret_read,
		     struct ul_err *err);
void ul_db_read_endp(struct ul_db **read);

/*
 * A number that changes whenever another connection has committed something:
 * what was read before the change is old. UL_E_DB, UL_E_NOMEM.
 */
int ul_db_data_version(struct ul_db *db, int64_t *ret_version,
		       struct ul_err *err);

/*
 * The database's own random id, 32 lower-case hex digits: tells what this one
 * did from what others did. Renewing it disowns all that was done so far.
 * UL_E_CORRUPT (there is none), UL_E_DB, UL_E_NOMEM.
 */
int ul_db_uid(struct ul_db *db, char ret_uid[UL_DB_UID_MAX],
	      struct ul_err *err);
int ul_db_renew_uid(struct ul_db *db, struct ul_err *err);

/* The row number of the last insertion. */
int64_t ul_db_last_id(const struct ul_db *db);

#endif
