/*
 * store/graph/retained.h - what each node alone keeps alive.
 */
#ifndef UL_STORE_GRAPH_RETAINED_H
#define UL_STORE_GRAPH_RETAINED_H

#include <stdint.h>

struct ul_err;
struct ul_graph;

/*
 * Retained size of every node: the bytes of all file nodes that would no
 * longer be reached were this node not there. Computed from the dominator
 * tree below a virtual node that refers to all roots; any graph, cycles too.
 * Nodes that no root reaches have 0. Iterative: depth costs no stack. It is
 * the node alone that is not there: what a flat twin reaches stays.
 *
 * Owner:   *ret_bytes (node_count values) is freed by the caller with free().
 * Returns: 0 or UL_E_NOMEM.
 */
int ul_retained(const struct ul_graph *graph, uint64_t **ret_bytes,
		struct ul_err *err);

#endif
