/*
 * Setting aside: what is broken is kept, out of everybody's way, on the same
 * file system.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/store.h"
#include "store/verify/internal.h"

enum { TRIES_MAX = 10000 };

static int aside_open(int root_fd, int *ret_fd, struct ul_err *err)
{
	int rc;

	if (mkdirat(root_fd, UL_EMBEDDED_DAMAGED, 0700) && errno != EEXIST)
		return ul_err_sys(err, "make directory %s",
				  UL_EMBEDDED_DAMAGED);
	rc = ul_dir_open(root_fd, UL_EMBEDDED_DAMAGED, ret_fd, err);
	return rc ? rc : ul_fd_sync(root_fd, "store", err);
}

int verify_set_aside(int root_fd, int from_fd, const char *from,
		     const char *name, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	char to[NAME_MAX + 1];
	int tries, rc;

	if (faccessat(from_fd, from, F_OK, AT_SYMLINK_NOFOLLOW) &&
	    errno == ENOENT)
		return 0;
	rc = aside_open(root_fd, &fd, err);
	if (rc)
		return rc;
	snprintf(to, sizeof to, "%s", name);
	for (tries = 2; renameat2(from_fd, from, fd, to, RENAME_NOREPLACE);
	     tries++) {
		if (errno == ENOENT)
			return 0;
		if (errno != EEXIST || tries == TRIES_MAX)
			return ul_err_sys(err, "move %s to %s", from,
					  UL_EMBEDDED_DAMAGED);
		snprintf(to, sizeof to, "%s.%d", name, tries);
	}
	rc = ul_fd_sync(fd, UL_EMBEDDED_DAMAGED, err);
	return rc ? rc : ul_fd_sync(from_fd, from, err);
}
