/*
 * store/oci/cache_config.h - BuildKit's cache configs, and what they name.
 *
 * The config of a cache manifest (application/vnd.buildkit.cacheconfig.v0):
 * `layers` says what blobs there are, `records` which step of a build gave
 * which of them, by position. Writers list the same blobs in the manifest, but
 * a reader of the cache goes by this document.
 * (BuildKit: cache/remotecache/v1/spec.go)
 */
#ifndef UL_STORE_OCI_CACHE_CONFIG_H
#define UL_STORE_OCI_CACHE_CONFIG_H

#include <stddef.h>

#include "store/oci/manifest.h"

struct ul_arena;
struct ul_err;

struct ul_cache_config {
	/* "cache layer 0", or for anything else that looks like a descriptor
	 * the path to it. Sizes are mostly unknown. */
	struct ul_manifest_ref *refs;
	size_t ref_count;
};

/*
 * Parse a cache config. Its layers' blobs are references, and whatever in
 * unknown members looks like a descriptor; the digests and selectors of
 * records are keys of the cache and name no blob.
 *
 * Owner:   all of *ret is in the arena.
 * Returns: 0, or with *ret untouched UL_E_CORRUPT (no JSON object; layers or
 *          records that are no arrays of objects; a blob that is no digest;
 *          a digest of an unknown algorithm), UL_E_LIMIT
 *          (UL_MANIFEST_MAX_REFS, UL_JSON_MAX_DEPTH, UL_JSON_MAX_VALUES),
 *          UL_E_NOMEM.
 */
int ul_cache_config_parse(const char *bytes, size_t len, struct ul_arena *arena,
			  struct ul_cache_config *ret, struct ul_err *err);

#endif
