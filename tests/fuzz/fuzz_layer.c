/*
 * A whole layer, packed or not, applied over one that has what a hostile tar
 * looks for: links that lead out, loops, directories of every kind. Nothing
 * around it changes, its bounds hold, no descriptor is left open.
 */
#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "fuzz.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/tar_mutate.h"
#include "tests/lib/layer_fixture.h"
#include "tests/lib/tree_print.h"

enum { LAYER_BYTES = 1 << 18, LAYER_ENTRIES = 100, LAYER_DEPTH = 40 };

static struct layer_fixture fixture;
static struct ul_buf around = UL_BUF_INIT; /* as it was at first */

static const struct tar_item below[] = {
	{ .path = "file", .type = '0', .data = "below" },
	{ .path = "set", .type = '0', .mode = 06755, .data = "s" },
	{ .path = "dir", .type = '5', .mode = 0750 },
	{ .path = "dir/f", .type = '0', .data = "f" },
	{ .path = "dir/sub", .type = '5', .mode = 02775, .gid = 7 },
	{ .path = "dir/sub/g", .type = '0', .data = "g" },
	{ .path = "out", .type = '2', .link = "../../../../outside" },
	{ .path = "abs", .type = '2', .link = "/outside" },
	{ .path = "up", .type = '2', .link = ".." },
	{ .path = "loop", .type = '2', .link = "loop" },
	{ .path = "in", .type = '2', .link = "dir/sub" },
	{ .path = "hard", .type = '1', .link = "file" },
	{ .path = "pipe", .type = '6' },
};

static void around_print(struct ul_buf *text)
{
	tree_print(fixture.top, "fs", text);
}

static void fixture_release(void)
{
	ul_buf_release(&around);
	layer_fixture_close(&fixture);
}

static void fixture_make(void)
{
	struct ul_buf tar = UL_BUF_INIT;
	size_t i;

	for (i = 0; i < ul_array_len(below); i++)
		tar_add(&tar, &below[i]);
	tar_end(&tar);
	/* The scratch directory of the fixture goes before that above it. */
	(void)scratch_fd();
	layer_fixture_open(&fixture);
	layer_below(&fixture, &tar);
	ul_buf_release(&tar);
	around_print(&around);
	if (atexit(fixture_release))
		abort();
}

static void assert_around_is_untouched(void)
{
	ul_cleanup(ul_buf_release) struct ul_buf now = UL_BUF_INIT;

	around_print(&now);
	assert(now.len == around.len);
	assert(!memcmp(now.data, around.data, now.len));
}

struct totals {
	uint64_t objects, bytes;
	dev_t dev;
};

/* Of overlayfs' own xattrs only the one that hides; no orders to it. */
static void check_xattrs(const char *path)
{
	char names[4096];
	ssize_t len = llistxattr(path, names, sizeof names), at;

	for (at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
		const char *name = names + at;

		if (strstr(name, ".overlay."))
			assert(!strcmp(name, "trusted.overlay.opaque") ||
			       !strcmp(name, "user.overlay.opaque"));
	}
}

static void check_object(const char *path, struct totals *totals);

static void check_children(const char *path, size_t depth,
			   struct totals *totals)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_err err = UL_ERR_INIT;
	size_t i;
	int rc = ul_dir_open(AT_FDCWD, path, &fd, &err);

	(void)depth;
	if (!rc)
		rc = ul_dir_names(fd, &names, &err);
	assert(!rc);
	for (i = 0; i < names.len; i++) {
		ul_cleanup(ul_freep) char *child =
		    ul_asprintf("%s/%s", path, names.names[i]);

		assert(child && strncmp(names.names[i], ".wh.", 4) != 0);
		check_object(child, totals);
	}
}

static void check_object(const char *path, struct totals *totals)
{
	struct stat st;
	int rc = lstat(path, &st);

	assert(!rc && st.st_dev == totals->dev);
	totals->objects++;
	if (S_ISREG(st.st_mode))
		totals->bytes += (uint64_t)st.st_size / st.st_nlink;
	check_xattrs(path);
	if (S_ISDIR(st.st_mode))
		check_children(path, 0, totals);
}

static void check_layer(const struct ul_layer_result *result)
{
	ul_cleanup(ul_freep) char *path = ul_asprintf("%s/fs", fixture.top);
	struct totals totals = { .objects = 0 };
	struct stat st;
	int rc;

	assert(path);
	rc = stat(path, &st);
	assert(!rc);
	totals.dev = st.st_dev;
	check_object(path, &totals);
	assert(result->entry_count <= LAYER_ENTRIES);
	assert(result->tar_bytes <= LAYER_BYTES);
	/* Its root, and the whiteouts that make the root opaque. */
	assert(totals.objects <= LAYER_ENTRIES + 1 + ul_array_len(below));
	assert(totals.bytes <= LAYER_BYTES + sizeof "below" + sizeof "s" +
				   sizeof "f" + sizeof "g");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ul_layer_limits limits = UL_LAYER_LIMITS_INIT;
	struct ul_layer_job job = { .blob_fd = -1, .limits = &limits };
	struct ul_layer_result result;
	struct ul_err err = UL_ERR_INIT;
	size_t fds;
	int rc;

	if (!fixture.top)
		fixture_make();
	limits.bytes = LAYER_BYTES;
	limits.entry_count = LAYER_ENTRIES;
	limits.depth = LAYER_DEPTH;
	fds = scratch_open_fds();
	rc = layer_apply_bytes(&fixture, data, size, job, &result, &err);
	assert(scratch_open_fds() == fds);
	assert(!rc || (rc == err.code && !strpbrk(err.msg, "\n\033")));
	if (!rc)
		check_layer(&result);
	assert_around_is_untouched();
	/* What was left of a failed one goes, whatever it was. */
	layer_fixture_clear(&fixture);
	assert_around_is_untouched();
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
			       unsigned int seed)
{
	return tar_mutate(data, size, max_size, seed);
}
