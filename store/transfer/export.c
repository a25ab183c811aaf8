#include "store/transfer/export.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/names.h"
#include "store/embedded/store.h"
#include "store/oci/layout.h"
#include "store/transfer/export_docs.h"
#include "store/transfer/import_walk.h"
#include "store/transfer/ingest.h"
#include "store/transfer/source.h"

enum { TAR_BLOCK_BYTES = 512, WRITE_BYTES = 128 * TAR_BLOCK_BYTES };

/* The store is a layout; what is read from it is walked as an import is. */
struct export
{
	struct ul_embedded *store;
	const struct ul_export_options *options;
	struct ul_ingest ingest;
	struct ul_source source;
	struct ul_import_walk walk;
	struct ul_layout_index *index;   /* of the store */
	struct ul_export_entry *entries; /* owned */
	struct archive *tar;
	int fd;
	struct ul_err err; /* why writing failed */
	uint64_t done_bytes, total_bytes;
	struct ul_export_result result;
};

static void export_release(struct export *export)
{
	archive_write_free(export->tar);
	ul_import_walk_release(&export->walk);
	ul_source_release(&export->source);
	ul_ingest_release(&export->ingest);
	ul_layout_index_free(export->index);
	free(export->entries);
}

static const struct ul_layout_entry *
entry_find(const struct ul_layout_index *index,
	   const struct ul_export_image *image)
{
	const struct ul_layout_entry *found = NULL, *entry;
	size_t i;

	for (i = 0; i < ul_layout_index_count(index); i++) {
		entry = ul_layout_index_entry(index, i);
		if (!ul_digest_equal(&entry->descriptor.digest, &image->digest))
			continue;
		if (image->name && entry->name &&
		    !strcmp(image->name, entry->name))
			return entry;
		if (!found)
			found = entry;
	}
	return found;
}

static int entries_find(struct export *export, struct ul_err *err)
{
	const struct ul_export_options *options = export->options;
	char text[UL_DIGEST_TEXT_MAX];
	size_t i;
	int rc =
	    ul_embedded_index_read(export->store, &export->index, NULL, err);

	if (rc)
		return rc;
	export->entries =
	    ul_calloc(options->image_count + 1, sizeof *export->entries);
	if (!export->entries)
		return ul_err_nomem(err);
	for (i = 0; i < options->image_count; i++) {
		const struct ul_layout_entry *entry =
		    entry_find(export->index, &options->images[i]);

		ul_digest_format(&options->images[i].digest, text);
		if (!entry)
			return ul_err_set(err, UL_E_ABSENT,
					  "no image %.19s in the index any "
					  "more",
					  text);
		export->entries[i].descriptor = &entry->descriptor;
		export->entries[i].name = options->images[i].name;
	}
	return 0;
}

static int entries_walk(struct export *export, struct ul_err *err)
{
	size_t i, count = export->options->image_count;
	ul_cleanup(ul_freep) struct ul_import_share *shares =
	    ul_calloc(count + 1, sizeof *shares);
	int rc = ul_ingest_open_reading(export->store, &export->ingest, err);

	if (!rc && !shares)
		rc = ul_err_nomem(err);
	if (rc)
		return rc;
	export->source.ingest = &export->ingest;
	export->walk.source = &export->source;
	rc = ul_dir_open(export->store->oci_fd, "blobs",
			 &export->source.blobs_fd, err);
	for (i = 0; !rc && i < count; i++)
		rc = ul_import_walk_root(&export->walk,
					 export->entries[i].descriptor,
					 (uint32_t)i, &shares[i], err);
	return rc ? rc : ul_import_walk_referrers(&export->walk, shares, err);
}

static la_ssize_t tar_write(struct archive *tar, void *arg, const void *data,
			    size_t len)
{
	struct export *export = arg;

	if (ul_fd_write_all(export->fd, data, len, &export->err)) {
		archive_set_error(tar, EIO, "writing failed");
		return -1;
	}
	export->result.written_bytes += len;
	return (la_ssize_t)len;
}

static int tar_failed(const struct export *export, struct ul_err *err)
{
	const char *text = archive_error_string(export->tar);

	if (export->err.code) {
		*err = export->err;
		return err->code;
	}
	if (archive_errno(export->tar) == ENOMEM)
		return ul_err_nomem(err);
	return ul_err_set(err, UL_E_IO, "tar: %s", text ? text : "failed");
}

static int tar_open(struct export *export, struct ul_err *err)
{
	struct archive *tar = export->tar = archive_write_new();

	if (!tar)
		return ul_err_nomem(err);
	if (archive_write_set_format_pax_restricted(tar) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(tar, WRITE_BYTES) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(tar, TAR_BLOCK_BYTES) !=
		ARCHIVE_OK ||
	    archive_write_open(tar, export, NULL, tar_write, NULL) !=
		ARCHIVE_OK)
		return tar_failed(export, err);
	return 0;
}

static void entry_freep(struct archive_entry **entry)
{
	archive_entry_free(*entry);
}

static int put_header(struct export *export, const char *path,
		      unsigned filetype, unsigned mode, uint64_t size_bytes,
		      struct ul_err *err)
{
	ul_cleanup(entry_freep) struct archive_entry *entry =
	    archive_entry_new();

	if (!entry)
		return ul_err_nomem(err);
	archive_entry_set_pathname(entry, path);
	archive_entry_set_filetype(entry, filetype);
	archive_entry_set_perm(entry, (mode_t)mode);
	archive_entry_set_size(entry, (la_int64_t)size_bytes);
	archive_entry_set_mtime(entry, 0, 0);
	return archive_write_header(export->tar, entry) == ARCHIVE_OK
		   ? 0
		   : tar_failed(export, err);
}

static int put_data(struct export *export, const void *data, size_t len,
		    struct ul_err *err)
{
	const struct ul_export_options *options = export->options;
	la_ssize_t put = archive_write_data(export->tar, data, len);

	if (put != (la_ssize_t)len)
		return tar_failed(export, err);
	export->done_bytes += len;
	if (options->progress &&
	    !options->progress(options->arg, export->done_bytes,
			       export->total_bytes))
		return ul_err_set(err, UL_E_CANCELED, "canceled");
	return 0;
}

static int put_text(struct export *export, const char *path, const char *text,
		    size_t len, struct ul_err *err)
{
	int rc = put_header(export, path, AE_IFREG, 0644, len, err);

	return rc ? rc : put_data(export, text, len, err);
}

static int copy_blob(struct export *export, int fd, const struct ul_held *held,
		     struct ul_err *err)
{
	char *block = export->ingest.block;
	struct ul_digest found;
	struct ul_hash hash;
	uint64_t left = held->size_bytes;
	int rc = 0;

	ul_hash_init(&hash, held->digest.alg);
	while (!rc && left) {
		ssize_t got =
		    read(fd, block,
			 left < UL_INGEST_BLOCK_BYTES ? (size_t)left
						      : UL_INGEST_BLOCK_BYTES);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ul_err_sys(err, "read");
		if (!got)
			break;
		ul_hash_update(&hash, block, (size_t)got);
		left -= (size_t)got;
		rc = put_data(export, block, (size_t)got, err);
	}
	ul_hash_final(&hash, &found);
	if (!rc && (left || !ul_digest_equal(&found, &held->digest)))
		return ul_err_set(err, UL_E_CORRUPT,
				  "is damaged; import its image again");
	return rc;
}

static int put_blob(struct export *export, const struct ul_held *held,
		    struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	char path[sizeof "blobs/" + UL_DIGEST_TEXT_MAX] = "blobs/";
	char text[UL_DIGEST_TEXT_MAX];
	int rc = ul_ingest_blob_open(&export->ingest, held, &fd, err);

	if (rc)
		return rc;
	ul_digest_format(&held->digest, text);
	ul_digest_format_path(&held->digest, path + strlen(path));
	rc = put_header(export, path, AE_IFREG, 0444, held->size_bytes, err);
	if (!rc)
		rc = copy_blob(export, fd, held, err);
	if (rc && rc != UL_E_CANCELED && !export->err.code)
		return ul_err_wrap(err, "blob %.19s", text);
	export->result.blob_count++;
	return rc;
}

static int held_cmp(const void *a, const void *b)
{
	return ul_digest_cmp(&(*(struct ul_held *const *)a)->digest,
			     &(*(struct ul_held *const *)b)->digest);
}

static int put_folder(struct export *export, uint8_t alg, struct ul_err *err)
{
	char path[32];

	snprintf(path, sizeof path, "blobs/%s/", ul_digest_alg_name(alg));
	return put_header(export, path, AE_IFDIR, 0755, 0, err);
}

static int put_blobs(struct export *export, struct ul_err *err)
{
	struct ul_ingest *ingest = &export->ingest;
	ul_cleanup(ul_freep) struct ul_held **held =
	    ul_calloc(ingest->len + 1, sizeof *held);
	size_t i, len = 0;
	int rc;

	if (!held)
		return ul_err_nomem(err);
	for (i = 0; i < ingest->len; i++) {
		if (!ingest->held[i]->is_needed)
			continue;
		held[len++] = ingest->held[i];
		export->total_bytes += ingest->held[i]->size_bytes;
	}
	qsort(held, len, sizeof *held, held_cmp);
	rc = put_header(export, "blobs/", AE_IFDIR, 0755, 0, err);
	if (!rc)
		rc = put_folder(export, UL_DIGEST_SHA256, err);
	for (i = 0; !rc && i < len; i++) {
		uint8_t alg = held[i]->digest.alg;

		/* In order of their digests, the algorithm first. */
		if (alg != UL_DIGEST_SHA256 &&
		    (!i || held[i - 1]->digest.alg != alg))
			rc = put_folder(export, alg, err);
		if (!rc)
			rc = put_blob(export, held[i], err);
	}
	return rc;
}

static int put_documents(struct export *export, struct ul_err *err)
{
	static const char marker[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	ul_cleanup(ul_buf_release) struct ul_buf index = UL_BUF_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf manifest = UL_BUF_INIT;
	size_t count = export->options->image_count;
	int rc;

	rc = ul_export_index(export->entries, count, &index, err);
	if (!rc)
		rc = ul_export_docker_manifest(&export->walk, export->entries,
					       count, &manifest, err);
	if (!rc)
		rc = put_text(export, "index.json", index.data, index.len, err);
	if (!rc && manifest.len)
		rc = put_text(export, "manifest.json", manifest.data,
			      manifest.len, err);
	return rc ? rc
		  : put_text(export, "oci-layout", marker, sizeof marker - 1,
			     err);
}

static int used_now(struct export *export, struct ul_err *err)
{
	char digest[UL_DIGEST_TEXT_MAX];
	size_t i;
	int rc = 0;

	for (i = 0; export->store->is_writable && !rc &&
		    i < export->options->image_count;
	     i++) {
		ul_digest_format(&export->options->images[i].digest, digest);
		rc = ul_names_used(export->store, digest, err);
	}
	return rc;
}

int ul_export(struct ul_embedded *store,
	      const struct ul_export_options *options, int fd,
	      struct ul_export_result *ret, struct ul_err *err)
{
	ul_cleanup(export_release) struct export export = {
		.store = store,
		.options = options,
		.ingest = UL_INGEST_INIT,
		.source = UL_SOURCE_INIT,
		.walk = UL_IMPORT_WALK_INIT,
		.fd = fd,
		.err = UL_ERR_INIT,
	};
	int rc = entries_find(&export, err);

	if (!rc)
		rc = entries_walk(&export, err);
	if (!rc)
		rc = tar_open(&export, err);
	if (!rc)
		rc = put_blobs(&export, err);
	if (!rc)
		rc = put_documents(&export, err);
	if (!rc && archive_write_close(export.tar) != ARCHIVE_OK)
		rc = tar_failed(&export, err);
	if (!rc)
		rc = used_now(&export, err);
	if (rc)
		return rc;
	export.result.absent_count = export.walk.absent_count;
	*ret = export.result;
	return 0;
}

/* Where the new file is written until it is whole. */
struct beside {
	int dir_fd;
	char name[NAME_MAX + 1];
	char temp[NAME_MAX + 1];
};

static int beside_init(struct beside *beside, const char *path,
		       struct ul_err *err)
{
	char dir[PATH_MAX], hex[17];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (len >= sizeof dir)
		return ul_err_set(err, UL_E_INVALID, "path too long");
	memcpy(dir, path, len);
	dir[len] = '\0';
	ul_random_hex(hex);
	if (snprintf(beside->name, sizeof beside->name, "%s",
		     slash ? slash + 1 : path) > NAME_MAX ||
	    snprintf(beside->temp, sizeof beside->temp, ".%s.%s.tmp",
		     beside->name, hex) > NAME_MAX)
		return ul_err_set(err, UL_E_INVALID, "name too long");
	if (!*beside->name)
		return ul_err_set(err, UL_E_INVALID, "is a directory");
	return ul_dir_open(AT_FDCWD,
			   !slash ? "."
			   : len  ? dir
				  : "/",
			   &beside->dir_fd, err);
}

static int export_beside(struct ul_embedded *store,
			 const struct ul_export_options *options,
			 const struct beside *beside,
			 struct ul_export_result *ret, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd =
	    ul_retry(openat(beside->dir_fd, beside->temp,
			    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
	int rc;

	if (fd < 0)
		return ul_err_sys(err, "create a file beside it");
	rc = ul_export(store, options, fd, ret, err);
	if (!rc)
		rc = ul_fd_sync(fd, "it", err);
	if (!rc && renameat(beside->dir_fd, beside->temp, beside->dir_fd,
			    beside->name))
		rc = ul_err_sys(err, "rename");
	if (rc)
		unlinkat(beside->dir_fd, beside->temp, 0);
	return rc ? rc : ul_fd_sync(beside->dir_fd, "its directory", err);
}

static int export_into(struct ul_embedded *store,
		       const struct ul_export_options *options,
		       const char *path, struct ul_export_result *ret,
		       struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return ul_err_sys(err, "open");
	return ul_export(store, options, fd, ret, err);
}

int ul_export_file(struct ul_embedded *store,
		   const struct ul_export_options *options, const char *path,
		   struct ul_export_result *ret, struct ul_err *err)
{
	struct beside beside = { .dir_fd = -1 };
	struct stat st;
	int rc;

	if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
		rc = export_into(store, options, path, ret, err);
	} else {
		rc = beside_init(&beside, path, err);
		if (!rc)
			rc = export_beside(store, options, &beside, ret, err);
		ul_closep(&beside.dir_fd);
	}
	return rc ? ul_err_wrap(err, "%s", path) : 0;
}
