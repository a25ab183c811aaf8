#include "service/workers.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

struct list {
	struct ul_work *first, **end;
	size_t len;
};

struct ul_workers {
	struct ev_loop *loop;
	ev_async finished; /* something is in `ended` */
	pthread_mutex_t mutex;
	pthread_cond_t added;
	struct list waiting, ended;
	size_t queue_max, running;
	bool is_closed;
	unsigned thread_count;
	pthread_t threads[];
};

static void list_init(struct list *list)
{
	list->first = NULL;
	list->end = &list->first;
	list->len = 0;
}

static void list_add(struct list *list, struct ul_work *work)
{
	work->next = NULL;
	*list->end = work;
	list->end = &work->next;
	list->len++;
}

static struct ul_work *list_shift(struct list *list)
{
	struct ul_work *work = list->first;

	if (!work)
		return NULL;
	list->first = work->next;
	if (!list->first)
		list->end = &list->first;
	list->len--;
	return work;
}

/* The next piece, or NULL: the pool is closed. Locked before and after. */
static struct ul_work *next_wait(struct ul_workers *workers)
{
	while (!workers->is_closed && !workers->waiting.first)
		pthread_cond_wait(&workers->added, &workers->mutex);
	return workers->is_closed ? NULL : list_shift(&workers->waiting);
}

static void *thread_run(void *arg)
{
	struct ul_workers *workers = arg;
	struct ul_work *work;

	pthread_mutex_lock(&workers->mutex);
	while ((work = next_wait(workers))) {
		workers->running++;
		pthread_mutex_unlock(&workers->mutex);
		work->run(work);
		pthread_mutex_lock(&workers->mutex);
		workers->running--;
		list_add(&workers->ended, work);
		ev_async_send(workers->loop, &workers->finished);
	}
	pthread_mutex_unlock(&workers->mutex);
	return NULL;
}

static struct ul_work *ended_shift(struct ul_workers *workers)
{
	struct ul_work *work;

	pthread_mutex_lock(&workers->mutex);
	work = list_shift(&workers->ended);
	pthread_mutex_unlock(&workers->mutex);
	return work;
}

/* A callback may add work: without the lock. */
static void call_back(struct ul_workers *workers)
{
	struct ul_work *work;

	while ((work = ended_shift(workers)))
		work->done(work);
}

static void on_finished(struct ev_loop *loop, ev_async *async, int events)
{
	(void)loop;
	(void)events;
	call_back(async->data);
}

/* Signals are the loop's. */
static int thread_start(struct ul_workers *workers, const char *name)
{
	pthread_t *thread = &workers->threads[workers->thread_count];
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(thread, NULL, thread_run, workers);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return rc;
	pthread_setname_np(*thread, name);
	workers->thread_count++;
	return 0;
}

static struct ul_workers *workers_make(struct ev_loop *loop,
				       unsigned thread_count, size_t queue_max)
{
	struct ul_workers *workers =
	    ul_calloc(1, sizeof *workers + thread_count * sizeof(pthread_t));

	if (!workers)
		return NULL;
	workers->loop = loop;
	workers->queue_max = queue_max;
	list_init(&workers->waiting);
	list_init(&workers->ended);
	pthread_mutex_init(&workers->mutex, NULL);
	pthread_cond_init(&workers->added, NULL);
	ev_async_init(&workers->finished, on_finished);
	workers->finished.data = workers;
	ev_async_start(loop, &workers->finished);
	/* A loop with nothing else to wait for may end. */
	ev_unref(loop);
	return workers;
}

int ul_workers_new(struct ev_loop *loop, const char *name,
		   unsigned thread_count, size_t queue_max,
		   struct ul_workers **ret_workers, struct ul_err *err)
{
	struct ul_workers *workers =
	    workers_make(loop, thread_count, queue_max);
	int rc = 0;

	assert(thread_count > 0);
	if (!workers)
		return ul_err_nomem(err);
	while (!rc && workers->thread_count < thread_count)
		rc = thread_start(workers, name);
	if (rc) {
		ul_workers_free(workers);
		errno = rc;
		return ul_err_sys(err, "starting a thread");
	}
	*ret_workers = workers;
	return 0;
}

int ul_workers_add(struct ul_workers *workers, struct ul_work *work,
		   struct ul_err *err)
{
	bool is_full;

	pthread_mutex_lock(&workers->mutex);
	is_full =
	    workers->is_closed || workers->waiting.len >= workers->queue_max;
	if (!is_full) {
		work->is_cancelled = false;
		list_add(&workers->waiting, work);
		pthread_cond_signal(&workers->added);
	}
	pthread_mutex_unlock(&workers->mutex);
	return is_full ? ul_err_set(err, UL_E_BUSY,
				    "too much is waiting to be done; try again "
				    "later")
		       : 0;
}

size_t ul_workers_waiting(struct ul_workers *workers)
{
	size_t len;

	pthread_mutex_lock(&workers->mutex);
	len = workers->waiting.len;
	pthread_mutex_unlock(&workers->mutex);
	return len;
}

size_t ul_workers_running(struct ul_workers *workers)
{
	size_t running;

	pthread_mutex_lock(&workers->mutex);
	running = workers->running;
	pthread_mutex_unlock(&workers->mutex);
	return running;
}

void ul_workers_close(struct ul_workers *workers)
{
	struct ul_work *work;

	pthread_mutex_lock(&workers->mutex);
	workers->is_closed = true;
	while ((work = list_shift(&workers->waiting))) {
		work->is_cancelled = true;
		list_add(&workers->ended, work);
	}
	pthread_cond_broadcast(&workers->added);
	pthread_mutex_unlock(&workers->mutex);
	ev_async_send(workers->loop, &workers->finished);
}

void ul_workers_free(struct ul_workers *workers)
{
	unsigned i;

	if (!workers)
		return;
	ul_workers_close(workers);
	for (i = 0; i < workers->thread_count; i++)
		pthread_join(workers->threads[i], NULL);
	call_back(workers);
	ev_ref(workers->loop);
	ev_async_stop(workers->loop, &workers->finished);
	pthread_cond_destroy(&workers->added);
	pthread_mutex_destroy(&workers->mutex);
	free(workers);
}
