/*
 * bench_mark [NODES [SEED [ROOTS]]]: mark and retained sizes of a random
 * graph, five references a node, cycles and all, nodes in random order; one
 * JSON line.
 *
 * The graph's arrays are filled directly: the builder is not what is
 * measured. Bytes a node are the rows of references and what the pass
 * allocates; the node records, where retained sizes find the weights, belong
 * to the graph and are given apart.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "store/graph/graph.h"
#include "store/graph/mark.h"
#include "store/graph/retained.h"

enum { MEAN_REFS = 5 };

static bool graph_alloc(struct ul_graph *graph)
{
	size_t nodes = graph->node_count, refs = nodes * MEAN_REFS;

	graph->ref_count = (uint32_t)refs;
	graph->nodes = ul_calloc(nodes, sizeof *graph->nodes);
	graph->first_ref = ul_calloc(nodes + 1, sizeof *graph->first_ref);
	graph->ref_to = ul_malloc(refs * sizeof *graph->ref_to);
	graph->roots = ul_calloc(graph->root_count, sizeof *graph->roots);
	return graph->nodes && graph->first_ref && graph->ref_to &&
	       graph->roots;
}

/* Rows of every length: each reference belongs to a random node. */
static void graph_fill(struct ul_graph *graph)
{
	uint32_t i, sum = 0;

	for (i = 0; i < graph->ref_count; i++)
		graph->first_ref[bench_random_below(graph->node_count) + 1]++;
	for (i = 0; i < graph->node_count; i++) {
		sum += graph->first_ref[i + 1];
		graph->first_ref[i + 1] = sum;
		graph->nodes[i].twin = UL_NODE_NONE;
		graph->nodes[i].kind = UL_KIND_FILE;
		graph->nodes[i].weight_bytes = bench_random_below(1u << 20);
	}
	for (i = 0; i < graph->ref_count; i++)
		graph->ref_to[i] = bench_random_below(graph->node_count);
	for (i = 0; i < graph->root_count; i++)
		graph->roots[i].node = bench_random_below(graph->node_count);
}

static int mark_measure(const struct ul_graph *graph, double *ret_s,
			uint32_t *ret_reached, struct ul_err *err)
{
	int64_t times_ns[BENCH_RUNS];
	int i, rc;

	for (i = 0; i < BENCH_RUNS; i++) {
		ul_cleanup(ul_mark_release) struct ul_mark mark = UL_MARK_INIT;

		rc = ul_mark_init(&mark, graph, err);
		if (rc)
			return rc;
		/* Page faults belong to whoever allocates, not to the pass. */
		memset(mark.order, 0, (size_t)graph->node_count * 4);
		times_ns[i] = ul_clock_mono_ns();
		ul_mark_roots(&mark, graph, NULL);
		times_ns[i] = ul_clock_mono_ns() - times_ns[i];
		*ret_reached = mark.order_len;
	}
	*ret_s = bench_median_s(times_ns, BENCH_RUNS);
	return 0;
}

static int retained_measure(const struct ul_graph *graph, double *ret_s,
			    struct ul_err *err)
{
	int64_t times_ns[BENCH_RUNS];
	int i, rc;

	for (i = 0; i < BENCH_RUNS; i++) {
		ul_cleanup(ul_freep) uint64_t *bytes = NULL;

		times_ns[i] = ul_clock_mono_ns();
		rc = ul_retained(graph, &bytes, err);
		if (rc)
			return rc;
		times_ns[i] = ul_clock_mono_ns() - times_ns[i];
	}
	*ret_s = bench_median_s(times_ns, BENCH_RUNS);
	return 0;
}

/* A number of /proc/self/status in bytes: "VmRSS:", "VmHWM:". */
static double status_bytes(const char *name)
{
	double kib = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof line, f)) {
		if (!strncmp(line, name, strlen(name)))
			kib = strtod(line + strlen(name), NULL);
	}
	if (f)
		fclose(f);
	return kib * 1024;
}

static int run(const struct ul_graph *graph, struct ul_err *err)
{
	double nodes = graph->node_count, refs = graph->ref_count;
	double row_bytes = nodes * 4 + refs * 4, mark_s, retained_s;
	double before_bytes, work_bytes;
	uint32_t reached;
	int rc;

	rc = mark_measure(graph, &mark_s, &reached, err);
	if (rc)
		return rc;
	before_bytes = status_bytes("VmRSS:");
	rc = retained_measure(graph, &retained_s, err);
	if (rc)
		return rc;
	work_bytes = status_bytes("VmHWM:") - before_bytes;
	printf("{\"bench\":\"mark\",\"nodes\":%u,\"refs\":%u,\"roots\":%u,"
	       "\"reached\":%u,\"mark_seconds\":%.3f,"
	       "\"mark_bytes_per_node\":%.1f,\"retained_seconds\":%.3f,"
	       "\"retained_bytes_per_node\":%.1f,"
	       "\"record_bytes_per_node\":%zu}\n",
	       graph->node_count, graph->ref_count, graph->root_count, reached,
	       mark_s, row_bytes / nodes + 4 + 0.125, retained_s,
	       (row_bytes + work_bytes) / nodes, sizeof *graph->nodes);
	return 0;
}

static uint64_t argument(int argc, char **argv, int at, uint64_t otherwise)
{
	return argc > at ? strtoull(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	ul_cleanup(ul_graph_release) struct ul_graph graph = UL_GRAPH_INIT;
	struct ul_err err = UL_ERR_INIT;

	bench_name = "bench_mark";
	graph.node_count = (uint32_t)argument(argc, argv, 1, 10000000);
	bench_seed(argument(argc, argv, 2, 1));
	graph.root_count = (uint32_t)argument(argc, argv, 3, 10000);
	if (!graph.node_count || !graph_alloc(&graph))
		bench_fail("no nodes, or no memory");
	graph_fill(&graph);
	if (run(&graph, &err))
		bench_fail("%s", err.msg);
	return 0;
}
