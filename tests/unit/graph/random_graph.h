/*
 * tests/unit/graph/random_graph.h - small random graphs, twice: as the builder
 * makes them, and as the plain list of what was added, for naive code to look
 * at.
 */
#ifndef UL_TESTS_UNIT_GRAPH_RANDOM_GRAPH_H
#define UL_TESTS_UNIT_GRAPH_RANDOM_GRAPH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/graph/builder.h"

enum { MODEL_NODES_MAX = 60, MODEL_REFS_MAX = 256, MODEL_ROOTS_MAX = 12 };

/* Seeds from 1 in CI; a nightly run moves on: GRAPH_SEED_FIRST in the
 * environment, so that each night looks at other graphs. */
uint64_t model_seed_first(void);

struct model_ref {
	uint32_t from, to;
	enum ul_ref_kind kind;
	const char *reason;
};

struct model_root {
	uint32_t node;
	const char *reason;
};

struct model {
	uint64_t seed;
	uint32_t node_count, ref_count, root_count;
	uint64_t weights[MODEL_NODES_MAX];
	uint32_t twins[MODEL_NODES_MAX];
	struct model_ref refs[MODEL_REFS_MAX];
	struct model_root roots[MODEL_ROOTS_MAX]; /* none twice */
	struct ul_graph graph;
};

/* Any number; one from 0 to bound - 1. */
uint64_t random_next(uint64_t *state);
uint32_t random_below(uint64_t *state, uint32_t bound);

/* Said only by a test that failed: which graph it was. */
#define model_check(model, condition)                                          \
	do {                                                                   \
		if (!(condition))                                              \
			fail_msg("seed %llu: %s",                              \
				 (unsigned long long)(model)->seed,            \
				 #condition);                                  \
	} while (0)

/* The one of that seed, and its graph. */
void model_build(struct model *model, uint64_t seed);
void model_release(struct model *model);

/*
 * The naive mark: repeat until nothing changes. Roots on nodes in `without`
 * do not count (may be NULL); node `removed` is not there (NONE: all are).
 */
void model_reach(const struct model *model, const bool *without,
		 uint32_t removed, bool reached[MODEL_NODES_MAX]);

/* What they weigh together. */
uint64_t model_bytes(const struct model *model,
		     const bool reached[MODEL_NODES_MAX]);

#endif
