#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void ul_buf_release(struct ul_buf *buf)
{
	free(buf->data);
	*buf = UL_BUF_INIT;
}

void ul_buf_reset(struct ul_buf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->data)
		buf->data[0] = '\0';
}

bool ul_buf_reserve(struct ul_buf *buf, size_t more)
{
	size_t need;
	char *data;

	if (buf->failed)
		return false;
	if (__builtin_add_overflow(buf->len, more, &need) ||
	    __builtin_add_overflow(need, 1, &need)) {
		buf->failed = true;
		return false;
	}
	data = ul_grow(buf->data, &buf->cap, need, 1);
	if (!data) {
		buf->failed = true;
		return false;
	}
	buf->data = data;
	data[buf->len] = '\0';
	return true;
}

bool ul_buf_add(struct ul_buf *buf, const void *data, size_t len)
{
	if (!ul_buf_reserve(buf, len))
		return false;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return true;
}

bool ul_buf_add_str(struct ul_buf *buf, const char *s)
{
	return ul_buf_add(buf, s, strlen(s));
}

bool ul_buf_add_char(struct ul_buf *buf, char c)
{
	return ul_buf_add(buf, &c, 1);
}

bool ul_buf_vprintf(struct ul_buf *buf, const char *fmt, va_list ap)
{
	va_list again;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (len < 0 || !ul_buf_reserve(buf, (size_t)len)) {
		buf->failed = true;
		return false;
	}
	vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, ap);
	buf->len += (size_t)len;
	return true;
}

bool ul_buf_printf(struct ul_buf *buf, const char *fmt, ...)
{
	va_list ap;
	bool ok;

	va_start(ap, fmt);
	ok = ul_buf_vprintf(buf, fmt, ap);
	va_end(ap);
	return ok;
}

const char *ul_buf_str(const struct ul_buf *buf)
{
	return buf->data ? buf->data : "";
}

char *ul_buf_detach(struct ul_buf *buf)
{
	char *text;

	if (buf->failed || !ul_buf_reserve(buf, 0)) {
		ul_buf_release(buf);
		return NULL;
	}
	buf->data[buf->len] = '\0';
	text = buf->data;
	*buf = UL_BUF_INIT;
	return text;
}
