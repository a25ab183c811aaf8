/* Packed bytes: the same comes out in whatever portions they are asked for. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "fuzz.h"
#include "store/transfer/inflate.h"
#include "tests/lib/tar_fixture.h"

enum { OUT_MAX = 1 << 18, CHUNK_MAX = 1 << 16 };

static const struct ul_inflate_limits limits = {
	.bytes = OUT_MAX,
	.ratio = 200,
	.ratio_from_bytes = 1 << 16,
};

/* Returns what ended it; `out` holds all that came before. */
static int drain(struct ul_inflate *inflate, size_t chunk, struct ul_buf *out)
{
	static unsigned char block[CHUNK_MAX];
	struct ul_err err = UL_ERR_INIT;
	size_t len = 1;
	bool ok = true;
	int rc = 0;

	while (len > 0) {
		rc = ul_inflate_read(inflate, block, chunk, &len, &err);
		if (rc)
			break;
		assert(len <= chunk);
		ok = ok && ul_buf_add(out, block, len);
		assert(out->len <= OUT_MAX);
	}
	assert(ok && rc == err.code && !strpbrk(err.msg, "\n\033"));
	return rc;
}

static void check_digest(const struct ul_inflate *inflate, const uint8_t *data,
			 size_t size)
{
	struct ul_digest packed, expected;

	ul_inflate_packed_digest(inflate, &packed);
	ul_digest_of(UL_DIGEST_SHA256, data, size, &expected);
	assert(ul_digest_equal(&packed, &expected));
	assert(ul_inflate_packed_bytes(inflate) == size);
	if (ul_inflate_format(inflate) == UL_INFLATE_PLAIN)
		assert(size <= OUT_MAX);
}

static int inflate(const uint8_t *data, size_t size, size_t chunk,
		   struct ul_buf *out)
{
	ul_cleanup(ul_inflate_closep) struct ul_inflate *inflate = NULL;
	int fd = fd_of_bytes(data, size);
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_inflate_open(fd, UL_DIGEST_SHA256, &limits, &inflate, &err);

	assert(!rc);
	rc = drain(inflate, chunk, out);
	if (!rc)
		check_digest(inflate, data, size);
	close(fd);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_cleanup(ul_buf_release) struct ul_buf whole = UL_BUF_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf parts = UL_BUF_INIT;
	size_t chunk = 1 + (size ? data[size - 1] : 0);
	int rc = inflate(data, size, CHUNK_MAX, &whole);
	int rc_parts = inflate(data, size, chunk, &parts);

	assert(!rc == !rc_parts);
	if (rc)
		return 0;
	assert(whole.len == parts.len);
	assert(!whole.len || !memcmp(whole.data, parts.data, whole.len));
	return 0;
}
