#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/config.h"
#include "cli/help.h"
#include "cli/terminal.h"

enum { ARGS_END = -1, ARGS_WRONG = -2, ARGS_TAKEN = -3 };
enum { OPTION_NUMBERED = 256, OPTIONS_MAX = 64 };

enum shared_option {
	SHARED_STORE,
	SHARED_STATE,
	SHARED_CONFIG,
	SHARED_NAMESPACE,
	SHARED_JSON,
	SHARED_QUIET,
	SHARED_NO_SERVICE,
	SHARED_AS_OF,
	SHARED_GRACE,
	SHARED_NOW,
	SHARED_EXCLUSIVE,
	SHARED_ORPHANS,
	SHARED_HELP,
	SHARED_COUNT
};

const struct ul_option ul_cli_options[SHARED_COUNT + 1] = {
	[SHARED_STORE] = { 0, "store", "NAME",
			   "embedded (default), oci:PATH, or a configured "
			   "name; "
			   "df, images: several" },
	[SHARED_STATE] = { 0, "state", "DIR",
			   "where the database and the embedded store are" },
	[SHARED_CONFIG] = { 0, "config", "FILE",
			    "read this and not /etc/ullage/ullage.json" },
	[SHARED_NAMESPACE] = { 0, "namespace", "NS",
			       "only this namespace (the embedded store has "
			       "none)" },
	[SHARED_JSON] = { 0, "json", NULL, "answer in JSON" },
	[SHARED_QUIET] = { 0, "quiet", NULL, "no talk on stderr but errors" },
	[SHARED_NO_SERVICE] = { 0, "no-service", NULL,
				"work in this process alone (so far all do)" },
	[SHARED_AS_OF] = { 0, "as-of", "UNIX_S",
			   "answer as of this time, in seconds since 1970" },
	[SHARED_GRACE] = { 0, "grace", "DURATION",
			   "keep what others let go of that long (1h; oci "
			   "24h)" },
	[SHARED_NOW] = { 0, "now", NULL,
			 "gc, prune: give bytes back at once, keep no trash" },
	[SHARED_EXCLUSIVE] = { 0, "exclusive", NULL,
			       "gc, prune: nobody else writes, or has mounts "
			       "that are not shown to this user" },
	[SHARED_ORPHANS] = { 0, "orphans", NULL,
			     "gc, prune: files of no record too (embedded: "
			     "always)" },
	[SHARED_HELP] = { 'h', "help", NULL, "show help and exit" },
	[SHARED_COUNT] = { .name = NULL },
};

/* An option as it was looked up. */
struct found {
	const struct ul_option *option; /* NULL: there is none */
	int position;
	bool is_shared;
};

void ul_args_init(struct ul_args *args, const struct ul_command *command,
		  int argc, char **argv)
{
	*args = (struct ul_args){
		.command = command,
		.argc = argc,
		.argv = argv,
		.operands = argv,
	};
}

static bool option_is(const struct ul_option *option, char letter,
		      const char *name, size_t len)
{
	if (letter)
		return option->letter == letter;
	return strlen(option->name) == len && !memcmp(option->name, name, len);
}

static struct found option_find(const struct ul_command *command, char letter,
				const char *name, size_t len)
{
	const struct ul_option *lists[] = { command->options, ul_cli_options };
	size_t i;
	int at;

	for (i = 0; i < ul_array_len(lists); i++) {
		for (at = 0; lists[i] && lists[i][at].name; at++) {
			if (option_is(&lists[i][at], letter, name, len))
				return (struct found){ &lists[i][at], at,
						       i == 1 };
		}
	}
	return (struct found){ .option = NULL };
}

static int option_unknown(const struct ul_command *command, const char *name,
			  size_t len)
{
	const struct ul_option *lists[] = { command->options, ul_cli_options };
	const char *names[OPTIONS_MAX], *close;
	char word[64];
	size_t i, count = 0;
	int at;

	for (i = 0; i < ul_array_len(lists); i++) {
		for (at = 0; lists[i] && lists[i][at].name; at++) {
			if (count < OPTIONS_MAX)
				names[count++] = lists[i][at].name;
		}
	}
	if (len >= sizeof word)
		len = sizeof word - 1;
	memcpy(word, name, len);
	word[len] = '\0';
	close = ul_suggest(word, names, count);
	if (close)
		ul_cli_usage(command, "no option \"--%s\"; did you mean --%s?",
			     word, close);
	else
		ul_cli_usage(command, "no option \"--%s\"", word);
	return ARGS_WRONG;
}

/* Seconds since 1970, after 1970. */
static bool parse_as_of(const char *text, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(text, &end, 10);
	return !errno && end != text && !*end && *ret > 0;
}

static int store_take(struct ul_cli *cli, struct ul_args *args)
{
	if (cli->store_count == UL_CLI_STORES_MAX) {
		ul_cli_usage(args->command, "more than %d stores",
			     UL_CLI_STORES_MAX);
		return ARGS_WRONG;
	}
	cli->stores[cli->store_count++] = args->value;
	cli->store_name = cli->stores[0];
	return ARGS_TAKEN;
}

static int shared_value(struct ul_cli *cli, struct ul_args *args,
			enum shared_option option)
{
	switch (option) {
	case SHARED_STORE:
		return store_take(cli, args);
	case SHARED_STATE:
		if (!*args->value) {
			ul_cli_usage(args->command, "--state needs a path");
			return ARGS_WRONG;
		}
		cli->state_path = args->value;
		cli->is_state_given = cli->is_state_named = true;
		break;
	case SHARED_CONFIG:
		cli->config_path = args->value;
		cli->is_config_named = true;
		break;
	case SHARED_NAMESPACE:
		cli->namespace_name = args->value;
		break;
	case SHARED_AS_OF:
		if (parse_as_of(args->value, &cli->as_of_unix_s))
			break;
		ul_cli_usage(args->command,
			     "--as-of takes seconds since 1970, not \"%s\"",
			     args->value);
		return ARGS_WRONG;
	default:
		if (ul_duration_parse(args->value, &cli->grace_s))
			break;
		ul_cli_usage(args->command,
			     "--grace takes a duration like 90s, 1h30m or "
			     "10d, not \"%s\"",
			     args->value);
		return ARGS_WRONG;
	}
	return ARGS_TAKEN;
}

/* Given to a command that removes nothing it would promise something. */
static bool is_out_of_place(const struct ul_args *args,
			    enum shared_option option)
{
	return args->command->run && !args->command->is_collecting &&
	       (option == SHARED_NOW || option == SHARED_EXCLUSIVE ||
		option == SHARED_ORPHANS);
}

static int shared_take(struct ul_cli *cli, struct ul_args *args,
		       enum shared_option option)
{
	if (is_out_of_place(args, option)) {
		ul_cli_usage(args->command, "--%s goes with gc and prune",
			     ul_cli_options[option].name);
		return ARGS_WRONG;
	}
	switch (option) {
	case SHARED_JSON:
		cli->json = true;
		break;
	case SHARED_QUIET:
		cli->quiet = true;
		break;
	case SHARED_NO_SERVICE:
		cli->no_service = true;
		break;
	case SHARED_NOW:
		cli->now = true;
		break;
	case SHARED_EXCLUSIVE:
		cli->exclusive = true;
		break;
	case SHARED_ORPHANS:
		cli->orphans = true;
		break;
	case SHARED_HELP:
		cli->is_help_shown = true;
		if (args->command->name)
			ul_help_command(args->command, ul_terminal()->out);
		return ARGS_WRONG;
	default:
		return shared_value(cli, args, option);
	}
	return ARGS_TAKEN;
}

static int option_take(struct ul_cli *cli, struct ul_args *args,
		       const struct found *found)
{
	if (found->is_shared)
		return shared_take(cli, args,
				   (enum shared_option)found->position);
	return found->option->letter ? found->option->letter
				     : OPTION_NUMBERED + found->position;
}

static int value_missing(const struct ul_args *args,
			 const struct ul_option *option)
{
	ul_cli_usage(args->command, "--%s needs a value: %s", option->name,
		     option->value);
	return ARGS_WRONG;
}

static int long_take(struct ul_cli *cli, struct ul_args *args, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	struct found found = option_find(args->command, 0, word, len);

	args->value = NULL;
	if (!found.option)
		return option_unknown(args->command, word, len);
	if (!found.option->value && equals) {
		ul_cli_usage(args->command, "--%s takes no value",
			     found.option->name);
		return ARGS_WRONG;
	}
	if (found.option->value && equals)
		args->value = equals + 1;
	else if (found.option->value && args->next < args->argc)
		args->value = args->argv[args->next++];
	else if (found.option->value)
		return value_missing(args, found.option);
	return option_take(cli, args, &found);
}

/* The next letter of "-ny" or "-oFILE". */
static int letter_take(struct ul_cli *cli, struct ul_args *args)
{
	const char *rest = args->bundle + 1;
	struct found found = option_find(args->command, *args->bundle, NULL, 0);

	args->value = NULL;
	if (!found.option) {
		ul_cli_usage(args->command, "no option \"-%.1s\"",
			     args->bundle);
		return ARGS_WRONG;
	}
	args->bundle = *rest ? rest : NULL;
	if (!found.option->value)
		return option_take(cli, args, &found);
	args->bundle = NULL;
	if (*rest)
		args->value = *rest == '=' ? rest + 1 : rest;
	else if (args->next < args->argc)
		args->value = args->argv[args->next++];
	else
		return value_missing(args, found.option);
	return option_take(cli, args, &found);
}

/* Operands move to the front of argv, over words that are done with. */
static int word_take(struct ul_cli *cli, struct ul_args *args, char *word)
{
	if (args->is_ended || word[0] != '-' || !word[1]) {
		args->operands[args->operand_count++] = word;
		return ARGS_TAKEN;
	}
	if (!strcmp(word, "--")) {
		args->is_ended = true;
		return ARGS_TAKEN;
	}
	if (word[1] == '-')
		return long_take(cli, args, word + 2);
	args->bundle = word + 1;
	return letter_take(cli, args);
}

static int args_end(struct ul_cli *cli, const struct ul_args *args)
{
	struct ul_err err = UL_ERR_INIT;

	if (args->is_before || !ul_cli_config_read(cli, &err))
		return ARGS_END;
	ul_cli_fail(&err);
	return ARGS_WRONG;
}

int ul_args_next(struct ul_cli *cli, struct ul_args *args)
{
	int rc = ARGS_TAKEN;

	while (rc == ARGS_TAKEN) {
		if (args->bundle)
			rc = letter_take(cli, args);
		else if (args->next >= args->argc)
			rc = args_end(cli, args);
		else if (args->is_before && args->argv[args->next][0] != '-')
			rc = ARGS_END;
		else
			rc = word_take(cli, args, args->argv[args->next++]);
	}
	return rc;
}
