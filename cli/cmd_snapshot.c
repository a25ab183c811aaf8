#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/change.h"
#include "cli/commands.h"
#include "cli/resolve.h"
#include "cli/snapshot_parent.h"
#include "cli/table.h"
#include "store/embedded/snapshot.h"
#include "store/embedded/store.h"
#include "store/view.h"

enum { OPTION_LABEL = 256 };

static const struct ul_command snapshot_prepare, snapshot_view, snapshot_commit,
    snapshot_remove, snapshot_list, snapshot_usage, snapshot_mounts;

/* Options of prepare, view and commit: labels as JSON text. */
static int labels_read(struct ul_cli *cli, struct ul_args *args,
		       struct ul_buf *ret_labels)
{
	ul_cleanup(ul_json_freep) json_t *labels = json_object();
	struct ul_err err = UL_ERR_INIT;
	int option;

	while ((option = ul_args_next(cli, args)) == OPTION_LABEL) {
		if (ul_label_add(labels, args->value, &err))
			return ul_cli_fail(&err);
	}
	if (option != -1)
		return UL_EXIT_USAGE;
	if (!labels)
		ul_err_nomem(&err);
	else if (!ul_json_dump(labels, ret_labels, &err))
		return UL_EXIT_DONE;
	return ul_cli_fail(&err);
}

static const struct ul_option label_options[] = {
	{ 0, "label", "KEY=VALUE", "attach a label; may be given again" },
	{ .name = NULL },
};

/* A word as the shell takes it: in quotes where it has to be. */
static void add_word(struct ul_buf *text, const char *word)
{
	size_t plain = strspn(word, "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/.,:=_%+-");

	ul_buf_add_char(text, ' ');
	if (*word && !word[plain]) {
		ul_buf_add_str(text, word);
		return;
	}
	ul_buf_add_char(text, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			ul_buf_add_str(text, "'\\''");
		else
			ul_buf_add_char(text, *word);
	}
	ul_buf_add_char(text, '\'');
}

/* The command that mounts it, but for where. */
static int mount_print(const struct ul_snapshot_mount *mount,
		       struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;

	if (mount->directory) {
		ul_buf_add_str(&text, "env -C");
		add_word(&text, mount->directory);
		ul_buf_add_char(&text, ' ');
	}
	ul_buf_add_str(&text, "mount");
	if (strcmp(mount->type, "bind") != 0) {
		ul_buf_add_str(&text, " -t");
		add_word(&text, mount->type);
	}
	ul_buf_add_str(&text, " -o");
	add_word(&text, mount->options);
	add_word(&text, mount->source);
	return text.failed ? ul_err_nomem(err)
			   : ul_cli_print_long(ul_buf_str(&text), err);
}

static json_t *mount_json(const struct ul_snapshot_mount *mount)
{
	return json_pack("{s:s, s:o, s:o, s:o}", "type", mount->type, "source",
			 ul_json_string(mount->source), "options",
			 ul_json_string(mount->options), "directory",
			 mount->directory ? ul_json_string(mount->directory)
					  : json_null());
}

static int mounts_answer(struct ul_cli *cli, struct ul_embedded *store,
			 const char *key, struct ul_err *err)
{
	ul_cleanup(ul_snapshot_mount_release) struct ul_snapshot_mount mount =
	    UL_SNAPSHOT_MOUNT_INIT;
	ul_cleanup(ul_json_freep) json_t *answer = NULL;
	int rc = ul_snapshot_mount_find(store, key, &mount, err);

	if (rc)
		return rc;
	if (!cli->json)
		return mount_print(&mount, err);
	answer = ul_cli_answer("key", ul_json_string(key));
	ul_json_put(&answer, "mounts", json_array());
	ul_json_push(&answer, "mounts", mount_json(&mount));
	return ul_cli_print_json(answer, err);
}

/* snapshot prepare, snapshot view */

static int prepare(struct ul_cli *cli, struct ul_embedded *store,
		   const struct ul_args *args, bool is_view, const char *labels,
		   struct ul_err *err)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	const char *key = args->operands[0], *parent = "";
	int rc = ul_change_restore(cli, false, NULL, &view, err);

	if (!rc && args->operand_count > 1 && *args->operands[1])
		rc = ul_snapshot_parent(&view, args->operands[1], &parent, err);
	if (!rc)
		rc = ul_snapshot_prepare(store, key, parent, is_view, labels,
					 err);
	if (!rc && *parent)
		rc = ul_snapshot_used(store, &view, parent, err);
	return rc ? rc : mounts_answer(cli, store, key, err);
}

static int prepare_as(struct ul_cli *cli, const struct ul_command *command,
		      int argc, char **argv)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *store = NULL;
	ul_cleanup(ul_buf_release) struct ul_buf labels = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;
	int status;

	ul_args_init(&args, command, argc, argv);
	status = labels_read(cli, &args, &labels);
	if (status)
		return status;
	if (args.operand_count < 1 || args.operand_count > 2)
		return ul_cli_usage(command,
				    "KEY is needed, and PARENT at most");
	cli->makes_store = true;
	store = ul_cli_change(cli);
	if (!store)
		return UL_EXIT_FAILED;
	if (prepare(cli, store, &args, command == &snapshot_view,
		    ul_buf_str(&labels), &err))
		return ul_cli_fail(&err);
	return UL_EXIT_DONE;
}

static int prepare_run(struct ul_cli *cli, int argc, char **argv)
{
	return prepare_as(cli, &snapshot_prepare, argc, argv);
}

static int view_run(struct ul_cli *cli, int argc, char **argv)
{
	return prepare_as(cli, &snapshot_view, argc, argv);
}

static const struct ul_command snapshot_prepare = {
	.name = "snapshot prepare",
	.summary = "make a snapshot to write to; print how to mount it",
	.synopsis = "KEY [PARENT] [--label KEY=VALUE]...",
	.examples = "ullage snapshot prepare work app:2\n"
		    "a writable tree with the files of app:2\n",
	.options = label_options,
	.run = prepare_run,
};

static const struct ul_command snapshot_view = {
	.name = "snapshot view",
	.summary = "make a read-only snapshot; print how to mount it",
	.synopsis = "KEY [PARENT] [--label KEY=VALUE]...",
	.examples = "ullage snapshot view look app:2\n"
		    "the files of app:2 to look at\n",
	.options = label_options,
	.run = view_run,
};

/* snapshot commit */

static int commit_run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *store = NULL;
	ul_cleanup(ul_buf_release) struct ul_buf labels = UL_BUF_INIT;
	ul_cleanup(ul_json_freep) json_t *answer = NULL;
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;
	int status;

	ul_args_init(&args, &snapshot_commit, argc, argv);
	status = labels_read(cli, &args, &labels);
	if (status)
		return status;
	if (args.operand_count != 2)
		return ul_cli_usage(&snapshot_commit,
				    "NAME and KEY are needed");
	store = ul_cli_change(cli);
	if (!store)
		return UL_EXIT_FAILED;
	if (ul_snapshot_commit(store, args.operands[0], args.operands[1],
			       ul_buf_str(&labels), &err))
		return ul_cli_fail(&err);
	if (!cli->json) {
		ul_cli_print("committed %s\n", args.operands[0]);
		return UL_EXIT_DONE;
	}
	answer = ul_cli_answer("committed", ul_json_string(args.operands[0]));
	return ul_cli_print_json(answer, &err) ? ul_cli_fail(&err)
					       : UL_EXIT_DONE;
}

static const struct ul_command snapshot_commit = {
	.name = "snapshot commit",
	.summary = "turn what was written into one that never changes",
	.synopsis = "NAME KEY [--label KEY=VALUE]...",
	.examples = "ullage snapshot commit app-3 work\n"
		    "keep what was written to work as app-3\n",
	.options = label_options,
	.run = commit_run,
};

/* snapshot remove */

static int remove_answer(struct ul_cli *cli, const struct ul_view *view,
			 const uint32_t *objects, size_t count,
			 const struct ul_loss *loss, struct ul_err *err)
{
	const struct ul_object *list = view->record.objects;
	ul_cleanup(ul_json_freep) json_t *answer = NULL;
	size_t i;

	if (!cli->json) {
		for (i = 0; i < count; i++)
			ul_cli_print("removed %s\n", list[objects[i]].key);
		ul_loss_print(cli, loss);
		return 0;
	}
	answer = ul_cli_answer("removed", json_array());
	for (i = 0; i < count; i++)
		ul_json_push(&answer, "removed",
			     ul_json_string(list[objects[i]].key));
	ul_json_put(&answer, "released", ul_loss_json(loss));
	return ul_cli_print_json(answer, err);
}

static int remove_all(struct ul_cli *cli, struct ul_embedded *store,
		      char **keys, size_t count, struct ul_err *err)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	ul_cleanup(ul_freep) uint32_t *objects =
	    ul_calloc(count, sizeof *objects);
	struct ul_loss loss;
	size_t i;
	int rc;

	if (!objects)
		return ul_err_nomem(err);
	rc = ul_change_restore(cli, true, NULL, &view, err);
	for (i = 0; !rc && i < count; i++)
		rc = ul_resolve(&view, keys[i], UL_RESOLVE_SNAPSHOT,
				&objects[i], err);
	if (!rc)
		rc = ul_loss_build(&view, objects, count, &loss, err);
	if (!rc)
		rc = store->base.ops->release(&store->base, &view, objects,
					      count, err);
	for (i = 0; !rc && i < count; i++)
		rc = ul_snapshot_remove(
		    store, view.record.objects[objects[i]].key, err);
	return rc ? rc : remove_answer(cli, &view, objects, count, &loss, err);
}

static int remove_run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;

	ul_args_init(&args, &snapshot_remove, argc, argv);
	if (ul_args_next(cli, &args) != -1)
		return UL_EXIT_USAGE;
	if (!args.operand_count)
		return ul_cli_usage(&snapshot_remove, "which snapshot?");
	store = ul_cli_change(cli);
	if (!store)
		return UL_EXIT_FAILED;
	if (remove_all(cli, store, args.operands, (size_t)args.operand_count,
		       &err))
		return ul_cli_fail(&err);
	return UL_EXIT_DONE;
}

static const struct ul_command snapshot_remove = {
	.name = "snapshot remove",
	.summary = "remove snapshots that have no children",
	.synopsis = "KEY ...",
	.examples = "ullage snapshot remove work app-3\n"
		    "remove both, the child first\n",
	.run = remove_run,
};

/* snapshot list */

static const struct ul_column list_columns[] = {
	{ .heading = "SNAPSHOT", .is_shrink = true },
	{ .heading = "PARENT", .is_shrink = true, .leave = 3 },
	{ .heading = "KIND" },
	{ .heading = "CREATED", .leave = 1 },
	{ .heading = "LABELS", .is_shrink = true, .leave = 2 },
};

static json_t *snapshot_json(const struct ul_snapshot *snapshot)
{
	return json_pack("{s:o, s:o, s:s, s:b, s:I, s:o}", "key",
			 ul_json_string(snapshot->key), "parent",
			 *snapshot->parent ? ul_json_string(snapshot->parent)
					   : json_null(),
			 "kind", ul_snapshot_kind_name(snapshot->kind),
			 "unpacked", snapshot->is_unpacked, "created_unix_s",
			 (json_int_t)snapshot->created_unix_s, "labels",
			 ul_labels_json(snapshot->labels));
}

/* A chain ID in the length that tells it from others. */
static void add_key(struct ul_table *table, const char *key)
{
	if (!strncmp(key, "sha256:", 7))
		ul_table_addf(table, "%.19s", key);
	else
		ul_table_add(table, key);
}

static void list_row(struct ul_table *table, const struct ul_snapshot *snapshot,
		     int64_t now_unix_s)
{
	ul_cleanup(ul_freep) char *labels = ul_labels_text(snapshot->labels);
	char when[UL_HUMAN_MAX];

	add_key(table, snapshot->key);
	add_key(table, snapshot->parent);
	ul_table_add(table, snapshot->is_unpacked
				? "unpacked"
				: ul_snapshot_kind_name(snapshot->kind));
	ul_table_add(table,
		     ul_human_when(snapshot->created_unix_s, now_unix_s, when));
	ul_table_add(table, labels ? labels : "");
	if (!labels)
		table->failed = true;
}

static int list_json(const struct ul_snapshots *snapshots, struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *answer =
	    ul_cli_answer("snapshots", json_array());
	size_t i;

	for (i = 0; i < snapshots->len; i++)
		ul_json_push(&answer, "snapshots",
			     snapshot_json(&snapshots->snapshots[i]));
	return ul_cli_print_json(answer, err);
}

static int list(struct ul_cli *cli, struct ul_embedded *store,
		struct ul_err *err)
{
	ul_cleanup(ul_snapshots_release) struct ul_snapshots snapshots =
	    UL_SNAPSHOTS_INIT;
	ul_cleanup(ul_table_release) struct ul_table table;
	int64_t now_unix_s = ul_cli_now(cli);
	size_t i;
	int rc;

	ul_table_init(&table, list_columns, ul_array_len(list_columns));
	rc = ul_snapshots_load(store, &snapshots, err);
	if (rc)
		return rc;
	if (cli->json)
		return list_json(&snapshots, err);
	for (i = 0; i < snapshots.len; i++)
		list_row(&table, &snapshots.snapshots[i], now_unix_s);
	return ul_cli_print_table(&table, err);
}

static int list_run(struct ul_cli *cli, int argc, char **argv)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_embedded *store;
	struct ul_args args;

	ul_args_init(&args, &snapshot_list, argc, argv);
	if (ul_args_next(cli, &args) != -1)
		return UL_EXIT_USAGE;
	if (args.operand_count)
		return ul_cli_usage(&snapshot_list, "takes no argument");
	store = ul_cli_store(cli);
	if (!store)
		return UL_EXIT_FAILED;
	return list(cli, store, &err) ? ul_cli_fail(&err) : UL_EXIT_DONE;
}

static const struct ul_command snapshot_list = {
	.name = "snapshot list",
	.summary = "show all snapshots",
	.synopsis = "",
	.examples = "ullage snapshot list --json | jq -r '.snapshots[].key'\n"
		    "the keys for a script\n",
	.run = list_run,
};

/* snapshot usage */

static const struct ul_column usage_columns[] = {
	{ .heading = "SNAPSHOT", .is_shrink = true },
	{ .heading = "UNPACKED", .is_right = true },
	{ .heading = "ALLOCATED", .is_right = true },
};

struct usage {
	const char *key;
	uint64_t unpacked_bytes, allocated_bytes;
};

static int usage_find(const struct ul_view *view, const char *text,
		      struct usage *ret, struct ul_err *err)
{
	const struct ul_object *object;
	uint32_t at;
	size_t i;
	int rc = ul_resolve(view, text, UL_RESOLVE_SNAPSHOT, &at, err);

	if (rc)
		return rc;
	object = &view->record.objects[at];
	*ret = (struct usage){
		.key = object->key,
		.unpacked_bytes = object->measure.unpacked_bytes,
		.allocated_bytes = object->measure.allocated_bytes,
	};
	/* What has links in other trees is kept apart by the record. */
	for (i = 0; i < object->measure.link_count; i++) {
		const struct ul_measure_link *link = &object->measure.links[i];

		ret->allocated_bytes += link->allocated_bytes;
		if (link->in_split)
			ret->unpacked_bytes += link->allocated_bytes;
	}
	return 0;
}

static json_t *usage_json(const struct usage *usage)
{
	return json_pack("{s:o, s:I, s:I}", "key", ul_json_string(usage->key),
			 "unpacked_bytes", (json_int_t)usage->unpacked_bytes,
			 "allocated_bytes", (json_int_t)usage->allocated_bytes);
}

static void usage_row(struct ul_table *table, const struct usage *usage)
{
	char unpacked[UL_HUMAN_MAX], allocated[UL_HUMAN_MAX];

	add_key(table, usage->key);
	ul_table_add(table, ul_human_bytes(usage->unpacked_bytes, unpacked));
	ul_table_add(table, ul_human_bytes(usage->allocated_bytes, allocated));
}

static int usage(struct ul_cli *cli, char **keys, int count, struct ul_err *err)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	ul_cleanup(ul_table_release) struct ul_table table;
	ul_cleanup(ul_json_freep) json_t *answer =
	    ul_cli_answer("snapshots", json_array());
	struct usage one;
	int i, rc;

	ul_table_init(&table, usage_columns, ul_array_len(usage_columns));
	rc = ul_cli_scan(cli, false, &view, err);
	for (i = 0; !rc && i < count; i++) {
		rc = usage_find(&view, keys[i], &one, err);
		if (rc)
			return rc;
		ul_json_push(&answer, "snapshots", usage_json(&one));
		usage_row(&table, &one);
	}
	if (rc)
		return rc;
	return cli->json ? ul_cli_print_json(answer, err)
			 : ul_cli_print_table(&table, err);
}

static int usage_run(struct ul_cli *cli, int argc, char **argv)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;

	ul_args_init(&args, &snapshot_usage, argc, argv);
	if (ul_args_next(cli, &args) != -1)
		return UL_EXIT_USAGE;
	if (!args.operand_count)
		return ul_cli_usage(&snapshot_usage, "which snapshot?");
	if (!ul_cli_store(cli))
		return UL_EXIT_FAILED;
	return usage(cli, args.operands, args.operand_count, &err)
		   ? ul_cli_fail(&err)
		   : UL_EXIT_DONE;
}

static const struct ul_command snapshot_usage = {
	.name = "snapshot usage",
	.summary = "show what snapshots take, their parents left out",
	.synopsis = "KEY ...",
	.examples = "ullage snapshot usage work\n"
		    "what was written so far\n",
	.run = usage_run,
};

/* snapshot mounts */

static int mounts_run(struct ul_cli *cli, int argc, char **argv)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_embedded *store;
	struct ul_args args;

	ul_args_init(&args, &snapshot_mounts, argc, argv);
	if (ul_args_next(cli, &args) != -1)
		return UL_EXIT_USAGE;
	if (args.operand_count != 1)
		return ul_cli_usage(&snapshot_mounts, "KEY is needed");
	store = ul_cli_store(cli);
	if (!store)
		return UL_EXIT_FAILED;
	return mounts_answer(cli, store, args.operands[0], &err)
		   ? ul_cli_fail(&err)
		   : UL_EXIT_DONE;
}

static const struct ul_command snapshot_mounts = {
	.name = "snapshot mounts",
	.summary = "print how to mount an active snapshot or view",
	.synopsis = "KEY",
	.examples = "ullage snapshot mounts work\n"
		    "how to mount it once more\n"
		    "eval \"$(ullage snapshot mounts work) /mnt\"\n"
		    "mount it at /mnt\n",
	.run = mounts_run,
};

static const struct ul_command *const snapshot_commands[] = {
	&snapshot_prepare, &snapshot_view,  &snapshot_commit, &snapshot_remove,
	&snapshot_list,    &snapshot_usage, &snapshot_mounts, NULL,
};

const struct ul_command ul_cmd_snapshot = {
	.name = "snapshot",
	.is_embedded = true,
	.summary = "make, commit and remove snapshots",
	.synopsis = "COMMAND ...",
	.help =
	    "Snapshots are unpacked layers, and what is written on top of "
	    "them, as overlayfs takes it. PARENT is the key of a committed "
	    "snapshot, or an image: then all its layers, for the platform "
	    "of this machine or the only one it has.\n\n"
	    "Active snapshots, views and what was committed from them stay "
	    "until they are removed. What `ullage unpack` made goes with "
	    "its image. Nothing is removed while it is mounted anywhere.\n\n"
	    "How to mount one is printed as a command that lacks the "
	    "directory to mount at: add that, as an absolute path.",
	.examples = "ullage snapshot prepare work app:2\n"
		    "a writable tree with the files of app:2\n"
		    "ullage snapshot commit app-3 work\n"
		    "keep what was written to it\n"
		    "ullage snapshot remove app-3\n"
		    "let go of that again\n",
	.subcommands = snapshot_commands,
};
