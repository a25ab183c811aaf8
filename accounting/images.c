/*
 * Images: what each reaches (packed, unpacked, allocated) by a pass of its
 * own, what it alone keeps (unique) from the dominator tree.
 */
#include <stdlib.h>
#include <string.h>

#include "accounting/report.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/followers.h"
#include "store/graph/mark.h"
#include "store/graph/retained.h"
#include "store/view.h"

void ul_image_rows_release(struct ul_image_rows *rows)
{
	ul_arena_release(&rows->arena);
	*rows = UL_IMAGE_ROWS_INIT;
}

/*
 * Passes from one node at a time over a graph that many images share. A
 * stamp a node, instead of clearing a bit set, keeps each pass as small as
 * what it reaches.
 */
struct reach {
	const struct ul_view *view;
	const struct ul_view_file **files; /* by object; NULL: no file */
	uint32_t *stamp; /* by node: the pass that met it last */
	uint32_t *queue;
	uint32_t pass;
	struct ul_map inodes; /* (dev, ino) -> pass that counted it */
};

static void reach_release(struct reach *reach)
{
	free(reach->files);
	free(reach->stamp);
	free(reach->queue);
	ul_map_release(&reach->inodes);
}

static int reach_init(struct reach *reach, const struct ul_view *view,
		      struct ul_err *err)
{
	size_t i;

	reach->view = view;
	reach->files =
	    ul_calloc(view->record.object_count, sizeof *reach->files);
	reach->stamp = ul_calloc(view->graph.node_count, sizeof *reach->stamp);
	reach->queue = ul_malloc(view->graph.node_count * sizeof *reach->queue);
	if (!reach->files || !reach->stamp || !reach->queue)
		return ul_err_nomem(err);
	for (i = 0; i < view->file_count; i++)
		reach->files[view->files[i].object] = &view->files[i];
	return 0;
}

struct reached {
	uint64_t packed_bytes, unpacked_bytes, allocated_bytes;
};

static uint64_t reach_links(struct reach *reach,
			    const struct ul_measure *measure)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < measure->link_count; i++) {
		const struct ul_measure_link *link = &measure->links[i];
		uint32_t *pass;
		bool added;

		if (!link->in_split)
			continue;
		pass = ul_map_put(&reach->inodes, link, 2 * sizeof(uint64_t), 0,
				  &added);
		if (pass && *pass == reach->pass)
			continue;
		if (pass)
			*pass = reach->pass;
		bytes += link->allocated_bytes;
	}
	return bytes;
}

static void reach_count(struct reach *reach, uint32_t node, struct reached *sum)
{
	const struct ul_view *view = reach->view;
	const struct ul_object *object;

	sum->allocated_bytes += view->graph.nodes[node].weight_bytes;
	if (node >= view->record.object_count || !reach->files[node])
		return;
	object = &view->record.objects[node];
	if (object->kind == UL_KIND_BLOB)
		sum->packed_bytes += object->length_bytes;
	if (object->kind == UL_KIND_SNAPSHOT)
		sum->unpacked_bytes += object->measure.unpacked_bytes +
				       reach_links(reach, &object->measure);
}

static struct reached reach_from(struct reach *reach, uint32_t from)
{
	const struct ul_graph *graph = &reach->view->graph;
	struct reached sum = { 0 };
	uint32_t head = 0, len = 0, r;

	reach->pass++;
	reach->stamp[from] = reach->pass;
	reach->queue[len++] = from;
	while (head < len) {
		uint32_t node = reach->queue[head++];

		reach_count(reach, node, &sum);
		for (r = graph->first_ref[node]; r < graph->first_ref[node + 1];
		     r++) {
			uint32_t to = graph->ref_to[r];

			if (reach->stamp[to] == reach->pass)
				continue;
			reach->stamp[to] = reach->pass;
			reach->queue[len++] = to;
		}
	}
	return sum;
}

static int row_platforms(struct reach *reach, struct ul_image_row *row,
			 struct ul_arena *arena, struct ul_err *err)
{
	const struct ul_view_image *image = row->image;
	size_t i;

	row->platforms = ul_arena_alloc(arena, image->platform_count *
						   sizeof *row->platforms);
	if (!row->platforms)
		return ul_err_nomem(err);
	for (i = 0; i < image->platform_count; i++) {
		const struct ul_view_platform *from = &image->platforms[i];
		struct reached sum;

		if (from->is_attestation) {
			row->attestation_count++;
			continue;
		}
		sum = reach_from(reach, from->manifest);
		row->platforms[row->platform_count++] =
		    (struct ul_platform_row){
			    .platform = from->platform,
			    .manifest =
				reach->view->record.objects[from->manifest].key,
			    .packed_bytes = sum.packed_bytes,
			    .unpacked_bytes = sum.unpacked_bytes,
			    .is_unpacked = from->top_snapshot != UL_OBJECT_NONE,
		    };
	}
	return 0;
}

/*
 * By node: names that something refers to (a lease holds an image by name,
 * one that has left the index perhaps), and the groups below those. Such a
 * group stays when all names of its image are gone, which the dominator tree
 * cannot say of it.
 */
static bool *held_groups(const struct ul_view *view)
{
	const struct ul_graph *graph = &view->graph;
	bool *held = ul_calloc(graph->node_count, sizeof *held);
	uint32_t node, r;

	for (r = 0; held && r < graph->first_ref[graph->node_count]; r++) {
		uint32_t to = graph->ref_to[r];

		held[to] = held[to] || graph->nodes[to].kind == UL_KIND_IMAGE;
	}
	for (node = 0; held && node < graph->node_count; node++) {
		if (!held[node] || graph->nodes[node].kind != UL_KIND_IMAGE)
			continue;
		for (r = graph->first_ref[node]; r < graph->first_ref[node + 1];
		     r++)
			held[graph->ref_to[r]] = true;
	}
	return held;
}

/* What removing all names of these images would free. */
static int chosen_gain(const struct ul_view *view, const bool *chosen,
		       uint64_t *ret_bytes, struct ul_err *err)
{
	ul_cleanup(ul_bits_release) struct ul_bits without = UL_BITS_INIT;
	size_t i, n;

	if (!ul_bits_init(&without, view->graph.node_count))
		return ul_err_nomem(err);
	for (i = 0; i < view->image_count; i++) {
		for (n = 0; chosen[i] && n < view->images[i].name_count; n++)
			ul_bits_set(&without, view->images[i].names[n]);
	}
	return ul_mark_gain(&view->graph, &without, ret_bytes, err);
}

struct uniques {
	uint64_t *retained; /* owned; by node */
	bool *held;         /* owned; by node */
	bool *chosen;       /* owned; by image: scratch */
	struct ul_followers followers;
};

static void uniques_release(struct uniques *uniques)
{
	free(uniques->retained);
	free(uniques->held);
	free(uniques->chosen);
	ul_followers_release(&uniques->followers);
}

/* With the tags that follow it, where there are any: then a set goes. */
static int row_unique(const struct ul_view *view, size_t at,
		      struct uniques *uniques, uint64_t *ret_bytes,
		      struct ul_err *err)
{
	bool *chosen = uniques->chosen;
	bool is_exact = !uniques->held[view->images[at].group];
	size_t i, count = 0;

	*ret_bytes = uniques->retained[view->images[at].group];
	if (is_exact && !ul_followers_has(&uniques->followers, at))
		return 0;
	memset(chosen, 0, view->image_count);
	chosen[at] = true;
	ul_followers_choose(&uniques->followers, chosen);
	for (i = 0; i < view->image_count; i++)
		count += chosen[i];
	if (is_exact && count == 1)
		return 0;
	return chosen_gain(view, chosen, ret_bytes, err);
}

static int rows_fill(struct reach *reach, struct uniques *uniques,
		     struct ul_image_rows *rows, struct ul_err *err)
{
	const struct ul_view *view = reach->view;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < rows->len; i++) {
		struct ul_image_row *row = &rows->rows[i];
		struct reached sum;

		row->image = &view->images[i];
		sum = reach_from(reach, row->image->group);
		row->packed_bytes = sum.packed_bytes;
		row->unpacked_bytes = sum.unpacked_bytes;
		row->allocated_bytes = sum.allocated_bytes;
		rc = row_unique(view, i, uniques, &row->unique_bytes, err);
		if (rc)
			return rc;
		if (row->unique_bytes > row->allocated_bytes)
			row->allocated_bytes = row->unique_bytes;
		row->shared_bytes = row->allocated_bytes - row->unique_bytes;
		rc = row_platforms(reach, row, &rows->arena, err);
	}
	return rc;
}

static int uniques_init(struct uniques *uniques, const struct ul_view *view,
			struct ul_err *err)
{
	uniques->held = held_groups(view);
	uniques->chosen = ul_calloc(view->image_count, sizeof(bool));
	if (!uniques->held || !uniques->chosen)
		return ul_err_nomem(err);
	if (ul_followers_build(view, &uniques->followers, err))
		return err->code;
	return ul_retained(&view->graph, &uniques->retained, err);
}

int ul_image_rows_build(const struct ul_view *view,
			struct ul_image_rows *ret_rows, struct ul_err *err)
{
	ul_cleanup(ul_image_rows_release) struct ul_image_rows rows =
	    UL_IMAGE_ROWS_INIT;
	ul_cleanup(reach_release) struct reach reach = {
		.inodes = UL_MAP_INIT,
	};
	ul_cleanup(uniques_release) struct uniques uniques = {
		.followers = UL_FOLLOWERS_INIT,
	};
	int rc;

	rows.len = view->image_count;
	rows.rows = ul_arena_alloc(&rows.arena, rows.len * sizeof *rows.rows);
	if (!rows.rows)
		return ul_err_nomem(err);
	rc = reach_init(&reach, view, err);
	if (!rc)
		rc = uniques_init(&uniques, view, err);
	if (!rc)
		rc = rows_fill(&reach, &uniques, &rows, err);
	if (rc)
		return rc;
	*ret_rows = rows;
	rows = UL_IMAGE_ROWS_INIT;
	return 0;
}
