#include "base/arena.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct ul_arena_block {
	struct ul_arena_block *older;
	size_t bytes;
	alignas(max_align_t) char data[];
};

enum { ARENA_BLOCK_BYTES = 64 << 10, ARENA_BLOCK_MAX_BYTES = 16 << 20 };

void ul_arena_release(struct ul_arena *arena)
{
	while (arena->blocks) {
		struct ul_arena_block *block = arena->blocks;

		arena->blocks = block->older;
		free(block);
	}
	*arena = UL_ARENA_INIT;
}

/* Each twice as large as the last one, so that a large arena has few. */
static size_t block_bytes(const struct ul_arena *arena, size_t need)
{
	size_t bytes = ARENA_BLOCK_BYTES;

	if (arena->blocks && arena->blocks->bytes < ARENA_BLOCK_MAX_BYTES)
		bytes = 2 * arena->blocks->bytes;
	else if (arena->blocks)
		bytes = ARENA_BLOCK_MAX_BYTES;
	return need > bytes ? need : bytes;
}

static void *arena_take(struct ul_arena *arena, size_t size, size_t align)
{
	size_t skip = -(uintptr_t)arena->next & (align - 1);
	struct ul_arena_block *block;
	size_t bytes;
	void *taken;

	if (arena->left_bytes < skip || arena->left_bytes - skip < size) {
		bytes = block_bytes(arena, size);
		if (bytes > SIZE_MAX - sizeof *block)
			return NULL;
		block = ul_malloc(sizeof *block + bytes);
		if (!block)
			return NULL;
		block->older = arena->blocks;
		block->bytes = bytes;
		arena->blocks = block;
		arena->next = block->data;
		arena->left_bytes = bytes;
		skip = 0;
	}
	taken = arena->next + skip;
	arena->next += skip + size;
	arena->left_bytes -= skip + size;
	return taken;
}

void *ul_arena_alloc(struct ul_arena *arena, size_t size)
{
	void *taken = arena_take(arena, size ? size : 1, alignof(max_align_t));

	return taken ? memset(taken, 0, size) : NULL;
}

char *ul_arena_bytes(struct ul_arena *arena, size_t size)
{
	return arena_take(arena, size, 1);
}

char *ul_arena_strdup(struct ul_arena *arena, const char *s)
{
	return ul_arena_strndup(arena, s, strlen(s));
}

char *ul_arena_strndup(struct ul_arena *arena, const char *s, size_t len)
{
	char *copy = ul_arena_bytes(arena, len + 1);

	if (!copy)
		return NULL;
	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}
