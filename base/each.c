#include "base/each.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/err.h"

enum { THREADS_MAX = 16 };

struct each {
	ul_each_fn *work;
	void *arg;
	size_t count;
	atomic_size_t next;
	atomic_bool is_stopped;
	pthread_mutex_t lock; /* over the two below */
	int rc;
	struct ul_err *err;
};

static void each_fail(struct each *each, int rc, const struct ul_err *err)
{
	pthread_mutex_lock(&each->lock);
	if (!each->rc) {
		each->rc = rc;
		*each->err = *err;
	}
	pthread_mutex_unlock(&each->lock);
	atomic_store(&each->is_stopped, true);
}

static void each_work(struct each *each, bool is_caller)
{
	struct ul_err err = UL_ERR_INIT;
	size_t i;
	int rc;

	while (!atomic_load(&each->is_stopped)) {
		i = atomic_fetch_add(&each->next, 1);
		if (i >= each->count)
			return;
		rc = each->work(each->arg, i, is_caller, &err);
		if (rc < 0)
			each_fail(each, rc, &err);
	}
}

static void *each_thread(void *arg)
{
	each_work(arg, false);
	return NULL;
}

int ul_each(size_t count, size_t thread_count, ul_each_fn *work, void *arg,
	    struct ul_err *err)
{
	struct each each = {
		.work = work,
		.arg = arg,
		.count = count,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.err = err,
	};
	pthread_t threads[THREADS_MAX];
	size_t i, started = 0;

	if (thread_count > THREADS_MAX)
		thread_count = THREADS_MAX;
	if (thread_count > count)
		thread_count = count;
	while (started + 1 < thread_count &&
	       !pthread_create(&threads[started], NULL, each_thread, &each))
		started++;
	each_work(&each, true);
	for (i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	pthread_mutex_destroy(&each.lock);
	return each.rc;
}
