/*
 * store/transfer/source.h - where images come from: a directory that is an
 * OCI layout, or a tar archive (a file or a stream; plain, gzip or zstd) of
 * the OCI form or of either form of `docker save`.
 *
 * An archive is read once, when it is opened, and all that it holds goes to
 * the ingest; from a layout only what is asked for is copied. Nothing is ever
 * created under a name that an archive gives.
 */
#ifndef UL_STORE_TRANSFER_SOURCE_H
#define UL_STORE_TRANSFER_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/map.h"

struct ul_descriptor;
struct ul_err;
struct ul_held;
struct ul_ingest;

/* A file of an archive that is no blob, or a link to some file. */
struct ul_source_file {
	const char *path;
	struct ul_held *held; /* NULL for a link */
	const char *target;   /* of a link: clean, from the archive's root */
};

struct ul_source {
	struct ul_ingest *ingest; /* borrowed */
	int blobs_fd;             /* blobs of a layout; -1: archive */
	struct ul_buf index;      /* index.json */
	struct ul_buf manifest;   /* manifest.json of `docker save` */
	bool has_index, has_manifest;
	struct ul_source_file *files; /* owned; of an archive */
	size_t file_count, file_cap;
	struct ul_map by_path;
	uint64_t done_bytes; /* read so far */
	/* Called now and then; may be NULL. False stops: UL_E_CANCELED. */
	bool (*progress)(void *arg, uint64_t done_bytes);
	void *arg;
	struct ul_arena arena;
};
#define UL_SOURCE_INIT ((struct ul_source){ .blobs_fd = -1 })

/*
 * Open a path, or standard input for "-". ingest, progress and arg have been
 * set by the caller.
 * Returns: 0, or
 *   UL_E_ABSENT      no such file
 *   UL_E_CORRUPT     neither layout nor image archive; damaged or cut off; a
 *                    blob that is not what its name says; an entry that no
 *                    image archive has ("archive entry '../x': ...")
 *   UL_E_LIMIT       a bound of store/limits.h
 *   UL_E_IO, UL_E_NOMEM, UL_E_CANCELED
 */
int ul_source_open(struct ul_source *source, const char *path,
		   struct ul_err *err);
void ul_source_release(struct ul_source *source); /* safe twice */

/*
 * Have a blob in the ingest. is_document: the store's own copy is hashed
 * before it is relied upon. Where the descriptor knows no size, any is right.
 * Returns: 1 with *ret_held; 0 where the source does not have it;
 *          UL_E_CORRUPT (length or digest); UL_E_IO; UL_E_NOMEM;
 *          UL_E_CANCELED.
 */
int ul_source_take(struct ul_source *source,
		   const struct ul_descriptor *descriptor, bool is_document,
		   struct ul_held **ret_held, struct ul_err *err);

/*
 * A file of an archive by its path, links followed. UL_E_CORRUPT: there is
 * none, or its links lead nowhere.
 */
int ul_source_file(const struct ul_source *source, const char *path,
		   struct ul_held **ret_held, struct ul_err *err);

/*
 * The digests and lengths of all blobs there, in order; whoever is looking
 * for referrers takes those that may be manifests.
 * Owner: *ret is freed with free().
 * Returns: 0; UL_E_IO; UL_E_NOMEM.
 */
struct ul_source_blob {
	struct ul_digest digest;
	uint64_t size_bytes;
};
int ul_source_blobs(const struct ul_source *source, struct ul_source_blob **ret,
		    size_t *ret_count, struct ul_err *err);

/*
 * Read such a blob without taking it in, if it begins like a document.
 * Returns: 1 with its bytes in *buf; 0 where it does not, or is not what its
 *          name says; UL_E_IO; UL_E_NOMEM.
 */
int ul_source_peek(const struct ul_source *source,
		   const struct ul_source_blob *blob, struct ul_buf *buf,
		   struct ul_err *err);

/* Tell the caller how far reading is. UL_E_CANCELED. */
int ul_source_progress(struct ul_source *source, struct ul_err *err);

#endif
