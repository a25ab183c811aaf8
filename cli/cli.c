#include "cli/cli.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/config.h"
#include "cli/main.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "service/config.h"
#include "store/embedded/layout.h"
#include "store/embedded/store.h"

enum { LINE_MAX_BYTES = 2048 };

static void line_print(const char *before, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* Messages carry names from outside. */
static void line_print(const char *before, const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES];

	vsnprintf(line, sizeof line, fmt, ap);
	ul_text_clean(line);
	fprintf(ul_terminal()->talk, "%s%s\n", before, line);
}

/* The directory that holds a user's data (XDG base directories 0.8). */
static bool user_path(char path[], size_t size)
{
	const char *xdg = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");
	const struct passwd *user;

	if (xdg && *xdg == '/')
		return snprintf(path, size, "%s/ullage", xdg) < (int)size;
	if (!home || *home != '/') {
		user = getpwuid(geteuid());
		home = user ? user->pw_dir : NULL;
	}
	return home &&
	       snprintf(path, size, "%s/.local/share/ullage", home) < (int)size;
}

int ul_cli_init(struct ul_cli *cli, struct ul_err *err)
{
	const char *set = getenv("ULLAGE_STATE");
	const char *config = getenv("ULLAGE_CONFIG");

	*cli = (struct ul_cli){ .grace_s = -1 };
	cli->config_path = config ? config : UL_CONFIG_PATH;
	cli->is_config_named = config != NULL;
	cli->state_path = cli->state_default;
	if (set && *set) {
		cli->state_path = set;
		cli->is_state_named = true;
		return 0;
	}
	if (geteuid() == 0) {
		cli->state_path = "/var/lib/ullage";
		return 0;
	}
	if (!user_path(cli->state_default, sizeof cli->state_default))
		return ul_err_set(err, UL_E_INVALID,
				  "this user has no home directory; give "
				  "--state DIR");
	return 0;
}

void ul_cli_release(struct ul_cli *cli)
{
	ul_embedded_closep(&cli->store);
	ul_cli_config_free(cli);
}

static void say_waiting(void *arg, const char *holder, int limit_ms)
{
	ul_cli_say(arg,
		   "waiting for %s, which is changing the store; for %d "
		   "seconds at most",
		   holder, limit_ms / 1000);
}

static int layout_open(struct ul_cli *cli, const char *path, struct ul_err *err)
{
	const struct ul_command *command = cli->command;

	if (!*path) {
		cli->is_misused = true;
		return ul_err_set(err, UL_E_INVALID,
				  "--store oci: needs a path");
	}
	if (command && command->is_embedded) {
		cli->is_misused = true;
		return ul_err_set(err, UL_E_INVALID,
				  "`ullage %s` works on the embedded store "
				  "alone, not on %s",
				  command->name, cli->store_name);
	}
	return ul_layout_open(path, cli->state_path, &cli->store, err);
}

static int store_open(struct ul_cli *cli, struct ul_err *err)
{
	const char *name;
	int rc = ul_cli_config_choose(cli, err);

	if (rc)
		return rc;
	name = cli->store_name ? cli->store_name : "embedded";
	if (cli->store_count > 1 && !cli->is_each && !cli->is_store_chosen) {
		cli->is_misused = true;
		return ul_err_set(err, UL_E_INVALID,
				  "this is done in one store at a time; df "
				  "and images take several");
	}
	if (cli->namespace_name && *cli->namespace_name)
		return ul_err_set(err, UL_E_ABSENT,
				  "no namespace \"%s\": the %s store has none",
				  cli->namespace_name,
				  strncmp(name, "oci:", 4) ? "embedded"
							   : "oci");
	if (!strncmp(name, "oci:", 4))
		return layout_open(cli, name + 4, err);
	if (strcmp(name, "embedded") != 0)
		return ul_cli_config_no_store(cli, name, err);
	if (cli->makes_store)
		return ul_embedded_open(cli->state_path, &cli->store, err);
	if (cli->is_state_given && access(cli->state_path, F_OK) &&
	    errno == ENOENT)
		return ul_err_set(err, UL_E_ABSENT,
				  "no directory %s; `ullage import --state` "
				  "makes a store there",
				  cli->state_path);
	return ul_embedded_find(cli->state_path, &cli->store, err);
}

/* NULL: failed, and reported. */
static struct ul_embedded *store_get(struct ul_cli *cli)
{
	struct ul_err err = UL_ERR_INIT;

	if (cli->store)
		return cli->store;
	if (store_open(cli, &err)) {
		ul_cli_fail(&err);
		return NULL;
	}
	ul_cli_config_apply(cli);
	cli->store->waiting = say_waiting;
	cli->store->waiting_arg = cli;
	return cli->store;
}

struct ul_embedded *ul_cli_store(struct ul_cli *cli)
{
	bool is_first = !cli->store;
	struct ul_embedded *store = store_get(cli);

	if (store && store->is_absent && is_first)
		ul_cli_say(cli, "no store in %s yet; `ullage import` makes one",
			   cli->state_path);
	return store;
}

struct ul_embedded *ul_cli_change(struct ul_cli *cli)
{
	struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;

	if (cli->as_of_unix_s) {
		ul_err_set(&err, UL_E_INVALID,
			   "--as-of is for commands that change nothing");
		cli->is_misused = true;
		ul_cli_fail(&err);
		return NULL;
	}
	store = store_get(cli);
	if (store && ul_embedded_lock(store, &err)) {
		ul_cli_fail(&err);
		return NULL;
	}
	return store;
}

int ul_cli_scan_holding(struct ul_cli *cli, bool for_change, const char *hold,
			struct ul_view *ret_view, struct ul_err *err)
{
	struct ul_progress progress;
	struct ul_scan_options options = {
		.as_of_unix_s = ul_cli_now(cli),
		.for_change = for_change,
		.hold = hold,
		.is_as_of = cli->as_of_unix_s != 0,
		.progress = ul_progress_walk,
		.arg = &progress,
	};
	int rc;

	ul_progress_start(&progress, cli, "reading the store", 0);
	rc = cli->store->base.ops->scan(&cli->store->base, &options, ret_view,
					err);
	ul_progress_end(&progress);
	return rc;
}

int ul_cli_scan(struct ul_cli *cli, bool for_change, struct ul_view *ret_view,
		struct ul_err *err)
{
	return ul_cli_scan_holding(cli, for_change, NULL, ret_view, err);
}

int64_t ul_cli_now(const struct ul_cli *cli)
{
	return cli->as_of_unix_s ? cli->as_of_unix_s : ul_clock_unix_s();
}

const char *ul_cli_us(struct ul_cli *cli)
{
	snprintf(cli->us, sizeof cli->us, "ullage%s%s%s%s",
		 cli->is_state_given ? " --state " : "",
		 cli->is_state_given ? cli->state_path : "",
		 cli->store_name ? " --store " : "",
		 cli->store_name ? cli->store_name : "");
	return cli->us;
}

static void error_print(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

static void error_print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_print("ullage: ", fmt, ap);
	va_end(ap);
}

int ul_cli_fail(const struct ul_err *err)
{
	fflush(ul_terminal()->out);
	if (ul_terminal()->error_code)
		*ul_terminal()->error_code = err->code;
	if (err->code == UL_E_CANCELED)
		error_print("interrupted");
	else
		error_print("%s", err->msg);
	return err->code == UL_E_INVALID ? UL_EXIT_USAGE : UL_EXIT_FAILED;
}

void ul_cli_say(const struct ul_cli *cli, const char *fmt, ...)
{
	va_list ap;

	if (cli->quiet)
		return;
	va_start(ap, fmt);
	line_print("", fmt, ap);
	va_end(ap);
}

int ul_cli_usage(const struct ul_command *command, const char *fmt, ...)
{
	const char *name = command->name ? command->name : "";
	const char *see = "; see";
	char text[LINE_MAX_BYTES / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (*text && text[strlen(text) - 1] == '?')
		see = " See";
	error_print("%s%s%s%s `ullage %s%s--help`", name, *name ? ": " : "",
		    text, see, name, *name ? " " : "");
	return UL_EXIT_USAGE;
}

int ul_cli_ask(const char *fmt, ...)
{
	char question[LINE_MAX_BYTES / 2], answer[16];
	va_list ap;

	fflush(ul_terminal()->out);
	if (!ul_terminal_can_ask()) {
		error_print("no terminal to ask on; -y answers yes");
		return -1;
	}
	va_start(ap, fmt);
	vsnprintf(question, sizeof question, fmt, ap);
	va_end(ap);
	ul_text_clean(question);
	fprintf(stderr, "%s [y/N] ", question);
	if (!fgets(answer, sizeof answer, stdin)) {
		fputc('\n', stderr);
		return 0;
	}
	answer[strcspn(answer, "\n")] = '\0';
	return !strcasecmp(answer, "y") || !strcasecmp(answer, "yes");
}

static const struct ul_command *
subcommand_find(const struct ul_command *command, const char *word)
{
	size_t i, len = strlen(command->name) + 1;

	for (i = 0; command->subcommands[i]; i++) {
		if (!strcmp(command->subcommands[i]->name + len, word))
			return command->subcommands[i];
	}
	return NULL;
}

const struct ul_command *ul_cli_subcommand(const struct ul_command *command,
					   const char *word)
{
	enum { WORDS_MAX = 16 };
	const char *words[WORDS_MAX], *close;
	size_t i, len = strlen(command->name) + 1;
	const struct ul_command *found = subcommand_find(command, word);

	if (found)
		return found;
	for (i = 0; i < WORDS_MAX && command->subcommands[i]; i++)
		words[i] = command->subcommands[i]->name + len;
	close = ul_suggest(word, words, i);
	if (close)
		ul_cli_usage(command, "no command \"%s\"; did you mean %s?",
			     word, close);
	else
		ul_cli_usage(command, "no command \"%s\"", word);
	return NULL;
}
