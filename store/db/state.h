/*
 * store/db/state.h - what is true of an object, as the bits of its row.
 *
 * The schema has a column for each of them.
 */
#ifndef UL_STORE_DB_STATE_H
#define UL_STORE_DB_STATE_H

#include <stdint.h>

#include "store/db/record.h"

enum {
	UL_STATE_PRESENT = 1 << 0,
	UL_STATE_REACHABLE = 1 << 1,
	UL_STATE_KNOWN = 1 << 2,
	UL_STATE_RELEASED = 1 << 3,
	UL_STATE_NAMED = 1 << 4,
	UL_STATE_ATTESTATION = 1 << 5,
	UL_STATE_CONTENT_SHIFT = 6,
};

static inline int64_t ul_state_pack(const struct ul_object *object)
{
	return (object->is_present ? UL_STATE_PRESENT : 0) |
	       (object->is_reachable ? UL_STATE_REACHABLE : 0) |
	       (object->is_known ? UL_STATE_KNOWN : 0) |
	       (object->is_released ? UL_STATE_RELEASED : 0) |
	       (object->is_named ? UL_STATE_NAMED : 0) |
	       (object->is_attestation ? UL_STATE_ATTESTATION : 0) |
	       object->content << UL_STATE_CONTENT_SHIFT;
}

static inline void ul_state_unpack(int64_t state, struct ul_object *object)
{
	object->is_present = state & UL_STATE_PRESENT;
	object->is_reachable = state & UL_STATE_REACHABLE;
	object->is_known = state & UL_STATE_KNOWN;
	object->is_released = state & UL_STATE_RELEASED;
	object->is_named = state & UL_STATE_NAMED;
	object->is_attestation = state & UL_STATE_ATTESTATION;
	object->content = (uint8_t)(state >> UL_STATE_CONTENT_SHIFT);
}

#endif
