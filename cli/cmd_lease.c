#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/change.h"
#include "cli/commands.h"
#include "cli/resolve.h"
#include "cli/table.h"
#include "store/embedded/lease.h"
#include "store/embedded/store.h"
#include "store/oci/reference.h"
#include "store/view.h"

enum { OPTION_EXPIRE = 256, OPTION_FLAT, OPTION_LABEL };

static const struct ul_command lease_create, lease_add, lease_remove,
    lease_delete, lease_list;

static json_t *resource_json(uint8_t kind, const char *key)
{
	return json_pack("{s:s, s:o}", "kind", ul_kind_name(kind), "key",
			 ul_json_string(key));
}

static json_t *lease_json(const struct ul_lease *lease, int64_t now_unix_s)
{
	json_t *json = json_pack(
	    "{s:o, s:I, s:I, s:b, s:b, s:o, s:[]}", "id",
	    ul_json_string(lease->id), "created_unix_s",
	    (json_int_t)lease->created_unix_s, "expire_unix_s",
	    (json_int_t)lease->expire_unix_s, "expired",
	    ul_lease_is_expired(lease, now_unix_s), "flat", lease->is_flat,
	    "labels", ul_labels_json(lease->labels), "resources");
	size_t i;

	for (i = 0; i < lease->resource_count; i++)
		ul_json_push(&json, "resources",
			     resource_json(lease->resources[i].kind,
					   lease->resources[i].key));
	return json;
}

/* lease create */

struct creation {
	struct ul_lease lease;
	json_t *labels; /* owned */
	char id[32];
};

static void creation_release(struct creation *creation)
{
	json_decref(creation->labels);
}

static int create_expire(struct creation *creation, const char *value)
{
	int64_t seconds;

	if (!ul_duration_parse(value, &seconds) || seconds == 0)
		return ul_cli_usage(&lease_create,
				    "--expire takes a duration like 90s, "
				    "1h30m or 10d, not \"%s\"",
				    value);
	creation->lease.expire_unix_s =
	    creation->lease.created_unix_s + seconds;
	return UL_EXIT_DONE;
}

static int create_options(struct ul_cli *cli, struct ul_args *args,
			  struct creation *creation)
{
	struct ul_err err = UL_ERR_INIT;
	int option, status = UL_EXIT_DONE;

	while (!status && (option = ul_args_next(cli, args)) != -1) {
		switch (option) {
		case OPTION_EXPIRE:
			status = create_expire(creation, args->value);
			break;
		case OPTION_FLAT:
			creation->lease.is_flat = true;
			break;
		case OPTION_LABEL:
			if (ul_label_add(creation->labels, args->value, &err))
				status = ul_cli_fail(&err);
			break;
		default:
			return UL_EXIT_USAGE;
		}
	}
	if (!status && args->operand_count > 1)
		return ul_cli_usage(&lease_create, "one ID at most");
	return status;
}

static int create(struct ul_cli *cli, struct ul_embedded *store,
		  struct creation *creation, struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf labels = UL_BUF_INIT;
	ul_cleanup(ul_json_freep) json_t *answer = NULL;
	int rc = ul_json_dump(creation->labels, &labels, err);

	creation->lease.labels = ul_buf_str(&labels);
	if (!rc)
		rc = ul_lease_create(store, &creation->lease, err);
	if (rc)
		return rc;
	if (!cli->json) {
		ul_cli_print("%s\n", creation->lease.id);
		return 0;
	}
	answer =
	    ul_cli_answer("lease", lease_json(&creation->lease,
					      creation->lease.created_unix_s));
	return ul_cli_print_json(answer, err);
}

static int create_run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *store = NULL;
	ul_cleanup(creation_release) struct creation creation = {
		.labels = json_object(),
	};
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;
	int status;

	ul_args_init(&args, &lease_create, argc, argv);
	creation.lease.created_unix_s = ul_clock_unix_s();
	status = create_options(cli, &args, &creation);
	if (status)
		return status;
	ul_random_hex(creation.id);
	creation.lease.id = args.operand_count ? args.operands[0] : creation.id;
	cli->makes_store = true;
	store = ul_cli_change(cli);
	if (!store)
		return UL_EXIT_FAILED;
	return create(cli, store, &creation, &err) ? ul_cli_fail(&err)
						   : UL_EXIT_DONE;
}

static const struct ul_option create_option_list[] = {
	{ 0, "expire", "DURATION", "end it after that time (never)" },
	{ 0, "flat", NULL, "hold what is named, not what that refers to" },
	{ 0, "label", "KEY=VALUE", "attach a label; may be given again" },
	{ .name = NULL },
};

static const struct ul_command lease_create = {
	.name = "lease create",
	.summary = "make a lease and print its ID",
	.synopsis = "[ID] [--expire DURATION] [--flat] [--label KEY=VALUE]...",
	.examples = "ullage lease create build-7 --expire 2h\n"
		    "a lease of that ID that ends by itself\n",
	.options = create_option_list,
	.run = create_run,
};

/* lease add, lease remove */

struct thing {
	uint8_t kind; /* enum ul_kind */
	const char *key;
};

static bool is_leasable(uint8_t kind)
{
	return kind == UL_KIND_BLOB || kind == UL_KIND_SNAPSHOT ||
	       kind == UL_KIND_IMAGE;
}

static int thing_find(const struct ul_view *view, const char *text,
		      struct thing *ret, struct ul_err *err)
{
	uint32_t at;
	int rc = ul_resolve(view, text, UL_RESOLVE_ANY & ~UL_RESOLVE_LEASE, &at,
			    err);

	if (rc == UL_E_ABSENT) {
		if (ul_resolve_trashed(view, text, UL_KIND_BLOB, &at) ||
		    ul_resolve_trashed(view, text, UL_KIND_SNAPSHOT, &at)) {
			ret->kind = view->trash[at].kind;
			ret->key = view->trash[at].key;
			return 0;
		}
	}
	if (rc)
		return rc;
	ret->kind = view->record.objects[at].kind;
	ret->key = view->record.objects[at].key;
	if (!is_leasable(ret->kind))
		return ul_err_set(err, UL_E_INVALID,
				  "a lease holds images, blobs and snapshots; "
				  "\"%s\" is a %s",
				  text, ul_kind_name(ret->kind));
	return 0;
}

/* What a lease holds need not be there any more, as a name that was untagged;
 * so what is spelled out is looked for in the lease. */
static int thing_held(const struct ul_view *view, const struct ul_lease *lease,
		      const char *text, struct thing *ret, struct ul_err *err)
{
	char whole[UL_NAME_MAX_BYTES];
	size_t i;

	if (!ul_reference_is_valid(text) ||
	    !ul_reference_normalize(text, whole))
		whole[0] = '\0';
	for (i = 0; i < lease->resource_count; i++) {
		const struct ul_lease_resource *held = &lease->resources[i];

		if (strcmp(held->key, text) != 0 &&
		    (held->kind != UL_KIND_IMAGE ||
		     strcmp(held->key, whole) != 0))
			continue;
		ret->kind = held->kind;
		ret->key = held->key;
		return 0;
	}
	return thing_find(view, text, ret, err);
}

/* The lease of that ID; where there is none, one like it is suggested. */
static int lease_find(const struct ul_view *view,
		      const struct ul_leases *leases, const char *id,
		      const struct ul_lease **ret, struct ul_err *err)
{
	uint32_t object;
	size_t i;

	for (i = 0; i < leases->len; i++) {
		if (!strcmp(leases->leases[i].id, id)) {
			*ret = &leases->leases[i];
			return 0;
		}
	}
	if (ul_resolve(view, id, UL_RESOLVE_LEASE, &object, err))
		return err->code;
	return ul_err_set(err, UL_E_ABSENT, "no lease \"%s\"", id);
}

static int things_find(const struct ul_view *view, const struct ul_lease *lease,
		       bool is_removal, char **texts, size_t count,
		       struct thing *things, struct ul_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < count; i++)
		rc = is_removal
			 ? thing_held(view, lease, texts[i], &things[i], err)
			 : thing_find(view, texts[i], &things[i], err);
	return rc;
}

static int things_change(struct ul_embedded *store, const char *id,
			 bool is_removal, const struct thing *things,
			 size_t count, struct ul_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < count; i++)
		rc = (is_removal ? ul_lease_remove : ul_lease_add)(
		    store, id, things[i].kind, things[i].key, err);
	return rc;
}

static int things_answer(const struct ul_cli *cli, const char *id,
			 bool is_removal, const struct thing *things,
			 size_t count, struct ul_err *err)
{
	const char *word = is_removal ? "removed" : "added";
	ul_cleanup(ul_json_freep) json_t *answer = NULL;
	size_t i;

	if (!cli->json) {
		for (i = 0; i < count; i++)
			ul_cli_print("%s %s %s\n", word,
				     ul_kind_name(things[i].kind),
				     things[i].key);
		return 0;
	}
	answer = ul_cli_answer("lease", ul_json_string(id));
	ul_json_put(&answer, word, json_array());
	for (i = 0; i < count; i++)
		ul_json_push(&answer, word,
			     resource_json(things[i].kind, things[i].key));
	return ul_cli_print_json(answer, err);
}

static int lease_live(const struct ul_lease *lease, int64_t now_unix_s,
		      struct ul_err *err)
{
	char when[UL_TIME_TEXT_MAX];

	if (!ul_lease_is_expired(lease, now_unix_s))
		return 0;
	ul_time_format(lease->expire_unix_s, when);
	return ul_err_set(err, UL_E_REFUSED,
			  "lease \"%s\" expired at %s and holds nothing any "
			  "more; make another one",
			  lease->id, when);
}

/*
 * We let go of what the lease alone holds; the next scan finds what it goes on
 * holding reachable, and takes that back.
 */
static int lease_release(struct ul_embedded *store, const struct ul_view *view,
			 const struct ul_lease *lease, struct ul_err *err)
{
	uint32_t at =
	    ul_record_find(&view->record, UL_KIND_LEASE, "", "", lease->id);

	if (ul_lease_is_expired(lease, view->as_of_unix_s))
		return 0;
	return store->base.ops->release(&store->base, view, &at, 1, err);
}

static int things_run(struct ul_cli *cli, struct ul_embedded *store,
		      const char *id, bool is_removal, char **texts,
		      size_t count, struct ul_err *err)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	ul_cleanup(ul_view_release) struct ul_view after = UL_VIEW_INIT;
	ul_cleanup(ul_leases_release) struct ul_leases leases = UL_LEASES_INIT;
	ul_cleanup(ul_freep) struct thing *things =
	    ul_calloc(count, sizeof *things);
	const struct ul_lease *lease;
	int rc;

	if (!things)
		return ul_err_nomem(err);
	rc = ul_cli_scan(cli, is_removal, &view, err);
	if (!rc)
		rc = ul_leases_load(store, &leases, err);
	if (!rc)
		rc = lease_find(&view, &leases, id, &lease, err);
	if (!rc && !is_removal)
		rc = lease_live(lease, view.as_of_unix_s, err);
	if (!rc)
		rc = things_find(&view, lease, is_removal, texts, count, things,
				 err);
	if (!rc && is_removal)
		rc = lease_release(store, &view, lease, err);
	if (!rc)
		rc = things_change(store, id, is_removal, things, count, err);
	if (!rc)
		rc = ul_change_restore(cli, false, NULL, &after, err);
	return rc ? rc : things_answer(cli, id, is_removal, things, count, err);
}

static int change_run(struct ul_cli *cli, const struct ul_command *command,
		      int argc, char **argv)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;

	ul_args_init(&args, command, argc, argv);
	if (ul_args_next(cli, &args) != -1)
		return UL_EXIT_USAGE;
	if (args.operand_count < 2)
		return ul_cli_usage(command, "ID and OBJECT are needed");
	store = ul_cli_change(cli);
	if (!store)
		return UL_EXIT_FAILED;
	if (things_run(cli, store, args.operands[0], command == &lease_remove,
		       args.operands + 1, (size_t)args.operand_count - 1, &err))
		return ul_cli_fail(&err);
	return UL_EXIT_DONE;
}

static int add_run(struct ul_cli *cli, int argc, char **argv)
{
	return change_run(cli, &lease_add, argc, argv);
}

static int remove_run(struct ul_cli *cli, int argc, char **argv)
{
	return change_run(cli, &lease_remove, argc, argv);
}

static const struct ul_command lease_add = {
	.name = "lease add",
	.summary = "hold images, blobs or snapshots by a lease",
	.synopsis = "ID OBJECT ...",
	.help = "What lies in the trash is taken out. A lease that has expired "
		"takes nothing any more.",
	.examples = "ullage lease add build-7 app:2 sha256:f5b14def\n"
		    "keep an image, and a layer\n",
	.run = add_run,
};

static const struct ul_command lease_remove = {
	.name = "lease remove",
	.summary = "take objects off a lease",
	.synopsis = "ID OBJECT ...",
	.help = "What nothing else holds then goes with the next `ullage gc` "
		"or `ullage prune`, without the grace period.",
	.examples = "ullage lease remove build-7 app:2\n"
		    "no longer keep the image\n",
	.run = remove_run,
};

/* lease delete */

static int delete_answer(struct ul_cli *cli, char **ids, size_t count,
			 const struct ul_loss *loss, struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *answer = NULL;
	size_t i;

	if (!cli->json) {
		for (i = 0; i < count; i++)
			ul_cli_print("deleted %s\n", ids[i]);
		ul_loss_print(cli, loss);
		return 0;
	}
	answer = ul_cli_answer("deleted", json_array());
	for (i = 0; i < count; i++)
		ul_json_push(&answer, "deleted", ul_json_string(ids[i]));
	ul_json_put(&answer, "released", ul_loss_json(loss));
	return ul_cli_print_json(answer, err);
}

static int delete_all(struct ul_cli *cli, struct ul_embedded *store, char **ids,
		      size_t count, struct ul_err *err)
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
		rc = ul_resolve(&view, ids[i], UL_RESOLVE_LEASE, &objects[i],
				err);
	if (!rc)
		rc = ul_loss_build(&view, objects, count, &loss, err);
	if (!rc)
		rc = store->base.ops->release(&store->base, &view, objects,
					      count, err);
	for (i = 0; !rc && i < count; i++)
		rc = ul_lease_delete(store, ids[i], err);
	return rc ? rc : delete_answer(cli, ids, count, &loss, err);
}

static int delete_run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;

	ul_args_init(&args, &lease_delete, argc, argv);
	if (ul_args_next(cli, &args) != -1)
		return UL_EXIT_USAGE;
	if (!args.operand_count)
		return ul_cli_usage(&lease_delete, "which lease?");
	store = ul_cli_change(cli);
	if (!store)
		return UL_EXIT_FAILED;
	if (delete_all(cli, store, args.operands, (size_t)args.operand_count,
		       &err))
		return ul_cli_fail(&err);
	return UL_EXIT_DONE;
}

static const struct ul_command lease_delete = {
	.name = "lease delete",
	.summary = "end leases",
	.synopsis = "ID ...",
	.examples = "ullage lease delete build-7\n"
		    "keep nothing any more\n",
	.run = delete_run,
};

/* lease list */

static const struct ul_column list_columns[] = {
	{ .heading = "LEASE", .is_shrink = true },
	{ .heading = "HOLDS" },
	{ .heading = "CREATED", .leave = 1 },
	{ .heading = "EXPIRES" },
	{ .heading = "LABELS", .is_shrink = true, .leave = 2 },
};

static void add_count(struct ul_buf *text, const struct ul_lease *lease,
		      enum ul_kind kind)
{
	size_t i, count = 0;

	for (i = 0; i < lease->resource_count; i++)
		count += lease->resources[i].kind == kind;
	if (count)
		ul_buf_printf(text, "%s%zu %s%s", text->len ? ", " : "", count,
			      ul_kind_name(kind), count == 1 ? "" : "s");
}

static void list_row(struct ul_table *table, const struct ul_lease *lease,
		     int64_t now_unix_s)
{
	ul_cleanup(ul_buf_release) struct ul_buf holds = UL_BUF_INIT;
	ul_cleanup(ul_freep) char *labels = ul_labels_text(lease->labels);
	char when[UL_HUMAN_MAX];

	add_count(&holds, lease, UL_KIND_IMAGE);
	add_count(&holds, lease, UL_KIND_BLOB);
	add_count(&holds, lease, UL_KIND_SNAPSHOT);
	if (!holds.len)
		ul_buf_add_str(&holds, "nothing");
	if (lease->is_flat)
		ul_buf_add_str(&holds, " (flat)");
	ul_table_add(table, lease->id);
	ul_table_add(table, ul_buf_str(&holds));
	ul_table_add(table,
		     ul_human_when(lease->created_unix_s, now_unix_s, when));
	if (ul_lease_is_expired(lease, now_unix_s))
		ul_table_add(table, "expired");
	else
		ul_table_add(table, ul_human_when(lease->expire_unix_s,
						  now_unix_s, when));
	ul_table_add(table, labels ? labels : "");
	if (holds.failed || !labels)
		table->failed = true;
}

static int list_json(const struct ul_leases *leases, int64_t now_unix_s,
		     struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *answer =
	    ul_cli_answer("leases", json_array());
	size_t i;

	for (i = 0; i < leases->len; i++)
		ul_json_push(&answer, "leases",
			     lease_json(&leases->leases[i], now_unix_s));
	return ul_cli_print_json(answer, err);
}

static int list(struct ul_cli *cli, struct ul_embedded *store,
		struct ul_err *err)
{
	ul_cleanup(ul_leases_release) struct ul_leases leases = UL_LEASES_INIT;
	ul_cleanup(ul_table_release) struct ul_table table;
	int64_t now_unix_s = ul_cli_now(cli);
	size_t i;
	int rc;

	ul_table_init(&table, list_columns, ul_array_len(list_columns));
	rc = ul_leases_load(store, &leases, err);
	if (rc)
		return rc;
	if (cli->json)
		return list_json(&leases, now_unix_s, err);
	for (i = 0; i < leases.len; i++)
		list_row(&table, &leases.leases[i], now_unix_s);
	return ul_cli_print_table(&table, err);
}

static int list_run(struct ul_cli *cli, int argc, char **argv)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_embedded *store;
	struct ul_args args;

	ul_args_init(&args, &lease_list, argc, argv);
	if (ul_args_next(cli, &args) != -1)
		return UL_EXIT_USAGE;
	if (args.operand_count)
		return ul_cli_usage(&lease_list, "takes no argument");
	store = ul_cli_store(cli);
	if (!store)
		return UL_EXIT_FAILED;
	return list(cli, store, &err) ? ul_cli_fail(&err) : UL_EXIT_DONE;
}

static const struct ul_command lease_list = {
	.name = "lease list",
	.summary = "show leases and what they hold",
	.synopsis = "",
	.examples = "ullage lease list --json | jq -r '.leases[].id'\n"
		    "the IDs for a script\n",
	.run = list_run,
};

static const struct ul_command *const lease_commands[] = {
	&lease_create, &lease_add,  &lease_remove,
	&lease_delete, &lease_list, NULL,
};

const struct ul_command ul_cmd_lease = {
	.name = "lease",
	.is_embedded = true,
	.summary = "hold content by leases",
	.synopsis = "COMMAND ...",
	.help = "A lease keeps what it names, and what that refers to: an "
		"image with its layers, a blob, a snapshot with its parents. "
		"A flat lease keeps what it names alone, and the parents of "
		"snapshots. One that has expired keeps nothing. A lease on a "
		"snapshot counts as a use of its image.\n\n"
		"What is added may lie in the trash: it is taken out.",
	.examples = "ullage lease create build-7 --expire 2h\n"
		    "a lease that ends by itself\n"
		    "ullage lease add build-7 app:2\n"
		    "keep app:2 until then\n"
		    "ullage lease delete build-7\n"
		    "let go of it now\n",
	.subcommands = lease_commands,
};
