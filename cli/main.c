/*
 * The table of commands. It is compiled three times: for ullage, which runs
 * the other two for what it lists but does not have; for ullage-transfer, and
 * for ullage-service, which has everything.
 */
#include "cli/main.h"

#include <stddef.h>

#include "cli/commands.h"

#define ELSEWHERE(NAME, word, where)                                           \
	(&(const struct ul_command){ .name = (word),                           \
				     .summary = UL_SUMMARY_##NAME,             \
				     .program = (where) })
#ifndef UL_TRANSFER
#define IMPORT ELSEWHERE(IMPORT, "import", "ullage-transfer")
#define EXPORT ELSEWHERE(EXPORT, "export", "ullage-transfer")
#define UNPACK ELSEWHERE(UNPACK, "unpack", "ullage-transfer")
#define VERIFY ELSEWHERE(VERIFY, "verify", "ullage-transfer")
#else
#define IMPORT (&ul_cmd_import)
#define EXPORT (&ul_cmd_export)
#define UNPACK (&ul_cmd_unpack)
#define VERIFY (&ul_cmd_verify)
#endif
#ifndef UL_SERVICE
#define SERVE ELSEWHERE(SERVE, "serve", "ullage-service")
#else
#define SERVE (&ul_cmd_serve)
#endif

const struct ul_command *const ul_commands[] = {
	/* Looking. */
	&ul_cmd_df,
	&ul_cmd_images,
	&ul_cmd_why,
	/* Collecting. */
	&ul_cmd_gc,
	&ul_cmd_prune,
	&ul_cmd_undo,
	&ul_cmd_history,
	/* Names. */
	&ul_cmd_tag,
	&ul_cmd_untag,
	&ul_cmd_pin,
	&ul_cmd_unpin,
	/* Leases and snapshots. */
	&ul_cmd_lease,
	&ul_cmd_snapshot,
	/* In and out. */
	IMPORT,
	EXPORT,
	UNPACK,
	/* Looking after it. */
	VERIFY,
	SERVE,
	NULL,
};

int main(int argc, char **argv)
{
	return ul_cli_main(ul_commands, argc, argv);
}
