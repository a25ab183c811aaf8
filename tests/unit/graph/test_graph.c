#include "store/graph/builder.h"

#include "tests/unit/graph/random_graph.h"

#include "base/mem.h"
#include "store/limits.h"

static struct ul_graph_builder *builder_new(void)
{
	struct ul_graph_builder *builder = ul_graph_builder_new();

	assert_non_null(builder);
	return builder;
}

static void finish(struct ul_graph_builder *builder, struct ul_graph *graph)
{
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(ul_graph_builder_finish(builder, graph, &err), 0);
}

static uint32_t blob(struct ul_graph_builder *builder, const char *key)
{
	return ul_graph_add_node(builder, UL_KIND_BLOB, NULL, NULL, key, false);
}

/* Every row as what was added, in order, less what repeats. */
static void row_check(const struct model *model, uint32_t from, bool *ret_all)
{
	const struct ul_graph *graph = &model->graph;
	uint32_t at = graph->first_ref[from], i;

	for (i = 0; i < model->ref_count; i++) {
		const struct model_ref *ref = &model->refs[i];

		if (ref->from != from)
			continue;
		if (at < graph->first_ref[from + 1] &&
		    graph->ref_to[at] == ref->to &&
		    graph->ref_kind[at] == ref->kind &&
		    !strcmp(graph->reasons[graph->ref_reason[at]], ref->reason))
			at++;
		else
			*ret_all = false;
	}
	model_check(model, at == graph->first_ref[from + 1]);
}

static bool row_has(const struct ul_graph *graph, const struct model_ref *ref)
{
	uint32_t i;

	for (i = graph->first_ref[ref->from];
	     i < graph->first_ref[ref->from + 1]; i++) {
		if (graph->ref_to[i] == ref->to &&
		    graph->ref_kind[i] == ref->kind &&
		    !strcmp(graph->reasons[graph->ref_reason[i]], ref->reason))
			return true;
	}
	return false;
}

static void test_graph__rows_hold_what_was_added_in_order(void **state)
{
	uint64_t seed, whole = 0;

	(void)state;
	for (seed = model_seed_first(); seed < model_seed_first() + 5000;
	     seed++) {
		struct model model;
		bool all = true;
		uint32_t i;

		model_build(&model, seed);
		model_check(&model, model.graph.node_count == model.node_count);
		model_check(&model, model.graph.root_count == model.root_count);
		for (i = 0; i < model.node_count; i++) {
			row_check(&model, i, &all);
			model_check(&model, model.graph.nodes[i].twin ==
						model.twins[i]);
			model_check(&model, model.graph.nodes[i].weight_bytes ==
						model.weights[i]);
		}
		for (i = 0; i < model.ref_count; i++)
			model_check(&model,
				    row_has(&model.graph, &model.refs[i]));
		model_check(&model, model.graph.first_ref[model.node_count] ==
					model.graph.ref_count);
		whole += all;
		model_release(&model);
	}
	assert_in_range(whole, 100, 4999);
}

static void test_graph__tells_identities_apart(void **state)
{
	static const struct {
		enum ul_kind kind;
		const char *ns, *snapshotter, *key;
		bool is_flat;
	} ids[] = {
		{ UL_KIND_BLOB, NULL, NULL, "a", false },
		{ UL_KIND_BLOB, NULL, NULL, "a", true },
		{ UL_KIND_IMAGE, NULL, NULL, "a", false },
		{ UL_KIND_BLOB, "", NULL, "a", false },
		{ UL_KIND_BLOB, NULL, "", "a", false },
		{ UL_KIND_BLOB, "a", NULL, "", false },
		{ UL_KIND_BLOB, NULL, "a", "", false },
		{ UL_KIND_BLOB, "a", "b", "c", false },
		{ UL_KIND_BLOB, "ab", "", "c", false },
		{ UL_KIND_BLOB, "a", "", "bc", false },
		{ UL_KIND_BLOB, NULL, NULL, "", false },
		{ UL_KIND_BLOB, NULL, NULL, "\xff\x80", false },
	};
	struct ul_graph_builder *builder = builder_new();
	struct ul_graph graph = UL_GRAPH_INIT;
	size_t i, pass;

	(void)state;
	for (pass = 0; pass < 3 * ul_array_len(ids); pass++) {
		i = pass % ul_array_len(ids);
		if (pass < ul_array_len(ids))
			assert_int_equal(
			    ul_graph_find_node(builder, ids[i].kind, ids[i].ns,
					       ids[i].snapshotter, ids[i].key,
					       ids[i].is_flat),
			    UL_NODE_NONE);
		if (pass == 2 * ul_array_len(ids))
			finish(builder, &graph);
		if (pass < 2 * ul_array_len(ids))
			assert_int_equal(
			    ul_graph_add_node(builder, ids[i].kind, ids[i].ns,
					      ids[i].snapshotter, ids[i].key,
					      ids[i].is_flat),
			    i);
		else
			assert_int_equal(
			    ul_graph_find_node(builder, ids[i].kind, ids[i].ns,
					       ids[i].snapshotter, ids[i].key,
					       ids[i].is_flat),
			    i);
	}
	assert_int_equal(graph.node_count, ul_array_len(ids));
	assert_null(graph.nodes[0].ns);
	assert_null(graph.nodes[0].snapshotter);
	assert_string_equal(graph.nodes[0].key, "a");
	assert_string_equal(graph.nodes[7].ns, "a");
	assert_string_equal(graph.nodes[7].snapshotter, "b");
	assert_string_equal(graph.nodes[7].key, "c");
	assert_int_equal(graph.nodes[1].twin, 0);
	assert_int_equal(graph.nodes[0].twin, 1);
	assert_int_equal(graph.nodes[2].twin, UL_NODE_NONE);
	ul_graph_builder_free(builder);
	ul_graph_release(&graph);
	ul_graph_release(&graph);
}

static void test_graph__finds_keys_longer_than_any_before(void **state)
{
	struct ul_graph_builder *builder = builder_new();
	char key[5000];

	(void)state;
	memset(key, 'k', sizeof key - 1);
	key[sizeof key - 1] = '\0';
	assert_int_equal(
	    ul_graph_find_node(builder, UL_KIND_BLOB, NULL, NULL, key, false),
	    UL_NODE_NONE);
	assert_int_equal(blob(builder, "short"), 0);
	assert_int_equal(
	    ul_graph_find_node(builder, UL_KIND_BLOB, NULL, NULL, key, false),
	    UL_NODE_NONE);
	assert_int_equal(blob(builder, key), 1);
	assert_int_equal(blob(builder, key), 1);
	ul_graph_builder_free(builder);
}

static void test_graph__repeats_are_harmless(void **state)
{
	struct ul_graph_builder *builder = builder_new();
	struct ul_graph graph = UL_GRAPH_INIT;
	uint32_t a = blob(builder, "a"), b = blob(builder, "b");
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		ul_graph_add_ref(builder, a, b, UL_REF_FORWARD, "config");
		ul_graph_add_ref(builder, b, b, UL_REF_BACK, "self");
		ul_graph_add_root(builder, a, "tag");
	}
	ul_graph_add_ref(builder, a, b, UL_REF_BACK, "config");
	ul_graph_add_ref(builder, a, b, UL_REF_BACK, "subject");
	ul_graph_add_root(builder, a, "lease");
	finish(builder, &graph);
	assert_int_equal(graph.ref_count, 4);
	assert_int_equal(graph.first_ref[1], 3);
	assert_int_equal(graph.ref_kind[0], UL_REF_FORWARD);
	assert_int_equal(graph.ref_kind[1], UL_REF_BACK);
	assert_string_equal(graph.reasons[graph.ref_reason[2]], "subject");
	assert_int_equal(graph.ref_to[3], b);
	assert_int_equal(graph.root_count, 2);
	assert_string_equal(graph.reasons[graph.roots[0].reason], "tag");
	assert_string_equal(graph.reasons[graph.roots[1].reason], "lease");
	ul_graph_builder_free(builder);
	ul_graph_release(&graph);
}

static void test_graph__the_last_weight_counts(void **state)
{
	struct ul_graph_builder *builder = builder_new();
	struct ul_graph graph = UL_GRAPH_INIT;
	uint32_t file;

	(void)state;
	file = ul_graph_add_node(builder, UL_KIND_FILE, NULL, NULL, "f", false);
	ul_graph_set_weight(builder, file, 1);
	ul_graph_set_weight(builder, file, UINT64_MAX);
	finish(builder, &graph);
	assert_true(graph.nodes[file].weight_bytes == UINT64_MAX);
	ul_graph_builder_free(builder);
	ul_graph_release(&graph);
}

/* More reasons than an index of 16 bits can tell apart. */
static void test_graph__takes_any_number_of_reasons(void **state)
{
	const uint32_t count = 70000;
	struct ul_graph_builder *builder = builder_new();
	struct ul_graph graph = UL_GRAPH_INIT;
	uint32_t a = blob(builder, "a"), i;
	char reason[32];

	(void)state;
	for (i = 0; i < count; i++) {
		snprintf(reason, sizeof reason, "layer %u", i);
		assert_true(
		    ul_graph_add_ref(builder, a, a, UL_REF_FORWARD, reason));
	}
	/* Known ones are still told apart. */
	assert_true(ul_graph_add_ref(builder, a, a, UL_REF_FORWARD, "layer 7"));
	finish(builder, &graph);
	assert_int_equal(graph.reason_count, UL_GRAPH_REASONS_MAX + 1);
	assert_int_equal(graph.ref_count, UL_GRAPH_REASONS_MAX + 2);
	for (i = 0; i < UL_GRAPH_REASONS_MAX; i++) {
		snprintf(reason, sizeof reason, "layer %u", i);
		assert_string_equal(graph.reasons[graph.ref_reason[i]], reason);
	}
	assert_string_equal(graph.reasons[graph.ref_reason[i]], "reference");
	assert_string_equal(graph.reasons[graph.ref_reason[i + 1]], "layer 7");
	ul_graph_builder_free(builder);
	ul_graph_release(&graph);
}

static void test_graph__may_be_empty(void **state)
{
	struct ul_graph_builder *builder = builder_new();
	struct ul_graph graph = UL_GRAPH_INIT;

	(void)state;
	finish(builder, &graph);
	assert_int_equal(graph.node_count, 0);
	assert_int_equal(graph.ref_count, 0);
	assert_int_equal(graph.first_ref[0], 0);
	ul_graph_builder_free(builder);
	ul_graph_builder_free(NULL);
	ul_graph_release(&graph);
}

static void test_graph__kinds_have_names(void **state)
{
	int kind;

	(void)state;
	for (kind = 0; kind < UL_KIND_COUNT; kind++)
		assert_non_null(ul_kind_name((enum ul_kind)kind));
	assert_string_equal(ul_kind_name(UL_KIND_IMAGE), "image");
	assert_string_equal(ul_kind_name(UL_KIND_GROUP), "group");
}

/* As callers do that ask only at the end whether all went well. */
static int build_carelessly(struct ul_graph *ret_graph, struct ul_err *err)
{
	struct ul_graph_builder *builder = ul_graph_builder_new();
	uint32_t i, node, before = UL_NODE_NONE;
	char text[32];
	int rc;

	if (!builder)
		return UL_E_NOMEM;
	for (i = 0; i < 40; i++) {
		snprintf(text, sizeof text, "key or reason %u", i);
		node = ul_graph_add_node(builder, UL_KIND_FILE, "ns", NULL,
					 text, i & 1);
		ul_graph_set_weight(builder, node, i);
		if (i)
			ul_graph_add_ref(builder, before, node, UL_REF_FORWARD,
					 text);
		ul_graph_add_root(builder, node, text);
		before = node;
	}
	rc = ul_graph_builder_finish(builder, ret_graph, err);
	ul_graph_builder_free(builder);
	return rc;
}

static void test_graph__survives_every_allocation_failure(void **state)
{
	struct ul_graph graph = UL_GRAPH_INIT;
	struct ul_err err = UL_ERR_INIT;
	long n;
	int rc;

	(void)state;
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = build_carelessly(&graph, &err);
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_null(graph.nodes);
		assert_null(graph.first_ref);
	}
	ul_mem_countdown = -1;
	assert_true(n > 20);
	assert_int_equal(graph.node_count, 40);
	assert_int_equal(graph.ref_count, 39);
	ul_graph_release(&graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_graph__rows_hold_what_was_added_in_order),
		cmocka_unit_test(test_graph__tells_identities_apart),
		cmocka_unit_test(test_graph__finds_keys_longer_than_any_before),
		cmocka_unit_test(test_graph__repeats_are_harmless),
		cmocka_unit_test(test_graph__the_last_weight_counts),
		cmocka_unit_test(test_graph__takes_any_number_of_reasons),
		cmocka_unit_test(test_graph__may_be_empty),
		cmocka_unit_test(test_graph__kinds_have_names),
		cmocka_unit_test(test_graph__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
