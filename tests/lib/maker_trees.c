/*
 * Snapshots with trees in them, hard links, and files that are none of ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/err.h"
#include "store/embedded/snapshot.h"
#include "store/embedded/snapshot_dir.h"
#include "tests/lib/maker.h"

enum { TREE_DEPTH_MAX = 3 };

static void tree_fill(struct maker *maker, const char *top, int depth);

/* A long target does not fit into an inode. */
static void tree_symlink(struct maker *maker, const char *path)
{
	char target[400];
	size_t len = 1 + maker_below(maker, sizeof target - 1);

	memset(target, 't', len);
	target[len] = '\0';
	if (symlink(target, path))
		maker_die("symlink %s: %m", path);
}

static void tree_xattr(struct maker *maker, const char *path)
{
	char value[3000];

	memset(value, 'x', sizeof value);
	/* Not every file system takes so long a one. */
	if (setxattr(path, "user.test", value, maker_below(maker, sizeof value),
		     0) &&
	    errno != ENOSPC && errno != EOPNOTSUPP)
		maker_die("setxattr %s: %m", path);
}

static void tree_entry(struct maker *maker, const char *path, int depth)
{
	switch (maker_below(maker, 12)) {
	case 0:
	case 1:
		maker_dir(path);
		if (depth < TREE_DEPTH_MAX)
			tree_fill(maker, path, depth + 1);
		break;
	case 2:
		tree_symlink(maker, path);
		break;
	case 3: /* a whiteout; a fifo for those who may not make one */
		if (mknod(path, S_IFCHR, 0) && mkfifo(path, 0600))
			maker_die("mknod %s: %m", path);
		break;
	default:
		maker_file(maker, path,
			   maker_below(maker, 6) ? maker_size(maker, 30000)
						 : 0);
		if (maker_chance(maker, 10))
			tree_xattr(maker, path);
	}
}

static void tree_fill(struct maker *maker, const char *top, int depth)
{
	size_t i, count = maker_below(maker, 8);
	char path[MAKER_PATH_MAX];

	/* Enough names for a second block of the directory. */
	if (maker_chance(maker, 3)) {
		unsigned int turn = maker->counter++;

		for (i = 0; i < 60; i++) {
			snprintf(path, sizeof path, "%s/many-%u-%u-%0150zu",
				 top, maker->phase, turn, i);
			maker_file(maker, path, 0);
		}
	}
	for (i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s/e%u-%u", top, maker->phase,
			 maker->counter++);
		tree_entry(maker, path, depth);
	}
}

static void unpack_layer(struct maker *maker, const char *chain,
			 const char *parent)
{
	struct ul_err err = UL_ERR_INIT;
	char name[32];
	struct ul_new_layer layer = { name, chain, parent, false };

	if (!access(maker_path(maker, "snapshots/layer-%s", chain + 7), F_OK))
		return;
	snprintf(name, sizeof name, "unpack-%u-%u", maker->phase,
		 maker->counter++);
	maker_dir(maker_path(maker, "ingest/%s", name));
	maker_dir(maker_path(maker, "ingest/%s/work", name));
	maker_dir(maker_path(maker, "ingest/%s/fs", name));
	tree_fill(maker, maker_path(maker, "ingest/%s/fs", name), 0);
	if (ul_snapshot_adopt_layers(maker->store, &layer, 1, &err))
		maker_die("%s", err.msg);
}

/* The layers of a config, from below, sometimes not to the top. */
static void unpack_config(struct maker *maker, const json_t *config)
{
	const json_t *diff_ids =
	    json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	char chain[UL_DIGEST_TEXT_MAX], parent[UL_DIGEST_TEXT_MAX] = "";
	struct ul_digest sum = UL_DIGEST_INIT, diff;
	size_t i, count = json_array_size(diff_ids);

	if (count && maker_chance(maker, 10))
		count = maker_below(maker, count);
	for (i = 0; i < count; i++) {
		if (!ul_digest_parse(
			json_string_value(json_array_get(diff_ids, i)), &diff))
			maker_die("no diff ID");
		ul_digest_chain(&sum, &diff, &sum);
		ul_digest_format(&sum, chain);
		unpack_layer(maker, chain, parent);
		strcpy(parent, chain);
	}
}

static void unpack_some(struct maker *maker)
{
	struct maker_paths blobs = { .paths = NULL };
	size_t i;

	maker_list(maker, "oci/blobs/sha256", &blobs, NULL);
	for (i = 0; i < blobs.len; i++) {
		json_t *json = json_load_file(blobs.paths[i], 0, NULL);

		if (json_object_get(json, "rootfs") && maker_chance(maker, 50))
			unpack_config(maker, json);
		json_decref(json);
	}
	maker_paths_release(&blobs);
}

/* A committed snapshot to stand on, "" for none. */
static const char *choose_parent(struct maker *maker,
				 const struct ul_snapshots *list)
{
	const struct ul_snapshot *snapshot;

	if (!list->len || maker_chance(maker, 20))
		return "";
	snapshot = &list->snapshots[maker_below(maker, list->len)];
	return snapshot->kind == UL_SNAPSHOT_COMMITTED ? snapshot->key : "";
}

static void user_snapshot(struct maker *maker)
{
	struct ul_snapshots list = UL_SNAPSHOTS_INIT;
	char key[32], name[48], dir[UL_SNAPSHOT_DIR_MAX];
	bool is_view = maker_chance(maker, 25);
	struct ul_err err = UL_ERR_INIT;
	int rc;

	snprintf(key, sizeof key, "user/%u-%u", maker->phase, maker->counter++);
	rc = ul_snapshots_load(maker->store, &list, &err);
	if (!rc)
		rc = ul_snapshot_prepare(maker->store, key,
					 choose_parent(maker, &list), is_view,
					 NULL, &err);
	ul_snapshots_release(&list);
	if (rc)
		maker_die("%s", err.msg);
	if (is_view || !ul_snapshot_dir_name(key, false, dir))
		return;
	tree_fill(maker, maker_path(maker, "snapshots/%s/fs", dir), 0);
	snprintf(name, sizeof name, "commit-%s", key + 5);
	if (maker_chance(maker, 40) &&
	    ul_snapshot_commit(maker->store, name, key, NULL, &err))
		maker_die("%s", err.msg);
}

/* A folder that some stop has left without its record. */
static void lost_folders(struct maker *maker)
{
	const char *path;

	if (maker_chance(maker, 25)) {
		path = maker_path(maker, "snapshots/key-lost-%u-%u",
				  maker->phase, maker->counter++);
		maker_dir(path);
		tree_fill(maker, path, 1);
	}
	if (maker_chance(maker, 25)) {
		path = maker_path(maker, "ingest/left-%u-%u", maker->phase,
				  maker->counter++);
		maker_dir(path);
		tree_fill(maker, path, 1);
	}
	if (maker_chance(maker, 10))
		maker_file(maker,
			   maker_path(maker, "ingest/file-%u-%u", maker->phase,
				      maker->counter++),
			   maker_size(maker, 30000));
}

void maker_snapshots(struct maker *maker)
{
	size_t count = maker_below(maker, 5);

	unpack_some(maker);
	for (; count; count--)
		user_snapshot(maker);
	lost_folders(maker);
}

static void remove_snapshot(struct maker *maker)
{
	struct ul_snapshots list = UL_SNAPSHOTS_INIT;
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_snapshots_load(maker->store, &list, &err);

	if (!rc && list.len)
		rc = ul_snapshot_remove(
		    maker->store,
		    list.snapshots[maker_below(maker, list.len)].key, &err);
	if (rc && rc != UL_E_REFUSED)
		maker_die("%s", err.msg);
	ul_snapshots_release(&list);
}

void maker_snapshot_work(struct maker *maker)
{
	struct maker_paths dirs = { .paths = NULL };

	if (maker_chance(maker, 50))
		remove_snapshot(maker);
	if (maker_chance(maker, 50))
		user_snapshot(maker);
	if (maker_chance(maker, 30))
		unpack_some(maker);
	lost_folders(maker);
	maker_list(maker, "snapshots", NULL, &dirs);
	if (dirs.len > 1)
		tree_fill(maker,
			  dirs.paths[1 + maker_below(maker, dirs.len - 1)], 2);
	maker_paths_release(&dirs);
}

static bool is_record(const char *path)
{
	const char *name = strrchr(path, '/');

	return !strcmp(name, "/record.json");
}

static void link_file(const char *from, const char *to)
{
	/* A full link count is no failure of ours. */
	if (link(from, to) && errno != EMLINK)
		maker_die("link %s %s: %m", from, to);
}

/* Within trees, between them, from blobs and trash into trees, to outside. */
void maker_links(struct maker *maker)
{
	struct maker_paths files = { .paths = NULL }, dirs = { .paths = NULL };
	size_t count = 1 + maker_below(maker, 10);
	char to[MAKER_PATH_MAX];

	maker_list(maker, "snapshots", &files, &dirs);
	maker_list(maker, "oci/blobs/sha256", &files, NULL);
	maker_list(maker, "trash", &files, NULL);
	maker_list(maker, "ingest", &files, NULL);
	for (; count && files.len; count--) {
		const char *from = files.paths[maker_below(maker, files.len)];

		if (is_record(from))
			continue;
		if (dirs.len > 1 && maker_chance(maker, 75))
			snprintf(
			    to, sizeof to, "%s/link%u-%u",
			    dirs.paths[1 + maker_below(maker, dirs.len - 1)],
			    maker->phase, maker->counter++);
		else
			snprintf(to, sizeof to, "%s/link%u-%u", maker->outside,
				 maker->phase, maker->counter++);
		link_file(from, to);
	}
	maker_paths_release(&files);
	maker_paths_release(&dirs);
}

/*
 * A copy by hard link of the store's own records is made beside them alone:
 * in a tree it would become the last link, and so the tree's, by the store's
 * replacing the file in the very run that removes the tree.
 */
static bool is_own_record(const char *path)
{
	const char *name = strrchr(path, '/');

	return is_record(path) || !strcmp(name, "/store-id") ||
	       !strcmp(name, "/index.json");
}

static void foreign_link(struct maker *maker, const char *from,
			 const char *path)
{
	if (is_own_record(from))
		path = maker_path(maker, "oci/copy-%u-%u", maker->phase,
				  maker->counter++);
	link_file(from, path);
}

static void foreign_one(struct maker *maker, const struct maker_paths *files,
			const char *path)
{
	switch (maker_below(maker, 3)) {
	case 0:
		maker_dir(path);
		tree_fill(maker, path, 1);
		break;
	case 1:
		maker_file(maker, path, maker_size(maker, 30000));
		break;
	default:
		if (files->len)
			foreign_link(
			    maker, files->paths[maker_below(maker, files->len)],
			    path);
	}
}

void maker_foreign(struct maker *maker)
{
	struct maker_paths files = { .paths = NULL }, dirs = { .paths = NULL };
	size_t count = 1 + maker_below(maker, 3);

	maker_list(maker, "", &files, &dirs);
	for (; count; count--) {
		const char *dir = dirs.paths[maker_below(maker, dirs.len)];
		char path[MAKER_PATH_MAX];

		snprintf(path, sizeof path, "%s/foreign-%u-%u", dir,
			 maker->phase, maker->counter++);
		foreign_one(maker, &files, path);
	}
	maker_paths_release(&files);
	maker_paths_release(&dirs);
}
