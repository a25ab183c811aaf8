/*
 * store/embedded/names.h - names in the embedded store's index.
 */
#ifndef UL_STORE_EMBEDDED_NAMES_H
#define UL_STORE_EMBEDDED_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "store/oci/descriptor.h"

struct ul_embedded;
struct ul_err;

struct ul_new_name {
	struct ul_descriptor descriptor; /* of the manifest or index */
	const char *name;                /* NULL: an entry without a name */
};

/*
 * Put entries into the index, all or none, under the lock. Every blob they
 * rely on has to be in its place when this is called. An entry that is there
 * already (same name, same digest) stays as it is. No name stands twice in
 * `names`.
 * Returns: 0; UL_E_CONFLICT where a name stands for another digest and
 *          `replace` is false (its old and new digest in the message), or
 *          the index was changed meanwhile; UL_E_CORRUPT (damaged index);
 *          UL_E_IO; UL_E_NOMEM.
 */
int ul_names_put(struct ul_embedded *store, const struct ul_new_name *names,
		 size_t count, bool replace, struct ul_err *err);

/*
 * Whether ul_names_put() would take these names as the index stands now,
 * under the lock; changes nothing. Returns as that does.
 */
int ul_names_check(struct ul_embedded *store, const struct ul_new_name *names,
		   size_t count, bool replace, struct ul_err *err);

/*
 * Before ul_names_put() with `replace`, under the lock: note that it is we who
 * let go of what these names stood for, so that no grace applies to it. Scans
 * the store where a name moves, else does nothing. Returns as the scan does.
 */
int ul_names_release_moved(struct ul_embedded *store,
			   const struct ul_new_name *names, size_t count,
			   struct ul_err *err);

/* Note that an image (by digest) was used now. UL_E_DB. */
int ul_names_used(struct ul_embedded *store, const char *digest,
		  struct ul_err *err);

#endif
