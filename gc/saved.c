#include "gc/saved.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "gc/plan.h"
#include "store/graph/mark.h"
#include "store/view.h"

static const struct ul_view_image *image_of(const struct ul_view *view,
					    uint32_t name)
{
	size_t i, n;

	for (i = 0; i < view->image_count; i++) {
		for (n = 0; n < view->images[i].name_count; n++) {
			if (view->images[i].names[n] == name)
				return &view->images[i];
		}
	}
	return NULL;
}

static int root_check(const struct ul_view *view,
		      const struct ul_plan_item *item, uint32_t at,
		      struct ul_err *err)
{
	const struct ul_view_image *image =
	    at == UL_OBJECT_NONE ? NULL : image_of(view, at);

	if (!image)
		return ul_err_set(err, UL_E_CONFLICT,
				  "the plan no longer fits: %s is gone",
				  item->key);
	if (strcmp(image->digest, item->digest))
		return ul_err_set(err, UL_E_CONFLICT,
				  "the plan no longer fits: %s stands for "
				  "%.19s now, not %.19s",
				  item->key, image->digest, item->digest);
	if (image->is_pinned)
		return ul_err_set(err, UL_E_CONFLICT,
				  "the plan no longer fits: %s is pinned now",
				  item->key);
	if (image->containers)
		return ul_err_set(err, UL_E_CONFLICT,
				  "the plan no longer fits: %s is in use now",
				  item->key);
	return 0;
}

int ul_saved_roots(const struct ul_view *view, const struct ul_plan *saved,
		   struct ul_plan *plan, struct ul_bits *without,
		   struct ul_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < saved->remove.len; i++) {
		struct ul_plan_item item = saved->remove.items[i];

		item.object = ul_record_find(&view->record, item.kind, item.ns,
					     item.snapshotter, item.key);
		rc = root_check(view, &item, item.object, err);
		if (rc)
			return rc;
		ul_bits_set(without, item.object);
		rc = ul_plan_add(plan, &plan->remove, &item, err);
	}
	return rc;
}

static const struct ul_plan_item *find_item(const struct ul_plan_items *items,
					    const struct ul_plan_item *wanted)
{
	size_t i;

	for (i = 0; i < items->len; i++) {
		const struct ul_plan_item *item = &items->items[i];

		if (item->kind == wanted->kind &&
		    !strcmp(item->key, wanted->key) &&
		    !strcmp(item->ns, wanted->ns) &&
		    !strcmp(item->snapshotter, wanted->snapshotter))
			return item;
	}
	return NULL;
}

bool ul_saved_has(const struct ul_plan *saved, const struct ul_view *view,
		  uint32_t object)
{
	const struct ul_object *wanted = &view->record.objects[object];
	struct ul_plan_item item = {
		.kind = wanted->kind,
		.ns = wanted->ns,
		.snapshotter = wanted->snapshotter,
		.key = wanted->key,
	};

	return !saved || find_item(&saved->collect, &item);
}

int ul_saved_compare(const struct ul_plan *saved, const struct ul_plan *plan,
		     struct ul_err *err)
{
	size_t i;

	for (i = 0; i < saved->collect.len; i++) {
		const struct ul_plan_item *was = &saved->collect.items[i];
		const struct ul_plan_item *is = find_item(&plan->collect, was);

		if (!is)
			return ul_err_set(err, UL_E_CONFLICT,
					  "the plan no longer fits: %s %s is "
					  "needed again, or gone",
					  ul_kind_name(was->kind), was->key);
		if (is->allocated_bytes != was->allocated_bytes)
			return ul_err_set(
			    err, UL_E_CONFLICT,
			    "the plan no longer fits: %s %s gives back "
			    "%" PRIu64 " bytes now, not %" PRIu64,
			    ul_kind_name(was->kind), was->key,
			    is->allocated_bytes, was->allocated_bytes);
	}
	return 0;
}
