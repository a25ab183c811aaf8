/*
 * store/embedded/snapshot_dir.h - the folder name of a snapshot.
 *
 * Folders say what they are without the database: an unpacked layer is
 * "layer-<hex of its chain ID>", any other snapshot "key-<its key>" with
 * everything but letters, digits, '.', '_' and '-' written as %XX (a colon
 * or comma would end a lowerdir in overlayfs' mount options).
 */
#ifndef UL_STORE_EMBEDDED_SNAPSHOT_DIR_H
#define UL_STORE_EMBEDDED_SNAPSHOT_DIR_H

#include <stdbool.h>
#include <stddef.h>

#include "store/limits.h"

#define UL_SNAPSHOT_DIR_MAX (sizeof "layer-" + 3 * UL_KEY_MAX_BYTES)

/* False where the key is empty, too long or (unpacked) no digest. */
bool ul_snapshot_dir_name(const char *key, bool is_unpacked,
			  char dir[UL_SNAPSHOT_DIR_MAX]);

/* The way back. False where the name is none of ours. */
bool ul_snapshot_dir_parse(const char *dir, char key[UL_SNAPSHOT_DIR_MAX],
			   bool *ret_is_unpacked);

#endif
