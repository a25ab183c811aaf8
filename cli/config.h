/*
 * cli/config.h - what commands take from the configuration: stores, the state
 * directory and graces. What the command line or ULLAGE_STATE say wins.
 */
#ifndef UL_CLI_CONFIG_H
#define UL_CLI_CONFIG_H

struct ul_cli;
struct ul_err;

/*
 * Read it, once all options are known: the file that was named, else the usual
 * one where it is there. Happens at the end of a command's arguments, so that
 * no command sees a half of it.
 * Owner:   cli->config, freed by ul_cli_config_free().
 * Returns: 0; UL_E_INVALID (its content, said with its place); UL_E_ABSENT,
 *          UL_E_IO (a file that was named); UL_E_NOMEM.
 */
int ul_cli_config_read(struct ul_cli *cli, struct ul_err *err);
void ul_cli_config_free(struct ul_cli *cli);

/*
 * Decide which store to open where none was named: the embedded one, or the
 * only one that the configuration has. UL_E_INVALID where that leaves several.
 */
int ul_cli_config_choose(struct ul_cli *cli, struct ul_err *err);

/* Give the store that was opened its name and its grace. */
void ul_cli_config_apply(struct ul_cli *cli);

/* UL_E_ABSENT: no such store, with those there are. */
int ul_cli_config_no_store(const struct ul_cli *cli, const char *name,
			   struct ul_err *err);

#endif
