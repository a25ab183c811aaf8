#include "store/transfer/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/limits.h"
#include "store/oci/descriptor.h"
#include "store/oci/json.h"
#include "store/transfer/ingest.h"
#include "store/transfer/source_tar.h"

void ul_source_release(struct ul_source *source)
{
	ul_closep(&source->blobs_fd);
	ul_buf_release(&source->index);
	ul_buf_release(&source->manifest);
	free(source->files);
	ul_map_release(&source->by_path);
	ul_arena_release(&source->arena);
	*source = UL_SOURCE_INIT;
}

int ul_source_progress(struct ul_source *source, struct ul_err *err)
{
	if (source->progress &&
	    !source->progress(source->arg, source->done_bytes))
		return ul_err_set(err, UL_E_CANCELED, "canceled");
	return 0;
}

/* 1 read, 0 not there. */
static int read_optional(int dirfd, const char *name, size_t max_bytes,
			 struct ul_buf *buf, struct ul_err *err)
{
	int rc = ul_file_read(dirfd, name, max_bytes, buf, err);

	if (rc == UL_E_ABSENT)
		return 0;
	return rc ? rc : 1;
}

static int open_layout(struct ul_source *source, int fd, struct ul_err *err)
{
	int rc = read_optional(fd, "index.json", UL_INDEX_MAX_BYTES,
			       &source->index, err);

	if (!rc)
		return ul_err_set(err, UL_E_CORRUPT,
				  "is no OCI layout: it has no index.json");
	if (rc > 0)
		rc = read_optional(fd, "manifest.json", UL_INDEX_MAX_BYTES,
				   &source->manifest, err);
	if (rc < 0)
		return rc;
	source->has_index = true;
	source->has_manifest = rc > 0;
	rc = ul_dir_open(fd, "blobs", &source->blobs_fd, err);
	if (rc == UL_E_ABSENT)
		return ul_err_set(err, UL_E_CORRUPT,
				  "is no OCI layout: it has no blobs");
	return rc;
}

static int open_path(const char *path, int *ret_fd, struct ul_err *err)
{
	int fd;

	if (!strcmp(path, "-"))
		fd = dup(STDIN_FILENO);
	else
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return ul_err_set(err, UL_E_ABSENT,
				  "no such file or directory");
	if (fd < 0)
		return ul_err_sys(err, "open");
	*ret_fd = fd;
	return 0;
}

int ul_source_open(struct ul_source *source, const char *path,
		   struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	struct stat st;
	int rc = open_path(path, &fd, err);

	if (rc)
		return rc;
	if (fstat(fd, &st))
		return ul_err_sys(err, "stat");
	if (S_ISDIR(st.st_mode))
		return open_layout(source, fd, err);
	if (S_ISREG(st.st_mode))
		posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	rc = ul_source_tar_read(source, fd, err);
	if (!rc && !source->has_index && !source->has_manifest)
		return ul_err_set(err, UL_E_CORRUPT,
				  "is no image archive: it has neither "
				  "index.json nor manifest.json");
	return rc;
}

struct reading {
	struct ul_source *source;
	int fd;
};

static int layout_read(void *arg, void *data, size_t size, size_t *ret_len,
		       struct ul_err *err)
{
	struct reading *reading = arg;
	ssize_t got;

	do
		got = read(reading->fd, data, size);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return ul_err_sys(err, "read");
	*ret_len = (size_t)got;
	reading->source->done_bytes += (size_t)got;
	return ul_source_progress(reading->source, err);
}

static int size_failed(const char *text, uint64_t found, uint64_t declared,
		       struct ul_err *err)
{
	return ul_err_set(err, UL_E_CORRUPT,
			  "blob %.19s is %llu bytes long, its descriptor says "
			  "%llu",
			  text, (unsigned long long)found,
			  (unsigned long long)declared);
}

static bool has_size(const struct ul_descriptor *descriptor, uint64_t found)
{
	return descriptor->is_size_unknown || descriptor->size_bytes == found;
}

/* 1 open with its length, 0 not there. */
static int layout_open(const struct ul_source *source,
		       const struct ul_descriptor *descriptor, int *ret_fd,
		       uint64_t *ret_bytes, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	char text[UL_DIGEST_TEXT_MAX], path[UL_DIGEST_TEXT_MAX];
	struct stat st;

	ul_digest_format(&descriptor->digest, text);
	ul_digest_format_path(&descriptor->digest, path);
	fd = openat(source->blobs_fd, path,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return ul_err_sys(err, "open blob %.19s", text);
	if (fstat(fd, &st))
		return ul_err_sys(err, "stat blob %.19s", text);
	if (!S_ISREG(st.st_mode))
		return ul_err_set(err, UL_E_CORRUPT,
				  "blob %.19s is no regular file", text);
	if (!has_size(descriptor, (uint64_t)st.st_size))
		return size_failed(text, (uint64_t)st.st_size,
				   descriptor->size_bytes, err);
	*ret_fd = ul_fd_steal(&fd);
	*ret_bytes = (uint64_t)st.st_size;
	return 1;
}

static int layout_take(struct ul_source *source,
		       const struct ul_descriptor *descriptor, bool is_document,
		       struct ul_held **ret_held, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	struct reading reading = { .source = source };
	char text[UL_DIGEST_TEXT_MAX];
	uint64_t bytes;
	int rc = layout_open(source, descriptor, &fd, &bytes, err);

	if (rc <= 0)
		return rc;
	rc = ul_ingest_reuse(source->ingest, &descriptor->digest, bytes,
			     is_document, ret_held, err);
	if (rc)
		return rc;
	reading.fd = fd;
	rc = ul_ingest_add(source->ingest, &descriptor->digest, bytes,
			   layout_read, &reading, ret_held, err);
	if (!rc)
		return 1;
	ul_digest_format(&descriptor->digest, text);
	return ul_err_wrap(err, "blob %.19s", text);
}

static int archive_take(const struct ul_source *source,
			const struct ul_descriptor *descriptor,
			struct ul_held **ret_held, struct ul_err *err)
{
	struct ul_held *held =
	    ul_ingest_find(source->ingest, &descriptor->digest);
	char text[UL_DIGEST_TEXT_MAX];

	if (!held)
		return 0;
	if (!has_size(descriptor, held->size_bytes)) {
		ul_digest_format(&descriptor->digest, text);
		return size_failed(text, held->size_bytes,
				   descriptor->size_bytes, err);
	}
	*ret_held = held;
	return 1;
}

int ul_source_take(struct ul_source *source,
		   const struct ul_descriptor *descriptor, bool is_document,
		   struct ul_held **ret_held, struct ul_err *err)
{
	if (source->blobs_fd < 0)
		return archive_take(source, descriptor, ret_held, err);
	return layout_take(source, descriptor, is_document, ret_held, err);
}

int ul_source_file(const struct ul_source *source, const char *path,
		   struct ul_held **ret_held, struct ul_err *err)
{
	char clean[UL_LAYER_PATH_MAX_BYTES + 1], shown[UL_JSON_SHOWN_MAX];
	const char *at = clean, *wrong;
	unsigned hops;

	wrong = ul_source_path_clean("", path, false, clean);
	for (hops = 0; !wrong && hops <= UL_SYMLINKS_MAX; hops++) {
		uint32_t i = ul_map_get_str(&source->by_path, at);

		if (i == UL_MAP_NONE) {
			wrong = "is not in the archive";
		} else if (source->files[i].held) {
			*ret_held = source->files[i].held;
			return 0;
		} else {
			at = source->files[i].target;
		}
	}
	return ul_err_set(err, UL_E_CORRUPT, "manifest.json: '%s' %s",
			  ul_json_show(path, shown),
			  wrong ? wrong : "leads through too many links");
}

static int blobs_of_ingest(const struct ul_source *source,
			   struct ul_source_blob **ret, size_t *ret_count,
			   struct ul_err *err)
{
	const struct ul_ingest *ingest = source->ingest;
	struct ul_source_blob *blobs =
	    ul_calloc(ingest->len + 1, sizeof *blobs);
	size_t i, len = 0;

	if (!blobs)
		return ul_err_nomem(err);
	for (i = 0; i < ingest->len; i++) {
		if (ingest->held[i]->is_json)
			blobs[len++] = (struct ul_source_blob){
				ingest->held[i]->digest,
				ingest->held[i]->size_bytes,
			};
	}
	*ret = blobs;
	*ret_count = len;
	return 0;
}

struct blob_list {
	struct ul_source_blob *blobs; /* owned */
	size_t len, cap;
};

static void blob_list_release(struct blob_list *list)
{
	free(list->blobs);
}

static int blob_list_add(struct blob_list *list, int dir_fd, uint8_t alg,
			 const char *name, struct ul_err *err)
{
	struct ul_source_blob blob, *blobs;
	struct stat st;

	if (!ul_digest_parse_hex(alg, name, &blob.digest) ||
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode))
		return 0;
	blob.size_bytes = (uint64_t)st.st_size;
	blobs = ul_grow(list->blobs, &list->cap, list->len + 1, sizeof *blobs);
	if (!blobs)
		return ul_err_nomem(err);
	list->blobs = blobs;
	blobs[list->len++] = blob;
	return 0;
}

/* Those of one algorithm; a layout may have none of it. */
static int blob_list_folder(struct blob_list *list, int blobs_fd, uint8_t alg,
			    struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int fd = -1;
	size_t i;
	int rc = ul_dir_open(blobs_fd, ul_digest_alg_name(alg), &fd, err);

	if (rc == UL_E_ABSENT)
		return 0;
	if (!rc)
		rc = ul_dir_names(fd, &names, err);
	for (i = 0; !rc && i < names.len; i++)
		rc = blob_list_add(list, fd, alg, names.names[i], err);
	return rc;
}

int ul_source_blobs(const struct ul_source *source, struct ul_source_blob **ret,
		    size_t *ret_count, struct ul_err *err)
{
	ul_cleanup(blob_list_release) struct blob_list list = { .blobs = NULL };
	uint8_t alg;
	int rc = 0;

	if (source->blobs_fd < 0)
		return blobs_of_ingest(source, ret, ret_count, err);
	for (alg = UL_DIGEST_SHA256; !rc && ul_digest_size(alg); alg++)
		rc = blob_list_folder(&list, source->blobs_fd, alg, err);
	if (rc)
		return rc;
	*ret_count = list.len;
	*ret = ul_steal(list.blobs);
	return 0;
}

/* 1 where it begins with '{', 0 otherwise. */
static int layout_is_json(const struct ul_source *source, const char *path)
{
	ul_cleanup(ul_closep) int fd =
	    openat(source->blobs_fd, path,
		   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char first;

	return fd >= 0 && read(fd, &first, 1) == 1 && first == '{';
}

static int layout_peek(const struct ul_source *source,
		       const struct ul_source_blob *blob, struct ul_buf *buf,
		       struct ul_err *err)
{
	char path[UL_DIGEST_TEXT_MAX];
	struct ul_digest found;
	int rc;

	ul_digest_format_path(&blob->digest, path);
	if (!layout_is_json(source, path))
		return 0;
	ul_buf_reset(buf);
	rc = ul_file_read(source->blobs_fd, path, UL_MANIFEST_MAX_BYTES, buf,
			  err);
	if (rc)
		return rc == UL_E_LIMIT || rc == UL_E_ABSENT ? 0 : rc;
	ul_digest_of(blob->digest.alg, buf->data, buf->len, &found);
	return ul_digest_equal(&found, &blob->digest);
}

int ul_source_peek(const struct ul_source *source,
		   const struct ul_source_blob *blob, struct ul_buf *buf,
		   struct ul_err *err)
{
	const struct ul_held *held;
	int rc;

	if (source->blobs_fd >= 0)
		return layout_peek(source, blob, buf, err);
	held = ul_ingest_find(source->ingest, &blob->digest);
	rc = ul_ingest_blob_read(source->ingest, held, buf, err);
	return rc ? rc : 1;
}
