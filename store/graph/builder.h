/*
 * store/graph/builder.h - making a graph: nodes, references and roots are
 * added in any order, then turned into rows.
 */
#ifndef UL_STORE_GRAPH_BUILDER_H
#define UL_STORE_GRAPH_BUILDER_H

#include <stdbool.h>
#include <stdint.h>

#include "store/graph/graph.h"

struct ul_err;

/*
 * Opaque. A failed allocation is remembered: later additions do nothing and
 * finish says so, so a caller may add many times and check once. (Only then
 * may the additions below be given UL_NODE_NONE.) One thread at a time.
 */
struct ul_graph_builder;

struct ul_graph_builder *ul_graph_builder_new(void); /* NULL: no memory */
void ul_graph_builder_free(struct ul_graph_builder *builder);

/*
 * Find the node of this identity or add it. Text is copied; ns and
 * snapshotter may be NULL. A flat node is distinct from the full one of the
 * same identity and is linked to it (`twin`) by finish.
 * Returns the node's number, or UL_NODE_NONE without memory.
 */
uint32_t ul_graph_add_node(struct ul_graph_builder *builder, enum ul_kind kind,
			   const char *ns, const char *snapshotter,
			   const char *key, bool is_flat);

/* The node of this identity, or UL_NODE_NONE where none was added. */
uint32_t ul_graph_find_node(const struct ul_graph_builder *builder,
			    enum ul_kind kind, const char *ns,
			    const char *snapshotter, const char *key,
			    bool is_flat);

/* Allocated bytes of a file node; the last call counts. */
void ul_graph_set_weight(struct ul_graph_builder *builder, uint32_t node,
			 uint64_t weight_bytes);

/*
 * Add a reference. The same twice is one too many but harmless, and dropped
 * where no other from `from` to `to` stands between the two.
 * Conditions are judged by the caller: what does not hold is not added.
 * `reason` is copied, and shared by all that say the same; beyond 65,000
 * different ones, later ones read "reference". False without memory.
 */
bool ul_graph_add_ref(struct ul_graph_builder *builder, uint32_t from,
		      uint32_t to, enum ul_ref_kind kind, const char *reason);

/*
 * Declare a root, with what makes it one ("tag", "lease", "active"). The same
 * twice is one root; one node for two reasons is two. False without memory.
 */
bool ul_graph_add_root(struct ul_graph_builder *builder, uint32_t node,
		       const char *reason);

/*
 * Turn what was added into rows. The builder stays valid only for
 * ul_graph_builder_free() and, while the graph lives (it has the text),
 * ul_graph_find_node().
 * Owner:   *ret_graph is overwritten; release with ul_graph_release().
 * Returns: 0, or one of the following with *ret_graph untouched: UL_E_NOMEM
 * (also where an addition had failed); UL_E_LIMIT for more than 2^32 - 2
 * references.
 */
int ul_graph_builder_finish(struct ul_graph_builder *builder,
			    struct ul_graph *ret_graph, struct ul_err *err);

#endif
