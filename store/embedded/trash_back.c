/*
 * Putting back what lies in the trash: what is needed again, and what a person
 * wants undone (gc/INVARIANTS.md: I1, I6).
 */
#include "store/embedded/ops.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/beneath.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/stmt.h"
#include "store/embedded/form.h"
#include "store/embedded/store.h"
#include "store/embedded/trash.h"
#include "store/oci/layout.h"
#include "store/view.h"

int ul_snapshot_row_back(struct ul_embedded *store,
			 const struct ul_trash_item *item, struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL;
	int64_t row;
	int rc = ul_embedded_change_begin(store, &tx, err);

	if (!rc)
		rc = ul_embedded_store_row(store, &row, err);
	if (!rc)
		rc =
		    ul_stmt_get(store->db, UL_SQL_SNAPSHOT_PUT_BACK, &add, err);
	if (rc)
		return rc;
	ul_stmt_bind_i64(add, ":store", row);
	ul_stmt_bind_text(add, ":key", item->key);
	ul_stmt_bind_text(add, ":parent", item->parent);
	ul_stmt_bind_i64(add, ":created", item->created_unix_s);
	rc = ul_stmt_run(add, err);
	return rc ? rc : ul_embedded_change_commit(store, &tx, err);
}

static bool is_there(int dirfd, const char *path)
{
	return !faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* Only that of sha256 is part of every layout: others go where they become
 * empty. */
static int blob_folder_make(struct ul_embedded *store, const char *key,
			    struct ul_err *err)
{
	struct ul_digest digest;

	if (!ul_digest_parse(key, &digest))
		return 0;
	return ul_embedded_blob_folder(store, digest.alg, err);
}

/* The same as item_back(). */
static int item_rename(struct ul_embedded *store, const char *from,
		       const char *to, struct ul_err *err)
{
	ul_cleanup(ul_closep) int from_fd = -1, to_fd = -1;
	const char *from_name, *to_name;
	int rc =
	    ul_beneath_open(store->trash_fd, from, &from_fd, &from_name, err);

	if (!rc)
		rc = ul_beneath_open(store->root_fd, to, &to_fd, &to_name, err);
	if (rc)
		return rc == UL_E_ABSENT ? 0 : rc;
	if (!renameat2(from_fd, from_name, to_fd, to_name, RENAME_NOREPLACE))
		return 1;
	if (errno == ENOENT || errno == EEXIST)
		return 0;
	return ul_err_sys(err, "put back %s", to);
}

/*
 * 1 put back, 0 not there, or its place is taken. The record goes first: a
 * folder without one is nobody's, while a record whose folder still lies in
 * the trash wants it back.
 */
static int item_back(struct ul_embedded *store, const char *dir,
		     const struct ul_trash_item *item, struct ul_err *err)
{
	char path[512];
	int rc = 0;

	snprintf(path, sizeof path, "%s/%s", dir, item->name);
	if (!is_there(store->trash_fd, path) ||
	    is_there(store->root_fd, item->path))
		return 0;
	if (item->kind == UL_KIND_SNAPSHOT && store->is_full)
		return ul_err_set(
		    err, UL_E_REFUSED,
		    "snapshot %s lies in the trash, is needed "
		    "again, and cannot be put back while the disk "
		    "is full",
		    item->key);
	if (item->kind == UL_KIND_SNAPSHOT)
		rc = ul_snapshot_row_back(store, item, err);
	if (item->kind == UL_KIND_BLOB)
		rc = blob_folder_make(store, item->key, err);
	if (rc)
		return rc;
	return item_rename(store, path, item->path, err);
}

/* Which items of a trash folder go back: the wanted ones, or all of a run. */
struct back {
	struct ul_embedded *store;
	const struct ul_map *wanted; /* paths; NULL: all */
	size_t count;
	struct ul_err *err;
};

static bool back_wants(const struct back *back, const char *dir,
		       const struct ul_trash_item *item)
{
	char path[512];

	if (!back->wanted)
		return true;
	snprintf(path, sizeof path, "%s/%s/%s", back->store->form->trash, dir,
		 item->name);
	return ul_map_get_str(back->wanted, path) != UL_MAP_NONE;
}

static int back_dir(struct back *back, const char *dir,
		    const struct ul_trash_record *record)
{
	size_t i;

	for (i = 0; i < record->item_count; i++) {
		int rc;

		if (!back_wants(back, dir, &record->items[i]))
			continue;
		rc = item_back(back->store, dir, &record->items[i], back->err);
		if (rc < 0)
			return rc;
		back->count += (size_t)rc;
	}
	return 0;
}

static bool wanted_list(const struct ul_view *view, struct ul_map *wanted)
{
	size_t i;

	for (i = 0; i < view->trash_count; i++) {
		const struct ul_view_trash *trash = &view->trash[i];
		const char *path = view->record.objects[trash->object].key;

		if (trash->is_wanted &&
		    !ul_map_set(wanted, path, strlen(path), 1))
			return false;
	}
	return true;
}

int ul_embedded_restore(struct ul_store *base, const struct ul_view *view,
			size_t *ret_count, struct ul_err *err)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	ul_cleanup(ul_names_release) struct ul_names dirs = UL_NAMES_INIT;
	ul_cleanup(ul_map_release) struct ul_map wanted = UL_MAP_INIT;
	struct back back = { (struct ul_embedded *)base, &wanted, 0, err };
	size_t i;
	int rc = 0;

	*ret_count = 0;
	if (back.store->is_locked)
		rc = ul_trash_tidy_stopped(back.store, view->as_of_unix_s, err);
	if (!rc && back.store->is_locked && !back.store->is_full)
		rc = ul_in_place_settle(back.store, view, err);
	if (rc)
		return ul_err_wrap(err, "tidying up");
	if (!wanted_list(view, &wanted))
		return ul_err_nomem(err);
	if (!wanted.len)
		return 0;
	assert(back.store->is_locked);
	rc = ul_trash_folders(back.store, &dirs, err);
	for (i = 0; !rc && i < dirs.len; i++) {
		struct ul_trash_record record;
		struct ul_err ignored = UL_ERR_INIT;

		rc = ul_trash_read(back.store->trash_fd, back.store->form,
				   dirs.names[i], &arena, &record, &ignored);
		if (!rc)
			rc = back_dir(&back, dirs.names[i], &record);
		else
			rc = rc == UL_E_NOMEM ? ul_err_nomem(err) : 0;
	}
	if (!rc)
		rc = ul_embedded_sync_folders(back.store, err);
	if (!rc)
		rc = ul_trash_tidy(back.store, view->as_of_unix_s, false, err);
	if (rc)
		return ul_err_wrap(err, "putting back what is needed again");
	*ret_count = back.count;
	return 0;
}

static bool entry_is_there(const struct ul_layout_index *index,
			   const struct ul_layout_entry *wanted)
{
	size_t i;

	for (i = 0; i < ul_layout_index_count(index); i++) {
		const struct ul_layout_entry *entry =
		    ul_layout_index_entry(index, i);

		/* A name that stands for something else by now stays so. */
		if (wanted->name && entry->name &&
		    !strcmp(wanted->name, entry->name))
			return true;
		if (!wanted->name && !entry->name &&
		    ul_digest_equal(&wanted->descriptor.digest,
				    &entry->descriptor.digest))
			return true;
	}
	return false;
}

/* 1: added, 0: it is there, or its name is taken. */
static int entry_back(struct ul_layout_index *index, const char *json,
		      struct ul_err *err)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *one =
	    ul_layout_index_new();
	int rc;

	if (!one)
		return ul_err_nomem(err);
	rc = ul_layout_index_add_dumped(one, json, strlen(json), err);
	if (rc || entry_is_there(index, ul_layout_index_entry(one, 0)))
		return rc;
	rc = ul_layout_index_add_dumped(index, json, strlen(json), err);
	return rc ? rc : 1;
}

static int entries_back(struct ul_embedded *store,
			const struct ul_trash_record *record, size_t *count,
			struct ul_err *err)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	size_t i, added = 0;
	struct ul_index_stamp stamp;
	int rc = ul_embedded_index_read(store, &index, &stamp, err);

	for (i = 0; rc >= 0 && i < record->entry_count; i++) {
		rc = entry_back(index, record->entries[i], err);
		added += rc > 0;
	}
	if (rc < 0)
		return rc;
	*count += added;
	return added ? ul_embedded_index_write(store, index, &stamp, err) : 0;
}

static int lost_say(struct back *back, const char *kind, const char *key)
{
	return ul_err_set(back->err, UL_E_CONFLICT,
			  "%s %s is gone from the trash: what was left is back "
			  "in its place, some names are not",
			  kind, key);
}

/* Another run may have taken it since, or this one was stopped before. */
static int undo_check_content(struct back *back,
			      const struct ul_trash_record *record)
{
	ul_cleanup(ul_trash_lies_release) struct ul_trash_lies lies =
	    UL_TRASH_LIES_INIT;
	const char *lost;
	int rc = ul_trash_lies_read(back->store, &lies, back->err);

	if (rc)
		return rc;
	lost = ul_trash_lost(back->store, &lies, record);
	return lost ? lost_say(back, "the file", lost) : 0;
}

/* Names come back only to content that is all there. */
static int undo_check(struct back *back, const struct ul_trash_record *record)
{
	size_t i;

	for (i = 0; record->entry_count && i < record->item_count; i++) {
		if (!is_there(back->store->root_fd, record->items[i].path))
			return lost_say(back,
					ul_kind_name(record->items[i].kind),
					record->items[i].key);
	}
	return undo_check_content(back, record);
}

static int names_back(struct back *back, const char *dir,
		      const struct ul_trash_record *record)
{
	int rc = undo_check(back, record);

	if (!rc)
		rc = entries_back(back->store, record, &back->count, back->err);
	return rc ? rc : ul_trash_undone(back->store, dir, back->err);
}

/* Each folder of the run. One whose names cannot come back says so at the end:
 * it is nothing to the others. */
static int undo_each(struct back *back, const struct ul_names *dirs,
		     int64_t run,
		     int (*each)(struct back *back, const char *dir,
				 const struct ul_trash_record *record))
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	struct ul_err first = UL_ERR_INIT;
	size_t i;

	for (i = 0; i < dirs->len; i++) {
		struct ul_trash_record record;
		struct ul_err ignored = UL_ERR_INIT;
		int rc =
		    ul_trash_read(back->store->trash_fd, back->store->form,
				  dirs->names[i], &arena, &record, &ignored);

		if (rc == UL_E_NOMEM)
			return ul_err_nomem(back->err);
		if (rc || record.run != run ||
		    !ul_trash_is_ours(back->store, &record))
			continue;
		rc = each(back, dirs->names[i], &record);
		if (rc == UL_E_CONFLICT && !first.code)
			first = *back->err;
		if (rc && rc != UL_E_CONFLICT)
			return rc;
	}
	if (first.code)
		*back->err = first;
	return first.code;
}

/* All content first, wherever it lies: names come back to what is there. */
int ul_embedded_undo(struct ul_store *base, int64_t run, size_t *ret_count,
		     struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names dirs = UL_NAMES_INIT;
	struct back back = { (struct ul_embedded *)base, NULL, 0, err };
	int rc;

	assert(back.store->is_locked);
	rc = ul_trash_folders(back.store, &dirs, err);
	if (!rc)
		rc = undo_each(&back, &dirs, run, back_dir);
	if (!rc)
		rc = ul_embedded_sync_folders(back.store, err);
	if (!rc)
		rc = undo_each(&back, &dirs, run, names_back);
	if (!rc && !back.count)
		return ul_err_set(err, UL_E_ABSENT,
				  "the trash no longer holds anything of run "
				  "%" PRId64,
				  run);
	if (rc)
		return ul_err_wrap(err, "undoing run %" PRId64, run);
	*ret_count = back.count;
	return 0;
}
