#include "store/oci/index_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"

/* Whether the path still leads to what is locked. */
static bool is_of_path(int layout_fd, int fd)
{
	struct stat at_path, locked;

	return !fstatat(layout_fd, UL_INDEX_LOCK_NAME, &at_path,
			AT_SYMLINK_NOFOLLOW) &&
	       !fstat(fd, &locked) && at_path.st_dev == locked.st_dev &&
	       at_path.st_ino == locked.st_ino;
}

/* 1: the disk is so full that there cannot be one. */
static int lock_open(int layout_fd, int *ret_fd, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = ul_retry(openat(
	    layout_fd, UL_INDEX_LOCK_NAME,
	    O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
	struct stat st;

	if (fd < 0 && ul_errno_is_full(errno))
		return 1;
	if (fd < 0)
		return ul_err_sys(err, "open " UL_INDEX_LOCK_NAME);
	if (fstat(fd, &st))
		return ul_err_sys(err, "stat " UL_INDEX_LOCK_NAME);
	if (!S_ISREG(st.st_mode))
		return ul_err_set(err, UL_E_IO,
				  UL_INDEX_LOCK_NAME " is no regular file");
	*ret_fd = ul_fd_steal(&fd);
	return 0;
}

static int lock_once(struct ul_index_lock *lock, int64_t until_ns, int *ret_fd,
		     struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	int64_t left_ms = (until_ns - ul_clock_mono_ns() + 999999) / 1000000;
	int rc = lock_open(lock->layout_fd, &fd, err);

	if (rc)
		return rc;
	rc = ul_fd_lock(fd, true, left_ms > 0 ? (int)left_ms : 0, lock->waiting,
			lock->waiting_arg, err);
	if (rc)
		return ul_err_wrap(err, UL_INDEX_LOCK_NAME);
	*ret_fd = ul_fd_steal(&fd);
	return 0;
}

int ul_index_lock_take(struct ul_index_lock *lock, int layout_fd,
		       struct ul_err *err)
{
	int64_t until_ns = ul_clock_mono_ns() + lock->wait_ms * 1000000LL;
	int rc;

	lock->layout_fd = layout_fd;
	for (;;) {
		ul_closep(&lock->fd);
		rc = lock_once(lock, until_ns, &lock->fd, err);
		if (rc < 0)
			return rc;
		lock->since_ns = ul_clock_mono_ns();
		if (rc || is_of_path(layout_fd, lock->fd))
			break;
		if (lock->since_ns >= until_ns) {
			ul_closep(&lock->fd);
			return ul_err_set(err, UL_E_BUSY,
					  UL_INDEX_LOCK_NAME
					  " is replaced again and again");
		}
	}
	lock->taken++;
	return 0;
}

bool ul_index_lock_is_due(const struct ul_index_lock *lock)
{
	return ul_clock_mono_ns() - lock->since_ns >= lock->hold_ms * 1000000LL;
}

void ul_index_lock_drop(struct ul_index_lock *lock)
{
	int64_t held_ns;

	if (lock->fd < 0)
		return;
	if (is_of_path(lock->layout_fd, lock->fd))
		unlinkat(lock->layout_fd, UL_INDEX_LOCK_NAME, 0);
	ul_closep(&lock->fd);
	held_ns = ul_clock_mono_ns() - lock->since_ns;
	if (held_ns > lock->longest_ns)
		lock->longest_ns = held_ns;
}

void ul_index_lock_pause(const struct ul_index_lock *lock)
{
	const struct timespec pause = {
		.tv_sec = lock->pause_ms / 1000,
		.tv_nsec = lock->pause_ms % 1000 * 1000000L,
	};

	nanosleep(&pause, NULL);
}
