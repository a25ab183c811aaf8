#include "store/transfer/layer_path.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/transfer/layer.h"

enum {
	DIRS_REMEMBERED = 16384,
	/* In by_path: a symlink that some path went through. */
	INDEX_SYMLINK = UINT32_MAX - 1,
};

/* A path on its way: where it has got to, and the text still to go. */
struct walk {
	struct ul_layer_dir *at;
	unsigned symlink_count;
	char *rest; /* points into text */
	char text[UL_LAYER_PATH_SIZE];
};

int ul_layer_open_beneath(int layer_fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, layer_fd, *path ? path : ".", &how,
			    sizeof how);
}

bool ul_layer_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

int ul_layer_path_join(const struct ul_layer_dir *dir, const char *name,
		       char path[UL_LAYER_PATH_SIZE], struct ul_err *err)
{
	size_t len = strlen(name);
	size_t at = dir->path_len;

	if (at + 1 + len >= UL_LAYER_PATH_SIZE)
		return ul_err_set(err, UL_E_LIMIT,
				  "path longer than %d bytes once its "
				  "symbolic links are followed",
				  UL_LAYER_PATH_SIZE - 1);
	memcpy(path, dir->path, at);
	if (at > 0)
		path[at++] = '/';
	memcpy(path + at, name, len + 1);
	return 0;
}

static int component_check(const char *name, size_t len, struct ul_err *err)
{
	if (len == 2 && name[0] == '.' && name[1] == '.')
		return ul_err_set(err, UL_E_CORRUPT, "path leaves the image");
	if (len > NAME_MAX)
		return ul_err_set(err, UL_E_LIMIT,
				  "path component longer than %d bytes",
				  NAME_MAX);
	return 0;
}

int ul_layer_path_clean(const char *raw, const struct ul_layer_limits *limits,
			char clean[UL_LAYER_PATH_SIZE], struct ul_err *err)
{
	size_t depth = 0;
	size_t at = 0;
	size_t len;
	int rc;

	assert(limits->path_bytes < UL_LAYER_PATH_SIZE);
	if (!*raw)
		return ul_err_set(err, UL_E_CORRUPT, "path is empty");
	if (*raw == '/')
		return ul_err_set(err, UL_E_CORRUPT, "path is absolute");
	if (strlen(raw) > limits->path_bytes)
		return ul_err_set(err, UL_E_LIMIT, "path longer than %zu bytes",
				  limits->path_bytes);
	for (; *raw; raw += len + (raw[len] == '/')) {
		len = strcspn(raw, "/");
		if (len == 0 || (len == 1 && *raw == '.'))
			continue;
		rc = component_check(raw, len, err);
		if (rc)
			return rc;
		if (++depth > limits->depth)
			return ul_err_set(err, UL_E_LIMIT,
					  "path deeper than %zu directories",
					  limits->depth);
		if (at > 0)
			clean[at++] = '/';
		memcpy(clean + at, raw, len);
		at += len;
	}
	clean[at] = '\0';
	return 0;
}

int ul_layer_tree_init(struct ul_layer_tree *tree, int fs_fd,
		       const int *lower_fds, size_t lower_count,
		       const struct ul_layer_limits *limits, struct ul_err *err)
{
	assert(lower_count <= UL_IMAGE_MAX_LAYERS);
	*tree = UL_LAYER_TREE_INIT;
	tree->limits = limits;
	tree->count = lower_count + 1;
	tree->fds = ul_calloc(tree->count, sizeof *tree->fds);
	tree->scratch = ul_calloc(tree->count, sizeof *tree->scratch);
	if (!tree->fds || !tree->scratch) {
		ul_layer_tree_release(tree);
		return ul_err_nomem(err);
	}
	tree->fds[0] = fs_fd;
	if (lower_count > 0)
		memcpy(tree->fds + 1, lower_fds,
		       lower_count * sizeof *lower_fds);
	return 0;
}

void ul_layer_tree_close(struct ul_layer_tree *tree)
{
	ul_closep(&tree->open_fd);
	tree->open_dir = NULL;
}

static void tree_forget_all(struct ul_layer_tree *tree)
{
	ul_layer_tree_close(tree);
	ul_map_release(&tree->by_path);
	ul_map_release(&tree->by_name);
	ul_arena_release(&tree->arena);
	tree->dir_count = 0;
}

void ul_layer_tree_release(struct ul_layer_tree *tree)
{
	tree_forget_all(tree);
	free(tree->dirs);
	free(tree->fds);
	free(tree->scratch);
	*tree = UL_LAYER_TREE_INIT;
}

void ul_layer_tree_made(struct ul_layer_tree *tree, const char *path)
{
	uint32_t index = ul_map_get_str(&tree->by_path, path);

	if (index == INDEX_SYMLINK)
		tree_forget_all(tree);
	else if (index != UL_MAP_NONE)
		tree->dirs[index]->is_here = true;
}

void ul_layer_tree_forget(struct ul_layer_tree *tree, const char *path)
{
	if (ul_map_get_str(&tree->by_path, path) != UL_MAP_NONE)
		tree_forget_all(tree);
}

void ul_layer_tree_trim(struct ul_layer_tree *tree)
{
	if (tree->dir_count > DIRS_REMEMBERED ||
	    tree->by_name.len > DIRS_REMEMBERED ||
	    tree->by_path.len > DIRS_REMEMBERED)
		tree_forget_all(tree);
}

/* Remember a path under a copy of its text. */
static int tree_remember(struct ul_layer_tree *tree, struct ul_map *map,
			 const char *path, uint32_t index, struct ul_err *err)
{
	size_t len = strlen(path);
	char *key = ul_arena_strndup(&tree->arena, path, len);

	if (!key || !ul_map_set(map, key, len, index))
		return ul_err_nomem(err);
	return 0;
}

/* A directory that shows in this layer or not, and in those of `scratch`. */
static int tree_add(struct ul_layer_tree *tree, struct ul_layer_dir *parent,
		    const char *path, bool is_here, size_t lower_count,
		    struct ul_layer_dir **ret_dir, struct ul_err *err)
{
	struct ul_layer_dir **dirs;
	struct ul_layer_dir *dir;
	size_t path_len = strlen(path);

	dirs = ul_grow(tree->dirs, &tree->dir_cap, tree->dir_count + 1,
		       sizeof *dirs);
	if (!dirs)
		return ul_err_nomem(err);
	tree->dirs = dirs;
	dir = ul_arena_alloc(&tree->arena,
			     sizeof *dir + lower_count * sizeof *dir->lowers);
	if (!dir)
		return ul_err_nomem(err);
	dir->parent = parent;
	dir->depth = parent ? parent->depth + 1 : 0;
	dir->path = ul_arena_strndup(&tree->arena, path, path_len);
	dir->path_len = path_len;
	dir->is_here = is_here;
	dir->lower_count = (uint16_t)lower_count;
	memcpy(dir->lowers, tree->scratch, lower_count * sizeof *dir->lowers);
	if (!dir->path || !ul_map_set(&tree->by_path, dir->path, path_len,
				      (uint32_t)tree->dir_count))
		return ul_err_nomem(err);
	tree->dirs[tree->dir_count++] = dir;
	*ret_dir = dir;
	return 0;
}

static int tree_root(struct ul_layer_tree *tree, struct ul_layer_dir **ret_dir,
		     struct ul_err *err)
{
	size_t i;

	if (tree->dir_count > 0) {
		*ret_dir = tree->dirs[0];
		return 0;
	}
	/* overlayfs stacks the roots of all layers, opaque or not. */
	for (i = 1; i < tree->count; i++)
		tree->scratch[i - 1] = (uint16_t)i;
	return tree_add(tree, NULL, "", true, tree->count - 1, ret_dir, err);
}

static bool fd_has_xattr(int fd, const char *name, const char *value)
{
	char link[64];
	char found[16];
	ssize_t len;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	len = getxattr(link, name, found, sizeof found);
	if (!value)
		return len >= 0 || errno == ERANGE;
	return len == (ssize_t)strlen(value) &&
	       !memcmp(found, value, (size_t)len);
}

static bool dir_is_opaque(int fd)
{
	return fd_has_xattr(fd, "trusted.overlay.opaque", "y") ||
	       fd_has_xattr(fd, "user.overlay.opaque", "y");
}

/* Look at one path in one layer. is_opaque: only told for directories. */
static int layer_look(const struct ul_layer_tree *tree, uint16_t layer,
		      const char *path, struct stat *ret_st, bool *ret_absent,
		      bool *ret_opaque, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;

	fd = ul_layer_open_beneath(tree->fds[layer], path, O_PATH);
	*ret_absent = fd < 0 && errno == ENOENT;
	if (*ret_absent)
		return 0;
	if (fd < 0)
		return ul_err_sys(err, "look at %s in layer %u below", path,
				  layer);
	if (fstat(fd, ret_st))
		return ul_err_sys(err, "stat %s", path);
	*ret_opaque = S_ISDIR(ret_st->st_mode) && dir_is_opaque(fd);
	return 0;
}

static enum ul_layer_kind kind_of(mode_t mode)
{
	if (S_ISDIR(mode))
		return UL_LAYER_DIR;
	return S_ISLNK(mode) ? UL_LAYER_SYMLINK : UL_LAYER_OTHER;
}

/*
 * Look through the layers that `dir` shows, from number `from` on (0: this
 * layer, 1: its nearest below). For a directory, scratch[] gets all layers
 * that take part in it, *ret_count their number.
 */
static int tree_look(struct ul_layer_tree *tree, const struct ul_layer_dir *dir,
		     const char *path, size_t from, struct ul_layer_found *ret,
		     size_t *ret_count, struct ul_err *err)
{
	bool is_absent, is_opaque = false;
	uint16_t layer;
	struct stat st;
	size_t i;
	int rc;

	ret->kind = UL_LAYER_ABSENT;
	*ret_count = 0;
	for (i = from; i <= dir->lower_count && !is_opaque; i++) {
		layer = i == 0 ? 0 : dir->lowers[i - 1];
		rc = layer_look(tree, layer, path, &st, &is_absent, &is_opaque,
				err);
		if (rc)
			return rc;
		if (is_absent)
			continue;
		if (ul_layer_is_whiteout(&st))
			break;
		if (!S_ISDIR(st.st_mode) && *ret_count > 0)
			break;
		if (*ret_count == 0) {
			ret->kind = kind_of(st.st_mode);
			ret->layer = layer;
			ret->st = st;
		}
		tree->scratch[(*ret_count)++] = layer;
		if (!S_ISDIR(st.st_mode))
			break;
	}
	return 0;
}

int ul_layer_tree_find(struct ul_layer_tree *tree,
		       const struct ul_layer_dir *dir, const char *name,
		       bool only_below, struct ul_layer_found *ret,
		       struct ul_err *err)
{
	char path[UL_LAYER_PATH_SIZE];
	size_t count;
	int rc;

	rc = ul_layer_path_join(dir, name, path, err);
	if (rc)
		return rc;
	return tree_look(tree, dir, path, only_below || !dir->is_here, ret,
			 &count, err);
}

int ul_layer_tree_open(struct ul_layer_tree *tree,
		       const struct ul_layer_dir *dir, int *ret_fd,
		       bool *ret_passes_on, struct ul_err *err)
{
	struct stat st;

	assert(dir->is_here);
	if (tree->open_dir != dir) {
		ul_layer_tree_close(tree);
		tree->open_fd = ul_layer_open_beneath(tree->fds[0], dir->path,
						      O_PATH | O_DIRECTORY);
		if (tree->open_fd < 0 || fstat(tree->open_fd, &st))
			return ul_err_sys(err, "open directory %s", dir->path);
		tree->open_dir = dir;
		tree->open_passes_on =
		    (st.st_mode & S_ISGID) ||
		    fd_has_xattr(tree->open_fd, "system.posix_acl_default",
				 NULL);
	}
	*ret_fd = tree->open_fd;
	if (ret_passes_on)
		*ret_passes_on = tree->open_passes_on;
	return 0;
}

/* Put a symlink's target before what is still to go. */
static int walk_symlink(struct ul_layer_tree *tree, struct walk *walk,
			const char *path, uint16_t layer, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	char target[UL_LAYER_PATH_SIZE];
	size_t rest_len = strlen(walk->rest);
	ssize_t len;

	if (++walk->symlink_count > tree->limits->symlink_count)
		return ul_err_set(err, UL_E_LIMIT,
				  "more than %u symbolic links on the way",
				  tree->limits->symlink_count);
	fd = ul_layer_open_beneath(tree->fds[layer], path, O_PATH);
	if (fd < 0)
		return ul_err_sys(err, "open symbolic link %s", path);
	len = readlinkat(fd, "", target, sizeof target);
	if (len < 0)
		return ul_err_sys(err, "read symbolic link %s", path);
	if ((size_t)len + 1 + rest_len >= sizeof walk->text)
		return ul_err_set(err, UL_E_LIMIT,
				  "path longer than %d bytes once its "
				  "symbolic links are followed",
				  UL_LAYER_PATH_SIZE - 1);
	memmove(walk->text + len + 1, walk->rest, rest_len + 1);
	memcpy(walk->text, target, (size_t)len);
	walk->text[len] = '/';
	walk->rest = walk->text;
	if (target[0] == '/')
		walk->at = tree->dirs[0];
	return tree_remember(tree, &tree->by_path, path, INDEX_SYMLINK, err);
}

/* A component not remembered as a directory. */
static int walk_look(struct ul_layer_tree *tree, struct walk *walk,
		     const char *path, enum ul_layer_kind *ret_kind,
		     struct ul_err *err)
{
	struct ul_layer_found found;
	size_t count;
	bool is_here;
	int rc;

	rc = tree_look(tree, walk->at, path, !walk->at->is_here, &found, &count,
		       err);
	if (rc)
		return rc;
	*ret_kind = found.kind;
	if (found.kind == UL_LAYER_SYMLINK)
		return walk_symlink(tree, walk, path, found.layer, err);
	if (found.kind == UL_LAYER_OTHER)
		return ul_err_set(err, UL_E_CORRUPT,
				  "its parent %s is not a directory", path);
	if (found.kind == UL_LAYER_ABSENT)
		return 0;
	is_here = tree->scratch[0] == 0;
	if (is_here)
		memmove(tree->scratch, tree->scratch + 1,
			--count * sizeof *tree->scratch);
	return tree_add(tree, walk->at, path, is_here, count, &walk->at, err);
}

static int walk_make(struct ul_layer_tree *tree, struct walk *walk,
		     const char *name, const char *path,
		     ul_layer_make_dir *make, void *arg, struct ul_err *err)
{
	int rc;

	rc = make(arg, walk->at, name, err);
	if (rc)
		return rc;
	return tree_add(tree, walk->at, path, true, 0, &walk->at, err);
}

/* Go one component on. *ret_absent: it is not there and was not made. */
static int walk_step(struct ul_layer_tree *tree, struct walk *walk,
		     const char *name, ul_layer_make_dir *make, void *arg,
		     bool *ret_absent, struct ul_err *err)
{
	enum ul_layer_kind kind;
	char path[UL_LAYER_PATH_SIZE];
	uint32_t index;
	int rc;

	rc = ul_layer_path_join(walk->at, name, path, err);
	if (rc)
		return rc;
	if (walk->at->depth >= tree->limits->depth)
		return ul_err_set(err, UL_E_LIMIT,
				  "path deeper than %zu directories",
				  tree->limits->depth);
	index = ul_map_get_str(&tree->by_path, path);
	if (index < tree->dir_count) {
		walk->at = tree->dirs[index];
		return 0;
	}
	rc = walk_look(tree, walk, path, &kind, err);
	if (rc || kind != UL_LAYER_ABSENT)
		return rc;
	*ret_absent = !make;
	return make ? walk_make(tree, walk, name, path, make, arg, err) : 0;
}

/* Take the next component off the rest; false at the end. */
static bool walk_next(struct walk *walk, char name[NAME_MAX + 1],
		      struct ul_err *err)
{
	size_t len;

	walk->rest += strspn(walk->rest, "/");
	len = strcspn(walk->rest, "/");
	if (len == 0)
		return false;
	if (len > NAME_MAX) {
		ul_err_set(err, UL_E_LIMIT,
			   "path component longer than %d bytes", NAME_MAX);
		return false;
	}
	memcpy(name, walk->rest, len);
	name[len] = '\0';
	walk->rest += len;
	return true;
}

static int walk_path(struct ul_layer_tree *tree, struct walk *walk,
		     ul_layer_make_dir *make, void *arg, bool *ret_absent,
		     struct ul_err *err)
{
	struct ul_err name_err = UL_ERR_INIT;
	char name[NAME_MAX + 1];
	int rc;

	while (!*ret_absent && walk_next(walk, name, &name_err)) {
		if (!strcmp(name, "."))
			continue;
		if (!strcmp(name, "..")) {
			if (walk->at->parent)
				walk->at = walk->at->parent;
			continue;
		}
		rc = walk_step(tree, walk, name, make, arg, ret_absent, err);
		if (rc)
			return rc;
	}
	if (name_err.code)
		*err = name_err;
	return name_err.code;
}

int ul_layer_tree_dir(struct ul_layer_tree *tree, const char *path,
		      ul_layer_make_dir *make, void *arg,
		      struct ul_layer_dir **ret_dir, struct ul_err *err)
{
	uint32_t index = ul_map_get_str(&tree->by_name, path);
	bool is_absent = false;
	struct walk walk;
	int rc;

	if (index != UL_MAP_NONE) {
		*ret_dir = tree->dirs[index];
		return 0;
	}
	walk.symlink_count = 0;
	walk.rest = walk.text;
	snprintf(walk.text, sizeof walk.text, "%s", path);
	rc = tree_root(tree, &walk.at, err);
	if (rc)
		return rc;
	rc = walk_path(tree, &walk, make, arg, &is_absent, err);
	if (rc)
		return rc;
	*ret_dir = is_absent ? NULL : walk.at;
	if (is_absent)
		return 0;
	index = ul_map_get_str(&tree->by_path, walk.at->path);
	return tree_remember(tree, &tree->by_name, path, index, err);
}
