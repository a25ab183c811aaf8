/*
 * store/embedded/reserve.h - some space kept for the day the disk is full.
 *
 * Giving space back needs some first: the database's log, the record of what
 * goes to the trash. STATE/ullage.reserve holds it while there is plenty.
 * Internal to the folder; the lock is held.
 */
#ifndef UL_STORE_EMBEDDED_RESERVE_H
#define UL_STORE_EMBEDDED_RESERVE_H

#include <stdbool.h>

/* Make it where there is none and the disk is far from full. Best effort. */
void ul_reserve_keep(const char *state_path);

/*
 * Whether the file system of a directory (the state's, the store's) has no
 * room for what a run writes there; tried, for quotas and the like do not show
 * in numbers.
 */
bool ul_reserve_lacks_room(const char *path);

/* Let go of it where the disk is full. True where it was there. */
bool ul_reserve_release(const char *state_path);

#endif
