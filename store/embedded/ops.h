/* store/embedded/ops.h - the functions behind the embedded store's table,
 * each documented in store/backend.h. Internal to the folder. */
#ifndef UL_STORE_EMBEDDED_OPS_H
#define UL_STORE_EMBEDDED_OPS_H

#include "store/backend.h"

struct ul_embedded;

extern const struct ul_store_ops ul_embedded_ops;

int ul_embedded_scan(struct ul_store *base,
		     const struct ul_scan_options *options,
		     struct ul_view *ret_view, struct ul_err *err);
int ul_embedded_release(struct ul_store *base, const struct ul_view *view,
			const uint32_t *objects, size_t count,
			struct ul_err *err);
int ul_embedded_remove_roots(struct ul_store *base, const struct ul_view *view,
			     const uint32_t *objects, size_t count,
			     const struct ul_sweep_request *undo,
			     struct ul_err *err);

/*
 * The index is still what the view saw, lock or no lock. UL_E_CONFLICT where
 * it is not; UL_E_CORRUPT, UL_E_IO, UL_E_NOMEM.
 */
int ul_sweep_expect_roots(struct ul_embedded *store, const struct ul_view *view,
			  struct ul_err *err);

/*
 * Under index.json.lock, from here to ul_index_lock_drop(), which is the
 * caller's only where this is 0: the index is still what the view saw.
 * UL_E_CONFLICT, UL_E_BUSY, UL_E_IO.
 */
int ul_sweep_batch_begin(struct ul_embedded *store, const struct ul_view *view,
			 struct ul_err *err);

/*
 * Take away the records of unpacked layers that nothing reaches and whose
 * folder is not there: deletions in place that the full disk kept from being
 * recorded. Under the lock; the view stays as it is.
 */
int ul_in_place_settle(struct ul_embedded *store, const struct ul_view *view,
		       struct ul_err *err);

/*
 * The record of an unpacked layer or snapshot as the trash remembers it, back
 * where it is not there. In a transaction of its own. UL_E_DB, UL_E_IO.
 */
struct ul_trash_item;
int ul_snapshot_row_back(struct ul_embedded *store,
			 const struct ul_trash_item *item, struct ul_err *err);

/* The folders that things are moved from and put back to, durably. UL_E_IO. */
int ul_embedded_sync_folders(struct ul_embedded *store, struct ul_err *err);

enum ul_full ul_embedded_is_full(struct ul_store *base,
				 const struct ul_err *err);
int ul_embedded_delete_in_place(struct ul_store *base,
				const struct ul_view *view,
				const uint32_t *objects, size_t count,
				struct ul_swept *ret_swept, struct ul_err *err);
int ul_embedded_expect(struct ul_store *base, const struct ul_view *view,
		       struct ul_err *err);
int ul_embedded_sweep(struct ul_store *base, const struct ul_view *view,
		      const struct ul_sweep_request *request,
		      struct ul_swept *ret_swept, struct ul_err *err);
int ul_embedded_empty_trash(struct ul_store *base, const struct ul_view *view,
			    const size_t *positions, size_t count,
			    const struct ul_swept *moved, bool forget_names,
			    struct ul_swept *ret_swept, struct ul_err *err);
int ul_embedded_restore(struct ul_store *base, const struct ul_view *view,
			size_t *ret_count, struct ul_err *err);
int ul_embedded_undo(struct ul_store *base, int64_t run, size_t *ret_count,
		     struct ul_err *err);
int ul_embedded_overhead(struct ul_store *base, uint64_t *ret_bytes,
			 struct ul_err *err);
void ul_embedded_close_base(struct ul_store *base);

#endif
