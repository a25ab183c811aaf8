#include "store/oci/layout.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/limits.h"
#include "store/oci/descriptor_json.h"
#include "store/oci/json.h"
#include "store/oci/ref_search.h"
#include "store/oci/reference.h"

/* An entry stands below the document and its array. */
enum { ENTRY_MAX_DEPTH = UL_JSON_MAX_DEPTH - 2 };

struct ul_layout_index {
	json_t *document;                /* owned */
	json_t *manifests;               /* in document */
	struct ul_layout_entry *entries; /* owned; one for each manifest */
	size_t len;
	size_t cap;
	struct ul_arena arena; /* the entries' texts */
};

void ul_layout_index_free(struct ul_layout_index *index)
{
	if (!index)
		return;
	json_decref(index->document);
	free(index->entries);
	ul_arena_release(&index->arena);
	free(index);
}

void ul_layout_index_freep(struct ul_layout_index **index)
{
	ul_layout_index_free(*index);
	*index = NULL;
}

/* Whether text is what stands behind the last ':' of name. */
static bool is_tag_of(const char *text, const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon && !strcmp(colon + 1, text);
}

/* An annotation that names something: a blank one does not. */
static const char *annotated_name(const struct ul_descriptor *descriptor,
				  const char *key)
{
	const char *text = ul_descriptor_annotation(descriptor, key);

	return text && text[strspn(text, " \t\r\n")] ? text : NULL;
}

static const char *entry_name(const struct ul_descriptor *descriptor)
{
	const char *ref = annotated_name(descriptor, UL_ANNOTATION_REF_NAME);
	const char *image =
	    annotated_name(descriptor, UL_ANNOTATION_IMAGE_NAME);

	if (!ref || (image && is_tag_of(ref, image)))
		return image;
	return ref;
}

/* The entry is not counted yet: the caller does that when all is done. */
static int entry_read(struct ul_layout_index *index, const json_t *json,
		      struct ul_err *err)
{
	struct ul_layout_entry *entries;
	char what[32];
	int rc;

	entries = ul_grow(index->entries, &index->cap, index->len + 1,
			  sizeof *entries);
	if (!entries)
		return ul_err_nomem(err);
	index->entries = entries;
	snprintf(what, sizeof what, "entry %zu", index->len);
	rc = ul_descriptor_read(json, what, &index->arena,
				&entries[index->len].descriptor, err);
	if (!rc)
		entries[index->len].name =
		    entry_name(&entries[index->len].descriptor);
	return rc;
}

static int entries_read(struct ul_layout_index *index, struct ul_err *err)
{
	const json_t *item;
	size_t i;
	int rc = 0;

	json_array_foreach(index->manifests, i, item)
	{
		rc = entry_read(index, item, err);
		if (rc)
			break;
		index->len++;
	}
	return rc;
}

static int manifests_find(struct ul_layout_index *index, struct ul_err *err)
{
	index->manifests = json_object_get(index->document, "manifests");
	/* Null is how umoci writes an index without entries. */
	if (json_is_null(index->manifests)) {
		index->manifests = json_array();
		if (json_object_set_new(index->document, "manifests",
					index->manifests))
			return ul_err_nomem(err);
	}
	if (!json_is_array(index->manifests))
		return ul_err_set(err, UL_E_CORRUPT, "no \"manifests\" array");
	return 0;
}

int ul_layout_index_parse(const char *bytes, size_t len,
			  struct ul_layout_index **ret_index,
			  struct ul_err *err)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	int rc;

	index = ul_calloc(1, sizeof *index);
	if (!index)
		return ul_err_nomem(err);
	if (!len)
		return ul_err_set(err, UL_E_CORRUPT, "empty");
	rc =
	    ul_json_parse(bytes, len, UL_JSON_MAX_DEPTH, &index->document, err);
	if (!rc)
		rc = manifests_find(index, err);
	if (!rc)
		rc = entries_read(index, err);
	if (!rc)
		*ret_index = ul_steal(index);
	return rc;
}

static int entry_more(struct ul_ref_search *search, const json_t *entry,
		      struct ul_err *err)
{
	const json_t *value;
	const char *key;
	int rc = 0;

	json_object_foreach((json_t *)entry, key, value)
	{
		if (!rc && !ul_descriptor_knows(key))
			rc = ul_ref_search_member(search, key, value, err);
	}
	return rc;
}

int ul_layout_index_has_more(const struct ul_layout_index *index,
			     struct ul_err *err)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	ul_cleanup(ul_ref_search_release) struct ul_ref_search search = {
		.arena = &arena
	};
	struct ul_err found = UL_ERR_INIT;
	const json_t *value;
	const char *key;
	size_t i;
	int rc = 0;

	json_object_foreach(index->document, key, value)
	{
		if (!rc && strcmp(key, "manifests") != 0)
			rc = ul_ref_search_member(&search, key, value, &found);
	}
	json_array_foreach(index->manifests, i, value)
	{
		if (!rc)
			rc = entry_more(&search, value, &found);
	}
	if (rc == UL_E_NOMEM)
		return ul_err_nomem(err);
	/* A digest that we cannot follow, or too many of them. */
	return rc || search.len > 0;
}

struct ul_layout_index *ul_layout_index_new(void)
{
	static const char empty[] =
	    "{\"schemaVersion\":2,\"mediaType\":"
	    "\"application/vnd.oci.image.index.v1+json\","
	    "\"manifests\":[]}";
	struct ul_layout_index *index;
	struct ul_err err = UL_ERR_INIT;

	if (ul_layout_index_parse(empty, sizeof empty - 1, &index, &err)) {
		assert(err.code == UL_E_NOMEM);
		return NULL;
	}
	return index;
}

size_t ul_layout_index_count(const struct ul_layout_index *index)
{
	return index->len;
}

const struct ul_layout_entry *
ul_layout_index_entry(const struct ul_layout_index *index, size_t i)
{
	assert(i < index->len);
	return &index->entries[i];
}

static bool is_escaped(const char *name)
{
	struct ul_digest digest;

	return name[0] == '=' || ul_digest_parse(name, &digest);
}

const char *ul_layout_entry_key(const struct ul_layout_entry *entry,
				struct ul_arena *arena)
{
	size_t len = entry->name ? strlen(entry->name) : UL_DIGEST_TEXT_MAX;
	char *key;

	if (entry->name && !is_escaped(entry->name))
		return entry->name;
	key = ul_arena_alloc(arena, len + 2);
	if (key && entry->name)
		snprintf(key, len + 2, "=%s", entry->name);
	else if (key)
		ul_digest_format(&entry->descriptor.digest, key);
	return key;
}

const char *ul_layout_key_name(const char *key)
{
	struct ul_digest digest;

	if (ul_digest_parse(key, &digest))
		return NULL;
	return key[0] == '=' ? key + 1 : key;
}

/* Takes `json` over, on failure too. */
static int entry_append(struct ul_layout_index *index, json_t *json,
			struct ul_err *err)
{
	int rc = entry_read(index, json, err);

	if (rc) {
		json_decref(json);
		return rc;
	}
	if (json_array_append_new(index->manifests, json))
		return ul_err_nomem(err);
	index->len++;
	return 0;
}

static void names_drop(json_t *entry)
{
	json_t *annotations = json_object_get(entry, "annotations");

	json_object_del(annotations, UL_ANNOTATION_REF_NAME);
	json_object_del(annotations, UL_ANNOTATION_IMAGE_NAME);
	if (!json_object_size(annotations))
		json_object_del(entry, "annotations");
}

static int name_set(json_t *entry, const char *name, struct ul_err *err)
{
	char whole[UL_NAME_MAX_BYTES];
	json_t *annotations;

	names_drop(entry);
	annotations = json_object_get(entry, "annotations");
	if (!annotations) {
		annotations = json_object();
		if (json_object_set_new(entry, "annotations", annotations))
			return ul_err_nomem(err);
	}
	if (json_object_set_new(annotations, UL_ANNOTATION_REF_NAME,
				json_string(name)))
		return ul_json_failed(name, err);
	if (ul_reference_is_valid(name) &&
	    ul_reference_normalize(name, whole) && !strcmp(whole, name) &&
	    json_object_set_new(annotations, UL_ANNOTATION_IMAGE_NAME,
				json_string(name)))
		return ul_err_nomem(err);
	return 0;
}

int ul_layout_index_add(struct ul_layout_index *index,
			const struct ul_descriptor *descriptor,
			const char *name, struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	int rc;

	rc = ul_descriptor_write(descriptor, &json, err);
	if (!rc && name)
		rc = name_set(json, name, err);
	if (rc)
		return rc;
	return entry_append(index, ul_steal(json), err);
}

void ul_layout_index_remove(struct ul_layout_index *index, size_t i)
{
	assert(i < index->len);
	json_array_remove(index->manifests, i);
	index->len--;
	memmove(&index->entries[i], &index->entries[i + 1],
		(index->len - i) * sizeof *index->entries);
}

static bool is_name(const struct ul_annotation *annotation)
{
	return !strcmp(annotation->key, UL_ANNOTATION_REF_NAME) ||
	       !strcmp(annotation->key, UL_ANNOTATION_IMAGE_NAME);
}

int ul_layout_index_unname(struct ul_layout_index *index, size_t i,
			   struct ul_err *err)
{
	struct ul_descriptor *descriptor;
	size_t from, to = 0;

	(void)err; /* the parsed values are changed in place */
	assert(i < index->len);
	names_drop(json_array_get(index->manifests, i));
	descriptor = &index->entries[i].descriptor;
	for (from = 0; from < descriptor->annotation_count; from++) {
		if (!is_name(&descriptor->annotations[from]))
			descriptor->annotations[to++] =
			    descriptor->annotations[from];
	}
	descriptor->annotation_count = to;
	index->entries[i].name = NULL;
	return 0;
}

int ul_layout_index_dump(const struct ul_layout_index *index,
			 struct ul_buf *ret_json, struct ul_err *err)
{
	return ul_json_dump(index->document, ret_json, err);
}

int ul_layout_index_entry_dump(const struct ul_layout_index *index, size_t i,
			       struct ul_buf *ret_json, struct ul_err *err)
{
	assert(i < index->len);
	return ul_json_dump(json_array_get(index->manifests, i), ret_json, err);
}

int ul_layout_index_add_dumped(struct ul_layout_index *index, const char *json,
			       size_t len, struct ul_err *err)
{
	json_t *entry;
	int rc;

	rc = ul_json_parse(json, len, ENTRY_MAX_DEPTH, &entry, err);
	if (rc)
		return rc;
	return entry_append(index, entry, err);
}

bool ul_layout_is_leftover(const char *name)
{
	return !strncmp(name, "oci-put-blob", 12) ||
	       !strncmp(name, ".umoci-", 7);
}
