/*
 * base/arena.h - memory with one lifetime, freed whole.
 *
 * A parsed manifest, a view of a store or a report each live in one arena;
 * what it hands out is borrowed from it and never freed alone.
 */
#ifndef UL_BASE_ARENA_H
#define UL_BASE_ARENA_H

#include <stddef.h>

struct ul_arena_block;

struct ul_arena {
	struct ul_arena_block *blocks; /* owned; newest first */
	char *next;
	size_t left_bytes;
};
#define UL_ARENA_INIT ((struct ul_arena){ .blocks = NULL })

/* Free everything; the arena is empty and usable afterwards. */
void ul_arena_release(struct ul_arena *arena);

/* Zeroed memory, aligned for any type. NULL where there is none. */
void *ul_arena_alloc(struct ul_arena *arena, size_t size);

/* Memory for bytes, neither zeroed nor aligned. NULL where there is none. */
char *ul_arena_bytes(struct ul_arena *arena, size_t size);

/* Copies with a NUL at the end. NULL where there is no memory. */
char *ul_arena_strdup(struct ul_arena *arena, const char *s);
char *ul_arena_strndup(struct ul_arena *arena, const char *s, size_t len);

#endif
