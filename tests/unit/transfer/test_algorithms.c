/*
 * Blobs of another algorithm than sha256: in, out, and unharmed.
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

#include "base/err.h"
#include "base/mem.h"
#include "store/transfer/export.h"
#include "tests/lib/import_fixture.h"

static struct ul_digest digest_of(const char *text)
{
	struct ul_digest digest;

	ul_digest_of(UL_DIGEST_SHA512, text, strlen(text), &digest);
	return digest;
}

/* An image of which every blob is a sha512 one. */
struct other {
	char config[512], layer[64], manifest[2048], index[2048];
	struct ul_digest config_digest, layer_digest, digest;
};

static void other_init(struct other *other)
{
	char config[UL_DIGEST_TEXT_MAX], layer[UL_DIGEST_TEXT_MAX];
	char text[UL_DIGEST_TEXT_MAX];

	strcpy(other->layer, "no tar, but nobody unpacks it");
	other->layer_digest = digest_of(other->layer);
	ul_digest_format(&other->layer_digest, layer);
	snprintf(other->config, sizeof other->config,
		 "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":"
		 "{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX_1 "\"]}}");
	other->config_digest = digest_of(other->config);
	ul_digest_format(&other->config_digest, config);
	snprintf(other->manifest, sizeof other->manifest,
		 "{\"schemaVersion\":2,\"mediaType\":\"" IMAGE_MANIFEST
		 "\",\"config\":{\"mediaType\":\"" IMAGE_CONFIG
		 "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{"
		 "\"mediaType\":\"" IMAGE_LAYER
		 "\",\"digest\":\"%s\",\"size\":%zu}]}",
		 config, strlen(other->config), layer, strlen(other->layer));
	other->digest = digest_of(other->manifest);
	ul_digest_format(&other->digest, text);
	snprintf(other->index, sizeof other->index,
		 "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
		 "\"" IMAGE_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu,"
		 "\"annotations\":{\"org.opencontainers.image.ref.name\":"
		 "\"other:1\"}}]}",
		 text, strlen(other->manifest));
}

static void blob_add(struct ul_buf *tar, const struct ul_digest *digest,
		     const char *text)
{
	char path[UL_DIGEST_TEXT_MAX + 8] = "blobs/";

	ul_digest_format_path(digest, path + 6);
	archive_add(tar, path, text);
}

static void other_write(const struct other *other, const char *path)
{
	struct ul_buf tar = UL_BUF_INIT;

	archive_add(&tar, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	archive_add(&tar, "index.json", other->index);
	blob_add(&tar, &other->digest, other->manifest);
	blob_add(&tar, &other->config_digest, other->config);
	blob_add(&tar, &other->layer_digest, other->layer);
	archive_write(path, &tar);
}

static void other_expect(struct store_fixture *fixture,
			 const struct other *other)
{
	char path[UL_DIGEST_TEXT_MAX];

	ul_digest_format_path(&other->digest, path);
	file_expect(store_path(fixture, "oci/blobs/%s", path), other->manifest);
	ul_digest_format_path(&other->config_digest, path);
	file_expect(store_path(fixture, "oci/blobs/%s", path), other->config);
	ul_digest_format_path(&other->layer_digest, path);
	file_expect(store_path(fixture, "oci/blobs/%s", path), other->layer);
	assert_int_equal(dir_count(store_path(fixture, "oci/blobs/sha256")), 0);
	assert_int_equal(dir_count(store_path(fixture, "oci/blobs/sha512")), 3);
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
}

static void test_algorithms__sha512_comes_in_and_goes_out(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_export_image which = { .name = "docker.io/library/other:1" };
	const struct ul_export_options options = { .images = &which,
						   .image_count = 1 };
	struct ul_export_result result;
	struct ul_err err = UL_ERR_INIT;
	struct other other;

	other_init(&other);
	store_fixture_open(fixture);
	other_write(&other, in_top(fixture, "other.tar"));
	import_path(fixture, in_top(fixture, "other.tar"));
	assert_string_equal(index_names(fixture), "docker.io/library/other:1");
	other_expect(fixture, &other);
	/* Twice is once. */
	import_path(fixture, in_top(fixture, "other.tar"));
	assert_non_null(strstr(image_text, " 0 3\n"));
	other_expect(fixture, &other);

	which.digest = other.digest;
	if (ul_export_file(fixture->store, &options, in_top(fixture, "out.tar"),
			   &result, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(result.blob_count, 3);
	/* The same from the archive and from the layout, elsewhere. */
	rename(store_path(fixture, "oci"), in_top(fixture, "layout"));
	snprintf(fixture->state, sizeof fixture->state, "%s/second",
		 fixture->top);
	store_fixture_open(fixture);
	import_path(fixture, in_top(fixture, "out.tar"));
	other_expect(fixture, &other);
	snprintf(fixture->state, sizeof fixture->state, "%s/third",
		 fixture->top);
	store_fixture_open(fixture);
	import_path(fixture, in_top(fixture, "layout"));
	other_expect(fixture, &other);
}

static void test_algorithms__a_sha512_blob_has_to_have_its_digest(void **state)
{
	struct store_fixture *fixture = *state;
	const struct ul_import_options options = { .path = in_top(fixture,
								  "a.tar") };
	struct other other;

	other_init(&other);
	store_fixture_open(fixture);
	other.layer[0]++;
	other_write(&other, options.path);
	import_fails(fixture, &options, UL_E_CORRUPT, "blobs/sha512/");
}

int main(void)
{
#define ALGORITHMS(name)                                                       \
	cmocka_unit_test_setup_teardown(test_algorithms__##name,               \
					store_fixture_setup,                   \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		ALGORITHMS(sha512_comes_in_and_goes_out),
		ALGORITHMS(a_sha512_blob_has_to_have_its_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
