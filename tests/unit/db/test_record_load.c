/* Loading a record, and finding what is in one. */
#include "tests/unit/db/record_fixture.h"

#include "store/db/refs.h"
#include "store/db/words.h"

/* Cut to 32 bits, it would be another row's. */
static void test_record__who_keeps_it_may_have_any_number(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record, loaded;
	struct ul_err err = UL_ERR_INIT;
	uint32_t far;

	record = record_begin(scratch, 0);
	assert_int_not_equal(
	    ul_record_object(&record, UL_KIND_BLOB, "", "", "a"),
	    UL_OBJECT_NONE);
	record_save(scratch, &record);
	assert_int_equal(
	    ul_db_exec(scratch->db,
		       "INSERT INTO object (id, scope, key) SELECT "
		       "id + 4294967296, scope, 'far' FROM object;"
		       "INSERT INTO object (scope, key, kept_by) SELECT "
		       "scope, 'kept', id FROM object WHERE key = 'far'",
		       &err),
	    0);
	loaded = record_load(scratch);
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

	record = record_begin(scratch, 0);
	record_refer(&record, &a, &b);
	record_set_ref(&record, a, b, 1, "r");
	record_save(scratch, &record);
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
static void test_record__facts_have_their_columns(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record;
	struct ul_object *object;
	char sql[900];
	uint32_t i;

	record = record_filled(scratch, 0);
	for (i = 0; i < record.object_count; i++) {
		object = &record.objects[i];
		snprintf(sql, sizeof sql,
			 "SELECT is_present = %d AND is_reachable = %d AND "
			 "is_known = %d AND is_released = %d AND is_named = %d "
			 "AND is_attestation = %d AND content = %d AND "
			 "coalesce(w.text, '') = '%s' AND "
			 "coalesce(t.media_type, '') = '%s' AND "
			 "coalesce(t.artifact_type, '') = '%s' AND "
			 "coalesce(t.platform, '') = '%s' AND "
			 "s.namespace = '%s' AND s.snapshotter = '%s' AND "
			 "s.kind = '%s' FROM object o JOIN scope s ON "
			 "s.id = o.scope LEFT JOIN word w ON "
			 "w.id = o.kept_reason LEFT JOIN type t ON "
			 "t.id = o.type WHERE o.id = %lld",
			 object->is_present, object->is_reachable,
			 object->is_known, object->is_released,
			 object->is_named, object->is_attestation,
			 object->content, object->kept_reason,
			 object->media_type, object->artifact_type,
			 object->platform, object->ns, object->snapshotter,
			 ul_kind_words[object->kind], (long long)object->row);
		assert_int_equal(scratch_number(scratch, sql), 1);
	}
	ul_record_release(&record);
}

/* A file that was damaged may say anything. */
static void test_record__facts_that_make_no_sense_are_told(void **state)
{
	static const char *const bad[] = {
		"PRAGMA ignore_check_constraints=1;"
		"UPDATE object SET facts = facts | 192",
		"UPDATE object SET facts = 1 << 8 | 2 << 8", /* word 2 of 2 */
		"UPDATE object SET facts = 0x7ffffff << 8",
		"UPDATE object SET facts = 2 << 35", /* type 1 of 1 */
		"PRAGMA ignore_check_constraints=1;"
		"UPDATE object SET facts = -1",
		"UPDATE object SET facts = 1 << 8; UPDATE word SET id = id + 9",
		"UPDATE object SET facts = 1 << 35; UPDATE type SET id = 1",
		"PRAGMA ignore_check_constraints=1;"
		"UPDATE scope SET kind = 'thing'",
	};
	struct scratch *scratch = *state;
	struct ul_record record, loaded = UL_RECORD_INIT;
	struct ul_err err = UL_ERR_INIT;
	uint32_t at;
	size_t i;

	for (i = 0; i < ul_array_len(bad); i++) {
		record = record_begin(scratch, 0);
		at = ul_record_object(&record, UL_KIND_BLOB, "", "", "a");
		record.objects[at].media_type = "text/plain";
		record.objects[at].kept_reason = "tag";
		record_set_ref(&record, at, at, 0, "self");
		record_save(scratch, &record);
		ul_record_release(&record);
		scratch_sql(scratch, bad[i]);
		assert_int_equal(
		    ul_record_load(scratch->db, "oci", "path", &loaded, &err),
		    UL_E_CORRUPT);
		ul_db_closep(&scratch->db);
		assert_int_equal(remove(scratch->path), 0);
	}
}

/* Rows that lie far apart are found by searching, and where 32 bits do not
 * reach from the first one as well. */
static void test_record__rows_may_have_any_numbers(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record, loaded;
	char key[16];
	uint32_t i, at;

	record = record_begin(scratch, 0);
	for (i = 0; i < 20; i++) {
		snprintf(key, sizeof key, "%u", i);
		at = ul_record_object(&record, UL_KIND_BLOB, "", "", key);
		record.objects[at].kept_by = i / 2;
	}
	record_save(scratch, &record);
	ul_record_release(&record);
	/* Each refers to itself, and the one before it keeps it. */
	scratch_sql(scratch,
		    "INSERT INTO word VALUES (1, 0, 'self');"
		    "UPDATE object SET kept_by = NULL;"
		    "UPDATE object SET id = 1000000 * id * id * id * id - 900;"
		    "UPDATE object SET kept_by = (SELECT max(id) FROM object b"
		    " WHERE b.id < object.id), refs = x'0000'");
	loaded = record_load(scratch);
	assert_int_equal(loaded.object_count, 20);
	for (i = 0; i < 20; i++) {
		const struct ul_object *object = &loaded.objects[i];

		assert_int_equal(object->kept_by, i ? i - 1 : UL_OBJECT_NONE);
		assert_int_equal(object->ref_count, 1);
		assert_int_equal(loaded.refs[object->first_ref].target, i);
	}
	ul_record_release(&loaded);
}

static void test_record__loading_without_memory_gives_nothing(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record, loaded = UL_RECORD_INIT;
	struct ul_err err = UL_ERR_INIT;
	int rc = UL_E_NOMEM;
	long n;

	record = record_begin(scratch, 7);
	record_fill(&record);
	record_fill(&record);
	record_save(scratch, &record);
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
	records_expect_same(&record, &loaded);
	ul_record_release(&loaded);
	ul_record_release(&record);
}

static void test_record__pins_are_found(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record;

	record = record_begin(scratch, 0);
	record_save(scratch, &record);
	ul_record_release(&record);
	scratch_sql(scratch, "INSERT INTO pin VALUES (1, 'b', 5), (1, 'a', 6)");
	record = record_load(scratch);
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

static void test_record__words_stand_in_the_order_of_the_kinds(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < RECORD_KIND_COUNT; i++) {
		assert_string_equal(ul_kind_words[i],
				    ul_kind_name((enum ul_kind)i));
		assert_int_equal(ul_word_find(ul_kind_words, ul_kind_words[i]),
				 i);
	}
	assert_null(ul_kind_words[i]);
	assert_int_equal(ul_word_find(ul_kind_words, "other"), -1);
	assert_int_equal(UL_REF_KIND_LAST, UL_REF_CONDITIONAL);
}

int main(void)
{
#define RECORD(name)                                                           \
	cmocka_unit_test_setup_teardown(test_record__##name, scratch_setup,    \
					scratch_teardown)
	const struct CMUnitTest tests[] = {
		RECORD(who_keeps_it_may_have_any_number),
		RECORD(references_that_make_no_sense_are_told),
		RECORD(facts_have_their_columns),
		RECORD(facts_that_make_no_sense_are_told),
		RECORD(rows_may_have_any_numbers),
		RECORD(facts_that_make_no_sense_are_told),
		RECORD(rows_may_have_any_numbers),
		RECORD(loading_without_memory_gives_nothing),
		RECORD(pins_are_found),
		RECORD(identities_do_not_run_together),
		RECORD(finding_needs_no_memory),
		RECORD(words_stand_in_the_order_of_the_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
