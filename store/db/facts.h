/*
 * store/db/facts.h - what is true of an object, as the number in its row: bits,
 * and the numbers of why it is kept (of a word) and of its type, 0 for none,
 * else one more.
 *
 * The schema has a column for each of them.
 */
#ifndef UL_STORE_DB_FACTS_H
#define UL_STORE_DB_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/db/record_internal.h"

enum {
	UL_FACT_PRESENT = 1 << 0,
	UL_FACT_REACHABLE = 1 << 1,
	UL_FACT_KNOWN = 1 << 2,
	UL_FACT_RELEASED = 1 << 3,
	UL_FACT_NAMED = 1 << 4,
	UL_FACT_ATTESTATION = 1 << 5,
	UL_FACT_CONTENT_SHIFT = 6,
	UL_FACT_CONTENT_MASK = 3,
	UL_FACT_WORD_SHIFT = 8,
	UL_FACT_WORD_MASK = 2 * UL_WORDS_MAX - 1,
	UL_FACT_TYPE_SHIFT = 35,
};

/* The reason and the type have been put into the record. */
static inline int64_t ul_facts_pack(const struct ul_record *record,
				    const struct ul_object *object)
{
	int64_t word = 0, type = 0;

	if (*object->kept_reason)
		word = ul_record_word(record, object->kept_reason) + 1;
	if (ul_record_has_type(object))
		type = ul_record_type(record, object) + 1;
	return (object->is_present ? UL_FACT_PRESENT : 0) |
	       (object->is_reachable ? UL_FACT_REACHABLE : 0) |
	       (object->is_known ? UL_FACT_KNOWN : 0) |
	       (object->is_released ? UL_FACT_RELEASED : 0) |
	       (object->is_named ? UL_FACT_NAMED : 0) |
	       (object->is_attestation ? UL_FACT_ATTESTATION : 0) |
	       object->content << UL_FACT_CONTENT_SHIFT |
	       word << UL_FACT_WORD_SHIFT | type << UL_FACT_TYPE_SHIFT;
}

/* False where there is no such word or type, or no such content. */
static inline bool ul_facts_unpack(const struct ul_record *record,
				   int64_t facts, struct ul_object *object)
{
	uint64_t word =
	    (uint64_t)facts >> UL_FACT_WORD_SHIFT & UL_FACT_WORD_MASK;
	uint64_t type = (uint64_t)facts >> UL_FACT_TYPE_SHIFT;

	if (word > record->word_count || type > record->type_count)
		return false;
	if (word)
		object->kept_reason = record->words[word - 1];
	if (type) {
		object->media_type = record->types[type - 1].media_type;
		object->artifact_type = record->types[type - 1].artifact_type;
		object->platform = record->types[type - 1].platform;
	}
	object->is_present = facts & UL_FACT_PRESENT;
	object->is_reachable = facts & UL_FACT_REACHABLE;
	object->is_known = facts & UL_FACT_KNOWN;
	object->is_released = facts & UL_FACT_RELEASED;
	object->is_named = facts & UL_FACT_NAMED;
	object->is_attestation = facts & UL_FACT_ATTESTATION;
	object->content = facts >> UL_FACT_CONTENT_SHIFT & UL_FACT_CONTENT_MASK;
	return object->content <= UL_CONTENT_OPAQUE;
}

#endif
