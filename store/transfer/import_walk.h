/*
 * store/transfer/import_walk.h - what belongs to an image that is taken in:
 * everything from its manifest or index down, as far as the source has it.
 * Internal to the folder.
 *
 * What may be missing: manifests that an index lists (an image of which only
 * some platforms are there), subjects, blobs that descriptors give other
 * places for ("urls"), and what only looks like a descriptor. A config or
 * layer of a manifest that is there may not, nor may a layer that a BuildKit
 * cache config names.
 */
#ifndef UL_STORE_TRANSFER_IMPORT_WALK_H
#define UL_STORE_TRANSFER_IMPORT_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "store/oci/descriptor.h"
#include "store/oci/manifest.h"

struct ul_err;
struct ul_held;
struct ul_source;

/* What one image brought. */
struct ul_import_share {
	size_t new_blobs, reused_blobs; /* of those no image before it had */
	uint64_t written_bytes;
	size_t shared_blobs; /* that an image before it in this import has */
};

struct ul_import_node {
	struct ul_digest digest;
	struct ul_held *held;         /* NULL: the source does not have it */
	struct ul_manifest *manifest; /* NULL: none, or not looked at yet */
	bool is_config;               /* was read as a config, of a cache too */
	bool is_opaque;               /* was read, is no manifest */
	uint32_t root;                /* the last one that reached it, + 1 */
};

struct ul_import_walk {
	struct ul_source *source;      /* borrowed */
	struct ul_import_node **nodes; /* owned array, elements in the arena */
	size_t len, cap;
	struct ul_map by_digest;
	struct ul_import_task *tasks; /* owned: still to visit */
	size_t task_count, task_cap;
	size_t absent_count; /* platforms that the source does not have */
	const char **notes;  /* owned array: for people */
	size_t note_count, note_cap;
	struct ul_buf document; /* the one being read */
	struct ul_arena arena;
};
#define UL_IMPORT_WALK_INIT ((struct ul_import_walk){ .source = NULL })
void ul_import_walk_release(struct ul_import_walk *walk);

/*
 * Take in an image: number `root`, its descriptor from the index.
 * *ret_share is added to.
 * Returns: 0; UL_E_CORRUPT (something missing, or not what it claims to be);
 *          UL_E_UNSUPPORTED (schema 1; a digest that this store does not
 *          keep); UL_E_LIMIT; UL_E_IO; UL_E_NOMEM; UL_E_CANCELED.
 */
int ul_import_walk_root(struct ul_import_walk *walk,
			const struct ul_descriptor *descriptor, uint32_t root,
			struct ul_import_share *ret_share, struct ul_err *err);

/*
 * Take in the referrers that the source has of what was taken in, each for
 * the image that its subject belongs to; shares has one for each root.
 */
int ul_import_walk_referrers(struct ul_import_walk *walk,
			     struct ul_import_share *shares,
			     struct ul_err *err);

/* What is known of a digest, or NULL. */
const struct ul_import_node *
ul_import_walk_find(const struct ul_import_walk *walk,
		    const struct ul_digest *digest);

/* Whether a manifest that was taken in names a subject that was, too. */
bool ul_import_walk_is_referrer(const struct ul_import_walk *walk,
				const struct ul_digest *digest);

/* Add a line for people. UL_E_NOMEM. */
int ul_import_walk_note(struct ul_import_walk *walk, struct ul_err *err,
			const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
