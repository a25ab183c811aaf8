/* The folders of a store that blobs and trees are moved from and put back to.
 */
#include "store/embedded/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/store.h"

enum { FOLDER_WAIT_MS = 5000 };

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

static int ingest_folder_make(struct ul_embedded *store, const char *name,
			      int *ret_fd, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	int rc;

	if (mkdirat(store->ingest_fd, name, 0700))
		return ul_err_sys(err, "make directory %s/ingest/%s",
				  store->path, name);
	rc = ul_dir_open(store->ingest_fd, name, &fd, err);
	/* One that counts what lies here may hold it for a moment. */
	if (!rc)
		rc = ul_fd_lock(fd, true, FOLDER_WAIT_MS, NULL, NULL, err);
	if (rc)
		unlinkat(store->ingest_fd, name, AT_REMOVEDIR);
	else
		*ret_fd = ul_fd_steal(&fd);
	return rc;
}

int ul_embedded_ingest_folder(struct ul_embedded *store, char ret_name[17],
			      int *ret_fd, struct ul_err *err)
{
	bool is_ours = !store->is_locked;
	char name[17];
	int rc = 0;

	if (is_ours)
		rc = ul_fd_lock(store->root_fd, true, store->lock_wait_ms,
				store->waiting, store->waiting_arg, err);
	if (rc)
		return ul_err_wrap(err, "changing %s", store->path);
	ul_random_hex(name);
	rc = ingest_folder_make(store, name, ret_fd, err);
	if (is_ours)
		flock(store->root_fd, LOCK_UN);
	if (!rc)
		memcpy(ret_name, name, sizeof name);
	return rc;
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

int ul_embedded_sync_folders(struct ul_embedded *store, struct ul_err *err)
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
