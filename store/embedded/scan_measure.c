/*
 * Measuring. Blobs are what stat() says. Trees are walked, and remembered
 * under (device, inode, change time) once they have settled; until a tree is
 * ten minutes old each scan measures it again. File systems that give space
 * back late without touching the change time (xfs preallocation; unknown
 * ones) have to give the same answer twice, ten minutes apart.
 *
 * A hard link to a file of a remembered tree does not change the time of its
 * top, but shows where the other link is, or was: what is measured now has an
 * inode with more links than it holds. Where that is news, and the other is not
 * among what is measured now, all are walked.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/walk.h"
#include "store/embedded/mounts.h"
#include "store/embedded/scan_internal.h"
#include "store/embedded/store.h"

enum { SETTLED_S = 600 };

/* Others write for hours, and lock nothing (DESIGN 2). */
enum { LEFTOVER_GRACE_S = 24 * 3600 };

/* statfs() f_type of file systems whose blocks are final once written. */
enum { MAGIC_EXT4 = 0xEF53, MAGIC_TMPFS = 0x01021994 };

struct measure {
	struct ul_scan *scan;
	bool settles_at_once;
	struct ul_walk_tree *trees; /* owned; to be walked */
	uint32_t *tree_files;       /* owned; the view file of each */
	size_t tree_count;
	uint32_t *known_files; /* owned; view files of remembered trees */
	size_t known_count;
	/* Inodes whose links are others than they were, of what was measured
	 * now or is gone: how many of them were seen now. */
	struct ul_map links;
};

static void measure_release(struct measure *measure)
{
	free(measure->trees);
	free(measure->tree_files);
	free(measure->known_files);
	ul_map_release(&measure->links);
}

/* The record of a folder: of its key, and unpacked or not as the folder is. */
static const struct ul_snapshot *item_snapshot(const struct ul_scan *scan,
					       const struct ul_item *item)
{
	const struct ul_snapshot *snapshot =
	    ul_snapshots_find(&scan->snapshots, item->key);

	return snapshot && snapshot->is_unpacked == item->is_unpacked ? snapshot
								      : NULL;
}

/* The object that an item is measured for; NONE without memory. */
static uint32_t item_object(struct ul_scan *scan, uint32_t i)
{
	const struct ul_item *item = &scan->inventory.items[i];

	switch (item->kind) {
	case UL_ITEM_BLOB:
		return scan_object(scan, UL_KIND_BLOB, item->key);
	case UL_ITEM_SNAPSHOT:
		if (item_snapshot(scan, item))
			return scan_object(scan, UL_KIND_SNAPSHOT, item->key);
		return scan_object(scan, UL_KIND_FILE, item->path);
	case UL_ITEM_INGEST:
		if (item->is_locked)
			return scan_object(scan, UL_KIND_INGEST, item->path);
		return scan_object(scan, UL_KIND_FILE, item->path);
	default:
		return scan_object(scan, UL_KIND_FILE, item->path);
	}
}

static bool is_immutable(const struct ul_scan *scan, const struct ul_item *item)
{
	const struct ul_snapshot *snapshot;

	if (item->kind == UL_ITEM_TRASH)
		return true;
	if (item->kind != UL_ITEM_SNAPSHOT)
		return false;
	snapshot = item_snapshot(scan, item);
	return snapshot && snapshot->kind == UL_SNAPSHOT_COMMITTED;
}

static bool is_remembered(const struct measure *measure,
			  const struct ul_item *item,
			  const struct ul_measure *old)
{
	const struct ul_scan *scan = measure->scan;

	return !scan->options->measure_all && old->measured_unix_s &&
	       is_immutable(scan, item) && old->dev == item->dev &&
	       old->ino == item->ino && old->ctime_ns == item->ctime_ns &&
	       old->measured_unix_s - item->newest_unix_s >= SETTLED_S &&
	       (measure->settles_at_once || old->agreed);
}

static bool links_equal(const struct ul_measure *a, const struct ul_measure *b)
{
	size_t i;

	if (a->link_count != b->link_count)
		return false;
	for (i = 0; i < a->link_count; i++) {
		if (a->links[i].dev != b->links[i].dev ||
		    a->links[i].ino != b->links[i].ino ||
		    a->links[i].nlink != b->links[i].nlink ||
		    a->links[i].seen != b->links[i].seen ||
		    a->links[i].in_split != b->links[i].in_split ||
		    a->links[i].allocated_bytes != b->links[i].allocated_bytes)
			return false;
	}
	return true;
}

static bool measures_equal(const struct ul_measure *a,
			   const struct ul_measure *b)
{
	return a->dev == b->dev && a->ino == b->ino &&
	       a->ctime_ns == b->ctime_ns &&
	       a->allocated_bytes == b->allocated_bytes &&
	       a->unpacked_bytes == b->unpacked_bytes && links_equal(a, b);
}

/* What a link begins with, which stays where it is. */
enum { INODE_BYTES = offsetof(struct ul_measure_link, nlink) };

static bool links_note(struct measure *measure, const struct ul_measure *of)
{
	size_t i;

	for (i = 0; i < of->link_count; i++) {
		if (!ul_map_set(&measure->links, &of->links[i], INODE_BYTES, 0))
			return false;
	}
	return true;
}

/*
 * Take a new measurement. One that says what the last one said is written
 * only when it makes a difference (it has settled now), or an idle store
 * would write at every report.
 */
static int measure_take(struct measure *measure, uint32_t at,
			const struct ul_item *item, struct ul_measure *now)
{
	struct ul_object *object = &measure->scan->record->objects[at];
	struct ul_measure *old = &object->measure;
	bool is_equal = old->measured_unix_s && measures_equal(old, now);
	bool was_settled =
	    old->measured_unix_s - item->newest_unix_s >= SETTLED_S;
	bool is_settled =
	    now->measured_unix_s - item->newest_unix_s >= SETTLED_S;

	if (!links_equal(old, now) &&
	    (!links_note(measure, old) || !links_note(measure, now)))
		return ul_err_nomem(measure->scan->err);
	now->agreed =
	    is_equal && was_settled &&
	    (old->agreed ||
	     now->measured_unix_s - old->measured_unix_s >= SETTLED_S);
	if (is_equal && was_settled == is_settled && old->agreed == now->agreed)
		return 0;
	*old = *now;
	ul_record_mark(measure->scan->record, object, UL_DIRTY_MEASURE);
	return 0;
}

static int measure_blob(struct measure *measure, uint32_t at,
			const struct ul_item *item)
{
	struct ul_scan *scan = measure->scan;
	struct ul_object *object = &scan->record->objects[at];
	struct ul_measure now = {
		.dev = item->dev,
		.ino = item->ino,
		.ctime_ns = item->ctime_ns,
		.measured_unix_s = scan->view->as_of_unix_s,
	};

	if (object->length_bytes != item->size_bytes) {
		object->length_bytes = item->size_bytes;
		ul_record_mark(scan->record, object, UL_DIRTY_ROW);
	}
	/* Rewritten since it was read: what it refers to is read again. */
	if (object->measure.measured_unix_s &&
	    (object->measure.ino != item->ino ||
	     object->measure.ctime_ns != item->ctime_ns)) {
		object->content = UL_CONTENT_UNKNOWN;
		object->is_released = false; /* somebody needs it anew */
		ul_record_mark(scan->record, object, UL_DIRTY_ROW);
	}
	if (item->nlink == 1) {
		now.allocated_bytes = item->allocated_bytes;
	} else {
		now.links =
		    ul_arena_alloc(&scan->record->arena, sizeof *now.links);
		if (!now.links)
			return ul_err_nomem(scan->err);
		now.link_count = 1;
		now.links[0] = (struct ul_measure_link){
			.dev = item->dev,
			.ino = item->ino,
			.nlink = item->nlink,
			.seen = 1,
			.allocated_bytes = item->allocated_bytes,
		};
	}
	return measure_take(measure, at, item, &now);
}

static int file_add(struct ul_scan *scan, uint32_t object,
		    const struct ul_item *item)
{
	struct ul_view *view = scan->view;
	const char *path = ul_arena_strdup(&view->arena, item->path);

	if (!path)
		return ul_err_nomem(scan->err);
	view->files[view->file_count++] = (struct ul_view_file){
		.object = object,
		.node = UL_NODE_NONE,
		.path = path,
		.newest_unix_s = item->newest_unix_s,
		.is_orphan =
		    scan->record->objects[object].kind == UL_KIND_FILE &&
		    item->kind != UL_ITEM_TRASH,
		.is_trash = item->kind == UL_ITEM_TRASH,
		.is_ingest = item->kind == UL_ITEM_INGEST && item->is_locked,
		.min_grace_s = item->is_foreign ? LEFTOVER_GRACE_S : 0,
	};
	return 0;
}

static void tree_add(struct measure *measure, uint32_t file)
{
	const struct ul_scan *scan = measure->scan;
	uint32_t at = scan->view->files[file].object;
	const struct ul_item *item =
	    &scan->inventory.items[scan->objects[at].item];

	measure->trees[measure->tree_count] = (struct ul_walk_tree){
		.path = item->path,
		.split_child = item->kind == UL_ITEM_INGEST ? NULL : "fs",
	};
	measure->tree_files[measure->tree_count++] = file;
}

static int measure_item(struct measure *measure, uint32_t i)
{
	struct ul_scan *scan = measure->scan;
	const struct ul_item *item = &scan->inventory.items[i];
	struct ul_object *object;
	uint32_t at;
	int rc;

	if (item->kind == UL_ITEM_UNKNOWN)
		return 0;
	at = item_object(scan, i);
	if (at == UL_OBJECT_NONE)
		return ul_err_nomem(scan->err);
	object = &scan->record->objects[at];
	if (!object->is_present) {
		object->is_present = true;
		ul_record_mark(scan->record, object, UL_DIRTY_ROW);
	}
	scan->objects[at].item = i;
	scan->objects[at].is_expected = true;
	rc = file_add(scan, at, item);
	if (rc)
		return rc;
	if (!item->is_dir)
		return measure_blob(measure, at, item);
	if (is_remembered(measure, item, &object->measure))
		measure->known_files[measure->known_count++] =
		    (uint32_t)scan->view->file_count - 1;
	else
		tree_add(measure, (uint32_t)scan->view->file_count - 1);
	return 0;
}

static int tree_take(struct measure *measure, const struct ul_walk_tree *tree,
		     uint32_t file)
{
	struct ul_scan *scan = measure->scan;
	uint32_t at = scan->view->files[file].object;
	const struct ul_item *item =
	    &scan->inventory.items[scan->objects[at].item];
	struct ul_measure now = {
		.dev = item->dev,
		.ino = item->ino,
		.ctime_ns = item->ctime_ns,
		.allocated_bytes = tree->allocated_bytes,
		.unpacked_bytes = tree->split_bytes,
		.measured_unix_s = scan->view->as_of_unix_s,
		.link_count = tree->link_count,
	};
	size_t i;

	now.links = ul_arena_alloc(&scan->record->arena,
				   tree->link_count * sizeof *now.links);
	if (!now.links)
		return ul_err_nomem(scan->err);
	for (i = 0; i < tree->link_count; i++)
		now.links[i] = (struct ul_measure_link){
			.dev = tree->links[i].dev,
			.ino = tree->links[i].ino,
			.nlink = tree->links[i].nlink,
			.seen = tree->links[i].seen,
			.in_split = tree->links[i].in_split,
			.allocated_bytes = tree->links[i].allocated_bytes,
		};
	if (tree->is_partial &&
	    !ul_view_note(scan->view,
			  "%s/%s cannot be read whole by this user: counted in "
			  "part",
			  scan->store->path, tree->path))
		return ul_err_nomem(scan->err);
	for (i = 0; i < tree->mount_count; i++) {
		if (!ul_view_note(scan->view,
				  "%s/%s is a mount point: not counted",
				  scan->store->path, tree->mounts[i]))
			return ul_err_nomem(scan->err);
	}
	return measure_take(measure, at, item, &now);
}

static int measure_trees(struct measure *measure)
{
	struct ul_scan *scan = measure->scan;
	struct ul_walk_options options = {
		.skip_denied = !scan->store->is_writable,
		.progress = scan->options->progress,
		.arg = scan->options->arg,
	};
	size_t i;
	int rc;

	if (!measure->tree_count)
		return 0;
	rc = ul_walk(scan->store->root_fd, measure->trees, measure->tree_count,
		     &options, scan->err);
	if (rc)
		return rc;
	for (i = 0; !rc && i < measure->tree_count; i++)
		rc = tree_take(measure, &measure->trees[i],
			       measure->tree_files[i]);
	ul_walk_trees_release(measure->trees, measure->tree_count);
	measure->tree_count = 0;
	return rc;
}

/* What is gone since may have held links to files of a remembered tree. */
static bool links_note_gone(struct measure *measure)
{
	const struct ul_scan *scan = measure->scan;
	size_t i;

	for (i = 0; i < scan->record->object_count; i++) {
		if (scan->objects[i].item == UL_OBJECT_NONE &&
		    !links_note(measure, &scan->record->objects[i].measure))
			return false;
	}
	return true;
}

static uint32_t *links_find(struct measure *measure,
			    const struct ul_measure_link *link)
{
	bool is_added;

	return ul_map_get(&measure->links, link, INODE_BYTES) == UL_MAP_NONE
		   ? NULL
		   : ul_map_put(&measure->links, link, INODE_BYTES, 0,
				&is_added);
}

/* Whether a remembered tree holds such an inode, as far as is known. */
static bool links_are_known(struct measure *measure)
{
	const struct ul_scan *scan = measure->scan;
	size_t i, k;

	for (k = 0; k < measure->known_count; k++) {
		const struct ul_view_file *file =
		    &scan->view->files[measure->known_files[k]];
		const struct ul_measure *known =
		    &scan->record->objects[file->object].measure;

		for (i = 0; i < known->link_count; i++) {
			if (links_find(measure, &known->links[i]))
				return true;
		}
	}
	return false;
}

/* Each of what was measured now that has such inodes. */
static bool links_each(struct measure *measure,
		       bool (*each)(const struct ul_measure_link *link,
				    uint32_t *seen))
{
	const struct ul_scan *scan = measure->scan;
	size_t i, k;

	for (k = 0; k < scan->view->file_count; k++) {
		const struct ul_measure *of =
		    &scan->record->objects[scan->view->files[k].object].measure;

		for (i = 0; i < of->link_count; i++) {
			uint32_t *seen = links_find(measure, &of->links[i]);

			if (seen && !each(&of->links[i], seen))
				return false;
		}
	}
	return true;
}

static bool link_count(const struct ul_measure_link *link, uint32_t *seen)
{
	*seen += link->seen;
	return true;
}

static bool link_is_whole(const struct ul_measure_link *link, uint32_t *seen)
{
	return *seen >= link->nlink;
}

/* Whether what is measured now has all links of these inodes itself: an import
 * links what it relies on. */
static bool links_are_here(struct measure *measure)
{
	links_each(measure, link_count);
	return links_each(measure, link_is_whole);
}

static int measure_known(struct measure *measure)
{
	size_t i;

	if (!links_note_gone(measure))
		return ul_err_nomem(measure->scan->err);
	if (!measure->links.len ||
	    (!links_are_known(measure) && links_are_here(measure)))
		return 0;
	for (i = 0; i < measure->known_count; i++)
		tree_add(measure, measure->known_files[i]);
	return measure_trees(measure);
}

static bool is_snapshot_folder(const struct ul_view_file *file)
{
	return !strncmp(file->path, "snapshots/", strlen("snapshots/"));
}

static int file_mounts(struct ul_scan *scan)
{
	struct ul_mounts mounts = UL_MOUNTS_INIT;
	char path[4096];
	size_t i;
	int rc;

	/* Only what a plan may speak of has to be free of mounts. */
	if (!scan->options->for_change && !scan->options->for_plan)
		return 0;
	rc = ul_mounts_read(&mounts, scan->err);
	for (i = 0; !rc && i < scan->view->file_count; i++) {
		struct ul_view_file *file = &scan->view->files[i];

		if (scan->record->objects[file->object].kind !=
			UL_KIND_SNAPSHOT &&
		    !file->is_orphan)
			continue;
		snprintf(path, sizeof path, "%s/%s", scan->store->path,
			 file->path);
		file->is_mounted = ul_mounts_use(&mounts, path);
		file->may_be_mounted = !file->is_mounted && mounts.is_partial &&
				       is_snapshot_folder(file);
	}
	ul_mounts_release(&mounts);
	return rc;
}

static int measure_filesystem(struct measure *measure)
{
	struct ul_scan *scan = measure->scan;
	ul_cleanup(ul_buf_release) struct ul_buf mount = UL_BUF_INIT;
	struct ul_err ignored = UL_ERR_INIT;
	struct statfs fs;

	if (fstatfs(scan->store->root_fd, &fs))
		return ul_err_sys(scan->err, "statfs %s", scan->store->path);
	measure->settles_at_once =
	    fs.f_type == MAGIC_EXT4 || fs.f_type == MAGIC_TMPFS;
	scan->view->total_bytes = (uint64_t)fs.f_blocks * (uint64_t)fs.f_frsize;
	scan->view->available_bytes =
	    (uint64_t)fs.f_bavail * (uint64_t)fs.f_frsize;
	/* Only for people: without /proc there is no name for it. */
	if (ul_fd_mount_point(scan->store->root_fd, &mount, &ignored) ==
	    UL_E_NOMEM)
		return ul_err_nomem(scan->err);
	scan->view->mount =
	    ul_arena_strdup(&scan->view->arena, ul_buf_str(&mount));
	return scan->view->mount ? 0 : ul_err_nomem(scan->err);
}

int scan_measure(struct ul_scan *scan)
{
	ul_cleanup(measure_release) struct measure measure = { .scan = scan };
	size_t i, count = scan->inventory.len;
	int rc;

	measure.trees = ul_calloc(count, sizeof *measure.trees);
	measure.tree_files = ul_calloc(count, sizeof *measure.tree_files);
	measure.known_files = ul_calloc(count, sizeof *measure.known_files);
	scan->view->files = ul_calloc(count, sizeof *scan->view->files);
	if (!measure.trees || !measure.tree_files || !measure.known_files ||
	    !scan->view->files)
		return ul_err_nomem(scan->err);
	rc = measure_filesystem(&measure);
	for (i = 0; !rc && i < count; i++)
		rc = measure_item(&measure, (uint32_t)i);
	if (!rc)
		rc = measure_trees(&measure);
	if (!rc)
		rc = measure_known(&measure);
	return rc ? rc : file_mounts(scan);
}
