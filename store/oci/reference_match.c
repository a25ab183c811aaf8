/*
 * Patterns over names. Since neither '*', '?' nor a class matches '/', a '*'
 * that was passed never needs to be taken up again once a later one was
 * reached: the later one can take up whatever the earlier could have.
 */
#include "store/oci/reference.h"

#include <stdint.h>
#include <string.h>

/* The next character, not past the end of the text; a byte that is no UTF-8
 * is a character of its own that equals no other byte's. */
static uint32_t next_char(const char **text)
{
	const unsigned char *s = (const unsigned char *)*text;
	unsigned int more = s[0] >= 0xf0   ? 3
			    : s[0] >= 0xe0 ? 2
			    : s[0] >= 0xc0 ? 1
					   : 0;
	uint32_t c = more ? s[0] & (0x3fu >> more) : s[0];
	unsigned int i;

	for (i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			break;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (i <= more || (!more && s[0] >= 0x80)) {
		*text += 1;
		return 0x80000000u | s[0];
	}
	*text += more + 1;
	return c;
}

/* A character of a pattern that may stand behind a '\'. */
static bool next_literal(const char **pattern, uint32_t *ret)
{
	if (**pattern == '\\')
		(*pattern)++;
	if (!**pattern)
		return false;
	*ret = next_char(pattern);
	return true;
}

/* One end of a range; '-' and ']' have to be escaped there. */
static bool class_end(const char **pattern, uint32_t *ret)
{
	if (**pattern == '-' || **pattern == ']')
		return false;
	return next_literal(pattern, ret);
}

/*
 * Reads a class, *pattern standing behind its '['; false where it is not
 * complete. *ret_has tells whether c is taken by it.
 */
static bool class_read(const char **pattern, uint32_t c, bool *ret_has)
{
	bool is_negated = **pattern == '^';
	bool has = false;
	uint32_t low, high;

	*pattern += is_negated;
	do {
		if (!class_end(pattern, &low))
			return false;
		high = low;
		if (**pattern == '-') {
			(*pattern)++;
			if (!class_end(pattern, &high))
				return false;
		}
		has = has || (c >= low && c <= high);
	} while (**pattern != ']');
	(*pattern)++;
	*ret_has = c != '/' && has != is_negated;
	return true;
}

/* Whether the one character that *pattern stands for is c; moves past it. */
static bool one_matches(const char **pattern, uint32_t c)
{
	uint32_t literal;
	bool has;

	switch (**pattern) {
	case '\0':
		return false;
	case '?':
		(*pattern)++;
		return c != '/';
	case '[':
		(*pattern)++;
		return class_read(pattern, c, &has) && has;
	default:
		return next_literal(pattern, &literal) && literal == c;
	}
}

static bool glob(const char *pattern, const char *text)
{
	const char *star = NULL;  /* behind the last '*' */
	const char *taken = NULL; /* how far it reaches */

	while (*text) {
		const char *next = pattern, *rest = text;

		if (*pattern == '*') {
			star = ++pattern;
			taken = text;
			continue;
		}
		if (one_matches(&next, next_char(&rest))) {
			pattern = next;
			text = rest;
			continue;
		}
		if (!star || *taken == '/')
			return false;
		(void)next_char(&taken);
		pattern = star;
		text = taken;
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

bool ul_reference_pattern_is_valid(const char *pattern)
{
	uint32_t literal;
	bool has;

	while (*pattern) {
		if (*pattern == '[') {
			pattern++;
			if (!class_read(&pattern, 0, &has))
				return false;
		} else if (!next_literal(&pattern, &literal)) {
			return false;
		}
	}
	return true;
}

/* The name without tag and digest; `name` is a reference. */
static void drop_version(char *name)
{
	char *slash, *at = strchr(name, '@');
	char *colon;

	if (at)
		*at = '\0';
	slash = strrchr(name, '/');
	colon = strchr(slash ? slash : name, ':');
	if (colon)
		*colon = '\0';
}

/*
 * A name in a form that is neither familiar nor whole, or one that reads as
 * a pattern too: the host [::1].
 */
static bool plain_matches(const char *pattern, const char *whole,
			  const char *repository)
{
	char given[UL_NAME_MAX_BYTES];
	const char *slash = strrchr(pattern, '/');

	if (!ul_reference_is_valid(pattern))
		return false;
	if (strpbrk(slash ? slash : pattern, ":@")) {
		ul_reference_normalize(pattern, given);
		return !strcmp(given, whole);
	}
	ul_reference_repository(pattern, given);
	return !strcmp(given, repository);
}

bool ul_reference_matches(const char *pattern, const char *name)
{
	char whole[UL_NAME_MAX_BYTES], familiar[UL_NAME_MAX_BYTES];
	char repository[UL_NAME_MAX_BYTES];

	if (!ul_reference_pattern_is_valid(pattern))
		return false;
	if (!ul_reference_is_valid(name))
		return glob(pattern, name);
	ul_reference_normalize(name, whole);
	ul_reference_familiar(whole, familiar);
	ul_reference_repository(name, repository);
	if (glob(pattern, familiar) || glob(pattern, whole) ||
	    glob(pattern, repository) ||
	    plain_matches(pattern, whole, repository))
		return true;
	drop_version(familiar);
	return glob(pattern, familiar);
}

bool ul_reference_selects(const char *argument, const char *name)
{
	char wanted[UL_NAME_MAX_BYTES], whole[UL_NAME_MAX_BYTES];

	if (!strcmp(argument, name))
		return true;
	if (!ul_reference_is_valid(argument))
		return strpbrk(argument, "*?[") &&
		       ul_reference_matches(argument, name);
	return ul_reference_is_valid(name) &&
	       ul_reference_normalize(argument, wanted) &&
	       ul_reference_normalize(name, whole) && !strcmp(wanted, whole);
}
