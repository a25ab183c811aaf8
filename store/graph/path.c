#include "store/graph/path.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/graph/graph.h"

/*
 * What a breadth-first walk against the references, from the target on,
 * finds: for each node how far the target is and which node comes next.
 */
struct way {
	uint32_t *first_from; /* transposed rows: who refers to a node */
	uint32_t *from;
	uint32_t *distance; /* UL_NODE_NONE: does not reach the target */
	uint32_t *next;
	uint32_t *queue;
};

static void way_release(struct way *way)
{
	free(way->first_from);
	free(way->from);
	free(way->distance);
	free(way->next);
	free(way->queue);
}

static bool way_alloc(struct way *way, const struct ul_graph *graph)
{
	size_t nodes = graph->node_count, refs = graph->ref_count;

	way->first_from = ul_calloc(nodes + 1, sizeof *way->first_from);
	way->from = ul_malloc(refs * sizeof *way->from);
	way->distance = ul_malloc(nodes * sizeof *way->distance);
	way->next = ul_malloc(nodes * sizeof *way->next);
	way->queue = ul_malloc(nodes * sizeof *way->queue);
	return way->first_from && way->from && way->distance && way->next &&
	       way->queue;
}

/* Counting sort by target, filled from the last reference down. */
static void way_transpose(struct way *way, const struct ul_graph *graph)
{
	uint32_t *first = way->first_from, sum = 0, i, n;

	for (i = 0; i < graph->ref_count; i++)
		first[graph->ref_to[i]]++;
	for (n = 0; n < graph->node_count; n++) {
		sum += first[n];
		first[n] = sum;
	}
	first[graph->node_count] = sum;
	for (n = graph->node_count; n-- > 0;) {
		for (i = graph->first_ref[n + 1]; i-- > graph->first_ref[n];)
			way->from[--first[graph->ref_to[i]]] = n;
	}
}

static void way_walk(struct way *way, uint32_t node_count, uint32_t target)
{
	uint32_t len = 0, at, i, node, from;

	for (i = 0; i < node_count; i++)
		way->distance[i] = UL_NODE_NONE;
	way->distance[target] = 0;
	way->queue[len++] = target;
	for (at = 0; at < len; at++) {
		node = way->queue[at];
		for (i = way->first_from[node]; i < way->first_from[node + 1];
		     i++) {
			from = way->from[i];
			if (way->distance[from] != UL_NODE_NONE)
				continue;
			way->distance[from] = way->distance[node] + 1;
			way->next[from] = node;
			way->queue[len++] = from;
		}
	}
}

static const char *reason_of(const struct ul_graph *graph, uint32_t from,
			     uint32_t to)
{
	uint32_t i = graph->first_ref[from];

	while (graph->ref_to[i] != to)
		i++;
	assert(i < graph->first_ref[from + 1]);
	return graph->reasons[graph->ref_reason[i]];
}

static bool path_build(const struct ul_graph *graph, const struct way *way,
		       const struct ul_root *root, struct ul_path *ret)
{
	size_t i, len = (size_t)way->distance[root->node] + 1;
	struct ul_path_step *steps = ul_malloc(len * sizeof *steps);
	uint32_t node = root->node;

	if (!steps)
		return false;
	steps[0].node = node;
	steps[0].reason = graph->reasons[root->reason];
	for (i = 1; i < len; i++) {
		steps[i].node = way->next[node];
		steps[i].reason = reason_of(graph, node, steps[i].node);
		node = steps[i].node;
	}
	*ret = (struct ul_path){ .steps = steps, .len = len };
	return true;
}

struct candidate {
	uint32_t distance;
	uint32_t root; /* index in the root list */
};

static int candidate_cmp(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->root < y->root ? -1 : 1;
}

/* The roots that reach the target, nearest first. */
static uint32_t candidates_find(const struct ul_graph *graph,
				const struct way *way,
				struct candidate *candidates)
{
	uint32_t i, len = 0;

	for (i = 0; i < graph->root_count; i++) {
		uint32_t distance = way->distance[graph->roots[i].node];

		if (distance != UL_NODE_NONE)
			candidates[len++] = (struct candidate){ distance, i };
	}
	qsort(candidates, len, sizeof *candidates, candidate_cmp);
	return len;
}

static bool paths_build(const struct ul_graph *graph, const struct way *way,
			size_t most, struct ul_paths *paths)
{
	ul_cleanup(ul_freep) struct candidate *candidates = NULL;
	size_t i, count;

	candidates = ul_malloc(graph->root_count * sizeof *candidates);
	if (!candidates)
		return false;
	paths->root_count = candidates_find(graph, way, candidates);
	count = paths->root_count < most ? paths->root_count : most;
	paths->paths = ul_calloc(count, sizeof *paths->paths);
	if (!paths->paths)
		return false;
	for (i = 0; i < count; i++) {
		if (!path_build(graph, way, &graph->roots[candidates[i].root],
				&paths->paths[i]))
			return false;
		paths->len++;
	}
	return true;
}

int ul_paths_find(const struct ul_graph *graph, uint32_t target, size_t most,
		  struct ul_paths *ret, struct ul_err *err)
{
	ul_cleanup(ul_paths_release) struct ul_paths paths = UL_PATHS_INIT;
	ul_cleanup(way_release) struct way way = { .from = NULL };

	assert(target < graph->node_count);
	if (!way_alloc(&way, graph))
		return ul_err_nomem(err);
	way_transpose(&way, graph);
	way_walk(&way, graph->node_count, target);
	if (!paths_build(graph, &way, most, &paths))
		return ul_err_nomem(err);
	*ret = paths;
	paths = UL_PATHS_INIT;
	return 0;
}

void ul_paths_release(struct ul_paths *paths)
{
	size_t i;

	for (i = 0; i < paths->len; i++)
		free(paths->paths[i].steps);
	free(paths->paths);
	*paths = UL_PATHS_INIT;
}
