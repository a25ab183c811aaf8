/*
 * Moving to the trash, deleting from it, and putting back (gc/INVARIANTS.md:
 * I3, I6). Order of a sweep, each step durable before the next:
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
#include "base/remove.h"
#include "store/db/db.h"
#include "store/db/stmt.h"
#include "store/embedded/form.h"
#include "store/embedded/open.h"
#include "store/embedded/ops.h"
#include "store/embedded/snapshot.h"
#include "store/embedded/store.h"
#include "store/embedded/trash.h"
#include "store/oci/layout.h"
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

static int roots_unchanged(struct ul_embedded *store,
			   const struct ul_view *view, struct ul_err *err)
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

/* The record of a folder, new or as the run knows it by now, durably. */
static int folder_write(struct ul_embedded *store,
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

int ul_sweep_keep_names(struct ul_embedded *store,
			const struct ul_sweep_request *request,
			const struct ul_names *entries,
			const struct ul_names *content, struct ul_err *err)
{
	const struct ul_trash_record record = {
		.database = store->db_uid,
		.run = request->run,
		.swept_unix_s = request->now_unix_s,
		.grace_s = request->grace_s,
		.entries = (const char **)entries->names,
		.entry_count = entries->len,
		.content = (const char **)content->names,
		.content_count = content->len,
	};
	ul_cleanup(ul_closep) int fd = -1;

	store->trash_folder[0] = '\0';
	return folder_write(store, &record, &fd, err);
}

void ul_sweep_forget_names(struct ul_embedded *store)
{
	char path[sizeof store->trash_folder + 16];
	struct ul_err ignored = UL_ERR_INIT; /* an earlier one is to tell */

	snprintf(path, sizeof path, "%s/record.json", store->trash_folder);
	if (*store->trash_folder && !unlinkat(store->trash_fd, path, 0))
		unlinkat(store->trash_fd, store->trash_folder, AT_REMOVEDIR);
	store->trash_folder[0] = '\0';
	(void)ul_trash_unmake(store, &ignored);
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

static int snapshot_row_back(struct ul_embedded *store,
			     const struct ul_trash_item *item,
			     struct ul_err *err);

/* What is left where it is has its records again. */
static int rows_back(struct sweep *sweep, size_t first, struct ul_err *err)
{
	size_t i;
	int rc = 0;

	for (i = first; !rc && i < sweep->record.item_count; i++) {
		if (sweep->record.items[i].kind == UL_KIND_SNAPSHOT)
			rc = snapshot_row_back(sweep->store,
					       &sweep->record.items[i], err);
	}
	return rc;
}

/*
 * Others who are met in the middle are no failure: what was moved by then was
 * garbage, or comes back (I6).
 */
static int sweep_move(struct sweep *sweep, struct ul_swept *swept)
{
	struct ul_err second = UL_ERR_INIT;
	size_t next = 0;
	int rc = 0;

	while (!rc && next < sweep->record.item_count) {
		if (next)
			ul_index_lock_pause(&sweep->store->index_lock);
		rc = move_batch(sweep, &next, swept);
	}
	if (rc != UL_E_CONFLICT && rc != UL_E_BUSY)
		return rc;
	if (rows_back(sweep, next, &second)) {
		*sweep->err = second;
		return second.code;
	}
	swept->is_cut = next > 0;
	return swept->is_cut ? 0 : rc;
}

int ul_embedded_blob_folder(struct ul_embedded *store, uint8_t alg,
			    struct ul_err *err)
{
	const char *name = ul_digest_alg_name(alg);

	if (mkdirat(store->blobs_fd, name, 0755) && errno != EEXIST)
		return ul_err_sys(err, "make directory blobs/%s", name);
	return 0;
}

int ul_embedded_blob_folder_open(struct ul_embedded *store, uint8_t alg,
				 int *ret_fd, struct ul_err *err)
{
	int rc;

	if (store->blobs_fd < 0)
		return 0;
	rc = ul_dir_open(store->blobs_fd, ul_digest_alg_name(alg), ret_fd, err);
	return rc == UL_E_ABSENT ||
		       (rc == UL_E_IO &&
			(err->sys_errno == ELOOP || err->sys_errno == ENOTDIR))
		   ? 0
		   : rc;
}

int ul_embedded_sync_blobs(struct ul_embedded *store, struct ul_err *err)
{
	uint8_t alg;
	int rc = 0;

	if (store->blobs_fd >= 0)
		rc = ul_fd_sync(store->blobs_fd, "blobs", err);
	for (alg = UL_DIGEST_SHA256; !rc && ul_digest_size(alg); alg++) {
		ul_cleanup(ul_closep) int fd = -1;

		rc = ul_embedded_blob_folder_open(store, alg, &fd, err);
		if (fd >= 0)
			rc = ul_fd_sync(fd, ul_digest_alg_name(alg), err);
	}
	return rc;
}

/* The folders that things are moved from and put back to. */
static int folders_sync(struct ul_embedded *store, struct ul_err *err)
{
	const int fds[] = { store->snapshots_fd, store->ingest_fd,
			    store->oci_fd };
	size_t i;
	int rc = ul_embedded_sync_blobs(store, err);

	for (i = 0; !rc && i < ul_array_len(fds); i++) {
		if (fds[i] >= 0)
			rc = ul_fd_sync(fds[i], "the store's folders", err);
	}
	return rc;
}

static int sweep_sync(struct sweep *sweep)
{
	int rc = ul_fd_sync(sweep->dir_fd, "trash", sweep->err);

	return rc ? rc : folders_sync(sweep->store, sweep->err);
}

/* What was kept with the names, into the record that takes its place. */
static int sweep_content(struct sweep *sweep)
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
	sweep->record.content = kept.content;
	sweep->record.content_count = kept.content_count;
	return 0;
}

static int sweep_run(struct sweep *sweep, struct ul_swept *swept)
{
	int rc = roots_unchanged(sweep->store, sweep->view, sweep->err);

	if (!rc)
		rc = sweep_content(sweep);
	if (!rc)
		rc = ul_snapshots_load(sweep->store, &sweep->snapshots,
				       sweep->err);
	if (!rc)
		rc = sweep_items(sweep);
	if (!rc && (sweep->record.item_count || sweep->record.entry_count))
		rc = folder_write(sweep->store, &sweep->record, &sweep->dir_fd,
				  sweep->err);
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
			.entries = (const char **)request->entries,
			.entry_count = request->entry_count,
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
		part.entry_count = 0;
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

/* "trash/DIR/NAME" as "trash/DIR/gone-NAME"; as it is where it is that. */
static char *gone_path(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	size_t gone = strlen(UL_TRASH_GONE);

	if (!strncmp(name, UL_TRASH_GONE, gone))
		return ul_strdup(path);
	return ul_asprintf("%.*s" UL_TRASH_GONE "%s", (int)(name - path), path,
			   name);
}

/* Rename one tree to be deleted. A file is gone whole or not at all. */
static int doom_one(struct ul_embedded *store, const char *path, bool is_tree,
		    struct ul_names *doomed, struct ul_err *err)
{
	ul_cleanup(ul_freep) char *gone =
	    is_tree ? gone_path(path) : ul_strdup(path);
	ul_cleanup(ul_closep) int fd = -1;
	const char *name;
	int rc;

	if (!gone || !ul_names_add(doomed, gone))
		return ul_err_nomem(err);
	if (!strcmp(gone, path))
		return 0;
	rc = ul_beneath_open(store->root_fd, path, &fd, &name, err);
	if (rc)
		return rc == UL_E_ABSENT ? 0 : rc;
	if (renameat(fd, name, fd, strrchr(gone, '/') + 1) && errno != ENOENT)
		return ul_err_sys(err, "rename %s", path);
	return 0;
}

static bool is_same_folder(const char *a, const char *b)
{
	size_t len = (size_t)(strrchr(a, '/') - a);

	return !strncmp(a, b, len + 1) && !strchr(b + len + 1, '/');
}

/* From the open folder, so that nothing on the way leads elsewhere. */
static int folder_remove(struct ul_embedded *store, char *const *paths,
			 size_t count, struct ul_swept *swept,
			 struct ul_err *err)
{
	ul_cleanup(ul_freep) const char **names =
	    ul_malloc(count * sizeof *names);
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_removed removed = { 0 };
	size_t i;
	int rc;

	if (!names)
		return ul_err_nomem(err);
	for (i = 0; i < count; i++)
		names[i] = strrchr(paths[i], '/') + 1;
	rc = ul_beneath_open(store->root_fd, paths[0], &fd, &names[0], err);
	if (rc)
		return rc == UL_E_ABSENT ? 0 : rc;
	rc = ul_remove_trees(fd, names, count, &removed, err);
	swept->freed_bytes += removed.freed_bytes;
	return rc;
}

/* All that can be; the first failure is told. */
static int doomed_remove(struct ul_embedded *store,
			 const struct ul_names *doomed, struct ul_swept *swept,
			 struct ul_err *err)
{
	struct ul_err other = UL_ERR_INIT;
	size_t i, end;
	int rc = 0;

	for (i = 0; i < doomed->len; i = end) {
		for (end = i + 1;
		     end < doomed->len &&
		     is_same_folder(doomed->names[i], doomed->names[end]);)
			end++;
		if (rc)
			folder_remove(store, doomed->names + i, end - i, swept,
				      &other);
		else
			rc = folder_remove(store, doomed->names + i, end - i,
					   swept, err);
	}
	swept->freed_count += doomed->len;
	return rc;
}

static int trash_sync_dirs(struct ul_embedded *store, struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	size_t i;
	int rc = ul_trash_folders(store, &names, err);

	for (i = 0; !rc && i < names.len; i++) {
		ul_cleanup(ul_closep) int fd =
		    openat(store->trash_fd, names.names[i],
			   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0)
			rc = ul_fd_sync(fd, "trash", err);
	}
	return rc;
}

/* I1: what is needed again is put back, never deleted. */
static int doom_all(struct ul_embedded *store, const struct ul_view *view,
		    const size_t *positions, size_t count,
		    struct ul_names *doomed, struct ul_err *err)
{
	size_t i, trees = 0;
	int rc = 0;

	for (i = 0; !rc && i < count; i++) {
		const struct ul_view_trash *trash = &view->trash[positions[i]];
		bool is_tree = trash->kind != UL_KIND_BLOB;

		if (trash->is_wanted)
			continue;
		trees += is_tree;
		rc = doom_one(store, view->record.objects[trash->object].key,
			      is_tree, doomed, err);
	}
	return rc || !trees ? rc : trash_sync_dirs(store, err);
}

static int doom_moved(struct ul_embedded *store, const struct ul_swept *moved,
		      struct ul_names *doomed, struct ul_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < moved->files.len; i++)
		rc = doom_one(store, moved->files.names[i], false, doomed, err);
	for (i = 0; !rc && i < moved->trees.len; i++)
		rc = doom_one(store, moved->trees.names[i], true, doomed, err);
	return rc || !moved->trees.len ? rc : trash_sync_dirs(store, err);
}

int ul_embedded_empty_trash(struct ul_store *base, const struct ul_view *view,
			    const size_t *positions, size_t count,
			    const struct ul_swept *moved, bool forget_names,
			    struct ul_swept *ret_swept, struct ul_err *err)
{
	struct ul_embedded *store = (struct ul_embedded *)base;
	ul_cleanup(ul_names_release) struct ul_names doomed = UL_NAMES_INIT;
	int rc;

	assert(store->is_locked);
	rc = roots_unchanged(store, view, err);
	if (!rc)
		rc = doom_all(store, view, positions, count, &doomed, err);
	if (!rc && moved)
		rc = doom_moved(store, moved, &doomed, err);
	if (!rc)
		rc = doomed_remove(store, &doomed, ret_swept, err);
	if (!rc)
		rc =
		    ul_trash_tidy(store, view->as_of_unix_s, forget_names, err);
	return rc ? ul_err_wrap(err, "emptying the trash") : 0;
}

static int snapshot_row_back(struct ul_embedded *store,
			     const struct ul_trash_item *item,
			     struct ul_err *err)
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
		rc = snapshot_row_back(store, item, err);
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

		if (!ul_trash_read(back.store->trash_fd, back.store->form,
				   dirs.names[i], &arena, &record, &ignored))
			rc = back_dir(&back, dirs.names[i], &record);
	}
	if (!rc)
		rc = folders_sync(back.store, err);
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
			  "in its place, names are not",
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

static int undo_dir(struct back *back, const char *dir,
		    const struct ul_trash_record *record)
{
	int rc = back_dir(back, dir, record);

	if (!rc)
		rc = folders_sync(back->store, back->err);
	if (!rc)
		rc = undo_check(back, record);
	if (!rc)
		rc = entries_back(back->store, record, &back->count, back->err);
	return rc ? rc : ul_trash_undone(back->store, dir, back->err);
}

int ul_embedded_undo(struct ul_store *base, int64_t run, size_t *ret_count,
		     struct ul_err *err)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	ul_cleanup(ul_names_release) struct ul_names dirs = UL_NAMES_INIT;
	struct back back = { (struct ul_embedded *)base, NULL, 0, err };
	size_t i;
	int rc;

	assert(back.store->is_locked);
	rc = ul_trash_folders(back.store, &dirs, err);
	for (i = 0; !rc && i < dirs.len; i++) {
		struct ul_trash_record record;
		struct ul_err ignored = UL_ERR_INIT;

		if (!ul_trash_read(back.store->trash_fd, back.store->form,
				   dirs.names[i], &arena, &record, &ignored) &&
		    record.run == run && ul_trash_is_ours(back.store, &record))
			rc = undo_dir(&back, dirs.names[i], &record);
	}
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
