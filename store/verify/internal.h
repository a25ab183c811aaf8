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
#include "store/embedded/trash.h"
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
	struct ul_trash_lies lies;
	int holder_fd; /* of damaged/, once something is moved; else -1 */
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

/* Whether snapshots/NAME lies in the trash: a stop has left it there with its
 * record back already, and the next change puts it back. */
bool verify_is_trashed(const struct verify *verify,
		       const struct ul_snapshot *snapshot);

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

/* The directory in which damaged/ is: of a store of ours itself; in a layout of
 * others the hidden trash, made where there is none. UL_E_IO. */
struct ul_form;
int verify_aside_holder(int root_fd, const struct ul_form *form, int *ret_fd,
			struct ul_err *err);

/*
 * Move something below the directory `from_fd` to damaged/ below `holder_fd`,
 * durably, under `name` or, where that is taken, "name.2" and so on. What is
 * gone is fine. UL_E_IO, UL_E_NOMEM.
 */
int verify_set_aside(int holder_fd, int from_fd, const char *from,
		     const char *name, struct ul_err *err);

/* What a file holds that stays in its place, which keeps its times: who looks
 * again after a stop tells by them whether it is still being written. */
struct ul_buf;
int verify_copy_aside(int holder_fd, const char *name,
		      const struct ul_buf *text, struct ul_err *err);

/*
 * The same of a blob in the folder of its algorithm that has not its digest,
 * unless what was moved has it after all, or somebody is at it: that goes back.
 */
int verify_blob_aside(int holder_fd, int from_fd,
		      const struct ul_digest *digest, struct ul_err *err);

/* Where a repair of this store moves things, for people. */
const char *verify_aside_text(const struct ul_form *form);

/* Whether a state directory has a store of ours, or it cannot be told. */
bool verify_has_embedded(const char *state_path, struct ul_err *err);

/* 1: the oci-layout of a layout of others is damaged; 0: it is not, or is one
 * of another version. UL_E_NOMEM. */
int verify_layout_marker(int layout_fd,
			 const struct ul_layout_check_options *options,
			 enum ul_layout_held *ret_held, struct ul_err *err);

/* The options that any check of its layout has; and of one of others. */
struct ul_layout_check_options
verify_shared_options(const struct ul_verify_options *options);
struct ul_layout_check_options
verify_layout_options(const struct verify *verify);

/* Open verify->holder_fd. UL_E_IO. */
int repair_holder(struct verify *verify);

/* Repairs; each is complete, or was not begun, wherever it is stopped. */
int repair_trash(struct verify *verify);
int repair_blobs(struct verify *verify);
int repair_index(struct verify *verify, const struct ul_layout_check *whole);
int repair_snapshots(struct verify *verify);
int repair_identity(struct verify *verify, const struct ul_layout_check *whole);
/* Record all that there is; what nothing reaches was lost just now. */
int repair_relearn(struct verify *verify);

#endif
