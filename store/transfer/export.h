/*
 * store/transfer/export.h - images as an OCI archive.
 *
 * oci-layout, index.json and blobs, and a manifest.json for Docker before 25:
 * what `docker load`, skopeo and podman read. The same images give the same
 * bytes: entries are sorted, times are 0. Digests stay what they are.
 */
#ifndef UL_STORE_TRANSFER_EXPORT_H
#define UL_STORE_TRANSFER_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct ul_embedded;
struct ul_err;

struct ul_export_image {
	struct ul_digest digest;
	const char *name; /* as it stands in the index; NULL: nameless */
};

struct ul_export_options {
	const struct ul_export_image *images;
	size_t image_count;
	/* Called now and then; may be NULL. False stops: UL_E_CANCELED. */
	bool (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

struct ul_export_result {
	size_t blob_count;
	uint64_t written_bytes; /* of the archive */
	size_t absent_count;    /* platforms that are not here: left out */
};

/*
 * Write an archive to an open file or pipe. Every blob is hashed on its way.
 * Returns: 0; UL_E_ABSENT (no such image); UL_E_CORRUPT (a blob is missing or
 *          damaged); UL_E_CONFLICT (one was collected meanwhile); UL_E_IO;
 *          UL_E_NOMEM; UL_E_CANCELED. On failure what was written so far is
 *          of no use.
 */
int ul_export(struct ul_embedded *store,
	      const struct ul_export_options *options, int fd,
	      struct ul_export_result *ret, struct ul_err *err);

/*
 * The same into a file: durable, and a file of that name stays as it was
 * until the new one is whole. Devices and pipes are written to as they are.
 */
int ul_export_file(struct ul_embedded *store,
		   const struct ul_export_options *options, const char *path,
		   struct ul_export_result *ret, struct ul_err *err);

#endif
