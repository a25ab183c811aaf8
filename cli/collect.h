/*
 * cli/collect.h - what gc and prune share: plan or run, ask, print.
 */
#ifndef UL_CLI_COLLECT_H
#define UL_CLI_COLLECT_H

#include <stdbool.h>

struct ul_cli;
struct ul_rule;

struct ul_collect {
	const char *command;        /* "gc", "prune" */
	const struct ul_rule *rule; /* NULL for gc */
	bool dry_run;               /* -n */
	bool yes;                   /* -y: do not ask */
	const char *plan_path;      /* --plan FILE: exactly this one; or NULL */
	const char *out_path;       /* -o FILE: save the plan; or NULL */
};

/* Returns the exit status. */
int ul_cli_collect(struct ul_cli *cli, const struct ul_collect *collect);

#endif
