#include "base/mem.h"
#include "cli/answer.h"
#include "cli/change.h"
#include "cli/commands.h"
#include "cli/resolve.h"
#include "store/embedded/store.h"
#include "store/oci/reference.h"
#include "store/view.h"

static int untag_answer(const struct ul_view *view, const uint32_t *objects,
			size_t count, const struct ul_loss *loss,
			struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *answer =
	    ul_cli_answer("untagged", json_array());
	size_t i;

	for (i = 0; i < count; i++)
		ul_json_push(
		    &answer, "untagged",
		    ul_json_string(view->record.objects[objects[i]].key));
	ul_json_put(&answer, "released", ul_loss_json(loss));
	return ul_cli_print_json(answer, err);
}

static void untag_print(struct ul_cli *cli, const struct ul_view *view,
			const uint32_t *objects, size_t count,
			const struct ul_loss *loss)
{
	char name[UL_NAME_MAX_BYTES];
	size_t i;

	for (i = 0; i < count; i++) {
		ul_reference_familiar(view->record.objects[objects[i]].key,
				      name);
		ul_cli_print("untagged %s\n", name);
	}
	ul_loss_print(cli, loss);
}

/* All names are found before the first is removed; each once. */
static int untag_find(const struct ul_view *view, char **texts, size_t count,
		      uint32_t *objects, size_t *ret_count, struct ul_err *err)
{
	size_t i, n, len = 0;
	int rc;

	for (i = 0; i < count; i++) {
		rc = ul_resolve(view, texts[i], UL_RESOLVE_IMAGE, &objects[len],
				err);
		if (rc)
			return rc;
		for (n = 0; n < len && objects[n] != objects[len]; n++)
			;
		if (n == len)
			len++;
	}
	*ret_count = len;
	return 0;
}

static int untag(struct ul_cli *cli, struct ul_embedded *store, char **texts,
		 size_t count, struct ul_err *err)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	ul_cleanup(ul_freep) uint32_t *objects =
	    ul_calloc(count, sizeof *objects);
	struct ul_loss loss;
	size_t len = 0;
	int rc;

	if (!objects)
		return ul_err_nomem(err);
	rc = ul_change_restore(cli, true, NULL, &view, err);
	if (!rc)
		rc = untag_find(&view, texts, count, objects, &len, err);
	if (!rc)
		rc = ul_loss_build(&view, objects, len, &loss, err);
	if (!rc)
		rc = store->base.ops->remove_roots(&store->base, &view, objects,
						   len, NULL, err);
	if (rc)
		return rc;
	if (cli->json)
		return untag_answer(&view, objects, len, &loss, err);
	untag_print(cli, &view, objects, len, &loss);
	return 0;
}

static int untag_run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;

	ul_args_init(&args, &ul_cmd_untag, argc, argv);
	if (ul_args_next(cli, &args) != -1)
		return UL_EXIT_USAGE;
	if (!args.operand_count)
		return ul_cli_usage(&ul_cmd_untag, "which name?");
	store = ul_cli_change(cli);
	if (!store)
		return UL_EXIT_FAILED;
	if (untag(cli, store, args.operands, (size_t)args.operand_count, &err))
		return ul_cli_fail(&err);
	return UL_EXIT_DONE;
}

const struct ul_command ul_cmd_untag = {
	.name = "untag",
	.summary = "take names away, and leave the content to gc",
	.synopsis = "NAME ...",
	.help = "Removes names, or entries without a name by their digest. "
		"What nothing else holds then goes with the next `ullage gc` "
		"or `ullage prune`; until that and for as long as the trash "
		"keeps it, `ullage tag` brings a name back.",
	.examples = "ullage untag app:1 app:2\n"
		    "take both names away\n",
	.run = untag_run,
};
