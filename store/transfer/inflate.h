/*
 * store/transfer/inflate.h - packed layer bytes in, the stream they hold out.
 *
 * The format is told by the first bytes: gzip (RFC 1952, through ISA-L), zstd
 * (RFC 8878) or, for all else, the bytes themselves. All members of a gzip
 * file and all frames of a zstd file are one stream (eStargz and
 * zstd:chunked layers have many); zero bytes after the last gzip member are
 * padding. Packed bytes are hashed on the way where that is asked for.
 */
#ifndef UL_STORE_TRANSFER_INFLATE_H
#define UL_STORE_TRANSFER_INFLATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct ul_err;
struct ul_inflate;

enum ul_inflate_format {
	UL_INFLATE_PLAIN,
	UL_INFLATE_GZIP,
	UL_INFLATE_ZSTD,
};

/* Bounds on the output; see store/limits.h. */
struct ul_inflate_limits {
	uint64_t bytes;            /* of the whole output */
	uint64_t ratio;            /* output over input ... */
	uint64_t ratio_from_bytes; /* ... once there is that much output */
};

/*
 * Begin to read a packed stream from the current offset of fd to its end.
 * packed_alg NONE: do not hash the packed bytes.
 *
 * Owner:   the caller keeps fd open and closes it after ul_inflate_close().
 * Thread:  any, one at a time.
 * Returns: 0, UL_E_IO (read), UL_E_NOMEM.
 */
int ul_inflate_open(int fd, uint8_t packed_alg,
		    const struct ul_inflate_limits *limits,
		    struct ul_inflate **ret, struct ul_err *err);

/* Free it; accepts NULL. */
void ul_inflate_close(struct ul_inflate *inflate);
void ul_inflate_closep(struct ul_inflate **inflate);

/*
 * Fill `out` with the next bytes of the stream: all of it, except at the end.
 * *ret_len is 0 only when everything was read: every member is complete, its
 * checksum right, and nothing foreign follows.
 *
 * Returns: 0, or
 *   UL_E_CORRUPT  damaged, cut off, or bytes of no meaning after the end
 *   UL_E_LIMIT    longer than the limits allow, or a zstd window too large
 *   UL_E_IO, UL_E_NOMEM
 */
int ul_inflate_read(struct ul_inflate *inflate, void *out, size_t size,
		    size_t *ret_len, struct ul_err *err);

enum ul_inflate_format ul_inflate_format(const struct ul_inflate *inflate);

/* Packed bytes read so far. May be asked by any thread at any time. */
uint64_t ul_inflate_packed_bytes(const struct ul_inflate *inflate);

/* Digest of all packed bytes; only after the end. NONE where not asked for. */
void ul_inflate_packed_digest(const struct ul_inflate *inflate,
			      struct ul_digest *ret);

#endif
