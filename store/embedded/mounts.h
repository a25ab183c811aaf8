/*
 * store/embedded/mounts.h - which snapshots are mounted, anywhere.
 *
 * Read from /proc/<pid>/mountinfo, one for each mount namespace and root
 * directory: a folder is in use when it, or something in it, is the root of
 * a mount, a mount point, or stands in an overlay's lowerdir=, upperdir= or
 * workdir=. What fuse-overlayfs has mounted is not seen: it shows no options.
 */
#ifndef UL_STORE_EMBEDDED_MOUNTS_H
#define UL_STORE_EMBEDDED_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct ul_err;

enum ul_mount_word_kind {
	UL_MOUNT_ROOT,  /* root of a mount, within its file system */
	UL_MOUNT_POINT, /* where something is mounted */
	UL_MOUNT_LAYER, /* directory of an overlay, as it was given */
};

struct ul_mount_word {
	const char *path;
	uint64_t dev; /* of a root, as mountinfo numbers it; else 0 */
	uint8_t kind; /* enum ul_mount_word_kind */
};

/* A mount of our own namespace: leads from a path to a root. */
struct ul_mount {
	uint64_t id;
	uint64_t dev;
	const char *root;
	const char *point;
};

struct ul_mounts {
	struct ul_mount_word *words; /* owned; sorted, each once */
	size_t word_count, word_cap;
	struct ul_mount *own; /* owned */
	size_t own_count, own_cap;
	struct ul_arena arena;
	/* Some process could not be looked into: what is not used here may
	 * still be. Who is not told so by a person keeps it. */
	bool is_partial;
};
#define UL_MOUNTS_INIT ((struct ul_mounts){ .words = NULL })

/*
 * Read what is mounted now.
 * Owner:   *ret_mounts, released by ul_mounts_release().
 * Returns: 0; UL_E_IO where /proc is not there; UL_E_LIMIT; UL_E_NOMEM.
 *          Processes that end meanwhile are no error. One whose mounts are
 *          hidden from us only sets is_partial.
 */
int ul_mounts_read(struct ul_mounts *ret_mounts, struct ul_err *err);
void ul_mounts_release(struct ul_mounts *mounts);

/*
 * Add the mounts of one mountinfo text (proc(5)); is_own where it is that of
 * our namespace. Lines that make no sense are passed over. UL_E_NOMEM.
 */
int ul_mounts_add(struct ul_mounts *mounts, const char *text, bool is_own,
		  struct ul_err *err);

/*
 * Whether a folder, or something in it, is mounted or part of a mount. When
 * that cannot be told for sure (an overlay given relative directories, one
 * made where its paths lead nowhere in our namespace), the answer is yes.
 * Asks the file system where `path` and the directories of overlays lead.
 */
bool ul_mounts_use(const struct ul_mounts *mounts, const char *path);

#endif
