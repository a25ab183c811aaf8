#include "base/search.h"

size_t ul_lower_bound(const void *key, const void *items, size_t count,
		      size_t size, int (*cmp)(const void *, const void *))
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cmp(key, (const char *)items + middle * size) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
