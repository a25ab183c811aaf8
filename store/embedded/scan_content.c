/*
 * What blobs refer to. Each blob is read once in its life: its references
 * are recorded with the inode and change time it had; a file that changed is
 * read again. Reading goes from the index downwards, so that a descriptor
 * has said what to expect, then over whatever else lies there, because a
 * manifest that nothing lists may still name a subject (a referrer).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/patience.h"
#include "store/embedded/form.h"
#include "store/embedded/scan_internal.h"
#include "store/embedded/store.h"
#include "store/limits.h"
#include "store/oci/cache_config.h"
#include "store/oci/config.h"
#include "store/oci/json.h"
#include "store/oci/manifest.h"

/* Objects whose content has to be looked at, in order. */
struct queue {
	uint32_t *objects; /* owned */
	size_t len, cap, next;
	bool is_of_roots; /* a root leads to what is in it */
};

static void queue_release(struct queue *queue)
{
	ul_freep(&queue->objects);
}

static bool queue_add(struct ul_scan *scan, struct queue *queue,
		      uint32_t object)
{
	uint32_t *objects;

	if (scan->objects[object].is_queued)
		return true;
	objects = ul_grow(queue->objects, &queue->cap, queue->len + 1,
			  sizeof *objects);
	if (!objects)
		return false;
	queue->objects = objects;
	objects[queue->len++] = object;
	scan->objects[object].is_queued = true;
	return true;
}

static const struct ul_item *object_item(const struct ul_scan *scan,
					 uint32_t object)
{
	uint32_t item = scan->objects[object].item;

	return item == UL_OBJECT_NONE ? NULL : &scan->inventory.items[item];
}

static bool object_set_text(struct ul_scan *scan, uint32_t object,
			    const char **field, const char *text)
{
	if (!text || !strcmp(*field, text))
		return true;
	text = ul_record_text(scan->record, text);
	if (!text)
		return false;
	*field = text;
	ul_record_mark(scan->record, &scan->record->objects[object],
		       UL_DIRTY_ROW);
	return true;
}

/* What was no document while nobody said what it is may be one after all. */
bool scan_set_media_type(struct ul_scan *scan, uint32_t at,
			 const char *media_type)
{
	struct ul_object *object = &scan->record->objects[at];

	if (!media_type || !strcmp(object->media_type, media_type))
		return true;
	if (object->content == UL_CONTENT_OPAQUE) {
		object->content = UL_CONTENT_UNKNOWN;
		scan->objects[at].is_queued = false;
	}
	return object_set_text(scan, at, &object->media_type, media_type);
}

/* What a descriptor says of its target. Lengths of files win over it. */
static bool object_describe(struct ul_scan *scan, uint32_t at,
			    const struct ul_descriptor *descriptor)
{
	struct ul_object *object = &scan->record->objects[at];
	const char *type =
	    ul_descriptor_annotation(descriptor, UL_ANNOTATION_REFERENCE_TYPE);
	bool is_attestation = type && !strcmp(type, "attestation-manifest");
	char platform[UL_PLATFORM_TEXT_MAX] = "";

	scan->objects[at].is_expected = true;
	if (descriptor->platform.os)
		ul_platform_format(&descriptor->platform, platform);
	if (is_attestation != object->is_attestation) {
		object->is_attestation = is_attestation;
		ul_record_mark(scan->record, object, UL_DIRTY_ROW);
	}
	if (scan->objects[at].item == UL_OBJECT_NONE &&
	    !descriptor->is_size_unknown &&
	    object->length_bytes != descriptor->size_bytes) {
		object->length_bytes = descriptor->size_bytes;
		ul_record_mark(scan->record, object, UL_DIRTY_ROW);
	}
	if (*platform &&
	    !object_set_text(scan, at, &object->platform, platform))
		return false;
	if (!object_set_text(scan, at, &object->diff_id,
			     ul_descriptor_annotation(
				 descriptor, UL_ANNOTATION_UNCOMPRESSED)))
		return false;
	return scan_set_media_type(scan, at, descriptor->media_type) &&
	       object_set_text(scan, at, &object->artifact_type,
			       descriptor->artifact_type);
}

static int set_refs(struct ul_scan *scan, struct queue *queue, uint32_t at,
		    const struct ul_manifest_ref *found, size_t count)
{
	ul_cleanup(ul_freep) struct ul_object_ref *refs =
	    ul_malloc((count + 1) * sizeof *refs);
	char text[UL_DIGEST_TEXT_MAX];
	size_t i;

	if (!refs)
		return ul_err_nomem(scan->err);
	for (i = 0; i < count; i++) {
		const struct ul_manifest_ref *ref = &found[i];
		uint32_t target;

		ul_digest_format(&ref->descriptor.digest, text);
		target = scan_object(scan, UL_KIND_BLOB, text);
		if (target == UL_OBJECT_NONE ||
		    !object_describe(scan, target, &ref->descriptor) ||
		    !queue_add(scan, queue, target))
			return ul_err_nomem(scan->err);
		refs[i] = (struct ul_object_ref){
			.target = target,
			.kind = UL_REF_FORWARD,
			.reason = ref->reason,
		};
	}
	if (!ul_record_set_refs(scan->record, at, refs, count))
		return ul_err_nomem(scan->err);
	return 0;
}

static int labels_text(const struct ul_image_config *config, struct ul_buf *buf,
		       struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *labels = NULL;
	size_t i;

	labels = json_object();
	for (i = 0; i < config->label_count; i++) {
		if (json_object_set_new(labels, config->labels[i].key,
					json_string(config->labels[i].value)))
			return ul_err_nomem(err);
	}
	return labels ? ul_json_dump(labels, buf, err) : ul_err_nomem(err);
}

static int set_config(struct ul_scan *scan, uint32_t at,
		      const struct ul_image_config *config)
{
	ul_cleanup(ul_buf_release) struct ul_buf diff_ids = UL_BUF_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf labels = UL_BUF_INIT;
	struct ul_object *object = &scan->record->objects[at];
	struct ul_config_facts *facts =
	    ul_arena_alloc(&scan->record->arena, sizeof *facts);
	char text[UL_PLATFORM_TEXT_MAX > UL_DIGEST_TEXT_MAX
		      ? UL_PLATFORM_TEXT_MAX
		      : UL_DIGEST_TEXT_MAX];
	size_t i;

	for (i = 0; i < config->diff_id_count; i++) {
		ul_digest_format(&config->diff_ids[i], text);
		ul_buf_printf(&diff_ids, "%s%s", i ? " " : "", text);
	}
	if (!facts || diff_ids.failed)
		return ul_err_nomem(scan->err);
	if (labels_text(config, &labels, scan->err))
		return scan->err->code;
	facts->created_unix_s = config->created_unix_s;
	facts->diff_ids = ul_record_text(scan->record, ul_buf_str(&diff_ids));
	facts->labels = ul_record_text(scan->record, ul_buf_str(&labels));
	if (!facts->diff_ids || !facts->labels)
		return ul_err_nomem(scan->err);
	object->config = facts;
	ul_record_mark(scan->record, object, UL_DIRTY_REFS);
	ul_platform_format(&config->platform, text);
	return object_set_text(scan, at, &object->platform, text)
		   ? 0
		   : ul_err_nomem(scan->err);
}

/* 0: the bytes are what the key says; 1: they are not (why in *ret_why). */
static int blob_read(struct ul_scan *scan, uint32_t at, struct ul_buf *bytes,
		     const char **ret_why)
{
	struct ul_object *object = &scan->record->objects[at];
	char path[UL_DIGEST_TEXT_MAX];
	struct ul_digest wanted, found;
	int rc;

	ul_buf_reset(bytes);
	if (!ul_digest_parse(object->key, &wanted)) {
		*ret_why = "is of an unknown algorithm";
		return 1;
	}
	ul_digest_format_path(&wanted, path);
	rc = ul_file_read(scan->store->blobs_fd, path, UL_MANIFEST_MAX_BYTES,
			  bytes, scan->err);
	if (rc == UL_E_NOMEM)
		return rc;
	if (rc) {
		scan->objects[at].is_unread = rc == UL_E_IO;
		*ret_why = rc == UL_E_LIMIT ? "is too long for a manifest"
					    : "cannot be read";
		return 1;
	}
	scan->objects[at].is_unread = false;
	ul_digest_of(wanted.alg, bytes->data, bytes->len, &found);
	if (ul_digest_equal(&wanted, &found))
		return 0;
	*ret_why = "does not have its digest";
	return 1;
}

static int config_take(struct ul_scan *scan, uint32_t at,
		       const struct ul_buf *bytes, struct ul_arena *arena)
{
	struct ul_image_config config;
	int rc = ul_image_config_parse(bytes->data, bytes->len, arena, &config,
				       scan->err);

	return rc ? rc : set_config(scan, at, &config);
}

static int cache_config_take(struct ul_scan *scan, struct queue *queue,
			     uint32_t at, const struct ul_buf *bytes,
			     struct ul_arena *arena)
{
	struct ul_cache_config config;
	int rc = ul_cache_config_parse(bytes->data, bytes->len, arena, &config,
				       scan->err);

	return rc ? rc
		  : set_refs(scan, queue, at, config.refs, config.ref_count);
}

static int manifest_take(struct ul_scan *scan, struct queue *queue, uint32_t at,
			 const struct ul_buf *bytes, struct ul_arena *arena)
{
	const char *declared = scan->record->objects[at].media_type;
	struct ul_manifest manifest;
	struct ul_object *object;
	int rc;

	rc = ul_manifest_parse(bytes->data, bytes->len,
			       *declared ? declared : NULL, arena, &manifest,
			       scan->err);
	if (!rc)
		rc = set_refs(scan, queue, at, manifest.refs,
			      manifest.ref_count);
	if (rc)
		return rc;
	object = &scan->record->objects[at];
	if (!object_set_text(scan, at, &object->artifact_type,
			     manifest.artifact_type) ||
	    (!*object->media_type &&
	     !object_set_text(scan, at, &object->media_type,
			      manifest.media_type)))
		return ul_err_nomem(scan->err);
	return 0;
}

/* Of no kind that we know: what it names, it may need. */
static int unknown_take(struct ul_scan *scan, struct queue *queue, uint32_t at,
			const struct ul_buf *bytes, struct ul_arena *arena)
{
	struct ul_manifest_ref *refs;
	size_t count;
	int rc = ul_document_parse_refs(bytes->data, bytes->len, arena, &refs,
					&count, scan->err);

	return rc ? rc : set_refs(scan, queue, at, refs, count);
}

/* 0 taken, 1 no such document (why in *ret_why), negative: failed. */
static int content_take(struct ul_scan *scan, struct queue *queue, uint32_t at,
			enum ul_media media, const struct ul_buf *bytes,
			const char **ret_why)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	int rc;

	if (media == UL_MEDIA_CONFIG)
		rc = config_take(scan, at, bytes, &arena);
	else if (media == UL_MEDIA_CACHE_CONFIG)
		rc = cache_config_take(scan, queue, at, bytes, &arena);
	else
		rc = manifest_take(scan, queue, at, bytes, &arena);
	if (rc == UL_E_UNSUPPORTED && media == UL_MEDIA_OTHER)
		rc = unknown_take(scan, queue, at, bytes, &arena);
	if (rc == UL_E_NOMEM)
		return rc;
	if (!rc)
		return 0;
	*ret_why = ul_arena_strdup(&scan->view->arena, scan->err->msg);
	return *ret_why ? 1 : ul_err_nomem(scan->err);
}

/*
 * A manifest of another program's may be half written: look again, as long as
 * patience lasts for the whole store. Not for what no root leads to now or did
 * when it was last looked at.
 */
static int content_read(struct ul_scan *scan, struct queue *queue, uint32_t at,
			enum ul_media media, bool may_wait,
			const char **ret_why)
{
	ul_cleanup(ul_buf_release) struct ul_buf bytes = UL_BUF_INIT;
	struct ul_patience *patience = &scan->store->patience;
	bool has_waited = false;
	int rc;

	for (;;) {
		rc = blob_read(scan, at, &bytes, ret_why);
		if (rc <= 0 || !may_wait || !ul_patience_wait(patience))
			break;
		has_waited = true;
	}
	if (rc)
		return rc;
	if (has_waited)
		ul_patience_renew(patience);
	return content_take(scan, queue, at, media, &bytes, ret_why);
}

/* What such a type promises has to be there. */
static bool is_document(enum ul_media media)
{
	/* What schema 1 refers to is not followed, so nothing may go. */
	return media == UL_MEDIA_MANIFEST || media == UL_MEDIA_INDEX ||
	       media == UL_MEDIA_SCHEMA1 || media == UL_MEDIA_CONFIG ||
	       media == UL_MEDIA_CACHE_CONFIG;
}

static bool looks_like_json(struct ul_scan *scan, uint32_t at)
{
	const struct ul_object *object = &scan->record->objects[at];
	char path[UL_DIGEST_TEXT_MAX];
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_digest digest;
	ssize_t len;
	char first;

	if (!ul_digest_parse(object->key, &digest))
		return false;
	ul_digest_format_path(&digest, path);
	fd = ul_retry(openat(scan->store->blobs_fd, path,
			     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
	len = fd < 0 ? -1 : ul_retry(read(fd, &first, 1));
	scan->objects[at].is_unread = len < 0 && errno != ENOENT;
	return len == 1 && (first == '{' || first == ' ' || first == '\t' ||
			    first == '\r' || first == '\n');
}

/* Something below blobs/ is what nothing is looked for behind. */
static bool hides_something(const struct ul_scan *scan)
{
	size_t i, len = strlen(scan->store->form->layout);

	for (i = 0; i < scan->inventory.len; i++) {
		const struct ul_item *item = &scan->inventory.items[i];

		if (item->kind == UL_ITEM_UNKNOWN &&
		    !strncmp(item->path + len, "blobs", 5))
			return true;
	}
	return false;
}

/*
 * A blob that is not here may still be there for everybody else: where a
 * symlink stands in the way, or anything else that is no folder or no file.
 * "" in *ret_why where it is not so. False without memory.
 */
static bool hidden_find(struct ul_scan *scan, uint32_t at, const char **ret_why)
{
	char path[UL_DIGEST_TEXT_MAX + 8] = "blobs/", why[256];
	size_t at_end[] = { 5, 0, 0 }, i;
	struct ul_digest digest;
	struct stat st;

	*ret_why = "";
	if (!ul_digest_parse(scan->record->objects[at].key, &digest))
		return true;
	ul_digest_format_path(&digest, path + 6);
	at_end[1] = 6 + strcspn(path + 6, "/");
	at_end[2] = strlen(path);
	for (i = 0; i < ul_array_len(at_end); i++) {
		char cut = path[at_end[i]];
		bool is_last = i + 1 == ul_array_len(at_end);

		path[at_end[i]] = '\0';
		if (fstatat(scan->store->oci_fd, path, &st,
			    AT_SYMLINK_NOFOLLOW))
			return true;
		if (is_last ? !S_ISREG(st.st_mode) : !S_ISDIR(st.st_mode))
			break;
		path[at_end[i]] = cut;
	}
	if (i == ul_array_len(at_end))
		return true;
	snprintf(why, sizeof why,
		 S_ISLNK(st.st_mode)
		     ? "%s is a symlink, behind which nothing is looked at"
		     : "%s is no file or folder of a layout",
		 path);
	*ret_why = ul_arena_strdup(&scan->view->arena, why);
	return *ret_why != NULL;
}

/* What has no references cannot hide any. */
static int content_absent(struct ul_scan *scan, uint32_t at)
{
	const struct ul_object *object = &scan->record->objects[at];
	const char *why;

	if (!scan->hides_blobs || object->kind != UL_KIND_BLOB ||
	    ul_media_of(object->media_type) == UL_MEDIA_LAYER)
		return 0;
	if (!hidden_find(scan, at, &why))
		return ul_err_nomem(scan->err);
	scan->objects[at].is_hidden = *why != '\0';
	if (*why)
		scan->objects[at].broken = why;
	return 0;
}

static int content_of(struct ul_scan *scan, struct queue *queue, uint32_t at)
{
	struct ul_object *object = &scan->record->objects[at];
	const struct ul_item *item = object_item(scan, at);
	enum ul_media media = ul_media_of(object->media_type);
	bool is_declared = is_document(media);
	const char *why = NULL;
	int rc = 1;

	if (!item)
		return content_absent(scan, at);
	if (object->content != UL_CONTENT_UNKNOWN)
		return 0;
	if (is_declared || (media != UL_MEDIA_LAYER &&
			    item->size_bytes <= UL_MANIFEST_MAX_BYTES &&
			    looks_like_json(scan, at)))
		rc = content_read(
		    scan, queue, at, media,
		    is_declared && (queue->is_of_roots || object->is_reachable),
		    &why);
	if (rc < 0)
		return rc;
	object = &scan->record->objects[at];
	if (rc && (is_declared || scan->objects[at].is_unread)) {
		scan->objects[at].broken = why ? why : "cannot be read";
		return 0; /* stays unknown: read again by the next scan */
	}
	object->content = rc ? UL_CONTENT_OPAQUE : UL_CONTENT_REFS;
	ul_record_mark(scan->record, object, UL_DIRTY_ROW);
	return 0;
}

/* Recorded references count as said by a descriptor too. */
static int queue_recorded(struct ul_scan *scan, struct queue *queue)
{
	size_t i;

	for (; queue->next < queue->len; queue->next++) {
		uint32_t at = queue->objects[queue->next];
		const struct ul_object *object = &scan->record->objects[at];
		int rc = content_of(scan, queue, at);

		if (rc)
			return rc;
		object = &scan->record->objects[at];
		for (i = 0; i < object->ref_count; i++) {
			uint32_t target =
			    scan->record->refs[object->first_ref + i].target;

			scan->objects[target].is_expected = true;
			if (scan->record->objects[target].kind ==
				UL_KIND_BLOB &&
			    !queue_add(scan, queue, target))
				return ul_err_nomem(scan->err);
		}
	}
	return 0;
}

static bool queue_leased(struct ul_scan *scan, struct queue *queue)
{
	const struct ul_leases *leases = &scan->leases;
	size_t i, r;

	for (i = 0; i < leases->len; i++) {
		const struct ul_lease *lease = &leases->leases[i];

		for (r = 0; r < lease->resource_count; r++) {
			uint32_t at =
			    ul_record_find(scan->record, UL_KIND_BLOB, "", "",
					   lease->resources[r].key);

			if (lease->resources[r].kind == UL_KIND_BLOB &&
			    !queue_add(scan, queue, at))
				return false;
		}
	}
	return true;
}

/* First what roots lead to, then what else is here. */
int scan_content(struct ul_scan *scan)
{
	ul_cleanup(queue_release) struct queue queue = {
		.objects = NULL,
		.is_of_roots = true,
	};
	size_t i;
	int rc;

	for (i = 0; i < scan->record->object_count; i++) {
		if (scan->objects[i].is_entry &&
		    !queue_add(scan, &queue, (uint32_t)i))
			return ul_err_nomem(scan->err);
	}
	if (!queue_leased(scan, &queue))
		return ul_err_nomem(scan->err);
	scan->hides_blobs = hides_something(scan);
	rc = queue_recorded(scan, &queue);
	queue.is_of_roots = false;
	for (i = 0; !rc && i < scan->record->object_count; i++) {
		/* What is neither here nor named is about to be forgotten. */
		if (scan->record->objects[i].kind != UL_KIND_BLOB ||
		    (scan->objects[i].item == UL_OBJECT_NONE &&
		     !scan->objects[i].is_expected))
			continue;
		if (!queue_add(scan, &queue, (uint32_t)i))
			return ul_err_nomem(scan->err);
		rc = queue_recorded(scan, &queue);
	}
	return rc;
}
