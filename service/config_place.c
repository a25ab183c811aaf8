#include "service/config_place.h"

#include <assert.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

enum { PATH_MAX_BYTES = 256, REASON_MAX_BYTES = 512 };

void ul_config_enter(struct ul_config_place *place, const char *key, size_t at)
{
	assert(place->depth < UL_CONFIG_MAX_DEPTH);
	place->steps[place->depth++] = (struct ul_config_step){ key, at };
}

void ul_config_leave(struct ul_config_place *place)
{
	assert(place->depth);
	place->depth--;
}

/* jansson goes through members in the order of the file (2.14, hashtable.c),
 * comments among them. */
static const json_t *member_enter(struct ul_config_place *place,
				  const json_t *object, const char *key,
				  size_t len)
{
	const char *name;
	json_t *value;
	size_t at = 0;

	json_object_foreach((json_t *)object, name, value)
	{
		if (strlen(name) == len && !memcmp(name, key, len)) {
			ul_config_enter(place, name, at);
			return value;
		}
		at++;
	}
	return NULL;
}

static const json_t *item_enter(struct ul_config_place *place,
				const json_t *array, const char *text)
{
	size_t at = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		at = at * 10 + (size_t)(*text - '0');
	if (at < json_array_size(array))
		ul_config_enter(place, NULL, at);
	return json_array_get(array, at);
}

void ul_config_go(struct ul_config_place *place, const char *path)
{
	const json_t *value = place->root;

	place->depth = 0;
	while (value && *path) {
		size_t len = strcspn(path, ".[");

		if (*path == '[') {
			value = item_enter(place, value, path + 1);
			path += strcspn(path, "]") + 1;
		} else if (len) {
			value = member_enter(place, value, path, len);
			path += len;
		} else {
			path++;
		}
	}
}

/* Bytes of the file. Past its end nothing is read. */
struct scan {
	const char *bytes;
	size_t len, at;
};

static char here(const struct scan *scan)
{
	return scan->at < scan->len ? scan->bytes[scan->at] : '\0';
}

static void blanks_skip(struct scan *scan)
{
	while (here(scan) && strchr(" \t\r\n,:", here(scan)))
		scan->at++;
}

static void string_skip(struct scan *scan)
{
	for (scan->at++; scan->at < scan->len; scan->at++) {
		if (here(scan) == '"')
			break;
		if (here(scan) == '\\')
			scan->at++;
	}
	scan->at++;
}

static void scalar_skip(struct scan *scan)
{
	do
		scan->at++;
	while (here(scan) && !strchr(" \t\r\n,:]}[{\"", here(scan)));
}

/* A value, with all that is in it. */
static void value_skip(struct scan *scan)
{
	size_t depth = 0;

	do {
		char c = here(scan);

		if (c == '"') {
			string_skip(scan);
		} else if (c == '{' || c == '[') {
			depth++;
			scan->at++;
		} else if (c == '}' || c == ']') {
			if (!depth)
				return;
			depth--;
			scan->at++;
		} else {
			scalar_skip(scan);
		}
		blanks_skip(scan);
	} while (depth && scan->at < scan->len);
}

/* From an object or list to a member's key or an item. False: not there. */
static bool step_take(struct scan *scan, const struct ul_config_step *step)
{
	bool is_object = here(scan) == '{';
	size_t i;

	if (!is_object && here(scan) != '[')
		return false;
	scan->at++;
	blanks_skip(scan);
	for (i = 0; i < step->at; i++) {
		if (is_object)
			value_skip(scan);
		value_skip(scan);
	}
	return scan->at < scan->len && here(scan) != '}' && here(scan) != ']';
}

size_t ul_config_line(const char *bytes, size_t len,
		      const struct ul_config_step *steps, size_t depth)
{
	struct scan scan = { .bytes = bytes, .len = len };
	size_t found = 0, line = 1, i;

	blanks_skip(&scan);
	for (i = 0; i < depth && step_take(&scan, &steps[i]); i++) {
		found = scan.at;
		if (steps[i].key)
			value_skip(&scan);
	}
	for (i = 0; i < found && i < len; i++)
		line += bytes[i] == '\n';
	return line;
}

static void path_print(const struct ul_config_place *place,
		       char text[PATH_MAX_BYTES])
{
	size_t i, len = 0;

	*text = '\0';
	for (i = 0; i < place->depth && len < PATH_MAX_BYTES; i++) {
		const struct ul_config_step *step = &place->steps[i];
		int more;

		if (step->key)
			more = snprintf(text + len, PATH_MAX_BYTES - len,
					"%s%.80s", i ? "." : "",
					*step->key ? step->key : "\"\"");
		else
			more = snprintf(text + len, PATH_MAX_BYTES - len,
					"[%zu]", step->at);
		len += (size_t)more;
	}
}

/* One line of ASCII, so that it can be shown and logged anywhere. */
static void text_clean(char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

static int refuse(struct ul_config_place *place, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static int refuse(struct ul_config_place *place, const char *fmt, va_list ap)
{
	size_t line = ul_config_line(place->bytes, place->len, place->steps,
				     place->depth);
	char path[PATH_MAX_BYTES], reason[REASON_MAX_BYTES];

	path_print(place, path);
	vsnprintf(reason, sizeof reason, fmt, ap);
	text_clean(path);
	text_clean(reason);
	return ul_err_set(place->err, UL_E_INVALID, "%s:%zu: %s%s%s",
			  place->file, line, path, *path ? ": " : "", reason);
}

int ul_config_refuse(struct ul_config_place *place, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = refuse(place, fmt, ap);
	va_end(ap);
	return rc;
}

int ul_config_refuse_at(struct ul_config_place *place, const char *path,
			const char *fmt, ...)
{
	va_list ap;
	int rc;

	ul_config_go(place, path);
	va_start(ap, fmt);
	rc = refuse(place, fmt, ap);
	va_end(ap);
	return rc;
}
