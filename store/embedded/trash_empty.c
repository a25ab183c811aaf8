/*
 * Deleting what lies in the trash: trees are given another name first, so that
 * none that is half deleted is ever put back (gc/INVARIANTS.md: I1, I3).
 */
#include "store/embedded/ops.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/remove.h"
#include "store/embedded/store.h"
#include "store/embedded/trash.h"
#include "store/view.h"

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
	rc = ul_sweep_expect_roots(store, view, err);
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
