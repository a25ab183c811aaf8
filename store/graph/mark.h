/*
 * store/graph/mark.h - what roots reach.
 *
 * Breadth first over a bit set, prefetching; any graph, cycles too.
 */
#ifndef UL_STORE_GRAPH_MARK_H
#define UL_STORE_GRAPH_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ul_err;
struct ul_graph;

/* One bit a node. */
struct ul_bits {
	uint64_t *words; /* owned */
	uint32_t len;    /* bits */
};
#define UL_BITS_INIT ((struct ul_bits){ .words = NULL })

/* All zero; false without memory. An old content is released first. */
bool ul_bits_init(struct ul_bits *bits, uint32_t len);
void ul_bits_release(struct ul_bits *bits);

static inline bool ul_bits_get(const struct ul_bits *bits, uint32_t i)
{
	return bits->words[i >> 6] >> (i & 63) & 1;
}

static inline void ul_bits_set(struct ul_bits *bits, uint32_t i)
{
	bits->words[i >> 6] |= (uint64_t)1 << (i & 63);
}

/* The nodes a pass reached first, in the order in which it did. */
struct ul_mark {
	struct ul_bits reached; /* from all passes so far */
	uint32_t *order;        /* owned; room for every node */
	uint32_t order_len;     /* over all passes so far */
};
#define UL_MARK_INIT ((struct ul_mark){ .order = NULL })

/* Nothing reached yet. UL_E_NOMEM. Release with ul_mark_release(). */
int ul_mark_init(struct ul_mark *mark, const struct ul_graph *graph,
		 struct ul_err *err);
void ul_mark_release(struct ul_mark *mark);

/*
 * Reach what these nodes reach that no earlier pass did: the newly reached
 * are order[old order_len] up to order[order_len]. Passes with the roots of
 * one class after the other put each node into the first class that has it.
 * Cannot fail, allocates nothing.
 */
void ul_mark_from(struct ul_mark *mark, const struct ul_graph *graph,
		  const uint32_t *nodes, size_t count);

/*
 * From all roots of the graph but those in `without` (by node; may be NULL).
 */
void ul_mark_roots(struct ul_mark *mark, const struct ul_graph *graph,
		   const struct ul_bits *without);

/* Reached in itself or as its flat or full twin: such a record is kept. */
bool ul_mark_keeps(const struct ul_mark *mark, const struct ul_graph *graph,
		   uint32_t node);

/*
 * The exact joint gain: bytes of file nodes that all roots reach, but that
 * all roots other than those on the nodes in `without` do not. A shared
 * layer counts when all that share it are in the set.
 * Returns: 0 with *ret_bytes, or UL_E_NOMEM.
 */
int ul_mark_gain(const struct ul_graph *graph, const struct ul_bits *without,
		 uint64_t *ret_bytes, struct ul_err *err);

#endif
