/*
 * Whether a view still tells what reaches what. Under the lock leases and
 * snapshots are as they were; content is named by its digest. What others can
 * change is which names stand in the index, and which blobs are there: a
 * manifest that was absent, or one whose subject is reachable, refers to
 * blobs that nothing else refers to.
 */
#include <assert.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/ops.h"
#include "store/embedded/store.h"
#include "store/graph/graph.h"
#include "store/oci/index_file.h"
#include "store/view.h"

static bool is_blob_known(const struct ul_view *view,
			  const struct ul_digest *digest)
{
	char key[UL_DIGEST_TEXT_MAX];
	uint32_t at;

	ul_digest_format(digest, key);
	at = ul_record_find(&view->record, UL_KIND_BLOB, "", "", key);
	return at != UL_OBJECT_NONE && view->record.objects[at].is_present;
}

/* Names alone: nothing is looked at but the folder. */
static int folder_expect(struct ul_embedded *store, const struct ul_view *view,
			 uint8_t alg, struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_digest digest;
	size_t i;
	int rc = ul_embedded_blob_folder_open(store, alg, &fd, err);

	if (fd < 0)
		return rc;
	if (!rc)
		rc = ul_dir_names(fd, &names, err);
	for (i = 0; !rc && i < names.len; i++) {
		if (ul_digest_parse_hex(alg, names.names[i], &digest) &&
		    !is_blob_known(view, &digest))
			return ul_err_set(err, UL_E_CONFLICT,
					  "blob %s:%.12s has come just now; "
					  "try again",
					  ul_digest_alg_name(alg),
					  names.names[i]);
	}
	return rc;
}

int ul_embedded_expect(struct ul_store *base, const struct ul_view *view,
		       struct ul_err *err)
{
	struct ul_embedded *store = (struct ul_embedded *)base;
	uint8_t alg;
	int rc;

	assert(store->is_locked);
	rc = ul_index_file_expect(store->oci_fd, &view->roots_stamp, err);
	for (alg = UL_DIGEST_SHA256; !rc && ul_digest_size(alg); alg++)
		rc = folder_expect(store, view, alg, err);
	return rc;
}
