#include "accounting/duplicates.h"

#include <stdlib.h>
#include <string.h>

#include "accounting/report.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/view.h"

uint64_t ul_object_allocated(const struct ul_view *view, uint32_t object)
{
	const struct ul_measure *measure =
	    &view->record.objects[object].measure;
	uint64_t bytes = measure->allocated_bytes;
	size_t i;

	for (i = 0; i < measure->link_count; i++)
		bytes += measure->links[i].allocated_bytes;
	return bytes;
}

/* A blob with its layer, so that blobs of one layer sort together. */
struct layer_blob {
	const char *diff_id;
	uint64_t allocated_bytes;
	uint32_t object;
};

static int layer_blob_cmp(const void *a, const void *b)
{
	const struct layer_blob *left = a, *right = b;
	int order = strcmp(left->diff_id, right->diff_id);

	if (order)
		return order;
	if (left->allocated_bytes != right->allocated_bytes)
		return left->allocated_bytes < right->allocated_bytes ? -1 : 1;
	return left->object < right->object ? -1 : left->object > right->object;
}

static size_t layer_blobs_list(const struct ul_view *view,
			       struct layer_blob *list)
{
	const struct ul_record *record = &view->record;
	size_t i, count = 0;

	for (i = 0; i < record->object_count; i++) {
		const struct ul_object *object = &record->objects[i];

		if (object->kind != UL_KIND_BLOB || !object->is_present ||
		    !*object->diff_id)
			continue;
		list[count++] = (struct layer_blob){
			.diff_id = object->diff_id,
			.allocated_bytes =
			    ul_object_allocated(view, (uint32_t)i),
			.object = (uint32_t)i,
		};
	}
	if (count)
		qsort(list, count, sizeof *list, layer_blob_cmp);
	return count;
}

static int duplicate_add(struct ul_df *df, const struct layer_blob *run,
			 size_t count, struct ul_err *err)
{
	struct ul_duplicate *duplicate = &df->duplicates[df->duplicate_count];
	struct ul_duplicate_blob *blobs =
	    ul_arena_alloc(&df->arena, count * sizeof *blobs);
	size_t i;

	if (!blobs)
		return ul_err_nomem(err);
	*duplicate = (struct ul_duplicate){
		.diff_id = run->diff_id,
		.blobs = blobs,
		.blob_count = count,
	};
	for (i = 0; i < count; i++) {
		blobs[i].object = run[i].object;
		if (i)
			duplicate->extra_bytes += run[i].allocated_bytes;
	}
	df->duplicate_layer_bytes += duplicate->extra_bytes;
	df->duplicate_count++;
	return 0;
}

static int duplicate_cmp(const void *a, const void *b)
{
	const struct ul_duplicate *left = a, *right = b;

	if (left->extra_bytes != right->extra_bytes)
		return left->extra_bytes > right->extra_bytes ? -1 : 1;
	return strcmp(left->diff_id, right->diff_id);
}

/* Where a blob stands among the duplicates, to find it from its images. */
struct holders {
	const struct ul_view *view;
	struct ul_df *df;
	struct ul_duplicate_blob **by_object; /* owned; NULL: no duplicate */
	struct ul_err *err;
};

static int holder_add(struct holders *holders, struct ul_duplicate_blob *blob,
		      uint32_t image)
{
	uint32_t *images;
	size_t i, count = blob->image_count;

	if (count && blob->images[count - 1] == image)
		return 0;
	/* Grown at powers of two; the arena keeps the old ones till the end. */
	if (!(count & (count - 1))) {
		images =
		    ul_arena_alloc(&holders->df->arena,
				   (count ? 2 * count : 1) * sizeof *images);
		if (!images)
			return ul_err_nomem(holders->err);
		for (i = 0; i < count; i++)
			images[i] = blob->images[i];
		blob->images = images;
	}
	blob->images[blob->image_count++] = image;
	return 0;
}

static int holders_of_manifest(struct holders *holders, uint32_t manifest,
			       uint32_t image)
{
	const struct ul_record *record = &holders->view->record;
	const struct ul_object *object = &record->objects[manifest];
	uint32_t i;
	int rc = 0;

	for (i = 0; !rc && i < object->ref_count; i++) {
		uint32_t to = record->refs[object->first_ref + i].target;

		if (holders->by_object[to])
			rc = holder_add(holders, holders->by_object[to], image);
	}
	return rc;
}

static int duplicates_name(const struct ul_view *view, struct ul_df *df,
			   struct ul_err *err)
{
	ul_cleanup(ul_freep) struct ul_duplicate_blob **by_object =
	    ul_calloc(view->record.object_count, sizeof *by_object);
	struct holders holders = { view, df, by_object, err };
	size_t i, j;
	int rc = 0;

	if (!by_object)
		return ul_err_nomem(err);
	for (i = 0; i < df->duplicate_count; i++) {
		for (j = 0; j < df->duplicates[i].blob_count; j++)
			by_object[df->duplicates[i].blobs[j].object] =
			    &df->duplicates[i].blobs[j];
	}
	for (i = 0; i < view->image_count; i++) {
		const struct ul_view_image *image = &view->images[i];

		for (j = 0; !rc && j < image->platform_count; j++)
			rc = holders_of_manifest(&holders,
						 image->platforms[j].manifest,
						 (uint32_t)i);
	}
	return rc;
}

int ul_duplicates_find(const struct ul_view *view, struct ul_df *df,
		       struct ul_err *err)
{
	ul_cleanup(ul_freep) struct layer_blob *list =
	    ul_malloc(view->record.object_count * sizeof *list);
	size_t i, end, count;
	int rc = 0;

	if (!list)
		return ul_err_nomem(err);
	count = layer_blobs_list(view, list);
	df->duplicates =
	    ul_arena_alloc(&df->arena, (count / 2) * sizeof *df->duplicates);
	if (!df->duplicates)
		return ul_err_nomem(err);
	for (i = 0; !rc && i < count; i = end) {
		for (end = i + 1; end < count &&
				  !strcmp(list[end].diff_id, list[i].diff_id);)
			end++;
		if (end - i > 1)
			rc = duplicate_add(df, list + i, end - i, err);
	}
	if (rc || !df->duplicate_count)
		return rc;
	qsort(df->duplicates, df->duplicate_count, sizeof *df->duplicates,
	      duplicate_cmp);
	return duplicates_name(view, df, err);
}
