#include "store/embedded/snapshot_chain.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/snapshot_record.h"
#include "store/limits.h"

void ul_snapshot_chain_release(struct ul_snapshot_chain *chain)
{
	free(chain->dirs);
	*chain = UL_SNAPSHOT_CHAIN_INIT;
}

static int chain_add(struct ul_snapshot_chain *chain, const char *key,
		     bool is_unpacked, struct ul_err *err)
{
	char(*dirs)[UL_SNAPSHOT_DIR_MAX];

	/* Also ends a circle that a damaged database may hold. */
	if (chain->len == UL_IMAGE_MAX_LAYERS)
		return ul_err_set(err, UL_E_LIMIT,
				  "more than %d parents, which overlayfs does "
				  "not mount",
				  UL_IMAGE_MAX_LAYERS);
	dirs = ul_grow(chain->dirs, &chain->cap, chain->len + 1, sizeof *dirs);
	if (!dirs)
		return ul_err_nomem(err);
	chain->dirs = dirs;
	if (!ul_snapshot_dir_name(key, is_unpacked, dirs[chain->len]))
		return ul_err_set(err, UL_E_CORRUPT,
				  "snapshot \"%s\" can have no folder", key);
	chain->len++;
	return 0;
}

int ul_snapshot_chain_find(struct ul_embedded *store, const char *parent,
			   struct ul_snapshot_chain *ret_chain,
			   struct ul_err *err)
{
	ul_cleanup(ul_snapshot_chain_release) struct ul_snapshot_chain chain =
	    UL_SNAPSHOT_CHAIN_INIT;
	struct ul_snapshot_record record;
	char key[UL_KEY_MAX_BYTES + 1];
	int rc = 0;

	while (!rc && *parent) {
		memcpy(key, parent, strlen(parent) + 1);
		rc = ul_snapshot_record_get(store, key, &record, err);
		if (rc == UL_E_ABSENT && chain.len)
			return ul_err_set(err, UL_E_CORRUPT,
					  "the parent \"%s\" is gone", key);
		if (!rc)
			rc = chain_add(&chain, key, record.is_unpacked, err);
		parent = record.parent;
	}
	if (rc)
		return rc;
	*ret_chain = chain;
	chain = UL_SNAPSHOT_CHAIN_INIT;
	return 0;
}
