/*
 * store/transfer/unpack.h - layers of images become snapshots by chain ID.
 */
#ifndef UL_STORE_TRANSFER_UNPACK_H
#define UL_STORE_TRANSFER_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ul_digest;
struct ul_embedded;
struct ul_err;

struct ul_unpack_options {
	const char *platform; /* "linux/arm64" (any variant); NULL: all */
	/* Called now and then with packed bytes read; may be NULL. False
	 * stops: UL_E_CANCELED. */
	bool (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

struct ul_unpack_result {
	size_t platform_count; /* 0: nothing of it is an image to unpack */
	size_t absent_count;   /* platforms whose manifest is not here */
	size_t other_count;    /* attestations, artifacts, caches: skipped */
	size_t new_layers, reused_layers;
	uint64_t entry_count;
	/* What could not be applied without root. */
	uint64_t skipped_owners, skipped_devices, skipped_xattrs;
};

/*
 * Unpack what an image's digest (a manifest's or an index's) stands for.
 * Layers that have a snapshot are skipped; the new ones of one platform
 * become visible together, under the lock.
 * Returns: 0, or
 *   UL_E_ABSENT       no such blob; no such platform (the message lists them)
 *   UL_E_CORRUPT      not what it claims to be; other layers than its config
 *                     says; see ul_layer_apply()
 *   UL_E_UNSUPPORTED  layers of an unknown type
 *   UL_E_CONFLICT     a layer below was collected meanwhile
 *   UL_E_LIMIT, UL_E_REFUSED, UL_E_BUSY, UL_E_IO, UL_E_DB, UL_E_NOMEM,
 *   UL_E_CANCELED
 */
int ul_unpack(struct ul_embedded *store, const struct ul_digest *image,
	      const struct ul_unpack_options *options,
	      struct ul_unpack_result *ret, struct ul_err *err);

#endif
