/*
 * From objects to the graph: node i is object i; after them come flat twins,
 * groups of names, the files under the records, and the inodes that several
 * files share.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/scan_internal.h"
#include "store/graph/builder.h"

struct build {
	struct ul_scan *scan;
	struct ul_record *record;
	struct ul_graph_builder *builder;
};

static int build_nomem(struct build *build)
{
	return ul_err_nomem(build->scan->err);
}

static bool is_word(const char *text, const char *word)
{
	return !strcmp(text, word);
}

static uint32_t node_of(struct build *build, enum ul_kind kind, const char *key,
			bool is_flat)
{
	return ul_graph_add_node(build->builder, kind, NULL, NULL, key,
				 is_flat);
}

static int build_objects(struct build *build)
{
	size_t i;

	for (i = 0; i < build->record->object_count; i++) {
		const struct ul_object *object = &build->record->objects[i];
		uint32_t node =
		    node_of(build, object->kind, object->key, false);

		if (node != i)
			return build_nomem(build);
	}
	return 0;
}

/* A name refers to the group of all names of its digest. */
static int build_name(struct build *build, uint32_t at)
{
	const struct ul_object *object = &build->record->objects[at];
	uint32_t i;

	for (i = 0; i < object->ref_count; i++) {
		uint32_t target =
		    build->record->refs[object->first_ref + i].target;
		const char *digest = build->record->objects[target].key;
		uint32_t group = node_of(build, UL_KIND_GROUP, digest, false);

		if (group == UL_NODE_NONE ||
		    !ul_map_set(&build->scan->groups, digest, strlen(digest),
				group) ||
		    !ul_graph_add_ref(build->builder, at, group, UL_REF_FORWARD,
				      "name") ||
		    !ul_graph_add_ref(build->builder, group, target,
				      UL_REF_FORWARD, "target"))
			return build_nomem(build);
	}
	return 0;
}

/* A flat lease keeps a thing alone, a snapshot with its parents. */
static uint32_t build_flat(struct build *build, uint32_t target)
{
	const struct ul_object *object = &build->record->objects[target];
	uint32_t flat = node_of(build, object->kind, object->key, true);
	uint32_t last = flat, i;

	while (last != UL_NODE_NONE && object->kind == UL_KIND_SNAPSHOT &&
	       object->ref_count) {
		target = build->record->refs[object->first_ref].target;
		object = &build->record->objects[target];
		i = node_of(build, object->kind, object->key, true);
		if (i == UL_NODE_NONE ||
		    !ul_graph_add_ref(build->builder, last, i, UL_REF_FORWARD,
				      "parent"))
			return UL_NODE_NONE;
		last = i;
	}
	for (i = 0; flat != UL_NODE_NONE && object->kind == UL_KIND_IMAGE &&
		    i < object->ref_count;
	     i++) {
		uint32_t blob =
		    build->record->refs[object->first_ref + i].target;
		uint32_t node = node_of(build, UL_KIND_BLOB,
					build->record->objects[blob].key, true);

		if (node == UL_NODE_NONE ||
		    !ul_graph_add_ref(build->builder, flat, node,
				      UL_REF_FORWARD, "target"))
			return UL_NODE_NONE;
	}
	return flat;
}

static int build_lease(struct build *build, const struct ul_lease *lease)
{
	uint32_t at =
	    ul_record_find(build->record, UL_KIND_LEASE, "", "", lease->id);
	const struct ul_object *object = &build->record->objects[at];
	uint32_t i;

	if (!ul_lease_is_expired(lease, build->scan->view->as_of_unix_s) &&
	    !ul_graph_add_root(build->builder, at, "lease"))
		return build_nomem(build);
	for (i = 0; i < object->ref_count; i++) {
		uint32_t target =
		    build->record->refs[object->first_ref + i].target;

		if (lease->is_flat)
			target = build_flat(build, target);
		if (target == UL_NODE_NONE ||
		    !ul_graph_add_ref(build->builder, at, target,
				      UL_REF_FORWARD, "lease"))
			return build_nomem(build);
	}
	return 0;
}

/*
 * A referrer lives while its subject does; the subject lives for a referrer
 * only where that is an entry of the index itself (DESIGN 3). So that hangs on
 * the group of the referrer's names, which goes with them: a reference of the
 * referrer would keep the subject for whatever else holds the referrer, until
 * the names are gone and the next scan no longer sees it.
 */
static bool build_subject(struct build *build, uint32_t at, uint32_t subject)
{
	uint32_t group =
	    ul_graph_find_node(build->builder, UL_KIND_GROUP, NULL, NULL,
			       build->record->objects[at].key, false);

	if (!ul_graph_add_ref(build->builder, subject, at, UL_REF_BACK,
			      "referrer"))
		return false;
	return group == UL_NODE_NONE ||
	       ul_graph_add_ref(build->builder, group, subject, UL_REF_FORWARD,
				"subject");
}

static int build_refs(struct build *build, uint32_t at)
{
	const struct ul_object *object = &build->record->objects[at];
	uint32_t i;

	for (i = 0; i < object->ref_count; i++) {
		const struct ul_object_ref *ref =
		    &build->record->refs[object->first_ref + i];
		bool ok;

		if (object->kind == UL_KIND_BLOB &&
		    is_word(ref->reason, "subject"))
			ok = build_subject(build, at, ref->target);
		else
			ok = ul_graph_add_ref(build->builder, at, ref->target,
					      ref->kind, ref->reason);
		if (!ok)
			return build_nomem(build);
	}
	return 0;
}

static int build_names(struct build *build)
{
	const struct scan_object *objects = build->scan->objects;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < build->record->object_count; i++) {
		const struct ul_object *object = &build->record->objects[i];

		if (object->is_gone || object->kind != UL_KIND_IMAGE)
			continue;
		if (objects[i].is_named &&
		    !ul_graph_add_root(build->builder, (uint32_t)i, "tag"))
			return build_nomem(build);
		rc = build_name(build, (uint32_t)i);
	}
	return rc;
}

static int build_edges(struct build *build)
{
	const struct ul_leases *leases = &build->scan->leases;
	size_t i;
	int rc = build_names(build);

	for (i = 0; !rc && i < build->record->object_count; i++) {
		const struct ul_object *object = &build->record->objects[i];

		if (!object->is_gone && object->kind != UL_KIND_LEASE &&
		    object->kind != UL_KIND_IMAGE)
			rc = build_refs(build, (uint32_t)i);
	}
	for (i = 0; !rc && i < leases->len; i++)
		rc = build_lease(build, &leases->leases[i]);
	return rc;
}

static int build_snapshot_roots(struct build *build)
{
	const struct ul_snapshots *list = &build->scan->snapshots;
	size_t i;

	for (i = 0; i < list->len; i++) {
		const struct ul_snapshot *snapshot = &list->snapshots[i];
		uint32_t at;

		if (snapshot->is_unpacked)
			continue;
		at = ul_record_find(build->record, UL_KIND_SNAPSHOT, "", "",
				    snapshot->key);
		if (!ul_graph_add_root(build->builder, at,
				       ul_snapshot_kind_name(snapshot->kind)))
			return build_nomem(build);
	}
	return 0;
}

static int build_hold(struct build *build)
{
	const char *digest = build->scan->options->hold;

	if (digest &&
	    !ul_graph_add_root(
		build->builder,
		ul_record_find(build->record, UL_KIND_BLOB, "", "", digest),
		"about to be named"))
		return build_nomem(build);
	return 0;
}

/* The node that carries a file's bytes, below its record where it has one. */
static int build_file(struct build *build, struct ul_view_file *file)
{
	const struct ul_object *object = &build->record->objects[file->object];
	uint32_t flat;

	file->node = file->object;
	if (object->kind == UL_KIND_FILE)
		return 0;
	file->node = node_of(build, UL_KIND_FILE, file->path, false);
	if (file->node == UL_NODE_NONE ||
	    !ul_graph_add_ref(build->builder, file->object, file->node,
			      UL_REF_FORWARD, "file"))
		return build_nomem(build);
	flat = ul_graph_find_node(build->builder, object->kind, NULL, NULL,
				  object->key, true);
	if (flat != UL_NODE_NONE &&
	    !ul_graph_add_ref(build->builder, flat, file->node, UL_REF_FORWARD,
			      "file"))
		return build_nomem(build);
	if (file->is_ingest &&
	    !ul_graph_add_root(build->builder, file->object, "ingest"))
		return build_nomem(build);
	return 0;
}

/* One inode with several links, over all files that hold some of them. */
struct shared {
	uint64_t dev, ino, allocated_bytes;
	uint32_t nlink, seen;
	uint32_t file; /* the view file that holds this one's links */
};

static int shared_cmp(const void *a, const void *b)
{
	const struct shared *left = a, *right = b;

	if (left->dev != right->dev)
		return left->dev < right->dev ? -1 : 1;
	if (left->ino != right->ino)
		return left->ino < right->ino ? -1 : 1;
	return left->file < right->file ? -1 : left->file > right->file;
}

static struct shared *shared_list(struct build *build, size_t *ret_count)
{
	const struct ul_view *view = build->scan->view;
	struct shared *list;
	size_t i, j, count = 0;

	for (i = 0; i < view->file_count; i++)
		count += build->record->objects[view->files[i].object]
			     .measure.link_count;
	list = ul_malloc(count * sizeof *list);
	*ret_count = count;
	for (i = 0, count = 0; list && i < view->file_count; i++) {
		const struct ul_measure *measure =
		    &build->record->objects[view->files[i].object].measure;

		for (j = 0; j < measure->link_count; j++)
			list[count++] = (struct shared){
				.dev = measure->links[j].dev,
				.ino = measure->links[j].ino,
				.allocated_bytes =
				    measure->links[j].allocated_bytes,
				.nlink = measure->links[j].nlink,
				.seen = measure->links[j].seen,
				.file = (uint32_t)i,
			};
	}
	if (list)
		qsort(list, count, sizeof *list, shared_cmp);
	return list;
}

/*
 * An inode whose links are in several files lives while one of them does; one
 * with a link that is in none of them is never given back.
 */
static int build_inode(struct build *build, const struct shared *run,
		       size_t count)
{
	const struct ul_view_file *files = build->scan->view->files;
	uint32_t node, seen = 0;
	char key[64];
	size_t i;

	snprintf(key, sizeof key, "inode %" PRIu64 ":%" PRIu64, run->dev,
		 run->ino);
	node = node_of(build, UL_KIND_FILE, key, false);
	if (node == UL_NODE_NONE)
		return build_nomem(build);
	ul_graph_set_weight(build->builder, node, run->allocated_bytes);
	/* An unknown file's too: counted here, so not there. */
	if (ul_inventory_has_inode(&build->scan->inventory, run->dev, run->ino))
		build->scan->view->overhead_bytes -= run->allocated_bytes;
	for (i = 0; i < count; i++) {
		seen += run[i].seen;
		if (!ul_graph_add_ref(build->builder, files[run[i].file].node,
				      node, UL_REF_FORWARD, "hard link"))
			return build_nomem(build);
	}
	if (seen < run->nlink &&
	    !ul_graph_add_root(build->builder, node, UL_REASON_OUTSIDE_LINK))
		return build_nomem(build);
	return 0;
}

static int build_inodes(struct build *build)
{
	size_t i, end, count;
	ul_cleanup(ul_freep) struct shared *list = shared_list(build, &count);
	int rc = 0;

	if (!list)
		return build_nomem(build);
	for (i = 0; !rc && i < count; i = end) {
		for (end = i + 1; end < count && list[end].dev == list[i].dev &&
				  list[end].ino == list[i].ino;)
			end++;
		rc = build_inode(build, list + i, end - i);
	}
	return rc;
}

static int build_files(struct build *build)
{
	struct ul_view *view = build->scan->view;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < view->file_count; i++) {
		struct ul_view_file *file = &view->files[i];

		rc = build_file(build, file);
		if (!rc)
			ul_graph_set_weight(build->builder, file->node,
					    build->record->objects[file->object]
						.measure.allocated_bytes);
	}
	return rc ? rc : build_inodes(build);
}

static int build_all(struct build *build)
{
	int rc = build_objects(build);

	if (!rc)
		rc = build_edges(build);
	if (!rc)
		rc = build_snapshot_roots(build);
	if (!rc)
		rc = build_hold(build);
	if (!rc)
		rc = build_files(build);
	if (rc)
		return rc;
	return ul_graph_builder_finish(
	    build->builder, &build->scan->view->graph, build->scan->err);
}

int scan_graph(struct ul_scan *scan)
{
	struct build build = {
		.scan = scan,
		.record = scan->record,
		.builder = ul_graph_builder_new(),
	};
	int rc;

	if (!build.builder)
		return ul_err_nomem(scan->err);
	rc = build_all(&build);
	ul_graph_builder_free(build.builder);
	return rc;
}
