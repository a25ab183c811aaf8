#include "service/workers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/err.h"
#include "base/mem.h"

enum { MANY = 500 };

/* A piece of work that counts what happens to it, and may wait at a gate. */
struct piece {
	struct ul_work work;
	atomic_int *running, *most;
	pthread_mutex_t *gate; /* NULL: none */
	int runs, dones, cancels;
	size_t *left; /* pieces not yet called back; the loop ends at 0 */
	struct ev_loop *loop;
};

static void piece_run(struct ul_work *work)
{
	struct piece *piece = (struct piece *)work;
	int now = atomic_fetch_add(piece->running, 1) + 1;
	int most = atomic_load(piece->most);

	while (now > most &&
	       !atomic_compare_exchange_weak(piece->most, &most, now))
		;
	if (piece->gate) {
		pthread_mutex_lock(piece->gate);
		pthread_mutex_unlock(piece->gate);
	}
	piece->runs++;
	atomic_fetch_sub(piece->running, 1);
}

static void piece_done(struct ul_work *work)
{
	struct piece *piece = (struct piece *)work;

	piece->dones++;
	piece->cancels += work->is_cancelled;
	if (!--*piece->left)
		ev_break(piece->loop, EVBREAK_ALL);
}

struct fixture {
	struct ev_loop *loop;
	struct ul_workers *workers;
	struct piece pieces[MANY];
	atomic_int running, most;
	pthread_mutex_t gate;
	size_t left;
};

static void fixture_init(struct fixture *fixture, unsigned threads,
			 size_t queue_max, bool is_gated)
{
	struct ul_err err = UL_ERR_INIT;
	size_t i;

	*fixture =
	    (struct fixture){ .loop = ev_loop_new(EVFLAG_AUTO), .left = MANY };
	pthread_mutex_init(&fixture->gate, NULL);
	assert_int_equal(ul_workers_new(fixture->loop, "test", threads,
					queue_max, &fixture->workers, &err),
			 0);
	for (i = 0; i < MANY; i++)
		fixture->pieces[i] = (struct piece){
			.work = { .run = piece_run, .done = piece_done },
			.running = &fixture->running,
			.most = &fixture->most,
			.gate = is_gated ? &fixture->gate : NULL,
			.left = &fixture->left,
			.loop = fixture->loop,
		};
}

static void fixture_release(struct fixture *fixture)
{
	ul_workers_free(fixture->workers);
	ev_loop_destroy(fixture->loop);
	pthread_mutex_destroy(&fixture->gate);
}

/* The pool alone does not keep a loop alive. */
static void loop_run(struct ev_loop *loop)
{
	ev_ref(loop);
	ev_run(loop, 0);
	ev_unref(loop);
}

static void all_run_and_called_back_once(unsigned threads)
{
	static struct fixture fixture;
	struct ul_err err = UL_ERR_INIT;
	size_t i;

	fixture_init(&fixture, threads, MANY, false);
	for (i = 0; i < MANY; i++)
		assert_int_equal(ul_workers_add(fixture.workers,
						&fixture.pieces[i].work, &err),
				 0);
	loop_run(fixture.loop);
	for (i = 0; i < MANY; i++) {
		assert_int_equal(fixture.pieces[i].runs, 1);
		assert_int_equal(fixture.pieces[i].dones, 1);
		assert_int_equal(fixture.pieces[i].cancels, 0);
	}
	assert_in_range(fixture.most, 1, threads);
	assert_int_equal(ul_workers_waiting(fixture.workers), 0);
	assert_int_equal(ul_workers_running(fixture.workers), 0);
	fixture_release(&fixture);
}

static void test_workers__run_each_piece_once(void **state)
{
	(void)state;
	all_run_and_called_back_once(4);
}

static void test_workers__of_one_thread_are_a_queue(void **state)
{
	(void)state;
	all_run_and_called_back_once(1);
}

static void test_workers__take_no_more_than_may_wait(void **state)
{
	static struct fixture fixture;
	struct ul_err err = UL_ERR_INIT;
	size_t taken = 0;

	(void)state;
	fixture_init(&fixture, 2, 10, true);
	pthread_mutex_lock(&fixture.gate);
	while (
	    !ul_workers_add(fixture.workers, &fixture.pieces[taken].work, &err))
		taken++;
	assert_int_equal(err.code, UL_E_BUSY);
	/* Ten wait, and up to two were taken meanwhile. */
	assert_in_range(taken, 10, 12);
	assert_int_equal(fixture.pieces[taken].dones, 0);
	fixture.left = taken;
	pthread_mutex_unlock(&fixture.gate);
	loop_run(fixture.loop);
	assert_int_equal(fixture.left, 0);
	assert_int_equal(fixture.pieces[taken].runs, 0);
	fixture_release(&fixture);
}

static void test_workers__call_back_all_when_they_end(void **state)
{
	static struct fixture fixture;
	struct ul_err err = UL_ERR_INIT;
	size_t i, runs = 0, cancels = 0;

	(void)state;
	fixture_init(&fixture, 2, MANY, true);
	pthread_mutex_lock(&fixture.gate);
	for (i = 0; i < MANY; i++)
		ul_workers_add(fixture.workers, &fixture.pieces[i].work, &err);
	ul_workers_close(fixture.workers);
	assert_int_equal(
	    ul_workers_add(fixture.workers, &fixture.pieces[0].work, &err),
	    UL_E_BUSY);
	pthread_mutex_unlock(&fixture.gate);
	ul_workers_free(ul_steal(fixture.workers));
	for (i = 0; i < MANY; i++) {
		assert_int_equal(fixture.pieces[i].dones, 1);
		assert_int_equal(
		    fixture.pieces[i].runs + fixture.pieces[i].cancels, 1);
		runs += fixture.pieces[i].runs;
		cancels += fixture.pieces[i].cancels;
	}
	assert_in_range(runs, 0, 2);
	assert_int_equal(runs + cancels, MANY);
	fixture_release(&fixture);
}

static void test_workers__need_memory(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct ul_workers *workers = NULL;
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	ul_mem_countdown = 0;
	assert_int_equal(ul_workers_new(loop, "test", 1, 1, &workers, &err),
			 UL_E_NOMEM);
	ul_mem_countdown = -1;
	assert_null(workers);
	ul_workers_free(NULL);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_workers__run_each_piece_once),
		cmocka_unit_test(test_workers__of_one_thread_are_a_queue),
		cmocka_unit_test(test_workers__take_no_more_than_may_wait),
		cmocka_unit_test(test_workers__call_back_all_when_they_end),
		cmocka_unit_test(test_workers__need_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
