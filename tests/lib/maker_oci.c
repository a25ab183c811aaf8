/*
 * Images as other programs write them into an OCI layout: blobs by digest,
 * then index.json, which is replaced as a whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/oci/json.h"
#include "tests/lib/maker.h"

#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."
#define REF_NAME "org.opencontainers.image.ref.name"

enum { LAYERS_MAX = 14, IMAGES_MAX = 12, CHILDREN_MAX = 8 };

struct image {
	struct maker_blob target;
	struct maker_blob manifests[CHILDREN_MAX]; /* with platforms */
	size_t manifest_count;
	size_t layers[LAYERS_MAX]; /* of the first manifest */
	size_t layer_count;
	struct maker_blob config;
};

struct images {
	struct maker *maker;
	struct maker_blob layers[LAYERS_MAX];
	size_t layer_count;
	struct image list[IMAGES_MAX];
	size_t count;
	json_t *entries;
};

static struct maker_blob blob_put(struct maker *maker, const void *data,
				  size_t len, const char *type)
{
	struct maker_blob blob = { .len = len, .type = type };
	struct ul_err err = UL_ERR_INIT;
	struct ul_digest digest;
	const char *path;
	int fd;

	ul_digest_of(UL_DIGEST_SHA256, data, len, &digest);
	ul_digest_format(&digest, blob.digest);
	path = maker_path(maker, "oci/blobs/sha256/%s", blob.digest + 7);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST)
		return blob;
	if (fd < 0 || ul_fd_write_all(fd, data, len, &err))
		maker_die("write %s: %m", path);
	close(fd);
	return blob;
}

static struct maker_blob json_put(struct maker *maker, json_t *json,
				  const char *type)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct maker_blob blob;

	if (ul_json_dump(json, &text, &err))
		maker_die("%s", err.msg);
	blob = blob_put(maker, text.data, text.len, type);
	json_decref(json);
	return blob;
}

static json_t *descriptor(const struct maker_blob *blob)
{
	return json_pack("{s:s, s:s, s:I}", "mediaType", blob->type, "digest",
			 blob->digest, "size", (json_int_t)blob->len);
}

static struct maker_blob random_blob(struct maker *maker, size_t len,
				     const char *type)
{
	uint64_t *data = malloc(len + 8);
	struct maker_blob blob;
	struct ul_digest digest;
	size_t i;

	if (!data)
		maker_die("no memory");
	for (i = 0; i <= len / 8; i++)
		data[i] = maker_random(maker);
	blob = blob_put(maker, data, len, type);
	ul_digest_of(UL_DIGEST_SHA256, &maker->random, 8, &digest);
	ul_digest_format(&digest, blob.diff_id);
	free(data);
	return blob;
}

static void make_layers(struct images *images)
{
	struct maker *maker = images->maker;
	size_t i;

	images->layer_count = 4 + maker_below(maker, LAYERS_MAX - 3);
	for (i = 0; i < images->layer_count; i++) {
		struct maker_blob *layer = &images->layers[i];
		size_t len =
		    maker_chance(maker, 5) ? 0 : maker_size(maker, 200000);

		*layer = random_blob(maker, len,
				     maker_chance(maker, 20)
					 ? DOCKER "image.rootfs.diff.tar.gzip"
					 : OCI "layer.v1.tar+gzip");
		/* The same layer packed another time. */
		if (i && maker_chance(maker, 15))
			strcpy(layer->diff_id,
			       images->layers[maker_below(maker, i)].diff_id);
	}
}

/* Layers of an image: often some of the last one's first. */
static void choose_layers(struct images *images, struct image *image)
{
	struct maker *maker = images->maker;
	size_t i, count = maker_below(maker, 6);

	if (images->count && maker_chance(maker, 60)) {
		const struct image *last =
		    &images->list[maker_below(maker, images->count)];

		image->layer_count = maker_below(maker, last->layer_count + 1);
		memcpy(image->layers, last->layers, sizeof image->layers);
	}
	for (i = 0; i < count && image->layer_count < LAYERS_MAX; i++)
		image->layers[image->layer_count++] =
		    maker_below(maker, images->layer_count);
}

static struct maker_blob make_config(struct images *images,
				     const struct image *image)
{
	struct maker *maker = images->maker;
	json_t *diff_ids = json_array();
	char padding[6001];
	size_t i, len = maker_below(maker, 2) ? maker_below(maker, 6000) : 5;

	for (i = 0; i < image->layer_count; i++)
		json_array_append_new(
		    diff_ids,
		    json_string(images->layers[image->layers[i]].diff_id));
	memset(padding, 'p', len);
	snprintf(padding + len, sizeof padding - len, "%s", "");
	return json_put(maker,
			json_pack("{s:s, s:s, s:{s:{s:s}}, s:{s:s, s:o}}",
				  "architecture", "amd64", "os", "linux",
				  "config", "Labels", "padding", padding,
				  "rootfs", "type", "layers", "diff_ids",
				  diff_ids),
			OCI "config.v1+json");
}

static json_t *manifest_json(struct images *images, const struct image *image,
			     const struct maker_blob *config)
{
	struct maker *maker = images->maker;
	json_t *layers = json_array();
	char number[32];
	size_t i;

	snprintf(number, sizeof number, "%llx",
		 (unsigned long long)maker_random(maker));
	for (i = 0; i < image->layer_count; i++)
		json_array_append_new(
		    layers, descriptor(&images->layers[image->layers[i]]));
	return json_pack("{s:i, s:s, s:o, s:o, s:{s:s}}", "schemaVersion", 2,
			 "mediaType", OCI "manifest.v1+json", "config",
			 descriptor(config), "layers", layers, "annotations",
			 "number", number);
}

static struct maker_blob make_manifest(struct images *images,
				       struct image *image)
{
	struct maker *maker = images->maker;

	choose_layers(images, image);
	image->config = make_config(images, image);
	if (images->count && maker_chance(maker, 20)) {
		const struct image *other =
		    &images->list[maker_below(maker, images->count)];

		/* Shared config, so the same layers. */
		memcpy(image->layers, other->layers, sizeof image->layers);
		image->layer_count = other->layer_count;
		image->config = other->config;
	}
	return json_put(maker, manifest_json(images, image, &image->config),
			OCI "manifest.v1+json");
}

/* A manifest of some artifact, or of another program's attestation. */
static struct maker_blob make_artifact(struct images *images,
				       const struct maker_blob *subject)
{
	struct maker *maker = images->maker;
	struct maker_blob config =
	    blob_put(maker, "{}", 2, "application/vnd.oci.empty.v1+json");
	struct maker_blob payload = random_blob(maker, maker_size(maker, 20000),
						"application/vnd.in-toto+json");
	json_t *manifest = json_pack(
	    "{s:i, s:s, s:s, s:o, s:[o]}", "schemaVersion", 2, "mediaType",
	    OCI "manifest.v1+json", "artifactType", "application/vnd.test",
	    "config", descriptor(&config), "layers", descriptor(&payload));

	if (subject)
		json_object_set_new(manifest, "subject", descriptor(subject));
	return json_put(maker, manifest, OCI "manifest.v1+json");
}

static void add_platform(json_t *children, const struct maker_blob *blob,
			 size_t number)
{
	static const char *const architectures[] = { "amd64", "arm64", "s390x",
						     "riscv64" };
	json_t *json = descriptor(blob);

	json_object_set_new(json, "platform",
			    json_pack("{s:s, s:s}", "architecture",
				      architectures[number % 4], "os",
				      "linux"));
	json_array_append_new(children, json);
}

static void add_attestation(struct images *images, json_t *children,
			    const struct maker_blob *subject)
{
	struct maker_blob blob = make_artifact(images, NULL);
	json_t *json = descriptor(&blob);

	json_object_set_new(json, "annotations",
			    json_pack("{s:s, s:s}", "vnd.docker.reference.type",
				      "attestation-manifest",
				      "vnd.docker.reference.digest",
				      subject->digest));
	json_object_set_new(json, "platform",
			    json_pack("{s:s, s:s}", "architecture", "unknown",
				      "os", "unknown"));
	json_array_append_new(children, json);
}

static void add_absent(struct maker *maker, json_t *children)
{
	struct maker_blob absent = { .len = 1234,
				     .type = OCI "manifest.v1+json" };
	struct ul_digest digest;
	uint64_t random = maker_random(maker);

	ul_digest_of(UL_DIGEST_SHA256, &random, sizeof random, &digest);
	ul_digest_format(&digest, absent.digest);
	add_platform(children, &absent, maker_below(maker, 4));
}

static void make_index(struct images *images, struct image *image)
{
	struct maker *maker = images->maker;
	json_t *children = json_array();
	size_t i, count = 1 + maker_below(maker, 3);

	for (i = 0; i < count; i++) {
		struct image part = { .layer_count = 0 };

		image->manifests[i] = make_manifest(images, &part);
		if (!i) {
			image->config = part.config;
			image->layer_count = part.layer_count;
			memcpy(image->layers, part.layers, sizeof part.layers);
		}
		add_platform(children, &image->manifests[i], i);
		if (maker_chance(maker, 40))
			add_attestation(images, children, &image->manifests[i]);
	}
	image->manifest_count = count;
	if (maker_chance(maker, 20))
		add_absent(maker, children);
	if (images->count && maker_chance(maker, 30))
		json_array_append_new(
		    children,
		    descriptor(&images->list[maker_below(maker, images->count)]
				    .target));
	image->target = json_put(maker,
				 json_pack("{s:i, s:s, s:o}", "schemaVersion",
					   2, "mediaType", OCI "index.v1+json",
					   "manifests", children),
				 OCI "index.v1+json");
}

static void add_entry(struct images *images, const struct maker_blob *blob,
		      const char *name)
{
	json_t *json = descriptor(blob);

	if (name)
		json_object_set_new(json, "annotations",
				    json_pack("{s:s}", REF_NAME, name));
	json_array_append_new(images->entries, json);
}

static void name_image(struct images *images, const struct maker_blob *target)
{
	struct maker *maker = images->maker;
	size_t count = 1 + maker_below(maker, 10) / 4;
	char name[64];

	if (maker_chance(maker, 20))
		add_entry(images, target, NULL);
	if (maker_chance(maker, 12))
		return;
	for (; count; count--) {
		snprintf(name, sizeof name, "app%zu:%u", maker_below(maker, 4),
			 maker->counter++);
		add_entry(images, target, name);
	}
}

/* A manifest of the image: the whole, or one of a platform. */
static const struct maker_blob *part_of(struct maker *maker,
					const struct image *image)
{
	if (!image->manifest_count || maker_chance(maker, 50))
		return &image->target;
	return &image->manifests[maker_below(maker, image->manifest_count)];
}

static void add_referrers(struct images *images, const struct image *image)
{
	static const char *const kinds[] = { "sig", "att", "sbom" };
	struct maker *maker = images->maker;
	const struct maker_blob *subject = part_of(maker, image);
	struct maker_blob blob;
	char name[160];

	if (maker_chance(maker, 25)) {
		blob = make_artifact(images, subject);
		if (maker_chance(maker, 30))
			make_artifact(images, &blob); /* of a referrer */
		if (maker_chance(maker, 40))
			name_image(images, &blob);
	}
	if (!maker_chance(maker, 25))
		return;
	blob = make_artifact(images, maker_chance(maker, 30) ? subject : NULL);
	snprintf(name, sizeof name, "%ssha256-%s.%s",
		 maker_chance(maker, 50) ? "app1:" : "", subject->digest + 7,
		 kinds[maker_below(maker, 3)]);
	add_entry(images, &blob, name);
	if (maker_chance(maker, 10)) {
		snprintf(name, sizeof name, "kept:%u", maker->counter++);
		add_entry(images, &blob, name);
	}
}

static void make_image(struct images *images)
{
	struct maker *maker = images->maker;
	struct image image = { .layer_count = 0 };

	if (maker_chance(maker, 35))
		make_index(images, &image);
	else
		image.target = make_manifest(images, &image);
	name_image(images, &image.target);
	add_referrers(images, &image);
	images->list[images->count++] = image;
}

static void write_index(struct maker *maker, json_t *entries)
{
	json_t *json =
	    json_pack("{s:i, s:O}", "schemaVersion", 2, "manifests", entries);
	const char *path = maker_path(maker, "oci/index.json");

	if (!json || json_dump_file(json, path, JSON_COMPACT))
		maker_die("write %s", path);
	json_decref(json);
}

json_t *maker_entries(const struct maker *maker)
{
	json_t *json =
	    json_load_file(maker_path(maker, "oci/index.json"), 0, NULL);
	json_t *entries = json_incref(json_object_get(json, "manifests"));

	json_decref(json);
	if (!entries)
		maker_die("no index.json");
	return entries;
}

void maker_images(struct maker *maker)
{
	struct images images = { .maker = maker, .entries = json_array() };
	size_t i, count = 3 + maker_below(maker, IMAGES_MAX - 2);

	make_layers(&images);
	for (i = 0; i < count; i++)
		make_image(&images);
	write_index(maker, images.entries);
	json_decref(images.entries);
}

/* Another program's doing: a name out, one put back that was out before. */
void maker_edit_index(struct maker *maker)
{
	const char *kept = maker_path(maker, "../removed-entry");
	json_t *entries = maker_entries(maker);
	json_t *back = json_load_file(kept, 0, NULL), *out;
	size_t at;

	if (json_array_size(entries) > 2) {
		at = maker_below(maker, json_array_size(entries));
		out = json_array_get(entries, at);
		if (json_dump_file(out, kept, JSON_COMPACT))
			maker_die("write %s", kept);
		json_array_remove(entries, at);
	}
	if (back)
		json_array_append(entries, back);
	json_decref(back);
	write_index(maker, entries);
	json_decref(entries);
}

static void lose_blob(struct maker *maker)
{
	struct maker_paths blobs = { .paths = NULL };

	maker_list(maker, "oci/blobs/sha256", &blobs, NULL);
	if (blobs.len && unlink(blobs.paths[maker_below(maker, blobs.len)]))
		maker_die("unlink: %m");
	maker_paths_release(&blobs);
}

void maker_stray_blobs(struct maker *maker)
{
	struct images images = { .maker = maker, .entries = NULL };
	struct image image = { .layer_count = 0 };
	size_t count = maker_below(maker, 4);

	for (; count; count--)
		random_blob(maker, maker_size(maker, 100000), "");
	if (maker_chance(maker, 40)) {
		make_layers(&images);
		make_manifest(&images, &image);
	}
	if (maker_chance(maker, 20))
		lose_blob(maker);
}
