#include "store/transfer/ingest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/flusher.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/store.h"
#include "store/limits.h"
#include "store/transfer/ingest_trash.h"

/* It is flat and all in it is ours. What cannot be removed is found by a
 * collection. */
static void folder_remove(const struct ul_ingest *ingest)
{
	int fd = openat(ingest->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(ingest->fd, entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	unlinkat(ingest->store->ingest_fd, ingest->name, AT_REMOVEDIR);
}

void ul_ingest_release(struct ul_ingest *ingest)
{
	if (*ingest->name)
		folder_remove(ingest);
	ul_flusher_close(ingest->flusher);
	ul_closep(&ingest->fd);
	ul_map_release(&ingest->by_digest);
	free(ingest->held);
	free(ingest->block);
	ul_arena_release(&ingest->arena);
	*ingest = UL_INGEST_INIT;
}

int ul_ingest_open(struct ul_embedded *store, bool is_verifying,
		   struct ul_ingest *ret_ingest, struct ul_err *err)
{
	ul_cleanup(ul_ingest_release) struct ul_ingest ingest = UL_INGEST_INIT;
	int rc;

	if (!store->is_writable)
		return ul_err_set(err, UL_E_REFUSED,
				  "%s cannot be written by this user",
				  store->state_path);
	ingest.store = store;
	ingest.is_verifying = is_verifying;
	ingest.block = ul_malloc(UL_INGEST_BLOCK_BYTES);
	if (!ingest.block)
		return ul_err_nomem(err);
	rc = ul_embedded_ingest_folder(store, ingest.name, &ingest.fd, err);
	if (!rc)
		rc = ul_flusher_open(ingest.fd, &ingest.flusher, err);
	if (!rc)
		rc = ul_ingest_trash_list(store, &ingest.arena, &ingest.trashed,
					  &ingest.trashed_count, err);
	if (rc)
		return rc;
	*ret_ingest = ingest;
	ingest = UL_INGEST_INIT;
	return 0;
}

int ul_ingest_open_reading(struct ul_embedded *store,
			   struct ul_ingest *ret_ingest, struct ul_err *err)
{
	char *block = ul_malloc(UL_INGEST_BLOCK_BYTES);

	if (!block)
		return ul_err_nomem(err);
	*ret_ingest = UL_INGEST_INIT;
	ret_ingest->store = store;
	ret_ingest->block = block;
	return 0;
}

struct ul_held *ul_ingest_find(const struct ul_ingest *ingest,
			       const struct ul_digest *digest)
{
	uint32_t at = ul_map_get(&ingest->by_digest, digest, sizeof *digest);

	return at == UL_MAP_NONE ? NULL : ingest->held[at];
}

static int held_add(struct ul_ingest *ingest, const struct ul_held *held,
		    struct ul_held **ret_held, struct ul_err *err)
{
	struct ul_held **array =
	    ul_grow(ingest->held, &ingest->cap, ingest->len + 1, sizeof *array);
	struct ul_held *added = NULL;

	if (array) {
		ingest->held = array;
		added = ul_arena_alloc(&ingest->arena, sizeof *added);
	}
	if (!added)
		return ul_err_nomem(err);
	*added = *held;
	if (!ul_map_set(&ingest->by_digest, &added->digest,
			sizeof added->digest, (uint32_t)ingest->len))
		return ul_err_nomem(err);
	ingest->held[ingest->len++] = added;
	*ret_held = added;
	return 0;
}

/* 1 intact, 0 not (or gone), negative: failed. */
static int file_is_intact(struct ul_ingest *ingest, int dirfd, const char *path,
			  const struct ul_digest *digest, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd =
	    openat(dirfd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct ul_digest found;
	struct ul_hash hash;
	ssize_t got;

	if (fd < 0)
		return errno == ENOENT ? 0 : ul_err_sys(err, "open %s", path);
	ul_hash_init(&hash, digest->alg);
	while ((got = read(fd, ingest->block, UL_INGEST_BLOCK_BYTES)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ul_err_sys(err, "read %s", path);
		ul_hash_update(&hash, ingest->block, (size_t)got);
	}
	ul_hash_final(&hash, &found);
	return ul_digest_equal(&found, digest);
}

int ul_ingest_blob_check(struct ul_ingest *ingest, const struct ul_held *held,
			 struct ul_err *err)
{
	char hex[UL_DIGEST_HEX_MAX + 1];

	ul_digest_format_hex(&held->digest, hex);
	return file_is_intact(ingest, ingest->fd, hex, &held->digest, err);
}

static bool has_length(int dirfd, const char *path, uint64_t size_bytes)
{
	struct stat st;

	return !fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) &&
	       S_ISREG(st.st_mode) && (uint64_t)st.st_size == size_bytes;
}

/* Whether what was found not to be usable stands in the blob's place. */
static bool is_damaged(const struct ul_ingest *ingest,
		       const struct ul_digest *digest, uint64_t size_bytes)
{
	char path[UL_DIGEST_TEXT_MAX];

	ul_digest_format_path(digest, path);
	return has_length(ingest->store->blobs_fd, path, size_bytes);
}

/* As ul_ingest_reuse(), for a file that stands somewhere. */
static int file_is_usable(struct ul_ingest *ingest, int dirfd, const char *path,
			  const struct ul_held *held, bool is_checked,
			  struct ul_err *err)
{
	if (!has_length(dirfd, path, held->size_bytes))
		return 0;
	if (!is_checked)
		return 1;
	return file_is_intact(ingest, dirfd, path, &held->digest, err);
}

/* A link of our own, so that it stays when the trash is emptied meanwhile. */
static int link_trashed(struct ul_ingest *ingest, const struct ul_held *held,
			const char *hex, bool is_checked, struct ul_err *err)
{
	const struct ul_trashed_blob *blob = ul_ingest_trash_find(
	    ingest->trashed, ingest->trashed_count, &held->digest);
	int rc;

	if (!blob)
		return 0;
	rc = file_is_usable(ingest, ingest->store->trash_fd, blob->path, held,
			    is_checked, err);
	if (rc <= 0)
		return rc;
	return !linkat(ingest->store->trash_fd, blob->path, ingest->fd, hex, 0);
}

/*
 * As link_trashed(), for what the store has: whatever a collection does
 * meanwhile, it stays. Linked first: what is checked is what is kept. Where
 * there can be no link, its bytes are taken in once more.
 */
static int link_stored(struct ul_ingest *ingest, const struct ul_held *held,
		       const char *hex, bool is_checked, struct ul_err *err)
{
	char path[UL_DIGEST_TEXT_MAX];
	int rc;

	ul_digest_format_path(&held->digest, path);
	if (linkat(ingest->store->blobs_fd, path, ingest->fd, hex, 0))
		return 0;
	rc = file_is_usable(ingest, ingest->fd, hex, held, is_checked, err);
	if (rc <= 0)
		unlinkat(ingest->fd, hex, 0);
	return rc;
}

/* Without a folder: what is in its place now. */
static int find_stored(struct ul_ingest *ingest, const struct ul_held *held,
		       bool is_checked, struct ul_err *err)
{
	char path[UL_DIGEST_TEXT_MAX];

	ul_digest_format_path(&held->digest, path);
	return file_is_usable(ingest, ingest->store->blobs_fd, path, held,
			      is_checked, err);
}

static int held_find(struct ul_ingest *ingest, struct ul_held *held,
		     bool is_checked, struct ul_err *err)
{
	char hex[UL_DIGEST_HEX_MAX + 1];
	int rc;

	if (ingest->fd < 0)
		return find_stored(ingest, held, is_checked, err);
	ul_digest_format_hex(&held->digest, hex);
	rc = link_stored(ingest, held, hex, is_checked, err);
	if (rc)
		return rc;
	rc = link_trashed(ingest, held, hex, is_checked, err);
	held->is_replacing =
	    rc > 0 && is_damaged(ingest, &held->digest, held->size_bytes);
	return rc;
}

int ul_ingest_reuse(struct ul_ingest *ingest, const struct ul_digest *digest,
		    uint64_t size_bytes, bool is_checked,
		    struct ul_held **ret_held, struct ul_err *err)
{
	struct ul_held held = {
		.digest = *digest,
		.size_bytes = size_bytes,
		.where = ingest->fd < 0 ? UL_HELD_STORE : UL_HELD_LINKED,
	};
	int rc;

	if (ul_ingest_find(ingest, digest)) {
		*ret_held = ul_ingest_find(ingest, digest);
		return (*ret_held)->size_bytes == size_bytes;
	}
	rc = held_find(ingest, &held, is_checked || ingest->is_verifying, err);
	if (rc <= 0)
		return rc;
	rc = held_add(ingest, &held, ret_held, err);
	return rc ? rc : 1;
}

/* One addition under way. */
struct adding {
	struct ul_ingest *ingest;
	ul_ingest_read *read;
	void *arg;
	struct ul_hash hash;
	uint64_t done_bytes;
	int fd; /* -1: the store has it, only hash */
	char temp[32];
};

static void adding_release(struct adding *adding)
{
	if (adding->fd >= 0)
		unlinkat(adding->ingest->fd, adding->temp, 0);
	ul_closep(&adding->fd);
}

static int length_failed(uint64_t found, bool is_more, uint64_t expected,
			 struct ul_err *err)
{
	return ul_err_set(
	    err, UL_E_CORRUPT, "is %s%llu bytes long instead of %llu",
	    is_more ? "more than " : "", (unsigned long long)found,
	    (unsigned long long)expected);
}

static int block_take(struct adding *adding, size_t len, uint64_t size_bytes,
		      struct ul_err *err)
{
	const struct ul_ingest *ingest = adding->ingest;

	if (len > size_bytes - adding->done_bytes)
		return length_failed(size_bytes, true, size_bytes, err);
	ul_hash_update(&adding->hash, ingest->block, len);
	adding->done_bytes += len;
	if (adding->fd < 0)
		return 0;
	if (ul_fd_write_all(adding->fd, ingest->block, len, err))
		return ul_err_wrap(err, "%s/ingest", ingest->store->path);
	ul_flusher_add(ingest->flusher, len);
	return 0;
}

/* The first block is in ingest->block when this is called. */
static int copy_rest(struct adding *adding, uint64_t size_bytes, size_t len,
		     struct ul_err *err)
{
	int rc = 0;

	while (!rc && len) {
		rc = block_take(adding, len, size_bytes, err);
		if (!rc)
			rc = adding->read(adding->arg, adding->ingest->block,
					  UL_INGEST_BLOCK_BYTES, &len, err);
	}
	if (!rc && adding->done_bytes != size_bytes)
		return length_failed(adding->done_bytes, false, size_bytes,
				     err);
	return rc;
}

static int temp_make(struct adding *adding, struct ul_err *err)
{
	if (adding->ingest->fd < 0)
		return ul_err_set(err, UL_E_CORRUPT, "is damaged");
	memcpy(adding->temp, "new-", 4);
	ul_random_hex(adding->temp + 4);
	/* Blobs are never changed: as Docker and containerd have them. */
	adding->fd =
	    ul_retry(openat(adding->ingest->fd, adding->temp,
			    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
	return adding->fd < 0 ? ul_err_sys(err, "create a file in %s/ingest",
					   adding->ingest->store->path)
			      : 0;
}

static int digest_failed(const struct ul_digest *found, struct ul_err *err)
{
	char text[UL_DIGEST_TEXT_MAX];

	ul_digest_format(found, text);
	return ul_err_set(err, UL_E_CORRUPT, "its content has the digest %s",
			  text);
}

static int adding_end(struct adding *adding, struct ul_held *held,
		      struct ul_held **ret_held, struct ul_err *err)
{
	struct ul_ingest *ingest = adding->ingest;
	char hex[UL_DIGEST_HEX_MAX + 1];
	int rc;

	/* Known by now, even where no name told it. */
	rc = ul_ingest_reuse(ingest, &held->digest, held->size_bytes,
			     held->is_json, ret_held, err);
	if (rc)
		return rc < 0 ? rc : 0;
	ul_digest_format_hex(&held->digest, hex);
	if (renameat(ingest->fd, adding->temp, ingest->fd, hex))
		return ul_err_sys(err, "rename to %s", hex);
	ul_closep(&adding->fd);
	held->where = UL_HELD_NEW;
	held->is_replacing =
	    is_damaged(ingest, &held->digest, held->size_bytes);
	rc = held_add(ingest, held, ret_held, err);
	if (!rc)
		ingest->written_bytes += held->size_bytes;
	return rc;
}

static int adding_begin(struct adding *adding, const struct ul_digest *expected,
			struct ul_held *held, struct ul_held **ret_present,
			struct ul_err *err)
{
	char *block = adding->ingest->block, first;
	size_t len;
	int rc = adding->read(adding->arg, block, 1, &len, err);

	if (rc)
		return rc;
	first = *block;
	held->is_json = len && first == '{';
	if (expected)
		rc = ul_ingest_reuse(adding->ingest, expected, held->size_bytes,
				     held->is_json, ret_present, err);
	if (rc < 0)
		return rc;
	if (!*ret_present)
		rc = temp_make(adding, err);
	*block = first; /* the block may have been used to look */
	return rc < 0 ? rc : copy_rest(adding, held->size_bytes, len, err);
}

int ul_ingest_add(struct ul_ingest *ingest, const struct ul_digest *expected,
		  uint64_t size_bytes, ul_ingest_read *read, void *arg,
		  struct ul_held **ret_held, struct ul_err *err)
{
	ul_cleanup(adding_release) struct adding adding = {
		.ingest = ingest,
		.read = read,
		.arg = arg,
		.fd = -1,
	};
	struct ul_held held = { .size_bytes = size_bytes };
	struct ul_held *present = NULL;
	int rc;

	ul_hash_init(&adding.hash, expected ? expected->alg : UL_DIGEST_SHA256);
	rc = adding_begin(&adding, expected, &held, &present, err);
	if (rc)
		return rc;
	ul_hash_final(&adding.hash, &held.digest);
	if (expected && !ul_digest_equal(&held.digest, expected))
		return digest_failed(&held.digest, err);
	if (!present)
		return adding_end(&adding, &held, ret_held, err);
	present->is_json = held.is_json;
	*ret_held = present;
	return 0;
}

struct bytes {
	const char *at;
	size_t left;
};

static int bytes_read(void *arg, void *data, size_t size, size_t *ret_len,
		      struct ul_err *err)
{
	struct bytes *bytes = arg;

	(void)err;
	*ret_len = size < bytes->left ? size : bytes->left;
	memcpy(data, bytes->at, *ret_len);
	bytes->at += *ret_len;
	bytes->left -= *ret_len;
	return 0;
}

int ul_ingest_add_bytes(struct ul_ingest *ingest, const void *data, size_t len,
			struct ul_held **ret_held, struct ul_err *err)
{
	struct bytes bytes = { data, len };
	struct ul_digest digest;

	ul_digest_of(UL_DIGEST_SHA256, data, len, &digest);
	return ul_ingest_add(ingest, &digest, len, bytes_read, &bytes, ret_held,
			     err);
}

int ul_ingest_blob_open(const struct ul_ingest *ingest,
			const struct ul_held *held, int *ret_fd,
			struct ul_err *err)
{
	char hex[UL_DIGEST_HEX_MAX + 1], path[UL_DIGEST_TEXT_MAX];
	int fd;

	ul_digest_format_hex(&held->digest, hex);
	ul_digest_format_path(&held->digest, path);
	if (held->where == UL_HELD_STORE)
		fd = openat(ingest->store->blobs_fd, path,
			    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	else
		fd = openat(ingest->fd, hex, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return ul_err_set(err, UL_E_CONFLICT,
				  "blob %s was removed meanwhile; try again",
				  hex);
	if (fd < 0)
		return ul_err_sys(err, "open blob %s", hex);
	*ret_fd = fd;
	return 0;
}

static int blob_read(int fd, struct ul_buf *buf, struct ul_err *err)
{
	ssize_t got;

	do {
		if (!ul_buf_reserve(buf, 64 * 1024))
			return ul_err_nomem(err);
		got = read(fd, buf->data + buf->len, 64 * 1024);
		if (got < 0 && errno != EINTR)
			return ul_err_sys(err, "read");
		if (got > 0)
			buf->len += (size_t)got;
		if (buf->len > UL_MANIFEST_MAX_BYTES)
			return ul_err_set(err, UL_E_LIMIT,
					  "is longer than %u bytes",
					  UL_MANIFEST_MAX_BYTES);
	} while (got);
	buf->data[buf->len] = '\0';
	return 0;
}

int ul_ingest_blob_read(const struct ul_ingest *ingest,
			const struct ul_held *held, struct ul_buf *buf,
			struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_digest found;
	int rc;

	ul_buf_reset(buf);
	if (held->size_bytes > UL_MANIFEST_MAX_BYTES)
		return ul_err_set(err, UL_E_LIMIT, "is longer than %u bytes",
				  UL_MANIFEST_MAX_BYTES);
	rc = ul_ingest_blob_open(ingest, held, &fd, err);
	if (!rc)
		rc = blob_read(fd, buf, err);
	if (rc)
		return rc;
	ul_digest_of(held->digest.alg, buf->data, buf->len, &found);
	return ul_digest_equal(&found, &held->digest)
		   ? 0
		   : digest_failed(&found, err);
}

int ul_ingest_sync(struct ul_ingest *ingest, struct ul_err *err)
{
	int rc;

	if (!ingest->written_bytes)
		return 0;
	rc = ul_flusher_finish(ingest->flusher, err);
	return rc ? ul_err_wrap(err, "%s/ingest", ingest->store->path) : 0;
}
