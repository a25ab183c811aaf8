/*
 * What the index names: read, or where it is the one that the record was saved
 * with, taken from there.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/scan_internal.h"
#include "store/embedded/store.h"
#include "store/oci/layout.h"

/* What another program put there was used when we first saw it. */
static int name_used(struct ul_scan *scan, const char *digest)
{
	struct ul_used *used = ul_record_used(scan->record, "", digest);

	if (!used)
		return ul_err_nomem(scan->err);
	if (used->used_unix_s)
		return 0;
	used->used_unix_s = scan->view->as_of_unix_s;
	used->is_dirty = true;
	return 0;
}

/* A name that is new, moved, or back. */
static int name_seen(struct ul_scan *scan, size_t entry, const char *name,
		     const char *digest)
{
	ul_cleanup(ul_buf_release) struct ul_buf json = UL_BUF_INIT;
	struct ul_name *row = ul_record_name(scan->record, "", name);

	if (!row)
		return ul_err_nomem(scan->err);
	row->seen_unix_s = scan->view->as_of_unix_s;
	if (!row->vanished_unix_s && !strcmp(row->digest, digest))
		return 0;
	if (ul_layout_index_entry_dump(scan->index, entry, &json, scan->err))
		return scan->err->code;
	row->digest = ul_record_text(scan->record, digest);
	row->entry = ul_record_text(scan->record, ul_buf_str(&json));
	if (!row->digest || !row->entry)
		return ul_err_nomem(scan->err);
	row->vanished_unix_s = 0;
	row->is_ours = false;
	row->is_dirty = true;
	return name_used(scan, digest);
}

static int entry_describe(struct ul_scan *scan, uint32_t blob,
			  const struct ul_descriptor *descriptor)
{
	scan->objects[blob].is_entry = true;
	scan->objects[blob].is_expected = true;
	return scan_set_media_type(scan, blob, descriptor->media_type)
		   ? 0
		   : ul_err_nomem(scan->err);
}

/* An entry of the index: the image that it names and the blob it names it for.
 */
struct entry_pair {
	uint32_t image, blob;
	size_t entry;
};

static int entry_pair_cmp(const void *a, const void *b)
{
	const struct entry_pair *left = a, *right = b;

	if (left->image != right->image)
		return left->image < right->image ? -1 : 1;
	return left->entry < right->entry ? -1 : left->entry > right->entry;
}

static int scan_entry(struct ul_scan *scan, size_t i, struct entry_pair *pair)
{
	const struct ul_layout_entry *entry =
	    ul_layout_index_entry(scan->index, i);
	const char *key = ul_layout_entry_key(entry, &scan->view->arena);
	char digest[UL_DIGEST_TEXT_MAX];

	if (!key)
		return ul_err_nomem(scan->err);
	ul_digest_format(&entry->descriptor.digest, digest);
	pair->entry = i;
	pair->blob = scan_object(scan, UL_KIND_BLOB, digest);
	pair->image = scan_object(scan, UL_KIND_IMAGE, key);
	if (pair->blob == UL_OBJECT_NONE || pair->image == UL_OBJECT_NONE)
		return ul_err_nomem(scan->err);
	return entry_describe(scan, pair->blob, &entry->descriptor);
}

static bool has_target(const struct ul_object_ref *refs, size_t count,
		       uint32_t blob)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (refs[i].target == blob)
			return true;
	}
	return false;
}

/* It stands in the index; the record gets it with the index's hash. */
static void image_named(struct ul_scan *scan, uint32_t image, bool is_named)
{
	struct ul_object *object = &scan->record->objects[image];

	scan->objects[image].is_named = is_named;
	if (is_named)
		scan->objects[image].is_expected = true;
	if (object->is_named == is_named)
		return;
	object->is_named = is_named;
	ul_record_mark(scan->record, object, UL_DIRTY_ROW);
}

/*
 * An image refers to each digest that bears its name. Other programs write
 * the same name twice; as for them, the first entry is what it stands for.
 */
static int scan_image(struct ul_scan *scan, const struct entry_pair *pairs,
		      size_t count, struct ul_object_ref *refs)
{
	const struct ul_layout_entry *first =
	    ul_layout_index_entry(scan->index, pairs->entry);
	uint32_t image = pairs->image;
	size_t i, ref_count = 0;
	int rc = 0;

	for (i = 0; i < count; i++) {
		const char *digest = scan->record->objects[pairs[i].blob].key;

		if (has_target(refs, ref_count, pairs[i].blob))
			continue;
		refs[ref_count++] = (struct ul_object_ref){
			.target = pairs[i].blob,
			.kind = UL_REF_FORWARD,
			.reason = "target",
		};
		if (first->name && !ul_record_set_named(scan->record, digest))
			return ul_err_nomem(scan->err);
	}
	image_named(scan, image, true);
	if (!ul_record_set_refs(scan->record, image, refs, ref_count))
		return ul_err_nomem(scan->err);
	if (first->name)
		rc = name_seen(scan, pairs->entry,
			       scan->record->objects[image].key,
			       scan->record->objects[pairs->blob].key);
	return rc;
}

static int scan_entries(struct ul_scan *scan)
{
	size_t i, end, count = ul_layout_index_count(scan->index);
	ul_cleanup(ul_freep) struct entry_pair *pairs =
	    ul_malloc(count * sizeof *pairs);
	ul_cleanup(ul_freep) struct ul_object_ref *refs =
	    ul_malloc(count * sizeof *refs);
	int rc = 0;

	if (!pairs || !refs)
		return ul_err_nomem(scan->err);
	for (i = 0; !rc && i < count; i++)
		rc = scan_entry(scan, i, &pairs[i]);
	if (rc)
		return rc;
	qsort(pairs, count, sizeof *pairs, entry_pair_cmp);
	for (i = 0; !rc && i < count; i = end) {
		for (end = i + 1;
		     end < count && pairs[end].image == pairs[i].image;)
			end++;
		rc = scan_image(scan, pairs + i, end - i, refs);
	}
	return rc;
}

/* Names of the record that the index no longer has. */
static int names_vanished(struct ul_scan *scan)
{
	struct ul_record *record = scan->record;
	size_t i;

	for (i = 0; i < record->name_count; i++) {
		struct ul_name *name = &record->names[i];
		uint32_t image =
		    ul_record_find(record, UL_KIND_IMAGE, "", "", name->name);

		if (name->vanished_unix_s ||
		    (image != UL_OBJECT_NONE && scan->objects[image].is_named))
			continue;
		name->vanished_unix_s = scan->view->as_of_unix_s;
		name->is_ours = false;
		name->is_dirty = true;
	}
	return 0;
}

/* An image stands in the index, as the last good reading of it said. */
static void image_recorded(struct ul_scan *scan, uint32_t image)
{
	const struct ul_record *record = scan->record;
	const struct ul_object *object = &record->objects[image];
	uint32_t r;

	scan->objects[image].is_expected = true;
	scan->objects[image].is_named = true;
	for (r = 0; r < object->ref_count; r++) {
		uint32_t target = record->refs[object->first_ref + r].target;

		scan->objects[target].is_entry = true;
		scan->objects[target].is_expected = true;
	}
}

/*
 * Whether the record says of an image what the index said. Not so of a name
 * that we let go of where another program has put the old index back.
 */
static bool image_fits(const struct ul_record *record,
		       const struct ul_object *image)
{
	const struct ul_name *name;
	const char *digest;

	if (!image->ref_count)
		return false;
	digest = record->objects[record->refs[image->first_ref].target].key;
	if (!strcmp(image->key, digest))
		return true;
	name = ul_record_find_name(record, "", image->key);
	return name && !name->vanished_unix_s && !strcmp(name->digest, digest);
}

/*
 * The index is the one that the record was saved with: what it says need not
 * be parsed. False, nothing done, where it has to be.
 */
static bool scan_recorded(struct ul_scan *scan)
{
	const struct ul_record *record = scan->record;
	size_t i;

	for (i = 0; i < record->object_count; i++) {
		if (record->objects[i].is_named &&
		    !image_fits(record, &record->objects[i]))
			return false;
	}
	for (i = 0; i < record->object_count; i++) {
		if (record->objects[i].is_named)
			image_recorded(scan, (uint32_t)i);
	}
	return true;
}

/*
 * A damaged index never means "no images": those of the last good reading
 * stand, and nothing is collected.
 */
static int index_damaged(struct ul_scan *scan)
{
	const struct ul_record *record = scan->record;
	size_t i;

	scan->view->refusal =
	    ul_arena_strdup(&scan->view->arena, scan->err->msg);
	scan->view->is_index_damaged = true;
	if (!scan->view->refusal)
		return ul_err_nomem(scan->err);
	for (i = 0; i < record->object_count; i++) {
		if (record->objects[i].kind == UL_KIND_IMAGE)
			image_recorded(scan, (uint32_t)i);
	}
	return 0;
}

/* The record is of this index from now on. */
static void index_taken(struct ul_scan *scan)
{
	struct ul_record *record = scan->record;
	uint64_t hash = scan->view->roots_stamp.hash;
	size_t i;

	for (i = 0; i < record->object_count; i++) {
		if (record->objects[i].is_named && !scan->objects[i].is_named)
			image_named(scan, (uint32_t)i, false);
	}
	/* One with more in it is read each time. */
	if (scan->view->refusal)
		hash = 0;
	if (record->index_hash == hash)
		return;
	record->index_hash = hash;
	record->store_dirty = true;
}

/* Who is about to act reads the roots again, whatever is recorded. */
static int index_read(struct ul_scan *scan)
{
	uint64_t known_hash =
	    scan->options->for_change ? 0 : scan->record->index_hash;
	struct ul_index_stamp *stamp = &scan->view->roots_stamp;
	int rc = ul_embedded_index_read_new(scan->store, known_hash,
					    &scan->index, stamp, scan->err);

	if (!rc && !scan->index && !scan_recorded(scan))
		rc = ul_embedded_index_read(scan->store, &scan->index, stamp,
					    scan->err);
	return rc;
}

/* Unknown means keep: what such a member names is not followed. */
static int index_more(struct ul_scan *scan)
{
	struct ul_view *view = scan->view;
	int rc = ul_layout_index_has_more(scan->index, scan->err);

	if (rc <= 0)
		return rc;
	view->refusal = ul_arena_strdup(
	    &view->arena, "index.json names blobs in a member that this "
			  "version does not know; what they are for, only who "
			  "wrote it can tell");
	return view->refusal ? 0 : ul_err_nomem(scan->err);
}

int scan_index(struct ul_scan *scan)
{
	int rc = index_read(scan);

	if (rc == UL_E_CORRUPT || rc == UL_E_LIMIT)
		return index_damaged(scan);
	if (rc)
		return rc;
	if (scan->index)
		rc = scan_entries(scan);
	if (!rc && scan->index)
		rc = index_more(scan);
	if (rc)
		return rc;
	index_taken(scan);
	return names_vanished(scan);
}
