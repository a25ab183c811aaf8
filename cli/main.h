/*
 * cli/main.h - start and end of the program, for main.c alone.
 */
#ifndef UL_CLI_MAIN_H
#define UL_CLI_MAIN_H

#include "cli/cli.h"

/*
 * Set the defaults, the state directory's among them: ULLAGE_STATE, else
 * /var/lib/ullage for root and the XDG data directory for others.
 * Returns: 0; UL_E_INVALID (a user without a home directory).
 */
int ul_cli_init(struct ul_cli *cli, struct ul_err *err);

/* Close the store. Safe twice. */
void ul_cli_release(struct ul_cli *cli);

/*
 * The subcommand of that name, or NULL: reported, with a suggestion. The
 * command has some.
 */
const struct ul_command *ul_cli_subcommand(const struct ul_command *command,
					   const char *word);

/*
 * Run the program on its arguments: options before the command, `help`,
 * `--version`, then the command out of this table (ends with NULL).
 * Returns the exit status.
 */
int ul_cli_main(const struct ul_command *const *commands, int argc,
		char **argv);

/*
 * Run one command for somebody else: where the configuration and the state are
 * comes from `like`; answer and talk go to this thread's terminal. argv[0] is
 * not looked at. Returns the exit status. Thread: any, several at once.
 */
int ul_cli_run(const struct ul_command *const *commands,
	       const struct ul_cli *like, int argc, char **argv);

#endif
