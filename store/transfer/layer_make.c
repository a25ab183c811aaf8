#include "store/transfer/layer_make.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/remove.h"
#include "store/transfer/layer_attr.h"
#include "store/transfer/layer_work.h"

/* What nobody describes. */
static struct ul_layer_attr attr_unasked(struct timespec when)
{
	return (struct ul_layer_attr){
		.mode = 0755,
		.atime = when,
		.mtime = when,
	};
}

int ul_layer_make_room(int dir_fd, const char *name, struct ul_err *err)
{
	struct ul_removed removed;

	if (!unlinkat(dir_fd, name, 0) || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return ul_err_sys(err, "replace an earlier entry");
	return ul_remove_trees(dir_fd, &name, 1, &removed, err);
}

int ul_layer_keep_dir(struct ul_layer_work *work, const char *path,
		      const struct ul_layer_attr *attr, struct ul_err *err)
{
	uint32_t index = ul_map_get_str(&work->dir_by_path, path);
	struct ul_layer_kept *dirs;

	if (index == UL_MAP_NONE) {
		dirs = ul_grow(work->dirs, &work->dir_cap, work->dir_count + 1,
			       sizeof *dirs);
		if (!dirs)
			return ul_err_nomem(err);
		work->dirs = dirs;
		path = ul_layer_work_keep(work, path, err);
		if (!path)
			return err->code;
		index = (uint32_t)work->dir_count;
		if (!ul_map_set(&work->dir_by_path, path, strlen(path), index))
			return ul_err_nomem(err);
		dirs[index].path = path;
		work->dir_count++;
	}
	work->dirs[index].mode = attr->mode;
	work->dirs[index].atime = attr->atime;
	work->dirs[index].mtime = attr->mtime;
	return 0;
}

/* Descending, so that a directory comes after all that is in it. */
static int kept_cmp(const void *a, const void *b)
{
	return strcmp(((const struct ul_layer_kept *)b)->path,
		      ((const struct ul_layer_kept *)a)->path);
}

static int dir_finish(struct ul_layer_work *work,
		      const struct ul_layer_kept *kept, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	struct timespec times[2] = { kept->atime, kept->mtime };

	fd = ul_layer_open_beneath(work->tree.fds[0], kept->path,
				   O_RDONLY | O_DIRECTORY);
	/* Another entry has taken its place since. */
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (fd < 0)
		return ul_err_sys(err, "open directory %s", kept->path);
	if (futimens(fd, times))
		return ul_err_sys(err, "set times of %s", kept->path);
	if ((kept->mode & 0700) != 0700 && fchmod(fd, kept->mode))
		return ul_err_sys(err, "set mode of %s", kept->path);
	return 0;
}

int ul_layer_finish_dirs(struct ul_layer_work *work, struct ul_err *err)
{
	size_t i;
	int rc;

	if (work->dir_count > 0)
		qsort(work->dirs, work->dir_count, sizeof *work->dirs,
		      kept_cmp);
	for (i = 0; i < work->dir_count; i++) {
		rc = dir_finish(work, &work->dirs[i], err);
		if (rc)
			return rc;
	}
	return 0;
}

/* The owner's permission stays until ul_layer_finish_dirs(). */
static int dir_set_attr(struct ul_layer_work *work, int fd,
			const struct ul_layer_attr *attr, struct ul_err *err)
{
	struct ul_layer_object object = { .fd = fd };
	struct ul_layer_attr open = *attr;

	open.mode |= 0700;
	return ul_layer_attr_set_owner_mode(work, &object, &open, err);
}

int ul_layer_make_root(struct ul_layer_work *work, struct ul_err *err)
{
	struct ul_layer_attr attr = attr_unasked((struct timespec){ 0 });
	struct ul_layer_object root = { .fd = work->tree.fds[0] };
	struct stat st;
	int rc;

	if (work->tree.count > 1) {
		if (fstat(work->tree.fds[1], &st))
			return ul_err_sys(err, "stat the layer below");
		ul_layer_attr_of_stat(&st, &attr);
	}
	rc = dir_set_attr(work, root.fd, &attr, err);
	if (!rc && work->tree.count > 1)
		rc = ul_layer_xattrs_copy(work, work->tree.fds[1], &root, err);
	return rc ? rc : ul_layer_keep_dir(work, "", &attr, err);
}

/* In a directory with a default ACL everything new inherits one. */
static int acl_drop(struct ul_layer_work *work, int fd, struct ul_err *err)
{
	struct ul_layer_object object = { .fd = fd };

	return ul_layer_xattrs_clear(work, &object, err);
}

/* Replace what hides the layers below by a directory that hides them too. */
static int dir_replace(struct ul_layer_work *work,
		       const struct ul_layer_dir *dir, int dir_fd,
		       const char *name, bool *ret_opaque, struct ul_err *err)
{
	struct ul_layer_found below;
	int rc;

	rc = ul_layer_tree_find(&work->tree, dir, name, true, &below, err);
	if (rc)
		return rc;
	rc = ul_layer_make_room(dir_fd, name, err);
	if (rc)
		return rc;
	if (mkdirat(dir_fd, name, 0700))
		return ul_err_sys(err, "make directory");
	*ret_opaque = below.kind == UL_LAYER_DIR;
	return 0;
}

int ul_layer_make_dir_at(struct ul_layer_work *work, struct ul_layer_dir *dir,
			 const char *name, int *ret_fd, bool *ret_is_new,
			 struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	bool is_opaque = false;
	bool passes_on;
	int dir_fd;
	int rc;

	rc = ul_layer_tree_open(&work->tree, dir, &dir_fd, &passes_on, err);
	if (rc)
		return rc;
	*ret_is_new = !mkdirat(dir_fd, name, 0700);
	if (!*ret_is_new && errno != EEXIST)
		return ul_err_sys(err, "make directory");
	fd = ul_layer_open_beneath(dir_fd, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
		rc = dir_replace(work, dir, dir_fd, name, &is_opaque, err);
		if (rc)
			return rc;
		*ret_is_new = true;
		fd =
		    ul_layer_open_beneath(dir_fd, name, O_RDONLY | O_DIRECTORY);
	}
	if (fd < 0)
		return ul_err_sys(err, "open directory");
	rc = passes_on && *ret_is_new ? acl_drop(work, fd, err) : 0;
	if (!rc && is_opaque)
		rc = ul_layer_xattr_set_opaque(work, fd, err);
	if (rc)
		return rc;
	*ret_fd = ul_fd_steal(&fd);
	return 0;
}

static int dir_copy_up(struct ul_layer_work *work, struct ul_layer_dir *dir,
		       struct ul_err *err)
{
	ul_cleanup(ul_closep) int from = -1;
	ul_cleanup(ul_closep) int fd = -1;
	const char *slash = strrchr(dir->path, '/');
	const char *name = slash ? slash + 1 : dir->path;
	struct ul_layer_object object;
	struct ul_layer_attr attr;
	struct stat st;
	bool is_new;
	int rc;

	assert(dir->lower_count > 0);
	rc = ul_layer_work_count(work, err);
	if (rc)
		return rc;
	from = ul_layer_open_beneath(work->tree.fds[dir->lowers[0]], dir->path,
				     O_PATH | O_DIRECTORY);
	if (from < 0 || fstat(from, &st))
		return ul_err_sys(err, "open lower directory %s", dir->path);
	rc = ul_layer_make_dir_at(work, dir->parent, name, &fd, &is_new, err);
	if (rc)
		return rc;
	object = (struct ul_layer_object){ .fd = fd };
	ul_layer_attr_of_stat(&st, &attr);
	rc = dir_set_attr(work, fd, &attr, err);
	if (!rc)
		rc = ul_layer_xattrs_copy(work, from, &object, err);
	if (!rc)
		rc = ul_layer_keep_dir(work, dir->path, &attr, err);
	dir->is_here = !rc;
	return rc || !work->makes_extras
		   ? rc
		   : ul_layer_extra_add(work, dir->path, err);
}

int ul_layer_make_here(struct ul_layer_work *work, struct ul_layer_dir *dir,
		       struct ul_err *err)
{
	struct ul_layer_dir *top;
	int rc;

	while (!dir->is_here) {
		for (top = dir; !top->parent->is_here;)
			top = top->parent;
		rc = dir_copy_up(work, top, err);
		if (rc)
			return rc;
	}
	return 0;
}

int ul_layer_make_here_unasked(struct ul_layer_work *work,
			       struct ul_layer_dir *dir, struct ul_err *err)
{
	int rc;

	work->makes_extras = true;
	rc = ul_layer_make_here(work, dir, err);
	work->makes_extras = false;
	return rc;
}

struct unasked {
	struct ul_layer_work *work;
	struct timespec when;
};

static int dir_make_unasked(void *arg, struct ul_layer_dir *parent,
			    const char *name, struct ul_err *err)
{
	const struct unasked *unasked = arg;
	struct ul_layer_work *work = unasked->work;
	struct ul_layer_attr attr = attr_unasked(unasked->when);
	ul_cleanup(ul_closep) int fd = -1;
	char path[UL_LAYER_PATH_SIZE];
	struct stat st;
	bool is_new;
	int rc;

	rc = ul_layer_work_count(work, err);
	if (!rc)
		rc = ul_layer_path_join(parent, name, path, err);
	if (!rc)
		rc = ul_layer_make_here(work, parent, err);
	if (!rc)
		rc =
		    ul_layer_make_dir_at(work, parent, name, &fd, &is_new, err);
	if (!rc && fstat(fd, &st))
		rc = ul_err_sys(err, "stat directory");
	if (rc)
		return rc;
	/* As mkdir() has made it in a directory that gives its group on. */
	if (st.st_mode & S_ISGID) {
		attr.gid = st.st_gid;
		attr.mode |= S_ISGID;
	}
	rc = dir_set_attr(work, fd, &attr, err);
	return rc ? rc : ul_layer_keep_dir(work, path, &attr, err);
}

int ul_layer_make_path(struct ul_layer_work *work, const char *path,
		       struct timespec when, struct ul_layer_dir **ret_dir,
		       struct ul_err *err)
{
	struct unasked unasked = { .work = work, .when = when };
	struct ul_layer_dir *dir;
	int rc;

	rc = ul_layer_tree_dir(&work->tree, path, dir_make_unasked, &unasked,
			       &dir, err);
	if (rc)
		return rc;
	rc = ul_layer_make_here(work, dir, err);
	if (rc)
		return rc;
	*ret_dir = dir;
	return 0;
}
