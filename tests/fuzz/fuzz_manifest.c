#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "fuzz.h"
#include "store/limits.h"
#include "store/oci/descriptor_json.h"
#include "store/oci/json.h"
#include "store/oci/manifest.h"

static void check_ref(const struct ul_manifest_ref *ref)
{
	const struct ul_descriptor *descriptor = &ref->descriptor;

	assert(ul_digest_size(descriptor->digest.alg));
	assert(ref->reason && strlen(ref->reason) <= UL_REASON_MAX_BYTES);
	assert(!ref->is_subject || !strcmp(ref->reason, "subject"));
	assert(descriptor->size_bytes <= INT64_MAX);
	assert(!descriptor->is_size_unknown || !descriptor->size_bytes);
}

static void check(const struct ul_manifest *manifest)
{
	size_t i;

	assert(manifest->media == UL_MEDIA_MANIFEST ||
	       manifest->media == UL_MEDIA_INDEX);
	assert(manifest->ref_count <= UL_MANIFEST_MAX_REFS);
	for (i = 0; i < manifest->ref_count; i++)
		check_ref(&manifest->refs[i]);
	if (manifest->config) {
		assert(manifest->config >= manifest->refs);
		assert(manifest->config < manifest->refs + manifest->ref_count);
		assert(!strcmp(manifest->config->reason, "config"));
	}
}

static bool has_ref(const struct ul_manifest *manifest,
		    const struct ul_digest *digest)
{
	size_t i;

	for (i = 0; i < manifest->ref_count; i++) {
		if (ul_digest_equal(&manifest->refs[i].descriptor.digest,
				    digest))
			return true;
	}
	return false;
}

/*
 * Whatever looks like a descriptor, at any depth, is a reference; what stands
 * in the known members of a known descriptor is text of its own.
 */
static void check_kept(const struct ul_manifest *manifest, const json_t *json,
		       bool is_known)
{
	const json_t *value;
	const char *key, *text;
	struct ul_digest digest;
	size_t i;

	json_array_foreach(json, i, value)
	    check_kept(manifest, value, is_known);
	if (!json_is_object(json))
		return;
	text = json_string_value(json_object_get(json, "digest"));
	if (text && ul_digest_parse(text, &digest))
		assert(has_ref(manifest, &digest));
	json_object_foreach((json_t *)json, key, value)
	{
		if (!is_known || !ul_descriptor_knows(key))
			check_kept(manifest, value, false);
	}
}

static void check_all_kept(const struct ul_manifest *manifest,
			   const uint8_t *data, size_t size)
{
	static const char *const known[] = { "config", "layers", "manifests",
					     "subject" };
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	struct ul_err err = UL_ERR_INIT;
	const json_t *value;
	const char *key;
	size_t i;
	int rc = ul_json_parse((const char *)data, size, UL_JSON_MAX_DEPTH,
			       &json, &err);

	assert(!rc);
	json_object_foreach(json, key, value)
	{
		bool is_known = false;

		for (i = 0; i < ul_array_len(known); i++)
			is_known = is_known || !strcmp(key, known[i]);
		check_kept(manifest, value, is_known);
	}
}

static int parse(const uint8_t *data, size_t size, struct ul_arena *arena,
		 struct ul_manifest *ret)
{
	struct ul_err err = UL_ERR_INIT;
	int rc =
	    ul_manifest_parse((const char *)data, size, NULL, arena, ret, &err);

	assert(rc == err.code);
	assert(!rc || !strpbrk(err.msg, "\n\033"));
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ul_arena arena = UL_ARENA_INIT;
	struct ul_manifest manifest, again;
	int rc = parse(data, size, &arena, &manifest), rc_again;

	if (!rc) {
		check(&manifest);
		check_all_kept(&manifest, data, size);
	}
	/* One allocation fails: then either nothing or the same comes out. */
	ul_mem_countdown = (long)(size % 64);
	rc_again = parse(data, size, &arena, &again);
	ul_mem_countdown = -1;
	assert(rc_again == UL_E_NOMEM || rc_again == rc);
	if (!rc_again)
		assert(again.ref_count == manifest.ref_count);
	ul_arena_release(&arena);
	return 0;
}
