#include "tests/lib/tar_fixture.h"

#include <assert.h>
#include <isa-l/igzip_lib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "base/err.h"
#include "base/fs.h"

enum { BLOCK = 512, NAME_FIELD = 100 };

static void field(char *at, size_t size, uint64_t value)
{
	size_t i;

	/* Too large for octal digits: base 256, as GNU tar writes it. */
	if (size < 22 && value >> (3 * (size - 1))) {
		for (i = 0; i < size; i++)
			at[i] = 0;
		for (i = 0; i < 8 && i < size; i++)
			at[size - 1 - i] = (char)(value >> (8 * i));
		at[0] = (char)0x80;
		return;
	}
	for (i = size - 1; i-- > 0; value >>= 3)
		at[i] = (char)('0' + (value & 7));
	at[size - 1] = '\0';
}

void tar_checksum(char block[BLOCK])
{
	unsigned sum = 0;
	int i;

	memset(block + 148, ' ', 8);
	for (i = 0; i < BLOCK; i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 8, "%06o", sum);
}

static size_t item_len(const struct tar_item *item)
{
	if (!item->data)
		return 0;
	return item->len ? item->len : strlen(item->data);
}

void tar_header(const struct tar_item *item, char block[BLOCK])
{
	char type = item->type ? item->type : '0';
	unsigned mode = item->mode ? item->mode : type == '5' ? 0755 : 0644;
	uint64_t size = item->claimed ? item->claimed : item_len(item);

	memset(block, 0, BLOCK);
	strncpy(block, item->path, NAME_FIELD);
	field(block + 100, 8, mode);
	field(block + 108, 8, item->uid);
	field(block + 116, 8, item->gid);
	field(block + 124, 12, size);
	field(block + 136, 12, item->mtime);
	block[156] = type;
	if (item->link)
		strncpy(block + 157, item->link, NAME_FIELD);
	memcpy(block + 257, "ustar\00000", 8);
	field(block + 329, 8, item->dev_major);
	field(block + 337, 8, item->dev_minor);
	tar_checksum(block);
}

static void must(bool is_ok)
{
	if (!is_ok)
		abort();
}

static void add_padded(struct ul_buf *tar, const void *data, size_t len)
{
	static const char zeros[BLOCK];

	must(ul_buf_add(tar, data, len));
	must(ul_buf_add(tar, zeros, (BLOCK - len % BLOCK) % BLOCK));
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void pax_record(struct ul_buf *records, const char *key,
		       const void *value, size_t len)
{
	size_t rest = strlen(key) + len + 3;
	size_t total = rest + 1;
	char digits[24];

	while (rest + (size_t)snprintf(digits, sizeof digits, "%zu", total) !=
	       total)
		total++;
	must(ul_buf_printf(records, "%zu %s=", total, key));
	must(ul_buf_add(records, value, len));
	must(ul_buf_add_char(records, '\n'));
}

static void pax_add(struct ul_buf *tar, const struct tar_item *item)
{
	struct ul_buf records = UL_BUF_INIT;
	struct tar_item header = { .path = "pax", .type = 'x' };
	const struct tar_pax *pax;

	if (strlen(item->path) > NAME_FIELD)
		pax_record(&records, "path", item->path, strlen(item->path));
	if (item->link && strlen(item->link) > NAME_FIELD)
		pax_record(&records, "linkpath", item->link,
			   strlen(item->link));
	for (pax = item->pax; pax < item->pax + TAR_PAX_MAX && pax->key; pax++)
		pax_record(&records, pax->key, pax->value,
			   pax->len ? pax->len : strlen(pax->value));
	if (records.len > 0) {
		header.data = records.data;
		header.len = records.len;
		tar_add(tar, &header);
	}
	ul_buf_release(&records);
}

void tar_add(struct ul_buf *tar, const struct tar_item *item)
{
	char block[BLOCK];

	if (item->type != 'x')
		pax_add(tar, item);
	tar_header(item, block);
	must(ul_buf_add(tar, block, BLOCK));
	add_padded(tar, item->data, item_len(item));
}

void tar_end(struct ul_buf *tar)
{
	static const char zeros[2 * BLOCK];

	must(ul_buf_add(tar, zeros, sizeof zeros));
}

void pack_gzip(struct ul_buf *packed, const void *data, size_t len)
{
	struct isal_zstream *stream = malloc(sizeof *stream);
	uint8_t *level_buf = malloc(ISAL_DEF_LVL1_DEFAULT);
	char *zeros = calloc(1, len + len / 8 + 1024);
	size_t start = packed->len;

	must(stream && level_buf && zeros);
	must(ul_buf_add(packed, zeros, len + len / 8 + 1024));
	isal_deflate_init(stream);
	stream->gzip_flag = IGZIP_GZIP;
	stream->level = 1;
	stream->level_buf = level_buf;
	stream->level_buf_size = ISAL_DEF_LVL1_DEFAULT;
	stream->end_of_stream = 1;
	stream->next_in = (uint8_t *)data;
	stream->avail_in = (uint32_t)len;
	stream->next_out = (uint8_t *)packed->data + start;
	stream->avail_out = (uint32_t)(packed->len - start);
	must(isal_deflate(stream) == COMP_OK);
	must(stream->internal_state.state == ZSTATE_END);
	packed->len = start + stream->total_out;
	free(stream);
	free(level_buf);
	free(zeros);
}

void pack_zstd(struct ul_buf *packed, const void *data, size_t len)
{
	size_t bound = ZSTD_compressBound(len);
	char *out = malloc(bound);
	ZSTD_CCtx *context = ZSTD_createCCtx();

	must(out && context);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	bound = ZSTD_compress2(context, out, bound, data, len);
	must(!ZSTD_isError(bound));
	must(ul_buf_add(packed, out, bound));
	ZSTD_freeCCtx(context);
	free(out);
}

int fd_of_bytes(const void *data, size_t len)
{
	struct ul_err err = UL_ERR_INIT;
	int fd = memfd_create("bytes", MFD_CLOEXEC);

	must(fd >= 0);
	must(ul_fd_write_all(fd, data, len, &err) == 0);
	must(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}
