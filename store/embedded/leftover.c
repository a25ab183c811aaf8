#include "store/embedded/leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/limits.h"

struct look {
	struct ul_leftover found;
	dev_t dev;
	unsigned entry_count;
	struct ul_err *err;
};

/* fcntl(2): a lock of another process on any part of it. */
static bool is_range_locked(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

/*
 * A write lease is refused while anybody else has a file open (fcntl(2));
 * where there are no leases, locks and its age have to do.
 */
static bool is_open_elsewhere(int fd)
{
	/* Who opens it before we close it is announced by a signal: one that
	 * is ignored unless asked for, instead of SIGIO, which ends us. */
	if (!fcntl(fd, F_SETSIG, SIGURG) && !fcntl(fd, F_SETLEASE, F_WRLCK))
		return false;
	return errno == EAGAIN;
}

static bool is_file_used(int fd)
{
	return flock(fd, LOCK_SH | LOCK_NB) || is_range_locked(fd) ||
	       is_open_elsewhere(fd);
}

static void note_times(struct look *look, const struct stat *st)
{
	if (st->st_mtim.tv_sec > look->found.newest_unix_s)
		look->found.newest_unix_s = st->st_mtim.tv_sec;
	if (st->st_ctim.tv_sec > look->found.newest_unix_s)
		look->found.newest_unix_s = st->st_ctim.tv_sec;
}

static int look_at(struct look *look, int dirfd, const char *name,
		   unsigned depth);

static int look_into(struct look *look, int fd, unsigned depth)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	size_t i;
	int rc;

	if (depth == UL_LEFTOVER_MAX_DEPTH || flock(fd, LOCK_SH | LOCK_NB)) {
		look->found.is_used = true;
		return 0;
	}
	rc = ul_dir_names(fd, &names, look->err);
	if (rc && rc != UL_E_NOMEM)
		look->found.is_used = true;
	if (rc)
		return rc == UL_E_NOMEM ? rc : 0;
	for (i = 0; !rc && !look->found.is_used && i < names.len; i++)
		rc = look_at(look, fd, names.names[i], depth + 1);
	return rc;
}

/* Ends at the first thing that is used: how young the rest is no longer
 * matters. */
static int look_at(struct look *look, int dirfd, const char *name,
		   unsigned depth)
{
	ul_cleanup(ul_closep) int fd = -1;
	struct stat st;

	look->found.is_used = true;
	if (++look->entry_count > UL_LEFTOVER_MAX_ENTRIES ||
	    fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	note_times(look, &st);
	if (!depth)
		look->dev = st.st_dev;
	if (st.st_dev != look->dev)
		return 0;
	if (S_ISLNK(st.st_mode)) {
		look->found.is_used = false;
		return 0;
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	fd =
	    openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 0;
	look->found.is_used = S_ISREG(st.st_mode) && is_file_used(fd);
	return S_ISDIR(st.st_mode) ? look_into(look, fd, depth) : 0;
}

int ul_leftover_look(int root_fd, const char *path,
		     struct ul_leftover *ret_leftover, struct ul_err *err)
{
	struct look look = { .err = err };
	int rc = look_at(&look, root_fd, path, 0);

	if (!rc)
		*ret_leftover = look.found;
	return rc;
}
