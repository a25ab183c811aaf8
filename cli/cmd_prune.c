#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/collect.h"
#include "cli/commands.h"
#include "gc/policy.h"
#include "service/config.h"
#include "store/oci/reference.h"

enum { OPTION_UNTAGGED = 256 + 3, OPTION_FILTER, OPTION_POLICY, OPTION_PLAN };

static const struct ul_option prune_options[] = {
	{ 'n', "dry-run", NULL, "print the plan, change nothing" },
	{ 'y', "yes", NULL, "do not ask" },
	{ 'a', "all", NULL, "every image that no container uses" },
	{ 0, "untagged", NULL, "entries without a name too" },
	{ 0, "filter", "KEY=VALUE",
	  "until=, unused-for=, label=, label!=, reference=" },
	{ 0, "policy", "NAME", "by that rule of the configuration" },
	{ 0, "plan", "FILE", "carry out exactly this saved plan, or refuse" },
	{ 'o', "output", "FILE", "with -n: save the plan" },
	{ 0 },
};

struct prune {
	struct ul_collect collect;
	struct ul_rule rule;
	struct ul_filter *filters; /* owned */
	size_t filter_cap;
	const char *policy;
	struct ul_arena arena; /* what the rule of that name borrows from */
};

static void prune_release(struct prune *prune)
{
	ul_freep(&prune->filters);
	ul_arena_release(&prune->arena);
}

static int prune_filter(struct ul_cli *cli, struct prune *prune,
			const char *text)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_filter *filters =
	    ul_grow(prune->filters, &prune->filter_cap,
		    prune->rule.filter_count + 1, sizeof *filters);

	if (!filters) {
		ul_err_nomem(&err);
		return ul_cli_fail(&err);
	}
	prune->filters = filters;
	prune->rule.filters = filters;
	if (ul_filter_parse(text, ul_cli_now(cli),
			    &filters[prune->rule.filter_count], &err))
		return ul_cli_usage(&ul_cmd_prune, "%s", err.msg);
	prune->rule.filter_count++;
	return 0;
}

static int prune_option(struct ul_cli *cli, struct prune *prune, int option,
			const char *value)
{
	switch (option) {
	case 'n':
		prune->collect.dry_run = true;
		return 0;
	case 'y':
		prune->collect.yes = true;
		return 0;
	case 'a':
		prune->rule.all = true;
		return 0;
	case 'o':
		prune->collect.out_path = value;
		return 0;
	case OPTION_UNTAGGED:
		prune->rule.untagged = true;
		return 0;
	case OPTION_POLICY:
		prune->policy = value;
		return 0;
	case OPTION_PLAN:
		prune->collect.plan_path = value;
		return 0;
	default:
		return prune_filter(cli, prune, value);
	}
}

static int prune_patterns(struct prune *prune, const struct ul_args *args)
{
	int i;

	for (i = 0; i < args->operand_count; i++) {
		if (!ul_reference_pattern_is_valid(args->operands[i]))
			return ul_cli_usage(&ul_cmd_prune,
					    "\"%s\" is no name and no pattern",
					    args->operands[i]);
	}
	prune->rule.patterns = (const char *const *)args->operands;
	prune->rule.pattern_count = (size_t)args->operand_count;
	return 0;
}

static bool has_rule(const struct prune *prune)
{
	return prune->rule.pattern_count || prune->rule.filter_count ||
	       prune->rule.all || prune->rule.untagged;
}

static int prune_check(const struct prune *prune)
{
	const struct ul_collect *collect = &prune->collect;

	if (collect->out_path && !collect->dry_run)
		return ul_cli_usage(&ul_cmd_prune, "-o goes with -n");
	if (prune->policy && (has_rule(prune) || collect->plan_path))
		return ul_cli_usage(&ul_cmd_prune,
				    "--policy says what to remove; no rules "
				    "beside it");
	if (collect->plan_path && has_rule(prune))
		return ul_cli_usage(&ul_cmd_prune,
				    "--plan says what to remove; no rules "
				    "beside it");
	if (prune->rule.all && prune->rule.pattern_count)
		return ul_cli_usage(&ul_cmd_prune,
				    "-a goes without names or patterns");
	return 0;
}

static int policy_unknown(const struct ul_cli *cli, const char *name,
			  struct ul_err *err)
{
	char all[512] = "";
	size_t len = 0, i;

	for (i = 0;
	     cli->config && i < cli->config->prunes.count && len < sizeof all;
	     i++)
		len += (size_t)snprintf(all + len, sizeof all - len, "%s%s",
					i ? ", " : "; there is: ",
					cli->config->prunes.items[i].name);
	return ul_err_set(err, UL_E_ABSENT, "no rule \"%.100s\" in %s%s", name,
			  cli->config ? cli->config_path
				      : "the configuration, for there is none",
			  all);
}

static int prune_policy(struct ul_cli *cli, struct prune *prune)
{
	const struct ul_config *config = cli->config;
	struct ul_err err = UL_ERR_INIT;
	size_t i;
	int rc;

	if (!prune->policy)
		return 0;
	for (i = 0; config && i < config->prunes.count; i++) {
		if (!strcmp(config->prunes.items[i].name, prune->policy))
			break;
	}
	rc = config && i < config->prunes.count
		 ? ul_config_rule(&config->prunes.items[i], ul_cli_now(cli),
				  &prune->arena, &prune->rule, &err)
		 : policy_unknown(cli, prune->policy, &err);
	return rc ? ul_cli_fail(&err) : 0;
}

static int prune_run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(prune_release) struct prune prune = {
		.collect = { .command = "prune" },
		.arena = UL_ARENA_INIT,
	};
	struct ul_args args;
	int option, status = 0;

	prune.collect.rule = &prune.rule;
	ul_args_init(&args, &ul_cmd_prune, argc, argv);
	while (!status && (option = ul_args_next(cli, &args)) >= 0)
		status = prune_option(cli, &prune, option, args.value);
	if (!status && option == -2)
		return UL_EXIT_USAGE;
	if (!status)
		status = prune_patterns(&prune, &args);
	if (!status)
		status = prune_check(&prune);
	if (!status)
		status = prune_policy(cli, &prune);
	return status ? status : ul_cli_collect(cli, &prune.collect);
}

const struct ul_command ul_cmd_prune = {
	.name = "prune",
	.summary = "remove images by rule, and what they alone kept",
	.synopsis = "[-n] [-y] [-a] [--untagged] [--filter KEY=VALUE]... "
		    "[--policy NAME] [--plan FILE] [-o FILE] "
		    "[NAME|PATTERN ...]",
	.help = "Without names: dangling images, with -a every image that no "
		"container uses. NAME\nis an image's name or a digest, PATTERN "
		"a glob such as 'team/*:dev-*'. Pinned\nimages and those in "
		"use stay, and are listed. Then `ullage gc` runs in the same\n"
		"step. -n prints the plan, -o FILE saves it, --plan FILE "
		"carries out exactly that\nplan, or refuses with what "
		"changed.\n\n"
		"Filters, all of which have to hold (of several references "
		"one):\n"
		"  until=TIME|DURATION   created before then, or longer ago\n"
		"  unused-for=DURATION   last used longer ago\n"
		"  label=KEY[=VALUE]     has the label; label!= has it not\n"
		"  reference=PATTERN     its name matches",
	.examples = "ullage prune -n -a\n"
		    "see what all unused images would give back\n"
		    "ullage prune -y app:1 'team/*:dev-*'\n"
		    "remove these by name, without a question\n"
		    "ullage prune -a --filter unused-for=30d -n -o plan.json\n"
		    "save a plan to look at\n"
		    "ullage prune -y --plan plan.json\n"
		    "carry out exactly that plan, or nothing\n",
	.options = prune_options,
	.is_collecting = true,
	.run = prune_run,
};
