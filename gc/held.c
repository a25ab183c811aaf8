#include "gc/held.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "gc/plan.h"
#include "store/graph/graph.h"
#include "store/graph/mark.h"
#include "store/view.h"

struct held {
	struct ul_plan *plan;
	const struct ul_view *view;
	struct ul_bits pending; /* what only leases may hold, by object */
	struct ul_mark mark;
	size_t count; /* of what is pending */
	struct ul_err *err;
};

static void held_release(struct held *held)
{
	ul_bits_release(&held->pending);
	ul_mark_release(&held->mark);
}

/* What all other roots reach is none of the leases' doing. */
static int mark_others(struct held *held, const struct ul_bits *without)
{
	const struct ul_graph *graph = &held->view->graph;
	ul_cleanup(ul_bits_release) struct ul_bits others = UL_BITS_INIT;
	size_t i;
	int rc = ul_mark_init(&held->mark, graph, held->err);

	if (rc)
		return rc;
	if (!ul_bits_init(&others, graph->node_count))
		return ul_err_nomem(held->err);
	memcpy(others.words, without->words,
	       ((size_t)without->len + 63) / 64 * sizeof *others.words);
	for (i = 0; i < held->view->lease_count; i++)
		ul_bits_set(&others, held->view->leases[i].object);
	ul_mark_roots(&held->mark, graph, &others);
	return 0;
}

static bool has_lost(const struct ul_view_image *image,
		     const struct ul_bits *without)
{
	size_t i;

	for (i = 0; i < image->name_count; i++) {
		if (ul_bits_get(without, image->names[i]))
			return true;
	}
	return false;
}

static int pending_find(struct held *held, const struct ul_bits *without)
{
	const struct ul_view *view = held->view;
	size_t i;

	if (!ul_bits_init(&held->pending, view->graph.node_count))
		return ul_err_nomem(held->err);
	for (i = 0; i < view->image_count; i++) {
		uint32_t target = view->images[i].target;

		if (!has_lost(&view->images[i], without) ||
		    ul_mark_keeps(&held->mark, &view->graph, target))
			continue;
		ul_bits_set(&held->pending, target);
		held->count++;
	}
	return 0;
}

static int decline(struct held *held, uint32_t at, const char *lease)
{
	char reason[200];
	const struct ul_plan_item item =
	    ul_plan_item_of(held->view, at, reason);

	snprintf(reason, sizeof reason, "held by lease %.150s", lease);
	return ul_plan_add(held->plan, &held->plan->declined, &item, held->err);
}

/* What is reached now and was not before, the lease holds. */
static int lease_look(struct held *held, uint32_t lease)
{
	const struct ul_view *view = held->view;
	uint32_t at, last = (uint32_t)view->record.object_count;
	int rc = 0;

	ul_mark_from(&held->mark, &view->graph, &lease, 1);
	for (at = 0; !rc && at < last; at++) {
		if (!ul_bits_get(&held->pending, at) ||
		    !ul_mark_keeps(&held->mark, &view->graph, at))
			continue;
		held->pending.words[at >> 6] &= ~((uint64_t)1 << (at & 63));
		held->count--;
		rc = decline(held, at, view->record.objects[lease].key);
	}
	return rc;
}

int ul_held_decline(struct ul_plan *plan, const struct ul_view *view,
		    const struct ul_bits *without, struct ul_err *err)
{
	ul_cleanup(held_release) struct held held = {
		.plan = plan,
		.view = view,
		.pending = UL_BITS_INIT,
		.mark = UL_MARK_INIT,
		.err = err,
	};
	size_t i;
	int rc;

	if (!plan->remove.len || !view->lease_count)
		return 0;
	rc = mark_others(&held, without);
	if (!rc)
		rc = pending_find(&held, without);
	for (i = 0; !rc && held.count && i < view->lease_count; i++) {
		if (!view->leases[i].is_expired)
			rc = lease_look(&held, view->leases[i].object);
	}
	return rc;
}
