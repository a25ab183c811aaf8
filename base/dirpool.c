#include "base/dirpool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"

enum {
	POOL_THREADS_MAX = 64,
	/* Tops taken at once: plain files cost less than the lock. */
	POOL_BATCH_MAX = 64,
	POOL_TICK_MS = 100,
	/* Descriptors kept: of those allowed a quarter, never a flood. */
	POOL_KEPT_MIN = 8,
	POOL_KEPT_MAX = 512,
	POOL_CLIMB_MAX = 16,
};

static size_t cpu_count(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set))
		return 1;
	return (size_t)CPU_COUNT(&set);
}

size_t ul_dirpool_threads(size_t wanted)
{
	size_t count = wanted ? wanted : 2 * cpu_count();

	/* More than processors: on a cold disk, most of them wait. */
	if (!wanted && count < 4)
		count = 4;
	if (!wanted && count > 8)
		count = 8;
	return count < POOL_THREADS_MAX ? count : POOL_THREADS_MAX;
}

static int kept_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) ||
	    limit.rlim_cur / 4 >= POOL_KEPT_MAX)
		return POOL_KEPT_MAX;
	limit.rlim_cur /= 4;
	return limit.rlim_cur > POOL_KEPT_MIN ? (int)limit.rlim_cur
					      : POOL_KEPT_MIN;
}

void ul_dirpool_stop(struct ul_dirpool *pool)
{
	pthread_mutex_lock(&pool->lock);
	atomic_store(&pool->is_stopped, true);
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
}

static void spare_set(struct ul_dirpool_worker *worker, int fd,
		      const struct ul_dirpool_dir *dir)
{
	ul_closep(&worker->spare_fd);
	worker->spare_fd = fd;
	worker->spare_id = dir->id;
	worker->spare_depth = dir->depth;
}

static bool spare_is(const struct ul_dirpool_worker *worker,
		     const struct ul_dirpool_dir *dir)
{
	return worker->spare_fd >= 0 && worker->spare_id == dir->id;
}

static bool is_same(int fd, const struct ul_dirpool_dir *dir)
{
	struct statx st;

	return !ul_scan_stat(fd, "", &st) && st.stx_ino == dir->ino &&
	       ul_scan_dev(&st) == dir->dev;
}

/* The descriptor that a way down can start from, or -1. */
static int start_fd(const struct ul_dirpool_worker *worker,
		    const struct ul_dirpool_dir *dir)
{
	if (!dir)
		return worker->pool->dirfd;
	return spare_is(worker, dir) ? worker->spare_fd : dir->fd;
}

/* Down from the nearest directory above that has a descriptor. */
static int open_down(const struct ul_dirpool_worker *worker,
		     const struct ul_dirpool_dir *dir)
{
	ul_cleanup(ul_freep) const struct ul_dirpool_dir **chain = NULL;
	ul_cleanup(ul_closep) int held = -1;
	const struct ul_dirpool_dir *above;
	size_t len = 0;
	int fd;

	for (above = dir; (fd = start_fd(worker, above)) == -1;
	     above = above->parent)
		len++;
	chain = ul_malloc(len * sizeof *chain);
	if (!chain)
		return -1;
	for (len = 0; dir != above; dir = dir->parent)
		chain[len++] = dir;
	while (len--) {
		fd = openat(fd, chain[len]->name,
			    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		ul_closep(&held);
		if (fd < 0)
			return -1;
		held = fd;
	}
	return ul_fd_steal(&held);
}

/*
 * Up from the directory used last, which is mostly right below: a guess, made
 * good by looking at what was reached. -1 where it was wrong.
 */
static int open_up(const struct ul_dirpool_worker *worker,
		   const struct ul_dirpool_dir *dir)
{
	char dots[sizeof "../" * POOL_CLIMB_MAX] = "..";
	size_t len = strlen(dots);
	uint32_t steps = worker->spare_depth - dir->depth;
	int fd;

	if (worker->spare_fd < 0 || worker->spare_depth <= dir->depth ||
	    steps > POOL_CLIMB_MAX)
		return -1;
	while (--steps) {
		memcpy(dots + len, "/..", sizeof "/..");
		len += strlen("/..");
	}
	fd = openat(worker->spare_fd, dots, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && !is_same(fd, dir))
		ul_closep(&fd);
	return fd;
}

int ul_dirpool_parent_fd(struct ul_dirpool_worker *worker,
			 const struct ul_dirpool_dir *dir)
{
	const struct ul_dirpool_dir *parent = dir->parent;
	int fd;

	if (!parent)
		return worker->pool->dirfd;
	if (parent->fd >= 0)
		return parent->fd;
	if (spare_is(worker, parent))
		return worker->spare_fd;
	fd = open_up(worker, parent);
	if (fd < 0)
		fd = open_down(worker, parent);
	if (fd < 0)
		return -1;
	if (!is_same(fd, parent)) {
		close(fd);
		errno = ENOENT;
		return -1;
	}
	spare_set(worker, fd, parent);
	return fd;
}

void ul_dirpool_settle(struct ul_dirpool_worker *worker,
		       struct ul_dirpool_dir *dir, int fd)
{
	struct ul_dirpool *pool = worker->pool;
	bool is_needed = worker->added_count > 0;

	if (is_needed) {
		if (atomic_fetch_add(&pool->kept_count, 1) < pool->kept_max) {
			dir->fd = fd;
			return;
		}
		atomic_fetch_sub(&pool->kept_count, 1);
	} else {
		/* Leaving goes up through "..", where nothing shorter is. */
		is_needed = pool->ops->leave && dir->parent &&
			    dir->parent->fd < 0 &&
			    !spare_is(worker, dir->parent);
	}
	if (is_needed)
		spare_set(worker, fd, dir);
	else
		close(fd);
}

char *ul_dirpool_path(const struct ul_dirpool_dir *dir, const char *name)
{
	const struct ul_dirpool_dir *at;
	size_t len = name ? strlen(name) + 1 : 0;
	char *path, *end;

	for (at = dir; at; at = at->parent)
		len += strlen(at->name) + 1;
	path = ul_malloc(len);
	if (!path)
		return NULL;
	end = path + len - 1;
	*end = '\0';
	for (at = dir; at; name = at->name, at = at->parent) {
		if (!name)
			continue;
		end -= strlen(name);
		memcpy(end, name, strlen(name));
		*--end = '/';
	}
	memcpy(path, name, (size_t)(end - path));
	return path;
}

static void worker_append(struct ul_dirpool_worker *worker,
			  struct ul_dirpool_dir *dir)
{
	dir->next = NULL;
	*worker->added_end = dir;
	worker->added_end = &dir->next;
	worker->added_count++;
}

struct ul_dirpool_dir *ul_dirpool_add(struct ul_dirpool_worker *worker,
				      struct ul_dirpool_dir *parent,
				      size_t tree, const char *name)
{
	size_t len = strlen(name) + 1;
	struct ul_dirpool_dir *dir = ul_malloc(sizeof *dir + len);

	if (!dir)
		return NULL;
	*dir = (struct ul_dirpool_dir){
		.parent = parent,
		.id = (uint64_t)worker->index << 56 | ++worker->id_count,
		.tree = tree,
		.depth = parent ? parent->depth + 1 : 0,
		.fd = -1,
	};
	atomic_init(&dir->refs, 1);
	memcpy(dir->name, name, len);
	if (parent)
		atomic_fetch_add(&parent->refs, 1);
	worker_append(worker, dir);
	return dir;
}

static void dir_close(struct ul_dirpool *pool, struct ul_dirpool_dir *dir)
{
	if (dir->fd < 0)
		return;
	ul_closep(&dir->fd);
	atomic_fetch_sub(&pool->kept_count, 1);
}

/* One reason less to keep a directory; the last one leaves it. */
static void dir_drop(struct ul_dirpool_worker *worker,
		     struct ul_dirpool_dir *dir)
{
	struct ul_dirpool *pool = worker->pool;

	while (dir && atomic_fetch_sub(&dir->refs, 1) == 1) {
		struct ul_dirpool_dir *parent = dir->parent;

		if (pool->ops->leave && !atomic_load(&pool->is_stopped) &&
		    !pool->ops->leave(worker, dir)) {
			dir_close(pool, dir);
			atomic_store(&dir->refs, 1);
			worker_append(worker, dir);
			return;
		}
		dir_close(pool, dir);
		free(dir);
		dir = parent;
	}
}

static void pool_push(struct ul_dirpool *pool, struct ul_dirpool_worker *worker)
{
	size_t wake = worker->added_count;

	if (!worker->added_count)
		return;
	*worker->added_end = pool->stack;
	pool->stack = worker->added;
	pool->stack_len += worker->added_count;
	worker->added = NULL;
	worker->added_end = &worker->added;
	worker->added_count = 0;
	/* This worker takes one itself. */
	if (wake - 1 >= pool->sleeping)
		pthread_cond_broadcast(&pool->wake);
	else
		while (--wake)
			pthread_cond_signal(&pool->wake);
}

/* What a worker does next: a directory, or some tops. */
struct job {
	struct ul_dirpool_dir *dir;
	size_t tree, tree_end;
};

static bool pool_take(struct ul_dirpool *pool, struct job *ret)
{
	size_t left = pool->tree_count - pool->next_tree, batch;

	*ret = (struct job){ .dir = pool->stack };
	if (ret->dir) {
		pool->stack = ret->dir->next;
		pool->stack_len--;
		return true;
	}
	if (!left)
		return false;
	batch = left / (4 * pool->thread_count) + 1;
	if (batch > POOL_BATCH_MAX)
		batch = POOL_BATCH_MAX;
	ret->tree = pool->next_tree;
	pool->next_tree += batch;
	ret->tree_end = pool->next_tree;
	return true;
}

static void pool_wait(struct ul_dirpool *pool, struct ul_dirpool_worker *worker)
{
	struct timespec until;

	pool->sleeping++;
	if (worker->index) {
		pthread_cond_wait(&pool->wake, &pool->lock);
	} else {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += POOL_TICK_MS * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000L;
		}
		pthread_cond_timedwait(&pool->wake, &pool->lock, &until);
	}
	pool->sleeping--;
}

static void pool_tick(struct ul_dirpool *pool, struct ul_dirpool_worker *worker)
{
	int64_t now;

	if (worker->index || !pool->ops->tick)
		return;
	now = ul_clock_mono_ns();
	if (pool->tick_mono_ns &&
	    now - pool->tick_mono_ns < POOL_TICK_MS * 1000000LL)
		return;
	pool->tick_mono_ns = now;
	if (!pool->ops->tick(pool))
		ul_dirpool_stop(pool);
}

enum next { NEXT_END, NEXT_JOB, NEXT_TICK };

static enum next worker_next(struct ul_dirpool_worker *worker, bool was_active,
			     struct job *ret)
{
	struct ul_dirpool *pool = worker->pool;
	enum next next = NEXT_JOB;

	pthread_mutex_lock(&pool->lock);
	pool->active -= was_active;
	pool_push(pool, worker);
	while (next == NEXT_JOB) {
		if (atomic_load(&pool->is_stopped)) {
			next = NEXT_END;
		} else if (pool_take(pool, ret)) {
			pool->active++;
			break;
		} else if (!pool->active) {
			pthread_cond_broadcast(&pool->wake);
			next = NEXT_END;
		} else {
			pool_wait(pool, worker);
			if (!worker->index && !pool->stack)
				next = NEXT_TICK;
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return next;
}

static void worker_do(struct ul_dirpool_worker *worker, const struct job *job)
{
	struct ul_dirpool *pool = worker->pool;
	size_t tree;

	if (job->dir) {
		pool->ops->visit(worker, job->dir);
		dir_drop(worker, job->dir);
		return;
	}
	for (tree = job->tree; tree < job->tree_end; tree++) {
		if (atomic_load(&pool->is_stopped))
			return;
		pool->ops->top(worker, tree);
	}
}

static void pool_start(struct ul_dirpool *pool);

static void worker_run(struct ul_dirpool_worker *worker)
{
	struct ul_dirpool *pool = worker->pool;
	struct job job;
	enum next next;
	bool was_active = false;

	do {
		pool_tick(pool, worker);
		next = worker_next(worker, was_active, &job);
		was_active = next == NEXT_JOB;
		if (!was_active)
			continue;
		if (!worker->index)
			pool_start(pool);
		worker_do(worker, &job);
	} while (next != NEXT_END);
	ul_closep(&worker->spare_fd);
	ul_scan_release(&worker->scan);
}

static void *worker_main(void *arg)
{
	worker_run(arg);
	return NULL;
}

static bool pool_is_busy(struct ul_dirpool *pool)
{
	bool is_busy;

	pthread_mutex_lock(&pool->lock);
	is_busy = pool->stack_len > 1 ||
		  pool->tree_count - pool->next_tree > POOL_BATCH_MAX;
	pthread_mutex_unlock(&pool->lock);
	return is_busy;
}

/* What the calling thread has made the disk read, in the kernel's units. */
static long inblock_read(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_inblock;
}

/* What is in memory keeps few threads busy; those that wait for a disk leave
 * it and the processors room for more. */
static size_t pool_wanted(const struct ul_dirpool *pool)
{
	if (!pool->warm_count || inblock_read() > pool->inblock)
		return pool->thread_count;
	return pool->warm_count;
}

/* Start the others once it pays. Without them all is done here. */
static void pool_start(struct ul_dirpool *pool)
{
	sigset_t all, before;
	size_t wanted;

	if (pool->started == pool->thread_count || !pool_is_busy(pool))
		return;
	wanted = pool_wanted(pool);
	if (pool->started >= wanted)
		return;
	/* Signals stay with the threads that expect them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (; pool->started < wanted; pool->started++) {
		struct ul_dirpool_worker *worker =
		    &pool->workers[pool->started];

		if (pthread_create(&worker->thread, NULL, worker_main, worker))
			break;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void pool_init(struct ul_dirpool *pool)
{
	pthread_condattr_t attr;
	size_t i;

	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->wake, &attr);
	pthread_condattr_destroy(&attr);
	pool->kept_max = kept_max();
	pool->started = 1;
	pool->inblock = inblock_read();
	for (i = 0; i < pool->thread_count; i++) {
		struct ul_dirpool_worker *worker = &pool->workers[i];

		worker->pool = pool;
		worker->index = i;
		worker->added_end = &worker->added;
		worker->spare_fd = -1;
	}
}

int ul_dirpool_run(struct ul_dirpool *pool, struct ul_err *err)
{
	size_t i;

	pool->thread_count = ul_dirpool_threads(pool->thread_count);
	pool->workers = ul_calloc(pool->thread_count, sizeof *pool->workers);
	if (!pool->workers)
		return ul_err_nomem(err);
	pool_init(pool);
	worker_run(&pool->workers[0]);
	for (i = 1; i < pool->started; i++)
		pthread_join(pool->workers[i].thread, NULL);
	while (pool->stack) {
		struct ul_dirpool_dir *dir = pool->stack;

		pool->stack = dir->next;
		dir_drop(&pool->workers[0], dir);
	}
	assert(!atomic_load(&pool->kept_count));
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(ul_steal(pool->workers));
	return 0;
}
