#include "store/oci/reference.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"

#define DEFAULT_DOMAIN "docker.io"
#define LIBRARY "library/"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define HEX DIGITS "abcdefABCDEF"

enum {
	REPOSITORY_MAX_BYTES = 255,
	TAG_MAX_BYTES = 128,
	DIGEST_HEX_MIN = 32,
	IMAGE_ID_BYTES = 64
};

struct span {
	const char *at; /* borrowed from the text */
	size_t len;
};

struct reference {
	struct span domain; /* DEFAULT_DOMAIN where the text has none */
	struct span path;   /* with "library/" only where the text has it */
	struct span tag;    /* len 0: none */
	struct span digest; /* len 0: none */
	bool is_library;    /* "library/" belongs before path */
};

/* How many of len bytes at s are of a set. */
static size_t span_of(const char *s, size_t len, const char *set)
{
	size_t n = 0;

	while (n < len && s[n] && strchr(set, s[n]))
		n++;
	return n;
}

static bool span_is(struct span span, const char *text)
{
	return span.len == strlen(text) && !memcmp(span.at, text, span.len);
}

/* One of '.', '_', '__', or any number of '-'; 0 for anything else. */
static size_t separator_len(const char *s, size_t len)
{
	size_t n;

	if (len && *s == '.')
		return 1;
	n = span_of(s, len, "_");
	if (n)
		return n <= 2 ? n : 0;
	return span_of(s, len, "-");
}

static bool component_is_valid(const char *s, size_t len)
{
	size_t n;

	for (;;) {
		n = span_of(s, len, LOWER DIGITS);
		if (!n)
			return false;
		s += n;
		len -= n;
		if (!len)
			return true;
		n = separator_len(s, len);
		if (!n)
			return false;
		s += n;
		len -= n;
	}
}

static bool path_is_valid(struct span path)
{
	const char *slash;

	while ((slash = memchr(path.at, '/', path.len))) {
		size_t len = (size_t)(slash - path.at);

		if (!component_is_valid(path.at, len))
			return false;
		path.at += len + 1;
		path.len -= len + 1;
	}
	return component_is_valid(path.at, path.len);
}

/* Bytes of a host name at s: labels of letters, digits and inner '-'. */
static size_t host_len(const char *s, size_t len)
{
	size_t n, total = 0;

	for (;;) {
		n = span_of(s + total, len - total, LOWER UPPER DIGITS "-");
		if (!n || s[total] == '-' || s[total + n - 1] == '-')
			return 0;
		total += n;
		if (total == len || s[total] != '.')
			return total;
		total++;
	}
}

static size_t ipv6_len(const char *s, size_t len)
{
	size_t n = span_of(s + 1, len - 1, HEX ":");

	return n && n + 1 < len && s[n + 1] == ']' ? n + 2 : 0;
}

static bool domain_is_valid(struct span domain)
{
	size_t n;

	if (!domain.len)
		return false;
	n = *domain.at == '[' ? ipv6_len(domain.at, domain.len)
			      : host_len(domain.at, domain.len);
	if (!n || n == domain.len)
		return n > 0;
	domain.at += n + 1;
	domain.len -= n + 1;
	return domain.at[-1] == ':' && domain.len &&
	       span_of(domain.at, domain.len, DIGITS) == domain.len;
}

static bool tag_is_valid(struct span tag)
{
	static const char word[] = LOWER UPPER DIGITS "_.-";

	return tag.len && tag.len <= TAG_MAX_BYTES && *tag.at != '.' &&
	       *tag.at != '-' && span_of(tag.at, tag.len, word) == tag.len;
}

/* Bytes of an algorithm's name at s: parts that begin with a letter. */
static size_t algorithm_len(const char *s, size_t len)
{
	size_t n = 0;

	for (;;) {
		if (!span_of(s + n, len - n ? 1 : 0, LOWER UPPER))
			return 0;
		n += span_of(s + n, len - n, LOWER UPPER DIGITS);
		if (n == len || !strchr("-_+.", s[n]))
			return n;
		n++;
	}
}

/* The digest ends its text. */
static bool digest_is_valid(struct span digest)
{
	size_t alg = algorithm_len(digest.at, digest.len);
	struct ul_digest known;
	size_t hex;

	if (!alg || alg == digest.len || digest.at[alg] != ':')
		return false;
	if (ul_digest_alg_parse(digest.at, alg) != UL_DIGEST_NONE)
		return ul_digest_parse(digest.at, &known);
	hex = digest.len - alg - 1;
	return hex >= DIGEST_HEX_MIN &&
	       span_of(digest.at + alg + 1, hex, HEX) == hex;
}

/* Cuts the part behind the first `mark` at or after `from` off `text`. */
static bool cut(struct span *text, size_t from, char mark, struct span *ret)
{
	const char *at = memchr(text->at + from, mark, text->len - from);

	if (!at)
		return false;
	ret->at = at + 1;
	ret->len = text->len - (size_t)(at + 1 - text->at);
	text->len = (size_t)(at - text->at);
	return true;
}

static bool is_domain(struct span first)
{
	return memchr(first.at, '.', first.len) ||
	       memchr(first.at, ':', first.len) ||
	       span_is(first, "localhost") ||
	       /* Paths have no upper case, so Docker takes it for a host. */
	       span_of(first.at, first.len, LOWER DIGITS "_-") != first.len;
}

static void name_split(struct span name, struct reference *reference)
{
	const char *slash = memchr(name.at, '/', name.len);
	struct span first = { name.at, slash ? (size_t)(slash - name.at) : 0 };

	reference->domain =
	    (struct span){ DEFAULT_DOMAIN, sizeof DEFAULT_DOMAIN - 1 };
	reference->path = name;
	if (slash && is_domain(first)) {
		reference->path.at += first.len + 1;
		reference->path.len -= first.len + 1;
		if (!span_is(first, "index." DEFAULT_DOMAIN))
			reference->domain = first;
	}
	reference->is_library =
	    span_is(reference->domain, DEFAULT_DOMAIN) &&
	    !memchr(reference->path.at, '/', reference->path.len);
}

static bool is_image_id(const char *text)
{
	return strlen(text) == IMAGE_ID_BYTES &&
	       strspn(text, DIGITS "abcdef") == IMAGE_ID_BYTES;
}

static bool has_room(const struct reference *reference)
{
	size_t name = reference->domain.len + 1 + reference->path.len +
		      (reference->is_library ? sizeof LIBRARY - 1 : 0);
	size_t tag =
	    reference->tag.len ? reference->tag.len : sizeof "latest" - 1;

	return name <= REPOSITORY_MAX_BYTES &&
	       name + 1 + tag + 1 + reference->digest.len < UL_NAME_MAX_BYTES;
}

static bool parse(const char *text, struct reference *ret)
{
	struct reference reference = { .is_library = false };
	struct span name = { text, strlen(text) };
	const char *slash;

	if (is_image_id(text))
		return false;
	if (cut(&name, 0, '@', &reference.digest) &&
	    !digest_is_valid(reference.digest))
		return false;
	slash = memrchr(name.at, '/', name.len);
	if (cut(&name, slash ? (size_t)(slash - name.at) : 0, ':',
		&reference.tag) &&
	    !tag_is_valid(reference.tag))
		return false;
	name_split(name, &reference);
	if (!domain_is_valid(reference.domain) ||
	    !path_is_valid(reference.path) || !has_room(&reference))
		return false;
	*ret = reference;
	return true;
}

struct writer {
	char *to; /* UL_NAME_MAX_BYTES, which has_room() saw to */
	size_t len;
};

static void put(struct writer *writer, const char *mark, struct span span)
{
	size_t mark_len = strlen(mark);

	memcpy(writer->to + writer->len, mark, mark_len);
	writer->len += mark_len;
	if (span.len)
		memcpy(writer->to + writer->len, span.at, span.len);
	writer->len += span.len;
	writer->to[writer->len] = '\0';
}

static void put_repository(struct writer *writer,
			   const struct reference *reference)
{
	put(writer, "", reference->domain);
	put(writer, reference->is_library ? "/" LIBRARY : "/", reference->path);
}

static void put_version(struct writer *writer,
			const struct reference *reference)
{
	if (reference->tag.len)
		put(writer, ":", reference->tag);
	if (reference->digest.len)
		put(writer, "@", reference->digest);
}

static bool copy(char to[UL_NAME_MAX_BYTES], const char *text)
{
	return snprintf(to, UL_NAME_MAX_BYTES, "%s", text) < UL_NAME_MAX_BYTES;
}

static void write_whole(const struct reference *reference,
			char whole[UL_NAME_MAX_BYTES])
{
	struct writer writer = { whole, 0 };

	put_repository(&writer, reference);
	if (reference->tag.len || reference->digest.len)
		put_version(&writer, reference);
	else
		put(&writer, ":latest", (struct span){ NULL, 0 });
}

bool ul_reference_is_valid(const char *text)
{
	struct reference reference;

	return parse(text, &reference);
}

bool ul_reference_normalize(const char *text, char whole[UL_NAME_MAX_BYTES])
{
	struct reference reference;

	if (!parse(text, &reference))
		return copy(whole, text);
	write_whole(&reference, whole);
	return true;
}

/* Whether a path alone is not taken for one that begins with a registry. */
static bool is_unambiguous(const char *path)
{
	struct reference back;

	return parse(path, &back) && back.path.at == path;
}

static void put_familiar(struct writer *writer,
			 const struct reference *reference)
{
	const size_t library_len = sizeof LIBRARY - 1;
	struct span path = reference->path;

	if (!span_is(reference->domain, DEFAULT_DOMAIN)) {
		put_repository(writer, reference);
		return;
	}
	if (path.len > library_len && !memcmp(path.at, LIBRARY, library_len) &&
	    !memchr(path.at + library_len, '/', path.len - library_len)) {
		path.at += library_len;
		path.len -= library_len;
	}
	put(writer, "", path);
	if (!is_unambiguous(writer->to)) {
		writer->len = 0;
		put_repository(writer, reference);
	}
}

void ul_reference_familiar(const char *text, char shorter[UL_NAME_MAX_BYTES])
{
	struct writer writer = { shorter, 0 };
	struct reference reference;

	if (!parse(text, &reference)) {
		(void)copy(shorter, text);
		return;
	}
	put_familiar(&writer, &reference);
	put_version(&writer, &reference);
}

void ul_reference_repository(const char *text,
			     char repository[UL_NAME_MAX_BYTES])
{
	struct writer writer = { repository, 0 };
	struct reference reference;

	if (parse(text, &reference))
		put_repository(&writer, &reference);
	else
		(void)copy(repository, text);
}

bool ul_reference_subject_tag(const char *name, struct ul_digest *ret_subject)
{
	static const char *const kinds[] = { ".sig", ".att", ".sbom" };
	char hex[2 * 32 + 1];
	const char *slash = strrchr(name, '/');
	const char *colon = strchr(slash ? slash : name, ':');
	const char *tag = colon ? colon + 1 : name;
	size_t i;

	if ((slash && !colon) || strncmp(tag, "sha256-", 7) ||
	    strlen(tag) < 7 + sizeof hex - 1)
		return false;
	tag += 7;
	memcpy(hex, tag, sizeof hex - 1);
	hex[sizeof hex - 1] = '\0';
	tag += sizeof hex - 1;
	for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		size_t len = strlen(kinds[i]);

		if (!strncmp(tag, kinds[i], len) &&
		    (!tag[len] || tag[len] == '@'))
			return ul_digest_parse_hex(UL_DIGEST_SHA256, hex,
						   ret_subject);
	}
	return false;
}
