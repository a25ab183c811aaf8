/* store/db/record_internal.h - what loading and saving a record share with it:
 * filling it in bulk, and the numbers of what its objects have in common. */
#ifndef UL_STORE_DB_RECORD_INTERNAL_H
#define UL_STORE_DB_RECORD_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "store/db/record.h"

/*
 * Add an object (not marked) without looking whether there is such a one, and
 * without making it findable: ul_record_index() does that for all at once.
 * NULL without memory.
 */
struct ul_object *ul_record_append(struct ul_record *record, uint32_t scope,
				   const char *key);

/* The schema sees to it that no two have the same identity. False without
 * memory. */
bool ul_record_index(struct ul_record *record);

/* Find or add the scope of this packed form (struct ul_scope), its position.
 * UL_OBJECT_NONE without memory. */
uint32_t ul_record_scope(struct ul_record *record, const char *packed,
			 size_t len);
/* Add one without looking. False without memory. */
bool ul_record_add_scope(struct ul_record *record, uint8_t kind, const char *ns,
			 const char *snapshotter, int64_t row);

/*
 * Words and types have numbers from 0 on, in the order in which they were
 * added; there are less than these, more count as no memory.
 */
#define UL_WORDS_MAX (1u << 26)
#define UL_TYPES_MAX (1u << 27)

/* Add a reason under the next number. False without memory. */
bool ul_record_add_word(struct ul_record *record, const char *reason);
/* Find or add: the record's own copy. NULL without memory. */
const char *ul_record_put_word(struct ul_record *record, const char *reason);

/* Add a type under the next number. False without memory. */
bool ul_record_add_type(struct ul_record *record, const struct ul_type *type);
/* Find or add an object's. False without memory. */
bool ul_record_put_type(struct ul_record *record,
			const struct ul_object *object);
/* Whether it has any: nothing at all has no number. */
bool ul_record_has_type(const struct ul_object *object);
/* The number of one that was put. */
uint32_t ul_record_type(const struct ul_record *record,
			const struct ul_object *object);

#endif
