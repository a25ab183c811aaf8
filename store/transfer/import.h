/*
 * store/transfer/import.h - take images into the embedded store.
 */
#ifndef UL_STORE_TRANSFER_IMPORT_H
#define UL_STORE_TRANSFER_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"

struct ul_embedded;
struct ul_err;

struct ul_import_options {
	const char *path;  /* a file, a directory, or "-" */
	const char *name;  /* for images that have none; NULL: FILE's */
	bool is_replacing; /* names may move */
	bool is_verifying; /* hash blobs that the store has, too */
	/* Called now and then with what was read of the source; may be NULL.
	 * False stops the import: UL_E_CANCELED. */
	bool (*progress)(void *arg, uint64_t done_bytes);
	void *arg;
};

struct ul_imported {
	const char *name; /* NULL: a referrer, kept by its subject */
	struct ul_digest digest;
	size_t new_blobs;    /* written */
	size_t reused_blobs; /* the store, or an image before it, had them */
	uint64_t written_bytes;
};

struct ul_import_report {
	struct ul_imported *images; /* a line for each name */
	size_t image_count;
	const char **notes; /* for people: what was left out, and why */
	size_t note_count;
	struct ul_arena arena; /* holds all of it */
};
#define UL_IMPORT_REPORT_INIT ((struct ul_import_report){ .images = NULL })
void ul_import_report_release(struct ul_import_report *report);

/*
 * Import all images of a file, stream or layout, or none. Blobs are copied and
 * verified without the lock; under it each is looked at again, then they are
 * put in their places and the index is written last.
 * Names: io.containerd.image.name, else RepoTags, else FILE:ref.name (ref.name
 * alone where that is a whole reference); nameless ones options->name, else
 * FILE; several of them NAME, NAME-2 and so on.
 *
 * Owner:   *ret_report, released by ul_import_report_release().
 * Returns: 0, or with a store in which nothing is to be seen of it
 *   UL_E_ABSENT       no such file
 *   UL_E_CORRUPT      not an image, damaged, or not what it claims to be
 *   UL_E_UNSUPPORTED  Docker schema 1, digests other than sha256
 *   UL_E_LIMIT        a bound of store/limits.h
 *   UL_E_INVALID      no name to be found, or one that cannot be stored
 *   UL_E_CONFLICT     a name stands for something else (--replace); a blob
 *                     or the index was changed meanwhile
 *   UL_E_REFUSED, UL_E_BUSY, UL_E_IO, UL_E_DB, UL_E_NOMEM, UL_E_CANCELED
 */
int ul_import(struct ul_embedded *store,
	      const struct ul_import_options *options,
	      struct ul_import_report *ret_report, struct ul_err *err);

#endif
