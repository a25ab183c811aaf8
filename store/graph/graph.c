#include "store/graph/graph.h"

#include <assert.h>
#include <stdlib.h>

const char *ul_kind_name(enum ul_kind kind)
{
	static const char *const names[UL_KIND_COUNT] = {
		[UL_KIND_IMAGE] = "image",
		[UL_KIND_BLOB] = "blob",
		[UL_KIND_SNAPSHOT] = "snapshot",
		[UL_KIND_LEASE] = "lease",
		[UL_KIND_CONTAINER] = "container",
		[UL_KIND_SANDBOX] = "sandbox",
		[UL_KIND_INGEST] = "ingest",
		[UL_KIND_FILE] = "file",
		[UL_KIND_GROUP] = "group",
	};

	assert(kind < UL_KIND_COUNT);
	return names[kind];
}

void ul_graph_release(struct ul_graph *graph)
{
	free(graph->nodes);
	free(graph->first_ref);
	free(graph->ref_to);
	free(graph->ref_reason);
	free(graph->ref_kind);
	free(graph->roots);
	free(graph->reasons);
	ul_arena_release(&graph->strings);
	*graph = UL_GRAPH_INIT;
}
