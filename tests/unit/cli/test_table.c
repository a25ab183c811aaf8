#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/table.h"
#include "cli/text.h"

static const struct ul_column columns[] = {
	{ .heading = "NAME", .is_shrink = true },
	{ .heading = "SIZE", .is_right = true },
	{ .heading = "USED" },
};

static void table_fill(struct ul_table *table)
{
	static const char *const cells[] = {
		"registry.example.com/team/映像/application-server:2026-11-24",
		"1.21 MB",
		"3 days ago",
		"app:2",
		"982 B",
		"",
		"büro:1",
		"14.3 GB",
		"never",
	};
	size_t i;

	ul_table_init(table, columns, ul_array_len(columns));
	for (i = 0; i < ul_array_len(cells); i++)
		ul_table_add(table, cells[i]);
}

/* What matters least leaves first; a name is cut before. */
static const struct ul_column image_columns[] = {
	{ .heading = "NAME", .is_shrink = true },
	{ .heading = "PACKED", .is_right = true, .leave = 3 },
	{ .heading = "UNPACKED", .is_right = true, .leave = 2 },
	{ .heading = "UNIQUE", .is_right = true },
	{ .heading = "USES", .is_right = true, .leave = 1 },
	{ .heading = "LAST USE" },
};

static void images_fill(struct ul_table *table)
{
	static const char *const cells[] = {
		"docker.io/library/application:2026-11-24",
		"1.21 MB",
		"124 MB",
		"119 kB",
		"0",
		"3 days ago",
	};
	size_t i;

	ul_table_init(table, image_columns, ul_array_len(image_columns));
	for (i = 0; i < ul_array_len(cells); i++)
		ul_table_add(table, cells[i]);
}

static void assert_printed(void (*fill)(struct ul_table *table),
			   const char *width, const char *wanted)
{
	ul_cleanup(ul_table_release) struct ul_table table;
	ul_cleanup(ul_freep) char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (width)
		setenv("COLUMNS", width, 1);
	else
		unsetenv("COLUMNS");
	fill(&table);
	assert_true(ul_table_print(&table, out));
	fclose(out);
	assert_string_equal(text, wanted);
}

static void assert_table(const char *width, const char *wanted)
{
	assert_printed(table_fill, width, wanted);
}

static void test_table__columns_are_as_wide_as_their_cells(void **state)
{
	(void)state;
	assert_table("200", "NAME                                    "
			    "                         SIZE  USED\n"
			    "registry.example.com/team/映像/application"
			    "-server:2026-11-24  1.21 MB  3 days ago\n"
			    "app:2                                   "
			    "                        982 B\n"
			    "büro:1                                  "
			    "                      14.3 GB  never\n");
}

static void test_table__at_80_columns_a_name_gives_way(void **state)
{
	(void)state;
	assert_table("80", "NAME                                    "
			   "                        SIZE  USED\n"
			   "registry.examp..com/team/映像/application"
			   "-server:2026-11-24  1.21 MB  3 days ago\n"
			   "app:2                                   "
			   "                       982 B\n"
			   "büro:1                                  "
			   "                     14.3 GB  never\n");
}

static void test_table__at_40_columns_only_the_name_is_cut(void **state)
{
	(void)state;
	assert_table("40", "NAME                    SIZE  USED\n"
			   "regi..er:2026-11-24  1.21 MB  3 days ago\n"
			   "app:2                  982 B\n"
			   "büro:1               14.3 GB  never\n");
}

static void test_table__what_has_no_room_is_left_out_in_its_order(void **state)
{
	(void)state;
	assert_printed(images_fill, "80",
		       "NAME                                  PACKED  UNPACKED "
		       " UNIQUE  USES  LAST USE\n"
		       "docker.i..ry/application:2026-11-24  1.21 MB    124 MB "
		       " 119 kB     0  3 days ago\n");
	assert_printed(
	    images_fill, "60",
	    "NAME              PACKED  UNPACKED  UNIQUE  USES  LAST USE\n"
	    "doc..2026-11-24  1.21 MB    124 MB  119 kB     0  3 days ago\n");
	assert_printed(images_fill, "50",
		       "NAME                    PACKED  UNIQUE  LAST USE\n"
		       "docke..ion:2026-11-24  1.21 MB  119 kB  3 days ago\n"
		       "No room for UNPACKED, USES.\n");
	assert_printed(images_fill, "40",
		       "NAME                  UNIQUE  LAST USE\n"
		       "dock..ion:2026-11-24  119 kB  3 days ago\n"
		       "No room for PACKED, UNPACKED, USES.\n");
}

static void test_table__a_script_gets_all_of_it(void **state)
{
	(void)state;
	assert_printed(images_fill, NULL,
		       "NAME                                       PACKED  "
		       "UNPACKED  UNIQUE  USES  LAST USE\n"
		       "docker.io/library/application:2026-11-24  1.21 MB  "
		       "  124 MB  119 kB     0  3 days ago\n");
}

static void test_table__control_characters_do_not_reach_it(void **state)
{
	ul_cleanup(ul_table_release) struct ul_table table;
	ul_cleanup(ul_freep) char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	setenv("COLUMNS", "80", 1);
	ul_table_init(&table, columns, 1);
	ul_table_add(&table, "a\033[2Jb\nc");
	ul_table_addf(&table, "%s:%d", "app", 2);
	assert_true(ul_table_print(&table, out));
	fclose(out);
	assert_string_equal(text, "NAME\na?[2Jb?c\napp:2\n");
}

static void test_table__says_so_where_memory_was_out(void **state)
{
	ul_cleanup(ul_freep) char *text = NULL;
	bool printed = false;
	size_t len;
	long n;

	(void)state;
	setenv("COLUMNS", "40", 1);
	for (n = 0; !printed; n++) {
		ul_cleanup(ul_table_release) struct ul_table table;
		FILE *out = open_memstream(&text, &len);

		ul_mem_countdown = n;
		table_fill(&table);
		printed = ul_table_print(&table, out);
		ul_mem_countdown = -1;
		fclose(out);
		ul_freep(&text);
	}
	/* 9 cells, their array, the widths, 12 cells printed. */
	assert_true(n > 20);
}

static void test_table__says_so_where_writing_failed(void **state)
{
	ul_cleanup(ul_table_release) struct ul_table table;
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	table_fill(&table);
	assert_false(ul_table_print(&table, full));
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_table__columns_are_as_wide_as_their_cells),
		cmocka_unit_test(test_table__at_80_columns_a_name_gives_way),
		cmocka_unit_test(
		    test_table__at_40_columns_only_the_name_is_cut),
		cmocka_unit_test(
		    test_table__what_has_no_room_is_left_out_in_its_order),
		cmocka_unit_test(test_table__a_script_gets_all_of_it),
		cmocka_unit_test(
		    test_table__control_characters_do_not_reach_it),
		cmocka_unit_test(test_table__says_so_where_memory_was_out),
		cmocka_unit_test(test_table__says_so_where_writing_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
