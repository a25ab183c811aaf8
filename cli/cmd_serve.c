/* `ullage serve`: the service, and the commands it carries out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/main.h"
#include "cli/terminal.h"
#include "service/config.h"
#include "service/limits.h"
#include "service/service.h"

static const struct ul_option options[] = {
	{ 0, "socket", "PATH", "answer there (/run/ullage/ullage.sock)" },
	{ .name = NULL },
};

struct serving {
	struct ul_cli *cli;
	const char *socket_path; /* NULL: the configuration's */
	struct ul_buf text;      /* of the configuration */
	struct ul_config config;
};

static void serving_release(struct serving *serving)
{
	ul_config_release(&serving->config);
	ul_buf_release(&serving->text);
}

/* Once, for all commands that it will run: none sees another one. */
static int config_read(struct serving *serving, struct ul_err *err)
{
	struct ul_cli *cli = serving->cli;
	int rc;

	/* The arguments are read by now, so that it is there and right. */
	if (!cli->config)
		return 0;
	rc = ul_file_read(AT_FDCWD, cli->config_path, UL_CONFIG_MAX_BYTES,
			  &serving->text, err);
	if (!rc)
		rc = ul_config_parse(ul_buf_str(&serving->text),
				     serving->text.len, cli->config_path,
				     &serving->config, err);
	if (rc)
		return rc;
	cli->config_text = ul_buf_str(&serving->text);
	cli->config_text_len = serving->text.len;
	return 0;
}

static bool on_progress(void *arg, const char *label, uint64_t done,
			uint64_t total, bool is_bytes)
{
	const struct ul_command_run *run = arg;

	(void)label;
	(void)done;
	(void)total;
	(void)is_bytes;
	return !run->is_stopping(run->arg);
}

/* argv[0] is the program's name. */
static char **argv_make(const struct ul_command_run *run)
{
	char **argv = ul_malloc(((size_t)run->count + 2) * sizeof *argv);

	if (!argv)
		return NULL;
	argv[0] = (char *)"ullage";
	memcpy(argv + 1, run->words, ((size_t)run->count + 1) * sizeof *argv);
	return argv;
}

static void command_run(void *arg, struct ul_command_run *run)
{
	const struct serving *serving = arg;
	ul_cleanup(ul_freep) char **argv = argv_make(run);
	struct ul_terminal terminal = {
		.out = open_memstream(&run->out, &run->out_len),
		.talk = open_memstream(&run->talk, &run->talk_len),
		.columns = run->columns,
		.is_cut = run->columns != 0,
		.progress = on_progress,
		.progress_arg = run,
		.error_code = &run->error_code,
	};

	if (argv && terminal.out && terminal.talk) {
		ul_terminal_set(&terminal);
		run->status =
		    ul_cli_run(ul_commands, serving->cli, run->count + 1, argv);
		ul_terminal_set(NULL);
	} else {
		run->status = UL_EXIT_FAILED;
		run->error_code = UL_E_NOMEM;
	}
	if (terminal.out)
		fclose(terminal.out);
	if (terminal.talk)
		fclose(terminal.talk);
}

static void on_ready(void *arg)
{
	struct serving *serving = arg;

	ul_cli_say(serving->cli, "serving on %s; SIGTERM or ^C ends it",
		   serving->socket_path ? serving->socket_path
					: serving->config.socket.path);
}

static int serve(struct serving *serving)
{
	const struct ul_service_options service = {
		.config = &serving->config,
		.socket_path = serving->socket_path,
		.state_path = serving->cli->state_path,
		.version = UL_VERSION,
		.runner = command_run,
		.runner_arg = serving,
		.ready = on_ready,
		.ready_arg = serving,
	};
	struct ul_err err = UL_ERR_INIT;
	int rc = config_read(serving, &err);

	if (!rc)
		rc = ul_service_run(&service, &err);
	return rc ? ul_cli_fail(&err) : UL_EXIT_DONE;
}

static int run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(serving_release) struct serving serving = {
		.cli = cli,
		.text = UL_BUF_INIT,
	};
	struct ul_args args;
	int option;

	ul_config_init(&serving.config);
	ul_args_init(&args, &ul_cmd_serve, argc, argv);
	while ((option = ul_args_next(cli, &args)) != -1) {
		if (option == -2)
			return UL_EXIT_USAGE;
		serving.socket_path = args.value;
	}
	if (cli->is_help_shown)
		return UL_EXIT_DONE;
	if (args.operand_count)
		return ul_cli_usage(&ul_cmd_serve, "\"%s\" is too much",
				    args.operands[0]);
	return serve(&serving);
}

const struct ul_command ul_cmd_serve = {
	.name = "serve",
	.summary = UL_SUMMARY_SERVE,
	.synopsis = "[--socket PATH]",
	.help = "Answers on a unix socket, as HTTP and JSON, what the commands "
		"answer; docs/api.md lists the paths. Who may ask, and who may "
		"change things, is in the configuration, ullage.json(5).",
	.examples = "ullage serve --socket /tmp/ullage.sock\n"
		    "serve on a socket of your own\n"
		    "curl --unix-socket /run/ullage/ullage.sock "
		    "http://ullage/v1/df\n"
		    "where the disk went, from the service",
	.options = options,
	.program = "ullage-service",
	.run = run,
};
