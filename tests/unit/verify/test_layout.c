#include "store/verify/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/oci/layout.h"
#include "store/verify/findings.h"
#include "tests/lib/image_fixture.h"
#include "tests/lib/tree_print.h"

#define REF_NAME "\"" UL_ANNOTATION_REF_NAME "\":\"app:1\""

struct layout {
	char *top;
	struct image image;
	struct ul_findings findings;
	struct ul_layout_check check;
};

static int setup(void **state)
{
	struct layout *layout = calloc(1, sizeof *layout);
	struct ul_buf index = UL_BUF_INIT;

	layout->top = tree_temp();
	image_init(&layout->image, "seed", "amd64", 2, false);
	image_index(&index, &layout->image.manifest, IMAGE_MANIFEST, REF_NAME);
	layout_write(layout->top, &layout->image, ul_buf_str(&index));
	ul_buf_release(&index);
	*state = layout;
	return 0;
}

static int teardown(void **state)
{
	struct layout *layout = *state;

	ul_findings_release(&layout->findings);
	ul_layout_check_release(&layout->check);
	image_release(&layout->image);
	tree_remove(layout->top);
	free(layout);
	return 0;
}

static const char *path_of(const struct layout *layout,
			   const struct image_blob *blob)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/blobs/sha256/%s", layout->top,
		 blob->hex);
	return path;
}

static int run(struct layout *layout,
	       const struct ul_layout_check_options *options,
	       struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = open(layout->top, O_RDONLY);

	ul_findings_release(&layout->findings);
	ul_layout_check_release(&layout->check);
	return ul_layout_check_run(fd, options, &layout->check,
				   &layout->findings, err);
}

static void look(struct layout *layout, bool is_deep, size_t count)
{
	struct ul_layout_check_options options = { .is_deep = is_deep };
	struct ul_err err = UL_ERR_INIT;

	if (run(layout, &options, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(layout->findings.len, count);
}

static void expect(const struct layout *layout, size_t i,
		   enum ul_severity severity, const char *key, const char *what)
{
	const struct ul_finding *finding = &layout->findings.items[i];

	assert_int_equal(finding->severity, severity);
	assert_string_equal(finding->key, key);
	if (!strstr(finding->what, what))
		fail_msg("\"%s\" is not in \"%s\"", what, finding->what);
}

static void hurts(const struct layout *layout, size_t i)
{
	assert_int_equal(layout->findings.items[i].image_count, 1);
	assert_string_equal(layout->findings.items[i].images[0], "app:1");
}

static void test_layout__a_whole_one_has_no_findings(void **state)
{
	struct layout *layout = *state;

	look(layout, false, 0);
	assert_int_equal(layout->check.root_count, 1);
	assert_int_equal(layout->check.node_count, 4);
	assert_int_equal(layout->check.hashed_count, 2);
	look(layout, true, 0);
	assert_int_equal(layout->check.hashed_count, 4);
}

static void test_layout__a_short_layer_hurts_its_image(void **state)
{
	struct layout *layout = *state;
	const struct image_blob *layer = &layout->image.layers[1];

	assert_int_equal(truncate(path_of(layout, layer), 7), 0);
	look(layout, false, 1);
	expect(layout, 0, UL_FINDING_DAMAGE, layer->digest,
	       "is 7 bytes long and should be");
	hurts(layout, 0);
}

static void test_layout__a_changed_layer_is_found_by_its_digest(void **state)
{
	struct layout *layout = *state;
	const struct image_blob *layer = &layout->image.layers[0];
	int fd = open(path_of(layout, layer), O_WRONLY);

	assert_int_equal(pwrite(fd, "x", 1, 20), 1);
	close(fd);
	look(layout, false, 0);
	look(layout, true, 1);
	expect(layout, 0, UL_FINDING_DAMAGE, layer->digest,
	       "does not have its digest");
	hurts(layout, 0);
}

static void test_layout__what_nothing_names_is_hashed_too(void **state)
{
	struct layout *layout = *state;
	struct image_blob stray;

	image_blob_text(&stray, "stray");
	layout_add(layout->top, &stray);
	look(layout, true, 0);
	assert_int_equal(truncate(path_of(layout, &stray), 2), 0);
	look(layout, false, 0);
	look(layout, true, 1);
	expect(layout, 0, UL_FINDING_DAMAGE, stray.digest, "its digest");
	assert_int_equal(layout->findings.items[0].image_count, 0);
	image_blob_release(&stray);
}

static void test_layout__absent_parts_of_a_manifest_are_damage(void **state)
{
	struct layout *layout = *state;
	const struct image *image = &layout->image;

	assert_int_equal(unlink(path_of(layout, &image->layers[0])), 0);
	assert_int_equal(unlink(path_of(layout, &image->config)), 0);
	look(layout, false, 2);
	ul_findings_sort(&layout->findings);
	hurts(layout, 0);
	hurts(layout, 1);
	assert_int_equal(unlink(path_of(layout, &image->manifest)), 0);
	look(layout, false, 1);
	expect(layout, 0, UL_FINDING_DAMAGE, image->manifest.digest,
	       "is missing, and with it the image");
	hurts(layout, 0);
}

static void index_write(const struct layout *layout, const char *text)
{
	char path[256];
	struct ul_buf bytes = UL_BUF_INIT;

	snprintf(path, sizeof path, "%s/index.json", layout->top);
	ul_buf_add_str(&bytes, text);
	bytes_write(path, &bytes);
	ul_buf_release(&bytes);
}

static void test_layout__absent_platforms_are_a_note(void **state)
{
	struct layout *layout = *state;
	struct image_blob other, index;
	struct ul_buf json = UL_BUF_INIT;
	char texts[2][512];

	image_blob_text(&other, "{}");
	snprintf(texts[0], sizeof texts[0], "%s",
		 image_descriptor(&layout->image.manifest, IMAGE_MANIFEST, ""));
	snprintf(texts[1], sizeof texts[1], "%s",
		 image_descriptor(&other, IMAGE_MANIFEST, ""));
	image_blob_text(&index,
			"{\"schemaVersion\":2,\"mediaType\":\"" IMAGE_INDEX
			"\",\"manifests\":[%s,%s]}",
			texts[0], texts[1]);
	layout_add(layout->top, &index);
	image_index(&json, &index, IMAGE_INDEX, REF_NAME);
	index_write(layout, ul_buf_str(&json));
	look(layout, false, 1);
	expect(layout, 0, UL_FINDING_NOTE, index.digest, "1 of its 2");
	hurts(layout, 0);
	ul_buf_release(&json);
	image_blob_release(&other);
	image_blob_release(&index);
}

static void test_layout__a_wrong_length_in_a_descriptor_is_told(void **state)
{
	struct layout *layout = *state;
	const struct image_blob *manifest = &layout->image.manifest;
	char text[512];

	snprintf(text, sizeof text,
		 "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\","
		 "\"digest\":\"%s\",\"size\":5}]}",
		 IMAGE_MANIFEST, manifest->digest);
	index_write(layout, text);
	look(layout, false, 1);
	expect(layout, 0, UL_FINDING_DAMAGE, "index.json",
	       "is 5 bytes long: it is");
	assert_string_equal(layout->findings.items[0].repair, "");
	assert_string_equal(layout->findings.items[0].images[0],
			    manifest->digest);
}

/* Not the image that says it right: the blob is what its digest says. */
static void test_layout__a_wrong_length_hurts_who_says_it(void **state)
{
	struct layout *layout = *state;
	const struct image *image = &layout->image;
	struct image_blob wrong;
	char text[2048], right[512], said[512];

	snprintf(said, sizeof said,
		 "{\"mediaType\":\"" IMAGE_CONFIG
		 "\",\"digest\":\"%s\",\"size\":%zu}",
		 image->config.digest, image->config.bytes.len + 7);
	image_blob_text(
	    &wrong, "{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}", said,
	    image_descriptor(&image->layers[0], IMAGE_LAYER "+gzip", ""));
	layout_add(layout->top, &wrong);
	snprintf(right, sizeof right, "%s",
		 image_descriptor(&image->manifest, IMAGE_MANIFEST, ""));
	snprintf(text, sizeof text,
		 "{\"schemaVersion\":2,\"manifests\":[%s,%s]}", right,
		 image_descriptor(&wrong, IMAGE_MANIFEST, ""));
	index_write(layout, text);
	look(layout, false, 1);
	expect(layout, 0, UL_FINDING_DAMAGE, wrong.digest,
	       "and has its digest");
	assert_int_equal(layout->findings.items[0].image_count, 1);
	assert_string_equal(layout->findings.items[0].images[0], wrong.digest);
	assert_string_equal(layout->findings.items[0].repair, "");
	image_blob_release(&wrong);
}

static void test_layout__a_damaged_index_uses_what_is_remembered(void **state)
{
	static const char *const damaged[] = {
		"", "{", "[]", "{}", "{\"manifests\":[{\"size\":1}]}",
	};
	struct layout *layout = *state;
	ul_cleanup(ul_names_release) struct ul_names pairs = UL_NAMES_INIT;
	struct ul_layout_check_options options = { .remembered = &pairs };
	struct ul_err err = UL_ERR_INIT;
	size_t i;

	ul_names_add(&pairs, "app:1");
	ul_names_add(&pairs, layout->image.manifest.digest);
	assert_int_equal(unlink(path_of(layout, &layout->image.layers[0])), 0);
	for (i = 0; i < ul_array_len(damaged); i++) {
		index_write(layout, damaged[i]);
		assert_int_equal(run(layout, &options, &err), 0);
		assert_true(layout->check.is_index_damaged);
		assert_int_equal(layout->findings.len, 2);
		expect(layout, 0, UL_FINDING_DAMAGE, "index.json",
		       "is not whole: ");
		hurts(layout, 0);
		expect(layout, 1, UL_FINDING_DAMAGE,
		       layout->image.layers[0].digest, "layer 0");
		hurts(layout, 1);
	}
}

static void test_layout__whole_reads_what_nothing_names(void **state)
{
	struct layout *layout = *state;
	struct ul_layout_check_options options = { .is_whole = true };
	struct ul_err err = UL_ERR_INIT;
	struct ul_digest digest;
	uint32_t at;

	index_write(layout, "{\"schemaVersion\":2,\"manifests\":[]}");
	assert_int_equal(run(layout, &options, &err), 0);
	assert_int_equal(layout->findings.len, 0);
	assert_true(ul_digest_parse(layout->image.manifest.digest, &digest));
	at = ul_layout_check_find(&layout->check, &digest);
	assert_int_equal(layout->check.nodes[at].media, UL_MEDIA_MANIFEST);
	assert_true(ul_digest_parse(layout->image.config.digest, &digest));
	at = ul_layout_check_find(&layout->check, &digest);
	assert_non_null(layout->check.nodes[at].config);
}

static bool stop(void *arg, const char *what, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)what;
	(void)done;
	(void)total;
	return false;
}

static void test_layout__stops_when_it_is_told_to(void **state)
{
	struct ul_layout_check_options options = { .progress = stop };
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(run(*state, &options, &err), UL_E_CANCELED);
}

static void test_layout__survives_every_allocation_failure(void **state)
{
	struct layout *layout = *state;
	struct ul_layout_check_options options = { .is_deep = true };
	long n;

	assert_int_equal(unlink(path_of(layout, &layout->image.layers[0])), 0);
	assert_int_equal(truncate(path_of(layout, &layout->image.layers[1]), 3),
			 0);
	for (n = 0;; n++) {
		struct ul_err err = UL_ERR_INIT;
		int rc;

		ul_mem_countdown = n;
		rc = run(layout, &options, &err);
		ul_mem_countdown = -1;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_null(layout->check.nodes);
	}
	assert_true(n > 50);
	assert_int_equal(layout->findings.damage_count, 2);
}

int main(void)
{
#define LAYOUT_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		LAYOUT_TEST(test_layout__a_whole_one_has_no_findings),
		LAYOUT_TEST(test_layout__a_short_layer_hurts_its_image),
		LAYOUT_TEST(
		    test_layout__a_changed_layer_is_found_by_its_digest),
		LAYOUT_TEST(test_layout__what_nothing_names_is_hashed_too),
		LAYOUT_TEST(test_layout__absent_parts_of_a_manifest_are_damage),
		LAYOUT_TEST(test_layout__absent_platforms_are_a_note),
		LAYOUT_TEST(
		    test_layout__a_wrong_length_in_a_descriptor_is_told),
		LAYOUT_TEST(test_layout__a_wrong_length_hurts_who_says_it),
		LAYOUT_TEST(
		    test_layout__a_damaged_index_uses_what_is_remembered),
		LAYOUT_TEST(test_layout__whole_reads_what_nothing_names),
		LAYOUT_TEST(test_layout__stops_when_it_is_told_to),
		LAYOUT_TEST(test_layout__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
