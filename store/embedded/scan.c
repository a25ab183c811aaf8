/*
 * One scan: the record as it was, what lies on disk, what the index, leases
 * and snapshots name; from these the view, and the record as it is now.
 */
#include "store/embedded/scan_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/walk.h"
#include "store/embedded/form.h"
#include "store/embedded/open.h"
#include "store/embedded/ops.h"
#include "store/embedded/store.h"
#include "store/oci/layout.h"

/* Two clocks of one machine (ours, the kernel's coarse one) differ a little;
 * more than this and a time lies in the future. */
enum { CLOCK_SLACK_S = 2 };

/* Readings, when each was overtaken by another ullage. */
enum { SCAN_TRIES = 10 };

static void scan_release(struct ul_scan *scan)
{
	ul_inventory_release(&scan->inventory);
	ul_layout_index_free(scan->index);
	ul_leases_release(&scan->leases);
	ul_snapshots_release(&scan->snapshots);
	ul_mark_release(&scan->mark);
	ul_map_release(&scan->groups);
	free(scan->objects);
}

static bool scan_objects_grow(struct ul_scan *scan)
{
	size_t i, old = scan->object_cap;
	struct scan_object *objects;

	objects = ul_grow(scan->objects, &scan->object_cap,
			  scan->record->object_count + 1, sizeof *objects);
	if (!objects)
		return false;
	scan->objects = objects;
	for (i = old; i < scan->object_cap; i++)
		objects[i] = (struct scan_object){ .item = UL_OBJECT_NONE };
	return true;
}

uint32_t scan_object(struct ul_scan *scan, enum ul_kind kind, const char *key)
{
	uint32_t at =
	    ul_record_object(scan->record, (uint8_t)kind, "", "", key);

	if (at == UL_OBJECT_NONE || !scan_objects_grow(scan))
		return UL_OBJECT_NONE;
	ul_record_set_gone(scan->record, &scan->record->objects[at], false);
	return at;
}

static int snapshot_object(struct ul_scan *scan,
			   const struct ul_snapshot *snapshot)
{
	uint32_t at = scan_object(scan, UL_KIND_SNAPSHOT, snapshot->key);
	uint32_t parent = UL_OBJECT_NONE;
	struct ul_object_ref ref;

	if (at == UL_OBJECT_NONE)
		return ul_err_nomem(scan->err);
	scan->objects[at].is_expected = true;
	if (*snapshot->parent) {
		parent = scan_object(scan, UL_KIND_SNAPSHOT, snapshot->parent);
		if (parent == UL_OBJECT_NONE)
			return ul_err_nomem(scan->err);
		scan->objects[parent].is_expected = true;
	}
	ref = (struct ul_object_ref){ parent, UL_REF_FORWARD, "parent" };
	if (!ul_record_set_refs(scan->record, at, &ref,
				parent != UL_OBJECT_NONE))
		return ul_err_nomem(scan->err);
	return 0;
}

static int lease_object(struct ul_scan *scan, const struct ul_lease *lease)
{
	uint32_t at = scan_object(scan, UL_KIND_LEASE, lease->id);
	ul_cleanup(ul_freep) struct ul_object_ref *refs =
	    ul_malloc((lease->resource_count + 1) * sizeof *refs);
	size_t i;

	if (at == UL_OBJECT_NONE || !refs)
		return ul_err_nomem(scan->err);
	scan->objects[at].is_expected = true;
	for (i = 0; i < lease->resource_count; i++) {
		refs[i] = (struct ul_object_ref){
			.target = scan_object(scan, lease->resources[i].kind,
					      lease->resources[i].key),
			.kind = UL_REF_FORWARD,
			.reason = "lease",
		};
		if (refs[i].target == UL_OBJECT_NONE)
			return ul_err_nomem(scan->err);
		scan->objects[refs[i].target].is_expected = true;
	}
	if (!ul_record_set_refs(scan->record, at, refs, lease->resource_count))
		return ul_err_nomem(scan->err);
	return 0;
}

static int hold_object(struct ul_scan *scan)
{
	uint32_t at;

	if (!scan->options->hold)
		return 0;
	at = scan_object(scan, UL_KIND_BLOB, scan->options->hold);
	if (at == UL_OBJECT_NONE)
		return ul_err_nomem(scan->err);
	scan->objects[at].is_expected = true;
	return 0;
}

/*
 * After the index: others write blobs first, then the entry, so that what an
 * entry names is here unless it is absent for good.
 */
static int inventory_mount(struct ul_scan *scan)
{
	struct ul_view *view = scan->view;
	const char *mount = scan->inventory.mount;
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;

	if (!mount)
		return 0;
	if (!ul_buf_printf(&text,
			   "%s/%s is a mount of its own: nothing can be moved "
			   "between it and the trash, and du -x leaves it out; "
			   "mount it as the whole of the store instead",
			   scan->store->path, mount))
		return ul_err_nomem(scan->err);
	if (!ul_view_note(view, "%s", ul_buf_str(&text)))
		return ul_err_nomem(scan->err);
	if (!view->refusal)
		view->refusal =
		    ul_arena_strdup(&view->arena, ul_buf_str(&text));
	return view->refusal ? 0 : ul_err_nomem(scan->err);
}

static int scan_inventory(struct ul_scan *scan)
{
	struct ul_view *view = scan->view;
	int rc = ul_inventory_take(scan->store, &scan->inventory, scan->err);

	view->overhead_bytes = scan->inventory.overhead_bytes;
	view->overhead_count = scan->inventory.overhead_count;
	view->folder_bytes = scan->inventory.overhead_bytes;
	return rc ? rc : inventory_mount(scan);
}

static int scan_records(struct ul_scan *scan)
{
	size_t i;
	int rc = ul_snapshots_load(scan->store, &scan->snapshots, scan->err);

	if (!rc)
		rc = ul_leases_load(scan->store, &scan->leases, scan->err);
	for (i = 0; !rc && i < scan->snapshots.len; i++)
		rc = snapshot_object(scan, &scan->snapshots.snapshots[i]);
	for (i = 0; !rc && i < scan->leases.len; i++)
		rc = lease_object(scan, &scan->leases.leases[i]);
	return rc ? rc : hold_object(scan);
}

/* The topmost layer of a config that is unpacked, and whether it is the last
 * one; NULL for none. */
static const struct ul_snapshot *unpacked_top(const struct ul_scan *scan,
					      const char *diff_ids,
					      bool *ret_is_whole)
{
	const struct ul_snapshot *here, *top = NULL;
	struct ul_digest sum = UL_DIGEST_INIT, diff;
	char text[UL_DIGEST_TEXT_MAX];
	size_t len;

	for (; *diff_ids; diff_ids += len + (diff_ids[len] == ' ')) {
		len = strcspn(diff_ids, " ");
		if (len >= sizeof text)
			return NULL;
		memcpy(text, diff_ids, len);
		text[len] = '\0';
		if (!ul_digest_parse(text, &diff))
			return NULL;
		ul_digest_chain(&sum, &diff, &sum);
		ul_digest_format(&sum, text);
		here = ul_snapshots_find(&scan->snapshots, text);
		*ret_is_whole = here != NULL;
		if (here)
			top = here;
	}
	return top;
}

/*
 * A config refers to the unpacked form of its layers. Where an unpacking got
 * part of the way only, what is there lives with the image too.
 */
static int scan_unpacked(struct ul_scan *scan)
{
	size_t i;

	for (i = 0; i < scan->record->object_count; i++) {
		struct ul_object *object = &scan->record->objects[i];
		struct ul_object_ref ref = { .kind = UL_REF_FORWARD };
		const struct ul_snapshot *top;
		bool is_whole = false;

		if (!object->config)
			continue;
		/* Chain IDs of every config are worth it only for something. */
		top = scan->snapshots.len
			  ? unpacked_top(scan, object->config->diff_ids,
					 &is_whole)
			  : NULL;
		ref.reason = is_whole ? UL_REASON_UNPACKED : "unpacked in part";
		if (top)
			ref.target = ul_record_find(
			    scan->record, UL_KIND_SNAPSHOT, "", "", top->key);
		if (!ul_record_set_refs(scan->record, (uint32_t)i, &ref,
					top != NULL))
			return ul_err_nomem(scan->err);
	}
	return 0;
}

static bool layer_set_diff_id(struct ul_scan *scan, uint32_t layer,
			      const char *diff_ids)
{
	struct ul_object *object = &scan->record->objects[layer];
	size_t len = strcspn(diff_ids, " ");

	if (strlen(object->diff_id) == len &&
	    !strncmp(object->diff_id, diff_ids, len))
		return true;
	object->diff_id = ul_arena_strndup(&scan->record->arena, diff_ids, len);
	ul_record_mark(scan->record, object, UL_DIRTY_ROW);
	return object->diff_id != NULL;
}

/* The config that names a layer says what it is unpacked (image-spec,
 * config.md: diff_ids are in the order of the manifest's layers). */
static int scan_diff_ids(struct ul_scan *scan)
{
	const struct ul_record *record = scan->record;
	size_t i;
	uint32_t r;

	for (i = 0; i < record->object_count; i++) {
		const struct ul_object *manifest = &record->objects[i];
		const char *diff_ids = NULL;

		for (r = 0; r < manifest->ref_count; r++) {
			const struct ul_object_ref *ref =
			    &record->refs[manifest->first_ref + r];
			const struct ul_config_facts *config =
			    record->objects[ref->target].config;

			if (!strcmp(ref->reason, "config") && config)
				diff_ids = config->diff_ids;
			if (!diff_ids || !*diff_ids ||
			    strncmp(ref->reason, "layer ", 6))
				continue;
			if (!layer_set_diff_id(scan, ref->target, diff_ids))
				return ul_err_nomem(scan->err);
			diff_ids += strcspn(diff_ids, " ");
			diff_ids += *diff_ids == ' ';
		}
	}
	return 0;
}

/* Times that cannot be: a clock set back, or files from the future. */
static int scan_clock(struct ul_scan *scan)
{
	struct ul_view *view = scan->view;
	int64_t newest_unix_s = view->record.scanned_unix_s;
	const char *what = "the last scan";
	char line[600];
	size_t i;

	for (i = 0; i < view->file_count; i++) {
		if (view->files[i].newest_unix_s > newest_unix_s) {
			newest_unix_s = view->files[i].newest_unix_s;
			what = view->files[i].path;
		}
	}
	if (newest_unix_s <= view->as_of_unix_s + CLOCK_SLACK_S)
		return 0;
	snprintf(line, sizeof line,
		 "the clock is %lld seconds behind the time of %s; nothing is "
		 "collected until it has caught up",
		 (long long)(newest_unix_s - view->as_of_unix_s), what);
	view->waiting = ul_arena_strdup(&view->arena, line);
	return view->waiting ? 0 : ul_err_nomem(scan->err);
}

/* A name that vanished is remembered while its manifest can be brought back. */
static bool name_can_come_back(const struct ul_scan *scan,
			       const struct ul_map *trashed,
			       const struct ul_name *name)
{
	uint32_t at =
	    ul_record_find(scan->record, UL_KIND_BLOB, "", "", name->digest);

	if (at != UL_OBJECT_NONE && scan->objects[at].item != UL_OBJECT_NONE)
		return true;
	return ul_map_get_str(trashed, name->digest) != UL_MAP_NONE;
}

static bool note_name(struct ul_scan *scan, const struct ul_map *trashed,
		      const char *us, struct ul_name *name)
{
	char when[UL_TIME_TEXT_MAX];

	if (!name->vanished_unix_s || name->is_gone)
		return true;
	name->is_gone = !name_can_come_back(scan, trashed, name);
	if (name->is_gone || name->is_ours)
		return true;
	ul_time_format(name->vanished_unix_s, when);
	return ul_view_note(scan->view,
			    "name %s vanished, seen gone at %s; `%s tag "
			    "%.19s %s` brings it back",
			    name->name, when, us, name->digest, name->name);
}

/* Listed though it is not here; what lies in the trash is put back. */
static bool note_missing(struct ul_scan *scan, const char *us,
			 const struct ul_view_image *image)
{
	struct ul_view *view = scan->view;
	const char *name = view->record.objects[image->names[0]].key;

	/* What is hidden was told of as broken. */
	if (view->record.objects[image->target].is_present ||
	    scan->objects[image->target].is_hidden)
		return true;
	return ul_view_note(view,
			    "image %s is missing: the index lists it, but "
			    "blob %.19s is not here; %s it again, or "
			    "`%s untag %s`",
			    name, image->digest,
			    scan->store->form->is_ours ? "import" : "copy", us,
			    name);
}

static int scan_notes(struct ul_scan *scan)
{
	ul_cleanup(ul_map_release) struct ul_map trashed = UL_MAP_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf us = UL_BUF_INIT;
	struct ul_view *view = scan->view;
	bool ok = ul_embedded_command(scan->store, &us);
	size_t i;

	for (i = 0; ok && i < view->image_count; i++)
		ok = note_missing(scan, ul_buf_str(&us), &view->images[i]);
	for (i = 0; ok && i < view->trash_count; i++) {
		const char *key = view->trash[i].key;

		ok = ul_map_set(&trashed, key, strlen(key), 1);
	}
	for (i = 0; ok && i < view->record.name_count; i++)
		ok = note_name(scan, &trashed, ul_buf_str(&us),
			       &view->record.names[i]);
	for (i = 0; ok && i < scan->inventory.len; i++) {
		const struct ul_item *item = &scan->inventory.items[i];

		if (item->kind != UL_ITEM_UNKNOWN)
			continue;
		if (item->is_mount) {
			ok = ul_view_note(view,
					  "%s/%s is a mount point: not counted",
					  scan->store->path, item->path);
			continue;
		}
		ok = ul_view_note(
		    view, "%s/%s %s: kept, counted as overhead",
		    scan->store->path, item->path,
		    ul_embedded_is_aside(scan->store, item->path)
			? "holds what `ullage verify --repair` set aside"
			: "is none of ours");
	}
	return ok ? 0 : ul_err_nomem(scan->err);
}

/* What du would say, from a walk that knows nothing of the classes. */
static int scan_residual(struct ul_scan *scan)
{
	struct ul_view *view = scan->view;
	struct ul_walk_tree tree = { .path = "." };
	struct ul_walk_options options = {
		.skip_denied = !scan->store->is_writable,
		.progress = scan->options->progress,
		.arg = scan->options->arg,
	};
	uint64_t classes = view->overhead_bytes, walked;
	size_t i;
	int rc;

	if (!scan->options->measure_all && view->record.walked_unix_s)
		return 0;
	rc = ul_walk(scan->store->root_fd, &tree, 1, &options, scan->err);
	if (rc)
		return rc;
	walked = tree.allocated_bytes;
	for (i = 0; i < tree.link_count; i++)
		walked += tree.links[i].allocated_bytes;
	ul_walk_trees_release(&tree, 1);
	for (i = 0; i < view->graph.node_count; i++)
		classes += view->graph.nodes[i].weight_bytes;
	view->record.residual_bytes = (int64_t)(walked - classes);
	view->record.walked_unix_s = view->as_of_unix_s;
	view->record.store_dirty = true;
	return 0;
}

static int scan_identity(struct ul_scan *scan)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	const struct ul_record *record = scan->record;
	struct ul_view *view = scan->view;

	if (!ul_embedded_is_mismatched(scan->store, record->store_uid,
				       record->generation))
		return 0;
	if (!ul_embedded_mismatch(scan->store, record->store_uid,
				  record->generation, &text) ||
	    !ul_view_note(view, "%s", ul_buf_str(&text)))
		return ul_err_nomem(scan->err);
	if (!view->refusal)
		view->refusal =
		    ul_arena_strdup(&view->arena, ul_buf_str(&text));
	return view->refusal ? 0 : ul_err_nomem(scan->err);
}

/*
 * A report does not fail because it cannot be recorded (disk full, database
 * busy): the next scan finds the same again. Before a change it has to be.
 */
static int scan_save(struct ul_scan *scan)
{
	struct ul_record *record = scan->record;
	int64_t now_unix_s = scan->view->as_of_unix_s;
	int rc;

	if (scan->options->is_as_of || !scan->store->is_writable ||
	    scan->store->is_full)
		return 0;
	/* Each minute is enough: it only tells a clock that was set back. */
	if (now_unix_s - record->scanned_unix_s >= 60) {
		record->scanned_unix_s = now_unix_s;
		record->store_dirty = true;
	}
	rc = ul_record_save(scan->store->db, scan->store->form->kind,
			    scan->store->record_path, record, scan->err);
	if (!rc && scan->is_new_layout)
		rc = ul_embedded_identify(scan->store, scan->err);
	if (!rc || scan->options->for_change || rc == UL_E_NOMEM ||
	    (rc == UL_E_CONFLICT && !scan->is_last_try))
		return rc;
	if (rc == UL_E_CONFLICT)
		return 0;
	return ul_view_note(scan->view, "%s", scan->err->msg)
		   ? 0
		   : ul_err_nomem(scan->err);
}

static int scan_all(struct ul_scan *scan)
{
	static int (*const steps[])(struct ul_scan *) = {
		scan_index,   scan_inventory, scan_records,  scan_measure,
		scan_content, scan_unpacked,  scan_diff_ids,
	};
	static int (*const later[])(struct ul_scan *) = {
		scan_graph, scan_mark,     scan_images,   scan_clock,
		scan_notes, scan_residual, scan_identity, scan_save,
	};
	size_t i;
	int rc = 0;

	if (!scan_objects_grow(scan))
		return ul_err_nomem(scan->err);
	for (i = 0; !rc && i < ul_array_len(steps); i++)
		rc = steps[i](scan);
	if (!rc)
		scan_gone(scan);
	for (i = 0; !rc && i < ul_array_len(later); i++)
		rc = later[i](scan);
	return rc;
}

/*
 * Where a layout is another directory than it was, what is known of the old
 * one says nothing: a blob that we let go of there is nobody's business here.
 * Pins and uses stay, they go by name and digest.
 */
static void scan_forget(struct ul_scan *scan)
{
	struct ul_record *record = scan->record;
	size_t i;

	if (!strcmp(record->store_uid, scan->store->uid))
		return;
	scan->is_new_layout = true;
	for (i = 0; i < record->object_count; i++) {
		struct ul_object *object = &record->objects[i];

		object->is_known = object->is_released = false;
		object->is_reachable = false;
		object->reachable_unix_s = 0;
		object->content = UL_CONTENT_UNKNOWN;
		object->measure.measured_unix_s = 0;
		ul_record_mark(record, object, UL_DIRTY_ROW | UL_DIRTY_MEASURE);
	}
	for (i = 0; i < record->name_count; i++)
		record->names[i].is_gone = true;
	record->walked_unix_s = 0;
	record->store_dirty = true;
}

static int scan_init(struct ul_scan *scan)
{
	struct ul_view *view = scan->view;
	int rc;

	view->store_name = scan->store->base.name;
	view->store_kind = scan->store->base.kind;
	view->store_path = ul_arena_strdup(&view->arena, scan->store->path);
	view->as_of_unix_s = scan->options->as_of_unix_s;
	view->mount = "";
	if (!view->store_path)
		return ul_err_nomem(scan->err);
	rc = ul_trash_reopen(scan->store, scan->err);
	if (rc)
		return rc;
	rc = ul_record_load(scan->store->db, scan->store->form->kind,
			    scan->store->record_path, &view->record, scan->err);
	scan->record = &view->record;
	if (!rc && !scan->store->form->is_ours)
		scan_forget(scan);
	return rc;
}

static int scan_once(struct ul_embedded *store,
		     const struct ul_scan_options *options, bool is_last_try,
		     struct ul_view *ret_view, struct ul_err *err)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	ul_cleanup(scan_release) struct ul_scan scan = {
		.store = store,
		.options = options,
		.view = &view,
		.is_last_try = is_last_try,
		.leases = UL_LEASES_INIT,
		.snapshots = UL_SNAPSHOTS_INIT,
		.err = err,
	};
	int rc = scan_init(&scan);

	if (!rc)
		rc = store->is_absent ? scan_graph(&scan) : scan_all(&scan);
	if (rc)
		return rc;
	*ret_view = view;
	view = UL_VIEW_INIT;
	return 0;
}

/*
 * Reports take no lock: another ullage may have changed the record between
 * our loading and saving it, and what we would save is old. Look again. A
 * report on a store that is never quiet is right without being recorded.
 */
int ul_embedded_scan(struct ul_store *base,
		     const struct ul_scan_options *options,
		     struct ul_view *ret_view, struct ul_err *err)
{
	struct ul_embedded *store = (struct ul_embedded *)base;
	int tries, rc = UL_E_CONFLICT;

	for (tries = 1; rc == UL_E_CONFLICT && tries <= SCAN_TRIES; tries++)
		rc = scan_once(store, options, tries == SCAN_TRIES, ret_view,
			       err);
	return rc ? ul_err_wrap(err, "reading the store %s", store->path) : 0;
}

int ul_embedded_overhead(struct ul_store *base, uint64_t *ret_bytes,
			 struct ul_err *err)
{
	ul_cleanup(ul_inventory_release) struct ul_inventory inventory =
	    UL_INVENTORY_INIT;
	int rc = ul_inventory_take((struct ul_embedded *)base, &inventory, err);

	if (!rc)
		*ret_bytes = inventory.overhead_bytes;
	return rc;
}
