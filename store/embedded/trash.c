#include "store/embedded/trash.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/words.h"
#include "store/embedded/form.h"
#include "store/embedded/open.h"
#include "store/embedded/store.h"
#include "store/limits.h"
#include "store/oci/json.h"
#include "store/oci/layout.h"

bool ul_trash_is_ours(const struct ul_embedded *store,
		      const struct ul_trash_record *record)
{
	return !strcmp(record->database, store->db_uid);
}

void ul_trash_folder_name(const char *database, int64_t run,
			  char ret_name[UL_TRASH_FOLDER_MAX])
{
	char hex[17];

	ul_random_hex(hex);
	snprintf(ret_name, UL_TRASH_FOLDER_MAX, "%.8s-%" PRId64 "-%.8s",
		 database, run, hex);
}

/* Eight hex digits and then `end`. */
static bool is_hex_up_to(const char *text, char end)
{
	return strspn(text, "0123456789abcdef") == 8 && text[8] == end;
}

bool ul_trash_folder_is_one(const char *name)
{
	size_t digits;

	if (!is_hex_up_to(name, '-'))
		return false;
	name += 9;
	digits = strspn(name, "0123456789");
	return digits && name[digits] == '-' &&
	       is_hex_up_to(name + digits + 1, '\0');
}

int64_t ul_trash_delete_unix_s(const struct ul_trash_record *record)
{
	int64_t when;

	if (__builtin_add_overflow(record->swept_unix_s, record->grace_s,
				   &when))
		return INT64_MAX;
	return when;
}

static bool is_name_in(const char *path, const char *place)
{
	const char *name = path + strlen(place);

	return !strncmp(path, place, strlen(place)) && *name &&
	       !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

/* As sweeping numbers them: no other name in the folder is an item's. */
static bool name_is_ours(const char *name)
{
	return *name && !name[strspn(name, "0123456789")];
}

/* A path that we sweep: one name in one of these places. */
static bool path_is_ours(const struct ul_form *form, const char *path)
{
	size_t len = strlen(form->layout);
	const char *in_layout;

	if (form->is_ours &&
	    (is_name_in(path, "snapshots/") || is_name_in(path, "ingest/")))
		return true;
	if (strncmp(path, form->layout, len) != 0)
		return false;
	in_layout = path + len;
	return is_name_in(in_layout, "blobs/sha256/") ||
	       is_name_in(in_layout, "blobs/sha512/") ||
	       is_name_in(in_layout, "ingest/") ||
	       (!strchr(in_layout, '/') && ul_layout_is_leftover(in_layout));
}

static int item_read(const struct ul_form *form, const json_t *json,
		     struct ul_arena *arena, struct ul_trash_item *item,
		     struct ul_err *err)
{
	const char *kind = NULL;
	uint64_t created = 0;
	int rc, word;

	rc = ul_json_text(json, "name", "item", arena, &item->name, err);
	if (!rc)
		rc = ul_json_text(json, "kind", "item", arena, &kind, err);
	if (!rc)
		rc = ul_json_text(json, "key", "item", arena, &item->key, err);
	if (!rc)
		rc =
		    ul_json_text(json, "path", "item", arena, &item->path, err);
	if (!rc)
		rc = ul_json_text(json, "parent", "item", arena, &item->parent,
				  err);
	if (!rc)
		rc = ul_json_bytes(json, "created_unix_s", "item", &created,
				   err);
	if (rc)
		return rc;
	word = kind ? ul_word_find(ul_kind_words, kind) : -1;
	if (word < 0 || !item->name || !item->key || !item->path ||
	    !item->parent || !name_is_ours(item->name) ||
	    !path_is_ours(form, item->path))
		return ul_err_set(err, UL_E_CORRUPT,
				  "an item that makes no sense");
	item->kind = (uint8_t)word;
	item->created_unix_s = (int64_t)created;
	return 0;
}

static int items_read(const struct ul_form *form, const json_t *json,
		      struct ul_arena *arena, struct ul_trash_record *record,
		      struct ul_err *err)
{
	const json_t *items;
	size_t i;
	int rc = ul_json_array(json, "items", "record", &items, err);

	if (rc)
		return rc;
	record->item_count = json_array_size(items);
	record->items =
	    ul_arena_alloc(arena, record->item_count * sizeof *record->items);
	if (!record->items)
		return ul_err_nomem(err);
	for (i = 0; !rc && i < record->item_count; i++)
		rc = item_read(form, json_array_get(items, i), arena,
			       &record->items[i], err);
	return rc;
}

static int texts_read(const json_t *json, const char *key,
		      struct ul_arena *arena, const char ***ret_texts,
		      size_t *ret_count, struct ul_err *err)
{
	const json_t *array;
	const char **texts;
	size_t i, count;
	int rc = ul_json_array(json, key, "record", &array, err);

	if (rc)
		return rc;
	count = json_array_size(array);
	texts = ul_arena_alloc(arena, count * sizeof *texts);
	if (!texts)
		return ul_err_nomem(err);
	for (i = 0; i < count; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text)
			return ul_err_set(err, UL_E_CORRUPT,
					  "%s has what is no text", key);
		texts[i] = ul_arena_strdup(arena, text);
		if (!texts[i])
			return ul_err_nomem(err);
	}
	*ret_texts = texts;
	*ret_count = count;
	return 0;
}

static int content_check(const struct ul_form *form,
			 const struct ul_trash_record *record,
			 struct ul_err *err)
{
	size_t i;

	for (i = 0; i < record->content_count; i++) {
		if (!path_is_ours(form, record->content[i]))
			return ul_err_set(err, UL_E_CORRUPT,
					  "content that makes no sense");
	}
	return 0;
}

static int record_read(const struct ul_form *form, const struct ul_buf *text,
		       struct ul_arena *arena,
		       struct ul_trash_record *ret_record, struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	struct ul_trash_record record = { .run = 0 };
	uint64_t run, swept, grace;
	int rc;

	rc =
	    ul_json_parse(text->data, text->len, UL_JSON_MAX_DEPTH, &json, err);
	if (!rc)
		rc = ul_json_text(json, "database", "record", arena,
				  &record.database, err);
	if (!rc && (!record.database || !ul_db_uid_is_one(record.database)))
		rc = ul_err_set(err, UL_E_CORRUPT, "a record of no database");
	if (!rc)
		rc = ul_json_bytes(json, "run", "record", &run, err);
	if (!rc)
		rc = ul_json_bytes(json, "swept_unix_s", "record", &swept, err);
	if (!rc)
		rc = ul_json_bytes(json, "grace_s", "record", &grace, err);
	if (!rc)
		rc = items_read(form, json, arena, &record, err);
	if (!rc)
		rc = texts_read(json, "entries", arena, &record.entries,
				&record.entry_count, err);
	if (!rc)
		rc = texts_read(json, "content", arena, &record.content,
				&record.content_count, err);
	if (!rc)
		rc = content_check(form, &record, err);
	if (rc)
		return rc;
	record.run = (int64_t)run;
	record.swept_unix_s = (int64_t)swept;
	record.grace_s = (int64_t)grace;
	*ret_record = record;
	return 0;
}

int ul_trash_read(int trash_fd, const struct ul_form *form, const char *dir,
		  struct ul_arena *arena, struct ul_trash_record *ret_record,
		  struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	char path[512];
	int rc;

	snprintf(path, sizeof path, "%s/record.json", dir);
	rc =
	    ul_file_read(trash_fd, path, UL_TRASH_RECORD_MAX_BYTES, &text, err);
	if (!rc)
		rc = record_read(form, &text, arena, ret_record, err);
	return rc && rc != UL_E_ABSENT
		   ? ul_err_wrap(err, "%s/%s", form->trash, path)
		   : rc;
}

static json_t *item_json(const struct ul_trash_item *item)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "name", item->name,
			 "kind", ul_kind_words[item->kind], "key", item->key,
			 "path", item->path, "parent", item->parent,
			 "created_unix_s", (json_int_t)item->created_unix_s);
}

static json_t *texts_json(const char **texts, size_t count)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < count; i++) {
		if (json_array_append_new(array, json_string(texts[i]))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *record_json(const struct ul_trash_record *record)
{
	ul_cleanup(ul_json_freep) json_t *items = json_array();
	json_t *entries, *content;
	size_t i;

	for (i = 0; i < record->item_count; i++) {
		if (json_array_append_new(items, item_json(&record->items[i])))
			return NULL;
	}
	entries = texts_json(record->entries, record->entry_count);
	content = texts_json(record->content, record->content_count);
	/* Takes both, and frees them even where it fails. */
	return json_pack("{s:i, s:s, s:I, s:I, s:I, s:O, s:o, s:o}", "version",
			 1, "database", record->database, "run",
			 (json_int_t)record->run, "swept_unix_s",
			 (json_int_t)record->swept_unix_s, "grace_s",
			 (json_int_t)record->grace_s, "items", items, "entries",
			 entries, "content", content);
}

int ul_trash_write(int dir_fd, const struct ul_trash_record *record,
		   struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	int rc;

	json = record_json(record);
	if (!json)
		return ul_err_nomem(err);
	rc = ul_json_dump(json, &text, err);
	if (!rc)
		rc = ul_file_replace(dir_fd, "record.json", text.data, text.len,
				     0644, err);
	return rc ? ul_err_wrap(err, "writing the trash's record") : 0;
}

_Static_assert(sizeof((struct ul_embedded *)0)->trash_folder ==
		   UL_TRASH_FOLDER_MAX,
	       "room for the name of a folder");

static int folder_make(struct ul_embedded *store, int64_t run,
		       struct ul_err *err)
{
	if (ul_trash_make(store, err))
		return err->code;
	ul_trash_folder_name(store->db_uid, run, store->trash_folder);
	if (!mkdirat(store->trash_fd, store->trash_folder, 0700))
		return 0;
	ul_err_sys(err, "make directory trash/%s", store->trash_folder);
	store->trash_folder[0] = '\0';
	return err->code;
}

int ul_trash_folder_write(struct ul_embedded *store,
			  const struct ul_trash_record *record, int *ret_fd,
			  struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	int rc = 0;

	if (!*store->trash_folder)
		rc = folder_make(store, record->run, err);
	if (!rc)
		rc =
		    ul_dir_open(store->trash_fd, store->trash_folder, &fd, err);
	if (!rc)
		rc = ul_trash_write(fd, record, err);
	if (!rc)
		rc = ul_fd_sync(store->trash_fd, "trash", err);
	if (!rc && !store->form->is_ours)
		rc = ul_fd_sync(store->root_fd, "the layout", err);
	if (!rc)
		*ret_fd = ul_fd_steal(&fd);
	return rc;
}
