#include "store/transfer/export_docs.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/oci/config.h"
#include "store/oci/json.h"
#include "store/oci/layout.h"
#include "store/oci/reference.h"
#include "store/transfer/import_walk.h"
#include "store/transfer/ingest.h"
#include "store/transfer/source.h"

/* The tag of a whole reference, or NULL. */
static const char *tag_of(const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *colon = strchr(slash ? slash : name, ':');

	if (!ul_reference_is_valid(name) || strchr(name, '@') || !colon)
		return NULL;
	return colon + 1;
}

/* Whether two images have the same tag: skopeo finds one by ref.name. */
static bool has_same_tags(const struct ul_export_entry *entries, size_t count)
{
	ul_cleanup(ul_map_release) struct ul_map seen = UL_MAP_INIT;
	bool is_added = true;
	size_t i;

	for (i = 0; is_added && i < count; i++) {
		const char *tag =
		    entries[i].name ? tag_of(entries[i].name) : NULL;

		/* Without memory: whole names are right as well. */
		if (tag && !ul_map_put(&seen, tag, strlen(tag), 0, &is_added))
			return true;
	}
	return !is_added;
}

static const char *ref_name_of(const char *name, bool is_whole)
{
	const char *tag = is_whole ? NULL : tag_of(name);

	return tag ? tag : name;
}

static bool is_name_key(const char *key)
{
	return !strcmp(key, UL_ANNOTATION_REF_NAME) ||
	       !strcmp(key, UL_ANNOTATION_IMAGE_NAME);
}

static int index_add(struct ul_layout_index *index,
		     const struct ul_export_entry *entry, bool is_whole,
		     struct ul_err *err)
{
	struct ul_descriptor descriptor = *entry->descriptor;
	ul_cleanup(ul_freep) struct ul_annotation *kept =
	    ul_calloc(descriptor.annotation_count + 2, sizeof *kept);
	const char *name = entry->name;
	size_t i, len = 0;

	if (!kept)
		return ul_err_nomem(err);
	for (i = 0; i < descriptor.annotation_count; i++) {
		if (!is_name_key(descriptor.annotations[i].key))
			kept[len++] = descriptor.annotations[i];
	}
	if (name && ul_reference_is_valid(name))
		kept[len++] =
		    (struct ul_annotation){ UL_ANNOTATION_IMAGE_NAME, name };
	if (name)
		kept[len++] = (struct ul_annotation){
			UL_ANNOTATION_REF_NAME,
			ref_name_of(name, is_whole),
		};
	descriptor.annotations = kept;
	descriptor.annotation_count = len;
	return ul_layout_index_add(index, &descriptor, NULL, err);
}

int ul_export_index(const struct ul_export_entry *entries, size_t count,
		    struct ul_buf *ret_json, struct ul_err *err)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index =
	    ul_layout_index_new();
	bool is_whole = has_same_tags(entries, count);
	size_t i;
	int rc = 0;

	if (!index)
		return ul_err_nomem(err);
	for (i = 0; !rc && i < count; i++)
		rc = index_add(index, &entries[i], is_whole, err);
	return rc ? rc : ul_layout_index_dump(index, ret_json, err);
}

static const char *host_architecture(void)
{
	static struct utsname host;
	static const char *const names[][2] = {
		{ "x86_64", "amd64" },    { "aarch64", "arm64" },
		{ "armv7l", "arm" },      { "i686", "386" },
		{ "ppc64le", "ppc64le" }, { "riscv64", "riscv64" },
		{ "s390x", "s390x" },
	};
	size_t i;

	if (uname(&host))
		return "";
	for (i = 0; i < ul_array_len(names); i++) {
		if (!strcmp(host.machine, names[i][0]))
			return names[i][1];
	}
	return host.machine;
}

/* The manifest that an old Docker would load. */
struct choice {
	const struct ul_import_walk *walk;
	const struct ul_manifest *manifest;
	size_t count; /* of platforms seen */
	bool is_host;
};

static bool is_layer(const struct ul_manifest_ref *ref)
{
	return !strncmp(ref->reason, "layer ", 6);
}

/* Has a config of an image, and all its layers here. */
static bool is_loadable(const struct choice *choice,
			const struct ul_manifest *manifest)
{
	const struct ul_import_node *node;
	size_t i;

	if (!manifest->config ||
	    ul_media_of(manifest->config->descriptor.media_type) !=
		UL_MEDIA_CONFIG)
		return false;
	for (i = 0; i < manifest->ref_count; i++) {
		const struct ul_descriptor *layer =
		    &manifest->refs[i].descriptor;

		if (!is_layer(&manifest->refs[i]))
			continue;
		node = ul_import_walk_find(choice->walk, &layer->digest);
		if (ul_media_of(layer->media_type) != UL_MEDIA_LAYER || !node ||
		    !node->held)
			return false;
	}
	return true;
}

static int is_for_host(const struct choice *choice,
		       const struct ul_manifest *manifest, bool *ret,
		       struct ul_err *err)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	const struct ul_import_node *node = ul_import_walk_find(
	    choice->walk, &manifest->config->descriptor.digest);
	struct ul_image_config config;
	int rc = ul_ingest_blob_read(choice->walk->source->ingest, node->held,
				     &text, err);

	if (!rc)
		rc = ul_image_config_parse(ul_buf_str(&text), text.len, &arena,
					   &config, err);
	if (rc)
		return rc;
	*ret = config.platform.os && !strcmp(config.platform.os, "linux") &&
	       config.platform.architecture &&
	       !strcmp(config.platform.architecture, host_architecture());
	return 0;
}

static int choose(struct choice *choice, const struct ul_digest *digest,
		  unsigned depth, struct ul_err *err)
{
	const struct ul_import_node *node =
	    ul_import_walk_find(choice->walk, digest);
	const struct ul_manifest *manifest = node ? node->manifest : NULL;
	bool is_host = false;
	size_t i;
	int rc = 0;

	if (!manifest || !node->held || depth > UL_INDEX_MAX_NESTING)
		return 0;
	for (i = 0; !rc && manifest->media == UL_MEDIA_INDEX &&
		    i < manifest->ref_count;
	     i++) {
		if (!manifest->refs[i].is_subject)
			rc =
			    choose(choice, &manifest->refs[i].descriptor.digest,
				   depth + 1, err);
	}
	if (rc || manifest->media == UL_MEDIA_INDEX ||
	    !is_loadable(choice, manifest))
		return rc;
	rc = is_for_host(choice, manifest, &is_host, err);
	choice->count++;
	if (!rc && (!choice->manifest || (is_host && !choice->is_host))) {
		choice->manifest = manifest;
		choice->is_host = is_host;
	}
	return rc;
}

static json_t *blob_path(const struct ul_digest *digest)
{
	char path[UL_DIGEST_TEXT_MAX];

	ul_digest_format_path(digest, path);
	return json_sprintf("blobs/%s", path);
}

static json_t *image_json(const struct ul_manifest *manifest, const char *name)
{
	json_t *json = json_object(), *layers = json_array();
	json_t *tags = json_array();
	char familiar[UL_NAME_MAX_BYTES];
	bool ok = true;
	size_t i;

	if (name && tag_of(name)) {
		ul_reference_familiar(name, familiar);
		ok = !json_array_append_new(tags, json_string(familiar));
	}
	for (i = 0; i < manifest->ref_count; i++) {
		if (is_layer(&manifest->refs[i]))
			ok = !json_array_append_new(
				 layers,
				 blob_path(
				     &manifest->refs[i].descriptor.digest)) &&
			     ok;
	}
	ok = !json_object_set_new(
		 json, "Config",
		 blob_path(&manifest->config->descriptor.digest)) &&
	     ok;
	ok = !json_object_set_new(json, "RepoTags", tags) && ok;
	ok = !json_object_set_new(json, "Layers", layers) && ok;
	if (ok)
		return json;
	json_decref(json);
	return NULL;
}

static int image_add(const struct ul_import_walk *walk,
		     const struct ul_export_entry *entry, json_t *array,
		     struct ul_err *err)
{
	struct choice choice = { .walk = walk };
	int rc = choose(&choice, &entry->descriptor->digest, 0, err);

	if (rc || !choice.manifest || (choice.count > 1 && !choice.is_host))
		return rc;
	if (json_array_append_new(array,
				  image_json(choice.manifest, entry->name)))
		return ul_err_nomem(err);
	return 0;
}

int ul_export_docker_manifest(const struct ul_import_walk *walk,
			      const struct ul_export_entry *entries,
			      size_t count, struct ul_buf *ret_json,
			      struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *array = json_array();
	size_t i;
	int rc = 0;

	if (!array)
		return ul_err_nomem(err);
	for (i = 0; !rc && i < count; i++)
		rc = image_add(walk, &entries[i], array, err);
	if (rc || !json_array_size(array))
		return rc;
	return ul_json_dump(array, ret_json, err);
}
