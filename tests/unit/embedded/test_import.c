#include "store/embedded/import.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/trash.h"
#include "store/graph/graph.h"
#include "store/oci/layout.h"
#include "tests/lib/image_fixture.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/tar_fixture.h"

static char report_text[8192]; /* notes of the last import, a line each */

/* "name digest new reused" lines of the last import. */
static char image_text[8192];

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

static int import(struct store_fixture *fixture,
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

static void import_path(struct store_fixture *fixture, const char *path)
{
	const struct ul_import_options options = { .path = path };
	struct ul_err err;

	if (import(fixture, &options, &err))
		fail_msg("%s", err.msg);
}

static void import_fails(struct store_fixture *fixture,
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

static const char *in_top(const struct store_fixture *fixture, const char *name)
{
	static char paths[8][256];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", fixture->top, name);
	return path;
}

/* All names of the index, space between, in order. */
static const char *index_names(struct store_fixture *fixture)
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

static void archive_write(const char *path, struct ul_buf *tar)
{
	tar_end(tar);
	bytes_write(path, tar);
	ul_buf_release(tar);
}

/* An OCI archive of one image; entry annotations as in image_index(). */
static void oci_archive(const char *path, const struct image *image,
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

static const char *blob_path(struct store_fixture *fixture,
			     const struct image_blob *blob)
{
	return store_path(fixture, "oci/blobs/sha256/%s", blob->hex);
}

static void blob_expect(struct store_fixture *fixture,
			const struct image_blob *blob)
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

static void image_expect(struct store_fixture *fixture,
			 const struct image *image)
{
	const struct image_blob *blobs[IMAGE_LAYERS_MAX + 2];
	size_t i, count = image_blobs(image, blobs);

	for (i = 0; i < count; i++)
		blob_expect(fixture, blobs[i]);
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
}

static void twice(struct store_fixture *fixture, const char *path)
{
	char *before, *after;

	import_path(fixture, path);
	before = tree_listing(store_path(fixture, "."));
	import_path(fixture, path);
	assert_non_null(strstr(image_text, " 0 4\n"));
	after = tree_listing(store_path(fixture, "."));
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void test_import__twice_changes_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_buf index = UL_BUF_INIT, tar = UL_BUF_INIT;
	struct image image;

	image_init(&image, "one", "amd64", 2, false);
	store_fixture_open(fixture);
	oci_archive(in_top(fixture, "a.tar"), &image, NULL);
	twice(fixture, in_top(fixture, "a.tar"));
	image_expect(fixture, &image);
	image_index(&index, &image.manifest, IMAGE_MANIFEST, NULL);
	layout_write(in_top(fixture, "layout"), &image, ul_buf_str(&index));
	twice(fixture, in_top(fixture, "layout"));
	ul_buf_release(&index);
	image_release(&image);

	image_init(&image, "old", "amd64", 2, true);
	archive_add_docker(&tar, &image, "[\"old:1\"]");
	archive_write(in_top(fixture, "old.tar"), &tar);
	twice(fixture, in_top(fixture, "old.tar"));
	/* The manifest that was made is the one anybody would make. */
	image_expect(fixture, &image);
	image_release(&image);
	assert_string_equal(index_names(fixture),
			    "docker.io/library/a:latest "
			    "docker.io/library/layout:latest "
			    "docker.io/library/old:1");
}

static void test_import__packed_archives_and_streams(void **state)
{
	struct store_fixture *fixture = *state;
	const struct ul_import_options from_stdin = { .path = "-",
						      .name = "piped" };
	struct ul_buf tar = UL_BUF_INIT, packed = UL_BUF_INIT;
	struct ul_err err;
	struct image image;
	int saved = dup(0), fd;

	image_init(&image, "one", "amd64", 2, false);
	store_fixture_open(fixture);
	oci_archive(in_top(fixture, "a.tar"), &image, NULL);
	assert_int_equal(ul_file_read(AT_FDCWD, in_top(fixture, "a.tar"),
				      1 << 20, &tar, &err),
			 0);
	pack_gzip(&packed, tar.data, tar.len);
	bytes_write(in_top(fixture, "gzip.tgz"), &packed);
	ul_buf_reset(&packed);
	pack_zstd(&packed, tar.data, tar.len);
	bytes_write(in_top(fixture, "zstd.tar.zst"), &packed);
	import_path(fixture, in_top(fixture, "gzip.tgz"));
	import_path(fixture, in_top(fixture, "zstd.tar.zst"));
	fd = open(in_top(fixture, "gzip.tgz"), O_RDONLY);
	dup2(fd, 0);
	close(fd);
	assert_int_equal(import(fixture, &from_stdin, &err), 0);
	dup2(saved, 0);
	close(saved);
	assert_string_equal(index_names(fixture),
			    "docker.io/library/gzip:latest "
			    "docker.io/library/zstd:latest "
			    "docker.io/library/piped:latest");
	image_expect(fixture, &image);
	image_release(&image);
	ul_buf_release(&tar);
	ul_buf_release(&packed);
}

static void test_import__names_by_every_rule(void **state)
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

static void test_import__repo_tags_name_what_the_index_does_not(void **state)
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

static void test_import__a_stray_manifest_json_names_nothing(void **state)
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

/* Docker's classic store: a layer is a link where it was saved before. */
static void test_import__old_archives_with_links(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_buf tar = UL_BUF_INIT;
	struct tar_item layer = { .path = "first/layer.tar" };
	struct image image;

	image_init(&image, "one", "amd64", 1, true);
	layer.data = image.layers[0].bytes.data;
	layer.len = image.layers[0].bytes.len;
	tar_add(&tar, &layer);
	tar_add(&tar, &(struct tar_item){ .path = "second/layer.tar",
					  .type = '2',
					  .link = "../first/layer.tar" });
	tar_add(&tar, &(struct tar_item){ .path = "third/layer.tar",
					  .type = '1',
					  .link = "second/layer.tar" });
	archive_add(&tar, "sha256:c", ul_buf_str(&image.config.bytes));
	archive_add(&tar, "manifest.json",
		    "[{\"Config\":\"sha256:c\",\"RepoTags\":[\"a:1\",\"a:2\"],"
		    "\"Layers\":[\"third/layer.tar\"]},{\"Config\":"
		    "\"./sha256:c\",\"RepoTags\":null,\"Layers\":"
		    "[\"second/layer.tar\"]}]");
	archive_write(in_top(fixture, "old.tar"), &tar);
	store_fixture_open(fixture);
	import_path(fixture, in_top(fixture, "old.tar"));
	assert_string_equal(index_names(fixture),
			    "docker.io/library/a:1 docker.io/library/a:2");
	blob_expect(fixture, &image.layers[0]);
	blob_expect(fixture, &image.config);
	image_release(&image);
}

/* As crane writes them: packed layers. */
static void test_import__old_archives_with_packed_layers(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_buf tar = UL_BUF_INIT;
	struct image image;

	image_init(&image, "one", "amd64", 2, false);
	archive_add_docker(&tar, &image, "[\"a:1\"]");
	archive_write(in_top(fixture, "old.tar"), &tar);
	store_fixture_open(fixture);
	import_path(fixture, in_top(fixture, "old.tar"));
	/* The manifest made is the fixture's: layers are tar+gzip in both. */
	image_expect(fixture, &image);
	image_release(&image);
}

static void test_import__nameless_images_are_numbered(void **state)
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

static void test_import__name_is_for_nameless_images(void **state)
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

static void test_import__moving_a_name_needs_replace(void **state)
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

static void test_import__two_images_of_one_name(void **state)
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

/* Put other bytes into a blob of the store, in its place. */
static void blob_spoil(struct store_fixture *fixture,
		       const struct image_blob *blob, size_t len)
{
	struct ul_buf bytes = UL_BUF_INIT;

	while (bytes.len < len)
		ul_buf_add_char(&bytes, '{');
	unlink(blob_path(fixture, blob));
	bytes_write(blob_path(fixture, blob), &bytes);
	ul_buf_release(&bytes);
}

static void test_import__damaged_blobs_are_replaced(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_import_options options = { .path = in_top(fixture, "f.tar") };
	struct image image;
	struct ul_err err;
	struct stat before, after;

	image_init(&image, "one", "amd64", 2, false);
	oci_archive(options.path, &image, NULL);
	store_fixture_open(fixture);
	import_path(fixture, options.path);
	blob_spoil(fixture, &image.layers[0], 3);
	import_path(fixture, options.path);
	image_expect(fixture, &image);
	/* Documents are read, so they are looked at. */
	blob_spoil(fixture, &image.manifest, image.manifest.bytes.len);
	blob_spoil(fixture, &image.config, image.config.bytes.len);
	import_path(fixture, options.path);
	image_expect(fixture, &image);
	/* A layer of the right length is believed, unless asked not to. */
	blob_spoil(fixture, &image.layers[1], image.layers[1].bytes.len);
	stat(blob_path(fixture, &image.layers[1]), &before);
	import_path(fixture, options.path);
	stat(blob_path(fixture, &image.layers[1]), &after);
	assert_int_equal(before.st_ino, after.st_ino);
	options.is_verifying = true;
	assert_int_equal(import(fixture, &options, &err), 0);
	image_expect(fixture, &image);
	image_release(&image);
}

/* As a collection leaves it: records first, then the blobs. */
static void trash_blobs(struct store_fixture *fixture,
			const struct image_blob *const *blobs, size_t count)
{
	struct ul_trash_item items[8];
	char names[8][4], paths[8][128];
	const struct ul_trash_record record = {
		.run = 1,
		.swept_unix_s = 1000,
		.grace_s = 3600,
		.items = items,
		.item_count = count,
	};
	struct ul_err err = UL_ERR_INIT;
	size_t i;
	int fd;

	assert_int_equal(mkdir(store_path(fixture, "trash/1-ab"), 0700), 0);
	fd = open(store_path(fixture, "trash/1-ab"), O_RDONLY | O_DIRECTORY);
	for (i = 0; i < count; i++) {
		snprintf(names[i], sizeof names[i], "%zu", i);
		snprintf(paths[i], sizeof paths[i], "oci/blobs/sha256/%s",
			 blobs[i]->hex);
		items[i] = (struct ul_trash_item){
			.name = names[i],
			.kind = UL_KIND_BLOB,
			.key = blobs[i]->digest,
			.path = paths[i],
			.parent = "",
		};
	}
	if (ul_trash_write(fd, &record, &err))
		fail_msg("%s", err.msg);
	for (i = 0; i < count; i++)
		assert_int_equal(
		    rename(blob_path(fixture, blobs[i]),
			   store_path(fixture, "trash/1-ab/%zu", i)),
		    0);
	close(fd);
}

static void test_import__takes_blobs_out_of_the_trash(void **state)
{
	struct store_fixture *fixture = *state;
	const struct image_blob *blobs[IMAGE_LAYERS_MAX + 2];
	struct stat before, after;
	struct image image;
	size_t count;

	image_init(&image, "one", "amd64", 2, false);
	count = image_blobs(&image, blobs);
	oci_archive(in_top(fixture, "f.tar"), &image, NULL);
	store_fixture_open(fixture);
	import_path(fixture, in_top(fixture, "f.tar"));
	stat(blob_path(fixture, blobs[0]), &before);
	trash_blobs(fixture, blobs, count);
	import_path(fixture, in_top(fixture, "f.tar"));
	stat(blob_path(fixture, blobs[0]), &after);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_non_null(strstr(image_text, " 0 4\n"));
	image_expect(fixture, &image);
	/* Nothing but the record is left there. */
	assert_int_equal(dir_count(store_path(fixture, "trash/1-ab")), 1);
	image_release(&image);
}

/* Does something to the store while the import reads its source. */
struct meanwhile {
	struct store_fixture *fixture;
	const struct image_blob *blob;
	uint64_t from_bytes; /* read by then */
	bool is_trashing, is_done;
};

/* b has a's layer, and one more: while that one is read, a's vanishes. */
static bool on_last_layer(void *arg, uint64_t done_bytes)
{
	struct meanwhile *meanwhile = arg;

	if (meanwhile->is_done || done_bytes < meanwhile->from_bytes)
		return true;
	meanwhile->is_done = true;
	if (meanwhile->is_trashing)
		trash_blobs(meanwhile->fixture, &meanwhile->blob, 1);
	else
		unlink(blob_path(meanwhile->fixture, meanwhile->blob));
	return true;
}

static void shared_layer_relied_upon(struct store_fixture *fixture,
				     bool is_trashing)
{
	const char *path = in_top(fixture, "b");
	struct image a, b;
	struct ul_buf index = UL_BUF_INIT;
	struct meanwhile meanwhile = { .fixture = fixture,
				       .is_trashing = is_trashing };
	struct ul_import_options options = { .path = path,
					     .progress = on_last_layer,
					     .arg = &meanwhile };
	struct ul_err err;

	image_init(&a, "same", "amd64", 1, false);
	image_init(&b, "same", "arm64", 2, false);
	assert_string_equal(a.layers[0].digest, b.layers[0].digest);
	meanwhile.blob = &a.layers[0];
	meanwhile.from_bytes = b.manifest.bytes.len + b.config.bytes.len + 1;
	store_fixture_open(fixture);
	oci_archive(in_top(fixture, "a.tar"), &a, NULL);
	import_path(fixture, in_top(fixture, "a.tar"));
	image_index(&index, &b.manifest, IMAGE_MANIFEST, NULL);
	layout_write(path, &b, ul_buf_str(&index));
	if (is_trashing) {
		assert_int_equal(import(fixture, &options, &err), 0);
		image_expect(fixture, &b);
	} else {
		assert_int_equal(import(fixture, &options, &err),
				 UL_E_CONFLICT);
		assert_non_null(strstr(err.msg, "was removed meanwhile"));
		assert_string_equal(index_names(fixture),
				    "docker.io/library/a:latest");
		assert_false(path_exists(blob_path(fixture, &b.manifest)));
		assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
	}
	assert_true(meanwhile.is_done);
	ul_buf_release(&index);
	image_release(&a);
	image_release(&b);
}

static void test_import__relied_upon_blob_comes_out_of_the_trash(void **state)
{
	shared_layer_relied_upon(*state, true);
}

static void test_import__relied_upon_blob_is_gone(void **state)
{
	shared_layer_relied_upon(*state, false);
}

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

static void test_import__absent_platforms_are_said(void **state)
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

static void test_import__missing_layer_fails(void **state)
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

static void test_import__foreign_layers_may_be_absent(void **state)
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

static void test_import__unknown_types_are_kept_and_said(void **state)
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

static void test_import__schema_1_is_refused(void **state)
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

static void test_import__referrers_come_with_their_subject(void **state)
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

static void test_import__a_config_that_is_none_is_refused(void **state)
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

/* The archive's bytes, cut after `len`. */
static void write_cut(const char *path, const struct ul_buf *bytes, size_t len)
{
	struct ul_buf cut = *bytes;

	cut.len = len;
	bytes_write(path, &cut);
}

static void cut_everywhere(struct store_fixture *fixture,
			   const struct ul_buf *bytes, size_t end)
{
	struct ul_import_options options = { .path = in_top(fixture, "x.tar") };
	char *before = tree_listing(store_path(fixture, ".")), *after;
	struct ul_err err;
	size_t len;

	for (len = 0; len < end; len += 1 + end / 97) {
		write_cut(options.path, bytes, len);
		if (!import(fixture, &options, &err))
			fail_msg("cut after %zu of %zu", len, bytes->len);
		assert_true(err.code == UL_E_CORRUPT);
	}
	after = tree_listing(store_path(fixture, "."));
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void test_import__archives_cut_off_anywhere(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_buf tar = UL_BUF_INIT, packed = UL_BUF_INIT;
	struct ul_err err;
	struct image image;

	image_init(&image, "one", "amd64", 2, false);
	oci_archive(in_top(fixture, "f.tar"), &image, NULL);
	assert_int_equal(ul_file_read(AT_FDCWD, in_top(fixture, "f.tar"),
				      1 << 20, &tar, &err),
			 0);
	store_fixture_open(fixture);
	/* One of the two blocks that end a tar is enough. */
	cut_everywhere(fixture, &tar, tar.len - 1024);
	pack_gzip(&packed, tar.data, tar.len);
	cut_everywhere(fixture, &packed, packed.len);
	ul_buf_reset(&packed);
	pack_zstd(&packed, tar.data, tar.len);
	cut_everywhere(fixture, &packed, packed.len);
	ul_buf_release(&tar);
	ul_buf_release(&packed);
	image_release(&image);
}

static bool stop(void *arg, uint64_t done_bytes)
{
	(void)arg;
	(void)done_bytes;
	return false;
}

static void test_import__can_be_stopped(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_import_options options = { .path = in_top(fixture, "f.tar"),
					     .progress = stop };
	struct image image;

	image_init(&image, "one", "amd64", 2, false);
	oci_archive(options.path, &image, NULL);
	store_fixture_open(fixture);
	import_fails(fixture, &options, UL_E_CANCELED, "");
	image_release(&image);
}

static void test_import__no_such_file(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_import_options options = { .path = in_top(fixture, "none") };

	store_fixture_open(fixture);
	import_fails(fixture, &options, UL_E_ABSENT, "no such file");
	file_write(options.path, "just text, long enough to be looked at");
	import_fails(fixture, &options, UL_E_CORRUPT, "is no image archive");
	file_write(options.path, "");
	import_fails(fixture, &options, UL_E_CORRUPT, "is no image archive");
	options.path = fixture->top;
	import_fails(fixture, &options, UL_E_CORRUPT, "no index.json");
}

static void every_allocation(struct store_fixture *fixture, const char *path)
{
	const struct ul_import_options options = { .path = path };
	const char *names = NULL;
	struct ul_err err;
	long n;
	int rc;

	for (n = 0;; n++) {
		atomic_store(&ul_mem_countdown, n);
		rc = import(fixture, &options, &err);
		if (atomic_load(&ul_mem_countdown) >= 0)
			break;
		atomic_store(&ul_mem_countdown, -1);
		assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
		/* After the index is written the use is noted: that may fail
		 * with the image there. */
		names = index_names(fixture);
		assert_true(rc == UL_E_NOMEM || (!rc && *names));
		if (rc && !*names)
			assert_int_equal(
			    dir_count(store_path(fixture, "trash")), 0);
	}
	atomic_store(&ul_mem_countdown, -1);
	assert_int_equal(rc, 0);
	assert_true(n > 20);
}

static void test_import__every_allocation_fails_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_buf index = UL_BUF_INIT, tar = UL_BUF_INIT;
	struct image image;

	image_init(&image, "one", "amd64", 1, true);
	store_fixture_open(fixture);
	image_index(&index, &image.manifest, IMAGE_MANIFEST, NULL);
	layout_write(in_top(fixture, "l"), &image, ul_buf_str(&index));
	every_allocation(fixture, in_top(fixture, "l"));
	archive_add_docker(&tar, &image, "[\"old:1\"]");
	archive_write(in_top(fixture, "old.tar"), &tar);
	every_allocation(fixture, in_top(fixture, "old.tar"));
	image_expect(fixture, &image);
	ul_buf_release(&index);
	image_release(&image);
}

static int import_elsewhere(const char *state, const char *path)
{
	const struct ul_import_options options = { .path = path };
	struct ul_import_report report = UL_IMPORT_REPORT_INIT;
	struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_embedded_open(state, &store, &err);

	if (!rc)
		rc = ul_import(store, &options, &report, &err);
	if (rc)
		fprintf(stderr, "%s\n", err.msg);
	return rc ? 1 : 0;
}

static void test_import__two_processes_at_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct image image;
	pid_t pids[4];
	size_t i;
	int status;

	image_init(&image, "one", "amd64", 3, false);
	oci_archive(in_top(fixture, "f.tar"), &image, NULL);
	for (i = 0; i < ul_array_len(pids); i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (!pids[i])
			_exit(import_elsewhere(fixture->state,
					       in_top(fixture, "f.tar")));
	}
	for (i = 0; i < ul_array_len(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	store_fixture_open(fixture);
	assert_string_equal(index_names(fixture), "docker.io/library/f:latest");
	image_expect(fixture, &image);
	image_release(&image);
}

#define STORE_TEST(f)                                                          \
	cmocka_unit_test_setup_teardown(f, store_fixture_setup,                \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_import__twice_changes_nothing),
		STORE_TEST(test_import__packed_archives_and_streams),
		STORE_TEST(test_import__names_by_every_rule),
		STORE_TEST(test_import__repo_tags_name_what_the_index_does_not),
		STORE_TEST(test_import__a_stray_manifest_json_names_nothing),
		STORE_TEST(test_import__old_archives_with_links),
		STORE_TEST(test_import__old_archives_with_packed_layers),
		STORE_TEST(test_import__nameless_images_are_numbered),
		STORE_TEST(test_import__name_is_for_nameless_images),
		STORE_TEST(test_import__moving_a_name_needs_replace),
		STORE_TEST(test_import__two_images_of_one_name),
		STORE_TEST(test_import__damaged_blobs_are_replaced),
		STORE_TEST(test_import__takes_blobs_out_of_the_trash),
		STORE_TEST(
		    test_import__relied_upon_blob_comes_out_of_the_trash),
		STORE_TEST(test_import__relied_upon_blob_is_gone),
		STORE_TEST(test_import__absent_platforms_are_said),
		STORE_TEST(test_import__missing_layer_fails),
		STORE_TEST(test_import__foreign_layers_may_be_absent),
		STORE_TEST(test_import__unknown_types_are_kept_and_said),
		STORE_TEST(test_import__schema_1_is_refused),
		STORE_TEST(test_import__referrers_come_with_their_subject),
		STORE_TEST(test_import__a_config_that_is_none_is_refused),
		STORE_TEST(test_import__archives_cut_off_anywhere),
		STORE_TEST(test_import__can_be_stopped),
		STORE_TEST(test_import__no_such_file),
		STORE_TEST(test_import__every_allocation_fails_once),
		STORE_TEST(test_import__two_processes_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
