/*
 * cli/commands.h - every command, one file each (cmd_NAME.c).
 */
#ifndef UL_CLI_COMMANDS_H
#define UL_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct ul_command ul_cmd_df;
extern const struct ul_command ul_cmd_images;
extern const struct ul_command ul_cmd_why;
extern const struct ul_command ul_cmd_gc;
extern const struct ul_command ul_cmd_prune;
extern const struct ul_command ul_cmd_undo;
extern const struct ul_command ul_cmd_history;
extern const struct ul_command ul_cmd_pin;
extern const struct ul_command ul_cmd_unpin;
extern const struct ul_command ul_cmd_tag;
extern const struct ul_command ul_cmd_untag;
extern const struct ul_command ul_cmd_lease;
extern const struct ul_command ul_cmd_snapshot;

/* In ullage-transfer only. ullage lists them by these lines. */
extern const struct ul_command ul_cmd_import;
extern const struct ul_command ul_cmd_export;
extern const struct ul_command ul_cmd_unpack;
extern const struct ul_command ul_cmd_verify;
#define UL_SUMMARY_VERIFY "check the store, and put it in order"
#define UL_SUMMARY_IMPORT "take in images from an archive or a layout"
#define UL_SUMMARY_EXPORT "write images to an archive"
#define UL_SUMMARY_UNPACK "unpack the layers of images into snapshots"

/* In ullage-service only. */
extern const struct ul_command ul_cmd_serve;
#define UL_SUMMARY_SERVE "serve the stores on a socket"

/* All that this program has or runs, in the order of the help; ends with
 * NULL. */
extern const struct ul_command *const ul_commands[];

#endif
