#include "store/transfer/docker_archive.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/limits.h"
#include "store/oci/config.h"
#include "store/oci/json.h"
#include "store/oci/manifest.h"
#include "store/transfer/inflate.h"
#include "store/transfer/ingest.h"
#include "store/transfer/source.h"

#define OCI "application/vnd.oci.image."
#define LAYER_TYPE OCI "layer.v1.tar"

static int texts_read(const json_t *json, const char *key,
		      struct ul_arena *arena, const char ***ret,
		      size_t *ret_count, struct ul_err *err)
{
	const json_t *array = NULL;
	size_t i, count;
	const char **texts;
	int rc = ul_json_array(json, key, "image", &array, err);

	if (rc)
		return rc;
	count = array ? json_array_size(array) : 0;
	texts = ul_arena_alloc(arena, (count + 1) * sizeof *texts);
	if (!texts)
		return ul_err_nomem(err);
	for (i = 0; i < count; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text)
			return ul_err_set(err, UL_E_CORRUPT,
					  "%s has something that is no text",
					  key);
		texts[i] = ul_arena_strdup(arena, text);
		if (!texts[i])
			return ul_err_nomem(err);
	}
	*ret = texts;
	*ret_count = count;
	return 0;
}

/* "<hex>.json", "sha256:<hex>" and "blobs/sha256/<hex>" are all in use. */
static void digest_of_path(const char *path, struct ul_digest *ret)
{
	const char *name = strrchr(path, '/');
	char hex[64 + 1];

	name = name ? name + 1 : path;
	if (!strncmp(name, "sha256:", 7))
		name += 7;
	*ret = UL_DIGEST_INIT;
	if (strlen(name) < 64 || (name[64] && strcmp(name + 64, ".json")))
		return;
	memcpy(hex, name, 64);
	hex[64] = '\0';
	ul_digest_parse_hex(UL_DIGEST_SHA256, hex, ret);
}

static int image_read(const json_t *json, struct ul_arena *arena,
		      struct ul_docker_image *image, struct ul_err *err)
{
	int rc;

	if (!json_is_object(json))
		return ul_err_set(err, UL_E_CORRUPT, "is no object");
	rc = ul_json_text(json, "Config", "image", arena, &image->config, err);
	if (!rc)
		rc = texts_read(json, "RepoTags", arena, &image->tags,
				&image->tag_count, err);
	if (!rc)
		rc = texts_read(json, "Layers", arena, &image->layers,
				&image->layer_count, err);
	if (rc)
		return rc;
	if (!image->config)
		return ul_err_set(err, UL_E_CORRUPT, "has no Config");
	if (image->layer_count > UL_IMAGE_MAX_LAYERS)
		return ul_err_set(err, UL_E_LIMIT, "has more than %d layers",
				  UL_IMAGE_MAX_LAYERS);
	digest_of_path(image->config, &image->config_digest);
	return 0;
}

static int images_read(const json_t *array, struct ul_arena *arena,
		       struct ul_docker_image **ret, size_t *ret_count,
		       struct ul_err *err)
{
	size_t i, count = array ? json_array_size(array) : 0;
	struct ul_docker_image *images =
	    ul_arena_alloc(arena, (count + 1) * sizeof *images);

	if (!images)
		return ul_err_nomem(err);
	for (i = 0; i < count; i++) {
		if (image_read(json_array_get(array, i), arena, &images[i],
			       err))
			return ul_err_wrap(err, "image %zu", i);
	}
	*ret = images;
	*ret_count = count;
	return 0;
}

int ul_docker_archive_parse(const struct ul_buf *json, struct ul_arena *arena,
			    struct ul_docker_image **ret, size_t *ret_count,
			    struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	ul_cleanup(ul_json_freep) json_t *root = NULL;
	const json_t *array = NULL;
	int rc = 0;

	/* Our parser takes objects, as all documents but this one are. */
	ul_buf_add_str(&text, "{\"images\":");
	ul_buf_add(&text, ul_buf_str(json), json->len);
	if (!ul_buf_add_str(&text, "}"))
		return ul_err_nomem(err);
	rc = ul_json_parse(text.data, text.len, UL_JSON_MAX_DEPTH, &root, err);
	if (!rc && json_object_size(root) != 1)
		rc = ul_err_set(err, UL_E_CORRUPT, "is no list");
	if (!rc)
		rc = ul_json_array(root, "images", "file", &array, err);
	if (!rc)
		rc = images_read(array, arena, ret, ret_count, err);
	return rc ? ul_err_wrap(err, "manifest.json") : 0;
}

/* Digest of what a packed layer unpacks to, and its format. */
static int unpacked_digest(const struct ul_ingest *ingest,
			   const struct ul_held *held,
			   enum ul_inflate_format *ret_format,
			   struct ul_digest *ret, struct ul_err *err)
{
	const struct ul_inflate_limits limits = {
		.bytes = UL_LAYER_MAX_BYTES,
		.ratio = UL_LAYER_MAX_RATIO,
		.ratio_from_bytes = UL_LAYER_RATIO_FROM_BYTES,
	};
	ul_cleanup(ul_closep) int fd = -1;
	ul_cleanup(ul_inflate_closep) struct ul_inflate *inflate = NULL;
	struct ul_hash hash;
	size_t len;
	int rc = ul_ingest_blob_open(ingest, held, &fd, err);

	if (!rc)
		rc =
		    ul_inflate_open(fd, UL_DIGEST_NONE, &limits, &inflate, err);
	if (rc)
		return rc;
	*ret_format = ul_inflate_format(inflate);
	*ret = held->digest;
	if (*ret_format == UL_INFLATE_PLAIN)
		return 0;
	ul_hash_init(&hash, UL_DIGEST_SHA256);
	do {
		rc = ul_inflate_read(inflate, ingest->block,
				     UL_INGEST_BLOCK_BYTES, &len, err);
		if (!rc)
			ul_hash_update(&hash, ingest->block, len);
	} while (!rc && len);
	ul_hash_final(&hash, ret);
	return rc;
}

static int layer_describe(const struct ul_source *source, const char *path,
			  const struct ul_digest *diff_id,
			  struct ul_descriptor *ret, struct ul_err *err)
{
	static const char *const types[] = {
		[UL_INFLATE_PLAIN] = LAYER_TYPE,
		[UL_INFLATE_GZIP] = LAYER_TYPE "+gzip",
		[UL_INFLATE_ZSTD] = LAYER_TYPE "+zstd",
	};
	char found_text[UL_DIGEST_TEXT_MAX], text[UL_DIGEST_TEXT_MAX];
	enum ul_inflate_format format;
	struct ul_digest found;
	struct ul_held *held;
	int rc = ul_source_file(source, path, &held, err);

	if (!rc)
		rc =
		    unpacked_digest(source->ingest, held, &format, &found, err);
	if (rc)
		return rc;
	if (!ul_digest_equal(&found, diff_id)) {
		ul_digest_format(&found, found_text);
		ul_digest_format(diff_id, text);
		return ul_err_set(err, UL_E_CORRUPT,
				  "diff ID is %.19s instead of %.19s",
				  found_text, text);
	}
	*ret = (struct ul_descriptor){
		.media_type = types[format],
		.digest = held->digest,
		.size_bytes = held->size_bytes,
	};
	return 0;
}

static int layers_describe(const struct ul_source *source,
			   const struct ul_docker_image *image,
			   const struct ul_image_config *config,
			   struct ul_descriptor *layers, struct ul_err *err)
{
	char shown[UL_JSON_SHOWN_MAX];
	size_t i;

	if (config->diff_id_count != image->layer_count)
		return ul_err_set(err, UL_E_CORRUPT,
				  "has %zu layers, its config says %zu",
				  image->layer_count, config->diff_id_count);
	for (i = 0; i < image->layer_count; i++) {
		if (layer_describe(source, image->layers[i],
				   &config->diff_ids[i], &layers[i], err))
			return ul_err_wrap(
			    err, "layer %zu ('%s')", i,
			    ul_json_show(image->layers[i], shown));
	}
	return 0;
}

static int config_describe(const struct ul_source *source,
			   const struct ul_docker_image *image,
			   struct ul_arena *arena, struct ul_descriptor *ret,
			   struct ul_image_config *ret_config,
			   struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	struct ul_held *held;
	int rc = ul_source_file(source, image->config, &held, err);

	if (!rc)
		rc = ul_ingest_blob_read(source->ingest, held, &text, err);
	if (!rc)
		rc = ul_image_config_parse(ul_buf_str(&text), text.len, arena,
					   ret_config, err);
	if (rc)
		return ul_err_wrap(err, "config");
	if (image->config_digest.alg != UL_DIGEST_NONE &&
	    !ul_digest_equal(&image->config_digest, &held->digest))
		return ul_err_set(err, UL_E_CORRUPT,
				  "config: its content is not what its name "
				  "says");
	*ret = (struct ul_descriptor){
		.media_type = OCI "config.v1+json",
		.digest = held->digest,
		.size_bytes = held->size_bytes,
	};
	return 0;
}

int ul_docker_archive_manifest(const struct ul_source *source,
			       const struct ul_docker_image *image,
			       struct ul_descriptor *ret_descriptor,
			       struct ul_err *err)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	struct ul_descriptor *layers, descriptor;
	struct ul_image_config config;
	struct ul_held *held;
	int rc =
	    config_describe(source, image, &arena, &descriptor, &config, err);

	if (rc)
		return rc;
	layers =
	    ul_arena_alloc(&arena, (image->layer_count + 1) * sizeof *layers);
	if (!layers)
		return ul_err_nomem(err);
	rc = layers_describe(source, image, &config, layers, err);
	if (!rc)
		rc = ul_manifest_make(&descriptor, layers, image->layer_count,
				      &text, err);
	if (!rc)
		rc = ul_ingest_add_bytes(source->ingest, text.data, text.len,
					 &held, err);
	if (rc)
		return rc;
	*ret_descriptor = (struct ul_descriptor){
		.media_type = OCI "manifest.v1+json",
		.digest = held->digest,
		.size_bytes = held->size_bytes,
		.platform = { .os = NULL },
	};
	return 0;
}
