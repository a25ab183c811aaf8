#include "store/transfer/unpack.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/names.h"
#include "store/embedded/store.h"
#include "store/limits.h"
#include "store/oci/config.h"
#include "store/oci/manifest.h"
#include "store/transfer/unpack_chain.h"

struct unpack {
	struct ul_embedded *store;
	const struct ul_unpack_options *options;
	struct ul_unpack_result result;
	struct ul_buf document;
	struct ul_buf platforms; /* those that were not asked for */
	struct ul_arena arena;
};

static void unpack_release(struct unpack *unpack)
{
	ul_buf_release(&unpack->document);
	ul_buf_release(&unpack->platforms);
	ul_arena_release(&unpack->arena);
}

/* Into unpack->document; UL_E_ABSENT where it is not here. */
static int document_read(struct unpack *unpack, const struct ul_digest *digest,
			 struct ul_err *err)
{
	char path[UL_DIGEST_TEXT_MAX], hex[UL_DIGEST_HEX_MAX + 1];
	struct ul_digest found;
	int rc;

	ul_digest_format_hex(digest, hex);
	ul_digest_format_path(digest, path);
	ul_buf_reset(&unpack->document);
	rc = ul_file_read(unpack->store->blobs_fd, path, UL_MANIFEST_MAX_BYTES,
			  &unpack->document, err);
	if (rc == UL_E_ABSENT)
		return ul_err_set(err, UL_E_ABSENT, "blob %.12s is not here",
				  hex);
	if (rc)
		return rc;
	ul_digest_of(digest->alg, unpack->document.data, unpack->document.len,
		     &found);
	if (!ul_digest_equal(&found, digest))
		return ul_err_set(err, UL_E_CORRUPT,
				  "blob %.12s does not have its digest", hex);
	return 0;
}

static bool is_attestation(const struct ul_descriptor *descriptor)
{
	const char *type =
	    ul_descriptor_annotation(descriptor, UL_ANNOTATION_REFERENCE_TYPE);

	return type && !strcmp(type, "attestation-manifest");
}

static bool is_layer_ref(const struct ul_manifest_ref *ref)
{
	return !strncmp(ref->reason, "layer ", 6);
}

/* Whether it has the config of an image, and layers if it has anything. */
static bool is_image(const struct ul_manifest *manifest)
{
	const char *type;
	size_t i, layers = 0, others = 0;

	if (manifest->media != UL_MEDIA_MANIFEST || !manifest->config)
		return false;
	type = manifest->config->descriptor.media_type;
	if (type && ul_media_of(type) != UL_MEDIA_CONFIG)
		return false;
	for (i = 0; i < manifest->ref_count; i++) {
		const struct ul_manifest_ref *ref = &manifest->refs[i];

		if (!is_layer_ref(ref))
			continue;
		if (ul_media_of(ref->descriptor.media_type) == UL_MEDIA_LAYER)
			layers++;
		else
			others++;
	}
	return layers || !others;
}

/* "linux/arm64" stands for its variants too. */
static bool is_wanted(const char *wanted, const char *platform)
{
	size_t len;

	if (!wanted)
		return true;
	len = strlen(wanted);
	return !strncmp(wanted, platform, len) &&
	       (!platform[len] || platform[len] == '/');
}

static int layers_collect(const struct ul_manifest *manifest,
			  struct ul_descriptor *layers, size_t *ret_count,
			  struct ul_err *err)
{
	size_t i, count = 0;

	for (i = 0; i < manifest->ref_count; i++) {
		const struct ul_manifest_ref *ref = &manifest->refs[i];

		if (!is_layer_ref(ref))
			continue;
		if (ul_media_of(ref->descriptor.media_type) != UL_MEDIA_LAYER)
			return ul_err_set(err, UL_E_UNSUPPORTED,
					  "%s has an unknown type: %.100s",
					  ref->reason,
					  ref->descriptor.media_type
					      ? ref->descriptor.media_type
					      : "(none)");
		layers[count++] = ref->descriptor;
	}
	*ret_count = count;
	return 0;
}

static int unpack_platform(struct unpack *unpack,
			   const struct ul_manifest *manifest,
			   const struct ul_image_config *config,
			   struct ul_err *err)
{
	ul_cleanup(ul_freep) struct ul_descriptor *layers =
	    ul_calloc(manifest->ref_count + 1, sizeof *layers);
	size_t count;
	int rc;

	if (!layers)
		return ul_err_nomem(err);
	rc = layers_collect(manifest, layers, &count, err);
	if (rc)
		return rc;
	if (count != config->diff_id_count)
		return ul_err_set(err, UL_E_CORRUPT,
				  "has %zu layers, its config says %zu", count,
				  config->diff_id_count);
	return ul_unpack_chain(unpack->store, config, layers, unpack->options,
			       &unpack->result, err);
}

static int unpack_manifest(struct unpack *unpack,
			   const struct ul_manifest *manifest,
			   struct ul_err *err)
{
	struct ul_image_config config;
	char platform[UL_PLATFORM_TEXT_MAX];
	int rc;

	if (!is_image(manifest)) {
		unpack->result.other_count++;
		return 0;
	}
	rc = document_read(unpack, &manifest->config->descriptor.digest, err);
	if (!rc)
		rc = ul_image_config_parse(unpack->document.data,
					   unpack->document.len, &unpack->arena,
					   &config, err);
	if (rc)
		return ul_err_wrap(err, "config");
	ul_platform_format(&config.platform, platform);
	if (!is_wanted(unpack->options->platform, platform)) {
		if (!ul_buf_printf(&unpack->platforms, "%s%s",
				   unpack->platforms.len ? ", " : "", platform))
			return ul_err_nomem(err);
		return 0;
	}
	unpack->result.platform_count++;
	rc = unpack_platform(unpack, manifest, &config, err);
	return rc ? ul_err_wrap(err, "%s", platform) : 0;
}

/* 1 where the document itself is not here, with a message. */
static int unpack_any(struct unpack *unpack, const struct ul_digest *digest,
		      const char *media_type, unsigned depth,
		      struct ul_err *err);

static int unpack_child(struct unpack *unpack,
			const struct ul_manifest_ref *ref, unsigned depth,
			struct ul_err *err)
{
	const struct ul_descriptor *descriptor = &ref->descriptor;
	enum ul_media media = ul_media_of(descriptor->media_type);
	int rc;

	if (strncmp(ref->reason, "manifest ", 9))
		return 0;
	if (is_attestation(descriptor) ||
	    (media != UL_MEDIA_MANIFEST && media != UL_MEDIA_INDEX &&
	     descriptor->media_type)) {
		unpack->result.other_count++;
		return 0;
	}
	rc = unpack_any(unpack, &descriptor->digest, descriptor->media_type,
			depth + 1, err);
	if (rc <= 0)
		return rc;
	*err = UL_ERR_INIT;
	unpack->result.absent_count++;
	return 0;
}

static int unpack_children(struct unpack *unpack,
			   const struct ul_manifest *index, unsigned depth,
			   struct ul_err *err)
{
	size_t i;
	int rc = 0;

	if (depth == UL_INDEX_MAX_NESTING)
		return ul_err_set(err, UL_E_LIMIT,
				  "indexes nested more than %d deep",
				  UL_INDEX_MAX_NESTING);
	for (i = 0; !rc && i < index->ref_count; i++)
		rc = unpack_child(unpack, &index->refs[i], depth, err);
	return rc;
}

static int unpack_any(struct unpack *unpack, const struct ul_digest *digest,
		      const char *media_type, unsigned depth,
		      struct ul_err *err)
{
	struct ul_manifest manifest;
	char text[UL_DIGEST_TEXT_MAX];
	int rc = document_read(unpack, digest, err);

	if (rc == UL_E_ABSENT)
		return 1;
	if (!rc)
		rc = ul_manifest_parse(unpack->document.data,
				       unpack->document.len, media_type,
				       &unpack->arena, &manifest, err);
	if (!rc && manifest.media == UL_MEDIA_INDEX)
		return unpack_children(unpack, &manifest, depth, err);
	if (!rc)
		rc = unpack_manifest(unpack, &manifest, err);
	ul_digest_format(digest, text);
	return rc ? ul_err_wrap(err, "manifest %.19s", text) : 0;
}

int ul_unpack(struct ul_embedded *store, const struct ul_digest *image,
	      const struct ul_unpack_options *options,
	      struct ul_unpack_result *ret, struct ul_err *err)
{
	ul_cleanup(unpack_release) struct unpack unpack = {
		.store = store,
		.options = options,
		.document = UL_BUF_INIT,
		.platforms = UL_BUF_INIT,
		.arena = UL_ARENA_INIT,
	};
	char digest[UL_DIGEST_TEXT_MAX];
	int rc = unpack_any(&unpack, image, NULL, 0, err);

	if (rc)
		return rc < 0 ? rc : err->code;
	if (!unpack.result.platform_count && unpack.platforms.len)
		return ul_err_set(
		    err, UL_E_ABSENT, "it has no platform %s, but %.400s",
		    options->platform, ul_buf_str(&unpack.platforms));
	ul_digest_format(image, digest);
	rc = ul_names_used(store, digest, err);
	if (!rc)
		*ret = unpack.result;
	return rc;
}
