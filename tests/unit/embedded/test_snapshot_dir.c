#include "store/embedded/snapshot_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_snapshot_dir__names_a_layer_by_its_chain_id(void **state)
{
	char dir[UL_SNAPSHOT_DIR_MAX], key[UL_SNAPSHOT_DIR_MAX];
	bool is_unpacked = false;

	(void)state;
	assert_true(ul_snapshot_dir_name("sha256:" HEX, true, dir));
	assert_string_equal(dir, "layer-" HEX);
	assert_true(ul_snapshot_dir_parse(dir, key, &is_unpacked));
	assert_string_equal(key, "sha256:" HEX);
	assert_true(is_unpacked);
}

static void test_snapshot_dir__escapes_what_overlayfs_splits_at(void **state)
{
	char dir[UL_SNAPSHOT_DIR_MAX], key[UL_SNAPSHOT_DIR_MAX];
	bool is_unpacked = true;

	(void)state;
	assert_true(
	    ul_snapshot_dir_name("a:b,c/d e%\\\xc3\xa4-_.Z9", false, dir));
	assert_string_equal(dir, "key-a%3Ab%2Cc%2Fd%20e%25%5C%C3%A4-_.Z9");
	assert_true(ul_snapshot_dir_parse(dir, key, &is_unpacked));
	assert_string_equal(key, "a:b,c/d e%\\\xc3\xa4-_.Z9");
	assert_false(is_unpacked);
}

static void test_snapshot_dir__tells_a_users_chain_id_from_a_layer(void **state)
{
	char dir[UL_SNAPSHOT_DIR_MAX], key[UL_SNAPSHOT_DIR_MAX];
	bool is_unpacked = true;

	(void)state;
	assert_true(ul_snapshot_dir_name("sha256:" HEX, false, dir));
	assert_string_equal(dir, "key-sha256%3A" HEX);
	assert_true(ul_snapshot_dir_parse(dir, key, &is_unpacked));
	assert_string_equal(key, "sha256:" HEX);
	assert_false(is_unpacked);
}

static void test_snapshot_dir__fits_a_file_name_at_the_longest(void **state)
{
	char dir[UL_SNAPSHOT_DIR_MAX], back[UL_SNAPSHOT_DIR_MAX];
	char key[UL_KEY_MAX_BYTES + 2];
	bool is_unpacked;

	(void)state;
	memset(key, '/', UL_KEY_MAX_BYTES);
	key[UL_KEY_MAX_BYTES] = '\0';
	assert_true(ul_snapshot_dir_name(key, false, dir));
	assert_true(strlen(dir) <= 255);
	assert_true(ul_snapshot_dir_parse(dir, back, &is_unpacked));
	assert_string_equal(back, key);
	strcat(key, "a");
	assert_false(ul_snapshot_dir_name(key, false, dir));
}

static void test_snapshot_dir__refuses_what_is_no_key(void **state)
{
	char dir[UL_SNAPSHOT_DIR_MAX];

	(void)state;
	assert_false(ul_snapshot_dir_name("", false, dir));
	assert_false(ul_snapshot_dir_name("", true, dir));
	assert_false(ul_snapshot_dir_name("app", true, dir));
	assert_false(ul_snapshot_dir_name("sha256:" HEX "0", true, dir));
	assert_false(ul_snapshot_dir_name("sha512:" HEX HEX, true, dir));
}

static void test_snapshot_dir__knows_only_its_own_spelling(void **state)
{
	static const char *const strange[] = {
		"",
		"fs",
		"key-",
		"key",
		"layer-",
		"layer-" HEX "0",
		"layer-abc",
		"key-a%2fb",
		"key-a:b",
		"key-%41",
		"key-%",
		"key-%0",
		"key-a%4",
		"key-%00",
		"key-a%+5",
		"key-a% 5",
		"key-%0x5",
		"key-a b",
		"Key-a",
		"layer-0123456789ABCDEF"
		"0123456789abcdef0123"
		"456789abcdef01234567"
		"89abcdef",
	};
	char key[UL_SNAPSHOT_DIR_MAX] = "untouched";
	char longest[400] = "key-";
	bool is_unpacked = true;
	size_t i;

	(void)state;
	memset(longest + 4, 'a', sizeof longest - 5);
	assert_false(ul_snapshot_dir_parse(longest, key, &is_unpacked));
	longest[4 + UL_KEY_MAX_BYTES + 1] = '\0';
	assert_false(ul_snapshot_dir_parse(longest, key, &is_unpacked));
	for (i = 0; i < ul_array_len(strange); i++) {
		if (ul_snapshot_dir_parse(strange[i], key, &is_unpacked))
			fail_msg("\"%s\" became \"%s\"", strange[i], key);
	}
	assert_string_equal(key, "untouched");
}

static void test_snapshot_dir__leads_back_from_every_byte(void **state)
{
	char dir[UL_SNAPSHOT_DIR_MAX], back[UL_SNAPSHOT_DIR_MAX], key[3];
	bool is_unpacked;
	int c;

	(void)state;
	for (c = 1; c < 256; c++) {
		snprintf(key, sizeof key, "%c4", c);
		assert_true(ul_snapshot_dir_name(key, false, dir));
		assert_null(strpbrk(dir, ":,/\\ "));
		assert_true(ul_snapshot_dir_parse(dir, back, &is_unpacked));
		assert_string_equal(back, key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_snapshot_dir__names_a_layer_by_its_chain_id),
		cmocka_unit_test(
		    test_snapshot_dir__escapes_what_overlayfs_splits_at),
		cmocka_unit_test(
		    test_snapshot_dir__tells_a_users_chain_id_from_a_layer),
		cmocka_unit_test(
		    test_snapshot_dir__fits_a_file_name_at_the_longest),
		cmocka_unit_test(test_snapshot_dir__refuses_what_is_no_key),
		cmocka_unit_test(
		    test_snapshot_dir__knows_only_its_own_spelling),
		cmocka_unit_test(test_snapshot_dir__leads_back_from_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
