#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/json_out.h"
#include "gc/run.h"
#include "store/embedded/store.h"

static const struct ul_option undo_options[] = { { 0 } };

static int undo_answer(struct ul_cli *cli, int64_t run)
{
	struct ul_embedded *store = ul_cli_store(cli);
	struct ul_err err = UL_ERR_INIT;
	size_t count;

	if (!store)
		return UL_EXIT_FAILED;
	if (store->is_absent) {
		ul_err_set(&err, UL_E_ABSENT, "no run %" PRId64, run);
		return ul_cli_fail(&err);
	}
	if (ul_run_undo(&store->base, run, &count, &err))
		return ul_cli_fail(&err);
	if (cli->json)
		return ul_json_print(json_pack("{s:i, s:I, s:I}", "version", 1,
					       "run", (json_int_t)run,
					       "restored", (json_int_t)count))
			   ? UL_EXIT_DONE
			   : UL_EXIT_FAILED;
	ul_cli_print("Run %" PRId64 " undone: %zu thing%s put back.\n", run,
		     count, count == 1 ? "" : "s");
	return UL_EXIT_DONE;
}

/* 1, 2 and so on, as far as the history can count. */
static bool run_parse(const char *text, int64_t *ret_run)
{
	char *end;

	errno = 0;
	*ret_run = strtoll(text, &end, 10);
	return isdigit((unsigned char)*text) && !*end && !errno && *ret_run > 0;
}

static int undo_run(struct ul_cli *cli, int argc, char **argv)
{
	struct ul_args args;
	int64_t run;
	int option;

	ul_args_init(&args, &ul_cmd_undo, argc, argv);
	while ((option = ul_args_next(cli, &args)) >= 0)
		continue;
	if (option == -2)
		return UL_EXIT_USAGE;
	if (args.operand_count != 1)
		return ul_cli_usage(&ul_cmd_undo, "it takes one run's number");
	if (!run_parse(args.operands[0], &run))
		return ul_cli_usage(&ul_cmd_undo,
				    "\"%s\" is no run's number; `ullage "
				    "history` lists them",
				    args.operands[0]);
	return undo_answer(cli, run);
}

const struct ul_command ul_cmd_undo = {
	.name = "undo",
	.summary = "put back what a run removed, while the trash holds it",
	.synopsis = "RUN",
	.help = "Names, blobs and unpacked layers of that run come back as "
		"they were. A name that\nstands for something else by now "
		"stays as it is.",
	.examples = "ullage history\n"
		    "find the number of the run\n"
		    "ullage undo 12\n"
		    "put back what run 12 removed\n",
	.options = undo_options,
	.run = undo_run,
};
