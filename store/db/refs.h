/*
 * store/db/refs.h - the references of one object as the bytes of its row.
 *
 * For each reference, in order: its target's row less the object's own, then
 * its reason's number times four plus its kind; both as base-128 numbers, low
 * bits first, the first one zigzag. Five references are some twenty bytes,
 * and are read with the object instead of as five rows.
 */
#ifndef UL_STORE_DB_REFS_H
#define UL_STORE_DB_REFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The last of enum ul_ref_kind (store/graph/graph.h). */
#define UL_REF_KIND_LAST 2

struct ul_buf;
struct ul_object;
struct ul_record;

/* Append an object's references; every target has its row, every reason its
 * number. False without memory. */
bool ul_refs_pack(const struct ul_record *record,
		  const struct ul_object *object, struct ul_buf *buf);

/* How many references there are in so many bytes at most. */
static inline size_t ul_refs_most(size_t len)
{
	return len / 2;
}

/* One reference as it stands there. */
struct ul_packed_ref {
	int64_t target_row;
	uint64_t word; /* number of the reason */
	uint8_t kind;  /* 0 to 3 */
};

/* Here, since there are millions of them: the next number, or false where
 * there is none that is whole. */
static inline bool ul_refs_number(const unsigned char **at,
				  const unsigned char *end, uint64_t *ret)
{
	const unsigned char *byte = *at;
	uint64_t number = 0;
	unsigned shift;

	for (shift = 0; byte < end && shift < 64; shift += 7) {
		number |= (uint64_t)(*byte & 0x7f) << shift;
		if (*byte++ < 0x80) {
			*at = byte;
			*ret = number;
			return true;
		}
	}
	return false;
}

/*
 * Take the next reference of the object in row `source_row` from *at, which
 * moves on. False where there is none that is whole before `end`.
 */
static inline bool ul_refs_next(const unsigned char **at,
				const unsigned char *end, int64_t source_row,
				struct ul_packed_ref *ret)
{
	uint64_t way, word;

	if (!ul_refs_number(at, end, &way) || !ul_refs_number(at, end, &word))
		return false;
	way = way >> 1 ^ -(way & 1);
	*ret = (struct ul_packed_ref){
		.target_row = (int64_t)((uint64_t)source_row + way),
		.word = word >> 2,
		.kind = word & 3,
	};
	return true;
}

#endif
