#include "tests/unit/graph/random_graph.h"

uint64_t model_seed_first(void)
{
	const char *first = getenv("GRAPH_SEED_FIRST");

	return first ? strtoull(first, NULL, 10) : 1;
}

/* splitmix64 */
uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint32_t random_below(uint64_t *state, uint32_t bound)
{
	return (uint32_t)((random_next(state) >> 32) * bound >> 32);
}

/* A flat node takes the identity of the node before it, once. */
static void model_add_nodes(struct model *model,
			    struct ul_graph_builder *builder, uint64_t *state)
{
	uint32_t i, kind = 0;
	bool is_flat = false;
	char key[16];

	for (i = 0; i < model->node_count; i++) {
		is_flat = i && !is_flat && random_below(state, 8) == 0;
		if (!is_flat) {
			kind = random_below(state, 2)
				   ? (uint32_t)UL_KIND_FILE
				   : random_below(state, UL_KIND_COUNT);
			snprintf(key, sizeof key, "key-%u", i);
		}
		assert_int_equal(
		    ul_graph_add_node(builder, kind, "ns", NULL, key, is_flat),
		    i);
		model->twins[i] = is_flat ? i - 1 : UL_NODE_NONE;
		if (is_flat)
			model->twins[i - 1] = i;
		if (kind != UL_KIND_FILE)
			continue;
		model->weights[i] = 1 + random_below(state, 1000000);
		ul_graph_set_weight(builder, i, model->weights[i]);
	}
}

/* `reach` bounds how far from its source a target is: short ones make long
 * chains and deep dominator trees. */
static void model_add_refs(struct model *model,
			   struct ul_graph_builder *builder, uint64_t *state)
{
	static const char *const reasons[] = { "config", "layer 1", "layer 2",
					       "parent", "subject" };
	uint32_t reach = 1 + random_below(state, model->node_count), i;
	uint32_t backward = random_below(state, 50);

	for (i = 0; i < model->ref_count; i++) {
		struct model_ref *ref = &model->refs[i];
		uint32_t away = random_below(state, reach + 1);

		ref->from = random_below(state, model->node_count);
		ref->to = random_below(state, 100) < backward
			      ? ref->from + model->node_count - away
			      : ref->from + away;
		ref->to %= model->node_count;
		ref->kind = random_below(state, UL_REF_CONDITIONAL + 1);
		ref->reason = reasons[random_below(state, 5)];
		assert_true(ul_graph_add_ref(builder, ref->from, ref->to,
					     ref->kind, ref->reason));
	}
}

static bool model_has_root(const struct model *model,
			   const struct model_root *root)
{
	uint32_t i;

	for (i = 0; i < model->root_count; i++) {
		if (model->roots[i].node == root->node &&
		    !strcmp(model->roots[i].reason, root->reason))
			return true;
	}
	return false;
}

static void model_add_roots(struct model *model,
			    struct ul_graph_builder *builder, uint64_t *state,
			    uint32_t count)
{
	struct model_root root;
	uint32_t i;

	for (i = 0; i < count; i++) {
		root.node = random_below(state, model->node_count);
		root.reason = random_below(state, 2) ? "tag" : "lease";
		if (!model_has_root(model, &root))
			model->roots[model->root_count++] = root;
		assert_true(ul_graph_add_root(builder, root.node, root.reason));
	}
}

void model_build(struct model *model, uint64_t seed)
{
	struct ul_graph_builder *builder = ul_graph_builder_new();
	struct ul_err err = UL_ERR_INIT;
	uint64_t state = seed;
	uint32_t density = 1 + random_below(&state, 4), roots;

	assert_non_null(builder);
	*model = (struct model){ .seed = seed };
	model->node_count = 5 + random_below(&state, MODEL_NODES_MAX - 4);
	model->ref_count = random_below(&state, model->node_count * density);
	roots = random_below(&state, 2) ? 1 + random_below(&state, 2)
					: random_below(&state, MODEL_ROOTS_MAX);
	model_add_nodes(model, builder, &state);
	model_add_refs(model, builder, &state);
	model_add_roots(model, builder, &state, roots);
	assert_int_equal(ul_graph_builder_finish(builder, &model->graph, &err),
			 0);
	ul_graph_builder_free(builder);
}

void model_release(struct model *model)
{
	ul_graph_release(&model->graph);
}

void model_reach(const struct model *model, const bool *without,
		 uint32_t removed, bool reached[MODEL_NODES_MAX])
{
	bool changed = true;
	uint32_t i;

	memset(reached, 0, MODEL_NODES_MAX * sizeof *reached);
	for (i = 0; i < model->root_count; i++) {
		uint32_t node = model->roots[i].node;

		if (node != removed && (!without || !without[node]))
			reached[node] = true;
	}
	while (changed) {
		changed = false;
		for (i = 0; i < model->ref_count; i++) {
			const struct model_ref *ref = &model->refs[i];

			if (!reached[ref->from] || reached[ref->to] ||
			    ref->to == removed)
				continue;
			reached[ref->to] = true;
			changed = true;
		}
	}
}

uint64_t model_bytes(const struct model *model,
		     const bool reached[MODEL_NODES_MAX])
{
	uint64_t bytes = 0;
	uint32_t i;

	for (i = 0; i < model->node_count; i++)
		bytes += reached[i] ? model->weights[i] : 0;
	return bytes;
}
