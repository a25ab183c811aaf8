/*
 * cli/resolve.h - from what people type to an object of a view.
 *
 * Understood, in this order: an image's name (as it stands, in its whole or
 * its familiar form; a name that is remembered though it vanished gives its
 * manifest's blob); a whole digest; a snapshot's key; a lease's id; any unique
 * beginning of a digest ("sha256:ab12", bare hex of at least four digits); a
 * path, absolute, relative to the store ("oci/blobs/sha256/ab..",
 * "snapshots/NAME") or to the working directory, or anything below those.
 */
#ifndef UL_CLI_RESOLVE_H
#define UL_CLI_RESOLVE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "store/graph/graph.h"

struct ul_err;
struct ul_view;

/* What may be meant; or them together. */
enum ul_resolve_what {
	UL_RESOLVE_IMAGE = 1, /* objects of kind image, by name or digest */
	UL_RESOLVE_BLOB = 2,
	UL_RESOLVE_SNAPSHOT = 4,
	UL_RESOLVE_LEASE = 8,
	UL_RESOLVE_FILE = 16, /* whatever a path leads to */
	UL_RESOLVE_ANY = 31,
};

/*
 * A digest means a blob or a snapshot where one may be meant, else an image
 * by its own digest, that of a platform's manifest or of a config.
 * Returns: 0 with *ret_object; UL_E_ABSENT ("no image "app:3"; did you mean
 *          app:2?"); UL_E_INVALID where several are meant (the message lists
 *          some of them); UL_E_NOMEM.
 */
int ul_resolve(const struct ul_view *view, const char *text, unsigned what,
	       uint32_t *ret_object, struct ul_err *err);

/*
 * The image (position in view->images) that is meant by name, digest or a
 * beginning of one. Returns as above.
 */
int ul_resolve_image(const struct ul_view *view, const char *text,
		     uint32_t *ret_image, struct ul_err *err);

/*
 * The digest behind a name that vanished, where the text is that of one and of
 * no image here. False: it is not.
 */
bool ul_resolve_vanished(const struct ul_view *view, const char *text,
			 char digest[UL_DIGEST_TEXT_MAX]);

/*
 * The one thing of this kind in the trash (position in view->trash) by its
 * key or the unique beginning of a digest. False: none, or several.
 */
bool ul_resolve_trashed(const struct ul_view *view, const char *text,
			enum ul_kind kind, uint32_t *ret_position);

/*
 * The part of a path below the store ("" for the store itself); what is no
 * path by its looks is one relative to the store. Whether anything is there is
 * for the caller to see. False: not below it, or too long.
 */
bool ul_resolve_path(const struct ul_view *view, const char *text,
		     char path[PATH_MAX]);

#endif
