/*
 * bench_walk - ul_walk() against du and gdu over one directory.
 *
 * bench_walk [--cold] [--threads N] DIR
 * Alternating, median of five after one warm-up; cold: after drop_caches each
 * time. Prints one JSON line; exit status 3 where caches cannot be dropped.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/walk.h"
#include "bench/bench.h"

enum { CANNOT_DROP = 3 };

struct times {
	int64_t walk[BENCH_RUNS], du[BENCH_RUNS], gdu[BENCH_RUNS];
};

/* In a child too, so that both pay for a process. */
static int64_t run_walk(const char *path, int threads)
{
	struct ul_walk_options options = { .thread_count = threads };
	struct ul_walk_tree tree = { .path = path };
	int64_t start = ul_clock_mono_ns();
	struct ul_err err;
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(ul_walk(AT_FDCWD, &tree, 1, &options, &err) != 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
		bench_fail("the walk failed");
	return ul_clock_mono_ns() - start;
}

static void get_ready(bool cold)
{
	if (cold && !bench_drop_caches())
		bench_fail("cannot drop caches");
}

static void measure(const char *path, int threads, bool cold, bool has_gdu,
		    struct times *times)
{
	const char *du[] = { "du", "-s", "-x", path, NULL };
	const char *gdu[] = { "gdu", "-npx", path, NULL };
	int i;

	for (i = cold ? 0 : -1; i < BENCH_RUNS; i++) {
		int at = i < 0 ? 0 : i;

		get_ready(cold);
		times->walk[at] = run_walk(path, threads);
		get_ready(cold);
		times->du[at] = bench_run(du);
		if (!has_gdu)
			continue;
		get_ready(cold);
		times->gdu[at] = bench_run(gdu);
	}
}

static void print(const struct ul_walk_tree *tree, bool cold, bool has_gdu,
		  struct times *times)
{
	double walk_s = bench_median_s(times->walk, BENCH_RUNS);
	double du_s = bench_median_s(times->du, BENCH_RUNS);
	double gdu_s;

	printf("{\"bench\":\"walk\",\"cold\":%s,\"objects\":%" PRIu64
	       ",\"allocated_bytes\":%" PRIu64
	       ",\"walk_s\":%.4f,\"du_s\":%.4f,\"ratio\":%.2f",
	       cold ? "true" : "false", tree->object_count,
	       tree->allocated_bytes, walk_s, du_s, du_s / walk_s);
	if (has_gdu) {
		gdu_s = bench_median_s(times->gdu, BENCH_RUNS);
		printf(",\"gdu_s\":%.4f,\"gdu_ratio\":%.2f", gdu_s,
		       gdu_s / walk_s);
	}
	puts("}");
}

int main(int argc, char **argv)
{
	const char *gdu[] = { "gdu", "--version", NULL };
	struct ul_walk_tree tree = { .path = NULL };
	bool cold = false, has_gdu;
	struct times times;
	struct ul_err err;
	int i, threads = 0;

	bench_name = "bench_walk";
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
	if (cold && !bench_drop_caches()) {
		fputs("bench_walk: caches cannot be dropped here\n", stderr);
		return CANNOT_DROP;
	}
	tree.path = argv[i];
	if (ul_walk(AT_FDCWD, &tree, 1, NULL, &err))
		bench_fail("%s", err.msg);
	has_gdu = bench_can_run(gdu);
	measure(argv[i], threads, cold, has_gdu, &times);
	print(&tree, cold, has_gdu, &times);
	ul_walk_trees_release(&tree, 1);
	return 0;
}
