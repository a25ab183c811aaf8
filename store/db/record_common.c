/*
 * What the objects of a record have in common, each once: the reasons of
 * references, scopes, types. Rows of objects hold their numbers, and objects
 * in memory what these mean.
 */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "store/db/record_internal.h"

uint32_t ul_record_word(const struct ul_record *record, const char *reason)
{
	uint32_t at = ul_map_get_str(&record->word_ids, reason);

	assert(at != UL_MAP_NONE);
	return at;
}

bool ul_record_add_word(struct ul_record *record, const char *reason)
{
	const char **words, *copy;

	if (record->word_count >= UL_WORDS_MAX)
		return false;
	words = ul_grow(record->words, &record->word_cap,
			record->word_count + 1, sizeof *words);
	if (!words)
		return false;
	record->words = words;
	copy = ul_arena_strdup(&record->arena, reason);
	if (!copy || !ul_map_set(&record->word_ids, copy, strlen(copy),
				 (uint32_t)record->word_count))
		return false;
	words[record->word_count++] = copy;
	return true;
}

const char *ul_record_put_word(struct ul_record *record, const char *reason)
{
	uint32_t at = ul_map_get_str(&record->word_ids, reason);

	if (at != UL_MAP_NONE)
		return record->words[at];
	return ul_record_add_word(record, reason)
		   ? record->words[record->word_count - 1]
		   : NULL;
}

/* Takes the packed form, which is in the arena. */
static bool scope_add(struct ul_record *record, const char *packed, size_t len,
		      int64_t row)
{
	struct ul_scope *scopes =
	    ul_grow(record->scopes, &record->scope_cap, record->scope_count + 1,
		    sizeof *scopes);

	if (!scopes)
		return false;
	record->scopes = scopes;
	if (!packed || !ul_map_set(&record->scope_ids, packed, len,
				   (uint32_t)record->scope_count))
		return false;
	scopes[record->scope_count++] = (struct ul_scope){ .row = row,
							   .packed = packed,
							   .packed_len = len };
	return true;
}

uint32_t ul_record_scope(struct ul_record *record, const char *packed,
			 size_t len)
{
	uint32_t at = ul_map_get(&record->scope_ids, packed, len);

	if (at != UL_MAP_NONE)
		return at;
	return scope_add(record, ul_arena_strndup(&record->arena, packed, len),
			 len, 0)
		   ? (uint32_t)record->scope_count - 1
		   : UL_OBJECT_NONE;
}

bool ul_record_add_scope(struct ul_record *record, uint8_t kind, const char *ns,
			 const char *snapshotter, int64_t row)
{
	size_t len = strlen(ns) + strlen(snapshotter) + 3;
	char *packed = ul_arena_bytes(&record->arena, len);

	if (!packed)
		return false;
	packed[0] = (char)kind;
	stpcpy(stpcpy(packed + 1, ns) + 1, snapshotter);
	return scope_add(record, packed, len, row);
}

static struct ul_type object_type(const struct ul_object *object)
{
	return (struct ul_type){ .media_type = object->media_type,
				 .artifact_type = object->artifact_type,
				 .platform = object->platform };
}

static size_t type_len(const struct ul_type *type)
{
	return strlen(type->media_type) + strlen(type->artifact_type) +
	       strlen(type->platform) + 3;
}

static char *type_pack(const struct ul_type *type, char *to)
{
	to = stpcpy(to, type->media_type) + 1;
	to = stpcpy(to, type->artifact_type) + 1;
	return stpcpy(to, type->platform) + 1;
}

bool ul_record_add_type(struct ul_record *record, const struct ul_type *type)
{
	size_t len = type_len(type);
	struct ul_type *types, *to;
	char *packed;

	if (record->type_count >= UL_TYPES_MAX)
		return false;
	types = ul_grow(record->types, &record->type_cap,
			record->type_count + 1, sizeof *types);
	if (!types)
		return false;
	record->types = types;
	packed = ul_arena_bytes(&record->arena, len);
	if (!packed)
		return false;
	type_pack(type, packed);
	to = &types[record->type_count];
	to->media_type = packed;
	to->artifact_type = packed + strlen(packed) + 1;
	to->platform = to->artifact_type + strlen(to->artifact_type) + 1;
	if (!ul_map_set(&record->type_ids, packed, len,
			(uint32_t)record->type_count))
		return false;
	record->type_count++;
	return true;
}

/* UL_MAP_NONE where it is none of those that were added. */
static uint32_t type_find(const struct ul_record *record,
			  const struct ul_type *type)
{
	size_t len = type_len(type);

	if (len > record->packed_cap)
		return UL_MAP_NONE;
	type_pack(type, record->packed);
	return ul_map_get(&record->type_ids, record->packed, len);
}

static bool type_room(struct ul_record *record, const struct ul_type *type)
{
	char *packed =
	    ul_grow(record->packed, &record->packed_cap, type_len(type), 1);

	if (packed)
		record->packed = packed;
	return packed != NULL;
}

bool ul_record_has_type(const struct ul_object *object)
{
	return *object->media_type || *object->artifact_type ||
	       *object->platform;
}

bool ul_record_put_type(struct ul_record *record,
			const struct ul_object *object)
{
	struct ul_type type = object_type(object);

	return type_room(record, &type) &&
	       (type_find(record, &type) != UL_MAP_NONE ||
		ul_record_add_type(record, &type));
}

uint32_t ul_record_type(const struct ul_record *record,
			const struct ul_object *object)
{
	struct ul_type type = object_type(object);
	uint32_t at = type_find(record, &type);

	assert(at != UL_MAP_NONE);
	return at;
}
