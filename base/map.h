/*
 * base/map.h - a hash map from byte strings to 32-bit values.
 *
 * For the inside of one computation: keys are borrowed, nothing is ever
 * removed, iteration is in order of insertion. Any bytes can be a key, so a
 * digest (its struct), a name, or a packed tuple all serve.
 */
#ifndef UL_BASE_MAP_H
#define UL_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ul_map_entry {
	const void *key; /* borrowed */
	uint64_t hash;
	uint32_t key_len;
	uint32_t value;
};

struct ul_map {
	struct ul_map_entry *entries; /* owned; in order of insertion */
	size_t len;
	size_t cap;
	uint32_t *slots;   /* owned; entry index + 1, 0 is free */
	size_t slot_count; /* power of two, or 0 */
};
#define UL_MAP_INIT ((struct ul_map){ .entries = NULL })
#define UL_MAP_NONE UINT32_MAX

/* Free what the map owns (not the keys); usable afterwards. */
void ul_map_release(struct ul_map *map);

/* The value of a key, or UL_MAP_NONE. */
uint32_t ul_map_get(const struct ul_map *map, const void *key, size_t len);
uint32_t ul_map_get_str(const struct ul_map *map, const char *key);

/*
 * For many keys at once, of which none is there yet and none is twice: append
 * them all, then ul_map_finish() makes them findable. False without memory;
 * only ul_map_release() and trying again are allowed then.
 */
bool ul_map_append(struct ul_map *map, const void *key, size_t len,
		   uint32_t value);
bool ul_map_finish(struct ul_map *map);

/*
 * Find a key or add it with `value`. Returns where its value stands (valid
 * until the next addition), *ret_added telling which; NULL without memory.
 */
uint32_t *ul_map_put(struct ul_map *map, const void *key, size_t len,
		     uint32_t value, bool *ret_added);

/* ul_map_put() for those who only set: true unless memory is out. */
bool ul_map_set(struct ul_map *map, const void *key, size_t len,
		uint32_t value);

#endif
