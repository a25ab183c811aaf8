#include "bench/layer.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "bench/bench.h"
#include "tests/lib/tar_fixture.h"

enum { FILES_IN_DIRECTORY = 24, FILE_MAX_BYTES = 4 << 20 };

/* Two thirds below 8 KiB, three in a thousand of megabytes. */
static size_t file_len(void)
{
	static const struct {
		uint32_t per_mille, from, to;
	} classes[] = {
		{ 350, 0, 1 << 10 },          { 300, 1 << 10, 8 << 10 },
		{ 207, 8 << 10, 32 << 10 },   { 100, 32 << 10, 128 << 10 },
		{ 40, 128 << 10, 512 << 10 }, { 3, 1 << 20, FILE_MAX_BYTES },
	};
	uint32_t pick = bench_random_below(1000);
	size_t i = 0;

	while (pick >= classes[i].per_mille)
		pick -= classes[i++].per_mille;
	return classes[i].from +
	       bench_random_below(classes[i].to - classes[i].from);
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
			words[i][at] = letters[bench_random_below(22)];
		words[i][at] = i % 11 ? ' ' : '\n';
		words[i][at + 1] = '\0';
	}
	for (at = 0; at < len;) {
		if (!is_text && bench_random_below(3) == 0) {
			data[at++] = (char)bench_random_below(256);
			continue;
		}
		word = bench_random_below(512) & bench_random_below(512);
		for (i = 0; words[word][i] && at < len; i++)
			data[at++] = words[word][i];
	}
}

static void tar_fill(struct ul_buf *tar, size_t tar_bytes, uint32_t first)
{
	char *data = malloc(FILE_MAX_BYTES + 1);
	struct tar_item item;
	char path[96];
	uint32_t n;

	for (n = 0; data && tar->len < tar_bytes; n++) {
		snprintf(path, sizeof path, "usr/share/package%u/part%u",
			 first + n / (4 * FILES_IN_DIRECTORY),
			 n / FILES_IN_DIRECTORY);
		item = (struct tar_item){ .path = path, .type = '5' };
		if (n % FILES_IN_DIRECTORY == 0)
			tar_add(tar, &item);
		snprintf(path + strlen(path), 32, "/file-%u.ext", n);
		item = (struct tar_item){ .path = path, .mtime = 1700000000 };
		item.data = data;
		item.len = file_len() + 1;
		file_fill(data, item.len, n % 3 != 0);
		tar_add(tar, &item);
	}
	tar_end(tar);
	free(data);
}

static void file_write(const char *path, const struct ul_buf *buf)
{
	struct ul_err err = UL_ERR_INIT;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || ul_fd_write_all(fd, buf->data, buf->len, &err))
		bench_fail("cannot write %s", path);
	close(fd);
}

void bench_layer_make(const char *path, size_t tar_bytes, uint32_t first,
		      struct bench_layer *ret)
{
	char *tar_path = bench_text("%s.plain", path);
	char *packed_path = bench_text("%s.plain.gz", path);
	struct ul_buf buf = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;

	tar_fill(&buf, tar_bytes, first);
	ul_digest_of(UL_DIGEST_SHA256, buf.data, buf.len, &ret->diff_id);
	file_write(tar_path, &buf);
	bench_run((const char *[]){ "gzip", "-n", tar_path, NULL });
	ul_buf_reset(&buf);
	if (rename(packed_path, path) ||
	    ul_file_read(AT_FDCWD, path, SIZE_MAX / 4, &buf, &err))
		bench_fail("cannot pack %s", path);
	ul_digest_of(UL_DIGEST_SHA256, buf.data, buf.len, &ret->blob_digest);
	ret->packed_bytes = buf.len;
	ul_buf_release(&buf);
	free(tar_path);
	free(packed_path);
}
