#include "base/step.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

/* As a shell says of what SIGKILL has ended. */
enum { EXIT_KILLED = 137 };

enum step_kind {
	STEP_NONE,
	STEP_KILL,
	STEP_TORN,
	STEP_EIO,
	STEP_ENOSPC,
	STEP_EDQUOT,
	STEP_EINTR,
	STEP_SHORT,
};

static const struct {
	const char *word;
	unsigned needs; /* of ul_step.may */
	int sys_errno;  /* 0: no failure */
} kinds[] = {
	[STEP_NONE] = { "", 0, 0 },
	[STEP_KILL] = { "kill", 0, 0 },
	[STEP_TORN] = { "torn", UL_STEP_TORN, 0 },
	[STEP_EIO] = { "EIO", 0, EIO },
	[STEP_ENOSPC] = { "ENOSPC", UL_STEP_ENOSPC, ENOSPC },
	[STEP_EDQUOT] = { "EDQUOT", UL_STEP_ENOSPC, EDQUOT },
	[STEP_EINTR] = { "EINTR", UL_STEP_EINTR, EINTR },
	[STEP_SHORT] = { "short", UL_STEP_SHORT, 0 },
};

/* Written once, before there is a second thread. */
static enum step_kind step_kind;
static long step_at;
static bool step_goes_on;
static int trace_fd = -1;

static atomic_long step_number;  /* of all steps */
static atomic_long step_counted; /* of those that step_kind counts */
static pthread_mutex_t trace_mutex = PTHREAD_MUTEX_INITIALIZER;

/* What the linker puts in the place of write() leads here. */
static void say(int fd, const char *text, size_t len)
{
	if (syscall(SYS_write, fd, text, len) != (long)len)
		abort();
}

__attribute__((constructor)) static void steps_start(void)
{
	const char *plan = getenv("ULLAGE_STEP");
	const char *trace = getenv("ULLAGE_STEP_TRACE");
	char *end;
	size_t i;

	if (trace && *trace)
		trace_fd = (int)syscall(
		    SYS_openat, AT_FDCWD, trace,
		    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (!plan || !*plan)
		return;
	step_at = strtol(plan, &end, 10);
	step_goes_on = *end == '+';
	end += step_goes_on;
	if (!strcmp(end, ":memory") && step_at > 0) {
		atomic_store(&ul_mem_countdown, step_at - 1);
		return;
	}
	for (i = 1; *end == ':' && i < sizeof kinds / sizeof *kinds; i++) {
		if (!strcmp(end + 1, kinds[i].word))
			step_kind = (enum step_kind)i;
	}
	if (!step_kind || step_at < 1) {
		static const char wrong[] = "ULLAGE_STEP is not N:KIND\n";

		say(STDERR_FILENO, wrong, sizeof wrong - 1);
		_exit(2);
	}
}

static void path_print(char *text, size_t size, int fd, const char *path)
{
	char link[64], base[400];
	ssize_t len;

	if (path && !strncmp(path, "/proc/self/fd/", 14)) {
		fd = (int)strtol(path + 14, NULL, 10);
		path = NULL;
	}
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	len = fd < 0 || (path && *path == '/')
		  ? 0
		  : readlink(link, base, sizeof base - 1);
	base[len > 0 ? len : 0] = '\0';
	snprintf(text, size, "%.*s%s%.*s", (int)sizeof base, base,
		 *base && path ? "/" : "", 255, path ? path : "");
}

static void places_print(struct ul_step *step)
{
	size_t len;

	path_print(step->where, sizeof step->where, step->fd, step->path);
	len = strlen(step->where);
	if (len + 1 < sizeof step->where) {
		step->where[len++] = '\t';
		step->where[len] = '\0';
	}
	if (step->to)
		path_print(step->where + len, sizeof step->where - len,
			   step->to_fd, step->to);
}

/* Whether this is the step that something is to happen to. */
static bool is_hit(const struct ul_step *step)
{
	long counted;

	if (!step_kind || kinds[step_kind].needs & ~step->may)
		return false;
	counted = atomic_fetch_add(&step_counted, 1) + 1;
	return step_goes_on ? counted >= step_at : counted == step_at;
}

int ul_step_begin(struct ul_step *step)
{
	if (trace_fd >= 0) {
		int kept = errno;

		pthread_mutex_lock(&trace_mutex);
		places_print(step);
		errno = kept;
	}
	step->number = atomic_fetch_add(&step_number, 1) + 1;
	if (!is_hit(step))
		return 0;
	if (step_kind == STEP_KILL)
		_exit(EXIT_KILLED);
	if (step_kind == STEP_TORN || step_kind == STEP_SHORT)
		return 1;
	errno = kinds[step_kind].sys_errno;
	return -1;
}

void ul_step_half(void)
{
	if (step_kind == STEP_TORN)
		_exit(EXIT_KILLED);
}

void ul_step_end(const struct ul_step *step, long result)
{
	char line[800];
	int len, kept = errno;

	if (trace_fd < 0)
		return;
	len = snprintf(line, sizeof line,
		       "%ld\t%ld\tkill,EIO%s%s%s%s\t%s\t%s\t%ld\n",
		       step->number, (long)syscall(SYS_gettid),
		       step->may & UL_STEP_ENOSPC ? ",ENOSPC,EDQUOT" : "",
		       step->may & UL_STEP_EINTR ? ",EINTR" : "",
		       step->may & UL_STEP_SHORT ? ",short" : "",
		       step->may & UL_STEP_TORN ? ",torn" : "", step->call,
		       step->where, result);
	say(trace_fd, line, (size_t)len);
	pthread_mutex_unlock(&trace_mutex);
	errno = kept;
}

/*
 * The calls. A wrapper is what the linker calls in the place of NAME;
 * __real_NAME is what it was.
 */
#define STEP_CALL(NAME, PARAMS, ARGS, ...)                                     \
	int __real_##NAME PARAMS;                                              \
	int __wrap_##NAME PARAMS;                                              \
	int __wrap_##NAME PARAMS                                               \
	{                                                                      \
		struct ul_step step = { .call = #NAME, __VA_ARGS__ };          \
		int rc = ul_step_begin(&step) ? -1 : __real_##NAME ARGS;       \
		ul_step_end(&step, rc);                                        \
		return rc;                                                     \
	}

/* Only files: a pipe or a terminal is not changed. */
static bool is_file(int fd)
{
	struct stat st;
	int kept = errno;
	bool is = !fstat(fd, &st) && S_ISREG(st.st_mode);

	errno = kept;
	return is;
}

static int write_begin(struct ul_step *step, size_t len)
{
	step->may = UL_STEP_ENOSPC | UL_STEP_EINTR;
	if (len > 1)
		step->may |= UL_STEP_SHORT | UL_STEP_TORN;
	return ul_step_begin(step);
}

static ssize_t write_end(const struct ul_step *step, int how, ssize_t done)
{
	if (how > 0)
		ul_step_half();
	ul_step_end(step, done);
	return done;
}

/* ARGS have the length in `len`, which is halved where that is called for. */
#define STEP_WRITE(NAME, PARAMS, ARGS, FD)                                     \
	ssize_t __real_##NAME PARAMS;                                          \
	ssize_t __wrap_##NAME PARAMS;                                          \
	ssize_t __wrap_##NAME PARAMS                                           \
	{                                                                      \
		struct ul_step step = { .call = #NAME, .fd = (FD) };           \
		int how;                                                       \
		if (!is_file(FD))                                              \
			return __real_##NAME ARGS;                             \
		how = write_begin(&step, len);                                 \
		if (how > 0)                                                   \
			len /= 2;                                              \
		return write_end(&step, how,                                   \
				 how < 0 ? -1 : __real_##NAME ARGS);           \
	}

STEP_WRITE(write, (int fd, const void *data, size_t len), (fd, data, len), fd)
STEP_WRITE(pwrite64, (int fd, const void *data, size_t len, off_t at),
	   (fd, data, len, at), fd)
STEP_WRITE(copy_file_range,
	   (int from, off_t *from_at, int to, off_t *to_at, size_t len,
	    unsigned flags),
	   (from, from_at, to, to_at, len, flags), to)

/* Opening changes something where it may create or shorten. */
static int step_open(const char *call, int dirfd, const char *path, int flags,
		     mode_t mode)
{
	struct ul_step step = { .call = call,
				.fd = dirfd,
				.path = path,
				.may = UL_STEP_ENOSPC | UL_STEP_EINTR };
	int fd;

	if (!(flags & (O_CREAT | O_TRUNC)))
		return (int)syscall(SYS_openat, dirfd, path, flags, mode);
	fd = ul_step_begin(&step)
		 ? -1
		 : (int)syscall(SYS_openat, dirfd, path, flags, mode);
	ul_step_end(&step, fd < 0 ? -1 : 0);
	return fd;
}

static mode_t open_mode(int flags, va_list ap)
{
	return flags & O_CREAT ? va_arg(ap, mode_t) : 0;
}

int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = open_mode(flags, ap);
	va_end(ap);
	return step_open("open", AT_FDCWD, path, flags, mode);
}

int __wrap_openat64(int dirfd, const char *path, int flags, ...);
int __wrap_openat64(int dirfd, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = open_mode(flags, ap);
	va_end(ap);
	return step_open("openat", dirfd, path, flags, mode);
}

STEP_CALL(mkdir, (const char *path, mode_t mode), (path, mode), .fd = AT_FDCWD,
	  .path = path, .may = UL_STEP_ENOSPC)
STEP_CALL(mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode),
	  .fd = fd, .path = path, .may = UL_STEP_ENOSPC)
STEP_CALL(mknodat, (int fd, const char *path, mode_t mode, dev_t dev),
	  (fd, path, mode, dev), .fd = fd, .path = path, .may = UL_STEP_ENOSPC)
STEP_CALL(symlinkat, (const char *target, int fd, const char *path),
	  (target, fd, path), .fd = fd, .path = path, .may = UL_STEP_ENOSPC)
STEP_CALL(linkat,
	  (int fd, const char *path, int to_fd, const char *to, int flags),
	  (fd, path, to_fd, to, flags), .fd = fd, .path = path, .to_fd = to_fd,
	  .to = to, .may = UL_STEP_ENOSPC)
STEP_CALL(rename, (const char *path, const char *to), (path, to),
	  .fd = AT_FDCWD, .path = path, .to_fd = AT_FDCWD, .to = to,
	  .may = UL_STEP_ENOSPC)
STEP_CALL(renameat, (int fd, const char *path, int to_fd, const char *to),
	  (fd, path, to_fd, to), .fd = fd, .path = path, .to_fd = to_fd,
	  .to = to, .may = UL_STEP_ENOSPC)
STEP_CALL(renameat2,
	  (int fd, const char *path, int to_fd, const char *to, unsigned flags),
	  (fd, path, to_fd, to, flags), .fd = fd, .path = path, .to_fd = to_fd,
	  .to = to, .may = UL_STEP_ENOSPC)
STEP_CALL(unlink, (const char *path), (path), .fd = AT_FDCWD, .path = path)
STEP_CALL(unlinkat, (int fd, const char *path, int flags), (fd, path, flags),
	  .fd = fd, .path = path)
STEP_CALL(ftruncate64, (int fd, off_t len), (fd, len), .fd = fd,
	  .may = UL_STEP_ENOSPC | UL_STEP_EINTR)
STEP_CALL(fallocate64, (int fd, int mode, off_t at, off_t len),
	  (fd, mode, at, len), .fd = fd, .may = UL_STEP_ENOSPC | UL_STEP_EINTR)
STEP_CALL(fsync, (int fd), (fd), .fd = fd,
	  .may = UL_STEP_ENOSPC | UL_STEP_EINTR)
STEP_CALL(syncfs, (int fd), (fd), .fd = fd, .may = UL_STEP_ENOSPC)
STEP_CALL(chmod, (const char *path, mode_t mode), (path, mode), .fd = AT_FDCWD,
	  .path = path)
STEP_CALL(fchmod, (int fd, mode_t mode), (fd, mode), .fd = fd)
STEP_CALL(fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid), .fd = fd)
STEP_CALL(fchownat, (int fd, const char *path, uid_t uid, gid_t gid, int flags),
	  (fd, path, uid, gid, flags), .fd = fd, .path = path)
STEP_CALL(utimensat,
	  (int fd, const char *path, const struct timespec times[2], int flags),
	  (fd, path, times, flags), .fd = fd, .path = path)
STEP_CALL(futimens, (int fd, const struct timespec times[2]), (fd, times),
	  .fd = fd)
STEP_CALL(setxattr,
	  (const char *path, const char *name, const void *value, size_t len,
	   int flags),
	  (path, name, value, len, flags), .fd = AT_FDCWD, .path = path,
	  .may = UL_STEP_ENOSPC)
STEP_CALL(removexattr, (const char *path, const char *name), (path, name),
	  .fd = AT_FDCWD, .path = path)
STEP_CALL(fsetxattr,
	  (int fd, const char *name, const void *value, size_t len, int flags),
	  (fd, name, value, len, flags), .fd = fd, .may = UL_STEP_ENOSPC)
