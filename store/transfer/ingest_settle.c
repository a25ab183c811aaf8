#include "store/transfer/ingest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/form.h"
#include "store/embedded/store.h"
#include "store/embedded/trash.h"
#include "store/graph/graph.h"
#include "store/transfer/ingest_trash.h"

struct listing {
	struct ul_trashed_blob *blobs; /* owned */
	size_t len, cap;
};

static void listing_release(struct listing *listing)
{
	free(listing->blobs);
}

static int listing_add(struct listing *listing, struct ul_arena *arena,
		       const char *dir, const struct ul_trash_item *item,
		       struct ul_err *err)
{
	struct ul_trashed_blob *blobs, blob;
	size_t size = strlen(dir) + strlen(item->name) + 2;
	char *path;

	if (item->kind != UL_KIND_BLOB ||
	    !ul_digest_parse(item->key, &blob.digest))
		return 0;
	path = ul_arena_alloc(arena, size);
	blobs = ul_grow(listing->blobs, &listing->cap, listing->len + 1,
			sizeof *blobs);
	if (blobs)
		listing->blobs = blobs;
	if (!path || !blobs)
		return ul_err_nomem(err);
	snprintf(path, size, "%s/%s", dir, item->name);
	blob.path = path;
	blobs[listing->len++] = blob;
	return 0;
}

static int listing_read(struct listing *listing, struct ul_embedded *store,
			const char *dir, struct ul_arena *arena,
			struct ul_err *err)
{
	struct ul_trash_record record;
	size_t i;
	int rc = ul_trash_read(store->trash_fd, store->form, dir, arena,
			       &record, err);

	if (rc == UL_E_NOMEM)
		return rc;
	if (rc)
		return 0; /* named in notes, kept by everyone */
	for (i = 0; !rc && i < record.item_count; i++)
		rc = listing_add(listing, arena, dir, &record.items[i], err);
	return rc;
}

static int blob_cmp(const void *a, const void *b)
{
	const struct ul_trashed_blob *left = a, *right = b;
	int order = ul_digest_cmp(&left->digest, &right->digest);

	return order ? order : strcmp(left->path, right->path);
}

int ul_ingest_trash_list(struct ul_embedded *store, struct ul_arena *arena,
			 struct ul_trashed_blob **ret, size_t *ret_count,
			 struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(listing_release) struct listing listing = { .len = 0 };
	struct ul_trashed_blob *blobs = NULL;
	size_t i;
	int rc = ul_trash_folders(store, &names, err);

	for (i = 0; !rc && i < names.len; i++)
		rc = listing_read(&listing, store, names.names[i], arena, err);
	if (rc)
		return rc;
	if (listing.len) {
		blobs = ul_arena_alloc(arena, listing.len * sizeof *blobs);
		if (!blobs)
			return ul_err_nomem(err);
		memcpy(blobs, listing.blobs, listing.len * sizeof *blobs);
		qsort(blobs, listing.len, sizeof *blobs, blob_cmp);
	}
	*ret = blobs;
	*ret_count = listing.len;
	return 0;
}

const struct ul_trashed_blob *
ul_ingest_trash_find(const struct ul_trashed_blob *blobs, size_t count,
		     const struct ul_digest *digest)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ul_digest_cmp(&blobs[middle].digest, digest) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && ul_digest_equal(&blobs[low].digest, digest)
		   ? &blobs[low]
		   : NULL;
}

/* What lies where, under the lock. */
struct settling {
	struct ul_ingest *ingest;
	struct ul_trashed_blob *trashed; /* in the arena */
	size_t trashed_count;
	struct ul_arena arena;
};

static void settling_release(struct settling *settling)
{
	ul_arena_release(&settling->arena);
}

static bool has_length(int dirfd, const char *path, uint64_t size_bytes)
{
	struct stat st;

	return !fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) &&
	       S_ISREG(st.st_mode) && (uint64_t)st.st_size == size_bytes;
}

/* Where the trash has it, with its length, or NULL. */
static const char *trash_path(const struct settling *settling,
			      const struct ul_held *held)
{
	const struct ul_embedded *store = settling->ingest->store;
	const struct ul_trashed_blob *blob = ul_ingest_trash_find(
	    settling->trashed, settling->trashed_count, &held->digest);
	/* From there on, all of that digest. */
	size_t left =
	    blob ? settling->trashed_count - (size_t)(blob - settling->trashed)
		 : 0;

	for (; left > 0; left--, blob++) {
		if (!ul_digest_equal(&blob->digest, &held->digest))
			break;
		if (has_length(store->trash_fd, blob->path, held->size_bytes))
			return blob->path;
	}
	return NULL;
}

static bool is_in_place(const struct settling *settling,
			const struct ul_held *held)
{
	char path[UL_DIGEST_TEXT_MAX];

	ul_digest_format_path(&held->digest, path);
	return has_length(settling->ingest->store->blobs_fd, path,
			  held->size_bytes);
}

/*
 * What is neither in its place nor in the trash but has another name still, a
 * repair may have set aside as damaged: it is not put back as if it were whole.
 */
static int linked_check(const struct settling *settling,
			const struct ul_held *held, const char *hex,
			struct ul_err *err)
{
	struct stat st;
	int rc;

	if (fstatat(settling->ingest->fd, hex, &st, AT_SYMLINK_NOFOLLOW))
		return ul_err_sys(err, "stat blob %s", hex);
	if (st.st_nlink < 2)
		return 0;
	rc = ul_ingest_blob_check(settling->ingest, held, err);
	if (rc)
		return rc < 0 ? rc : 0;
	return ul_err_set(err, UL_E_CONFLICT,
			  "blob %s is damaged and was set aside meanwhile; try "
			  "again",
			  hex);
}

static int held_place(const struct settling *settling,
		      const struct ul_held *held, struct ul_err *err)
{
	const struct ul_ingest *ingest = settling->ingest;
	const char *trashed;
	char hex[UL_DIGEST_HEX_MAX + 1], path[UL_DIGEST_TEXT_MAX];
	int rc;

	ul_digest_format_hex(&held->digest, hex);
	ul_digest_format_path(&held->digest, path);
	/* Another import may have been faster. */
	if (is_in_place(settling, held) && !held->is_replacing)
		return 0;
	trashed =
	    held->where == UL_HELD_LINKED ? trash_path(settling, held) : NULL;
	rc = held->where == UL_HELD_LINKED && !trashed
		 ? linked_check(settling, held, hex, err)
		 : 0;
	if (!rc)
		rc = ul_embedded_blob_folder(ingest->store, held->digest.alg,
					     err);
	if (rc)
		return rc;
	if (renameat(ingest->fd, hex, ingest->store->blobs_fd, path))
		return ul_err_sys(err, "rename to blob %s", path);
	/* It has only our name now, as when it is taken out of the trash. */
	if (trashed)
		unlinkat(ingest->store->trash_fd, trashed, 0);
	return 0;
}

static int settle(struct settling *settling, struct ul_err *err)
{
	struct ul_ingest *ingest = settling->ingest;
	size_t i;
	int rc = ul_ingest_trash_list(ingest->store, &settling->arena,
				      &settling->trashed,
				      &settling->trashed_count, err);

	for (i = 0; !rc && i < ingest->len; i++) {
		if (ingest->held[i]->is_needed)
			rc = held_place(settling, ingest->held[i], err);
	}
	return rc ? rc : ul_embedded_sync_blobs(ingest->store, err);
}

int ul_ingest_settle(struct ul_ingest *ingest, struct ul_err *err)
{
	ul_cleanup(settling_release) struct settling settling = {
		.ingest = ingest,
		.arena = UL_ARENA_INIT,
	};

	return settle(&settling, err);
}
