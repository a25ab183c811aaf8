/*
 * Layers that try to harm, and what becomes of them: refused with a message
 * that says why, or applied within the layer's directory. In either case
 * nothing around it changes, not even a time.
 */
#include "store/transfer/layer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/lib/layer_fixture.h"
#include "tests/lib/tree_print.h"

#define A16 "aaaaaaaaaaaaaaaa"
#define A64 A16 A16 A16 A16
#define A256 A64 A64 A64 A64
#define A1024 A256 A256 A256 A256
#define D16 "d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/"
#define D256 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16
#define C200 A64 A64 A64 "aaaaaaaa"

struct hostile {
	const char *name;
	const char *tries;
	struct tar_item items[6];
	void (*build)(struct ul_buf *bytes); /* instead of items */
	struct ul_layer_limits limits;       /* 0: as ever */
	int code;
	const char *msg; /* "" where it is applied, within the layer */
};

/* What the layers below have. */
static void below(struct layer_fixture *fixture)
{
	static const struct tar_item items[] = {
		{ .path = "file", .type = '0', .data = "below" },
		{ .path = "dir", .type = '5', .mode = 0750 },
		{ .path = "dir/f", .type = '0', .data = "f" },
		{ .path = "escape",
		  .type = '2',
		  .link = "../../../../outside" },
		{ .path = "abs", .type = '2', .link = "/outside" },
		{ .path = "loop", .type = '2', .link = "loop" },
		{ .path = "gone", .type = '0', .data = "gone" },
	};
	struct ul_buf tar = UL_BUF_INIT;
	size_t i;

	for (i = 0; i < ul_array_len(items); i++)
		tar_add(&tar, &items[i]);
	tar_end(&tar);
	layer_below(fixture, &tar);
	ul_buf_release(&tar);
}

static void build_garbage(struct ul_buf *bytes)
{
	ul_buf_add(bytes, A1024, 1024);
}

static void build_bad_checksum(struct ul_buf *bytes)
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

static void build_negative_length(struct ul_buf *bytes)
{
	build_number(bytes, 124, 12,
		     "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00");
}

static void build_negative_owner(struct ul_buf *bytes)
{
	build_number(bytes, 108, 8, "\xff\xff\xff\xff\xff\xff\xff\xff");
}

static void build_cut_data(struct ul_buf *bytes)
{
	const struct tar_item item = {
		.path = "f", .type = '0', .data = "short", .claimed = 100000
	};

	tar_add(bytes, &item);
}

static void build_cut_header(struct ul_buf *bytes)
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

static void build_pax_wrong_length(struct ul_buf *bytes)
{
	build_pax(bytes, "99999 path=../x\n", 16);
}

static void build_pax_no_length(struct ul_buf *bytes)
{
	build_pax(bytes, "path=../x\n", 10);
}

static void build_pax_giant(struct ul_buf *bytes)
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

static void build_sparse_giant(struct ul_buf *bytes)
{
	build_sparse(bytes, "1\n0\n512\n", "4611686018427387904");
}

static void build_sparse_beyond(struct ul_buf *bytes)
{
	build_sparse(bytes, "1\n5000\n512\n", "1000");
}

static void build_sparse_backwards(struct ul_buf *bytes)
{
	build_sparse(bytes, "2\n600\n256\n0\n256\n", "100000");
}

static void build_sparse_nonsense(struct ul_buf *bytes)
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

static void build_gzip_bomb(struct ul_buf *bytes)
{
	build_bomb(bytes, pack_gzip);
}

static void build_zstd_bomb(struct ul_buf *bytes)
{
	build_bomb(bytes, pack_zstd);
}

/* All after the tar's end, where no entry would show it. */
static void build_trailing_bomb(struct ul_buf *bytes)
{
	char *zeros = calloc(1, 8 << 20);

	pack_gzip(bytes, zeros, 8 << 20);
	free(zeros);
}

static void build_many_members(struct ul_buf *bytes)
{
	const struct tar_item item = { .path = "f", .type = '0', .data = "x" };
	struct ul_buf tar = UL_BUF_INIT;

	tar_add(&tar, &item);
	pack_gzip(bytes, tar.data, tar.len);
	ul_buf_add(bytes, "\x1f\x8bgarbage and more of it", 24);
	ul_buf_release(&tar);
}

static void build_many_names(struct ul_buf *bytes)
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

static void build_many_links(struct ul_buf *bytes)
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

static void build_many_xattrs(struct ul_buf *bytes)
{
	build_xattrs(bytes, 300, 1);
}

static void build_large_xattrs(struct ul_buf *bytes)
{
	build_xattrs(bytes, 9, 40000);
}

static void build_large_xattr(struct ul_buf *bytes)
{
	build_xattrs(bytes, 1, 70000);
}

#define CORRUPT .code = UL_E_CORRUPT
#define LIMIT .code = UL_E_LIMIT
#define ENTRY(path, text) "layer entry '" path "': " text
#define APPLIED .code = 0, .msg = ""

static const struct hostile hostiles[] = {
	/* Paths. */
	{ "dot-dot", "a file beside the layer",
	  .items = { { .path = "../x", .type = '0', .data = "x" } }, CORRUPT,
	  .msg = ENTRY("../x", "path leaves the image") },
	{ "dot-dot-inside", "the same, after going down first",
	  .items = { { .path = "a/../../b", .type = '0', .data = "x" } },
	  CORRUPT, .msg = ENTRY("a/../../b", "path leaves the image") },
	{ "dot-dot-last", "attributes of the directory above",
	  .items = { { .path = "a/..", .type = '5', .mode = 0777 } }, CORRUPT,
	  .msg = ENTRY("a/..", "path leaves the image") },
	{ "dot-dot-pax", "the same in a PAX record",
	  .items = { { .path = "good",
		       .type = '0',
		       .pax = { TAR_PAX("path", "../../outside/x") } } },
	  CORRUPT, .msg = ENTRY("../../outside/x", "path leaves the image") },
	{ "dot-dot-slashes", "the same behind noise",
	  .items = { { .path = ".//.//..//x", .type = '0' } }, CORRUPT,
	  .msg = ENTRY(".//.//..//x", "path leaves the image") },
	{ "absolute", "a file of the host",
	  .items = { { .path = "/outside/x", .type = '0' } }, CORRUPT,
	  .msg = ENTRY("/outside/x", "path is absolute") },
	{ "absolute-twice", "the same",
	  .items = { { .path = "//x", .type = '0' } }, CORRUPT,
	  .msg = ENTRY("//x", "path is absolute") },
	{ "empty", "an entry of no name",
	  .items = { { .path = "", .type = '0', .data = "x" } }, CORRUPT,
	  .msg = ENTRY("", "path is empty") },
	{ "terminal", "escape sequences in our message",
	  .items = { { .path = "../\x1b[2J\n\x9b", .type = '0' } }, CORRUPT,
	  .msg = ENTRY("../\\x1b[2J\\x0a\\x9b", "path leaves the image") },
	{ "long-path", "more than PATH_MAX",
	  .items = { { .path = A1024 "/" A1024 "/" A1024 "/" A1024,
		       .type = '0' } },
	  LIMIT,
	  .msg = ENTRY(A64 A64 A64 A16 A16 A16 "aaaaaaaa...",
		       "path longer than 4095 bytes") },
	{ "long-component", "more than NAME_MAX",
	  .items = { { .path = "x/" A256, .type = '0' } }, LIMIT,
	  .msg = ENTRY("x/" A64 A64 A64 A16 A16 A16 "aaaaaa...",
		       "path component longer than 255 bytes") },
	{ "deep", "directories without end",
	  .items = { { .path = D256 D256 D256 D256 "x", .type = '0' } }, LIMIT,
	  .msg =
	      ENTRY(D16 D16 D16 D16 D16 D16 D16 "d/d/d/d/d/d/d/d/d/d/d/d/...",
		    "path deeper than 1024 directories") },
	{ "root-is-file", "the image's root as a file",
	  .items = { { .path = ".", .type = '0', .data = "x" } }, CORRUPT,
	  .msg = ENTRY(".", "the image's root is not a directory") },
	{ "root-is-symlink", "the image's root as a symlink",
	  .items = { { .path = "./", .type = '2', .link = "/outside" } },
	  CORRUPT, .msg = ENTRY("./", "the image's root is not a directory") },
	{ "root-is-link", "the image's root as a hard link",
	  .items = { { .path = ".", .type = '1', .link = "file" } }, CORRUPT,
	  .msg = ENTRY(".", "the image's root is not a directory") },
	/* Symlinks. */
	{ "symlink-up", "a file outside, through a symlink of its own",
	  .items = { { .path = "s", .type = '2', .link = "../outside" },
		     { .path = "s/secret",
		       .type = '0',
		       .data = "overwritten" } },
	  APPLIED },
	{ "symlink-absolute", "the same, absolute",
	  .items = { { .path = "s", .type = '2', .link = "/outside/dir" },
		     { .path = "s/file", .type = '0', .data = "overwritten" } },
	  APPLIED },
	{ "symlink-chain", "the same, in three steps",
	  .items = { { .path = "a", .type = '2', .link = ".." },
		     { .path = "b", .type = '2', .link = "a/.." },
		     { .path = "c", .type = '2', .link = "b/outside" },
		     { .path = "c/secret",
		       .type = '0',
		       .data = "overwritten" } },
	  APPLIED },
	{ "symlink-proc", "the host's root, through /proc",
	  .items = { { .path = "s", .type = '2', .link = "/proc/self/root" },
		     { .path = "s/tmp/x", .type = '0', .data = "x" } },
	  APPLIED },
	{ "symlink-below", "a file outside, through a lower layer's symlink",
	  .items = { { .path = "escape/secret",
		       .type = '0',
		       .data = "overwritten" },
		     { .path = "abs/dir/file",
		       .type = '0',
		       .data = "overwritten" } },
	  APPLIED },
	{ "symlink-last", "a file outside, where a symlink stood",
	  .items = { { .path = "s", .type = '2', .link = "../outside/secret" },
		     { .path = "s", .type = '0', .data = "overwritten" } },
	  APPLIED },
	{ "symlink-last-below", "the same, a lower layer's",
	  .items = { { .path = "escape", .type = '0', .data = "overwritten" },
		     { .path = "abs", .type = '5', .mode = 0777 } },
	  APPLIED },
	{ "symlink-directory", "mode and time of a directory outside",
	  .items = { { .path = "s", .type = '2', .link = "../outside/dir" },
		     { .path = "s", .type = '5', .mode = 0777, .mtime = 1 },
		     { .path = "s/file", .type = '0', .data = "overwritten" } },
	  APPLIED },
	{ "symlink-device", "a device in a directory outside",
	  .items = { { .path = "s", .type = '2', .link = "../outside/dir" },
		     { .path = "s/p", .type = '6', .mode = 0666 },
		     { .path = "s/l", .type = '2', .link = "x" } },
	  APPLIED },
	{ "symlink-loop", "a path without end",
	  .items = { { .path = "a", .type = '2', .link = "b" },
		     { .path = "b", .type = '2', .link = "a" },
		     { .path = "a/x", .type = '0', .data = "x" } },
	  LIMIT,
	  .msg = ENTRY("a/x", "more than 40 symbolic links on the way") },
	{ "symlink-loop-below", "the same, in a lower layer",
	  .items = { { .path = "loop/x", .type = '0', .data = "x" } }, LIMIT,
	  .msg = ENTRY("loop/x", "more than 40 symbolic links on the way") },
	{ "symlink-many", "more links than the kernel follows",
	  .build = build_many_links, LIMIT,
	  .msg = ENTRY("l0/x", "more than 40 symbolic links on the way") },
	{ "symlink-growing", "a path that grows as it is followed",
	  .items = { { .path = "g",
		       .type = '2',
		       .link = "g/" C200 "/" C200 "/" C200 },
		     { .path = "g/x", .type = '0', .data = "x" } },
	  LIMIT,
	  .msg = ENTRY("g/x", "path longer than 4095 bytes once its symbolic "
			      "links are followed") },
	{ "symlink-component", "a component over NAME_MAX in a target",
	  .items = { { .path = "g", .type = '2', .link = A256 },
		     { .path = "g/x", .type = '0', .data = "x" } },
	  LIMIT, .msg = ENTRY("g/x", "path component longer than 255 bytes") },
	{ "symlink-empty", "a symlink to nothing",
	  .items = { { .path = "s", .type = '2' } }, CORRUPT,
	  .msg = ENTRY("s", "symbolic link without a target") },
	{ "symlink-long", "a target over PATH_MAX",
	  .items = { { .path = "s",
		       .type = '2',
		       .link = A1024 A1024 A1024 A1024 } },
	  LIMIT, .msg = ENTRY("s", "symbolic link of more than 4095 bytes") },
	/* Parents that are none. */
	{ "parent-file", "a file in a file",
	  .items = { { .path = "f", .type = '0', .data = "x" },
		     { .path = "f/x", .type = '0', .data = "x" } },
	  CORRUPT, .msg = ENTRY("f/x", "its parent f is not a directory") },
	{ "parent-file-below", "a file in a lower layer's file",
	  .items = { { .path = "file/x/y", .type = '0', .data = "x" } },
	  CORRUPT,
	  .msg = ENTRY("file/x/y", "its parent file is not a directory") },
	{ "parent-fifo", "a file in a fifo",
	  .items = { { .path = "p", .type = '6' },
		     { .path = "p/x", .type = '0', .data = "x" } },
	  CORRUPT, .msg = ENTRY("p/x", "its parent p is not a directory") },
	{ "parent-whiteout", "a file in a whiteout",
	  .items = { { .path = ".wh.dir/x", .type = '0', .data = "x" } },
	  CORRUPT, .msg = ENTRY(".wh.dir/x", "lies in a whiteout") },
	/* Hard links. */
	{ "link-dot-dot", "a second name for a file outside",
	  .items = { { .path = "l",
		       .type = '1',
		       .link = "../outside/secret" } },
	  CORRUPT,
	  .msg = ENTRY("l", "hard link to '../outside/secret': path leaves the "
			    "image") },
	{ "link-absolute", "the same, absolute",
	  .items = { { .path = "l", .type = '1', .link = "/etc/passwd" } },
	  CORRUPT,
	  .msg = ENTRY("l", "hard link to '/etc/passwd': path is absolute") },
	{ "link-through-symlink", "the same, through a symlink",
	  .items = { { .path = "s", .type = '2', .link = "../outside" },
		     { .path = "l", .type = '1', .link = "s/secret" } },
	  CORRUPT,
	  .msg = ENTRY("l", "hard link to 's/secret': does not exist") },
	{ "link-through-below", "the same, through a lower layer's symlink",
	  .items = { { .path = "l", .type = '1', .link = "abs/secret" } },
	  CORRUPT,
	  .msg = ENTRY("l", "hard link to 'abs/secret': does not exist") },
	{ "link-through-link", "writing through a link to a symlink",
	  .items = { { .path = "s", .type = '2', .link = "../outside/secret" },
		     { .path = "l", .type = '1', .link = "s" },
		     { .path = "l", .type = '0', .data = "overwritten" } },
	  APPLIED },
	{ "link-writes-below", "writing to a lower layer's file through a link",
	  .items = { { .path = "l", .type = '1', .link = "file" },
		     { .path = "l", .type = '0', .data = "overwritten" },
		     { .path = "file", .type = '0', .data = "overwritten" } },
	  APPLIED },
	{ "link-absent", "a link to nothing",
	  .items = { { .path = "l", .type = '1', .link = "nothing" } }, CORRUPT,
	  .msg = ENTRY("l", "hard link to 'nothing': does not exist") },
	{ "link-later", "a link to what comes later",
	  .items = { { .path = "l", .type = '1', .link = "f" },
		     { .path = "f", .type = '0', .data = "x" } },
	  CORRUPT, .msg = ENTRY("l", "hard link to 'f': does not exist") },
	{ "link-hidden", "a link to what this layer hides",
	  .items = { { .path = ".wh.gone", .type = '0' },
		     { .path = "l", .type = '1', .link = "gone" } },
	  CORRUPT, .msg = ENTRY("l", "hard link to 'gone': does not exist") },
	{ "link-directory", "a directory of two names",
	  .items = { { .path = "l", .type = '1', .link = "dir" } }, CORRUPT,
	  .msg = ENTRY("l", "hard link to 'dir': is a directory") },
	{ "link-root", "the root as a directory of two names",
	  .items = { { .path = "l", .type = '1', .link = "./" } }, CORRUPT,
	  .msg = ENTRY("l", "hard link to './': is a directory") },
	{ "link-itself", "a link to its own name",
	  .items = { { .path = "file", .type = '1', .link = "dir/../file" } },
	  CORRUPT,
	  .msg = ENTRY("file", "hard link to 'dir/../file': path leaves the "
			       "image") },
	{ "link-itself-plain", "the same, plainly",
	  .items = { { .path = "file", .type = '1', .link = "./file" } },
	  CORRUPT,
	  .msg = ENTRY("file", "hard link to './file': is the link itself") },
	{ "link-replaces-target", "a link in place of what it names",
	  .items = { { .path = "d", .type = '5' },
		     { .path = "d/f", .type = '0', .data = "x" },
		     { .path = "d", .type = '1', .link = "d/f" } },
	  CORRUPT,
	  .msg = ENTRY("d", "hard link to 'd/f': is in the directory that the "
			    "link replaces") },
	/* Whiteouts. */
	{ "whiteout-dot-dot", "removing a file outside",
	  .items = { { .path = "../outside/.wh.secret", .type = '0' } },
	  CORRUPT,
	  .msg = ENTRY("../outside/.wh.secret", "path leaves the image") },
	{ "whiteout-symlink", "the same, through symlinks",
	  .items = { { .path = "s", .type = '2', .link = "../outside" },
		     { .path = "s/.wh.secret", .type = '0' },
		     { .path = "escape/.wh.secret", .type = '0' },
		     { .path = "abs/.wh..wh..opq", .type = '0' } },
	  APPLIED },
	{ "opaque-dot-dot", "hiding a directory outside",
	  .items = { { .path = "../.wh..wh..opq", .type = '0' } }, CORRUPT,
	  .msg = ENTRY("../.wh..wh..opq", "path leaves the image") },
	{ "whiteout-nothing", "a whiteout of no name",
	  .items = { { .path = "dir/.wh.", .type = '0' } }, CORRUPT,
	  .msg = ENTRY("dir/.wh.", "whiteout of no name") },
	{ "whiteout-dot", "a whiteout of its directory",
	  .items = { { .path = "dir/.wh..", .type = '0' } }, CORRUPT,
	  .msg = ENTRY("dir/.wh..", "whiteout of no name") },
	{ "whiteout-dot-dot-name", "a whiteout of the directory above",
	  .items = { { .path = "dir/.wh...", .type = '0' } }, CORRUPT,
	  .msg = ENTRY("dir/.wh...", "whiteout of no name") },
	{ "whiteout-device", "a whiteout in overlayfs' own form",
	  .items = { { .path = "dir/f",
		       .type = '3',
		       .dev_major = 0,
		       .dev_minor = 0 } },
	  CORRUPT,
	  .msg = ENTRY("dir/f", "character device 0:0 would be a whiteout") },
	/* Attributes. */
	{ "overlay-redirect", "another directory of the host, merged",
	  .items = { { .path = "d",
		       .type = '5',
		       .pax = { TAR_PAX("SCHILY.xattr.trusted.overlay.redirect",
					"/../outside") } } },
	  CORRUPT,
	  .msg =
	      ENTRY("d", "xattr trusted.overlay.redirect is overlayfs' own") },
	{ "overlay-metacopy", "another file's data",
	  .items = { { .path = "f",
		       .type = '0',
		       .pax = { TAR_PAX("SCHILY.xattr.trusted.overlay.metacopy",
					"x") } } },
	  CORRUPT,
	  .msg =
	      ENTRY("f", "xattr trusted.overlay.metacopy is overlayfs' own") },
	{ "overlay-user", "the same for mounts without root",
	  .items = { { .path = "d",
		       .type = '5',
		       .pax = { TAR_PAX("SCHILY.xattr.user.overlay.opaque",
					"y") } } },
	  CORRUPT,
	  .msg = ENTRY("d", "xattr user.overlay.opaque is overlayfs' own") },
	{ "xattr-many", "more xattrs than anybody has",
	  .build = build_many_xattrs, LIMIT,
	  .msg = ENTRY("f", "more than 256 xattrs") },
	{ "xattr-large", "more bytes of xattrs than the kernel lists",
	  .build = build_large_xattrs, LIMIT, .limits = { .xattr_bytes = 100 },
	  .msg = ENTRY("f", "xattrs of more than 100 bytes") },
	{ "xattr-value", "a value over the kernel's bound",
	  .build = build_large_xattr, LIMIT,
	  .msg = ENTRY("f", "an xattr's name is longer than 255 bytes or its "
			    "value than 65536") },
	{ "xattr-name", "a name over the kernel's bound",
	  .items = { { .path = "f",
		       .type = '0',
		       .pax = { TAR_PAX("SCHILY.xattr.user." A256, "x") } } },
	  LIMIT,
	  .msg = ENTRY("f", "an xattr's name is longer than 255 bytes or its "
			    "value than 65536") },
	{ "owner-minus-one", "the owner that means \"leave it\"",
	  .items = { { .path = "f", .type = '0', .uid = 0xffffffff } }, CORRUPT,
	  .msg = ENTRY("f", "owner 4294967295 is out of range") },
	{ "owner-giant", "an owner that becomes root when cut to 32 bits",
	  .items = { { .path = "f", .type = '0', .gid = (uint64_t)1 << 32 } },
	  CORRUPT, .msg = ENTRY("f", "owner 4294967296 is out of range") },
	{ "owner-negative", "a negative owner", .build = build_negative_owner,
	  CORRUPT, .msg = ENTRY("f", "owner -1 is out of range") },
	{ "device-giant", "a device number that becomes another when cut",
	  .items = { { .path = "d",
		       .type = '4',
		       .pax = { TAR_PAX("SCHILY.devmajor", "4104"),
				TAR_PAX("SCHILY.devminor", "0") } } },
	  CORRUPT, .msg = ENTRY("d", "device number 4104:0 is out of range") },
	/* Amounts. */
	{ "many-names", "a million names", .build = build_many_names,
	  .limits = { .entry_count = 100 }, LIMIT,
	  .msg = ENTRY("name100", "more than 100 entries in one layer") },
	{ "many-directories", "directories made for one entry",
	  .items = { { .path = D16 D16 "x", .type = '0' } },
	  .limits = { .entry_count = 20 }, LIMIT,
	  .msg = ENTRY(D16 D16 "x", "more than 20 entries in one layer") },
	{ "many-paths", "paths to remember until the end",
	  .items = { { .path = C200, .type = '5' },
		     { .path = C200 "/" C200, .type = '5' } },
	  .limits = { .kept_bytes = 500 }, LIMIT,
	  .msg = ENTRY(C200 "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			    "...",
		       "paths of directories and whiteouts of more than 500 "
		       "bytes") },
	{ "giant", "a file that fills any disk",
	  .items = { { .path = "f",
		       .type = '0',
		       .data = "x",
		       .claimed = (uint64_t)1 << 60 } },
	  LIMIT,
	  .msg = ENTRY("f", "files of more than 1099511627776 bytes in one "
			    "layer") },
	{ "giant-sparse", "a hole of 4 EiB", .build = build_sparse_giant, LIMIT,
	  .msg = ENTRY("f", "files of more than 1099511627776 bytes in one "
			    "layer") },
	{ "giant-sum", "many files that fill any disk together",
	  .items = { { .path = "a", .type = '0', .data = A1024 },
		     { .path = "b", .type = '0', .data = A1024 } },
	  .limits = { .bytes = 4000 }, LIMIT,
	  .msg = "unpacks to more than 4000 bytes" },
	{ "gzip-bomb", "zeros without end", .build = build_gzip_bomb,
	  .limits = { .ratio = 50, .ratio_from_bytes = 1 << 20 }, LIMIT,
	  .msg = ENTRY("zeros", "unpacks to more than 50 times its "
				"packed length") },
	{ "zstd-bomb", "the same in zstd", .build = build_zstd_bomb,
	  .limits = { .ratio = 50, .ratio_from_bytes = 1 << 20 }, LIMIT,
	  .msg = ENTRY("zeros", "unpacks to more than 50 times its "
				"packed length") },
	{ "length-bomb", "more than a layer may hold", .build = build_gzip_bomb,
	  .limits = { .bytes = 2 << 20 }, LIMIT,
	  .msg = ENTRY("zeros", "files of more than 2097152 bytes in one "
				"layer") },
	{ "trailing-bomb", "the same after the tar's end",
	  .build = build_trailing_bomb, .limits = { .bytes = 2 << 20 }, LIMIT,
	  .msg = "unpacks to more than 2097152 bytes" },
	/* Odd bytes. */
	{ "garbage", "no tar at all", .build = build_garbage, CORRUPT,
	  .msg = "tar: Unrecognized archive format" },
	{ "checksum", "a header with a wrong checksum",
	  .build = build_bad_checksum, CORRUPT,
	  .msg = "tar: Damaged tar archive" },
	{ "negative-length", "a file of negative length",
	  .build = build_negative_length, CORRUPT,
	  .msg = "tar: Tar entry has negative size" },
	{ "cut-data", "a file that ends too early", .build = build_cut_data,
	  CORRUPT, .msg = ENTRY("f", "tar: Truncated tar archive") },
	{ "cut-header", "a header that ends too early",
	  .build = build_cut_header, CORRUPT,
	  .msg = "tar: Truncated tar archive" },
	{ "pax-length", "a PAX record longer than its header",
	  .build = build_pax_wrong_length, CORRUPT,
	  .msg = "tar: Ignoring malformed pax extended attribute" },
	{ "pax-no-length", "a PAX record without a length",
	  .build = build_pax_no_length, CORRUPT,
	  .msg = "tar: Ignoring malformed pax extended attributes" },
	{ "pax-giant", "a PAX header of 2 MiB", .build = build_pax_giant,
	  CORRUPT, .msg = "tar: Special header too large" },
	{ "sparse-beyond", "data beyond a sparse file's length",
	  .build = build_sparse_beyond, CORRUPT,
	  .msg = ENTRY("f", "data outside its length") },
	{ "sparse-backwards", "a sparse map that goes back",
	  .build = build_sparse_backwards, CORRUPT,
	  .msg = ENTRY("f", "data outside its length") },
	{ "sparse-nonsense", "a sparse map of no numbers",
	  .build = build_sparse_nonsense, CORRUPT, .msg = "tar: damaged" },
	{ "gzip-member", "garbage that looks like another gzip member",
	  .build = build_many_members, CORRUPT, .msg = "gzip: damaged header" },
};

static void hostile_bytes(const struct hostile *hostile, struct ul_buf *bytes)
{
	size_t i;

	if (hostile->build) {
		hostile->build(bytes);
		return;
	}
	for (i = 0; i < ul_array_len(hostile->items); i++)
		if (hostile->items[i].path)
			tar_add(bytes, &hostile->items[i]);
	tar_end(bytes);
}

static struct ul_layer_limits hostile_limits(const struct hostile *hostile)
{
	struct ul_layer_limits limits = UL_LAYER_LIMITS_INIT;
	const struct ul_layer_limits *own = &hostile->limits;

	if (own->entry_count)
		limits.entry_count = own->entry_count;
	if (own->bytes)
		limits.bytes = own->bytes;
	if (own->ratio)
		limits.ratio = own->ratio;
	if (own->ratio_from_bytes)
		limits.ratio_from_bytes = own->ratio_from_bytes;
	if (own->kept_bytes)
		limits.kept_bytes = own->kept_bytes;
	if (own->xattr_bytes)
		limits.xattr_bytes = own->xattr_bytes;
	return limits;
}

/* Whether it came out as the table says; tells what did not. */
static bool hostile_try(struct layer_fixture *fixture,
			const struct hostile *hostile)
{
	struct ul_layer_limits limits = hostile_limits(hostile);
	struct ul_layer_job job = { .blob_fd = -1, .limits = &limits };
	struct ul_layer_result result = { .entry_count = 4711 };
	struct ul_err err = UL_ERR_INIT;
	struct ul_buf bytes = UL_BUF_INIT;
	bool is_right;
	int rc;

	hostile_bytes(hostile, &bytes);
	rc = layer_apply_bytes(fixture, ul_buf_str(&bytes), bytes.len, job,
			       &result, &err);
	is_right = rc == hostile->code && !strcmp(err.msg, hostile->msg) &&
		   (rc == 0 || result.entry_count == 4711);
	if (!is_right)
		print_error("%s (%s): %d \"%s\"\n", hostile->name,
			    hostile->tries, rc, err.msg);
	ul_buf_release(&bytes);
	return is_right;
}

static void test_layer_hostile__nothing_around_the_layer_changes(void **state)
{
	struct layer_fixture fixture;
	struct ul_buf before = UL_BUF_INIT;
	struct ul_buf after = UL_BUF_INIT;
	size_t wrong = 0;
	size_t i;

	(void)state;
	layer_fixture_open(&fixture);
	below(&fixture);
	tree_print(fixture.top, "fs", &before);
	for (i = 0; i < ul_array_len(hostiles); i++) {
		wrong += !hostile_try(&fixture, &hostiles[i]);
		ul_buf_reset(&after);
		tree_print(fixture.top, "fs", &after);
		if (strcmp(before.data, after.data) != 0)
			fail_msg("%s (%s) changed something:\n%s\nwas\n%s",
				 hostiles[i].name, hostiles[i].tries,
				 after.data, before.data);
		layer_fixture_clear(&fixture);
	}
	assert_int_equal(wrong, 0);
	ul_buf_release(&before);
	ul_buf_release(&after);
	layer_fixture_close(&fixture);
}

static void test_layer_hostile__knows_at_least_forty_layers(void **state)
{
	size_t i, k, refused = 0;

	(void)state;
	for (i = 0; i < ul_array_len(hostiles); i++) {
		refused += hostiles[i].code != 0;
		for (k = 0; k < i; k++)
			assert_string_not_equal(hostiles[i].name,
						hostiles[k].name);
	}
	assert_true(refused >= 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_layer_hostile__nothing_around_the_layer_changes),
		cmocka_unit_test(
		    test_layer_hostile__knows_at_least_forty_layers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
