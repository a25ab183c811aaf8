#include "store/graph/mark.h"

#include "tests/unit/graph/random_graph.h"

#include "base/mem.h"

enum { RANDOM_GRAPHS = 10000 };

/* Each node at most once, and exactly those with a bit. */
static void order_check(const struct model *model, const struct ul_mark *mark)
{
	bool seen[MODEL_NODES_MAX] = { false };
	uint32_t i;

	for (i = 0; i < mark->order_len; i++) {
		model_check(model, !seen[mark->order[i]]);
		seen[mark->order[i]] = true;
	}
	for (i = 0; i < model->node_count; i++)
		model_check(model, seen[i] == ul_bits_get(&mark->reached, i));
}

static void test_mark__reaches_what_the_naive_mark_reaches(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	uint64_t seed;

	(void)state;
	for (seed = model_seed_first();
	     seed < model_seed_first() + RANDOM_GRAPHS; seed++) {
		struct ul_mark mark = UL_MARK_INIT;
		bool reached[MODEL_NODES_MAX];
		struct model model;
		uint32_t i, twin;

		model_build(&model, seed);
		assert_int_equal(ul_mark_init(&mark, &model.graph, &err), 0);
		ul_mark_roots(&mark, &model.graph, NULL);
		model_reach(&model, NULL, UL_NODE_NONE, reached);
		order_check(&model, &mark);
		for (i = 0; i < model.node_count; i++) {
			twin = model.twins[i];
			model_check(&model, ul_bits_get(&mark.reached, i) ==
						reached[i]);
			model_check(&model,
				    ul_mark_keeps(&mark, &model.graph, i) ==
					(reached[i] || (twin != UL_NODE_NONE &&
							reached[twin])));
		}
		ul_mark_release(&mark);
		model_release(&model);
	}
}

static void subset_choose(const struct model *model, uint64_t seed,
			  struct ul_bits *bits, bool chosen[MODEL_NODES_MAX])
{
	uint64_t state = ~seed;
	uint32_t i;

	assert_true(ul_bits_init(bits, model->node_count));
	memset(chosen, 0, MODEL_NODES_MAX * sizeof *chosen);
	for (i = 0; i < model->root_count; i++) {
		if (random_below(&state, 2))
			continue;
		chosen[model->roots[i].node] = true;
		ul_bits_set(bits, model->roots[i].node);
	}
}

static void test_mark__gain_is_the_difference_of_two_sets(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	uint64_t seed;

	(void)state;
	for (seed = model_seed_first();
	     seed < model_seed_first() + RANDOM_GRAPHS; seed++) {
		bool all[MODEL_NODES_MAX], rest[MODEL_NODES_MAX];
		bool chosen[MODEL_NODES_MAX];
		struct ul_bits without = UL_BITS_INIT;
		uint64_t bytes = 0;
		struct model model;

		model_build(&model, seed);
		subset_choose(&model, seed, &without, chosen);
		assert_int_equal(
		    ul_mark_gain(&model.graph, &without, &bytes, &err), 0);
		model_reach(&model, NULL, UL_NODE_NONE, all);
		model_reach(&model, chosen, UL_NODE_NONE, rest);
		model_check(&model, bytes == model_bytes(&model, all) -
						 model_bytes(&model, rest));
		assert_int_equal(ul_mark_gain(&model.graph, NULL, &bytes, &err),
				 0);
		model_check(&model, bytes == 0);
		ul_bits_release(&without);
		model_release(&model);
	}
}

/* Two passes, as for two classes: the second gets what the first has not. */
static void test_mark__puts_a_node_into_the_first_pass_that_has_it(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	uint64_t seed;

	(void)state;
	for (seed = model_seed_first();
	     seed < model_seed_first() + RANDOM_GRAPHS; seed++) {
		bool rest[MODEL_NODES_MAX], all[MODEL_NODES_MAX];
		bool chosen[MODEL_NODES_MAX];
		struct ul_bits without = UL_BITS_INIT;
		struct ul_mark mark = UL_MARK_INIT;
		uint32_t nodes[MODEL_ROOTS_MAX], i, first_len;
		struct model model;

		model_build(&model, seed);
		subset_choose(&model, seed, &without, chosen);
		for (i = 0; i < model.root_count; i++)
			nodes[i] = model.roots[i].node;
		assert_int_equal(ul_mark_init(&mark, &model.graph, &err), 0);
		ul_mark_roots(&mark, &model.graph, &without);
		first_len = mark.order_len;
		ul_mark_from(&mark, &model.graph, nodes, model.root_count);
		order_check(&model, &mark);
		model_reach(&model, chosen, UL_NODE_NONE, rest);
		model_reach(&model, NULL, UL_NODE_NONE, all);
		for (i = 0; i < mark.order_len; i++) {
			model_check(&model, all[mark.order[i]]);
			model_check(&model,
				    rest[mark.order[i]] == (i < first_len));
		}
		ul_mark_release(&mark);
		ul_bits_release(&without);
		model_release(&model);
	}
}

static void test_mark__goes_nearest_first(void **state)
{
	struct ul_graph_builder *builder = ul_graph_builder_new();
	static const uint32_t refs[][2] = { { 0, 2 }, { 0, 1 }, { 2, 3 },
					    { 1, 4 }, { 3, 0 }, { 4, 4 } };
	static const uint32_t expected[] = { 0, 2, 1, 3, 4 };
	struct ul_graph graph = UL_GRAPH_INIT;
	struct ul_mark mark = UL_MARK_INIT;
	struct ul_err err = UL_ERR_INIT;
	char key[2] = "a";
	size_t i;

	(void)state;
	assert_non_null(builder);
	for (; key[0] <= 'e'; key[0]++)
		ul_graph_add_node(builder, UL_KIND_BLOB, NULL, NULL, key,
				  false);
	for (i = 0; i < ul_array_len(refs); i++)
		ul_graph_add_ref(builder, refs[i][0], refs[i][1],
				 UL_REF_FORWARD, "config");
	ul_graph_add_root(builder, 0, "tag");
	assert_int_equal(ul_graph_builder_finish(builder, &graph, &err), 0);
	ul_graph_builder_free(builder);
	assert_int_equal(ul_mark_init(&mark, &graph, &err), 0);
	ul_mark_roots(&mark, &graph, NULL);
	assert_int_equal(mark.order_len, ul_array_len(expected));
	assert_memory_equal(mark.order, expected, sizeof expected);
	ul_mark_release(&mark);
	ul_graph_release(&graph);
}

static void test_mark__takes_a_chain_of_a_million_nodes(void **state)
{
	const uint32_t count = 1000000;
	struct ul_graph_builder *builder = ul_graph_builder_new();
	struct ul_graph graph = UL_GRAPH_INIT;
	struct ul_mark mark = UL_MARK_INIT;
	struct ul_err err = UL_ERR_INIT;
	char key[16];
	uint32_t i;

	(void)state;
	assert_non_null(builder);
	for (i = 0; i < count; i++) {
		snprintf(key, sizeof key, "%u", i);
		ul_graph_add_node(builder, UL_KIND_SNAPSHOT, NULL, "overlayfs",
				  key, false);
		if (i)
			ul_graph_add_ref(builder, i - 1, i, UL_REF_FORWARD,
					 "parent");
	}
	ul_graph_add_root(builder, 0, "active");
	assert_int_equal(ul_graph_builder_finish(builder, &graph, &err), 0);
	ul_graph_builder_free(builder);
	assert_int_equal(ul_mark_init(&mark, &graph, &err), 0);
	ul_mark_roots(&mark, &graph, NULL);
	assert_int_equal(mark.order_len, count);
	assert_int_equal(mark.order[count - 1], count - 1);
	ul_mark_release(&mark);
	ul_graph_release(&graph);
}

static void test_mark__of_an_empty_graph_reaches_nothing(void **state)
{
	struct ul_graph graph = UL_GRAPH_INIT;
	struct ul_mark mark = UL_MARK_INIT;
	struct ul_err err = UL_ERR_INIT;
	uint64_t bytes = 1;

	(void)state;
	assert_int_equal(ul_mark_init(&mark, &graph, &err), 0);
	ul_mark_roots(&mark, &graph, NULL);
	ul_mark_from(&mark, &graph, NULL, 0);
	assert_int_equal(mark.order_len, 0);
	assert_int_equal(ul_mark_gain(&graph, NULL, &bytes, &err), 0);
	assert_int_equal(bytes, 0);
	ul_mark_release(&mark);
	ul_mark_release(&mark);
}

static void test_mark__survives_every_allocation_failure(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_mark mark = UL_MARK_INIT;
	struct model model;
	uint64_t bytes = 77;
	long n;

	(void)state;
	model_build(&model, 1);
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		if (ul_mark_init(&mark, &model.graph, &err) == 0)
			break;
		assert_int_equal(err.code, UL_E_NOMEM);
		assert_null(mark.order);
	}
	assert_int_equal(n, 2);
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		if (ul_mark_gain(&model.graph, NULL, &bytes, &err) == 0)
			break;
		assert_int_equal(err.code, UL_E_NOMEM);
		assert_int_equal(bytes, 77);
	}
	ul_mem_countdown = -1;
	assert_int_equal(n, 2);
	ul_mark_release(&mark);
	model_release(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_mark__reaches_what_the_naive_mark_reaches),
		cmocka_unit_test(test_mark__gain_is_the_difference_of_two_sets),
		cmocka_unit_test(
		    test_mark__puts_a_node_into_the_first_pass_that_has_it),
		cmocka_unit_test(test_mark__goes_nearest_first),
		cmocka_unit_test(test_mark__takes_a_chain_of_a_million_nodes),
		cmocka_unit_test(test_mark__of_an_empty_graph_reaches_nothing),
		cmocka_unit_test(test_mark__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
