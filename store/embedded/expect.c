/*
 * Whether a view still tells what reaches what. Under the lock leases and
 * snapshots are as they were; content is named by its digest. What others can
 * change is which names stand in the index, and which blobs are there: a
 * manifest that was absent, or one whose subject is reachable, refers to
 * blobs that nothing else refers to.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/ops.h"
#include "store/embedded/store.h"
#include "store/graph/graph.h"
#include "store/oci/descriptor.h"
#include "store/oci/layout.h"
#include "store/view.h"

int ul_roots_expect(struct ul_embedded *store, const struct ul_view *view,
		    struct ul_err *err)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	uint64_t hash;
	int rc = ul_embedded_index_read_new(store, view->roots_stamp, &index,
					    &hash, err);

	if (!rc && hash != view->roots_stamp)
		return ul_err_set(err, UL_E_CONFLICT,
				  "the index was changed by another program "
				  "just now; try again");
	return rc;
}

static bool is_blob_known(const struct ul_view *view, const char *hex)
{
	char key[UL_DIGEST_TEXT_MAX];
	uint32_t at;

	if (snprintf(key, sizeof key, "sha256:%s", hex) >= (int)sizeof key)
		return true; /* no digest: nothing of ours */
	at = ul_record_find(&view->record, UL_KIND_BLOB, "", "", key);
	return at != UL_OBJECT_NONE && view->record.objects[at].is_present;
}

/* Names alone: nothing is looked at but the folder. */
static int blobs_expect(struct ul_embedded *store, const struct ul_view *view,
			struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	struct ul_digest digest;
	size_t i;
	int rc = ul_dir_names(store->blobs_fd, &names, err);

	for (i = 0; !rc && i < names.len; i++) {
		if (ul_digest_parse_hex(UL_DIGEST_SHA256, names.names[i],
					&digest) &&
		    !is_blob_known(view, names.names[i]))
			return ul_err_set(err, UL_E_CONFLICT,
					  "blob sha256:%.12s has come just "
					  "now; try again",
					  names.names[i]);
	}
	return rc;
}

static bool is_document(const struct ul_object *object)
{
	enum ul_media media = ul_media_of(object->media_type);

	return media == UL_MEDIA_MANIFEST || media == UL_MEDIA_INDEX ||
	       media == UL_MEDIA_CONFIG;
}

/* Manifests of other algorithms are no items of the view, but refer to some:
 * those that could be read are known. */
static int others_expect(struct ul_embedded *store, const struct ul_view *view,
			 struct ul_err *err)
{
	const struct ul_record *record = &view->record;
	size_t i;

	for (i = 0; i < record->object_count; i++) {
		const struct ul_object *object = &record->objects[i];

		if (object->kind == UL_KIND_BLOB && object->is_reachable &&
		    object->content == UL_CONTENT_UNKNOWN &&
		    is_document(object) &&
		    ul_embedded_blob_is_elsewhere(store, object->key))
			return ul_err_set(err, UL_E_CONFLICT,
					  "blob %.19s has come just now; try "
					  "again",
					  object->key);
	}
	return 0;
}

int ul_embedded_expect(struct ul_store *base, const struct ul_view *view,
		       struct ul_err *err)
{
	struct ul_embedded *store = (struct ul_embedded *)base;
	int rc;

	assert(store->is_locked);
	rc = ul_roots_expect(store, view, err);
	if (!rc)
		rc = blobs_expect(store, view, err);
	return rc ? rc : others_expect(store, view, err);
}
