/*
 * store/verify/layout.h - an image layout checked against itself.
 *
 * A walk from the index that relies on no record: every manifest and index is
 * read and hashed, everything that a descriptor names is looked for and its
 * length compared. Knows only a directory in the form of an OCI image layout.
 */
#ifndef UL_STORE_VERIFY_LAYOUT_H
#define UL_STORE_VERIFY_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/map.h"
#include "store/oci/descriptor.h"

struct ul_err;
struct ul_findings;
struct ul_image_config;
struct ul_names;

/* Progress of a verification: what is being done (the same pointer for one
 * kind of work), how much of it is done, of how much (0: unknown); all in
 * bytes. False stops: UL_E_CANCELED. */
typedef bool ul_verify_progress(void *arg, const char *what, uint64_t done,
				uint64_t total);

/* What the index is known to have held, for when it is damaged. */
struct ul_layout_root {
	const char *name; /* NULL: an entry without a name */
	uint32_t node;    /* its manifest or index */
	uint64_t size_bytes;
	bool is_size_unknown;
	uint32_t next; /* of the same node; UL_MAP_NONE ends */
};

struct ul_layout_ref {
	uint32_t from, to;
	const char *reason; /* as ul_manifest_ref has it */
	uint64_t size_bytes;
	bool is_size_unknown;
	bool has_urls;
};

/* Why what is broken stays where it is: not everything that is not whole is
 * damaged. */
enum ul_layout_held {
	UL_HELD_NOT,
	UL_HELD_YOUNG, /* changed within the grace period: maybe in progress */
	UL_HELD_USED,  /* somebody has it open or locked */
	UL_HELD_ALIEN, /* of others, and no regular file: nobody's to move */
};

struct ul_layout_node {
	struct ul_digest digest;
	const char *key; /* "sha256:..." */
	/* As its first descriptor has it, else as it says itself, or "". */
	const char *media_type;
	bool is_looked; /* stat()ed, and read where it can be read */
	bool is_loose;  /* a file that nothing names */
	bool is_here;
	bool is_hashed; /* its bytes are known to have, or lack, its digest*/
	bool is_bad;    /* they lack it */
	const char *broken; /* it has it, but cannot be read; or NULL */
	uint8_t held;       /* enum ul_layout_held; of what is bad or broken */
	uint8_t media;      /* enum ul_media of what was read; else OTHER */
	uint64_t size_bytes;
	bool is_other_length;  /* some descriptor says another one: */
	uint64_t wanted_bytes; /* this */
	uint32_t first_root;   /* UL_MAP_NONE: no entry is of it */
	size_t first_ref, ref_count;
	const struct ul_image_config *config; /* of a config; else NULL */
};

struct ul_layout_check {
	struct ul_layout_node *nodes; /* owned */
	size_t node_count, node_cap;
	struct ul_layout_ref *refs; /* owned; those of one node together */
	size_t ref_count, ref_cap;
	struct ul_layout_root *roots; /* owned; in order of the index */
	size_t root_count, root_cap;
	bool is_index_damaged;
	uint8_t index_held; /* enum ul_layout_held */
	size_t hashed_count;
	struct ul_map by_digest; /* ul_digest -> node */
	/* Referrers of each node, once they are asked for: owned. */
	uint32_t *first_back, *backs;
	struct ul_arena arena;
};
#define UL_LAYOUT_CHECK_INIT ((struct ul_layout_check){ .nodes = NULL })

struct ul_layout_check_options {
	bool is_deep; /* hash every blob, whether something names it or not */
	/* Read every manifest that is here, whether something names it or
	 * not: what a lost index or record is made again from. */
	bool is_whole;
	/* Others write without a lock: a damaged index or manifest is read
	 * again for as long. */
	int wait_ms;
	/* A layout of others: what is not whole but was changed within the
	 * grace period may still be being written, and what is no regular file
	 * is theirs. */
	bool is_shared;
	int64_t now_unix_s, grace_s;
	/* What lies in a trash, by where it belongs in the store: the path of
	 * the layout there, then that in the layout. NULL: nothing does. */
	const struct ul_map *trashed;
	const char *trashed_prefix;
	/* Where a repair moves what is broken, for people; NULL: "damaged/" */
	const char *aside;
	/* Names and digests, in pairs, that stand for the index's entries
	 * where it is damaged; may be NULL. */
	const struct ul_names *remembered;
	ul_verify_progress *progress; /* may be NULL */
	void *arg;
};

/*
 * Check the layout below an open directory.
 * Owner:   *ret is released by ul_layout_check_release().
 * Thread:  any; starts and joins one more.
 * Returns: 0, whatever was found; UL_E_IO (what is there cannot be read);
 *          UL_E_NOMEM; UL_E_CANCELED.
 */
int ul_layout_check_run(int layout_fd,
			const struct ul_layout_check_options *options,
			struct ul_layout_check *ret,
			struct ul_findings *findings, struct ul_err *err);
void ul_layout_check_release(struct ul_layout_check *check);

/* The node of that digest, or UL_MAP_NONE. */
uint32_t ul_layout_check_find(const struct ul_layout_check *check,
			      const struct ul_digest *digest);

/* Name in the last finding the images that need a node. UL_E_NOMEM. */
int ul_layout_check_hurts(struct ul_layout_check *check, uint32_t node,
			  struct ul_findings *findings, struct ul_err *err);

/* "blobs/sha256/ab12...", relative to the layout. */
#define UL_LAYOUT_PATH_MAX (sizeof "blobs/sha512/" + UL_DIGEST_HEX_MAX)
void ul_layout_blob_path(const struct ul_digest *digest,
			 char path[UL_LAYOUT_PATH_MAX]);

/*
 * Hash a blob. 1: it has its digest, 0: it has not; UL_E_ABSENT; UL_E_IO (no
 * regular file too).
 */
int ul_layout_blob_hash(int layout_fd, const struct ul_digest *digest,
			struct ul_err *err);

/* The same of a file anywhere. */
int ul_layout_file_hash(int dirfd, const char *path,
			const struct ul_digest *digest, struct ul_err *err);

/*
 * Whether somebody may still be at work on what is not whole: a file, or a name
 * that is missing and its neighbours. UL_E_NOMEM.
 */
int ul_layout_held(int dirfd, const char *path,
		   const struct ul_layout_check_options *options,
		   enum ul_layout_held *ret_held, struct ul_err *err);
int ul_layout_index_held(int layout_fd,
			 const struct ul_layout_check_options *options,
			 enum ul_layout_held *ret_held, struct ul_err *err);

/* "it is younger than the grace period ..."; "" for UL_HELD_NOT. */
const char *ul_layout_held_text(enum ul_layout_held held);

#endif
