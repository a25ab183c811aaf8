#include "cli/cli.h"
#include "cli/collect.h"
#include "cli/commands.h"

static const struct ul_option gc_options[] = {
	{ 'n', "dry-run", NULL, "print the plan, change nothing" },
	{ 'o', "output", "FILE", "with -n: save the plan" },
	{ 0, "plan", "FILE", "carry out exactly this saved plan, or refuse" },
	{ 0 },
};

static int gc_run(struct ul_cli *cli, int argc, char **argv)
{
	struct ul_collect collect = { .command = "gc" };
	struct ul_args args;
	int option;

	ul_args_init(&args, &ul_cmd_gc, argc, argv);
	while ((option = ul_args_next(cli, &args)) >= 0) {
		if (option == 'n')
			collect.dry_run = true;
		else if (option == 'o')
			collect.out_path = args.value;
		else
			collect.plan_path = args.value;
	}
	if (option == -2)
		return UL_EXIT_USAGE;
	if (args.operand_count)
		return ul_cli_usage(&ul_cmd_gc,
				    "it takes no names; `ullage prune` does");
	if (collect.out_path && !collect.dry_run)
		return ul_cli_usage(&ul_cmd_gc, "-o goes with -n");
	return ul_cli_collect(cli, &collect);
}

const struct ul_command ul_cmd_gc = {
	.name = "gc",
	.summary = "remove what nothing reaches",
	.synopsis = "[-n] [--plan FILE] [-o FILE]",
	.help = "Mark and sweep: what no name, lease or live snapshot reaches "
		"goes; no name does.\nWhat was lost without ullage stays for "
		"the grace period (--grace, an hour). What\nis swept lies in "
		"the trash for as long, and `ullage undo` brings it back; "
		"--now\nempties the trash at once. `--grace 0 --now` means: "
		"nobody else is writing here.\n\n"
		"Exit status 3: something was left; it is listed with the "
		"reason.",
	.examples = "ullage gc -n\n"
		    "see what would go\n"
		    "ullage gc --now\n"
		    "collect, and empty the trash as well\n",
	.options = gc_options,
	.is_collecting = true,
	.run = gc_run,
};
