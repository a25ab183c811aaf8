/*
 * store/transfer/unpack_chain.h - the layers of one platform, bottom up.
 * Internal to the folder.
 */
#ifndef UL_STORE_TRANSFER_UNPACK_CHAIN_H
#define UL_STORE_TRANSFER_UNPACK_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "store/oci/descriptor.h"

struct ul_embedded;
struct ul_err;
struct ul_image_config;
struct ul_unpack_options;
struct ul_unpack_result;

/*
 * Unpack what has no snapshot yet. There are as many layers as the config has
 * diff IDs. done_bytes is what was read for platforms before this one.
 * Returns as ul_unpack(); result is added to.
 */
int ul_unpack_chain(struct ul_embedded *store,
		    const struct ul_image_config *config,
		    const struct ul_descriptor *layers,
		    const struct ul_unpack_options *options,
		    struct ul_unpack_result *result, struct ul_err *err);

#endif
