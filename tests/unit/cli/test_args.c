#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/main.h"

enum { WORDS_MAX = 32, TEXT_MAX = 1024 };

static const struct ul_option options[] = {
	{ 'n', "dry-run", NULL, "only show" },
	{ 'y', "yes", NULL, "do not ask" },
	{ 'o', "output", "FILE", "save the plan" },
	{ 0, "filter", "KEY=VALUE", "only those" },
	{ .name = NULL },
};

static const struct ul_command command = {
	.name = "prune",
	.options = options,
};

struct parsed {
	struct ul_cli cli;
	char *words[WORDS_MAX];
	struct ul_args args;
	char text[TEXT_MAX]; /* options in order: "n o=FILE 259=x" */
	char said[TEXT_MAX]; /* on stderr */
	int end;
};

/* What is written to stderr meanwhile. */
static int capture_start(FILE **file)
{
	int saved = dup(STDERR_FILENO);

	*file = tmpfile();
	fflush(stderr);
	dup2(fileno(*file), STDERR_FILENO);
	return saved;
}

static void capture_end(FILE *file, int saved, char *text)
{
	size_t len;

	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	len = fread(text, 1, TEXT_MAX - 1, file);
	text[len] = '\0';
	fclose(file);
}

/* Words separated by blanks; '_' stands for an empty one. */
static void parse(struct parsed *parsed, const char *line, bool is_before)
{
	static char words[TEXT_MAX];
	int count = 0, option, saved;
	char *word, *rest = words;
	FILE *file;

	memset(parsed, 0, sizeof *parsed);
	snprintf(words, sizeof words, "%s", line);
	while ((word = strsep(&rest, " "))) {
		if (*word)
			parsed->words[count++] =
			    strcmp(word, "_") ? word : word + 1;
	}
	parsed->cli.grace_s = -1;
	ul_args_init(&parsed->args, &command, count, parsed->words);
	parsed->args.is_before = is_before;
	saved = capture_start(&file);
	while ((option = ul_args_next(&parsed->cli, &parsed->args)) >= 0) {
		size_t len = strlen(parsed->text);

		snprintf(parsed->text + len, TEXT_MAX - len,
			 option < 256 ? "%s%c" : "%s%d", len ? " " : "",
			 option);
		len = strlen(parsed->text);
		if (parsed->args.value)
			snprintf(parsed->text + len, TEXT_MAX - len, "=%s",
				 parsed->args.value);
	}
	parsed->end = option;
	capture_end(file, saved, parsed->said);
}

static void assert_parse(const char *line, const char *wanted,
			 const char *operands)
{
	struct parsed parsed;
	char joined[TEXT_MAX] = "";
	int i;

	parse(&parsed, line, false);
	assert_string_equal(parsed.said, "");
	assert_int_equal(parsed.end, -1);
	assert_string_equal(parsed.text, wanted);
	for (i = 0; i < parsed.args.operand_count; i++)
		snprintf(joined + strlen(joined), TEXT_MAX - strlen(joined),
			 "%s%s", i ? " " : "", parsed.args.operands[i]);
	assert_string_equal(joined, operands);
}

static void assert_wrong(const char *line, const char *said)
{
	struct parsed parsed;

	parse(&parsed, line, false);
	assert_int_equal(parsed.end, -2);
	assert_string_equal(parsed.said, said);
}

static void test_args__all_forms_of_an_option(void **state)
{
	(void)state;
	assert_parse("", "", "");
	assert_parse("-n", "n", "");
	assert_parse("--dry-run", "n", "");
	assert_parse("-ny", "n y", "");
	assert_parse("-o FILE", "o=FILE", "");
	assert_parse("-oFILE", "o=FILE", "");
	assert_parse("-o=FILE", "o=FILE", "");
	assert_parse("-nyo FILE", "n y o=FILE", "");
	assert_parse("--output FILE", "o=FILE", "");
	assert_parse("--output=FILE", "o=FILE", "");
	assert_parse("--output=a=b", "o=a=b", "");
	assert_parse("--output=", "o=", "");
	assert_parse("--output _", "o=", "");
	assert_parse("--filter until=1h --filter label!=a",
		     "259=until=1h 259=label!=a", "");
	assert_parse("-o -n", "o=-n", "");
}

static void test_args__operands_keep_their_order(void **state)
{
	(void)state;
	assert_parse("a -n b --output f c", "n o=f", "a b c");
	assert_parse("- a", "", "- a");
	assert_parse("a -- -n --output", "", "a -n --output");
	assert_parse("-- --", "", "--");
	assert_parse("_ x", "", " x");
}

static void test_args__shared_options_are_taken_in_silently(void **state)
{
	struct parsed parsed;

	(void)state;
	parse(&parsed,
	      "--json -n --state /s --store=embedded a --grace 1h30m --now "
	      "--quiet --exclusive --orphans --no-service --as-of 5 "
	      "--namespace k8s.io",
	      false);
	assert_int_equal(parsed.end, -1);
	assert_string_equal(parsed.text, "n");
	assert_true(parsed.cli.json && parsed.cli.now && parsed.cli.quiet);
	assert_true(parsed.cli.exclusive && parsed.cli.orphans);
	assert_true(parsed.cli.no_service);
	assert_string_equal(parsed.cli.state_path, "/s");
	assert_string_equal(parsed.cli.store_name, "embedded");
	assert_string_equal(parsed.cli.namespace_name, "k8s.io");
	assert_int_equal(parsed.cli.grace_s, 5400);
	assert_int_equal(parsed.cli.as_of_unix_s, 5);
	assert_int_equal(parsed.args.operand_count, 1);
}

static void test_args__mistakes_are_said_with_the_way_to_help(void **state)
{
	(void)state;
	assert_wrong("-x", "ullage: prune: no option \"-x\"; see `ullage "
			   "prune --help`\n");
	assert_wrong("-nx", "ullage: prune: no option \"-x\"; see `ullage "
			    "prune --help`\n");
	assert_wrong("--dry-rnu", "ullage: prune: no option \"--dry-rnu\"; did "
				  "you mean --dry-run? See `ullage prune "
				  "--help`\n");
	assert_wrong("--jsno", "ullage: prune: no option \"--jsno\"; did you "
			       "mean --json? See `ullage prune --help`\n");
	assert_wrong("--output", "ullage: prune: --output needs a value: FILE; "
				 "see `ullage prune --help`\n");
	assert_wrong("a -o", "ullage: prune: --output needs a value: FILE; see "
			     "`ullage prune --help`\n");
	assert_wrong("--yes=no", "ullage: prune: --yes takes no value; see "
				 "`ullage prune --help`\n");
	assert_wrong("--grace soon",
		     "ullage: prune: --grace takes a duration like 90s, 1h30m "
		     "or 10d, not \"soon\"; see `ullage prune --help`\n");
	assert_wrong("--as-of=-4",
		     "ullage: prune: --as-of takes seconds since 1970, not "
		     "\"-4\"; see `ullage prune --help`\n");
	assert_wrong("--state _", "ullage: prune: --state needs a path; see "
				  "`ullage prune --help`\n");
	assert_wrong("--\033[2J", "ullage: prune: no option \"--?[2J\"; see "
				  "`ullage prune --help`\n");
}

static void test_args__before_the_command_it_stops_at_its_name(void **state)
{
	struct parsed parsed;

	(void)state;
	parse(&parsed, "--json df -n", true);
	assert_int_equal(parsed.end, -1);
	assert_true(parsed.cli.json);
	assert_int_equal(parsed.args.next, 1);
	assert_string_equal(parsed.text, "");
}

static void test_args__the_state_directory_follows_the_environment(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_cli cli;

	(void)state;
	setenv("ULLAGE_STATE", "/elsewhere", 1);
	assert_int_equal(ul_cli_init(&cli, &err), 0);
	assert_string_equal(cli.state_path, "/elsewhere");
	assert_int_equal(cli.grace_s, -1);
	unsetenv("ULLAGE_STATE");
	setenv("XDG_DATA_HOME", "/data", 1);
	assert_int_equal(ul_cli_init(&cli, &err), 0);
	if (geteuid() == 0) {
		assert_string_equal(cli.state_path, "/var/lib/ullage");
		return;
	}
	assert_string_equal(cli.state_path, "/data/ullage");
	setenv("XDG_DATA_HOME", "relative", 1);
	setenv("HOME", "/home/x", 1);
	assert_int_equal(ul_cli_init(&cli, &err), 0);
	assert_string_equal(cli.state_path, "/home/x/.local/share/ullage");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_args__all_forms_of_an_option),
		cmocka_unit_test(test_args__operands_keep_their_order),
		cmocka_unit_test(
		    test_args__shared_options_are_taken_in_silently),
		cmocka_unit_test(
		    test_args__mistakes_are_said_with_the_way_to_help),
		cmocka_unit_test(
		    test_args__before_the_command_it_stops_at_its_name),
		cmocka_unit_test(
		    test_args__the_state_directory_follows_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
