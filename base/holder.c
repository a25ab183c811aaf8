#include "base/holder.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/mem.h"

static void filep_close(FILE **file)
{
	if (*file)
		fclose(*file);
}

static void dirp_close(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Whether a process has the file open, as far as we may see. */
static bool has_open(int pid, const struct stat *file)
{
	ul_cleanup(dirp_close) DIR *dir = NULL;
	const struct dirent *entry;
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (!fstatat(dirfd(dir), entry->d_name, &st, 0) &&
		    st.st_dev == file->st_dev && st.st_ino == file->st_ino)
			return true;
	}
	return false;
}

/*
 * "7: FLOCK  ADVISORY  WRITE 1234 fd:01:131074 0 EOF". The device is the file
 * system's, which stat() does not tell on btrfs: there the file has to be
 * among the process's own.
 */
static bool line_fits(const char *line, const struct stat *file, int *ret_pid)
{
	unsigned int major, minor;
	unsigned long long inode;

	if (sscanf(line, "%*d: FLOCK %*s WRITE %d %x:%x:%llu ", ret_pid, &major,
		   &minor, &inode) != 4 ||
	    inode != file->st_ino || *ret_pid <= 0)
		return false;
	return makedev(major, minor) == file->st_dev ||
	       has_open(*ret_pid, file);
}

/* 0: not to be seen. */
static int holder_pid(int fd)
{
	ul_cleanup(filep_close) FILE *locks = fopen("/proc/locks", "re");
	struct stat file;
	char line[256];
	int pid;

	if (!locks || fstat(fd, &file))
		return 0;
	while (fgets(line, sizeof line, locks)) {
		if (line_fits(line, &file, &pid))
			return pid;
	}
	return 0;
}

/* The name of what it runs. */
static bool command_read(int pid, char command[], int size)
{
	ul_cleanup(filep_close) FILE *comm = NULL;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	comm = fopen(path, "re");
	if (!comm || !fgets(command, size, comm))
		return false;
	command[strcspn(command, "\n")] = '\0';
	return true;
}

/* A line may be skipped while locks of others come and go between two reads. */
enum { LOOKS = 20, LOOK_PAUSE_NS = 1000000 };

const char *ul_holder_text(int fd, char text[UL_HOLDER_MAX])
{
	const struct timespec pause = { .tv_nsec = LOOK_PAUSE_NS };
	char command[32];
	int looks, pid = holder_pid(fd);

	for (looks = 1; !pid && looks < LOOKS; looks++) {
		nanosleep(&pause, NULL);
		pid = holder_pid(fd);
	}
	if (!pid)
		snprintf(text, UL_HOLDER_MAX, "another process");
	else if (!command_read(pid, command, sizeof command))
		snprintf(text, UL_HOLDER_MAX, "process %d", pid);
	else
		snprintf(text, UL_HOLDER_MAX, "process %d (%s)", pid, command);
	return text;
}
