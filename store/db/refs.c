#include "store/db/refs.h"

#include "base/buf.h"
#include "store/db/record.h"

enum { NUMBER_BYTES = 10 };

static bool number_add(struct ul_buf *buf, uint64_t number)
{
	unsigned char bytes[NUMBER_BYTES];
	size_t len = 0;

	for (; number >= 0x80; number >>= 7)
		bytes[len++] = (unsigned char)(number | 0x80);
	bytes[len++] = (unsigned char)number;
	return ul_buf_add(buf, bytes, len);
}

bool ul_refs_pack(const struct ul_record *record,
		  const struct ul_object *object, struct ul_buf *buf)
{
	const struct ul_object_ref *ref = record->refs + object->first_ref;
	uint32_t i;

	for (i = 0; i < object->ref_count; i++, ref++) {
		uint64_t way = (uint64_t)record->objects[ref->target].row -
			       (uint64_t)object->row;
		uint64_t word = ul_record_word(record, ref->reason);

		/* Zigzag: near ones are small, whichever side they are on. */
		number_add(buf, way << 1 ^ (way >> 63 ? UINT64_MAX : 0));
		number_add(buf, word << 2 | ref->kind);
	}
	return !buf->failed;
}
