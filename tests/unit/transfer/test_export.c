#include "store/transfer/export.h"

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
#include "store/transfer/import.h"
#include "tests/lib/image_fixture.h"
#include "tests/lib/store_fixture.h"

static const char *in_top(const struct store_fixture *fixture, const char *name)
{
	static char paths[8][256];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", fixture->top, name);
	return path;
}

static void import_layout(struct store_fixture *fixture,
			  const struct image *image, const char *name)
{
	const struct ul_import_options options = { .path = in_top(fixture, "l"),
						   .name = name };
	struct ul_import_report report = UL_IMPORT_REPORT_INIT;
	struct ul_buf index = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;

	image_index(&index, &image->manifest, IMAGE_MANIFEST, NULL);
	layout_write(options.path, image, ul_buf_str(&index));
	if (ul_import(fixture->store, &options, &report, &err))
		fail_msg("%s", err.msg);
	ul_import_report_release(&report);
	ul_buf_release(&index);
}

static int export_one(struct store_fixture *fixture, const struct image *image,
		      const char *name, const char *path, struct ul_err *err)
{
	struct ul_export_image which = { .name = name };
	const struct ul_export_options options = { .images = &which,
						   .image_count = 1 };
	struct ul_export_result result;

	*err = UL_ERR_INIT;
	assert_true(ul_digest_parse(image->manifest.digest, &which.digest));
	return ul_export_file(fixture->store, &options, path, &result, err);
}

static struct ul_buf bytes_of(const char *path)
{
	struct ul_buf bytes = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_file_read(AT_FDCWD, path, 1 << 24, &bytes, &err))
		fail_msg("%s", err.msg);
	return bytes;
}

static bool has_text(const struct ul_buf *bytes, const char *text)
{
	return memmem(bytes->data, bytes->len, text, strlen(text)) != NULL;
}

static void test_export__same_bytes_and_names(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_buf first, second;
	struct image image;
	struct ul_err err;

	store_fixture_open(fixture);
	image_init(&image, "a", "amd64", 2, false);
	import_layout(fixture, &image, "team/app:7");
	assert_int_equal(export_one(fixture, &image, "docker.io/team/app:7",
				    in_top(fixture, "1.tar"), &err),
			 0);
	assert_int_equal(export_one(fixture, &image, "docker.io/team/app:7",
				    in_top(fixture, "2.tar"), &err),
			 0);
	first = bytes_of(in_top(fixture, "1.tar"));
	second = bytes_of(in_top(fixture, "2.tar"));
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.data, second.data, first.len);
	assert_true(has_text(&first, "\"io.containerd.image.name\":"
				     "\"docker.io/team/app:7\""));
	assert_true(has_text(&first, "\"org.opencontainers.image.ref.name\":"
				     "\"7\""));
	assert_true(has_text(&first, "\"RepoTags\":[\"team/app:7\"]"));
	ul_buf_release(&first);
	ul_buf_release(&second);
	image_release(&image);
}

static void test_export__comes_back_as_it_was(void **state)
{
	struct store_fixture *fixture = *state;
	const struct ul_import_options options = {
		.path = in_top(fixture, "1.tar"),
	};
	struct ul_import_report report = UL_IMPORT_REPORT_INIT;
	char digest[UL_DIGEST_TEXT_MAX];
	struct image image;
	struct ul_err err;

	store_fixture_open(fixture);
	image_init(&image, "a", "amd64", 2, false);
	import_layout(fixture, &image, "app:7");
	assert_int_equal(export_one(fixture, &image, "docker.io/library/app:7",
				    options.path, &err),
			 0);
	assert_int_equal(rename(fixture->state, in_top(fixture, "old")), 0);
	store_fixture_open(fixture);
	if (ul_import(fixture->store, &options, &report, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(report.image_count, 1);
	assert_string_equal(report.images[0].name, "docker.io/library/app:7");
	ul_digest_format(&report.images[0].digest, digest);
	assert_string_equal(digest, image.manifest.digest);
	ul_import_report_release(&report);
	image_release(&image);
}

static void export_keeps_file(struct store_fixture *fixture,
			      const struct image *image, int code)
{
	struct ul_err err;
	size_t before = dir_count(fixture->top);

	file_write(in_top(fixture, "x.tar"), "what was there");
	assert_int_equal(
	    export_one(fixture, image, NULL, in_top(fixture, "x.tar"), &err),
	    code);
	file_expect(in_top(fixture, "x.tar"), "what was there");
	unlink(in_top(fixture, "x.tar"));
	assert_int_equal(dir_count(fixture->top), before);
}

static void test_export__damage_leaves_the_old_file(void **state)
{
	struct store_fixture *fixture = *state;
	struct image image, unknown;
	const char *layer;

	store_fixture_open(fixture);
	image_init(&image, "a", "amd64", 2, false);
	image_init(&unknown, "b", "amd64", 1, false);
	import_layout(fixture, &image, "app:7");
	export_keeps_file(fixture, &unknown, UL_E_ABSENT);
	layer = store_path(fixture, "oci/blobs/sha256/%s", image.layers[0].hex);
	image.layers[0].bytes.data[20] ^= 1;
	unlink(layer);
	bytes_write(layer, &image.layers[0].bytes);
	export_keeps_file(fixture, &image, UL_E_CORRUPT);
	unlink(layer);
	export_keeps_file(fixture, &image, UL_E_CORRUPT);
	image_release(&image);
	image_release(&unknown);
}

static void test_export__devices_are_written_to(void **state)
{
	struct store_fixture *fixture = *state;
	struct image image;
	struct ul_err err;
	struct stat st;

	store_fixture_open(fixture);
	image_init(&image, "a", "amd64", 1, false);
	import_layout(fixture, &image, "app:7");
	assert_int_equal(export_one(fixture, &image, NULL, "/dev/null", &err),
			 0);
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(export_one(fixture, &image, NULL, "/dev/full", &err),
			 UL_E_IO);
	assert_non_null(strstr(err.msg, "/dev/full: "));
	image_release(&image);
}

static void test_export__every_allocation_fails_once(void **state)
{
	struct store_fixture *fixture = *state;
	const char *path = in_top(fixture, "x.tar");
	struct image image;
	struct ul_err err;
	long n;
	int rc;

	store_fixture_open(fixture);
	image_init(&image, "a", "amd64", 1, false);
	import_layout(fixture, &image, "app:7");
	for (n = 0;; n++) {
		atomic_store(&ul_mem_countdown, n);
		rc = export_one(fixture, &image, "docker.io/library/app:7",
				path, &err);
		if (atomic_load(&ul_mem_countdown) >= 0)
			break;
		atomic_store(&ul_mem_countdown, -1);
		assert_true(rc == UL_E_NOMEM || !rc);
		assert_int_equal(path_exists(path), !rc);
		unlink(path);
	}
	atomic_store(&ul_mem_countdown, -1);
	assert_int_equal(rc, 0);
	assert_true(n > 10);
	image_release(&image);
}

#define STORE_TEST(f)                                                          \
	cmocka_unit_test_setup_teardown(f, store_fixture_setup,                \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_export__same_bytes_and_names),
		STORE_TEST(test_export__comes_back_as_it_was),
		STORE_TEST(test_export__damage_leaves_the_old_file),
		STORE_TEST(test_export__devices_are_written_to),
		STORE_TEST(test_export__every_allocation_fails_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
