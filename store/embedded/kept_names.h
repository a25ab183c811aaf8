/*
 * store/embedded/kept_names.h - the names that a run removes, kept for undo.
 *
 * A folder of the trash holds names and the paths of all that they refer to:
 * they come back only to content that is all there. Names that refer to more
 * than one record can say again are spread over several folders, each of which
 * speaks for itself. Internal to the folder; under the lock.
 */
#ifndef UL_STORE_EMBEDDED_KEPT_NAMES_H
#define UL_STORE_EMBEDDED_KEPT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fs.h"

struct ul_embedded;
struct ul_err;
struct ul_sweep_request;
struct ul_view;

struct ul_kept_names {
	struct ul_names entries; /* of the index, as JSON */
	uint32_t *objects;       /* owned: of the view, one for each entry */
	size_t object_cap;
	struct ul_names folders; /* of the trash, made for them */
};
#define UL_KEPT_NAMES_INIT ((struct ul_kept_names){ .objects = NULL })

/* An entry and its object of kind image. False without memory. */
bool ul_kept_names_add(struct ul_kept_names *kept, const char *entry_json,
		       uint32_t object);
void ul_kept_names_release(struct ul_kept_names *kept);

/*
 * Make the trash folders of a run, with the index entries that it is about to
 * remove, durably: whatever stops the run, undo finds them. The sweep of this
 * run goes on in the last of them.
 * Returns: 0; UL_E_LIMIT (one name that refers to more than undo can keep in
 *          mind), UL_E_IO, UL_E_NOMEM, all with no folder made.
 */
int ul_sweep_keep_names(struct ul_embedded *store,
			const struct ul_sweep_request *request,
			const struct ul_view *view, struct ul_kept_names *kept,
			struct ul_err *err);

/* The names stay after all: the folders go. Best effort; one that is left
 * has names to bring back that are there. */
void ul_sweep_forget_names(struct ul_embedded *store,
			   struct ul_kept_names *kept);

#endif
