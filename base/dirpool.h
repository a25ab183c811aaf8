/*
 * base/dirpool.h - many directories visited by a few threads.
 *
 * The engine below base/walk.h and base/remove.h. Each tree's top is offered
 * once; what the visitor adds is visited newest first, so that few wait; a
 * directory is left when all below it were. A directory with children keeps
 * its descriptor until then, as far as a budget taken from RLIMIT_NOFILE
 * goes; beyond it, directories are opened again name by name, so neither
 * depth nor path length has a limit.
 */
#ifndef UL_BASE_DIRPOOL_H
#define UL_BASE_DIRPOOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/scan.h"

struct ul_err;

struct ul_dirpool_dir {
	struct ul_dirpool_dir *parent; /* NULL: a top */
	struct ul_dirpool_dir *next;   /* in the pool's stack */
	uint64_t id;                   /* unique within the pool */
	/* The visitor's, set when it opens the directory. */
	uint64_t dev, ino, mnt_id, allocated_bytes;
	size_t tree;
	uint32_t depth;   /* 0: a top */
	atomic_uint refs; /* its own visit, and children not yet left */
	int fd;           /* -1: not kept */
	uint8_t visits;   /* the visitor's */
	bool in_split;    /* the visitor's */
	char name[];      /* of a top: its path below the pool's dirfd */
};

struct ul_dirpool_worker {
	struct ul_dirpool *pool;
	size_t index; /* 0: the thread that called ul_dirpool_run() */
	pthread_t thread;
	struct ul_scan scan; /* for the visitor */
	struct ul_dirpool_dir *added;
	struct ul_dirpool_dir **added_end;
	size_t added_count;
	uint64_t id_count;
	/* One more descriptor, the last one used, of this directory. */
	uint64_t spare_id;
	uint32_t spare_depth;
	int spare_fd;
};

struct ul_dirpool_ops {
	/* Look at the top of tree number `tree`, perhaps add it. */
	void (*top)(struct ul_dirpool_worker *worker, size_t tree);
	/* Open a directory, add those in it, ul_dirpool_settle(). */
	void (*visit)(struct ul_dirpool_worker *worker,
		      struct ul_dirpool_dir *dir);
	/* All below was left; false: visit it again. May be NULL. */
	bool (*leave)(struct ul_dirpool_worker *worker,
		      struct ul_dirpool_dir *dir);
	/* From worker 0, ten times a second at most; false stops the pool.
	 * May be NULL. */
	bool (*tick)(struct ul_dirpool *pool);
};

struct ul_dirpool {
	/* In. */
	const struct ul_dirpool_ops *ops;
	void *user;
	int dirfd;
	size_t tree_count;
	size_t thread_count; /* 0: chosen; afterwards the number chosen */
	size_t warm_count;   /* of those, when no disk is read; 0: all */

	/* The engine's. */
	struct ul_dirpool_worker *workers; /* owned during a run */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct ul_dirpool_dir *stack;
	size_t stack_len;
	size_t next_tree;
	size_t active;
	size_t sleeping;
	size_t started;
	long inblock; /* what the caller's thread had read before */
	int64_t tick_mono_ns;
	atomic_int kept_count;
	int kept_max;
	atomic_bool is_stopped;
};

/* The number of threads that 0 stands for, and the most there can be. */
size_t ul_dirpool_threads(size_t wanted);

/*
 * Visit everything. Failures are the visitor's to keep.
 * Thread:  any; the caller works too, others are started when there is
 *          enough to do and have ended on return.
 * Returns: 0 or UL_E_NOMEM, where nothing was visited.
 */
int ul_dirpool_run(struct ul_dirpool *pool, struct ul_err *err);

/* No further top or visit; those under way end. Nothing is left then. */
void ul_dirpool_stop(struct ul_dirpool *pool);

/*
 * From top() or visit(): have a directory visited. The result is the
 * engine's, but for the visitor's fields until the function returns.
 * NULL without memory.
 */
struct ul_dirpool_dir *ul_dirpool_add(struct ul_dirpool_worker *worker,
				      struct ul_dirpool_dir *parent,
				      size_t tree, const char *name);

/*
 * The descriptor that dir->name is relative to, perhaps O_PATH, perhaps
 * AT_FDCWD; borrowed until the next call or ul_dirpool_settle(). -1 with
 * errno where it cannot be had: ENOENT where the parent has moved away.
 */
int ul_dirpool_parent_fd(struct ul_dirpool_worker *worker,
			 const struct ul_dirpool_dir *dir);

/* At the end of visit(): hand over the directory's own descriptor. */
void ul_dirpool_settle(struct ul_dirpool_worker *worker,
		       struct ul_dirpool_dir *dir, int fd);

/*
 * The path of a name in a directory (NULL: of the directory itself), as seen
 * from the pool's dirfd. free() it. NULL without memory.
 */
char *ul_dirpool_path(const struct ul_dirpool_dir *dir, const char *name);

#endif
