/*
 * bench_unpack - ul_layer_apply() of a gzip layer, digest and diff ID verified,
 * against `tar -xzf` of the same.
 *
 * bench_unpack [--mb N] [--seed N] [--keep] SCRATCH [LAYER.tar.gz]
 * Without a layer: one of 200 MB is made from the seed.
 * --keep leaves what was written in SCRATCH.
 * Alternating, median of five, the packed layer in memory, what was written
 * before synced. Nothing is removed until the end: for half a minute ext4
 * searches around inodes that were just freed, which would cost both ten times
 * what they do themselves. Prints one JSON line.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "bench/layer.h"
#include "store/transfer/layer.h"

static void layer_read(const char *path, struct bench_layer *ret)
{
	ul_cleanup(ul_buf_release) struct ul_buf bytes = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_file_read(AT_FDCWD, path, SIZE_MAX / 4, &bytes, &err))
		bench_fail("%s", err.msg);
	ul_digest_of(UL_DIGEST_SHA256, bytes.data, bytes.len,
		     &ret->blob_digest);
	ret->diff_id = UL_DIGEST_INIT;
	ret->packed_bytes = bytes.len;
}

/* A new place each time, on a quiet disk. */
static char *place_new(const char *top)
{
	static int number;
	char *place = bench_text("%s/into-%d", top, number++);

	bench_mkdir(place);
	bench_sync(place);
	return place;
}

static int64_t apply_ours(const char *path, const char *top,
			  const struct bench_layer *layer,
			  struct ul_layer_result *ret)
{
	ul_cleanup(ul_freep) char *into = place_new(top);
	struct ul_layer_job job = {
		.blob_fd = open(path, O_RDONLY | O_CLOEXEC),
		.diff_id = layer->diff_id,
		.blob_digest = layer->blob_digest,
	};
	struct ul_err err = UL_ERR_INIT;
	int64_t start = ul_clock_mono_ns();

	if (ul_dir_open(AT_FDCWD, into, &job.fs_fd, &err) ||
	    ul_layer_apply(&job, ret, &err))
		bench_fail("%s", err.msg);
	start = ul_clock_mono_ns() - start;
	close(job.fs_fd);
	close(job.blob_fd);
	return start;
}

static int64_t apply_tar(const char *path, const char *top)
{
	ul_cleanup(ul_freep) char *into = place_new(top);

	return bench_run(
	    (const char *[]){ "tar", "-xzf", path, "-C", into, NULL });
}

static void measure(const char *path, const char *top,
		    struct bench_layer *layer)
{
	int64_t ours[BENCH_RUNS], tar[BENCH_RUNS];
	struct ul_layer_result result;
	double ours_s, tar_s;
	int i;

	/* Warm; and it tells the diff ID, which the others verify. */
	apply_ours(path, top, layer, &result);
	layer->diff_id = result.diff_id;
	for (i = 0; i < BENCH_RUNS; i++) {
		ours[i] = apply_ours(path, top, layer, &result);
		tar[i] = apply_tar(path, top);
	}
	ours_s = bench_median_s(ours, BENCH_RUNS);
	tar_s = bench_median_s(tar, BENCH_RUNS);
	printf("{\"bench\":\"unpack\",\"packed_bytes\":%" PRIu64
	       ",\"unpacked_bytes\":%" PRIu64 ",\"entries\":%" PRIu64
	       ",\"unpack_s\":%.4f,\"tar_s\":%.4f,\"ratio\":%.2f}\n",
	       layer->packed_bytes, result.tar_bytes, result.entry_count,
	       ours_s, tar_s, tar_s / ours_s);
}

int main(int argc, char **argv)
{
	ul_cleanup(ul_freep) char *top = NULL, *path = NULL;
	uint64_t mb = 200, seed = 1;
	struct bench_layer layer;
	bool keep = false;
	int at;

	bench_name = "bench_unpack";
	for (at = 1; at + 1 < argc && argv[at][0] == '-'; at++) {
		if (!strcmp(argv[at], "--keep"))
			keep = true;
		else if (!strcmp(argv[at], "--mb"))
			mb = strtoull(argv[++at], NULL, 10);
		else if (!strcmp(argv[at], "--seed"))
			seed = strtoull(argv[++at], NULL, 10);
		else
			break;
	}
	if (argc - at < 1 || argc - at > 2 || argv[at][0] == '-') {
		fputs(
		    "usage: bench_unpack [--mb N] [--seed N] [--keep] SCRATCH "
		    "[LAYER.tar.gz]\n",
		    stderr);
		return 2;
	}
	bench_seed(seed);
	top = bench_scratch(argv[at]);
	path = argc - at == 2 ? ul_strdup(argv[at + 1])
			      : bench_text("%s/layer.tar.gz", top);
	if (argc - at == 2)
		layer_read(path, &layer);
	else
		bench_layer_make(path, mb << 20, 0, &layer);
	measure(path, top, &layer);
	if (!keep)
		bench_remove(top);
	return 0;
}
