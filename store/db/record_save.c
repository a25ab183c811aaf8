/*
 * Saving a record: only what is dirty. Objects go first, so that each has a
 * row when references to it are written.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/facts.h"
#include "store/db/record_internal.h"
#include "store/db/refs.h"
#include "store/db/stmt.h"
#include "store/db/words.h"

struct save {
	struct ul_db *db;
	struct ul_record *record;
	struct ul_buf pack; /* references of the object being written */
	struct ul_err *err;
};

static struct ul_object *dirty_object(const struct save *save, size_t i)
{
	return &save->record->objects[save->record->dirty[i]];
}

static bool object_is_dirty(const struct ul_object *object)
{
	return object->is_gone ? object->row != 0
			       : (object->dirty & ~UL_DIRTY_LISTED) != 0;
}

static bool record_is_dirty(const struct ul_record *record)
{
	size_t i;

	if (record->store_dirty || record->named_saved < record->named_count)
		return true;
	for (i = 0; i < record->dirty_count; i++) {
		if (object_is_dirty(&record->objects[record->dirty[i]]))
			return true;
	}
	for (i = 0; i < record->name_count; i++) {
		if (record->names[i].is_dirty || record->names[i].is_gone)
			return true;
	}
	for (i = 0; i < record->used_count; i++) {
		if (record->used[i].is_dirty)
			return true;
	}
	return false;
}

static int save_store(struct save *save, const char *kind, const char *path)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL, *set = NULL;
	struct ul_record *record = save->record;
	int rc;

	if (!record->store_row) {
		rc = ul_stmt_get(save->db, UL_SQL_STORE_ADD, &add, save->err);
		if (rc)
			return rc;
		ul_stmt_bind_text(add, ":kind", kind);
		ul_stmt_bind_text(add, ":path", path);
		rc = ul_stmt_run(add, save->err);
		if (rc)
			return rc;
		record->store_row = ul_db_last_id(save->db);
		record->store_dirty = true;
	}
	if (!record->store_dirty)
		return 0;
	rc = ul_stmt_get(save->db, UL_SQL_STORE_SET, &set, save->err);
	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":id", record->store_row);
	ul_stmt_bind_i64(set, ":scanned", record->scanned_unix_s);
	ul_stmt_bind_i64(set, ":walked", record->walked_unix_s);
	ul_stmt_bind_i64(set, ":residual", record->residual_bytes);
	ul_stmt_bind_i64(set, ":index_hash", (int64_t)record->index_hash);
	return ul_stmt_run(set, save->err);
}

static int save_new_row(struct save *save, struct ul_object *object)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL;
	int rc = ul_stmt_get(save->db, UL_SQL_OBJECT_ADD, &add, save->err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(add, ":scope",
			 save->record->scopes[object->scope].row);
	ul_stmt_bind_text(add, ":key", object->key);
	rc = ul_stmt_next(add, save->err);
	if (rc < 0)
		return rc;
	object->row = ul_stmt_i64(add, 0);
	object->dirty |= UL_DIRTY_ADDED;
	return ul_stmt_run(add, save->err);
}

static int64_t keeper_row(const struct save *save,
			  const struct ul_object *object)
{
	return object->kept_by == UL_OBJECT_NONE
		   ? 0
		   : save->record->objects[object->kept_by].row;
}

/* By now each object has its row, those that it refers to as well. */
static int save_object_row(struct save *save, const struct ul_object *object)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int rc = ul_stmt_get(save->db, UL_SQL_OBJECT_SET, &set, save->err);

	if (rc)
		return rc;
	ul_buf_reset(&save->pack);
	if (object->dirty & UL_DIRTY_REFS) {
		if (!ul_refs_pack(save->record, object, &save->pack))
			return ul_err_nomem(save->err);
		ul_stmt_bind_blob(set, ":refs", save->pack.data,
				  save->pack.len);
	}
	ul_stmt_bind_i64(set, ":id", object->row);
	ul_stmt_bind_i64(set, ":facts", ul_facts_pack(save->record, object));
	ul_stmt_bind_text(set, ":diff_id", object->diff_id);
	ul_stmt_bind_i64(set, ":length_bytes", (int64_t)object->length_bytes);
	ul_stmt_bind_i64(set, ":reachable_unix_s", object->reachable_unix_s);
	ul_stmt_bind_i64(set, ":kept_by", keeper_row(save, object));
	return ul_stmt_run(set, save->err);
}

static int save_by_row(struct save *save, enum ul_sql sql, const char *name,
		       int64_t row)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *stmt = NULL;
	int rc = ul_stmt_get(save->db, sql, &stmt, save->err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(stmt, name, row);
	return ul_stmt_run(stmt, save->err);
}

static int save_config(struct save *save, const struct ul_object *object)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int rc = ul_stmt_get(save->db, UL_SQL_CONFIG_SET, &set, save->err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":object", object->row);
	ul_stmt_bind_i64(set, ":created", object->config->created_unix_s);
	ul_stmt_bind_text(set, ":diff_ids", object->config->diff_ids);
	ul_stmt_bind_text(set, ":labels", object->config->labels);
	return ul_stmt_run(set, save->err);
}

static int save_link(struct save *save, const struct ul_object *object,
		     const struct ul_measure_link *link)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL;
	int rc =
	    ul_stmt_get(save->db, UL_SQL_MEASURE_LINK_ADD, &add, save->err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(add, ":object", object->row);
	ul_stmt_bind_i64(add, ":dev", (int64_t)link->dev);
	ul_stmt_bind_i64(add, ":ino", (int64_t)link->ino);
	ul_stmt_bind_i64(add, ":nlink", link->nlink);
	ul_stmt_bind_i64(add, ":seen", link->seen);
	ul_stmt_bind_i64(add, ":in_split", link->in_split);
	ul_stmt_bind_i64(add, ":allocated", (int64_t)link->allocated_bytes);
	return ul_stmt_run(add, save->err);
}

static int save_measure_row(struct save *save, const struct ul_object *object)
{
	const struct ul_measure *measure = &object->measure;
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int rc = ul_stmt_get(save->db, UL_SQL_MEASURE_SET, &set, save->err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":object", object->row);
	ul_stmt_bind_i64(set, ":dev", (int64_t)measure->dev);
	ul_stmt_bind_i64(set, ":ino", (int64_t)measure->ino);
	ul_stmt_bind_i64(set, ":ctime_ns", measure->ctime_ns);
	ul_stmt_bind_i64(set, ":allocated", (int64_t)measure->allocated_bytes);
	ul_stmt_bind_i64(set, ":unpacked", (int64_t)measure->unpacked_bytes);
	ul_stmt_bind_i64(set, ":measured", measure->measured_unix_s);
	ul_stmt_bind_i64(set, ":agreed", measure->agreed);
	return ul_stmt_run(set, save->err);
}

static int save_measure(struct save *save, const struct ul_object *object)
{
	size_t i;
	int rc;

	rc = save_by_row(save, UL_SQL_MEASURE_LINKS_DELETE, ":object",
			 object->row);
	if (rc)
		return rc;
	if (!object->measure.measured_unix_s)
		return save_by_row(save, UL_SQL_MEASURE_DELETE, ":object",
				   object->row);
	rc = save_measure_row(save, object);
	for (i = 0; !rc && i < object->measure.link_count; i++)
		rc = save_link(save, object, &object->measure.links[i]);
	return rc;
}

static int save_new_rows(struct save *save)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < save->record->dirty_count; i++) {
		struct ul_object *object = dirty_object(save, i);

		if (!object->is_gone && !object->row)
			rc = save_new_row(save, object);
	}
	return rc;
}

static int save_object(struct save *save, const struct ul_object *object)
{
	int rc = 0;

	if (object->dirty & (UL_DIRTY_ROW | UL_DIRTY_REFS))
		rc = save_object_row(save, object);
	if (!rc && object->dirty & UL_DIRTY_REFS && object->config)
		rc = save_config(save, object);
	if (!rc && object->dirty & UL_DIRTY_MEASURE)
		rc = save_measure(save, object);
	return rc;
}

static int save_objects(struct save *save)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < save->record->dirty_count; i++) {
		const struct ul_object *object = dirty_object(save, i);

		if (!object->is_gone)
			rc = save_object(save, object);
	}
	return rc;
}

static const struct ul_object *gone_target(const struct ul_record *record,
					   const struct ul_object *object)
{
	uint32_t i;

	for (i = 0; i < object->ref_count; i++) {
		const struct ul_object_ref *ref =
		    &record->refs[object->first_ref + i];

		if (record->objects[ref->target].is_gone)
			return &record->objects[ref->target];
	}
	return NULL;
}

static bool has_gone(const struct save *save)
{
	size_t i;

	for (i = 0; i < save->record->dirty_count; i++) {
		if (dirty_object(save, i)->is_gone)
			return true;
	}
	return false;
}

/* What is referred to may not go: its references are numbers of rows. */
static int save_check_gone(struct save *save)
{
	const struct ul_record *record = save->record;
	size_t i, count = has_gone(save) ? record->object_count : 0;

	for (i = 0; i < count; i++) {
		const struct ul_object *object = &record->objects[i];
		const struct ul_object *target =
		    object->is_gone ? NULL : gone_target(record, object);

		if (target)
			return ul_err_set(save->err, UL_E_CONFLICT,
					  "%s goes, but %s refers to it",
					  target->key, object->key);
	}
	return 0;
}

static int save_gone(struct save *save)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < save->record->dirty_count; i++) {
		const struct ul_object *object = dirty_object(save, i);

		if (object->is_gone && object->row)
			rc = save_by_row(save, UL_SQL_OBJECT_DELETE, ":id",
					 object->row);
	}
	return rc;
}

static int save_name(struct save *save, const struct ul_name *name)
{
	enum ul_sql sql = name->is_gone ? UL_SQL_NAME_DELETE : UL_SQL_NAME_SET;
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int rc = ul_stmt_get(save->db, sql, &set, save->err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":store", save->record->store_row);
	ul_stmt_bind_text(set, ":namespace", name->ns);
	ul_stmt_bind_text(set, ":name", name->name);
	if (!name->is_gone) {
		ul_stmt_bind_text(set, ":digest", name->digest);
		ul_stmt_bind_text(set, ":entry", name->entry);
		ul_stmt_bind_i64(set, ":seen", name->seen_unix_s);
		ul_stmt_bind_i64(set, ":vanished", name->vanished_unix_s);
		ul_stmt_bind_i64(set, ":is_ours", name->is_ours);
	}
	return ul_stmt_run(set, save->err);
}

static int save_used(struct save *save, const struct ul_used *used)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int rc = ul_stmt_get(save->db, UL_SQL_USED_SET, &set, save->err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":store", save->record->store_row);
	ul_stmt_bind_text(set, ":namespace", used->ns);
	ul_stmt_bind_text(set, ":digest", used->digest);
	ul_stmt_bind_i64(set, ":used", used->used_unix_s);
	return ul_stmt_run(set, save->err);
}

static int save_named(struct save *save, const char *digest)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL;
	int rc = ul_stmt_get(save->db, UL_SQL_NAMED_ADD, &add, save->err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(add, ":store", save->record->store_row);
	ul_stmt_bind_text(add, ":digest", digest);
	return ul_stmt_run(add, save->err);
}

static int save_word(struct save *save, size_t number)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL;
	int rc = ul_stmt_get(save->db, UL_SQL_WORD_ADD, &add, save->err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(add, ":store", save->record->store_row);
	ul_stmt_bind_i64(add, ":id", (int64_t)number);
	ul_stmt_bind_text(add, ":text", save->record->words[number]);
	return ul_stmt_run(add, save->err);
}

static int save_type(struct save *save, size_t number)
{
	const struct ul_type *type = &save->record->types[number];
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL;
	int rc = ul_stmt_get(save->db, UL_SQL_TYPE_ADD, &add, save->err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(add, ":store", save->record->store_row);
	ul_stmt_bind_i64(add, ":id", (int64_t)number);
	ul_stmt_bind_text(add, ":media_type", type->media_type);
	ul_stmt_bind_text(add, ":artifact_type", type->artifact_type);
	ul_stmt_bind_text(add, ":platform", type->platform);
	return ul_stmt_run(add, save->err);
}

static int save_scope(struct save *save, struct ul_scope *scope)
{
	const char *ns = scope->packed + 1;
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL;
	int rc = ul_stmt_get(save->db, UL_SQL_SCOPE_ADD, &add, save->err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(add, ":store", save->record->store_row);
	ul_stmt_bind_text(add, ":kind",
			  ul_kind_words[(uint8_t)scope->packed[0]]);
	ul_stmt_bind_text(add, ":namespace", ns);
	ul_stmt_bind_text(add, ":snapshotter", ns + strlen(ns) + 1);
	rc = ul_stmt_run(add, save->err);
	if (!rc)
		scope->row = ul_db_last_id(save->db);
	return rc;
}

/* Texts of what is written get their numbers. */
static int save_put_common(struct save *save)
{
	struct ul_record *record = save->record;
	size_t i;

	for (i = 0; i < record->dirty_count; i++) {
		const struct ul_object *object = dirty_object(save, i);

		if (*object->kept_reason &&
		    !ul_record_put_word(record, object->kept_reason))
			return ul_err_nomem(save->err);
		if (ul_record_has_type(object) &&
		    !ul_record_put_type(record, object))
			return ul_err_nomem(save->err);
	}
	return 0;
}

static int save_common(struct save *save)
{
	struct ul_record *record = save->record;
	size_t i;
	int rc = save_put_common(save);

	for (i = record->words_saved; !rc && i < record->word_count; i++)
		rc = save_word(save, i);
	for (i = record->types_saved; !rc && i < record->type_count; i++)
		rc = save_type(save, i);
	for (i = record->scopes_saved; !rc && i < record->scope_count; i++)
		rc = save_scope(save, &record->scopes[i]);
	return rc;
}

static int save_names(struct save *save)
{
	struct ul_record *record = save->record;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < record->name_count; i++) {
		if (record->names[i].is_dirty || record->names[i].is_gone)
			rc = save_name(save, &record->names[i]);
	}
	for (i = 0; !rc && i < record->used_count; i++) {
		if (record->used[i].is_dirty)
			rc = save_used(save, &record->used[i]);
	}
	for (i = record->named_saved; !rc && i < record->named_count; i++)
		rc = save_named(save, record->named[i]);
	return rc;
}

/* Nothing is known any more of what is gone; it is not written again. */
static void record_clean(struct ul_record *record)
{
	size_t i;

	record->store_dirty = false;
	record->named_saved = record->named_count;
	record->words_saved = record->word_count;
	record->types_saved = record->type_count;
	record->scopes_saved = record->scope_count;
	for (i = 0; i < record->dirty_count; i++) {
		struct ul_object *object = &record->objects[record->dirty[i]];

		object->dirty = 0;
		if (object->is_gone)
			object->row = 0;
	}
	record->dirty_count = 0;
	for (i = 0; i < record->name_count; i++)
		record->names[i].is_dirty = false;
	for (i = 0; i < record->used_count; i++)
		record->used[i].is_dirty = false;
}

/* A transaction that fails takes the new row numbers with it. */
static void record_forget_rows(struct ul_record *record, int64_t store_row)
{
	size_t i;

	record->store_row = store_row;
	for (i = record->scopes_saved; i < record->scope_count; i++)
		record->scopes[i].row = 0;
	for (i = 0; i < record->dirty_count; i++) {
		struct ul_object *object = &record->objects[record->dirty[i]];

		if (object->dirty & UL_DIRTY_ADDED)
			object->row = 0;
		object->dirty &= (uint8_t)~UL_DIRTY_ADDED;
	}
}

static int number_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* A record that another connection has outdated must not win over it. */
static int save_check(struct save *save)
{
	int64_t version;
	int rc = ul_db_data_version(save->db, &version, save->err);

	if (!rc && version != save->record->data_version)
		return ul_err_set(save->err, UL_E_CONFLICT,
				  "the record was changed meanwhile");
	return rc;
}

static int save_all(struct save *save, const char *kind, const char *path)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	int rc = ul_db_begin(save->db, &tx, save->err);

	if (!rc)
		rc = save_check(save);
	if (!rc)
		rc = save_store(save, kind, path);
	if (!rc)
		rc = save_check_gone(save);
	if (!rc)
		rc = save_common(save);
	if (!rc)
		rc = save_new_rows(save);
	if (!rc)
		rc = save_objects(save);
	if (!rc)
		rc = save_gone(save);
	if (!rc)
		rc = save_names(save);
	return rc ? rc : ul_db_commit(&tx, save->err);
}

int ul_record_save(struct ul_db *db, const char *store_kind,
		   const char *store_path, struct ul_record *record,
		   struct ul_err *err)
{
	struct save save = { .db = db, .record = record, .err = err };
	int64_t store_row = record->store_row;
	int rc;

	if (ul_db_is_read_only(db) ||
	    (record->store_row && !record_is_dirty(record)))
		return 0;
	/* Rows that lie together are written together. */
	if (record->dirty_count)
		qsort(record->dirty, record->dirty_count, sizeof *record->dirty,
		      number_cmp);
	rc = save_all(&save, store_kind, store_path);
	ul_buf_release(&save.pack);
	if (rc) {
		record_forget_rows(record, store_row);
		return ul_err_wrap(err, "recording what is in %s", store_path);
	}
	record_clean(record);
	return 0;
}
