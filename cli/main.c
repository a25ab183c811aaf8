/*
 * The table of commands. It is compiled twice: for ullage, which runs
 * ullage-transfer for what it lists but does not have, and for
 * ullage-transfer, which has everything.
 */
#include "cli/main.h"

#include <stddef.h>

#include "cli/commands.h"

#ifndef UL_TRANSFER
#define TRANSFER(NAME, word)                                                   \
	(&(const struct ul_command){ .name = (word),                           \
				     .summary = UL_SUMMARY_##NAME,             \
				     .is_transfer = true })
#define IMPORT TRANSFER(IMPORT, "import")
#define EXPORT TRANSFER(EXPORT, "export")
#define UNPACK TRANSFER(UNPACK, "unpack")
#define VERIFY TRANSFER(VERIFY, "verify")
#else
#define IMPORT (&ul_cmd_import)
#define EXPORT (&ul_cmd_export)
#define UNPACK (&ul_cmd_unpack)
#define VERIFY (&ul_cmd_verify)
#endif

static const struct ul_command *const commands[] = {
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
	NULL,
};

int main(int argc, char **argv)
{
	return ul_cli_main(commands, argc, argv);
}
