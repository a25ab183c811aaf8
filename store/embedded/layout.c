#define XXH_INLINE_ALL
#include "store/embedded/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/form.h"
#include "store/embedded/open.h"
#include "store/embedded/store.h"

const struct ul_form ul_form_oci = {
	.kind = "oci",
	.layout = "",
	.trash = ".ullage-trash",
	/* Its writers are others: slow pushes, builds that go on for hours. */
	.grace_s = 24 * 3600,
};

static bool is_there(int dirfd, const char *name)
{
	return !faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

/*
 * The layout within an embedded store: what leases and snapshots hold there
 * would be garbage to who sees the layout alone, under a lock of its own.
 */
static int layout_is_alone(struct ul_embedded *store, struct ul_err *err)
{
	static const char *const folders[] = { "../snapshots", "../ingest",
					       "../trash" };
	const char *name = strrchr(store->path, '/') + 1;
	size_t i, count = 0;

	for (i = 0; i < ul_array_len(folders); i++)
		count += is_there(store->root_fd, folders[i]);
	/* One that lost its store-id is one still. */
	if (strcmp(name, "oci") != 0 ||
	    (!is_there(store->root_fd, "../store-id") &&
	     count < ul_array_len(folders)))
		return 0;
	return ul_err_set(err, UL_E_REFUSED,
			  "it is part of a store that ullage made, which has "
			  "leases and snapshots too; without --store oci: that "
			  "store is opened, one elsewhere with --state DIR");
}

/* Caches of older BuildKits have no oci-layout. */
static int layout_check(struct ul_embedded *store, struct ul_err *err)
{
	int rc = ul_layout_marker_wait(store, err);

	if (rc != UL_E_ABSENT)
		return rc;
	if (is_there(store->root_fd, "index.json") &&
	    is_there(store->root_fd, "blobs"))
		return 0;
	return ul_err_set(err, UL_E_CORRUPT,
			  "no OCI image layout: there is neither oci-layout "
			  "nor index.json beside blobs/");
}

/*
 * Which directory it is, whatever is mounted where: device numbers change
 * with each start of the machine, the file system's own id does not.
 */
static int layout_identify(struct ul_embedded *store, struct ul_err *err)
{
	struct {
		uint64_t fs, inode, born_s, born_ns;
	} who = { 0 };
	struct statfs fs;
	struct statx stx;
	XXH128_hash_t hash;

	if (fstatfs(store->root_fd, &fs) ||
	    statx(store->root_fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME,
		  &stx))
		return ul_err_sys(err, "stat %s", store->path);
	memcpy(&who.fs, &fs.f_fsid, sizeof who.fs);
	who.inode = stx.stx_ino;
	if (stx.stx_mask & STATX_BTIME) {
		who.born_s = (uint64_t)stx.stx_btime.tv_sec;
		who.born_ns = stx.stx_btime.tv_nsec;
	}
	hash = XXH3_128bits(&who, sizeof who);
	snprintf(store->uid, sizeof store->uid, "%016llx%016llx",
		 (unsigned long long)hash.high64,
		 (unsigned long long)hash.low64);
	return 0;
}

/* Absent, or a symlink, which leads out of the store: nothing there is ours. */
static int blobs_open(struct ul_embedded *store, struct ul_err *err)
{
	struct stat st;

	if (fstatat(store->root_fd, "blobs", &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISDIR(st.st_mode))
		return 0;
	return ul_dir_open(store->root_fd, "blobs", &store->blobs_fd, err);
}

static int layout_open_dirs(struct ul_embedded *store, struct ul_err *err)
{
	int rc = ul_dir_open(AT_FDCWD, store->path, &store->root_fd, err);

	if (!rc)
		rc = ul_dir_open(store->root_fd, ".", &store->oci_fd, err);
	if (!rc)
		rc = layout_is_alone(store, err);
	if (!rc)
		rc = layout_check(store, err);
	if (!rc)
		rc = blobs_open(store, err);
	if (!rc)
		rc = ul_trash_reopen(store, err);
	return rc ? rc : layout_identify(store, err);
}

static bool may_write(const struct ul_embedded *store)
{
	return !faccessat(store->root_fd, ".", W_OK, AT_EACCESS) &&
	       (store->blobs_fd < 0 ||
		!faccessat(store->blobs_fd, ".", W_OK, AT_EACCESS));
}

/* A state directory that is not there comes with the first change. */
static int layout_open_db(struct ul_embedded *store, struct ul_err *err)
{
	bool is_none = access(store->state_path, F_OK) != 0;

	store->is_writable =
	    may_write(store) && !access(store->state_path, W_OK);
	/* Nor is a database that nobody could have made one that is lost. */
	store->is_stateless =
	    is_none || (!store->is_writable && access(store->db_path, F_OK) &&
			errno == ENOENT);
	if (is_none && may_write(store))
		snprintf(store->problem, sizeof store->problem,
			 "there is no state directory %.200s",
			 store->state_path);
	return ul_embedded_open_db(store, err);
}

int ul_layout_open(const char *path, const char *state_path,
		   struct ul_embedded **ret_store, struct ul_err *err)
{
	ul_cleanup(ul_freep) char *whole = realpath(path, NULL);
	ul_cleanup(ul_embedded_closep) struct ul_embedded *store = NULL;
	int rc;

	if (!whole && (errno == ENOENT || errno == ENOTDIR))
		return ul_err_set(err, UL_E_ABSENT,
				  "no store oci:%s: there is no such directory",
				  path);
	if (!whole)
		return ul_err_sys(err, "opening the store oci:%s", path);
	store = ul_embedded_new(&ul_form_oci, state_path, whole, whole);
	if (!store)
		return ul_err_nomem(err);
	rc = layout_open_dirs(store, err);
	if (!rc)
		rc = layout_open_db(store, err);
	if (rc)
		return ul_err_wrap(err, "opening the store oci:%s", path);
	*ret_store = ul_steal(store);
	return 0;
}
