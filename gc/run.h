/*
 * gc/run.h - one collection: decided, carried out, recorded.
 */
#ifndef UL_GC_RUN_H
#define UL_GC_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "gc/plan.h"
#include "store/view.h"

struct ul_store;

struct ul_run_request {
	const char *command; /* "gc" or "prune", for the history */
	struct ul_plan_request plan;
	int64_t now_unix_s;
	/* Called with the plan, under the lock, before anything is done; 0
	 * goes on, another value ends the run with it. May be NULL, which
	 * spares the run a second look at the store. No place to wait for
	 * people: others wait for the lock. */
	int (*confirm)(void *arg, const struct ul_plan *plan);
	void *arg;
	bool (*progress)(void *arg, uint64_t objects, uint64_t bytes);
	void *progress_arg;
};

struct ul_run {
	struct ul_view view; /* the plan borrows from it */
	struct ul_plan plan; /* what was to be done */
	int64_t run;         /* number in the history */
	uint64_t planned_bytes, freed_bytes, trashed_bytes;
	int64_t overhead_delta_bytes; /* what shared folders and index gained */
	uint64_t removed;             /* roots */
	double seconds;
	bool is_left; /* something was left: exit status 3 */
	/* Of freed_bytes, what was deleted in place, as the disk was full. */
	uint64_t in_place_bytes;
	/* Why nothing else was done then: the rest of the run, names included,
	 * is still to do, it has no number, and the plan is that of what was
	 * deleted in place. code 0: it was done. */
	struct ul_err stopped;
};
#define UL_RUN_INIT                                                            \
	((struct ul_run){ .view = UL_VIEW_INIT, .plan = UL_PLAN_INIT })

/*
 * Lock, read twice, put back what the trash should not hold, plan, act:
 * names first, then records, then files to the trash, then the trash.
 * Upholds I1 to I11; see the steps in run.c. On a full disk, and with
 * plan.now, but neither a saved plan nor a confirm(), what gc would take goes
 * in place first (gc/in_place.h).
 * Owner:   *ret_run, released by ul_run_release(). On failure what was
 *          reached is in the history as "failed".
 * Returns: 0; what confirm returned; UL_E_REFUSED (the view's refusal);
 *          UL_E_CONFLICT (somebody else changed the store, also after a few
 *          tries, or so that the plan would be another: nothing moved);
 *          UL_E_BUSY; UL_E_ABSENT; UL_E_IO; UL_E_DB; UL_E_NOMEM.
 */
int ul_run_execute(struct ul_store *store, const struct ul_run_request *request,
		   struct ul_run *ret_run, struct ul_err *err);
void ul_run_release(struct ul_run *run);

/* Put a run's things and names back, under the lock; the history says so. */
int ul_run_undo(struct ul_store *store, int64_t run, size_t *ret_count,
		struct ul_err *err);

#endif
