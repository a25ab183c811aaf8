#include "store/graph/retained.h"

#include "tests/unit/graph/random_graph.h"

#include "base/mem.h"

enum { RANDOM_GRAPHS = 6000 };

static void test_retained__is_what_goes_without_the_node(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	uint64_t seed;

	(void)state;
	for (seed = model_seed_first();
	     seed < model_seed_first() + RANDOM_GRAPHS; seed++) {
		bool all[MODEL_NODES_MAX], rest[MODEL_NODES_MAX];
		uint64_t *bytes = NULL;
		struct model model;
		uint32_t i;

		model_build(&model, seed);
		assert_int_equal(ul_retained(&model.graph, &bytes, &err), 0);
		model_reach(&model, NULL, UL_NODE_NONE, all);
		for (i = 0; i < model.node_count; i++) {
			model_reach(&model, NULL, i, rest);
			model_check(&model,
				    bytes[i] == model_bytes(&model, all) -
						    model_bytes(&model, rest));
		}
		free(bytes);
		model_release(&model);
	}
}

/* Files of one byte each, 0, 1, 2 ... */
static struct ul_graph_builder *files_new(uint32_t count)
{
	struct ul_graph_builder *builder = ul_graph_builder_new();
	char key[16];
	uint32_t i;

	assert_non_null(builder);
	for (i = 0; i < count; i++) {
		snprintf(key, sizeof key, "%u", i);
		assert_int_equal(ul_graph_add_node(builder, UL_KIND_FILE, NULL,
						   NULL, key, false),
				 i);
		ul_graph_set_weight(builder, i, 1);
	}
	return builder;
}

static void files_refer(struct ul_graph_builder *builder, uint32_t from,
			uint32_t to)
{
	assert_true(
	    ul_graph_add_ref(builder, from, to, UL_REF_FORWARD, "parent"));
}

static uint64_t *files_retained(struct ul_graph_builder *builder)
{
	struct ul_graph graph = UL_GRAPH_INIT;
	struct ul_err err = UL_ERR_INIT;
	uint64_t *bytes = NULL;

	assert_int_equal(ul_graph_builder_finish(builder, &graph, &err), 0);
	ul_graph_builder_free(builder);
	assert_int_equal(ul_retained(&graph, &bytes, &err), 0);
	ul_graph_release(&graph);
	return bytes;
}

static void test_retained__shares_belong_to_the_common_dominator(void **state)
{
	struct ul_graph_builder *builder = files_new(6);
	uint64_t *bytes;

	(void)state;
	files_refer(builder, 0, 1);
	files_refer(builder, 0, 2);
	files_refer(builder, 1, 3);
	files_refer(builder, 2, 3);
	files_refer(builder, 3, 4);
	files_refer(builder, 4, 3);
	files_refer(builder, 5, 4); /* 5 is not reached: it holds nothing */
	assert_true(ul_graph_add_root(builder, 0, "tag"));
	bytes = files_retained(builder);
	assert_int_equal(bytes[0], 5);
	assert_int_equal(bytes[1], 1);
	assert_int_equal(bytes[2], 1);
	assert_int_equal(bytes[3], 2);
	assert_int_equal(bytes[4], 1);
	assert_int_equal(bytes[5], 0);
	free(bytes);
}

/* Down and up again, with a second root at the top so that the chain is not
 * the one way in: 1,000,000 deep for the depth-first walk. */
static void test_retained__takes_a_chain_of_a_million_nodes(void **state)
{
	const uint32_t count = 1000000;
	struct ul_graph_builder *builder = files_new(count + 1);
	uint64_t *bytes;
	uint32_t i;

	(void)state;
	for (i = 0; i + 1 < count; i++) {
		files_refer(builder, i, i + 1);
		files_refer(builder, i + 1, i);
	}
	assert_true(ul_graph_add_root(builder, 0, "tag"));
	assert_true(ul_graph_add_root(builder, count, "tag"));
	bytes = files_retained(builder);
	for (i = 0; i < count; i++)
		assert_true(bytes[i] == count - i);
	assert_int_equal(bytes[count], 1);
	free(bytes);
}

/*
 * Half of the nodes are a chain, each of the others hangs below the chain's
 * end and is referred to by its start too: climbing from dominator to
 * dominator one by one would take a quarter of a million steps for each.
 */
static void test_retained__climbs_deep_dominator_trees_fast(void **state)
{
	const uint32_t half = 250000;
	struct ul_graph_builder *builder = files_new(2 * half + 2);
	uint64_t *bytes;
	uint32_t i;

	(void)state;
	for (i = 0; i + 1 < half; i++)
		files_refer(builder, i, i + 1);
	for (i = half; i < 2 * half; i++) {
		files_refer(builder, half - 1, i);
		files_refer(builder, i, 2 * half);
		files_refer(builder, 2, i);
	}
	assert_true(ul_graph_add_root(builder, 0, "tag"));
	assert_true(ul_graph_add_root(builder, 2 * half + 1, "tag"));
	bytes = files_retained(builder);
	assert_int_equal(bytes[0], 2 * half + 1);
	assert_int_equal(bytes[2], 2 * half - 1);
	assert_int_equal(bytes[3], half - 3);
	assert_int_equal(bytes[half - 1], 1);
	assert_int_equal(bytes[half], 1);
	assert_int_equal(bytes[2 * half], 1);
	free(bytes);
}

static void test_retained__of_an_empty_graph_is_empty(void **state)
{
	struct ul_graph graph = UL_GRAPH_INIT;
	struct ul_err err = UL_ERR_INIT;
	uint64_t *bytes = NULL;

	(void)state;
	assert_int_equal(ul_retained(&graph, &bytes, &err), 0);
	free(bytes);
	free(files_retained(files_new(0)));
	bytes = files_retained(files_new(1));
	assert_int_equal(bytes[0], 0);
	free(bytes);
}

static void test_retained__survives_every_allocation_failure(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	struct model model;
	uint64_t *bytes = NULL;
	long n;

	(void)state;
	/* One with references from above, so that each array is needed. */
	model_build(&model, 11);
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		if (ul_retained(&model.graph, &bytes, &err) == 0)
			break;
		assert_int_equal(err.code, UL_E_NOMEM);
		assert_null(bytes);
	}
	ul_mem_countdown = -1;
	assert_true(n > 10);
	free(bytes);
	model_release(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_retained__is_what_goes_without_the_node),
		cmocka_unit_test(
		    test_retained__shares_belong_to_the_common_dominator),
		cmocka_unit_test(
		    test_retained__takes_a_chain_of_a_million_nodes),
		cmocka_unit_test(
		    test_retained__climbs_deep_dominator_trees_fast),
		cmocka_unit_test(test_retained__of_an_empty_graph_is_empty),
		cmocka_unit_test(
		    test_retained__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
