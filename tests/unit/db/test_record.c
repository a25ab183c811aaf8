/* Saving a record: what is written, and what is not. */
#include "tests/unit/db/record_fixture.h"

static void test_record__what_was_saved_is_loaded(void **state)
{
	struct scratch *scratch = *state;
	int seed, round;

	for (seed = 0; seed < 25; seed++) {
		struct ul_record record, loaded;

		record_seed(RECORD_SEED + (uint64_t)seed);
		remove(scratch->path);
		scratch_open(scratch);
		record = record_load(scratch);
		assert_int_equal(record.store_row, 0);
		for (round = 0; round < 3; round++) {
			record_fill(&record);
			record_save(scratch, &record);
			loaded = record_load(scratch);
			records_expect_same(&record, &loaded);
			records_expect_same(&loaded, &record);
			assert_int_equal(record_changes(scratch, &loaded), 0);
			assert_int_equal(record_changes(scratch, &record), 0);
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

	record = record_begin(scratch, 0);
	record_fill(&record);
	record_fill(&record);
	record_fill(&record);
	assert_true(record_changes(scratch, &record) > 50);

	record.objects[1].length_bytes++;
	ul_record_mark(&record, &record.objects[1], UL_DIRTY_ROW);
	assert_int_equal(record_changes(scratch, &record), 1);

	record_fill_measure(&record, &record.objects[0]);
	record_save(scratch, &record);
	record_fill_measure(&record, &record.objects[0]);
	record.objects[0].measure.link_count = 0;
	record_save(scratch, &record);
	ul_record_mark(&record, &record.objects[0], UL_DIRTY_MEASURE);
	assert_int_equal(record_changes(scratch, &record), 1);
	record.objects[0].measure = (struct ul_measure){ 0 };
	ul_record_mark(&record, &record.objects[0], UL_DIRTY_MEASURE);
	assert_int_equal(record_changes(scratch, &record), 1);

	name = ul_record_name(&record, "", "new");
	name->digest = "d";
	assert_int_equal(record_changes(scratch, &record), 1);
	assert_true(ul_record_set_named(&record, "new"));
	assert_int_equal(record_changes(scratch, &record), 1);
	assert_true(ul_record_set_named(&record, "new"));
	assert_int_equal(record_changes(scratch, &record), 0);

	/* References that are set again as they were are no difference. */
	record_refer(&record, &a, &b);
	record_save(scratch, &record);
	record_set_ref(&record, a, b, 0, "r");
	assert_int_equal(record_changes(scratch, &record), 0);
	record_set_ref(&record, a, b, 0, "s");
	assert_int_equal(record_changes(scratch, &record),
			 2); /* and the word */
	record_set_ref(&record, a, b, 1, "s");
	assert_int_equal(record_changes(scratch, &record), 1);
	ul_record_release(&record);
}

static void test_record__what_is_gone_takes_its_details_along(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record, loaded;
	uint32_t a, b;

	record = record_begin(scratch, 0);
	record_refer(&record, &a, &b);
	record.objects[b].kept_by = a;
	record_fill_measure(&record, &record.objects[a]);
	record_save(scratch, &record);
	ul_record_set_gone(&record, &record.objects[a], true);
	record_save(scratch, &record);
	assert_int_equal(record_changes(scratch, &record), 0);
	loaded = record_load(scratch);
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

	record = record_begin(scratch, 3);
	record_refer(&record, &a, &b);
	object = &record.objects[a];
	record_fill_measure(&record, object);
	object->length_bytes = 77;
	record_save(scratch, &record);
	/* Gone and back before anything is written: no difference. */
	ul_record_set_gone(&record, object, true);
	ul_record_set_gone(&record, object, false);
	assert_int_equal(record_changes(scratch, &record), 0);
	ul_record_set_gone(&record, object, true);
	record_save(scratch, &record);
	loaded = record_load(scratch);
	assert_int_equal(loaded.object_count, 1);
	ul_record_release(&loaded);
	/* Gone for good already: nothing to delete. */
	ul_record_set_gone(&record, object, true);
	assert_int_equal(record_changes(scratch, &record), 0);
	ul_record_set_gone(&record, object, false);
	record_save(scratch, &record);
	loaded = record_load(scratch);
	records_expect_same(&record, &loaded);
	ul_record_release(&loaded);
	ul_record_release(&record);
}

/* Marking cannot fail, and what is marked twice is written once. */
static void test_record__marking_needs_no_memory(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record;
	uint32_t i;

	record = record_filled(scratch, 4);
	assert_int_equal(record.dirty_count, 0);
	ul_mem_countdown = 0;
	for (i = 0; i < 2 * record.object_count; i++)
		ul_record_mark(&record,
			       &record.objects[i % record.object_count],
			       UL_DIRTY_ROW);
	ul_mem_countdown = -1;
	assert_int_equal(record.dirty_count, record.object_count);
	assert_int_equal(record_changes(scratch, &record), record.object_count);
	ul_record_release(&record);
}

static void test_record__what_is_referred_to_does_not_go(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record, loaded;
	struct ul_err err = UL_ERR_INIT;
	uint32_t a, b;

	record = record_begin(scratch, 0);
	record_refer(&record, &a, &b);
	record_save(scratch, &record);
	ul_record_set_gone(&record, &record.objects[b], true);
	record_refresh(scratch, &record);
	assert_int_equal(
	    ul_record_save(scratch->db, "oci", "path", &record, &err),
	    UL_E_CONFLICT);
	assert_non_null(strstr(err.msg, "b goes, but a refers to it"));
	loaded = record_load(scratch);
	assert_int_equal(loaded.object_count, 2);
	ul_record_release(&loaded);
	/* Both at once may. */
	ul_record_set_gone(&record, &record.objects[a], true);
	record_save(scratch, &record);
	loaded = record_load(scratch);
	assert_int_equal(loaded.object_count, 0);
	ul_record_release(&loaded);
	ul_record_release(&record);
}

static void test_record__an_outdated_one_is_not_saved(void **state)
{
	struct scratch *scratch = *state;
	struct ul_record record;
	struct ul_err err = UL_ERR_INIT;

	record = record_filled(scratch, 7);
	ul_record_release(&record);
	record = record_load(scratch);
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

	record = record_filled(scratch, 99);
	before = record_load(scratch);
	record_fill(&record);
	assert_true(ul_record_set_named(&record, "the last thing"));
	scratch_sql(scratch, "CREATE TRIGGER no BEFORE INSERT ON named BEGIN "
			     "SELECT RAISE(ABORT, 'not now'); END");
	record_refresh(scratch, &record);
	assert_true(ul_record_save(scratch->db, "oci", "path", &record, &err) <
		    0);
	assert_non_null(strstr(err.msg, "not now"));
	loaded = record_load(scratch);
	records_expect_same(&before, &loaded);
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
	record_save(scratch, &record);
	loaded = record_load(scratch);
	records_expect_same(&record, &loaded);
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

	record = record_begin(scratch, 0);
	assert_true(ul_record_set_named(&record, "x"));
	scratch_sql(scratch, "CREATE TRIGGER no BEFORE INSERT ON named BEGIN "
			     "SELECT RAISE(ABORT, 'not now'); END");
	assert_true(ul_record_save(scratch->db, "oci", "path", &record, &err) <
		    0);
	assert_int_equal(record.store_row, 0);
	scratch_sql(scratch, "DROP TRIGGER no");
	record_save(scratch, &record);
	assert_int_equal(record.store_row, 1);
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
	record = record_load(scratch);
	record_seed(RECORD_SEED);
	record_fill(&record);
	assert_int_equal(record_changes(scratch, &record), 0);
	assert_int_equal(record.store_row, 0);
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
	record_seed(RECORD_SEED + 11);
	for (i = 0; i < 2; i++)
		assert_int_equal(ul_record_load(scratch->db, "oci", paths[i],
						&records[i], &err),
				 0);
	for (round = 0; round < 6; round++) {
		record_fill(&records[round % 2]);
		assert_int_equal(ul_record_save(scratch->db, "oci",
						paths[round % 2],
						&records[round % 2], &err),
				 0);
	}
	for (i = 0; i < 2; i++) {
		assert_int_equal(
		    ul_record_load(scratch->db, "oci", paths[i], &loaded, &err),
		    0);
		records_expect_same(&records[i], &loaded);
		records_expect_same(&loaded, &records[i]);
		ul_record_release(&loaded);
		ul_record_release(&records[i]);
	}
}

int main(void)
{
#define RECORD(name)                                                           \
	cmocka_unit_test_setup_teardown(test_record__##name, scratch_setup,    \
					scratch_teardown)
	const struct CMUnitTest tests[] = {
		RECORD(what_was_saved_is_loaded),
		RECORD(only_differences_are_written),
		RECORD(what_is_gone_takes_its_details_along),
		RECORD(what_comes_back_is_written_whole),
		RECORD(marking_needs_no_memory),
		RECORD(what_is_referred_to_does_not_go),
		RECORD(an_outdated_one_is_not_saved),
		RECORD(a_failed_save_leaves_all_as_it_was),
		RECORD(the_store_row_of_a_failed_save_is_forgotten),
		RECORD(a_read_only_database_is_left_alone),
		RECORD(stores_in_one_database_keep_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
