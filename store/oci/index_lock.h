/*
 * store/oci/index_lock.h - index.json.lock, the lock that BuildKit takes on a
 * layout (buildkit, client/ociindex: flock() on a file that it makes and,
 * after unlocking, removes; it never waits, but fails where it is locked).
 *
 * So it is held for a last look and some renames only, and let go of within
 * hold_ms. Because others remove it, a descriptor may be locked that is no
 * longer what the path says; then it is taken again. It is removed only while
 * it is held, and only where it is still the one that is held. One that is
 * there unlocked was left by a process that was stopped: it is taken, used
 * and removed like any other, which is what BuildKit does with it.
 */
#ifndef UL_STORE_OCI_INDEX_LOCK_H
#define UL_STORE_OCI_INDEX_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fs.h"

struct ul_err;

#define UL_INDEX_LOCK_NAME "index.json.lock"

struct ul_index_lock {
	int wait_ms;         /* for another program that has it */
	int hold_ms;         /* a batch is over after that */
	int pause_ms;        /* until the next batch; a signal ends it */
	ul_waiting *waiting; /* may be NULL */
	void *waiting_arg;
	size_t taken;       /* how often */
	int64_t longest_ns; /* the longest time that it was held */
	int layout_fd, fd;  /* -1: not held, or nobody can make it */
	int64_t since_ns;
};

/* 5 s; 25 ms, so that one slow rename more still ends within 50. */
#define UL_INDEX_LOCK_INIT                                                     \
	((struct ul_index_lock){ .wait_ms = 5000,                              \
				 .hold_ms = 25,                                \
				 .pause_ms = 25,                               \
				 .layout_fd = -1,                              \
				 .fd = -1 })

/*
 * Returns: 0; UL_E_BUSY (who has it is in the message); UL_E_IO. On a disk so
 * full that no file can be made nobody else can take it either: that is 0.
 */
int ul_index_lock_take(struct ul_index_lock *lock, int layout_fd,
		       struct ul_err *err);

/* Whether it has been held long enough. */
bool ul_index_lock_is_due(const struct ul_index_lock *lock);

/* Remove and release it. Where it is not held, nothing. */
void ul_index_lock_drop(struct ul_index_lock *lock);

/* Let others have their turn between two batches. */
void ul_index_lock_pause(const struct ul_index_lock *lock);

#endif
