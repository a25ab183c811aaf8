/*
 * store/oci/descriptor.h - OCI descriptors and media types as plain values.
 *
 * All text is borrowed from the arena that the parser was given.
 * (image-spec: descriptor.md, media-types.md; Docker: image manifest v2.2)
 */
#ifndef UL_STORE_OCI_DESCRIPTOR_H
#define UL_STORE_OCI_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

/* What a media type makes of a blob. */
enum ul_media {
	UL_MEDIA_OTHER,    /* unknown: kept, opaque */
	UL_MEDIA_MANIFEST, /* OCI image manifest, Docker schema 2 manifest,
			      the withdrawn artifact manifests */
	UL_MEDIA_INDEX,    /* OCI index, Docker manifest list */
	UL_MEDIA_SCHEMA1,  /* Docker schema 1, signed or not: refused */
	UL_MEDIA_CONFIG,   /* OCI or Docker image config */
	UL_MEDIA_LAYER,    /* any OCI or Docker layer form, foreign ones too */
	UL_MEDIA_CACHE_CONFIG, /* application/vnd.buildkit.cacheconfig.v0 */
};

/* NULL is OTHER. Parameters after ';' and case are ignored. */
enum ul_media ul_media_of(const char *media_type);

struct ul_platform {
	const char *os; /* NULL where unknown, and the others too */
	const char *architecture;
	const char *variant;
	const char *os_version;
};

/* "linux/arm64/v8" into text, cut if need be; "unknown" where neither is
 * known or both are called that. */
#define UL_PLATFORM_TEXT_MAX 128
void ul_platform_format(const struct ul_platform *platform,
			char text[UL_PLATFORM_TEXT_MAX]);

struct ul_annotation {
	const char *key;
	const char *value;
};

struct ul_descriptor {
	const char *media_type;    /* NULL where absent */
	const char *artifact_type; /* NULL where absent */
	struct ul_digest digest;
	uint64_t size_bytes;
	bool is_size_unknown; /* only in what merely looks like a descriptor:
				 it gave no size; size_bytes is 0 */
	struct ul_platform platform;
	struct ul_annotation *annotations;
	size_t annotation_count;
	bool has_urls; /* foreign: may be absent without harm */
};

/* The value of an annotation, or NULL. */
const char *ul_descriptor_annotation(const struct ul_descriptor *descriptor,
				     const char *key);

/* Annotation keys used in more than one place. */
#define UL_ANNOTATION_REF_NAME "org.opencontainers.image.ref.name"
#define UL_ANNOTATION_IMAGE_NAME "io.containerd.image.name"
#define UL_ANNOTATION_UNCOMPRESSED "containerd.io/uncompressed"
#define UL_ANNOTATION_REFERENCE_TYPE "vnd.docker.reference.type"
#define UL_ANNOTATION_REFERENCE_DIGEST "vnd.docker.reference.digest"
#define UL_ANNOTATION_CREATED "org.opencontainers.image.created"

#endif
