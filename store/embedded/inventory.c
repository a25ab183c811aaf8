#include "store/embedded/inventory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/scan.h"
#include "base/walk.h"
#include "store/embedded/form.h"
#include "store/embedded/leftover.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/store.h"
#include "store/embedded/trash.h"
#include "store/graph/graph.h"
#include "store/oci/layout.h"

void ul_inventory_release(struct ul_inventory *inventory)
{
	free(inventory->items);
	free(inventory->inodes);
	ul_arena_release(&inventory->arena);
	*inventory = UL_INVENTORY_INIT;
}

/* A folder of the store, and a name in it. */
enum { PATH_BYTES = 1024 + NAME_MAX };

struct take {
	struct ul_embedded *store;
	struct statx top; /* of the store itself */
	struct ul_inventory *inventory;
	struct ul_err *err;
};

/*
 * `name` in the open directory, `path` in the store. 1 with *item filled, 0
 * where it vanished, negative: failed.
 */
static int item_stat(struct take *take, int dirfd, const char *name,
		     const char *path, struct ul_item *item)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno == ENOENT)
			return 0;
		return ul_err_sys(take->err, "stat %s/%s", take->store->path,
				  path);
	}
	*item = (struct ul_item){
		.kind = UL_ITEM_UNKNOWN,
		.is_dir = S_ISDIR(st.st_mode),
		.is_regular = S_ISREG(st.st_mode),
		.dev = st.st_dev,
		.ino = st.st_ino,
		.size_bytes = (uint64_t)st.st_size,
		.allocated_bytes = (uint64_t)st.st_blocks * 512,
		.nlink = (uint32_t)st.st_nlink,
		.ctime_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 +
			    st.st_ctim.tv_nsec,
		.newest_unix_s = st.st_ctim.tv_sec > st.st_mtim.tv_sec
				     ? st.st_ctim.tv_sec
				     : st.st_mtim.tv_sec,
		.path = ul_arena_strdup(&take->inventory->arena, path),
	};
	item->key = item->path;
	return item->path ? 1 : ul_err_nomem(take->err);
}

/* Room for so many more. */
static int items_reserve(struct take *take, size_t more)
{
	struct ul_inventory *inventory = take->inventory;
	struct ul_item *items = ul_grow(inventory->items, &inventory->cap,
					inventory->len + more, sizeof *items);

	if (!items)
		return ul_err_nomem(take->err);
	inventory->items = items;
	return 0;
}

static int item_add(struct take *take, const struct ul_item *item)
{
	int rc = items_reserve(take, 1);

	if (!rc)
		take->inventory->items[take->inventory->len++] = *item;
	return rc;
}

static int inode_add(struct take *take, const struct ul_item_inode *inode)
{
	struct ul_inventory *inventory = take->inventory;
	struct ul_item_inode *inodes =
	    ul_grow(inventory->inodes, &inventory->inode_cap,
		    inventory->inode_count + 1, sizeof *inodes);

	if (!inodes)
		return ul_err_nomem(take->err);
	inventory->inodes = inodes;
	inodes[inventory->inode_count++] = *inode;
	return 0;
}

/* Its own blocks are overhead; those of a file with several names once. */
static int overhead_add(struct take *take, const struct ul_item *item)
{
	struct ul_item_inode inode = { item->dev, item->ino,
				       item->allocated_bytes };

	take->inventory->overhead_count++;
	if (!item->is_dir && item->nlink > 1)
		return inode_add(take, &inode);
	take->inventory->overhead_bytes += item->allocated_bytes;
	return 0;
}

/* A folder or file of the store itself. */
static int count_overhead(struct take *take, const char *path)
{
	struct ul_item item;
	int rc = item_stat(take, take->store->root_fd, path, path, &item);

	return rc > 0 ? overhead_add(take, &item) : rc;
}

/* On another mount than the store, a bind mount of the same disk too, or a
 * volume of its own in the same one: what du -x leaves out, or renames do. */
static bool is_elsewhere(const struct take *take, int dirfd, const char *name)
{
	struct statx st;

	return !ul_scan_stat(dirfd, name, &st) &&
	       (st.stx_mnt_id != take->top.stx_mnt_id ||
		ul_scan_dev(&st) != ul_scan_dev(&take->top));
}

/* An unknown name: kept for ever, measured as a tree. */
static int add_unknown(struct take *take, struct ul_item *item)
{
	struct ul_walk_tree tree = { .path = item->path };
	struct ul_walk_options options = {
		.thread_count = 1,
		.skip_denied = !take->store->is_writable,
	};
	size_t i;
	int rc;

	item->is_mount = is_elsewhere(take, take->store->root_fd, item->path);
	rc = item_add(take, item);
	if (!rc && item->is_mount)
		return 0;
	if (!rc)
		rc = ul_walk(take->store->root_fd, &tree, 1, &options,
			     take->err);
	if (rc)
		return rc;
	take->inventory->overhead_bytes += tree.allocated_bytes;
	take->inventory->overhead_count += tree.object_count;
	for (i = 0; !rc && i < tree.link_count; i++) {
		struct ul_item_inode inode = { tree.links[i].dev,
					       tree.links[i].ino,
					       tree.links[i].allocated_bytes };

		rc = inode_add(take, &inode);
	}
	ul_walk_trees_release(&tree, 1);
	return rc;
}

/* Things move between folders by renaming alone. */
static int folder_check(struct take *take, const char *dir, int fd)
{
	struct ul_inventory *inventory = take->inventory;

	if (inventory->mount || !is_elsewhere(take, fd, ""))
		return 0;
	inventory->mount = ul_arena_strdup(&inventory->arena, dir);
	return inventory->mount ? 0 : ul_err_nomem(take->err);
}

/* Decide what a name in a folder is; sets kind and key. */
typedef int classify_fn(struct take *take, const char *name,
			struct ul_item *item);

static int take_dir(struct take *take, const char *dir, classify_fn *classify)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int fd = -1;
	char path[PATH_BYTES] = "";
	size_t i, len = 0;
	int rc;

	if (strcmp(dir, "."))
		len =
		    (size_t)snprintf(path, sizeof path - NAME_MAX, "%s/", dir);
	rc = ul_dir_open(take->store->root_fd, dir, &fd, take->err);
	if (!rc)
		rc = ul_dir_names(fd, &names, take->err);
	if (!rc)
		rc = folder_check(take, dir, fd);
	if (!rc)
		rc = count_overhead(take, dir);
	if (!rc)
		rc = items_reserve(take, names.len);
	for (i = 0; !rc && i < names.len; i++) {
		struct ul_item item;

		stpcpy(path + len, names.names[i]);
		rc = item_stat(take, fd, names.names[i], path, &item);
		if (rc > 0)
			rc = classify(take, names.names[i], &item);
	}
	return rc;
}

static int classify_digest(struct take *take, uint8_t alg, const char *name,
			   struct ul_item *item)
{
	char text[UL_DIGEST_TEXT_MAX];
	struct ul_digest digest;

	if (!item->is_regular || !ul_digest_parse_hex(alg, name, &digest))
		return add_unknown(take, item);
	ul_digest_format(&digest, text);
	item->kind = UL_ITEM_BLOB;
	item->key = ul_arena_strdup(&take->inventory->arena, text);
	return item->key ? item_add(take, item) : ul_err_nomem(take->err);
}

static int classify_sha256(struct take *take, const char *name,
			   struct ul_item *item)
{
	return classify_digest(take, UL_DIGEST_SHA256, name, item);
}

static int classify_sha512(struct take *take, const char *name,
			   struct ul_item *item)
{
	return classify_digest(take, UL_DIGEST_SHA512, name, item);
}

static int classify_snapshot(struct take *take, const char *name,
			     struct ul_item *item)
{
	char key[UL_SNAPSHOT_DIR_MAX];

	if (!item->is_dir ||
	    !ul_snapshot_dir_parse(name, key, &item->is_unpacked))
		return add_unknown(take, item);
	item->kind = UL_ITEM_SNAPSHOT;
	item->key = ul_arena_strdup(&take->inventory->arena, key);
	return item->key ? item_add(take, item) : ul_err_nomem(take->err);
}

/* Names that can stand in records as they are; ours, and others' leftovers. */
static bool is_plain(const char *name)
{
	for (; *name; name++) {
		if (*name <= ' ' || *name > '~')
			return false;
	}
	return true;
}

static int classify_ingest(struct take *take, const char *name,
			   struct ul_item *item)
{
	ul_cleanup(ul_closep) int fd = -1;

	if (!is_plain(name))
		return add_unknown(take, item);
	fd = openat(take->store->ingest_fd, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	/* Its maker holds a lock on it for as long as it lives. */
	item->kind = UL_ITEM_INGEST;
	item->is_locked = fd < 0 || flock(fd, LOCK_SH | LOCK_NB) != 0;
	return item_add(take, item);
}

/*
 * What other programs that were stopped leave in a layout (DESIGN 2). The top
 * of a directory says nothing of what is written in it.
 */
static int classify_leftover(struct take *take, const char *name,
			     struct ul_item *item)
{
	struct ul_leftover leftover;
	int rc;

	if (!is_plain(name))
		return add_unknown(take, item);
	rc = ul_leftover_look(take->store->root_fd, item->path, &leftover,
			      take->err);
	if (rc)
		return rc;
	item->kind = UL_ITEM_INGEST;
	item->is_foreign = true;
	item->is_locked = leftover.is_used;
	if (leftover.newest_unix_s > item->newest_unix_s)
		item->newest_unix_s = leftover.newest_unix_s;
	return item_add(take, item);
}

static int take_trash_item(struct take *take, struct ul_item *item,
			   const struct ul_trash_record *record,
			   const struct ul_trash_item *was)
{
	item->kind = UL_ITEM_TRASH;
	item->is_foreign_run = !ul_trash_is_ours(take->store, record);
	item->run = record->run;
	item->delete_unix_s = ul_trash_delete_unix_s(record);
	item->was_kind = was->kind;
	item->was_key = was->key;
	item->was_path = was->path;
	return item_add(take, item);
}

/* What is left of a deletion that was stopped: due, and never put back. */
static int take_trash_gone(struct take *take, struct ul_item *item,
			   const struct ul_trash_record *record)
{
	item->kind = UL_ITEM_TRASH;
	item->is_foreign_run = !ul_trash_is_ours(take->store, record);
	item->run = record->run;
	item->was_kind = UL_KIND_FILE;
	item->was_key = item->path;
	item->was_path = "";
	return item_add(take, item);
}

static bool trash_names(const struct ul_trash_record *record,
			struct ul_map *names)
{
	size_t i;

	for (i = 0; i < record->item_count; i++) {
		const char *name = record->items[i].name;

		if (!ul_map_set(names, name, strlen(name), (uint32_t)i))
			return false;
	}
	return true;
}

/* What the record does not speak of is unknown here as elsewhere. */
static int take_trash_name(struct take *take, int dirfd, const char *dir,
			   const char *name,
			   const struct ul_trash_record *record,
			   const struct ul_map *names)
{
	uint32_t at = ul_map_get_str(names, name);
	struct ul_item item;
	char path[512];
	int rc;

	snprintf(path, sizeof path, "%s/%s/%s", take->store->form->trash, dir,
		 name);
	rc = item_stat(take, dirfd, name, path, &item);
	if (rc <= 0)
		return rc;
	if (at != UL_MAP_NONE)
		return take_trash_item(take, &item, record, &record->items[at]);
	if (!strcmp(name, "record.json"))
		return overhead_add(take, &item);
	if (!strncmp(name, UL_TRASH_GONE, strlen(UL_TRASH_GONE)))
		return take_trash_gone(take, &item, record);
	return add_unknown(take, &item);
}

static int take_trash(struct take *take, const char *dir,
		      const struct ul_trash_record *record)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_map_release) struct ul_map known = UL_MAP_INIT;
	ul_cleanup(ul_closep) int fd = -1;
	size_t i;
	int rc;

	if (!trash_names(record, &known))
		return ul_err_nomem(take->err);
	rc = ul_dir_open(take->store->trash_fd, dir, &fd, take->err);
	if (rc == UL_E_ABSENT)
		return 0; /* emptied meanwhile: reports take no lock */
	if (!rc)
		rc = ul_dir_names(fd, &names, take->err);
	for (i = 0; !rc && i < names.len; i++)
		rc = take_trash_name(take, fd, dir, names.names[i], record,
				     &known);
	return rc;
}

static int classify_trash(struct take *take, const char *name,
			  struct ul_item *item)
{
	struct ul_trash_record record;
	struct ul_err ignored = UL_ERR_INIT;
	int rc;

	if (!item->is_dir)
		return add_unknown(take, item);
	rc = ul_trash_read(take->store->trash_fd, take->store->form, name,
			   &take->inventory->arena, &record, &ignored);
	if (rc == UL_E_NOMEM)
		return ul_err_nomem(take->err);
	if (rc)
		return add_unknown(take, item);
	rc = overhead_add(take, item);
	return rc ? rc : take_trash(take, name, &record);
}

/* A file of ours, or one that is just being put in its place. */
static bool is_one_of_files(const char *name, const char *const *known)
{
	for (; *known; known++) {
		if (!strcmp(name, *known) ||
		    ul_file_is_half_written(name, *known))
			return true;
	}
	return false;
}

static bool is_one_of(const char *name, const char *const *known)
{
	for (; *known; known++) {
		if (!strcmp(name, *known))
			return true;
	}
	return false;
}

/* Folders are taken by themselves; files of ours count as overhead. */
static int classify_known(struct take *take, const char *name,
			  struct ul_item *item, const char *const *dirs,
			  const char *const *files)
{
	if (item->is_dir && is_one_of(name, dirs))
		return 0;
	if (item->is_dir || !is_one_of_files(name, files))
		return add_unknown(take, item);
	return overhead_add(take, item);
}

static int classify_root(struct take *take, const char *name,
			 struct ul_item *item)
{
	static const char *const dirs[] = { "oci", "snapshots", "ingest",
					    "trash", NULL };
	static const char *const files[] = { "store-id", NULL };

	return classify_known(take, name, item, dirs, files);
}

static int classify_oci(struct take *take, const char *name,
			struct ul_item *item)
{
	static const char *const dirs[] = { "blobs", NULL };
	static const char *const files[] = { "oci-layout", "index.json",
					     UL_INDEX_LOCK_NAME, NULL };
	const struct ul_form *form = take->store->form;

	if (ul_layout_is_leftover(name))
		return classify_leftover(take, name, item);
	if (item->is_dir && !strcmp(name, "ingest"))
		return take_dir(take, item->path, classify_leftover);
	if (!form->is_ours && item->is_dir && !strcmp(name, form->trash))
		return 0;
	return classify_known(take, name, item, dirs, files);
}

/* Folders of other algorithms are unknown: kept, and named. */
static int classify_alg(struct take *take, const char *name,
			struct ul_item *item)
{
	if (item->is_dir && !strcmp(name, "sha256"))
		return take_dir(take, item->path, classify_sha256);
	if (item->is_dir && !strcmp(name, "sha512"))
		return take_dir(take, item->path, classify_sha512);
	return add_unknown(take, item);
}

static int inode_cmp(const void *a, const void *b)
{
	const struct ul_item_inode *left = a, *right = b;

	if (left->dev != right->dev)
		return left->dev < right->dev ? -1 : 1;
	return left->ino < right->ino ? -1 : left->ino > right->ino;
}

bool ul_inventory_has_inode(const struct ul_inventory *inventory, uint64_t dev,
			    uint64_t ino)
{
	struct ul_item_inode wanted = { .dev = dev, .ino = ino };

	return inventory->inode_count &&
	       bsearch(&wanted, inventory->inodes, inventory->inode_count,
		       sizeof wanted, inode_cmp);
}

static void inodes_count(struct ul_inventory *inventory)
{
	struct ul_item_inode *inodes = inventory->inodes;
	size_t i, len = 0;

	if (!inventory->inode_count)
		return;
	qsort(inodes, inventory->inode_count, sizeof *inodes, inode_cmp);
	for (i = 0; i < inventory->inode_count; i++) {
		if (len && !inode_cmp(&inodes[len - 1], &inodes[i]))
			continue;
		inodes[len++] = inodes[i];
		inventory->overhead_bytes += inodes[i].allocated_bytes;
	}
	inventory->inode_count = len;
}

/* A folder of the store, and what is in it. */
struct folder {
	const char *dir;
	classify_fn *classify;
};

static int take_embedded(struct take *take)
{
	static const struct folder folders[] = {
		{ ".", classify_root },
		{ "oci", classify_oci },
		{ "oci/blobs", classify_alg },
		{ "snapshots", classify_snapshot },
		{ "ingest", classify_ingest },
		{ "trash", classify_trash },
	};
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < ul_array_len(folders); i++)
		rc = take_dir(take, folders[i].dir, folders[i].classify);
	return rc;
}

/*
 * Not all of it has to be there, and what is no folder but a symlink leads
 * out of the store: it counts as the unknown name that it is, and nothing
 * behind it is looked at.
 */
static int take_layout(struct take *take)
{
	const struct folder folders[] = {
		{ ".", classify_oci },
		{ take->store->form->trash, classify_trash },
		{ "blobs", classify_alg },
	};
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < ul_array_len(folders); i++) {
		struct ul_item item;

		rc = item_stat(take, take->store->root_fd, folders[i].dir,
			       folders[i].dir, &item);
		if (rc > 0)
			rc = item.is_dir ? take_dir(take, folders[i].dir,
						    folders[i].classify)
					 : 0;
	}
	return rc;
}

int ul_inventory_take(struct ul_embedded *store, struct ul_inventory *ret,
		      struct ul_err *err)
{
	ul_cleanup(ul_inventory_release) struct ul_inventory inventory =
	    UL_INVENTORY_INIT;
	struct take take = {
		.store = store,
		.inventory = &inventory,
		.err = err,
	};
	int rc = 0;

	if (ul_scan_stat(store->root_fd, "", &take.top))
		rc = ul_err_sys(err, "stat %s", store->path);
	if (!rc)
		rc = store->form->is_ours ? take_embedded(&take)
					  : take_layout(&take);
	if (rc)
		return ul_err_wrap(err, "looking through %s", store->path);
	inodes_count(&inventory);
	*ret = inventory;
	inventory = UL_INVENTORY_INIT;
	return 0;
}
