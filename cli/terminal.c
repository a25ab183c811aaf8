#include "cli/terminal.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS_USUAL = 80, COLUMNS_MIN = 40, COLUMNS_MAX = 10000 };

static _Thread_local const struct ul_terminal *current;
static _Thread_local struct ul_terminal own;

const struct ul_terminal *ul_terminal(void)
{
	if (current)
		return current;
	/* What they are is known at run time only. */
	own.out = stdout;
	own.talk = stderr;
	return &own;
}

void ul_terminal_set(const struct ul_terminal *terminal)
{
	current = terminal;
}

bool ul_terminal_can_ask(void)
{
	return !current && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool ul_terminal_is_cut(FILE *out)
{
	if (current)
		return current->is_cut;
	return getenv("COLUMNS") || isatty(fileno(out));
}

static long columns_find(FILE *out)
{
	const char *set = getenv("COLUMNS");
	struct winsize window;
	long columns = set ? strtol(set, NULL, 10) : 0;

	if (columns <= 0 && !ioctl(fileno(out), TIOCGWINSZ, &window))
		columns = window.ws_col;
	return columns;
}

size_t ul_terminal_columns(FILE *out)
{
	long columns = current ? (long)current->columns : columns_find(out);

	if (columns <= 0 || columns > COLUMNS_MAX)
		columns = COLUMNS_USUAL;
	return columns < COLUMNS_MIN ? COLUMNS_MIN : (size_t)columns;
}
