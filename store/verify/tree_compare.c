#include "store/verify/tree_compare.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/transfer/layer_path.h"

enum { BLOCK_BYTES = 256 << 10, XATTRS_MAX_BYTES = 64 << 10 };

struct inode {
	uint64_t dev, ino;
};

/* Both sides of one name. */
struct pair {
	const char *path; /* relative to both tops */
	struct stat left, right;
};

struct run {
	const struct ul_tree_compare *compare;
	struct ul_names queue; /* directories that both have, to be entered */
	struct ul_map left_links, right_links; /* struct inode -> its number */
	uint32_t link_count;
	char *blocks[2]; /* owned */
	int count;
	struct ul_buf *first;
	struct ul_arena arena;
	struct ul_err *err;
};

static void run_release(struct run *run)
{
	ul_names_release(&run->queue);
	ul_map_release(&run->left_links);
	ul_map_release(&run->right_links);
	free(run->blocks[0]);
	free(run->blocks[1]);
	ul_arena_release(&run->arena);
}

static int differs(struct run *run, const char *path, const char *what)
{
	if (!run->count &&
	    !ul_buf_printf(run->first, "%s: %s", *path ? path : "/", what))
		return ul_err_nomem(run->err);
	if (run->count < INT_MAX)
		run->count++;
	return 0;
}

/* NULL: the same, as far as stat() says. */
static const char *stat_differs(const struct run *run, const struct pair *pair)
{
	const struct stat *a = &pair->left, *b = &pair->right;

	if ((a->st_mode & S_IFMT) != (b->st_mode & S_IFMT))
		return "another type";
	if (a->st_mode != b->st_mode)
		return "mode";
	if (!run->compare->skip_owners &&
	    (a->st_uid != b->st_uid || a->st_gid != b->st_gid))
		return "owner";
	if (S_ISREG(a->st_mode) && a->st_size != b->st_size)
		return "length";
	if ((S_ISCHR(a->st_mode) || S_ISBLK(a->st_mode)) &&
	    a->st_rdev != b->st_rdev)
		return "device";
	/* Nobody sees a whiteout's, and unpacking leaves it as it comes. */
	if (!ul_layer_is_whiteout(a) &&
	    (a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
	     a->st_mtim.tv_nsec != b->st_mtim.tv_nsec))
		return "time of change";
	return NULL;
}

/* The first name that an inode was met under, as a number from 1. */
static bool link_number(struct run *run, struct ul_map *links,
			const struct stat *st, uint32_t next, uint32_t *ret)
{
	struct inode key = { st->st_dev, st->st_ino }, *copy;
	uint32_t found = ul_map_get(links, &key, sizeof key);

	if (found == UL_MAP_NONE) {
		copy = ul_arena_alloc(&run->arena, sizeof *copy);
		if (!copy)
			return false;
		*copy = key;
		found = next;
		if (!ul_map_set(links, copy, sizeof *copy, next))
			return false;
	}
	*ret = found;
	return true;
}

/* Names are met in the same order on both sides. 1: linked otherwise. */
static int links_differ(struct run *run, const struct pair *pair)
{
	uint32_t left, right;

	if (S_ISDIR(pair->left.st_mode) ||
	    (pair->left.st_nlink < 2 && pair->right.st_nlink < 2))
		return 0;
	run->link_count++;
	if (!link_number(run, &run->left_links, &pair->left, run->link_count,
			 &left) ||
	    !link_number(run, &run->right_links, &pair->right, run->link_count,
			 &right))
		return ul_err_nomem(run->err);
	return left != right;
}

static int open_at(struct run *run, int top_fd, const char *path, int flags,
		   int *ret_fd)
{
	*ret_fd = ul_layer_open_beneath(top_fd, path, flags);
	if (*ret_fd < 0)
		return ul_err_sys(run->err, "open %s", path);
	return 0;
}

static ssize_t read_full(int fd, char *block)
{
	size_t len = 0;
	ssize_t got;

	while (len < BLOCK_BYTES) {
		got = read(fd, block + len, BLOCK_BYTES - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (!got)
			break;
		len += (size_t)got;
	}
	return (ssize_t)len;
}

static int content_differs(struct run *run, const char *path)
{
	ul_cleanup(ul_closep) int left = -1, right = -1;
	ssize_t len[2];
	int rc = open_at(run, run->compare->left_fd, path,
			 O_RDONLY | O_NONBLOCK, &left);

	if (!rc)
		rc = open_at(run, run->compare->right_fd, path,
			     O_RDONLY | O_NONBLOCK, &right);
	if (rc)
		return rc;
	do {
		len[0] = read_full(left, run->blocks[0]);
		len[1] = read_full(right, run->blocks[1]);
		if (len[0] < 0 || len[1] < 0)
			return ul_err_sys(run->err, "read %s", path);
		if (len[0] != len[1] ||
		    memcmp(run->blocks[0], run->blocks[1], (size_t)len[0]) != 0)
			return 1;
	} while (len[0]);
	return 0;
}

static int target_differs(struct run *run, const char *path)
{
	ssize_t left = readlinkat(run->compare->left_fd, path, run->blocks[0],
				  BLOCK_BYTES);
	ssize_t right = readlinkat(run->compare->right_fd, path, run->blocks[1],
				   BLOCK_BYTES);

	if (left < 0 || right < 0)
		return ul_err_sys(run->err, "read the link %s", path);
	return left != right ||
	       memcmp(run->blocks[0], run->blocks[1], (size_t)left) != 0;
}

/* The host labels files by itself; unpacking leaves that out. */
static bool is_of_host(const char *name)
{
	return !strcmp(name, "security.selinux");
}

/* "NAME NUL length value" of all, sorted by name. */
static int xattrs_read(struct run *run, int top_fd, const char *path,
		       struct ul_buf *ret)
{
	char by_fd[64];
	ul_cleanup(ul_closep) int fd = -1;
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	char *list = run->blocks[0], *value = run->blocks[1], *at;
	ssize_t len;
	size_t i, best;
	int rc = open_at(run, top_fd, path, O_PATH, &fd);

	if (rc)
		return rc;
	/* As lgetxattr() on the descriptor: O_PATH has no other way. */
	snprintf(by_fd, sizeof by_fd, "/proc/self/fd/%d", fd);
	len = listxattr(by_fd, list, XATTRS_MAX_BYTES);
	if (len < 0)
		return errno == ENOTSUP || errno == EPERM || errno == ENOENT
			   ? 0
			   : ul_err_sys(run->err, "list attributes of %s",
					path);
	for (at = list; at < list + len; at += strlen(at) + 1) {
		if (!is_of_host(at) && !ul_names_add(&names, at))
			return ul_err_nomem(run->err);
	}
	while (names.len) {
		for (i = best = 0; i < names.len; i++) {
			if (strcmp(names.names[i], names.names[best]) < 0)
				best = i;
		}
		len =
		    getxattr(by_fd, names.names[best], value, XATTRS_MAX_BYTES);
		ul_buf_printf(ret, "%s=%zd:", names.names[best], len);
		ul_buf_add(ret, value, len > 0 ? (size_t)len : 0);
		free(names.names[best]);
		names.names[best] = names.names[--names.len];
	}
	return ret->failed ? ul_err_nomem(run->err) : 0;
}

static int xattrs_differ(struct run *run, const char *path)
{
	ul_cleanup(ul_buf_release) struct ul_buf left = UL_BUF_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf right = UL_BUF_INIT;
	int rc = 0;

	if (run->compare->skip_xattrs)
		return 0;
	rc = xattrs_read(run, run->compare->left_fd, path, &left);
	if (!rc)
		rc = xattrs_read(run, run->compare->right_fd, path, &right);
	if (rc)
		return rc;
	return left.len != right.len ||
	       (left.len && memcmp(left.data, right.data, left.len) != 0);
}

/* What both have under one name. */
static int pair_compare(struct run *run, const struct pair *pair)
{
	const char *what = stat_differs(run, pair);
	int rc = 0;

	if (run->compare->skip_devices &&
	    (S_ISCHR(pair->left.st_mode) || S_ISBLK(pair->left.st_mode) ||
	     S_ISCHR(pair->right.st_mode) || S_ISBLK(pair->right.st_mode)))
		return 0;
	if (!what && S_ISREG(pair->left.st_mode))
		rc = content_differs(run, pair->path);
	if (!what && S_ISLNK(pair->left.st_mode))
		rc = target_differs(run, pair->path);
	if (rc > 0)
		what = "content";
	if (!what && !rc)
		rc = links_differ(run, pair);
	if (!what && rc > 0)
		what = "hard links";
	if (!what && !rc)
		rc = xattrs_differ(run, pair->path);
	if (!what && rc > 0)
		what = "extended attributes";
	if (rc < 0)
		return rc;
	return what ? differs(run, pair->path, what) : 0;
}

static int both(struct run *run, const char *path)
{
	struct pair pair = { .path = path };
	const char *at = *path ? path : ".";

	if (fstatat(run->compare->left_fd, at, &pair.left,
		    AT_SYMLINK_NOFOLLOW) ||
	    fstatat(run->compare->right_fd, at, &pair.right,
		    AT_SYMLINK_NOFOLLOW))
		return ul_err_sys(run->err, "stat %s", at);
	if (S_ISDIR(pair.left.st_mode) && S_ISDIR(pair.right.st_mode) &&
	    !ul_names_add(&run->queue, path))
		return ul_err_nomem(run->err);
	return pair_compare(run, &pair);
}

static int names_read(struct run *run, int top_fd, const char *dir,
		      struct ul_names *ret)
{
	ul_cleanup(ul_closep) int fd = -1;
	int rc = open_at(run, top_fd, dir, O_RDONLY | O_DIRECTORY, &fd);

	return rc ? rc : ul_dir_names(fd, ret, run->err);
}

static int name_compare(struct run *run, const char *dir, const char *name,
			const char *what)
{
	ul_cleanup(ul_freep) char *path =
	    *dir ? ul_asprintf("%s/%s", dir, name) : ul_strdup(name);

	if (!path)
		return ul_err_nomem(run->err);
	return what ? differs(run, path, what) : both(run, path);
}

/* The names of two directories, in order. */
static int dir_compare(struct run *run, const char *dir)
{
	ul_cleanup(ul_names_release) struct ul_names left = UL_NAMES_INIT;
	ul_cleanup(ul_names_release) struct ul_names right = UL_NAMES_INIT;
	size_t l = 0, r = 0;
	int rc = names_read(run, run->compare->left_fd, dir, &left);

	if (!rc)
		rc = names_read(run, run->compare->right_fd, dir, &right);
	while (!rc && (l < left.len || r < right.len)) {
		int order = l == left.len ? 1
			    : r == right.len
				? -1
				: strcmp(left.names[l], right.names[r]);

		if (order < 0)
			rc = name_compare(run, dir, left.names[l++],
					  "is missing");
		else if (order > 0)
			rc = name_compare(run, dir, right.names[r++],
					  "is too much");
		else
			rc = name_compare(run, dir, left.names[l++], NULL);
		r += order == 0;
	}
	return rc;
}

int ul_tree_compare(const struct ul_tree_compare *compare,
		    struct ul_buf *ret_first, struct ul_err *err)
{
	ul_cleanup(run_release) struct run run = {
		.compare = compare,
		.first = ret_first,
		.err = err,
	};
	int rc;

	run.blocks[0] = ul_malloc(BLOCK_BYTES);
	run.blocks[1] = ul_malloc(BLOCK_BYTES);
	if (!run.blocks[0] || !run.blocks[1])
		return ul_err_nomem(err);
	rc = both(&run, "");
	while (!rc && run.queue.len) {
		ul_cleanup(ul_freep) char *dir =
		    run.queue.names[--run.queue.len];

		rc = dir_compare(&run, dir);
	}
	return rc ? rc : run.count;
}
