#include "store/graph/path.h"

#include "tests/unit/graph/random_graph.h"

#include "base/mem.h"

enum { RANDOM_GRAPHS = 5000, FAR_AWAY = 1000000 };

/* References from `from` to `to` at least; FAR_AWAY: no way. */
static uint32_t naive_distance(const struct model *model, uint32_t from,
			       uint32_t to)
{
	uint32_t distance[MODEL_NODES_MAX], i;
	bool changed = true;

	for (i = 0; i < model->node_count; i++)
		distance[i] = FAR_AWAY;
	distance[from] = 0;
	while (changed) {
		changed = false;
		for (i = 0; i < model->ref_count; i++) {
			const struct model_ref *ref = &model->refs[i];

			if (distance[ref->from] + 1 >= distance[ref->to])
				continue;
			distance[ref->to] = distance[ref->from] + 1;
			changed = true;
		}
	}
	return distance[to];
}

static bool model_has_ref(const struct model *model, uint32_t from, uint32_t to,
			  const char *reason)
{
	uint32_t i;

	for (i = 0; i < model->ref_count; i++) {
		const struct model_ref *ref = &model->refs[i];

		if (ref->from == from && ref->to == to &&
		    !strcmp(ref->reason, reason))
			return true;
	}
	return false;
}

static void path_check(const struct model *model, const struct ul_path *path,
		       const struct model_root *root, uint32_t target)
{
	size_t i;

	model_check(model,
		    path->len == naive_distance(model, root->node, target) + 1);
	model_check(model, path->steps[0].node == root->node);
	model_check(model, !strcmp(path->steps[0].reason, root->reason));
	model_check(model, path->steps[path->len - 1].node == target);
	for (i = 1; i < path->len; i++)
		model_check(model, model_has_ref(model, path->steps[i - 1].node,
						 path->steps[i].node,
						 path->steps[i].reason));
}

/* Take the nearest root that was not taken, first in the list among equals. */
static uint32_t nearest_take(uint32_t *distances, uint32_t count)
{
	uint32_t i, nearest = 0;

	for (i = 1; i < count; i++) {
		if (distances[i] < distances[nearest])
			nearest = i;
	}
	distances[nearest] = FAR_AWAY;
	return nearest;
}

static void paths_check(const struct model *model, const struct ul_paths *paths,
			uint32_t target, size_t most)
{
	uint32_t distances[MODEL_ROOTS_MAX], i, count = 0;

	for (i = 0; i < model->root_count; i++) {
		distances[i] =
		    naive_distance(model, model->roots[i].node, target);
		count += distances[i] != FAR_AWAY;
	}
	model_check(model, paths->root_count == count);
	model_check(model, paths->len == (count < most ? count : most));
	for (i = 0; i < paths->len; i++) {
		uint32_t root = nearest_take(distances, model->root_count);

		path_check(model, &paths->paths[i], &model->roots[root],
			   target);
	}
}

static void test_path__is_as_short_as_the_naive_way(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	uint64_t seed, random;

	(void)state;
	for (seed = model_seed_first();
	     seed < model_seed_first() + RANDOM_GRAPHS; seed++) {
		struct ul_paths paths = UL_PATHS_INIT;
		struct model model;
		uint32_t target, most, i;

		random = ~seed;
		model_build(&model, seed);
		for (i = 0; i < 3; i++) {
			target = random_below(&random, model.node_count);
			most = random_below(&random, 6);
			assert_int_equal(ul_paths_find(&model.graph, target,
						       most, &paths, &err),
					 0);
			paths_check(&model, &paths, target, most);
			ul_paths_release(&paths);
		}
		model_release(&model);
	}
}

static void refer(struct ul_graph_builder *builder, uint32_t from, uint32_t to,
		  const char *reason)
{
	assert_true(
	    ul_graph_add_ref(builder, from, to, UL_REF_FORWARD, reason));
}

/* 0 image, 1 manifest, 2 config, 3 lease; 4 is referred to by nothing. */
static void graph_build(struct ul_graph *graph)
{
	struct ul_graph_builder *builder = ul_graph_builder_new();
	struct ul_err err = UL_ERR_INIT;

	assert_non_null(builder);
	ul_graph_add_node(builder, UL_KIND_IMAGE, NULL, NULL, "app:1", false);
	ul_graph_add_node(builder, UL_KIND_BLOB, NULL, NULL, "m", false);
	ul_graph_add_node(builder, UL_KIND_BLOB, NULL, NULL, "c", false);
	ul_graph_add_node(builder, UL_KIND_LEASE, NULL, NULL, "l", false);
	ul_graph_add_node(builder, UL_KIND_BLOB, NULL, NULL, "x", false);
	refer(builder, 0, 1, "target");
	refer(builder, 1, 2, "config");
	refer(builder, 1, 2, "layer 1");
	refer(builder, 1, 1, "subject");
	refer(builder, 2, 1, "blob-1");
	refer(builder, 3, 2, "lease");
	ul_graph_add_root(builder, 0, "tag");
	ul_graph_add_root(builder, 3, "lease");
	ul_graph_add_root(builder, 1, "gc.root");
	ul_graph_add_root(builder, 1, "gc.root");
	ul_graph_add_root(builder, 1, "held");
	assert_int_equal(ul_graph_builder_finish(builder, graph, &err), 0);
	ul_graph_builder_free(builder);
}

static void step_check(const struct ul_paths *paths, size_t path, size_t step,
		       uint32_t node, const char *reason)
{
	assert_true(path < paths->len && step < paths->paths[path].len);
	assert_int_equal(paths->paths[path].steps[step].node, node);
	assert_string_equal(paths->paths[path].steps[step].reason, reason);
}

static void test_path__starts_at_each_root_nearest_first(void **state)
{
	struct ul_paths paths = UL_PATHS_INIT;
	struct ul_graph graph = UL_GRAPH_INIT;
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	graph_build(&graph);
	assert_int_equal(ul_paths_find(&graph, 2, 9, &paths, &err), 0);
	assert_int_equal(paths.len, 4);
	assert_int_equal(paths.root_count, 4);
	step_check(&paths, 0, 0, 3, "lease");
	step_check(&paths, 0, 1, 2, "lease");
	step_check(&paths, 1, 0, 1, "gc.root");
	step_check(&paths, 1, 1, 2, "config");
	step_check(&paths, 2, 0, 1, "held");
	step_check(&paths, 3, 0, 0, "tag");
	step_check(&paths, 3, 1, 1, "target");
	step_check(&paths, 3, 2, 2, "config");
	ul_paths_release(&paths);
	ul_graph_release(&graph);
}

static void test_path__of_a_root_is_the_root_alone(void **state)
{
	struct ul_paths paths = UL_PATHS_INIT;
	struct ul_graph graph = UL_GRAPH_INIT;
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	graph_build(&graph);
	assert_int_equal(ul_paths_find(&graph, 0, 9, &paths, &err), 0);
	assert_int_equal(paths.len, 1);
	assert_int_equal(paths.paths[0].len, 1);
	step_check(&paths, 0, 0, 0, "tag");
	ul_paths_release(&paths);
	ul_graph_release(&graph);
}

static void test_path__is_missing_where_nothing_holds_it(void **state)
{
	struct ul_paths paths = UL_PATHS_INIT;
	struct ul_graph graph = UL_GRAPH_INIT;
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	graph_build(&graph);
	assert_int_equal(ul_paths_find(&graph, 4, 9, &paths, &err), 0);
	assert_int_equal(paths.len, 0);
	assert_int_equal(paths.root_count, 0);
	ul_paths_release(&paths);
	ul_paths_release(&paths);
	assert_int_equal(ul_paths_find(&graph, 2, 0, &paths, &err), 0);
	assert_int_equal(paths.len, 0);
	assert_int_equal(paths.root_count, 4);
	ul_paths_release(&paths);
	ul_graph_release(&graph);
}

static void test_path__takes_a_chain_of_a_million_nodes(void **state)
{
	const uint32_t count = 1000000;
	struct ul_graph_builder *builder = ul_graph_builder_new();
	struct ul_paths paths = UL_PATHS_INIT;
	struct ul_graph graph = UL_GRAPH_INIT;
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
			refer(builder, i - 1, i, "parent");
	}
	ul_graph_add_root(builder, 0, "active");
	assert_int_equal(ul_graph_builder_finish(builder, &graph, &err), 0);
	ul_graph_builder_free(builder);
	assert_int_equal(ul_paths_find(&graph, count - 1, 1, &paths, &err), 0);
	assert_int_equal(paths.len, 1);
	assert_int_equal(paths.paths[0].len, count);
	step_check(&paths, 0, count - 1, count - 1, "parent");
	ul_paths_release(&paths);
	ul_graph_release(&graph);
}

static void test_path__survives_every_allocation_failure(void **state)
{
	struct ul_paths paths = UL_PATHS_INIT;
	struct ul_graph graph = UL_GRAPH_INIT;
	struct ul_err err = UL_ERR_INIT;
	long n;

	(void)state;
	graph_build(&graph);
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		if (ul_paths_find(&graph, 2, 9, &paths, &err) == 0)
			break;
		assert_int_equal(err.code, UL_E_NOMEM);
		assert_null(paths.paths);
		assert_int_equal(paths.root_count, 0);
	}
	ul_mem_countdown = -1;
	assert_int_equal(n, 5 + 2 + 4);
	ul_paths_release(&paths);
	ul_graph_release(&graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path__is_as_short_as_the_naive_way),
		cmocka_unit_test(test_path__starts_at_each_root_nearest_first),
		cmocka_unit_test(test_path__of_a_root_is_the_root_alone),
		cmocka_unit_test(test_path__is_missing_where_nothing_holds_it),
		cmocka_unit_test(test_path__takes_a_chain_of_a_million_nodes),
		cmocka_unit_test(test_path__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
