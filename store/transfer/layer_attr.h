/*
 * store/transfer/layer_attr.h - owner, mode, times and xattrs of one object in
 * a layer. What the system refuses because we lack privilege (or the file
 * system lacks xattrs) is counted in work->result and is no error.
 */
#ifndef UL_STORE_TRANSFER_LAYER_ATTR_H
#define UL_STORE_TRANSFER_LAYER_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

struct archive_entry;
struct ul_err;
struct ul_layer_work;

struct ul_layer_attr {
	uid_t uid;
	gid_t gid;
	mode_t mode; /* permission bits only */
	struct timespec atime, mtime;
};

/* An object that was just made: open for use, or as O_PATH. */
struct ul_layer_object {
	int fd;       /* borrowed */
	bool is_path; /* O_PATH */
	bool is_symlink;
	bool has_owner; /* was made with the right one: leave it */
	bool has_mode;
};

/* From a tar entry. UL_E_CORRUPT: an owner that no system can have. */
int ul_layer_attr_of_entry(struct archive_entry *entry,
			   struct ul_layer_attr *ret, struct ul_err *err);
void ul_layer_attr_of_stat(const struct stat *st, struct ul_layer_attr *ret);

/* Owner, then mode (changing the owner clears setuid). */
int ul_layer_attr_set_owner_mode(struct ul_layer_work *work,
				 const struct ul_layer_object *object,
				 const struct ul_layer_attr *attr,
				 struct ul_err *err);
int ul_layer_attr_set_times(const struct ul_layer_object *object,
			    const struct ul_layer_attr *attr,
			    struct ul_err *err);

/*
 * Xattrs of a tar entry.
 * Returns: 0, UL_E_LIMIT, UL_E_IO, or UL_E_CORRUPT for names of overlayfs
 * (trusted.overlay.*, user.overlay.*): those would be orders to the kernel,
 * redirects to other directories among them.
 */
int ul_layer_xattrs_of_entry(struct ul_layer_work *work,
			     const struct ul_layer_object *object,
			     struct archive_entry *entry, struct ul_err *err);

/* All xattrs of an object of a lower layer, but overlayfs' own. */
int ul_layer_xattrs_copy(struct ul_layer_work *work, int from_path_fd,
			 const struct ul_layer_object *to, struct ul_err *err);

/* Remove all xattrs but overlayfs' own and those that the host gives. */
int ul_layer_xattrs_clear(struct ul_layer_work *work,
			  const struct ul_layer_object *object,
			  struct ul_err *err);

/* Make a directory opaque for overlayfs. */
int ul_layer_xattr_set_opaque(struct ul_layer_work *work, int dir_fd,
			      struct ul_err *err);

#endif
