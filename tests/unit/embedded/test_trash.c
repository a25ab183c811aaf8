/* What a trash folder says of itself is taken only where it makes sense. */
#include "store/embedded/form.h"
#include "store/embedded/trash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/remove.h"
#include "store/graph/graph.h"
#include "store/limits.h"

#define FOLDER "89abcdef-1-0123abcd"
#define DATABASE "0123456789abcdef0123456789abcdef"
#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct fixture {
	char top[64];
	int top_fd, dir_fd;
	struct ul_arena arena;
	struct ul_err err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct ul_err err = UL_ERR_INIT;

	strcpy(f->top, "/tmp/ullage-trash.XXXXXX");
	if (!mkdtemp(f->top) ||
	    ul_dir_open(AT_FDCWD, f->top, &f->top_fd, &err) ||
	    mkdirat(f->top_fd, FOLDER, 0700) ||
	    ul_dir_open(f->top_fd, FOLDER, &f->dir_fd, &err))
		return -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	const char *tree = f->top;
	struct ul_removed removed;
	int rc;

	close(f->top_fd);
	close(f->dir_fd);
	rc = ul_remove_trees(AT_FDCWD, &tree, 1, &removed, &f->err);
	ul_arena_release(&f->arena);
	free(f);
	return rc;
}

static int read_text(struct fixture *f, const char *text,
		     struct ul_trash_record *ret)
{
	assert_int_equal(ul_file_replace(f->dir_fd, "record.json", text,
					 strlen(text), 0600, &f->err),
			 0);
	return ul_trash_read(f->top_fd, &ul_form_embedded, FOLDER, &f->arena,
			     ret, &f->err);
}

/* Read a record of one item. */
static int read_item(struct fixture *f, const char *name, const char *path,
		     struct ul_trash_record *ret)
{
	char text[512];

	snprintf(text, sizeof text,
		 "{\"version\":1,\"database\":\"" DATABASE "\","
		 "\"run\":1,\"swept_unix_s\":5,"
		 "\"grace_s\":7,\"items\":[{\"name\":\"%s\","
		 "\"kind\":\"blob\",\"key\":\"k\","
		 "\"path\":\"%s\",\"parent\":\"\","
		 "\"created_unix_s\":0}],\"entries\":[]}",
		 name, path);

	return read_text(f, text, ret);
}

static void test_trash__reads_what_it_wrote(void **state)
{
	struct ul_trash_item items[] = {
		{ .name = "0",
		  .kind = UL_KIND_BLOB,
		  .key = "sha256:" HEX,
		  .path = "oci/blobs/sha256/" HEX,
		  .parent = "" },
		{ .name = "12",
		  .kind = UL_KIND_SNAPSHOT,
		  .key = "k",
		  .path = "snapshots/key-k",
		  .parent = "p",
		  .created_unix_s = 3 },
	};
	const char *entries[] = { "{\"digest\":\"x\"}" };
	struct ul_trash_record record = {
		.database = DATABASE,
		.run = 4,
		.swept_unix_s = 5,
		.grace_s = 7,
		.items = items,
		.item_count = 2,
		.entries = entries,
		.entry_count = 1,
	};
	struct ul_trash_record found;
	struct fixture *f = *state;

	assert_int_equal(ul_trash_write(f->dir_fd, &record, &f->err), 0);
	assert_int_equal(ul_trash_read(f->top_fd, &ul_form_embedded, FOLDER,
				       &f->arena, &found, &f->err),
			 0);
	assert_string_equal(found.database, DATABASE);
	assert_int_equal(found.run, 4);
	assert_int_equal(ul_trash_delete_unix_s(&found), 12);
	assert_int_equal(found.item_count, 2);
	assert_string_equal(found.items[0].path, items[0].path);
	assert_string_equal(found.items[1].name, "12");
	assert_string_equal(found.items[1].parent, "p");
	assert_int_equal(found.items[1].kind, UL_KIND_SNAPSHOT);
	assert_int_equal(found.items[1].created_unix_s, 3);
	assert_int_equal(found.entry_count, 1);
	assert_string_equal(found.entries[0], entries[0]);
}

/* What lies in a folder whose record cannot be read would be lost. */
static void test_trash__the_longest_record_is_read_again(void **state)
{
	struct fixture *f = *state;
	size_t i, count = UL_TRASH_RECORD_MAX_ITEMS;
	struct ul_trash_item *items =
	    ul_arena_alloc(&f->arena, count * sizeof *items);
	struct ul_trash_record out = { .database = DATABASE,
				       .run = 1,
				       .items = items,
				       .item_count = count },
			       in;

	assert_non_null(items);
	for (i = 0; i < count; i++)
		items[i] = (struct ul_trash_item){
			.name = "1",
			.kind = UL_KIND_BLOB,
			.key = "sha256:" HEX,
			.path = "oci/blobs/sha256/" HEX,
			.parent = "",
		};
	assert_int_equal(ul_trash_write(f->dir_fd, &out, &f->err), 0);
	if (ul_trash_read(f->top_fd, &ul_form_embedded, FOLDER, &f->arena, &in,
			  &f->err))
		fail_msg("%s", f->err.msg);
	assert_int_equal(in.item_count, count);
}

static void test_trash__leads_to_what_we_sweep_alone(void **state)
{
	static const char *const wrong[] = {
		"",
		"snapshots",
		"snapshots/",
		"snapshots/.",
		"snapshots/..",
		"snapshots/../x",
		"snapshots/a/b",
		"/etc/passwd",
		"../snapshots/a",
		"store-id",
		"oci/index.json",
		"oci/blobs/sha256/../../index.json",
		"oci/oci-put-blob/../index.json",
		"trash/1-0123abcd",
	};
	struct ul_trash_record found;
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ul_array_len(wrong); i++) {
		assert_int_equal(read_item(f, "0", wrong[i], &found),
				 UL_E_CORRUPT);
		assert_string_equal(f->err.msg, "trash/" FOLDER "/record.json: "
						"an item that makes no sense");
	}
	assert_int_equal(read_item(f, "0", "snapshots/a", &found), 0);
	assert_int_equal(read_item(f, "0", "oci/oci-put-blob1", &found), 0);
}

/* The folder itself, its record and trees that are being deleted are none. */
static void test_trash__takes_numbered_items_alone(void **state)
{
	static const char *const wrong[] = {
		"",     ".",  "..", "record.json", "gone-0",
		"0/..", "0 ", "-1", "../../other", "x"
	};
	struct ul_trash_record found;
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ul_array_len(wrong); i++)
		assert_int_equal(read_item(f, wrong[i], "snapshots/a", &found),
				 UL_E_CORRUPT);
	assert_int_equal(read_item(f, "00", "snapshots/a", &found), 0);
}

/* Runs are numbered within one database: which, has to be said. */
static void test_trash__is_some_databases(void **state)
{
	static const char *const ids[] = {
		"\"\"", "5", "\"0123\"", "\"" DATABASE "0\"",
		"\"../456789abcdef0123456789abcdef\""
	};
	struct ul_trash_record found;
	struct fixture *f = *state;
	char text[256];
	size_t i;

	for (i = 0; i <= ul_array_len(ids); i++) {
		snprintf(text, sizeof text,
			 "{%s%s%s\"run\":1,\"swept_unix_s\":5,\"grace_s\":7,"
			 "\"items\":[],\"entries\":[]}",
			 i ? "\"database\":" : "", i ? ids[i - 1] : "",
			 i ? "," : "");
		assert_int_equal(read_text(f, text, &found), UL_E_CORRUPT);
	}
}

static void test_trash__has_folders_of_one_form(void **state)
{
	static const char *const others[] = { "",
					      "1-0123abcd",
					      "0123abcd-1-0123abc",
					      "0123abcd-1-0123abcde",
					      "0123abcd--0123abcd",
					      "0123abcX-1-0123abcd",
					      "0123abcd-1-0123abcd.old" };
	char name[UL_TRASH_FOLDER_MAX];
	size_t i;

	(void)state;
	ul_trash_folder_name(DATABASE, INT64_MAX, name);
	assert_true(ul_trash_folder_is_one(name));
	assert_memory_equal(name, "01234567-9223372036854775807-", 29);
	for (i = 0; i < ul_array_len(others); i++)
		assert_false(ul_trash_folder_is_one(others[i]));
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(test_trash__reads_what_it_wrote),
		UNIT(test_trash__the_longest_record_is_read_again),
		UNIT(test_trash__leads_to_what_we_sweep_alone),
		UNIT(test_trash__takes_numbered_items_alone),
		UNIT(test_trash__is_some_databases),
		UNIT(test_trash__has_folders_of_one_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
