/*
 * store/graph/path.h - why something is kept: the shortest way from a root.
 */
#ifndef UL_STORE_GRAPH_PATH_H
#define UL_STORE_GRAPH_PATH_H

#include <stddef.h>
#include <stdint.h>

struct ul_err;
struct ul_graph;

struct ul_path_step {
	uint32_t node;
	const char *reason; /* how the step before refers to it; for the first,
			       what makes it a root; borrowed from the graph */
};

struct ul_path {
	struct ul_path_step *steps; /* owned; root first, target last */
	size_t len;
};

struct ul_paths {
	struct ul_path *paths; /* owned; shortest first */
	size_t len;
	size_t root_count; /* all roots that reach it, shown or not */
};
#define UL_PATHS_INIT ((struct ul_paths){ .paths = NULL })

/*
 * For each of up to `most` roots that reach the target, nearest first (ties
 * in order of the root list), the shortest path from it; of several that are
 * as short always the same one. A root that lies on the path of a nearer one
 * still has a path of its own, and so has each reason of a node that is a
 * root for several. No path: len is 0. A record with a flat twin is held by
 * what holds either: ask for both.
 * Returns: 0 with *ret, released by ul_paths_release(); UL_E_NOMEM.
 */
int ul_paths_find(const struct ul_graph *graph, uint32_t target, size_t most,
		  struct ul_paths *ret, struct ul_err *err);
void ul_paths_release(struct ul_paths *paths);

#endif
