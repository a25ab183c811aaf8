/* The folders of a store that blobs and trees are moved from and put back to.
 */
#include "store/embedded/ops.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/store.h"

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
