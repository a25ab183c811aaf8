#include <string.h>

#include "base/mem.h"
#include "cli/answer.h"
#include "cli/commands.h"
#include "store/db/stmt.h"
#include "store/embedded/store.h"
#include "store/oci/reference.h"
#include "store/view.h"

/* The pin that is meant, whose image may be gone. */
static const char *unpin_find(const struct ul_record *record, const char *text)
{
	char whole[UL_NAME_MAX_BYTES], other[UL_NAME_MAX_BYTES];
	size_t i;

	if (ul_record_is_pinned(record, text))
		return text;
	if (!ul_reference_normalize(text, whole))
		return NULL;
	for (i = 0; i < record->pin_count; i++) {
		if (ul_reference_normalize(record->pins[i], other) &&
		    !strcmp(whole, other))
			return record->pins[i];
	}
	return NULL;
}

static int unpin_absent(const struct ul_record *record, const char *text,
			struct ul_err *err)
{
	char shorter[UL_NAME_MAX_BYTES];
	const char *word = shorter;
	size_t i;

	for (i = 0; i < record->pin_count; i++) {
		ul_reference_familiar(record->pins[i], shorter);
		if (ul_suggest(text, &word, 1))
			return ul_err_set(err, UL_E_ABSENT,
					  "\"%s\" is not pinned; did you mean "
					  "%s?",
					  text, shorter);
	}
	return ul_err_set(err, UL_E_ABSENT, "\"%s\" is not pinned", text);
}

static int unpin_set(struct ul_embedded *store, const char *name,
		     struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int64_t row;
	int rc = ul_embedded_store_row(store, &row, err);

	if (!rc)
		rc = ul_stmt_get(store->db, UL_SQL_PIN_DELETE, &set, err);
	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":store", row);
	ul_stmt_bind_text(set, ":name", name);
	return ul_stmt_run(set, err);
}

/* All are looked up before the first is changed. */
static int unpin_all(struct ul_cli *cli, struct ul_embedded *store,
		     char **texts, int count, struct ul_err *err)
{
	ul_cleanup(ul_record_release) struct ul_record record = UL_RECORD_INIT;
	ul_cleanup(ul_json_freep) json_t *answer = NULL;
	char shorter[UL_NAME_MAX_BYTES];
	const char *name;
	int i, rc = ul_record_load(store->db, store->base.kind,
				   store->record_path, &record, err);

	for (i = 0; !rc && i < count; i++) {
		if (!unpin_find(&record, texts[i]))
			rc = unpin_absent(&record, texts[i], err);
	}
	if (!rc)
		answer = ul_cli_answer("unpinned", json_array());
	for (i = 0; !rc && i < count; i++) {
		name = unpin_find(&record, texts[i]);
		rc = unpin_set(store, name, err);
		ul_json_push(&answer, "unpinned", ul_json_string(name));
		ul_reference_familiar(name, shorter);
		if (!rc && !cli->json)
			ul_cli_print("unpinned %s\n", shorter);
	}
	if (!rc && cli->json)
		rc = ul_cli_print_json(answer, err);
	return rc;
}

static int unpin_run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;

	ul_args_init(&args, &ul_cmd_unpin, argc, argv);
	if (ul_args_next(cli, &args) != -1)
		return UL_EXIT_USAGE;
	if (!args.operand_count)
		return ul_cli_usage(&ul_cmd_unpin, "which image?");
	store = ul_cli_change(cli);
	if (!store)
		return UL_EXIT_FAILED;
	if (unpin_all(cli, store, args.operands, args.operand_count, &err))
		return ul_cli_fail(&err);
	return UL_EXIT_DONE;
}

const struct ul_command ul_cmd_unpin = {
	.name = "unpin",
	.summary = "let prune's rules decide again",
	.synopsis = "NAME ...",
	.help = "Takes the pin off names, also off those whose image is gone.",
	.examples = "ullage unpin app:2\n"
		    "let go of what `ullage pin app:2` kept\n",
	.run = unpin_run,
};
