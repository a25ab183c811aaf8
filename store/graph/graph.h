/*
 * store/graph/graph.h - the reference graph of one store, in memory.
 *
 * Nodes are numbered from 0 and described by struct ul_node; references lie
 * in compressed sparse rows, so that a pass over them streams through memory.
 * The graph is built once with a ul_graph_builder and is read-only after
 * that: any number of threads may read it.
 *
 * A record (image, blob, snapshot, lease, ...) has no bytes of its own. The
 * bytes hang on *file* nodes below the records: one for a blob file or a
 * snapshot directory, and one for each inode that several of those share by
 * hard links. So nothing is ever counted twice, whatever shares it.
 */
#ifndef UL_STORE_GRAPH_GRAPH_H
#define UL_STORE_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct ul_err;

#define UL_NODE_NONE UINT32_MAX

enum ul_kind {
	UL_KIND_IMAGE,
	UL_KIND_BLOB,
	UL_KIND_SNAPSHOT,
	UL_KIND_LEASE,
	UL_KIND_CONTAINER,
	UL_KIND_SANDBOX,
	UL_KIND_INGEST,
	UL_KIND_FILE,
	UL_KIND_GROUP, /* all names of one digest: what removing them frees */
	UL_KIND_COUNT
};

/* "image", "blob", ...: the word in JSON and in the database. */
const char *ul_kind_name(enum ul_kind kind);

enum ul_ref_kind {
	UL_REF_FORWARD,
	UL_REF_BACK,        /* target says "keep me while that one lives" */
	UL_REF_CONDITIONAL, /* holds only while a condition does (at scan) */
};

struct ul_node {
	const char *ns;          /* NULL outside containerd */
	const char *snapshotter; /* NULL but for snapshots */
	const char *key;
	uint64_t weight_bytes; /* allocated; 0 for all but file nodes */
	uint32_t twin; /* of a flat node: the full one, and back; or NONE */
	uint8_t kind;  /* enum ul_kind */
	bool is_flat;  /* as a flat lease holds it: its row has only what
			  such a lease follows, its labels do not count */
};

struct ul_root {
	uint32_t node;
	uint16_t reason; /* index into reasons */
};

/* Read freely; made and freed only by the functions below. */
struct ul_graph {
	struct ul_node *nodes;
	uint32_t node_count;
	/* References of node n: indexes first_ref[n] up to first_ref[n + 1]. */
	uint32_t *first_ref;
	uint32_t *ref_to;
	uint16_t *ref_reason; /* index into reasons */
	uint8_t *ref_kind;    /* enum ul_ref_kind */
	uint32_t ref_count;
	struct ul_root *roots; /* in order of addition */
	uint32_t root_count;
	const char **reasons;
	uint32_t reason_count;
	struct ul_arena strings; /* owns all text of nodes and reasons */
};
#define UL_GRAPH_INIT ((struct ul_graph){ .nodes = NULL })

/* Free what the graph owns. Safe on UL_GRAPH_INIT and safe twice. */
void ul_graph_release(struct ul_graph *graph);

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
