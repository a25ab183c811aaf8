#include "store/embedded/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/remove.h"
#include "store/db/db.h"
#include "store/embedded/mounts.h"
#include "store/embedded/records.h"
#include "store/embedded/snapshot_chain.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/snapshot_folder.h"
#include "store/embedded/snapshot_overlay.h"
#include "store/embedded/snapshot_record.h"
#include "store/embedded/store.h"
#include "store/limits.h"

static int dir_of(const char *key, bool is_unpacked,
		  char dir[UL_SNAPSHOT_DIR_MAX], struct ul_err *err)
{
	if (!ul_snapshot_dir_name(key, is_unpacked, dir))
		return ul_err_set(err, UL_E_CORRUPT,
				  "snapshot \"%s\" can have no folder", key);
	return 0;
}

static int expect_free(struct ul_embedded *store, const char *key,
		       struct ul_err *err)
{
	struct ul_snapshot_record record;
	int rc = ul_snapshot_record_find(store, key, &record, err);

	if (rc > 0)
		return ul_err_set(err, UL_E_CONFLICT,
				  "there is a snapshot \"%s\" already (%s)",
				  key, ul_snapshot_kind_name(record.kind));
	return rc;
}

/* The parent's folder; *ret_dir becomes NULL where there is no parent. */
static int parent_dir(struct ul_embedded *store, const char *parent,
		      char dir[UL_SNAPSHOT_DIR_MAX], const char **ret_dir,
		      struct ul_err *err)
{
	struct ul_snapshot_record record;
	int rc;

	if (!*parent) {
		*ret_dir = NULL;
		return 0;
	}
	rc = ul_snapshot_record_get(store, parent, &record, err);
	if (rc)
		return rc;
	if (record.kind != UL_SNAPSHOT_COMMITTED)
		return ul_err_set(err, UL_E_INVALID,
				  "the parent \"%s\" is not committed (%s)",
				  parent, ul_snapshot_kind_name(record.kind));
	rc = dir_of(parent, record.is_unpacked, dir, err);
	if (!rc)
		*ret_dir = dir;
	return rc;
}

static int record_one(struct ul_embedded *store, const char *key,
		      const struct ul_snapshot_record *record,
		      const char *labels, struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	int rc = ul_embedded_change_begin(store, &tx, err);

	if (!rc)
		rc = ul_snapshot_record_add(store, key, record, labels, err);
	return rc ? rc : ul_embedded_change_commit(store, &tx, err);
}

/* Where SQLite failed, the record may have come about all the same: then the
 * folder belongs to it, else the next collection takes it. */
static bool may_be_recorded(int rc)
{
	return rc == UL_E_DB;
}

/* A failure that is no crash leaves nothing behind, unless it came so late
 * that the record is there: then so is its folder. */
static void unplace(struct ul_embedded *store, const char *key, const char *dir)
{
	struct ul_snapshot_record record;
	struct ul_err ignored = UL_ERR_INIT;
	struct ul_removed removed;

	if (!ul_snapshot_record_find(store, key, &record, &ignored))
		ul_remove_trees(store->snapshots_fd, &dir, 1, &removed,
				&ignored);
}

/* Short names for a chain whose whole paths mount(2) would not take. */
static int prepare_lower(struct ul_embedded *store, const char *dir,
			 const struct ul_snapshot_record *record, int folder_fd,
			 struct ul_err *err)
{
	ul_cleanup(ul_snapshot_chain_release) struct ul_snapshot_chain below =
	    UL_SNAPSHOT_CHAIN_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf options = UL_BUF_INIT;
	const struct ul_snapshot_overlay overlay = {
		.dir = dir,
		.has_upper = record->kind == UL_SNAPSHOT_ACTIVE,
		.below = &below,
	};
	int rc = ul_snapshot_chain_find(store, record->parent, &below, err);

	if (!rc)
		rc = ul_snapshot_overlay_long(store, &overlay, &options, err);
	if (rc || ul_snapshot_overlay_fits(options.len))
		return rc;
	return ul_snapshot_lower_make(folder_fd, &below, err);
}

static int prepare(struct ul_embedded *store, const char *key,
		   const struct ul_snapshot_record *record, const char *labels,
		   struct ul_err *err)
{
	bool is_view = record->kind == UL_SNAPSHOT_VIEW;
	ul_cleanup(ul_closep) int fd = -1;
	char above[UL_SNAPSHOT_DIR_MAX], dir[UL_SNAPSHOT_DIR_MAX], name[17];
	const char *parent;
	int rc = ul_snapshot_record_settle(store, err);

	if (!rc)
		rc = expect_free(store, key, err);
	if (!rc)
		rc = parent_dir(store, record->parent, above, &parent, err);
	if (!rc)
		rc = dir_of(key, false, dir, err);
	if (!rc)
		rc = ul_snapshot_folder_make(store, parent, is_view, name, &fd,
					     err);
	if (!rc)
		rc = ul_snapshot_folder_sync(fd, is_view, err);
	if (!rc)
		rc = prepare_lower(store, dir, record, fd, err);
	if (!rc)
		rc = ul_snapshot_folder_place(store, name, dir, err);
	if (!rc)
		rc = ul_snapshot_folders_sync(store, err);
	if (rc)
		return rc;
	rc = record_one(store, key, record, labels, err);
	if (rc && !may_be_recorded(rc))
		unplace(store, key, dir);
	return rc;
}

int ul_snapshot_prepare(struct ul_embedded *store, const char *key,
			const char *parent, bool is_view, const char *labels,
			struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	struct ul_snapshot_record record = {
		.kind = is_view ? UL_SNAPSHOT_VIEW : UL_SNAPSHOT_ACTIVE,
	};
	int rc;

	rc = ul_record_key_check(key, UL_KEY_MAX_BYTES, "snapshot key", err);
	if (!rc && *parent)
		rc = ul_record_key_check(parent, UL_KEY_MAX_BYTES,
					 "snapshot key", err);
	if (!rc)
		rc = ul_record_labels(labels, &text, err);
	if (!rc) {
		memcpy(record.parent, parent, strlen(parent) + 1);
		rc = prepare(store, key, &record, ul_buf_str(&text), err);
	}
	return rc ? ul_err_wrap(err, "preparing snapshot \"%s\"", key) : 0;
}

static int expect_unmounted(struct ul_embedded *store, const char *key,
			    const char *dir, struct ul_err *err)
{
	ul_cleanup(ul_mounts_release) struct ul_mounts mounts = UL_MOUNTS_INIT;
	char *path;
	bool is_used;
	int rc = ul_mounts_read(&mounts, err);

	if (rc)
		return rc;
	path = ul_asprintf("%s/snapshots/%s", store->path, dir);
	if (!path)
		return ul_err_nomem(err);
	is_used = ul_mounts_use(&mounts, path);
	free(path);
	return is_used ? ul_err_set(err, UL_E_REFUSED,
				    "snapshot \"%s\" is mounted", key)
		       : 0;
}

/* What was written through the mount becomes durable with the record. */
static int sync_content(struct ul_embedded *store, const char *dir,
			struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	int rc = ul_dir_open(store->snapshots_fd, dir, &fd, err);

	if (rc)
		return rc;
	return syncfs(fd)
		   ? ul_err_sys(err, "sync %s/snapshots/%s", store->path, dir)
		   : 0;
}

static int commit_begin(struct ul_embedded *store, const char *name,
			const char *key,
			const struct ul_snapshot_record *record,
			const char *labels, struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	int rc = ul_embedded_change_begin(store, &tx, err);

	if (!rc)
		rc = ul_snapshot_record_add(store, name, record, labels, err);
	if (!rc)
		rc = ul_snapshot_record_copy_leases(store, key, name, err);
	return rc ? rc : ul_embedded_change_commit(store, &tx, err);
}

static int commit_end(struct ul_embedded *store, const char *key,
		      struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	int rc = ul_embedded_change_begin(store, &tx, err);

	if (!rc)
		rc = ul_snapshot_record_delete(store, key, err);
	if (!rc)
		rc = ul_snapshot_record_drop_leases(store, key, err);
	return rc ? rc : ul_embedded_change_commit(store, &tx, err);
}

/* Nothing mounts what is committed. What cannot be removed goes with it. */
static void drop_lower(struct ul_embedded *store, const char *dir)
{
	char path[UL_SNAPSHOT_DIR_MAX + sizeof "/" UL_SNAPSHOT_LOWER];
	const char *paths[] = { path };
	struct ul_removed removed;
	struct ul_err ignored = UL_ERR_INIT;

	snprintf(path, sizeof path, "%s/" UL_SNAPSHOT_LOWER, dir);
	ul_remove_trees(store->snapshots_fd, paths, 1, &removed, &ignored);
}

/*
 * The folder gets another name, which no transaction can do together with
 * the records. So there are two changes, and in between both records stand
 * beside the one folder:
 *
 *	records key        folder key-<key>
 *	records key, name  folder key-<key>    <- name has no folder
 *	records key, name  folder key-<name>   <- key has no folder
 *	records name       folder key-<name>
 *
 * Wherever it is stopped, the folder is one that a record names, so that no
 * collection takes it, and the leases on the one hold the other too. The
 * record without a folder holds nothing, and goes with the next change
 * (ul_snapshot_record_settle()): the commit has then either not happened or
 * is complete.
 */
static int commit_moved(struct ul_embedded *store, const char *name,
			const char *key, const char *labels,
			const struct ul_snapshot_record *record,
			struct ul_err *err)
{
	char from[UL_SNAPSHOT_DIR_MAX], to[UL_SNAPSHOT_DIR_MAX];
	struct ul_snapshot_record committed = *record;
	struct ul_err ignored = UL_ERR_INIT;
	int rc = dir_of(key, record->is_unpacked, from, err);

	if (!rc)
		rc = dir_of(name, false, to, err);
	if (!rc)
		rc = expect_unmounted(store, key, from, err);
	if (!rc)
		rc = sync_content(store, from, err);
	if (rc)
		return rc;
	committed.kind = UL_SNAPSHOT_COMMITTED;
	rc = commit_begin(store, name, key, &committed, labels, err);
	if (!rc)
		rc = ul_snapshot_folder_rename(store, from, to, err);
	if (rc) {
		ul_snapshot_record_settle(store, &ignored);
		return rc;
	}
	rc = commit_end(store, key, err);
	if (!rc)
		drop_lower(store, to);
	return rc;
}

int ul_snapshot_commit(struct ul_embedded *store, const char *name,
		       const char *key, const char *labels, struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	struct ul_snapshot_record record;
	int rc;

	rc = ul_record_key_check(name, UL_KEY_MAX_BYTES, "snapshot name", err);
	if (!rc)
		rc = ul_record_labels(labels, &text, err);
	if (!rc)
		rc = ul_snapshot_record_settle(store, err);
	if (!rc)
		rc = ul_snapshot_record_get(store, key, &record, err);
	if (!rc && record.kind != UL_SNAPSHOT_ACTIVE)
		rc = ul_err_set(err, UL_E_INVALID, "it is not active but %s",
				ul_snapshot_kind_name(record.kind));
	if (!rc)
		rc = expect_free(store, name, err);
	if (!rc)
		rc = commit_moved(store, name, key, ul_buf_str(&text), &record,
				  err);
	return rc ? ul_err_wrap(err, "committing snapshot \"%s\"", key) : 0;
}

static int remove_record(struct ul_embedded *store, const char *key,
			 struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	int rc = ul_embedded_change_begin(store, &tx, err);

	if (!rc)
		rc = ul_snapshot_record_delete(store, key, err);
	return rc ? rc : ul_embedded_change_commit(store, &tx, err);
}

static int remove_checked(struct ul_embedded *store, const char *key,
			  char dir[UL_SNAPSHOT_DIR_MAX], struct ul_err *err)
{
	struct ul_snapshot_record record;
	int rc = ul_snapshot_record_get(store, key, &record, err);

	if (!rc)
		rc = dir_of(key, record.is_unpacked, dir, err);
	if (!rc)
		rc = ul_snapshot_record_childless(store, key, err);
	if (!rc)
		rc = expect_unmounted(store, key, dir, err);
	return rc ? rc : remove_record(store, key, err);
}

int ul_snapshot_remove(struct ul_embedded *store, const char *key,
		       struct ul_err *err)
{
	char dir[UL_SNAPSHOT_DIR_MAX];
	const char *paths[] = { dir };
	struct ul_removed removed;
	int rc = ul_snapshot_record_settle(store, err);

	if (!rc)
		rc = remove_checked(store, key, dir, err);
	if (!rc)
		rc = ul_remove_trees(store->snapshots_fd, paths, 1, &removed,
				     err);
	return rc ? ul_err_wrap(err, "removing snapshot \"%s\"", key) : 0;
}

/* One that is there already wins. */
static int layer_place(struct ul_embedded *store, struct ul_new_layer *layer,
		       struct ul_err *err)
{
	struct ul_snapshot_record there;
	char dir[UL_SNAPSHOT_DIR_MAX];
	int rc = dir_of(layer->chain_id, true, dir, err), found;

	if (!rc && *layer->parent)
		rc = ul_record_key_check(layer->parent, UL_KEY_MAX_BYTES,
					 "snapshot key", err);
	if (rc)
		return rc;
	found = ul_snapshot_record_find(store, layer->chain_id, &there, err);
	if (found < 0)
		return found;
	layer->was_there = found && (!there.is_unpacked ||
				     !faccessat(store->snapshots_fd, dir, F_OK,
						AT_SYMLINK_NOFOLLOW));
	return layer->was_there ? 0
				: ul_snapshot_folder_place(
				      store, layer->ingest_name, dir, err);
}

/* In the transaction. The record may be there, and only the folder have been
 * gone. */
static int layer_record(struct ul_embedded *store,
			const struct ul_new_layer *layer, struct ul_err *err)
{
	struct ul_snapshot_record record = {
		.kind = UL_SNAPSHOT_COMMITTED,
		.is_unpacked = true,
	};
	struct ul_snapshot_record there;
	int found;

	found = ul_snapshot_record_find(store, layer->chain_id, &there, err);
	if (found)
		return found < 0 ? found : 0;
	memcpy(record.parent, layer->parent, strlen(layer->parent) + 1);
	return ul_snapshot_record_add(store, layer->chain_id, &record, "{}",
				      err);
}

static int layers_record(struct ul_embedded *store,
			 const struct ul_new_layer *layers, size_t count,
			 struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	size_t i;
	int rc = ul_embedded_change_begin(store, &tx, err);

	for (i = 0; !rc && i < count; i++) {
		if (!layers[i].was_there)
			rc = layer_record(store, &layers[i], err);
	}
	return rc ? rc : ul_embedded_change_commit(store, &tx, err);
}

static void layers_unplace(struct ul_embedded *store,
			   const struct ul_new_layer *layers, size_t count)
{
	char dir[UL_SNAPSHOT_DIR_MAX];
	size_t i;

	for (i = 0; i < count; i++) {
		if (!layers[i].was_there &&
		    ul_snapshot_dir_name(layers[i].chain_id, true, dir))
			unplace(store, layers[i].chain_id, dir);
	}
}

int ul_snapshot_adopt_layers(struct ul_embedded *store,
			     struct ul_new_layer *layers, size_t count,
			     struct ul_err *err)
{
	size_t i, placed = 0;
	int rc = ul_snapshot_record_settle(store, err);

	for (i = 0; !rc && i < count; i++) {
		rc = layer_place(store, &layers[i], err);
		if (rc)
			ul_err_wrap(err, "layer %s", layers[i].chain_id);
		placed += !rc && !layers[i].was_there;
	}
	if (!rc && placed)
		rc = ul_snapshot_folders_sync(store, err);
	if (!rc && placed)
		rc = layers_record(store, layers, count, err);
	if (!rc)
		return 0;
	if (!may_be_recorded(rc))
		layers_unplace(store, layers, i);
	return ul_err_wrap(err, "keeping unpacked layers");
}
