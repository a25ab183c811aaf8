#include "tests/unit/db/record_fixture.h"

#include "base/arena.h"
#include "store/graph/graph.h"

static uint64_t random_state;

void record_seed(uint64_t seed)
{
	random_state = seed;
}

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

void record_fill_measure(struct ul_record *record, struct ul_object *object)
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
		record_fill_measure(record, object);
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

void record_fill(struct ul_record *record)
{
	uint32_t i, count = 1 + below(60);
	char key[32];

	for (i = 0; i < count; i++) {
		snprintf(key, sizeof key, "key-%u", below(80));
		assert_int_not_equal(
		    ul_record_object(record, (uint8_t)below(RECORD_KIND_COUNT),
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

void record_set_ref(struct ul_record *record, uint32_t from, uint32_t to,
		    uint8_t kind, const char *reason)
{
	const struct ul_object_ref ref = { to, kind, reason };

	assert_true(ul_record_set_refs(record, from, &ref, 1));
}

void record_refer(struct ul_record *record, uint32_t *ret_a, uint32_t *ret_b)
{
	*ret_a = ul_record_object(record, UL_KIND_BLOB, "", "", "a");
	*ret_b = ul_record_object(record, UL_KIND_BLOB, "", "", "b");
	record_set_ref(record, *ret_a, *ret_b, 0, "r");
}

struct ul_record record_load(struct scratch *scratch)
{
	struct ul_record record = UL_RECORD_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_record_load(scratch->db, "oci", "path", &record, &err))
		fail_msg("%s", err.msg);
	return record;
}

void record_refresh(struct scratch *scratch, struct ul_record *record)
{
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(
	    ul_db_data_version(scratch->db, &record->data_version, &err), 0);
}

void record_save(struct scratch *scratch, struct ul_record *record)
{
	struct ul_err err = UL_ERR_INIT;

	record_refresh(scratch, record);
	if (ul_record_save(scratch->db, "oci", "path", record, &err))
		fail_msg("%s", err.msg);
}

struct ul_record record_begin(struct scratch *scratch, uint64_t seed)
{
	record_seed(RECORD_SEED + seed);
	scratch_open(scratch);
	return record_load(scratch);
}

struct ul_record record_filled(struct scratch *scratch, uint64_t seed)
{
	struct ul_record record = record_begin(scratch, seed);

	record_fill(&record);
	record_save(scratch, &record);
	return record;
}

int record_changes(struct scratch *scratch, struct ul_record *record)
{
	int before = sqlite3_total_changes(scratch->db->sqlite);

	record_save(scratch, record);
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

void records_expect_same(const struct ul_record *a, const struct ul_record *b)
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
