#include "gc/saved.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "gc/plan.h"
#include "store/graph/mark.h"
#include "store/view.h"

/* The image that a name stands for; the one of that digest where it stands
 * for several. */
static const struct ul_view_image *image_of(const struct ul_view *view,
					    uint32_t name, const char *digest)
{
	const struct ul_view_image *found = NULL;
	size_t i, n;

	for (i = 0; i < view->image_count; i++) {
		const struct ul_view_image *image = &view->images[i];

		for (n = 0; n < image->name_count; n++) {
			if (image->names[n] == name &&
			    (!found || !strcmp(image->digest, digest)))
				found = image;
		}
	}
	return found;
}

static int root_check(const struct ul_view *view,
		      const struct ul_plan_item *item, uint32_t at,
		      struct ul_err *err)
{
	const struct ul_view_image *image =
	    at == UL_OBJECT_NONE ? NULL : image_of(view, at, item->digest);

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

/* Roots that the rules spoke of and left are still left. */
static int roots_declined(const struct ul_view *view,
			  const struct ul_plan *saved, struct ul_plan *plan,
			  struct ul_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < saved->declined.len; i++) {
		struct ul_plan_item item = saved->declined.items[i];

		item.object = ul_record_find(&view->record, item.kind, item.ns,
					     item.snapshotter, item.key);
		if (item.kind == UL_KIND_IMAGE && item.object != UL_OBJECT_NONE)
			rc = ul_plan_add(plan, &plan->declined, &item, err);
	}
	return rc;
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
	return rc ? rc : roots_declined(view, saved, plan, err);
}

static uint32_t item_find(const struct ul_view *view,
			  const struct ul_plan_item *item)
{
	return ul_record_find(&view->record, item->kind, item->ns,
			      item->snapshotter, item->key);
}

bool ul_saved_collects(const struct ul_plan *saved, const struct ul_view *view,
		       struct ul_bits *ret_objects)
{
	size_t i;

	if (!ul_bits_init(ret_objects, (uint32_t)view->record.object_count))
		return false;
	for (i = 0; i < saved->collect.len; i++) {
		uint32_t at = item_find(view, &saved->collect.items[i]);

		if (at != UL_OBJECT_NONE)
			ul_bits_set(ret_objects, at);
	}
	return true;
}

static int item_compare(const struct ul_plan_item *was,
			const struct ul_plan_item *is, struct ul_err *err)
{
	if (!is)
		return ul_err_set(err, UL_E_CONFLICT,
				  "the plan no longer fits: %s %s is needed "
				  "again, or gone",
				  ul_kind_name(was->kind), was->key);
	if (is->allocated_bytes != was->allocated_bytes)
		return ul_err_set(err, UL_E_CONFLICT,
				  "the plan no longer fits: %s %s gives back "
				  "%" PRIu64 " bytes now, not %" PRIu64,
				  ul_kind_name(was->kind), was->key,
				  is->allocated_bytes, was->allocated_bytes);
	return 0;
}

int ul_saved_compare(const struct ul_plan *saved, const struct ul_view *view,
		     const struct ul_plan *plan, struct ul_err *err)
{
	/* By object: where it stands in plan->collect. */
	ul_cleanup(ul_freep) const struct ul_plan_item **items =
	    ul_calloc(view->record.object_count, sizeof *items);
	size_t i;
	int rc = 0;

	if (!items)
		return ul_err_nomem(err);
	for (i = 0; i < plan->collect.len; i++)
		items[plan->collect.items[i].object] = &plan->collect.items[i];
	for (i = 0; !rc && i < saved->collect.len; i++) {
		uint32_t at = item_find(view, &saved->collect.items[i]);

		rc = item_compare(&saved->collect.items[i],
				  at == UL_OBJECT_NONE ? NULL : items[at], err);
	}
	return rc;
}
