/*
 * cli/help.h - help texts, laid out to the terminal.
 */
#ifndef UL_CLI_HELP_H
#define UL_CLI_HELP_H

#include <stdio.h>

struct ul_command;

/* `ullage --help`: all commands (ends with NULL) and the shared options. */
void ul_help_overview(const struct ul_command *const *commands, FILE *out);

/* `ullage help COMMAND`: synopsis, paragraphs, options, examples. */
void ul_help_command(const struct ul_command *command, FILE *out);

#endif
