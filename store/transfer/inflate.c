#include "store/transfer/inflate.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <isa-l/igzip_lib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/limits.h"

enum { PACKED_BYTES = 256 << 10, MAGIC_BYTES = 4 };

struct ul_inflate {
	int fd;
	struct ul_inflate_limits limits;
	enum ul_inflate_format format;
	uint8_t packed_alg;
	struct ul_hash packed_hash;
	atomic_uint_fast64_t packed_bytes;
	uint64_t out_bytes;
	bool fd_at_end;
	bool in_member;             /* inside a gzip member or zstd frame */
	bool in_padding;            /* only zero bytes may follow */
	size_t at, len;             /* packed[at..len) is not consumed yet */
	struct inflate_state *gzip; /* owned; gzip only */
	ZSTD_DCtx *zstd;            /* owned; zstd only */
	uint64_t frame_bytes;       /* that came of this zstd frame */
	uint64_t frame_says_bytes;  /* its header, ZSTD_CONTENTSIZE_... */
	unsigned char packed[PACKED_BYTES];
};

/* read() into the buffer's free end or elsewhere; hashed and counted. */
static int packed_read(struct ul_inflate *z, void *into, size_t size,
		       size_t *ret_len, struct ul_err *err)
{
	ssize_t len;

	do
		len = read(z->fd, into, size);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return ul_err_sys(err, "read packed layer");
	if (len == 0)
		z->fd_at_end = true;
	if (z->packed_alg != UL_DIGEST_NONE)
		ul_hash_update(&z->packed_hash, into, (size_t)len);
	atomic_fetch_add_explicit(&z->packed_bytes, (uint64_t)len,
				  memory_order_relaxed);
	*ret_len = (size_t)len;
	return 0;
}

/* Have at least one unconsumed packed byte, unless the file is at its end. */
static int packed_fill(struct ul_inflate *z, struct ul_err *err)
{
	if (z->at < z->len || z->fd_at_end)
		return 0;
	z->at = 0;
	z->len = 0;
	return packed_read(z, z->packed, sizeof z->packed, &z->len, err);
}

static int magic_read(struct ul_inflate *z, struct ul_err *err)
{
	size_t len = 0;
	int rc;

	while (z->len < MAGIC_BYTES && !z->fd_at_end) {
		rc = packed_read(z, z->packed + z->len,
				 sizeof z->packed - z->len, &len, err);
		if (rc)
			return rc;
		z->len += len;
	}
	return 0;
}

static enum ul_inflate_format format_of(const unsigned char *bytes, size_t len)
{
	static const unsigned char zstd[4] = { 0x28, 0xb5, 0x2f, 0xfd };
	static const unsigned char skippable[3] = { 0x2a, 0x4d, 0x18 };

	if (len >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b)
		return UL_INFLATE_GZIP;
	if (len >= 4 && !memcmp(bytes, zstd, 4))
		return UL_INFLATE_ZSTD;
	if (len >= 4 && bytes[0] >> 4 == 5 && !memcmp(bytes + 1, skippable, 3))
		return UL_INFLATE_ZSTD;
	return UL_INFLATE_PLAIN;
}

static int decoder_open(struct ul_inflate *z, struct ul_err *err)
{
	size_t rc;

	if (z->format == UL_INFLATE_GZIP) {
		z->gzip = ul_malloc(sizeof *z->gzip);
		return z->gzip ? 0 : ul_err_nomem(err);
	}
	if (z->format == UL_INFLATE_ZSTD) {
		z->zstd = ZSTD_createDCtx();
		if (!z->zstd)
			return ul_err_nomem(err);
		rc = ZSTD_DCtx_setParameter(z->zstd, ZSTD_d_windowLogMax,
					    UL_LAYER_ZSTD_WINDOW_LOG_MAX);
		assert(!ZSTD_isError(rc));
	}
	return 0;
}

int ul_inflate_open(int fd, uint8_t packed_alg,
		    const struct ul_inflate_limits *limits,
		    struct ul_inflate **ret, struct ul_err *err)
{
	ul_cleanup(ul_inflate_closep) struct ul_inflate *z = NULL;
	int rc;

	z = ul_malloc(sizeof *z);
	if (!z)
		return ul_err_nomem(err);
	/* All but the packed bytes: clearing those would be for nothing. */
	memset(z, 0, offsetof(struct ul_inflate, packed));
	z->fd = fd;
	z->limits = *limits;
	z->packed_alg = packed_alg;
	if (packed_alg != UL_DIGEST_NONE)
		ul_hash_init(&z->packed_hash, packed_alg);

	rc = magic_read(z, err);
	if (rc)
		return rc;
	z->format = format_of(z->packed, z->len);
	rc = decoder_open(z, err);
	if (rc)
		return rc;
	*ret = ul_steal(z);
	return 0;
}

void ul_inflate_close(struct ul_inflate *inflate)
{
	if (!inflate)
		return;
	free(inflate->gzip);
	ZSTD_freeDCtx(inflate->zstd);
	free(inflate);
}

void ul_inflate_closep(struct ul_inflate **inflate)
{
	ul_inflate_close(*inflate);
	*inflate = NULL;
}

static int gzip_corrupt(int isal_rc, struct ul_err *err)
{
	switch (isal_rc) {
	case ISAL_INCORRECT_CHECKSUM:
		return ul_err_set(err, UL_E_CORRUPT,
				  "gzip: wrong checksum or length");
	case ISAL_INVALID_WRAPPER:
	case ISAL_UNSUPPORTED_METHOD:
		return ul_err_set(err, UL_E_CORRUPT, "gzip: damaged header");
	default:
		return ul_err_set(err, UL_E_CORRUPT, "gzip: damaged data");
	}
}

/* What may stand between members: another one, zero padding, the end. */
static int gzip_between(struct ul_inflate *z, struct ul_err *err)
{
	if (z->packed[z->at] == 0x1f && !z->in_padding) {
		isal_inflate_init(z->gzip);
		z->gzip->crc_flag = ISAL_GZIP;
		z->in_member = true;
		return 0;
	}
	for (; z->at < z->len; z->at++)
		if (z->packed[z->at])
			return ul_err_set(err, UL_E_CORRUPT,
					  "gzip: foreign bytes after the end");
	z->in_padding = true;
	return 0;
}

static int gzip_member(struct ul_inflate *z, unsigned char *out, size_t size,
		       size_t *ret_len, struct ul_err *err)
{
	struct inflate_state *gzip = z->gzip;
	uint32_t avail_out = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
	bool input_is_over = z->at == z->len;
	int rc;

	gzip->next_in = z->packed + z->at;
	gzip->avail_in = (uint32_t)(z->len - z->at);
	gzip->next_out = out;
	gzip->avail_out = avail_out;
	rc = isal_inflate(gzip);
	if (rc < 0 || rc == ISAL_NEED_DICT)
		return gzip_corrupt(rc, err);
	z->at = z->len - gzip->avail_in;
	*ret_len = avail_out - gzip->avail_out;
	if (gzip->block_state == ISAL_BLOCK_FINISH)
		z->in_member = false;
	else if (input_is_over && *ret_len == 0)
		return ul_err_set(err, UL_E_CORRUPT, "gzip: cut off");
	return 0;
}

static int zstd_failed(size_t zstd_rc, struct ul_err *err)
{
	switch (ZSTD_getErrorCode(zstd_rc)) {
	case ZSTD_error_memory_allocation:
		return ul_err_nomem(err);
	case ZSTD_error_frameParameter_windowTooLarge:
		return ul_err_set(err, UL_E_LIMIT,
				  "zstd: window larger than %u MiB",
				  1u << (UL_LAYER_ZSTD_WINDOW_LOG_MAX - 20));
	default:
		return ul_err_set(err, UL_E_CORRUPT, "zstd: %s",
				  ZSTD_getErrorName(zstd_rc));
	}
}

/*
 * libzstd 1.5 holds a frame to the length in its header where it decompresses
 * it in one go, but not where its last block is empty and it comes in parts:
 * the same bytes would be right or wrong by the size of the caller's buffer.
 */
static int zstd_frame_end(const struct ul_inflate *z, struct ul_err *err)
{
	if (z->frame_says_bytes == ZSTD_CONTENTSIZE_UNKNOWN ||
	    z->frame_says_bytes == ZSTD_CONTENTSIZE_ERROR ||
	    z->frame_says_bytes == z->frame_bytes)
		return 0;
	return ul_err_set(err, UL_E_CORRUPT,
			  "zstd: %llu bytes where its header says %llu",
			  (unsigned long long)z->frame_bytes,
			  (unsigned long long)z->frame_says_bytes);
}

static int zstd_frame(struct ul_inflate *z, unsigned char *out, size_t size,
		      size_t *ret_len, struct ul_err *err)
{
	ZSTD_inBuffer packed = { z->packed, z->len, z->at };
	ZSTD_outBuffer plain = { out, size, 0 };
	bool input_is_over = z->at == z->len;
	size_t rc;

	if (!z->in_member) {
		z->frame_bytes = 0;
		z->frame_says_bytes =
		    ZSTD_getFrameContentSize(z->packed + z->at, z->len - z->at);
	}
	rc = ZSTD_decompressStream(z->zstd, &plain, &packed);
	if (ZSTD_isError(rc))
		return zstd_failed(rc, err);
	z->at = packed.pos;
	z->in_member = rc != 0;
	z->frame_bytes += plain.pos;
	if (!rc && zstd_frame_end(z, err))
		return err->code;
	*ret_len = plain.pos;
	if (input_is_over && z->in_member && plain.pos == 0)
		return ul_err_set(err, UL_E_CORRUPT, "zstd: cut off");
	return 0;
}

static int plain_bytes(struct ul_inflate *z, unsigned char *out, size_t size,
		       size_t *ret_len, struct ul_err *err)
{
	size_t len = z->len - z->at;

	if (len == 0)
		return packed_read(z, out, size, ret_len, err);
	len = len < size ? len : size;
	memcpy(out, z->packed + z->at, len);
	z->at += len;
	*ret_len = len;
	return 0;
}

/* Some bytes more, perhaps none; *ret_ended at the end of everything. */
static int inflate_step(struct ul_inflate *z, unsigned char *out, size_t size,
			size_t *ret_len, bool *ret_ended, struct ul_err *err)
{
	int rc;

	*ret_len = 0;
	if (z->format == UL_INFLATE_PLAIN) {
		*ret_ended = z->fd_at_end && z->at == z->len;
		return *ret_ended ? 0 : plain_bytes(z, out, size, ret_len, err);
	}
	rc = packed_fill(z, err);
	if (rc)
		return rc;
	*ret_ended = !z->in_member && z->at == z->len;
	if (*ret_ended)
		return 0;
	if (z->format == UL_INFLATE_ZSTD)
		return zstd_frame(z, out, size, ret_len, err);
	if (!z->in_member)
		return gzip_between(z, err);
	return gzip_member(z, out, size, ret_len, err);
}

static int limits_check(const struct ul_inflate *z, struct ul_err *err)
{
	uint64_t packed_bytes = ul_inflate_packed_bytes(z) - (z->len - z->at);

	if (z->out_bytes > z->limits.bytes)
		return ul_err_set(err, UL_E_LIMIT,
				  "unpacks to more than %" PRIu64 " bytes",
				  z->limits.bytes);
	if (z->out_bytes > z->limits.ratio_from_bytes &&
	    z->out_bytes / z->limits.ratio > packed_bytes)
		return ul_err_set(err, UL_E_LIMIT,
				  "unpacks to more than %" PRIu64
				  " times its packed length",
				  z->limits.ratio);
	return 0;
}

int ul_inflate_read(struct ul_inflate *inflate, void *out, size_t size,
		    size_t *ret_len, struct ul_err *err)
{
	bool is_ended = false;
	size_t len = 0;
	size_t more;
	int rc;

	while (len < size && !is_ended) {
		rc = inflate_step(inflate, (unsigned char *)out + len,
				  size - len, &more, &is_ended, err);
		if (rc)
			return rc;
		len += more;
		inflate->out_bytes += more;
		rc = limits_check(inflate, err);
		if (rc)
			return rc;
	}
	*ret_len = len;
	return 0;
}

enum ul_inflate_format ul_inflate_format(const struct ul_inflate *inflate)
{
	return inflate->format;
}

uint64_t ul_inflate_packed_bytes(const struct ul_inflate *inflate)
{
	return atomic_load_explicit(&inflate->packed_bytes,
				    memory_order_relaxed);
}

void ul_inflate_packed_digest(const struct ul_inflate *inflate,
			      struct ul_digest *ret)
{
	struct ul_hash hash = inflate->packed_hash;

	*ret = UL_DIGEST_INIT;
	if (inflate->packed_alg != UL_DIGEST_NONE)
		ul_hash_final(&hash, ret);
}
