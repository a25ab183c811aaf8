/*
 * tests/lib/maker.h - random stores, made of files as other tools write them.
 *
 * The same seed makes the same store. What cannot be done ends the program:
 * it is a tool of tests.
 */
#ifndef UL_TESTS_LIB_MAKER_H
#define UL_TESTS_LIB_MAKER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "store/embedded/store.h"

#define MAKER_PATH_MAX 4096

struct maker {
	uint64_t random;
	const char *state;   /* directory of database and store */
	const char *outside; /* beside it, on the same file system */
	struct ul_embedded *store;
	unsigned counter; /* for names that do not repeat */
	unsigned phase;
};

/* A blob with what its descriptor says. */
struct maker_blob {
	char digest[UL_DIGEST_TEXT_MAX];
	size_t len;
	const char *type;
	char diff_id[UL_DIGEST_TEXT_MAX]; /* of layers */
};

/* Paths, sorted, so that a seed picks the same ones again. */
struct maker_paths {
	char **paths;
	size_t len, cap;
};

void maker_die(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));

uint64_t maker_random(struct maker *maker);
size_t maker_below(struct maker *maker, size_t limit); /* 0 where it is 0 */
bool maker_chance(struct maker *maker, unsigned percent);
size_t maker_size(struct maker *maker, size_t most); /* small ones often */

/* Below the store ("%s" is relative); a buffer the next call but seven uses. */
const char *maker_path(const struct maker *maker, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A new file of random bytes, sometimes with a hole. */
void maker_file(struct maker *maker, const char *path, size_t len);
void maker_dir(const char *path);

/* Regular files and directories below a folder of the store, added. */
void maker_list(const struct maker *maker, const char *folder,
		struct maker_paths *files, struct maker_paths *dirs);
void maker_paths_release(struct maker_paths *paths);

/* Blobs, images, referrers and names, as an OCI layout has them. */
void maker_images(struct maker *maker);

/* Take names out of index.json, put some back, as other programs do. */
void maker_edit_index(struct maker *maker);

/* Blobs that nothing names, and some that are lost. */
void maker_stray_blobs(struct maker *maker);

/* Layers unpacked, snapshots of users, folders without a record. */
void maker_snapshots(struct maker *maker);

/* A snapshot removed, another one written to. */
void maker_snapshot_work(struct maker *maker);

/* Hard links within and between trees, blobs, trash and outside. */
void maker_links(struct maker *maker);

/* Files that are none of ours, all over the store. */
void maker_foreign(struct maker *maker);

/* All entries of index.json, an array to be released. */
json_t *maker_entries(const struct maker *maker);

#endif
