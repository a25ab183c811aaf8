/* What a layer says of those below: whiteouts, opaque directories, links. */
#include "store/transfer/layer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/unit/transfer/layer_expect.h"

static void test_layer__whiteouts_become_devices(void **state)
{
	LOWER(state, { .path = "d", .type = '5', .mode = 0700, .mtime = 5 },
	      { .path = "d/f", .type = '0', .data = "1" },
	      { .path = "g", .type = '0', .data = "2" });
	APPLY(state, { .path = ".wh.g", .type = '0' },
	      { .path = "d/.wh.f", .type = '0' });
	assert_whiteout(state, "g");
	assert_whiteout(state, "d/f");
	assert_absent(state, ".wh.g");
	assert_int_equal(stat_of(state, "d").st_mode, S_IFDIR | 0700);
	assert_int_equal(stat_of(state, "d").st_mtim.tv_sec, 5);
}

static void test_layer__whiteouts_that_hide_nothing_are_left_out(void **state)
{
	LOWER(state, { .path = "d", .type = '5' },
	      { .path = "d/f", .type = '0', .data = "1" },
	      { .path = "gone", .type = '0', .data = "1" },
	      { .path = "file", .type = '0', .data = "1" });
	LOWER(state, { .path = ".wh.gone", .type = '0' });
	APPLY(state, { .path = ".wh.gone", .type = '0' },
	      { .path = "d/.wh.x", .type = '0' },
	      { .path = "new", .type = '5' },
	      { .path = "new/.wh.x", .type = '0' },
	      { .path = "no/.wh.x", .type = '0' },
	      { .path = "d2", .type = '2', .link = "d" },
	      { .path = "d2/.wh.f", .type = '0' },
	      { .path = "file", .type = '0', .data = "2" },
	      { .path = ".wh.file", .type = '0' });
	assert_absent(state, "gone");
	assert_absent(state, "d/x");
	assert_absent(state, "new/x");
	assert_absent(state, "no");
	assert_whiteout(state, "d/f");
	assert_text(state, "file", "2");
}

static void test_layer__whiteouts_below_an_opaque_directory_go(void **state)
{
	LOWER(state, { .path = "d", .type = '5' },
	      { .path = "d/f", .type = '0' }, { .path = "d/e", .type = '5' },
	      { .path = "d/e/g", .type = '0' }, { .path = "d/h", .type = '5' },
	      { .path = "d/h/i", .type = '0' });
	APPLY(state, { .path = "d/.wh.f", .type = '0' },
	      { .path = "d/e/.wh.g", .type = '0' },
	      { .path = "d/h/.wh.i", .type = '0' },
	      { .path = "d/h", .type = '0', .data = "now a file" },
	      { .path = "d/.wh..wh..opq", .type = '0' });
	assert_true(is_opaque(state, "d"));
	assert_absent(state, "d/f");
	assert_absent(state, "d/e/g");
	assert_true(S_ISREG(stat_of(state, "d/h").st_mode));
}

static void
test_layer__a_directory_in_place_of_a_whiteout_is_opaque(void **state)
{
	LOWER(state, { .path = "d", .type = '5' },
	      { .path = "d/f", .type = '0' }, { .path = "e", .type = '5' },
	      { .path = "f", .type = '0' }, { .path = "g", .type = '5' });
	APPLY(state, { .path = ".wh.d", .type = '0' },
	      { .path = "d", .type = '5' },
	      { .path = "e", .type = '0', .data = "hides e" },
	      { .path = "e", .type = '5' }, { .path = ".wh.f", .type = '0' },
	      { .path = "f", .type = '5' }, { .path = ".wh.g", .type = '0' },
	      { .path = "g/made/unasked", .type = '0' });
	assert_true(is_opaque(state, "d"));
	assert_true(is_opaque(state, "e"));
	assert_false(is_opaque(state, "f"));
	assert_true(is_opaque(state, "g"));
	assert_false(is_opaque(state, "g/made"));
}

static void test_layer__a_whiteout_spares_what_the_layer_brings(void **state)
{
	LOWER(state, { .path = "d", .type = '5' },
	      { .path = "d/f", .type = '0' }, { .path = "e", .type = '5' });
	APPLY(state, { .path = "d/new", .type = '0', .data = "n" },
	      { .path = ".wh.d", .type = '0' },
	      { .path = ".wh.e", .type = '0' },
	      { .path = "e", .type = '0', .data = "e" });
	assert_true(is_opaque(state, "d"));
	assert_text(state, "d/new", "n");
	assert_text(state, "e", "e");
}

static void test_layer__an_opaque_root_hides_every_name(void **state)
{
	LOWER(state, { .path = "a", .type = '0' }, { .path = "b", .type = '5' },
	      { .path = "gone", .type = '0' });
	LOWER(state, { .path = "c", .type = '0' },
	      { .path = ".wh.gone", .type = '0' });
	APPLY(state, { .path = "b", .type = '5' },
	      { .path = ".wh..wh..opq", .type = '0' },
	      { .path = "c", .type = '0', .data = "new" });
	assert_whiteout(state, "a");
	assert_true(is_opaque(state, "b"));
	assert_text(state, "c", "new");
	assert_absent(state, "gone");
	assert_false(is_opaque(state, "."));
}

static void test_layer__hidden_lower_directories_lend_nothing(void **state)
{
	LOWER(state, { .path = "d", .type = '5', .mode = 0700 },
	      { .path = "d/e", .type = '5', .mode = 0711 });
	LOWER(state, { .path = ".wh.d", .type = '0' });
	LOWER(state, { .path = "o", .type = '5', .mode = 0700 },
	      { .path = "o/e", .type = '5', .mode = 0711 });
	LOWER(state, { .path = "o/.wh..wh..opq", .type = '0' });
	APPLY(state, { .path = "d/e/f", .type = '0', .mtime = 3 },
	      { .path = "o/e/f", .type = '0' });
	assert_int_equal(stat_of(state, "d").st_mode, S_IFDIR | 0755);
	assert_int_equal(stat_of(state, "d").st_mtim.tv_sec, 3);
	assert_int_equal(stat_of(state, "d/e").st_mode, S_IFDIR | 0755);
	assert_int_equal(stat_of(state, "o").st_mode, S_IFDIR | 0700);
	assert_int_equal(stat_of(state, "o/e").st_mode, S_IFDIR | 0755);
}

static void test_layer__symlinks_of_lower_layers_lead_on(void **state)
{
	LOWER(state, { .path = "usr/lib", .type = '5', .mode = 0711 },
	      { .path = "lib", .type = '2', .link = "usr/lib" },
	      { .path = "abs", .type = '2', .link = "/lib/../lib" },
	      { .path = "up", .type = '2', .link = "../../usr" },
	      { .path = "dangling", .type = '2', .link = "not/there" });
	LOWER(state, { .path = "usr", .type = '5', .mode = 0700 });
	APPLY(state, { .path = "lib/a", .type = '0', .data = "a" },
	      { .path = "abs/b", .type = '0', .data = "b" },
	      { .path = "up/lib/c", .type = '0', .data = "c" },
	      { .path = "dangling/d", .type = '0', .data = "d" });
	assert_absent(state, "lib");
	assert_text(state, "usr/lib/a", "a");
	assert_text(state, "usr/lib/b", "b");
	assert_text(state, "usr/lib/c", "c");
	assert_text(state, "usr/../usr/lib/c", "c");
	assert_text(state, "not/there/d", "d");
	assert_int_equal(stat_of(state, "usr").st_mode, S_IFDIR | 0700);
	assert_int_equal(stat_of(state, "usr/lib").st_mode, S_IFDIR | 0711);
}

static void test_layer__what_was_remembered_of_a_path_is_forgotten(void **state)
{
	LOWER(state, { .path = "a", .type = '5', .mode = 0700 },
	      { .path = "a/b", .type = '5' },
	      { .path = "l", .type = '2', .link = "a" });
	APPLY(state, { .path = "l/b/1", .type = '0', .data = "1" },
	      { .path = "l", .type = '5', .mode = 0711 },
	      { .path = "l/b/2", .type = '0', .data = "2" },
	      { .path = "a", .type = '2', .link = "l" },
	      { .path = "a/b/3", .type = '0', .data = "3" },
	      { .path = ".wh.l", .type = '0' }, { .path = "a", .type = '5' },
	      { .path = "a/b/4", .type = '0', .data = "4" });
	assert_int_equal(stat_of(state, "l").st_mode, S_IFDIR | 0711);
	assert_text(state, "l/b/2", "2");
	assert_text(state, "l/b/3", "3");
	assert_absent(state, "a/b/1");
	assert_text(state, "a/b/4", "4");
	assert_true(is_opaque(state, "a"));
}

static void test_layer__hard_links_copy_up(void **state)
{
	struct stat st, other;

	LOWER(state, { .path = "d", .type = '5', .mode = 0711, .mtime = 4 },
	      { .path = "d/f",
		.type = '0',
		.mode = 0604,
		.mtime = 5,
		.data = "text" },
	      { .path = "s", .type = '2', .link = "target", .mtime = 6 });
	APPLY(state, { .path = "new", .type = '1', .link = "d/f" },
	      { .path = "s2", .type = '1', .link = "s" });
	assert_text(state, "d/f", "text");
	st = stat_of(state, "d/f");
	other = stat_of(state, "new");
	assert_int_equal(st.st_ino, other.st_ino);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_mode, S_IFREG | 0604);
	assert_int_equal(st.st_mtim.tv_sec, 5);
	st = stat_of(state, "d");
	assert_int_equal(st.st_mode, S_IFDIR | 0711);
	assert_int_equal(st.st_mtim.tv_sec, 4);
	st = stat_of(state, "s");
	other = stat_of(state, "s2");
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(st.st_ino, other.st_ino);
	assert_int_equal(st.st_mtim.tv_sec, 6);
}

static void test_layer__an_unlisted_root_is_as_the_one_below(void **state)
{
	LOWER(state, { .path = "./",
		       .type = '5',
		       .mode = 0710,
		       .mtime = 12,
		       .pax = { TAR_PAX("SCHILY.xattr.user.k", "v") } });
	APPLY(state, { .path = "f", .type = '0' });
	assert_int_equal(stat_of(state, ".").st_mode, S_IFDIR | 0710);
	assert_int_equal(stat_of(state, ".").st_mtim.tv_sec, 12);
	assert_int_equal(fgetxattr(fs_fd(state), "user.k", NULL, 0), 1);
}

static void test_layer__what_is_no_entry_is_hidden_with_the_rest(void **state)
{
	LOWER(state, { .path = "c/c/f", .data = "f" },
	      { .path = "d/d/f", .data = "f" },
	      { .path = "e/f", .data = "f", .mode = 0600 },
	      { .path = "g", .data = "g" }, { .path = "h/h/h", .data = "h" });
	APPLY(state, { .path = "c/c/.wh..wh..opq" },
	      { .path = "c/.wh..wh..opq" }, { .path = "d/d/.wh.f" },
	      { .path = ".wh.d" }, { .path = "le", .type = '1', .link = "e/f" },
	      { .path = "e/.wh..wh..opq" },
	      { .path = "lg", .type = '1', .link = "g" }, { .path = ".wh.g" },
	      { .path = "h/.wh.h" }, { .path = "h/new", .data = "new" },
	      { .path = ".wh.h" });
	assert_true(is_opaque(state, "c"));
	assert_absent(state, "c/c");
	assert_whiteout(state, "d");
	assert_text(state, "le", "f");
	assert_int_equal(stat_of(state, "le").st_mode, S_IFREG | 0600);
	assert_true(is_opaque(state, "e"));
	assert_absent(state, "e/f");
	assert_text(state, "lg", "g");
	assert_whiteout(state, "g");
	assert_true(is_opaque(state, "h"));
	assert_absent(state, "h/h");
	assert_text(state, "h/new", "new");
}

int main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, layer_setup, layer_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_layer__whiteouts_become_devices),
		TEST(test_layer__whiteouts_that_hide_nothing_are_left_out),
		TEST(test_layer__whiteouts_below_an_opaque_directory_go),
		TEST(test_layer__a_directory_in_place_of_a_whiteout_is_opaque),
		TEST(test_layer__a_whiteout_spares_what_the_layer_brings),
		TEST(test_layer__an_opaque_root_hides_every_name),
		TEST(test_layer__hidden_lower_directories_lend_nothing),
		TEST(test_layer__symlinks_of_lower_layers_lead_on),
		TEST(test_layer__what_was_remembered_of_a_path_is_forgotten),
		TEST(test_layer__hard_links_copy_up),
		TEST(test_layer__an_unlisted_root_is_as_the_one_below),
		TEST(test_layer__what_is_no_entry_is_hidden_with_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
