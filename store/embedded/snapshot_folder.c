#include "store/embedded/snapshot_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/store.h"

/* Owner first: chown() takes set-id bits away. */
static int set_top(int dir_fd, const struct stat *like, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	struct stat st;
	int rc = ul_dir_open(dir_fd, "fs", &fd, err);

	if (rc)
		return rc;
	if (fstat(fd, &st))
		return ul_err_sys(err, "stat fs");
	if ((st.st_uid != like->st_uid || st.st_gid != like->st_gid) &&
	    fchown(fd, like->st_uid, like->st_gid))
		return ul_err_sys(err, "set the owner of fs");
	if (fchmod(fd, like->st_mode & 07777))
		return ul_err_sys(err, "set the mode of fs");
	return 0;
}

static int top_of(struct ul_embedded *store, const char *parent_dir,
		  struct stat *ret, struct ul_err *err)
{
	char path[UL_SNAPSHOT_DIR_MAX + sizeof "/fs"];

	*ret = (struct stat){
		.st_mode = 0755,
		.st_uid = geteuid(),
		.st_gid = getegid(),
	};
	if (!parent_dir)
		return 0;
	snprintf(path, sizeof path, "%s/fs", parent_dir);
	if (!fstatat(store->snapshots_fd, path, ret, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (errno == ENOENT)
		return ul_err_set(err, UL_E_ABSENT,
				  "the parent's folder %s/snapshots/%s is gone",
				  store->path, path);
	return ul_err_sys(err, "stat %s/snapshots/%s", store->path, path);
}

static int folder_fill(int dir_fd, const struct stat *top, bool is_view,
		       struct ul_err *err)
{
	if (mkdirat(dir_fd, "fs", 0700))
		return ul_err_sys(err, "make directory fs");
	if (!is_view && mkdirat(dir_fd, "work", 0700))
		return ul_err_sys(err, "make directory work");
	return set_top(dir_fd, top, err);
}

/* What was made so far holds nothing; another one is made next time. */
static void folder_drop(struct ul_embedded *store, const char *name, int dir_fd)
{
	unlinkat(dir_fd, "fs", AT_REMOVEDIR);
	unlinkat(dir_fd, "work", AT_REMOVEDIR);
	unlinkat(store->ingest_fd, name, AT_REMOVEDIR);
}

int ul_snapshot_folder_make(struct ul_embedded *store, const char *parent_dir,
			    bool is_view, char ret_name[17], int *ret_fd,
			    struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	struct stat top;
	int rc = top_of(store, parent_dir, &top, err);

	if (rc)
		return rc;
	/* Set-id programs in an image are for those who mount it, not for
	 * every user of the machine: nobody else gets into this folder
	 * (CVE-2021-41103). */
	rc = ul_embedded_ingest_folder(store, ret_name, &fd, err);
	if (rc)
		return rc;
	rc = folder_fill(fd, &top, is_view, err);
	if (rc) {
		folder_drop(store, ret_name, fd);
		return rc;
	}
	*ret_fd = ul_fd_steal(&fd);
	return 0;
}

static int sync_below(int dir_fd, const char *name, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	int rc = ul_dir_open(dir_fd, name, &fd, err);

	return rc ? rc : ul_fd_sync(fd, name, err);
}

int ul_snapshot_folder_sync(int folder_fd, bool is_view, struct ul_err *err)
{
	int rc = sync_below(folder_fd, "fs", err);

	if (!rc && !is_view)
		rc = sync_below(folder_fd, "work", err);
	return rc ? rc : ul_fd_sync(folder_fd, "snapshot folder", err);
}

static int set_aside(struct ul_embedded *store, const char *dir,
		     struct ul_err *err)
{
	char hex[17];

	ul_random_hex(hex);
	if (renameat(store->snapshots_fd, dir, store->ingest_fd, hex) &&
	    errno != ENOENT)
		return ul_err_sys(err, "set aside %s/snapshots/%s", store->path,
				  dir);
	return 0;
}

static int move_in(struct ul_embedded *store, int from_fd, const char *from,
		   const char *dir, struct ul_err *err)
{
	int rc = set_aside(store, dir, err);

	if (!rc && renameat(from_fd, from, store->snapshots_fd, dir))
		rc = ul_err_sys(err, "rename %s to %s/snapshots/%s", from,
				store->path, dir);
	return rc;
}

int ul_snapshot_folder_place(struct ul_embedded *store, const char *ingest_name,
			     const char *dir, struct ul_err *err)
{
	return move_in(store, store->ingest_fd, ingest_name, dir, err);
}

int ul_snapshot_folder_rename(struct ul_embedded *store, const char *from,
			      const char *to, struct ul_err *err)
{
	int rc = move_in(store, store->snapshots_fd, from, to, err);

	return rc ? rc : ul_snapshot_folders_sync(store, err);
}

int ul_snapshot_folders_sync(struct ul_embedded *store, struct ul_err *err)
{
	return ul_fd_sync(store->snapshots_fd, "snapshots", err);
}
