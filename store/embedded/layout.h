/*
 * store/embedded/layout.h - any OCI image layout as a store: those of skopeo,
 * buildx and oras, BuildKit's local caches. The same struct ul_embedded, but
 * nothing of ours is left in the directory except .ullage-trash/ while that
 * holds something; no snapshots, no leases.
 */
#ifndef UL_STORE_EMBEDDED_LAYOUT_H
#define UL_STORE_EMBEDDED_LAYOUT_H

struct ul_embedded;
struct ul_err;

/*
 * Open the layout at `path`, with what the database of the state directory
 * knows of it. Nothing is made: a state directory that is not there is made
 * when the store is locked for a change, until then all is in memory. A layout
 * that is not the directory which this path was before (another inode or file
 * system) is a new one: what was known of the old counts no more.
 * Owner:   *ret_store, closed by ul_store_close(&store->base).
 * Returns: 0; UL_E_ABSENT (nothing there); UL_E_CORRUPT (no image layout:
 *          neither oci-layout nor index.json beside blobs/, or a version that
 *          we do not know); UL_E_REFUSED (it lies within an embedded store,
 *          whose leases and snapshots hold what is in it); UL_E_IO; UL_E_DB;
 * UL_E_UNSUPPORTED (newer database); UL_E_NOMEM.
 */
int ul_layout_open(const char *path, const char *state_path,
		   struct ul_embedded **ret_store, struct ul_err *err);

#endif
