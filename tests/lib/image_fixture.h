/*
 * tests/lib/image_fixture.h - small images in memory, and every form in which
 * they come: layouts, OCI archives, archives of `docker save`.
 *
 * All text and bytes live until image_release(); everything fails the test
 * itself where it cannot do its part.
 */
#ifndef UL_TESTS_LIB_IMAGE_FIXTURE_H
#define UL_TESTS_LIB_IMAGE_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/digest.h"

enum { IMAGE_LAYERS_MAX = 4 };

#define IMAGE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define IMAGE_INDEX "application/vnd.oci.image.index.v1+json"
#define IMAGE_CONFIG "application/vnd.oci.image.config.v1+json"
#define IMAGE_LAYER "application/vnd.oci.image.layer.v1.tar"

struct image_blob {
	struct ul_buf bytes;
	char digest[UL_DIGEST_TEXT_MAX]; /* "sha256:..." */
	const char *hex;                 /* into digest */
};

/* Take over the bytes. */
void image_blob_init(struct image_blob *blob, struct ul_buf *bytes);
void image_blob_text(struct image_blob *blob, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void image_blob_release(struct image_blob *blob);

/* "{"mediaType":...,"digest":...,"size":...}" with more members appended, in a
 * buffer that the next call but seven reuses. */
const char *image_descriptor(const struct image_blob *blob, const char *type,
			     const char *more);

struct image {
	struct image_blob layers[IMAGE_LAYERS_MAX]; /* gzip unless is_plain */
	char diff_ids[IMAGE_LAYERS_MAX][UL_DIGEST_TEXT_MAX];
	size_t layer_count;
	bool is_plain;
	struct image_blob config;
	struct image_blob manifest;
};

/* An image of linux/ARCH; each layer has a file of its own, said by seed. */
void image_init(struct image *image, const char *seed, const char *arch,
		size_t layer_count, bool is_plain);
void image_release(struct image *image);

/* All blobs of an image, in order: layers, config, manifest. */
size_t image_blobs(const struct image *image,
		   const struct image_blob *blobs[IMAGE_LAYERS_MAX + 2]);

/* index.json of one entry with these annotations ("\"k\":\"v\"", NULL). */
void image_index(struct ul_buf *json, const struct image_blob *target,
		 const char *type, const char *annotations);

/* Write into a directory, made where it is not there. */
void layout_write(const char *dir, const struct image *image,
		  const char *index_json);
void layout_add(const char *dir, const struct image_blob *blob);

/* Entries of an archive, without its end. */
void archive_add_blob(struct ul_buf *tar, const struct image_blob *blob);
void archive_add_image(struct ul_buf *tar, const struct image *image);
void archive_add(struct ul_buf *tar, const char *path, const char *text);

/* The old form of `docker save`: "ID/layer.tar", "HEX.json". */
void archive_add_docker(struct ul_buf *tar, const struct image *image,
			const char *tags_json);

/* Write bytes to a file. */
void bytes_write(const char *path, const struct ul_buf *bytes);

/* Everything below a directory, a line each: path, type, mode, length, inode,
 * content's digest; free() it. */
char *tree_listing(const char *path);

#endif
