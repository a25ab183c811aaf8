/*
 * What a scan makes of the objects it found: which are gone, which are
 * reachable and since when not, and who keeps whom.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/form.h"
#include "store/embedded/scan_internal.h"
#include "store/embedded/store.h"

/*
 * What a recorded object refers to stays recorded: its references are known
 * only as a whole, and are never read again. False: nothing was changed.
 */
static bool keep_referred(struct ul_record *record)
{
	bool is_changed = false;
	size_t i;
	uint32_t r;

	for (i = 0; i < record->object_count; i++) {
		const struct ul_object *object = &record->objects[i];

		for (r = 0; !object->is_gone && r < object->ref_count; r++) {
			struct ul_object *to =
			    &record->objects[record->refs[object->first_ref + r]
						 .target];

			is_changed = is_changed || to->is_gone;
			ul_record_set_gone(record, to, false);
		}
	}
	return is_changed;
}

/* Not there, named by nothing: the record forgets it. */
void scan_gone(struct ul_scan *scan)
{
	struct ul_record *record = scan->record;
	size_t i;

	for (i = 0; i < record->object_count; i++) {
		struct ul_object *object = &record->objects[i];
		bool is_here = scan->objects[i].item != UL_OBJECT_NONE;

		if (object->is_present && !is_here) {
			object->is_present = false;
			ul_record_mark(record, object, UL_DIRTY_ROW);
		}
		if (!is_here && object->measure.measured_unix_s) {
			object->measure = (struct ul_measure){ 0 };
			/* Whatever comes in its place is read first. */
			object->content = UL_CONTENT_UNKNOWN;
			object->is_released = false;
			ul_record_mark(record, object,
				       UL_DIRTY_ROW | UL_DIRTY_MEASURE);
		}
		ul_record_set_gone(record, object,
				   !is_here && !scan->objects[i].is_expected);
	}
	while (keep_referred(record))
		continue;
}

static void object_reached(struct ul_record *record, struct ul_object *object,
			   bool is_reachable, int64_t now_unix_s)
{
	if (is_reachable == object->is_reachable &&
	    (!is_reachable || (object->is_known && !object->is_released)))
		return;
	/* Lost at some time since the last scan: the latest is now. */
	if (!is_reachable)
		object->reachable_unix_s = now_unix_s;
	if (is_reachable) {
		object->is_known = true;
		object->is_released = false;
	}
	object->is_reachable = is_reachable;
	ul_record_mark(record, object, UL_DIRTY_ROW);
}

static void object_kept_by(struct ul_record *record, struct ul_object *object,
			   uint32_t by, const char *reason)
{
	if (object->kept_by == by && !strcmp(object->kept_reason, reason))
		return;
	object->kept_by = by;
	object->kept_reason = reason;
	ul_record_mark(record, object, UL_DIRTY_ROW);
}

/*
 * Who keeps whom: the tree of the breadth-first pass, so that following
 * kept_by leads to a root by a shortest way. Groups and files in between are
 * left out.
 */
static int scan_kept_by(struct ul_scan *scan)
{
	const struct ul_graph *graph = &scan->view->graph;
	ul_cleanup(ul_freep) uint32_t *by =
	    ul_malloc(graph->node_count * sizeof *by);
	ul_cleanup(ul_freep) const char **why =
	    ul_calloc(graph->node_count, sizeof *why);
	uint32_t i, r;

	if (!by || !why)
		return ul_err_nomem(scan->err);
	for (i = 0; i < graph->node_count; i++)
		by[i] = UL_OBJECT_NONE;
	for (i = 0; i < graph->root_count; i++)
		why[graph->roots[i].node] =
		    graph->reasons[graph->roots[i].reason];
	for (i = 0; i < scan->mark.order_len; i++) {
		uint32_t node = scan->mark.order[i];
		bool is_object = node < scan->record->object_count;

		for (r = graph->first_ref[node]; r < graph->first_ref[node + 1];
		     r++) {
			uint32_t to = graph->ref_to[r];

			if (why[to])
				continue;
			by[to] = is_object ? node : by[node];
			why[to] = graph->reasons[graph->ref_reason[r]];
		}
	}
	for (i = 0; i < scan->record->object_count; i++) {
		uint32_t twin = graph->nodes[i].twin;
		/* Held by a flat lease alone: its twin says by which. */
		uint32_t at = why[i] || twin == UL_NODE_NONE ? i : twin;
		const char *reason =
		    why[at] ? ul_record_text(scan->record, why[at]) : "";

		if (!reason)
			return ul_err_nomem(scan->err);
		object_kept_by(scan->record, &scan->record->objects[i], by[at],
			       reason);
	}
	return 0;
}

static int scan_refuse(struct ul_scan *scan, const char *line)
{
	struct ul_view *view = scan->view;

	if (!ul_view_note(view, "%s", line))
		return ul_err_nomem(scan->err);
	if (!view->refusal)
		view->refusal = ul_arena_strdup(&view->arena, line);
	return view->refusal ? 0 : ul_err_nomem(scan->err);
}

static const char *broken_remedy(const struct ul_scan *scan, uint32_t at)
{
	if (scan->objects[at].is_hidden)
		return "put the file itself in its place";
	return scan->store->form->is_ours
		   ? "import its image again, which replaces it"
		   /* Who copies reuses what is there, broken or not. */
		   : "set it aside (verify --repair) and copy its image again";
}

/* A reachable manifest that is damaged has unknown references. */
static int scan_broken(struct ul_scan *scan, uint32_t at)
{
	ul_cleanup(ul_buf_release) struct ul_buf us = UL_BUF_INIT;
	char line[1200];

	if (!ul_embedded_command(scan->store, &us))
		return ul_err_nomem(scan->err);
	snprintf(line, sizeof line,
		 "blob %s is needed but %s; %s, or `%s untag` all names of the "
		 "image",
		 scan->record->objects[at].key, scan->objects[at].broken,
		 broken_remedy(scan, at), ul_buf_str(&us));
	return scan_refuse(scan, line);
}

/* One that nothing lists may still be a manifest that lives with its subject.
 * Where this user may read none of them, one stands for all. */
static int scan_unread(struct ul_scan *scan, uint32_t at)
{
	char line[256];

	if (scan->is_unread_told)
		return 0;
	scan->is_unread_told = true;
	snprintf(line, sizeof line,
		 "blob %s cannot be read by this user: what it refers to is "
		 "not known",
		 scan->record->objects[at].key);
	return scan_refuse(scan, line);
}

int scan_mark(struct ul_scan *scan)
{
	struct ul_view *view = scan->view;
	int64_t now_unix_s = view->as_of_unix_s;
	size_t i;
	int rc = ul_mark_init(&scan->mark, &view->graph, scan->err);

	if (rc)
		return rc;
	/* "Now" is never before the last scan: a clock that was set back for a
	 * while must not make anything older than it is. */
	if (now_unix_s < view->record.scanned_unix_s)
		now_unix_s = view->record.scanned_unix_s;
	ul_mark_roots(&scan->mark, &view->graph, NULL);
	for (i = 0; !rc && i < scan->record->object_count; i++) {
		struct ul_object *object = &scan->record->objects[i];
		bool is_reachable =
		    ul_mark_keeps(&scan->mark, &view->graph, (uint32_t)i);

		if (object->is_gone)
			continue;
		object_reached(scan->record, object, is_reachable, now_unix_s);
		if (is_reachable && scan->objects[i].broken)
			rc = scan_broken(scan, (uint32_t)i);
		else if (scan->objects[i].is_unread)
			rc = scan_unread(scan, (uint32_t)i);
	}
	return rc ? rc : scan_kept_by(scan);
}
