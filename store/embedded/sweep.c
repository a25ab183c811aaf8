/*
 * Moving to the trash (gc/INVARIANTS.md: I3, I6). Order of a sweep, each step
 * durable before the next:
 *
 *	1. the index is what the view saw           (else nothing is done)
 *	2. trash/DATABASE-RUN-RANDOM/record.json says what will lie there
 *	3. rows of snapshots and leases leave the database
 *	4. renames, in batches: under index.json.lock the index is looked at
 *	   again, and things are moved for as long as that may be held
 *	5. the folders are synced
 *
 * A stop after 3 leaves folders without a record (orphaned, kept for the
 * grace period) and a trash that says where they belong. An index that is no
 * longer the same ends the moving: the records of what was not moved come
 * back, and the next scan brings back what is needed of the rest. Nothing is
 * deleted here; deleting takes only what lies in the trash.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/beneath.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/stmt.h"
#include "store/embedded/form.h"
#include "store/embedded/open.h"
#include "store/embedded/ops.h"
#include "store/embedded/snapshot.h"
#include "store/embedded/store.h"
#include "store/embedded/trash.h"
#include "store/view.h"

int ul_sweep_batch_begin(struct ul_embedded *store, const struct ul_view *view,
			 struct ul_err *err)
{
	int rc;

	store->index_lock.waiting = store->waiting;
	store->index_lock.waiting_arg = store->waiting_arg;
	rc = ul_index_lock_take(&store->index_lock, store->oci_fd, err);
	if (rc)
		return rc;
	rc = ul_index_file_expect(store->oci_fd, &view->roots_stamp, err);
	if (rc)
		ul_index_lock_drop(&store->index_lock);
	return rc;
}

int ul_sweep_expect_roots(struct ul_embedded *store, const struct ul_view *view,
			  struct ul_err *err)
{
	int rc = ul_sweep_batch_begin(store, view, err);

	if (!rc)
		ul_index_lock_drop(&store->index_lock);
	return rc;
}

static int row_delete(struct ul_embedded *store, enum ul_sql sql,
		      const char *name, const char *key, int64_t store_row,
		      struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *stmt = NULL;
	int rc = ul_stmt_get(store->db, sql, &stmt, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(stmt, ":store", store_row);
	ul_stmt_bind_text(stmt, name, key);
	return ul_stmt_run(stmt, err);
}

static int sweep_records(struct ul_embedded *store, const struct ul_view *view,
			 const struct ul_sweep_request *request,
			 struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	int64_t row = view->record.store_row;
	size_t i, changed = 0;
	int rc = ul_embedded_change_begin(store, &tx, err);

	for (i = 0; !rc && i < request->object_count; i++) {
		const struct ul_object *object =
		    &view->record.objects[request->objects[i]];

		if (object->kind == UL_KIND_SNAPSHOT)
			rc = row_delete(store, UL_SQL_SNAPSHOT_DELETE, ":key",
					object->key, row, err);
		else if (object->kind == UL_KIND_LEASE)
			rc = row_delete(store, UL_SQL_LEASE_DELETE, ":id",
					object->key, row, err);
		else
			continue;
		changed++;
	}
	if (rc || !changed)
		return rc;
	return ul_embedded_change_commit(store, &tx, err);
}

/* Files by object, so that a large sweep stays linear. */
static const struct ul_view_file **files_by_object(const struct ul_view *view)
{
	const struct ul_view_file **files =
	    ul_calloc(view->record.object_count, sizeof *files);
	size_t i;

	for (i = 0; files && i < view->file_count; i++)
		files[view->files[i].object] = &view->files[i];
	return files;
}

static int item_make(const struct ul_view *view, uint32_t at,
		     const struct ul_view_file *file,
		     const struct ul_snapshots *snapshots,
		     struct ul_arena *arena, size_t number,
		     struct ul_trash_item *item, struct ul_err *err)
{
	const struct ul_object *object = &view->record.objects[at];
	const struct ul_snapshot *snapshot = NULL;
	char name[32];

	snprintf(name, sizeof name, "%zu", number);
	if (object->kind == UL_KIND_SNAPSHOT)
		snapshot = ul_snapshots_find(snapshots, object->key);
	*item = (struct ul_trash_item){
		.name = ul_arena_strdup(arena, name),
		.kind = object->kind,
		.key = object->key,
		.path = file->path,
		.parent = snapshot ? snapshot->parent : "",
		.created_unix_s = snapshot ? snapshot->created_unix_s : 0,
	};
	return item->name ? 0 : ul_err_nomem(err);
}

struct sweep {
	struct ul_embedded *store;
	const struct ul_view *view;
	const struct ul_sweep_request *request;
	struct ul_trash_record record;
	uint64_t *item_bytes; /* in the arena */
	struct ul_arena arena;
	struct ul_snapshots snapshots;
	int dir_fd; /* of the folder in the trash */
	struct ul_err *err;
};

static void sweep_release(struct sweep *sweep)
{
	ul_arena_release(&sweep->arena);
	ul_snapshots_release(&sweep->snapshots);
	ul_closep(&sweep->dir_fd);
}

/* Leases have no file; things that vanished by themselves are left out. */
static int sweep_items(struct sweep *sweep)
{
	const struct ul_sweep_request *request = sweep->request;
	ul_cleanup(ul_freep) const struct ul_view_file **files =
	    files_by_object(sweep->view);
	struct ul_trash_record *record = &sweep->record;
	size_t i;
	int rc = 0;

	record->items = ul_arena_alloc(
	    &sweep->arena, request->object_count * sizeof *record->items);
	sweep->item_bytes = ul_arena_alloc(
	    &sweep->arena, request->object_count * sizeof *sweep->item_bytes);
	if (!files || !record->items || !sweep->item_bytes)
		return ul_err_nomem(sweep->err);
	for (i = 0; !rc && i < request->object_count; i++) {
		const struct ul_view_file *file = files[request->objects[i]];

		if (!file)
			continue;
		sweep->item_bytes[record->item_count] =
		    request->object_bytes[i];
		rc = item_make(sweep->view, request->objects[i], file,
			       &sweep->snapshots, &sweep->arena,
			       record->item_count,
			       &record->items[record->item_count], sweep->err);
		record->item_count++;
	}
	return rc;
}

static int moved_add(const struct sweep *sweep,
		     const struct ul_trash_item *item, struct ul_swept *swept)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s/%s", sweep->store->form->trash,
		 sweep->store->trash_folder, item->name);
	return ul_names_add(item->kind == UL_KIND_BLOB ? &swept->files
						       : &swept->trees,
			    path)
		   ? 0
		   : ul_err_nomem(sweep->err);
}

static int move_one(struct sweep *sweep, size_t i, struct ul_swept *swept)
{
	const struct ul_trash_item *item = &sweep->record.items[i];
	ul_cleanup(ul_closep) int fd = -1;
	const char *name;
	int rc = ul_beneath_open(sweep->store->root_fd, item->path, &fd, &name,
				 sweep->err);

	if (rc)
		return rc == UL_E_ABSENT ? 0 : rc;
	if (renameat(fd, name, sweep->dir_fd, item->name)) {
		if (errno == ENOENT)
			return 0;
		return ul_err_sys(sweep->err, "move %s to the trash",
				  item->path);
	}
	swept->moved_bytes += sweep->item_bytes[i];
	swept->moved_count++;
	return moved_add(sweep, item, swept);
}

/* As many as can be moved while the lock may be held, one at least. */
static int move_batch(struct sweep *sweep, size_t *next, struct ul_swept *swept)
{
	struct ul_index_lock *lock = &sweep->store->index_lock;
	int rc = ul_sweep_batch_begin(sweep->store, sweep->view, sweep->err);

	if (rc)
		return rc;
	do {
		rc = move_one(sweep, *next, swept);
		if (!rc)
			++*next;
	} while (!rc && *next < sweep->record.item_count &&
		 !ul_index_lock_is_due(lock));
	ul_index_lock_drop(lock);
	return rc;
}

/* What is left where it is has its records again. */
static int rows_back(struct sweep *sweep, size_t first, struct ul_err *err)
{
	size_t i;
	int rc = 0;

	for (i = first; !rc && i < sweep->record.item_count; i++) {
		if (sweep->record.items[i].kind == UL_KIND_SNAPSHOT)
			rc = ul_snapshot_row_back(sweep->store,
						  &sweep->record.items[i], err);
	}
	return rc;
}

/*
 * Others who are met in the middle are no failure: what was moved by then was
 * garbage, or comes back (I6). Whatever ends the moving, what was not moved
 * has its records again.
 */
static int sweep_move(struct sweep *sweep, struct ul_swept *swept)
{
	struct ul_err second = UL_ERR_INIT;
	size_t next = 0;
	int rc = 0, back;

	while (!rc && next < sweep->record.item_count) {
		if (next)
			ul_index_lock_pause(&sweep->store->index_lock);
		rc = move_batch(sweep, &next, swept);
	}
	if (!rc)
		return 0;
	back = rows_back(sweep, next, &second);
	if (rc != UL_E_CONFLICT && rc != UL_E_BUSY)
		return rc;
	if (back)
		*sweep->err = second;
	swept->is_cut = !back && next > 0;
	return back ? back : swept->is_cut ? 0 : rc;
}

static int sweep_sync(struct sweep *sweep)
{
	int rc = ul_fd_sync(sweep->dir_fd, "trash", sweep->err);

	return rc ? rc : ul_embedded_sync_folders(sweep->store, sweep->err);
}

/* The names that were kept, into the record that takes that one's place. */
static int sweep_names(struct sweep *sweep)
{
	struct ul_trash_record kept;
	int rc;

	if (!*sweep->store->trash_folder)
		return 0;
	rc = ul_trash_read(sweep->store->trash_fd, sweep->store->form,
			   sweep->store->trash_folder, &sweep->arena, &kept,
			   sweep->err);
	if (rc)
		return rc;
	sweep->record.entries = kept.entries;
	sweep->record.entry_count = kept.entry_count;
	sweep->record.content = kept.content;
	sweep->record.content_count = kept.content_count;
	return 0;
}

static int sweep_run(struct sweep *sweep, struct ul_swept *swept)
{
	int rc = ul_sweep_expect_roots(sweep->store, sweep->view, sweep->err);

	if (!rc)
		rc = sweep_names(sweep);
	if (!rc)
		rc = ul_snapshots_load(sweep->store, &sweep->snapshots,
				       sweep->err);
	if (!rc)
		rc = sweep_items(sweep);
	if (!rc && (sweep->record.item_count || sweep->record.entry_count))
		rc = ul_trash_folder_write(sweep->store, &sweep->record,
					   &sweep->dir_fd, sweep->err);
	if (!rc)
		rc = sweep_records(sweep->store, sweep->view, sweep->request,
				   sweep->err);
	if (rc || sweep->dir_fd < 0)
		return rc;
	rc = sweep_move(sweep, swept);
	return rc ? rc : sweep_sync(sweep);
}

static int sweep_part(struct ul_embedded *store, const struct ul_view *view,
		      const struct ul_sweep_request *request,
		      struct ul_swept *swept, struct ul_err *err)
{
	ul_cleanup(sweep_release) struct sweep sweep = {
		.store = store,
		.view = view,
		.request = request,
		.record = {
			.database = store->db_uid,
			.run = request->run,
			.swept_unix_s = request->now_unix_s,
			.grace_s = request->grace_s,
		},
		.arena = UL_ARENA_INIT,
		.snapshots = UL_SNAPSHOTS_INIT,
		.dir_fd = -1,
		.err = err,
	};
	int rc = sweep_run(&sweep, swept);

	store->trash_folder[0] = '\0';
	return rc;
}

/*
 * As many at once as a record can hold and be read again. The names go with
 * the first. Met in a later part, others are met in the middle.
 */
static int sweep_parts(struct ul_embedded *store, const struct ul_view *view,
		       const struct ul_sweep_request *request,
		       struct ul_swept *swept, struct ul_err *err)
{
	struct ul_sweep_request part = *request;
	size_t done = 0;
	int rc;

	do {
		part.objects = request->objects + done;
		part.object_bytes = request->object_bytes + done;
		part.object_count = request->object_count - done;
		if (part.object_count > store->sweep_most)
			part.object_count = store->sweep_most;
		rc = sweep_part(store, view, &part, swept, err);
		done += part.object_count;
	} while (!rc && !swept->is_cut && done < request->object_count);
	if ((rc != UL_E_CONFLICT && rc != UL_E_BUSY) || !swept->moved_count)
		return rc;
	swept->is_cut = true;
	return 0;
}

int ul_embedded_sweep(struct ul_store *base, const struct ul_view *view,
		      const struct ul_sweep_request *request,
		      struct ul_swept *ret_swept, struct ul_err *err)
{
	struct ul_embedded *store = (struct ul_embedded *)base;
	int rc;

	assert(store->is_locked);
	rc = sweep_parts(store, view, request, ret_swept, err);
	return rc ? ul_err_wrap(err, "sweeping") : 0;
}
