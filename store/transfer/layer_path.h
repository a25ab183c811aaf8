/*
 * store/transfer/layer_path.h - the merged tree of a layer and those below it,
 * as paths see it.
 *
 * Says what stands at a path when all layers are stacked: whiteouts and opaque
 * directories observed, symlinks of any layer followed with the image's root
 * as the limit (its ".." is itself, absolute targets begin there). Every look
 * is an openat2() beneath one layer's directory that follows nothing, so no
 * symlink is ever followed by the kernel.
 *
 * Directories that were looked up are remembered. Whoever changes this layer
 * says so with ul_layer_tree_forget() or ul_layer_tree_made().
 */
#ifndef UL_STORE_TRANSFER_LAYER_PATH_H
#define UL_STORE_TRANSFER_LAYER_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/map.h"

struct ul_err;
struct ul_layer_limits;

#define UL_LAYER_PATH_SIZE 4096 /* PATH_MAX: longest path and its NUL */

/* A directory of the merged tree. Borrowed from the tree, until it forgets. */
struct ul_layer_dir {
	struct ul_layer_dir *parent; /* NULL for the root */
	const char *path; /* without links, relative; "" is the root */
	size_t path_len;
	size_t depth;
	bool is_here; /* this layer has it too */
	uint16_t lower_count;
	uint16_t lowers[]; /* layers below that show through, nearest first */
};

enum ul_layer_kind {
	UL_LAYER_ABSENT,
	UL_LAYER_DIR,
	UL_LAYER_SYMLINK,
	UL_LAYER_OTHER,
};

/* What stands at a name, and which layer shows it (0: this one). */
struct ul_layer_found {
	enum ul_layer_kind kind;
	uint16_t layer;
	struct stat st;
};

struct ul_layer_tree {
	int *fds; /* owned array of borrowed fds: this layer, the one below...*/
	size_t count;
	const struct ul_layer_limits *limits; /* borrowed */
	/* What is remembered; thrown away whole. */
	struct ul_arena arena;
	struct ul_layer_dir **dirs;
	size_t dir_count, dir_cap;
	struct ul_map by_path; /* link-free path -> index, or a symlink */
	struct ul_map by_name; /* path as asked for -> index */
	const struct ul_layer_dir *open_dir; /* what open_fd is */
	int open_fd;
	bool open_passes_on;
	uint16_t *scratch; /* owned; `count` elements */
};
#define UL_LAYER_TREE_INIT ((struct ul_layer_tree){ .open_fd = -1 })

/* Returns: 0, UL_E_NOMEM. The fds stay the caller's. */
int ul_layer_tree_init(struct ul_layer_tree *tree, int fs_fd,
		       const int *lower_fds, size_t lower_count,
		       const struct ul_layer_limits *limits,
		       struct ul_err *err);
void ul_layer_tree_release(struct ul_layer_tree *tree);

/*
 * Bring a path from a tar into the form used here: no "." components, no
 * doubled or trailing slashes, "" for the root. `clean` may be written to
 * before an error is found.
 * Returns: 0, or
 *   UL_E_CORRUPT  empty, absolute, or with a ".." component
 *   UL_E_LIMIT    too long, too deep, or a component over 255 bytes
 */
int ul_layer_path_clean(const char *raw, const struct ul_layer_limits *limits,
			char clean[UL_LAYER_PATH_SIZE], struct ul_err *err);

/*
 * Called for a component that is not there; makes the directory in this layer
 * and returns 0. `parent` may not be in this layer yet.
 */
typedef int ul_layer_make_dir(void *arg, struct ul_layer_dir *parent,
			      const char *name, struct ul_err *err);

/*
 * The directory that a clean path leads to, through symlinks in every
 * component. `make` NULL: *ret_dir is NULL where there is none.
 * Returns: 0, or what make() returned, or
 *   UL_E_CORRUPT  a component is neither directory nor symlink
 *   UL_E_LIMIT    too many symlinks, or the path becomes too long through them
 *   UL_E_IO, UL_E_NOMEM
 */
int ul_layer_tree_dir(struct ul_layer_tree *tree, const char *path,
		      ul_layer_make_dir *make, void *arg,
		      struct ul_layer_dir **ret_dir, struct ul_err *err);

/*
 * What stands at a name in a directory: in the merged tree, or only in what
 * the layers below this one show.
 * Returns: 0, UL_E_IO, UL_E_LIMIT (path too long).
 */
int ul_layer_tree_find(struct ul_layer_tree *tree,
		       const struct ul_layer_dir *dir, const char *name,
		       bool only_below, struct ul_layer_found *ret,
		       struct ul_err *err);

/*
 * This layer's own directory, as an O_PATH descriptor that stays the tree's
 * until the next call. *ret_passes_on (may be NULL): what is made in it gets
 * its default ACL, or its group.
 */
int ul_layer_tree_open(struct ul_layer_tree *tree,
		       const struct ul_layer_dir *dir, int *ret_fd,
		       bool *ret_passes_on, struct ul_err *err);

/* The descriptor above is out of date (its ACL or mode changed). */
void ul_layer_tree_close(struct ul_layer_tree *tree);

/* A directory of the merged tree was made in this layer, hiding nothing. */
void ul_layer_tree_made(struct ul_layer_tree *tree, const char *path);

/*
 * Something else changed at this path, or a directory there became opaque.
 * Every ul_layer_dir is invalid if anything was remembered about it.
 */
void ul_layer_tree_forget(struct ul_layer_tree *tree, const char *path);

/* Forget what is remembered if it is much. Every ul_layer_dir is invalid. */
void ul_layer_tree_trim(struct ul_layer_tree *tree);

/* "dir/name", or "name" in the root. UL_E_LIMIT where that is too long. */
int ul_layer_path_join(const struct ul_layer_dir *dir, const char *name,
		       char path[UL_LAYER_PATH_SIZE], struct ul_err *err);

/*
 * openat2() beneath a layer's directory, following no symlink, entering no
 * mount. "" is the directory itself. Returns a descriptor, or -1 with errno.
 */
int ul_layer_open_beneath(int layer_fd, const char *path, int flags);

/* Character device 0/0: overlayfs' whiteout. */
bool ul_layer_is_whiteout(const struct stat *st);

#endif
