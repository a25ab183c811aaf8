#include "store/transfer/import.h"

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
#include "tests/lib/import_fixture.h"
#include "tests/lib/tar_fixture.h"

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
	char names[8][24], paths[8][128];
	const struct ul_trash_record record = {
		.database = fixture->store->db_uid,
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
	enum { BLOB_TRASHED, BLOB_DELETED, BLOB_SET_ASIDE } how;
	bool is_done;
};

/* b has a's layer, and one more: while that one is read, a's vanishes. */
static bool on_last_layer(void *arg, uint64_t done_bytes)
{
	struct meanwhile *meanwhile = arg;

	if (meanwhile->is_done || done_bytes < meanwhile->from_bytes)
		return true;
	meanwhile->is_done = true;
	if (meanwhile->how == BLOB_TRASHED)
		trash_blobs(meanwhile->fixture, &meanwhile->blob, 1);
	else if (meanwhile->how == BLOB_DELETED)
		unlink(blob_path(meanwhile->fixture, meanwhile->blob));
	else
		rename(blob_path(meanwhile->fixture, meanwhile->blob),
		       store_path(meanwhile->fixture, "damaged/blob"));
	return true;
}

/* As on_last_layer() has it; `how` it vanishes. */
struct shared {
	struct image a, b;
	struct meanwhile meanwhile;
	struct ul_import_options options;
};

static void shared_init(struct shared *shared, struct store_fixture *fixture,
			int how)
{
	struct image *b = &shared->b;
	struct ul_buf index = UL_BUF_INIT;

	image_init(&shared->a, "same", "amd64", 1, false);
	image_init(b, "same", "arm64", 2, false);
	assert_string_equal(shared->a.layers[0].digest, b->layers[0].digest);
	shared->meanwhile = (struct meanwhile){
		.fixture = fixture,
		.blob = &shared->a.layers[0],
		.from_bytes = b->manifest.bytes.len + b->config.bytes.len + 1,
		.how = how,
	};
	shared->options = (struct ul_import_options){
		.path = in_top(fixture, "b"),
		.progress = on_last_layer,
		.arg = &shared->meanwhile,
	};
	store_fixture_open(fixture);
	oci_archive(in_top(fixture, "a.tar"), &shared->a, NULL);
	import_path(fixture, in_top(fixture, "a.tar"));
	image_index(&index, &b->manifest, IMAGE_MANIFEST, NULL);
	layout_write(shared->options.path, b, ul_buf_str(&index));
	ul_buf_release(&index);
}

static void shared_release(struct shared *shared)
{
	assert_true(shared->meanwhile.is_done);
	image_release(&shared->a);
	image_release(&shared->b);
}

static void shared_layer_relied_upon(struct store_fixture *fixture, int how)
{
	struct shared shared;
	struct ul_err err;

	shared_init(&shared, fixture, how);
	assert_int_equal(import(fixture, &shared.options, &err), 0);
	image_expect(fixture, &shared.b);
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
	shared_release(&shared);
}

static void test_import__relied_upon_blob_is_trashed_meanwhile(void **state)
{
	shared_layer_relied_upon(*state, BLOB_TRASHED);
}

static void test_import__relied_upon_blob_is_deleted_meanwhile(void **state)
{
	shared_layer_relied_upon(*state, BLOB_DELETED);
}

/* As a repair does with what is damaged: that does not come back. */
static void test_import__relied_upon_blob_is_set_aside_meanwhile(void **state)
{
	struct store_fixture *fixture = *state;
	struct shared shared;
	struct ul_err err;

	shared_init(&shared, fixture, BLOB_SET_ASIDE);
	assert_int_equal(mkdir(store_path(fixture, "damaged"), 0700), 0);
	blob_spoil(fixture, &shared.a.layers[0], shared.a.layers[0].bytes.len);
	assert_int_equal(import(fixture, &shared.options, &err), UL_E_CONFLICT);
	assert_non_null(strstr(err.msg, "was set aside meanwhile; try again"));
	assert_false(path_exists(blob_path(fixture, &shared.a.layers[0])));
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
	assert_int_equal(import(fixture, &shared.options, &err), 0);
	image_expect(fixture, &shared.b);
	shared_release(&shared);
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
		STORE_TEST(test_import__old_archives_with_links),
		STORE_TEST(test_import__old_archives_with_packed_layers),
		STORE_TEST(test_import__damaged_blobs_are_replaced),
		STORE_TEST(test_import__takes_blobs_out_of_the_trash),
		STORE_TEST(test_import__relied_upon_blob_is_trashed_meanwhile),
		STORE_TEST(test_import__relied_upon_blob_is_deleted_meanwhile),
		STORE_TEST(
		    test_import__relied_upon_blob_is_set_aside_meanwhile),
		STORE_TEST(test_import__archives_cut_off_anywhere),
		STORE_TEST(test_import__can_be_stopped),
		STORE_TEST(test_import__no_such_file),
		STORE_TEST(test_import__every_allocation_fails_once),
		STORE_TEST(test_import__two_processes_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
