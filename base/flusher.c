#include "base/flusher.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

/* Much for one call, little for the disk. */
enum { FLUSH_BYTES = 8 << 20 };

struct ul_flusher {
	int fd;
	uint64_t bytes; /* not asked to be synced */
	bool has_thread;
	pthread_t thread;
	/* Shared, under lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_wanted; /* there is something to sync */
	bool is_ending;
	int error; /* the first errno of a sync */
};

int ul_flusher_open(int fd, struct ul_flusher **ret, struct ul_err *err)
{
	struct ul_flusher *flusher = ul_calloc(1, sizeof *flusher);

	if (!flusher)
		return ul_err_nomem(err);
	flusher->fd = fd;
	pthread_mutex_init(&flusher->lock, NULL);
	pthread_cond_init(&flusher->changed, NULL);
	*ret = flusher;
	return 0;
}

/* False: nothing is wanted any more. */
static bool wait_wanted(struct ul_flusher *flusher)
{
	while (!flusher->is_wanted && !flusher->is_ending)
		pthread_cond_wait(&flusher->changed, &flusher->lock);
	return !flusher->is_ending;
}

static void *flusher_thread(void *arg)
{
	struct ul_flusher *flusher = arg;
	int error;

	pthread_mutex_lock(&flusher->lock);
	while (wait_wanted(flusher)) {
		flusher->is_wanted = false;
		pthread_mutex_unlock(&flusher->lock);
		error = syncfs(flusher->fd) ? errno : 0;
		pthread_mutex_lock(&flusher->lock);
		if (!flusher->error)
			flusher->error = error;
	}
	pthread_mutex_unlock(&flusher->lock);
	return NULL;
}

/* Signals stay with the threads that expect them. Without this one, all is
 * done at the end. */
static void thread_start(struct ul_flusher *flusher)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	flusher->has_thread =
	    !pthread_create(&flusher->thread, NULL, flusher_thread, flusher);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void thread_end(struct ul_flusher *flusher)
{
	if (!flusher->has_thread)
		return;
	pthread_mutex_lock(&flusher->lock);
	flusher->is_ending = true;
	pthread_cond_signal(&flusher->changed);
	pthread_mutex_unlock(&flusher->lock);
	pthread_join(flusher->thread, NULL);
	flusher->has_thread = flusher->is_ending = flusher->is_wanted = false;
}

void ul_flusher_close(struct ul_flusher *flusher)
{
	if (!flusher)
		return;
	thread_end(flusher);
	pthread_cond_destroy(&flusher->changed);
	pthread_mutex_destroy(&flusher->lock);
	free(flusher);
}

void ul_flusher_add(struct ul_flusher *flusher, uint64_t bytes)
{
	flusher->bytes += bytes;
	if (flusher->bytes < FLUSH_BYTES)
		return;
	flusher->bytes = 0;
	if (!flusher->has_thread)
		thread_start(flusher);
	pthread_mutex_lock(&flusher->lock);
	flusher->is_wanted = true;
	pthread_cond_signal(&flusher->changed);
	pthread_mutex_unlock(&flusher->lock);
}

int ul_flusher_finish(struct ul_flusher *flusher, struct ul_err *err)
{
	int error = syncfs(flusher->fd) ? errno : 0;

	/* The kernel tells of a page that it could not write only once, and may
	 * have told the thread. */
	thread_end(flusher);
	flusher->bytes = 0;
	if (!flusher->error)
		flusher->error = error;
	errno = flusher->error;
	return errno ? ul_err_sys(err, "sync") : 0;
}
