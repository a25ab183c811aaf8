/*
 * base/buf.h - a growing byte or text buffer.
 *
 * data[len] is always a NUL byte once anything was added. A failed
 * allocation is remembered in `failed` and later additions do nothing, so a
 * caller may add many times and check once.
 */
#ifndef UL_BASE_BUF_H
#define UL_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct ul_buf {
	char *data; /* owned; NULL while empty */
	size_t len;
	size_t cap;
	bool failed;
};
#define UL_BUF_INIT ((struct ul_buf){ .data = NULL })

/* Free the contents; the buffer is empty and usable afterwards. */
void ul_buf_release(struct ul_buf *buf);

/* Forget the contents but keep the memory. */
void ul_buf_reset(struct ul_buf *buf);

/* Make room for `more` bytes beyond len. False where there is no memory. */
bool ul_buf_reserve(struct ul_buf *buf, size_t more);

/* Append; false (and buf->failed) where there is no memory. */
bool ul_buf_add(struct ul_buf *buf, const void *data, size_t len);
bool ul_buf_add_str(struct ul_buf *buf, const char *s);
bool ul_buf_add_char(struct ul_buf *buf, char c);
bool ul_buf_printf(struct ul_buf *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool ul_buf_vprintf(struct ul_buf *buf, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* The text, "" while empty. Borrowed until the next change. */
const char *ul_buf_str(const struct ul_buf *buf);

/* Hand over the text (free() it); NULL where an addition failed. */
char *ul_buf_detach(struct ul_buf *buf);

#endif
