#include "store/transfer/import_walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/limits.h"
#include "store/oci/cache_config.h"
#include "store/oci/config.h"
#include "store/oci/json.h"
#include "store/transfer/ingest.h"
#include "store/transfer/source.h"

/* What it means when something is not there. */
enum need {
	NEED_BLOB,     /* the image is damaged */
	NEED_PLATFORM, /* a part of the image that was left out: said so */
	NEED_NOTHING,
};

/* One descriptor to visit. */
struct ul_import_task {
	struct ul_descriptor descriptor; /* text in the walk's arena */
	enum need need;
	unsigned depth; /* indexes above it */
	bool is_image;  /* of an index: may be a manifest whatever its type */
	const char *reason; /* for messages; "" for a root */
	struct ul_digest parent;
};

void ul_import_walk_release(struct ul_import_walk *walk)
{
	free(walk->nodes);
	free(walk->tasks);
	free(walk->notes);
	ul_map_release(&walk->by_digest);
	ul_buf_release(&walk->document);
	ul_arena_release(&walk->arena);
	*walk = UL_IMPORT_WALK_INIT;
}

int ul_import_walk_note(struct ul_import_walk *walk, struct ul_err *err,
			const char *fmt, ...)
{
	const char **notes = ul_grow(walk->notes, &walk->note_cap,
				     walk->note_count + 1, sizeof *notes);
	char text[512];
	va_list ap;

	if (!notes)
		return ul_err_nomem(err);
	walk->notes = notes;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	notes[walk->note_count] = ul_arena_strdup(&walk->arena, text);
	if (!notes[walk->note_count])
		return ul_err_nomem(err);
	walk->note_count++;
	return 0;
}

static struct ul_import_node *find(const struct ul_import_walk *walk,
				   const struct ul_digest *digest)
{
	uint32_t at = ul_map_get(&walk->by_digest, digest, sizeof *digest);

	return at == UL_MAP_NONE ? NULL : walk->nodes[at];
}

const struct ul_import_node *
ul_import_walk_find(const struct ul_import_walk *walk,
		    const struct ul_digest *digest)
{
	return find(walk, digest);
}

static struct ul_import_node *node_of(struct ul_import_walk *walk,
				      const struct ul_digest *digest,
				      struct ul_err *err)
{
	struct ul_import_node *node = find(walk, digest), **nodes;

	if (node)
		return node;
	if (walk->len == UL_ARCHIVE_MAX_ENTRIES) {
		ul_err_set(err, UL_E_LIMIT, "more than %u blobs in one import",
			   UL_ARCHIVE_MAX_ENTRIES);
		return NULL;
	}
	nodes = ul_grow(walk->nodes, &walk->cap, walk->len + 1, sizeof *nodes);
	if (nodes) {
		walk->nodes = nodes;
		node = ul_arena_alloc(&walk->arena, sizeof *node);
	}
	if (node) {
		node->digest = *digest;
		if (!ul_map_set(&walk->by_digest, &node->digest,
				sizeof node->digest, (uint32_t)walk->len))
			node = NULL;
	}
	if (node)
		walk->nodes[walk->len++] = node;
	else
		ul_err_nomem(err);
	return node;
}

static int task_add(struct ul_import_walk *walk,
		    const struct ul_import_task *task, struct ul_err *err)
{
	struct ul_import_task *tasks = ul_grow(
	    walk->tasks, &walk->task_cap, walk->task_count + 1, sizeof *tasks);

	if (!tasks)
		return ul_err_nomem(err);
	walk->tasks = tasks;
	tasks[walk->task_count++] = *task;
	return 0;
}

/* "layer 0 of manifest sha256:ab12cd34ef56" */
enum { WHERE_MAX = 256 };
static const char *where(const struct ul_import_task *task,
			 char text[WHERE_MAX])
{
	char digest[UL_DIGEST_TEXT_MAX], parent[UL_DIGEST_TEXT_MAX];

	ul_digest_format(&task->descriptor.digest, digest);
	ul_digest_format(&task->parent, parent);
	if (!*task->reason)
		snprintf(text, WHERE_MAX, "%.19s", digest);
	else
		snprintf(text, WHERE_MAX, "%.19s (%.100s of %.19s)", digest,
			 task->reason, parent);
	return text;
}

static int missing(struct ul_import_walk *walk,
		   const struct ul_import_task *task, struct ul_err *err)
{
	char text[WHERE_MAX], platform[UL_PLATFORM_TEXT_MAX];
	char shown[UL_JSON_SHOWN_MAX];

	if (task->need == NEED_NOTHING)
		return 0;
	if (task->need == NEED_BLOB)
		return ul_err_set(err, UL_E_CORRUPT, "blob %s is missing",
				  where(task, text));
	walk->absent_count++;
	ul_platform_format(&task->descriptor.platform, platform);
	return ul_import_walk_note(
	    walk, err, "left out, since it is not there: %s, %s",
	    ul_json_show(platform, shown), where(task, text));
}

static bool starts(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static enum need need_of_ref(const struct ul_manifest *manifest,
			     const struct ul_manifest_ref *ref)
{
	enum ul_media media = ul_media_of(ref->descriptor.media_type);

	if (ref->descriptor.has_urls || ref->is_subject)
		return NEED_NOTHING;
	if (manifest->media == UL_MEDIA_INDEX) {
		if (!starts(ref->reason, "manifest "))
			return NEED_NOTHING;
		/* BuildKit's cache indexes list layers. */
		return media == UL_MEDIA_LAYER || media == UL_MEDIA_CACHE_CONFIG
			   ? NEED_BLOB
			   : NEED_PLATFORM;
	}
	/* "blobs" is what the withdrawn artifact manifests have. */
	return ref == manifest->config || starts(ref->reason, "layer ") ||
		       starts(ref->reason, "blobs.")
		   ? NEED_BLOB
		   : NEED_NOTHING;
}

static int push_refs(struct ul_import_walk *walk,
		     const struct ul_import_task *from,
		     const struct ul_manifest *manifest, struct ul_err *err)
{
	bool is_index = manifest->media == UL_MEDIA_INDEX;
	size_t i;
	int rc = 0;

	if (is_index && from->depth == UL_INDEX_MAX_NESTING)
		return ul_err_set(err, UL_E_LIMIT,
				  "indexes nested more than %d deep",
				  UL_INDEX_MAX_NESTING);
	/* The last one pushed is visited first: keep their order. */
	for (i = manifest->ref_count; !rc && i--;) {
		const struct ul_manifest_ref *ref = &manifest->refs[i];
		const struct ul_import_task task = {
			.descriptor = ref->descriptor,
			.need = need_of_ref(manifest, ref),
			.depth = from->depth + is_index,
			.is_image = is_index || ref->is_subject,
			.reason = ref->reason,
			.parent = from->descriptor.digest,
		};

		rc = task_add(walk, &task, err);
	}
	return rc;
}

static int read_config(struct ul_import_walk *walk, struct ul_import_node *node,
		       struct ul_err *err)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	struct ul_image_config config;
	int rc;

	if (node->is_config)
		return 0;
	rc = ul_ingest_blob_read(walk->source->ingest, node->held,
				 &walk->document, err);
	/* One that does not parse would keep the store from being collected. */
	if (!rc)
		rc = ul_image_config_parse(walk->document.data,
					   walk->document.len, &arena, &config,
					   err);
	node->is_config = !rc;
	return rc;
}

/*
 * What a cache is read by. Its writers list the same blobs in the manifest;
 * one that they left out is as needed.
 */
static int read_cache_config(struct ul_import_walk *walk,
			     const struct ul_import_task *from,
			     struct ul_import_node *node, struct ul_err *err)
{
	struct ul_cache_config config;
	size_t i;
	int rc = ul_ingest_blob_read(walk->source->ingest, node->held,
				     &walk->document, err);

	if (!rc)
		rc = ul_cache_config_parse(walk->document.data,
					   walk->document.len, &walk->arena,
					   &config, err);
	for (i = rc ? 0 : config.ref_count; !rc && i--;) {
		const struct ul_manifest_ref *ref = &config.refs[i];
		const struct ul_import_task task = {
			.descriptor = ref->descriptor,
			.need = starts(ref->reason, "cache layer ")
				    ? NEED_BLOB
				    : NEED_NOTHING,
			.reason = ref->reason,
			.parent = from->descriptor.digest,
		};

		rc = task_add(walk, &task, err);
	}
	node->is_config = !rc;
	return rc;
}

/* 0 with node->manifest, 1 where it is none, negative: failed. */
static int parse_manifest(struct ul_import_walk *walk,
			  struct ul_import_node *node, const char *media_type,
			  bool is_declared, struct ul_err *err)
{
	struct ul_manifest *manifest;
	int rc = ul_ingest_blob_read(walk->source->ingest, node->held,
				     &walk->document, err);

	if (rc == UL_E_LIMIT && !is_declared)
		return 1;
	if (rc)
		return rc;
	manifest = ul_arena_alloc(&walk->arena, sizeof *manifest);
	if (!manifest)
		return ul_err_nomem(err);
	rc = ul_manifest_parse(walk->document.data, walk->document.len,
			       media_type, &walk->arena, manifest, err);
	if (!rc)
		node->manifest = manifest;
	if (is_declared || rc == UL_E_NOMEM ||
	    (rc == UL_E_UNSUPPORTED && strstr(err->msg, "schema 1")))
		return rc;
	return rc != 0;
}

static int visit_document(struct ul_import_walk *walk,
			  const struct ul_import_task *task,
			  struct ul_import_node *node, struct ul_err *err)
{
	const char *type = task->descriptor.media_type;
	enum ul_media media = ul_media_of(type);
	bool is_declared = media == UL_MEDIA_MANIFEST ||
			   media == UL_MEDIA_INDEX || media == UL_MEDIA_SCHEMA1;
	char text[WHERE_MAX], shown[UL_JSON_SHOWN_MAX];
	int rc = 0;

	if (media == UL_MEDIA_CONFIG)
		return read_config(walk, node, err);
	if (media == UL_MEDIA_CACHE_CONFIG)
		return read_cache_config(walk, task, node, err);
	if (!is_declared && (!task->is_image || media != UL_MEDIA_OTHER))
		return 0;
	if (!node->manifest && (is_declared || !node->is_opaque))
		rc = parse_manifest(walk, node, type, is_declared, err);
	if (rc < 0)
		return rc;
	if (node->manifest)
		return push_refs(walk, task, node->manifest, err);
	if (node->is_opaque)
		return 0;
	node->is_opaque = true;
	return ul_import_walk_note(
	    walk, err, "kept as it is, of unknown type %s: %s",
	    type ? ul_json_show(type, shown) : "(none)", where(task, text));
}

static void share_count(struct ul_import_share *share,
			const struct ul_import_node *node)
{
	if (node->root) {
		share->shared_blobs++;
	} else if (node->held->where == UL_HELD_NEW) {
		share->new_blobs++;
		share->written_bytes += node->held->size_bytes;
	} else {
		share->reused_blobs++;
	}
}

static bool is_document(const struct ul_import_task *task)
{
	switch (ul_media_of(task->descriptor.media_type)) {
	case UL_MEDIA_MANIFEST:
	case UL_MEDIA_INDEX:
	case UL_MEDIA_SCHEMA1:
	case UL_MEDIA_CONFIG:
	case UL_MEDIA_CACHE_CONFIG:
		return true;
	case UL_MEDIA_OTHER:
		return task->is_image;
	default:
		return false;
	}
}

/* What another descriptor has brought, this one may say otherwise of: let the
 * source refuse it, as it does what comes first. */
static bool size_differs(const struct ul_import_task *task,
			 const struct ul_import_node *node)
{
	return !task->descriptor.is_size_unknown &&
	       task->need != NEED_NOTHING &&
	       task->descriptor.size_bytes != node->held->size_bytes;
}

/* 1 it is here, 0 it is not, negative: failed. */
static int take(struct ul_import_walk *walk, const struct ul_import_task *task,
		struct ul_import_node *node, struct ul_err *err)
{
	int rc;

	if (node->held && !size_differs(task, node))
		return 1;
	if (task->descriptor.is_size_unknown && task->need != NEED_BLOB)
		return 0;
	rc = ul_source_take(walk->source, &task->descriptor, is_document(task),
			    &node->held, err);
	/* Text that looks like a descriptor may say anything. */
	if (rc == UL_E_CORRUPT && task->need == NEED_NOTHING &&
	    !task->is_image && !task->descriptor.has_urls)
		return 0;
	return rc;
}

static int visit(struct ul_import_walk *walk, const struct ul_import_task *task,
		 uint32_t root, struct ul_import_share *share,
		 struct ul_err *err)
{
	struct ul_import_node *node =
	    node_of(walk, &task->descriptor.digest, err);
	char text[WHERE_MAX];
	bool is_again;
	int rc;

	if (!node)
		return err->code;
	rc = take(walk, task, node, err);
	if (!rc)
		return missing(walk, task, err);
	if (rc < 0)
		return rc;
	is_again = node->root == root + 1;
	if (!is_again)
		share_count(share, node);
	node->root = root + 1;
	node->held->is_needed = true;
	/* A second descriptor may call the same blob something else. */
	if (is_again && (node->manifest || node->is_config))
		return 0;
	rc = visit_document(walk, task, node, err);
	return rc ? ul_err_wrap(err, "blob %s", where(task, text)) : 0;
}

static int visit_all(struct ul_import_walk *walk, uint32_t root,
		     struct ul_import_share *share, struct ul_err *err)
{
	int rc = 0;

	while (!rc && walk->task_count) {
		/* By value: visiting adds tasks. */
		const struct ul_import_task task =
		    walk->tasks[--walk->task_count];

		rc = visit(walk, &task, root, share, err);
	}
	return rc;
}

int ul_import_walk_root(struct ul_import_walk *walk,
			const struct ul_descriptor *descriptor, uint32_t root,
			struct ul_import_share *ret_share, struct ul_err *err)
{
	const struct ul_import_task task = {
		.descriptor = *descriptor,
		.need = NEED_BLOB,
		.is_image = true,
		.reason = "",
	};
	int rc = task_add(walk, &task, err);

	return rc ? rc : visit_all(walk, root, ret_share, err);
}

static const struct ul_digest *subject_of(const struct ul_manifest *manifest)
{
	size_t i;

	for (i = 0; i < manifest->ref_count; i++) {
		if (manifest->refs[i].is_subject)
			return &manifest->refs[i].descriptor.digest;
	}
	return NULL;
}

bool ul_import_walk_is_referrer(const struct ul_import_walk *walk,
				const struct ul_digest *digest)
{
	const struct ul_import_node *node = find(walk, digest);
	const struct ul_digest *subject;

	if (!node || !node->manifest)
		return false;
	subject = subject_of(node->manifest);
	node = subject ? find(walk, subject) : NULL;
	return node && node->held;
}

/* A blob that nothing has asked for, and the subject that it names. */
struct referrer {
	struct ul_descriptor descriptor;
	struct ul_digest subject;
};

struct referrers {
	struct referrer *list; /* owned */
	size_t len, cap;
};

static void referrers_release(struct referrers *referrers)
{
	free(referrers->list);
}

static int referrer_add(struct referrers *referrers,
			const struct ul_descriptor *descriptor,
			const struct ul_digest *subject, struct ul_err *err)
{
	struct referrer *list = ul_grow(referrers->list, &referrers->cap,
					referrers->len + 1, sizeof *list);

	if (!list)
		return ul_err_nomem(err);
	referrers->list = list;
	list[referrers->len++] = (struct referrer){ *descriptor, *subject };
	return 0;
}

/* Read a blob for a moment: what is no manifest with a subject is left. */
static int referrer_look(struct ul_import_walk *walk,
			 const struct ul_source_blob *blob,
			 struct referrers *referrers, struct ul_err *err)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	struct ul_descriptor descriptor = {
		.digest = blob->digest,
		.size_bytes = blob->size_bytes,
	};
	struct ul_manifest manifest;
	const struct ul_digest *subject;
	int rc = ul_source_peek(walk->source, blob, &walk->document, err);

	if (rc <= 0)
		return rc;
	rc = ul_manifest_parse(walk->document.data, walk->document.len, NULL,
			       &arena, &manifest, err);
	if (rc)
		return rc == UL_E_NOMEM ? rc : 0;
	subject = subject_of(&manifest);
	if (!subject)
		return 0;
	descriptor.media_type =
	    manifest.media_type
		? ul_arena_strdup(&walk->arena, manifest.media_type)
		: NULL;
	if (manifest.media_type && !descriptor.media_type)
		return ul_err_nomem(err);
	return referrer_add(referrers, &descriptor, subject, err);
}

static int referrers_find(struct ul_import_walk *walk,
			  struct referrers *referrers, struct ul_err *err)
{
	ul_cleanup(ul_freep) struct ul_source_blob *blobs = NULL;
	size_t i, count = 0;
	int rc = ul_source_blobs(walk->source, &blobs, &count, err);

	for (i = 0; !rc && i < count; i++) {
		const struct ul_import_node *node =
		    find(walk, &blobs[i].digest);

		if ((node && node->held) ||
		    blobs[i].size_bytes > UL_MANIFEST_MAX_BYTES)
			continue;
		rc = referrer_look(walk, &blobs[i], referrers, err);
	}
	return rc;
}

/* 1 where it was taken in now. */
static int referrer_take(struct ul_import_walk *walk,
			 const struct referrer *referrer,
			 struct ul_import_share *shares, struct ul_err *err)
{
	const struct ul_import_node *subject = find(walk, &referrer->subject);
	const struct ul_import_node *node =
	    find(walk, &referrer->descriptor.digest);
	uint32_t root;
	int rc;

	if (!subject || !subject->held || (node && node->held))
		return 0;
	root = subject->root - 1;
	rc = ul_import_walk_root(walk, &referrer->descriptor, root,
				 &shares[root], err);
	return rc ? rc : 1;
}

int ul_import_walk_referrers(struct ul_import_walk *walk,
			     struct ul_import_share *shares, struct ul_err *err)
{
	ul_cleanup(referrers_release) struct referrers referrers = { .len = 0 };
	int rc = referrers_find(walk, &referrers, err);
	bool is_more = true;
	size_t i;

	/* Referrers have referrers. */
	while (!rc && is_more) {
		is_more = false;
		for (i = 0; rc >= 0 && i < referrers.len; i++) {
			rc = referrer_take(walk, &referrers.list[i], shares,
					   err);
			is_more = is_more || rc > 0;
		}
		rc = rc < 0 ? rc : 0;
	}
	return rc;
}
