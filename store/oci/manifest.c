#include "store/oci/manifest.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/limits.h"
#include "store/oci/json.h"

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"

/* Where the search stands, as "blobs.1", cut at the limit of a reason. */
struct place {
	char text[UL_REASON_MAX_BYTES + 1];
	size_t len;
};

/* What one reading has collected. */
struct reading {
	struct ul_arena *arena;       /* borrowed */
	struct ul_manifest_ref *refs; /* owned */
	size_t len;
	size_t cap;
	size_t config; /* index + 1 of the config; 0: none */
	struct place place;
};

static void reading_release(struct reading *reading)
{
	free(reading->refs);
}

/* Keys come from outside and reasons go to terminals. */
static void place_copy(char *to, const char *part, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)part[i];

		to[i] = c < ' ' || c == 0x7f ? '?' : (char)c;
	}
	to[len] = '\0';
}

/* Returns what place_leave() takes to go back. */
static size_t place_enter(struct place *place, const char *part)
{
	size_t left, len = strlen(part), old_len = place->len;

	if (place->len && place->len < UL_REASON_MAX_BYTES)
		place->text[place->len++] = '.';
	left = UL_REASON_MAX_BYTES - place->len;
	if (len > left) {
		/* Not in the middle of a character. */
		for (len = left; len && (part[len] & 0xc0) == 0x80;)
			len--;
	}
	place_copy(place->text + place->len, part, len);
	place->len += len;
	return old_len;
}

static void place_leave(struct place *place, size_t old_len)
{
	place->len = old_len;
	place->text[old_len] = '\0';
}

static size_t place_enter_nth(struct place *place, size_t n)
{
	char number[24];

	snprintf(number, sizeof number, "%zu", n);
	return place_enter(place, number);
}

static int refs_append(struct reading *reading,
		       const struct ul_descriptor *descriptor,
		       const char *reason, struct ul_err *err)
{
	struct ul_manifest_ref *refs;

	if (reading->len == UL_MANIFEST_MAX_REFS)
		return ul_err_set(err, UL_E_LIMIT, "more than %d references",
				  UL_MANIFEST_MAX_REFS);
	refs = ul_grow(reading->refs, &reading->cap, reading->len + 1,
		       sizeof *refs);
	if (!refs)
		return ul_err_nomem(err);
	reading->refs = refs;
	refs += reading->len;
	*refs = (struct ul_manifest_ref){ .descriptor = *descriptor };
	refs->reason = ul_arena_strdup(reading->arena, reason);
	if (!refs->reason)
		return ul_err_nomem(err);
	reading->len++;
	return 0;
}

static int search(struct reading *reading, const json_t *json,
		  struct ul_err *err);

static int search_array(struct reading *reading, const json_t *array,
			struct ul_err *err)
{
	const json_t *item;
	size_t i, old_len;
	int rc = 0;

	json_array_foreach(array, i, item)
	{
		old_len = place_enter_nth(&reading->place, i);
		rc = search(reading, item, err);
		place_leave(&reading->place, old_len);
		if (rc)
			break;
	}
	return rc;
}

static int search_member(struct reading *reading, const char *key,
			 const json_t *value, struct ul_err *err)
{
	size_t old_len = place_enter(&reading->place, key);
	int rc = search(reading, value, err);

	place_leave(&reading->place, old_len);
	return rc;
}

static int search_object(struct reading *reading, const json_t *object,
			 struct ul_err *err)
{
	struct ul_descriptor descriptor;
	const char *key, *where = reading->place.text;
	const json_t *value;
	int rc;

	rc = ul_descriptor_guess(object, where, reading->arena, &descriptor,
				 err);
	if (rc > 0)
		rc = refs_append(reading, &descriptor, where, err);
	if (rc)
		return rc;
	json_object_foreach((json_t *)object, key, value)
	{
		rc = search_member(reading, key, value, err);
		if (rc)
			break;
	}
	return rc;
}

/* Depth is bounded by ul_json_parse(). */
static int search(struct reading *reading, const json_t *json,
		  struct ul_err *err)
{
	if (json_is_array(json))
		return search_array(reading, json, err);
	if (json_is_object(json))
		return search_object(reading, json, err);
	return 0;
}

/* A descriptor in a known place; place is already there. */
static int known_read(struct reading *reading, const json_t *json,
		      const char *reason, struct ul_err *err)
{
	struct ul_descriptor descriptor;
	const json_t *value;
	const char *key;
	int rc;

	rc = ul_descriptor_read(json, reason, reading->arena, &descriptor, err);
	if (!rc)
		rc = refs_append(reading, &descriptor, reason, err);
	if (rc)
		return rc;
	json_object_foreach((json_t *)json, key, value)
	{
		if (ul_descriptor_knows(key))
			continue;
		rc = search_member(reading, key, value, err);
		if (rc)
			break;
	}
	return rc;
}

static int known_array_read(struct reading *reading, const json_t *array,
			    const char *noun, struct ul_err *err)
{
	const json_t *item;
	char reason[32];
	size_t i, old_len;
	int rc = 0;

	if (!json_is_array(array))
		return ul_err_set(err, UL_E_CORRUPT, "\"%ss\" is no array",
				  noun);
	json_array_foreach(array, i, item)
	{
		snprintf(reason, sizeof reason, "%s %zu", noun, i);
		old_len = place_enter_nth(&reading->place, i);
		rc = known_read(reading, item, reason, err);
		place_leave(&reading->place, old_len);
		if (rc)
			break;
	}
	return rc;
}

static int subject_read(struct reading *reading, const json_t *json,
			struct ul_err *err)
{
	size_t first = reading->len;
	int rc = known_read(reading, json, "subject", err);

	if (!rc)
		reading->refs[first].is_subject = true;
	return rc;
}

static int config_read(struct reading *reading, const json_t *json,
		       struct ul_err *err)
{
	reading->config = reading->len + 1;
	return known_read(reading, json, "config", err);
}

static int field_read(struct reading *reading, const char *key,
		      const json_t *value, struct ul_err *err)
{
	if (!strcmp(key, "config"))
		return config_read(reading, value, err);
	if (!strcmp(key, "layers"))
		return known_array_read(reading, value, "layer", err);
	if (!strcmp(key, "manifests"))
		return known_array_read(reading, value, "manifest", err);
	if (!strcmp(key, "subject"))
		return subject_read(reading, value, err);
	return search(reading, value, err);
}

static int fields_read(struct reading *reading, const json_t *json,
		       struct ul_err *err)
{
	const json_t *value;
	const char *key;
	int rc = 0;

	json_object_foreach((json_t *)json, key, value)
	{
		size_t old_len = place_enter(&reading->place, key);

		if (!json_is_null(value))
			rc = field_read(reading, key, value, err);
		place_leave(&reading->place, old_len);
		if (rc)
			break;
	}
	return rc;
}

static bool is_manifest_or_index(enum ul_media media)
{
	return media == UL_MEDIA_MANIFEST || media == UL_MEDIA_INDEX;
}

static enum ul_media media_by_fields(const json_t *json)
{
	if (ul_json_member(json, "manifests"))
		return UL_MEDIA_INDEX;
	if (ul_json_member(json, "config") || ul_json_member(json, "layers"))
		return UL_MEDIA_MANIFEST;
	return UL_MEDIA_OTHER;
}

static int media_tell(const json_t *json, const char *own, const char *declared,
		      enum ul_media *ret, struct ul_err *err)
{
	const json_t *version = json_object_get(json, "schemaVersion");
	enum ul_media media = ul_media_of(own);

	if (!is_manifest_or_index(media) && media != UL_MEDIA_SCHEMA1)
		media = ul_media_of(declared);
	if (json_is_integer(version) && json_integer_value(version) == 1)
		media = UL_MEDIA_SCHEMA1;
	if (media == UL_MEDIA_SCHEMA1)
		return ul_err_set(err, UL_E_UNSUPPORTED,
				  "Docker schema 1 manifest; pull the image "
				  "again with a current client");
	if (!is_manifest_or_index(media))
		media = media_by_fields(json);
	if (!is_manifest_or_index(media))
		return ul_err_set(err, UL_E_UNSUPPORTED,
				  "neither manifest nor index");
	*ret = media;
	return 0;
}

static int head_read(const json_t *json, const char *declared,
		     struct ul_arena *arena, struct ul_manifest *manifest,
		     struct ul_err *err)
{
	int rc;

	rc = ul_json_text(json, "mediaType", "manifest", arena,
			  &manifest->media_type, err);
	if (!rc)
		rc = media_tell(json, manifest->media_type, declared,
				&manifest->media, err);
	if (!rc)
		rc = ul_json_text(json, "artifactType", "manifest", arena,
				  &manifest->artifact_type, err);
	if (!rc)
		rc = ul_json_texts(json, "annotations", "manifest", arena,
				   &manifest->annotations,
				   &manifest->annotation_count, err);
	return rc;
}

static int refs_copy(const struct reading *reading,
		     struct ul_manifest *manifest, struct ul_err *err)
{
	size_t bytes = reading->len * sizeof *manifest->refs;

	if (!reading->len)
		return 0;
	manifest->refs = ul_arena_alloc(reading->arena, bytes);
	if (!manifest->refs)
		return ul_err_nomem(err);
	memcpy(manifest->refs, reading->refs, bytes);
	manifest->ref_count = reading->len;
	if (reading->config)
		manifest->config = &manifest->refs[reading->config - 1];
	return 0;
}

int ul_manifest_parse(const char *bytes, size_t len, const char *declared_type,
		      struct ul_arena *arena, struct ul_manifest *ret,
		      struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	ul_cleanup(reading_release) struct reading reading = { .arena = arena };
	struct ul_manifest manifest = { .refs = NULL };
	int rc;

	rc = ul_json_parse(bytes, len, UL_JSON_MAX_DEPTH, &json, err);
	if (!rc)
		rc = head_read(json, declared_type, arena, &manifest, err);
	if (!rc)
		rc = fields_read(&reading, json, err);
	if (!rc)
		rc = refs_copy(&reading, &manifest, err);
	if (!rc)
		*ret = manifest;
	return rc;
}

static int descriptors_write(json_t *array,
			     const struct ul_descriptor *descriptors,
			     size_t count, struct ul_err *err)
{
	json_t *made;
	size_t i;
	int rc;

	for (i = 0; i < count; i++) {
		assert(descriptors[i].media_type);
		rc = ul_descriptor_write(&descriptors[i], &made, err);
		if (rc)
			return rc;
		if (json_array_append_new(array, made))
			return ul_err_nomem(err);
	}
	return 0;
}

static int manifest_write(json_t *json, const struct ul_descriptor *config,
			  const struct ul_descriptor *layers,
			  size_t layer_count, struct ul_err *err)
{
	json_t *made, *array;
	int rc;

	assert(config->media_type);
	if (json_object_set_new(json, "schemaVersion", json_integer(2)) ||
	    json_object_set_new(json, "mediaType", json_string(MANIFEST_TYPE)))
		return ul_err_nomem(err);
	rc = ul_descriptor_write(config, &made, err);
	if (rc)
		return rc;
	if (json_object_set_new(json, "config", made))
		return ul_err_nomem(err);
	array = json_array();
	if (json_object_set_new(json, "layers", array))
		return ul_err_nomem(err);
	return descriptors_write(array, layers, layer_count, err);
}

int ul_manifest_make(const struct ul_descriptor *config,
		     const struct ul_descriptor *layers, size_t layer_count,
		     struct ul_buf *ret_json, struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	int rc;

	json = json_object();
	if (!json)
		return ul_err_nomem(err);
	rc = manifest_write(json, config, layers, layer_count, err);
	if (rc)
		return rc;
	return ul_json_dump(json, ret_json, err);
}
