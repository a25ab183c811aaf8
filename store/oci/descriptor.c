#include "store/oci/descriptor.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/oci/descriptor_json.h"
#include "store/oci/json.h"

/* image-spec media-types.md; Docker image manifest v2.2 and v2.1. */
static const struct media_name {
	const char *name;
	enum ul_media media;
} media_names[] = {
	{ "application/vnd.oci.image.manifest.v1+json", UL_MEDIA_MANIFEST },
	{ "application/vnd.docker.distribution.manifest.v2+json",
	  UL_MEDIA_MANIFEST },
	/* Withdrawn forms that registries still hold: "blobs" and "subject". */
	{ "application/vnd.oci.artifact.manifest.v1+json", UL_MEDIA_MANIFEST },
	{ "application/vnd.cncf.oras.artifact.manifest.v1+json",
	  UL_MEDIA_MANIFEST },
	{ "application/vnd.oci.image.index.v1+json", UL_MEDIA_INDEX },
	{ "application/vnd.docker.distribution.manifest.list.v2+json",
	  UL_MEDIA_INDEX },
	{ "application/vnd.docker.distribution.manifest.v1+json",
	  UL_MEDIA_SCHEMA1 },
	{ "application/vnd.docker.distribution.manifest.v1+prettyjws",
	  UL_MEDIA_SCHEMA1 },
	{ "application/vnd.oci.image.config.v1+json", UL_MEDIA_CONFIG },
	{ "application/vnd.docker.container.image.v1+json", UL_MEDIA_CONFIG },
	{ "application/vnd.oci.image.layer.v1.tar", UL_MEDIA_LAYER },
	{ "application/vnd.oci.image.layer.v1.tar+gzip", UL_MEDIA_LAYER },
	{ "application/vnd.oci.image.layer.v1.tar+zstd", UL_MEDIA_LAYER },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar",
	  UL_MEDIA_LAYER },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
	  UL_MEDIA_LAYER },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
	  UL_MEDIA_LAYER },
	{ "application/vnd.docker.image.rootfs.diff.tar", UL_MEDIA_LAYER },
	{ "application/vnd.docker.image.rootfs.diff.tar.gzip", UL_MEDIA_LAYER },
	{ "application/vnd.docker.image.rootfs.diff.tar.zstd", UL_MEDIA_LAYER },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar",
	  UL_MEDIA_LAYER },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
	  UL_MEDIA_LAYER },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar.zstd",
	  UL_MEDIA_LAYER },
	{ "application/vnd.buildkit.cacheconfig.v0", UL_MEDIA_CACHE_CONFIG },
};

enum ul_media ul_media_of(const char *media_type)
{
	size_t i, len;

	if (!media_type)
		return UL_MEDIA_OTHER;
	len = strcspn(media_type, ";");
	while (len && media_type[len - 1] == ' ')
		len--;
	for (i = 0; i < ul_array_len(media_names); i++) {
		/* Types compare without case (RFC 6838, 4.2). */
		if (strlen(media_names[i].name) == len &&
		    !strncasecmp(media_names[i].name, media_type, len))
			return media_names[i].media;
	}
	return UL_MEDIA_OTHER;
}

static const char *known(const char *part)
{
	return part && *part ? part : "unknown";
}

void ul_platform_format(const struct ul_platform *platform,
			char text[UL_PLATFORM_TEXT_MAX])
{
	const char *os = known(platform->os);
	const char *arch = known(platform->architecture);
	const char *variant = platform->variant ? platform->variant : "";

	/* BuildKit calls attestations "unknown/unknown". */
	if (!strcmp(os, "unknown") && !strcmp(arch, "unknown"))
		snprintf(text, UL_PLATFORM_TEXT_MAX, "unknown");
	else
		snprintf(text, UL_PLATFORM_TEXT_MAX, "%s/%s%s%s", os, arch,
			 *variant ? "/" : "", variant);
}

const char *ul_descriptor_annotation(const struct ul_descriptor *descriptor,
				     const char *key)
{
	size_t i;

	for (i = 0; i < descriptor->annotation_count; i++) {
		if (!strcmp(descriptor->annotations[i].key, key))
			return descriptor->annotations[i].value;
	}
	return NULL;
}

bool ul_descriptor_knows(const char *key)
{
	static const char *const names[] = { "mediaType", "digest",
					     "size",      "urls",
					     "data",      "annotations",
					     "platform",  "artifactType" };
	size_t i;

	for (i = 0; i < ul_array_len(names); i++) {
		if (!strcmp(names[i], key))
			return true;
	}
	return false;
}

int ul_platform_read(const json_t *json, const char *what,
		     struct ul_arena *arena, struct ul_platform *ret,
		     struct ul_err *err)
{
	struct ul_platform platform = { .os = NULL };
	int rc;

	rc = ul_json_text(json, "os", what, arena, &platform.os, err);
	if (!rc)
		rc = ul_json_text(json, "architecture", what, arena,
				  &platform.architecture, err);
	if (!rc)
		rc = ul_json_text(json, "variant", what, arena,
				  &platform.variant, err);
	if (!rc)
		rc = ul_json_text(json, "os.version", what, arena,
				  &platform.os_version, err);
	if (!rc)
		*ret = platform;
	return rc;
}

/* The grammar of descriptor.md, with enough behind the colon to be a hash. */
static bool is_like_digest(const char *text)
{
	enum { HASH_TEXT_MIN = 32 };
	static const char lower_alnum[] = "abcdefghijklmnopqrstuvwxyz"
					  "0123456789";
	size_t alg = strspn(text, lower_alnum);
	size_t encoded;

	while (alg && text[alg] && strchr("+._-", text[alg])) {
		size_t more = strspn(text + alg + 1, lower_alnum);

		if (!more)
			return false;
		alg += 1 + more;
	}
	if (!alg || text[alg] != ':')
		return false;
	text += alg + 1;
	encoded = strspn(text, "abcdefghijklmnopqrstuvwxyz"
			       "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=_-");
	return encoded >= HASH_TEXT_MIN && !text[encoded];
}

static int unknown_algorithm(const char *what, const char *text,
			     struct ul_err *err)
{
	char shown[UL_JSON_SHOWN_MAX];

	return ul_err_set(err, UL_E_CORRUPT,
			  "%s: digest \"%s\" is of an unknown algorithm", what,
			  ul_json_show(text, shown));
}

static bool has_known_algorithm(const char *text)
{
	return ul_digest_alg_parse(text, strcspn(text, ":")) != UL_DIGEST_NONE;
}

static int digest_read(const json_t *json, const char *what,
		       struct ul_digest *ret, struct ul_err *err)
{
	const json_t *member = ul_json_member(json, "digest");
	const char *text = json_string_value(member);
	char shown[UL_JSON_SHOWN_MAX];

	if (!member)
		return ul_err_set(err, UL_E_CORRUPT, "%s has no digest", what);
	if (text && ul_digest_parse(text, ret))
		return 0;
	if (text && strchr(text, ':') && !has_known_algorithm(text))
		return unknown_algorithm(what, text, err);
	return ul_err_set(err, UL_E_CORRUPT, "%s: \"%s\" is no digest", what,
			  ul_json_show(text ? text : "", shown));
}

static int urls_read(const json_t *json, const char *what, bool *ret,
		     struct ul_err *err)
{
	const json_t *urls, *url;
	size_t i;
	int rc;

	rc = ul_json_array(json, "urls", what, &urls, err);
	if (rc)
		return rc;
	json_array_foreach(urls, i, url)
	{
		if (!json_is_string(url))
			return ul_err_set(err, UL_E_CORRUPT,
					  "%s: \"urls\" is no array of strings",
					  what);
	}
	*ret = json_array_size(urls) > 0;
	return 0;
}

static int texts_read(const json_t *json, const char *what,
		      struct ul_arena *arena, struct ul_descriptor *ret,
		      struct ul_err *err)
{
	const json_t *platform;
	int rc;

	rc =
	    ul_json_text(json, "mediaType", what, arena, &ret->media_type, err);
	if (!rc)
		rc = ul_json_text(json, "artifactType", what, arena,
				  &ret->artifact_type, err);
	if (!rc)
		rc = ul_json_texts(json, "annotations", what, arena,
				   &ret->annotations, &ret->annotation_count,
				   err);
	if (!rc)
		rc = ul_json_object(json, "platform", what, &platform, err);
	if (!rc && platform)
		rc = ul_platform_read(platform, what, arena, &ret->platform,
				      err);
	return rc;
}

int ul_descriptor_read(const json_t *json, const char *what,
		       struct ul_arena *arena, struct ul_descriptor *ret,
		       struct ul_err *err)
{
	struct ul_descriptor descriptor = { .media_type = NULL };
	const json_t *data = ul_json_member(json, "data");
	int rc;

	if (!json_is_object(json))
		return ul_err_set(err, UL_E_CORRUPT, "%s is no object", what);
	if (data && !json_is_string(data))
		return ul_err_set(err, UL_E_CORRUPT,
				  "%s: \"data\" is no string", what);
	rc = digest_read(json, what, &descriptor.digest, err);
	if (!rc)
		rc = ul_json_bytes(json, "size", what, &descriptor.size_bytes,
				   err);
	if (!rc)
		rc = urls_read(json, what, &descriptor.has_urls, err);
	if (!rc)
		rc = texts_read(json, what, arena, &descriptor, err);
	if (!rc)
		*ret = descriptor;
	return rc;
}

int ul_descriptor_guess(const json_t *json, const char *what,
			struct ul_arena *arena, struct ul_descriptor *ret,
			struct ul_err *err)
{
	const char *text = json_string_value(json_object_get(json, "digest"));
	struct ul_descriptor descriptor = { .media_type = NULL };
	struct ul_err unread = UL_ERR_INIT;
	int rc;

	if (!text)
		return 0;
	if (!ul_digest_parse(text, &descriptor.digest)) {
		if (is_like_digest(text) && !has_known_algorithm(text))
			return unknown_algorithm(what, text, err);
		return 0;
	}
	rc = ul_json_bytes(json, "size", what, &descriptor.size_bytes, &unread);
	descriptor.is_size_unknown = rc != 0;
	(void)urls_read(json, what, &descriptor.has_urls, &unread);
	rc = texts_read(json, what, arena, &descriptor, &unread);
	if (rc == UL_E_NOMEM)
		return ul_err_nomem(err);
	*ret = descriptor;
	return 1;
}

/* Absent texts are left out. */
static int text_write(json_t *object, const char *key, const char *text,
		      struct ul_err *err)
{
	if (!text || !json_object_set_new(object, key, json_string(text)))
		return 0;
	return ul_json_failed(text, err);
}

static int annotations_write(json_t *object,
			     const struct ul_descriptor *descriptor,
			     struct ul_err *err)
{
	const struct ul_annotation *annotation = descriptor->annotations;
	size_t i;
	json_t *map;
	int rc;

	if (!descriptor->annotation_count)
		return 0;
	map = json_object();
	if (json_object_set_new(object, "annotations", map))
		return ul_err_nomem(err);
	for (i = 0; i < descriptor->annotation_count; i++, annotation++) {
		if (!json_object_set_new(map, annotation->key,
					 json_string(annotation->value)))
			continue;
		rc = ul_json_failed(annotation->key, err);
		return rc == UL_E_INVALID
			   ? rc
			   : ul_json_failed(annotation->value, err);
	}
	return 0;
}

static int platform_write(json_t *object, const struct ul_platform *platform,
			  struct ul_err *err)
{
	json_t *map;
	int rc;

	if (!platform->os && !platform->architecture && !platform->variant &&
	    !platform->os_version)
		return 0;
	map = json_object();
	if (json_object_set_new(object, "platform", map))
		return ul_err_nomem(err);
	rc = text_write(map, "architecture", platform->architecture, err);
	if (!rc)
		rc = text_write(map, "os", platform->os, err);
	if (!rc)
		rc = text_write(map, "os.version", platform->os_version, err);
	if (!rc)
		rc = text_write(map, "variant", platform->variant, err);
	return rc;
}

static int size_write(json_t *object, const struct ul_descriptor *descriptor,
		      struct ul_err *err)
{
	assert(descriptor->size_bytes <= INT64_MAX);
	if (descriptor->is_size_unknown)
		return 0;
	if (json_object_set_new(
		object, "size",
		json_integer((json_int_t)descriptor->size_bytes)))
		return ul_err_nomem(err);
	return 0;
}

int ul_descriptor_write(const struct ul_descriptor *descriptor, json_t **ret,
			struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *object = NULL;
	char digest[UL_DIGEST_TEXT_MAX];
	int rc;

	object = json_object();
	if (!object)
		return ul_err_nomem(err);
	ul_digest_format(&descriptor->digest, digest);
	rc = text_write(object, "mediaType", descriptor->media_type, err);
	if (!rc)
		rc = text_write(object, "digest", digest, err);
	if (!rc)
		rc = size_write(object, descriptor, err);
	if (!rc)
		rc = annotations_write(object, descriptor, err);
	if (!rc)
		rc = platform_write(object, &descriptor->platform, err);
	if (!rc)
		rc = text_write(object, "artifactType",
				descriptor->artifact_type, err);
	if (!rc)
		*ret = ul_steal(object);
	return rc;
}
