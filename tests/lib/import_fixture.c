#include "tests/lib/import_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/fs.h"
#include "store/oci/layout.h"
#include "tests/lib/tar_fixture.h"

char report_text[8192];
char image_text[8192];

static void report_print(const struct ul_import_report *report)
{
	char digest[UL_DIGEST_TEXT_MAX];
	size_t i, at = 0;

	report_text[0] = image_text[0] = '\0';
	for (i = 0; i < report->note_count; i++)
		at +=
		    (size_t)snprintf(report_text + at, sizeof report_text - at,
				     "%s\n", report->notes[i]);
	for (i = 0, at = 0; i < report->image_count; i++) {
		ul_digest_format(&report->images[i].digest, digest);
		at += (size_t)snprintf(image_text + at, sizeof image_text - at,
				       "%s %.19s %zu %zu\n",
				       report->images[i].name, digest,
				       report->images[i].new_blobs,
				       report->images[i].reused_blobs);
	}
}

int import(struct store_fixture *fixture,
	   const struct ul_import_options *options, struct ul_err *err)
{
	struct ul_import_report report = UL_IMPORT_REPORT_INIT;
	int rc;

	*err = UL_ERR_INIT;
	rc = ul_import(fixture->store, options, &report, err);
	if (rc)
		assert_null(report.images);
	else
		report_print(&report);
	ul_import_report_release(&report);
	return rc;
}

void import_path(struct store_fixture *fixture, const char *path)
{
	const struct ul_import_options options = { .path = path };
	struct ul_err err;

	if (import(fixture, &options, &err))
		fail_msg("%s", err.msg);
}

void import_fails(struct store_fixture *fixture,
		  const struct ul_import_options *options, int code,
		  const char *message)
{
	char *before = tree_listing(store_path(fixture, ".")), *after;
	struct ul_err err;

	assert_int_equal(import(fixture, options, &err), code);
	if (!strstr(err.msg, message))
		fail_msg("\"%s\" is not in \"%s\"", message, err.msg);
	after = tree_listing(store_path(fixture, "."));
	assert_string_equal(before, after);
	free(before);
	free(after);
}

const char *in_top(const struct store_fixture *fixture, const char *name)
{
	static char paths[8][256];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", fixture->top, name);
	return path;
}

const char *index_names(struct store_fixture *fixture)
{
	static char text[4096];
	struct ul_layout_index *index;
	struct ul_err err = UL_ERR_INIT;
	size_t i, at = 0;

	if (ul_embedded_index_read(fixture->store, &index, NULL, &err))
		fail_msg("%s", err.msg);
	text[0] = '\0';
	for (i = 0; i < ul_layout_index_count(index); i++) {
		const char *name = ul_layout_index_entry(index, i)->name;

		at += (size_t)snprintf(text + at, sizeof text - at, "%s%s",
				       i ? " " : "", name ? name : "(none)");
	}
	ul_layout_index_free(index);
	return text;
}

void archive_write(const char *path, struct ul_buf *tar)
{
	tar_end(tar);
	bytes_write(path, tar);
	ul_buf_release(tar);
}

void oci_archive(const char *path, const struct image *image,
		 const char *annotations)
{
	struct ul_buf tar = UL_BUF_INIT, index = UL_BUF_INIT;

	archive_add_image(&tar, image);
	image_index(&index, &image->manifest, IMAGE_MANIFEST, annotations);
	archive_add(&tar, "index.json", ul_buf_str(&index));
	archive_add(&tar, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	archive_write(path, &tar);
	ul_buf_release(&index);
}

const char *blob_path(struct store_fixture *fixture,
		      const struct image_blob *blob)
{
	return store_path(fixture, "oci/blobs/sha256/%s", blob->hex);
}

void blob_expect(struct store_fixture *fixture, const struct image_blob *blob)
{
	struct ul_buf got = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct stat st;

	if (ul_file_read(AT_FDCWD, blob_path(fixture, blob), 1 << 20, &got,
			 &err))
		fail_msg("%s", err.msg);
	assert_int_equal(got.len, blob->bytes.len);
	assert_memory_equal(got.data, blob->bytes.data, got.len);
	assert_int_equal(stat(blob_path(fixture, blob), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0444);
	assert_int_equal(st.st_nlink, 1);
	ul_buf_release(&got);
}

void image_expect(struct store_fixture *fixture, const struct image *image)
{
	const struct image_blob *blobs[IMAGE_LAYERS_MAX + 2];
	size_t i, count = image_blobs(image, blobs);

	for (i = 0; i < count; i++)
		blob_expect(fixture, blobs[i]);
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
}
