/*
 * bench_walk - ul_walk() against du and gdu over one directory.
 *
 * bench_walk [--cold] [--threads N] DIR
 * Alternating, median of five after one warm-up. Prints one JSON line.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/walk.h"

enum { RUNS = 5 };

static int64_t run(const char *const argv[])
{
	int64_t start = ul_clock_mono_ns();
	int status, null;
	pid_t pid = fork();

	if (!pid) {
		null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		dup2(null, 2);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
		return -1;
	return ul_clock_mono_ns() - start;
}

/* In a child too, so that both pay for a process. */
static int64_t run_walk(const char *path, int threads)
{
	struct ul_walk_options options = { .thread_count = threads };
	struct ul_walk_tree tree = { .path = path };
	int64_t start = ul_clock_mono_ns();
	struct ul_err err;
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (ul_walk(AT_FDCWD, &tree, 1, &options, &err)) {
			fprintf(stderr, "bench_walk: %s\n", err.msg);
			_exit(1);
		}
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
		return -1;
	return ul_clock_mono_ns() - start;
}

static void drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	sync();
	if (fd < 0 || write(fd, "3", 1) != 1) {
		perror("bench_walk: drop_caches");
		exit(1);
	}
	close(fd);
}

static int i64_cmp(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static double median_s(int64_t ns[RUNS])
{
	qsort(ns, RUNS, sizeof *ns, i64_cmp);
	return ns[0] < 0 ? -1 : (double)ns[RUNS / 2] / 1e9;
}

static void measure(const char *path, int threads, bool cold,
		    int64_t walk[RUNS], int64_t du[RUNS], int64_t gdu[RUNS])
{
	const char *du_argv[] = { "du", "-s", "-x", path, NULL };
	const char *gdu_argv[] = { "gdu", "-npx", path, NULL };
	int i;

	for (i = cold ? 0 : -1; i < RUNS; i++) {
		int at = i < 0 ? 0 : i;

		if (cold)
			drop_caches();
		walk[at] = run_walk(path, threads);
		if (cold)
			drop_caches();
		du[at] = run(du_argv);
		if (cold)
			drop_caches();
		gdu[at] = run(gdu_argv);
	}
}

int main(int argc, char **argv)
{
	struct ul_walk_tree tree = { .path = NULL };
	int64_t walk[RUNS], du[RUNS], gdu[RUNS];
	double walk_s, du_s, gdu_s;
	struct ul_err err;
	bool cold = false;
	int i, threads = 0;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--cold"))
			cold = true;
		else if (!strcmp(argv[i], "--threads") && i + 1 < argc)
			threads = (int)strtol(argv[++i], NULL, 10);
		else
			break;
	}
	if (i != argc - 1) {
		fputs("usage: bench_walk [--cold] [--threads N] DIR\n", stderr);
		return 2;
	}
	tree.path = argv[i];
	if (ul_walk(AT_FDCWD, &tree, 1, NULL, &err)) {
		fprintf(stderr, "bench_walk: %s\n", err.msg);
		return 1;
	}
	measure(argv[i], threads, cold, walk, du, gdu);
	walk_s = median_s(walk);
	du_s = median_s(du);
	gdu_s = median_s(gdu);
	if (walk_s < 0 || du_s < 0)
		return 1;
	printf("{\"bench\":\"walk\",\"cold\":%s,\"objects\":%llu,"
	       "\"allocated_bytes\":%llu,\"walk_s\":%.4f,\"du_s\":%.4f,"
	       "\"ratio\":%.2f",
	       cold ? "true" : "false", (unsigned long long)tree.object_count,
	       (unsigned long long)tree.allocated_bytes, walk_s, du_s,
	       du_s / walk_s);
	if (gdu_s > 0)
		printf(",\"gdu_s\":%.4f,\"gdu_ratio\":%.2f", gdu_s,
		       gdu_s / walk_s);
	puts("}");
	ul_walk_trees_release(&tree, 1);
	return 0;
}
