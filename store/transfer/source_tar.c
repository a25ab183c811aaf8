#include "store/transfer/source_tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/limits.h"
#include "store/oci/json.h"
#include "store/transfer/inflate.h"
#include "store/transfer/ingest.h"
#include "store/transfer/source.h"

enum { STREAM_BLOCK_BYTES = 1 << 20, TAR_BLOCK_BYTES = 512 };

#define BLOBS "blobs/"

struct tar {
	struct ul_source *source;
	struct archive *archive;
	struct ul_inflate *inflate;
	char *block;       /* owned: of the unpacked stream */
	size_t last_len;   /* bytes in it; 0 once the stream has ended */
	bool is_zero_end;  /* the stream's last 512 bytes are zero */
	struct ul_err err; /* why the stream ended */
	uint64_t entry_count;
	/* Data of the current entry. */
	const char *data;
	size_t data_len;
	int64_t data_at; /* where the next block has to begin */
};

static void tar_release(struct tar *tar)
{
	archive_read_free(tar->archive);
	ul_inflate_close(tar->inflate);
	free(tar->block);
}

static bool is_zero(const char *bytes, size_t len)
{
	for (; len; len--) {
		if (*bytes++)
			return false;
	}
	return true;
}

/* Reads the next block; last_len is 0 at the end. */
static int stream_next(struct tar *tar)
{
	struct ul_source *source = tar->source;
	size_t len;
	int rc = ul_inflate_read(tar->inflate, tar->block, STREAM_BLOCK_BYTES,
				 &len, &tar->err);

	if (rc)
		return rc;
	tar->last_len = len;
	if (len)
		tar->is_zero_end = len >= TAR_BLOCK_BYTES &&
				   is_zero(tar->block + len - TAR_BLOCK_BYTES,
					   TAR_BLOCK_BYTES);
	source->done_bytes = ul_inflate_packed_bytes(tar->inflate);
	return ul_source_progress(source, &tar->err);
}

static la_ssize_t tar_read(struct archive *archive, void *arg,
			   const void **data)
{
	struct tar *tar = arg;

	if (tar->err.code || stream_next(tar)) {
		archive_set_error(archive, EIO, "reading failed");
		return -1;
	}
	*data = tar->block;
	return (la_ssize_t)tar->last_len;
}

static int tar_failed(const struct tar *tar, struct ul_err *err)
{
	const char *text = archive_error_string(tar->archive);

	if (tar->err.code) {
		*err = tar->err;
		return err->code;
	}
	if (archive_errno(tar->archive) == ENOMEM)
		return ul_err_nomem(err);
	if (!tar->entry_count)
		return ul_err_set(err, UL_E_CORRUPT,
				  "is no image archive (tar; plain, gzip or "
				  "zstd)");
	return ul_err_set(err, UL_E_CORRUPT, "tar: %s",
			  text ? text : "damaged");
}

static int entry_failed(const char *path, enum ul_code code, const char *what,
			struct ul_err *err)
{
	char shown[UL_JSON_SHOWN_MAX];

	return ul_err_set(err, code, "archive entry '%s': %s",
			  ul_json_show(path, shown), what);
}

static int path_failed(const char *path, const char *which, const char *wrong,
		       struct ul_err *err)
{
	char shown[UL_JSON_SHOWN_MAX];

	return ul_err_set(err, UL_E_CORRUPT, "archive entry '%s': its %s %s",
			  ul_json_show(path, shown), which, wrong);
}

/* One component onto the clean path; false where it leaves the root. */
static bool clean_step(char *clean, size_t *len, const char *part,
		       size_t part_len)
{
	if (!part_len || (part_len == 1 && *part == '.'))
		return true;
	if (part_len == 2 && !memcmp(part, "..", 2)) {
		if (!*len)
			return false;
		while (*len && clean[*len - 1] != '/')
			--*len;
		*len -= *len > 0;
		return true;
	}
	if (*len)
		clean[(*len)++] = '/';
	memcpy(clean + *len, part, part_len);
	*len += part_len;
	return true;
}

static bool has_step_up(const char *path)
{
	const char *at = path;

	while ((at = strstr(at, ".."))) {
		if ((at == path || at[-1] == '/') && (!at[2] || at[2] == '/'))
			return true;
		at += 2;
	}
	return false;
}

const char *ul_source_path_clean(const char *base, const char *path,
				 bool is_link, char *clean)
{
	size_t len = strlen(base);

	if (*path == '/')
		return "is absolute";
	if (!is_link && has_step_up(path))
		return "leads out of the archive";
	if (len + 1 + strlen(path) > UL_LAYER_PATH_MAX_BYTES)
		return "is too long";
	memcpy(clean, base, len);
	while (*path) {
		size_t part_len = strcspn(path, "/");

		if (!clean_step(clean, &len, path, part_len))
			return "leads out of the archive";
		path += part_len;
		path += *path == '/';
	}
	clean[len] = '\0';
	return NULL;
}

/* ul_ingest_read over the data of the current entry. */
static int entry_read(void *arg, void *data, size_t size, size_t *ret_len,
		      struct ul_err *err)
{
	struct tar *tar = arg;
	la_int64_t at;
	int rc;

	while (!tar->data_len) {
		const void *block;

		rc = archive_read_data_block(tar->archive, &block,
					     &tar->data_len, &at);
		if (rc == ARCHIVE_EOF) {
			*ret_len = 0;
			return 0;
		}
		if (rc != ARCHIVE_OK)
			return tar_failed(tar, err);
		if (at != tar->data_at)
			return ul_err_set(err, UL_E_CORRUPT,
					  "is a sparse file, which no image "
					  "archive has");
		tar->data = block;
		tar->data_at += (int64_t)tar->data_len;
	}
	*ret_len = size < tar->data_len ? size : tar->data_len;
	memcpy(data, tar->data, *ret_len);
	tar->data += *ret_len;
	tar->data_len -= *ret_len;
	return 0;
}

static int read_document(struct tar *tar, const char *path, struct ul_buf *buf,
			 bool *has, struct ul_err *err)
{
	size_t len;
	int rc = 0;

	if (*has)
		return entry_failed(path, UL_E_CORRUPT, "is there twice", err);
	do {
		if (!ul_buf_reserve(buf, 64 * 1024))
			return ul_err_nomem(err);
		rc =
		    entry_read(tar, buf->data + buf->len, 64 * 1024, &len, err);
		if (rc)
			return rc;
		buf->len += len;
		if (buf->len > UL_INDEX_MAX_BYTES)
			return entry_failed(path, UL_E_LIMIT, "is too long",
					    err);
	} while (len);
	buf->data[buf->len] = '\0';
	*has = true;
	return 0;
}

static int file_add(struct tar *tar, const char *path, struct ul_held *held,
		    const char *target, struct ul_err *err)
{
	struct ul_source *source = tar->source;
	struct ul_source_file *files =
	    ul_grow(source->files, &source->file_cap, source->file_count + 1,
		    sizeof *files);
	struct ul_source_file file = { .held = held };

	if (!files)
		return ul_err_nomem(err);
	source->files = files;
	file.path = ul_arena_strdup(&source->arena, path);
	if (target)
		file.target = ul_arena_strdup(&source->arena, target);
	if (!file.path || (target && !file.target) ||
	    !ul_map_set(&source->by_path, file.path, strlen(file.path),
			(uint32_t)source->file_count))
		return ul_err_nomem(err);
	files[source->file_count++] = file;
	return 0;
}

static bool is_known(const struct tar *tar, const char *path)
{
	return ul_map_get_str(&tar->source->by_path, path) != UL_MAP_NONE;
}

/* Whether a path is "blobs/ALG/HEX" of an algorithm that we know. */
static bool path_is_blob(const char *path, struct ul_digest *ret)
{
	const char *rest = path + sizeof BLOBS - 1;
	char text[UL_DIGEST_TEXT_MAX];
	char *slash;

	if (strncmp(path, BLOBS, sizeof BLOBS - 1) ||
	    strlen(rest) >= sizeof text)
		return false;
	memcpy(text, rest, strlen(rest) + 1);
	slash = strchr(text, '/');
	if (!slash)
		return false;
	*slash = ':';
	return ul_digest_parse(text, ret);
}

static int take_file(struct tar *tar, const char *path,
		     struct archive_entry *entry, struct ul_err *err)
{
	struct ul_digest digest = UL_DIGEST_INIT;
	struct ul_held *held;
	char shown[UL_JSON_SHOWN_MAX];
	bool is_blob = path_is_blob(path, &digest);
	int rc;

	/* Twice the same blob says nothing new: its bytes are what its name
	 * says. Twice anything else leaves open which one is meant. */
	if (!is_blob && is_known(tar, path))
		return entry_failed(path, UL_E_CORRUPT, "is there twice", err);
	rc = ul_ingest_add(tar->source->ingest, is_blob ? &digest : NULL,
			   (uint64_t)archive_entry_size(entry), entry_read, tar,
			   &held, err);
	if (rc == UL_E_CORRUPT)
		return ul_err_wrap(err, "archive entry '%s'",
				   ul_json_show(path, shown));
	if (rc || is_known(tar, path))
		return rc;
	return file_add(tar, path, held, NULL, err);
}

static bool path_has_known_alg(const char *path)
{
	const char *name = path + sizeof BLOBS - 1;
	const char *slash = strchr(name, '/');

	return slash && ul_digest_alg_parse(name, (size_t)(slash - name)) !=
			    UL_DIGEST_NONE;
}

static int take_regular(struct tar *tar, const char *path,
			struct archive_entry *entry, struct ul_err *err)
{
	struct ul_source *source = tar->source;

	tar->data_len = 0;
	tar->data_at = 0;
	if (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0)
		return entry_failed(path, UL_E_CORRUPT, "has no length", err);
	if ((uint64_t)archive_entry_size(entry) > UL_ARCHIVE_MAX_BYTES)
		return entry_failed(path, UL_E_LIMIT, "is too long", err);
	if (!strcmp(path, "index.json"))
		return read_document(tar, path, &source->index,
				     &source->has_index, err);
	if (!strcmp(path, "manifest.json"))
		return read_document(tar, path, &source->manifest,
				     &source->has_manifest, err);
	/* Of algorithms that we do not know: nothing may rely on them. */
	if (!strncmp(path, BLOBS, sizeof BLOBS - 1) &&
	    !path_has_known_alg(path))
		return 0;
	return take_file(tar, path, entry, err);
}

static int take_link(struct tar *tar, const char *path, const char *target,
		     bool is_hard, struct ul_err *err)
{
	char clean[UL_LAYER_PATH_MAX_BYTES + 1];
	char base[UL_LAYER_PATH_MAX_BYTES + 1] = "";
	const char *slash = strrchr(path, '/'), *wrong;

	if (!target)
		return entry_failed(path, UL_E_CORRUPT, "links to nothing",
				    err);
	if (is_known(tar, path))
		return entry_failed(path, UL_E_CORRUPT, "is there twice", err);
	if (slash && !is_hard)
		memcpy(base, path, (size_t)(slash - path));
	wrong = ul_source_path_clean(base, target, !is_hard, clean);
	if (wrong)
		return path_failed(path, "target", wrong, err);
	return file_add(tar, path, NULL, clean, err);
}

static int take_entry(struct tar *tar, struct archive_entry *entry,
		      struct ul_err *err)
{
	const char *path = archive_entry_pathname(entry), *wrong;
	char clean[UL_LAYER_PATH_MAX_BYTES + 1];

	if (++tar->entry_count > UL_ARCHIVE_MAX_ENTRIES)
		return ul_err_set(err, UL_E_LIMIT,
				  "more than %u entries in the archive",
				  UL_ARCHIVE_MAX_ENTRIES);
	if (!path || !*path)
		return ul_err_set(err, UL_E_CORRUPT,
				  "an archive entry without a name");
	wrong = ul_source_path_clean("", path, false, clean);
	if (wrong)
		return path_failed(path, "path", wrong, err);
	if (archive_entry_hardlink(entry))
		return take_link(tar, clean, archive_entry_hardlink(entry),
				 true, err);
	switch (archive_entry_filetype(entry)) {
	case AE_IFDIR:
		return 0;
	case AE_IFREG:
		return take_regular(tar, clean, entry, err);
	case AE_IFLNK:
		return take_link(tar, clean, archive_entry_symlink(entry),
				 false, err);
	default:
		return entry_failed(path, UL_E_CORRUPT,
				    "is a device, pipe or socket, which no "
				    "image archive has",
				    err);
	}
}

/* Names are bytes, see layer.c; here they are for comparing only. */
static bool is_charset_warning(struct archive *archive)
{
	const char *text = archive_error_string(archive);

	return text && strstr(text, "can't be converted");
}

/*
 * The rest is read too: a sum of packed data may be wrong there, and who
 * writes into a pipe wants to be heard out. An archive that ends without the
 * zero block that ends a tar was cut off.
 */
static int tar_end(struct tar *tar, struct ul_err *err)
{
	int rc = 0;

	if (!tar->last_len && !tar->is_zero_end)
		return ul_err_set(err, UL_E_CORRUPT, "tar: cut off");
	while (!rc && tar->last_len)
		rc = stream_next(tar);
	return rc ? tar_failed(tar, err) : 0;
}

static int tar_walk(struct tar *tar, struct ul_err *err)
{
	struct archive_entry *entry;
	int rc;

	if (archive_read_support_format_tar(tar->archive) != ARCHIVE_OK ||
	    archive_read_open(tar->archive, tar, NULL, tar_read, NULL) !=
		ARCHIVE_OK)
		return tar_failed(tar, err);
	for (;;) {
		rc = archive_read_next_header(tar->archive, &entry);
		if (rc == ARCHIVE_EOF)
			return tar_end(tar, err);
		if (rc != ARCHIVE_OK &&
		    !(rc == ARCHIVE_WARN && is_charset_warning(tar->archive)))
			return tar_failed(tar, err);
		rc = take_entry(tar, entry, err);
		if (rc)
			return rc;
	}
}

static int tar_open(struct tar *tar, int fd, struct ul_err *err)
{
	const struct ul_inflate_limits limits = {
		.bytes = UL_ARCHIVE_MAX_BYTES,
		.ratio = UL_LAYER_MAX_RATIO,
		.ratio_from_bytes = UL_LAYER_RATIO_FROM_BYTES,
	};

	tar->block = ul_malloc(STREAM_BLOCK_BYTES);
	tar->archive = archive_read_new();
	if (!tar->block || !tar->archive)
		return ul_err_nomem(err);
	return ul_inflate_open(fd, UL_DIGEST_NONE, &limits, &tar->inflate, err);
}

int ul_source_tar_read(struct ul_source *source, int fd, struct ul_err *err)
{
	ul_cleanup(tar_release) struct tar tar = {
		.source = source,
		.err = UL_ERR_INIT,
	};
	locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0), old;
	int rc;

	if (!plain)
		return ul_err_nomem(err);
	old = uselocale(plain);
	rc = tar_open(&tar, fd, err);
	if (!rc)
		rc = tar_walk(&tar, err);
	uselocale(old);
	freelocale(plain);
	return rc;
}
