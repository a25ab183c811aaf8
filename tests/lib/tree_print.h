/*
 * tests/lib/tree_print.h - everything about a tree as text, to see whether
 * anything in it changed.
 */
#ifndef UL_TESTS_LIB_TREE_PRINT_H
#define UL_TESTS_LIB_TREE_PRINT_H

#include "base/buf.h"

/*
 * Append a line an object, sorted: path, inode, mode, links, owner, length,
 * modification and change times, symlink target, content. `skip` (may be NULL)
 * is a child of the top that is left out, its effect on the top as well.
 */
void tree_print(const char *top, const char *skip, struct ul_buf *text);

/* A new directory below $TMPDIR, else /tmp; freed by tree_remove(). */
char *tree_temp(void);

/* rm -rf; frees the path. */
void tree_remove(char *path);

#endif
