#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/holder.h"
#include "base/mem.h"
#include "base/scan.h"

enum { FILE_READ_BYTES = 64 * 1024 };

void ul_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int ul_fd_steal(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

int ul_dir_open(int dirfd, const char *path, int *ret_fd, struct ul_err *err)
{
	int fd = openat(dirfd, path,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC |
			    (dirfd == AT_FDCWD ? 0 : O_NOFOLLOW));

	if (fd < 0 && errno == ENOENT)
		return ul_err_set(err, UL_E_ABSENT, "no directory %s", path);
	if (fd < 0)
		return ul_err_sys(err, "open directory %s", path);
	*ret_fd = fd;
	return 0;
}

/* A directory that may be passed through but not read cannot be synced. */
static int parent_sync(const char *path, struct ul_err *err)
{
	const char *slash = strrchr(path, '/');
	ul_cleanup(ul_closep) int fd = -1;
	char parent[PATH_MAX];
	int rc;

	snprintf(parent, sizeof parent, "%.*s",
		 slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	rc = ul_dir_open(AT_FDCWD, parent, &fd, err);
	if (rc)
		return err->sys_errno == EACCES ? 0 : rc;
	return ul_fd_sync(fd, parent, err);
}

static int make_one(const char *path, struct ul_err *err)
{
	struct stat st;

	if (!mkdir(path, 0777))
		return parent_sync(path, err);
	if (errno != EEXIST)
		return ul_err_sys(err, "make directory %s", path);
	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return 0;
	errno = ENOTDIR;
	return ul_err_sys(err, "make directory %s", path);
}

int ul_dir_make(const char *path, struct ul_err *err)
{
	char part[PATH_MAX];
	size_t len = strlen(path);
	char *slash;

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (!len || len >= sizeof part)
		return ul_err_set(err, UL_E_INVALID, "%s: %s",
				  len ? "path too long" : "empty path", path);
	memcpy(part, path, len);
	part[len] = '\0';
	for (slash = part + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (make_one(part, err))
			return err->code;
		*slash = '/';
	}
	return make_one(part, err);
}

void ul_names_release(struct ul_names *names)
{
	size_t i;

	for (i = 0; i < names->len; i++)
		free(names->names[i]);
	free(names->names);
	*names = UL_NAMES_INIT;
}

static int names_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool ul_names_add(struct ul_names *names, const char *name)
{
	char **grown =
	    ul_grow(names->names, &names->cap, names->len + 1, sizeof *grown);

	if (!grown)
		return false;
	names->names = grown;
	grown[names->len] = ul_strdup(name);
	return grown[names->len] && ++names->len;
}

static bool names_add_batch(struct ul_names *names, const struct ul_scan *scan)
{
	size_t i;

	for (i = 0; i < scan->len; i++) {
		if (!ul_names_add(names, scan->entries[i].name))
			return false;
	}
	return true;
}

int ul_dir_names(int dirfd, struct ul_names *ret_names, struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_scan_release) struct ul_scan scan = UL_SCAN_INIT;
	ul_cleanup(ul_closep) int fd = ul_scan_open(dirfd, ".");
	int rc;

	if (fd < 0)
		return ul_err_sys(err, "open directory");
	while ((rc = ul_scan_next(&scan, fd)) > 0) {
		if (!names_add_batch(&names, &scan))
			return ul_err_nomem(err);
	}
	if (rc < 0)
		return errno == ENOMEM ? ul_err_nomem(err)
				       : ul_err_sys(err, "read directory");
	if (names.len)
		qsort(names.names, names.len, sizeof *names.names, names_cmp);
	*ret_names = names;
	names = UL_NAMES_INIT;
	return 0;
}

int ul_dir_is_empty(int dirfd, bool *ret_empty, struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	int rc = ul_dir_names(dirfd, &names, err);

	if (!rc)
		*ret_empty = names.len == 0;
	return rc;
}

static int file_read_open(int fd, const char *path, size_t max_bytes,
			  struct ul_buf *buf, struct ul_err *err)
{
	size_t start = buf->len;
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st))
		return ul_err_sys(err, "stat %s", path);
	if (!S_ISREG(st.st_mode))
		return ul_err_set(err, UL_E_IO, "%s is no regular file", path);
	do {
		size_t left = max_bytes - (buf->len - start);
		/* One byte past the limit tells "longer" from "just fits". */
		size_t want =
		    left < FILE_READ_BYTES ? left + 1 : FILE_READ_BYTES;

		if (!ul_buf_reserve(buf, want))
			return ul_err_nomem(err);
		got = read(fd, buf->data + buf->len, want);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ul_err_sys(err, "read %s", path);
		if ((size_t)got > left)
			return ul_err_set(err, UL_E_LIMIT,
					  "%s is longer than %zu bytes", path,
					  max_bytes);
		buf->len += (size_t)got;
	} while (got);
	buf->data[buf->len] = '\0';
	return 0;
}

int ul_file_read(int dirfd, const char *path, size_t max_bytes,
		 struct ul_buf *buf, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd =
	    openat(dirfd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	size_t start = buf->len;
	int rc;

	if (fd < 0 && errno == ENOENT)
		return ul_err_set(err, UL_E_ABSENT, "no file %s", path);
	if (fd < 0)
		return ul_err_sys(err, "open %s", path);
	rc = file_read_open(fd, path, max_bytes, buf, err);
	if (rc) {
		buf->len = start;
		if (buf->data)
			buf->data[start] = '\0';
	}
	return rc;
}

int ul_fd_write_all(int fd, const void *data, size_t len, struct ul_err *err)
{
	const char *next = data;

	while (len) {
		ssize_t put = ul_retry(write(fd, next, len));

		if (put < 0)
			return ul_err_sys(err, "write");
		next += put;
		len -= (size_t)put;
	}
	return 0;
}

int ul_fd_sync(int fd, const char *what, struct ul_err *err)
{
	return ul_retry(fsync(fd)) ? ul_err_sys(err, "sync %s", what) : 0;
}

static int file_write_synced(int dirfd, const char *name, const void *data,
			     size_t len, mode_t mode, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = ul_retry(
	    openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));

	if (fd < 0)
		return ul_err_sys(err, "create %s", name);
	if (ul_fd_write_all(fd, data, len, err))
		return ul_err_wrap(err, "%s", name);
	return ul_fd_sync(fd, name, err);
}

int ul_file_write_beside(int dirfd, const char *name, const void *data,
			 size_t len, mode_t mode,
			 char ret_temp[UL_FILE_TEMP_MAX], struct ul_err *err)
{
	char hex[17];
	int rc;

	ul_random_hex(hex);
	if (snprintf(ret_temp, UL_FILE_TEMP_MAX, ".%s.%s.tmp", name, hex) >=
	    UL_FILE_TEMP_MAX)
		return ul_err_set(err, UL_E_INVALID, "name too long: %s", name);
	rc = file_write_synced(dirfd, ret_temp, data, len, mode, err);
	if (rc)
		unlinkat(dirfd, ret_temp, 0);
	return rc;
}

int ul_file_put_in_place(int dirfd, const char *temp, const char *name,
			 struct ul_err *err)
{
	if (renameat(dirfd, temp, dirfd, name))
		return ul_err_sys(err, "rename to %s", name);
	return 0;
}

int ul_file_replace(int dirfd, const char *name, const void *data, size_t len,
		    mode_t mode, struct ul_err *err)
{
	char temp[UL_FILE_TEMP_MAX];
	int rc = ul_file_write_beside(dirfd, name, data, len, mode, temp, err);

	if (rc)
		return rc;
	rc = ul_file_put_in_place(dirfd, temp, name, err);
	if (rc) {
		unlinkat(dirfd, temp, 0);
		return rc;
	}
	return ul_fd_sync(dirfd, "directory", err);
}

bool ul_file_is_half_written(const char *file, const char *name)
{
	size_t len = strlen(name);

	return file[0] == '.' && !strncmp(file + 1, name, len) &&
	       file[len + 1] == '.' &&
	       strspn(file + len + 2, "0123456789abcdef") == 16 &&
	       !strcmp(file + len + 18, ".tmp");
}

int ul_fd_lock(int fd, bool exclusive, int timeout_ms, ul_waiting *waiting,
	       void *arg, struct ul_err *err)
{
	int op = (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
	struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int64_t until = ul_clock_mono_ns() + (int64_t)timeout_ms * 1000000;
	char holder[UL_HOLDER_MAX];

	while (flock(fd, op)) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return ul_err_sys(err, "lock");
		if (ul_clock_mono_ns() >= until) {
			return ul_err_set(err, UL_E_BUSY, "locked by %s",
					  ul_holder_text(fd, holder));
		}
		if (waiting)
			waiting(arg, ul_holder_text(fd, holder), timeout_ms);
		waiting = NULL;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int octal_value(const char *at)
{
	if (at[0] < '0' || at[0] > '3' || at[1] < '0' || at[1] > '7' ||
	    at[2] < '0' || at[2] > '7')
		return -1;
	return (at[0] - '0') * 64 + (at[1] - '0') * 8 + (at[2] - '0');
}

/* A field of mountinfo: white space and backslashes stand as \\ooo. */
static bool mount_field_add(struct ul_buf *path, const char *at)
{
	bool ok = true;

	for (; ok && *at && *at != ' '; at++) {
		int value = *at == '\\' ? octal_value(at + 1) : -1;

		ok = ul_buf_add_char(path, value < 0 ? *at : (char)value);
		if (value >= 0)
			at += 3;
	}
	return ok;
}

/* proc(5), mountinfo: "ID PARENT MAJOR:MINOR ROOT MOUNT-POINT ...". */
static const char *mount_field(const char *line)
{
	int field;

	for (field = 0; line && field < 4; field++) {
		line = strchr(line, ' ');
		if (line)
			line++;
	}
	return line;
}

int ul_fd_mount_point(int fd, struct ul_buf *ret_path, struct ul_err *err)
{
	char line[4096];
	struct statx stx;
	const char *path;
	FILE *mounts;
	bool ok = true;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx))
		return ul_err_sys(err, "statx");
	mounts = fopen("/proc/self/mountinfo", "re");
	if (!mounts)
		return ul_err_sys(err, "open /proc/self/mountinfo");
	while (fgets(line, sizeof line, mounts)) {
		if (!(stx.stx_mask & STATX_MNT_ID) ||
		    strtoull(line, NULL, 10) != stx.stx_mnt_id)
			continue;
		path = mount_field(line);
		ok = !path || mount_field_add(ret_path, path);
		break;
	}
	fclose(mounts);
	return ok ? 0 : ul_err_nomem(err);
}

void ul_random_hex(char hex[17])
{
	uint64_t value = 0;

	/* getrandom() of 8 bytes neither fails nor returns short. */
	if (getrandom(&value, sizeof value, 0) != sizeof value)
		abort();
	snprintf(hex, 17, "%016llx", (unsigned long long)value);
}
