#include "base/human.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };

static uint64_t divide_round(uint64_t n, uint64_t by)
{
	return n / by + (n % by >= by - by / 2);
}

/* n tenths or hundredths (scale), without zeros at the end. */
static void print_number(char text[UL_HUMAN_MAX], unsigned n, unsigned scale,
			 const char *unit)
{
	unsigned after = n % scale, digits = scale == 100 ? 2 : 1;

	if (digits == 2 && after % 10 == 0) {
		after /= 10;
		digits = 1;
	}
	if (!after)
		snprintf(text, UL_HUMAN_MAX, "%u %.2s", n / scale, unit);
	else
		snprintf(text, UL_HUMAN_MAX, "%u.%0*u %.2s", n / scale,
			 (int)digits, after, unit);
}

const char *ul_human_bytes(uint64_t bytes, char text[UL_HUMAN_MAX])
{
	uint64_t unit = 1;
	unsigned scale;
	size_t at = 0;

	/* 999,500 bytes would be 1000 kB in three digits: 1 MB. */
	while (at + 1 < ul_array_len(units) &&
	       divide_round(bytes, unit) >= 1000) {
		unit *= 1000;
		at++;
	}
	for (scale = 100; scale > 1 && unit > 1; scale /= 10) {
		if (divide_round(bytes, unit / scale) < 1000)
			break;
	}
	if (unit == 1)
		scale = 1;
	print_number(text, (unsigned)divide_round(bytes, unit / scale), scale,
		     units[at]);
	return text;
}

const char *ul_human_signed(int64_t bytes, char text[UL_HUMAN_MAX])
{
	uint64_t size = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;
	char number[UL_HUMAN_MAX];

	ul_human_bytes(size, number);
	snprintf(text, UL_HUMAN_MAX, "%s%.30s",
		 bytes < 0   ? "-"
		 : bytes > 0 ? "+"
			     : "",
		 number);
	return text;
}

static const char *constant(char text[UL_HUMAN_MAX], const char *word)
{
	snprintf(text, UL_HUMAN_MAX, "%s", word);
	return text;
}

const char *ul_human_when(int64_t unix_s, int64_t now_unix_s,
			  char text[UL_HUMAN_MAX])
{
	/* Up to `below` of a unit are counted in it. */
	static const struct {
		int64_t seconds, below;
		const char *name;
	} spans[] = {
		{ 60, 60, "minute" },        { 3600, 48, "hour" },
		{ 86400, 14, "day" },        { 7 * 86400, 9, "week" },
		{ 30 * 86400, 24, "month" }, { 365 * 86400, INT64_MAX, "year" },
	};
	bool is_future = unix_s > now_unix_s;
	int64_t age = is_future ? unix_s - now_unix_s : now_unix_s - unix_s;
	int64_t count;
	size_t at = 0;

	if (!unix_s)
		return constant(text, "never");
	if (age < 60)
		return constant(text, "just now");
	while (age / spans[at].seconds >= spans[at].below)
		at++;
	count = age / spans[at].seconds;
	snprintf(text, UL_HUMAN_MAX, "%s%" PRId64 " %s%s%s",
		 is_future ? "in " : "", count, spans[at].name,
		 count == 1 ? "" : "s", is_future ? "" : " ago");
	return text;
}

/* The factor of "", "B", "k", "KB", "KiB", ... in any case; 0: no unit. */
static uint64_t parse_unit(const char *text)
{
	const char *letters = "kmgtpe", *at;
	uint64_t base = 1000, factor = 1;
	size_t i;

	if (!*text || !strcasecmp(text, "b"))
		return 1;
	at = strchr(letters, *text | 0x20);
	if (!at)
		return 0;
	text++;
	if (!strcasecmp(text, "ib") || !strcasecmp(text, "i"))
		base = 1024;
	else if (*text && strcasecmp(text, "b"))
		return 0;
	for (i = 0; i <= (size_t)(at - letters); i++)
		factor *= base;
	return factor;
}

/* The digits after the point, as bytes of this unit. */
static const char *parse_fraction(const char *text, uint64_t unit,
				  uint64_t *ret_bytes)
{
	uint64_t bytes = 0;
	size_t len = strspn(text, "0123456789"), i;

	for (i = len; i-- > 0;)
		bytes = (bytes + (uint64_t)(text[i] - '0') * unit) / 10;
	*ret_bytes = bytes;
	return text + len;
}

bool ul_human_parse_bytes(const char *text, uint64_t *ret_bytes)
{
	size_t len = strspn(text, "0123456789");
	const char *rest = text + len, *unit_text;
	uint64_t whole = 0, unit, fraction = 0;
	size_t i;

	if (!len)
		return false;
	for (i = 0; i < len; i++) {
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, text[i] - '0', &whole))
			return false;
	}
	unit_text = rest;
	if (*rest == '.')
		unit_text += 1 + strspn(rest + 1, "0123456789");
	unit_text += strspn(unit_text, " ");
	unit = parse_unit(unit_text);
	if (!unit || (*rest == '.' && !strchr("0123456789", rest[1])) ||
	    (*rest == '.' && !rest[1]))
		return false;
	if (*rest == '.')
		parse_fraction(rest + 1, unit, &fraction);
	if (__builtin_mul_overflow(whole, unit, &whole) ||
	    __builtin_add_overflow(whole, fraction, &whole))
		return false;
	*ret_bytes = whole;
	return true;
}

bool ul_human_parse_percent(const char *text, uint32_t *ret_hundredths)
{
	size_t whole = strspn(text, "0123456789"), after = 0, i;
	const char *rest = text + whole;
	uint32_t number = 0;

	if (*rest == '.') {
		after = strspn(rest + 1, "0123456789");
		if (!after)
			return false;
		rest += 1 + after;
	}
	rest += strspn(rest, " ");
	if (!whole || whole > 3 || after > 2 || strcmp(rest, "%") != 0)
		return false;
	for (i = 0; i < whole; i++)
		number = number * 10 + (uint32_t)(text[i] - '0');
	for (i = 0; i < 2; i++)
		number =
		    number * 10 +
		    (i < after ? (uint32_t)(text[whole + 1 + i] - '0') : 0);
	if (number > 10000)
		return false;
	*ret_hundredths = number;
	return true;
}
