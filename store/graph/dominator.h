/*
 * store/graph/dominator.h - the dominator tree of what the roots reach.
 *
 * A node dominates another if every way from a root to the other goes through
 * it. What a node dominates is what would go with it.
 */
#ifndef UL_STORE_GRAPH_DOMINATOR_H
#define UL_STORE_GRAPH_DOMINATOR_H

#include <stdint.h>

struct ul_err;
struct ul_graph;

/*
 * By number. 0 stands for the virtual node that refers to all roots; the
 * nodes reached have the numbers from 1 on; a dominator's number is always
 * lower than those of the nodes that it dominates.
 */
struct ul_dominators {
	uint32_t *node;   /* owned; in the graph; node[0] is UL_NODE_NONE */
	uint32_t *parent; /* owned; number of the immediate dominator */
	uint32_t count;   /* numbers in use, 0 included */
};
#define UL_DOMINATORS_INIT ((struct ul_dominators){ .node = NULL })

/*
 * Any graph, cycles too; iterative; references * log(nodes) at worst.
 * Returns: 0 with *ret, released by ul_dominators_release(); UL_E_NOMEM.
 */
int ul_dominators_build(const struct ul_graph *graph, struct ul_dominators *ret,
			struct ul_err *err);
void ul_dominators_release(struct ul_dominators *dominators);

#endif
