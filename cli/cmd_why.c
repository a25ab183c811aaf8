#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/json_out.h"
#include "cli/reports.h"
#include "cli/resolve.h"
#include "store/graph/path.h"
#include "store/oci/json.h"
#include "store/view.h"

/* Ways shown: one from each root, the nearest; the rest is counted. */
enum { PATHS_SHOWN = 8 };

static const struct ul_option why_options[] = { { 0 } };

/* Groups stand between a name and its manifest; people need not see them. */
static bool is_shown(const struct ul_graph *graph, uint32_t node)
{
	return graph->nodes[node].kind != UL_KIND_GROUP;
}

static json_t *step_json(const struct ul_graph *graph,
			 const struct ul_path *path, size_t i)
{
	const struct ul_node *node = &graph->nodes[path->steps[i].node];

	return json_pack("{s:s, s:s?, s:s?, s:s, s:s}", "kind",
			 ul_kind_name(node->kind), "namespace", node->ns,
			 "snapshotter", node->snapshotter, "key", node->key,
			 "reference", path->steps[i].reason);
}

static json_t *paths_json(const struct ul_graph *graph,
			  const struct ul_paths *paths)
{
	json_t *list = json_array();
	size_t i, s;

	for (i = 0; i < paths->len; i++) {
		json_t *steps = json_array();

		for (s = 0; s < paths->paths[i].len; s++) {
			if (is_shown(graph, paths->paths[i].steps[s].node))
				json_array_append_new(
				    steps,
				    step_json(graph, &paths->paths[i], s));
		}
		json_array_append_new(list, steps);
	}
	return list;
}

static bool in_progress(const struct ul_view *view, uint32_t object)
{
	size_t i;

	for (i = 0; i < view->file_count; i++) {
		if (view->files[i].object == object)
			return view->files[i].is_ingest;
	}
	return false;
}

static json_t *why_json(const struct ul_view *view, uint32_t object,
			const struct ul_paths *paths)
{
	const struct ul_object *what = &view->record.objects[object];

	return json_pack(
	    "{s:i, s:{s:s, s:s?, s:s, s:s?, s:s}, s:b, s:b, s:I, s:o}",
	    "version", 1, "object", "store", view->store_name, "namespace",
	    *what->ns ? what->ns : NULL, "kind", ul_kind_name(what->kind),
	    "snapshotter", *what->snapshotter ? what->snapshotter : NULL, "key",
	    what->key, "held", paths->len > 0, "maybe_in_progress",
	    in_progress(view, object), "roots", (json_int_t)paths->root_count,
	    "paths", paths_json(&view->graph, paths));
}

/* "image docker.io/library/app:1", a digest shortened where it is a key. */
static void print_node(const struct ul_graph *graph, uint32_t node)
{
	const struct ul_node *what = &graph->nodes[node];

	if (!strncmp(what->key, "sha256:", 7) && strlen(what->key) == 71)
		ul_cli_print("%s %.19s", ul_kind_name(what->kind), what->key);
	else
		ul_cli_print("%s %s", ul_kind_name(what->kind), what->key);
}

static void print_path(const struct ul_graph *graph, const struct ul_path *path)
{
	int depth = 0;
	size_t s;

	for (s = 0; s < path->len; s++) {
		if (!is_shown(graph, path->steps[s].node))
			continue;
		ul_cli_print("  %*s%s", 2 * depth, "", depth ? "-> " : "");
		print_node(graph, path->steps[s].node);
		ul_cli_print(depth ? "  (%s)\n" : "  (a root: %s)\n",
			     path->steps[s].reason);
		depth++;
	}
}

static void print_trashed(const struct ul_view_trash *trash)
{
	char when[UL_TIME_TEXT_MAX];

	if (!trash->is_foreign) {
		ul_cli_print("It lies in the trash: `ullage undo %lld` brings "
			     "it back.\n",
			     (long long)trash->run);
		return;
	}
	ul_time_format(trash->delete_unix_s, when);
	ul_cli_print("It lies in the trash, where another database's run put "
		     "it, until %s.\n",
		     when);
}

static void print_lost(const struct ul_view *view, uint32_t object)
{
	const struct ul_object *what = &view->record.objects[object];
	char when[UL_HUMAN_MAX];
	size_t i;

	for (i = 0; i < view->trash_count; i++) {
		if (view->trash[i].object == object) {
			print_trashed(&view->trash[i]);
			return;
		}
	}
	if (!what->is_present)
		ul_cli_print("It is not here, and nothing refers to it.\n");
	else if (what->is_released)
		ul_cli_print(
		    "Nothing holds it; ullage let go of it, and the next "
		    "`ullage gc` takes it.\n");
	else if (what->is_known)
		ul_cli_print(
		    "Nothing holds it. It was last held %s; `ullage gc` "
		    "takes it when the grace\nperiod has passed.\n",
		    ul_human_when(what->reachable_unix_s, view->as_of_unix_s,
				  when));
	else
		ul_cli_print(
		    "Nothing holds it, and nothing that ullage has seen "
		    "ever did; `ullage gc` takes\nit when the grace period "
		    "has passed.\n");
}

static void print_why(const struct ul_view *view, uint32_t object,
		      const struct ul_paths *paths)
{
	size_t i;

	print_node(&view->graph, object);
	if (!paths->len) {
		ul_cli_print("\n");
		print_lost(view, object);
		return;
	}
	ul_cli_print(" is held by %zu root%s\n", paths->root_count,
		     paths->root_count == 1 ? "" : "s");
	for (i = 0; i < paths->len; i++) {
		putchar('\n');
		print_path(&view->graph, &paths->paths[i]);
	}
	if (paths->root_count > paths->len)
		ul_cli_print("\n  ... and by %zu more roots\n",
			     paths->root_count - paths->len);
}

static int why_answer(struct ul_cli *cli, const struct ul_view *view,
		      uint32_t object)
{
	ul_cleanup(ul_paths_release) struct ul_paths paths = UL_PATHS_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_paths_find(&view->graph, object, PATHS_SHOWN, &paths, &err))
		return ul_cli_fail(&err);
	/* What only a flat lease holds is reached as its flat twin. */
	if (!paths.len && view->graph.nodes[object].twin != UL_NODE_NONE &&
	    ul_paths_find(&view->graph, view->graph.nodes[object].twin,
			  PATHS_SHOWN, &paths, &err))
		return ul_cli_fail(&err);
	if (cli->json)
		return ul_json_print(why_json(view, object, &paths))
			   ? UL_EXIT_DONE
			   : UL_EXIT_FAILED;
	print_why(view, object, &paths);
	return UL_EXIT_DONE;
}

/* What was swept is asked for by what it was. */
static bool why_trashed(const struct ul_view *view, const char *text,
			uint32_t *ret_object)
{
	uint32_t at;

	if (!ul_resolve_trashed(view, text, UL_KIND_BLOB, &at) &&
	    !ul_resolve_trashed(view, text, UL_KIND_SNAPSHOT, &at))
		return false;
	*ret_object = view->trash[at].object;
	return true;
}

static int why_run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;
	uint32_t object;
	int option, rc;

	ul_args_init(&args, &ul_cmd_why, argc, argv);
	while ((option = ul_args_next(cli, &args)) >= 0)
		continue;
	if (option == -2)
		return UL_EXIT_USAGE;
	if (args.operand_count != 1)
		return ul_cli_usage(&ul_cmd_why, "it takes one object");
	rc = ul_report_scan(cli, false, &view);
	if (rc)
		return rc;
	if (ul_resolve(&view, args.operands[0], UL_RESOLVE_ANY, &object,
		       &err) &&
	    !why_trashed(&view, args.operands[0], &object))
		return ul_cli_fail(&err);
	return why_answer(cli, &view, object);
}

const struct ul_command ul_cmd_why = {
	.name = "why",
	.summary = "what keeps an object, or that nothing does",
	.synopsis = "OBJECT",
	.help = "OBJECT is an image's name, a digest or a beginning of one, "
		"a snapshot's key, a\nlease's id, or a path below the store. "
		"Shown is the shortest way from each root\nthat reaches it, "
		"nearest first.",
	.examples = "ullage why app:2\n"
		    "the name or lease that keeps app:2\n"
		    "ullage why sha256:f5b14def\n"
		    "which images a layer belongs to\n"
		    "ullage why /var/lib/ullage/store/snapshots/key-web\n"
		    "what keeps a directory\n",
	.options = why_options,
	.run = why_run,
};
