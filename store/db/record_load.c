/*
 * Loading a record: one pass a table, rows in order of their numbers, so
 * that references find their objects through one array and no hashing. What
 * can be done for all objects at once is done after the last has come.
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

enum { POSITIONS_PER_OBJECT = 4 };

/* A row that is not near the first one (see place_of). */
struct far {
	int64_t row;
	size_t at; /* of a reference, or of the object that is kept */
	bool is_keeper;
};

struct load {
	struct ul_db *db;
	struct ul_record *record;
	struct far *far; /* owned */
	size_t far_count, far_cap;
	uint32_t scope; /* position of the last one that was found */
	/* Owned: positions of the rows from the first on, NULL where these lie
	 * too far apart. */
	uint32_t *positions;
	uint64_t span; /* of rows */
	struct ul_err *err;
};

static void load_release(struct load *load)
{
	ul_freep(&load->far);
	ul_freep(&load->positions);
}

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

/* Rows come ascending: a search finds them. */
static uint32_t load_search(const struct ul_record *record, int64_t id)
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

/*
 * Rows that come later are referred to as well, so that references are found
 * in two steps: until all rows are here they hold how far behind the first row
 * theirs is. UL_OBJECT_NONE where that is no number of 32 bits.
 */
static uint32_t place_of(const struct ul_record *record, int64_t row)
{
	uint64_t place = (uint64_t)row - (uint64_t)record->objects[0].row;

	return place < UL_OBJECT_NONE ? (uint32_t)place : UL_OBJECT_NONE;
}

static uint32_t load_placed(const struct load *load, uint32_t place)
{
	const struct ul_record *record = load->record;

	if (place == UL_OBJECT_NONE)
		return UL_OBJECT_NONE;
	if (!load->positions)
		return load_search(record, record->objects[0].row + place);
	return place < load->span ? load->positions[place] : UL_OBJECT_NONE;
}

static uint32_t load_object_at(const struct load *load, int64_t id)
{
	const struct ul_record *record = load->record;

	return record->object_count ? load_placed(load, place_of(record, id))
				    : UL_OBJECT_NONE;
}

static bool load_add_far(struct load *load, int64_t row, size_t at,
			 bool is_keeper)
{
	struct far *far = ul_grow(load->far, &load->far_cap,
				  load->far_count + 1, sizeof *far);

	if (!far)
		return false;
	load->far = far;
	far[load->far_count++] =
	    (struct far){ .row = row, .at = at, .is_keeper = is_keeper };
	return true;
}

/* Row numbers are mostly dense: then a table beats searching. */
static int load_positions(struct load *load)
{
	const struct ul_record *record = load->record;
	size_t i, count = record->object_count;
	uint64_t first, span;

	if (!count)
		return 0;
	first = (uint64_t)record->objects[0].row;
	span = (uint64_t)record->objects[count - 1].row - first + 1;
	if (span / POSITIONS_PER_OBJECT > count || span >= UL_OBJECT_NONE)
		return 0;
	load->positions = ul_malloc(span * sizeof *load->positions);
	if (!load->positions)
		return ul_err_nomem(load->err);
	memset(load->positions, 0xff, span * sizeof *load->positions);
	for (i = 0; i < count; i++)
		load->positions[(uint64_t)record->objects[i].row - first] =
		    (uint32_t)i;
	load->span = span;
	return 0;
}

static const char *load_text(struct load *load, struct ul_stmt *row, int column)
{
	return ul_record_text(load->record, ul_stmt_text(row, column));
}

/* All of them, before what has their numbers. */
static int load_words(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	struct ul_record *record = load->record;
	int rc = load_open(load, UL_SQL_WORDS, &row);

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		if (ul_stmt_i64(row, 0) != (int64_t)record->word_count)
			return ul_err_set(load->err, UL_E_CORRUPT,
					  "reasons are not numbered on");
		if (!ul_record_add_word(record, ul_stmt_text(row, 1)))
			return ul_err_nomem(load->err);
	}
	record->words_saved = record->word_count;
	return rc;
}

static int load_types(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	struct ul_record *record = load->record;
	int rc = load_open(load, UL_SQL_TYPES, &row);

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		struct ul_type type = {
			.media_type = ul_stmt_text(row, 1),
			.artifact_type = ul_stmt_text(row, 2),
			.platform = ul_stmt_text(row, 3),
		};

		if (ul_stmt_i64(row, 0) != (int64_t)record->type_count)
			return ul_err_set(load->err, UL_E_CORRUPT,
					  "types are not numbered on");
		if (!ul_record_add_type(record, &type))
			return ul_err_nomem(load->err);
	}
	record->types_saved = record->type_count;
	return rc;
}

static int load_scopes(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	struct ul_record *record = load->record;
	int rc = load_open(load, UL_SQL_SCOPES, &row);

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		const char *word = ul_stmt_text(row, 1);
		int kind = ul_word_find(ul_kind_words, word);

		if (kind < 0)
			return ul_err_set(load->err, UL_E_CORRUPT,
					  "object of kind %s", word);
		if (!ul_record_add_scope(
			record, (uint8_t)kind, ul_stmt_text(row, 2),
			ul_stmt_text(row, 3), ul_stmt_i64(row, 0)))
			return ul_err_nomem(load->err);
	}
	record->scopes_saved = record->scope_count;
	return rc;
}

static int scope_cmp(const void *key, const void *element)
{
	int64_t row = *(const int64_t *)key;
	const struct ul_scope *scope = element;

	return row < scope->row ? -1 : row > scope->row;
}

/* UL_OBJECT_NONE where it is another store's. Objects of one come together. */
static uint32_t load_scope_at(struct load *load, int64_t row)
{
	const struct ul_record *record = load->record;
	const struct ul_scope *found;

	if (record->scopes[load->scope].row == row)
		return load->scope;
	found = bsearch(&row, record->scopes, record->scope_count,
			sizeof *record->scopes, scope_cmp);
	if (!found)
		return UL_OBJECT_NONE;
	load->scope = (uint32_t)(found - record->scopes);
	return load->scope;
}

/* The reference that stands next; there is room. 0 where it makes no sense. */
static int load_ref(struct load *load, const struct ul_packed_ref *packed)
{
	struct ul_record *record = load->record;
	struct ul_object_ref *ref = &record->refs[record->ref_count];

	if (packed->word >= record->word_count ||
	    packed->kind > UL_REF_KIND_LAST)
		return 0;
	*ref = (struct ul_object_ref){
		.target = place_of(record, packed->target_row),
		.kind = packed->kind,
		.reason = record->words[packed->word],
	};
	if (ref->target == UL_OBJECT_NONE &&
	    !load_add_far(load, packed->target_row, record->ref_count, false))
		return ul_err_nomem(load->err);
	record->ref_count++;
	return 1;
}

static int load_refs(struct load *load, struct ul_object *object,
		     const unsigned char *at, size_t len)
{
	const unsigned char *end = at + len;
	struct ul_record *record = load->record;
	struct ul_packed_ref packed;
	struct ul_object_ref *refs;
	int rc = 1;

	refs = ul_grow(record->refs, &record->ref_cap,
		       record->ref_count + ul_refs_most(len), sizeof *refs);
	if (!refs)
		return ul_err_nomem(load->err);
	record->refs = refs;
	object->first_ref = (uint32_t)record->ref_count;
	while (rc > 0 && at < end)
		rc = ul_refs_next(&at, end, object->row, &packed)
			 ? load_ref(load, &packed)
			 : 0;
	object->ref_count = (uint32_t)record->ref_count - object->first_ref;
	if (rc)
		return rc < 0 ? rc : 0;
	return ul_err_set(load->err, UL_E_CORRUPT,
			  "references of %s that make no sense", object->key);
}

static int load_keeper(struct load *load, struct ul_object *object, int64_t row)
{
	const struct ul_record *record = load->record;

	if (!row)
		return 0;
	object->kept_by = place_of(record, row);
	if (object->kept_by == UL_OBJECT_NONE &&
	    !load_add_far(load, row, record->object_count - 1, true))
		return ul_err_nomem(load->err);
	return 0;
}

static int load_object_row(struct load *load, struct ul_stmt *row)
{
	struct ul_record *record = load->record;
	uint32_t scope = load_scope_at(load, ul_stmt_i64(row, 1));
	struct ul_object *object;
	const void *refs;
	size_t len;
	int rc;

	if (scope == UL_OBJECT_NONE)
		return 0;
	object = ul_record_append(record, scope, ul_stmt_text(row, 2));
	if (!object)
		return ul_err_nomem(load->err);
	object->row = ul_stmt_i64(row, 0);
	if (!ul_facts_unpack(record, ul_stmt_i64(row, 3), object))
		return ul_err_set(load->err, UL_E_CORRUPT,
				  "facts of %s that make no sense",
				  object->key);
	object->diff_id = load_text(load, row, 4);
	if (!object->diff_id)
		return ul_err_nomem(load->err);
	object->length_bytes = (uint64_t)ul_stmt_i64(row, 5);
	object->reachable_unix_s = ul_stmt_i64(row, 6);
	rc = load_keeper(load, object, ul_stmt_i64(row, 7));
	refs = ul_stmt_blob(row, 8, &len);
	return !rc && len ? load_refs(load, object, refs, len) : rc;
}

static int load_objects(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	const struct ul_record *record = load->record;
	int rc;

	if (!record->scope_count)
		return 0;
	rc = ul_stmt_get(load->db, UL_SQL_OBJECTS, &row, load->err);
	if (rc)
		return rc;
	ul_stmt_bind_i64(row, ":first", record->scopes[0].row);
	ul_stmt_bind_i64(row, ":last",
			 record->scopes[record->scope_count - 1].row);
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		rc = load_object_row(load, row);
		if (rc)
			return rc;
	}
	if (!rc && !ul_record_index(load->record))
		rc = ul_err_nomem(load->err);
	return rc ? rc : load_positions(load);
}

/* All rows are here: what they hold of others becomes positions. */
static int load_targets(struct load *load)
{
	struct ul_record *record = load->record;
	size_t i;

	for (i = 0; i < record->object_count; i++)
		record->objects[i].kept_by =
		    load_placed(load, record->objects[i].kept_by);
	for (i = 0; i < record->ref_count; i++)
		record->refs[i].target =
		    load_placed(load, record->refs[i].target);
	for (i = 0; i < load->far_count; i++) {
		const struct far *far = &load->far[i];
		uint32_t target = load_search(record, far->row);

		if (far->is_keeper)
			record->objects[far->at].kept_by = target;
		else
			record->refs[far->at].target = target;
	}
	for (i = 0; i < record->ref_count; i++) {
		if (record->refs[i].target == UL_OBJECT_NONE)
			return ul_err_set(load->err, UL_E_CORRUPT,
					  "references of no object");
	}
	return 0;
}

static int load_configs(struct load *load)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = load_open_range(load, UL_SQL_CONFIGS, &row);

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, load->err)) > 0) {
		struct ul_record *record = load->record;
		uint32_t at = load_object_at(load, ul_stmt_i64(row, 0));
		struct ul_config_facts *config;

		if (at == UL_OBJECT_NONE)
			continue;
		config = ul_arena_alloc(&record->arena, sizeof *config);
		if (!config)
			return ul_err_nomem(load->err);
		config->created_unix_s = ul_stmt_i64(row, 1);
		config->diff_ids = load_text(load, row, 2);
		config->labels = load_text(load, row, 3);
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
		uint32_t at = load_object_at(load, ul_stmt_i64(row, 0));

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
	uint32_t at = load_object_at(load, ul_stmt_i64(row, 0));
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
		name->digest = load_text(load, row, 2);
		name->entry = load_text(load, row, 3);
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
		pins[record->pin_count] = load_text(load, row, 0);
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
	record->store_uid = load_text(load, row, 1);
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
		load_words,   load_types,   load_scopes,   load_objects,
		load_targets, load_configs, load_measures, load_links,
		load_names,   load_used,    load_pins,     load_named,
	};
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < ul_array_len(tables); i++)
		rc = tables[i](load);
	return rc;
}

int ul_record_load(struct ul_db *db, const char *store_kind,
		   const char *store_path, struct ul_record *ret_record,
		   struct ul_err *err)
{
	ul_cleanup(ul_record_release) struct ul_record record = UL_RECORD_INIT;
	ul_cleanup(ul_db_read_endp) struct ul_db *read = NULL;
	ul_cleanup(load_release) struct load load = {
		.db = db,
		.record = &record,
		.err = err,
	};
	int rc;

	record.store_uid = "";
	rc = ul_db_read_begin(db, &read, err);
	if (!rc)
		rc = ul_db_data_version(db, &record.data_version, err);
	if (!rc)
		rc = load_store(&load, store_kind, store_path);
	if (rc > 0)
		rc = load_tables(&load);
	if (rc < 0)
		return ul_err_wrap(err, "reading the record of %s", store_path);
	*ret_record = record;
	record = UL_RECORD_INIT;
	return 0;
}
