#include "tests/lib/image_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/tar_fixture.h"

void image_blob_init(struct image_blob *blob, struct ul_buf *bytes)
{
	struct ul_digest digest;

	ul_digest_of(UL_DIGEST_SHA256, ul_buf_str(bytes), bytes->len, &digest);
	ul_digest_format(&digest, blob->digest);
	blob->hex = blob->digest + strlen("sha256:");
	blob->bytes = *bytes;
	*bytes = UL_BUF_INIT;
}

void image_blob_text(struct image_blob *blob, const char *fmt, ...)
{
	struct ul_buf text = UL_BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	assert_true(ul_buf_vprintf(&text, fmt, ap));
	va_end(ap);
	image_blob_init(blob, &text);
}

void image_blob_release(struct image_blob *blob)
{
	ul_buf_release(&blob->bytes);
}

const char *image_descriptor(const struct image_blob *blob, const char *type,
			     const char *more)
{
	static char texts[8][1024];
	static unsigned turn;
	char *text = texts[turn++ % 8];

	snprintf(text, sizeof texts[0],
		 "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu%s}",
		 type, blob->digest, blob->bytes.len, more);
	return text;
}

static void layer_init(struct image *image, const char *seed, size_t at)
{
	struct ul_buf tar = UL_BUF_INIT, packed = UL_BUF_INIT;
	char path[64], data[128];
	struct tar_item dir = { .path = "etc", .type = '5', .mtime = 7 };
	struct tar_item file = { .path = path, .mtime = 8, .data = data };
	struct ul_digest diff_id;

	snprintf(path, sizeof path, "etc/file-%zu", at);
	snprintf(data, sizeof data, "layer %zu of %s", at, seed);
	tar_add(&tar, &dir);
	tar_add(&tar, &file);
	tar_end(&tar);
	ul_digest_of(UL_DIGEST_SHA256, tar.data, tar.len, &diff_id);
	ul_digest_format(&diff_id, image->diff_ids[at]);
	if (!image->is_plain) {
		pack_gzip(&packed, tar.data, tar.len);
		ul_buf_release(&tar);
		tar = packed;
	}
	image_blob_init(&image->layers[at], &tar);
}

static void config_init(struct image *image, const char *seed, const char *arch)
{
	struct ul_buf text = UL_BUF_INIT;
	size_t i;

	ul_buf_printf(&text,
		      "{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":"
		      "{\"Labels\":{\"seed\":\"%s\"}},\"rootfs\":{\"type\":"
		      "\"layers\",\"diff_ids\":[",
		      arch, seed);
	for (i = 0; i < image->layer_count; i++)
		ul_buf_printf(&text, "%s\"%s\"", i ? "," : "",
			      image->diff_ids[i]);
	assert_true(ul_buf_add_str(&text, "]}}"));
	image_blob_init(&image->config, &text);
}

static void manifest_init(struct image *image)
{
	const char *type = image->is_plain ? IMAGE_LAYER : IMAGE_LAYER "+gzip";
	struct ul_buf text = UL_BUF_INIT;
	size_t i;

	ul_buf_printf(&text,
		      "{\"schemaVersion\":2,\"mediaType\":\"" IMAGE_MANIFEST
		      "\",\"config\":%s,\"layers\":[",
		      image_descriptor(&image->config, IMAGE_CONFIG, ""));
	for (i = 0; i < image->layer_count; i++)
		ul_buf_printf(&text, "%s%s", i ? "," : "",
			      image_descriptor(&image->layers[i], type, ""));
	assert_true(ul_buf_add_str(&text, "]}"));
	image_blob_init(&image->manifest, &text);
}

void image_init(struct image *image, const char *seed, const char *arch,
		size_t layer_count, bool is_plain)
{
	size_t i;

	*image = (struct image){
		.layer_count = layer_count,
		.is_plain = is_plain,
	};
	for (i = 0; i < layer_count; i++)
		layer_init(image, seed, i);
	config_init(image, seed, arch);
	manifest_init(image);
}

void image_release(struct image *image)
{
	size_t i;

	for (i = 0; i < image->layer_count; i++)
		image_blob_release(&image->layers[i]);
	image_blob_release(&image->config);
	image_blob_release(&image->manifest);
}

size_t image_blobs(const struct image *image,
		   const struct image_blob *blobs[IMAGE_LAYERS_MAX + 2])
{
	size_t i;

	for (i = 0; i < image->layer_count; i++)
		blobs[i] = &image->layers[i];
	blobs[i++] = &image->config;
	blobs[i++] = &image->manifest;
	return i;
}

void image_index(struct ul_buf *json, const struct image_blob *target,
		 const char *type, const char *annotations)
{
	char more[512] = "";

	if (annotations)
		snprintf(more, sizeof more, ",\"annotations\":{%s}",
			 annotations);
	assert_true(ul_buf_printf(json,
				  "{\"schemaVersion\":2,\"manifests\":[%s]}",
				  image_descriptor(target, type, more)));
}

void bytes_write(const char *path, const struct ul_buf *bytes)
{
	struct ul_err err = UL_ERR_INIT;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	if (ul_fd_write_all(fd, ul_buf_str(bytes), bytes->len, &err))
		fail_msg("%s", err.msg);
	close(fd);
}

void layout_add(const char *dir, const struct image_blob *blob)
{
	char path[512];

	snprintf(path, sizeof path, "%s/blobs/sha256", dir);
	assert_int_equal(ul_dir_make(path, &(struct ul_err){ 0 }), 0);
	snprintf(path, sizeof path, "%s/blobs/sha256/%s", dir, blob->hex);
	bytes_write(path, &blob->bytes);
}

void layout_write(const char *dir, const struct image *image,
		  const char *index_json)
{
	const struct image_blob *blobs[IMAGE_LAYERS_MAX + 2];
	size_t i, count = image_blobs(image, blobs);
	char path[512];

	for (i = 0; i < count; i++)
		layout_add(dir, blobs[i]);
	snprintf(path, sizeof path, "%s/oci-layout", dir);
	file_write(path, "{\"imageLayoutVersion\":\"1.0.0\"}");
	snprintf(path, sizeof path, "%s/index.json", dir);
	file_write(path, index_json);
}

void archive_add_blob(struct ul_buf *tar, const struct image_blob *blob)
{
	char path[128];
	const struct tar_item item = {
		.path = path,
		.mode = 0444,
		.data = blob->bytes.data,
		.len = blob->bytes.len,
	};

	snprintf(path, sizeof path, "blobs/sha256/%s", blob->hex);
	tar_add(tar, &item);
}

void archive_add_image(struct ul_buf *tar, const struct image *image)
{
	const struct image_blob *blobs[IMAGE_LAYERS_MAX + 2];
	size_t i, count = image_blobs(image, blobs);

	for (i = 0; i < count; i++)
		archive_add_blob(tar, blobs[i]);
}

void archive_add(struct ul_buf *tar, const char *path, const char *text)
{
	const struct tar_item item = { .path = path, .data = text };

	tar_add(tar, &item);
}

void archive_add_docker(struct ul_buf *tar, const struct image *image,
			const char *tags_json)
{
	struct ul_buf json = UL_BUF_INIT;
	char path[128];
	size_t i;

	ul_buf_printf(&json,
		      "[{\"Config\":\"%s.json\",\"RepoTags\":%s,"
		      "\"Layers\":[",
		      image->config.hex, tags_json);
	for (i = 0; i < image->layer_count; i++) {
		const struct tar_item layer = {
			.path = path,
			.data = image->layers[i].bytes.data,
			.len = image->layers[i].bytes.len,
		};

		snprintf(path, sizeof path, "id%zu/layer.tar", i);
		tar_add(tar, &layer);
		ul_buf_printf(&json, "%s\"%s\"", i ? "," : "", path);
	}
	snprintf(path, sizeof path, "%s.json", image->config.hex);
	archive_add(tar, path, ul_buf_str(&image->config.bytes));
	assert_true(ul_buf_add_str(&json, "]}]"));
	archive_add(tar, "manifest.json", ul_buf_str(&json));
	ul_buf_release(&json);
}

static void list_file(struct ul_buf *text, const char *path)
{
	struct ul_buf bytes = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	char hex[UL_DIGEST_HEX_MAX + 1];
	struct ul_digest digest;

	if (ul_file_read(AT_FDCWD, path, 1 << 26, &bytes, &err))
		fail_msg("%s", err.msg);
	ul_digest_of(UL_DIGEST_SHA256, ul_buf_str(&bytes), bytes.len, &digest);
	ul_digest_format_hex(&digest, hex);
	ul_buf_printf(text, " %s", hex);
	ul_buf_release(&bytes);
}

static void list(struct ul_buf *text, const char *path)
{
	struct ul_names names = UL_NAMES_INIT;
	struct ul_err err = UL_ERR_INIT;
	size_t i;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	if (ul_dir_names(fd, &names, &err))
		fail_msg("%s", err.msg);
	close(fd);
	for (i = 0; i < names.len; i++) {
		struct ul_buf below = UL_BUF_INIT;
		struct stat st;

		ul_buf_printf(&below, "%s/%s", path, names.names[i]);
		assert_int_equal(lstat(below.data, &st), 0);
		ul_buf_printf(text, "%s %o %lu", below.data, st.st_mode,
			      (unsigned long)st.st_ino);
		if (S_ISREG(st.st_mode)) {
			ul_buf_printf(text, " %ld", (long)st.st_size);
			list_file(text, below.data);
		}
		ul_buf_add_str(text, "\n");
		if (S_ISDIR(st.st_mode))
			list(text, below.data);
		ul_buf_release(&below);
	}
	ul_names_release(&names);
}

char *tree_listing(const char *path)
{
	struct ul_buf text = UL_BUF_INIT;
	char *detached;

	ul_buf_add_str(&text, "");
	list(&text, path);
	detached = ul_buf_detach(&text);
	assert_non_null(detached);
	return detached;
}
