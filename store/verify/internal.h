/* store/verify/internal.h - one check of a store under way; what
 * the parts of this folder share. */
#ifndef UL_STORE_VERIFY_INTERNAL_H
#define UL_STORE_VERIFY_INTERNAL_H

#include "base/digest.h"
#include "base/fs.h"
#include "store/db/record.h"
#include "store/embedded/inventory.h"
#include "store/embedded/lease.h"
#include "store/embedded/snapshot.h"
#include "store/verify/findings.h"
#include "store/verify/verify.h"

/* One layer of one image, and the snapshot that its chain has. */
struct verify_link {
	char chain[UL_DIGEST_TEXT_MAX];
	char parent[UL_DIGEST_TEXT_MAX]; /* "" for the base layer */
	uint32_t manifest, layer;        /* nodes */
	struct ul_digest diff_id;
	size_t first; /* position of its image's base layer, in bottom_up */
	size_t at;    /* 0: base layer */
};

struct verify {
	struct ul_embedded *store;
	const struct ul_verify_options *options;
	struct ul_findings *findings;
	struct ul_layout_check layout;
	struct ul_record record;
	struct ul_inventory inventory;
	struct ul_snapshots snapshots;
	struct ul_leases leases;
	struct verify_link *bottom_up;       /* owned; image by image */
	const struct verify_link **by_chain; /* owned; sorted by chain */
	size_t link_count;
	bool is_again;      /* what others do was waited for already */
	bool is_mismatched; /* database and store do not belong together */
	struct ul_names damaged_trash; /* folders below trash/ */
	struct ul_names changed;       /* keys of snapshots: not their layer */
	struct ul_verified counts;
	struct ul_err *err;
};

/* Read what there is: the layout and its findings, records, folders. */
int verify_init(struct verify *verify);
void verify_release(struct verify *verify);

/* The layers of all images that were read, as links. */
int verify_links(const struct ul_layout_check *layout,
		 struct verify_link **ret_links, size_t *ret_count,
		 struct ul_err *err);

/* Where the links of that chain begin in by_chain, if there are any. */
size_t verify_chain_first(const struct verify *verify, const char *chain);

/* Name in the last finding the images that have this chain. */
int verify_chain_hurts(struct verify *verify, const char *chain);

/* Whether snapshots/NAME/fs is there. */
bool verify_has_folder(const struct ul_embedded *store, const char *key,
		       bool is_unpacked);

/* The record of a folder, or NULL. */
const struct ul_snapshot *verify_record_of(const struct verify *verify,
					   const struct ul_item *item);

/*
 * A commit that was stopped leaves two records for one folder: whether this
 * one is that without.
 */
bool verify_is_stopped_commit(const struct verify *verify,
			      const struct ul_snapshot *snapshot);

/* Records against folders, leases, trash, names that are none of ours. */
int verify_records(struct verify *verify);

/* Sizes against those that were measured. */
int verify_measures(struct verify *verify);

/* Layers: their diff IDs, and their snapshots. */
int verify_layers(struct verify *verify);

/* All of the above; deep where that is asked for. */
int verify_all(struct verify *verify);

/*
 * Move something below the directory `from_fd` to damaged/, durably, under
 * `name` or, where that is taken, "name.2" and so on. What is gone is fine.
 * UL_E_IO, UL_E_NOMEM.
 */
int verify_set_aside(int root_fd, int from_fd, const char *from,
		     const char *name, struct ul_err *err);

/* Repairs; each is complete, or was not begun, wherever it is stopped. */
int repair_trash(struct verify *verify);
int repair_blobs(struct verify *verify);
int repair_index(struct verify *verify, const struct ul_layout_check *whole);
int repair_snapshots(struct verify *verify);
int repair_identity(struct verify *verify, const struct ul_layout_check *whole);

#endif
