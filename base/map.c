#define XXH_INLINE_ALL
#include "base/map.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"

void ul_map_release(struct ul_map *map)
{
	free(map->entries);
	free(map->slots);
	*map = UL_MAP_INIT;
}

/* The slot that holds the key, or the free one where it would go. */
static uint32_t *map_slot(const struct ul_map *map, uint64_t hash,
			  const void *key, size_t len)
{
	size_t mask = map->slot_count - 1, i = hash & mask;

	for (;; i = (i + 1) & mask) {
		const struct ul_map_entry *entry;

		if (!map->slots[i])
			return &map->slots[i];
		entry = &map->entries[map->slots[i] - 1];
		if (entry->hash == hash && entry->key_len == len &&
		    !memcmp(entry->key, key, len))
			return &map->slots[i];
	}
}

uint32_t ul_map_get(const struct ul_map *map, const void *key, size_t len)
{
	uint32_t *slot;

	if (!map->slot_count)
		return UL_MAP_NONE;
	slot = map_slot(map, XXH3_64bits(key, len), key, len);
	return *slot ? map->entries[*slot - 1].value : UL_MAP_NONE;
}

uint32_t ul_map_get_str(const struct ul_map *map, const char *key)
{
	return ul_map_get(map, key, strlen(key));
}

enum { AHEAD = 16 }; /* that many lines come from memory at once */

static bool map_rehash(struct ul_map *map, size_t count)
{
	size_t i;
	uint32_t *slots = ul_calloc(count, sizeof *slots);

	if (!slots)
		return false;
	for (i = 0; i < map->len; i++) {
		size_t at = map->entries[i].hash & (count - 1);

		if (i + AHEAD < map->len)
			__builtin_prefetch(
			    &slots[map->entries[i + AHEAD].hash & (count - 1)],
			    1);
		while (slots[at])
			at = (at + 1) & (count - 1);
		slots[at] = (uint32_t)(i + 1);
	}
	free(map->slots);
	map->slots = slots;
	map->slot_count = count;
	return true;
}

/* At least twice as many as keys; a power of two. */
static size_t map_slots_for(const struct ul_map *map, size_t keys)
{
	size_t count = map->slot_count ? map->slot_count : 64;

	while (count / 2 < keys)
		count *= 2;
	return count;
}

static bool map_append(struct ul_map *map, uint64_t hash, const void *key,
		       size_t len, uint32_t value)
{
	struct ul_map_entry *entries =
	    ul_grow(map->entries, &map->cap, map->len + 1, sizeof *entries);

	if (!entries)
		return false;
	map->entries = entries;
	entries[map->len++] = (struct ul_map_entry){
		.key = key,
		.hash = hash,
		.key_len = (uint32_t)len,
		.value = value,
	};
	return true;
}

uint32_t *ul_map_put(struct ul_map *map, const void *key, size_t len,
		     uint32_t value, bool *ret_added)
{
	uint64_t hash = XXH3_64bits(key, len);
	size_t slots = map_slots_for(map, map->len + 1);
	uint32_t *slot;

	if (len >= UINT32_MAX || map->len >= UINT32_MAX - 1)
		return NULL;
	if (slots != map->slot_count && !map_rehash(map, slots))
		return NULL;
	slot = map_slot(map, hash, key, len);
	*ret_added = !*slot;
	if (*slot)
		return &map->entries[*slot - 1].value;
	if (!map_append(map, hash, key, len, value))
		return NULL;
	*slot = (uint32_t)map->len;
	return &map->entries[map->len - 1].value;
}

bool ul_map_append(struct ul_map *map, const void *key, size_t len,
		   uint32_t value)
{
	return len < UINT32_MAX && map->len < UINT32_MAX - 1 &&
	       map_append(map, XXH3_64bits(key, len), key, len, value);
}

bool ul_map_finish(struct ul_map *map)
{
	return map_rehash(map, map_slots_for(map, map->len));
}

bool ul_map_set(struct ul_map *map, const void *key, size_t len, uint32_t value)
{
	bool added;
	uint32_t *at = ul_map_put(map, key, len, value, &added);

	if (at)
		*at = value;
	return at != NULL;
}
