#include "store/db/record.h"

#include "tests/unit/db/scratch.h"

#include "store/db/refs.h"
#include "store/db/words.h"
#include "store/graph/graph.h"

enum { SEED = 20261124, KIND_COUNT = UL_KIND_FILE + 1 };

static uint64_t random_state;

static uint32_t below(uint32_t limit)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return limit ? (uint32_t)((z ^ z >> 31) % limit) : 0;
}

static const char *word(struct ul_record *record, const char *stem)
{
	char text[64];

	snprintf(text, sizeof text, "%s-%u", stem, below(5));
	return below(3) ? ul_record_text(record, text) : "";
}

static void fill_measure(struct ul_record *record, struct ul_object *object)
{
	struct ul_measure *measure = &object->measure;
	size_t i;

	*measure = (struct ul_measure){
		.dev = UINT64_MAX - below(9),
		.ino = below(1000),
		.ctime_ns = INT64_MAX - below(1000),
		.allocated_bytes = 512 * below(1000),
		.unpacked_bytes = 512 * below(100),
		.measured_unix_s = 1 + below(1000),
		.agreed = below(2),
		.link_count = below(4) ? 0 : 1 + below(12),
	};
	measure->links = ul_arena_alloc(
	    &record->arena, measure->link_count * sizeof *measure->links);
	for (i = 0; i < measure->link_count; i++)
		measure->links[i] = (struct ul_measure_link){
			.dev = 7,
			.ino = i + 1,
			.nlink = 2 + below(5),
			.seen = 1 + below(2),
			.allocated_bytes = 512 * below(100),
			.in_split = below(2),
		};
	ul_record_mark(record, object, UL_DIRTY_MEASURE);
}

static void fill_object(struct ul_record *record, uint32_t at)
{
	struct ul_object *object = &record->objects[at];
	struct ul_object_ref refs[6];
	size_t i, count = below(7);

	object->content = (uint8_t)below(3);
	object->is_attestation = below(2);
	object->is_present = below(2);
	object->is_reachable = below(2);
	object->is_known = below(2);
	object->is_released = below(2);
	object->is_named = below(2);
	object->media_type = word(record, "type");
	object->artifact_type = word(record, "artifact");
	object->platform = word(record, "platform");
	object->diff_id = word(record, "diff");
	object->length_bytes = below(100000);
	object->reachable_unix_s = below(100000);
	object->kept_by =
	    below(2) ? below((uint32_t)record->object_count) : UL_OBJECT_NONE;
	object->kept_reason = word(record, "kept");
	ul_record_mark(record, object, UL_DIRTY_ROW);
	for (i = 0; i < count; i++)
		refs[i] = (struct ul_object_ref){
			.target = below((uint32_t)record->object_count),
			.kind = (uint8_t)below(3),
			.reason = word(record, "layer"),
		};
	assert_true(ul_record_set_refs(record, at, refs, count));
	if (!below(4)) {
		object->config =
		    ul_arena_alloc(&record->arena, sizeof *object->config);
		object->config->created_unix_s = below(1000);
		object->config->diff_ids = word(record, "diffs");
		object->config->labels = "{}";
		ul_record_mark(record, object, UL_DIRTY_REFS);
	}
	if (below(2))
		fill_measure(record, object);
}

static void fill_names(struct ul_record *record)
{
	char text[32];
	size_t i;

	for (i = 0; i < 1 + below(20); i++) {
		struct ul_name *name;
		struct ul_used *used;

		snprintf(text, sizeof text, "name-%u", below(30));
		name = ul_record_name(record, below(2) ? "ns" : "", text);
		assert_non_null(name);
		name->digest = word(record, "digest");
		name->entry = word(record, "entry");
		name->seen_unix_s = below(1000);
		name->vanished_unix_s = below(1000);
		name->is_ours = below(2);
		name->is_dirty = true;
		used = ul_record_used(record, "", text);
		assert_non_null(used);
		used->used_unix_s += 1 + below(1000); /* only grows */
		used->is_dirty = true;
		assert_true(ul_record_set_named(record, text));
	}
}

static void fill(struct ul_record *record)
{
	uint32_t i, count = 1 + below(60);
	char key[32];

	for (i = 0; i < count; i++) {
		snprintf(key, sizeof key, "key-%u", below(80));
		assert_int_not_equal(
		    ul_record_object(record, (uint8_t)below(KIND_COUNT),
				     below(2) ? "ns" : "",
				     below(2) ? "overlayfs" : "", key),
		    UL_OBJECT_NONE);
	}
	for (i = 0; i < record->object_count; i++) {
		if (below(2) || !record->objects[i].row)
			fill_object(record, i);
	}
	fill_names(record);
	record->scanned_unix_s = below(1000);
	record->walked_unix_s = below(1000);
	record->residual_bytes = -(int64_t)below(1000);
	record->store_dirty = true;
}

static struct ul_record load(struct scratch *scratch)
{
	struct ul_record record = UL_RECORD_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_record_load(scratch->db, "oci", "path", &record, &err))
		fail_msg("%s", err.msg);
	return record;
}

/* As if it had been loaded after whatever a second connection wrote. */
static void refresh(struct scratch *scratch, struct ul_record *record)
{
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(
	    ul_db_data_version(scratch->db, &record->data_version, &err), 0);
}

static void save(struct scratch *scratch, struct ul_record *record)
{
	struct ul_err err = UL_ERR_INIT;

	refresh(scratch, record);
	if (ul_record_save(scratch->db, "oci", "path", record, &err))
		fail_msg("%s", err.msg);
}

static int changes(struct scratch *scratch, struct ul_record *record)
{
	int before = sqlite3_total_changes(scratch->db->sqlite);

	save(scratch, record);
	return sqlite3_total_changes(scratch->db->sqlite) - before;
}

static uint32_t same(const struct ul_record *in, const struct ul_object *object)
{
	return ul_record_find(in, object->kind, object->ns, object->snapshotter,
			      object->key);
}

static void measures_expect(const struct ul_measure *a,
			    const struct ul_measure *b)
{
	size_t i;

	assert_true(a->dev == b->dev && a->ino == b->ino);
	assert_true(a->ctime_ns == b->ctime_ns);
	assert_int_equal(a->allocated_bytes, b->allocated_bytes);
	assert_int_equal(a->unpacked_bytes, b->unpacked_bytes);
	assert_int_equal(a->measured_unix_s, b->measured_unix_s);
	assert_int_equal(a->agreed, b->agreed);
	assert_int_equal(a->link_count, b->link_count);
	for (i = 0; i < a->link_count; i++) {
		assert_int_equal(a->links[i].ino, b->links[i].ino);
		assert_int_equal(a->links[i].nlink, b->links[i].nlink);
		assert_int_equal(a->links[i].seen, b->links[i].seen);
		assert_int_equal(a->links[i].in_split, b->links[i].in_split);
		assert_int_equal(a->links[i].allocated_bytes,
				 b->links[i].allocated_bytes);
	}
}

static void objects_expect(const struct ul_record *a,
			   const struct ul_object *left,
			   const struct ul_record *b,
			   const struct ul_object *right)
{
	uint32_t i;

	assert_int_equal(left->row, right->row);
	assert_int_equal(left->content, right->content);
	assert_int_equal(left->is_attestation, right->is_attestation);
	assert_int_equal(left->is_present, right->is_present);
	assert_int_equal(left->is_named, right->is_named);
	assert_int_equal(left->is_reachable, right->is_reachable);
	assert_int_equal(left->is_known, right->is_known);
	assert_int_equal(left->is_released, right->is_released);
	assert_string_equal(left->media_type, right->media_type);
	assert_string_equal(left->artifact_type, right->artifact_type);
	assert_string_equal(left->platform, right->platform);
	assert_string_equal(left->diff_id, right->diff_id);
	assert_int_equal(left->length_bytes, right->length_bytes);
	assert_int_equal(left->reachable_unix_s, right->reachable_unix_s);
	assert_string_equal(left->kept_reason, right->kept_reason);
	if (left->kept_by == UL_OBJECT_NONE)
		assert_int_equal(right->kept_by, UL_OBJECT_NONE);
	else
		assert_int_equal(same(b, &a->objects[left->kept_by]),
				 right->kept_by);
	assert_int_equal(left->ref_count, right->ref_count);
	for (i = 0; i < left->ref_count; i++) {
		const struct ul_object_ref *from =
		    &a->refs[left->first_ref + i];
		const struct ul_object_ref *to = &b->refs[right->first_ref + i];

		assert_int_equal(same(b, &a->objects[from->target]),
				 to->target);
		assert_int_equal(from->kind, to->kind);
		assert_string_equal(from->reason, to->reason);
	}
	assert_int_equal(left->config != NULL, right->config != NULL);
	if (left->config) {
		assert_int_equal(left->config->created_unix_s,
				 right->config->created_unix_s);
		assert_string_equal(left->config->diff_ids,
				    right->config->diff_ids);
		assert_string_equal(left->config->labels,
				    right->config->labels);
	}
	measures_expect(&left->measure, &right->measure);
}

static void names_expect(const struct ul_record *a, const struct ul_record *b)
{
	size_t i;

	assert_int_equal(a->name_count, b->name_count);
	for (i = 0; i < a->name_count; i++) {
		const struct ul_name *left = &a->names[i];
		const struct ul_name *right =
		    ul_record_find_name(b, left->ns, left->name);

		assert_non_null(right);
		assert_string_equal(left->digest, right->digest);
		assert_string_equal(left->entry, right->entry);
		assert_int_equal(left->seen_unix_s, right->seen_unix_s);
		assert_int_equal(left->vanished_unix_s, right->vanished_unix_s);
		assert_int_equal(left->is_ours, right->is_ours);
	}
	assert_int_equal(a->used_count, b->used_count);
	for (i = 0; i < a->used_count; i++)
		assert_int_equal(
		    a->used[i].used_unix_s,
		    ul_record_used_unix_s(b, a->used[i].ns, a->used[i].digest));
	assert_int_equal(a->named_count, b->named_count);
	for (i = 0; i < a->named_count; i++)
		assert_true(ul_record_was_named(b, a->named[i]));
}

static void records_expect(const struct ul_record *a, const struct ul_record *b)
{
	size_t i;

	assert_int_equal(a->store_row, b->store_row);
	assert_int_equal(a->scanned_unix_s, b->scanned_unix_s);
	assert_int_equal(a->walked_unix_s, b->walked_unix_s);
	assert_int_equal(a->residual_bytes, b->residual_bytes);
	assert_int_equal(a->object_count, b->object_count);
	for (i = 0; i < a->object_count; i++) {
		uint32_t at = same(b, &a->objects[i]);

		assert_int_not_equal(at, UL_OBJECT_NONE);
		objects_expect(a, &a->objects[i], b, &b->objects[at]);
	}
	names_expect(a, b);
}

static void test_record__what_was_saved_is_loaded(void **state)
{
	struct scratch *scratch = *state;
	int seed, round;

	for (seed = 0; seed < 25; seed++) {
		struct ul_record record, loaded;

		random_state = SEED + (uint64_t)seed;
		remove(scratch->path);
		scratch_open(scratch);
		record = load(scratch);
		assert_int_equal(record.store_row, 0);
		for (round = 0; round < 3; round++) {
			fill(&record);
			save(scratch, &record);
			loaded = load(scratch);
			records_expect(&record, &loaded);
			records_expect(&loaded, &record);
			assert_int_equal(changes(scratch, &loaded), 0);
			assert_int_equal(changes(scratch, &record), 0);
			/* Go on with the one that was loaded. */
			ul_record_release(&record);
			record = loaded;
		}
		ul_record_release(&record);
		ul_db_closep(&scratch->db);
	}
}

static void test_record__only_differences_are_written(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record;
	struct ul_name *name;
	uint32_t a, b;

	scratch_open(scratch);
	random_state = SEED;
	record = load(scratch);
	fill(&record);
	fill(&record);
	fill(&record);
	assert_true(changes(scratch, &record) > 50);

	record.objects[1].length_bytes++;
	ul_record_mark(&record, &record.objects[1], UL_DIRTY_ROW);
	assert_int_equal(changes(scratch, &record), 1);

	fill_measure(&record, &record.objects[0]);
	save(scratch, &record);
	fill_measure(&record, &record.objects[0]);
	record.objects[0].measure.link_count = 0;
	save(scratch, &record);
	ul_record_mark(&record, &record.objects[0], UL_DIRTY_MEASURE);
	assert_int_equal(changes(scratch, &record), 1);
	record.objects[0].measure = (struct ul_measure){ 0 };
	ul_record_mark(&record, &record.objects[0], UL_DIRTY_MEASURE);
	assert_int_equal(changes(scratch, &record), 1);

	name = ul_record_name(&record, "", "new");
	name->digest = "d";
	assert_int_equal(changes(scratch, &record), 1);
	assert_true(ul_record_set_named(&record, "new"));
	assert_int_equal(changes(scratch, &record), 1);
	assert_true(ul_record_set_named(&record, "new"));
	assert_int_equal(changes(scratch, &record), 0);

	/* References that are set again as they were are no difference. */
	a = ul_record_object(&record, UL_KIND_BLOB, "", "", "a");
	b = ul_record_object(&record, UL_KIND_BLOB, "", "", "b");
	assert_true(ul_record_set_refs(
	    &record, a, &(struct ul_object_ref){ b, 0, "r" }, 1));
	save(scratch, &record);
	assert_true(ul_record_set_refs(
	    &record, a, &(struct ul_object_ref){ b, 0, "r" }, 1));
	assert_int_equal(changes(scratch, &record), 0);
	assert_true(ul_record_set_refs(
	    &record, a, &(struct ul_object_ref){ b, 0, "s" }, 1));
	assert_int_equal(changes(scratch, &record), 2); /* and the word */
	assert_true(ul_record_set_refs(
	    &record, a, &(struct ul_object_ref){ b, 1, "s" }, 1));
	assert_int_equal(changes(scratch, &record), 1);
	ul_record_release(&record);
}

static void test_record__what_is_gone_takes_its_details_along(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record, loaded;
	uint32_t a, b;

	scratch_open(scratch);
	record = load(scratch);
	a = ul_record_object(&record, UL_KIND_BLOB, "", "", "a");
	b = ul_record_object(&record, UL_KIND_BLOB, "", "", "b");
	assert_true(ul_record_set_refs(
	    &record, a, &(struct ul_object_ref){ b, 0, "r" }, 1));
	record.objects[b].kept_by = a;
	fill_measure(&record, &record.objects[a]);
	save(scratch, &record);
	ul_record_set_gone(&record, &record.objects[a], true);
	save(scratch, &record);
	assert_int_equal(changes(scratch, &record), 0);
	loaded = load(scratch);
	assert_int_equal(loaded.object_count, 1);
	assert_string_equal(loaded.objects[0].key, "b");
	assert_int_equal(loaded.objects[0].kept_by, UL_OBJECT_NONE);
	assert_int_equal(scratch_number(scratch, "SELECT (SELECT count(*) FROM "
						 "measure) + (SELECT count(*) "
						 "FROM measure_link)"),
			 0);
	ul_record_release(&loaded);
	ul_record_release(&record);
}

static void test_record__what_comes_back_is_written_whole(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record, loaded;
	struct ul_object *object;
	uint32_t a, b;

	scratch_open(scratch);
	random_state = SEED + 3;
	record = load(scratch);
	a = ul_record_object(&record, UL_KIND_BLOB, "", "", "a");
	b = ul_record_object(&record, UL_KIND_BLOB, "", "", "b");
	object = &record.objects[a];
	assert_true(ul_record_set_refs(
	    &record, a, &(struct ul_object_ref){ b, 0, "r" }, 1));
	fill_measure(&record, object);
	object->length_bytes = 77;
	save(scratch, &record);
	/* Gone and back before anything is written: no difference. */
	ul_record_set_gone(&record, object, true);
	ul_record_set_gone(&record, object, false);
	assert_int_equal(changes(scratch, &record), 0);
	ul_record_set_gone(&record, object, true);
	save(scratch, &record);
	loaded = load(scratch);
	assert_int_equal(loaded.object_count, 1);
	ul_record_release(&loaded);
	/* Gone for good already: nothing to delete. */
	ul_record_set_gone(&record, object, true);
	assert_int_equal(changes(scratch, &record), 0);
	ul_record_set_gone(&record, object, false);
	save(scratch, &record);
	loaded = load(scratch);
	records_expect(&record, &loaded);
	ul_record_release(&loaded);
	ul_record_release(&record);
}

/* Marking cannot fail, and what is marked twice is written once. */
static void test_record__marking_needs_no_memory(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record;
	uint32_t i;

	scratch_open(scratch);
	random_state = SEED + 4;
	record = load(scratch);
	fill(&record);
	save(scratch, &record);
	assert_int_equal(record.dirty_count, 0);
	ul_mem_countdown = 0;
	for (i = 0; i < 2 * record.object_count; i++)
		ul_record_mark(&record,
			       &record.objects[i % record.object_count],
			       UL_DIRTY_ROW);
	ul_mem_countdown = -1;
	assert_int_equal(record.dirty_count, record.object_count);
	assert_int_equal(changes(scratch, &record), record.object_count);
	ul_record_release(&record);
}

static void test_record__what_is_referred_to_does_not_go(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record, loaded;
	struct ul_err err = UL_ERR_INIT;
	uint32_t a, b;

	scratch_open(scratch);
	record = load(scratch);
	a = ul_record_object(&record, UL_KIND_BLOB, "", "", "a");
	b = ul_record_object(&record, UL_KIND_BLOB, "", "", "b");
	assert_true(ul_record_set_refs(
	    &record, a, &(struct ul_object_ref){ b, 0, "r" }, 1));
	save(scratch, &record);
	ul_record_set_gone(&record, &record.objects[b], true);
	refresh(scratch, &record);
	assert_int_equal(
	    ul_record_save(scratch->db, "oci", "path", &record, &err),
	    UL_E_CONFLICT);
	assert_non_null(strstr(err.msg, "b goes, but a refers to it"));
	loaded = load(scratch);
	assert_int_equal(loaded.object_count, 2);
	ul_record_release(&loaded);
	/* Both at once may. */
	ul_record_set_gone(&record, &record.objects[a], true);
	save(scratch, &record);
	loaded = load(scratch);
	assert_int_equal(loaded.object_count, 0);
	ul_record_release(&loaded);
	ul_record_release(&record);
}

/* Bytes of references are looked at as anything from outside. */
static void test_record__references_that_make_no_sense_are_told(void **state)
{
	static const char *const bad[] = {
		"x'0203'", /* of no kind */
		"x'0204'", /* under no word */
		"x'0402'", /* to no object */
		"x'02'",   "x'82'", "x'020002'", "x'ffffffffffffffffffffff00'",
	};
	struct scratch *scratch = *state;
	struct ul_record record, loaded = UL_RECORD_INIT;
	struct ul_err err = UL_ERR_INIT;
	char sql[100];
	uint32_t a, b;
	size_t i;

	scratch_open(scratch);
	record = load(scratch);
	a = ul_record_object(&record, UL_KIND_BLOB, "", "", "a");
	b = ul_record_object(&record, UL_KIND_BLOB, "", "", "b");
	assert_true(ul_record_set_refs(
	    &record, a, &(struct ul_object_ref){ b, 1, "r" }, 1));
	save(scratch, &record);
	assert_int_equal(scratch_number(scratch, "SELECT refs = x'0201' FROM "
						 "object WHERE key = 'a'"),
			 1);
	for (i = 0; i < ul_array_len(bad); i++) {
		snprintf(sql, sizeof sql,
			 "UPDATE object SET refs = %s WHERE key = 'a'", bad[i]);
		scratch_sql(scratch, sql);
		assert_int_equal(
		    ul_record_load(scratch->db, "oci", "path", &loaded, &err),
		    UL_E_CORRUPT);
		assert_non_null(strstr(err.msg, "references of "));
	}
	scratch_sql(scratch, "UPDATE object SET refs = x'0201';"
			     "UPDATE word SET id = 1");
	assert_int_equal(
	    ul_record_load(scratch->db, "oci", "path", &loaded, &err),
	    UL_E_CORRUPT);
	ul_record_release(&record);
}

/* The columns of the schema and the bits that are read mean the same. */
static void test_record__states_have_their_columns(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record;
	struct ul_object *object;
	char sql[400];
	uint32_t i;

	scratch_open(scratch);
	record = load(scratch);
	random_state = SEED;
	fill(&record);
	save(scratch, &record);
	for (i = 0; i < record.object_count; i++) {
		object = &record.objects[i];
		snprintf(sql, sizeof sql,
			 "SELECT is_present = %d AND is_reachable = %d AND "
			 "is_known = %d AND is_released = %d AND is_named = %d "
			 "AND is_attestation = %d AND content = %d FROM object "
			 "WHERE id = %lld",
			 object->is_present, object->is_reachable,
			 object->is_known, object->is_released,
			 object->is_named, object->is_attestation,
			 object->content, (long long)object->row);
		assert_int_equal(scratch_number(scratch, sql), 1);
	}
	ul_record_release(&record);
}

static void test_record__an_outdated_one_is_not_saved(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record;
	struct ul_err err = UL_ERR_INIT;

	scratch_open(scratch);
	random_state = SEED + 7;
	record = load(scratch);
	fill(&record);
	save(scratch, &record);
	ul_record_release(&record);
	record = load(scratch);
	scratch_sql(scratch, "UPDATE store SET generation = 77");
	assert_true(ul_record_set_named(&record, "too late"));
	assert_int_equal(
	    ul_record_save(scratch->db, "oci", "path", &record, &err),
	    UL_E_CONFLICT);
	assert_int_equal(scratch_number(scratch, "SELECT count(*) FROM named "
						 "WHERE digest = 'too late'"),
			 0);
	ul_record_release(&record);
}

static void test_record__a_failed_save_leaves_all_as_it_was(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record, loaded, before;
	struct ul_err err = UL_ERR_INIT;
	size_t i;

	scratch_open(scratch);
	random_state = SEED + 99;
	record = load(scratch);
	fill(&record);
	save(scratch, &record);
	before = load(scratch);
	fill(&record);
	assert_true(ul_record_set_named(&record, "the last thing"));
	scratch_sql(scratch, "CREATE TRIGGER no BEFORE INSERT ON named BEGIN "
			     "SELECT RAISE(ABORT, 'not now'); END");
	refresh(scratch, &record);
	assert_true(ul_record_save(scratch->db, "oci", "path", &record, &err) <
		    0);
	assert_non_null(strstr(err.msg, "not now"));
	loaded = load(scratch);
	records_expect(&before, &loaded);
	for (i = before.object_count; i < record.object_count; i++) {
		assert_int_equal(record.objects[i].row, 0);
		assert_true(record.objects[i].dirty & UL_DIRTY_ROW);
	}
	ul_record_release(&loaded);
	ul_mem_countdown = 0;
	assert_int_equal(
	    ul_record_save(scratch->db, "oci", "path", &record, &err),
	    UL_E_NOMEM);
	ul_mem_countdown = -1;
	scratch_sql(scratch, "DROP TRIGGER no");
	save(scratch, &record);
	loaded = load(scratch);
	records_expect(&record, &loaded);
	ul_record_release(&loaded);
	ul_record_release(&before);
	ul_record_release(&record);
}

static void
test_record__the_store_row_of_a_failed_save_is_forgotten(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	struct ul_record record;

	scratch_open(scratch);
	record = load(scratch);
	assert_true(ul_record_set_named(&record, "x"));
	scratch_sql(scratch, "CREATE TRIGGER no BEFORE INSERT ON named BEGIN "
			     "SELECT RAISE(ABORT, 'not now'); END");
	assert_true(ul_record_save(scratch->db, "oci", "path", &record, &err) <
		    0);
	assert_int_equal(record.store_row, 0);
	scratch_sql(scratch, "DROP TRIGGER no");
	save(scratch, &record);
	assert_int_equal(record.store_row, 1);
	ul_record_release(&record);
}

static void test_record__loading_without_memory_gives_nothing(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record, loaded = UL_RECORD_INIT;
	struct ul_err err = UL_ERR_INIT;
	int rc = UL_E_NOMEM;
	long n;

	scratch_open(scratch);
	random_state = SEED + 7;
	record = load(scratch);
	fill(&record);
	fill(&record);
	save(scratch, &record);
	for (n = 0; rc; n++) {
		ul_mem_countdown = n;
		rc = ul_record_load(scratch->db, "oci", "path", &loaded, &err);
		ul_mem_countdown = -1;
		if (rc) {
			assert_int_equal(rc, UL_E_NOMEM);
			assert_null(loaded.objects);
		}
	}
	assert_true(n > 10);
	records_expect(&record, &loaded);
	ul_record_release(&loaded);
	ul_record_release(&record);
}

static void test_record__a_read_only_database_is_left_alone(void **state)
{
	struct scratch *scratch = *state;
	struct ul_err err = UL_ERR_INIT;
	struct ul_record record;

	scratch_open(scratch);
	ul_db_closep(&scratch->db);
	assert_int_equal(
	    ul_db_open(scratch->path, UL_DB_READ, &scratch->db, &err), 0);
	record = load(scratch);
	random_state = SEED;
	fill(&record);
	assert_int_equal(changes(scratch, &record), 0);
	assert_int_equal(record.store_row, 0);
	ul_record_release(&record);
}

static void test_record__pins_are_found(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record;

	scratch_open(scratch);
	record = load(scratch);
	save(scratch, &record);
	ul_record_release(&record);
	scratch_sql(scratch, "INSERT INTO pin VALUES (1, 'b', 5), (1, 'a', 6)");
	record = load(scratch);
	assert_int_equal(record.pin_count, 2);
	assert_true(ul_record_is_pinned(&record, "a"));
	assert_true(ul_record_is_pinned(&record, "b"));
	assert_false(ul_record_is_pinned(&record, "c"));
	ul_record_release(&record);
}

static void test_record__identities_do_not_run_together(void **state)
{
	struct ul_record record = UL_RECORD_INIT;
	char longer[900];
	uint32_t a, b, c, d;

	(void)state;
	memset(longer, 'k', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	a = ul_record_object(&record, UL_KIND_BLOB, "ab", "", "c");
	b = ul_record_object(&record, UL_KIND_BLOB, "a", "b", "c");
	c = ul_record_object(&record, UL_KIND_SNAPSHOT, "a", "b", "c");
	d = ul_record_object(&record, UL_KIND_SNAPSHOT, "a", "b", longer);
	assert_int_equal(record.object_count, 4);
	assert_int_equal(ul_record_find(&record, UL_KIND_BLOB, "ab", "", "c"),
			 a);
	assert_int_equal(ul_record_object(&record, UL_KIND_BLOB, "a", "b", "c"),
			 b);
	assert_int_equal(
	    ul_record_find(&record, UL_KIND_SNAPSHOT, "a", "b", "c"), c);
	assert_int_equal(
	    ul_record_find(&record, UL_KIND_SNAPSHOT, "a", "b", longer), d);
	assert_int_equal(ul_record_find(&record, UL_KIND_BLOB, "", "", "abc"),
			 UL_OBJECT_NONE);
	ul_record_release(&record);
	ul_record_release(&record);
}

static void test_record__finding_needs_no_memory(void **state)
{
	struct ul_record record = UL_RECORD_INIT;
	char longer[900], unknown[2000];
	uint32_t a, b;

	(void)state;
	memset(longer, 'k', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	memset(unknown, 'k', sizeof unknown);
	unknown[sizeof unknown - 1] = '\0';
	a = ul_record_object(&record, UL_KIND_BLOB, "", "", "short");
	b = ul_record_object(&record, UL_KIND_FILE, "", "", longer);
	assert_non_null(ul_record_name(&record, "", longer));
	ul_mem_countdown = 0;
	assert_int_equal(ul_record_find(&record, UL_KIND_BLOB, "", "", "short"),
			 a);
	assert_int_equal(ul_record_find(&record, UL_KIND_FILE, "", "", longer),
			 b);
	assert_int_equal(ul_record_find(&record, UL_KIND_FILE, "", "", unknown),
			 UL_OBJECT_NONE);
	assert_non_null(ul_record_find_name(&record, "", longer));
	assert_null(ul_record_find_name(&record, "", unknown));
	ul_mem_countdown = -1;
	ul_record_release(&record);
}

/* Rows of several stores lie between one another. */
static void test_record__stores_in_one_database_keep_apart(void **state)
{
	static const char *const paths[] = { "one", "two" };
	struct scratch *scratch = *state;
	struct ul_record records[2], loaded;
	struct ul_err err = UL_ERR_INIT;
	int i, round;

	scratch_open(scratch);
	random_state = SEED + 11;
	for (i = 0; i < 2; i++)
		assert_int_equal(ul_record_load(scratch->db, "oci", paths[i],
						&records[i], &err),
				 0);
	for (round = 0; round < 6; round++) {
		fill(&records[round % 2]);
		assert_int_equal(ul_record_save(scratch->db, "oci",
						paths[round % 2],
						&records[round % 2], &err),
				 0);
	}
	for (i = 0; i < 2; i++) {
		assert_int_equal(
		    ul_record_load(scratch->db, "oci", paths[i], &loaded, &err),
		    0);
		records_expect(&records[i], &loaded);
		records_expect(&loaded, &records[i]);
		ul_record_release(&loaded);
		ul_record_release(&records[i]);
	}
}

static void test_record__words_stand_in_the_order_of_the_kinds(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < KIND_COUNT; i++) {
		assert_string_equal(ul_kind_words[i],
				    ul_kind_name((enum ul_kind)i));
		assert_int_equal(ul_word_find(ul_kind_words, ul_kind_words[i]),
				 i);
	}
	assert_null(ul_kind_words[i]);
	assert_int_equal(ul_word_find(ul_kind_words, "other"), -1);
	assert_int_equal(UL_REF_KIND_LAST, UL_REF_CONDITIONAL);
}

/* Cut to 32 bits, it would be another row's. */
static void test_record__who_keeps_it_may_have_any_number(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record, loaded;
	struct ul_err err = UL_ERR_INIT;
	uint32_t far;

	scratch_open(scratch);
	record = load(scratch);
	assert_int_not_equal(
	    ul_record_object(&record, UL_KIND_BLOB, "", "", "a"),
	    UL_OBJECT_NONE);
	save(scratch, &record);
	assert_int_equal(
	    ul_db_exec(scratch->db,
		       "INSERT INTO object (id, store, kind, key) SELECT "
		       "id + 4294967296, store, kind, 'far' FROM object;"
		       "INSERT INTO object (store, kind, key, kept_by) SELECT "
		       "store, kind, 'kept', id FROM object WHERE key = 'far'",
		       &err),
	    0);
	loaded = load(scratch);
	assert_int_equal(loaded.object_count, 3);
	far = ul_record_find(&loaded, UL_KIND_BLOB, "", "", "far");
	assert_int_not_equal(far, UL_OBJECT_NONE);
	assert_int_equal(
	    loaded
		.objects[ul_record_find(&loaded, UL_KIND_BLOB, "", "", "kept")]
		.kept_by,
	    far);
	ul_record_release(&loaded);
	ul_record_release(&record);
}

int main(void)
{
#define RECORD(name)                                                           \
	cmocka_unit_test_setup_teardown(test_record__##name, scratch_setup,    \
					scratch_teardown)
	const struct CMUnitTest tests[] = {
		RECORD(what_was_saved_is_loaded),
		RECORD(only_differences_are_written),
		RECORD(who_keeps_it_may_have_any_number),
		RECORD(what_is_gone_takes_its_details_along),
		RECORD(what_comes_back_is_written_whole),
		RECORD(marking_needs_no_memory),
		RECORD(what_is_referred_to_does_not_go),
		RECORD(references_that_make_no_sense_are_told),
		RECORD(states_have_their_columns),
		RECORD(an_outdated_one_is_not_saved),
		RECORD(a_failed_save_leaves_all_as_it_was),
		RECORD(the_store_row_of_a_failed_save_is_forgotten),
		RECORD(loading_without_memory_gives_nothing),
		RECORD(a_read_only_database_is_left_alone),
		RECORD(pins_are_found),
		RECORD(identities_do_not_run_together),
		RECORD(finding_needs_no_memory),
		RECORD(stores_in_one_database_keep_apart),
		RECORD(words_stand_in_the_order_of_the_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
