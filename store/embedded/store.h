/*
 * store/embedded/store.h - the embedded store's folders, lock and identity.
 *
 *	STATE/ullage.db          the record
 *	STATE/ullage.reserve     space for the day the disk is full
 *	STATE/store/             the store: flock() on this directory
 *	    store-id             random id and generation
 *	    oci/                 an OCI image layout that others write too
 *	    snapshots/NAME/fs    unpacked layers; NAME by snapshot_dir.h
 *	    ingest/NAME/         changes under way, each locked by its maker
 *	    trash/RUN/           swept things, with a record of what they were
 *	    damaged/             what `verify --repair` has set aside
 */
#ifndef UL_STORE_EMBEDDED_STORE_H
#define UL_STORE_EMBEDDED_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fs.h"
#include "base/patience.h"
#include "store/backend.h"
#include "store/oci/index_file.h"
#include "store/oci/index_lock.h"

struct ul_buf;
struct ul_err;
struct ul_form;
struct ul_layout_index;

/* Below the store: what verify --repair sets aside; never collected. */
#define UL_EMBEDDED_DAMAGED "damaged"

struct ul_embedded {
	struct ul_store base; /* first: a ul_store is one of these */
	const struct ul_form *form;
	char *state_path;    /* owned */
	char *path;          /* owned: STATE/store, or the layout */
	char *record_path;   /* owned: what the database calls it */
	char *name;          /* owned: "embedded", "oci:PATH" */
	char *db_path;       /* owned: STATE/ullage.db */
	int root_fd, oci_fd; /* the store's, the layout's */
	/* The layout's blobs, with a folder for each algorithm; in one of
	 * others -1 where it has none. */
	int blobs_fd;
	/* Of an OCI layout -1, the trash's while there is none. */
	int snapshots_fd, ingest_fd, trash_fd;
	struct ul_db *db;           /* owned; base.db is the same */
	char db_uid[33];            /* of the database */
	char uid[33];               /* of the store itself; "" where unknown */
	int64_t generation;         /* of the store itself, when last read */
	char identity_problem[160]; /* why store-id says nothing; "": it does */
	bool is_writable;
	bool is_absent;      /* there is none: empty, and nothing is made */
	bool is_from_memory; /* the database could not be opened at all */
	bool is_stateless;   /* for there is no state directory yet */
	char problem[256];   /* why nothing can be changed; "" for no rights */
	bool is_locked;
	bool is_full; /* by ul_embedded_lock_full(): nothing is written */
	char trash_folder[64]; /* of the run under way, made by
				  ul_sweep_keep_names(); "" for none */
	size_t sweep_most;     /* things in one folder of the trash */
	size_t keep_most;      /* names and what they refer to, in one */
	int lock_wait_ms;      /* 30 s; tests lower these */
	struct ul_index_lock index_lock;
	/* With a damaged index or manifest: 5 s for all that this handle does,
	 * so that a command waits in vain once. */
	struct ul_patience patience;
	/* Called once when another process holds a lock; may be NULL. */
	ul_waiting *waiting;
	void *waiting_arg;
};

/*
 * Open the store below a state directory, making both where there are none
 * and the rights are there. Where the state directory cannot be written the
 * store is opened for reading, with the database read-only or in memory; in
 * memory too where the database is damaged or the disk is so full that it
 * cannot be opened, so that reports still say where the space went.
 * Owner:   *ret_store, closed by ul_store_close(&store->base).
 * Returns: 0; UL_E_ABSENT (nothing there and no right to make it); UL_E_IO;
 *          UL_E_DB; UL_E_UNSUPPORTED (newer database); UL_E_CORRUPT (an
 *          oci-layout that is none, a database without id); UL_E_NOMEM.
 *          A store-id that makes no sense is a mismatch, no error.
 */
int ul_embedded_open(const char *state_path, struct ul_embedded **ret_store,
		     struct ul_err *err);

/*
 * The same, but nothing is made: where there is no store, an empty one of
 * which only reports can be made (is_absent; its lock is UL_E_ABSENT).
 */
int ul_embedded_find(const char *state_path, struct ul_embedded **ret_store,
		     struct ul_err *err);
void ul_embedded_closep(struct ul_embedded **store);

/*
 * Exclusive lock, 30 s; base.ops->lock is this. On a full disk the reserve is
 * let go of, and a database that could not be opened for it is opened now
 * (base.db changes). Not locked where it fails:
 * UL_E_REFUSED (read-only), UL_E_ABSENT (no store), UL_E_BUSY, UL_E_DB,
 * UL_E_IO.
 */
int ul_embedded_lock(struct ul_embedded *store, struct ul_err *err);
void ul_embedded_unlock(struct ul_embedded *store);

/*
 * base.ops->lock_full. Where the database could not be opened for writing,
 * base.db becomes what can be read of it now, under the lock; the next
 * ul_embedded_lock() opens it for writing. UL_E_REFUSED where it cannot be
 * read; UL_E_ABSENT, UL_E_BUSY, UL_E_DB, UL_E_IO.
 */
int ul_embedded_lock_full(struct ul_embedded *store, struct ul_err *err);
void ul_embedded_unlockp(struct ul_embedded **locked); /* cleanup form */

/*
 * ul_index_file_read() and ul_index_file_replace() of this store's layout,
 * the latter under the lock. With the hash of a content that is known (_new; 0
 * is none) *ret_index stays as it is where it is that.
 */
int ul_embedded_index_read(struct ul_embedded *store,
			   struct ul_layout_index **ret_index,
			   struct ul_index_stamp *ret_stamp,
			   struct ul_err *err);
int ul_embedded_index_read_new(struct ul_embedded *store, uint64_t known_hash,
			       struct ul_layout_index **ret_index,
			       struct ul_index_stamp *ret_stamp,
			       struct ul_err *err);
int ul_embedded_index_write(struct ul_embedded *store,
			    const struct ul_layout_index *index,
			    const struct ul_index_stamp *expected,
			    struct ul_err *err);

/*
 * A change of what lives in the database alone (leases, snapshots), under
 * the lock: one transaction that steps the generation with it, then the
 * store's own generation. So a database that is behind its store has missed
 * such a change and must not collect; one that is ahead has missed nothing.
 * One that is behind, or does not know the store, stays so: what it has missed
 * is not made up for by a change. After begin, ul_cleanup(ul_db_rollbackp) on
 * *ret_tx undoes it. Where commit fails after the database has committed
 * (UL_E_IO), the database is ahead.
 */
int ul_embedded_change_begin(struct ul_embedded *store, struct ul_db **ret_tx,
			     struct ul_err *err);
int ul_embedded_change_commit(struct ul_embedded *store, struct ul_db **tx,
			      struct ul_err *err);

/*
 * The folder of an algorithm's blobs. *ret_fd stays as it is where there is
 * none, or something that is no folder. UL_E_IO.
 */
int ul_embedded_blob_folder_open(struct ul_embedded *store, uint8_t alg,
				 int *ret_fd, struct ul_err *err);

/*
 * Under the lock: the folder of an algorithm's blobs, made where there is none;
 * and what was renamed to or from these folders made durable. UL_E_IO.
 */
int ul_embedded_blob_folder(struct ul_embedded *store, uint8_t alg,
			    struct ul_err *err);
int ul_embedded_sync_blobs(struct ul_embedded *store, struct ul_err *err);

/* Whether that is where this store has what a repair set aside. */
bool ul_embedded_is_aside(const struct ul_embedded *store, const char *path);

/*
 * A new folder in ingest/ with a lock of its own, which says that its maker
 * lives: without one a collection takes it for a left-over. Made under the
 * store's lock, taken here where the caller does not hold it: no collection is
 * between looking and deleting meanwhile. The caller removes it again.
 * UL_E_BUSY: the store stayed locked; UL_E_IO.
 */
int ul_embedded_ingest_folder(struct ul_embedded *store, char ret_name[17],
			      int *ret_fd, struct ul_err *err);

/*
 * Within a change, after begin: store and database belong together from its
 * commit on, whatever the database has missed. UL_E_DB, UL_E_NOMEM.
 */
int ul_embedded_change_adopt(struct ul_embedded *store, struct ul_err *err);

/*
 * Whether something is wrong between store and database: one that does not
 * know this store, or is behind it, or a store that does not say which it is
 * (DESIGN 2, Identity: reports work, nothing is collected). The other appends
 * what it is, as one line for people; false without memory.
 */
bool ul_embedded_is_mismatched(const struct ul_embedded *store,
			       const char *record_uid,
			       int64_t record_generation);
bool ul_embedded_mismatch(const struct ul_embedded *store,
			  const char *record_uid, int64_t record_generation,
			  struct ul_buf *ret_text);

/*
 * Append what to type for a command on this store, for advice to people:
 * "ullage", with the --store of a layout of others. False without memory.
 */
bool ul_embedded_command(const struct ul_embedded *store,
			 struct ul_buf *ret_text);

/* Write the store's id and generation, as they are, to its row. */
int ul_embedded_identify(struct ul_embedded *store, struct ul_err *err);

/* The store's row in the database, made where there is none. */
int ul_embedded_store_row(struct ul_embedded *store, int64_t *ret_row,
			  struct ul_err *err);

#endif
