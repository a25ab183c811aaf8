/*
 * base/remove.h - remove trees, and say what that gave back.
 */
#ifndef UL_BASE_REMOVE_H
#define UL_BASE_REMOVE_H

#include <stddef.h>
#include <stdint.h>

struct ul_err;

struct ul_removed {
	uint64_t freed_bytes;  /* allocated bytes of inodes whose last link
				  went, directories included */
	uint64_t object_count; /* names removed */
};

/*
 * Remove files and trees, with a few threads, never following a symlink and
 * never crossing a mount point: one met on the way ends that tree's removal
 * with UL_E_REFUSED and what is below it stays. Names that are gone already
 * are no error. Directories without permission bits are opened up first
 * where we own them. *ret counts what went even where an error is returned,
 * and stands before the error is looked at (the one output that does).
 *
 * Thread:  any; starts and joins its own threads.
 * Returns: 0, UL_E_IO, UL_E_NOMEM, UL_E_REFUSED; the other trees are removed
 *          nevertheless, err tells of the first.
 */
int ul_remove_trees(int dirfd, const char *const *paths, size_t count,
		    struct ul_removed *ret, struct ul_err *err);

#endif
