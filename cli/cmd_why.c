#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/json_out.h"
#include "cli/reports.h"
#include "cli/resolve.h"
#include "cli/terminal.h"
#include "store/embedded/store.h"
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
	struct ul_digest digest;

	if (ul_digest_parse(what->key, &digest))
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

static void print_trashed(struct ul_cli *cli, const struct ul_view_trash *trash)
{
	char when[UL_TIME_TEXT_MAX];

	if (!trash->is_foreign) {
		ul_cli_print("It lies in the trash: `%s undo %lld` brings "
			     "it back.\n",
			     ul_cli_us(cli), (long long)trash->run);
		return;
	}
	ul_time_format(trash->delete_unix_s, when);
	ul_cli_print("It lies in the trash, where another database's run put "
		     "it, until %s.\n",
		     when);
}

static void print_lost(struct ul_cli *cli, const struct ul_view *view,
		       uint32_t object)
{
	const struct ul_object *what = &view->record.objects[object];
	char when[UL_HUMAN_MAX];
	size_t i;

	for (i = 0; i < view->trash_count; i++) {
		if (view->trash[i].object == object) {
			print_trashed(cli, &view->trash[i]);
			return;
		}
	}
	if (!what->is_present)
		ul_cli_print("It is not here, and nothing refers to it.\n");
	else if (what->is_released)
		ul_cli_print(
		    "Nothing holds it; ullage let go of it, and the next "
		    "`%s gc` takes it.\n",
		    ul_cli_us(cli));
	else if (what->is_known)
		ul_cli_print("Nothing holds it. It was last held %s; `%s gc` "
			     "takes it when the grace\nperiod has passed.\n",
			     ul_human_when(what->reachable_unix_s,
					   view->as_of_unix_s, when),
			     ul_cli_us(cli));
	else
		ul_cli_print(
		    "Nothing holds it, and nothing that ullage has seen "
		    "ever did; `%s gc` takes\nit when the grace period "
		    "has passed.\n",
		    ul_cli_us(cli));
}

/* Names that stood for it until another program took them away. */
static void print_vanished(struct ul_cli *cli, const struct ul_view *view,
			   uint32_t object)
{
	const struct ul_record *record = &view->record;
	size_t i;

	for (i = 0; i < record->name_count; i++) {
		const struct ul_name *name = &record->names[i];

		if (!name->vanished_unix_s || name->is_gone || name->is_ours ||
		    strcmp(name->digest, record->objects[object].key) != 0)
			continue;
		ul_cli_print("The name %s stood for it and vanished;\n"
			     "`%s tag %.19s %s` brings it back.\n",
			     name->name, ul_cli_us(cli), name->digest,
			     name->name);
	}
}

static void print_why(struct ul_cli *cli, const struct ul_view *view,
		      uint32_t object, const struct ul_paths *paths)
{
	size_t i;

	print_node(&view->graph, object);
	if (!paths->len) {
		ul_cli_print("\n");
		print_lost(cli, view, object);
		print_vanished(cli, view, object);
		return;
	}
	ul_cli_print(" is held by %zu root%s\n", paths->root_count,
		     paths->root_count == 1 ? "" : "s");
	for (i = 0; i < paths->len; i++) {
		putc('\n', ul_terminal()->out);
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
	print_why(cli, view, object, &paths);
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

/* What is the store's own, and what it is for; of folders, all in them that
 * nothing else explains. */
static const char *overhead_name(const char *path)
{
	static const struct {
		const char *path;
		bool is_folder;
		const char *what;
	} known[] = {
		{ "", false, "the store's folder" },
		{ "store-id", false, "says which store this is" },
		{ "oci/index.json", false, "the names of all images" },
		{ "oci/oci-layout", false, "the mark of an OCI image layout" },
		{ "oci", false, "the folder of the OCI image layout" },
		{ "oci/blobs", false, "a folder of blobs" },
		{ "oci/blobs/sha256", false, "the folder of blobs" },
		{ "snapshots", false, "the folder of unpacked layers" },
		{ "ingest", true, "the folder of changes under way" },
		{ "oci/ingest", false, "a folder of another program's" },
		{ "trash", true, "a record of what lies in the trash" },
	};
	size_t i, len;

	for (i = 0; i < ul_array_len(known); i++) {
		len = strlen(known[i].path);
		if (!strcmp(path, known[i].path) ||
		    (known[i].is_folder && !strncmp(path, known[i].path, len) &&
		     path[len] == '/'))
			return known[i].what;
	}
	return "none of ullage's, and never touched";
}

/* Beside the store stand the database and its like. */
static bool is_beside(const struct ul_cli *cli, const char *text,
		      char real[PATH_MAX])
{
	char state[PATH_MAX];
	size_t len;

	if (!strchr(text, '/') || !realpath(text, real) ||
	    !realpath(cli->state_path, state))
		return false;
	len = strlen(state);
	return !strncmp(real, state, len) && real[len] == '/';
}

/* What a path is that is there and no object; NULL: there is none. */
static const char *overhead_find(const struct ul_cli *cli,
				 const struct ul_view *view, const char *text,
				 char path[PATH_MAX])
{
	struct stat st;

	if (ul_resolve_path(view, text, path) && !strstr(path, "..") &&
	    !fstatat(cli->store->root_fd, *path ? path : ".", &st,
		     AT_SYMLINK_NOFOLLOW))
		return overhead_name(path);
	return is_beside(cli, text, path) ? "ullage's own, beside the store"
					  : NULL;
}

static int overhead_answer(const struct ul_cli *cli, const struct ul_view *view,
			   const char *path, const char *what)
{
	bool is_inside = *path != '/';
	const char *key = *path ? path : ".";

	if (cli->json)
		return ul_json_print(json_pack(
			   "{s:i, s:{s:s, s:n, s:s, s:n, s:o}, s:b, s:b, s:s?, "
			   "s:s, s:i, s:[]}",
			   "version", 1, "object", "store", view->store_name,
			   "namespace", "kind", ul_kind_name(UL_KIND_FILE),
			   "snapshotter", "key", ul_json_string(key), "held",
			   true, "maybe_in_progress", false, "class",
			   is_inside ? "overhead" : NULL, "what", what, "roots",
			   0, "paths"))
			   ? UL_EXIT_DONE
			   : UL_EXIT_FAILED;
	if (is_inside)
		ul_cli_print("file %s is overhead: %s\n", key, what);
	else
		ul_cli_print("file %s is %s, in none of its classes\n", key,
			     what);
	ul_cli_print("No image needs it, and no collection takes it.\n");
	return UL_EXIT_DONE;
}

static int why_run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	struct ul_err err = UL_ERR_INIT;
	char path[PATH_MAX];
	struct ul_args args;
	const char *what;
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
	if (!ul_resolve(&view, args.operands[0], UL_RESOLVE_ANY, &object,
			&err) ||
	    why_trashed(&view, args.operands[0], &object))
		return why_answer(cli, &view, object);
	what = err.code == UL_E_ABSENT || view.is_index_damaged
		   ? overhead_find(cli, &view, args.operands[0], path)
		   : NULL;
	return what ? overhead_answer(cli, &view, path, what)
		    : ul_cli_fail(&err);
}

const struct ul_command ul_cmd_why = {
	.name = "why",
	.summary = "what keeps an object, or that nothing does",
	.synopsis = "OBJECT",
	.help = "OBJECT is an image's name, a digest or a beginning of one, "
		"a snapshot's key, a\nlease's id, or a path below the store. "
		"Shown is the shortest way from each root\nthat reaches it, "
		"nearest first. Of overhead (the index, the store's own "
		"folders) is said what it is.",
	.examples = "ullage why app:2\n"
		    "the name or lease that keeps app:2\n"
		    "ullage why sha256:f5b14def\n"
		    "which images a layer belongs to\n"
		    "ullage why /var/lib/ullage/store/snapshots/key-web\n"
		    "what keeps a directory\n",
	.options = why_options,
	.run = why_run,
};
