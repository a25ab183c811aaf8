/*
 * base/each.h - the same work on many things, by a few threads.
 */
#ifndef UL_BASE_EACH_H
#define UL_BASE_EACH_H

#include <stdbool.h>
#include <stddef.h>

struct ul_err;

/*
 * Called for 0 to count - 1, each once, by any of the threads; is_caller
 * where that is the one which called ul_each(). 0, or negative with *err: no
 * further one is begun then.
 */
typedef int ul_each_fn(void *arg, size_t i, bool is_caller, struct ul_err *err);

/*
 * Work on `count` things with thread_count threads at most, the caller's
 * among them. Where no thread can be started, the caller works alone.
 * Returns: 0, or what the first call that failed has returned, with its *err.
 */
int ul_each(size_t count, size_t thread_count, ul_each_fn *work, void *arg,
	    struct ul_err *err);

#endif
