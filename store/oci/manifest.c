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
#include "store/oci/descriptor_json.h"
#include "store/oci/json.h"
#include "store/oci/ref_search.h"

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"

/* What one reading has collected. */
struct reading {
	struct ul_ref_search search;
	size_t config; /* index + 1 of the config; 0: none */
};

static void reading_release(struct reading *reading)
{
	ul_ref_search_release(&reading->search);
}

/* A descriptor in a known place; place is already there. */
static int known_read(struct reading *reading, const json_t *json,
		      const char *reason, struct ul_err *err)
{
	struct ul_descriptor descriptor;
	const json_t *value;
	const char *key;
	int rc;

	rc = ul_descriptor_read(json, reason, reading->search.arena,
				&descriptor, err);
	if (!rc)
		rc = ul_ref_append(&reading->search, &descriptor, reason, err);
	if (rc)
		return rc;
	json_object_foreach((json_t *)json, key, value)
	{
		if (ul_descriptor_knows(key))
			continue;
		rc = ul_ref_search_member(&reading->search, key, value, err);
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
		old_len = ul_ref_enter_nth(&reading->search, i);
		rc = known_read(reading, item, reason, err);
		ul_ref_leave(&reading->search, old_len);
		if (rc)
			break;
	}
	return rc;
}

static int subject_read(struct reading *reading, const json_t *json,
			struct ul_err *err)
{
	size_t first = reading->search.len;
	int rc = known_read(reading, json, "subject", err);

	if (!rc)
		reading->search.refs[first].is_subject = true;
	return rc;
}

static int config_read(struct reading *reading, const json_t *json,
		       struct ul_err *err)
{
	reading->config = reading->search.len + 1;
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
	return ul_ref_search_any(&reading->search, value, err);
}

static int fields_read(struct reading *reading, const json_t *json,
		       struct ul_err *err)
{
	const json_t *value;
	const char *key;
	int rc = 0;

	json_object_foreach((json_t *)json, key, value)
	{
		size_t old_len = ul_ref_enter(&reading->search, key);

		if (!json_is_null(value))
			rc = field_read(reading, key, value, err);
		ul_ref_leave(&reading->search, old_len);
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

static int refs_take(const struct reading *reading,
		     struct ul_manifest *manifest, struct ul_err *err)
{
	int rc = ul_ref_search_take(&reading->search, &manifest->refs,
				    &manifest->ref_count, err);

	if (!rc && reading->config)
		manifest->config = &manifest->refs[reading->config - 1];
	return rc;
}

int ul_manifest_parse(const char *bytes, size_t len, const char *declared_type,
		      struct ul_arena *arena, struct ul_manifest *ret,
		      struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	ul_cleanup(reading_release) struct reading reading = {
		.search = { .arena = arena }
	};
	struct ul_manifest manifest = { .refs = NULL };
	int rc;

	rc = ul_json_parse(bytes, len, UL_JSON_MAX_DEPTH, &json, err);
	if (!rc)
		rc = head_read(json, declared_type, arena, &manifest, err);
	if (!rc)
		rc = fields_read(&reading, json, err);
	if (!rc)
		rc = refs_take(&reading, &manifest, err);
	if (!rc)
		*ret = manifest;
	return rc;
}

int ul_document_parse_refs(const char *bytes, size_t len,
			   struct ul_arena *arena,
			   struct ul_manifest_ref **ret_refs, size_t *ret_count,
			   struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	ul_cleanup(ul_ref_search_release) struct ul_ref_search search = {
		.arena = arena
	};
	int rc = ul_json_parse(bytes, len, UL_JSON_MAX_DEPTH, &json, err);

	if (!rc)
		rc = ul_ref_search_any(&search, json, err);
	return rc ? rc : ul_ref_search_take(&search, ret_refs, ret_count, err);
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
