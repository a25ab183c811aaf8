/*
 * store/embedded/leftover.h - whether somebody is still at what another
 * program left in a layout (gc/INVARIANTS.md, I8). Internal to the folder.
 */
#ifndef UL_STORE_EMBEDDED_LEFTOVER_H
#define UL_STORE_EMBEDDED_LEFTOVER_H

#include <stdbool.h>
#include <stdint.h>

struct ul_err;

struct ul_leftover {
	bool is_used;          /* or it cannot be told */
	int64_t newest_unix_s; /* latest mtime or ctime of all that was seen */
};

/*
 * Look at a file, or at everything in a directory: whether somebody has it
 * open or locked, and how young it is. What cannot be looked into counts as
 * used, as does a tree beyond UL_LEFTOVER_MAX_ENTRIES and _DEPTH, one with
 * anything but files, directories and symlinks in it, and one that vanishes
 * meanwhile. Opens what it looks at, and waits for nobody.
 * Returns: 0, UL_E_NOMEM.
 */
int ul_leftover_look(int root_fd, const char *path,
		     struct ul_leftover *ret_leftover, struct ul_err *err);

#endif
