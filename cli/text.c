#include "cli/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

struct range {
	uint32_t first, last;
};

/* Unicode 15: combining and other marks without width, common blocks. */
static const struct range marks[] = {
	{ 0x0300, 0x036f }, { 0x0483, 0x0489 },   { 0x0591, 0x05bd },
	{ 0x0610, 0x061a }, { 0x064b, 0x065f },   { 0x0e34, 0x0e3a },
	{ 0x0e47, 0x0e4e }, { 0x1ab0, 0x1aff },   { 0x1dc0, 0x1dff },
	{ 0x200b, 0x200f }, { 0x202a, 0x202e },   { 0x2060, 0x2064 },
	{ 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f },   { 0xfe20, 0xfe2f },
	{ 0xfeff, 0xfeff }, { 0xe0100, 0xe01ef },
};

/* East Asian Width W and F, and emoji. */
static const struct range wides[] = {
	{ 0x1100, 0x115f },   { 0x231a, 0x231b },   { 0x23e9, 0x23ec },
	{ 0x25fd, 0x25fe },   { 0x2614, 0x2615 },   { 0x26aa, 0x26ab },
	{ 0x2705, 0x2705 },   { 0x2728, 0x2728 },   { 0x2e80, 0x303e },
	{ 0x3041, 0x33ff },   { 0x3400, 0x4dbf },   { 0x4e00, 0x9fff },
	{ 0xa000, 0xa4cf },   { 0xa960, 0xa97c },   { 0xac00, 0xd7a3 },
	{ 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },
	{ 0xffe0, 0xffe6 },   { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff },
	{ 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd },
};

static bool is_in(const struct range *ranges, size_t count, uint32_t rune)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (rune >= ranges[i].first && rune <= ranges[i].last)
			return true;
	}
	return false;
}

static size_t rune_width(uint32_t rune)
{
	if (is_in(marks, ul_array_len(marks), rune))
		return 0;
	return is_in(wides, ul_array_len(wides), rune) ? 2 : 1;
}

static size_t rune_len(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/* Read a character of UTF-8 (RFC 3629). 0: there is none here. */
static size_t rune_read(const char *text, uint32_t *ret_rune)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	static const uint8_t lead_bits[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	const unsigned char *at = (const unsigned char *)text;
	size_t len = rune_len(*at), i;
	uint32_t rune = *at & lead_bits[len];

	for (i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		rune = rune << 6 | (at[i] & 0x3f);
	}
	if (!len || rune < least[len] || rune > 0x10ffff ||
	    (rune >= 0xd800 && rune <= 0xdfff))
		return 0;
	*ret_rune = rune;
	return len;
}

/* Controls, and what reorders the text around it. */
static bool is_driving(uint32_t rune)
{
	return rune < 0x20 || (rune >= 0x7f && rune <= 0x9f) ||
	       (rune >= 0x202a && rune <= 0x202e) ||
	       (rune >= 0x2066 && rune <= 0x2069);
}

size_t ul_text_width(const char *text)
{
	size_t width = 0, len;
	uint32_t rune;

	for (; *text; text += len) {
		len = rune_read(text, &rune);
		width += len ? rune_width(rune) : 1;
		if (!len)
			len = 1;
	}
	return width;
}

void ul_text_clean(char *text)
{
	char *to = text;
	size_t len;
	uint32_t rune;

	for (; *text; text += len) {
		len = rune_read(text, &rune);
		if (!len || is_driving(rune)) {
			*to++ = '?';
			len = len ? len : 1;
			continue;
		}
		memmove(to, text, len);
		to += len;
	}
	*to = '\0';
}

/* Bytes of the longest beginning that fits into `width` columns. */
static size_t head_len(const char *text, size_t width)
{
	size_t at = 0, used = 0, len;
	uint32_t rune = 0;

	while (text[at]) {
		len = rune_read(text + at, &rune);
		used += len ? rune_width(rune) : 1;
		if (used > width)
			break;
		at += len ? len : 1;
	}
	return at;
}

/* Where the longest end that fits into `width` columns begins. */
static size_t tail_start(const char *text, size_t width)
{
	size_t start = 0, left = ul_text_width(text), len;
	uint32_t rune = 0;

	while (left > width && text[start]) {
		len = rune_read(text + start, &rune);
		left -= len ? rune_width(rune) : 1;
		start += len ? len : 1;
	}
	/* A mark belongs to the character before it, which is cut. */
	while (text[start] && (len = rune_read(text + start, &rune)) &&
	       !rune_width(rune))
		start += len;
	return start;
}

void ul_text_cut(char *text, size_t width)
{
	size_t head, start;

	if (ul_text_width(text) <= width)
		return;
	if (width < 4) {
		text[head_len(text, width)] = '\0';
		return;
	}
	/* Names differ most at their end. */
	head = head_len(text, (width - 1) / 4);
	start = tail_start(text, width - 2 - (width - 1) / 4);
	memcpy(text + head, "..", 2);
	memmove(text + head + 2, text + start, strlen(text + start) + 1);
}

/* Print one line's words; ended by NUL or newline. */
static void wrap_line(const char *line, size_t len, size_t indent, size_t width,
		      size_t *column, FILE *out)
{
	size_t at = 0, word;

	while (at < len) {
		word = strcspn(line + at, " \n");
		if (word > len - at)
			word = len - at;
		if (*column && *column + 1 + word > width) {
			fputc('\n', out);
			*column = 0;
		}
		if (word) {
			fprintf(out, "%*s%.*s", *column ? 1 : (int)indent, "",
				(int)word, line + at);
			*column += word + (*column ? 1 : indent);
		}
		at += word + strspn(line + at + word, " ");
	}
}

void ul_text_wrap(const char *text, size_t indent, size_t width, FILE *out)
{
	size_t column = 0, len;

	for (;;) {
		len = strcspn(text, "\n");
		if ((!len || *text == ' ') && column) {
			fputc('\n', out);
			column = 0;
		}
		if (*text == ' ')
			fprintf(out, "%.*s\n", (int)len, text);
		else if (len)
			wrap_line(text, len, indent, width, &column, out);
		else if (text[len])
			fputc('\n', out);
		if (!text[len])
			break;
		text += len + 1;
	}
	if (column)
		fputc('\n', out);
}
