#include "cli/help.h"

#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/terminal.h"
#include "cli/text.h"

/* Wider terminals do not make longer lines: nobody reads those. */
enum { HELP_COLUMNS_MAX = 80, LEFT_MAX = 26, LEFT_TEXT_MAX = 96, GAP = 2 };

static size_t help_columns(FILE *out)
{
	size_t columns = ul_terminal_columns(out);

	return columns > HELP_COLUMNS_MAX ? HELP_COLUMNS_MAX : columns;
}

static void option_left(const struct ul_option *option,
			char text[LEFT_TEXT_MAX])
{
	char letter[] = "    ";

	if (option->letter)
		snprintf(letter, sizeof letter, "-%c, ", option->letter);
	snprintf(text, LEFT_TEXT_MAX, "%s--%s%s%s", letter, option->name,
		 option->value ? " " : "", option->value ? option->value : "");
}

/* A term, and what it means beside or, where the term is long, below it. */
static void print_pair(const char *left, size_t left_width, const char *text,
		       FILE *out)
{
	size_t indent = left_width + 2 + GAP;
	size_t width = help_columns(out) - indent;
	size_t len, line = 0;

	fprintf(out, "  %-*s", (int)left_width, left);
	if (strlen(left) > left_width)
		fprintf(out, "\n%*s", (int)left_width + 2, "");
	fprintf(out, "%*s", GAP, "");
	while (*text) {
		len = strcspn(text, " ");
		if (line && line + 1 + len > width) {
			fprintf(out, "\n%*s", (int)indent, "");
			line = 0;
		}
		fprintf(out, "%s%.*s", line ? " " : "", (int)len, text);
		line += len + (line ? 1 : 0);
		text += len + strspn(text + len, " ");
	}
	fputc('\n', out);
}

static size_t options_width(const struct ul_option *options, size_t width)
{
	char left[LEFT_TEXT_MAX];
	size_t i;

	for (i = 0; options && options[i].name; i++) {
		option_left(&options[i], left);
		if (strlen(left) > width && strlen(left) <= LEFT_MAX)
			width = strlen(left);
	}
	return width;
}

static void print_options(const char *heading, const struct ul_option *options,
			  FILE *out)
{
	size_t width = options_width(options, 0), i;
	char left[LEFT_TEXT_MAX];

	if (!options || !options[0].name)
		return;
	fprintf(out, "\n%s:\n", heading);
	for (i = 0; options[i].name; i++) {
		option_left(&options[i], left);
		print_pair(left, width, options[i].help, out);
	}
}

/* "usage: ullage tag ...", broken between its parts. */
static void print_synopsis(const struct ul_command *command, bool is_first,
			   FILE *out)
{
	const char *text = command->synopsis ? command->synopsis : "";
	size_t columns = help_columns(out), line, indent, len;

	indent = (size_t)fprintf(out, "%s ullage %s",
				 is_first ? "Usage:" : "      ", command->name);
	line = indent;
	while (*text) {
		len = *text == '[' ? strcspn(text, "]") : strcspn(text, " ");
		len += strcspn(text + len, " ");
		if (line + 1 + len > columns && line > indent) {
			fprintf(out, "\n%*s", (int)indent, "");
			line = indent;
		}
		fprintf(out, " %.*s", (int)len, text);
		line += 1 + len;
		text += len + strspn(text + len, " ");
	}
	fputc('\n', out);
}

static void print_synopses(const struct ul_command *command, FILE *out)
{
	size_t i;

	if (!command->subcommands)
		print_synopsis(command, true, out);
	for (i = 0; command->subcommands && command->subcommands[i]; i++)
		print_synopsis(command->subcommands[i], i == 0, out);
}

static void print_commands(const char *heading,
			   const struct ul_command *const *commands,
			   size_t skip_len, FILE *out)
{
	size_t width = 0, i;

	fprintf(out, "\n%s:\n", heading);
	for (i = 0; commands[i]; i++) {
		if (strlen(commands[i]->name + skip_len) > width)
			width = strlen(commands[i]->name + skip_len);
	}
	for (i = 0; commands[i]; i++)
		print_pair(commands[i]->name + skip_len, width,
			   commands[i]->summary, out);
}

/* Pairs of lines: a command, and what it does. */
static void print_examples(const char *text, FILE *out)
{
	bool is_command = true;
	size_t len;

	if (!text)
		return;
	fputs("\nExamples:\n", out);
	while (*text) {
		len = strcspn(text, "\n");
		fprintf(out, "%s%.*s\n", is_command ? "  " : "        ",
			(int)len, text);
		is_command = !is_command;
		text += len + (text[len] == '\n');
	}
}

static void print_summary(const struct ul_command *command, FILE *out)
{
	const char *text = command->summary;

	fputc('\n', out);
	if (*text >= 'a' && *text <= 'z')
		fputc(*text++ - 'a' + 'A', out);
	fprintf(out, "%s.\n", text);
}

void ul_help_command(const struct ul_command *command, FILE *out)
{
	size_t i;

	print_synopses(command, out);
	print_summary(command, out);
	if (command->help) {
		fputc('\n', out);
		ul_text_wrap(command->help, 0, help_columns(out), out);
	}
	if (command->subcommands)
		print_commands("Commands", command->subcommands,
			       strlen(command->name) + 1, out);
	print_options("Options", command->options, out);
	for (i = 0; command->subcommands && command->subcommands[i]; i++) {
		char heading[64];

		snprintf(heading, sizeof heading, "Options of %s",
			 command->subcommands[i]->name);
		print_options(heading, command->subcommands[i]->options, out);
	}
	fputs("\n`ullage --help` lists the options of all commands.\n", out);
	print_examples(command->examples, out);
}

void ul_help_overview(const struct ul_command *const *commands, FILE *out)
{
	fputs("Usage: ullage [OPTION ...] COMMAND [ARGUMENT ...]\n\n", out);
	ul_text_wrap("Where the disk space of container images went, why it "
		     "is still there, and giving it back safely.",
		     0, help_columns(out), out);
	print_commands("Commands", commands, 0, out);
	print_options("Options of all commands", ul_cli_options, out);
	print_options("Options without a command",
		      (const struct ul_option[]){
			  { 0, "version", NULL, "show the version and exit" },
			  { .name = NULL } },
		      out);
	fputs("\nExit status: 0 done, 1 failed, 2 wrong usage, 3 done but "
	      "something was left.\n"
	      "`ullage help COMMAND` says more; so does ullage(1).\n",
	      out);
	print_examples("ullage import app.tar\n"
		       "take in an image that docker save wrote\n"
		       "ullage df\n"
		       "see where the bytes are\n"
		       "ullage prune -n\n"
		       "see what can go, and how much that gives\n",
		       out);
}
