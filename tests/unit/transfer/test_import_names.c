#include "store/transfer/import_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "tests/lib/import_fixture.h"
#include "tests/lib/tar_fixture.h"

static void test_import_names__names_by_every_rule(void **state)
{
	struct store_fixture *fixture = *state;
	static const struct {
		const char *file, *annotations, *expected;
	} cases[] = {
		{ "f.tar",
		  "\"io.containerd.image.name\":\"docker.io/library/app:2\","
		  "\"org.opencontainers.image.ref.name\":\"2\"",
		  "docker.io/library/app:2" },
		{ "f.tar", "\"org.opencontainers.image.ref.name\":\"v1\"",
		  "docker.io/library/f:v1" },
		{ "My.oci.tar", "\"org.opencontainers.image.ref.name\":\"v1\"",
		  "My:v1" },
		{ "f.tar",
		  "\"org.opencontainers.image.ref.name\":\"ghcr.io/x/y:3\"",
		  "ghcr.io/x/y:3" },
		{ "f.tar", "\"org.opencontainers.image.ref.name\":\"\"",
		  "docker.io/library/f:latest" },
		{ "g.tar.gz", NULL, "docker.io/library/g:latest" },
		{ "g.tgz", NULL, "docker.io/library/g:latest" },
		{ "g.tar.zst", NULL, "docker.io/library/g:latest" },
		{ "g.oci", NULL, "docker.io/library/g:latest" },
		{ "g:7.tar", NULL, "docker.io/library/g:7" },
		{ "g.img", NULL, "docker.io/library/g.img:latest" },
		{ "G", NULL, "G" },
	};
	struct image image;
	size_t i;

	image_init(&image, "one", "amd64", 1, false);
	for (i = 0; i < ul_array_len(cases); i++) {
		store_fixture_open(fixture);
		oci_archive(in_top(fixture, cases[i].file), &image,
			    cases[i].annotations);
		import_path(fixture, in_top(fixture, cases[i].file));
		assert_string_equal(index_names(fixture), cases[i].expected);
		assert_int_equal(
		    rename(fixture->state,
			   in_top(fixture,
				  ((char[]){ 'o', (char)('a' + i), '\0' }))),
		    0);
	}
	image_release(&image);
}

static void
test_import_names__repo_tags_name_what_the_index_does_not(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_buf tar = UL_BUF_INIT, json = UL_BUF_INIT;
	struct image image;

	image_init(&image, "one", "amd64", 1, false);
	store_fixture_open(fixture);
	archive_add_image(&tar, &image);
	image_index(&json, &image.manifest, IMAGE_MANIFEST,
		    "\"org.opencontainers.image.ref.name\":\"1\"");
	archive_add(&tar, "index.json", ul_buf_str(&json));
	ul_buf_reset(&json);
	ul_buf_printf(&json,
		      "[{\"Config\":\"blobs/sha256/%s\",\"RepoTags\":"
		      "[\"tagged:1\",\"also/tagged:2\"],\"Layers\":[]}]",
		      image.config.hex);
	archive_add(&tar, "manifest.json", ul_buf_str(&json));
	archive_write(in_top(fixture, "f.tar"), &tar);
	import_path(fixture, in_top(fixture, "f.tar"));
	assert_string_equal(index_names(fixture), "docker.io/library/tagged:1 "
						  "docker.io/also/tagged:2");
	ul_buf_release(&json);
	image_release(&image);
}

/* A layout of two images; entries as JSON, either NULL. */
static void layout_of_two(const char *dir, const struct image *a,
			  const char *more_a, const struct image *b,
			  const char *more_b)
{
	struct ul_buf json = UL_BUF_INIT;

	ul_buf_printf(&json, "{\"schemaVersion\":2,\"manifests\":[%s,%s]}",
		      image_descriptor(&a->manifest, IMAGE_MANIFEST, more_a),
		      image_descriptor(&b->manifest, IMAGE_MANIFEST, more_b));
	layout_write(dir, a, ul_buf_str(&json));
	layout_write(dir, b, ul_buf_str(&json));
	ul_buf_release(&json);
}

static void test_import_names__a_stray_manifest_json_names_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_buf index = UL_BUF_INIT;
	const char *dir = in_top(fixture, "l");
	struct image image;
	char path[512];

	image_init(&image, "one", "amd64", 1, false);
	image_index(&index, &image.manifest, IMAGE_MANIFEST, NULL);
	layout_write(dir, &image, ul_buf_str(&index));
	snprintf(path, sizeof path, "%s/manifest.json", dir);
	file_write(path, "{\"name\":\"a web app\"}");
	store_fixture_open(fixture);
	import_path(fixture, dir);
	assert_string_equal(index_names(fixture), "docker.io/library/l:latest");
	assert_non_null(strstr(report_text, "manifest.json is not docker"));
	ul_buf_release(&index);
	image_release(&image);
}

static void test_import_names__nameless_images_are_numbered(void **state)
{
	struct store_fixture *fixture = *state;
	const char *path = in_top(fixture, "two");
	const struct ul_import_options given = { .path = path,
						 .name = "team/app" };
	struct image a, b;
	struct ul_err err;

	image_init(&a, "a", "amd64", 1, false);
	image_init(&b, "b", "amd64", 1, false);
	layout_of_two(path, &a, "", &b, "");
	store_fixture_open(fixture);
	import_path(fixture, path);
	assert_string_equal(index_names(fixture),
			    "docker.io/library/two:latest "
			    "docker.io/library/two-2:latest");
	assert_int_equal(import(fixture, &given, &err), 0);
	assert_non_null(strstr(index_names(fixture),
			       "docker.io/team/app:latest "
			       "docker.io/team/app-2:latest"));
	image_release(&a);
	image_release(&b);
}

static void test_import_names__name_is_for_nameless_images(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_import_options options = { .name = "other" };
	struct ul_err err;
	struct image image;

	image_init(&image, "one", "amd64", 1, false);
	store_fixture_open(fixture);
	oci_archive(in_top(fixture, "f.tar"), &image,
		    "\"io.containerd.image.name\":\"docker.io/library/app:2\"");
	options.path = in_top(fixture, "f.tar");
	assert_int_equal(import(fixture, &options, &err), 0);
	assert_string_equal(index_names(fixture), "docker.io/library/app:2");
	assert_non_null(strstr(report_text, "--name was not used"));
	image_release(&image);
}

static void test_import_names__moving_a_name_needs_replace(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_import_options options = { .path = in_top(fixture, "f.tar") };
	struct image a, b;
	struct ul_err err;
	char both[64];

	image_init(&a, "a", "amd64", 1, false);
	image_init(&b, "b", "amd64", 1, false);
	store_fixture_open(fixture);
	oci_archive(options.path, &a, NULL);
	import_path(fixture, options.path);
	oci_archive(options.path, &b, NULL);
	snprintf(both, sizeof both, "stands for %.19s, not %.19s",
		 a.manifest.digest, b.manifest.digest);
	import_fails(fixture, &options, UL_E_CONFLICT, both);
	import_fails(fixture, &options, UL_E_CONFLICT, "--replace");
	options.is_replacing = true;
	assert_int_equal(import(fixture, &options, &err), 0);
	assert_string_equal(index_names(fixture), "docker.io/library/f:latest");
	snprintf(both, sizeof both, " %.19s ", b.manifest.digest);
	assert_non_null(strstr(image_text, both));
	image_expect(fixture, &a); /* until a collection */
	image_expect(fixture, &b);
	image_release(&a);
	image_release(&b);
}

static void test_import_names__two_images_of_one_name(void **state)
{
	struct store_fixture *fixture = *state;
	static const char name[] =
	    ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"1\"}";
	struct ul_import_options options = { .path = in_top(fixture, "l") };
	struct image a, b;

	image_init(&a, "a", "amd64", 1, false);
	image_init(&b, "b", "amd64", 1, false);
	layout_of_two(options.path, &a, name, &b, name);
	store_fixture_open(fixture);
	import_fails(fixture, &options, UL_E_CORRUPT, "two images are called");
	image_release(&a);
	image_release(&b);
}

#define STORE_TEST(f)                                                          \
	cmocka_unit_test_setup_teardown(f, store_fixture_setup,                \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_import_names__names_by_every_rule),
		STORE_TEST(
		    test_import_names__repo_tags_name_what_the_index_does_not),
		STORE_TEST(
		    test_import_names__a_stray_manifest_json_names_nothing),
		STORE_TEST(test_import_names__nameless_images_are_numbered),
		STORE_TEST(test_import_names__name_is_for_nameless_images),
		STORE_TEST(test_import_names__moving_a_name_needs_replace),
		STORE_TEST(test_import_names__two_images_of_one_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
