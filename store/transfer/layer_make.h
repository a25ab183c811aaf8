/*
 * store/transfer/layer_make.h - making objects in a layer: directories (asked
 * for or not), copies of what lies below, and room for them.
 */
#ifndef UL_STORE_TRANSFER_LAYER_MAKE_H
#define UL_STORE_TRANSFER_LAYER_MAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

struct ul_err;
struct ul_layer_attr;
struct ul_layer_dir;
struct ul_layer_found;
struct ul_layer_work;

/* The image's root as it is before its entry comes, if one does: as below,
 * else root's, 0755, of 1970. */
int ul_layer_make_root(struct ul_layer_work *work, struct ul_err *err);

/*
 * Have a directory of the merged tree in this layer as well, and those above
 * it; new ones take owner, mode, xattrs and times from the nearest below.
 */
int ul_layer_make_here(struct ul_layer_work *work, struct ul_layer_dir *dir,
		       struct ul_err *err);

/* The same for what is no entry: what is made is an extra (layer_work.h). */
int ul_layer_make_here_unasked(struct ul_layer_work *work,
			       struct ul_layer_dir *dir, struct ul_err *err);

/*
 * The directory that a clean path leads to, in this layer. What no layer has
 * is made, root's, 0755, with the time `when`.
 * Returns: as ul_layer_tree_dir().
 */
int ul_layer_make_path(struct ul_layer_work *work, const char *path,
		       struct timespec when, struct ul_layer_dir **ret_dir,
		       struct ul_err *err);

/*
 * Make a directory in one that is in this layer; *ret_fd is open. One that is
 * there already stays (*ret_is_new false). Where it replaces something of this
 * layer that hid what is below, it is opaque.
 */
int ul_layer_make_dir_at(struct ul_layer_work *work, struct ul_layer_dir *dir,
			 const char *name, int *ret_fd, bool *ret_is_new,
			 struct ul_err *err);

/* Remove what this layer has at a name, trees too. Nothing there is fine. */
int ul_layer_make_room(int dir_fd, const char *name, struct ul_err *err);

/* Remember what a directory of this layer has to look like at the end. */
int ul_layer_keep_dir(struct ul_layer_work *work, const char *path,
		      const struct ul_layer_attr *attr, struct ul_err *err);

/* At the end: times and modes of all directories of this layer. */
int ul_layer_finish_dirs(struct ul_layer_work *work, struct ul_err *err);

/*
 * Copy a file, symlink or device of a lower layer to its path in this one:
 * data (holes stay holes), owner, mode, xattrs and times.
 */
int ul_layer_copy_up(struct ul_layer_work *work, struct ul_layer_dir *dir,
		     const char *name, const struct ul_layer_found *found,
		     struct ul_err *err);

#endif
