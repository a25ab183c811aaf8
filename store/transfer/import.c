#include "store/transfer/import.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/embedded/names.h"
#include "store/embedded/store.h"
#include "store/limits.h"
#include "store/oci/json.h"
#include "store/oci/layout.h"
#include "store/oci/manifest.h"
#include "store/transfer/docker_archive.h"
#include "store/transfer/import_names.h"
#include "store/transfer/import_walk.h"
#include "store/transfer/ingest.h"
#include "store/transfer/source.h"

/* An image of the source, before it is known what it will be called. */
struct image {
	struct ul_descriptor descriptor;
	const char *containerd_name; /* NULL where the entry has none */
	const char *ref_name;
	const struct ul_docker_image *docker; /* NULL: manifest.json has none */
	struct ul_import_share share;
};

struct import {
	struct ul_embedded *store;
	const struct ul_import_options *options;
	char file[UL_NAME_MAX_BYTES]; /* FILE; "" where there is none */
	struct ul_ingest ingest;
	struct ul_source source;
	struct ul_import_walk walk;
	struct ul_layout_index *index; /* of a source that has one */
	struct ul_docker_image *docker;
	size_t docker_count;
	struct image *images; /* in the arena */
	size_t image_count;
	size_t nameless_count;
	struct ul_new_name *names; /* owned */
	size_t *name_images;       /* owned: the image of each name */
	size_t name_count, name_cap, name_image_cap;
	struct ul_map by_name;  /* into names */
	struct ul_map has_name; /* digests of images that bring a name */
	struct ul_arena arena;
};

static void import_release(struct import *import)
{
	ul_import_walk_release(&import->walk);
	ul_source_release(&import->source);
	ul_ingest_release(&import->ingest);
	ul_layout_index_free(import->index);
	ul_map_release(&import->by_name);
	ul_map_release(&import->has_name);
	free(import->names);
	free(import->name_images);
	ul_arena_release(&import->arena);
}

void ul_import_report_release(struct ul_import_report *report)
{
	ul_arena_release(&report->arena);
	*report = UL_IMPORT_REPORT_INIT;
}

static int images_alloc(struct import *import, size_t count, struct ul_err *err)
{
	if (!count)
		return ul_err_set(err, UL_E_CORRUPT, "holds no image");
	import->images =
	    ul_arena_alloc(&import->arena, count * sizeof *import->images);
	if (!import->images)
		return ul_err_nomem(err);
	import->image_count = count;
	return 0;
}

static const char *not_empty(const char *text)
{
	return text && *text ? text : NULL;
}

static int images_of_index(struct import *import, struct ul_err *err)
{
	size_t i;
	int rc = ul_layout_index_parse(ul_buf_str(&import->source.index),
				       import->source.index.len, &import->index,
				       err);

	if (rc)
		return ul_err_wrap(err, "index.json");
	rc = images_alloc(import, ul_layout_index_count(import->index), err);
	for (i = 0; !rc && i < import->image_count; i++) {
		struct image *image = &import->images[i];

		image->descriptor =
		    ul_layout_index_entry(import->index, i)->descriptor;
		image->containerd_name = not_empty(ul_descriptor_annotation(
		    &image->descriptor, UL_ANNOTATION_IMAGE_NAME));
		image->ref_name = not_empty(ul_descriptor_annotation(
		    &image->descriptor, UL_ANNOTATION_REF_NAME));
	}
	return rc;
}

/* The old form: its manifests have to be made. */
static int images_of_docker(struct import *import, struct ul_err *err)
{
	size_t i;
	int rc = images_alloc(import, import->docker_count, err);

	for (i = 0; !rc && i < import->image_count; i++) {
		import->images[i].docker = &import->docker[i];
		rc = ul_docker_archive_manifest(
		    &import->source, &import->docker[i],
		    &import->images[i].descriptor, err);
		if (rc)
			return ul_err_wrap(err, "image %zu", i);
	}
	return rc;
}

/* Beside an index it only helps with names, and may be anything. */
static int docker_find(struct import *import, struct ul_err *err)
{
	int rc = ul_docker_archive_parse(&import->source.manifest,
					 &import->arena, &import->docker,
					 &import->docker_count, err);

	if (!rc || rc == UL_E_NOMEM || !import->source.has_index)
		return rc;
	*err = UL_ERR_INIT;
	return ul_import_walk_note(
	    &import->walk, err,
	    "manifest.json is not docker save's, so no names are taken from "
	    "it");
}

static int images_find(struct import *import, struct ul_err *err)
{
	int rc = import->source.has_manifest ? docker_find(import, err) : 0;

	if (rc)
		return rc;
	return import->source.has_index ? images_of_index(import, err)
					: images_of_docker(import, err);
}

static int images_walk(struct import *import, struct ul_err *err)
{
	ul_cleanup(ul_freep) struct ul_import_share *shares =
	    ul_calloc(import->image_count, sizeof *shares);
	size_t i;
	int rc = 0;

	if (!shares)
		return ul_err_nomem(err);
	for (i = 0; !rc && i < import->image_count; i++)
		rc = ul_import_walk_root(&import->walk,
					 &import->images[i].descriptor,
					 (uint32_t)i, &shares[i], err);
	if (!rc)
		rc = ul_import_walk_referrers(&import->walk, shares, err);
	for (i = 0; !rc && i < import->image_count; i++)
		import->images[i].share = shares[i];
	return rc;
}

/* Whether a manifest, or one of an index's, has the config. */
static bool has_config(const struct import *import,
		       const struct ul_digest *target,
		       const struct ul_digest *config, unsigned depth)
{
	const struct ul_import_node *node =
	    ul_import_walk_find(&import->walk, target);
	const struct ul_manifest *manifest = node ? node->manifest : NULL;
	size_t i;

	if (!manifest)
		return false;
	if (manifest->media == UL_MEDIA_MANIFEST)
		return manifest->config &&
		       ul_digest_equal(&manifest->config->descriptor.digest,
				       config);
	for (i = 0; depth && i < manifest->ref_count; i++) {
		if (!manifest->refs[i].is_subject &&
		    has_config(import, &manifest->refs[i].descriptor.digest,
			       config, depth - 1))
			return true;
	}
	return false;
}

/* Entries that do not say their name may have it in manifest.json. */
static void image_find_docker(const struct import *import, struct image *image)
{
	size_t i;

	for (i = 0; !image->docker && i < import->docker_count; i++) {
		const struct ul_docker_image *docker = &import->docker[i];

		if (docker->tag_count &&
		    has_config(import, &image->descriptor.digest,
			       &docker->config_digest, 2))
			image->docker = docker;
	}
}

/* 1 there already, with the same digest; 0 new. */
static int name_is_taken(const struct import *import, const char *name,
			 const struct ul_digest *digest, struct ul_err *err)
{
	uint32_t at = ul_map_get_str(&import->by_name, name);
	char shown[UL_JSON_SHOWN_MAX];

	if (at == UL_MAP_NONE)
		return 0;
	if (ul_digest_equal(&import->names[at].descriptor.digest, digest))
		return 1;
	return ul_err_set(err, UL_E_CORRUPT, "two images are called '%s'",
			  ul_json_show(name, shown));
}

static int name_add(struct import *import, size_t image, const char *name,
		    struct ul_err *err)
{
	const struct ul_descriptor *descriptor =
	    &import->images[image].descriptor;
	size_t count = import->name_count;
	struct ul_new_name *names;
	size_t *images;
	int rc = name_is_taken(import, name, &descriptor->digest, err);

	if (rc)
		return rc < 0 ? rc : 0;
	names =
	    ul_grow(import->names, &import->name_cap, count + 1, sizeof *names);
	if (!names)
		return ul_err_nomem(err);
	import->names = names;
	images = ul_grow(import->name_images, &import->name_image_cap,
			 count + 1, sizeof *images);
	if (!images)
		return ul_err_nomem(err);
	import->name_images = images;
	names[count] = (struct ul_new_name){
		.descriptor = *descriptor,
		.name = ul_arena_strdup(&import->arena, name),
	};
	images[count] = image;
	if (!names[count].name ||
	    !ul_map_set(&import->by_name, names[count].name,
			strlen(names[count].name), (uint32_t)count))
		return ul_err_nomem(err);
	import->name_count++;
	return 0;
}

static bool brings_name(const struct image *image)
{
	return image->containerd_name || image->ref_name ||
	       (image->docker && image->docker->tag_count);
}

static bool has_named_twin(const struct import *import, size_t at)
{
	const struct ul_digest *digest = &import->images[at].descriptor.digest;

	return !brings_name(&import->images[at]) &&
	       ul_map_get(&import->has_name, digest, sizeof *digest) !=
		   UL_MAP_NONE;
}

static int name_tags(struct import *import, size_t at, struct ul_err *err)
{
	const struct ul_docker_image *docker = import->images[at].docker;
	char whole[UL_NAME_MAX_BYTES];
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < docker->tag_count; i++) {
		rc = ul_import_name_whole(docker->tags[i], whole, err);
		if (!rc)
			rc = name_add(import, at, whole, err);
	}
	return rc;
}

static int name_nameless(struct import *import, size_t at, struct ul_err *err)
{
	const char *given = import->options->name;
	char whole[UL_NAME_MAX_BYTES];
	int rc;

	/* Its subject keeps it. A name, or an entry without one, would make
	 * it a root that keeps its subject. */
	if (has_named_twin(import, at) ||
	    ul_import_walk_is_referrer(&import->walk,
				       &import->images[at].descriptor.digest))
		return 0;
	rc = ul_import_name_nth(given ? given : import->file,
				++import->nameless_count, whole, err);
	return rc ? rc : name_add(import, at, whole, err);
}

static int name_image(struct import *import, size_t at, struct ul_err *err)
{
	struct image *image = &import->images[at];
	char whole[UL_NAME_MAX_BYTES];
	int rc;

	if (image->containerd_name) {
		rc = ul_import_name_whole(image->containerd_name, whole, err);
		return rc ? rc : name_add(import, at, whole, err);
	}
	if (image->docker && image->docker->tag_count)
		return name_tags(import, at, err);
	if (!image->ref_name ||
	    (!*import->file && !strpbrk(image->ref_name, "/:@")))
		return name_nameless(import, at, err);
	rc = ul_import_name_ref(import->file, image->ref_name, whole, err);
	return rc ? rc : name_add(import, at, whole, err);
}

static int images_name(struct import *import, struct ul_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < import->image_count; i++) {
		struct image *image = &import->images[i];

		if (!image->containerd_name)
			image_find_docker(import, image);
		if (brings_name(image) &&
		    !ul_map_set(&import->has_name, &image->descriptor.digest,
				sizeof image->descriptor.digest, 0))
			return ul_err_nomem(err);
	}
	for (i = 0; !rc && i < import->image_count; i++)
		rc = name_image(import, i, err);
	if (!rc && import->options->name && !import->nameless_count)
		rc = ul_import_walk_note(
		    &import->walk, err,
		    "--name was not used: every image has a name");
	return rc;
}

static int used_now(struct import *import, struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	char digest[UL_DIGEST_TEXT_MAX];
	size_t i;
	int rc = ul_db_begin(import->store->db, &tx, err);

	for (i = 0; !rc && i < import->name_count; i++) {
		ul_digest_format(&import->names[i].descriptor.digest, digest);
		rc = ul_names_used(import->store, digest, err);
	}
	return rc ? rc : ul_db_commit(&tx, err);
}

static int put_in_place(struct import *import, struct ul_err *err)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *locked = NULL;
	bool is_replacing = import->options->is_replacing;
	int rc = ul_embedded_lock(import->store, err);

	if (rc)
		return rc;
	locked = import->store;
	/* Before anything is placed, so that a refusal changes nothing. */
	rc = ul_names_check(import->store, import->names, import->name_count,
			    is_replacing, err);
	if (!rc)
		rc = ul_ingest_settle(&import->ingest, err);
	if (!rc && is_replacing)
		rc = ul_names_release_moved(import->store, import->names,
					    import->name_count, err);
	/* The index is last: what fails before it leaves nothing to be seen. */
	if (!rc)
		rc = used_now(import, err);
	return rc ? rc
		  : ul_names_put(import->store, import->names,
				 import->name_count, is_replacing, err);
}

static int report_notes(const struct import *import,
			struct ul_import_report *report, struct ul_err *err)
{
	size_t i, count = import->walk.note_count;

	report->notes =
	    ul_arena_alloc(&report->arena, (count + 1) * sizeof(char *));
	if (!report->notes)
		return ul_err_nomem(err);
	for (i = 0; i < count; i++) {
		report->notes[i] =
		    ul_arena_strdup(&report->arena, import->walk.notes[i]);
		if (!report->notes[i])
			return ul_err_nomem(err);
	}
	report->note_count = count;
	return 0;
}

/* Second names of an image bring nothing new; they stand side by side. */
static void report_share(const struct import *import, size_t at,
			 struct ul_imported *imported)
{
	const struct ul_import_share *share =
	    &import->images[import->name_images[at]].share;

	imported->reused_blobs = share->reused_blobs + share->shared_blobs;
	if (at && import->name_images[at - 1] == import->name_images[at]) {
		imported->reused_blobs += share->new_blobs;
		return;
	}
	imported->new_blobs = share->new_blobs;
	imported->written_bytes = share->written_bytes;
}

static int report_make(const struct import *import,
		       struct ul_import_report *report, struct ul_err *err)
{
	size_t i;

	report->images = ul_arena_alloc(
	    &report->arena, (import->name_count + 1) * sizeof *report->images);
	if (!report->images)
		return ul_err_nomem(err);
	for (i = 0; i < import->name_count; i++) {
		struct ul_imported *imported = &report->images[i];

		imported->digest = import->names[i].descriptor.digest;
		imported->name =
		    ul_arena_strdup(&report->arena, import->names[i].name);
		if (!imported->name)
			return ul_err_nomem(err);
		report_share(import, i, imported);
	}
	report->image_count = import->name_count;
	return report_notes(import, report, err);
}

static int import_run(struct import *import, struct ul_import_report *report,
		      struct ul_err *err)
{
	const struct ul_import_options *options = import->options;
	int rc = ul_ingest_open(import->store, options->is_verifying,
				&import->ingest, err);

	if (rc)
		return rc;
	import->source.ingest = &import->ingest;
	import->source.progress = options->progress;
	import->source.arg = options->arg;
	import->walk.source = &import->source;
	ul_import_file_name(options->path, import->file);
	rc = ul_source_open(&import->source, options->path, err);
	if (!rc)
		rc = images_find(import, err);
	if (!rc)
		rc = images_walk(import, err);
	if (!rc)
		rc = images_name(import, err);
	if (!rc)
		rc = report_make(import, report, err);
	if (!rc)
		rc = ul_ingest_sync(&import->ingest, err);
	return rc ? rc : put_in_place(import, err);
}

int ul_import(struct ul_embedded *store,
	      const struct ul_import_options *options,
	      struct ul_import_report *ret_report, struct ul_err *err)
{
	ul_cleanup(import_release) struct import import = {
		.store = store,
		.options = options,
		.ingest = UL_INGEST_INIT,
		.source = UL_SOURCE_INIT,
		.walk = UL_IMPORT_WALK_INIT,
		.arena = UL_ARENA_INIT,
	};
	ul_cleanup(ul_import_report_release) struct ul_import_report report =
	    UL_IMPORT_REPORT_INIT;
	bool is_stream = !strcmp(options->path, "-");
	int rc = import_run(&import, &report, err);

	if (rc)
		return ul_err_wrap(
		    err, "%s", is_stream ? "standard input" : options->path);
	*ret_report = report;
	report = UL_IMPORT_REPORT_INIT;
	return 0;
}
