/*
 * bench_tree - a directory whose children are trees, as snapshots/ has them:
 * something to walk and to remove, the same for the same seed.
 *
 * bench_tree [--trees N] [--files N] [--seed N] DIR
 * DIR is made. Each tree has N files in directories of up to 24, at most eight
 * deep; most directories have few entries, one file in fifty is a hard link
 * and one in ten a symbolic one, as in system images. Prints one JSON line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "bench/bench.h"

enum { DEPTH_MAX = 8, DIRECTORY_MAX_FILES = 24, FILE_MAX_BYTES = 6000 };

struct tree {
	int fd;
	uint32_t files_left;
	uint32_t number; /* of the last file or directory made */
};

static void make_file(struct tree *tree, const char *directory)
{
	static const char bytes[FILE_MAX_BYTES];
	size_t len = bench_random_below(FILE_MAX_BYTES);
	uint32_t pick = bench_random_below(50);
	ul_cleanup(ul_freep) char *first =
	    bench_text("%s/file-%u.ext", directory, tree->number);
	ul_cleanup(ul_freep) char *path =
	    bench_text("%s/file-%u.ext", directory, ++tree->number);
	int fd;

	tree->files_left--;
	if (pick == 0 && !linkat(tree->fd, first, tree->fd, path, 0))
		return;
	if (pick > 0 && pick <= 5 && !symlinkat("target", tree->fd, path))
		return;
	fd = openat(tree->fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		bench_fail("cannot write %s: %s", path, strerror(errno));
	close(fd);
}

static void fill(struct tree *tree, const char *directory, unsigned depth)
{
	uint32_t files = bench_random_below(DIRECTORY_MAX_FILES) + 1;
	uint32_t children = 1 + bench_random_below(6);

	while (files-- && tree->files_left)
		make_file(tree, directory);
	while (depth < DEPTH_MAX && children-- && tree->files_left) {
		ul_cleanup(ul_freep) char *path =
		    bench_text("%s/dir%u", directory, ++tree->number);

		if (mkdirat(tree->fd, path, 0755))
			bench_fail("cannot make %s: %s", path, strerror(errno));
		fill(tree, path, depth + 1);
	}
}

static void make_tree(const char *top, unsigned number, uint32_t files)
{
	struct tree tree = { .files_left = files };
	char *path = bench_text("%s/%04u", top, number);
	char *fs = bench_text("%s/fs", path);
	char name[32];

	bench_mkdir(path);
	bench_mkdir(fs);
	tree.fd = open(fs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree.fd < 0)
		bench_fail("cannot open %s", fs);
	while (tree.files_left) {
		snprintf(name, sizeof name, "top%u", ++tree.number);
		if (mkdirat(tree.fd, name, 0755))
			bench_fail("cannot make %s/%s", fs, name);
		fill(&tree, name, 2);
	}
	close(tree.fd);
	free(path);
	free(fs);
}

int main(int argc, char **argv)
{
	uint32_t trees = 40, files = 2500, i;
	uint64_t seed = 1;
	int at;

	bench_name = "bench_tree";
	for (at = 1; at + 1 < argc; at += 2) {
		uint64_t value = strtoull(argv[at + 1], NULL, 10);

		if (!strcmp(argv[at], "--trees"))
			trees = (uint32_t)value;
		else if (!strcmp(argv[at], "--files"))
			files = (uint32_t)value;
		else if (!strcmp(argv[at], "--seed"))
			seed = value;
		else
			break;
	}
	if (at != argc - 1) {
		fputs("usage: bench_tree [--trees N] [--files N] [--seed N] "
		      "DIR\n",
		      stderr);
		return 2;
	}
	bench_seed(seed);
	bench_mkdir(argv[at]);
	for (i = 0; i < trees; i++)
		make_tree(argv[at], i, files);
	bench_sync(argv[at]);
	printf("{\"bench\":\"tree\",\"trees\":%u,\"files\":%u}\n", trees,
	       trees * files);
	return 0;
}
