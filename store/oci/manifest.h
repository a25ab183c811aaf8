/*
 * store/oci/manifest.h - manifests and indexes: bytes in, values out.
 *
 * Docker schema 2 and OCI forms alike. What a document is, is told by its
 * own mediaType, else by what its descriptor said, else by its fields
 * ("manifests" is an index, "config" or "layers" a manifest).
 */
#ifndef UL_STORE_OCI_MANIFEST_H
#define UL_STORE_OCI_MANIFEST_H

#include <stddef.h>

#include "store/oci/descriptor.h"

struct ul_arena;
struct ul_err;

/* One reference out of a manifest, in the order of the document. */
struct ul_manifest_ref {
	struct ul_descriptor descriptor;
	/* "config", "layer 0", "manifest 2", "subject", or for anything
	 * else that looks like a descriptor the path to it ("blobs.1"),
	 * cut to UL_REASON_MAX_BYTES. */
	const char *reason;
	bool is_subject;
};

struct ul_manifest {
	enum ul_media media;                  /* MANIFEST or INDEX */
	const char *media_type;               /* as found, or NULL */
	const char *artifact_type;            /* NULL where absent */
	const struct ul_manifest_ref *config; /* into refs; NULL if none */
	struct ul_manifest_ref *refs;         /* in the arena */
	size_t ref_count;
	struct ul_annotation *annotations;
	size_t annotation_count;
};

/*
 * Parse a manifest or index. `declared_type` is what its descriptor called
 * it, or NULL. Anything in it, at any depth, that is an object with a valid
 * "digest" string is taken for a descriptor, known field or not: unknown
 * means keep. A digest of an unknown algorithm is an error for the same
 * reason (we could not follow it).
 *
 * Owner:   all of *ret is in the arena.
 * Returns: 0, or with *ret untouched
 *   UL_E_CORRUPT      no JSON object; a known descriptor field (config,
 *                     layers, manifests, subject) is malformed or has no
 *                     size; annotations that are no strings; a digest of
 *                     an unknown algorithm, anywhere
 *   UL_E_UNSUPPORTED  schema 1 ("Docker schema 1 manifest; pull the image
 *                     again with a current client"), or neither manifest
 *                     nor index
 *   UL_E_LIMIT        UL_MANIFEST_MAX_REFS, UL_JSON_MAX_DEPTH,
 *                     UL_JSON_MAX_VALUES
 *   UL_E_NOMEM
 */
int ul_manifest_parse(const char *bytes, size_t len, const char *declared_type,
		      struct ul_arena *arena, struct ul_manifest *ret,
		      struct ul_err *err);

/*
 * All that looks like a descriptor in a JSON document of no kind that we know.
 * Owner:   *ret_refs is in the arena.
 * Returns: 0; UL_E_CORRUPT (no JSON object; a digest of an unknown algorithm);
 *          UL_E_LIMIT as ul_manifest_parse(); UL_E_NOMEM.
 */
int ul_document_parse_refs(const char *bytes, size_t len,
			   struct ul_arena *arena,
			   struct ul_manifest_ref **ret_refs, size_t *ret_count,
			   struct ul_err *err);

/*
 * A manifest made from a config and layers, for archives that have none:
 * the same input always gives the same bytes (OCI manifest, no white space,
 * keys in fixed order). Every descriptor has its media type; annotations and
 * platforms are written too where there are some.
 * Returns: 0 with the text appended to *ret_json; UL_E_NOMEM; UL_E_INVALID
 *          (a text that is not UTF-8).
 */
struct ul_buf;
int ul_manifest_make(const struct ul_descriptor *config,
		     const struct ul_descriptor *layers, size_t layer_count,
		     struct ul_buf *ret_json, struct ul_err *err);

#endif
