/* store/embedded/open.h - what opening either kind of store needs. Internal to
 * the folder. */
#ifndef UL_STORE_EMBEDDED_OPEN_H
#define UL_STORE_EMBEDDED_OPEN_H

#include <stdbool.h>

/* The embedded store in its database: relative, so that a copy of the state
 * directory is a store of its own. */
#define UL_EMBEDDED_RECORD_PATH "store"

struct ul_embedded;
struct ul_err;
struct ul_form;

/*
 * A store of which nothing is open yet. `path` is where it is, `record_path`
 * what the database calls it; both are copied. NULL without memory.
 */
struct ul_embedded *ul_embedded_new(const struct ul_form *form,
				    const char *state_path, const char *path,
				    const char *record_path);

/*
 * The database: for writing where the store is writable, else for reading,
 * else (none there, damaged, disk full) in memory, so that reports still
 * work. Sets db, base.db, is_writable, is_from_memory, problem.
 * UL_E_UNSUPPORTED (a newer database), UL_E_NOMEM, UL_E_IO.
 */
int ul_embedded_open_db(struct ul_embedded *store, struct ul_err *err);

/*
 * What store-id says, or why it says nothing (identity_problem): that is no
 * failure, for reports still work. UL_E_IO, UL_E_NOMEM.
 */
int ul_embedded_identity_load(struct ul_embedded *store, struct ul_err *err);

/*
 * A database that does not know the store, or is behind, and an empty store
 * belong together from now on; nothing is done where it is otherwise. Takes
 * and drops the lock. UL_E_BUSY, UL_E_DB, UL_E_IO, UL_E_NOMEM.
 */
int ul_embedded_adopt_empty(struct ul_embedded *store, struct ul_err *err);

/*
 * oci-layout says a version that is ours to read; waits a little for a writer
 * that truncates it. UL_E_CORRUPT, UL_E_ABSENT (no such file), UL_E_IO,
 * UL_E_NOMEM.
 */
int ul_layout_marker_wait(struct ul_embedded *store, struct ul_err *err);

/*
 * Open the trash's folder anew: another process may have removed or made it.
 * trash_fd is -1 where there is none. Nothing is done in the embedded store,
 * whose folders stay. UL_E_IO.
 */
int ul_trash_reopen(struct ul_embedded *store, struct ul_err *err);

/* The same, and make it where there is none. Under the lock. */
int ul_trash_make(struct ul_embedded *store, struct ul_err *err);

/* Remove the folder from a layout of others where it is empty. UL_E_IO. */
int ul_trash_unmake(struct ul_embedded *store, struct ul_err *err);

#endif
