#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

atomic_long ul_mem_countdown = -1;

static bool mem_fails(void)
{
	long left =
	    atomic_load_explicit(&ul_mem_countdown, memory_order_relaxed);

	if (left < 0)
		return false;
	if (atomic_fetch_sub(&ul_mem_countdown, 1) != 0)
		return false;
	errno = ENOMEM;
	return true;
}

void *ul_malloc(size_t size)
{
	return mem_fails() ? NULL : malloc(size ? size : 1);
}

void *ul_calloc(size_t count, size_t size)
{
	return mem_fails() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *ul_realloc(void *old, size_t size)
{
	return mem_fails() ? NULL : realloc(old, size ? size : 1);
}

char *ul_strdup(const char *s)
{
	return ul_strndup(s, strlen(s));
}

char *ul_strndup(const char *s, size_t len)
{
	char *copy = ul_malloc(len + 1);

	if (!copy)
		return NULL;
	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *ul_vasprintf(const char *fmt, va_list ap)
{
	va_list again;
	char *text = NULL;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, ap);
	if (len >= 0)
		text = ul_malloc((size_t)len + 1);
	if (text)
		vsnprintf(text, (size_t)len + 1, fmt, again);
	va_end(again);
	return text;
}

char *ul_asprintf(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = ul_vasprintf(fmt, ap);
	va_end(ap);
	return text;
}

void *ul_grow(void *array, size_t *cap, size_t need, size_t elem_size)
{
	size_t bytes, new_cap = *cap ? *cap : 16;
	void *grown;

	if (need <= *cap && array)
		return array;
	while (new_cap < need) {
		if (__builtin_mul_overflow(new_cap, 2, &new_cap))
			return NULL;
	}
	if (__builtin_mul_overflow(new_cap, elem_size, &bytes))
		return NULL;
	grown = ul_realloc(array, bytes);
	if (grown)
		*cap = new_cap;
	return grown;
}

void ul_freep(void *pointer_to_pointer)
{
	void **p = pointer_to_pointer;

	free(*p);
	*p = NULL;
}
