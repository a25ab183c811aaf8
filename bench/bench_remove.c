/*
 * bench_remove - ul_remove_trees() against rm -rf over copies of a directory
 * whose children are the trees, as snapshots/ has them.
 *
 * bench_remove SOURCE SCRATCH
 * Alternating, median of five, warm; the copies are synced before each.
 * Prints one JSON line.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/remove.h"

enum { RUNS = 5 };

static int run(const char *const argv[])
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) < 0 || status ? -1 : 0;
}

static void fail(const char *what)
{
	fprintf(stderr, "bench_remove: %s\n", what);
	exit(1);
}

static void copy(const char *source, const char *copied)
{
	const char *argv[] = { "cp", "-a", source, copied, NULL };
	const char *du[] = { "sh", "-c", "du -s \"$0\" >/dev/null", copied,
			     NULL };

	if (run(argv))
		fail("cannot copy");
	sync();
	/* Both shall find the inodes in memory. */
	if (run(du))
		fail("cannot walk the copy");
}

static int64_t remove_ours(const char *copied, uint64_t *ret_count)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_removed removed;
	struct ul_err err;
	int64_t start;

	if (ul_dir_open(AT_FDCWD, copied, &fd, &err))
		fail(err.msg);
	start = ul_clock_mono_ns();
	if (ul_dir_names(fd, &names, &err) ||
	    ul_remove_trees(fd, (const char *const *)names.names, names.len,
			    &removed, &err))
		fail(err.msg);
	if (rmdir(copied))
		fail("something is left");
	*ret_count = removed.object_count;
	return ul_clock_mono_ns() - start;
}

static int64_t remove_rm(const char *copied)
{
	const char *argv[] = { "rm", "-rf", copied, NULL };
	int64_t start = ul_clock_mono_ns();

	if (run(argv))
		fail("rm failed");
	return ul_clock_mono_ns() - start;
}

static int i64_cmp(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static double median_s(int64_t ns[RUNS])
{
	qsort(ns, RUNS, sizeof *ns, i64_cmp);
	return (double)ns[RUNS / 2] / 1e9;
}

int main(int argc, char **argv)
{
	int64_t ours[RUNS], rm[RUNS];
	uint64_t count = 0;
	double ours_s, rm_s;
	char *copied;
	int i;

	if (argc != 3) {
		fputs("usage: bench_remove SOURCE SCRATCH\n", stderr);
		return 2;
	}
	copied = ul_asprintf("%s/bench-remove.%d", argv[2], (int)getpid());
	if (!copied)
		fail("out of memory");
	for (i = 0; i < RUNS; i++) {
		copy(argv[1], copied);
		ours[i] = remove_ours(copied, &count);
		copy(argv[1], copied);
		rm[i] = remove_rm(copied);
	}
	ours_s = median_s(ours);
	rm_s = median_s(rm);
	printf("{\"bench\":\"remove\",\"objects\":%llu,\"remove_s\":%.4f,"
	       "\"rm_s\":%.4f,\"ratio\":%.2f}\n",
	       (unsigned long long)count, ours_s, rm_s, rm_s / ours_s);
	free(copied);
	return 0;
}
