/*
 * tar_tool - a tar from a description, one entry a line:
 *
 *   TYPE PATH [mode=OCTAL] [uid=N] [gid=N] [mtime=SECONDS[.FRACTION]]
 *        [link=TARGET] [dev=MAJOR:MINOR] [data=TEXT] [fill=BYTES]
 *        [xattr:NAME=TEXT] [hex:NAME=HEX]
 *
 * TYPE: file link symlink char block dir fifo. PATH and values have no spaces;
 * "%XX" in them is a byte. fill: that many bytes of a pattern. xattr and hex
 * are xattrs.
 * Usage: tar_tool <DESCRIPTION >TAR
 */
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/lib/tar_fixture.h"

static const struct {
	const char *name;
	char type;
} types[] = {
	{ "file", '0' },  { "link", '1' }, { "symlink", '2' }, { "char", '3' },
	{ "block", '4' }, { "dir", '5' },  { "fifo", '6' },
};

static char type_of(const char *name)
{
	size_t i;

	for (i = 0; i < ul_array_len(types); i++)
		if (!strcmp(name, types[i].name))
			return types[i].type;
	errx(1, "no type %s", name);
}

static void unescape(char *text)
{
	char hex[3] = { 0 };
	char *to = text;

	for (; *text; text++) {
		if (*text == '%' && text[1] && text[2]) {
			memcpy(hex, text + 1, 2);
			*to++ = (char)strtoul(hex, NULL, 16);
			text += 2;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

static struct tar_pax *pax_next(struct tar_item *item)
{
	size_t i;

	for (i = 0; i < TAR_PAX_MAX; i++)
		if (!item->pax[i].key)
			return &item->pax[i];
	errx(1, "too many records");
}

static void add_xattr(struct tar_item *item, char *name, char *value,
		      bool is_hex)
{
	struct tar_pax *pax = pax_next(item);
	size_t len = strlen(value);
	char pair[3] = { 0 };
	char *bytes;
	size_t i;

	pax->key = ul_asprintf("SCHILY.xattr.%s", name);
	pax->value = value;
	pax->len = len;
	if (!is_hex)
		return;
	pax->value = bytes = ul_malloc(len / 2);
	pax->len = len / 2;
	for (i = 0; i < len / 2; i++) {
		memcpy(pair, value + 2 * i, 2);
		bytes[i] = (char)strtoul(pair, NULL, 16);
	}
}

static void add_fill(struct tar_item *item, size_t len)
{
	char *data = ul_malloc(len + 1);
	size_t i;

	for (i = 0; i < len; i++)
		data[i] = (char)('a' + i * i % 23);
	item->data = data;
	item->len = len;
}

static void add_time(struct tar_item *item, char *value)
{
	struct tar_pax *pax;

	item->mtime = strtoull(value, NULL, 10);
	if (!strchr(value, '.'))
		return;
	pax = pax_next(item);
	pax->key = "mtime";
	pax->value = value;
}

static void set(struct tar_item *item, char *key, char *value)
{
	if (!strcmp(key, "mode"))
		item->mode = (unsigned)strtoul(value, NULL, 8);
	else if (!strcmp(key, "uid"))
		item->uid = strtoull(value, NULL, 10);
	else if (!strcmp(key, "gid"))
		item->gid = strtoull(value, NULL, 10);
	else if (!strcmp(key, "mtime"))
		add_time(item, value);
	else if (!strcmp(key, "link"))
		item->link = value;
	else if (!strcmp(key, "dev"))
		sscanf(value, "%u:%u", &item->dev_major, &item->dev_minor);
	else if (!strcmp(key, "data"))
		item->data = value;
	else if (!strcmp(key, "fill"))
		add_fill(item, strtoul(value, NULL, 10));
	else if (!strncmp(key, "xattr:", 6))
		add_xattr(item, key + 6, value, false);
	else if (!strncmp(key, "hex:", 4))
		add_xattr(item, key + 4, value, true);
	else
		errx(1, "no key %s", key);
}

/* What it allocates lives until the program ends. */
static void line_add(struct ul_buf *tar, char *line)
{
	struct tar_item item = { .type = '0' };
	char *word, *value;

	word = strtok(line, " \n");
	if (!word || *word == '#')
		return;
	item.type = type_of(word);
	word = strtok(NULL, " \n");
	if (!word)
		errx(1, "no path");
	unescape(word);
	item.path = word;
	while ((word = strtok(NULL, " \n"))) {
		value = strchr(word, '=');
		if (!value)
			errx(1, "no value: %s", word);
		*value++ = '\0';
		unescape(value);
		set(&item, word, value);
	}
	tar_add(tar, &item);
}

int main(void)
{
	struct ul_buf tar = UL_BUF_INIT;
	char line[16384];

	while (fgets(line, sizeof line, stdin))
		line_add(&tar, line);
	tar_end(&tar);
	if (fwrite(tar.data, 1, tar.len, stdout) != tar.len || fflush(stdout))
		err(1, "write");
	ul_buf_release(&tar);
	return 0;
}
