/*
 * bench_remove - ul_remove_trees() against rm -rf over copies of a directory
 * whose children are the trees, as snapshots/ has them.
 *
 * bench_remove SOURCE SCRATCH
 * Alternating, median of five, warm; the copies are synced before each.
 * Prints one JSON line.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/remove.h"
#include "bench/bench.h"

static void copy(const char *source, const char *copied)
{
	bench_run((const char *[]){ "cp", "-a", source, copied, NULL });
	bench_sync(copied);
	/* Both shall find the inodes in memory. */
	bench_run((const char *[]){ "du", "-s", copied, NULL });
}

static int64_t remove_ours(const char *copied, uint64_t *ret_count)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_removed removed;
	struct ul_err err;
	int64_t start;

	if (ul_dir_open(AT_FDCWD, copied, &fd, &err))
		bench_fail("%s", err.msg);
	start = ul_clock_mono_ns();
	if (ul_dir_names(fd, &names, &err) ||
	    ul_remove_trees(fd, (const char *const *)names.names, names.len,
			    &removed, &err))
		bench_fail("%s", err.msg);
	if (rmdir(copied))
		bench_fail("something is left");
	*ret_count = removed.object_count;
	return ul_clock_mono_ns() - start;
}

int main(int argc, char **argv)
{
	ul_cleanup(ul_freep) char *scratch = NULL, *copied = NULL;
	int64_t ours[BENCH_RUNS], rm[BENCH_RUNS];
	uint64_t count = 0;
	double ours_s, rm_s;
	int i;

	bench_name = "bench_remove";
	if (argc != 3) {
		fputs("usage: bench_remove SOURCE SCRATCH\n", stderr);
		return 2;
	}
	scratch = bench_scratch(argv[2]);
	copied = bench_text("%s/copy", scratch);
	for (i = 0; i < BENCH_RUNS; i++) {
		copy(argv[1], copied);
		ours[i] = remove_ours(copied, &count);
		copy(argv[1], copied);
		rm[i] =
		    bench_run((const char *[]){ "rm", "-rf", copied, NULL });
	}
	bench_remove(scratch);
	ours_s = bench_median_s(ours, BENCH_RUNS);
	rm_s = bench_median_s(rm, BENCH_RUNS);
	printf("{\"bench\":\"remove\",\"objects\":%" PRIu64
	       ",\"remove_s\":%.4f,\"rm_s\":%.4f,\"ratio\":%.2f}\n",
	       count, ours_s, rm_s, rm_s / ours_s);
	return 0;
}
