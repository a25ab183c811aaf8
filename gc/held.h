/*
 * gc/held.h - what stays although its names go: a lease holds it.
 *
 * A prune removes names. Where a lease holds the same content nothing comes
 * back of it, and the plan says whose doing that is.
 */
#ifndef UL_GC_HELD_H
#define UL_GC_HELD_H

struct ul_bits;
struct ul_err;
struct ul_plan;
struct ul_view;

/*
 * Add to plan->declined each image whose names in plan->remove were all that
 * held it but for leases: as its manifest's blob, with the first lease that
 * does as the reason. `without` (by node) are the roots that go.
 * Returns: 0; UL_E_NOMEM.
 */
int ul_held_decline(struct ul_plan *plan, const struct ul_view *view,
		    const struct ul_bits *without, struct ul_err *err);

#endif
