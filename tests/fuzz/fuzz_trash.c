/* record.json of a trash folder: it never leads out of the store. */
#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "fuzz.h"
#include "store/embedded/form.h"
#include "store/embedded/trash.h"
#include "store/graph/graph.h"
#include "tests/fuzz/scratch.h"

#define FOLDER "89abcdef-1-0123abcd"

static void assert_within(const char *path)
{
	static const char *const places[] = { "oci/", "snapshots/", "ingest/" };
	const char *last = strrchr(path, '/');
	size_t i;

	for (i = 0; i < ul_array_len(places); i++) {
		if (!strncmp(path, places[i], strlen(places[i])))
			break;
	}
	assert(i < ul_array_len(places));
	assert(last && last[1]);
	assert(!strstr(path, "//") && !strstr(path, "/../"));
	assert(strcmp(last, "/..") != 0 && strcmp(last, "/.") != 0);
}

static void check_item(const struct ul_trash_item *item)
{
	assert(*ul_kind_name(item->kind));
	assert(!strchr(item->name, '/') && strcmp(item->name, "..") != 0);
	assert(*item->name && strcmp(item->name, ".") != 0);
	assert(strcmp(item->name, "record.json") != 0);
	assert_within(item->path);
	assert(item->key && item->parent && item->created_unix_s >= 0);
}

static void assert_reads_back(int dir_fd, const struct ul_trash_record *record,
			      struct ul_arena *arena)
{
	struct ul_trash_record again;
	struct ul_err err = UL_ERR_INIT;
	size_t i;
	int rc = ul_trash_write(dir_fd, record, &err);

	if (!rc)
		rc = ul_trash_read(scratch_fd(), &ul_form_embedded, FOLDER,
				   arena, &again, &err);
	assert(!rc);
	assert(!strcmp(again.database, record->database));
	assert(again.run == record->run);
	assert(again.grace_s == record->grace_s);
	assert(again.swept_unix_s == record->swept_unix_s);
	assert(again.item_count == record->item_count);
	assert(again.entry_count == record->entry_count);
	assert(again.content_count == record->content_count);
	for (i = 0; i < again.item_count; i++) {
		assert(!strcmp(again.items[i].name, record->items[i].name));
		assert(!strcmp(again.items[i].path, record->items[i].path));
		assert(!strcmp(again.items[i].key, record->items[i].key));
	}
	for (i = 0; i < again.entry_count; i++)
		assert(!strcmp(again.entries[i], record->entries[i]));
	for (i = 0; i < again.content_count; i++)
		assert(!strcmp(again.content[i], record->content[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	ul_cleanup(ul_closep) int dir_fd = -1;
	struct ul_trash_record record;
	struct ul_err err = UL_ERR_INIT;
	size_t i;
	int rc;

	(void)mkdirat(scratch_fd(), FOLDER, 0700);
	scratch_write(FOLDER "/record.json", data, size);
	rc = ul_trash_read(scratch_fd(), &ul_form_embedded, FOLDER, &arena,
			   &record, &err);
	if (rc) {
		assert(rc == err.code && !strpbrk(err.msg, "\n\033"));
		return 0;
	}
	for (i = 0; i < record.item_count; i++)
		check_item(&record.items[i]);
	for (i = 0; i < record.content_count; i++)
		assert_within(record.content[i]);
	assert(ul_trash_delete_unix_s(&record) >= record.swept_unix_s);
	rc = ul_dir_open(scratch_fd(), FOLDER, &dir_fd, &err);
	assert(!rc);
	assert_reads_back(dir_fd, &record, &arena);
	return 0;
}
