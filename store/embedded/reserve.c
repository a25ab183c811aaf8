#include "store/embedded/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"

/* A run over some ten thousand things; nothing beside a single image. */
enum { RESERVE_BYTES = 8 << 20 };

/* So much that the reserve is nothing beside it. */
enum { PLENTY_BYTES = 16 * RESERVE_BYTES };

/* The log's index and the first pages of the log. */
enum { ROOM_BYTES = 256 << 10 };

static bool reserve_path(const char *state_path, char *path, size_t size)
{
	int len = snprintf(path, size, "%s/ullage.reserve", state_path);

	return len > 0 && (size_t)len < size;
}

/* Bytes that may still be written there; 0 where that cannot be told. */
static uint64_t available_bytes(const char *state_path)
{
	struct statvfs fs;

	if (statvfs(state_path, &fs))
		return 0;
	return (uint64_t)fs.f_bavail * fs.f_frsize;
}

/* What a quota leaves does not show in numbers, so it is tried. */
static bool lacks(const char *path, uint64_t bytes)
{
	ul_cleanup(ul_closep) int fd =
	    ul_retry(open(path, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600));

	if (fd >= 0 && !ul_retry(fallocate(fd, 0, 0, (off_t)bytes)))
		return false;
	return ul_errno_is_full(errno) || available_bytes(path) < bytes;
}

void ul_reserve_keep(const char *state_path)
{
	ul_cleanup(ul_closep) int fd = -1;
	char path[4096];

	if (!reserve_path(state_path, path, sizeof path) ||
	    !access(path, F_OK) || available_bytes(state_path) < PLENTY_BYTES ||
	    lacks(state_path, PLENTY_BYTES))
		return;
	fd = ul_retry(open(
	    path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
	/* What a file system cannot set aside is no reserve. */
	if (fd >= 0 && ul_retry(fallocate(fd, 0, 0, RESERVE_BYTES)))
		unlink(path);
}

bool ul_reserve_release(const char *state_path)
{
	char path[4096];

	return reserve_path(state_path, path, sizeof path) &&
	       !access(path, F_OK) && lacks(state_path, RESERVE_BYTES) &&
	       !unlink(path);
}

bool ul_reserve_lacks_room(const char *path)
{
	return lacks(path, ROOM_BYTES);
}
