#include "cli/answer.h"

#include <stdarg.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/text.h"

/* A line has a name or two, each UL_NAME_MAX_BYTES at most. */
enum { TEXT_MAX_BYTES = 4096 };

json_t *ul_cli_answer(const char *key, json_t *value)
{
	json_t *answer = json_pack("{s:i}", "version", 1);

	ul_json_put(&answer, key, value);
	return answer;
}

void ul_json_put(json_t **answer, const char *key, json_t *value)
{
	if (!*answer)
		json_decref(value);
	else if (json_object_set_new(*answer, key, value))
		ul_json_freep(answer);
}

void ul_json_push(json_t **answer, const char *key, json_t *value)
{
	if (!*answer)
		json_decref(value);
	else if (json_array_append_new(json_object_get(*answer, key), value))
		ul_json_freep(answer);
}

json_t *ul_json_string(const char *text)
{
	ul_cleanup(ul_freep) char *clean = NULL;
	json_t *string = json_string(text);

	if (string)
		return string;
	clean = ul_strdup(text);
	if (!clean)
		return NULL;
	ul_text_clean(clean);
	return json_string(clean);
}

int ul_cli_print_json(const json_t *answer, struct ul_err *err)
{
	FILE *out = ul_terminal()->out;

	if (!answer)
		return ul_err_nomem(err);
	/* Six digits: seconds are measured no better than to a microsecond. */
	if (json_dumpf(answer, out, JSON_COMPACT | JSON_REAL_PRECISION(6)) ||
	    putc('\n', out) == EOF)
		return ul_err_set(err, UL_E_IO, "cannot write the answer");
	return 0;
}

int ul_cli_print_table(const struct ul_table *table, struct ul_err *err)
{
	if (table->failed)
		return ul_err_nomem(err);
	if (!ul_table_print(table, ul_terminal()->out))
		return ul_err_sys(err, "writing the answer");
	return 0;
}

/* A control byte that stands nowhere in a text. */
static char unused_byte(const char *text)
{
	char byte = 1;

	while (byte < 8 && strchr(text, byte))
		byte++;
	return byte;
}

static size_t count_newlines(const char *text)
{
	size_t count = 0;

	while ((text = strchr(text, '\n'))) {
		count++;
		text++;
	}
	return count;
}

/*
 * Newlines of the format end lines; those of what is put into it (a name of
 * another program's) must not. So the format's own are carried as a byte
 * that the text does not have, while the rest is made harmless.
 */
void ul_cli_print(const char *fmt, ...)
{
	char text[TEXT_MAX_BYTES], ours[512], mark, *at;
	FILE *out = ul_terminal()->out;
	va_list ap, again;
	size_t i;

	va_start(ap, fmt);
	va_copy(again, ap);
	vsnprintf(text, sizeof text, fmt, ap);
	mark = '\n';
	if (count_newlines(text) != count_newlines(fmt) &&
	    strlen(fmt) < sizeof ours) {
		mark = unused_byte(text);
		for (i = 0; i <= strlen(fmt); i++)
			ours[i] = fmt[i] == '\n' ? mark : fmt[i];
		vsnprintf(text, sizeof text, ours, again);
	}
	va_end(again);
	va_end(ap);
	for (at = text; *at;) {
		size_t len = strcspn(at, (char[]){ mark, '\0' });
		char was = at[len];

		at[len] = '\0';
		ul_text_clean(at);
		fputs(at, out);
		if (was)
			putc('\n', out);
		at += len + (was != '\0');
	}
}

int ul_cli_print_long(const char *text, struct ul_err *err)
{
	size_t len;

	for (; *text; text += len + (text[len] == '\n')) {
		ul_cleanup(ul_freep) char *line = NULL;

		len = strcspn(text, "\n");
		line = ul_strndup(text, len);
		if (!line)
			return ul_err_nomem(err);
		ul_text_clean(line);
		fprintf(ul_terminal()->out, "%s\n", line);
	}
	return 0;
}
