#include "store/transfer/layer_whiteout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/transfer/layer_attr.h"
#include "store/transfer/layer_make.h"
#include "store/transfer/layer_work.h"

/* Linux lets everybody make 0/0 (since 5.8); others may not. */
static int whiteout_make(struct ul_layer_work *work, struct ul_layer_dir *dir,
			 const char *name, const char *path, struct ul_err *err)
{
	int dir_fd;
	int rc;

	rc = ul_layer_work_count(work, err);
	if (!rc)
		rc = ul_layer_make_here_unasked(work, dir, err);
	if (!rc)
		rc = ul_layer_tree_open(&work->tree, dir, &dir_fd, NULL, err);
	if (rc)
		return rc;
	if (!mknodat(dir_fd, name, S_IFCHR, makedev(0, 0)))
		return ul_layer_extra_add(work, path, err);
	if (errno != EPERM)
		return ul_err_sys(err, "make whiteout");
	work->result.skipped_devices++;
	return 0;
}

static int dir_make_opaque(struct ul_layer_work *work, const char *path,
			   struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;

	fd = ul_layer_open_beneath(work->tree.fds[0], path,
				   O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return ul_err_sys(err, "open directory %s", path);
	return ul_layer_xattr_set_opaque(work, fd, err);
}

/* What this layer made for those below goes with them. */
static int extra_remove(struct ul_layer_work *work, struct ul_layer_dir *dir,
			const char *name, struct ul_err *err)
{
	int dir_fd;
	int rc;

	rc = ul_layer_tree_open(&work->tree, dir, &dir_fd, NULL, err);
	return rc ? rc : ul_layer_make_room(dir_fd, name, err);
}

/* Hide one name. `dir` and all others are invalid afterwards. */
static int name_hide(struct ul_layer_work *work, struct ul_layer_dir *dir,
		     const char *name, struct ul_err *err)
{
	struct ul_layer_found below, here;
	char path[UL_LAYER_PATH_SIZE];
	int rc;

	rc = ul_layer_path_join(dir, name, path, err);
	if (!rc)
		rc = ul_layer_tree_find(&work->tree, dir, name, true, &below,
					err);
	if (rc || below.kind == UL_LAYER_ABSENT)
		return rc;
	rc = ul_layer_tree_find(&work->tree, dir, name, false, &here, err);
	if (rc)
		return rc;
	if (here.kind == UL_LAYER_ABSENT)
		return 0;
	if (here.layer == 0 && ul_layer_extra_is(work, path)) {
		rc = extra_remove(work, dir, name, err);
		here.layer = 1;
	}
	if (rc)
		return rc;
	if (here.layer != 0)
		rc = whiteout_make(work, dir, name, path, err);
	else if (here.kind == UL_LAYER_DIR && below.kind == UL_LAYER_DIR)
		rc = dir_make_opaque(work, path, err);
	if (!rc)
		ul_layer_tree_forget(&work->tree, path);
	return rc;
}

int ul_layer_whiteout(struct ul_layer_work *work, const char *parent,
		      const char *name, struct ul_err *err)
{
	struct ul_layer_dir *dir;
	int rc;

	rc = ul_layer_tree_dir(&work->tree, parent, NULL, NULL, &dir, err);
	if (rc || !dir)
		return rc;
	return name_hide(work, dir, name, err);
}

/* All that one layer has in its root. */
static int root_hide_layer(struct ul_layer_work *work, int layer_fd,
			   struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int fd = -1;
	size_t i;
	int rc;

	fd = ul_layer_open_beneath(layer_fd, "", O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return ul_err_sys(err, "open the root of a layer below");
	rc = ul_dir_names(fd, &names, err);
	for (i = 0; !rc && i < names.len; i++)
		rc = ul_layer_whiteout(work, "", names.names[i], err);
	return rc;
}

int ul_layer_opaque(struct ul_layer_work *work, const char *parent,
		    struct ul_err *err)
{
	struct ul_layer_dir *dir;
	size_t i;
	int rc;

	rc = ul_layer_tree_dir(&work->tree, parent, NULL, NULL, &dir, err);
	if (rc || !dir)
		return rc;
	if (!dir->parent) {
		for (i = 1; !rc && i < work->tree.count; i++)
			rc = root_hide_layer(work, work->tree.fds[i], err);
		return rc;
	}
	rc = ul_layer_make_here_unasked(work, dir, err);
	if (!rc)
		rc = dir_make_opaque(work, dir->path, err);
	if (!rc)
		ul_layer_tree_forget(&work->tree, dir->path);
	return rc;
}

/* Remove one if nothing that is below shows at its path any more. */
static int extra_settle(struct ul_layer_work *work, const char *path,
			struct ul_err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char parent[UL_LAYER_PATH_SIZE];
	struct ul_layer_found below;
	struct ul_layer_dir *dir;
	int dir_fd;
	int rc;

	memcpy(parent, path, (size_t)(name - path));
	parent[slash ? slash - path : 0] = '\0';
	ul_layer_tree_trim(&work->tree);
	rc = ul_layer_tree_dir(&work->tree, parent, NULL, NULL, &dir, err);
	if (rc == UL_E_CORRUPT || rc == UL_E_LIMIT)
		return 0; /* its directory has been replaced since */
	if (rc || !dir || !dir->is_here || strcmp(dir->path, parent) != 0)
		return rc;
	rc = ul_layer_tree_open(&work->tree, dir, &dir_fd, NULL, err);
	if (!rc)
		rc = ul_layer_tree_find(&work->tree, dir, name, true, &below,
					err);
	if (rc || below.kind != UL_LAYER_ABSENT)
		return rc;
	rc = ul_layer_make_room(dir_fd, name, err);
	if (!rc)
		ul_layer_tree_forget(&work->tree, path);
	return rc;
}

int ul_layer_extras_settle(struct ul_layer_work *work, struct ul_err *err)
{
	size_t i;
	int rc;

	for (i = 0; i < work->extra_count; i++) {
		if (work->extras[i].is_claimed)
			continue;
		rc = extra_settle(work, work->extras[i].path, err);
		if (rc)
			return rc;
	}
	return 0;
}
