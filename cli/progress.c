#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/terminal.h"
#include "cli/text.h"

#define NS_PER_S 1000000000ll

/* Nothing is drawn for what is done within a second; then ten times one. */
enum { LINE_MAX_BYTES = 256 };
#define FIRST_NS NS_PER_S
#define AGAIN_NS (NS_PER_S / 10)

static const int stopping[] = { SIGINT, SIGTERM, SIGHUP };
static struct sigaction before[ul_array_len(stopping)];
static volatile sig_atomic_t is_interrupted;

static void interrupt(int number)
{
	(void)number;
	is_interrupted = 1;
}

static void signals_catch(void)
{
	struct sigaction catching = { .sa_handler = interrupt,
				      .sa_flags = SA_RESETHAND | SA_RESTART };
	size_t i;

	is_interrupted = 0;
	for (i = 0; i < ul_array_len(stopping); i++) {
		sigaction(stopping[i], NULL, &before[i]);
		/* nohup and shells without job control ignore some. */
		if (before[i].sa_handler != SIG_IGN)
			sigaction(stopping[i], &catching, NULL);
	}
}

static void signals_restore(void)
{
	size_t i;

	for (i = 0; i < ul_array_len(stopping); i++)
		sigaction(stopping[i], &before[i], NULL);
}

void ul_progress_start(struct ul_progress *progress, const struct ul_cli *cli,
		       const char *label, uint64_t total)
{
	*progress = (struct ul_progress){
		.label = label,
		.started_ns = ul_clock_mono_ns(),
		.total = total,
		.is_on = !cli->quiet && isatty(STDERR_FILENO),
	};
	if (!ul_terminal()->progress)
		signals_catch();
}

static void line_draw(struct ul_progress *progress, const char *text)
{
	char line[LINE_MAX_BYTES];

	snprintf(line, sizeof line, "%s  %s", progress->label, text);
	ul_text_clean(line);
	ul_text_cut(line, ul_terminal_columns(stderr) - 1);
	fprintf(stderr, "\r%s\033[K", line);
	fflush(stderr);
}

static bool is_due(struct ul_progress *progress)
{
	int64_t now = ul_clock_mono_ns();

	if (!progress->is_on || now - progress->started_ns < FIRST_NS ||
	    now - progress->drawn_ns < AGAIN_NS)
		return false;
	progress->drawn_ns = now;
	return true;
}

static void format_count(const struct ul_progress *progress, uint64_t count,
			 char text[UL_HUMAN_MAX])
{
	if (progress->is_bytes)
		ul_human_bytes(count, text);
	else
		snprintf(text, UL_HUMAN_MAX, "%llu", (unsigned long long)count);
}

bool ul_progress_update(struct ul_progress *progress, uint64_t done)
{
	const struct ul_terminal *terminal = ul_terminal();
	char now[UL_HUMAN_MAX], all[UL_HUMAN_MAX], text[3 * UL_HUMAN_MAX];

	if (terminal->progress)
		return terminal->progress(terminal->progress_arg,
					  progress->label, done,
					  progress->total, progress->is_bytes);
	if (is_due(progress)) {
		format_count(progress, done, now);
		format_count(progress, progress->total, all);
		if (progress->total)
			snprintf(text, sizeof text, "%s of %s  %d %%", now, all,
				 (int)((double)done * 100 /
				       (double)progress->total));
		else
			snprintf(text, sizeof text, "%s", now);
		line_draw(progress, text);
	}
	return !is_interrupted;
}

bool ul_progress_walk(void *progress, uint64_t objects, uint64_t bytes)
{
	char size[UL_HUMAN_MAX], text[3 * UL_HUMAN_MAX];

	if (ul_terminal()->progress)
		return ul_progress_update(progress, objects);
	if (is_due(progress)) {
		snprintf(text, sizeof text, "%llu files  %s",
			 (unsigned long long)objects,
			 ul_human_bytes(bytes, size));
		line_draw(progress, text);
	}
	return !is_interrupted;
}

void ul_progress_end(struct ul_progress *progress)
{
	if (progress->drawn_ns)
		fputs("\r\033[K", stderr);
	progress->drawn_ns = 0;
	if (!ul_terminal()->progress)
		signals_restore();
}
