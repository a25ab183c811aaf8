/* Layers of bytes that no list of entries says. */
#include "tests/unit/transfer/hostile_layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/limits.h"

void hostile_garbage(struct ul_buf *bytes)
{
	ul_buf_add(bytes, A1024, 1024);
}

void hostile_bad_checksum(struct ul_buf *bytes)
{
	const struct tar_item good = { .path = "good",
				       .type = '0',
				       .data = "1" };
	const struct tar_item item = { .path = "f", .type = '0' };
	char block[512];

	tar_add(bytes, &good);
	tar_header(&item, block);
	block[0] = 'g';
	ul_buf_add(bytes, block, sizeof block);
	tar_end(bytes);
}

static void build_number(struct ul_buf *bytes, int at, int size,
			 const char *value)
{
	const struct tar_item item = { .path = "f", .type = '0' };
	char block[512];

	tar_header(&item, block);
	memcpy(block + at, value, size);
	tar_checksum(block);
	ul_buf_add(bytes, block, sizeof block);
	tar_end(bytes);
}

void hostile_negative_length(struct ul_buf *bytes)
{
	build_number(bytes, 124, 12,
		     "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00");
}

void hostile_negative_owner(struct ul_buf *bytes)
{
	build_number(bytes, 108, 8, "\xff\xff\xff\xff\xff\xff\xff\xff");
}

void hostile_cut_data(struct ul_buf *bytes)
{
	const struct tar_item item = {
		.path = "f", .type = '0', .data = "short", .claimed = 100000
	};

	tar_add(bytes, &item);
}

void hostile_cut_header(struct ul_buf *bytes)
{
	const struct tar_item item = { .path = "f", .type = '0', .data = "x" };

	tar_add(bytes, &item);
	ul_buf_add(bytes, A256, 256);
}

static void build_pax(struct ul_buf *bytes, const char *records, size_t len)
{
	const struct tar_item header = { "pax", 'x', .data = records,
					 .len = len };
	const struct tar_item item = { .path = "f", .type = '0', .data = "x" };

	tar_add(bytes, &header);
	tar_add(bytes, &item);
	tar_end(bytes);
}

void hostile_pax_wrong_length(struct ul_buf *bytes)
{
	build_pax(bytes, "99999 path=../x\n", 16);
}

void hostile_pax_no_length(struct ul_buf *bytes)
{
	build_pax(bytes, "path=../x\n", 10);
}

void hostile_pax_giant(struct ul_buf *bytes)
{
	char *records = malloc(2 << 20);

	memset(records, 'x', 2 << 20);
	memcpy(records, "2097152 comment=", 16);
	records[(2 << 20) - 1] = '\n';
	build_pax(bytes, records, 2 << 20);
	free(records);
}

/* PAX sparse 1.0: the map is at the start of the data. */
static void build_sparse(struct ul_buf *bytes, const char *map,
			 const char *real_size)
{
	char data[1024] = { 0 };
	const struct tar_item item = {
		.path = "f",
		.type = '0',
		.data = data,
		.len = sizeof data,
		.pax = { TAR_PAX("GNU.sparse.major", "1"),
			 TAR_PAX("GNU.sparse.minor", "0"),
			 TAR_PAX("GNU.sparse.name", "f"),
			 TAR_PAX("GNU.sparse.realsize", real_size) },
	};

	snprintf(data, sizeof data, "%s", map);
	tar_add(bytes, &item);
	tar_end(bytes);
}

void hostile_sparse_giant(struct ul_buf *bytes)
{
	build_sparse(bytes, "1\n0\n512\n", "4611686018427387904");
}

void hostile_sparse_beyond(struct ul_buf *bytes)
{
	build_sparse(bytes, "1\n5000\n512\n", "1000");
}

void hostile_sparse_backwards(struct ul_buf *bytes)
{
	build_sparse(bytes, "2\n600\n256\n0\n256\n", "100000");
}

void hostile_sparse_nonsense(struct ul_buf *bytes)
{
	build_sparse(bytes, "99999999999999999999999\n", "1000");
}

static void build_bomb(struct ul_buf *bytes,
		       void (*pack)(struct ul_buf *, const void *, size_t))
{
	struct ul_buf tar = UL_BUF_INIT;
	char *zeros = calloc(1, 8 << 20);
	const struct tar_item item = {
		.path = "zeros", .type = '0', .data = zeros, .len = 8 << 20
	};

	tar_add(&tar, &item);
	tar_end(&tar);
	pack(bytes, tar.data, tar.len);
	ul_buf_release(&tar);
	free(zeros);
}

void hostile_gzip_bomb(struct ul_buf *bytes)
{
	build_bomb(bytes, pack_gzip);
}

void hostile_zstd_bomb(struct ul_buf *bytes)
{
	build_bomb(bytes, pack_zstd);
}

/* All after the tar's end, where no entry would show it. */
void hostile_trailing_bomb(struct ul_buf *bytes)
{
	char *zeros = calloc(1, 8 << 20);

	pack_gzip(bytes, zeros, 8 << 20);
	free(zeros);
}

void hostile_many_members(struct ul_buf *bytes)
{
	const struct tar_item item = { .path = "f", .type = '0', .data = "x" };
	struct ul_buf tar = UL_BUF_INIT;

	tar_add(&tar, &item);
	pack_gzip(bytes, tar.data, tar.len);
	ul_buf_add(bytes, "\x1f\x8bgarbage and more of it", 24);
	ul_buf_release(&tar);
}

void hostile_many_names(struct ul_buf *bytes)
{
	char path[32];
	struct tar_item item = { .path = path, .type = '0' };
	int i;

	for (i = 0; i < 200; i++) {
		snprintf(path, sizeof path, "name%d", i);
		tar_add(bytes, &item);
	}
	tar_end(bytes);
}

void hostile_many_links(struct ul_buf *bytes)
{
	char path[16], target[16];
	struct tar_item link = { .path = path, .type = '2', .link = target };
	const struct tar_item last = { .path = "l0/x",
				       .type = '0',
				       .data = "x" };
	int i;

	for (i = 0; i <= UL_SYMLINKS_MAX; i++) {
		snprintf(path, sizeof path, "l%d", i);
		snprintf(target, sizeof target, "l%d", i + 1);
		tar_add(bytes, &link);
	}
	tar_add(bytes, &last);
	tar_end(bytes);
}

static void build_xattrs(struct ul_buf *bytes, int count, size_t value_len)
{
	struct ul_buf records = UL_BUF_INIT;
	char key[64];
	char *value = malloc(value_len + 1);
	size_t len;
	int i;

	memset(value, 'v', value_len);
	value[value_len] = '\0';
	for (i = 0; i < count; i++) {
		snprintf(key, sizeof key, "SCHILY.xattr.user.n%06d", i);
		len = strlen(key) + value_len + 3;
		/* The length counts its own digits. */
		len += len < 8 ? 1 : len < 97 ? 2 : len < 996 ? 3 : 5;
		ul_buf_printf(&records, "%zu %s=%s\n", len, key, value);
	}
	build_pax(bytes, records.data, records.len);
	ul_buf_release(&records);
	free(value);
}

void hostile_many_xattrs(struct ul_buf *bytes)
{
	build_xattrs(bytes, 300, 1);
}

void hostile_large_xattrs(struct ul_buf *bytes)
{
	build_xattrs(bytes, 9, 40000);
}

void hostile_large_xattr(struct ul_buf *bytes)
{
	build_xattrs(bytes, 1, 70000);
}
