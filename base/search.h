/* base/search.h - where something stands, or would, in an order. */
#ifndef UL_BASE_SEARCH_H
#define UL_BASE_SEARCH_H

#include <stddef.h>

/*
 * The first of `count` items of `size` bytes that does not come before key;
 * count where all do. They are sorted by cmp, which is called as that of
 * bsearch() is: cmp(key, item). Where the order goes on after what is looked
 * for, a key with the least of the rest finds the first of its equals.
 */
size_t ul_lower_bound(const void *key, const void *items, size_t count,
		      size_t size, int (*cmp)(const void *, const void *));

#endif
