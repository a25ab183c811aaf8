/*
 * How a plan comes about:
 *
 *	1. the policy chooses roots; tags that follow a subject join them
 *	2. mark from the roots that stay: what is reached, is kept (I1)
 *	   what only leases hold of removed images stands in declined
 *	3. of the rest, what is young or mounted is declined, and marked
 *	   from, so that what it refers to is kept with it (I2, I10)
 *	4. of the trash, what is due (or, with --now, all) goes; the rest
 *	   keeps the inodes it shares, as do links from outside the store
 *	5. what no pass has reached is collected; an inode that several of
 *	   those share is counted with the first
 */
#define XXH_INLINE_ALL
#include "gc/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "gc/held.h"
#include "gc/saved.h"
#include "store/followers.h"
#include "store/graph/mark.h"
#include "store/view.h"

void ul_plan_release(struct ul_plan *plan)
{
	free(plan->remove.items);
	free(plan->collect.items);
	free(plan->declined.items);
	ul_arena_release(&plan->arena);
	*plan = UL_PLAN_INIT;
}

bool ul_plan_empties(const struct ul_plan_request *request)
{
	return request->now || (!request->grace_s && !request->is_shared);
}

bool ul_plan_is_mounted(const struct ul_plan_request *request,
			const struct ul_view_file *file)
{
	return file->is_mounted ||
	       (file->may_be_mounted && !request->is_exclusive);
}

static const char *plan_text(struct ul_plan *plan, const char *text)
{
	return text && *text ? ul_arena_strdup(&plan->arena, text) : "";
}

int ul_plan_add(struct ul_plan *plan, struct ul_plan_items *items,
		const struct ul_plan_item *item, struct ul_err *err)
{
	struct ul_plan_item *grown =
	    ul_grow(items->items, &items->cap, items->len + 1, sizeof *grown);
	struct ul_plan_item *copy;

	if (!grown)
		return ul_err_nomem(err);
	items->items = grown;
	copy = &grown[items->len];
	*copy = *item;
	copy->ns = plan_text(plan, item->ns);
	copy->snapshotter = plan_text(plan, item->snapshotter);
	copy->key = plan_text(plan, item->key);
	copy->reason = plan_text(plan, item->reason);
	copy->digest = plan_text(plan, item->digest);
	if (!copy->ns || !copy->snapshotter || !copy->key || !copy->reason ||
	    !copy->digest)
		return ul_err_nomem(err);
	items->len++;
	return 0;
}

static void hash_text(XXH3_state_t *state, const char *text)
{
	XXH3_128bits_update(state, text, strlen(text) + 1);
}

static void hash_items(XXH3_state_t *state, const struct ul_plan_items *items,
		       bool with_bytes)
{
	size_t i;

	for (i = 0; i < items->len; i++) {
		const struct ul_plan_item *item = &items->items[i];

		XXH3_128bits_update(state, &item->kind, sizeof item->kind);
		hash_text(state, item->ns);
		hash_text(state, item->snapshotter);
		hash_text(state, item->key);
		hash_text(state, item->digest);
		if (with_bytes)
			XXH3_128bits_update(state, &item->allocated_bytes,
					    sizeof item->allocated_bytes);
	}
	hash_text(state, "end");
}

void ul_plan_seal(struct ul_plan *plan)
{
	XXH3_state_t state;
	XXH128_hash_t hash;

	XXH3_128bits_reset(&state);
	hash_items(&state, &plan->remove, false);
	hash_items(&state, &plan->collect, true);
	hash = XXH3_128bits_digest(&state);
	snprintf(plan->fingerprint, sizeof plan->fingerprint, "%016llx%016llx",
		 (unsigned long long)hash.high64,
		 (unsigned long long)hash.low64);
}

/* Everything that deciding needs, beside view and request. */
struct decide {
	struct ul_view *view;
	const struct ul_plan_request *request;
	struct ul_plan *plan;
	struct ul_bits without; /* roots that go */
	struct ul_bits saved;   /* objects that the saved plan collects */
	struct ul_mark before;  /* what all roots reach */
	struct ul_mark kept;    /* what stays, after all passes */
	uint8_t *trash_goes;    /* by position in view->trash */
	uint32_t *trash_at;     /* by object: position, or NONE */
	struct ul_err *err;
};

static void decide_release(struct decide *decide)
{
	ul_bits_release(&decide->without);
	ul_bits_release(&decide->saved);
	ul_mark_release(&decide->before);
	ul_mark_release(&decide->kept);
	free(decide->trash_goes);
	free(decide->trash_at);
}

struct ul_plan_item ul_plan_item_of(const struct ul_view *view, uint32_t at,
				    const char *reason)
{
	const struct ul_object *object = &view->record.objects[at];

	return (struct ul_plan_item){
		.kind = object->kind,
		.ns = object->ns,
		.snapshotter = object->snapshotter,
		.key = object->key,
		.reason = reason,
		.object = at,
		.trash = SIZE_MAX,
	};
}

static int plan_remove(struct decide *decide, uint32_t image, uint32_t object,
		       const char *reason)
{
	struct ul_plan_item item =
	    ul_plan_item_of(decide->view, object, reason);

	item.digest = decide->view->images[image].digest;
	ul_bits_set(&decide->without, object);
	return ul_plan_add(decide->plan, &decide->plan->remove, &item,
			   decide->err);
}

static int plan_decline(struct decide *decide, uint32_t object,
			const char *reason, int64_t not_before_unix_s)
{
	struct ul_plan_item item =
	    ul_plan_item_of(decide->view, object, reason);

	item.not_before_unix_s = not_before_unix_s;
	return ul_plan_add(decide->plan, &decide->plan->declined, &item,
			   decide->err);
}

/*
 * A name that stands for two images (others write such indexes) has a verdict
 * for each. It goes as a whole, so it goes only where both say so.
 */
static int take_verdicts(struct decide *decide,
			 const struct ul_verdict *verdicts, size_t count)
{
	ul_cleanup(ul_bits_release) struct ul_bits stays = UL_BITS_INIT;
	size_t i;
	int rc = 0;

	if (!ul_bits_init(&stays, decide->view->graph.node_count))
		return ul_err_nomem(decide->err);
	for (i = 0; i < count; i++) {
		if (verdicts[i].kind != UL_VERDICT_REMOVED)
			ul_bits_set(&stays, verdicts[i].object);
	}
	for (i = 0; !rc && i < count; i++) {
		const struct ul_verdict *verdict = &verdicts[i];

		if (verdict->kind == UL_VERDICT_REMOVED &&
		    ul_bits_get(&stays, verdict->object))
			rc = plan_decline(decide, verdict->object,
					  "stands for another image too", 0);
		else if (verdict->kind == UL_VERDICT_REMOVED)
			rc = plan_remove(decide, verdict->image,
					 verdict->object, verdict->reason);
		else if (verdict->kind == UL_VERDICT_DECLINED)
			rc = plan_decline(decide, verdict->object,
					  verdict->reason, 0);
	}
	return rc;
}

/* Images all of whose names go; tags of signatures follow them. */
static int take_followers(struct decide *decide)
{
	const struct ul_view *view = decide->view;
	ul_cleanup(ul_followers_release) struct ul_followers followers =
	    UL_FOLLOWERS_INIT;
	ul_cleanup(ul_freep) bool *chosen =
	    ul_calloc(view->image_count, sizeof *chosen);
	ul_cleanup(ul_freep) bool *was =
	    ul_calloc(view->image_count, sizeof *was);
	size_t i, n;
	int rc;

	if (!chosen || !was)
		return ul_err_nomem(decide->err);
	rc = ul_followers_build(view, &followers, decide->err);
	if (rc)
		return rc;
	for (i = 0; i < view->image_count; i++) {
		const struct ul_view_image *image = &view->images[i];

		chosen[i] = image->name_count > 0;
		for (n = 0; n < image->name_count; n++)
			chosen[i] = chosen[i] && ul_bits_get(&decide->without,
							     image->names[n]);
		was[i] = chosen[i];
	}
	ul_followers_choose(&followers, chosen);
	for (i = 0; !rc && i < view->image_count; i++) {
		for (n = 0; !rc && chosen[i] && !was[i] &&
			    n < view->images[i].name_count;
		     n++)
			rc = plan_remove(decide, (uint32_t)i,
					 view->images[i].names[n],
					 "follows its subject");
	}
	return rc;
}

static int choose_roots(struct decide *decide)
{
	ul_cleanup(ul_freep) struct ul_verdict *verdicts = NULL;
	size_t count = 0;
	int rc;

	if (decide->request->saved)
		return ul_saved_roots(decide->view, decide->request->saved,
				      decide->plan, &decide->without,
				      decide->err);
	if (!decide->request->rule)
		return 0;
	rc = ul_policy_judge(decide->view, decide->request->rule, &verdicts,
			     &count, decide->err);
	if (!rc)
		rc = take_verdicts(decide, verdicts, count);
	return rc ? rc : take_followers(decide);
}

static int mark_roots(struct decide *decide)
{
	const struct ul_graph *graph = &decide->view->graph;
	int rc = ul_mark_init(&decide->before, graph, decide->err);

	if (!rc)
		rc = ul_mark_init(&decide->kept, graph, decide->err);
	if (rc)
		return rc;
	ul_mark_roots(&decide->before, graph, NULL);
	ul_mark_roots(&decide->kept, graph, &decide->without);
	return 0;
}

static bool is_kept(const struct decide *decide, uint32_t object)
{
	return ul_mark_keeps(&decide->kept, &decide->view->graph, object);
}

/* What a file may be judged by: 0 now, else the time from which it may go. */
static int64_t young_until(const struct decide *decide,
			   const struct ul_view_file *file)
{
	const struct ul_object *object =
	    &decide->view->record.objects[file->object];
	int64_t latest = file->newest_unix_s;
	int64_t grace_s = decide->request->grace_s;
	bool is_ours = ul_mark_keeps(&decide->before, &decide->view->graph,
				     file->object) ||
		       object->is_released;

	if (file->min_grace_s > grace_s)
		grace_s = file->min_grace_s;
	if (is_ours || !grace_s)
		return 0;
	if (object->reachable_unix_s > latest)
		latest = object->reachable_unix_s;
	if (decide->view->as_of_unix_s - latest > grace_s)
		return 0;
	return latest + grace_s + 1;
}

/* Kept although nothing reaches it; what it refers to is kept with it. */
static int keep_with_all(struct decide *decide, uint32_t object,
			 const char *reason, int64_t not_before_unix_s)
{
	int rc = plan_decline(decide, object, reason, not_before_unix_s);

	if (!rc)
		ul_mark_from(&decide->kept, &decide->view->graph, &object, 1);
	return rc;
}

/* Why what is too young stays. Many are of the same second as the last. */
struct young_reason {
	int64_t until_unix_s;
	char text[96];
};

static void young_reason_set(struct young_reason *reason, int64_t until_unix_s)
{
	char when[UL_TIME_TEXT_MAX];

	if (reason->until_unix_s == until_unix_s)
		return;
	ul_time_format(until_unix_s, when);
	snprintf(reason->text, sizeof reason->text, "too young, may go from %s",
		 when);
	reason->until_unix_s = until_unix_s;
}

static int decline_young(struct decide *decide)
{
	const struct ul_view *view = decide->view;
	struct young_reason reason = { .until_unix_s = 0 };
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < view->file_count; i++) {
		const struct ul_view_file *file = &view->files[i];
		int64_t until_unix_s;

		if (file->is_trash || file->is_ingest ||
		    is_kept(decide, file->object))
			continue;
		until_unix_s = young_until(decide, file);
		if (ul_plan_is_mounted(decide->request, file)) {
			rc = keep_with_all(
			    decide, file->object,
			    file->is_mounted
				? "mounted"
				: "may be mounted: not all mounts are shown "
				  "to this user",
			    0);
		} else if (until_unix_s) {
			young_reason_set(&reason, until_unix_s);
			rc = keep_with_all(decide, file->object, reason.text,
					   until_unix_s);
		}
	}
	return rc;
}

/* What another database has swept is not ours to give up early (DESIGN 2). */
static int decline_foreign(struct decide *decide,
			   const struct ul_view_trash *trash)
{
	char when[UL_TIME_TEXT_MAX], reason[96];

	ul_time_format(trash->delete_unix_s, when);
	snprintf(reason, sizeof reason,
		 "another database's trash, may go from %s", when);
	return plan_decline(decide, trash->object, reason,
			    trash->delete_unix_s);
}

/* Of the trash: what goes now, and what still holds its inodes. */
static int judge_trash(struct decide *decide)
{
	const struct ul_view *view = decide->view;
	size_t i;
	int rc = 0;

	decide->trash_goes = ul_calloc(view->trash_count, 1);
	decide->trash_at =
	    ul_malloc(view->record.object_count * sizeof *decide->trash_at);
	if (!decide->trash_goes || !decide->trash_at)
		return ul_err_nomem(decide->err);
	for (i = 0; i < view->record.object_count; i++)
		decide->trash_at[i] = UL_OBJECT_NONE;
	for (i = 0; !rc && i < view->trash_count; i++) {
		const struct ul_view_trash *trash = &view->trash[i];
		bool is_due = view->as_of_unix_s >= trash->delete_unix_s ||
			      (decide->request->now && !trash->is_foreign);

		decide->trash_at[trash->object] = (uint32_t)i;
		decide->trash_goes[i] = is_due && !trash->is_wanted;
		if (!decide->trash_goes[i])
			ul_mark_from(&decide->kept, &view->graph,
				     &trash->object, 1);
		if (decide->request->now && !is_due)
			rc = decline_foreign(decide, trash);
	}
	return rc;
}

/* Bytes of a file node and of the inodes that nobody else holds any more. */
static uint64_t claim_bytes(struct decide *decide, uint32_t node)
{
	const struct ul_graph *graph = &decide->view->graph;
	uint32_t from = decide->kept.order_len;
	uint64_t bytes = 0;

	ul_mark_from(&decide->kept, graph, &node, 1);
	for (; from < decide->kept.order_len; from++)
		bytes += graph->nodes[decide->kept.order[from]].weight_bytes;
	return bytes;
}

static int collect_file(struct decide *decide, const struct ul_view_file *file)
{
	struct ul_plan *plan = decide->plan;
	struct ul_plan_item item =
	    ul_plan_item_of(decide->view, file->object, "");
	uint32_t trash = decide->trash_at[file->object];
	int rc;

	if (trash != UL_OBJECT_NONE)
		item.trash = trash;
	item.allocated_bytes = claim_bytes(decide, file->node);
	rc = ul_plan_add(plan, &plan->collect, &item, decide->err);
	if (rc)
		return rc;
	plan->freed_bytes += item.allocated_bytes;
	if (trash != UL_OBJECT_NONE || ul_plan_empties(decide->request))
		plan->now_bytes += item.allocated_bytes;
	return 0;
}

/* Whether a saved plan lets it go; any does where there is none. */
static bool saved_takes(const struct decide *decide, uint32_t object)
{
	return !decide->request->saved || ul_bits_get(&decide->saved, object);
}

static void judge_files(struct decide *decide, uint8_t *goes)
{
	const struct ul_view *view = decide->view;
	size_t i;

	for (i = 0; i < view->file_count; i++) {
		const struct ul_view_file *file = &view->files[i];

		if (file->is_trash)
			goes[i] =
			    decide->trash_goes[decide->trash_at[file->object]];
		else
			goes[i] =
			    !file->is_ingest && !is_kept(decide, file->object);
	}
}

/*
 * Decide first which files go, then claim: claiming marks file nodes, and a
 * file that is collected must not look kept because its inode was claimed.
 * What a saved plan does not speak of stays, with all that it refers to.
 */
static int collect_files(struct decide *decide)
{
	const struct ul_view *view = decide->view;
	ul_cleanup(ul_freep) uint8_t *goes = ul_calloc(view->file_count, 1);
	size_t i;
	int rc = 0;

	if (!goes)
		return ul_err_nomem(decide->err);
	judge_files(decide, goes);
	for (i = 0; i < view->file_count; i++) {
		if (goes[i] && !saved_takes(decide, view->files[i].object))
			ul_mark_from(&decide->kept, &view->graph,
				     &view->files[i].object, 1);
	}
	if (decide->request->saved) {
		for (i = 0; i < view->file_count; i++)
			goes[i] = goes[i] &&
				  saved_takes(decide, view->files[i].object) &&
				  !is_kept(decide, view->files[i].object);
	}
	for (i = 0; !rc && i < view->file_count; i++) {
		if (goes[i])
			rc = collect_file(decide, &view->files[i]);
	}
	return rc;
}

/* Leases that have expired hold nothing; their records go (0 bytes). */
static int collect_leases(struct decide *decide)
{
	const struct ul_view *view = decide->view;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < view->lease_count; i++) {
		struct ul_plan_item item;

		if (!view->leases[i].is_expired ||
		    !saved_takes(decide, view->leases[i].object))
			continue;
		item =
		    ul_plan_item_of(decide->view, view->leases[i].object, "");
		rc = ul_plan_add(decide->plan, &decide->plan->collect, &item,
				 decide->err);
	}
	return rc;
}

static int decline_leased(struct decide *decide)
{
	return ul_held_decline(decide->plan, decide->view, &decide->without,
			       decide->err);
}

static int decide_all(struct decide *decide)
{
	static int (*const steps[])(struct decide *) = {
		choose_roots,  mark_roots,  decline_leased,
		decline_young, judge_trash,
	};
	size_t i;
	int rc = 0;

	if (!ul_bits_init(&decide->without, decide->view->graph.node_count))
		return ul_err_nomem(decide->err);
	if (decide->request->saved &&
	    !ul_saved_collects(decide->request->saved, decide->view,
			       &decide->saved))
		return ul_err_nomem(decide->err);
	for (i = 0; !rc && i < ul_array_len(steps); i++)
		rc = steps[i](decide);
	if (rc)
		return rc;
	rc = collect_files(decide);
	return rc ? rc : collect_leases(decide);
}

int ul_plan_build(struct ul_view *view, const struct ul_plan_request *request,
		  struct ul_plan *ret_plan, struct ul_err *err)
{
	ul_cleanup(ul_plan_release) struct ul_plan plan = UL_PLAN_INIT;
	ul_cleanup(decide_release) struct decide decide = {
		.view = view,
		.request = request,
		.plan = &plan,
		.without = UL_BITS_INIT,
		.saved = UL_BITS_INIT,
		.before = UL_MARK_INIT,
		.kept = UL_MARK_INIT,
		.err = err,
	};
	int rc = decide_all(&decide);

	if (rc)
		return rc;
	ul_plan_seal(&plan);
	if (request->saved)
		rc = ul_saved_compare(request->saved, view, &plan, err);
	if (rc)
		return rc;
	*ret_plan = plan;
	plan = UL_PLAN_INIT;
	return 0;
}
