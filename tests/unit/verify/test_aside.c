#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/form.h"
#include "store/embedded/layout.h"
#include "store/verify/internal.h"
#include "tests/lib/image_fixture.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/tree_print.h"

enum { DAY_S = 24 * 3600 };

/* A layout of others with one image, app:1. */
struct fixture {
	char *top;
	char layout[128], state[128];
	struct image image;
	struct ul_buf index;
	int fd, blobs_fd;
};

static const char *in(const struct fixture *fixture, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static const char *in(const struct fixture *fixture, const char *fmt, ...)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % ul_array_len(paths)];
	int len = snprintf(path, sizeof paths[0], "%s/", fixture->layout);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path + len, sizeof paths[0] - (size_t)len, fmt, ap);
	va_end(ap);
	return path;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);

	fixture->top = tree_temp();
	snprintf(fixture->layout, sizeof fixture->layout, "%.100s/layout",
		 fixture->top);
	snprintf(fixture->state, sizeof fixture->state, "%.100s/state",
		 fixture->top);
	assert_int_equal(mkdir(fixture->layout, 0755), 0);
	image_init(&fixture->image, "aside", "amd64", 2, false);
	image_index(&fixture->index, &fixture->image.manifest, IMAGE_MANIFEST,
		    "\"org.opencontainers.image.ref.name\":\"app:1\"");
	layout_write(fixture->layout, &fixture->image,
		     ul_buf_str(&fixture->index));
	fixture->fd = open(fixture->layout, O_RDONLY | O_CLOEXEC);
	fixture->blobs_fd =
	    openat(fixture->fd, "blobs/sha256", O_RDONLY | O_CLOEXEC);
	assert_true(fixture->blobs_fd >= 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	close(fixture->blobs_fd);
	close(fixture->fd);
	ul_buf_release(&fixture->index);
	image_release(&fixture->image);
	tree_remove(fixture->top);
	free(fixture);
	return 0;
}

static struct ul_digest digest_of(const struct image_blob *blob)
{
	struct ul_digest digest;

	assert_true(ul_digest_parse(blob->digest, &digest));
	return digest;
}

/* Move the image's first layer. */
static void blob_aside(const struct fixture *fixture)
{
	ul_cleanup(ul_closep) int holder_fd = -1;
	struct ul_digest digest = digest_of(&fixture->image.layers[0]);
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(
	    verify_aside_holder(fixture->fd, &ul_form_oci, &holder_fd, &err),
	    0);
	if (verify_blob_aside(holder_fd, fixture->blobs_fd, &digest, &err))
		fail_msg("%s", err.msg);
}

static const char *layer_path(const struct fixture *fixture)
{
	return in(fixture, "blobs/sha256/%s", fixture->image.layers[0].hex);
}

static const char *aside_path(const struct fixture *fixture, const char *end)
{
	return in(fixture, ".ullage-trash/damaged/sha256-%s%s",
		  fixture->image.layers[0].hex, end);
}

static void test_aside__a_broken_blob_goes_to_the_hidden_trash(void **state)
{
	struct fixture *fixture = *state;

	file_write(layer_path(fixture), "first");
	blob_aside(fixture);
	assert_false(path_exists(layer_path(fixture)));
	file_expect(aside_path(fixture, ""), "first");
	file_write(layer_path(fixture), "second");
	blob_aside(fixture);
	file_expect(aside_path(fixture, ""), "first");
	file_expect(aside_path(fixture, ".2"), "second");
	/* What is gone is fine. */
	blob_aside(fixture);
	assert_false(path_exists(aside_path(fixture, ".3")));
}

/* Another program has put it there between the look and the move. */
static void test_aside__a_whole_blob_goes_back(void **state)
{
	struct fixture *fixture = *state;
	struct stat before, after;

	assert_int_equal(stat(layer_path(fixture), &before), 0);
	blob_aside(fixture);
	assert_int_equal(stat(layer_path(fixture), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_false(path_exists(aside_path(fixture, "")));
}

/* Another program has opened it between the look and the move. */
static void test_aside__one_that_is_written_goes_back(void **state)
{
	struct fixture *fixture = *state;
	int fd;

	file_write(layer_path(fixture), "half");
	fd = open(layer_path(fixture), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	blob_aside(fixture);
	assert_int_equal(write(fd, " done", 5), 5);
	close(fd);
	file_expect(layer_path(fixture), "half done");
	blob_aside(fixture);
	file_expect(aside_path(fixture, ""), "half done");
}

static void held_expect(const struct fixture *fixture, const char *path,
			bool is_shared, int64_t grace_s, int64_t now_unix_s,
			enum ul_layout_held wanted)
{
	struct ul_layout_check_options options = {
		.is_shared = is_shared,
		.grace_s = grace_s,
		.now_unix_s = now_unix_s,
	};
	enum ul_layout_held held = UL_HELD_ALIEN;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(
	    strcmp(path, "index.json")
		? ul_layout_held(fixture->fd, path, &options, &held, &err)
		: ul_layout_index_held(fixture->fd, &options, &held, &err),
	    0);
	assert_int_equal(held, wanted);
}

static void test_aside__the_grace_period_holds_what_is_young(void **state)
{
	struct fixture *fixture = *state;
	int64_t now = ul_clock_unix_s();
	const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char path[UL_LAYOUT_PATH_MAX];
	struct ul_digest digest = digest_of(&fixture->image.layers[0]);

	ul_layout_blob_path(&digest, path);
	held_expect(fixture, path, true, DAY_S, now, UL_HELD_YOUNG);
	/* Its content's time is no proof: its inode was changed now. */
	assert_int_equal(utimensat(fixture->fd, path, old, 0), 0);
	held_expect(fixture, path, true, DAY_S, now, UL_HELD_YOUNG);
	held_expect(fixture, path, true, DAY_S, now + DAY_S - 5, UL_HELD_YOUNG);
	held_expect(fixture, path, true, DAY_S, now + DAY_S + 60, UL_HELD_NOT);
	held_expect(fixture, path, true, INT64_MAX, now, UL_HELD_YOUNG);
	held_expect(fixture, path, true, 0, now, UL_HELD_NOT);
	/* In a store of ours there is no such rule. */
	held_expect(fixture, path, false, DAY_S, now, UL_HELD_NOT);
	held_expect(fixture, "blobs/sha256/none", true, DAY_S, now,
		    UL_HELD_NOT);
}

/* A copy under way brings blobs; what we do in the directory is no sign. */
static void
test_aside__a_missing_index_is_as_old_as_its_neighbours(void **state)
{
	struct fixture *fixture = *state;
	int64_t later = ul_clock_unix_s() + DAY_S + 60;

	assert_int_equal(unlink(in(fixture, "index.json")), 0);
	held_expect(fixture, "index.json", true, DAY_S, later, UL_HELD_NOT);
	held_expect(fixture, "index.json", true, 2 * DAY_S, later,
		    UL_HELD_YOUNG);
	held_expect(fixture, "index.json", true, 0, later, UL_HELD_NOT);
	held_expect(fixture, "index.json", false, 2 * DAY_S, later,
		    UL_HELD_NOT);
}

static void test_aside__no_regular_file_of_others_is_moved(void **state)
{
	struct fixture *fixture = *state;
	char path[UL_LAYOUT_PATH_MAX];
	struct ul_digest digest = digest_of(&fixture->image.layers[0]);

	ul_layout_blob_path(&digest, path);
	assert_int_equal(unlinkat(fixture->fd, path, 0), 0);
	assert_int_equal(symlinkat("elsewhere", fixture->fd, path), 0);
	held_expect(fixture, path, true, 0, 0, UL_HELD_ALIEN);
	held_expect(fixture, path, false, 0, 0, UL_HELD_NOT);
}

static int repair(struct fixture *fixture, long countdown, struct ul_err *err)
{
	ul_cleanup(ul_findings_release) struct ul_findings findings =
	    UL_FINDINGS_INIT;
	ul_cleanup(ul_embedded_closep) struct ul_embedded *store = NULL;
	struct ul_verify_options options = {
		.is_deep = true,
		.now_unix_s = ul_clock_unix_s(),
	};
	struct ul_verified counts;
	int rc = ul_layout_open(fixture->layout, fixture->state, &store, err);

	if (rc)
		fail_msg("%s", err->msg);
	store->patience.limit_ms = 0;
	rc = ul_embedded_lock(store, err);
	if (rc)
		fail_msg("%s", err->msg);
	ul_mem_countdown = countdown;
	rc = ul_repair_store(store, &options, &findings, &counts, err);
	ul_mem_countdown = -1;
	ul_embedded_unlock(store);
	return rc;
}

/* Wherever a repair ends, the next one goes on: nothing is lost, what was
 * broken is kept once, and the index leads to all that is whole. */
static void test_aside__repair_may_stop_at_every_allocation(void **state)
{
	struct fixture *fixture = *state;
	long n;
	int rc = -1;

	for (n = 0; rc; n += 5) {
		struct ul_err err = UL_ERR_INIT;

		file_write(layer_path(fixture), "broken");
		file_write(in(fixture, "index.json"), "{\"manifests\":[");
		rc = repair(fixture, n, &err);
		if (rc && rc != UL_E_NOMEM)
			fail_msg("after %ld: %s", n, err.msg);
		if (rc && repair(fixture, -1, &err))
			fail_msg("after stop %ld: %s", n, err.msg);
		assert_false(path_exists(layer_path(fixture)));
		file_expect(aside_path(fixture, ""), "broken");
		assert_false(path_exists(aside_path(fixture, ".2")));
		assert_int_equal(faccessat(fixture->fd,
					   ".ullage-trash/damaged/"
					   "index.json",
					   F_OK, 0),
				 0);
		assert_true(path_exists(in(fixture, "blobs/sha256/%s",
					   fixture->image.manifest.hex)));
		assert_int_equal(unlink(aside_path(fixture, "")), 0);
	}
	assert_true(n > 100);
	file_write(in(fixture, "index.json"), ul_buf_str(&fixture->index));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(test_aside__##name, setup, teardown)
		TEST(a_broken_blob_goes_to_the_hidden_trash),
		TEST(a_whole_blob_goes_back),
		TEST(one_that_is_written_goes_back),
		TEST(the_grace_period_holds_what_is_young),
		TEST(a_missing_index_is_as_old_as_its_neighbours),
		TEST(no_regular_file_of_others_is_moved),
		TEST(repair_may_stop_at_every_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
