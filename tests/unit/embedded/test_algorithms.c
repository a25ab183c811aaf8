/*
 * Blobs of another algorithm than sha256: the same rules as for all others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/store.h"
#include "tests/lib/content_fixture.h"

static int setup(void **state)
{
	int rc = store_fixture_setup_open(state);

	return rc ? rc : mkdir(store_path(*state, "oci/blobs/sha512"), 0755);
}

static const char *path_512(const struct store_fixture *fixture,
			    struct content_digest digest)
{
	return store_path(fixture, "oci/blobs/sha512/%s", digest.text + 7);
}

static struct content_digest put_512(const struct store_fixture *fixture,
				     const char *text)
{
	struct content_digest made;
	struct ul_digest digest;

	ul_digest_of(UL_DIGEST_SHA512, text, strlen(text), &digest);
	ul_digest_format(&digest, made.text);
	file_write(path_512(fixture, made), text);
	return made;
}

/* An image whose manifest and layer are sha512 ones. */
struct image_512 {
	struct content_digest manifest, config, layer;
};

static struct image_512 image_put_512(const struct store_fixture *fixture)
{
	struct image_512 image = { .layer = put_512(fixture, "a layer") };
	char text[2048];

	image.config = config_put(fixture, "{}", CHAIN_1);
	snprintf(text, sizeof text,
		 "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_MANIFEST
		 "\",\"config\":{\"mediaType\":\"" TYPE_CONFIG
		 "\",\"digest\":\"%s\",\"size\":1},\"layers\":[{\"mediaType\":"
		 "\"" TYPE_LAYER "\",\"digest\":\"%s\",\"size\":1}]}",
		 image.config.text, image.layer.text);
	image.manifest = put_512(fixture, text);
	return image;
}

static bool is_whole(const struct store_fixture *fixture,
		     const struct image_512 *image)
{
	return path_exists(path_512(fixture, image->manifest)) &&
	       path_exists(path_512(fixture, image->layer)) &&
	       blob_exists(fixture, image->config);
}

static void test_algorithms__sha512_blobs_are_blobs(void **state)
{
	struct store_fixture *fixture = *state;
	struct image_512 image = image_put_512(fixture);
	struct content_digest stray = put_512(fixture, "stray");
	const struct ul_object *object;
	struct ul_view view;

	INDEX_PUT(fixture, { "app", image.manifest.text, NULL });
	view = content_scan(fixture, ul_clock_unix_s());
	assert_null(view.refusal);
	assert_int_equal(view.note_count, 0);
	assert_int_equal(view.image_count, 1);
	assert_string_equal(view.images[0].digest, image.manifest.text);
	object = object_of(&view, UL_KIND_BLOB, image.layer.text);
	assert_true(object->is_present);
	assert_true(object->is_reachable);
	assert_int_equal(object->length_bytes, strlen("a layer"));
	assert_true(object->measure.allocated_bytes > 0);
	assert_true(
	    object_of(&view, UL_KIND_BLOB, image.config.text)->is_reachable);
	assert_false(object_of(&view, UL_KIND_BLOB, stray.text)->is_reachable);
	assert_int_equal(view.record.residual_bytes, 0);
	ul_view_release(&view);
}

static void test_algorithms__sha512_is_swept_and_comes_back(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct image_512 image = image_put_512(fixture);
	struct content_digest stray = put_512(fixture, "stray");
	struct ul_err err = UL_ERR_INIT;
	struct ul_run run = UL_RUN_INIT;
	struct content_run how = { .now_unix_s = now, .grace_s = HOUR_S };
	size_t count;

	index_put(fixture, NULL, 0);
	if (content_collect(fixture, &how, &run, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(trash_count(fixture), 4);
	assert_int_equal(dir_count(store_path(fixture, "oci/blobs/sha512")), 0);
	/* An empty folder may go meanwhile. */
	assert_int_equal(rmdir(store_path(fixture, "oci/blobs/sha512")), 0);
	INDEX_PUT(fixture, { "app", image.manifest.text, NULL });
	content_gc(fixture, now + 60, HOUR_S, false);
	assert_true(is_whole(fixture, &image));
	assert_false(path_exists(path_512(fixture, stray)));
	assert_int_equal(
	    ul_run_undo(&fixture->store->base, run.run, &count, &err), 0);
	assert_int_equal(count, 1);
	file_expect(path_512(fixture, stray), "stray");
	content_gc(fixture, now + 2 * HOUR_S, 0, true);
	assert_true(is_whole(fixture, &image));
	assert_false(path_exists(path_512(fixture, stray)));
	assert_int_equal(trash_count(fixture), 0);
	ul_run_release(&run);
}

static void test_algorithms__a_damaged_sha512_manifest_is_damage(void **state)
{
	struct store_fixture *fixture = *state;
	struct image_512 image = image_put_512(fixture);
	struct ul_view view;

	INDEX_PUT(fixture, { "app", image.manifest.text, NULL });
	file_write(path_512(fixture, image.manifest), "{");
	view = content_scan(fixture, ul_clock_unix_s());
	assert_non_null(view.refusal);
	assert_non_null(strstr(view.refusal, image.manifest.text));
	ul_view_release(&view);
}

static void test_algorithms__unknown_ones_are_kept_and_named(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 100 * HOUR_S;
	struct ul_view view;

	assert_int_equal(mkdir(store_path(fixture, "oci/blobs/foo"), 0755), 0);
	file_write(store_path(fixture, "oci/blobs/foo/%s", HEX_1), "x");
	file_write(store_path(fixture, "oci/blobs/sha512/%s", HEX_1), "short");
	view = content_scan(fixture, now);
	assert_int_equal(view.note_count, 2);
	assert_non_null(strstr(view.notes[0], "oci/blobs/foo is none of ours"));
	assert_non_null(strstr(view.notes[1], "oci/blobs/sha512/" HEX_1 " is"));
	ul_view_release(&view);
	content_gc(fixture, now, 0, true);
	file_expect(store_path(fixture, "oci/blobs/foo/%s", HEX_1), "x");
	file_expect(store_path(fixture, "oci/blobs/sha512/%s", HEX_1), "short");
}

static void test_algorithms__a_symlink_is_no_blob(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 100 * HOUR_S;
	const char *path = store_path(fixture, "oci/blobs/sha256/%s", HEX_2);

	assert_int_equal(symlink("/etc/passwd", path), 0);
	content_gc(fixture, now, 0, true);
	assert_int_equal(readlink(path, (char[64]){ "" }, 64), 11);
}

int main(void)
{
#define ALGORITHMS(name)                                                       \
	cmocka_unit_test_setup_teardown(test_algorithms__##name, setup,        \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		ALGORITHMS(sha512_blobs_are_blobs),
		ALGORITHMS(sha512_is_swept_and_comes_back),
		ALGORITHMS(a_damaged_sha512_manifest_is_damage),
		ALGORITHMS(unknown_ones_are_kept_and_named),
		ALGORITHMS(a_symlink_is_no_blob),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
