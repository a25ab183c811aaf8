/*
 * store/oci/config.h - image configs: platform, layers' diff IDs, labels.
 */
#ifndef UL_STORE_OCI_CONFIG_H
#define UL_STORE_OCI_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "store/oci/descriptor.h"

struct ul_arena;
struct ul_err;

struct ul_image_config {
	struct ul_platform platform;
	int64_t created_unix_s;     /* 0 where absent or unreadable */
	struct ul_digest *diff_ids; /* in the arena; base layer first */
	size_t diff_id_count;
	struct ul_annotation *labels; /* config.Labels */
	size_t label_count;
};

/*
 * Parse an image config (image-spec config.md; Docker's is a superset).
 * Owner:   all of *ret is in the arena.
 * Returns: 0, or with *ret untouched UL_E_CORRUPT (no JSON object, a diff ID
 *          that is no digest, platform or labels that are no strings),
 *          UL_E_LIMIT (UL_IMAGE_MAX_LAYERS, UL_JSON_MAX_DEPTH,
 *          UL_JSON_MAX_VALUES), UL_E_NOMEM.
 */
int ul_image_config_parse(const char *bytes, size_t len, struct ul_arena *arena,
			  struct ul_image_config *ret, struct ul_err *err);

/* Chain ID of the first `count` layers (diff_id_count at most); alg NONE for
 * none. */
struct ul_digest ul_image_config_chain(const struct ul_image_config *config,
				       size_t count);

#endif
