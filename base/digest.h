/*
 * base/digest.h - content digests: text, bytes, streaming hash.
 *
 * The text form is OCI's "algorithm:lower-case-hex" (OCI image-spec,
 * descriptor.md, Digests). SHA-256 comes from libcrypto, which uses the
 * processor's SHA instructions where it has them.
 */
#ifndef UL_BASE_DIGEST_H
#define UL_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ul_digest_alg { UL_DIGEST_NONE, UL_DIGEST_SHA256, UL_DIGEST_SHA512 };

struct ul_digest {
	uint8_t alg;       /* enum ul_digest_alg; NONE means "no digest" */
	uint8_t bytes[64]; /* zero past the algorithm's length */
};
#define UL_DIGEST_INIT ((struct ul_digest){ .alg = UL_DIGEST_NONE })

#define UL_DIGEST_HEX_MAX 128
#define UL_DIGEST_TEXT_MAX (sizeof "sha512:" + UL_DIGEST_HEX_MAX)

/* Bytes in a digest of this algorithm; 0 for NONE. */
size_t ul_digest_size(uint8_t alg);

/* "sha256", "sha512" or "none": also the folder name under blobs/. */
const char *ul_digest_alg_name(uint8_t alg);

/* The algorithm of that name (len bytes), or UL_DIGEST_NONE. */
uint8_t ul_digest_alg_parse(const char *name, size_t len);

/* Read exactly "alg:hex". False, *ret untouched, for anything else. */
bool ul_digest_parse(const char *text, struct ul_digest *ret);

/* Read the bare hex form that names a file under blobs/<alg>/. */
bool ul_digest_parse_hex(uint8_t alg, const char *hex, struct ul_digest *ret);

/* Write "alg:hex" and a NUL, or only the hex. */
void ul_digest_format(const struct ul_digest *digest,
		      char text[UL_DIGEST_TEXT_MAX]);
void ul_digest_format_hex(const struct ul_digest *digest,
			  char hex[UL_DIGEST_HEX_MAX + 1]);

/* Write "alg/hex": where an image layout keeps it under blobs/. */
void ul_digest_format_path(const struct ul_digest *digest,
			   char path[UL_DIGEST_TEXT_MAX]);

/* Order (as memcmp) and equality. */
int ul_digest_cmp(const struct ul_digest *a, const struct ul_digest *b);
bool ul_digest_equal(const struct ul_digest *a, const struct ul_digest *b);

/* A hash under way. Plain storage: copy or drop it as you like. */
struct ul_hash {
	uint8_t alg;
	_Alignas(16) unsigned char state[256];
};

void ul_hash_init(struct ul_hash *hash, uint8_t alg);
void ul_hash_update(struct ul_hash *hash, const void *data, size_t len);
void ul_hash_final(struct ul_hash *hash, struct ul_digest *ret);

/* All of the above for bytes that are in memory. */
void ul_digest_of(uint8_t alg, const void *data, size_t len,
		  struct ul_digest *ret);

/*
 * OCI chain ID: *ret = diff for the first layer, else
 * SHA256(parent + " " + diff) over the text forms (image-spec, config.md,
 * Layer ChainID). `parent` may be NULL for the first layer.
 */
void ul_digest_chain(const struct ul_digest *parent,
		     const struct ul_digest *diff, struct ul_digest *ret);

#endif
