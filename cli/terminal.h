/*
 * cli/terminal.h - where a command's answer and talk go.
 *
 * A command run by a person writes to stdout and stderr. The service runs the
 * same commands for its clients, several at once, each on a thread of its own
 * with a terminal that collects what is said: so that both say the same.
 */
#ifndef UL_CLI_TERMINAL_H
#define UL_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* How far work has come; false: it is to end between two steps. */
typedef bool ul_terminal_progress(void *arg, const char *label, uint64_t done,
				  uint64_t total, bool is_bytes);

struct ul_terminal {
	FILE *out;  /* answers */
	FILE *talk; /* all else */
	/* Columns of the one who reads; 0: what the files themselves say. */
	size_t columns;
	bool is_cut; /* with columns: tables are cut to them */
	/* NULL: this process's own, with signals and a line on the terminal. */
	ul_terminal_progress *progress;
	void *progress_arg;
	int *error_code; /* set to that of each error that is said; or NULL */
};

/* This thread's: stdout and stderr unless another was set. Never NULL. */
const struct ul_terminal *ul_terminal(void);

/* From here on in this thread; NULL: stdout and stderr again. Not owned. */
void ul_terminal_set(const struct ul_terminal *terminal);

/* Whether somebody can be asked: stdin and stderr are a person's. */
bool ul_terminal_can_ask(void);

/* Whether a person reads `out`, to whose columns tables are cut. */
bool ul_terminal_is_cut(FILE *out);

/* Columns of who reads `out`: what COLUMNS says, else what the terminal behind
 * it says, else 80; 40 at least. */
size_t ul_terminal_columns(FILE *out);

#endif
