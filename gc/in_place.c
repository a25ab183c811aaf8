#include "gc/in_place.h"

#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "gc/run.h"
#include "gc/scan.h"
#include "store/backend.h"
#include "store/graph/graph.h"

void ul_in_place_release(struct ul_in_place *in_place)
{
	ul_plan_release(&in_place->plan);
	ul_view_release(&in_place->view);
	*in_place = UL_IN_PLACE_INIT;
}

static void unlockp(struct ul_store **store)
{
	if (*store)
		(*store)->ops->unlock(*store);
}

/* I7: with unknown references, or a clock that is behind, nothing goes. */
static int check(const struct ul_view *view, struct ul_err *err)
{
	const char *why = view->refusal ? view->refusal : view->waiting;

	return why ? ul_err_set(err, UL_E_REFUSED, "nothing was collected: %s",
				why)
		   : 0;
}

/* Leases have no file: their records go with a run that can write. */
static int delete_objects(struct ul_store *store, struct ul_in_place *in_place,
			  struct ul_swept *swept, struct ul_err *err)
{
	const struct ul_plan_items *collect = &in_place->plan.collect;
	ul_cleanup(ul_freep) uint32_t *objects =
	    ul_malloc(collect->len * sizeof *objects);
	size_t i, count = 0;

	if (!objects)
		return ul_err_nomem(err);
	for (i = 0; i < collect->len; i++) {
		if (collect->items[i].trash == SIZE_MAX &&
		    collect->items[i].kind != UL_KIND_LEASE)
			objects[count++] = collect->items[i].object;
	}
	return count ? store->ops->delete_in_place(store, &in_place->view,
						   objects, count, swept, err)
		     : 0;
}

/* What lies in the trash is out of everybody's way already. */
static int delete_trash(struct ul_store *store, struct ul_in_place *in_place,
			struct ul_swept *swept, struct ul_err *err)
{
	const struct ul_plan_items *collect = &in_place->plan.collect;
	ul_cleanup(ul_freep) size_t *positions =
	    ul_malloc(collect->len * sizeof *positions);
	size_t i, count = 0;

	if (!positions)
		return ul_err_nomem(err);
	for (i = 0; i < collect->len; i++) {
		if (collect->items[i].trash != SIZE_MAX)
			positions[count++] = collect->items[i].trash;
	}
	return count
		   ? store->ops->empty_trash(store, &in_place->view, positions,
					     count, NULL, false, swept, err)
		   : 0;
}

static int delete_all(struct ul_store *store, struct ul_in_place *in_place,
		      uint64_t before_bytes, struct ul_err *err)
{
	ul_cleanup(ul_swept_release) struct ul_swept swept = UL_SWEPT_INIT;
	uint64_t after_bytes;
	int rc = delete_trash(store, in_place, &swept, err);

	if (!rc)
		rc = delete_objects(store, in_place, &swept, err);
	in_place->freed_bytes = swept.freed_bytes;
	in_place->freed_count = swept.freed_count;
	in_place->is_left = swept.is_cut || rc;
	/* What stayed the run that goes on meets again. */
	if (!rc || swept.freed_count)
		rc = store->ops->overhead(store, &after_bytes, err);
	if (rc)
		return rc;
	in_place->overhead_delta_bytes = (int64_t)(after_bytes - before_bytes);
	return 0;
}

int ul_in_place_run(struct ul_store *store,
		    const struct ul_run_request *request,
		    struct ul_in_place *ret_in_place, struct ul_err *err)
{
	ul_cleanup(ul_in_place_release) struct ul_in_place in_place =
	    UL_IN_PLACE_INIT;
	ul_cleanup(unlockp) struct ul_store *locked = NULL;
	struct ul_plan_request plan = request->plan;
	uint64_t before_bytes = 0;
	int rc = store->ops->lock_full(store, err);

	if (rc)
		return rc;
	locked = store;
	plan.rule = NULL; /* roots stay */
	rc = ul_gc_scan_restored(store, request, &in_place.view, &before_bytes,
				 err);
	if (!rc)
		rc = check(&in_place.view, err);
	if (!rc)
		rc = ul_plan_build(&in_place.view, &plan, &in_place.plan, err);
	if (!rc)
		rc = delete_all(store, &in_place, before_bytes, err);
	if (rc)
		return rc;
	*ret_in_place = in_place;
	in_place = UL_IN_PLACE_INIT;
	return 0;
}
