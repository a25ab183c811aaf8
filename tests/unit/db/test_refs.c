#include "store/db/refs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/db/record.h"

static const int64_t rows[] = { 1,  2,         INT64_MIN, INT64_MAX, 0,
				-1, 1LL << 40, 63,        64,        -64 };

/* Every one refers to every one, under reasons of one and two bytes. */
static void fill(struct ul_record *record)
{
	struct ul_object_ref refs[ul_array_len(rows)];
	char text[16];
	uint32_t i, j;

	for (i = 0; i < ul_array_len(rows); i++) {
		snprintf(text, sizeof text, "%u", i);
		assert_int_equal(ul_record_object(record, 1, "", "", text), i);
		record->objects[i].row = rows[i];
	}
	for (i = 0; i < ul_array_len(rows); i++) {
		for (j = 0; j < ul_array_len(rows); j++) {
			snprintf(text, sizeof text, "reason %u", i * 10 + j);
			refs[j] = (struct ul_object_ref){
				.target = j,
				.kind = (uint8_t)(j % 3),
				.reason = ul_record_text(record, text),
			};
		}
		assert_true(ul_record_set_refs(record, i, refs, j));
	}
}

static void test_refs__what_was_packed_comes_back(void **state)
{
	ul_cleanup(ul_record_release) struct ul_record record = UL_RECORD_INIT;
	uint32_t i, j;

	(void)state;
	fill(&record);
	for (i = 0; i < ul_array_len(rows); i++) {
		const struct ul_object *object = &record.objects[i];
		ul_cleanup(ul_buf_release) struct ul_buf pack = UL_BUF_INIT;
		const unsigned char *at, *end;
		struct ul_packed_ref ref;

		assert_true(ul_refs_pack(&record, object, &pack));
		assert_true(ul_refs_most(pack.len) >= ul_array_len(rows));
		at = (const unsigned char *)pack.data;
		end = at + pack.len;
		for (j = 0; j < ul_array_len(rows); j++) {
			assert_true(ul_refs_next(&at, end, rows[i], &ref));
			assert_true(ref.target_row == rows[j]);
			assert_int_equal(ref.kind, j % 3);
			assert_int_equal(ref.word, i * 10 + j);
		}
		assert_ptr_equal(at, end);
		assert_false(ul_refs_next(&at, end, rows[i], &ref));
	}
}

static void test_refs__what_is_cut_off_is_none(void **state)
{
	ul_cleanup(ul_record_release) struct ul_record record = UL_RECORD_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf pack = UL_BUF_INIT;
	struct ul_packed_ref ref;
	size_t len, found, last = 0;

	(void)state;
	fill(&record);
	assert_true(ul_refs_pack(&record, &record.objects[2], &pack));
	for (len = 0; len <= pack.len; len++) {
		const unsigned char *at = (const unsigned char *)pack.data;
		const unsigned char *end = at + len;

		for (found = 0; ul_refs_next(&at, end, 1, &ref); found++)
			continue;
		assert_true(found <= ul_refs_most(len));
		assert_true(found >= last);
		last = found;
	}
	assert_int_equal(last, ul_array_len(rows));
}

static void test_refs__numbers_without_an_end_are_none(void **state)
{
	unsigned char endless[32];
	const unsigned char *at = endless;
	struct ul_packed_ref ref;

	(void)state;
	memset(endless, 0xff, sizeof endless);
	assert_false(ul_refs_next(&at, at + sizeof endless, 1, &ref));
}

static void test_refs__packing_without_memory_says_so(void **state)
{
	ul_cleanup(ul_record_release) struct ul_record record = UL_RECORD_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf pack = UL_BUF_INIT;

	(void)state;
	fill(&record);
	ul_mem_countdown = 0;
	assert_false(ul_refs_pack(&record, &record.objects[0], &pack));
	ul_mem_countdown = -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refs__what_was_packed_comes_back),
		cmocka_unit_test(test_refs__what_is_cut_off_is_none),
		cmocka_unit_test(test_refs__numbers_without_an_end_are_none),
		cmocka_unit_test(test_refs__packing_without_memory_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
