#include "store/graph/mark.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/graph/graph.h"

bool ul_bits_init(struct ul_bits *bits, uint32_t len)
{
	ul_bits_release(bits);
	bits->words = ul_calloc(((size_t)len + 63) / 64, sizeof *bits->words);
	if (bits->words)
		bits->len = len;
	return bits->words != NULL;
}

void ul_bits_release(struct ul_bits *bits)
{
	free(bits->words);
	*bits = UL_BITS_INIT;
}

int ul_mark_init(struct ul_mark *mark, const struct ul_graph *graph,
		 struct ul_err *err)
{
	ul_cleanup(ul_mark_release) struct ul_mark fresh = UL_MARK_INIT;

	/* One more, because mark_reach() writes before it knows. */
	fresh.order =
	    ul_malloc(((size_t)graph->node_count + 1) * sizeof *fresh.order);
	if (!fresh.order || !ul_bits_init(&fresh.reached, graph->node_count))
		return ul_err_nomem(err);
	*mark = fresh;
	fresh = UL_MARK_INIT;
	return 0;
}

void ul_mark_release(struct ul_mark *mark)
{
	ul_bits_release(&mark->reached);
	free(mark->order);
	*mark = UL_MARK_INIT;
}

/*
 * Queue a node unless it was reached before. Without a branch: in the middle
 * of a pass it is anyone's guess which, and a wrong guess costs more than the
 * store.
 */
static inline uint32_t mark_reach(uint64_t *words, uint32_t *order,
				  uint32_t len, uint32_t node)
{
	uint64_t *word = &words[node >> 6];
	uint64_t bit = (uint64_t)1 << (node & 63);

	order[len] = node;
	len += !(*word & bit);
	*word |= bit;
	return len;
}

/*
 * The queue is `order` itself, so what comes next is known: the row bounds of
 * a node are asked for FAR places before its turn, its row NEAR places before
 * (when the bounds have come), and memory works on dozens of them at a time.
 */
enum { FAR = 48, NEAR = 24 };

/*
 * Follow what order[at] and all after it refer to. (The prefetches stand here
 * and not in a function of their own: gcc takes one that does nothing else
 * for one without effect, and drops the call.)
 */
static void mark_follow(struct ul_mark *mark, const struct ul_graph *graph,
			uint32_t at)
{
	const uint32_t *first_ref = graph->first_ref, *ref_to = graph->ref_to;
	uint64_t *words = mark->reached.words;
	uint32_t *order = mark->order;
	uint32_t len = mark->order_len;

	for (; at < len; at++) {
		uint32_t i = first_ref[order[at]];
		uint32_t end = first_ref[order[at] + 1];

		if (len - at > FAR)
			__builtin_prefetch(&first_ref[order[at + FAR]]);
		if (len - at > NEAR) {
			const uint32_t *next = &first_ref[order[at + NEAR]];

			__builtin_prefetch(&ref_to[next[0]]);
			__builtin_prefetch(&ref_to[next[1]]);
		}
		for (; i < end; i++)
			len = mark_reach(words, order, len, ref_to[i]);
	}
	mark->order_len = len;
}

void ul_mark_from(struct ul_mark *mark, const struct ul_graph *graph,
		  const uint32_t *nodes, size_t count)
{
	uint32_t start = mark->order_len;
	size_t i;

	assert(mark->reached.len == graph->node_count);
	for (i = 0; i < count; i++) {
		assert(nodes[i] < graph->node_count);
		mark->order_len = mark_reach(mark->reached.words, mark->order,
					     mark->order_len, nodes[i]);
	}
	mark_follow(mark, graph, start);
}

void ul_mark_roots(struct ul_mark *mark, const struct ul_graph *graph,
		   const struct ul_bits *without)
{
	uint32_t start = mark->order_len, i;

	assert(mark->reached.len == graph->node_count);
	assert(!without || without->len == graph->node_count);
	for (i = 0; i < graph->root_count; i++) {
		uint32_t node = graph->roots[i].node;

		if (without && ul_bits_get(without, node))
			continue;
		mark->order_len = mark_reach(mark->reached.words, mark->order,
					     mark->order_len, node);
	}
	mark_follow(mark, graph, start);
}

bool ul_mark_keeps(const struct ul_mark *mark, const struct ul_graph *graph,
		   uint32_t node)
{
	uint32_t twin = graph->nodes[node].twin;

	return ul_bits_get(&mark->reached, node) ||
	       (twin != UL_NODE_NONE && ul_bits_get(&mark->reached, twin));
}

int ul_mark_gain(const struct ul_graph *graph, const struct ul_bits *without,
		 uint64_t *ret_bytes, struct ul_err *err)
{
	ul_cleanup(ul_mark_release) struct ul_mark mark = UL_MARK_INIT;
	uint64_t bytes = 0;
	uint32_t i;
	int rc;

	rc = ul_mark_init(&mark, graph, err);
	if (rc)
		return rc;
	ul_mark_roots(&mark, graph, without);
	i = mark.order_len;
	ul_mark_roots(&mark, graph, NULL);
	for (; i < mark.order_len; i++)
		bytes += graph->nodes[mark.order[i]].weight_bytes;
	*ret_bytes = bytes;
	return 0;
}
