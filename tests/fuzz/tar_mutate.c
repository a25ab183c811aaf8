#include "tests/fuzz/tar_mutate.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/lib/tar_fixture.h"

enum { BLOCK = 512, HEADERS_MAX = 256 };
enum { AT_SIZE = 124, SIZE_LEN = 12, AT_TYPE = 156, AT_MAGIC = 257 };

/* libFuzzer's own; absent where the corpus is only replayed. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size,
					      size_t max_size);

static const struct field {
	size_t at, len;
	bool is_text;
} fields[] = {
	{ 0, 100, true },       /* name */
	{ 157, 100, true },     /* link */
	{ 345, 155, true },     /* prefix */
	{ AT_TYPE, 1, false },  /* type */
	{ 100, 8, false },      /* mode */
	{ 108, 16, false },     /* owner */
	{ AT_SIZE, 12, false }, /* length */
	{ 136, 12, false },     /* time */
	{ AT_MAGIC, 8, false }, /* magic and version */
	{ 329, 16, false },     /* device */
};

static const char *const steps[] = {
	"..",
	".",
	"",
	"/",
	"dir",
	"sub",
	"out",
	"abs",
	"loop",
	"up",
	"in",
	"file",
	"f",
	"g",
	"hard",
	"new",
	".wh.f",
	".wh.dir",
	".wh.",
	".wh..wh..opq",
	".wh.sub",
	".wh...",
	".wh..wh.plnk",
	"set",
	"outside",
	"pipe",
	"\xff",
	"a\nb",
	".wh.file",
};

static const char types[] = "0123456LKxgSDV7AN";

/* Deterministic for a seed. */
static unsigned next(unsigned *state, size_t limit)
{
	*state = *state * 1103515245u + 12345u;
	return (unsigned)((*state >> 8) % limit);
}

static size_t octal(const uint8_t *at, size_t len)
{
	char text[SIZE_LEN + 1] = "";

	memcpy(text, at, len);
	return strtoul(text, NULL, 8);
}

static bool is_header(const uint8_t *data, size_t size, size_t at)
{
	return at + BLOCK <= size && !memcmp(data + at + AT_MAGIC, "ustar", 5);
}

/* Where headers begin; data between them is passed over. */
static size_t headers_find(const uint8_t *data, size_t size, size_t *headers)
{
	size_t at = 0, count = 0, len;

	while (at + BLOCK <= size && count < HEADERS_MAX) {
		if (!is_header(data, size, at)) {
			at += BLOCK;
			continue;
		}
		headers[count++] = at;
		len = octal(data + at + AT_SIZE, SIZE_LEN);
		if (len > size - at - BLOCK || len % BLOCK > BLOCK)
			len = 0;
		at += BLOCK + (len + BLOCK - 1) / BLOCK * BLOCK;
	}
	return count;
}

static void path_make(unsigned *state, char *to, size_t size)
{
	size_t count = 1 + next(state, 4), len = 0, more;
	const char *step;

	memset(to, 0, size);
	while (count--) {
		step = steps[next(state, ul_array_len(steps))];
		more = strlen(step);
		if (len + more + 1 >= size)
			break;
		memcpy(to + len, step, more);
		len += more;
		if (count)
			to[len++] = '/';
	}
}

static void field_change(uint8_t *header, unsigned *state)
{
	const struct field *field =
	    &fields[next(state, ul_array_len(fields) + 4) %
		    ul_array_len(fields)];
	uint8_t *at = header + field->at;

	if (field->at == AT_TYPE)
		*at = (uint8_t)types[next(state, sizeof types - 1)];
	else if (field->is_text && next(state, 4))
		path_make(state, (char *)at, field->len);
	else if (LLVMFuzzerMutate)
		LLVMFuzzerMutate(at, field->len, field->len);
}

/* "LEN KEY=VALUE\n" records in the place of what an 'x' header has. */
static void pax_change(uint8_t *header, size_t room, unsigned *state)
{
	static const char *const keys[] = {
		"path",
		"linkpath",
		"size",
		"uid",
		"mtime",
		"hdrcharset",
		"GNU.sparse.map",
		"GNU.sparse.name",
		"GNU.sparse.major",
		"GNU.sparse.realsize",
		"SCHILY.xattr.user.a",
		"SCHILY.xattr.trusted.overlay.redirect",
		"SCHILY.devmajor",
		"LIBARCHIVE.xattr.security.capability",
		"atime",
	};
	static const char *const values[] = { "0",   "-1",
					      "1e9", "8388608",
					      "1",   "BINARY",
					      "0,1", "9223372036854775807" };
	char value[64], text[BLOCK] = "", length[SIZE_LEN + 1];
	const char *key = keys[next(state, ul_array_len(keys))];
	size_t len;

	if (room < BLOCK)
		return;
	if (!strcmp(key, "path") || strstr(key, "name") ||
	    !strcmp(key, "linkpath"))
		path_make(state, value, sizeof value);
	else
		snprintf(value, sizeof value, "%s",
			 values[next(state, ul_array_len(values))]);
	len = strlen(key) + strlen(value) + 3;
	len += len + 2 < 10 ? 1 : len + 2 < 100 ? 2 : 3;
	snprintf(text, sizeof text, "%zu %s=%s\n", len, key, value);
	memcpy(header + BLOCK, text, BLOCK);
	snprintf(length, sizeof length, "%011o",
		 (unsigned)strlen(text) & 07777);
	memcpy(header + AT_SIZE, length, SIZE_LEN);
}

/* An entry again at the end, or one less. */
static size_t entries_change(uint8_t *data, size_t size, size_t max_size,
			     const size_t *headers, size_t count,
			     unsigned *state)
{
	size_t which = next(state, count);
	size_t from = headers[which];
	size_t to = which + 1 < count ? headers[which + 1] : size;
	size_t at = headers[next(state, count)];
	uint8_t *copy;

	if (next(state, 3) == 0) {
		memmove(data + from, data + to, size - to);
		return size - (to - from);
	}
	if (to - from > max_size - size)
		return size;
	copy = malloc(to - from);
	if (!copy)
		abort();
	memcpy(copy, data + from, to - from);
	memmove(data + at + (to - from), data + at, size - at);
	memcpy(data + at, copy, to - from);
	free(copy);
	return size + (to - from);
}

static void checksums_repair(uint8_t *data, size_t size)
{
	size_t headers[HEADERS_MAX];
	size_t i, count = headers_find(data, size, headers);

	for (i = 0; i < count; i++)
		tar_checksum((char *)data + headers[i]);
}

size_t tar_mutate(uint8_t *data, size_t size, size_t max_size,
		  unsigned int seed)
{
	size_t headers[HEADERS_MAX];
	size_t count = headers_find(data, size, headers), at;
	unsigned state = seed, how = next(&state, 8);

	if (!count || how == 0)
		return LLVMFuzzerMutate ? LLVMFuzzerMutate(data, size, max_size)
					: size;
	at = headers[next(&state, count)];
	if (how < 4)
		field_change(data + at, &state);
	else if (how == 4)
		size = entries_change(data, size, max_size, headers, count,
				      &state);
	else if (how == 5 && (data[at + AT_TYPE] | 0x20) == 'x')
		pax_change(data + at, size - at - BLOCK, &state);
	else if (how == 5)
		field_change(data + at, &state);
	else if (LLVMFuzzerMutate && size - at - BLOCK > 0)
		size = at + BLOCK +
		       LLVMFuzzerMutate(data + at + BLOCK, size - at - BLOCK,
					max_size - at - BLOCK);
	checksums_repair(data, size);
	return size;
}
