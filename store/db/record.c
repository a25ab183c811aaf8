#include "store/db/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void ul_record_release(struct ul_record *record)
{
	free(record->objects);
	free(record->refs);
	free(record->names);
	free(record->used);
	free(record->pins);
	free(record->named);
	ul_map_release(&record->object_ids);
	ul_map_release(&record->name_ids);
	ul_map_release(&record->used_ids);
	ul_map_release(&record->named_ids);
	ul_arena_release(&record->arena);
	*record = UL_RECORD_INIT;
}

const char *ul_record_text(struct ul_record *record, const char *text)
{
	return *text ? ul_arena_strdup(&record->arena, text) : "";
}

/* Identity as bytes: fields with their NULs, so that no two run together. */
struct packed_key {
	char small[512];
	char *data; /* small, or in the heap */
	size_t len;
};

static bool key_pack(struct packed_key *key, char first,
		     const char *const *part, size_t parts)
{
	size_t i, need = 1;
	char *at;

	for (i = 0; i < parts; i++)
		need += strlen(part[i]) + 1;
	key->data = need <= sizeof key->small ? key->small : ul_malloc(need);
	if (!key->data)
		return false;
	key->len = need;
	key->data[0] = first;
	for (at = key->data + 1, i = 0; i < parts; i++) {
		size_t len = strlen(part[i]) + 1;

		memcpy(at, part[i], len);
		at += len;
	}
	return true;
}

static void key_release(struct packed_key *key)
{
	if (key->data != key->small)
		free(key->data);
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
		copy = ul_arena_alloc(&record->arena, key->len);
		if (!copy)
			return NULL;
		memcpy(copy, key->data, key->len);
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
	uint32_t found;

	if (!key_pack(&packed, (char)kind,
		      (const char *[]){ ns, snapshotter, key }, 3))
		return UL_OBJECT_NONE;
	found = ul_map_get(&record->object_ids, packed.data, packed.len);
	key_release(&packed);
	return found;
}

static bool object_init(struct ul_record *record, struct ul_object *object,
			uint8_t kind, const char *ns, const char *snapshotter,
			const char *key)
{
	*object = (struct ul_object){
		.kind = kind,
		.is_dirty = true,
		.ns = ul_record_text(record, ns),
		.snapshotter = ul_record_text(record, snapshotter),
		.key = ul_record_text(record, key),
		.media_type = "",
		.artifact_type = "",
		.platform = "",
		.diff_id = "",
		.kept_by = UL_OBJECT_NONE,
		.kept_reason = "",
	};
	return object->ns && object->snapshotter && object->key;
}

/* Append a new object under an identity that the map does not have. */
static uint32_t object_append(struct ul_record *record,
			      const struct packed_key *packed,
			      const struct ul_object *object)
{
	bool added;

	if (!ids_put(record, &record->object_ids, packed, record->object_count,
		     &added))
		return UL_OBJECT_NONE;
	record->objects[record->object_count] = *object;
	return (uint32_t)record->object_count++;
}

uint32_t ul_record_object(struct ul_record *record, uint8_t kind,
			  const char *ns, const char *snapshotter,
			  const char *key)
{
	struct ul_object *objects, object;
	struct packed_key packed;
	uint32_t found;

	objects = ul_grow(record->objects, &record->object_cap,
			  record->object_count + 1, sizeof *objects);
	if (!objects)
		return UL_OBJECT_NONE;
	record->objects = objects;
	if (!key_pack(&packed, (char)kind,
		      (const char *[]){ ns, snapshotter, key }, 3))
		return UL_OBJECT_NONE;
	found = ul_map_get(&record->object_ids, packed.data, packed.len);
	if (found == UL_MAP_NONE &&
	    object_init(record, &object, kind, ns, snapshotter, key))
		found = object_append(record, &packed, &object);
	key_release(&packed);
	return found;
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
		    ul_record_text(record, refs[i].reason);
		if (!grown[record->ref_count + i].reason)
			return false;
	}
	owner->first_ref = (uint32_t)record->ref_count;
	owner->ref_count = (uint32_t)count;
	owner->refs_dirty = true;
	record->ref_count += count;
	return true;
}

struct ul_name *ul_record_find_name(const struct ul_record *record,
				    const char *ns, const char *name)
{
	struct packed_key key;
	uint32_t found;

	if (!key_pack(&key, 'n', (const char *[]){ ns, name }, 2))
		return NULL;
	found = ul_map_get(&record->name_ids, key.data, key.len);
	key_release(&key);
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
	if (!key_pack(&key, 'n', (const char *[]){ ns, name }, 2))
		return NULL;
	id = ids_put(record, &record->name_ids, &key, record->name_count,
		     &added);
	key_release(&key);
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
	if (!key_pack(&key, 'u', (const char *[]){ ns, digest }, 2))
		return NULL;
	id = ids_put(record, &record->used_ids, &key, record->used_count,
		     &added);
	key_release(&key);
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

	if (!key_pack(&key, 'u', (const char *[]){ ns, digest }, 2))
		return 0;
	found = ul_map_get(&record->used_ids, key.data, key.len);
	key_release(&key);
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
	size_t i;

	for (i = 0; i < record->pin_count; i++) {
		if (!strcmp(record->pins[i], name))
			return true;
	}
	return false;
}
