/*
 * store/suggest.h - "did you mean": the name closest to one that is absent.
 */
#ifndef UL_STORE_SUGGEST_H
#define UL_STORE_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "store/limits.h"

struct ul_view;

/* Edits (insert, delete, replace, swap) from a to b, counted up to `most`. */
size_t ul_edit_distance(const char *a, const char *b, size_t most);

/*
 * The image name closest to what was typed, in the short form where a short
 * one was typed. False where none is close.
 */
bool ul_suggest_image(const struct ul_view *view, const char *typed,
		      char name[UL_NAME_MAX_BYTES]);

#endif
