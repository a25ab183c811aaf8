#include "store/graph/builder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/limits.h"

struct identity {
	enum ul_kind kind;
	bool is_flat;
	const char *ns, *snapshotter, *key;
};

struct added_ref {
	uint32_t from, to;
	uint16_t reason;
	uint8_t kind;
};

struct ul_graph_builder {
	struct ul_graph graph; /* all but the rows */
	size_t node_cap, root_cap, reason_cap;
	struct added_ref *refs;
	size_t ref_count, ref_cap;
	struct ul_map node_by_identity; /* keys in graph.strings, as below */
	struct ul_map root_by_pair;
	struct ul_map reason_by_text;
	uint32_t last_reason;
	/* Where an identity is packed to be looked up. Never smaller than the
	 * longest that was added, so that finding needs no memory. */
	char *packed;
	size_t packed_cap;
	bool failed, is_over_limit, is_finished;
};

struct ul_graph_builder *ul_graph_builder_new(void)
{
	return ul_calloc(1, sizeof(struct ul_graph_builder));
}

void ul_graph_builder_free(struct ul_graph_builder *builder)
{
	if (!builder)
		return;
	ul_graph_release(&builder->graph);
	ul_map_release(&builder->node_by_identity);
	ul_map_release(&builder->root_by_pair);
	ul_map_release(&builder->reason_by_text);
	free(builder->refs);
	free(builder->packed);
	free(builder);
}

/*
 * An identity as bytes: kind, which texts follow, the texts with their NULs.
 * A node's texts are the ones in the packed form that the map keeps.
 */
enum {
	PACKED_HEAD = 2,
	PACKED_FLAT = 1,
	PACKED_NS = 2,
	PACKED_SNAPSHOTTER = 4
};

static size_t packed_len(const struct identity *id)
{
	return PACKED_HEAD + (id->ns ? strlen(id->ns) + 1 : 0) +
	       (id->snapshotter ? strlen(id->snapshotter) + 1 : 0) +
	       strlen(id->key) + 1;
}

static void identity_pack(const struct identity *id, char *to)
{
	int flags = (id->is_flat ? PACKED_FLAT : 0) | (id->ns ? PACKED_NS : 0) |
		    (id->snapshotter ? PACKED_SNAPSHOTTER : 0);

	*to++ = (char)id->kind;
	*to++ = (char)flags;
	if (id->ns)
		to = stpcpy(to, id->ns) + 1;
	if (id->snapshotter)
		to = stpcpy(to, id->snapshotter) + 1;
	memcpy(to, id->key, strlen(id->key) + 1);
}

static uint32_t identity_find(const struct ul_graph_builder *builder,
			      const struct identity *id)
{
	size_t len = packed_len(id);

	if (len > builder->packed_cap)
		return UL_NODE_NONE;
	identity_pack(id, builder->packed);
	return ul_map_get(&builder->node_by_identity, builder->packed, len);
}

static bool packed_reserve(struct ul_graph_builder *builder, size_t len)
{
	char *packed = ul_grow(builder->packed, &builder->packed_cap, len, 1);

	if (packed)
		builder->packed = packed;
	return packed != NULL;
}

/* The texts of a node stand one after the other in its packed identity. */
static void node_init(struct ul_node *node, const struct identity *id,
		      const char *packed)
{
	const char *text = packed + PACKED_HEAD;

	*node = (struct ul_node){
		.twin = UL_NODE_NONE,
		.kind = (uint8_t)id->kind,
		.is_flat = id->is_flat,
	};
	if (id->ns) {
		node->ns = text;
		text += strlen(text) + 1;
	}
	if (id->snapshotter) {
		node->snapshotter = text;
		text += strlen(text) + 1;
	}
	node->key = text;
}

static bool node_append(struct ul_graph_builder *builder,
			const struct identity *id)
{
	struct ul_graph *graph = &builder->graph;
	size_t len = packed_len(id);
	struct ul_node *nodes;
	char *packed;

	if (graph->node_count == UL_NODE_NONE - 1)
		return false;
	nodes = ul_grow(graph->nodes, &builder->node_cap,
			(size_t)graph->node_count + 1, sizeof *nodes);
	if (!nodes)
		return false;
	graph->nodes = nodes;
	packed = ul_arena_strndup(&graph->strings, builder->packed, len);
	if (!packed || !ul_map_set(&builder->node_by_identity, packed, len,
				   graph->node_count))
		return false;
	node_init(&nodes[graph->node_count++], id, packed);
	return true;
}

uint32_t ul_graph_add_node(struct ul_graph_builder *builder, enum ul_kind kind,
			   const char *ns, const char *snapshotter,
			   const char *key, bool is_flat)
{
	const struct identity id = { kind, is_flat, ns, snapshotter, key };
	uint32_t node;

	assert(kind < UL_KIND_COUNT && key && !builder->is_finished);
	if (builder->failed)
		return UL_NODE_NONE;
	if (!packed_reserve(builder, packed_len(&id)))
		goto failed;
	node = identity_find(builder, &id);
	if (node != UL_NODE_NONE)
		return node;
	if (node_append(builder, &id))
		return builder->graph.node_count - 1;
failed:
	builder->failed = true;
	return UL_NODE_NONE;
}

uint32_t ul_graph_find_node(const struct ul_graph_builder *builder,
			    enum ul_kind kind, const char *ns,
			    const char *snapshotter, const char *key,
			    bool is_flat)
{
	const struct identity id = { kind, is_flat, ns, snapshotter, key };

	assert(kind < UL_KIND_COUNT && key);
	return identity_find(builder, &id);
}

/* Without memory there are nodes that could not be added, and callers who
 * find that out only at the end: then, and only then, NONE may be given. */
static bool node_is_there(const struct ul_graph_builder *builder, uint32_t node)
{
	assert(!builder->is_finished);
	assert(node < builder->graph.node_count || builder->failed);
	return !builder->failed;
}

void ul_graph_set_weight(struct ul_graph_builder *builder, uint32_t node,
			 uint64_t weight_bytes)
{
	struct ul_node *nodes = builder->graph.nodes;

	if (!node_is_there(builder, node))
		return;
	assert(nodes[node].kind == UL_KIND_FILE);
	nodes[node].weight_bytes = weight_bytes;
}

static bool reason_append(struct ul_graph_builder *builder, const char *text)
{
	struct ul_graph *graph = &builder->graph;
	const char **reasons;
	char *copy;

	reasons = ul_grow(graph->reasons, &builder->reason_cap,
			  (size_t)graph->reason_count + 1, sizeof *reasons);
	if (!reasons)
		return false;
	graph->reasons = reasons;
	copy = ul_arena_strdup(&graph->strings, text);
	if (!copy || !ul_map_set(&builder->reason_by_text, copy, strlen(copy),
				 graph->reason_count))
		return false;
	reasons[graph->reason_count++] = copy;
	return true;
}

/* Find or add a reason; it is last_reason afterwards. */
static bool reason_intern(struct ul_graph_builder *builder, const char *text)
{
	struct ul_graph *graph = &builder->graph;
	uint32_t reason;

	if (graph->reason_count &&
	    !strcmp(graph->reasons[builder->last_reason], text))
		return true;
	reason = ul_map_get_str(&builder->reason_by_text, text);
	if (reason == UL_MAP_NONE &&
	    graph->reason_count >= UL_GRAPH_REASONS_MAX) {
		text = "reference";
		reason = ul_map_get_str(&builder->reason_by_text, text);
	}
	if (reason == UL_MAP_NONE) {
		if (!reason_append(builder, text))
			return false;
		reason = graph->reason_count - 1;
	}
	builder->last_reason = reason;
	return true;
}

static bool ref_append(struct ul_graph_builder *builder,
		       const struct added_ref *ref)
{
	struct added_ref *refs;

	refs = ul_grow(builder->refs, &builder->ref_cap, builder->ref_count + 1,
		       sizeof *refs);
	if (!refs)
		return false;
	builder->refs = refs;
	refs[builder->ref_count++] = *ref;
	return true;
}

bool ul_graph_add_ref(struct ul_graph_builder *builder, uint32_t from,
		      uint32_t to, enum ul_ref_kind kind, const char *reason)
{
	struct added_ref ref = { from, to, 0, (uint8_t)kind };

	assert(reason && kind <= UL_REF_CONDITIONAL);
	if (!node_is_there(builder, from) || !node_is_there(builder, to))
		return false;
	if (builder->ref_count == UINT32_MAX - 1) {
		builder->is_over_limit = true;
		return true;
	}
	if (!reason_intern(builder, reason)) {
		builder->failed = true;
		return false;
	}
	ref.reason = (uint16_t)builder->last_reason;
	builder->failed = !ref_append(builder, &ref);
	return !builder->failed;
}

static bool root_append(struct ul_graph_builder *builder, uint32_t node,
			uint32_t reason)
{
	struct ul_graph *graph = &builder->graph;
	const uint32_t pair[2] = { node, reason };
	struct ul_root *roots;
	void *copy;

	if (ul_map_get(&builder->root_by_pair, pair, sizeof pair) !=
	    UL_MAP_NONE)
		return true;
	roots = ul_grow(graph->roots, &builder->root_cap,
			(size_t)graph->root_count + 1, sizeof *roots);
	if (!roots)
		return false;
	graph->roots = roots;
	copy = ul_arena_alloc(&graph->strings, sizeof pair);
	if (!copy)
		return false;
	memcpy(copy, pair, sizeof pair);
	if (!ul_map_set(&builder->root_by_pair, copy, sizeof pair,
			graph->root_count))
		return false;
	roots[graph->root_count++] = (struct ul_root){
		.node = node,
		.reason = (uint16_t)reason,
	};
	return true;
}

bool ul_graph_add_root(struct ul_graph_builder *builder, uint32_t node,
		       const char *reason)
{
	assert(reason);
	if (!node_is_there(builder, node))
		return false;
	builder->failed = !reason_intern(builder, reason) ||
			  !root_append(builder, node, builder->last_reason);
	return !builder->failed;
}

static bool rows_alloc(struct ul_graph *rows, size_t node_count,
		       size_t ref_count)
{
	rows->first_ref = ul_calloc(node_count + 1, sizeof *rows->first_ref);
	rows->ref_to = ul_malloc(ref_count * sizeof *rows->ref_to);
	rows->ref_reason = ul_malloc(ref_count * sizeof *rows->ref_reason);
	rows->ref_kind = ul_malloc(ref_count * sizeof *rows->ref_kind);
	return rows->first_ref && rows->ref_to && rows->ref_reason &&
	       rows->ref_kind;
}

/*
 * Counting sort by source. While filling, first_ref[n] is where the next
 * reference of n goes, which leaves it at the start of the row after: filled
 * from the last reference down, it ends at the start of its own.
 */
static void rows_fill(struct ul_graph *rows, uint32_t node_count,
		      const struct added_ref *refs, uint32_t ref_count)
{
	uint32_t sum = 0, i, at;

	for (i = 0; i < ref_count; i++)
		rows->first_ref[refs[i].from]++;
	for (i = 0; i < node_count; i++) {
		sum += rows->first_ref[i];
		rows->first_ref[i] = sum;
	}
	rows->first_ref[node_count] = sum;
	for (i = ref_count; i-- > 0;) {
		at = --rows->first_ref[refs[i].from];
		rows->ref_to[at] = refs[i].to;
		rows->ref_reason[at] = refs[i].reason;
		rows->ref_kind[at] = refs[i].kind;
	}
	rows->ref_count = ref_count;
}

/*
 * Drop each reference that repeats the one before it from the same source to
 * the same target. (Others that are equal stay: finding them all would be
 * quadratic where one source refers to one target for thousands of reasons.)
 * latest[n], where the latest reference to n is, starts as all ones.
 */
static void rows_drop_repeats(struct ul_graph *rows, uint32_t node_count,
			      uint32_t *latest)
{
	uint32_t n, i = 0, kept = 0, start, end;

	for (n = 0; n < node_count; n++) {
		start = kept;
		end = rows->first_ref[n + 1];
		rows->first_ref[n] = start;
		for (; i < end; i++) {
			uint32_t to = rows->ref_to[i], l = latest[to];

			if (l != UINT32_MAX && l >= start &&
			    rows->ref_kind[l] == rows->ref_kind[i] &&
			    rows->ref_reason[l] == rows->ref_reason[i])
				continue;
			latest[to] = kept;
			rows->ref_to[kept] = to;
			rows->ref_kind[kept] = rows->ref_kind[i];
			rows->ref_reason[kept++] = rows->ref_reason[i];
		}
	}
	rows->first_ref[node_count] = kept;
	rows->ref_count = kept;
}

static void twins_link(struct ul_graph_builder *builder)
{
	struct ul_node *nodes = builder->graph.nodes;
	uint32_t n, twin;

	for (n = 0; n < builder->graph.node_count; n++) {
		const struct identity full = {
			.kind = nodes[n].kind,
			.ns = nodes[n].ns,
			.snapshotter = nodes[n].snapshotter,
			.key = nodes[n].key,
		};

		if (!nodes[n].is_flat)
			continue;
		twin = identity_find(builder, &full);
		if (twin == UL_NODE_NONE)
			continue;
		nodes[n].twin = twin;
		nodes[twin].twin = n;
	}
}

/* Everything but the rows moves from the builder to *graph, which has them. */
static void graph_take(struct ul_graph *graph, struct ul_graph *from)
{
	graph->nodes = ul_steal(from->nodes);
	graph->node_count = from->node_count;
	graph->roots = ul_steal(from->roots);
	graph->root_count = from->root_count;
	graph->reasons = ul_steal(from->reasons);
	graph->reason_count = from->reason_count;
	graph->strings = from->strings;
	from->strings = UL_ARENA_INIT;
}

int ul_graph_builder_finish(struct ul_graph_builder *builder,
			    struct ul_graph *ret_graph, struct ul_err *err)
{
	ul_cleanup(ul_graph_release) struct ul_graph rows = UL_GRAPH_INIT;
	ul_cleanup(ul_freep) uint32_t *latest = NULL;
	uint32_t node_count = builder->graph.node_count;

	assert(!builder->is_finished);
	if (builder->failed)
		return ul_err_nomem(err);
	if (builder->is_over_limit)
		return ul_err_set(err, UL_E_LIMIT,
				  "more than %u references in one store",
				  UINT32_MAX - 1);
	latest = ul_malloc(node_count * sizeof *latest);
	if (!latest || !rows_alloc(&rows, node_count, builder->ref_count))
		return ul_err_nomem(err);

	rows_fill(&rows, node_count, builder->refs,
		  (uint32_t)builder->ref_count);
	memset(latest, 0xff, node_count * sizeof *latest);
	rows_drop_repeats(&rows, node_count, latest);
	twins_link(builder);
	graph_take(&rows, &builder->graph);
	free(ul_steal(builder->refs));
	builder->is_finished = true;
	*ret_graph = rows;
	rows = UL_GRAPH_INIT;
	return 0;
}
