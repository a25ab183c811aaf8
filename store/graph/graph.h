/*
 * store/graph/graph.h - the reference graph of one store, in memory.
 *
 * Nodes are numbered from 0 and described by struct ul_node; references lie
 * in compressed sparse rows, so that a pass over them streams through memory.
 * The graph is built once (builder.h) and is read-only after that: any number
 * of threads may read it.
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

/* Read freely; made by a ul_graph_builder. */
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

#endif
