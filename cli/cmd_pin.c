#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/resolve.h"
#include "store/db/stmt.h"
#include "store/embedded/store.h"
#include "store/oci/reference.h"
#include "store/view.h"

/* What a pin stands for is the name, whatever digest it has later. */
static int pin_find(const struct ul_view *view, const char *text,
		    const char **ret_name, struct ul_err *err)
{
	uint32_t object;
	int rc = ul_resolve(view, text, UL_RESOLVE_IMAGE, &object, err);

	if (!rc)
		*ret_name = view->record.objects[object].key;
	return rc;
}

static int pin_set(struct ul_embedded *store, const char *name,
		   struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int64_t row;
	int rc = ul_embedded_store_row(store, &row, err);

	if (!rc)
		rc = ul_stmt_get(store->db, UL_SQL_PIN_ADD, &set, err);
	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":store", row);
	ul_stmt_bind_text(set, ":name", name);
	ul_stmt_bind_i64(set, ":pinned", ul_clock_unix_s());
	return ul_stmt_run(set, err);
}

/* All names are looked up before the first is pinned. */
static int pin_all(struct ul_cli *cli, struct ul_embedded *store, char **texts,
		   int count, struct ul_err *err)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	ul_cleanup(ul_json_freep) json_t *answer = NULL;
	char shorter[UL_NAME_MAX_BYTES];
	const char *name;
	int i, rc = ul_cli_scan(cli, false, &view, err);

	for (i = 0; !rc && i < count; i++)
		rc = pin_find(&view, texts[i], &name, err);
	if (!rc)
		answer = ul_cli_answer("pinned", json_array());
	for (i = 0; !rc && i < count; i++) {
		pin_find(&view, texts[i], &name, err);
		rc = pin_set(store, name, err);
		ul_json_push(&answer, "pinned", ul_json_string(name));
		ul_reference_familiar(name, shorter);
		if (!rc && !cli->json)
			ul_cli_print("pinned %s\n", shorter);
	}
	if (!rc && cli->json)
		rc = ul_cli_print_json(answer, err);
	return rc;
}

static int pin_run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;

	ul_args_init(&args, &ul_cmd_pin, argc, argv);
	if (ul_args_next(cli, &args) != -1)
		return UL_EXIT_USAGE;
	if (!args.operand_count)
		return ul_cli_usage(&ul_cmd_pin, "which image?");
	store = ul_cli_change(cli);
	if (!store)
		return UL_EXIT_FAILED;
	if (pin_all(cli, store, args.operands, args.operand_count, &err))
		return ul_cli_fail(&err);
	return UL_EXIT_DONE;
}

const struct ul_command ul_cmd_pin = {
	.name = "pin",
	.summary = "keep images whatever prune's rules say",
	.synopsis = "NAME ...",
	.help = "A pinned image is never removed by a prune: it stands among "
		"what was declined. The pin is on the name, and stays with it "
		"when the name moves to another image. `ullage untag` takes "
		"the name away all the same.",
	.examples = "ullage pin app:2\n"
		    "keep app:2 until it is unpinned\n",
	.run = pin_run,
};
