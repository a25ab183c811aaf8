/* BuildKit's cache configs: each blob that a layer names is a reference. */
#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "fuzz.h"
#include "store/limits.h"
#include "store/oci/cache_config.h"
#include "store/oci/json.h"

static bool has_ref(const struct ul_cache_config *config, const char *text)
{
	struct ul_digest digest;
	bool ok = ul_digest_parse(text, &digest);
	size_t i;

	assert(ok);
	for (i = 0; i < config->ref_count; i++) {
		if (ul_digest_equal(&config->refs[i].descriptor.digest,
				    &digest))
			return true;
	}
	return false;
}

static void check_layers(const struct ul_cache_config *config,
			 const uint8_t *data, size_t size)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	struct ul_err err = UL_ERR_INIT;
	const json_t *layers, *layer;
	const char *blob;
	size_t i;
	int rc = ul_json_parse((const char *)data, size, UL_JSON_MAX_DEPTH,
			       &json, &err);

	assert(!rc);
	layers = json_object_get(json, "layers");
	json_array_foreach(layers, i, layer)
	{
		blob = json_string_value(json_object_get(layer, "blob"));
		assert(!blob || !*blob || has_ref(config, blob));
	}
}

static void check_ref(const struct ul_manifest_ref *ref)
{
	const struct ul_descriptor *descriptor = &ref->descriptor;

	assert(ul_digest_size(descriptor->digest.alg));
	assert(ref->reason && strlen(ref->reason) <= UL_REASON_MAX_BYTES);
	assert(!ref->is_subject);
	assert(descriptor->size_bytes <= INT64_MAX);
	assert(!descriptor->is_size_unknown || !descriptor->size_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	struct ul_cache_config config;
	struct ul_err err = UL_ERR_INIT;
	size_t i;
	int rc = ul_cache_config_parse((const char *)data, size, &arena,
				       &config, &err);

	assert(rc == err.code && !strpbrk(err.msg, "\n\033"));
	if (rc)
		return 0;
	assert(config.ref_count <= UL_MANIFEST_MAX_REFS);
	for (i = 0; i < config.ref_count; i++)
		check_ref(&config.refs[i]);
	check_layers(&config, data, size);
	return 0;
}
