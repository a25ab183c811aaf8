/*
 * gc/saved.h - holding a fresh reading against a saved plan: exactly that
 * plan, or a refusal that says what changed (INVARIANTS: I4). Internal to gc.
 */
#ifndef UL_GC_SAVED_H
#define UL_GC_SAVED_H

#include <stdbool.h>
#include <stdint.h>

struct ul_bits;
struct ul_err;
struct ul_plan;
struct ul_view;

/*
 * Remove the roots that the saved plan names: into plan->remove, and as bits
 * into without; those that it declined are declined again. UL_E_CONFLICT where
 * a name is gone, stands for another digest now, is pinned or in use;
 * UL_E_NOMEM.
 */
int ul_saved_roots(const struct ul_view *view, const struct ul_plan *saved,
		   struct ul_plan *plan, struct ul_bits *without,
		   struct ul_err *err);

/* Set the bits of the objects that the saved plan collects. False: memory. */
bool ul_saved_collects(const struct ul_plan *saved, const struct ul_view *view,
		       struct ul_bits *ret_objects);

/*
 * UL_E_CONFLICT where the plan made now differs: "blob sha256:... is needed
 * again, or gone", "blob ... stays now: too young, may go from ...", "snapshot
 * ... gives back 8192 bytes now, not 4096"; UL_E_NOMEM.
 */
int ul_saved_compare(const struct ul_plan *saved, const struct ul_view *view,
		     const struct ul_plan *plan, struct ul_err *err);

#endif
