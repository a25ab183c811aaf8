/*
 * base/mem.h - memory, owned by one owner at a time.
 *
 * Everything is allocated here, so that a test can make the n-th allocation
 * fail: ul_mem_countdown counts down on each one, over all threads, and the
 * one that takes it from 0 to -1 fails. -1 (the start value) never fails.
 */
#ifndef UL_BASE_MEM_H
#define UL_BASE_MEM_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

extern atomic_long ul_mem_countdown;

/* Run fn(&variable) when the variable's scope ends. */
#define ul_cleanup(fn) __attribute__((cleanup(fn)))

/* Hand over what an owning pointer holds; it is NULL afterwards. */
#define ul_steal(p)                                                            \
	({                                                                     \
		__typeof__(p) stolen_ = (p);                                   \
		(p) = NULL;                                                    \
		stolen_;                                                       \
	})

#define ul_array_len(a) (sizeof(a) / sizeof((a)[0]))

/* Uninitialised, and zeroed memory. NULL where there is none. */
void *ul_malloc(size_t size);
void *ul_calloc(size_t count, size_t size);
void *ul_realloc(void *old, size_t size);

/* Copies that the caller frees with free(). NULL where there is no memory. */
char *ul_strdup(const char *s);
char *ul_strndup(const char *s, size_t len);
char *ul_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *ul_vasprintf(const char *fmt, va_list ap)
    __attribute__((format(printf, 1, 0)));

/*
 * Make room for `need` elements of elem_size bytes in an array, doubling its
 * capacity *cap. Returns the array, perhaps moved, or NULL with the old one
 * still valid and *cap unchanged: keep the result in a variable of its own
 * until it is checked. Overflow counts as no memory.
 */
void *ul_grow(void *array, size_t *cap, size_t need, size_t elem_size);

/* ul_cleanup(ul_freep): frees what a pointer variable holds. */
void ul_freep(void *pointer_to_pointer);

#endif
