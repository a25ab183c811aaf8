/*
 * What sweeping leaves in the trash's folders, and what a stop leaves behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/form.h"
#include "store/embedded/open.h"
#include "store/embedded/store.h"
#include "store/embedded/trash.h"

static bool is_trash_folder(int dirfd, const char *name)
{
	struct stat st;

	return ul_trash_folder_is_one(name) &&
	       !fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       S_ISDIR(st.st_mode);
}

int ul_trash_folders(const struct ul_embedded *store,
		     struct ul_names *ret_names, struct ul_err *err)
{
	return store->trash_fd < 0
		   ? 0
		   : ul_dir_names(store->trash_fd, ret_names, err);
}

/* Whoever wrote such a file had the lock, which is ours now. */
static int half_written_remove(int dirfd, const char *name, struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	size_t i;
	int rc = ul_dir_names(dirfd, &names, err);

	for (i = 0; !rc && i < names.len; i++) {
		if (ul_file_is_half_written(names.names[i], name) &&
		    unlinkat(dirfd, names.names[i], 0) && errno != ENOENT)
			rc = ul_err_sys(err, "remove %s", names.names[i]);
	}
	return rc;
}

void ul_trash_lies_release(struct ul_trash_lies *lies)
{
	ul_map_release(&lies->by_path);
	ul_arena_release(&lies->arena);
}

static bool lies_there(struct ul_embedded *store, const char *dir,
		       const struct ul_trash_item *item)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", dir, item->name);
	return !faccessat(store->trash_fd, path, F_OK, AT_SYMLINK_NOFOLLOW);
}

static int lies_add(struct ul_embedded *store, struct ul_trash_lies *lies,
		    const char *dir, struct ul_err *err)
{
	struct ul_trash_record record;
	struct ul_err ignored = UL_ERR_INIT;
	size_t i;
	int rc = ul_trash_read(store->trash_fd, store->form, dir, &lies->arena,
			       &record, &ignored);

	if (rc)
		return rc == UL_E_NOMEM ? ul_err_nomem(err) : 0;
	for (i = 0; i < record.item_count; i++) {
		const struct ul_trash_item *item = &record.items[i];

		if (lies_there(store, dir, item) &&
		    !ul_map_set(&lies->by_path, item->path, strlen(item->path),
				0))
			return ul_err_nomem(err);
	}
	return 0;
}

int ul_trash_lies_read(struct ul_embedded *store,
		       struct ul_trash_lies *ret_lies, struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_trash_lies_release) struct ul_trash_lies lies =
	    UL_TRASH_LIES_INIT;
	size_t i;
	int rc = ul_trash_folders(store, &names, err);

	for (i = 0; !rc && i < names.len; i++)
		rc = lies_add(store, &lies, names.names[i], err);
	if (rc)
		return rc;
	*ret_lies = lies;
	lies = UL_TRASH_LIES_INIT;
	return 0;
}

const char *ul_trash_lost(struct ul_embedded *store,
			  const struct ul_trash_lies *lies,
			  const struct ul_trash_record *record)
{
	size_t i;

	for (i = 0; i < record->content_count; i++) {
		const char *path = record->content[i];

		if (faccessat(store->root_fd, path, F_OK,
			      AT_SYMLINK_NOFOLLOW) &&
		    ul_map_get_str(&lies->by_path, path) == UL_MAP_NONE)
			return path;
	}
	return NULL;
}

/*
 * A folder without things is of use while it has names to bring back: those
 * of a run that released names alone, and those of an undoing that was
 * stopped when the content was back already.
 */
static bool is_over(struct ul_embedded *store, const struct ul_trash_lies *lies,
		    const struct ul_trash_record *record, int64_t now_unix_s,
		    bool forget_names)
{
	size_t i;

	if (!record->entry_count ||
	    now_unix_s >= ul_trash_delete_unix_s(record) ||
	    (ul_trash_is_ours(store, record) &&
	     (forget_names || ul_trash_lost(store, lies, record))))
		return true;
	for (i = 0; i < record->item_count; i++) {
		if (faccessat(store->root_fd, record->items[i].path, F_OK,
			      AT_SYMLINK_NOFOLLOW))
			return true;
	}
	return false;
}

/* 1: removed, 0: of use, or not empty. */
static int folder_tidy(struct ul_embedded *store,
		       const struct ul_trash_lies *lies, const char *dir,
		       int64_t now_unix_s, bool forget_names,
		       struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_trash_record record;
	int rc = ul_dir_open(store->trash_fd, dir, &fd, err);

	if (rc == UL_E_ABSENT)
		return 0;
	if (!rc)
		rc = half_written_remove(fd, "record.json", err);
	if (!rc)
		rc = ul_dir_names(fd, &names, err);
	if (rc || names.len > 1 ||
	    (names.len == 1 && strcmp(names.names[0], "record.json")))
		return rc;
	rc = ul_trash_read(store->trash_fd, store->form, dir, &arena, &record,
			   err);
	if (rc == UL_E_NOMEM)
		return rc;
	/* It may have names to bring back, as soon as it can be read. */
	if (rc == UL_E_IO)
		return 0;
	/* Without a record, or with one that makes no sense, it has nothing. */
	if (!rc && !is_over(store, lies, &record, now_unix_s, forget_names))
		return 0;
	if (unlinkat(fd, "record.json", 0) && errno != ENOENT)
		return ul_err_sys(err, "remove trash/%s/record.json", dir);
	if (unlinkat(store->trash_fd, dir, AT_REMOVEDIR))
		return ul_err_sys(err, "remove trash/%s", dir);
	return 1;
}

int ul_trash_reopen(struct ul_embedded *store, struct ul_err *err)
{
	int rc;

	if (store->form->is_ours)
		return 0;
	ul_closep(&store->trash_fd);
	rc = ul_dir_open(store->root_fd, store->form->trash, &store->trash_fd,
			 err);
	return rc == UL_E_ABSENT ? 0 : rc;
}

int ul_trash_make(struct ul_embedded *store, struct ul_err *err)
{
	if (store->trash_fd >= 0)
		return 0;
	if (mkdirat(store->root_fd, store->form->trash, 0700) &&
	    errno != EEXIST)
		return ul_err_sys(err, "make directory %s/%s", store->path,
				  store->form->trash);
	return ul_trash_reopen(store, err);
}

/* Nothing of ours stays in a layout; one that is not empty is left. */
int ul_trash_unmake(struct ul_embedded *store, struct ul_err *err)
{
	if (store->form->is_ours)
		return 0;
	/* What a repair has set aside may have been deleted since. */
	if (store->trash_fd >= 0)
		unlinkat(store->trash_fd, UL_EMBEDDED_DAMAGED, AT_REMOVEDIR);
	if (unlinkat(store->root_fd, store->form->trash, AT_REMOVEDIR))
		return 0;
	ul_closep(&store->trash_fd);
	return ul_fd_sync(store->root_fd, "the layout", err);
}

int ul_trash_tidy(struct ul_embedded *store, int64_t now_unix_s,
		  bool forget_names, struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_trash_lies_release) struct ul_trash_lies lies =
	    UL_TRASH_LIES_INIT;
	bool is_changed = false;
	size_t i;
	int rc = ul_trash_folders(store, &names, err);

	if (store->trash_fd < 0)
		return rc;
	if (!rc && names.len)
		rc = ul_trash_lies_read(store, &lies, err);
	for (i = 0; rc >= 0 && i < names.len; i++) {
		if (!is_trash_folder(store->trash_fd, names.names[i]))
			continue;
		rc = folder_tidy(store, &lies, names.names[i], now_unix_s,
				 forget_names, err);
		is_changed = is_changed || rc > 0;
	}
	if (rc >= 0 && is_changed)
		rc = ul_fd_sync(store->trash_fd, "trash", err);
	return rc < 0 ? rc : ul_trash_unmake(store, err);
}

int ul_trash_tidy_stopped(struct ul_embedded *store, int64_t now_unix_s,
			  struct ul_err *err)
{
	int rc = 0;

	if (store->form->is_ours)
		rc = half_written_remove(store->root_fd, "store-id", err);
	if (!rc && store->form->is_ours)
		rc = half_written_remove(store->oci_fd, "oci-layout", err);
	if (!rc)
		rc = half_written_remove(store->oci_fd, "index.json", err);
	return rc ? rc : ul_trash_tidy(store, now_unix_s, false, err);
}

int ul_trash_undone(struct ul_embedded *store, const char *dir,
		    struct ul_err *err)
{
	const struct ul_trash_lies none = UL_TRASH_LIES_INIT;
	/* Its names are back: at the end of all times it is of no use. */
	int rc = folder_tidy(store, &none, dir, INT64_MAX, true, err);

	return rc < 0 ? rc : ul_trash_unmake(store, err);
}
