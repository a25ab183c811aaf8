#include "bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/remove.h"

extern char **environ;

const char *bench_name = "bench";

static uint64_t random_state = 1;

void bench_fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", bench_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

char *bench_text(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = ul_vasprintf(fmt, ap);
	va_end(ap);
	if (!text)
		bench_fail("out of memory");
	return text;
}

void bench_seed(uint64_t seed)
{
	random_state = seed;
}

/* splitmix64 */
uint64_t bench_random(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint32_t bench_random_below(uint32_t bound)
{
	return (uint32_t)((bench_random() >> 32) * bound >> 32);
}

/* An errno of the start. */
static int start(const char *const argv[], const char *out, const char *errors,
		 pid_t *ret)
{
	const int flags = O_WRONLY | O_CREAT | O_APPEND;
	posix_spawn_file_actions_t actions;
	int rc;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, out, flags, 0600);
	if (errors)
		posix_spawn_file_actions_addopen(&actions, 2, errors, flags,
						 0600);
	rc = posix_spawnp(ret, argv[0], &actions, NULL, (char *const *)argv,
			  environ);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static bool has_succeeded(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return false;
	}
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

int64_t bench_run(const char *const argv[])
{
	int64_t began = ul_clock_mono_ns();
	pid_t pid;

	if (start(argv, "/dev/null", NULL, &pid))
		bench_fail("cannot run %s", argv[0]);
	if (!has_succeeded(pid))
		bench_fail("%s failed", argv[0]);
	return ul_clock_mono_ns() - began;
}

bool bench_can_run(const char *const argv[])
{
	pid_t pid;

	return !start(argv, "/dev/null", "/dev/null", &pid) &&
	       has_succeeded(pid);
}

pid_t bench_start(const char *const argv[], const char *log)
{
	pid_t pid;

	if (start(argv, log, log, &pid))
		bench_fail("cannot run %s", argv[0]);
	return pid;
}

void bench_stop(pid_t pid)
{
	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int i64_cmp(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

double bench_median_s(int64_t *ns, size_t count)
{
	qsort(ns, count, sizeof *ns, i64_cmp);
	return (double)ns[count / 2] / 1e9;
}

void bench_sync(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd))
		bench_fail("cannot sync %s", folder);
	close(fd);
}

bool bench_drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	bool is_done;

	if (fd < 0)
		return false;
	sync();
	is_done = write(fd, "3", 1) == 1;
	close(fd);
	return is_done;
}

char *bench_scratch(const char *top)
{
	char *path = bench_text("%s/%s.XXXXXX", top, bench_name);

	if (!mkdtemp(path))
		bench_fail("cannot make a folder in %s", top);
	return path;
}

void bench_remove(const char *path)
{
	struct ul_removed removed;
	struct ul_err err = UL_ERR_INIT;

	if (ul_remove_trees(AT_FDCWD, &path, 1, &removed, &err))
		bench_fail("%s", err.msg);
}

void bench_mkdir(const char *path)
{
	if (mkdir(path, 0755))
		bench_fail("cannot make %s: %s", path, strerror(errno));
}
