#include "tests/unit/base/fixture.h"

#include "base/map.h"

static void test_map__finds_what_was_put(void **state)
{
	struct ul_map map = UL_MAP_INIT;
	uint32_t keys[5000], i, *value;
	bool added;

	(void)state;
	assert_int_equal(ul_map_get_str(&map, "x"), UL_MAP_NONE);
	for (i = 0; i < 5000; i++) {
		keys[i] = i * 2654435761u;
		value = ul_map_put(&map, &keys[i], sizeof keys[i], i, &added);
		assert_non_null(value);
		assert_true(added);
		assert_int_equal(*value, i);
	}
	assert_int_equal(map.len, 5000);
	for (i = 0; i < 5000; i++) {
		assert_int_equal(ul_map_get(&map, &keys[i], sizeof keys[i]), i);
		assert_ptr_equal(map.entries[i].key, &keys[i]);
	}
	value = ul_map_put(&map, &keys[7], sizeof keys[7], 99, &added);
	assert_false(added);
	assert_int_equal(*value, 7);
	assert_true(ul_map_set(&map, &keys[7], sizeof keys[7], 99));
	assert_int_equal(ul_map_get(&map, &keys[7], sizeof keys[7]), 99);
	/* A key is its length too. */
	assert_int_equal(ul_map_get(&map, &keys[7], 3), UL_MAP_NONE);
	assert_true(ul_map_set(&map, "", 0, 5));
	assert_int_equal(ul_map_get_str(&map, ""), 5);
	ul_map_release(&map);
	ul_map_release(&map);
	assert_int_equal(ul_map_get_str(&map, ""), UL_MAP_NONE);
}

static void test_map__what_was_appended_is_found_at_the_end(void **state)
{
	struct ul_map map = UL_MAP_INIT;
	uint32_t keys[1000], i;

	(void)state;
	ul_mem_countdown = 0;
	assert_false(ul_map_append(&map, "x", 1, 0));
	ul_mem_countdown = 0;
	assert_false(ul_map_finish(&map));
	ul_mem_countdown = -1;
	assert_true(ul_map_finish(&map));
	assert_int_equal(ul_map_get_str(&map, "x"), UL_MAP_NONE);
	for (i = 0; i < 1000; i++) {
		keys[i] = i;
		assert_true(
		    ul_map_append(&map, &keys[i], sizeof keys[i], i + 7));
	}
	assert_true(ul_map_finish(&map));
	for (i = 0; i < 1000; i++)
		assert_int_equal(ul_map_get(&map, &keys[i], sizeof keys[i]),
				 i + 7);
	/* And goes on as any other. */
	assert_true(ul_map_set(&map, "x", 1, 3));
	assert_true(ul_map_set(&map, &keys[9], sizeof keys[9], 4));
	assert_int_equal(map.len, 1001);
	assert_int_equal(ul_map_get(&map, &keys[9], sizeof keys[9]), 4);
	assert_int_equal(ul_map_get_str(&map, "x"), 3);
	ul_map_release(&map);
}

static void test_map__survives_every_allocation_failure(void **state)
{
	struct ul_map map = UL_MAP_INIT;
	uint32_t keys[300], i, failures = 0;

	(void)state;
	for (i = 0; i < 300; i++) {
		keys[i] = i;
		ul_mem_countdown = 0;
		while (!ul_map_set(&map, &keys[i], sizeof keys[i], i)) {
			assert_int_equal(map.len, i);
			assert_int_equal(
			    ul_map_get(&map, &keys[i], sizeof keys[i]),
			    UL_MAP_NONE);
			ul_mem_countdown = ++failures % 2;
		}
	}
	ul_mem_countdown = -1;
	assert_true(failures > 4);
	for (i = 0; i < 300; i++)
		assert_int_equal(ul_map_get(&map, &keys[i], sizeof keys[i]), i);
	ul_map_release(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map__finds_what_was_put),
		cmocka_unit_test(
		    test_map__what_was_appended_is_found_at_the_end),
		cmocka_unit_test(test_map__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
