#include "store/graph/dominator.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/graph/graph.h"
#include "store/graph/mark.h"

/*
 * Semi-NCA (Georgiadis, "Linear-Time Algorithms for Dominators and Related
 * Problems", 2005) behind a step that leaves it little to do:
 *
 *   1. entries_find(): a depth-first walk waits for memory at every step,
 *      because only what comes back says where to go on; a breadth-first one
 *      knows its queue and never waits. So breadth first comes first, and
 *      finds most nodes' dominators. An *entry* is a node that only the
 *      virtual node dominates: the seeds (nodes that roots declare), to begin
 *      with. A node known to be an entry when its turn comes gives a label of
 *      its own to what it is the first to reach, any other node hands on the
 *      label that it has. So equal labels are connected trees below entries,
 *      and a reference between different labels shows its target to be
 *      reached in two ways that share nothing: an entry. (There are few
 *      labels, and many trees share one, which only means that an entry may
 *      be missed.) While there is one seed alone it dominates all else, and
 *      what it refers to are the seeds below it.
 *   2. nodes_number(): depth first below each entry, never into another:
 *      a reference from the virtual node to each entry would change nothing,
 *      and for a node with one of those no other reference matters.
 *      From here on everything is by number.
 *   3. semi_find(), from the highest number down: the semidominator of a node
 *      is the lowest number from which a path leads to it whose inner nodes
 *      all have higher numbers than it has. For a reference from a lower
 *      number that is the number; for one from above, eval() asks the forest
 *      of the nodes done so far, with path compression.
 *   4. dominators_find(), from the lowest number up: the nearest of the
 *      dominators of the parent (that one included) that is numbered no
 *      higher than the semidominator. Jump pointers find it in logarithmic
 *      time, so that no graph, however made, takes quadratic time.
 */
struct arc {
	uint32_t to, from;
};

struct frame {
	uint32_t number, next_ref, end_ref;
};

struct work {
	const struct ul_graph *graph;
	uint32_t *order; /* nodes reached, breadth first */
	uint32_t order_len;
	uint32_t chain_len; /* lone seeds in front */
	struct ul_bits entries;
	uint8_t *label; /* by node, small enough to stay in cache; 0: not
			   reached */

	struct ul_bits seen; /* nodes walked into */
	uint32_t *number;    /* by node, of those that are no entries */
	struct frame *stack;
	uint32_t depth;
	struct arc *arcs; /* references to no entry, from above, by number */
	uint32_t arc_count;
	size_t arc_cap;
	uint32_t *semi;

	uint32_t *first_arc; /* the same in rows by target */
	uint32_t *arc_from;
};

static void work_release(struct work *work)
{
	free(work->order);
	ul_bits_release(&work->entries);
	free(work->label);
	ul_bits_release(&work->seen);
	free(work->number);
	free(work->stack);
	free(work->arcs);
	free(work->semi);
	free(work->first_arc);
	free(work->arc_from);
}

/* As in mark.c; the labels of what a row refers to are a third stage. */
enum { FAR = 64, NEAR = 40, CLOSE = 16 };

enum { LABEL_COUNT = 255 };

static inline void entries_reach(struct work *work, uint32_t node,
				 uint8_t label)
{
	uint8_t had = work->label[node];

	work->order[work->order_len] = node;
	work->order_len += !had;
	work->label[node] = had ? had : label;
	work->entries.words[node >> 6] |= (uint64_t)(had && had != label)
					  << (node & 63);
}

/* The seeds are then those in the queue from chain_len on. */
static void seeds_find(struct work *work)
{
	const struct ul_graph *graph = work->graph;
	uint32_t i, node;

	for (i = 0; i < graph->root_count; i++)
		entries_reach(work, graph->roots[i].node, 1);
	while (work->order_len - work->chain_len == 1) {
		node = work->order[work->chain_len++];
		for (i = graph->first_ref[node]; i < graph->first_ref[node + 1];
		     i++)
			entries_reach(work, graph->ref_to[i], 1);
	}
	for (i = 0; i < work->order_len; i++)
		ul_bits_set(&work->entries, work->order[i]);
}

static void entries_follow(struct work *work)
{
	const uint32_t *first_ref = work->graph->first_ref;
	const uint32_t *ref_to = work->graph->ref_to;
	const uint32_t *order = work->order;
	uint32_t at, i, end;
	uint8_t label;

	for (at = work->chain_len; at < work->order_len; at++) {
		uint32_t ahead = work->order_len - at;

		if (ahead > FAR)
			__builtin_prefetch(&first_ref[order[at + FAR]]);
		if (ahead > NEAR)
			__builtin_prefetch(
			    &ref_to[first_ref[order[at + NEAR]]]);
		if (ahead > CLOSE) {
			i = first_ref[order[at + CLOSE]];
			end = first_ref[order[at + CLOSE] + 1];
			for (; i < end; i++)
				__builtin_prefetch(&work->label[ref_to[i]]);
		}
		label = ul_bits_get(&work->entries, order[at])
			    ? (uint8_t)(1 + at % LABEL_COUNT)
			    : work->label[order[at]];
		i = first_ref[order[at]];
		end = first_ref[order[at] + 1];
		for (; i < end; i++)
			entries_reach(work, ref_to[i], label);
	}
}

/* Step 1. */
static bool entries_find(struct work *work)
{
	size_t node_count = work->graph->node_count;

	work->label = ul_calloc(node_count, sizeof *work->label);
	/* One more, because entries_reach() writes before it knows. */
	work->order = ul_malloc((node_count + 1) * sizeof *work->order);
	if (!work->label || !work->order ||
	    !ul_bits_init(&work->entries, work->graph->node_count))
		return false;
	seeds_find(work);
	entries_follow(work);
	free(ul_steal(work->label));
	return true;
}

static void visit_enter(struct work *work, struct ul_dominators *tree,
			uint32_t node, uint32_t parent)
{
	const uint32_t *bounds = &work->graph->first_ref[node];
	uint32_t number = tree->count++;

	tree->node[number] = node;
	tree->parent[number] = parent;
	work->semi[number] = parent;
	work->stack[work->depth++] =
	    (struct frame){ number, bounds[0], bounds[1] };
}

/* Note a reference to a node that has its number. */
static bool visit_meet(struct work *work, uint32_t from, uint32_t to)
{
	struct arc *arcs;

	if (from <= to) {
		if (work->semi[to] > from)
			work->semi[to] = from;
		return true;
	}
	arcs = ul_grow(work->arcs, &work->arc_cap, (size_t)work->arc_count + 1,
		       sizeof *arcs);
	if (!arcs)
		return false;
	work->arcs = arcs;
	arcs[work->arc_count++] = (struct arc){ .to = to, .from = from };
	return true;
}

static bool visit_below(struct work *work, struct ul_dominators *tree)
{
	while (work->depth) {
		struct frame *top = &work->stack[work->depth - 1];
		uint32_t to;

		if (top->next_ref == top->end_ref) {
			work->depth--;
			continue;
		}
		to = work->graph->ref_to[top->next_ref++];
		if (ul_bits_get(&work->entries, to))
			continue;
		if (!ul_bits_get(&work->seen, to)) {
			ul_bits_set(&work->seen, to);
			work->number[to] = tree->count;
			visit_enter(work, tree, to, top->number);
		} else if (!visit_meet(work, top->number, work->number[to])) {
			return false;
		}
	}
	return true;
}

static bool visit_entries(struct work *work, struct ul_dominators *tree)
{
	const uint32_t *first_ref = work->graph->first_ref;
	const uint32_t *order = work->order;
	uint32_t at;

	for (at = 0; at < work->order_len; at++) {
		uint32_t ahead = work->order_len - at;
		uint32_t above = at < work->chain_len ? at : work->chain_len;

		if (ahead > FAR)
			__builtin_prefetch(&first_ref[order[at + FAR]]);
		if (ahead > NEAR)
			__builtin_prefetch(
			    &work->graph->ref_to[first_ref[order[at + NEAR]]]);
		if (!ul_bits_get(&work->entries, order[at]))
			continue;
		visit_enter(work, tree, order[at], above);
		if (!visit_below(work, tree))
			return false;
	}
	return true;
}

static bool number_alloc(struct work *work, struct ul_dominators *tree)
{
	size_t count = (size_t)work->order_len + 1;

	tree->node = ul_malloc(count * sizeof *tree->node);
	tree->parent = ul_malloc(count * sizeof *tree->parent);
	work->semi = ul_malloc(count * sizeof *work->semi);
	work->stack = ul_malloc(count * sizeof *work->stack);
	work->number =
	    ul_malloc((size_t)work->graph->node_count * sizeof *work->number);
	return tree->node && tree->parent && work->semi && work->stack &&
	       work->number &&
	       ul_bits_init(&work->seen, work->graph->node_count);
}

/* Step 2. */
static bool nodes_number(struct work *work, struct ul_dominators *tree)
{
	if (!number_alloc(work, tree))
		return false;
	tree->node[0] = UL_NODE_NONE;
	tree->parent[0] = 0;
	work->semi[0] = 0;
	tree->count = 1;
	if (!visit_entries(work, tree))
		return false;
	free(ul_steal(work->stack));
	free(ul_steal(work->number));
	free(ul_steal(work->order));
	return true;
}

/* Counting sort by target, filled from the last arc down. */
static bool arcs_sort(struct work *work, uint32_t count)
{
	uint32_t sum = 0, i;

	work->first_arc = ul_calloc((size_t)count + 1, sizeof *work->first_arc);
	work->arc_from = ul_malloc(work->arc_count * sizeof *work->arc_from);
	if (!work->first_arc || !work->arc_from)
		return false;
	for (i = 0; i < work->arc_count; i++)
		work->first_arc[work->arcs[i].to]++;
	for (i = 0; i < count; i++) {
		sum += work->first_arc[i];
		work->first_arc[i] = sum;
	}
	work->first_arc[count] = sum;
	for (i = work->arc_count; i-- > 0;)
		work->arc_from[--work->first_arc[work->arcs[i].to]] =
		    work->arcs[i].from;
	free(ul_steal(work->arcs));
	return true;
}

/* A node of the forest: the lowest semidominator on the way from it up to,
 * but not including, `up`. */
struct link {
	uint32_t up, lowest;
};

/*
 * The lowest semidominator on the way from number v up to the last one that
 * is above w. All on the way then lead to the end of it at once.
 */
static uint32_t eval(struct link *links, uint32_t *way, uint32_t v, uint32_t w)
{
	uint32_t len = 0, at = v, below;

	while (links[at].up > w) {
		way[len++] = at;
		at = links[at].up;
	}
	while (len) {
		below = way[--len];
		if (links[below].lowest > links[at].lowest)
			links[below].lowest = links[at].lowest;
		links[below].up = links[at].up;
		at = below;
	}
	return links[v].lowest;
}

/* Step 3. */
static bool semi_find(struct work *work, const struct ul_dominators *tree)
{
	ul_cleanup(ul_freep) struct link *links = NULL;
	ul_cleanup(ul_freep) uint32_t *way = NULL;
	uint32_t w, i, lowest, semi;

	links = ul_malloc(tree->count * sizeof *links);
	way = ul_malloc(tree->count * sizeof *way);
	if (!links || !way || !arcs_sort(work, tree->count))
		return false;
	for (w = tree->count; w-- > 1;) {
		lowest = work->semi[w];
		for (i = work->first_arc[w + 1]; i-- > work->first_arc[w];) {
			if (i >= CLOSE)
				__builtin_prefetch(
				    &links[work->arc_from[i - CLOSE]]);
			semi = eval(links, way, work->arc_from[i], w);
			if (lowest > semi)
				lowest = semi;
		}
		work->semi[w] = lowest;
		links[w] = (struct link){ tree->parent[w], lowest };
	}
	free(ul_steal(work->first_arc));
	free(ul_steal(work->arc_from));
	return true;
}

/*
 * An ancestor far up, so chosen (Myers, "An applicative random-access stack",
 * 1983) that jumping where it does not go too far, and else going up by one,
 * finds any ancestor in logarithmic time.
 */
struct jump {
	uint32_t to, depth;
};

static struct jump jump_below(const struct jump *jumps, uint32_t parent)
{
	const struct jump *a = &jumps[parent];
	const struct jump *b = &jumps[a->to];
	bool is_even = a->depth - b->depth == b->depth - jumps[b->to].depth;

	return (struct jump){ is_even ? b->to : parent, a->depth + 1 };
}

/* Step 4: the parents in the depth-first tree become the dominators. */
static bool dominators_find(struct work *work, struct ul_dominators *tree)
{
	ul_cleanup(ul_freep) struct jump *jumps = NULL;
	uint32_t w, up;

	jumps = ul_malloc(tree->count * sizeof *jumps);
	if (!jumps)
		return false;
	jumps[0] = (struct jump){ 0, 0 };
	for (w = 1; w < tree->count; w++) {
		up = tree->parent[w];
		while (up > work->semi[w])
			up = jumps[up].to > work->semi[w] ? jumps[up].to
							  : tree->parent[up];
		tree->parent[w] = up;
		jumps[w] = jump_below(jumps, up);
	}
	return true;
}

int ul_dominators_build(const struct ul_graph *graph, struct ul_dominators *ret,
			struct ul_err *err)
{
	ul_cleanup(ul_dominators_release) struct ul_dominators tree =
	    UL_DOMINATORS_INIT;
	ul_cleanup(work_release) struct work work = { .graph = graph };

	if (!entries_find(&work) || !nodes_number(&work, &tree) ||
	    !semi_find(&work, &tree) || !dominators_find(&work, &tree))
		return ul_err_nomem(err);
	*ret = tree;
	tree = UL_DOMINATORS_INIT;
	return 0;
}

void ul_dominators_release(struct ul_dominators *dominators)
{
	free(dominators->node);
	free(dominators->parent);
	*dominators = UL_DOMINATORS_INIT;
}
