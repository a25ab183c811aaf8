#include "store/graph/retained.h"

#include "base/err.h"
#include "base/mem.h"
#include "store/graph/dominator.h"
#include "store/graph/graph.h"

enum { AHEAD = 32 };

/* Dominators have lower numbers: from the highest down, each sum is complete
 * when it is added to the next. */
static void sum_up(const struct ul_dominators *tree, uint64_t *bytes)
{
	uint32_t i;

	for (i = tree->count; i-- > 1;)
		bytes[tree->parent[i]] += bytes[i];
}

static void weights_get(const struct ul_dominators *tree,
			const struct ul_graph *graph, uint64_t *bytes)
{
	uint32_t i;

	for (i = 1; i < tree->count; i++) {
		if (tree->count - i > AHEAD)
			__builtin_prefetch(
			    &graph->nodes[tree->node[i + AHEAD]].weight_bytes);
		bytes[i] = graph->nodes[tree->node[i]].weight_bytes;
	}
}

int ul_retained(const struct ul_graph *graph, uint64_t **ret_bytes,
		struct ul_err *err)
{
	ul_cleanup(ul_dominators_release) struct ul_dominators tree =
	    UL_DOMINATORS_INIT;
	ul_cleanup(ul_freep) uint64_t *by_number = NULL;
	uint64_t *by_node;
	uint32_t i;
	int rc;

	rc = ul_dominators_build(graph, &tree, err);
	if (rc)
		return rc;
	by_number = ul_calloc(tree.count, sizeof *by_number);
	by_node = ul_calloc(graph->node_count, sizeof *by_node);
	if (!by_number || !by_node) {
		ul_freep(&by_node);
		return ul_err_nomem(err);
	}
	weights_get(&tree, graph, by_number);
	sum_up(&tree, by_number);
	for (i = 1; i < tree.count; i++)
		by_node[tree.node[i]] = by_number[i];
	*ret_bytes = by_node;
	return 0;
}
