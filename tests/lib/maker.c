#include "tests/lib/maker.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"

void maker_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("store_maker: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

/* splitmix64 (Steele, Lea, Flood 2014) */
uint64_t maker_random(struct maker *maker)
{
	uint64_t z = maker->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

size_t maker_below(struct maker *maker, size_t limit)
{
	return limit ? maker_random(maker) % limit : 0;
}

bool maker_chance(struct maker *maker, unsigned percent)
{
	return maker_below(maker, 100) < percent;
}

size_t maker_size(struct maker *maker, size_t most)
{
	static const size_t edges[] = {
		1, 60, 156, 511, 512, 4095, 4096, 4097
	};

	switch (maker_below(maker, 4)) {
	case 0:
		return edges[maker_below(maker, sizeof edges / sizeof *edges)];
	case 1:
		return 1 + maker_below(maker, 5000);
	default:
		return 1 + maker_below(maker, most);
	}
}

const char *maker_path(const struct maker *maker, const char *fmt, ...)
{
	static char paths[8][MAKER_PATH_MAX];
	static unsigned turn;
	char *path = paths[turn++ % 8];
	int len = snprintf(path, MAKER_PATH_MAX, "%s/store/", maker->state);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path + len, MAKER_PATH_MAX - (size_t)len, fmt, ap);
	va_end(ap);
	return path;
}

void maker_dir(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		maker_die("mkdir %s: %m", path);
}

void maker_file(struct maker *maker, const char *path, size_t len)
{
	ul_cleanup(ul_closep) int fd =
	    open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct ul_err err = UL_ERR_INIT;
	static uint64_t data[1 << 13];
	size_t i, part;

	if (fd < 0)
		maker_die("open %s: %m", path);
	if (len > 4096 && maker_chance(maker, 10) &&
	    lseek(fd, 1 << 20, SEEK_SET) < 0)
		maker_die("seek %s: %m", path);
	for (; len; len -= part) {
		part = len < sizeof data ? len : sizeof data;
		for (i = 0; i <= part / sizeof *data && i < 1 << 13; i++)
			data[i] = maker_random(maker);
		if (ul_fd_write_all(fd, data, part, &err))
			maker_die("%s: %s", path, err.msg);
	}
}

static struct maker_paths *walked_files, *walked_dirs;

static int walk_one(const char *path, const struct stat *st, int type,
		    struct FTW *ftw)
{
	struct maker_paths *into = NULL;

	(void)ftw;
	if (type == FTW_F && S_ISREG(st->st_mode))
		into = walked_files;
	else if (type == FTW_D)
		into = walked_dirs;
	if (!into)
		return 0;
	if (into->len == into->cap) {
		into->cap = into->cap ? 2 * into->cap : 256;
		into->paths =
		    realloc(into->paths, into->cap * sizeof *into->paths);
		if (!into->paths)
			maker_die("no memory");
	}
	into->paths[into->len++] = strdup(path);
	return 0;
}

static int path_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void maker_list(const struct maker *maker, const char *folder,
		struct maker_paths *files, struct maker_paths *dirs)
{
	walked_files = files;
	walked_dirs = dirs;
	if (nftw(maker_path(maker, "%s", folder), walk_one, 16, FTW_PHYS))
		maker_die("walking %s: %m", folder);
	if (files && files->len)
		qsort(files->paths, files->len, sizeof *files->paths, path_cmp);
	if (dirs && dirs->len)
		qsort(dirs->paths, dirs->len, sizeof *dirs->paths, path_cmp);
}

void maker_paths_release(struct maker_paths *paths)
{
	size_t i;

	for (i = 0; i < paths->len; i++)
		free(paths->paths[i]);
	free(paths->paths);
	*paths = (struct maker_paths){ .paths = NULL };
}
