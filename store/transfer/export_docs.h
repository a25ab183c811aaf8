/* store/transfer/export_docs.h - the documents of an image archive. Internal
 * to the folder. */
#ifndef UL_STORE_TRANSFER_EXPORT_DOCS_H
#define UL_STORE_TRANSFER_EXPORT_DOCS_H

#include <stddef.h>

struct ul_buf;
struct ul_descriptor;
struct ul_err;
struct ul_import_walk;

/* An image in the archive. */
struct ul_export_entry {
	const struct ul_descriptor *descriptor;
	const char *name; /* NULL: nameless */
};

/*
 * index.json: io.containerd.image.name, and ref.name as Docker writes it, the
 * tag alone; whole names where two images have one tag. UL_E_NOMEM,
 * UL_E_INVALID.
 */
int ul_export_index(const struct ul_export_entry *entries, size_t count,
		    struct ul_buf *ret_json, struct ul_err *err);

/*
 * manifest.json: for each image its one platform, or this machine's. Nothing
 * is appended where no image has such a one. UL_E_NOMEM.
 */
int ul_export_docker_manifest(const struct ul_import_walk *walk,
			      const struct ul_export_entry *entries,
			      size_t count, struct ul_buf *ret_json,
			      struct ul_err *err);

#endif
