#include "tests/unit/base/fixture.h"

#include <stdalign.h>

#include "base/arena.h"

static void test_arena__hands_out_zeroed_aligned_memory(void **state)
{
	struct ul_arena arena = UL_ARENA_INIT;
	size_t i, j, size;

	(void)state;
	for (i = 0; i < 2000; i++) {
		unsigned char *bytes;

		size = i % 7 ? i % 97 : 100000;
		assert_string_equal(ul_arena_strdup(&arena, "odd"), "odd");
		bytes = ul_arena_alloc(&arena, size);
		assert_non_null(bytes);
		assert_int_equal((uintptr_t)bytes % alignof(max_align_t), 0);
		for (j = 0; j < size; j++)
			assert_true(!bytes[j]);
		memset(bytes, 0xff, size);
		if (i % 500 == 0)
			ul_arena_release(&arena);
	}
	assert_string_equal(ul_arena_strndup(&arena, "abcdef", 3), "abc");
	assert_string_equal(ul_arena_strndup(&arena, "", 0), "");
	for (i = 1; i < 300000; i *= 3)
		memset(ul_arena_bytes(&arena, i), 0xff, i);
	ul_arena_release(&arena);
	ul_arena_release(&arena);
}

static void test_arena__survives_a_lack_of_memory(void **state)
{
	struct ul_arena arena = UL_ARENA_INIT;
	const char *kept;

	(void)state;
	ul_mem_countdown = 0;
	assert_null(ul_arena_alloc(&arena, 10));
	ul_mem_countdown = 0;
	assert_null(ul_arena_bytes(&arena, 10));
	ul_mem_countdown = -1;
	kept = ul_arena_strdup(&arena, "kept");
	ul_mem_countdown = 0;
	assert_null(ul_arena_alloc(&arena, 100000));
	ul_mem_countdown = -1;
	assert_null(ul_arena_alloc(&arena, SIZE_MAX - 4));
	assert_string_equal(kept, "kept");
	assert_non_null(ul_arena_alloc(&arena, 0));
	ul_arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arena__hands_out_zeroed_aligned_memory),
		cmocka_unit_test(test_arena__survives_a_lack_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
