/*
 * bench_unpack - ul_layer_apply() of a gzip layer, digest and diff ID verified,
 * against `tar -xzf` of the same.
 *
 * bench_unpack SCRATCH [LAYER.tar.gz]
 * Without a layer: one of 200 MB is made, with lengths, names and contents as
 * system images have them, from a fixed seed.
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/transfer/layer.h"
#include "tests/lib/tar_fixture.h"

enum { RUNS = 5, TAR_BYTES = 200 << 20, FILES_IN_DIRECTORY = 24 };

static uint64_t seed = 20261123;

static void fail(const char *what)
{
	fprintf(stderr, "bench_unpack: %s\n", what);
	exit(1);
}

static void run(const char *const argv[])
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
		fail(argv[0]);
}

static uint32_t random_below(uint32_t bound)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % bound);
}

/* Two thirds below 8 KiB, three in a thousand of megabytes. */
static size_t file_len(void)
{
	static const struct {
		uint32_t per_mille, from, to;
	} classes[] = {
		{ 350, 0, 1 << 10 },          { 300, 1 << 10, 8 << 10 },
		{ 207, 8 << 10, 32 << 10 },   { 100, 32 << 10, 128 << 10 },
		{ 40, 128 << 10, 512 << 10 }, { 3, 1 << 20, 4 << 20 },
	};
	uint32_t pick = random_below(1000);
	size_t i = 0;

	while (pick >= classes[i].per_mille)
		pick -= classes[i++].per_mille;
	return classes[i].from + random_below(classes[i].to - classes[i].from);
}

/* Words for two files of three; machine code has more variety. */
static void file_fill(char *data, size_t len, bool is_text)
{
	static const char letters[] = "etaoinshrdlcumwfgypbvk";
	char words[512][10];
	size_t at, i;
	uint32_t word;

	for (i = 0; i < 512; i++) {
		for (at = 0; at < 2 + i % 7; at++)
			words[i][at] = letters[random_below(22)];
		words[i][at] = i % 11 ? ' ' : '\n';
		words[i][at + 1] = '\0';
	}
	for (at = 0; at < len;) {
		if (!is_text && random_below(3) == 0) {
			data[at++] = (char)random_below(256);
			continue;
		}
		word = random_below(512) & random_below(512);
		for (i = 0; words[word][i] && at < len; i++)
			data[at++] = words[word][i];
	}
}

static void layer_make(const char *tar_path)
{
	struct ul_buf tar = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	char *data = malloc(4 << 20);
	struct tar_item item;
	char path[96];
	int n, fd;

	for (n = 0; tar.len < TAR_BYTES; n++) {
		snprintf(path, sizeof path, "usr/share/package%d/part%d",
			 n / (4 * FILES_IN_DIRECTORY), n / FILES_IN_DIRECTORY);
		item = (struct tar_item){ .path = path, .type = '5' };
		if (n % FILES_IN_DIRECTORY == 0)
			tar_add(&tar, &item);
		snprintf(path + strlen(path), 32, "/file-%d.ext", n);
		item = (struct tar_item){ .path = path, .mtime = 1700000000 };
		item.data = data;
		item.len = file_len() + 1;
		file_fill(data, item.len, n % 3 != 0);
		tar_add(&tar, &item);
	}
	tar_end(&tar);
	fd = open(tar_path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || ul_fd_write_all(fd, tar.data, tar.len, &err))
		fail("cannot write the layer");
	close(fd);
	ul_buf_release(&tar);
	free(data);
}

static void file_digest(const char *path, struct ul_digest *ret)
{
	struct ul_buf bytes = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_file_read(AT_FDCWD, path, SIZE_MAX / 4, &bytes, &err))
		fail(err.msg);
	ul_digest_of(UL_DIGEST_SHA256, bytes.data, bytes.len, ret);
	ul_buf_release(&bytes);
}

/* A new place each time, on a quiet disk. */
static char *place_new(const char *top)
{
	static int number;
	char *place = ul_asprintf("%s/into-%d", top, number++);

	if (!place || mkdir(place, 0755))
		fail("cannot make a directory");
	sync();
	return place;
}

static int64_t apply_ours(const char *layer, const char *top,
			  const struct ul_digest *blob_digest,
			  struct ul_layer_result *result)
{
	struct ul_layer_job job = { .blob_fd = open(layer, O_RDONLY) };
	struct ul_err err = UL_ERR_INIT;
	ul_cleanup(ul_freep) char *into = place_new(top);
	int64_t start = ul_clock_mono_ns();

	if (ul_dir_open(AT_FDCWD, into, &job.fs_fd, &err))
		fail(err.msg);
	job.diff_id = result->diff_id;
	job.blob_digest = *blob_digest;
	if (ul_layer_apply(&job, result, &err))
		fail(err.msg);
	start = ul_clock_mono_ns() - start;
	close(job.fs_fd);
	close(job.blob_fd);
	return start;
}

static int64_t apply_tar(const char *layer, const char *top)
{
	ul_cleanup(ul_freep) char *into = place_new(top);
	const char *argv[] = { "tar", "-xzf", layer, "-C", into, NULL };
	int64_t start = ul_clock_mono_ns();

	run(argv);
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

static void measure(const char *layer, const char *top)
{
	struct ul_layer_result result = { .diff_id.alg = UL_DIGEST_NONE };
	struct ul_digest blob_digest;
	int64_t ours[RUNS], tar[RUNS];
	double ours_s, tar_s;
	struct stat st;
	int i;

	if (stat(layer, &st))
		fail(layer);
	file_digest(layer, &blob_digest);
	/* Warm, and to know the diff ID, which the others verify. */
	apply_ours(layer, top, &blob_digest, &result);
	for (i = 0; i < RUNS; i++) {
		ours[i] = apply_ours(layer, top, &blob_digest, &result);
		tar[i] = apply_tar(layer, top);
	}
	ours_s = median_s(ours);
	tar_s = median_s(tar);
	printf("{\"bench\":\"unpack\",\"packed_bytes\":%" PRIu64
	       ",\"unpacked_bytes\":%" PRIu64 ",\"entries\":%" PRIu64
	       ",\"unpack_s\":%.4f,\"tar_s\":%.4f,\"ratio\":%.2f}\n",
	       (uint64_t)st.st_size, result.tar_bytes, result.entry_count,
	       ours_s, tar_s, tar_s / ours_s);
}

int main(int argc, char **argv)
{
	char *top, *tar, *layer;

	if (argc != 2 && argc != 3) {
		fputs("usage: bench_unpack SCRATCH [LAYER.tar.gz]\n", stderr);
		return 2;
	}
	top = ul_asprintf("%s/bench-unpack.%d", argv[1], (int)getpid());
	tar = ul_asprintf("%s/layer.tar", top);
	layer = argc == 3 ? ul_strdup(argv[2])
			  : ul_asprintf("%s/layer.tar.gz", top);
	if (!top || !tar || !layer || mkdir(top, 0700))
		fail("cannot make the scratch directory");
	if (argc == 2) {
		layer_make(tar);
		run((const char *[]){ "gzip", "-n", tar, NULL });
	}
	measure(layer, top);
	run((const char *[]){ "rm", "-rf", top, NULL });
	free(top);
	free(tar);
	free(layer);
	return 0;
}
