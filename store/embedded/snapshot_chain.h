/* store/embedded/snapshot_chain.h - the folders that a snapshot stands on.
 * Internal to the folder. */
#ifndef UL_STORE_EMBEDDED_SNAPSHOT_CHAIN_H
#define UL_STORE_EMBEDDED_SNAPSHOT_CHAIN_H

#include <stddef.h>

#include "store/embedded/snapshot_dir.h"

struct ul_embedded;
struct ul_err;

struct ul_snapshot_chain {
	char (*dirs)[UL_SNAPSHOT_DIR_MAX]; /* owned; the parent's comes first */
	size_t len, cap;
};
#define UL_SNAPSHOT_CHAIN_INIT ((struct ul_snapshot_chain){ .dirs = NULL })

/*
 * The folders of `parent` ("" for none) and of all above it.
 * Owner:   *ret_chain, released by ul_snapshot_chain_release().
 * Returns: 0; UL_E_ABSENT (no such parent); UL_E_CORRUPT (a record further up
 *          is gone, or of a key that no folder can have); UL_E_LIMIT (more
 *          than overlayfs mounts); UL_E_DB; UL_E_NOMEM.
 */
int ul_snapshot_chain_find(struct ul_embedded *store, const char *parent,
			   struct ul_snapshot_chain *ret_chain,
			   struct ul_err *err);
void ul_snapshot_chain_release(struct ul_snapshot_chain *chain);

#endif
