#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/embedded/mounts.h"
#include "store/limits.h"

static int word_cmp(const void *a_arg, const void *b_arg)
{
	const struct ul_mount_word *a = a_arg, *b = b_arg;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	return strcmp(a->path, b->path);
}

/* A thousand containers name the same few directories again and again. */
static void words_unique(struct ul_mounts *mounts)
{
	struct ul_mount_word *words = mounts->words;
	size_t i, kept = 0;

	if (!mounts->word_count)
		return;
	qsort(words, mounts->word_count, sizeof *words, word_cmp);
	for (i = 1; i < mounts->word_count; i++) {
		if (word_cmp(&words[kept], &words[i]))
			words[++kept] = words[i];
	}
	mounts->word_count = kept + 1;
}

struct reading {
	struct ul_mounts mounts;
	struct ul_map
	    seen; /* lists of mounts that were read, by note_sight() */
	int proc_fd;
	struct ul_err *err;
};

static void reading_release(struct reading *reading)
{
	ul_mounts_release(&reading->mounts);
	ul_map_release(&reading->seen);
	ul_closep(&reading->proc_fd);
}

/* A process that has ended since, or is about to (EINVAL: a zombie). */
static bool is_gone(int code, int error)
{
	return code == UL_E_ABSENT ||
	       (code == UL_E_IO &&
		(error == ENOENT || error == ESRCH || error == EINVAL));
}

/* 1: mounts that were not seen yet, 0: they were, UL_E_NOMEM. */
static int note_sight(struct reading *reading, const char *key, size_t len)
{
	char *copy = ul_arena_strndup(&reading->mounts.arena, key, len);
	bool is_new;

	if (!copy || !ul_map_put(&reading->seen, copy, len, 0, &is_new))
		return ul_err_nomem(reading->err);
	return is_new;
}

/* is_known: what the process sees was not read yet, for sure. */
static int read_mountinfo(struct reading *reading, const char *pid,
			  bool is_known, bool is_own)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	struct ul_err why = UL_ERR_INIT;
	char path[64];
	int rc;

	snprintf(path, sizeof path, "%s/mountinfo", pid);
	rc = ul_file_read(reading->proc_fd, path, UL_MOUNTINFO_MAX_BYTES, &text,
			  &why);
	if (rc && !is_own && is_gone(rc, why.sys_errno))
		return 0;
	if (rc == UL_E_IO && !is_own) {
		reading->mounts.is_partial = true;
		return 0;
	}
	if (rc) {
		*reading->err = why;
		return rc;
	}
	/* A mount's number is its own: one first line, one list. */
	rc = is_known ? 1
		      : note_sight(reading, ul_buf_str(&text),
				   strcspn(ul_buf_str(&text), "\n"));
	return rc <= 0 ? rc
		       : ul_mounts_add(&reading->mounts, ul_buf_str(&text),
				       is_own, reading->err);
}

/* Length of the link's text, or -1. */
static ssize_t read_link(struct reading *reading, const char *pid,
			 const char *name, char *to, size_t size)
{
	char path[64];

	snprintf(path, sizeof path, "%s/%s", pid, name);
	return readlinkat(reading->proc_fd, path, to, size);
}

/*
 * Mountinfo shows the mounts of a process's namespace below its root
 * directory: those two tell whether it would be the same once more. They may
 * be hidden where mountinfo itself is not.
 */
static int read_process(struct reading *reading, const char *pid, bool is_own)
{
	char key[NAME_MAX + PATH_MAX];
	ssize_t ns_len, root_len = -1;
	int rc;

	ns_len = read_link(reading, pid, "ns/mnt", key, NAME_MAX);
	if (ns_len >= 0)
		root_len =
		    read_link(reading, pid, "root", key + ns_len, PATH_MAX);
	if (root_len < 0)
		return read_mountinfo(reading, pid, false, is_own);
	rc = note_sight(reading, key, (size_t)(ns_len + root_len));
	return rc <= 0 ? rc : read_mountinfo(reading, pid, true, is_own);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int read_processes(struct reading *reading)
{
	ul_cleanup(closedirp) DIR *dir = opendir("/proc");
	struct dirent *entry;
	int rc = 0;

	if (!dir)
		return ul_err_sys(reading->err, "open directory /proc");
	while (!rc && (errno = 0, entry = readdir(dir))) {
		if (isdigit((unsigned char)entry->d_name[0]))
			rc = read_process(reading, entry->d_name, false);
	}
	if (!rc && errno)
		rc = ul_err_sys(reading->err, "read directory /proc");
	return rc;
}

int ul_mounts_read(struct ul_mounts *ret_mounts, struct ul_err *err)
{
	ul_cleanup(reading_release) struct reading reading = {
		.mounts = UL_MOUNTS_INIT,
		.seen = UL_MAP_INIT,
		.proc_fd = -1,
		.err = err,
	};
	int rc = ul_dir_open(AT_FDCWD, "/proc", &reading.proc_fd, err);

	if (rc == UL_E_ABSENT)
		rc = ul_err_set(err, UL_E_IO, "no directory /proc");
	if (!rc)
		rc = read_process(&reading, "self", true);
	if (!rc)
		rc = read_processes(&reading);
	if (rc)
		return ul_err_wrap(err, "looking for mounts");
	/* proc(5), hidepid: process 1 is always there, and seen unless hidden.
	 */
	if (faccessat(reading.proc_fd, "1", F_OK, 0))
		reading.mounts.is_partial = true;
	words_unique(&reading.mounts);
	*ret_mounts = reading.mounts;
	reading.mounts = UL_MOUNTS_INIT;
	return 0;
}
