#include "tests/fuzz/scratch.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/remove.h"

static char path[256];
static int fd = -1;

static void scratch_remove(void)
{
	const char *tree = path;
	struct ul_err err = UL_ERR_INIT;
	struct ul_removed removed;

	close(fd);
	(void)ul_remove_trees(AT_FDCWD, &tree, 1, &removed, &err);
}

static void scratch_make(void)
{
	const char *base = getenv("TMPDIR");
	struct ul_err err = UL_ERR_INIT;
	bool ok;

	if (!base || !*base)
		base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(path, sizeof path, "%s/ullage-fuzz.XXXXXX", base);
	ok = mkdtemp(path) && !ul_dir_open(AT_FDCWD, path, &fd, &err) &&
	     !atexit(scratch_remove);
	if (!ok)
		abort();
}

int scratch_fd(void)
{
	if (fd < 0)
		scratch_make();
	return fd;
}

const char *scratch_path(void)
{
	(void)scratch_fd();
	return path;
}

void scratch_write(const char *name, const void *data, size_t size)
{
	int file = openat(scratch_fd(), name,
			  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct ul_err err = UL_ERR_INIT;

	if (file < 0 || ul_fd_write_all(file, data, size, &err))
		abort();
	close(file);
}

size_t scratch_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	if (!dir)
		abort();
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}
