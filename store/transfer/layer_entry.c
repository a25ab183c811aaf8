#include "store/transfer/layer_entry.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/transfer/layer_attr.h"
#include "store/transfer/layer_make.h"
#include "store/transfer/layer_whiteout.h"
#include "store/transfer/layer_work.h"

/* OCI image-spec, layer.md, Whiteouts. */
#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"
#define AUFS_PREFIX ".wh..wh."

enum { TEXT_BYTES = 256 };

/* Device numbers as Linux has them (include/linux/kdev_t.h). */
enum { MAJOR_MAX = (1 << 12) - 1, MINOR_MAX = (1 << 20) - 1 };

/* One entry, taken apart. */
struct item {
	struct archive_entry *entry;
	struct ul_layer_attr attr;
	char path[UL_LAYER_PATH_SIZE]; /* clean, as the tar has it */
	const char *parent;            /* of it; "" is the root */
	const char *name;
	struct ul_layer_dir *dir; /* what parent leads to, in this layer */
	int dir_fd;               /* the tree's */
	bool dir_passes_on;
	char real[UL_LAYER_PATH_SIZE]; /* dir's path and name */
};

/* A path for people: nothing that a terminal could act upon, and not long. */
static void path_text(const char *path, char text[TEXT_BYTES])
{
	size_t at = 0;

	for (; *path && at < TEXT_BYTES - 8; path++) {
		if (*path == '\\' || (unsigned char)*path < ' ' ||
		    (unsigned char)*path >= 0x7f)
			at += (size_t)snprintf(text + at, TEXT_BYTES - at,
					       "\\x%02x", (unsigned char)*path);
		else
			text[at++] = *path;
	}
	snprintf(text + at, TEXT_BYTES - at, "%s", *path ? "..." : "");
}

/* Cut a clean path in two; "" and the path where it has one component. */
static void path_split(char *path, const char **ret_parent,
		       const char **ret_name)
{
	char *slash = strrchr(path, '/');

	*ret_parent = slash ? path : "";
	*ret_name = slash ? slash + 1 : path;
	if (slash)
		*slash = '\0';
}

static bool has_component(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);

	for (; path; path = strchr(path, '/')) {
		path += *path == '/';
		if (!strncmp(path, prefix, len))
			return true;
	}
	return false;
}

/* The parent directory, made if need be. Once `dir` is known it stays valid
 * until the tree is told of a change. */
static int item_parent(struct ul_layer_work *work, struct item *item,
		       struct ul_err *err)
{
	int rc;

	rc = ul_layer_make_path(work, item->parent, item->attr.mtime,
				&item->dir, err);
	if (!rc)
		rc = ul_layer_path_join(item->dir, item->name, item->real, err);
	return rc ? rc
		  : ul_layer_tree_open(&work->tree, item->dir, &item->dir_fd,
				       &item->dir_passes_on, err);
}

/* Owner, mode, xattrs and times of what was made for an entry. */
static int item_attr(struct ul_layer_work *work, const struct item *item,
		     const struct ul_layer_object *object, struct ul_err *err)
{
	int rc = 0;

	if (item->dir_passes_on && !object->is_symlink)
		rc = ul_layer_xattrs_clear(work, object, err);
	if (!rc)
		rc = ul_layer_attr_set_owner_mode(work, object, &item->attr,
						  err);
	if (!rc)
		rc = ul_layer_xattrs_of_entry(work, object, item->entry, err);
	return rc ? rc : ul_layer_attr_set_times(object, &item->attr, err);
}

static int data_block_write(int fd, const void *data, size_t len, off_t at,
			    struct ul_err *err)
{
	const char *bytes = data;
	ssize_t done;

	while (len > 0) {
		done = ul_retry(pwrite(fd, bytes, len, at));
		if (done < 0)
			return ul_err_sys(err, "write");
		bytes += done;
		len -= (size_t)done;
		at += done;
	}
	return 0;
}

static int data_write(struct ul_layer_work *work, int fd, int64_t size,
		      struct ul_err *err)
{
	const void *data;
	int64_t end = 0;
	int64_t at;
	size_t len;
	int rc;

	while (end < size) {
		rc = archive_read_data_block(work->tar, &data, &len, &at);
		if (rc == ARCHIVE_EOF)
			break;
		if (rc != ARCHIVE_OK)
			return ul_layer_work_tar_failed(work, err);
		if (at < end || at > size || (int64_t)len > size - at)
			return ul_err_set(err, UL_E_CORRUPT,
					  "data outside its length");
		rc = data_block_write(fd, data, len, at, err);
		if (rc)
			return rc;
		end = at + (int64_t)len;
	}
	/* Sparse files may end in a hole. */
	if (end < size && ul_retry(ftruncate(fd, size)))
		return ul_err_sys(err, "set length");
	return 0;
}

static int size_check(struct ul_layer_work *work, int64_t size,
		      struct ul_err *err)
{
	if (size < 0)
		return ul_err_set(err, UL_E_CORRUPT, "negative length");
	if ((uint64_t)size > work->limits->bytes - work->file_bytes)
		return ul_err_set(err, UL_E_LIMIT,
				  "files of more than %" PRIu64
				  " bytes in one layer",
				  work->limits->bytes);
	work->file_bytes += (uint64_t)size;
	return 0;
}

/* Whether a new object is ours and that is what the entry wants. */
static bool is_own(const struct ul_layer_work *work, const struct item *item)
{
	return !item->dir_passes_on && item->attr.uid == work->uid &&
	       item->attr.gid == work->gid;
}

static int file_open(const struct item *item, mode_t mode, int *ret_fd,
		     struct ul_err *err)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = ul_retry(openat(item->dir_fd, item->name, flags, mode));
	int rc;

	if (fd < 0 && errno == EEXIST) {
		rc = ul_layer_make_room(item->dir_fd, item->name, err);
		if (rc)
			return rc;
		fd = ul_retry(openat(item->dir_fd, item->name, flags, mode));
	}
	if (fd < 0)
		return ul_err_sys(err, "make file");
	*ret_fd = fd;
	return 0;
}

static int file_make(struct ul_layer_work *work, const struct item *item,
		     struct ul_err *err)
{
	int64_t size = archive_entry_size(item->entry);
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_layer_object object;
	mode_t mode = item->attr.mode;
	bool has_mode;
	int rc;

	has_mode = is_own(work, item) && mode < 01000 && !(mode & work->umask);
	rc = size_check(work, size, err);
	if (!rc)
		rc = file_open(item, has_mode ? mode : 0600, &fd, err);
	if (!rc)
		rc = data_write(work, fd, size, err);
	if (rc)
		return rc;
	object = (struct ul_layer_object){
		.fd = fd,
		.has_owner = is_own(work, item),
		.has_mode = has_mode,
	};
	return item_attr(work, item, &object, err);
}

static int path_object_attr(struct ul_layer_work *work, const struct item *item,
			    bool is_symlink, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_layer_object object = {
		.is_path = true,
		.is_symlink = is_symlink,
		.has_owner = is_own(work, item),
	};

	fd = openat(item->dir_fd, item->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ul_err_sys(err, "open");
	object.fd = fd;
	return item_attr(work, item, &object, err);
}

static int symlink_make(struct ul_layer_work *work, const struct item *item,
			struct ul_err *err)
{
	const char *target = archive_entry_symlink(item->entry);
	int rc;

	if (!target || !*target)
		return ul_err_set(err, UL_E_CORRUPT,
				  "symbolic link without a target");
	if (strlen(target) > work->limits->path_bytes)
		return ul_err_set(err, UL_E_LIMIT,
				  "symbolic link of more than %zu bytes",
				  work->limits->path_bytes);
	rc = symlinkat(target, item->dir_fd, item->name);
	if (rc && errno == EEXIST) {
		rc = ul_layer_make_room(item->dir_fd, item->name, err);
		if (rc)
			return rc;
		rc = symlinkat(target, item->dir_fd, item->name);
	}
	if (rc)
		return ul_err_sys(err, "make symbolic link");
	return path_object_attr(work, item, true, err);
}

static int node_check(struct archive_entry *entry, mode_t type, dev_t *ret_dev,
		      struct ul_err *err)
{
	uint64_t major_id = archive_entry_rdevmajor(entry);
	uint64_t minor_id = archive_entry_rdevminor(entry);

	*ret_dev = 0;
	if (type == S_IFIFO)
		return 0;
	if (major_id > MAJOR_MAX || minor_id > MINOR_MAX)
		return ul_err_set(err, UL_E_CORRUPT,
				  "device number %" PRIu64 ":%" PRIu64
				  " is out of range",
				  major_id, minor_id);
	if (type == S_IFCHR && major_id == 0 && minor_id == 0)
		return ul_err_set(err, UL_E_CORRUPT,
				  "character device 0:0 would be a whiteout");
	*ret_dev = makedev((unsigned)major_id, (unsigned)minor_id);
	return 0;
}

/* Without the right to make devices, an empty file stands in for one. */
static int node_make(struct ul_layer_work *work, const struct item *item,
		     mode_t type, struct ul_err *err)
{
	dev_t dev;
	int rc;

	rc = node_check(item->entry, type, &dev, err);
	if (!rc)
		rc = ul_layer_make_room(item->dir_fd, item->name, err);
	if (rc)
		return rc;
	rc = mknodat(item->dir_fd, item->name, type | 0600, dev);
	if (rc && errno == EPERM) {
		work->result.skipped_devices++;
		rc = mknodat(item->dir_fd, item->name, S_IFREG | 0600, 0);
	}
	if (rc)
		return ul_err_sys(err, "make device");
	return path_object_attr(work, item, false, err);
}

static int dir_attr(struct ul_layer_work *work, const struct item *item, int fd,
		    bool is_new, struct ul_err *err)
{
	struct ul_layer_object object = { .fd = fd };
	struct ul_layer_attr open = item->attr;
	int rc;

	open.mode |= 0700;
	rc = is_new ? 0 : ul_layer_xattrs_clear(work, &object, err);
	if (!rc)
		rc = ul_layer_attr_set_owner_mode(work, &object, &open, err);
	if (!rc)
		rc = ul_layer_xattrs_of_entry(work, &object, item->entry, err);
	return rc ? rc : ul_layer_keep_dir(work, item->real, &item->attr, err);
}

static int dir_make(struct ul_layer_work *work, const struct item *item,
		    struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_layer_found was;
	bool is_new;
	int rc;

	rc = ul_layer_tree_find(&work->tree, item->dir, item->name, false, &was,
				err);
	if (!rc)
		rc = ul_layer_make_dir_at(work, item->dir, item->name, &fd,
					  &is_new, err);
	if (!rc)
		rc = dir_attr(work, item, fd, is_new, err);
	if (rc)
		return rc;
	ul_layer_tree_close(&work->tree); /* its default ACL may be new */
	if (was.kind == UL_LAYER_DIR)
		ul_layer_tree_made(&work->tree, item->real);
	else
		ul_layer_tree_forget(&work->tree, item->real);
	return 0;
}

/* What a hard link names, in the merged tree. */
struct target {
	struct ul_layer_dir *dir;
	const char *name;
	struct ul_layer_found found;
};

static int target_find(struct ul_layer_work *work, const struct item *item,
		       char path[UL_LAYER_PATH_SIZE], struct target *ret,
		       struct ul_err *err)
{
	const char *parent;
	int rc;

	rc = ul_layer_path_clean(archive_entry_hardlink(item->entry),
				 work->limits, path, err);
	if (rc)
		return rc;
	path_split(path, &parent, &ret->name);
	rc = ul_layer_tree_dir(&work->tree, parent, NULL, NULL, &ret->dir, err);
	if (rc)
		return rc;
	ret->found.kind = *ret->name ? UL_LAYER_ABSENT : UL_LAYER_DIR;
	if (ret->dir && *ret->name)
		rc = ul_layer_tree_find(&work->tree, ret->dir, ret->name, false,
					&ret->found, err);
	if (rc)
		return rc;
	if (ret->found.kind == UL_LAYER_ABSENT)
		return ul_err_set(err, UL_E_CORRUPT, "does not exist");
	if (ret->found.kind == UL_LAYER_DIR)
		return ul_err_set(err, UL_E_CORRUPT, "is a directory");
	if (ret->dir == item->dir && !strcmp(ret->name, item->name))
		return ul_err_set(err, UL_E_CORRUPT, "is the link itself");
	return 0;
}

static int link_make(struct ul_layer_work *work, const struct item *item,
		     const struct target *target, struct ul_err *err)
{
	ul_cleanup(ul_closep) int from = -1;
	int dir_fd;
	int rc;

	from = ul_layer_open_beneath(work->tree.fds[0], target->dir->path,
				     O_PATH | O_DIRECTORY);
	if (from < 0)
		return ul_err_sys(err, "open directory %s", target->dir->path);
	/* Copying up may have opened another directory since. */
	rc = ul_layer_tree_open(&work->tree, item->dir, &dir_fd, NULL, err);
	if (!rc)
		rc = ul_layer_make_room(dir_fd, item->name, err);
	if (rc)
		return rc;
	if (!linkat(from, target->name, dir_fd, item->name, 0))
		return 0;
	if (errno == ENOENT)
		return ul_err_set(err, UL_E_CORRUPT,
				  "is in the directory that the link replaces");
	return ul_err_sys(err, "make hard link");
}

static int hardlink_make(struct ul_layer_work *work, const struct item *item,
			 struct ul_err *err)
{
	char path[UL_LAYER_PATH_SIZE];
	char text[TEXT_BYTES];
	struct target target;
	int rc;

	rc = target_find(work, item, path, &target, err);
	if (!rc && target.found.layer != 0)
		rc = ul_layer_copy_up(work, target.dir, target.name,
				      &target.found, err);
	if (!rc)
		rc = link_make(work, item, &target, err);
	if (!rc)
		return 0;
	path_text(archive_entry_hardlink(item->entry), text);
	return ul_err_wrap(err, "hard link to '%s'", text);
}

static int item_make(struct ul_layer_work *work, struct item *item,
		     struct ul_err *err)
{
	mode_t type = archive_entry_filetype(item->entry);
	int rc;

	rc = item_parent(work, item, err);
	if (rc)
		return rc;
	ul_layer_extra_claim_dir(work, item->dir);
	ul_layer_extra_claim(work, item->real);
	if (archive_entry_hardlink(item->entry))
		rc = hardlink_make(work, item, err);
	else if (type == AE_IFDIR)
		return dir_make(work, item, err);
	else if (type == AE_IFREG)
		rc = file_make(work, item, err);
	else if (type == AE_IFLNK)
		rc = symlink_make(work, item, err);
	else if (type == AE_IFCHR || type == AE_IFBLK || type == AE_IFIFO)
		rc = node_make(work, item, type, err);
	else
		rc = ul_err_set(err, UL_E_CORRUPT, "of no known type");
	if (!rc)
		ul_layer_tree_forget(&work->tree, item->real);
	return rc;
}

/* The image's root: it is there, only its attributes can be meant. */
static int root_attr(struct ul_layer_work *work, struct item *item,
		     struct ul_err *err)
{
	if (archive_entry_filetype(item->entry) != AE_IFDIR ||
	    archive_entry_hardlink(item->entry))
		return ul_err_set(err, UL_E_CORRUPT,
				  "the image's root is not a directory");
	item->real[0] = '\0';
	ul_layer_tree_close(&work->tree); /* its default ACL may be new */
	return dir_attr(work, item, work->tree.fds[0], false, err);
}

static int whiteout_make(struct ul_layer_work *work, const struct item *item,
			 struct ul_err *err)
{
	const char *name = item->name + strlen(WHITEOUT_PREFIX);

	if (!strcmp(item->name, WHITEOUT_OPAQUE))
		return ul_layer_opaque(work, item->parent, err);
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return ul_err_set(err, UL_E_CORRUPT, "whiteout of no name");
	return ul_layer_whiteout(work, item->parent, name, err);
}

static int item_apply(struct ul_layer_work *work, struct item *item,
		      struct ul_err *err)
{
	bool is_whiteout;
	int rc;

	path_split(item->path, &item->parent, &item->name);
	if (!*item->name)
		return root_attr(work, item, err);
	is_whiteout =
	    !strncmp(item->name, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX));
	if (has_component(item->parent, AUFS_PREFIX) ||
	    (has_component(item->name, AUFS_PREFIX) &&
	     strcmp(item->name, WHITEOUT_OPAQUE) != 0))
		return 0;
	if (has_component(item->parent, WHITEOUT_PREFIX))
		return ul_err_set(err, UL_E_CORRUPT, "lies in a whiteout");
	rc = is_whiteout ? whiteout_make(work, item, err)
			 : item_make(work, item, err);
	return rc;
}

int ul_layer_entry_apply(struct ul_layer_work *work,
			 struct archive_entry *entry, struct ul_err *err)
{
	const char *path = archive_entry_pathname(entry);
	struct item item = { .entry = entry };
	char text[TEXT_BYTES];
	int rc;

	if (!path)
		path = "";
	ul_layer_tree_trim(&work->tree);
	rc = ul_layer_work_count(work, err);
	if (!rc)
		rc = ul_layer_path_clean(path, work->limits, item.path, err);
	if (!rc)
		rc = ul_layer_attr_of_entry(entry, &item.attr, err);
	if (!rc)
		rc = item_apply(work, &item, err);
	if (!rc)
		return 0;
	path_text(path, text);
	return ul_err_wrap(err, "layer entry '%s'", text);
}
