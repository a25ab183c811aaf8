/*
 * store/backend.h - what every kind of store can do.
 *
 * Reading takes no lock. Changing goes: lock, scan, decide, change, unlock;
 * each change is durable when its function returns, and a stop between any
 * two leaves a store that loses nothing (gc/INVARIANTS.md).
 */
#ifndef UL_STORE_BACKEND_H
#define UL_STORE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fs.h"

struct ul_db;
struct ul_err;
struct ul_view;

struct ul_scan_options {
	int64_t as_of_unix_s;
	bool measure_all; /* renew every measurement, walk independently */
	bool for_change;  /* under the lock, about to act: read twice */
	bool for_plan;    /* a plan is made of it: look what is mounted */
	bool is_as_of;    /* the time is not now: record nothing */
	/* A blob's digest that counts as a root this once: about to get a
	 * name. NULL: none. */
	const char *hold;
	/* Long work tells how far it is; may be NULL. */
	bool (*progress)(void *arg, uint64_t objects, uint64_t bytes);
	void *arg;
};

/* What to do with things that nothing needs any more. */
struct ul_sweep_request {
	const uint32_t *objects;      /* of the view, to move to the trash */
	const uint64_t *object_bytes; /* what each holds, for the sum */
	size_t object_count;
	int64_t run;
	int64_t now_unix_s;
	int64_t grace_s; /* how long the trash keeps them */
};

struct ul_swept {
	uint64_t moved_bytes; /* of what was moved */
	size_t moved_count;
	uint64_t freed_bytes; /* of what was deleted */
	size_t freed_count;
	/* Owned: where what was moved lies now, below the store. */
	struct ul_names files, trees;
	bool is_cut; /* others changed the roots while things were moved: the
			rest stays, and a scan is due */
};
#define UL_SWEPT_INIT ((struct ul_swept){ .moved_bytes = 0 })
void ul_swept_release(struct ul_swept *swept);

struct ul_store;

/* Whether nothing more can be written, and what would help. */
enum ul_full {
	UL_FULL_NOT,
	UL_FULL_STORE, /* what is deleted from the store makes room */
	UL_FULL_STATE, /* the database's disk is full, which is another */
};

struct ul_store_ops {
	/*
	 * Read everything and bring the record up to date.
	 * Owner:   *ret_view, released by ul_view_release().
	 * Returns: 0 (with view->refusal where it may be read but not
	 *          collected); UL_E_CORRUPT where nothing can be said;
	 *          UL_E_IO, UL_E_DB, UL_E_BUSY, UL_E_NOMEM, UL_E_CANCELED.
	 */
	int (*scan)(struct ul_store *store,
		    const struct ul_scan_options *options,
		    struct ul_view *ret_view, struct ul_err *err);

	/* Exclusive among ullages; waits up to 30 s, then UL_E_BUSY. */
	int (*lock)(struct ul_store *store, struct ul_err *err);
	void (*unlock)(struct ul_store *store);

	/*
	 * Whether a change failed with this error because nothing more can be
	 * written: no block, no inode, no quota, for store or database.
	 */
	enum ul_full (*is_full)(struct ul_store *store,
				const struct ul_err *err);

	/*
	 * The same lock, for who writes nothing: until unlock() a scan saves
	 * nothing, and of a change only restore(), of blobs alone,
	 * delete_in_place() and empty_trash() are done. Leases and pins are
	 * those of now; UL_E_REFUSED where they cannot be read (I11).
	 */
	int (*lock_full)(struct ul_store *store, struct ul_err *err);

	/*
	 * On a full disk: remove the files of these objects of the view, a
	 * scan under lock_full(), where they are. No record changes: the next
	 * restore() under lock() takes what this did for a deletion that has
	 * ended. Snapshots are first renamed to what no record names, durably,
	 * so that a stop leaves none that is there in part.
	 * UL_E_CONFLICT, nothing removed, where others have changed the index
	 * or added a blob since; is_cut where that was met later, or a
	 * snapshot could not even be renamed. *ret_swept counts what went
	 * also where this fails.
	 */
	int (*delete_in_place)(struct ul_store *store,
			       const struct ul_view *view,
			       const uint32_t *objects, size_t count,
			       struct ul_swept *ret_swept, struct ul_err *err);

	/*
	 * Note that we let go of what these roots alone hold, so that the
	 * grace for what others let go of does not apply to it. Before the
	 * roots are removed, under the lock.
	 */
	int (*release)(struct ul_store *store, const struct ul_view *view,
		       const uint32_t *objects, size_t count,
		       struct ul_err *err);

	/*
	 * Remove names (objects of kind image of a view taken under this
	 * lock). UL_E_CONFLICT, nothing changed, where the index is no longer
	 * what the view saw. With `undo` (its run and times), what
	 * undo needs is durable before anything changes, and the sweep of
	 * this run goes on with it; UL_E_LIMIT, nothing changed, where that is
	 * more than can be kept in mind.
	 */
	int (*remove_roots)(struct ul_store *store, const struct ul_view *view,
			    const uint32_t *objects, size_t count,
			    const struct ul_sweep_request *undo,
			    struct ul_err *err);

	/*
	 * Move to the trash, records first. Upholds I3, I6: roots that are
	 * not what the view saw are UL_E_CONFLICT before anything moves, and
	 * end the moving afterwards (is_cut). UL_E_BUSY, with nothing moved,
	 * where another program keeps them locked.
	 * `view` was taken under this lock, after remove_roots().
	 */
	int (*sweep)(struct ul_store *store, const struct ul_view *view,
		     const struct ul_sweep_request *request,
		     struct ul_swept *ret_swept, struct ul_err *err);

	/*
	 * Whether what reaches what is still as the view says, whose scan
	 * was made under this lock: what was unreachable, or was made so since,
	 * is not needed. UL_E_CONFLICT where other programs have changed the
	 * index, or added a blob. Far cheaper than a scan: reads the index and
	 * the names of blobs.
	 */
	int (*expect)(struct ul_store *store, const struct ul_view *view,
		      struct ul_err *err);

	/*
	 * Delete these trashed things (positions in view->trash), and what a
	 * sweep of this view has moved (may be NULL); with `forget_names` the
	 * names too that runs of ours could still bring back. Right after
	 * expect(), or the scan that made the view. UL_E_CONFLICT, nothing
	 * deleted, where the index changed since.
	 */
	int (*empty_trash)(struct ul_store *store, const struct ul_view *view,
			   const size_t *positions, size_t count,
			   const struct ul_swept *moved, bool forget_names,
			   struct ul_swept *ret_swept, struct ul_err *err);

	/*
	 * Put back what lies in the trash and is reachable again; under the
	 * lock, clear away what a stopped run has left half written, and the
	 * records of what delete_in_place() removed.
	 * *ret_count: how many things; 0 leaves the view valid.
	 */
	int (*restore)(struct ul_store *store, const struct ul_view *view,
		       size_t *ret_count, struct ul_err *err);

	/*
	 * Undo a run as far as the trash still holds it: all content back,
	 * then names. UL_E_ABSENT where nothing of it is left; UL_E_CONFLICT,
	 * all else done, where names need what is gone.
	 */
	int (*undo)(struct ul_store *store, int64_t run, size_t *ret_count,
		    struct ul_err *err);

	/*
	 * Allocated bytes of shared directories, index and trash records:
	 * what a run gains or loses beside what it frees.
	 */
	int (*overhead)(struct ul_store *store, uint64_t *ret_bytes,
			struct ul_err *err);

	void (*close)(struct ul_store *store);
};

struct ul_store {
	const struct ul_store_ops *ops;
	const char *name; /* as --store names it */
	const char *kind; /* "embedded", "oci" */
	const char *path;
	const char *record_path; /* what the database calls it */
	struct ul_db *db;        /* borrowed */
	int64_t grace_s;         /* unless another is asked for */
	bool is_shared; /* others write it too, without our lock: deleting
			   at once is for those who say they do not */
};

void ul_store_close(struct ul_store *store); /* NULL is fine */

#endif
