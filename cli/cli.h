/*
 * cli/cli.h - what all commands share: options, the opened store, exit codes.
 *
 * One file a command (cmd_NAME.c) with its help, its options and its run
 * function, and one line in the table of main.c. Answers go to stdout, talk
 * to stderr, through the functions below. Commands that import, export or
 * unpack are linked into a second executable, ullage-transfer, which ullage
 * runs in its place: the others start four times as fast without its
 * libraries.
 */
#ifndef UL_CLI_CLI_H
#define UL_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/human.h"

struct ul_config;
struct ul_embedded;
struct ul_store;
struct ul_view;

enum ul_exit {
	UL_EXIT_DONE = 0,
	UL_EXIT_FAILED = 1,
	UL_EXIT_USAGE = 2,
	UL_EXIT_LEFT = 3, /* done, but something the plan named was left */
};

/* Stores that one command line names. */
#define UL_CLI_STORES_MAX 64

/* Options that any command takes, before or after its name. */
struct ul_cli {
	const struct ul_command *command; /* that runs; NULL before */
	const char *state_path; /* --state, else the default for this user */
	bool is_state_given;    /* by --state */
	bool is_state_named;    /* by that or ULLAGE_STATE */
	/* --config, ULLAGE_CONFIG, else the usual one. */
	const char *config_path;
	bool is_config_named;    /* by one of the first two */
	const char *config_text; /* borrowed: read instead of the file */
	size_t config_text_len;
	struct ul_config *config; /* owned; NULL: there is no file */
	bool makes_store;         /* set by commands that put something in: a
				     store is made where there is none */
	const char *stores[UL_CLI_STORES_MAX]; /* --store, in order */
	size_t store_count;
	bool is_store_chosen;       /* they are those of the configuration */
	bool is_each;               /* the command goes through all of them */
	const char *store_name;     /* the one to open; NULL: embedded */
	const char *namespace_name; /* --namespace, or NULL */
	bool json, quiet, no_service;
	bool now, exclusive, orphans;
	bool is_help_shown;   /* --help was met: all is done, exit status 0 */
	bool is_misused;      /* whatever the command says: UL_EXIT_USAGE */
	int64_t grace_s;      /* --grace, or -1 */
	int64_t as_of_unix_s; /* --as-of, or 0: the clock's */
	char state_default[4096];
	char us[2 * 4096];         /* see ul_cli_us() */
	struct ul_embedded *store; /* owned; opened by ul_cli_store() */
};

/* An option of one command. */
struct ul_option {
	char letter;       /* 0: none */
	const char *name;  /* long form without the dashes */
	const char *value; /* name of its value for the help, NULL: a flag */
	const char *help;  /* one line */
};

struct ul_command {
	const char *name;
	const char *summary;  /* one line for `ullage --help` */
	const char *synopsis; /* "[-n] [-y] [NAME|PATTERN ...]" */
	/* Paragraphs with an empty line between, or NULL. They are wrapped to
	 * the terminal; lines that begin with a blank are printed as they
	 * stand. */
	const char *help;
	/* Pairs of lines: "ullage prune -n", then what that does; or NULL. */
	const char *examples;
	const struct ul_option *options; /* ends with name NULL; or NULL */
	/* "lease create" and its like, ends with NULL; or NULL. */
	const struct ul_command *const *subcommands;
	bool is_collecting;  /* --now, --exclusive, --orphans mean something */
	const char *program; /* that it lives in: "ullage-transfer"; or NULL */
	bool is_embedded;    /* works on the embedded store alone */
	/* argv[0] is the first argument after the command's name. NULL in
	 * ullage for what only ullage-transfer has, and with subcommands. */
	int (*run)(struct ul_cli *cli, int argc, char **argv);
};

/* The options of ul_cli, for help and completion; ends with name NULL. */
extern const struct ul_option ul_cli_options[];

/*
 * Walk through a command's arguments: its own options (of command->options)
 * are returned by their letter, or by 256 + position for those without;
 * options of ul_cli are taken in silently; -1 at the end. `--` ends options,
 * "-x=V", "--long V", "--long=V" and bundled flags are understood. At the end
 * of a command's arguments the configuration is read. -2: a mistake in one of
 * them, already reported; return UL_EXIT_USAGE.
 */
struct ul_args {
	const struct ul_command *command;
	int argc;
	char **argv;
	int next;
	const char *value; /* of the option just returned */
	char **operands;   /* what is no option, in order */
	int operand_count;
	const char *bundle; /* inside "-ny" */
	bool is_ended;      /* "--" was seen */
	bool is_before;     /* before the command's name: stop there */
};
void ul_args_init(struct ul_args *args, const struct ul_command *command,
		  int argc, char **argv);
int ul_args_next(struct ul_cli *cli, struct ul_args *args);

/*
 * The embedded store, opened on first use. Where there is none it is an empty
 * one (is_absent), which was said. NULL: failed, and reported; the command
 * returns UL_EXIT_FAILED.
 */
struct ul_embedded *ul_cli_store(struct ul_cli *cli);

/*
 * The same, locked for a change: give it to ul_embedded_unlockp(). NULL:
 * failed, and reported.
 */
struct ul_embedded *ul_cli_change(struct ul_cli *cli);

/*
 * Scan the store that was opened, with a progress line. for_change: about to
 * remove something, so roots are read twice; under the lock.
 * Owner:   *ret_view, released by ul_view_release().
 * Returns: as ul_store_ops.scan.
 */
int ul_cli_scan(struct ul_cli *cli, bool for_change, struct ul_view *ret_view,
		struct ul_err *err);

/* The same, with a blob's digest as one more root; NULL: none. */
int ul_cli_scan_holding(struct ul_cli *cli, bool for_change, const char *hold,
			struct ul_view *ret_view, struct ul_err *err);

/* The time that commands which change nothing go by. */
int64_t ul_cli_now(const struct ul_cli *cli);

/*
 * "ullage: message" on stderr. Returns the exit status for the error: USAGE
 * for UL_E_INVALID, else FAILED.
 */
int ul_cli_fail(const struct ul_err *err);

/*
 * For advice: "ullage", with the --state and --store that name the same store
 * again. Valid until the next call.
 */
const char *ul_cli_us(struct ul_cli *cli);

/* A line of talk on stderr, unless --quiet. */
void ul_cli_say(const struct ul_cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * "ullage: COMMAND: message; see `ullage COMMAND --help`" on stderr;
 * UL_EXIT_USAGE.
 */
int ul_cli_usage(const struct ul_command *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Ask a yes/no question on the terminal. 1 yes, 0 no, -1: there is no
 * terminal to ask on, which was reported; UL_EXIT_USAGE.
 */
int ul_cli_ask(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A progress line on stderr, drawn over itself, for work that takes over a
 * second; nothing unless stderr is a terminal and --quiet is not given. The
 * update function fits the progress callbacks of scan, walk and unpack.
 *
 * From start to end, SIGINT, SIGTERM and SIGHUP do not kill: the next update
 * returns false, work ends between two steps with UL_E_CANCELED, and a second
 * signal kills. One progress at a time.
 */
struct ul_progress {
	const char *label;
	int64_t started_ns, drawn_ns;
	uint64_t total; /* 0: unknown */
	bool is_on;
	bool is_bytes; /* `done` is bytes */
};
void ul_progress_start(struct ul_progress *progress, const struct ul_cli *cli,
		       const char *label, uint64_t total);
bool ul_progress_update(struct ul_progress *progress, uint64_t done);
bool ul_progress_walk(void *progress, uint64_t objects, uint64_t bytes);
void ul_progress_end(struct ul_progress *progress);

/* The closest of some words, or NULL where none is close ("did you mean"). */
const char *ul_suggest(const char *word, const char *const *words,
		       size_t count);

#endif
