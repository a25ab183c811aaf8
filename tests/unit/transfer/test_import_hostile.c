/*
 * Archives and layouts made to do harm: each is refused with a message that
 * says what is wrong with it, and the store is byte for byte what it was.
 */
#include "store/transfer/import.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/limits.h"
#include "tests/lib/image_fixture.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/tar_fixture.h"

static struct image image; /* plain layers, two of them */

/* Makes a whole archive, but for its end. */
typedef void build_fn(struct ul_buf *tar);

static void add_entry(struct ul_buf *tar, const char *path, char type,
		      const char *link)
{
	const struct tar_item item = {
		.path = path,
		.type = type,
		.link = link,
		.data = type == '0' ? "data" : NULL,
	};

	tar_add(tar, &item);
}

static void add_whole(struct ul_buf *tar)
{
	struct ul_buf index = UL_BUF_INIT;

	archive_add_image(tar, &image);
	image_index(&index, &image.manifest, IMAGE_MANIFEST, NULL);
	archive_add(tar, "index.json", ul_buf_str(&index));
	ul_buf_release(&index);
}

static void up(struct ul_buf *tar)
{
	add_whole(tar);
	add_entry(tar, "../escaped", '0', NULL);
}

static void up_inside(struct ul_buf *tar)
{
	add_whole(tar);
	add_entry(tar, "blobs/sha256/../../../../etc/passwd", '0', NULL);
}

static void absolute(struct ul_buf *tar)
{
	add_whole(tar);
	add_entry(tar, "/etc/cron.d/x", '0', NULL);
}

static void char_device(struct ul_buf *tar)
{
	add_whole(tar);
	add_entry(tar, "index", '3', NULL);
}

static void block_device(struct ul_buf *tar)
{
	add_whole(tar);
	add_entry(tar, "layer.tar", '4', NULL);
}

static void fifo(struct ul_buf *tar)
{
	add_whole(tar);
	add_entry(tar, "blobs/sha256/" HEX_1, '6', NULL);
}

static void symlink_absolute(struct ul_buf *tar)
{
	add_whole(tar);
	add_entry(tar, "a/layer.tar", '2', "/etc/shadow");
}

static void symlink_up(struct ul_buf *tar)
{
	add_whole(tar);
	add_entry(tar, "a/layer.tar", '2', "../../etc/shadow");
}

static void hard_link_up(struct ul_buf *tar)
{
	add_whole(tar);
	add_entry(tar, "a/layer.tar", '1', "a/../../x");
}

static void hard_link_absolute(struct ul_buf *tar)
{
	add_whole(tar);
	add_entry(tar, "a/layer.tar", '1', "/etc/shadow");
}

static void index_twice(struct ul_buf *tar)
{
	add_whole(tar);
	archive_add(tar, "./index.json", "{\"manifests\":[]}");
}

static void manifest_twice(struct ul_buf *tar)
{
	archive_add_docker(tar, &image, "[\"a:1\"]");
	archive_add(tar, "manifest.json", "[]");
}

static void file_twice(struct ul_buf *tar)
{
	archive_add_docker(tar, &image, "[\"a:1\"]");
	archive_add(tar, "id0/layer.tar", "another");
}

static void link_over_file(struct ul_buf *tar)
{
	archive_add_docker(tar, &image, "[\"a:1\"]");
	add_entry(tar, "id0//layer.tar", '2', "../x");
}

static void wrong_digest(struct ul_buf *tar)
{
	add_whole(tar);
	archive_add(tar, "blobs/sha256/" HEX_1, "not that");
}

/* The length is right, so only the digest tells. */
static void layer_swapped(struct ul_buf *tar)
{
	struct image_blob *layer = &image.layers[0];

	layer->bytes.data[600] ^= 1;
	add_whole(tar);
	layer->bytes.data[600] ^= 1;
}

static void wrong_length(struct ul_buf *tar)
{
	struct ul_buf index = UL_BUF_INIT;

	archive_add_image(tar, &image);
	ul_buf_printf(&index,
		      "{\"manifests\":[{\"mediaType\":\"" IMAGE_MANIFEST
		      "\",\"digest\":\"%s\",\"size\":7}]}",
		      image.manifest.digest);
	archive_add(tar, "index.json", ul_buf_str(&index));
	ul_buf_release(&index);
}

static void link_loop(struct ul_buf *tar)
{
	struct ul_buf json = UL_BUF_INIT;

	add_entry(tar, "a", '2', "b");
	add_entry(tar, "b", '2', "a");
	archive_add(tar, "c.json", ul_buf_str(&image.config.bytes));
	archive_add(tar, "manifest.json",
		    "[{\"Config\":\"a\",\"RepoTags\":null,\"Layers\":[]}]");
	ul_buf_release(&json);
}

static void config_path_up(struct ul_buf *tar)
{
	archive_add(tar, "manifest.json",
		    "[{\"Config\":\"../../etc/passwd\",\"RepoTags\":null,"
		    "\"Layers\":[]}]");
}

static void config_path_absolute(struct ul_buf *tar)
{
	archive_add(tar, "manifest.json",
		    "[{\"Config\":\"/etc/passwd\",\"RepoTags\":null,"
		    "\"Layers\":[]}]");
}

static void layer_missing(struct ul_buf *tar)
{
	struct ul_buf json = UL_BUF_INIT;

	archive_add(tar, "c.json", ul_buf_str(&image.config.bytes));
	archive_add(tar, "manifest.json",
		    "[{\"Config\":\"c.json\",\"RepoTags\":null,"
		    "\"Layers\":[\"x.tar\",\"y.tar\"]}]");
	ul_buf_release(&json);
}

static void layers_too_few(struct ul_buf *tar)
{
	archive_add(tar, "c.json", ul_buf_str(&image.config.bytes));
	archive_add(tar, "manifest.json",
		    "[{\"Config\":\"c.json\",\"RepoTags\":null,"
		    "\"Layers\":[]}]");
}

static void layers_swapped(struct ul_buf *tar)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		const struct tar_item item = {
			.path = i ? "0.tar" : "1.tar",
			.data = image.layers[i].bytes.data,
			.len = image.layers[i].bytes.len,
		};

		tar_add(tar, &item);
	}
	archive_add(tar, "c.json", ul_buf_str(&image.config.bytes));
	archive_add(tar, "manifest.json",
		    "[{\"Config\":\"c.json\",\"RepoTags\":null,"
		    "\"Layers\":[\"0.tar\",\"1.tar\"]}]");
}

static void config_renamed(struct ul_buf *tar)
{
	archive_add(tar, HEX_1 ".json", ul_buf_str(&image.config.bytes));
	archive_add(tar, "manifest.json",
		    "[{\"Config\":\"" HEX_1 ".json\",\"RepoTags\":null,"
		    "\"Layers\":[\"a\",\"b\"]}]");
}

static void many_layers(struct ul_buf *tar)
{
	struct ul_buf json = UL_BUF_INIT;
	size_t i;

	ul_buf_add_str(&json, "[{\"Config\":\"c.json\",\"Layers\":[");
	for (i = 0; i <= 500; i++)
		ul_buf_printf(&json, "%s\"l\"", i ? "," : "");
	ul_buf_add_str(&json, "]}]");
	archive_add(tar, "manifest.json", ul_buf_str(&json));
	ul_buf_release(&json);
}

static void manifest_no_array(struct ul_buf *tar)
{
	archive_add(tar, "manifest.json", "{\"Config\":\"c.json\"}");
}

static void manifest_odd_tags(struct ul_buf *tar)
{
	archive_add(tar, "manifest.json",
		    "[{\"Config\":\"c.json\",\"RepoTags\":[7]}]");
}

static void name_with_escapes(struct ul_buf *tar)
{
	archive_add_docker(tar, &image, "[\"a\\u001b[2J:1\"]");
}

static void name_too_long(struct ul_buf *tar)
{
	struct ul_buf tags = UL_BUF_INIT;
	size_t i;

	ul_buf_add_str(&tags, "[\"");
	for (i = 0; i < 600; i++)
		ul_buf_add_char(&tags, 'x');
	ul_buf_add_str(&tags, "\"]");
	archive_add_docker(tar, &image, ul_buf_str(&tags));
	ul_buf_release(&tags);
}

static void no_images(struct ul_buf *tar)
{
	archive_add(tar, "index.json", "{\"manifests\":[]}");
}

static void nothing_known(struct ul_buf *tar)
{
	archive_add(tar, "etc/passwd", "root::0:0");
}

static void index_cut(struct ul_buf *tar)
{
	archive_add_image(tar, &image);
	archive_add(tar, "index.json", "{\"manifests\":[");
}

static void index_deep(struct ul_buf *tar)
{
	struct ul_buf json = UL_BUF_INIT;
	size_t i;

	ul_buf_add_str(&json, "{\"manifests\":");
	for (i = 0; i < 100000; i++)
		ul_buf_add_char(&json, '[');
	archive_add(tar, "index.json", ul_buf_str(&json));
	ul_buf_release(&json);
}

static void other_algorithm(struct ul_buf *tar)
{
	archive_add(tar, "index.json",
		    "{\"manifests\":[{\"mediaType\":\"" IMAGE_MANIFEST
		    "\",\"size\":1,\"digest\":\"md5:" HEX_1 "\"}]}");
}

static void nested_too_deep(struct ul_buf *tar)
{
	struct image_blob blobs[20];
	struct ul_buf index = UL_BUF_INIT;
	size_t i;

	archive_add_image(tar, &image);
	for (i = 0; i < ul_array_len(blobs); i++) {
		image_blob_text(
		    &blobs[i], "{\"manifests\":[%s]}",
		    i ? image_descriptor(&blobs[i - 1], IMAGE_INDEX, "")
		      : image_descriptor(&image.manifest, IMAGE_MANIFEST, ""));
		archive_add_blob(tar, &blobs[i]);
	}
	image_index(&index, &blobs[i - 1], IMAGE_INDEX, NULL);
	archive_add(tar, "index.json", ul_buf_str(&index));
	for (i = 0; i < ul_array_len(blobs); i++)
		image_blob_release(&blobs[i]);
	ul_buf_release(&index);
}

static void claims_a_terabyte(struct ul_buf *tar)
{
	const struct tar_item item = {
		.path = "big",
		.data = "x",
		.claimed = (uint64_t)1 << 40,
	};

	add_whole(tar);
	tar_add(tar, &item);
}

static void claims_an_exabyte(struct ul_buf *tar)
{
	const struct tar_item item = {
		.path = "big",
		.data = "x",
		.pax = { { "size", "1152921504606846976", 0 } },
	};

	add_whole(tar);
	tar_add(tar, &item);
}

static void sparse(struct ul_buf *tar)
{
	const struct tar_item item = {
		.path = "big",
		.data = "x",
		.pax = { { "GNU.sparse.size", "1000000000", 0 },
			 { "GNU.sparse.numblocks", "1", 0 },
			 { "GNU.sparse.map", "999999999,1", 0 } },
	};

	add_whole(tar);
	tar_add(tar, &item);
}

static void long_path(struct ul_buf *tar)
{
	char path[5000];

	memset(path, 'a', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	add_whole(tar);
	add_entry(tar, path, '0', NULL);
}

static void damaged_header(struct ul_buf *tar)
{
	add_whole(tar);
	add_entry(tar, "x", '0', NULL);
	tar->data[tar->len - 1024 + 150] ^= 0x55; /* in the checksum */
}

static void too_many_entries(struct ul_buf *tar)
{
	size_t i;

	for (i = 0; i <= UL_ARCHIVE_MAX_ENTRIES; i++)
		add_entry(tar, "d", '5', NULL);
}

static void schema_1_list(struct ul_buf *tar)
{
	struct ul_buf index = UL_BUF_INIT;
	struct image_blob old, list;

	image_blob_text(&old, "{\"schemaVersion\":1,\"fsLayers\":[]}");
	image_blob_text(&list, "{\"manifests\":[%s]}",
			image_descriptor(&old, IMAGE_MANIFEST, ""));
	archive_add_blob(tar, &old);
	archive_add_blob(tar, &list);
	image_index(&index, &list, IMAGE_INDEX, NULL);
	archive_add(tar, "index.json", ul_buf_str(&index));
	image_blob_release(&old);
	image_blob_release(&list);
	ul_buf_release(&index);
}

/* A manifest that calls a layer a manifest too. */
static void layer_as_manifest(struct ul_buf *tar)
{
	struct ul_buf index = UL_BUF_INIT;
	struct image_blob list;

	image_blob_text(&list, "{\"manifests\":[%s,%s]}",
			image_descriptor(&image.layers[0], IMAGE_LAYER, ""),
			image_descriptor(&image.layers[0], IMAGE_MANIFEST, ""));
	archive_add_image(tar, &image);
	archive_add_blob(tar, &list);
	image_index(&index, &list, IMAGE_INDEX, NULL);
	archive_add(tar, "index.json", ul_buf_str(&index));
	image_blob_release(&list);
	ul_buf_release(&index);
}

static const struct hostile {
	const char *name;
	build_fn *build;
	int code;
	const char *message;
} hostiles[] = {
	{ "a path that leads up", up, UL_E_CORRUPT,
	  "archive entry '../escaped': its path leads out of the archive" },
	{ "a path that leads up from inside", up_inside, UL_E_CORRUPT,
	  "its path leads out of the archive" },
	{ "an absolute path", absolute, UL_E_CORRUPT,
	  "archive entry '/etc/cron.d/x': its path is absolute" },
	{ "a character device", char_device, UL_E_CORRUPT,
	  "archive entry 'index': is a device" },
	{ "a block device", block_device, UL_E_CORRUPT, "is a device" },
	{ "a pipe for a blob", fifo, UL_E_CORRUPT, "is a device, pipe" },
	{ "a symlink to an absolute path", symlink_absolute, UL_E_CORRUPT,
	  "archive entry 'a/layer.tar': its target is absolute" },
	{ "a symlink that leads up", symlink_up, UL_E_CORRUPT,
	  "archive entry 'a/layer.tar': its target leads out of the archive" },
	{ "a hard link that leads up", hard_link_up, UL_E_CORRUPT,
	  "its target leads out of the archive" },
	{ "a hard link to an absolute path", hard_link_absolute, UL_E_CORRUPT,
	  "its target is absolute" },
	{ "two indexes", index_twice, UL_E_CORRUPT,
	  "archive entry 'index.json': is there twice" },
	{ "two manifest.json", manifest_twice, UL_E_CORRUPT,
	  "archive entry 'manifest.json': is there twice" },
	{ "a layer twice", file_twice, UL_E_CORRUPT,
	  "archive entry 'id0/layer.tar': is there twice" },
	{ "a link that takes a layer's place", link_over_file, UL_E_CORRUPT,
	  "archive entry 'id0/layer.tar': is there twice" },
	{ "a blob under another's name", wrong_digest, UL_E_CORRUPT,
	  "its content has the digest sha256:" },
	{ "a layer with one bit changed", layer_swapped, UL_E_CORRUPT,
	  "its content has the digest sha256:" },
	{ "a length that is not the blob's", wrong_length, UL_E_CORRUPT,
	  "bytes long, its descriptor says 7" },
	{ "links in a ring", link_loop, UL_E_CORRUPT,
	  "'a' leads through too many links" },
	{ "a config outside", config_path_up, UL_E_CORRUPT,
	  "'../../etc/passwd' leads out of the archive" },
	{ "a config at an absolute path", config_path_absolute, UL_E_CORRUPT,
	  "'/etc/passwd' is absolute" },
	{ "layers that are not there", layer_missing, UL_E_CORRUPT,
	  "'x.tar' is not in the archive" },
	{ "fewer layers than the config has", layers_too_few, UL_E_CORRUPT,
	  "has 0 layers, its config says 2" },
	{ "layers in another order", layers_swapped, UL_E_CORRUPT,
	  "layer 0 ('0.tar'): diff ID is sha256:" },
	{ "a config under another's name", config_renamed, UL_E_CORRUPT,
	  "its content is not what its name says" },
	{ "501 layers", many_layers, UL_E_LIMIT, "has more than 500 layers" },
	{ "a manifest.json that is no array", manifest_no_array, UL_E_CORRUPT,
	  "manifest.json: " },
	{ "tags that are no text", manifest_odd_tags, UL_E_CORRUPT,
	  "RepoTags has something that is no text" },
	{ "a name that talks to terminals", name_with_escapes, UL_E_INVALID,
	  "has control characters" },
	{ "a name without end", name_too_long, UL_E_INVALID, "is too long" },
	{ "no image at all", no_images, UL_E_CORRUPT, "holds no image" },
	{ "some tar file", nothing_known, UL_E_CORRUPT,
	  "neither index.json nor manifest.json" },
	{ "an index cut short", index_cut, UL_E_CORRUPT, "index.json: " },
	{ "an index nested without end", index_deep, UL_E_LIMIT,
	  "index.json: " },
	{ "a digest of another algorithm", other_algorithm, UL_E_CORRUPT,
	  "index.json: " },
	{ "indexes in indexes", nested_too_deep, UL_E_LIMIT,
	  "indexes nested more than 16 deep" },
	{ "a terabyte that is not there", claims_a_terabyte, UL_E_CORRUPT,
	  "archive entry 'big': " },
	{ "an exabyte", claims_an_exabyte, UL_E_LIMIT,
	  "archive entry 'big': is too long" },
	{ "a sparse file", sparse, UL_E_CORRUPT, "is a sparse file" },
	{ "a path without end", long_path, UL_E_CORRUPT,
	  "its path is too long" },
	{ "a header with a wrong sum", damaged_header, UL_E_CORRUPT, "tar: " },
	{ "too many entries", too_many_entries, UL_E_LIMIT,
	  "more than 200000 entries" },
	{ "schema 1 in a list", schema_1_list, UL_E_UNSUPPORTED, "schema 1" },
	{ "a layer called a manifest", layer_as_manifest, UL_E_CORRUPT,
	  "manifest 1 of sha256:" },
};

static void expect_refused(struct store_fixture *fixture, const char *path,
			   const struct hostile *hostile)
{
	const struct ul_import_options options = { .path = path };
	struct ul_import_report report = UL_IMPORT_REPORT_INIT;
	char *before = tree_listing(store_path(fixture, ".")), *after;
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_import(fixture->store, &options, &report, &err);

	if (!rc)
		fail_msg("%s: was taken in", hostile->name);
	if (rc != hostile->code || !strstr(err.msg, hostile->message))
		fail_msg("%s: %d \"%s\" instead of %d \"%s\"", hostile->name,
			 rc, err.msg, hostile->code, hostile->message);
	after = tree_listing(store_path(fixture, "."));
	if (strcmp(before, after))
		fail_msg("%s: the store changed:\n%s\n%s", hostile->name,
			 before, after);
	free(before);
	free(after);
}

static void import_good(struct store_fixture *fixture, const char *path)
{
	const struct ul_import_options options = { .path = path };
	struct ul_import_report report = UL_IMPORT_REPORT_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_import(fixture->store, &options, &report, &err))
		fail_msg("%s", err.msg);
	ul_import_report_release(&report);
}

static void all_refused(struct store_fixture *fixture)
{
	char path[256];
	size_t i;

	snprintf(path, sizeof path, "%s/hostile.tar", fixture->top);
	for (i = 0; i < ul_array_len(hostiles); i++) {
		struct ul_buf tar = UL_BUF_INIT;

		hostiles[i].build(&tar);
		tar_end(&tar);
		bytes_write(path, &tar);
		ul_buf_release(&tar);
		expect_refused(fixture, path, &hostiles[i]);
	}
}

static void test_import_hostile__archives_into_an_empty_store(void **state)
{
	struct store_fixture *fixture = *state;

	image_init(&image, "victim", "amd64", 2, true);
	store_fixture_open(fixture);
	all_refused(fixture);
	image_release(&image);
}

/* What the store has is not believed where an archive says otherwise. */
static void test_import_hostile__archives_into_a_store_with_it(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_buf tar = UL_BUF_INIT;
	char path[256];

	image_init(&image, "victim", "amd64", 2, true);
	store_fixture_open(fixture);
	snprintf(path, sizeof path, "%s/good.tar", fixture->top);
	add_whole(&tar);
	tar_end(&tar);
	bytes_write(path, &tar);
	ul_buf_release(&tar);
	import_good(fixture, path);
	all_refused(fixture);
	image_release(&image);
}

static void test_import_hostile__bombs(void **state)
{
	static const struct hostile bomb = { "two gigabytes of zeros", NULL,
					     UL_E_LIMIT, "" };
	struct store_fixture *fixture = *state;
	const struct tar_item item = { .path = "big",
				       .data = "x",
				       .claimed = (uint64_t)3 << 30 };
	struct ul_buf tar = UL_BUF_INIT, frame = UL_BUF_INIT;
	struct ul_buf zeros = UL_BUF_INIT;
	char path[256], header[512];
	int i;

	store_fixture_open(fixture);
	snprintf(path, sizeof path, "%s/bomb.tar.zst", fixture->top);
	tar_header(&item, header);
	pack_zstd(&tar, header, sizeof header);
	assert_true(ul_buf_reserve(&zeros, 64 << 20));
	memset(zeros.data, 0, 64 << 20);
	pack_zstd(&frame, zeros.data, 64 << 20);
	for (i = 0; i < 32; i++)
		ul_buf_add(&tar, frame.data, frame.len);
	bytes_write(path, &tar);
	expect_refused(fixture, path, &bomb);
	ul_buf_release(&tar);
	ul_buf_release(&frame);
	ul_buf_release(&zeros);
}

static void test_import_hostile__layouts(void **state)
{
	static const struct hostile linked = { "a blob that is a symlink", NULL,
					       UL_E_IO, "blob sha256:" };
	static const struct hostile pipe = { "a blob that is a pipe", NULL,
					     UL_E_CORRUPT,
					     "is no regular file" };
	struct store_fixture *fixture = *state;
	struct ul_buf index = UL_BUF_INIT;
	char dir[256], path[512];

	image_init(&image, "victim", "amd64", 2, true);
	store_fixture_open(fixture);
	image_index(&index, &image.manifest, IMAGE_MANIFEST, NULL);
	snprintf(dir, sizeof dir, "%s/layout", fixture->top);
	layout_write(dir, &image, ul_buf_str(&index));
	snprintf(path, sizeof path, "%s/blobs/sha256/%s", dir,
		 image.config.hex);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	expect_refused(fixture, dir, &linked);
	unlink(path);
	assert_int_equal(mkfifo(path, 0644), 0);
	expect_refused(fixture, dir, &pipe);
	ul_buf_release(&index);
	image_release(&image);
}

#define STORE_TEST(f)                                                          \
	cmocka_unit_test_setup_teardown(f, store_fixture_setup,                \
					store_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_import_hostile__archives_into_an_empty_store),
		STORE_TEST(test_import_hostile__archives_into_a_store_with_it),
		STORE_TEST(test_import_hostile__bombs),
		STORE_TEST(test_import_hostile__layouts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
