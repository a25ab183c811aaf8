/*
 * An image archive, packed or not, imported into an empty store: nothing is to
 * be seen of one that is refused, and of one that is taken every blob is what
 * its name says.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/remove.h"
#include "fuzz.h"
#include "store/embedded/store.h"
#include "store/limits.h"
#include "store/oci/layout.h"
#include "store/transfer/import.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/tar_mutate.h"

static struct ul_embedded *store;
static struct ul_buf empty_index = UL_BUF_INIT;

static void index_read(struct ul_buf *text)
{
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_file_read(store->oci_fd, "index.json", UL_INDEX_MAX_BYTES,
			      text, &err);

	assert(!rc);
}

static void store_release(void)
{
	ul_embedded_closep(&store);
	ul_buf_release(&empty_index);
}

static void store_make(void)
{
	struct ul_err err = UL_ERR_INIT;
	char path[300];
	int rc;

	snprintf(path, sizeof path, "%s/state", scratch_path());
	rc = ul_embedded_open(path, &store, &err);
	assert(!rc);
	ul_buf_reset(&empty_index);
	index_read(&empty_index);
}

static void store_renew(void)
{
	const char *path = "state";
	struct ul_err err = UL_ERR_INIT;
	struct ul_removed removed;
	int rc;

	ul_embedded_closep(&store);
	rc = ul_remove_trees(scratch_fd(), &path, 1, &removed, &err);
	assert(!rc);
	store_make();
}

/* The blobs of an algorithm; none where it has no folder. */
static void blob_names(uint8_t alg, struct ul_names *names)
{
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_embedded_blob_folder_open(store, alg, &fd, &err);

	if (!rc && fd >= 0)
		rc = ul_dir_names(fd, names, &err);
	assert(!rc);
}

static size_t blob_count(uint8_t alg)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;

	blob_names(alg, &names);
	return names.len;
}

static void check_no_ingest(void)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_dir_names(store->ingest_fd, &names, &err);

	assert(!rc && !names.len);
}

static void check_refused(void)
{
	ul_cleanup(ul_buf_release) struct ul_buf index = UL_BUF_INIT;

	index_read(&index);
	assert(index.len == empty_index.len);
	assert(!memcmp(index.data, empty_index.data, index.len));
	assert(!blob_count(UL_DIGEST_SHA256));
	assert(!blob_count(UL_DIGEST_SHA512));
}

static void check_blob(uint8_t alg, const char *name)
{
	char path[UL_DIGEST_TEXT_MAX];
	ul_cleanup(ul_buf_release) struct ul_buf bytes = UL_BUF_INIT;
	struct ul_digest digest, found;
	struct ul_err err = UL_ERR_INIT;
	int rc;

	rc = ul_digest_parse_hex(alg, name, &digest) ? 0 : -1;
	assert(!rc);
	ul_digest_format_path(&digest, path);
	rc = ul_file_read(store->blobs_fd, path, UL_MANIFEST_MAX_BYTES, &bytes,
			  &err);
	assert(!rc);
	ul_digest_of(alg, bytes.data, bytes.len, &found);
	assert(ul_digest_equal(&digest, &found));
}

static void check_blobs(uint8_t alg)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	size_t i;

	blob_names(alg, &names);
	for (i = 0; i < names.len; i++)
		check_blob(alg, names.names[i]);
}

static void check_taken(const struct ul_import_report *report)
{
	ul_cleanup(ul_buf_release) struct ul_buf json = UL_BUF_INIT;
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	char path[UL_DIGEST_TEXT_MAX];
	struct ul_err err = UL_ERR_INIT;
	size_t i;
	int rc;

	index_read(&json);
	rc = ul_layout_index_parse(json.data, json.len, &index, &err);
	assert(!rc);
	check_blobs(UL_DIGEST_SHA256);
	check_blobs(UL_DIGEST_SHA512);
	for (i = 0; i < report->image_count; i++) {
		ul_digest_format_path(&report->images[i].digest, path);
		assert(!faccessat(store->blobs_fd, path, F_OK, 0));
	}
	assert(ul_layout_index_count(index) <= report->image_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ul_import_report report = UL_IMPORT_REPORT_INIT;
	char path[300];
	struct ul_import_options options = { .path = path, .name = "app:1" };
	struct ul_err err = UL_ERR_INIT;
	size_t fds;
	int rc;

	scratch_write("archive", data, size);
	snprintf(path, sizeof path, "%s/archive", scratch_path());
	if (!store) {
		store_make();
		if (atexit(store_release))
			abort();
	}
	fds = scratch_open_fds();
	rc = ul_import(store, &options, &report, &err);
	assert(scratch_open_fds() <= fds + 1); /* SQLite may open its log */
	assert(!rc || (rc == err.code && !strpbrk(err.msg, "\n\033")));
	check_no_ingest();
	if (rc)
		check_refused();
	else
		check_taken(&report);
	ul_import_report_release(&report);
	if (!rc)
		store_renew();
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
			       unsigned int seed)
{
	return tar_mutate(data, size, max_size, seed);
}
