/*
 * base/flusher.h - what is being written to a file system becomes durable
 * while more is written, so that the end has less to wait for.
 */
#ifndef UL_BASE_FLUSHER_H
#define UL_BASE_FLUSHER_H

#include <stdint.h>

struct ul_err;
struct ul_flusher;

/*
 * For the file system that fd (no O_PATH) lies on. A thread is started when
 * there is something to do.
 * Owner:   fd stays the caller's, and open; *ret is ul_flusher_close()d.
 * Returns: 0, UL_E_NOMEM.
 */
int ul_flusher_open(int fd, struct ul_flusher **ret, struct ul_err *err);

/* Wait for what is under way, and free. Accepts NULL. */
void ul_flusher_close(struct ul_flusher *flusher);

/*
 * So many bytes were written since the last call, or since any number of
 * them: every few megabytes, what there is begins to be synced. Never fails
 * and hardly waits. From one thread.
 */
void ul_flusher_add(struct ul_flusher *flusher, uint64_t bytes);

/*
 * Everything that was written is durable when this returns 0. UL_E_IO: it is
 * not, or may not be since an earlier sync has failed; then for ever.
 */
int ul_flusher_finish(struct ul_flusher *flusher, struct ul_err *err);

#endif
