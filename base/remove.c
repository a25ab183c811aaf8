#include "base/remove.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirpool.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"

enum {
	REMOVE_LOCKS = 64,
	/* A file system may skip names when others go while it lists them,
	 * and somebody may still add some: look again, but not for ever. */
	REMOVE_VISITS_MAX = 8,
};

struct removal {
	const char *const *paths;
	atomic_bool *failed; /* owned; of each tree */
	atomic_uint_fast64_t freed_bytes, object_count;
	/* One thread at a time removes names of an inode that has several, so
	 * that exactly one of them sees the last. By inode number. */
	pthread_mutex_t links[REMOVE_LOCKS];
	pthread_mutex_t lock; /* of err */
	struct ul_err err;    /* the first */
};

static struct removal *removal_of(const struct ul_dirpool_worker *worker)
{
	return worker->pool->user;
}

static bool has_failed(const struct ul_dirpool_worker *worker, size_t tree)
{
	return atomic_load(&removal_of(worker)->failed[tree]);
}

static void tree_fail(struct ul_dirpool_worker *worker, size_t tree,
		      const struct ul_err *err)
{
	struct removal *removal = removal_of(worker);

	atomic_store(&removal->failed[tree], true);
	pthread_mutex_lock(&removal->lock);
	if (!removal->err.code)
		removal->err = *err;
	pthread_mutex_unlock(&removal->lock);
}

static void count_removed(struct removal *removal, uint64_t bytes)
{
	atomic_fetch_add_explicit(&removal->freed_bytes, bytes,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&removal->object_count, 1,
				  memory_order_relaxed);
}

/* What errno says of a name below dir (of dir itself where it is NULL). */
static int path_error(const char *what, const struct ul_dirpool_dir *dir,
		      const char *name, struct ul_err *err)
{
	int saved = errno;
	ul_cleanup(ul_freep) char *path = ul_dirpool_path(dir, name);

	if (!path)
		return ul_err_nomem(err);
	errno = saved;
	return ul_err_sys(err, "%s %s", what, path);
}

static int mount_error(const struct ul_dirpool_dir *dir, const char *name,
		       struct ul_err *err)
{
	ul_cleanup(ul_freep) char *path = ul_dirpool_path(dir, name);

	if (!path)
		return ul_err_nomem(err);
	return ul_err_set(err, UL_E_REFUSED, "%s is a mount point", path);
}

static int name_unlink(struct removal *removal, int fd, const char *name,
		       const struct statx *st)
{
	if (unlinkat(fd, name, 0))
		return ul_scan_is_gone(errno) ? 0 : -1;
	count_removed(removal,
		      st->stx_nlink > 1 ? 0 : ul_scan_allocated_bytes(st));
	return 0;
}

static int link_unlink(struct removal *removal, int fd, const char *name,
		       struct statx *st)
{
	pthread_mutex_t *lock = &removal->links[st->stx_ino % REMOVE_LOCKS];
	int rc, saved;

	pthread_mutex_lock(lock);
	rc = ul_scan_stat(fd, name, st);
	if (!rc)
		rc = name_unlink(removal, fd, name, st);
	else if (ul_scan_is_gone(errno))
		rc = 0;
	saved = errno;
	pthread_mutex_unlock(lock);
	errno = saved;
	return rc;
}

/* Remove a name that is no directory. 0, or -1 with errno. */
static int entry_unlink(struct removal *removal, int fd, const char *name,
			struct statx *st)
{
	return st->stx_nlink > 1 ? link_unlink(removal, fd, name, st)
				 : name_unlink(removal, fd, name, st);
}

static bool is_mount(const struct statx *st)
{
	return st->stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

static int top_remove(struct ul_dirpool_worker *worker, size_t tree,
		      struct ul_err *err)
{
	struct removal *removal = removal_of(worker);
	const char *path = removal->paths[tree];
	int dirfd = worker->pool->dirfd;
	struct ul_dirpool_dir *dir;
	struct statx st;

	if (ul_scan_stat(dirfd, path, &st))
		return ul_scan_is_gone(errno)
			   ? 0
			   : ul_err_sys(err, "stat %s", path);
	if (is_mount(&st))
		return mount_error(NULL, path, err);
	if (!S_ISDIR(st.stx_mode))
		return entry_unlink(removal, dirfd, path, &st)
			   ? ul_err_sys(err, "remove %s", path)
			   : 0;
	dir = ul_dirpool_add(worker, NULL, tree, path);
	if (!dir)
		return ul_err_nomem(err);
	dir->mnt_id = st.stx_mnt_id;
	dir->dev = ul_scan_dev(&st);
	return 0;
}

static void remove_top(struct ul_dirpool_worker *worker, size_t tree)
{
	struct ul_err err;

	if (top_remove(worker, tree, &err))
		tree_fail(worker, tree, &err);
}

static bool is_elsewhere(const struct ul_dirpool_dir *dir,
			 const struct statx *st)
{
	return is_mount(st) || st->stx_mnt_id != dir->mnt_id ||
	       (S_ISDIR(st->stx_mode) && ul_scan_dev(st) != dir->dev);
}

static int entry_remove(struct ul_dirpool_worker *worker,
			struct ul_dirpool_dir *dir, int fd, const char *name,
			struct ul_err *err)
{
	struct ul_dirpool_dir *child;
	struct statx st;

	if (ul_scan_stat(fd, name, &st))
		return ul_scan_is_gone(errno)
			   ? 0
			   : path_error("stat", dir, name, err);
	if (is_elsewhere(dir, &st))
		return mount_error(dir, name, err);
	if (!S_ISDIR(st.stx_mode))
		return entry_unlink(removal_of(worker), fd, name, &st)
			   ? path_error("remove", dir, name, err)
			   : 0;
	child = ul_dirpool_add(worker, dir, dir->tree, name);
	if (!child)
		return ul_err_nomem(err);
	child->mnt_id = dir->mnt_id;
	child->dev = dir->dev;
	return 0;
}

static int entries_remove(struct ul_dirpool_worker *worker,
			  struct ul_dirpool_dir *dir, int fd,
			  struct ul_err *err)
{
	struct ul_scan *scan = &worker->scan;
	size_t i;
	int rc;

	while ((rc = ul_scan_next(scan, fd)) > 0) {
		for (i = 0; i < scan->len; i++) {
			if (has_failed(worker, dir->tree))
				return 0;
			rc = entry_remove(worker, dir, fd,
					  scan->entries[i].name, err);
			if (rc)
				return rc;
		}
	}
	if (rc && !ul_scan_is_gone(errno))
		return path_error("read directory", dir, NULL, err);
	return 0;
}

/* Through /proc, since fchmod() takes no O_PATH descriptor and fchmodat()
 * follows symlinks. */
static int path_fd_chmod(int fd, mode_t mode)
{
	char path[sizeof "/proc/self/fd/" + 3 * sizeof fd];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return chmod(path, mode);
}

/* Give ourselves what a directory of ours denies its owner. */
static int dir_permit(int parent_fd, const char *name)
{
	ul_cleanup(ul_closep) int fd = openat(
	    parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statx st;

	if (fd < 0 || ul_scan_stat(fd, "", &st))
		return -1;
	if (st.stx_uid != geteuid() || (st.stx_mode & S_IRWXU) == S_IRWXU) {
		errno = EACCES;
		return -1;
	}
	return path_fd_chmod(fd, (st.stx_mode & 07777) | S_IRWXU);
}

static int dir_open(int parent_fd, const char *name)
{
	int fd = ul_scan_open(parent_fd, name);

	if (fd >= 0 || errno != EACCES)
		return fd;
	return dir_permit(parent_fd, name) ? -1 : ul_scan_open(parent_fd, name);
}

/* 0, 1 where there is nothing to visit, or an error. */
static int dir_enter(struct ul_dirpool_worker *worker,
		     struct ul_dirpool_dir *dir, int *ret_fd,
		     struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	int parent_fd = ul_dirpool_parent_fd(worker, dir);
	struct statx st;

	if (parent_fd != -1)
		fd = dir_open(parent_fd, dir->name);
	if (fd < 0)
		return ul_scan_is_gone(errno)
			   ? 1
			   : path_error("open directory", dir, NULL, err);
	if (ul_scan_stat(fd, "", &st))
		return path_error("stat", dir, NULL, err);
	if (is_elsewhere(dir, &st))
		return mount_error(dir, NULL, err);
	if (st.stx_uid == geteuid() && (st.stx_mode & S_IRWXU) != S_IRWXU &&
	    fchmod(fd, (st.stx_mode & 07777) | S_IRWXU))
		return path_error("open up directory", dir, NULL, err);
	dir->ino = st.stx_ino;
	/* Of the first visit: what it held when it was measured. */
	if (!dir->visits++)
		dir->allocated_bytes = ul_scan_allocated_bytes(&st);
	*ret_fd = ul_fd_steal(&fd);
	return 0;
}

static int dir_empty(struct ul_dirpool_worker *worker,
		     struct ul_dirpool_dir *dir, struct ul_err *err)
{
	int fd = -1, rc;

	if (has_failed(worker, dir->tree))
		return 0;
	rc = dir_enter(worker, dir, &fd, err);
	if (rc)
		return rc < 0 ? rc : 0;
	rc = entries_remove(worker, dir, fd, err);
	ul_dirpool_settle(worker, dir, fd);
	return rc;
}

static void remove_visit(struct ul_dirpool_worker *worker,
			 struct ul_dirpool_dir *dir)
{
	struct ul_err err;

	if (dir_empty(worker, dir, &err))
		tree_fail(worker, dir->tree, &err);
}

/* 0, 1 to visit it again, or an error. */
static int dir_remove(struct ul_dirpool_worker *worker,
		      struct ul_dirpool_dir *dir, struct ul_err *err)
{
	int parent_fd = ul_dirpool_parent_fd(worker, dir);

	if (parent_fd != -1 && !unlinkat(parent_fd, dir->name, AT_REMOVEDIR)) {
		count_removed(removal_of(worker), dir->allocated_bytes);
		return 0;
	}
	if (ul_scan_is_gone(errno))
		return 0;
	if ((errno == ENOTEMPTY || errno == EEXIST) &&
	    dir->visits < REMOVE_VISITS_MAX)
		return 1;
	return path_error("remove directory", dir, NULL, err);
}

static bool remove_leave(struct ul_dirpool_worker *worker,
			 struct ul_dirpool_dir *dir)
{
	struct ul_err err;
	int rc;

	if (has_failed(worker, dir->tree))
		return true;
	rc = dir_remove(worker, dir, &err);
	if (rc < 0)
		tree_fail(worker, dir->tree, &err);
	return rc <= 0;
}

static void removal_release(struct removal *removal)
{
	size_t i;

	for (i = 0; i < REMOVE_LOCKS; i++)
		pthread_mutex_destroy(&removal->links[i]);
	pthread_mutex_destroy(&removal->lock);
	free(removal->failed);
}

static void removal_init(struct removal *removal, const char *const *paths)
{
	size_t i;

	*removal = (struct removal){ .paths = paths, .err = UL_ERR_INIT };
	pthread_mutex_init(&removal->lock, NULL);
	for (i = 0; i < REMOVE_LOCKS; i++)
		pthread_mutex_init(&removal->links[i], NULL);
}

int ul_remove_trees(int dirfd, const char *const *paths, size_t count,
		    struct ul_removed *ret, struct ul_err *err)
{
	static const struct ul_dirpool_ops ops = {
		.top = remove_top,
		.visit = remove_visit,
		.leave = remove_leave,
	};
	ul_cleanup(removal_release) struct removal removal;
	struct ul_dirpool pool = {
		.ops = &ops,
		.user = &removal,
		.dirfd = dirfd,
		.tree_count = count,
	};
	int rc;

	*ret = (struct ul_removed){ .object_count = 0 };
	removal_init(&removal, paths);
	removal.failed = ul_calloc(count, sizeof *removal.failed);
	if (!removal.failed)
		return ul_err_nomem(err);
	rc = ul_dirpool_run(&pool, err);
	if (rc)
		return rc;
	ret->freed_bytes = atomic_load(&removal.freed_bytes);
	ret->object_count = atomic_load(&removal.object_count);
	if (removal.err.code)
		*err = removal.err;
	return removal.err.code;
}
