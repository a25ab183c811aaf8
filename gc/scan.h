/*
 * gc/scan.h - looking at a store that is about to be changed.
 */
#ifndef UL_GC_SCAN_H
#define UL_GC_SCAN_H

#include <stdint.h>

struct ul_err;
struct ul_run_request;
struct ul_store;
struct ul_view;

/* ops->scan() for a change, under the lock. */
int ul_gc_scan(struct ul_store *store, const struct ul_run_request *request,
	       struct ul_view *ret_view, struct ul_err *err);

/*
 * Scan until nothing in the trash is wanted (I1): what a manifest refers to
 * shows once the manifest itself is back. A view with a refusal is returned
 * as it is. *ret_folder_bytes: of the shared folders before anything went
 * back, which changes them too.
 * Owner:   *ret_view, released by ul_view_release().
 * Returns: what ops->scan() and ops->restore() do.
 */
int ul_gc_scan_restored(struct ul_store *store,
			const struct ul_run_request *request,
			struct ul_view *ret_view, uint64_t *ret_folder_bytes,
			struct ul_err *err);

#endif
