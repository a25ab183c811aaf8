/*
 * gc/in_place.h - the last resort on a full disk (INVARIANTS: I11).
 *
 * Moving to the trash, and recording what is done, takes space: some blocks,
 * which the reserve gives as long as there is one. Where not even those are
 * there, what nothing needs is deleted where it lies. It is what gc would take
 * with --now, by the same plan, and nothing else: no name is removed.
 */
#ifndef UL_GC_IN_PLACE_H
#define UL_GC_IN_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gc/plan.h"
#include "store/view.h"

struct ul_err;
struct ul_run_request;
struct ul_store;

struct ul_in_place {
	struct ul_view view; /* the plan borrows from it */
	struct ul_plan plan; /* what was to be deleted */
	uint64_t freed_bytes;
	size_t freed_count;
	int64_t overhead_delta_bytes;
	bool is_left; /* something of the plan stayed */
};
#define UL_IN_PLACE_INIT                                                       \
	((struct ul_in_place){ .view = UL_VIEW_INIT, .plan = UL_PLAN_INIT })
void ul_in_place_release(struct ul_in_place *in_place);

/*
 * Without the lock, which it takes and lets go of. Nothing is recorded: what
 * goes on with the run says in the history what went.
 * Owner:   *ret_in_place, released by ul_in_place_release().
 * Returns: 0; UL_E_REFUSED (the view's refusal, leases and pins that cannot
 *          be read, a clock that is behind); UL_E_CONFLICT; UL_E_BUSY;
 *          UL_E_IO; UL_E_DB; UL_E_NOMEM. What was deleted before a failure
 *          stays deleted; nothing needed it.
 */
int ul_in_place_run(struct ul_store *store,
		    const struct ul_run_request *request,
		    struct ul_in_place *ret_in_place, struct ul_err *err);

#endif
