/*
 * service/workers.h - threads that work for a loop.
 *
 * Nothing on the loop blocks: what reads a disk, asks SQLite or waits for a
 * lock is a piece of work. Each is carried out once, by one thread, and then
 * called back once, on the loop; or it is called back as cancelled without
 * having been carried out. A pool of one thread is a queue of things that are
 * done one after the other.
 *
 * All functions are for the loop's thread, but for ul_work.run.
 */
#ifndef UL_SERVICE_WORKERS_H
#define UL_SERVICE_WORKERS_H

#include <stdbool.h>
#include <stddef.h>

struct ev_loop;
struct ul_err;
struct ul_workers;

struct ul_work {
	/* On a thread of the pool. */
	void (*run)(struct ul_work *work);
	/* On the loop, after run; or instead of it, with is_cancelled. The
	 * work is the caller's again and may be freed. */
	void (*done)(struct ul_work *work);
	bool is_cancelled;
	struct ul_work *next; /* the pool's */
};

/*
 * Start `thread_count` threads for at most queue_max pieces of work that wait.
 * `name` is what the threads are called (15 bytes).
 * Owner:   *ret_workers, released by ul_workers_free() while the loop lives.
 * Returns: 0; UL_E_IO (no thread); UL_E_NOMEM.
 */
int ul_workers_new(struct ev_loop *loop, const char *name,
		   unsigned thread_count, size_t queue_max,
		   struct ul_workers **ret_workers, struct ul_err *err);

/*
 * Queue a piece of work; `work` is the pool's until done is called, which is
 * never before this returns.
 * Returns: 0; UL_E_BUSY (as many wait as may, or the pool is closing): done is
 *          not called.
 */
int ul_workers_add(struct ul_workers *workers, struct ul_work *work,
		   struct ul_err *err);

/* How many wait, and how many are being carried out. */
size_t ul_workers_waiting(struct ul_workers *workers);
size_t ul_workers_running(struct ul_workers *workers);

/*
 * From here on nothing new is taken. What waits is called back as cancelled
 * in the loop's next turn; what runs goes on.
 */
void ul_workers_close(struct ul_workers *workers);

/*
 * Close, wait for what runs, call back all that was not yet. NULL is fine.
 */
void ul_workers_free(struct ul_workers *workers);

#endif
