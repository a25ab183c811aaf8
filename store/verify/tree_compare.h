/*
 * store/verify/tree_compare.h - whether two unpacked layers are the same:
 * names, types, modes, owners, times of change, extended attributes, links,
 * devices and content.
 */
#ifndef UL_STORE_VERIFY_TREE_COMPARE_H
#define UL_STORE_VERIFY_TREE_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

struct ul_buf;
struct ul_err;

struct ul_tree_compare {
	int left_fd, right_fd; /* directories, borrowed */
	/* Without privilege a layer is unpacked without some of these. */
	bool skip_owners, skip_xattrs, skip_devices;
};

/*
 * Compare what is below two directories, and the directories themselves. No
 * symlink is followed, no mount is entered. What the left one has and the
 * right one has not counts, and the other way round.
 * Returns: how many names differ, with the first appended to *ret_first ("etc/
 *          passwd: content"); UL_E_IO, UL_E_NOMEM.
 */
int ul_tree_compare(const struct ul_tree_compare *compare,
		    struct ul_buf *ret_first, struct ul_err *err);

#endif
