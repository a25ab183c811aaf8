#include "tests/lib/view_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/graph/builder.h"

void view_begin(struct view_maker *maker)
{
	struct ul_view *view = &maker->view;

	memset(maker, 0, sizeof *maker);
	view->record = UL_RECORD_INIT;
	view->store_name = view->store_kind = view->store_path = "embedded";
	view->mount = "";
	view->as_of_unix_s = VIEW_NOW;
	view->store_name = view->store_kind = "embedded";
	view->files = calloc(VIEW_MAX, sizeof *view->files);
	view->images = calloc(VIEW_MAX, sizeof *view->images);
	view->leases = calloc(VIEW_MAX, sizeof *view->leases);
	view->trash = calloc(VIEW_MAX, sizeof *view->trash);
	view->live_snapshots = calloc(VIEW_MAX, sizeof *view->live_snapshots);
	maker->builder = ul_graph_builder_new();
	assert_non_null(maker->builder);
}

uint32_t view_object(struct view_maker *maker, enum ul_kind kind,
		     const char *key)
{
	uint32_t at =
	    ul_record_object(&maker->view.record, (uint8_t)kind, "", "", key);

	assert_true(at < VIEW_MAX);
	maker->view.record.objects[at].is_known = true;
	return at;
}

void view_ref(struct view_maker *maker, uint32_t from, uint32_t to,
	      const char *reason)
{
	assert_true(maker->ref_count < VIEW_MAX);
	maker->refs[maker->ref_count++] =
	    (struct view_ref){ from, to, UL_REF_FORWARD, reason };
}

size_t view_file(struct view_maker *maker, uint32_t object, uint64_t bytes)
{
	struct ul_view *view = &maker->view;
	char path[256];

	assert_true(view->file_count < VIEW_MAX);
	snprintf(path, sizeof path, "file/%s",
		 view->record.objects[object].key);
	view->record.objects[object].is_present = true;
	view->record.objects[object].length_bytes = bytes;
	view->record.objects[object].measure.allocated_bytes = bytes;
	view->record.objects[object].measure.links =
	    maker->links[view->file_count];
	view->files[view->file_count] = (struct ul_view_file){
		.object = object,
		.path = ul_arena_strdup(&view->arena, path),
		.newest_unix_s = VIEW_NOW - VIEW_DAY_S,
	};
	return view->file_count++;
}

uint32_t view_blob(struct view_maker *maker, const char *key, uint64_t bytes)
{
	uint32_t at = view_object(maker, UL_KIND_BLOB, key);

	view_file(maker, at, bytes);
	return at;
}

void view_link(struct view_maker *maker, size_t file, uint64_t inode,
	       uint32_t nlink, uint64_t bytes)
{
	struct ul_measure *measure =
	    &maker->view.record.objects[maker->view.files[file].object].measure;

	assert_true(measure->link_count < 8);
	measure->links[measure->link_count++] = (struct ul_measure_link){
		.dev = 1,
		.ino = inode,
		.nlink = nlink,
		.seen = 1,
		.allocated_bytes = bytes,
		.in_split = true,
	};
}

static struct ul_view_image *image_row(struct view_maker *maker,
				       const char *digest)
{
	struct ul_view *view = &maker->view;
	struct ul_view_image *image;
	size_t i;

	for (i = 0; i < view->image_count; i++) {
		if (!strcmp(view->images[i].digest, digest))
			return &view->images[i];
	}
	image = &view->images[view->image_count++];
	*image = (struct ul_view_image){
		.ns = "",
		.digest = ul_arena_strdup(&view->arena, digest),
		.target = view_object(maker, UL_KIND_BLOB, digest),
		.names = ul_arena_alloc(&view->arena, 8 * sizeof(uint32_t)),
		.is_nameless = true,
		.platforms =
		    ul_arena_alloc(&view->arena, 4 * sizeof *image->platforms),
		.created_unix_s = VIEW_NOW - 10 * VIEW_DAY_S,
		.used_unix_s = VIEW_NOW - 5 * VIEW_DAY_S,
	};
	return image;
}

uint32_t view_image(struct view_maker *maker, const char *name,
		    const char *digest, struct ul_view_image **ret)
{
	struct ul_view_image *image = image_row(maker, digest);
	uint32_t object =
	    view_object(maker, UL_KIND_IMAGE, name ? name : digest);

	assert_true(image->name_count < 8);
	image->names[image->name_count++] = object;
	image->is_nameless = image->is_nameless && !name;
	image->was_named = image->was_named || name;
	if (ret)
		*ret = image;
	return object;
}

struct ul_config_facts *view_platform(struct view_maker *maker,
				      struct ul_view_image *image,
				      uint32_t manifest, const char *config_key,
				      const char *labels_json)
{
	struct ul_record *record = &maker->view.record;
	uint32_t config = view_blob(maker, config_key, 100);
	struct ul_config_facts *facts =
	    ul_arena_alloc(&record->arena, sizeof *facts);

	facts->diff_ids = "";
	facts->labels = labels_json;
	record->objects[config].config = facts;
	view_ref(maker, manifest, config, "config");
	image->platforms[image->platform_count++] = (struct ul_view_platform){
		.platform = "linux/amd64",
		.manifest = manifest,
		.config = config,
		.top_snapshot = UL_OBJECT_NONE,
		.is_present = true,
	};
	return facts;
}

uint32_t view_lease(struct view_maker *maker, const char *id, bool is_container,
		    bool is_expired, bool is_flat)
{
	struct ul_view *view = &maker->view;
	uint32_t object = view_object(maker, UL_KIND_LEASE, id);

	maker->lease_is_flat[view->lease_count] = is_flat;
	view->leases[view->lease_count++] = (struct ul_view_lease){
		.object = object,
		.is_container = is_container,
		.is_expired = is_expired,
	};
	return object;
}

struct ul_view_trash *view_trash(struct view_maker *maker, const char *path,
				 uint64_t bytes, int64_t delete_unix_s)
{
	struct ul_view *view = &maker->view;
	uint32_t object = view_object(maker, UL_KIND_FILE, path);
	size_t file = view_file(maker, object, bytes);
	struct ul_view_trash *trash = &view->trash[view->trash_count++];

	view->files[file].is_trash = true;
	*trash = (struct ul_view_trash){
		.object = object,
		.run = 1,
		.delete_unix_s = delete_unix_s,
		.kind = UL_KIND_BLOB,
		.key = ul_arena_strdup(&view->arena, path),
	};
	return trash;
}

static uint32_t add_node(struct view_maker *maker, enum ul_kind kind,
			 const char *key, bool is_flat)
{
	uint32_t node =
	    ul_graph_add_node(maker->builder, kind, NULL, NULL, key, is_flat);

	assert_int_not_equal(node, UL_NODE_NONE);
	return node;
}

static void add_ref(struct view_maker *maker, uint32_t from, uint32_t to,
		    const char *reason)
{
	assert_true(
	    ul_graph_add_ref(maker->builder, from, to, UL_REF_FORWARD, reason));
}

static void made_images(struct view_maker *maker)
{
	struct ul_view *view = &maker->view;
	size_t i, n;

	for (i = 0; i < view->image_count; i++) {
		struct ul_view_image *image = &view->images[i];

		image->group =
		    add_node(maker, UL_KIND_GROUP, image->digest, false);
		add_ref(maker, image->group, image->target, "target");
		for (n = 0; n < image->name_count; n++) {
			add_ref(maker, image->names[n], image->group, "name");
			assert_true(ul_graph_add_root(maker->builder,
						      image->names[n], "tag"));
		}
	}
}

static bool is_flat_lease(const struct view_maker *maker, uint32_t object)
{
	size_t i;

	for (i = 0; i < maker->view.lease_count; i++) {
		if (maker->view.leases[i].object == object)
			return maker->lease_is_flat[i];
	}
	return false;
}

/* The record says the same as the graph. */
static void made_record(struct view_maker *maker)
{
	struct ul_record *record = &maker->view.record;
	uint32_t at;
	size_t i;

	for (at = 0; at < record->object_count; at++) {
		struct ul_object_ref refs[VIEW_MAX];
		size_t count = 0;

		for (i = 0; i < maker->ref_count; i++) {
			if (maker->refs[i].from == at)
				refs[count++] = (struct ul_object_ref){
					maker->refs[i].to, UL_REF_FORWARD,
					maker->refs[i].reason
				};
		}
		assert_true(ul_record_set_refs(record, at, refs, count));
	}
}

static void made_refs(struct view_maker *maker)
{
	struct ul_view *view = &maker->view;
	size_t i;

	for (i = 0; i < maker->ref_count; i++) {
		const struct view_ref *ref = &maker->refs[i];
		const struct ul_object *object = &view->record.objects[ref->to];
		uint32_t to = ref->to;

		if (is_flat_lease(maker, ref->from))
			to = add_node(maker, object->kind, object->key, true);
		add_ref(maker, ref->from, to, ref->reason);
	}
	for (i = 0; i < view->lease_count; i++) {
		if (!view->leases[i].is_expired)
			assert_true(ul_graph_add_root(
			    maker->builder, view->leases[i].object, "lease"));
	}
	for (i = 0; i < view->live_snapshot_count; i++)
		assert_true(ul_graph_add_root(
		    maker->builder, view->live_snapshots[i], "active"));
}

static void made_file(struct view_maker *maker, struct ul_view_file *file)
{
	const struct ul_object *object =
	    &maker->view.record.objects[file->object];
	uint32_t flat;

	file->node = file->object;
	if (object->kind != UL_KIND_FILE) {
		file->node = add_node(maker, UL_KIND_FILE, file->path, false);
		add_ref(maker, file->object, file->node, "file");
		flat = ul_graph_find_node(maker->builder, object->kind, NULL,
					  NULL, object->key, true);
		if (flat != UL_NODE_NONE)
			add_ref(maker, flat, file->node, "file");
	}
	if (file->is_ingest)
		assert_true(
		    ul_graph_add_root(maker->builder, file->object, "ingest"));
	ul_graph_set_weight(maker->builder, file->node,
			    object->measure.allocated_bytes);
}

/* How many links of an inode the files hold together. */
static uint32_t seen_of(const struct view_maker *maker, uint64_t inode)
{
	uint32_t seen = 0;
	size_t i, n;

	for (i = 0; i < maker->view.file_count; i++) {
		const struct ul_measure *measure =
		    &maker->view.record.objects[maker->view.files[i].object]
			 .measure;

		for (n = 0; n < measure->link_count; n++)
			seen += measure->links[n].ino == inode;
	}
	return seen;
}

static void made_links(struct view_maker *maker,
		       const struct ul_view_file *file)
{
	const struct ul_measure *measure =
	    &maker->view.record.objects[file->object].measure;
	size_t n;

	for (n = 0; n < measure->link_count; n++) {
		const struct ul_measure_link *link = &measure->links[n];
		char key[64];
		uint32_t node;

		snprintf(key, sizeof key, "inode %" PRIu64, link->ino);
		node = add_node(maker, UL_KIND_FILE, key, false);
		ul_graph_set_weight(maker->builder, node,
				    link->allocated_bytes);
		add_ref(maker, file->node, node, "hard link");
		if (seen_of(maker, link->ino) < link->nlink)
			assert_true(ul_graph_add_root(maker->builder, node,
						      UL_REASON_OUTSIDE_LINK));
	}
}

struct ul_view *view_made(struct view_maker *maker)
{
	struct ul_view *view = &maker->view;
	struct ul_err err = UL_ERR_INIT;
	size_t i;

	for (i = 0; i < view->record.object_count; i++)
		assert_int_equal(add_node(maker, view->record.objects[i].kind,
					  view->record.objects[i].key, false),
				 i);
	made_record(maker);
	made_images(maker);
	made_refs(maker);
	for (i = 0; i < view->file_count; i++)
		made_file(maker, &view->files[i]);
	for (i = 0; i < view->file_count; i++)
		made_links(maker, &view->files[i]);
	assert_int_equal(
	    ul_graph_builder_finish(maker->builder, &view->graph, &err), 0);
	ul_graph_builder_free(maker->builder);
	return view;
}
