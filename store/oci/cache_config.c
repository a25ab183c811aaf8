#include "store/oci/cache_config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/oci/json.h"
#include "store/oci/ref_search.h"

static bool is_one_of(const char *key, const char *const *keys, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (!strcmp(keys[i], key))
			return true;
	}
	return false;
}

/* Search what is in an object but for the members that are understood. */
static int unknown_search(struct ul_ref_search *search, const json_t *object,
			  const char *const *known, size_t known_count,
			  struct ul_err *err)
{
	const json_t *value;
	const char *key;
	int rc = 0;

	json_object_foreach((json_t *)object, key, value)
	{
		if (is_one_of(key, known, known_count))
			continue;
		rc = ul_ref_search_member(search, key, value, err);
		if (rc)
			break;
	}
	return rc;
}

/* What "annotations" says of a layer; all of it may be left out. */
static int annotations_read(const json_t *layer, const char *what,
			    struct ul_arena *arena,
			    struct ul_descriptor *descriptor,
			    struct ul_err *err)
{
	const char *diff_id = NULL;
	struct ul_err unread = UL_ERR_INIT;
	const json_t *notes;
	int rc = ul_json_object(layer, "annotations", what, &notes, err);

	descriptor->is_size_unknown = true;
	if (rc || !notes)
		return rc;
	if (!ul_json_bytes(notes, "size", what, &descriptor->size_bytes,
			   &unread))
		descriptor->is_size_unknown = false;
	rc = ul_json_text(notes, "mediaType", what, arena,
			  &descriptor->media_type, err);
	if (!rc)
		rc = ul_json_text(notes, "diffID", what, arena, &diff_id, err);
	if (rc || !diff_id)
		return rc;
	descriptor->annotations =
	    ul_arena_alloc(arena, sizeof *descriptor->annotations);
	if (!descriptor->annotations)
		return ul_err_nomem(err);
	descriptor->annotations[0] =
	    (struct ul_annotation){ .key = UL_ANNOTATION_UNCOMPRESSED,
				    .value = diff_id };
	descriptor->annotation_count = 1;
	return 0;
}

static int blob_read(struct ul_ref_search *search, const json_t *layer,
		     size_t n, struct ul_err *err)
{
	struct ul_descriptor descriptor = { .media_type = NULL };
	const char *blob = NULL;
	char what[40], shown[UL_JSON_SHOWN_MAX];
	int rc;

	snprintf(what, sizeof what, "cache layer %zu", n);
	rc = ul_json_text(layer, "blob", what, search->arena, &blob, err);
	/* Go leaves an empty text out. */
	if (rc || !blob || !*blob)
		return rc;
	if (!ul_digest_parse(blob, &descriptor.digest))
		return ul_err_set(err, UL_E_CORRUPT, "%s: \"%s\" is no digest",
				  what, ul_json_show(blob, shown));
	rc = annotations_read(layer, what, search->arena, &descriptor, err);
	return rc ? rc : ul_ref_append(search, &descriptor, what, err);
}

static int layer_read(struct ul_ref_search *search, const json_t *layer,
		      size_t n, struct ul_err *err)
{
	static const char *const known[] = { "blob", "parent" };
	int rc = blob_read(search, layer, n, err);

	return rc ? rc
		  : unknown_search(search, layer, known, ul_array_len(known),
				   err);
}

static int record_read(struct ul_ref_search *search, const json_t *record,
		       size_t n, struct ul_err *err)
{
	/* Results and chains of results name layers by position. */
	static const char *const known[] = { "digest", "inputs", "layers",
					     "chains" };

	(void)n; /* as element_read() has it */
	return unknown_search(search, record, known, ul_array_len(known), err);
}

typedef int element_read(struct ul_ref_search *search, const json_t *element,
			 size_t n, struct ul_err *err);

static int array_read(struct ul_ref_search *search, const json_t *json,
		      const char *key, element_read *read, struct ul_err *err)
{
	size_t i, at = ul_ref_enter(search, key), at_element;
	const json_t *array = NULL, *element;
	int rc = ul_json_array(json, key, "cache config", &array, err);

	json_array_foreach(array, i, element)
	{
		if (rc)
			break;
		if (!json_is_object(element)) {
			rc = ul_err_set(err, UL_E_CORRUPT,
					"cache config: \"%s\" is no array of "
					"objects",
					key);
			break;
		}
		at_element = ul_ref_enter_nth(search, i);
		rc = read(search, element, i, err);
		ul_ref_leave(search, at_element);
	}
	ul_ref_leave(search, at);
	return rc;
}

int ul_cache_config_parse(const char *bytes, size_t len, struct ul_arena *arena,
			  struct ul_cache_config *ret, struct ul_err *err)
{
	static const char *const known[] = { "layers", "records" };
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	ul_cleanup(ul_ref_search_release) struct ul_ref_search search = {
		.arena = arena
	};
	struct ul_cache_config config;
	int rc;

	rc = ul_json_parse(bytes, len, UL_JSON_MAX_DEPTH, &json, err);
	if (!rc)
		rc = array_read(&search, json, "layers", layer_read, err);
	if (!rc)
		rc = array_read(&search, json, "records", record_read, err);
	if (!rc)
		rc = unknown_search(&search, json, known, ul_array_len(known),
				    err);
	if (!rc)
		rc = ul_ref_search_take(&search, &config.refs,
					&config.ref_count, err);
	if (!rc)
		*ret = config;
	return rc;
}
