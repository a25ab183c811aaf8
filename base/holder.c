#include "base/holder.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

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

/* "lock:	1: FLOCK  ADVISORY  WRITE 1234 ..." (proc(5), fdinfo). */
static bool fd_has_lock(int pid, const char *fd)
{
	ul_cleanup(filep_close) FILE *info = NULL;
	char path[64], line[256];

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%.20s", pid, fd);
	info = fopen(path, "re");
	while (info && fgets(line, sizeof line, info)) {
		if (!strncmp(line, "lock:", 5) && strstr(line, " FLOCK ") &&
		    strstr(line, " WRITE "))
			return true;
	}
	return false;
}

/* Whether a process has the file open (and locked), as far as we may see. */
static bool has_open(int pid, const struct stat *file, bool is_locked)
{
	ul_cleanup(dirp_close) DIR *dir = NULL;
	const struct dirent *entry;
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (!fstatat(dirfd(dir), entry->d_name, &st, 0) &&
		    st.st_dev == file->st_dev && st.st_ino == file->st_ino &&
		    (!is_locked || fd_has_lock(pid, entry->d_name)))
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
	       has_open(*ret_pid, file, false);
}

/* From the list of all locks. 0: not there. */
static int pid_of_locks(const struct stat *file)
{
	ul_cleanup(filep_close) FILE *locks = fopen("/proc/locks", "re");
	char line[256];
	int pid;

	while (locks && fgets(line, sizeof line, locks)) {
		if (line_fits(line, file, &pid))
			return pid;
	}
	return 0;
}

/*
 * The list is read in pieces, and a line may be skipped while locks of others
 * come and go between two of them; what a process has open cannot be missed.
 */
static int pid_of_files(const struct stat *file)
{
	ul_cleanup(dirp_close) DIR *dir = opendir("/proc");
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int pid = (int)strtol(entry->d_name, NULL, 10);

		if (pid > 0 && has_open(pid, file, true))
			return pid;
	}
	return 0;
}

/* 0: not to be seen. */
static int holder_pid(int fd)
{
	struct stat file;
	int pid;

	if (fstat(fd, &file))
		return 0;
	pid = pid_of_locks(&file);
	return pid ? pid : pid_of_files(&file);
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

const char *ul_holder_text(int fd, char text[UL_HOLDER_MAX])
{
	int pid = holder_pid(fd);
	char command[32];

	if (!pid)
		snprintf(text, UL_HOLDER_MAX, "another process");
	else if (!command_read(pid, command, sizeof command))
		snprintf(text, UL_HOLDER_MAX, "process %d", pid);
	else
		snprintf(text, UL_HOLDER_MAX, "process %d (%s)", pid, command);
	return text;
}
