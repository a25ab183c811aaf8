#include "store/oci/config.h"

#include <assert.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/limits.h"
#include "store/oci/descriptor_json.h"
#include "store/oci/json.h"

static int diff_ids_copy(const json_t *array, struct ul_arena *arena,
			 struct ul_image_config *config, struct ul_err *err)
{
	size_t i, count = json_array_size(array);
	const json_t *id;

	if (count > UL_IMAGE_MAX_LAYERS)
		return ul_err_set(err, UL_E_LIMIT,
				  "image config: %zu layers, %d at most", count,
				  UL_IMAGE_MAX_LAYERS);
	config->diff_ids =
	    ul_arena_alloc(arena, count * sizeof *config->diff_ids);
	if (!config->diff_ids)
		return ul_err_nomem(err);
	json_array_foreach(array, i, id)
	{
		const char *text = json_string_value(id);

		if (!text || !ul_digest_parse(text, &config->diff_ids[i]))
			return ul_err_set(err, UL_E_CORRUPT,
					  "image config: diff ID %zu is no "
					  "digest",
					  i);
	}
	config->diff_id_count = count;
	return 0;
}

static int layers_read(const json_t *json, struct ul_arena *arena,
		       struct ul_image_config *config, struct ul_err *err)
{
	const json_t *rootfs, *ids;
	int rc;

	rc = ul_json_object(json, "rootfs", "image config", &rootfs, err);
	if (rc || !rootfs)
		return rc;
	rc = ul_json_array(rootfs, "diff_ids", "image config", &ids, err);
	if (rc || !ids)
		return rc;
	return diff_ids_copy(ids, arena, config, err);
}

static int labels_read(const json_t *json, struct ul_arena *arena,
		       struct ul_image_config *config, struct ul_err *err)
{
	const json_t *inner;
	int rc;

	rc = ul_json_object(json, "config", "image config", &inner, err);
	if (rc || !inner)
		return rc;
	return ul_json_texts(inner, "Labels", "image config", arena,
			     &config->labels, &config->label_count, err);
}

static int64_t created_read(const json_t *json)
{
	const char *text = json_string_value(json_object_get(json, "created"));
	int64_t unix_s;

	return text && ul_time_parse(text, &unix_s) ? unix_s : 0;
}

int ul_image_config_parse(const char *bytes, size_t len, struct ul_arena *arena,
			  struct ul_image_config *ret, struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	struct ul_image_config config = { .diff_ids = NULL };
	int rc;

	rc = ul_json_parse(bytes, len, UL_JSON_MAX_DEPTH, &json, err);
	if (rc)
		return ul_err_wrap(err, "image config");
	config.created_unix_s = created_read(json);
	rc = ul_platform_read(json, "image config", arena, &config.platform,
			      err);
	if (!rc)
		rc = layers_read(json, arena, &config, err);
	if (!rc)
		rc = labels_read(json, arena, &config, err);
	if (!rc)
		*ret = config;
	return rc;
}

struct ul_digest ul_image_config_chain(const struct ul_image_config *config,
				       size_t count)
{
	struct ul_digest chain = UL_DIGEST_INIT;
	size_t i;

	assert(count <= config->diff_id_count);
	for (i = 0; i < count; i++)
		ul_digest_chain(&chain, &config->diff_ids[i], &chain);
	return chain;
}
