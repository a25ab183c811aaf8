/*
 * store/transfer/layer_work.h - what the parts of one ul_layer_apply() share.
 * Only for store/embedded/layer*.c.
 */
#ifndef UL_STORE_TRANSFER_LAYER_WORK_H
#define UL_STORE_TRANSFER_LAYER_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "store/transfer/layer.h"
#include "store/transfer/layer_path.h"

struct archive;

/* A directory of this layer, to be finished when nothing is made in it any
 * more: making things changes its time and may need its permission. */
struct ul_layer_kept {
	const char *path;
	mode_t mode;
	struct timespec atime, mtime;
};

/*
 * What this layer has without an entry of its own: whiteouts, directories made
 * for them, copies of what hard links name. Hidden with the layers below, but
 * for those that an entry has claimed since.
 */
struct ul_layer_extra {
	const char *path;
	bool is_claimed;
};

struct ul_layer_work {
	struct ul_layer_tree tree;
	const struct ul_layer_limits *limits; /* borrowed */
	/* What new files get unasked: calls saved where that is right. */
	uid_t uid;
	gid_t gid;
	mode_t umask;
	struct ul_layer_result result; /* counts only */
	uint64_t made_count; /* entries, and directories made unasked */
	uint64_t file_bytes; /* lengths of all files */
	struct archive *tar; /* borrowed */
	const struct ul_err *stream_err; /* borrowed; why the stream ended */
	/* Kept until the end. */
	struct ul_arena arena;
	size_t kept_bytes;
	struct ul_layer_kept *dirs; /* owned */
	size_t dir_count, dir_cap;
	struct ul_map dir_by_path;
	struct ul_layer_extra *extras; /* owned */
	size_t extra_count, extra_cap;
	struct ul_map extra_by_path;
	bool makes_extras; /* directories copied up now are extras */
};

/* Count one more object of this layer: UL_E_LIMIT where there are too many. */
int ul_layer_work_count(struct ul_layer_work *work, struct ul_err *err);

/* Remember what was made without an entry. UL_E_LIMIT, UL_E_NOMEM. */
int ul_layer_extra_add(struct ul_layer_work *work, const char *path,
		       struct ul_err *err);

/* An entry stands at the path now. */
void ul_layer_extra_claim(struct ul_layer_work *work, const char *path);

/* An entry stands in the directory: it and those above are claimed. */
void ul_layer_extra_claim_dir(struct ul_layer_work *work,
			      const struct ul_layer_dir *dir);

bool ul_layer_extra_is(const struct ul_layer_work *work, const char *path);

/* A copy of a path that lives until the end. NULL with UL_E_LIMIT or
 * UL_E_NOMEM in err. */
const char *ul_layer_work_keep(struct ul_layer_work *work, const char *path,
			       struct ul_err *err);

/*
 * Set err to why libarchive failed: what the stream said, no memory, or a
 * damaged tar (UL_E_CORRUPT). Returns the code.
 */
int ul_layer_work_tar_failed(const struct ul_layer_work *work,
			     struct ul_err *err);

#endif
