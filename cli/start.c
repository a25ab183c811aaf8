#include "cli/main.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/help.h"
#include "cli/terminal.h"
#include "cli/text.h"

enum { COMMANDS_MAX = 64, PROGRAM_MAX_BYTES = 64 };

/*
 * A file that is opened must not become stdout. Written to, the stand-in
 * fails as a closed descriptor does.
 */
static void descriptors_fill(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static void error_say(const char *what, const char *why)
{
	struct ul_err err = UL_ERR_INIT;

	ul_err_set(&err, UL_E_IO, "%s: %s", what, why);
	ul_cli_fail(&err);
}

/* An answer that did not reach its reader is no answer. */
static int output_end(int status)
{
	bool is_bad = ferror(stdout);

	errno = 0;
	if (fflush(stdout))
		is_bad = true;
	if (!is_bad)
		return status;
	if (errno != EPIPE)
		error_say("writing the answer",
			  errno ? strerror(errno) : "failed");
	return status == UL_EXIT_DONE ? UL_EXIT_FAILED : status;
}

/* In the folder of /proc/self/exe, then where it was installed. */
static void program_exec(const char *program, char **argv)
{
	char path[4096 + PROGRAM_MAX_BYTES];
	ssize_t len = readlink("/proc/self/exe", path, 4096);
	char *slash = NULL;

	if (len > 0 && len < 4096) {
		path[len] = '\0';
		slash = strrchr(path, '/');
	}
	if (slash) {
		snprintf(slash, PROGRAM_MAX_BYTES, "/%s", program);
		execv(path, argv);
	}
	if (slash && errno != ENOENT)
		return;
	snprintf(path, sizeof path, "%s/%s", UL_LIBEXEC_PATH, program);
	execv(path, argv);
}

static int program_run(const char *program, char **argv)
{
	char what[PROGRAM_MAX_BYTES + 16];

	program_exec(program, argv);
	snprintf(what, sizeof what, "starting %s", program);
	error_say(what, strerror(errno));
	return UL_EXIT_FAILED;
}

static const struct ul_command *
command_find(const struct ul_command *const *commands, const char *name)
{
	static const struct ul_command none = { .name = NULL };
	const char *names[COMMANDS_MAX], *close;
	size_t i;

	for (i = 0; commands[i] && i < COMMANDS_MAX; i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
		names[i] = commands[i]->name;
	}
	close = ul_suggest(name, names, i);
	if (close)
		ul_cli_usage(&none, "no command \"%s\"; did you mean %s?", name,
			     close);
	else
		ul_cli_usage(&none, "no command \"%s\"", name);
	return NULL;
}

static bool is_elsewhere(const struct ul_command *command)
{
	return command->program && !command->run;
}

/* `ullage help [COMMAND [SUBCOMMAND]]` */
static int help_run(const struct ul_command *const *commands, int argc,
		    char **argv, char **all)
{
	const struct ul_command *command;

	if (argc == 0 || argv[0][0] == '-') {
		ul_help_overview(commands, ul_terminal()->out);
		return UL_EXIT_DONE;
	}
	command = command_find(commands, argv[0]);
	if (!command)
		return UL_EXIT_USAGE;
	if (is_elsewhere(command))
		return program_run(command->program, all);
	if (argc > 1 && command->subcommands) {
		command = ul_cli_subcommand(command, argv[1]);
		if (!command)
			return UL_EXIT_USAGE;
	}
	ul_help_command(command, ul_terminal()->out);
	return UL_EXIT_DONE;
}

/* Options may stand before the subcommand's name too. */
static int subcommand_run(struct ul_cli *cli, const struct ul_command *command,
			  int argc, char **argv)
{
	const struct ul_command *sub;
	struct ul_args args;

	ul_args_init(&args, command, argc, argv);
	args.is_before = true;
	if (ul_args_next(cli, &args) != -1)
		return UL_EXIT_USAGE;
	if (args.next >= argc)
		return ul_cli_usage(command, "which command of it?");
	sub = ul_cli_subcommand(command, argv[args.next]);
	if (!sub)
		return UL_EXIT_USAGE;
	return sub->run(cli, argc - args.next - 1, argv + args.next + 1);
}

static int command_run(struct ul_cli *cli, const struct ul_command *command,
		       int argc, char **argv, char **all)
{
	cli->command = command;
	if (is_elsewhere(command))
		return program_run(command->program, all);
	/* Given before the command's name. */
	if ((cli->now || cli->exclusive || cli->orphans) &&
	    !command->is_collecting)
		return ul_cli_usage(command,
				    "--now, --exclusive and --orphans go with "
				    "gc and prune");
	if (command->subcommands)
		return subcommand_run(cli, command, argc, argv);
	return command->run(cli, argc, argv);
}

static int dispatch(struct ul_cli *cli,
		    const struct ul_command *const *commands, int argc,
		    char **argv)
{
	static const struct ul_option own[] = {
		{ 0, "version", NULL, "show the version and exit" },
		{ .name = NULL },
	};
	static const struct ul_command before = { .options = own };
	const struct ul_command *command;
	struct ul_args args;
	int rc;

	ul_args_init(&args, &before, argc - 1, argv + 1);
	args.is_before = true;
	rc = ul_args_next(cli, &args);
	if (cli->is_help_shown)
		ul_help_overview(commands, ul_terminal()->out);
	else if (rc >= 0)
		fprintf(ul_terminal()->out, "ullage %s\n", UL_VERSION);
	if (rc != -1)
		return rc == -2 ? UL_EXIT_USAGE : UL_EXIT_DONE;
	argc = args.argc - args.next;
	if (!argc) {
		ul_help_overview(commands, ul_terminal()->talk);
		return UL_EXIT_USAGE;
	}
	if (!strcmp(args.argv[args.next], "help"))
		return help_run(commands, argc - 1, args.argv + args.next + 1,
				argv);
	command = command_find(commands, args.argv[args.next]);
	if (!command)
		return UL_EXIT_USAGE;
	return command_run(cli, command, argc - 1, args.argv + args.next + 1,
			   argv);
}

static int cli_end(struct ul_cli *cli, int status)
{
	if (cli->is_help_shown)
		status = UL_EXIT_DONE;
	else if (cli->is_misused)
		status = UL_EXIT_USAGE;
	ul_cli_release(cli);
	return status;
}

int ul_cli_run(const struct ul_command *const *commands,
	       const struct ul_cli *like, int argc, char **argv)
{
	struct ul_cli cli = {
		.grace_s = -1,
		.state_path = like->state_path,
		.is_state_named = like->is_state_named,
		.config_path = like->config_text ? like->config_path : NULL,
		.config_text = like->config_text,
		.config_text_len = like->config_text_len,
	};

	return cli_end(&cli, dispatch(&cli, commands, argc, argv));
}

int ul_cli_main(const struct ul_command *const *commands, int argc, char **argv)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_cli cli;
	int status;

	descriptors_fill();
	/* A reader that has seen enough ends us, and that is no error. */
	signal(SIGPIPE, SIG_DFL);
	if (ul_cli_init(&cli, &err))
		return ul_cli_fail(&err);
	status = dispatch(&cli, commands, argc, argv);
	return output_end(cli_end(&cli, status));
}
