#include "store/db/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/db/record_internal.h"

void ul_record_release(struct ul_record *record)
{
	free(record->objects);
	free(record->dirty);
	free(record->refs);
	free(record->names);
	free(record->used);
	free(record->pins);
	free(record->named);
	free(record->words);
	free(record->scopes);
	free(record->types);
	free(record->packed);
	ul_map_release(&record->object_ids);
	ul_map_release(&record->name_ids);
	ul_map_release(&record->used_ids);
	ul_map_release(&record->named_ids);
	ul_map_release(&record->pin_ids);
	ul_map_release(&record->word_ids);
	ul_map_release(&record->scope_ids);
	ul_map_release(&record->type_ids);
	ul_arena_release(&record->arena);
	*record = UL_RECORD_INIT;
}

/* Types and platforms repeat, and differ in length or in how they end. */
static const char **text_place(struct ul_record *record, const char *text,
			       size_t len)
{
	unsigned last = (unsigned char)text[len - 1];

	return &record->texts[(len * 7 + last) % UL_RECORD_TEXTS];
}

const char *ul_record_text(struct ul_record *record, const char *text)
{
	size_t len = strlen(text);
	const char **place, *copy;

	if (!len)
		return "";
	place = text_place(record, text, len);
	if (*place && !strcmp(*place, text))
		return *place;
	copy = ul_arena_strndup(&record->arena, text, len);
	if (copy)
		*place = copy;
	return copy;
}

/* Identity as bytes: fields with their NULs, so that no two run together. */
struct packed_key {
	const char *data; /* in record->packed */
	size_t len;
};

static size_t packed_len(const char *const *part, size_t parts)
{
	size_t i, len = 1;

	for (i = 0; i < parts; i++)
		len += strlen(part[i]) + 1;
	return len;
}

/* False where it is longer than any that was added: there is no such one. */
static bool key_pack(const struct ul_record *record, struct packed_key *key,
		     char first, const char *const *part, size_t parts)
{
	char *at = record->packed;
	size_t i;

	key->data = at;
	key->len = packed_len(part, parts);
	if (key->len > record->packed_cap)
		return false;
	*at++ = first;
	for (i = 0; i < parts; i++)
		at = stpcpy(at, part[i]) + 1;
	return true;
}

/* For what is to be added. False without memory. */
static bool key_pack_new(struct ul_record *record, struct packed_key *key,
			 char first, const char *const *part, size_t parts)
{
	char *packed = ul_grow(record->packed, &record->packed_cap,
			       packed_len(part, parts), 1);

	if (!packed)
		return false;
	record->packed = packed;
	return key_pack(record, key, first, part, parts);
}

/* Look up or add; *ret_added where `next` was put in. NULL: no memory. */
static uint32_t *ids_put(struct ul_record *record, struct ul_map *ids,
			 const struct packed_key *key, size_t next,
			 bool *ret_added)
{
	uint32_t found = ul_map_get(ids, key->data, key->len);
	char *copy;

	*ret_added = false;
	if (found == UL_MAP_NONE) {
		copy = ul_arena_strndup(&record->arena, key->data, key->len);
		if (!copy)
			return NULL;
		return ul_map_put(ids, copy, key->len, (uint32_t)next,
				  ret_added);
	}
	return ul_map_put(ids, key->data, key->len, 0, ret_added);
}

uint32_t ul_record_find(const struct ul_record *record, uint8_t kind,
			const char *ns, const char *snapshotter,
			const char *key)
{
	struct packed_key packed;

	if (!key_pack(record, &packed, (char)kind,
		      (const char *[]){ ns, snapshotter, key }, 3))
		return UL_OBJECT_NONE;
	return ul_map_get(&record->object_ids, packed.data, packed.len);
}

/* The texts of an identity stand one after the other in its packed form. */
static void object_init(struct ul_object *object, const char *packed,
			uint32_t scope, const char *key)
{
	*object = (struct ul_object){
		.kind = (uint8_t)packed[0],
		.scope = scope,
		.ns = packed + 1,
		.key = key,
		.media_type = "",
		.artifact_type = "",
		.platform = "",
		.diff_id = "",
		.kept_by = UL_OBJECT_NONE,
		.kept_reason = "",
	};
	object->snapshotter = object->ns + strlen(object->ns) + 1;
}

void ul_record_mark(struct ul_record *record, struct ul_object *object,
		    unsigned parts)
{
	if (!(object->dirty & UL_DIRTY_LISTED))
		record->dirty[record->dirty_count++] =
		    (uint32_t)(object - record->objects);
	object->dirty |= (uint8_t)(parts | UL_DIRTY_LISTED);
}

void ul_record_set_gone(struct ul_record *record, struct ul_object *object,
			bool is_gone)
{
	bool is_back = object->is_gone && !is_gone;

	object->is_gone = is_gone;
	if (is_gone && object->row)
		ul_record_mark(record, object, 0);
	else if (is_back && !object->row)
		ul_record_mark(record, object,
			       UL_DIRTY_ROW | UL_DIRTY_REFS | UL_DIRTY_MEASURE);
}

static bool objects_grow(struct ul_record *record)
{
	size_t count = record->object_count + 1;
	struct ul_object *objects = ul_grow(
	    record->objects, &record->object_cap, count, sizeof *objects);
	uint32_t *dirty;

	if (!objects)
		return false;
	record->objects = objects;
	dirty =
	    ul_grow(record->dirty, &record->dirty_cap, count, sizeof *dirty);
	if (dirty)
		record->dirty = dirty;
	return dirty != NULL;
}

/* Needs room for one more. */
static struct ul_object *object_append(struct ul_record *record, uint32_t scope,
				       const char *key, size_t key_len)
{
	const struct ul_scope *head = &record->scopes[scope];
	struct ul_object *object = &record->objects[record->object_count];
	char *packed =
	    ul_arena_bytes(&record->arena, head->packed_len + key_len + 1);

	if (!packed)
		return NULL;
	memcpy(packed, head->packed, head->packed_len);
	memcpy(packed + head->packed_len, key, key_len + 1);
	object_init(object, packed, scope, packed + head->packed_len);
	record->object_count++;
	return object;
}

struct ul_object *ul_record_append(struct ul_record *record, uint32_t scope,
				   const char *key)
{
	size_t key_len = strlen(key);
	size_t len = record->scopes[scope].packed_len + key_len + 1;
	struct ul_object *object;

	if (!objects_grow(record))
		return NULL;
	object = object_append(record, scope, key, key_len);
	if (!object || !ul_map_append(&record->object_ids, object->ns - 1, len,
				      (uint32_t)record->object_count - 1))
		return NULL;
	if (len > record->packed_len)
		record->packed_len = len;
	return object;
}

bool ul_record_index(struct ul_record *record)
{
	char *packed =
	    ul_grow(record->packed, &record->packed_cap, record->packed_len, 1);

	if (packed)
		record->packed = packed;
	return packed && ul_map_finish(&record->object_ids);
}

uint32_t ul_record_object(struct ul_record *record, uint8_t kind,
			  const char *ns, const char *snapshotter,
			  const char *key)
{
	size_t key_len = strlen(key);
	struct packed_key packed;
	struct ul_object *object;
	uint32_t found, scope;

	if (!objects_grow(record) ||
	    !key_pack_new(record, &packed, (char)kind,
			  (const char *[]){ ns, snapshotter, key }, 3))
		return UL_OBJECT_NONE;
	found = ul_map_get(&record->object_ids, packed.data, packed.len);
	if (found != UL_MAP_NONE)
		return found;
	scope = ul_record_scope(record, packed.data, packed.len - key_len - 1);
	object = scope == UL_OBJECT_NONE
		     ? NULL
		     : object_append(record, scope, key, key_len);
	if (!object)
		return UL_OBJECT_NONE;
	if (!ul_map_set(&record->object_ids, object->ns - 1, packed.len,
			(uint32_t)record->object_count - 1)) {
		record->object_count--;
		return UL_OBJECT_NONE;
	}
	ul_record_mark(record, object, UL_DIRTY_ROW);
	return (uint32_t)record->object_count - 1;
}

static bool refs_equal(const struct ul_record *record,
		       const struct ul_object *object,
		       const struct ul_object_ref *refs, size_t count)
{
	const struct ul_object_ref *old;
	size_t i;

	if (object->ref_count != count)
		return false;
	if (!count)
		return true; /* there may be no references at all */
	old = record->refs + object->first_ref;
	for (i = 0; i < count; i++) {
		if (old[i].target != refs[i].target ||
		    old[i].kind != refs[i].kind ||
		    strcmp(old[i].reason, refs[i].reason))
			return false;
	}
	return true;
}

bool ul_record_set_refs(struct ul_record *record, uint32_t object,
			const struct ul_object_ref *refs, size_t count)
{
	struct ul_object *owner = &record->objects[object];
	struct ul_object_ref *grown;
	size_t i;

	if (refs_equal(record, owner, refs, count))
		return true;
	grown = ul_grow(record->refs, &record->ref_cap,
			record->ref_count + count, sizeof *grown);
	if (!grown)
		return false;
	record->refs = grown;
	for (i = 0; i < count; i++) {
		grown[record->ref_count + i] = refs[i];
		grown[record->ref_count + i].reason =
		    ul_record_put_word(record, refs[i].reason);
		if (!grown[record->ref_count + i].reason)
			return false;
	}
	owner->first_ref = (uint32_t)record->ref_count;
	owner->ref_count = (uint32_t)count;
	ul_record_mark(record, owner, UL_DIRTY_REFS);
	record->ref_count += count;
	return true;
}

struct ul_name *ul_record_find_name(const struct ul_record *record,
				    const char *ns, const char *name)
{
	struct packed_key key;
	uint32_t found;

	if (!key_pack(record, &key, 'n', (const char *[]){ ns, name }, 2))
		return NULL;
	found = ul_map_get(&record->name_ids, key.data, key.len);
	return found == UL_MAP_NONE ? NULL : &record->names[found];
}

struct ul_name *ul_record_name(struct ul_record *record, const char *ns,
			       const char *name)
{
	struct ul_name *names, *at = NULL;
	struct packed_key key;
	uint32_t *id;
	bool added;

	names = ul_grow(record->names, &record->name_cap,
			record->name_count + 1, sizeof *names);
	if (!names)
		return NULL;
	record->names = names;
	if (!key_pack_new(record, &key, 'n', (const char *[]){ ns, name }, 2))
		return NULL;
	id = ids_put(record, &record->name_ids, &key, record->name_count,
		     &added);
	if (!id)
		return NULL;
	at = &names[*id];
	if (!added)
		return at;
	*at = (struct ul_name){
		.ns = ul_record_text(record, ns),
		.name = ul_record_text(record, name),
		.digest = "",
		.entry = "",
		.is_dirty = true,
	};
	record->name_count++;
	return at->ns && at->name ? at : NULL;
}

struct ul_used *ul_record_used(struct ul_record *record, const char *ns,
			       const char *digest)
{
	struct ul_used *used, *at;
	struct packed_key key;
	uint32_t *id;
	bool added;

	used = ul_grow(record->used, &record->used_cap, record->used_count + 1,
		       sizeof *used);
	if (!used)
		return NULL;
	record->used = used;
	if (!key_pack_new(record, &key, 'u', (const char *[]){ ns, digest }, 2))
		return NULL;
	id = ids_put(record, &record->used_ids, &key, record->used_count,
		     &added);
	if (!id)
		return NULL;
	at = &used[*id];
	if (!added)
		return at;
	*at = (struct ul_used){
		.ns = ul_record_text(record, ns),
		.digest = ul_record_text(record, digest),
	};
	record->used_count++;
	return at->ns && at->digest ? at : NULL;
}

int64_t ul_record_used_unix_s(const struct ul_record *record, const char *ns,
			      const char *digest)
{
	struct packed_key key;
	uint32_t found;

	if (!key_pack(record, &key, 'u', (const char *[]){ ns, digest }, 2))
		return 0;
	found = ul_map_get(&record->used_ids, key.data, key.len);
	return found == UL_MAP_NONE ? 0 : record->used[found].used_unix_s;
}

bool ul_record_was_named(const struct ul_record *record, const char *digest)
{
	return ul_map_get_str(&record->named_ids, digest) != UL_MAP_NONE;
}

bool ul_record_set_named(struct ul_record *record, const char *digest)
{
	const char **named, *copy;

	if (ul_record_was_named(record, digest))
		return true;
	named = ul_grow(record->named, &record->named_cap,
			record->named_count + 1, sizeof *named);
	if (!named)
		return false;
	record->named = named;
	copy = ul_arena_strdup(&record->arena, digest);
	if (!copy || !ul_map_set(&record->named_ids, copy, strlen(copy),
				 (uint32_t)record->named_count))
		return false;
	named[record->named_count++] = copy;
	return true;
}

bool ul_record_is_pinned(const struct ul_record *record, const char *name)
{
	return ul_map_get_str(&record->pin_ids, name) != UL_MAP_NONE;
}
