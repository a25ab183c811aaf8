/*
 * Deleting where nothing can be written (gc/INVARIANTS.md: I11). Names of
 * files are removed, which needs no space. A recorded snapshot that is there
 * in part would be taken for whole: it moves to ingest/ first, where no record
 * names it, and goes when that is durable. Records stay as they are:
 *
 *	blob        the next scan sees that it is gone
 *	snapshot    ul_in_place_settle() takes its record away
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/remove.h"
#include "store/db/db.h"
#include "store/embedded/form.h"
#include "store/embedded/ops.h"
#include "store/embedded/reserve.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/snapshot_record.h"
#include "store/embedded/store.h"
#include "store/graph/mark.h"
#include "store/view.h"

/*
 * Subvolumes are devices of their own and share the space of their file
 * system: its size and what is free of it are the same.
 */
static bool is_one_disk(const struct ul_embedded *store)
{
	struct stat st, state_st;
	struct statfs fs, state_fs;

	if (fstat(store->root_fd, &st) || stat(store->state_path, &state_st) ||
	    st.st_dev == state_st.st_dev)
		return true;
	return !fstatfs(store->root_fd, &fs) &&
	       !statfs(store->state_path, &state_fs) &&
	       fs.f_type == state_fs.f_type &&
	       fs.f_blocks == state_fs.f_blocks &&
	       fs.f_bfree == state_fs.f_bfree;
}

/* What SQLite was refused by a full disk it reports in many ways. */
enum ul_full ul_embedded_is_full(struct ul_store *base,
				 const struct ul_err *err)
{
	const struct ul_embedded *store = (const struct ul_embedded *)base;
	bool is_db = err->code == UL_E_DB ||
		     (err->code == UL_E_REFUSED && *store->problem);

	if (!ul_errno_is_full(err->sys_errno) &&
	    !(is_db && ul_reserve_lacks_room(store->state_path)))
		return UL_FULL_NOT;
	return !is_db || is_one_disk(store) ||
		       ul_reserve_lacks_room(store->path)
		   ? UL_FULL_STORE
		   : UL_FULL_STATE;
}

struct in_place {
	struct ul_embedded *store;
	const struct ul_view *view;
	const struct ul_view_file **files; /* owned */
	size_t file_count;
	struct ul_names renamed; /* snapshots, by their names in ingest/ now */
	struct ul_names trees;   /* of no record, below the store */
	struct ul_swept *swept;
	struct ul_err *err;
};

static void in_place_release(struct in_place *in_place)
{
	ul_freep(&in_place->files);
	ul_names_release(&in_place->renamed);
	ul_names_release(&in_place->trees);
}

/* Files before trees: what they give back lets a folder be renamed. */
static int files_choose(struct in_place *in_place, const uint32_t *objects,
			size_t count)
{
	const struct ul_view *view = in_place->view;
	ul_cleanup(ul_bits_release) struct ul_bits chosen = UL_BITS_INIT;
	size_t i;
	int pass;

	in_place->files = ul_calloc(view->file_count, sizeof(void *));
	if (!in_place->files ||
	    !ul_bits_init(&chosen, (uint32_t)view->record.object_count))
		return ul_err_nomem(in_place->err);
	for (i = 0; i < count; i++)
		ul_bits_set(&chosen, objects[i]);
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < view->file_count; i++) {
			const struct ul_view_file *file = &view->files[i];
			uint8_t kind = view->record.objects[file->object].kind;

			if (!file->is_trash &&
			    (kind == UL_KIND_BLOB) == (pass == 0) &&
			    ul_bits_get(&chosen, file->object))
				in_place->files[in_place->file_count++] = file;
		}
	}
	return 0;
}

/* A folder that cannot even be renamed stays. */
static int snapshot_rename(struct in_place *in_place, int fd, const char *name)
{
	char hex[17];

	ul_random_hex(hex);
	if (!renameat(fd, name, in_place->store->ingest_fd, hex))
		return ul_names_add(&in_place->renamed, hex)
			   ? 0
			   : ul_err_nomem(in_place->err);
	if (errno == ENOENT)
		return 0;
	in_place->swept->is_cut = true;
	return ul_errno_is_full(errno)
		   ? 0
		   : ul_err_sys(in_place->err, "rename snapshots/%s", name);
}

static int tree_doom(struct in_place *in_place, int fd, const char *name,
		     const char *path)
{
	static const char snapshots[] = "snapshots/";

	if (in_place->store->form->is_ours &&
	    !strncmp(path, snapshots, sizeof snapshots - 1))
		return snapshot_rename(in_place, fd, name);
	return ul_names_add(&in_place->trees, path)
		   ? 0
		   : ul_err_nomem(in_place->err);
}

/* I5: an inode that has another name gives nothing back. */
static int file_remove(struct in_place *in_place, const char *path)
{
	ul_cleanup(ul_closep) int fd = -1;
	const char *name;
	struct stat st;
	int rc = ul_beneath_open(in_place->store->root_fd, path, &fd, &name,
				 in_place->err);

	if (rc)
		return rc == UL_E_ABSENT ? 0 : rc;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT
			   ? 0
			   : ul_err_sys(in_place->err, "stat %s", path);
	if (S_ISDIR(st.st_mode))
		return tree_doom(in_place, fd, name, path);
	if (unlinkat(fd, name, 0))
		return errno == ENOENT
			   ? 0
			   : ul_err_sys(in_place->err, "remove %s", path);
	in_place->swept->freed_count++;
	if (st.st_nlink == 1)
		in_place->swept->freed_bytes += (uint64_t)st.st_blocks * 512;
	return 0;
}

static int batch(struct in_place *in_place, size_t *next)
{
	struct ul_index_lock *lock = &in_place->store->index_lock;
	int rc = ul_sweep_batch_begin(in_place->store, in_place->view,
				      in_place->err);

	if (rc)
		return rc;
	do {
		rc = file_remove(in_place, in_place->files[*next]->path);
		if (!rc)
			++*next;
	} while (!rc && *next < in_place->file_count &&
		 !ul_index_lock_is_due(lock));
	ul_index_lock_drop(lock);
	return rc;
}

/* I6: a reference that comes meanwhile ends it. */
static int files_remove(struct in_place *in_place)
{
	size_t next = 0;
	int rc = 0;

	while (!rc && next < in_place->file_count) {
		if (next)
			ul_index_lock_pause(&in_place->store->index_lock);
		rc = batch(in_place, &next);
	}
	if (!next || (rc != UL_E_CONFLICT && rc != UL_E_BUSY))
		return rc;
	in_place->swept->is_cut = true;
	return 0;
}

static int folders_sync(struct in_place *in_place)
{
	const struct ul_embedded *store = in_place->store;
	int rc = ul_embedded_sync_blobs(in_place->store, in_place->err);

	if (!rc && store->snapshots_fd >= 0)
		rc =
		    ul_fd_sync(store->snapshots_fd, "snapshots", in_place->err);
	if (!rc && store->ingest_fd >= 0)
		rc = ul_fd_sync(store->ingest_fd, "ingest", in_place->err);
	return rc;
}

static int remove_at(struct in_place *in_place, int fd,
		     const char *const *names, size_t count)
{
	struct ul_removed removed = { 0 };
	int rc = ul_remove_trees(fd, names, count, &removed, in_place->err);

	in_place->swept->freed_bytes += removed.freed_bytes;
	in_place->swept->freed_count += count;
	return rc;
}

static int tree_remove(struct in_place *in_place, const char *path)
{
	ul_cleanup(ul_closep) int fd = -1;
	const char *name;
	int rc = ul_beneath_open(in_place->store->root_fd, path, &fd, &name,
				 in_place->err);

	if (rc)
		return rc == UL_E_ABSENT ? 0 : rc;
	return remove_at(in_place, fd, &name, 1);
}

static int trees_remove(struct in_place *in_place)
{
	size_t i;
	int rc = 0;

	if (in_place->renamed.len)
		rc = remove_at(in_place, in_place->store->ingest_fd,
			       (const char *const *)in_place->renamed.names,
			       in_place->renamed.len);
	for (i = 0; !rc && i < in_place->trees.len; i++)
		rc = tree_remove(in_place, in_place->trees.names[i]);
	return rc;
}

int ul_embedded_delete_in_place(struct ul_store *base,
				const struct ul_view *view,
				const uint32_t *objects, size_t count,
				struct ul_swept *ret_swept, struct ul_err *err)
{
	ul_cleanup(in_place_release) struct in_place in_place = {
		.store = (struct ul_embedded *)base,
		.view = view,
		.renamed = UL_NAMES_INIT,
		.trees = UL_NAMES_INIT,
		.swept = ret_swept,
		.err = err,
	};
	int rc;

	assert(in_place.store->is_full);
	rc = ul_embedded_expect(base, view, err);
	if (!rc)
		rc = files_choose(&in_place, objects, count);
	if (!rc)
		rc = files_remove(&in_place);
	if (!rc)
		rc = folders_sync(&in_place);
	if (!rc)
		rc = trees_remove(&in_place);
	return rc ? ul_err_wrap(err, "deleting in place") : 0;
}

static bool is_hollow(const struct ul_embedded *store,
		      const struct ul_object *object)
{
	char dir[UL_SNAPSHOT_DIR_MAX];

	return object->kind == UL_KIND_SNAPSHOT && !object->is_present &&
	       !object->is_reachable &&
	       ul_snapshot_dir_name(object->key, true, dir) &&
	       faccessat(store->snapshots_fd, dir, F_OK, AT_SYMLINK_NOFOLLOW) &&
	       errno == ENOENT;
}

/* Whether it has the record of a layer, which is to go. */
static int settle_one(struct ul_embedded *store, const char *key,
		      struct ul_db **tx, struct ul_err *err)
{
	struct ul_snapshot_record record;
	int rc = ul_snapshot_record_find(store, key, &record, err);

	if (rc <= 0 || !record.is_unpacked)
		return rc < 0 ? rc : 0;
	rc = *tx ? 0 : ul_embedded_change_begin(store, tx, err);
	return rc ? rc : ul_snapshot_record_delete(store, key, err);
}

int ul_in_place_settle(struct ul_embedded *store, const struct ul_view *view,
		       struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < view->record.object_count; i++) {
		if (is_hollow(store, &view->record.objects[i]))
			rc = settle_one(store, view->record.objects[i].key, &tx,
					err);
	}
	if (rc || !tx)
		return rc;
	return ul_embedded_change_commit(store, &tx, err);
}
