/*
 * Classes: one breadth-first pass a class, in their order, each entering
 * only what no earlier one reached. Bytes hang on file nodes, so a blob or
 * inode that several records share is met once, by the first class.
 */
#include "accounting/report.h"

#include <stdlib.h>
#include <string.h>

#include "accounting/duplicates.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/graph/mark.h"
#include "store/view.h"

const char *ul_class_name(enum ul_class which)
{
	static const char *const names[UL_CLASS_COUNT] = {
		[UL_CLASS_IMAGES_IN_USE] = "images-in-use",
		[UL_CLASS_IMAGES_UNUSED] = "images-unused",
		[UL_CLASS_CONTAINERS] = "containers",
		[UL_CLASS_BUILD_CACHE] = "build-cache",
		[UL_CLASS_TRASH] = "trash",
		[UL_CLASS_LEASED] = "leased",
		[UL_CLASS_INGESTS] = "ingests",
		[UL_CLASS_COLLECTABLE] = "collectable",
		[UL_CLASS_ORPHANED] = "orphaned",
		[UL_CLASS_OVERHEAD] = "overhead",
	};

	return names[which];
}

void ul_df_release(struct ul_df *df)
{
	ul_arena_release(&df->arena);
	*df = UL_DF_INIT;
}

struct classify {
	const struct ul_view *view;
	struct ul_df *df;
	struct ul_mark mark;
	uint32_t *nodes; /* owned; the roots of the class at hand */
	size_t node_count;
};

static void classify_release(struct classify *classify)
{
	ul_mark_release(&classify->mark);
	free(classify->nodes);
}

static void classify_add(struct classify *classify, uint32_t node)
{
	classify->nodes[classify->node_count++] = node;
}

/* Reach what the collected roots reach, and put it into this class. */
static void classify_pass(struct classify *classify, enum ul_class which)
{
	uint32_t i = classify->mark.order_len;

	ul_mark_from(&classify->mark, &classify->view->graph, classify->nodes,
		     classify->node_count);
	for (; i < classify->mark.order_len; i++) {
		uint32_t node = classify->mark.order[i];

		classify->df->class_of[node] = (uint8_t)which;
		classify->df->rows[which].allocated_bytes +=
		    classify->view->graph.nodes[node].weight_bytes;
	}
	classify->node_count = 0;
}

static void pass_images(struct classify *classify, bool in_use)
{
	const struct ul_view *view = classify->view;
	size_t i;

	for (i = 0; i < view->image_count; i++) {
		if ((view->images[i].containers > 0) == in_use)
			classify_add(classify, view->images[i].group);
	}
	classify_pass(classify,
		      in_use ? UL_CLASS_IMAGES_IN_USE : UL_CLASS_IMAGES_UNUSED);
}

static void pass_leases(struct classify *classify, bool containers)
{
	const struct ul_view *view = classify->view;
	size_t i;

	for (i = 0; i < view->lease_count; i++) {
		if (!view->leases[i].is_expired &&
		    view->leases[i].is_container == containers)
			classify_add(classify, view->leases[i].object);
	}
	for (i = 0; !containers && i < view->live_snapshot_count; i++)
		classify_add(classify, view->live_snapshots[i]);
	classify_pass(classify,
		      containers ? UL_CLASS_CONTAINERS : UL_CLASS_LEASED);
}

typedef bool file_filter(const struct ul_view *view,
			 const struct ul_view_file *file);

static bool is_trash(const struct ul_view *view,
		     const struct ul_view_file *file)
{
	(void)view;
	return file->is_trash;
}

static bool is_ingest(const struct ul_view *view,
		      const struct ul_view_file *file)
{
	(void)view;
	return file->is_ingest;
}

static bool is_collectable(const struct ul_view *view,
			   const struct ul_view_file *file)
{
	return view->record.objects[file->object].is_known && !file->is_orphan;
}

static bool is_any(const struct ul_view *view, const struct ul_view_file *file)
{
	(void)view;
	(void)file;
	return true;
}

static void pass_files(struct classify *classify, enum ul_class which,
		       file_filter *filter)
{
	const struct ul_view *view = classify->view;
	size_t i;

	for (i = 0; i < view->file_count; i++) {
		if (filter(view, &view->files[i]))
			classify_add(classify, view->files[i].object);
	}
	classify_pass(classify, which);
}

/* What was packed before it went to the trash is packed there too. */
static bool *packed_list(const struct ul_view *view)
{
	bool *packed = ul_calloc(view->record.object_count, sizeof *packed);
	size_t i;

	for (i = 0; packed && i < view->file_count; i++) {
		uint32_t at = view->files[i].object;

		packed[at] = view->record.objects[at].kind == UL_KIND_BLOB;
	}
	for (i = 0; packed && i < view->trash_count; i++)
		packed[view->trash[i].object] =
		    view->trash[i].kind == UL_KIND_BLOB;
	return packed;
}

/* Bytes below `fs`: the tree's own, and of shared inodes each once. */
static uint64_t unpacked_links(const struct ul_measure *measure,
			       struct ul_map *seen)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < measure->link_count; i++) {
		const struct ul_measure_link *link = &measure->links[i];
		bool added = true;

		if (!link->in_split)
			continue;
		/* Without memory a shared inode counts again: too much shown
		 * once, nothing decided by it. */
		(void)ul_map_put(seen, link, 2 * sizeof(uint64_t), 1, &added);
		if (added)
			bytes += link->allocated_bytes;
	}
	return bytes;
}

static int count_files(struct classify *classify, struct ul_err *err)
{
	const struct ul_view *view = classify->view;
	ul_cleanup(ul_map_release) struct ul_map seen = UL_MAP_INIT;
	ul_cleanup(ul_freep) bool *packed = packed_list(view);
	size_t i;

	if (!packed)
		return ul_err_nomem(err);
	for (i = 0; i < view->file_count; i++) {
		const struct ul_view_file *file = &view->files[i];
		const struct ul_object *object =
		    &view->record.objects[file->object];
		struct ul_class_row *row =
		    &classify->df->rows[classify->df->class_of[file->node]];

		row->object_count++;
		if (packed[file->object])
			row->packed_bytes += object->length_bytes;
		else
			row->unpacked_bytes +=
			    object->measure.unpacked_bytes +
			    unpacked_links(&object->measure, &seen);
	}
	return 0;
}

/* What removing all unpinned unused images together would free. */
static int unused_gain(struct classify *classify, struct ul_err *err)
{
	const struct ul_view *view = classify->view;
	ul_cleanup(ul_bits_release) struct ul_bits without = UL_BITS_INIT;
	size_t i, n;

	if (!ul_bits_init(&without, view->graph.node_count))
		return ul_err_nomem(err);
	for (i = 0; i < view->image_count; i++) {
		const struct ul_view_image *image = &view->images[i];

		for (n = 0; !image->containers && !image->is_pinned &&
			    n < image->name_count;
		     n++)
			ul_bits_set(&without, image->names[n]);
	}
	return ul_mark_gain(
	    &view->graph, &without,
	    &classify->df->rows[UL_CLASS_IMAGES_UNUSED].reclaimable_bytes, err);
}

/*
 * What the trash and the collectable give back: all, but for inodes that a
 * file in use, or one outside the store, is another link to.
 */
static int unneeded_gain(struct classify *classify, struct ul_err *err)
{
	const struct ul_graph *graph = &classify->view->graph;
	ul_cleanup(ul_mark_release) struct ul_mark needed = UL_MARK_INIT;
	struct ul_class_row *rows = classify->df->rows;
	uint32_t i;
	int rc = ul_mark_init(&needed, graph, err);

	if (rc)
		return rc;
	ul_mark_roots(&needed, graph, NULL);
	for (i = 0; i < graph->node_count; i++) {
		uint8_t class = classify->df->class_of[i];

		if ((class == UL_CLASS_TRASH ||
		     class == UL_CLASS_COLLECTABLE) &&
		    !ul_bits_get(&needed.reached, i))
			rows[class].reclaimable_bytes +=
			    graph->nodes[i].weight_bytes;
	}
	return 0;
}

int ul_df_take_orphans(const struct ul_view *view, const bool *goes,
		       struct ul_df *df, struct ul_err *err)
{
	const struct ul_graph *graph = &view->graph;
	ul_cleanup(ul_mark_release) struct ul_mark stays = UL_MARK_INIT;
	uint32_t i;
	int rc = ul_mark_init(&stays, graph, err);

	if (rc)
		return rc;
	ul_mark_roots(&stays, graph, NULL);
	for (i = 0; i < view->file_count; i++) {
		if (!goes[view->files[i].object])
			ul_mark_from(&stays, graph, &view->files[i].object, 1);
	}
	for (i = 0; i < graph->node_count; i++) {
		if (df->class_of[i] == UL_CLASS_ORPHANED &&
		    !ul_bits_get(&stays.reached, i))
			df->rows[UL_CLASS_ORPHANED].reclaimable_bytes +=
			    graph->nodes[i].weight_bytes;
	}
	return 0;
}

static void classify_all(struct classify *classify)
{
	pass_images(classify, true);
	pass_images(classify, false);
	pass_leases(classify, true);
	pass_files(classify, UL_CLASS_TRASH, is_trash);
	pass_leases(classify, false);
	pass_files(classify, UL_CLASS_INGESTS, is_ingest);
	pass_files(classify, UL_CLASS_COLLECTABLE, is_collectable);
	pass_files(classify, UL_CLASS_ORPHANED, is_any);
}

static int df_init(struct classify *classify, struct ul_err *err)
{
	const struct ul_view *view = classify->view;
	size_t most = view->image_count + view->lease_count +
		      view->live_snapshot_count + view->file_count;

	classify->nodes = ul_malloc(most * sizeof *classify->nodes);
	classify->df->class_of =
	    ul_arena_alloc(&classify->df->arena, view->graph.node_count);
	if (!classify->nodes || !classify->df->class_of)
		return ul_err_nomem(err);
	memset(classify->df->class_of, UL_CLASS_COUNT, view->graph.node_count);
	return ul_mark_init(&classify->mark, &view->graph, err);
}

static void df_sums(struct ul_df *df, const struct ul_view *view)
{
	struct ul_class_row *rows = df->rows;
	size_t i;

	rows[UL_CLASS_OVERHEAD].allocated_bytes = view->overhead_bytes;
	rows[UL_CLASS_OVERHEAD].object_count = view->overhead_count;
	for (i = 0; i < UL_CLASS_COUNT; i++)
		df->allocated_bytes += rows[i].allocated_bytes;
	df->residual_bytes = view->record.residual_bytes;
	df->residual_as_of_unix_s = view->record.walked_unix_s;
}

int ul_df_build(const struct ul_view *view, struct ul_df *ret_df,
		struct ul_err *err)
{
	ul_cleanup(ul_df_release) struct ul_df df = UL_DF_INIT;
	ul_cleanup(classify_release) struct classify classify = {
		.view = view,
		.df = &df,
		.mark = UL_MARK_INIT,
	};
	int rc = df_init(&classify, err);

	if (rc)
		return rc;
	classify_all(&classify);
	rc = count_files(&classify, err);
	if (rc)
		return rc;
	df_sums(&df, view);
	rc = unused_gain(&classify, err);
	if (!rc)
		rc = unneeded_gain(&classify, err);
	if (!rc)
		rc = ul_duplicates_find(view, &df, err);
	if (rc)
		return rc;
	*ret_df = df;
	df = UL_DF_INIT;
	return 0;
}
