/*
 * store/transfer/docker_archive.h - manifest.json of `docker save` archives,
 * and manifests for those archives that have nothing else.
 *
 * The file is a list of images: Config and Layers are paths in the archive,
 * RepoTags names (moby, image/tarexport). An archive of the new form is an OCI
 * layout as well and its index counts; the old form has no manifests.
 */
#ifndef UL_STORE_TRANSFER_DOCKER_ARCHIVE_H
#define UL_STORE_TRANSFER_DOCKER_ARCHIVE_H

#include <stddef.h>

#include "store/oci/descriptor.h"

struct ul_arena;
struct ul_buf;
struct ul_err;
struct ul_source;

struct ul_docker_image {
	const char *config;
	struct ul_digest
	    config_digest; /* as its path says; NONE: it does not */
	const char **tags;
	size_t tag_count;
	const char **layers;
	size_t layer_count;
};

/*
 * Parse manifest.json.
 * Owner:   all of *ret is in the arena.
 * Returns: 0; UL_E_CORRUPT; UL_E_LIMIT (UL_IMAGE_MAX_LAYERS); UL_E_NOMEM.
 */
int ul_docker_archive_parse(const struct ul_buf *json, struct ul_arena *arena,
			    struct ul_docker_image **ret, size_t *ret_count,
			    struct ul_err *err);

/*
 * Make the manifest of an old image, always the same one for the same config
 * and layers, and put it into the ingest. Layers are checked against the
 * config's diff IDs.
 * Returns: 0 with *ret_descriptor (text in the arena); UL_E_CORRUPT (a path
 *          that leads to nothing, a config that is none, other layers than it
 *          says); UL_E_LIMIT; UL_E_IO; UL_E_NOMEM.
 */
int ul_docker_archive_manifest(const struct ul_source *source,
			       const struct ul_docker_image *image,
			       struct ul_descriptor *ret_descriptor,
			       struct ul_err *err);

#endif
