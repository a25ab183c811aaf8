/* store/db/record_internal.h - how loading fills a record in bulk. */
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
struct ul_object *ul_record_append(struct ul_record *record, uint8_t kind,
				   const char *ns, const char *snapshotter,
				   const char *key);

/* The schema sees to it that no two have the same identity. False without
 * memory. */
bool ul_record_index(struct ul_record *record);

/* Add a reason under the next number. False without memory. */
bool ul_record_add_word(struct ul_record *record, const char *reason);

#endif
