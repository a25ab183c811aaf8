/* The low-level SHA calls allocate nothing and need no provider to load. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/digest.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

static_assert(sizeof(SHA512_CTX) <= sizeof((struct ul_hash){ 0 }.state),
	      "hash state too small");

size_t ul_digest_size(uint8_t alg)
{
	switch (alg) {
	case UL_DIGEST_SHA256:
		return 32;
	case UL_DIGEST_SHA512:
		return 64;
	default:
		return 0;
	}
}

const char *ul_digest_alg_name(uint8_t alg)
{
	switch (alg) {
	case UL_DIGEST_SHA256:
		return "sha256";
	case UL_DIGEST_SHA512:
		return "sha512";
	default:
		return "none";
	}
}

uint8_t ul_digest_alg_parse(const char *name, size_t len)
{
	if (len == 6 && !memcmp(name, "sha256", 6))
		return UL_DIGEST_SHA256;
	if (len == 6 && !memcmp(name, "sha512", 6))
		return UL_DIGEST_SHA512;
	return UL_DIGEST_NONE;
}

/* Value + 1 of each hex digit; 0: none. A table, as digits come at random and
 * a branch on them is guessed wrong as often as not. */
static const uint8_t hex_values[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

static int hex_value(char c)
{
	return hex_values[(unsigned char)c] - 1;
}

bool ul_digest_parse_hex(uint8_t alg, const char *hex, struct ul_digest *ret)
{
	struct ul_digest digest = { .alg = alg };
	size_t i, size = ul_digest_size(alg);

	if (!size || strlen(hex) != 2 * size)
		return false;
	for (i = 0; i < size; i++) {
		int high = hex_value(hex[2 * i]);
		int low = hex_value(hex[2 * i + 1]);

		if ((high | low) < 0)
			return false;
		digest.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret = digest;
	return true;
}

bool ul_digest_parse(const char *text, struct ul_digest *ret)
{
	const char *colon = strchr(text, ':');

	if (!colon)
		return false;
	return ul_digest_parse_hex(
	    ul_digest_alg_parse(text, (size_t)(colon - text)), colon + 1, ret);
}

void ul_digest_format_hex(const struct ul_digest *digest,
			  char hex[UL_DIGEST_HEX_MAX + 1])
{
	static const char digits[] = "0123456789abcdef";
	size_t i, size = ul_digest_size(digest->alg);

	for (i = 0; i < size; i++) {
		hex[2 * i] = digits[digest->bytes[i] >> 4];
		hex[2 * i + 1] = digits[digest->bytes[i] & 15];
	}
	hex[2 * size] = '\0';
}

void ul_digest_format(const struct ul_digest *digest,
		      char text[UL_DIGEST_TEXT_MAX])
{
	const char *name = ul_digest_alg_name(digest->alg);
	size_t len = strlen(name);

	memcpy(text, name, len);
	text[len] = ':';
	ul_digest_format_hex(digest, text + len + 1);
}

void ul_digest_format_path(const struct ul_digest *digest,
			   char path[UL_DIGEST_TEXT_MAX])
{
	ul_digest_format(digest, path);
	*strchr(path, ':') = '/';
}

int ul_digest_cmp(const struct ul_digest *a, const struct ul_digest *b)
{
	if (a->alg != b->alg)
		return a->alg < b->alg ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

bool ul_digest_equal(const struct ul_digest *a, const struct ul_digest *b)
{
	return ul_digest_cmp(a, b) == 0;
}

void ul_hash_init(struct ul_hash *hash, uint8_t alg)
{
	assert(ul_digest_size(alg));
	hash->alg = alg;
	if (alg == UL_DIGEST_SHA256)
		SHA256_Init((SHA256_CTX *)(void *)hash->state);
	else
		SHA512_Init((SHA512_CTX *)(void *)hash->state);
}

void ul_hash_update(struct ul_hash *hash, const void *data, size_t len)
{
	if (hash->alg == UL_DIGEST_SHA256)
		SHA256_Update((SHA256_CTX *)(void *)hash->state, data, len);
	else
		SHA512_Update((SHA512_CTX *)(void *)hash->state, data, len);
}

void ul_hash_final(struct ul_hash *hash, struct ul_digest *ret)
{
	struct ul_digest digest = { .alg = hash->alg };

	if (hash->alg == UL_DIGEST_SHA256)
		SHA256_Final(digest.bytes, (SHA256_CTX *)(void *)hash->state);
	else
		SHA512_Final(digest.bytes, (SHA512_CTX *)(void *)hash->state);
	*ret = digest;
}

void ul_digest_of(uint8_t alg, const void *data, size_t len,
		  struct ul_digest *ret)
{
	struct ul_hash hash;

	ul_hash_init(&hash, alg);
	ul_hash_update(&hash, data, len);
	ul_hash_final(&hash, ret);
}

void ul_digest_chain(const struct ul_digest *parent,
		     const struct ul_digest *diff, struct ul_digest *ret)
{
	char text[2 * UL_DIGEST_TEXT_MAX];
	size_t len;

	if (!parent || parent->alg == UL_DIGEST_NONE) {
		*ret = *diff;
		return;
	}
	ul_digest_format(parent, text);
	len = strlen(text);
	text[len] = ' ';
	ul_digest_format(diff, text + len + 1);
	ul_digest_of(UL_DIGEST_SHA256, text, strlen(text), ret);
}
