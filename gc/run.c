/*
 * The steps of a run, all under the store's lock:
 *
 *	scan        reads the index twice; refusal and waiting end it (I7)
 *	restore     what the trash holds but something needs goes back (I1)
 *	plan        the same function as a dry run (I4)
 *	begin       the run stands in the history before anything changes
 *	roots       names leave the index, durably
 *	scan again  where names went, a caller was asked meanwhile, or others
 *	            have changed something: what appeared since counts (I6)
 *	sweep       records, then files to the trash (I3)
 *	empty       what is due, or with --now all, is deleted (I5)
 *	end         the history gets what really happened
 *
 * A scan is as good as a new one while ops->expect() says so. So a run scans
 * once, to plan; a second time where names went, because the sweep has to
 * see the index without them; and a third time only where another program
 * changed the store between the sweep and the deletion (I1, I6). What was
 * freed is added up as it goes, and needs none (I5).
 *
 * Where the disk is so full that a step fails for it, gc/in_place.h makes room
 * and all of it is done again (I11).
 */
#include "gc/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "gc/history.h"
#include "gc/in_place.h"
#include "gc/scan.h"
#include "store/backend.h"
#include "store/graph/mark.h"

void ul_run_release(struct ul_run *run)
{
	ul_plan_release(&run->plan);
	ul_view_release(&run->view);
	*run = UL_RUN_INIT;
}

/* Plans, when the index was changed by others between plan and move. */
enum { RUN_TRIES = 5 };

/* What one try leaves to the next. */
struct tries {
	char agreed[33];  /* fingerprint of the first plan; "" in that */
	uint64_t removed; /* roots */
	const struct ul_in_place *in_place; /* what made room; NULL */
};

struct act {
	struct ul_store *store;
	const struct ul_run_request *request;
	struct ul_run *run;
	struct tries *tries;
	struct ul_view later; /* after the roots went, where it was needed */
	const struct ul_view *view; /* that the sweep goes by */
	struct ul_swept swept;
	uint64_t overhead_before_bytes;
	bool is_measured; /* overhead_before_bytes is */
	struct ul_err *err;
};

static void unlockp(struct ul_store **store)
{
	if (*store)
		(*store)->ops->unlock(*store);
}

static int act_scan(struct act *act, struct ul_view *ret_view)
{
	return ul_gc_scan(act->store, act->request, ret_view, act->err);
}

static int act_scan_restored(struct act *act, struct ul_view *ret_view)
{
	uint64_t bytes = 0;
	int rc = ul_gc_scan_restored(act->store, act->request, ret_view, &bytes,
				     act->err);

	if (!act->is_measured)
		act->overhead_before_bytes = bytes;
	act->is_measured = true;
	return rc;
}

static int act_scan_first(struct act *act)
{
	int rc = act_scan_restored(act, &act->run->view);

	if (!rc && act->run->view.refusal)
		return ul_err_set(act->err, UL_E_REFUSED,
				  "nothing was collected: %s",
				  act->run->view.refusal);
	return rc;
}

static int act_plan(struct act *act)
{
	struct ul_run *run = act->run;
	char *agreed = act->tries->agreed;
	int rc = ul_plan_build(&run->view, &act->request->plan, &run->plan,
			       act->err);

	if (rc)
		return rc;
	run->planned_bytes += run->plan.freed_bytes;
	run->is_left = run->plan.declined.len > 0;
	if (*agreed && strcmp(agreed, run->plan.fingerprint) != 0)
		return ul_err_set(act->err, UL_E_CONFLICT,
				  "the store was changed by another program "
				  "just now; try again");
	memcpy(agreed, run->plan.fingerprint, sizeof run->plan.fingerprint);
	if (act->request->confirm)
		return act->request->confirm(act->request->arg, &run->plan);
	return 0;
}

static int act_roots(struct act *act)
{
	const struct ul_plan_items *remove = &act->run->plan.remove;
	ul_cleanup(ul_freep) uint32_t *objects =
	    ul_malloc(remove->len * sizeof *objects);
	const struct ul_sweep_request undo = {
		.run = act->run->run,
		.now_unix_s = act->request->now_unix_s,
		.grace_s = act->request->plan.grace_s,
	};
	size_t i;
	int rc;

	if (!objects)
		return ul_err_nomem(act->err);
	for (i = 0; i < remove->len; i++)
		objects[i] = remove->items[i].object;
	rc = act->store->ops->remove_roots(act->store, &act->run->view, objects,
					   remove->len, &undo, act->err);
	if (!rc)
		act->tries->removed += remove->len;
	act->run->removed = act->tries->removed;
	return rc;
}

/* The objects of the plan in the view; a lost one is left out. */
static int sweep_list(struct act *act, const struct ul_mark *mark,
		      uint32_t *objects, uint64_t *bytes, size_t *ret_count)
{
	const struct ul_plan_items *collect = &act->run->plan.collect;
	size_t i, count = 0;

	for (i = 0; i < collect->len; i++) {
		const struct ul_plan_item *item = &collect->items[i];
		uint32_t at;

		if (item->trash != SIZE_MAX)
			continue;
		at = ul_record_find(&act->view->record, item->kind, item->ns,
				    item->snapshotter, item->key);
		if (at == UL_OBJECT_NONE)
			continue;
		/* I6: a reference that came after the plan wins. */
		if (item->kind != UL_KIND_LEASE &&
		    ul_mark_keeps(mark, &act->view->graph, at)) {
			act->run->is_left = true;
			continue;
		}
		objects[count] = at;
		bytes[count++] = item->allocated_bytes;
	}
	*ret_count = count;
	return 0;
}

/* I8, I10: mounted or in use since the plan, a thing stays with all that it
 * stands on. */
static void mark_used(struct ul_mark *mark, const struct ul_view *view,
		      const struct ul_plan_request *request)
{
	size_t i;

	for (i = 0; i < view->file_count; i++) {
		if (ul_plan_is_mounted(request, &view->files[i]) ||
		    view->files[i].is_ingest)
			ul_mark_from(mark, &view->graph, &view->files[i].object,
				     1);
	}
}

static int act_sweep(struct act *act)
{
	size_t most = act->run->plan.collect.len;
	ul_cleanup(ul_freep) uint32_t *objects =
	    ul_malloc(most * sizeof *objects);
	ul_cleanup(ul_freep) uint64_t *bytes = ul_malloc(most * sizeof *bytes);
	ul_cleanup(ul_mark_release) struct ul_mark mark = UL_MARK_INIT;
	struct ul_sweep_request request = {
		.objects = objects,
		.object_bytes = bytes,
		.run = act->run->run,
		.now_unix_s = act->request->now_unix_s,
		.grace_s = act->request->plan.grace_s,
	};
	int rc;

	if (!objects || !bytes)
		return ul_err_nomem(act->err);
	rc = ul_mark_init(&mark, &act->view->graph, act->err);
	if (rc)
		return rc;
	ul_mark_roots(&mark, &act->view->graph, NULL);
	mark_used(&mark, act->view, &act->request->plan);
	rc = sweep_list(act, &mark, objects, bytes, &request.object_count);
	if (!rc)
		rc = act->store->ops->sweep(act->store, act->view, &request,
					    &act->swept, act->err);
	act->run->trashed_bytes = act->swept.moved_bytes;
	return rc;
}

/* What the plan takes of the trash, by object of this view. */
static bool planned_trash(const struct act *act, const struct ul_view *view,
			  struct ul_bits *planned)
{
	const struct ul_plan_items *collect = &act->run->plan.collect;
	size_t i;

	if (!ul_bits_init(planned, (uint32_t)view->record.object_count))
		return false;
	for (i = 0; i < collect->len; i++) {
		const struct ul_plan_item *item = &collect->items[i];
		uint32_t at = UL_OBJECT_NONE;

		if (item->trash != SIZE_MAX)
			at = ul_record_find(&view->record, item->kind, item->ns,
					    item->snapshotter, item->key);
		if (at != UL_OBJECT_NONE)
			ul_bits_set(planned, at);
	}
	return true;
}

/* Whether what this run moved goes at once. */
static bool act_is_now(const struct act *act)
{
	return ul_plan_empties(&act->request->plan);
}

/* Another database's run may have the same number. */
static bool is_mine(const struct act *act, const struct ul_view_trash *trash)
{
	return !trash->is_foreign && trash->run == act->run->run;
}

/* Of the view's trash goes what the plan says, and what is `moved` of it. */
static int act_empty_view(struct act *act, const struct ul_view *view,
			  const struct ul_swept *moved)
{
	ul_cleanup(ul_bits_release) struct ul_bits planned = UL_BITS_INIT;
	ul_cleanup(ul_swept_release) struct ul_swept emptied = UL_SWEPT_INIT;
	ul_cleanup(ul_freep) size_t *positions =
	    ul_malloc(view->trash_count * sizeof *positions);
	size_t i, count = 0;
	int rc;

	if (!positions || !planned_trash(act, view, &planned))
		return ul_err_nomem(act->err);
	for (i = 0; i < view->trash_count; i++) {
		const struct ul_view_trash *trash = &view->trash[i];
		bool goes = is_mine(act, trash)
				? act_is_now(act)
				: ul_bits_get(&planned, trash->object);

		if (goes && !trash->is_wanted)
			positions[count++] = i;
	}
	rc = act->store->ops->empty_trash(act->store, view, positions, count,
					  moved, act->request->plan.now,
					  &emptied, act->err);
	act->run->freed_bytes += emptied.freed_bytes;
	if (!rc && act_is_now(act))
		act->run->trashed_bytes = 0;
	return rc;
}

/* What is left in the trash of what this run moved, where some went back. */
static void act_recount(struct act *act, const struct ul_view *view)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < view->trash_count; i++) {
		if (is_mine(act, &view->trash[i]))
			bytes += view->graph.nodes[view->trash[i].object]
				     .weight_bytes;
	}
	if (bytes < act->run->trashed_bytes)
		act->run->trashed_bytes = bytes;
}

/* Something has come since the sweep: what it needs is put back first (I1). */
static int act_empty_again(struct act *act)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	int rc = act_scan_restored(act, &view);

	/* Damaged meanwhile: what is needed is unknown, so nothing goes. */
	if (!rc && view.refusal)
		act->run->is_left = true;
	if (rc || view.refusal)
		return rc;
	act_recount(act, &view);
	return act_empty_view(act, &view, NULL);
}

static int act_empty_first(struct act *act)
{
	int rc;

	/* Some of what was moved may be back in its place. */
	if (act->swept.is_cut)
		return act_empty_again(act);
	rc = act->store->ops->expect(act->store, act->view, act->err);
	if (rc == UL_E_CONFLICT || rc == UL_E_CORRUPT || rc == UL_E_LIMIT)
		return act_empty_again(act);
	if (rc)
		return rc;
	return act_empty_view(act, act->view,
			      act_is_now(act) ? &act->swept : NULL);
}

/* I6: where others changed the roots since the scan, scan again. */
static int act_empty(struct act *act)
{
	int tries = RUN_TRIES;
	int rc = act_empty_first(act);

	while (rc == UL_E_CONFLICT && --tries)
		rc = act_empty_again(act);
	if (rc != UL_E_CONFLICT && rc != UL_E_BUSY)
		return rc;
	/* The next run empties it. */
	act->run->is_left = true;
	return 0;
}

/* I6: the moving was cut short; what is needed of it goes back at once. */
static int act_cut(struct act *act)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	int rc = act_scan_restored(act, &view);

	act->run->is_left = true;
	if (!rc)
		act_recount(act, &view);
	return rc;
}

static bool act_empties(const struct act *act)
{
	const struct ul_plan_items *collect = &act->run->plan.collect;
	size_t i;

	if (act_is_now(act))
		return true;
	for (i = 0; i < collect->len; i++) {
		if (collect->items[i].trash != SIZE_MAX)
			return true;
	}
	return false;
}

/*
 * Whether the plan's scan tells the sweep nothing false: no name went, nobody
 * took time to answer (something may be mounted since, I10), and others
 * changed nothing.
 */
static bool act_plan_serves(struct act *act)
{
	struct ul_err ignored = UL_ERR_INIT;

	return !act->run->plan.remove.len && !act->request->confirm &&
	       !act->store->ops->expect(act->store, &act->run->view, &ignored);
}

static int act_view(struct act *act)
{
	int rc;

	act->view = &act->run->view;
	if (act_plan_serves(act))
		return 0;
	act->view = &act->later;
	rc = act_scan(act, &act->later);
	if (!rc && act->later.refusal)
		return ul_err_set(act->err, UL_E_REFUSED, "%s",
				  act->later.refusal);
	return rc;
}

static int act_change(struct act *act)
{
	int rc = 0;

	if (act->run->plan.remove.len)
		rc = act_roots(act);
	if (!rc)
		rc = act_view(act);
	if (!rc)
		rc = act_sweep(act);
	if (!rc && act->swept.is_cut)
		rc = act_cut(act);
	if (!rc && act_empties(act))
		rc = act_empty(act);
	return rc;
}

static int act_measure(struct act *act)
{
	uint64_t after_bytes;
	struct ul_run *run = act->run;
	int rc = act->store->ops->overhead(act->store, &after_bytes, act->err);

	if (rc)
		return rc;
	run->overhead_delta_bytes +=
	    (int64_t)(after_bytes - act->overhead_before_bytes);
	return 0;
}

static int act_recorded(struct act *act)
{
	int64_t started_ns = ul_clock_mono_ns();
	struct ul_err ignored = UL_ERR_INIT;
	struct ul_run *run = act->run;
	int rc = ul_history_begin(
	    act->store, act->request->command, act->request->now_unix_s,
	    run->view.record.store_row, &run->plan,
	    act->tries->in_place ? &act->tries->in_place->plan : NULL,
	    &run->run, act->err);

	if (rc)
		return rc;
	rc = act_change(act);
	if (!rc)
		rc = act_measure(act);
	run->seconds = (double)(ul_clock_mono_ns() - started_ns) / 1e9;
	if (!rc)
		return ul_history_end(act->store, run, "done", act->err);
	/* The first error is the one to tell; this is only its record. */
	(void)ul_history_end(act->store, run, "failed", &ignored);
	return rc;
}

/* With --now not even names can be brought back (DESIGN 5). */
static int act_nothing(struct act *act)
{
	ul_cleanup(ul_swept_release) struct ul_swept nothing = UL_SWEPT_INIT;
	int rc = 0;

	if (act->request->plan.now)
		rc = act->store->ops->empty_trash(act->store, &act->run->view,
						  NULL, 0, NULL, true, &nothing,
						  act->err);
	return rc ? rc : act_measure(act);
}

static bool plan_is_empty(const struct ul_plan *plan)
{
	return !plan->remove.len && !plan->collect.len;
}

static int act_all(struct act *act)
{
	int rc = act_scan_first(act);

	if (!rc && act->run->view.waiting) {
		act->run->is_left = true;
		ul_plan_seal(&act->run->plan);
		return 0;
	}
	if (!rc)
		rc = act_plan(act);
	if (rc)
		return rc;
	/* Putting back and tidying up change the folders even so. */
	return plan_is_empty(&act->run->plan) && !act->tries->in_place
		   ? act_nothing(act)
		   : act_recorded(act);
}

/* What went in place is a part of the run. */
static void run_begin(struct ul_run *run, const struct ul_in_place *in_place)
{
	if (!in_place)
		return;
	run->in_place_bytes = in_place->freed_bytes;
	run->planned_bytes = in_place->plan.freed_bytes;
	run->freed_bytes = in_place->freed_bytes;
	run->overhead_delta_bytes = in_place->overhead_delta_bytes;
	run->is_left = in_place->is_left;
}

static int run_once(struct ul_store *store,
		    const struct ul_run_request *request, struct tries *tries,
		    struct ul_run *ret_run, struct ul_err *err)
{
	ul_cleanup(ul_run_release) struct ul_run run = UL_RUN_INIT;
	ul_cleanup(unlockp) struct ul_store *locked = NULL;
	struct act act = {
		.store = store,
		.request = request,
		.run = &run,
		.tries = tries,
		.later = UL_VIEW_INIT,
		.swept = UL_SWEPT_INIT,
		.err = err,
	};
	int rc = store->ops->lock(store, err);

	if (rc)
		return rc;
	locked = store;
	run_begin(&run, tries->in_place);
	run.removed = tries->removed;
	rc = act_all(&act);
	ul_view_release(&act.later);
	ul_swept_release(&act.swept);
	if (rc)
		return rc;
	*ret_run = run;
	run = UL_RUN_INIT;
	return 0;
}

/*
 * skopeo and umoci write the index whenever they like: look again, and go on
 * where that made no difference to the plan (I6).
 */
static int run_tries(struct ul_store *store,
		     const struct ul_run_request *request, struct tries *tries,
		     struct ul_run *ret_run, struct ul_err *err)
{
	int count = RUN_TRIES;
	int rc = run_once(store, request, tries, ret_run, err);

	while (rc == UL_E_CONFLICT && *tries->agreed && --count)
		rc = run_once(store, request, tries, ret_run, err);
	return rc;
}

/* Nothing is deleted where that would not help. */
static int full_elsewhere(const struct ul_store *store, struct ul_err *err)
{
	struct ul_err first = *err;

	ul_err_set(err, first.code,
		   "%.600s; the disk of the database is full, and is another "
		   "than that of %.300s: make room there",
		   first.msg, store->path);
	err->sys_errno = first.sys_errno;
	return err->code;
}

/* What would help, where they have not asked for it. */
static int full_hint(const struct ul_store *store,
		     const struct ul_run_request *request, struct ul_err *err)
{
	struct ul_err first = *err;

	if (request->plan.now && !request->plan.saved)
		return err->code;
	ul_err_set(err, first.code,
		   "%.700s; the disk is full: `ullage%s%.200s gc --now%s` "
		   "deletes what nothing needs where it lies",
		   first.msg, store->is_shared ? " --store " : "",
		   store->is_shared ? store->name : "",
		   store->is_shared ? " --exclusive" : "");
	err->sys_errno = first.sys_errno;
	return err->code;
}

/* There is room now, but not enough, or something else is wrong. */
static void run_ends(struct ul_in_place *in_place, const struct tries *tries,
		     const struct ul_err *err, struct ul_run *ret_run)
{
	*ret_run = UL_RUN_INIT;
	run_begin(ret_run, in_place);
	ret_run->view = in_place->view;
	ret_run->plan = in_place->plan;
	in_place->view = UL_VIEW_INIT;
	in_place->plan = UL_PLAN_INIT;
	ret_run->removed = tries->removed;
	ret_run->stopped = *err;
	ret_run->is_left = true;
}

/* I11: delete in place, and go on where that made room. */
static int run_full(struct ul_store *store,
		    const struct ul_run_request *request, struct tries *tries,
		    struct ul_run *ret_run, struct ul_err *err)
{
	ul_cleanup(ul_in_place_release) struct ul_in_place in_place =
	    UL_IN_PLACE_INIT;
	struct ul_run_request again = *request;
	struct ul_err first = *err, second = UL_ERR_INIT;
	int rc;

	if (!request->plan.now || request->plan.saved || request->confirm)
		return full_hint(store, request, err);
	rc = ul_in_place_run(store, request, &in_place, &second);
	if (rc == UL_E_NOMEM)
		return ul_err_nomem(err);
	if (rc || !in_place.freed_count)
		return ul_err_set(
		    err, first.code, "%.450s; %.500s", first.msg,
		    rc ? second.msg
		       : "nothing is there that may be deleted without a "
			 "record of it");
	*tries->agreed = '\0';
	tries->in_place = &in_place;
	/* The names are gone already. */
	if (tries->removed)
		again.plan.rule = NULL;
	rc = run_tries(store, &again, tries, ret_run, err);
	if (rc)
		run_ends(&in_place, tries, err, ret_run);
	return 0;
}

int ul_run_execute(struct ul_store *store, const struct ul_run_request *request,
		   struct ul_run *ret_run, struct ul_err *err)
{
	struct tries tries = { .removed = 0 };
	int rc = run_tries(store, request, &tries, ret_run, err);

	switch (rc ? store->ops->is_full(store, err) : UL_FULL_NOT) {
	case UL_FULL_STORE:
		return run_full(store, request, &tries, ret_run, err);
	case UL_FULL_STATE:
		return full_elsewhere(store, err);
	default:
		return rc;
	}
}

int ul_run_undo(struct ul_store *store, int64_t run, size_t *ret_count,
		struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf elsewhere = UL_BUF_INIT;
	ul_cleanup(unlockp) struct ul_store *locked = NULL;
	const char *there;
	int rc = store->ops->lock(store, err);

	if (rc)
		return rc;
	locked = store;
	rc = ul_history_expect(store, run, &elsewhere, err);
	if (rc)
		return rc;
	there = ul_buf_str(&elsewhere);
	rc = store->ops->undo(store, run, ret_count, err);
	if (rc == UL_E_ABSENT && *there)
		return ul_err_set(err, UL_E_ABSENT,
				  "run %" PRId64 " was not of %s; `%s` undoes "
				  "it",
				  run, store->path, there);
	/* Where it was done, it can still be undone. */
	return rc || *there ? rc : ul_history_undone(store, run, err);
}
