/*
 * Loading a record: one pass a table, rows in order of their numbers, so
 * that references find their objects through one array and no hashing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/record.h"
#include "store/db/stmt.h"
#include "store/db/words.h"

/* Row numbers to positions. Rows come ascending, so a search finds them. */
struct load {
	struct ul_db *db;
	struct ul_record *record;
	int64_t *kept_by; /* owned; row that keeps each object, 0 for none */
	size_t kept_cap;
	struct ul_err *err;
};

static int load_open(struct load *load, enum ul_sql sql, struct ul_stmt **row)
{
	int rc = ul_stmt_get(load->db, sql, row, load->err);

	if (!rc)
		ul_stmt_bind_i64(*row, ":store", load->record->store_row);
	return rc;
}

/* The same for what hangs on objects: between the first row and the last. */
static int load_open_range(struct load *load, enum ul_sql sql,
			   struct ul_stmt **row)
{
	const struct ul_record *record = load->record;
	size_t count = record->object_count;
	int rc = ul_stmt_get(load->db, sql, row, load->err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(*row, ":first", count ? record->objects[0].row : 1);
	ul_stmt_bind_i64(*row, ":last",
			 count ? record->objects[count - 1].row : 0);
	return 0;
}

/* The object in row `id`: objects were loaded in ascending row order. */
static uint32_t load_object_at(const struct ul_record *record, int64_t id)
{
	size_t low = 0, high = record->object_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (record->objects[middle].row < id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < record->object_count && record->objects[low].row == id)
		return (uint32_t)low;
	return UL_OBJECT_NONE;
}

/* Short words repeat in runs ("application/vnd..."): share the last copy. */
static const char *load_text(struct load *load, struct ul_stmt *row, int column,
			     const char *last)
{
	const char *text = ul_stmt_text(row, column);

	if (last && !strcmp(text, last))
		return last;
	return ul_record_text(load->record, text);
}

/* Row numbers have 64 bits, and rows of keepers may come later. */
static bool load_set_keeper(struct load *load, uint32_t at, int64_t keeper)
{
	int64_t *kept_by = ul_grow(load->kept_by, &load->kept_cap,
				   (size_t)at + 1, sizeof *kept_by);

	if (!kept_by)
		return false;
	load->kept_by = kept_by;
	kept_by[at] = keeper;
	return true;
}

static int load_object_row(struct load *load, struct ul_stmt *row)
{
	struct ul_record *record = load->record;
	int kind = ul_word_find(ul_kind_words, ul_stmt_text(row, 1));
	const struct ul_object *last;
	struct ul_object *object;
	uint32_t at;

	if (kind < 0)
		return ul_err_set(load->err, UL_E_CORRUPT, "object of kind %s",
				  ul_stmt_text(row, 1));
	at = ul_record_object(record, (uint8_t)kind, ul_stmt_text(row, 2),
			      ul_stmt_text(row, 3), ul_stmt_text(row, 4));
	if (at == UL_OBJECT_NONE)
		return ul_err_nomem(load->err);
	object = &record->objects[at];
	last = at ? object - 1 : NULL;
	object->row = ul_stmt_i64(row, 0);
	object->media_type =
	    load_text(load, row, 5, last ? last->media_type : NULL);
	object->artifact_type =
	    load_text(load, row, 6, last ? last->artifact_type : NULL);
	object->platform =
	    load_text(load, row, 7, last ? last->platform : NULL);
	object->is_attestation = ul_stmt_i64(row, 8) != 0;
	object->length_bytes = (uint64_t)ul_stmt_i64(row, 9);
	object->is_present = ul_stmt_i64(row, 10) != 0;
	object->content = (uint8_t)ul_stmt_i64(row, 11);
	object->is_reachable = ul_stmt_i64(row, 12) != 0;
	object->is_known = ul_stmt_i64(row, 13) != 0;
	object->is_released = ul_stmt_i64(row, 14) != 0;
	object->reachable_unix_s = ul_stmt_i64(row, 15);
	if (!load_set_keeper(load, at, ul_stmt_i64(row, 16)))
		return ul_err_nomem(load->err);
	object->kept_reason =
	    load_text(load, row, 17, last ? last->kept_reason : NULL);
	object->diff_id = load_text(load, row, 18, NULL);
	object->is_named = ul_stmt_i64(row, 19) != 0;
	object->is_dirty = false;
	if (!object->media_type || !object->artifact_type ||
	    !object->platform || !object->kept_reason || !object->diff_id)
		return ul_err_nomem(load->err);
	return 0;
}

static int load_objects(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = load_open(load, UL_SQL_OBJECTS, &row);

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		rc = load_object_row(load, row);
		if (rc)
			return rc;
	}
	return rc;
}

static void load_kept_by(const struct load *load)
{
	struct ul_record *record = load->record;
	size_t i;

	for (i = 0; i < record->object_count; i++)
		record->objects[i].kept_by =
		    load->kept_by[i] ? load_object_at(record, load->kept_by[i])
				     : UL_OBJECT_NONE;
}

static int load_ref_row(struct load *load, struct ul_stmt *row,
			uint32_t *source)
{
	struct ul_record *record = load->record;
	int kind = ul_word_find(ul_ref_words, ul_stmt_text(row, 2));
	uint32_t target = load_object_at(record, ul_stmt_i64(row, 1));
	int64_t id = ul_stmt_i64(row, 0);
	struct ul_object_ref *refs;
	const char *last;

	/* Ascending too: move on from the last one instead of searching. */
	while (*source < record->object_count &&
	       record->objects[*source].row < id)
		++*source;
	if (*source == record->object_count ||
	    record->objects[*source].row != id)
		return 0; /* another store's */
	if (target == UL_OBJECT_NONE || kind < 0)
		return ul_err_set(load->err, UL_E_CORRUPT,
				  "reference of no object");
	refs = ul_grow(record->refs, &record->ref_cap, record->ref_count + 1,
		       sizeof *refs);
	if (!refs)
		return ul_err_nomem(load->err);
	record->refs = refs;
	last = record->ref_count ? refs[record->ref_count - 1].reason : NULL;
	refs[record->ref_count] = (struct ul_object_ref){
		.target = target,
		.kind = (uint8_t)kind,
		.reason = load_text(load, row, 3, last),
	};
	if (!refs[record->ref_count].reason)
		return ul_err_nomem(load->err);
	if (!record->objects[*source].ref_count++)
		record->objects[*source].first_ref =
		    (uint32_t)record->ref_count;
	record->ref_count++;
	return 0;
}

static int load_refs(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = load_open_range(load, UL_SQL_REFS, &row);
	uint32_t source = 0;

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		rc = load_ref_row(load, row, &source);
		if (rc)
			return rc;
	}
	return rc;
}

static int load_configs(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = load_open_range(load, UL_SQL_CONFIGS, &row);

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		struct ul_record *record = load->record;
		uint32_t at = load_object_at(record, ul_stmt_i64(row, 0));
		struct ul_config_facts *config;

		if (at == UL_OBJECT_NONE)
			continue;
		config = ul_arena_alloc(&record->arena, sizeof *config);
		if (!config)
			return ul_err_nomem(load->err);
		config->created_unix_s = ul_stmt_i64(row, 1);
		config->diff_ids = load_text(load, row, 2, NULL);
		config->labels = load_text(load, row, 3, NULL);
		if (!config->diff_ids || !config->labels)
			return ul_err_nomem(load->err);
		record->objects[at].config = config;
	}
	return rc;
}

static int load_measures(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = load_open_range(load, UL_SQL_MEASURES, &row);

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		uint32_t at = load_object_at(load->record, ul_stmt_i64(row, 0));

		if (at == UL_OBJECT_NONE)
			continue;
		load->record->objects[at].measure = (struct ul_measure){
			.dev = (uint64_t)ul_stmt_i64(row, 1),
			.ino = (uint64_t)ul_stmt_i64(row, 2),
			.ctime_ns = ul_stmt_i64(row, 3),
			.allocated_bytes = (uint64_t)ul_stmt_i64(row, 4),
			.unpacked_bytes = (uint64_t)ul_stmt_i64(row, 5),
			.measured_unix_s = ul_stmt_i64(row, 6),
			.agreed = ul_stmt_i64(row, 7) != 0,
		};
	}
	return rc;
}

/* Rows of one object come together: append to the run that grows. */
static int load_link_row(struct load *load, struct ul_stmt *row,
			 struct ul_measure **run, size_t *run_cap)
{
	struct ul_record *record = load->record;
	uint32_t at = load_object_at(record, ul_stmt_i64(row, 0));
	struct ul_measure_link *links;
	struct ul_measure *measure;

	if (at == UL_OBJECT_NONE)
		return 0;
	measure = &record->objects[at].measure;
	if (measure != *run)
		*run_cap = 0;
	*run = measure;
	if (measure->link_count == *run_cap) {
		*run_cap = *run_cap ? 2 * *run_cap : 8;
		links =
		    ul_arena_alloc(&record->arena, *run_cap * sizeof *links);
		if (!links)
			return ul_err_nomem(load->err);
		if (measure->link_count)
			memcpy(links, measure->links,
			       measure->link_count * sizeof *links);
		measure->links = links;
	}
	measure->links[measure->link_count++] = (struct ul_measure_link){
		.dev = (uint64_t)ul_stmt_i64(row, 1),
		.ino = (uint64_t)ul_stmt_i64(row, 2),
		.nlink = (uint32_t)ul_stmt_i64(row, 3),
		.seen = (uint32_t)ul_stmt_i64(row, 4),
		.in_split = ul_stmt_i64(row, 5) != 0,
		.allocated_bytes = (uint64_t)ul_stmt_i64(row, 6),
	};
	return 0;
}

static int load_links(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = load_open_range(load, UL_SQL_MEASURE_LINKS, &row);
	struct ul_measure *run = NULL;
	size_t run_cap = 0;

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		rc = load_link_row(load, row, &run, &run_cap);
		if (rc)
			return rc;
	}
	return rc;
}

static int load_names(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = load_open(load, UL_SQL_NAMES, &row);

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		struct ul_name *name = ul_record_name(
		    load->record, ul_stmt_text(row, 0), ul_stmt_text(row, 1));

		if (!name)
			return ul_err_nomem(load->err);
		name->digest = load_text(load, row, 2, NULL);
		name->entry = load_text(load, row, 3, NULL);
		name->seen_unix_s = ul_stmt_i64(row, 4);
		name->vanished_unix_s = ul_stmt_i64(row, 5);
		name->is_ours = ul_stmt_i64(row, 6) != 0;
		name->is_dirty = false;
		if (!name->digest || !name->entry)
			return ul_err_nomem(load->err);
	}
	return rc;
}

static int load_used(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = load_open(load, UL_SQL_USED, &row);

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		struct ul_used *used = ul_record_used(
		    load->record, ul_stmt_text(row, 0), ul_stmt_text(row, 1));

		if (!used)
			return ul_err_nomem(load->err);
		used->used_unix_s = ul_stmt_i64(row, 2);
	}
	return rc;
}

static int load_pins(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = load_open(load, UL_SQL_PINS, &row);

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		struct ul_record *record = load->record;
		const char **pins =
		    ul_grow(record->pins, &record->pin_cap,
			    record->pin_count + 1, sizeof *pins);

		if (!pins)
			return ul_err_nomem(load->err);
		record->pins = pins;
		pins[record->pin_count] = load_text(load, row, 0, NULL);
		if (!pins[record->pin_count] ||
		    !ul_map_set(&record->pin_ids, pins[record->pin_count],
				strlen(pins[record->pin_count]),
				(uint32_t)record->pin_count))
			return ul_err_nomem(load->err);
		record->pin_count++;
	}
	return rc;
}

static int load_named(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = load_open(load, UL_SQL_NAMED, &row);

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		if (!ul_record_set_named(load->record, ul_stmt_text(row, 0)))
			return ul_err_nomem(load->err);
	}
	load->record->named_saved = load->record->named_count;
	return rc;
}

/* 1 where there is such a store, 0 where not. */
static int load_store(struct load *load, const char *kind, const char *path)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	struct ul_record *record = load->record;
	int rc = ul_stmt_get(load->db, UL_SQL_STORE_FIND, &row, load->err);

	if (rc)
		return rc;
	ul_stmt_bind_text(row, ":kind", kind);
	ul_stmt_bind_text(row, ":path", path);
	rc = ul_stmt_next(row, load->err);
	if (rc <= 0)
		return rc;
	record->store_row = ul_stmt_i64(row, 0);
	record->store_uid = load_text(load, row, 1, NULL);
	record->generation = ul_stmt_i64(row, 2);
	record->scanned_unix_s = ul_stmt_i64(row, 3);
	record->walked_unix_s = ul_stmt_i64(row, 4);
	record->residual_bytes = ul_stmt_i64(row, 5);
	record->index_hash = (uint64_t)ul_stmt_i64(row, 6);
	return record->store_uid ? 1 : ul_err_nomem(load->err);
}

static int load_tables(struct load *load)
{
	static int (*const tables[])(struct load *) = {
		load_objects,  load_refs,  load_configs,
		load_measures, load_links, load_names,
		load_used,     load_pins,  load_named,
	};
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < ul_array_len(tables); i++) {
		rc = tables[i](load);
		if (!rc && i == 0)
			load_kept_by(load);
	}
	return rc;
}

int ul_record_load(struct ul_db *db, const char *store_kind,
		   const char *store_path, struct ul_record *ret_record,
		   struct ul_err *err)
{
	ul_cleanup(ul_record_release) struct ul_record record = UL_RECORD_INIT;
	ul_cleanup(ul_db_read_endp) struct ul_db *read = NULL;
	struct load load = { .db = db, .record = &record, .err = err };
	int rc;

	record.store_uid = "";
	rc = ul_db_read_begin(db, &read, err);
	if (!rc)
		rc = ul_db_data_version(db, &record.data_version, err);
	if (!rc)
		rc = load_store(&load, store_kind, store_path);
	if (rc > 0)
		rc = load_tables(&load);
	ul_freep(&load.kept_by);
	if (rc < 0)
		return ul_err_wrap(err, "reading the record of %s", store_path);
	*ret_record = record;
	record = UL_RECORD_INIT;
	return 0;
}
