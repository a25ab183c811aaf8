#include "store/transfer/unpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/snapshot.h"
#include "tests/lib/image_fixture.h"
#include "tests/lib/store_fixture.h"

/* Blobs go straight into the store: unpacking asks for no name. */
static void blob_put(struct store_fixture *fixture,
		     const struct image_blob *blob)
{
	bytes_write(store_path(fixture, "oci/blobs/sha256/%s", blob->hex),
		    &blob->bytes);
}

static void image_put(struct store_fixture *fixture, const struct image *image)
{
	const struct image_blob *blobs[IMAGE_LAYERS_MAX + 2];
	size_t i, count = image_blobs(image, blobs);

	for (i = 0; i < count; i++)
		blob_put(fixture, blobs[i]);
}

static int unpack(struct store_fixture *fixture, const struct image_blob *blob,
		  const struct ul_unpack_options *options,
		  struct ul_unpack_result *ret, struct ul_err *err)
{
	struct ul_digest digest;

	*err = UL_ERR_INIT;
	assert_true(ul_digest_parse(blob->digest, &digest));
	return ul_unpack(fixture->store, &digest, options, ret, err);
}

static struct ul_unpack_result unpack_all(struct store_fixture *fixture,
					  const struct image_blob *blob)
{
	const struct ul_unpack_options all = { .platform = NULL };
	struct ul_unpack_result result;
	struct ul_err err;

	if (unpack(fixture, blob, &all, &result, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
	return result;
}

static void unpack_fails(struct store_fixture *fixture,
			 const struct image_blob *blob, int code,
			 const char *message)
{
	const struct ul_unpack_options all = { .platform = NULL };
	struct ul_unpack_result result;
	struct ul_err err;
	char *before = tree_listing(store_path(fixture, ".")), *after;

	assert_int_equal(unpack(fixture, blob, &all, &result, &err), code);
	if (!strstr(err.msg, message))
		fail_msg("\"%s\" is not in \"%s\"", message, err.msg);
	after = tree_listing(store_path(fixture, "."));
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void chain_expect(struct store_fixture *fixture,
			 const struct image *image)
{
	struct ul_digest chain = UL_DIGEST_INIT, diff;
	char hex[UL_DIGEST_HEX_MAX + 1];
	size_t i;

	for (i = 0; i < image->layer_count; i++) {
		assert_true(ul_digest_parse(image->diff_ids[i], &diff));
		ul_digest_chain(i ? &chain : NULL, &diff, &chain);
		ul_digest_format_hex(&chain, hex);
		if (!path_exists(store_path(
			fixture, "snapshots/layer-%s/fs/etc/file-%zu", hex, i)))
			fail_msg("layer %zu is not there", i);
	}
}

static void test_unpack__layers_once_by_chain(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_unpack_result result;
	struct image a, b;
	char *before, *after;

	store_fixture_open(fixture);
	/* The same layers but for b's third. */
	image_init(&a, "same", "amd64", 2, false);
	image_init(&b, "same", "amd64", 3, true);
	image_put(fixture, &a);
	image_put(fixture, &b);
	result = unpack_all(fixture, &a.manifest);
	assert_int_equal(result.new_layers, 2);
	assert_int_equal(result.platform_count, 1);
	chain_expect(fixture, &a);
	before = tree_listing(store_path(fixture, "snapshots"));
	result = unpack_all(fixture, &a.manifest);
	assert_int_equal(result.new_layers, 0);
	assert_int_equal(result.reused_layers, 2);
	after = tree_listing(store_path(fixture, "snapshots"));
	assert_string_equal(before, after);
	result = unpack_all(fixture, &b.manifest);
	assert_int_equal(result.new_layers, 1);
	assert_int_equal(result.reused_layers, 2);
	chain_expect(fixture, &b);
	free(before);
	free(after);
	image_release(&a);
	image_release(&b);
}

/* An index of a, b's manifest and one that calls itself an attestation. */
static void index_init(struct image_blob *index, const struct image *a,
		       const struct image *b, const struct image *attestation)
{
	char texts[3][512];

	snprintf(texts[0], sizeof texts[0], "%s",
		 image_descriptor(&a->manifest, IMAGE_MANIFEST, ""));
	snprintf(texts[1], sizeof texts[1], "%s",
		 image_descriptor(&b->manifest, IMAGE_MANIFEST, ""));
	snprintf(texts[2], sizeof texts[2], "%s",
		 image_descriptor(&attestation->manifest, IMAGE_MANIFEST,
				  ",\"annotations\":{"
				  "\"vnd.docker.reference.type\":"
				  "\"attestation-manifest\"}"));
	image_blob_text(index, "{\"manifests\":[%s,%s,%s]}", texts[0], texts[1],
			texts[2]);
}

static void test_unpack__platforms_of_an_index(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_unpack_options options = { .platform = "linux/arm64" };
	struct ul_unpack_result result;
	struct image a, b, attestation;
	struct image_blob index;
	struct ul_err err;

	store_fixture_open(fixture);
	image_init(&a, "a", "amd64", 1, false);
	image_init(&b, "b", "arm64", 2, false);
	image_init(&attestation, "c", "unknown", 1, false);
	index_init(&index, &a, &b, &attestation);
	image_put(fixture, &a);
	image_put(fixture, &b);
	image_put(fixture, &attestation);
	blob_put(fixture, &index);
	options.platform = "linux/s390x";
	assert_int_equal(unpack(fixture, &index, &options, &result, &err),
			 UL_E_ABSENT);
	assert_string_equal(err.msg, "it has no platform linux/s390x, but "
				     "linux/amd64, linux/arm64");
	options.platform = "linux/arm64";
	assert_int_equal(unpack(fixture, &index, &options, &result, &err), 0);
	assert_int_equal(result.new_layers, 2);
	chain_expect(fixture, &b);
	result = unpack_all(fixture, &index);
	assert_int_equal(result.platform_count, 2);
	assert_int_equal(result.other_count, 1);
	assert_int_equal(result.new_layers, 1);
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 3);
	image_blob_release(&index);
	image_release(&a);
	image_release(&b);
	image_release(&attestation);
}

static void test_unpack__absent_platforms_are_counted(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_unpack_result result;
	struct image a, b;
	struct image_blob index;

	store_fixture_open(fixture);
	image_init(&a, "a", "amd64", 1, false);
	image_init(&b, "b", "arm64", 2, false);
	index_init(&index, &a, &b, &b);
	image_put(fixture, &a);
	blob_put(fixture, &index);
	result = unpack_all(fixture, &index);
	assert_int_equal(result.platform_count, 1);
	assert_int_equal(result.absent_count, 1);
	image_blob_release(&index);
	image_release(&a);
	image_release(&b);
}

static void test_unpack__what_is_no_image(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_unpack_result result;
	struct image image;
	struct image_blob cache;

	store_fixture_open(fixture);
	image_init(&image, "a", "amd64", 1, false);
	image_blob_text(
	    &cache, "{\"config\":%s,\"layers\":[%s]}",
	    image_descriptor(&image.config,
			     "application/vnd.buildkit.cacheconfig.v0", ""),
	    image_descriptor(&image.layers[0], IMAGE_LAYER "+gzip", ""));
	image_put(fixture, &image);
	blob_put(fixture, &cache);
	result = unpack_all(fixture, &cache);
	assert_int_equal(result.platform_count, 0);
	assert_int_equal(result.other_count, 1);
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 0);
	image_blob_release(&cache);
	image_release(&image);
}

static void test_unpack__wrong_layers_leave_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	struct image image, other;
	struct image_blob manifest;

	store_fixture_open(fixture);
	image_init(&image, "a", "amd64", 2, false);
	image_init(&other, "b", "amd64", 2, false);
	image_put(fixture, &image);
	image_put(fixture, &other);
	/* The first layer is right, the second another image's. */
	image_blob_text(
	    &manifest, "{\"config\":%s,\"layers\":[%s,%s]}",
	    image_descriptor(&image.config, IMAGE_CONFIG, ""),
	    image_descriptor(&image.layers[0], IMAGE_LAYER "+gzip", ""),
	    image_descriptor(&other.layers[1], IMAGE_LAYER "+gzip", ""));
	blob_put(fixture, &manifest);
	unpack_fails(fixture, &manifest, UL_E_CORRUPT, "layer 1: layer: diff");
	image_blob_release(&manifest);
	image_blob_text(
	    &manifest, "{\"config\":%s,\"layers\":[%s]}",
	    image_descriptor(&image.config, IMAGE_CONFIG, ""),
	    image_descriptor(&image.layers[0], IMAGE_LAYER "+gzip", ""));
	blob_put(fixture, &manifest);
	unpack_fails(fixture, &manifest, UL_E_CORRUPT,
		     "has 1 layers, its config says 2");
	image_blob_release(&manifest);
	image_blob_text(
	    &manifest, "{\"config\":%s,\"layers\":[%s,%s]}",
	    image_descriptor(&image.config, IMAGE_CONFIG, ""),
	    image_descriptor(&image.layers[0], IMAGE_LAYER "+gzip", ""),
	    image_descriptor(&image.layers[1], "application/x-enc", ""));
	blob_put(fixture, &manifest);
	unpack_fails(fixture, &manifest, UL_E_UNSUPPORTED,
		     "layer 1 has an unknown type: application/x-enc");
	image_blob_release(&manifest);
	unlink(store_path(fixture, "oci/blobs/sha256/%s", image.layers[1].hex));
	unpack_fails(fixture, &image.manifest, UL_E_ABSENT,
		     "layer 1: its blob");
	unlink(store_path(fixture, "oci/blobs/sha256/%s", image.config.hex));
	unpack_fails(fixture, &image.manifest, UL_E_ABSENT, "config: blob");
	image_release(&image);
	image_release(&other);
}

/* As umoci's insert makes them: no padding, no end. */
static void test_unpack__a_tar_that_ends_with_its_data(void **state)
{
	struct store_fixture *fixture = *state;
	struct image_blob layer, config, manifest;
	struct ul_buf bytes = UL_BUF_INIT;
	struct ul_unpack_result result;
	struct image image;

	store_fixture_open(fixture);
	image_init(&image, "a", "amd64", 1, true);
	/* Two headers (the first of a directory) and the file's data. */
	ul_buf_add(&bytes, image.layers[0].bytes.data,
		   1024 + strlen("layer 0 of a"));
	image_blob_init(&layer, &bytes);
	image_blob_text(&config,
			"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":"
			"[\"%s\"]}}",
			layer.digest);
	image_blob_text(&manifest, "{\"config\":%s,\"layers\":[%s]}",
			image_descriptor(&config, IMAGE_CONFIG, ""),
			image_descriptor(&layer, IMAGE_LAYER, ""));
	blob_put(fixture, &layer);
	blob_put(fixture, &config);
	blob_put(fixture, &manifest);
	result = unpack_all(fixture, &manifest);
	assert_int_equal(result.new_layers, 1);
	file_expect(
	    store_path(fixture, "snapshots/layer-%s/fs/etc/file-0", layer.hex),
	    "layer 0 of a");
	image_blob_release(&layer);
	image_blob_release(&config);
	image_blob_release(&manifest);
	image_release(&image);
}

/* Removes the snapshot below while the layer above is unpacked. */
struct meanwhile {
	struct store_fixture *fixture;
	const char *chain_id;
	int result;
};

static bool on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct meanwhile *meanwhile = arg;
	struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;

	(void)done_bytes;
	(void)total_bytes;
	if (!meanwhile->chain_id)
		return true;
	if (ul_embedded_open(meanwhile->fixture->state, &store, &err) ||
	    ul_embedded_lock(store, &err) ||
	    ul_snapshot_remove(store, meanwhile->chain_id, &err))
		fail_msg("%s", err.msg);
	ul_embedded_closep(&store);
	meanwhile->chain_id = NULL;
	return true;
}

static void test_unpack__a_layer_below_is_collected_meanwhile(void **state)
{
	struct store_fixture *fixture = *state;
	struct meanwhile meanwhile = { .fixture = fixture };
	const struct ul_unpack_options options = { .progress = on_progress,
						   .arg = &meanwhile };
	struct ul_unpack_result result;
	struct image a, b;
	struct ul_err err;

	store_fixture_open(fixture);
	image_init(&a, "same", "amd64", 1, false);
	image_init(&b, "same", "amd64", 2, false);
	image_put(fixture, &a);
	image_put(fixture, &b);
	unpack_all(fixture, &a.manifest);
	meanwhile.chain_id = a.diff_ids[0];
	assert_int_equal(unpack(fixture, &b.manifest, &options, &result, &err),
			 UL_E_CONFLICT);
	assert_non_null(strstr(err.msg, "was collected meanwhile"));
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 0);
	unpack_all(fixture, &b.manifest);
	chain_expect(fixture, &b);
	image_release(&a);
	image_release(&b);
}

static bool stop(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	(void)arg;
	(void)done_bytes;
	assert_true(total_bytes > 0);
	return false;
}

static void test_unpack__can_be_stopped(void **state)
{
	struct store_fixture *fixture = *state;
	const struct ul_unpack_options options = { .progress = stop };
	struct ul_unpack_result result;
	struct image image;
	struct ul_err err;

	store_fixture_open(fixture);
	image_init(&image, "a", "amd64", 2, false);
	image_put(fixture, &image);
	assert_int_equal(
	    unpack(fixture, &image.manifest, &options, &result, &err),
	    UL_E_CANCELED);
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 0);
	image_release(&image);
}

static void test_unpack__every_allocation_fails_once(void **state)
{
	struct store_fixture *fixture = *state;
	const struct ul_unpack_options all = { .platform = NULL };
	struct ul_unpack_result result;
	struct image image;
	struct ul_err err;
	long n;
	int rc;

	store_fixture_open(fixture);
	image_init(&image, "a", "amd64", 1, false);
	image_put(fixture, &image);
	for (n = 0;; n++) {
		atomic_store(&ul_mem_countdown, n);
		rc = unpack(fixture, &image.manifest, &all, &result, &err);
		if (atomic_load(&ul_mem_countdown) >= 0)
			break;
		atomic_store(&ul_mem_countdown, -1);
		assert_true(rc == UL_E_NOMEM || !rc);
	}
	atomic_store(&ul_mem_countdown, -1);
	assert_int_equal(rc, 0);
	assert_true(n > 10);
	chain_expect(fixture, &image);
	image_release(&image);
}

static int unpack_elsewhere(const char *state, const char *text)
{
	const struct ul_unpack_options all = { .platform = NULL };
	struct ul_unpack_result result;
	struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;
	struct ul_digest digest;
	int rc = ul_embedded_open(state, &store, &err);

	ul_digest_parse(text, &digest);
	if (!rc)
		rc = ul_unpack(store, &digest, &all, &result, &err);
	if (rc)
		fprintf(stderr, "%s\n", err.msg);
	return rc ? 1 : 0;
}

static void test_unpack__several_processes_at_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_unpack_result result;
	struct image image;
	pid_t pids[3];
	size_t i;
	int status;

	store_fixture_open(fixture);
	image_init(&image, "a", "amd64", 3, false);
	image_put(fixture, &image);
	for (i = 0; i < ul_array_len(pids); i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (!pids[i])
			_exit(unpack_elsewhere(fixture->state,
					       image.manifest.digest));
	}
	for (i = 0; i < ul_array_len(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	result = unpack_all(fixture, &image.manifest);
	assert_int_equal(result.reused_layers, 3);
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 3);
	chain_expect(fixture, &image);
	image_release(&image);
}

#define STORE_TEST(f)                                                          \
	cmocka_unit_test_setup_teardown(f, store_fixture_setup,                \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_unpack__layers_once_by_chain),
		STORE_TEST(test_unpack__platforms_of_an_index),
		STORE_TEST(test_unpack__absent_platforms_are_counted),
		STORE_TEST(test_unpack__what_is_no_image),
		STORE_TEST(test_unpack__wrong_layers_leave_nothing),
		STORE_TEST(test_unpack__a_tar_that_ends_with_its_data),
		STORE_TEST(test_unpack__a_layer_below_is_collected_meanwhile),
		STORE_TEST(test_unpack__can_be_stopped),
		STORE_TEST(test_unpack__every_allocation_fails_once),
		STORE_TEST(test_unpack__several_processes_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
