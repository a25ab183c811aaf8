/*
 * bench_plan - the plan of `prune -a` over a store of many objects.
 *
 * bench_plan [--objects N] [--seed N]
 * The view is made in memory: images of a manifest, a config and four layers
 * of which two are one of a hundred bases', each with its file; one image in
 * ten is pinned. Median of five. There is no peer: others decide while they
 * delete. Prints one JSON line.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "bench/bench.h"
#include "gc/plan.h"
#include "store/graph/builder.h"
#include "store/view.h"

enum {
	OBJECTS_PER_IMAGE = 5, /* name, manifest, config, two layers */
	BASES = 100,
	BASE_LAYERS = 2,
	OWN_LAYERS = 2,
	DAY_S = 86400,
	NOW = 1795000000,
};

struct make {
	struct ul_view view;
	struct ul_graph_builder *builder;
	uint32_t bases[BASES][BASE_LAYERS];
};

static void no_memory_unless(bool ok)
{
	if (!ok)
		bench_fail("out of memory");
}

static const char *text_of(struct ul_view *view, const char *text)
{
	const char *copy = ul_arena_strdup(&view->arena, text);

	no_memory_unless(copy);
	return copy;
}

static uint32_t object_add(struct make *make, enum ul_kind kind,
			   const char *key)
{
	struct ul_record *record = &make->view.record;
	uint32_t at = ul_record_object(record, (uint8_t)kind, "", "", key);

	no_memory_unless(at != UL_OBJECT_NONE);
	record->objects[at].is_known = true;
	return at;
}

static uint32_t blob_add(struct make *make, uint32_t bytes)
{
	struct ul_view *view = &make->view;
	struct ul_object *object;
	char key[96];
	uint32_t at;

	snprintf(key, sizeof key, "sha256:%064zx", view->file_count);
	at = object_add(make, UL_KIND_BLOB, key);
	object = &view->record.objects[at];
	object->is_present = true;
	object->length_bytes = object->measure.allocated_bytes = bytes;
	view->files[view->file_count++] = (struct ul_view_file){
		.object = at,
		.path = text_of(view, key),
		.newest_unix_s = NOW - DAY_S,
	};
	return at;
}

static void image_add(struct make *make, uint32_t number)
{
	struct ul_view *view = &make->view;
	const uint32_t *base = make->bases[bench_random_below(BASES)];
	struct ul_object_ref refs[1 + BASE_LAYERS + OWN_LAYERS];
	size_t i, count = 0;
	uint32_t manifest = blob_add(make, 4096);
	struct ul_view_image *image = &view->images[view->image_count++];
	char name[64];

	refs[count++].target = blob_add(make, 4096);
	for (i = 0; i < BASE_LAYERS; i++)
		refs[count++].target = base[i];
	for (i = 0; i < OWN_LAYERS; i++)
		refs[count++].target =
		    blob_add(make, bench_random_below(1 << 20) * 4096);
	for (i = 0; i < count; i++) {
		refs[i].kind = UL_REF_FORWARD;
		refs[i].reason = i ? "layer" : "config";
	}
	no_memory_unless(
	    ul_record_set_refs(&view->record, manifest, refs, count));
	snprintf(name, sizeof name, "docker.io/library/app:%u", number);
	*image = (struct ul_view_image){
		.ns = "",
		.digest = view->record.objects[manifest].key,
		.target = manifest,
		.names = ul_arena_alloc(&view->arena, sizeof(uint32_t)),
		.name_count = 1,
		.was_named = true,
		.is_pinned = number % 10 == 0,
		.created_unix_s = NOW - 10 * DAY_S,
		.used_unix_s = NOW - 5 * DAY_S,
	};
	no_memory_unless(image->names);
	image->names[0] = object_add(make, UL_KIND_IMAGE, name);
}

static void content_make(struct make *make, uint32_t objects)
{
	struct ul_view *view = &make->view;
	uint32_t i, layer, images = objects / OBJECTS_PER_IMAGE;

	view->record = UL_RECORD_INIT;
	view->store_name = view->store_kind = view->store_path = "embedded";
	view->mount = "";
	view->as_of_unix_s = NOW;
	view->images = calloc(images + 1, sizeof *view->images);
	view->files =
	    calloc((size_t)images * OBJECTS_PER_IMAGE + BASES * BASE_LAYERS + 1,
		   sizeof *view->files);
	no_memory_unless(view->images && view->files);
	for (i = 0; i < BASES; i++) {
		for (layer = 0; layer < BASE_LAYERS; layer++)
			make->bases[i][layer] = blob_add(make, 1 << 24);
	}
	for (i = 0; i < images; i++)
		image_add(make, i);
}

static uint32_t node_add(struct make *make, enum ul_kind kind, const char *key)
{
	uint32_t node =
	    ul_graph_add_node(make->builder, kind, NULL, NULL, key, false);

	no_memory_unless(node != UL_NODE_NONE);
	return node;
}

static void ref_add(struct make *make, uint32_t from, uint32_t to,
		    const char *reason)
{
	ul_graph_add_ref(make->builder, from, to, UL_REF_FORWARD, reason);
}

static void graph_objects(struct make *make)
{
	const struct ul_record *record = &make->view.record;
	uint32_t at, i;

	for (at = 0; at < record->object_count; at++)
		node_add(make, record->objects[at].kind,
			 record->objects[at].key);
	for (at = 0; at < record->object_count; at++) {
		const struct ul_object *object = &record->objects[at];

		for (i = 0; i < object->ref_count; i++) {
			const struct ul_object_ref *ref =
			    &record->refs[object->first_ref + i];

			ref_add(make, at, ref->target, ref->reason);
		}
	}
}

/* As a scan does it. */
static void graph_make(struct make *make)
{
	struct ul_view *view = &make->view;
	struct ul_err err = UL_ERR_INIT;
	size_t i;

	make->builder = ul_graph_builder_new();
	no_memory_unless(make->builder);
	graph_objects(make);
	for (i = 0; i < view->image_count; i++) {
		struct ul_view_image *image = &view->images[i];

		image->group = node_add(make, UL_KIND_GROUP, image->digest);
		ref_add(make, image->names[0], image->group, "name");
		ref_add(make, image->group, image->target, "target");
		ul_graph_add_root(make->builder, image->names[0], "tag");
	}
	for (i = 0; i < view->file_count; i++) {
		struct ul_view_file *file = &view->files[i];

		file->node = node_add(make, UL_KIND_FILE, file->path);
		ref_add(make, file->object, file->node, "file");
		ul_graph_set_weight(
		    make->builder, file->node,
		    view->record.objects[file->object].measure.allocated_bytes);
	}
	if (ul_graph_builder_finish(make->builder, &view->graph, &err))
		bench_fail("%s", err.msg);
	ul_graph_builder_free(make->builder);
}

static void measure(struct ul_view *view)
{
	const struct ul_rule rule = { .all = true };
	const struct ul_plan_request request = { .rule = &rule };
	struct ul_plan plan = UL_PLAN_INIT;
	struct ul_err err = UL_ERR_INIT;
	int64_t times[BENCH_RUNS];
	int i;

	for (i = 0; i < BENCH_RUNS; i++) {
		ul_plan_release(&plan);
		times[i] = ul_clock_mono_ns();
		if (ul_plan_build(view, &request, &plan, &err))
			bench_fail("%s", err.msg);
		times[i] = ul_clock_mono_ns() - times[i];
	}
	printf("{\"bench\":\"plan\",\"objects\":%zu,\"images\":%zu,"
	       "\"removed\":%zu,\"collected\":%zu,\"freed_bytes\":%" PRIu64
	       ",\"plan_ms\":%.3f}\n",
	       view->record.object_count, view->image_count, plan.remove.len,
	       plan.collect.len, plan.freed_bytes,
	       bench_median_s(times, BENCH_RUNS) * 1e3);
	ul_plan_release(&plan);
}

int main(int argc, char **argv)
{
	uint64_t objects = 100000, seed = 1;
	static struct make make;
	int at;

	bench_name = "bench_plan";
	for (at = 1; at + 1 < argc; at += 2) {
		uint64_t value = strtoull(argv[at + 1], NULL, 10);

		if (!strcmp(argv[at], "--objects"))
			objects = value;
		else if (!strcmp(argv[at], "--seed"))
			seed = value;
		else
			break;
	}
	if (at != argc || objects < OBJECTS_PER_IMAGE || objects > UINT32_MAX) {
		fputs("usage: bench_plan [--objects N] [--seed N]\n", stderr);
		return 2;
	}
	bench_seed(seed);
	content_make(&make, (uint32_t)objects);
	graph_make(&make);
	measure(&make.view);
	ul_view_release(&make.view);
	return 0;
}
