#include "store/embedded/names.h"

#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/stmt.h"
#include "store/embedded/kept_names.h"
#include "store/embedded/ops.h"
#include "store/embedded/store.h"
#include "store/graph/mark.h"
#include "store/oci/layout.h"
#include "store/view.h"

static int name_conflict(const struct ul_layout_entry *entry,
			 const struct ul_new_name *name, struct ul_err *err)
{
	char was[UL_DIGEST_TEXT_MAX], is[UL_DIGEST_TEXT_MAX];

	ul_digest_format(&entry->descriptor.digest, was);
	ul_digest_format(&name->descriptor.digest, is);
	return ul_err_set(err, UL_E_CONFLICT,
			  "%s stands for %.19s, not %.19s; --replace moves it",
			  name->name, was, is);
}

/* New names by what finds their entry: the name, else the digest. */
struct lookup {
	struct ul_map by_name, by_digest;
	bool *is_there; /* owned: for each, whether the index has it */
};

static void lookup_release(struct lookup *lookup)
{
	ul_map_release(&lookup->by_name);
	ul_map_release(&lookup->by_digest);
	ul_freep(&lookup->is_there);
}

static int lookup_init(struct lookup *lookup, const struct ul_new_name *names,
		       size_t count, struct ul_err *err)
{
	bool ok = true;
	size_t i;

	lookup->is_there = ul_calloc(count + 1, sizeof *lookup->is_there);
	if (!lookup->is_there)
		return ul_err_nomem(err);
	for (i = 0; ok && i < count; i++) {
		const struct ul_digest *digest = &names[i].descriptor.digest;

		ok = names[i].name
			 ? ul_map_set(&lookup->by_name, names[i].name,
				      strlen(names[i].name), (uint32_t)i)
			 : ul_map_set(&lookup->by_digest, digest,
				      sizeof *digest, (uint32_t)i);
	}
	return ok ? 0 : ul_err_nomem(err);
}

static uint32_t lookup_find(const struct lookup *lookup,
			    const struct ul_layout_entry *entry)
{
	const struct ul_digest *digest = &entry->descriptor.digest;

	return entry->name
		   ? ul_map_get_str(&lookup->by_name, entry->name)
		   : ul_map_get(&lookup->by_digest, digest, sizeof *digest);
}

/* Go through the index: what stands there already is marked, what is to move
 * is removed. */
static int names_clear(struct ul_layout_index *index, struct lookup *lookup,
		       const struct ul_new_name *names, bool replace,
		       struct ul_err *err)
{
	size_t i = 0;

	while (i < ul_layout_index_count(index)) {
		const struct ul_layout_entry *entry =
		    ul_layout_index_entry(index, i);
		uint32_t at = lookup_find(lookup, entry);

		if (at == UL_MAP_NONE) {
			i++;
		} else if (ul_digest_equal(&entry->descriptor.digest,
					   &names[at].descriptor.digest)) {
			lookup->is_there[at] = true;
			i++;
		} else if (replace) {
			ul_layout_index_remove(index, i);
		} else {
			return name_conflict(entry, &names[at], err);
		}
	}
	return 0;
}

int ul_names_put(struct ul_embedded *store, const struct ul_new_name *names,
		 size_t count, bool replace, struct ul_err *err)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	ul_cleanup(lookup_release) struct lookup lookup = { .is_there = NULL };
	size_t i, old_count;
	bool is_changed;
	struct ul_index_stamp stamp;
	int rc;

	assert(store->is_locked);
	rc = lookup_init(&lookup, names, count, err);
	if (!rc)
		rc = ul_embedded_index_read(store, &index, &stamp, err);
	if (rc)
		return rc;
	old_count = ul_layout_index_count(index);
	rc = names_clear(index, &lookup, names, replace, err);
	is_changed = ul_layout_index_count(index) != old_count;
	for (i = 0; !rc && i < count; i++) {
		if (lookup.is_there[i])
			continue;
		rc = ul_layout_index_add(index, &names[i].descriptor,
					 names[i].name, err);
		is_changed = true;
	}
	if (rc || !is_changed)
		return rc;
	return ul_embedded_index_write(store, index, &stamp, err);
}

int ul_names_check(struct ul_embedded *store, const struct ul_new_name *names,
		   size_t count, bool replace, struct ul_err *err)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	ul_cleanup(lookup_release) struct lookup lookup = { .is_there = NULL };
	int rc;

	assert(store->is_locked);
	rc = lookup_init(&lookup, names, count, err);
	if (!rc)
		rc = ul_embedded_index_read(store, &index, NULL, err);
	return rc ? rc : names_clear(index, &lookup, names, replace, err);
}

int ul_names_used(struct ul_embedded *store, const char *digest,
		  struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int64_t row;
	int rc = ul_embedded_store_row(store, &row, err);

	if (!rc)
		rc = ul_stmt_get(store->db, UL_SQL_USED_SET, &set, err);
	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":store", row);
	ul_stmt_bind_text(set, ":namespace", "");
	ul_stmt_bind_text(set, ":digest", digest);
	ul_stmt_bind_i64(set, ":used", ul_clock_unix_s());
	return ul_stmt_run(set, err);
}

static int release_row(struct ul_embedded *store, int64_t row, int64_t now,
		       struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_OBJECT_RELEASE, &set, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":id", row);
	ul_stmt_bind_i64(set, ":now", now);
	return ul_stmt_run(set, err);
}

/* What a name stands for in a view; "" where it stands for nothing. */
static const char *name_digest(const struct ul_view *view,
			       const struct ul_object *object)
{
	const struct ul_record *record = &view->record;

	if (!object->ref_count)
		return "";
	return record->objects[record->refs[object->first_ref].target].key;
}

static int release_name(struct ul_embedded *store, const struct ul_view *view,
			const struct ul_object *object, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int rc;

	if (object->kind != UL_KIND_IMAGE)
		return 0;
	rc = ul_stmt_get(store->db, UL_SQL_NAME_RELEASE, &set, err);
	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":store", view->record.store_row);
	ul_stmt_bind_text(set, ":name", object->key);
	ul_stmt_bind_text(set, ":digest", name_digest(view, object));
	ul_stmt_bind_i64(set, ":now", view->as_of_unix_s);
	return ul_stmt_run(set, err);
}

static int release_all(struct ul_embedded *store, const struct ul_view *view,
		       const struct ul_mark *before,
		       const struct ul_mark *after, struct ul_err *err)
{
	const struct ul_record *record = &view->record;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < record->object_count; i++) {
		uint32_t at = (uint32_t)i;

		if (record->objects[i].row &&
		    ul_mark_keeps(before, &view->graph, at) &&
		    !ul_mark_keeps(after, &view->graph, at))
			rc = release_row(store, record->objects[i].row,
					 view->as_of_unix_s, err);
	}
	return rc;
}

static int release_in_tx(struct ul_embedded *store, const struct ul_view *view,
			 const uint32_t *objects, size_t count,
			 const struct ul_mark *before,
			 const struct ul_mark *after, struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	size_t i;
	int rc = ul_db_begin(store->db, &tx, err);

	if (!rc)
		rc = release_all(store, view, before, after, err);
	for (i = 0; !rc && i < count; i++)
		rc = release_name(store, view,
				  &view->record.objects[objects[i]], err);
	return rc ? rc : ul_db_commit(&tx, err);
}

int ul_embedded_release(struct ul_store *base, const struct ul_view *view,
			const uint32_t *objects, size_t count,
			struct ul_err *err)
{
	ul_cleanup(ul_mark_release) struct ul_mark before = UL_MARK_INIT;
	ul_cleanup(ul_mark_release) struct ul_mark after = UL_MARK_INIT;
	ul_cleanup(ul_bits_release) struct ul_bits without = UL_BITS_INIT;
	size_t i;
	int rc;

	if (!ul_bits_init(&without, view->graph.node_count))
		return ul_err_nomem(err);
	for (i = 0; i < count; i++)
		ul_bits_set(&without, objects[i]);
	rc = ul_mark_init(&before, &view->graph, err);
	if (!rc)
		rc = ul_mark_init(&after, &view->graph, err);
	if (rc)
		return rc;
	ul_mark_roots(&before, &view->graph, NULL);
	ul_mark_roots(&after, &view->graph, &without);
	return release_in_tx((struct ul_embedded *)base, view, objects, count,
			     &before, &after, err);
}

/* The names (digests, of nameless entries) that these objects are. */
static int listed_init(struct ul_map *listed, const struct ul_view *view,
		       const uint32_t *objects, size_t count,
		       struct ul_err *err)
{
	size_t i;

	for (i = 0; i < count; i++) {
		const struct ul_object *object =
		    &view->record.objects[objects[i]];

		if (object->kind == UL_KIND_IMAGE &&
		    !ul_map_set(listed, object->key, strlen(object->key),
				objects[i]))
			return ul_err_nomem(err);
	}
	return 0;
}

/* Take the listed entries out of the index, and note them. */
static int entries_take(struct ul_layout_index *index,
			const struct ul_view *view, const uint32_t *objects,
			size_t count, struct ul_kept_names *kept,
			struct ul_err *err)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	ul_cleanup(ul_map_release) struct ul_map listed = UL_MAP_INIT;
	size_t i = 0;

	if (listed_init(&listed, view, objects, count, err))
		return err->code;
	while (i < ul_layout_index_count(index)) {
		ul_cleanup(ul_buf_release) struct ul_buf json = UL_BUF_INIT;
		const char *key = ul_layout_entry_key(
		    ul_layout_index_entry(index, i), &arena);
		uint32_t object;

		if (!key)
			return ul_err_nomem(err);
		object = ul_map_get_str(&listed, key);
		if (object == UL_MAP_NONE) {
			i++;
			continue;
		}
		if (ul_layout_index_entry_dump(index, i, &json, err))
			return err->code;
		if (!ul_kept_names_add(kept, ul_buf_str(&json), object))
			return ul_err_nomem(err);
		ul_layout_index_remove(index, i);
	}
	return 0;
}

int ul_embedded_remove_roots(struct ul_store *base, const struct ul_view *view,
			     const uint32_t *objects, size_t count,
			     const struct ul_sweep_request *undo,
			     struct ul_err *err)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	ul_cleanup(ul_kept_names_release) struct ul_kept_names kept =
	    UL_KEPT_NAMES_INIT;
	struct ul_embedded *store = (struct ul_embedded *)base;
	struct ul_index_stamp stamp;
	int rc;

	assert(store->is_locked);
	rc = ul_embedded_index_read(store, &index, &stamp, err);
	if (rc)
		return rc;
	if (!ul_index_stamp_equal(&stamp, &view->roots_stamp))
		return ul_err_set(err, UL_E_CONFLICT,
				  "the index was changed by another program "
				  "just now; try again");
	rc = entries_take(index, view, objects, count, &kept, err);
	if (!rc && undo)
		rc = ul_sweep_keep_names(store, undo, view, &kept, err);
	/* The index first: a report that reads in between then sees a name
	 * gone that is not marked as ours, which only keeps its content. */
	if (!rc)
		rc = ul_embedded_index_write(store, index, &stamp, err);
	if ((rc == UL_E_CONFLICT || rc == UL_E_BUSY) && undo)
		ul_sweep_forget_names(store, &kept);
	return rc ? rc : ul_embedded_release(base, view, objects, count, err);
}

static int release_moved(struct ul_embedded *store,
			 const struct ul_new_name *const *moving, size_t count,
			 struct ul_err *err)
{
	const struct ul_scan_options options = {
		.as_of_unix_s = ul_clock_unix_s(),
		.for_change = true,
	};
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	ul_cleanup(ul_freep) uint32_t *objects =
	    ul_calloc(count, sizeof *objects);
	size_t i, len = 0;
	int rc;

	if (!objects)
		return ul_err_nomem(err);
	rc = ul_embedded_scan(&store->base, &options, &view, err);
	if (rc)
		return rc;
	for (i = 0; i < count; i++) {
		uint32_t at = ul_record_find(&view.record, UL_KIND_IMAGE, "",
					     "", moving[i]->name);

		if (at != UL_OBJECT_NONE && !view.record.objects[at].is_gone)
			objects[len++] = at;
	}
	return ul_embedded_release(&store->base, &view, objects, len, err);
}

int ul_names_release_moved(struct ul_embedded *store,
			   const struct ul_new_name *names, size_t count,
			   struct ul_err *err)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	ul_cleanup(lookup_release) struct lookup lookup = { .is_there = NULL };
	ul_cleanup(ul_freep) const struct ul_new_name **moving = NULL;
	size_t i, len = 0, index_count;
	int rc;

	assert(store->is_locked);
	rc = lookup_init(&lookup, names, count, err);
	if (!rc)
		rc = ul_embedded_index_read(store, &index, NULL, err);
	if (rc)
		return rc;
	index_count = ul_layout_index_count(index);
	moving = ul_calloc(index_count + 1, sizeof *moving);
	if (!moving)
		return ul_err_nomem(err);
	for (i = 0; i < index_count; i++) {
		const struct ul_layout_entry *entry =
		    ul_layout_index_entry(index, i);
		uint32_t at = lookup_find(&lookup, entry);

		if (at != UL_MAP_NONE &&
		    !ul_digest_equal(&entry->descriptor.digest,
				     &names[at].descriptor.digest))
			moving[len++] = &names[at];
	}
	return len ? release_moved(store, moving, len, err) : 0;
}
