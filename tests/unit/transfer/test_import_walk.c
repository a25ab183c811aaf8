#include "store/transfer/import_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "tests/lib/import_fixture.h"

/* An index of both, in a layout; b's manifest may be left out. */
static void layout_of_platforms(const char *dir, const struct image *a,
				const struct image *b, struct image_blob *index,
				const char *annotations)
{
	struct ul_buf json = UL_BUF_INIT;
	char a_text[512], b_text[512];

	snprintf(a_text, sizeof a_text, "%s",
		 image_descriptor(&a->manifest, IMAGE_MANIFEST,
				  ",\"platform\":{\"os\":\"linux\","
				  "\"architecture\":\"amd64\"}"));
	snprintf(b_text, sizeof b_text, "%s",
		 image_descriptor(&b->manifest, IMAGE_MANIFEST,
				  ",\"platform\":{\"os\":\"linux\","
				  "\"architecture\":\"arm64\"}"));
	image_blob_text(index,
			"{\"schemaVersion\":2,\"mediaType\":\"" IMAGE_INDEX
			"\",\"manifests\":[%s,%s]}",
			a_text, b_text);
	image_index(&json, index, IMAGE_INDEX, annotations);
	layout_write(dir, a, ul_buf_str(&json));
	layout_add(dir, index);
	ul_buf_release(&json);
}

static void test_import_walk__absent_platforms_are_said(void **state)
{
	struct store_fixture *fixture = *state;
	const char *dir = in_top(fixture, "l");
	struct image_blob index;
	struct image a, b;

	image_init(&a, "a", "amd64", 1, false);
	image_init(&b, "b", "arm64", 1, false);
	layout_of_platforms(dir, &a, &b, &index, NULL);
	store_fixture_open(fixture);
	import_path(fixture, dir);
	assert_non_null(strstr(report_text, "left out, since it is not there: "
					    "linux/arm64, sha256:"));
	assert_string_equal(index_names(fixture), "docker.io/library/l:latest");
	image_expect(fixture, &a);
	blob_expect(fixture, &index);
	image_blob_release(&index);
	image_release(&a);
	image_release(&b);
}

static void test_import_walk__missing_layer_fails(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_import_options options = { .path = in_top(fixture, "l") };
	struct ul_buf index = UL_BUF_INIT;
	struct image image;
	char path[512];

	image_init(&image, "a", "amd64", 2, false);
	image_index(&index, &image.manifest, IMAGE_MANIFEST, NULL);
	store_fixture_open(fixture);
	layout_write(options.path, &image, ul_buf_str(&index));
	snprintf(path, sizeof path, "%s/blobs/sha256/%s", options.path,
		 image.layers[1].hex);
	unlink(path);
	import_fails(fixture, &options, UL_E_CORRUPT, "(layer 1 of sha256:");
	layout_write(options.path, &image, ul_buf_str(&index));
	snprintf(path, sizeof path, "%s/blobs/sha256/%s", options.path,
		 image.config.hex);
	unlink(path);
	import_fails(fixture, &options, UL_E_CORRUPT, "(config of sha256:");
	layout_write(options.path, &image, ul_buf_str(&index));
	snprintf(path, sizeof path, "%s/blobs/sha256/%s", options.path,
		 image.manifest.hex);
	unlink(path);
	import_fails(fixture, &options, UL_E_CORRUPT, "is missing");
	ul_buf_release(&index);
	image_release(&image);
}

static void test_import_walk__foreign_layers_may_be_absent(void **state)
{
	struct store_fixture *fixture = *state;
	const char *dir = in_top(fixture, "l");
	struct ul_buf index = UL_BUF_INIT;
	struct image_blob manifest;
	struct image image;
	char path[512];

	image_init(&image, "a", "amd64", 1, false);
	image_blob_text(
	    &manifest, "{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}",
	    image_descriptor(&image.config, IMAGE_CONFIG, ""),
	    image_descriptor(&image.layers[0], IMAGE_LAYER "+gzip",
			     ",\"urls\":[\"https://example.com/l\"]"));
	image_index(&index, &manifest, IMAGE_MANIFEST, NULL);
	layout_write(dir, &image, ul_buf_str(&index));
	layout_add(dir, &manifest);
	snprintf(path, sizeof path, "%s/blobs/sha256/%s", dir,
		 image.layers[0].hex);
	unlink(path);
	store_fixture_open(fixture);
	import_path(fixture, dir);
	blob_expect(fixture, &manifest);
	blob_expect(fixture, &image.config);
	assert_int_equal(dir_count(store_path(fixture, "oci/blobs/sha256")), 2);
	ul_buf_release(&index);
	image_blob_release(&manifest);
	image_release(&image);
}

static void test_import_walk__unknown_types_are_kept_and_said(void **state)
{
	struct store_fixture *fixture = *state;
	const char *dir = in_top(fixture, "l");
	struct ul_buf index = UL_BUF_INIT;
	struct image_blob blob;
	struct image image;

	image_init(&image, "a", "amd64", 1, false);
	image_blob_text(&blob, "some bytes");
	image_index(&index, &blob, "application/vnd.example.thing", NULL);
	layout_write(dir, &image, ul_buf_str(&index));
	layout_add(dir, &blob);
	store_fixture_open(fixture);
	import_path(fixture, dir);
	assert_non_null(strstr(report_text, "kept as it is, of unknown type "
					    "application/vnd.example.thing"));
	blob_expect(fixture, &blob);
	/* Nothing that nobody refers to came along. */
	assert_int_equal(dir_count(store_path(fixture, "oci/blobs/sha256")), 1);
	ul_buf_release(&index);
	image_blob_release(&blob);
	image_release(&image);
}

static void test_import_walk__schema_1_is_refused(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_import_options options = { .path = in_top(fixture, "l") };
	static const char *const types[] = {
		"application/vnd.docker.distribution.manifest.v1+prettyjws",
		"application/octet-stream", IMAGE_MANIFEST
	};
	struct ul_buf index = UL_BUF_INIT;
	struct image_blob blob;
	struct image image;
	size_t i;

	image_init(&image, "a", "amd64", 1, false);
	image_blob_text(&blob, "{\"schemaVersion\":1,\"name\":\"x\","
			       "\"fsLayers\":[]}");
	store_fixture_open(fixture);
	for (i = 0; i < ul_array_len(types); i++) {
		ul_buf_reset(&index);
		image_index(&index, &blob, types[i], NULL);
		layout_write(options.path, &image, ul_buf_str(&index));
		layout_add(options.path, &blob);
		import_fails(fixture, &options, UL_E_UNSUPPORTED, "schema 1");
	}
	ul_buf_release(&index);
	image_blob_release(&blob);
	image_release(&image);
}

static void test_import_walk__referrers_come_with_their_subject(void **state)
{
	struct store_fixture *fixture = *state;
	const char *dir = in_top(fixture, "l");
	struct ul_buf json = UL_BUF_INIT;
	struct image_blob empty, listed, unlisted;
	struct image image;
	char subject[512], text[512];

	image_init(&image, "a", "amd64", 1, false);
	image_blob_text(&empty, "{}");
	snprintf(subject, sizeof subject, "%s",
		 image_descriptor(&image.manifest, IMAGE_MANIFEST, ""));
	snprintf(
	    text, sizeof text, "%s",
	    image_descriptor(&empty, "application/vnd.oci.empty.v1+json", ""));
	image_blob_text(&listed,
			"{\"schemaVersion\":2,\"mediaType\":\"" IMAGE_MANIFEST
			"\",\"artifactType\":\"a/listed\",\"config\":%s,"
			"\"layers\":[],\"subject\":%s}",
			text, subject);
	snprintf(subject, sizeof subject, "%s",
		 image_descriptor(&listed, IMAGE_MANIFEST, ""));
	image_blob_text(&unlisted,
			"{\"schemaVersion\":2,\"mediaType\":\"" IMAGE_MANIFEST
			"\",\"artifactType\":\"a/unlisted\",\"config\":%s,"
			"\"layers\":[],\"subject\":%s}",
			text, subject);
	ul_buf_printf(&json, "{\"schemaVersion\":2,\"manifests\":[%s,%s]}",
		      image_descriptor(&image.manifest, IMAGE_MANIFEST, ""),
		      image_descriptor(&listed, IMAGE_MANIFEST, ""));
	layout_write(dir, &image, ul_buf_str(&json));
	layout_add(dir, &empty);
	layout_add(dir, &listed);
	layout_add(dir, &unlisted);
	store_fixture_open(fixture);
	import_path(fixture, dir);
	image_expect(fixture, &image);
	blob_expect(fixture, &listed);
	blob_expect(fixture, &unlisted);
	blob_expect(fixture, &empty);
	/* No roots of their own: they live and go with their subject. */
	assert_string_equal(index_names(fixture), "docker.io/library/l:latest");
	ul_buf_release(&json);
	image_blob_release(&empty);
	image_blob_release(&listed);
	image_blob_release(&unlisted);
	image_release(&image);
}

static void test_import_walk__a_config_that_is_none_is_refused(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_import_options options = { .path = in_top(fixture, "l") };
	struct ul_buf index = UL_BUF_INIT;
	struct image_blob config, manifest;
	struct image image;

	image_init(&image, "a", "amd64", 1, false);
	image_blob_text(&config, "{\"rootfs\":{\"diff_ids\":[\"nonsense\"]}}");
	image_blob_text(&manifest,
			"{\"schemaVersion\":2,\"config\":%s,\"layers\":[]}",
			image_descriptor(&config, IMAGE_CONFIG, ""));
	image_index(&index, &manifest, IMAGE_MANIFEST, NULL);
	layout_write(options.path, &image, ul_buf_str(&index));
	layout_add(options.path, &config);
	layout_add(options.path, &manifest);
	store_fixture_open(fixture);
	import_fails(fixture, &options, UL_E_CORRUPT, "diff ID 0 is no digest");
	ul_buf_release(&index);
	image_blob_release(&config);
	image_blob_release(&manifest);
	image_release(&image);
}

/* The right one came first: that makes the other no better. */
static void test_import_walk__a_second_length_is_refused(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_import_options options = { .path = in_top(fixture, "l") };
	struct ul_buf index = UL_BUF_INIT;
	struct image_blob wrong, both;
	struct image image;
	char right[512];

	image_init(&image, "a", "amd64", 1, false);
	image_blob_text(&wrong,
			"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"%s\","
			"\"digest\":\"%s\",\"size\":%zu},\"layers\":[]}",
			IMAGE_CONFIG, image.config.digest,
			image.config.bytes.len + 7);
	snprintf(right, sizeof right, "%s",
		 image_descriptor(&image.manifest, IMAGE_MANIFEST, ""));
	image_blob_text(&both, "{\"schemaVersion\":2,\"manifests\":[%s,%s]}",
			right, image_descriptor(&wrong, IMAGE_MANIFEST, ""));
	image_index(&index, &both, IMAGE_INDEX, NULL);
	layout_write(options.path, &image, ul_buf_str(&index));
	layout_add(options.path, &wrong);
	layout_add(options.path, &both);
	store_fixture_open(fixture);
	import_fails(fixture, &options, UL_E_CORRUPT, "its descriptor says");
	ul_buf_release(&index);
	image_blob_release(&wrong);
	image_blob_release(&both);
	image_release(&image);
}

#define CACHE_CONFIG "application/vnd.buildkit.cacheconfig.v0"

/* A cache whose manifest lists one of the two blobs that its config names. */
static void test_import_walk__blobs_of_a_cache_config_come_along(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_import_options options = { .path = in_top(fixture, "l") };
	struct ul_buf index = UL_BUF_INIT;
	struct image_blob config, manifest;
	struct image image;
	char path[512];

	image_init(&image, "a", "amd64", 2, false);
	image_blob_text(
	    &config,
	    "{\"layers\":[{\"blob\":\"sha256:%s\",\"parent\":-1},"
	    "{\"blob\":\"sha256:%s\",\"parent\":0}],\"records\":[]}",
	    image.layers[0].hex, image.layers[1].hex);
	image_blob_text(
	    &manifest, "{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}",
	    image_descriptor(&config, CACHE_CONFIG, ""),
	    image_descriptor(&image.layers[0], IMAGE_LAYER "+gzip", ""));
	image_index(&index, &manifest, IMAGE_MANIFEST, NULL);
	layout_write(options.path, &image, ul_buf_str(&index));
	layout_add(options.path, &config);
	layout_add(options.path, &manifest);
	store_fixture_open(fixture);
	import_path(fixture, options.path);
	blob_expect(fixture, &config);
	blob_expect(fixture, &image.layers[0]);
	blob_expect(fixture, &image.layers[1]);
	assert_int_equal(dir_count(store_path(fixture, "oci/blobs/sha256")), 4);
	/* Without it the cache is not whole, and nothing of it is taken. */
	snprintf(path, sizeof path, "%s/blobs/sha256/%s", options.path,
		 image.layers[1].hex);
	unlink(path);
	store_fixture_open(fixture);
	import_fails(fixture, &options, UL_E_CORRUPT,
		     "(cache layer 1 of sha256:");
	ul_buf_release(&index);
	image_blob_release(&config);
	image_blob_release(&manifest);
	image_release(&image);
}

static void
test_import_walk__a_cache_config_that_is_none_is_refused(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_import_options options = { .path = in_top(fixture, "l") };
	struct ul_buf index = UL_BUF_INIT;
	struct image_blob config, manifest;
	struct image image;

	image_init(&image, "a", "amd64", 1, false);
	image_blob_text(&config, "{\"layers\":[{\"blob\":\"nonsense\"}]}");
	image_blob_text(&manifest,
			"{\"schemaVersion\":2,\"config\":%s,\"layers\":[]}",
			image_descriptor(&config, CACHE_CONFIG, ""));
	image_index(&index, &manifest, IMAGE_MANIFEST, NULL);
	layout_write(options.path, &image, ul_buf_str(&index));
	layout_add(options.path, &config);
	layout_add(options.path, &manifest);
	store_fixture_open(fixture);
	import_fails(fixture, &options, UL_E_CORRUPT, "is no digest");
	ul_buf_release(&index);
	image_blob_release(&config);
	image_blob_release(&manifest);
	image_release(&image);
}

#define STORE_TEST(f)                                                          \
	cmocka_unit_test_setup_teardown(f, store_fixture_setup,                \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_import_walk__absent_platforms_are_said),
		STORE_TEST(test_import_walk__missing_layer_fails),
		STORE_TEST(test_import_walk__foreign_layers_may_be_absent),
		STORE_TEST(test_import_walk__unknown_types_are_kept_and_said),
		STORE_TEST(test_import_walk__schema_1_is_refused),
		STORE_TEST(test_import_walk__referrers_come_with_their_subject),
		STORE_TEST(test_import_walk__a_config_that_is_none_is_refused),
		STORE_TEST(test_import_walk__a_second_length_is_refused),
		STORE_TEST(
		    test_import_walk__blobs_of_a_cache_config_come_along),
		STORE_TEST(
		    test_import_walk__a_cache_config_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
