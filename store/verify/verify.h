/*
 * store/verify/verify.h - whether the store holds what it says it holds,
 * and putting in order what it does not.
 *
 * First the place: folders, the files that make it a store, the database's
 * file; what is wrong with those has to be repaired before it can be opened.
 * Then the store: the layout by a walk of its own (store/verify/layout.h),
 * the records against what is on disk, sizes against what was measured. Deep:
 * every digest, every layer's diff ID, every unpacked snapshot against its
 * layer unpacked anew.
 *
 * A repair keeps everything: what is broken is moved to damaged/ (in a layout
 * of others that is in the hidden trash), records are made again from what is
 * on disk. It can be stopped anywhere and begun again. What another program may
 * still be writing is no damage to repair (layout.h: ul_layout_held).
 */
#ifndef UL_STORE_VERIFY_VERIFY_H
#define UL_STORE_VERIFY_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/verify/layout.h"

struct ul_embedded;
struct ul_err;
struct ul_findings;

struct ul_verify_options {
	bool is_deep;
	int64_t now_unix_s;
	/* In a layout of others: what is not whole but younger than that may
	 * still be being written, and is left. 0: nobody writes there now. */
	int64_t grace_s;
	ul_verify_progress *progress; /* may be NULL */
	void *arg;
};

/* What was looked at, for people. */
struct ul_verified {
	size_t image_count; /* entries of the index */
	size_t blob_count;
	size_t hashed_count; /* of them: manifests, and with is_deep all */
	size_t snapshot_count;
	size_t compared_count; /* with their layer */
};

/*
 * Look at the place below a state directory. *ret_can_open: a store can be
 * opened there (or made: nothing there is no damage). Where it cannot, the
 * layout is checked all the same. Changes nothing.
 * Returns: 0, whatever was found; UL_E_UNSUPPORTED (newer database);
 *          UL_E_BUSY, UL_E_IO, UL_E_NOMEM, UL_E_CANCELED.
 */
int ul_verify_place(const char *state_path,
		    const struct ul_verify_options *options,
		    struct ul_findings *findings, bool *ret_can_open,
		    struct ul_err *err);

/*
 * Check an opened store. Nothing is recorded. What seems damaged while others
 * may be changing the store is looked at again under the lock, where that can
 * be had. Deep needs room for one unpacked layer.
 * Returns: 0, whatever was found; UL_E_DB, UL_E_IO, UL_E_NOMEM, UL_E_CANCELED.
 */
int ul_verify_store(struct ul_embedded *store,
		    const struct ul_verify_options *options,
		    struct ul_findings *findings, struct ul_verified *ret,
		    struct ul_err *err);

/*
 * Make the place one that can be opened: folders, oci-layout, store-id; a
 * damaged database file goes aside. Under the store's lock, which is given
 * back. *ret_count: how much was done.
 * Returns: 0; UL_E_BUSY; UL_E_IO; UL_E_NOMEM, and as ul_verify_place().
 */
int ul_repair_place(const char *state_path, int64_t now_unix_s,
		    size_t *ret_count, struct ul_err *err);

/*
 * Both for a layout of others: its oci-layout, where there is an index beside
 * its blobs, and the database's file. That goes aside only where no store of
 * ours has its records in it.
 */
int ul_verify_layout_place(const char *path, const char *state_path,
			   const struct ul_verify_options *options,
			   struct ul_findings *findings, bool *ret_can_open,
			   struct ul_err *err);
int ul_repair_layout_place(const char *path, const char *state_path,
			   const struct ul_verify_options *options,
			   size_t *ret_count, struct ul_err *err);

/*
 * Check, repair, check again, under the caller's lock. The findings are those
 * of before; what is no longer so is marked as repaired.
 * Returns: 0; UL_E_DB, UL_E_IO, UL_E_CONFLICT (another program changed the
 *          index meanwhile), UL_E_NOMEM, UL_E_CANCELED.
 */
int ul_repair_store(struct ul_embedded *store,
		    const struct ul_verify_options *options,
		    struct ul_findings *findings, struct ul_verified *ret,
		    struct ul_err *err);

#endif
