#include "gc/saved.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/search.h"
#include "gc/plan.h"
#include "store/graph/mark.h"
#include "store/view.h"

/* A name, and an image that it stands for. */
struct named {
	uint32_t name, image;
};

static int named_cmp(const void *a, const void *b)
{
	const struct named *left = a, *right = b;

	if (left->name != right->name)
		return left->name < right->name ? -1 : 1;
	return left->image < right->image ? -1 : left->image > right->image;
}

static struct named *named_list(const struct ul_view *view, size_t *ret_count)
{
	struct named *list;
	size_t i, n, count = 0;

	for (i = 0; i < view->image_count; i++)
		count += view->images[i].name_count;
	list = ul_malloc(count * sizeof *list);
	*ret_count = count;
	for (i = 0, count = 0; list && i < view->image_count; i++) {
		for (n = 0; n < view->images[i].name_count; n++)
			list[count++] = (struct named){
				.name = view->images[i].names[n],
				.image = (uint32_t)i,
			};
	}
	if (list && count)
		qsort(list, count, sizeof *list, named_cmp);
	return list;
}

/* The image that a name stands for; the one of that digest where it stands
 * for several. */
static const struct ul_view_image *image_of(const struct ul_view *view,
					    const struct named *list,
					    size_t count, uint32_t name,
					    const char *digest)
{
	const struct ul_view_image *found = NULL;
	const struct named first = { .name = name };
	size_t at =
	    ul_lower_bound(&first, list, count, sizeof *list, named_cmp);

	for (; at < count && list[at].name == name; at++) {
		const struct ul_view_image *image =
		    &view->images[list[at].image];

		if (!found || !strcmp(image->digest, digest))
			found = image;
	}
	return found;
}

static int root_check(const struct ul_plan_item *item,
		      const struct ul_view_image *image, struct ul_err *err)
{
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
	size_t i, count;
	ul_cleanup(ul_freep) struct named *names = named_list(view, &count);
	int rc = 0;

	if (!names)
		return ul_err_nomem(err);
	for (i = 0; !rc && i < saved->remove.len; i++) {
		struct ul_plan_item item = saved->remove.items[i];

		item.object = ul_record_find(&view->record, item.kind, item.ns,
					     item.snapshotter, item.key);
		rc = root_check(
		    &item,
		    image_of(view, names, count, item.object, item.digest),
		    err);
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

/* Of what is not to be collected now: it may be too young, or mounted. */
static int item_absent(const struct ul_plan_item *was, uint32_t object,
		       const struct ul_plan *plan, struct ul_err *err)
{
	size_t i;

	for (i = 0; object != UL_OBJECT_NONE && i < plan->declined.len; i++) {
		if (plan->declined.items[i].object == object)
			return ul_err_set(err, UL_E_CONFLICT,
					  "the plan no longer fits: %s %s "
					  "stays now: %s",
					  ul_kind_name(was->kind), was->key,
					  plan->declined.items[i].reason);
	}
	return ul_err_set(err, UL_E_CONFLICT,
			  "the plan no longer fits: %s %s is needed again, "
			  "or gone",
			  ul_kind_name(was->kind), was->key);
}

static int item_compare(const struct ul_plan_item *was,
			const struct ul_plan_item *is, struct ul_err *err)
{
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

		if (at == UL_OBJECT_NONE || !items[at])
			return item_absent(&saved->collect.items[i], at, plan,
					   err);
		rc = item_compare(&saved->collect.items[i], items[at], err);
	}
	return rc;
}
