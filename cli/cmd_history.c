#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/json_out.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "gc/history.h"
#include "store/embedded/store.h"

static const struct ul_option history_options[] = {
	{ 0, "last", "N", "the newest N runs (default 20)" },
	{ 0 },
};

static json_t *row_json(const struct ul_history_row *row)
{
	return json_pack(
	    "{s:I, s:s, s:s, s:s, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "run", (json_int_t)row->run, "command", row->command, "plan",
	    row->plan, "state", row->state, "started_unix_s",
	    (json_int_t)row->started_unix_s, "seconds", row->seconds,
	    "planned_bytes", (json_int_t)row->planned_bytes, "freed_bytes",
	    (json_int_t)row->freed_bytes, "trashed_bytes",
	    (json_int_t)row->trashed_bytes, "overhead_delta_bytes",
	    (json_int_t)row->overhead_delta_bytes, "removed",
	    (json_int_t)row->removed, "declined", (json_int_t)row->declined);
}

static bool print_json(const struct ul_history *history)
{
	json_t *runs = json_array();
	size_t i;

	for (i = 0; i < history->len; i++)
		json_array_append_new(runs, row_json(&history->rows[i]));
	return ul_json_print(
	    json_pack("{s:i, s:o}", "version", 1, "runs", runs));
}

static bool print_table(const struct ul_history *history)
{
	static const struct ul_column columns[] = {
		{ .heading = "RUN", .is_right = true },
		{ .heading = "WHEN" },
		{ .heading = "COMMAND", .leave = 3 },
		{ .heading = "STATE", .leave = 4 },
		{ .heading = "REMOVED", .is_right = true, .leave = 2 },
		{ .heading = "FREED", .is_right = true },
		{ .heading = "TRASHED", .is_right = true, .leave = 5 },
		{ .heading = "LEFT", .is_right = true, .leave = 1 },
	};
	ul_cleanup(ul_table_release) struct ul_table table;
	char text[UL_TIME_TEXT_MAX], size[UL_HUMAN_MAX];
	size_t i;

	ul_table_init(&table, columns, ul_array_len(columns));
	for (i = 0; i < history->len; i++) {
		const struct ul_history_row *row = &history->rows[i];

		ul_table_addf(&table, "%lld", (long long)row->run);
		ul_time_format(row->started_unix_s, text);
		ul_table_add(&table, text);
		ul_table_add(&table, row->command);
		ul_table_add(&table, row->state);
		ul_table_addf(&table, "%llu", (unsigned long long)row->removed);
		ul_table_add(&table, ul_human_bytes(row->freed_bytes, size));
		ul_table_add(&table, ul_human_bytes(row->trashed_bytes, size));
		ul_table_addf(&table, "%llu",
			      (unsigned long long)row->declined);
	}
	return ul_table_print(&table, ul_terminal()->out);
}

static int history_run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(ul_history_release) struct ul_history history =
	    UL_HISTORY_INIT;
	struct ul_embedded *store;
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;
	long most = 20;
	int option;

	ul_args_init(&args, &ul_cmd_history, argc, argv);
	while ((option = ul_args_next(cli, &args)) >= 0) {
		most = strtol(args.value, NULL, 10);
		if (most <= 0)
			return ul_cli_usage(&ul_cmd_history,
					    "--last takes a number from 1");
	}
	if (option == -2)
		return UL_EXIT_USAGE;
	if (args.operand_count)
		return ul_cli_usage(&ul_cmd_history, "it takes no arguments");
	store = ul_cli_store(cli);
	if (!store)
		return UL_EXIT_FAILED;
	if (ul_history_load(&store->base, most, &history, &err))
		return ul_cli_fail(&err);
	if (cli->json ? print_json(&history) : print_table(&history))
		return UL_EXIT_DONE;
	return UL_EXIT_FAILED;
}

const struct ul_command ul_cmd_history = {
	.name = "history",
	.summary = "what was collected, when, and what it gave back",
	.synopsis = "[--last N]",
	.help =
	    "Runs of this store, numbered through all stores; `ullage undo` "
	    "takes the number. What was planned, given back and moved to the "
	    "trash is in bytes in --json.",
	.examples = "ullage history --last 5\n"
		    "the five newest runs\n"
		    "sqlite3 /var/lib/ullage/ullage.db 'select * from "
		    "collection_runs'\n"
		    "the same from the database\n",
	.options = history_options,
	.run = history_run,
};
