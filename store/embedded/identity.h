/* store/embedded/identity.h - the two files that say what a store is: store-id
 * and, of the layout in it, oci-layout. Internal to the folder. */
#ifndef UL_STORE_EMBEDDED_IDENTITY_H
#define UL_STORE_EMBEDDED_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

struct ul_err;

/* UL_E_ABSENT, UL_E_CORRUPT, UL_E_IO, UL_E_NOMEM. */
int ul_identity_read(int root_fd, char ret_uid[33], int64_t *ret_generation,
		     struct ul_err *err);

/* Durable. */
int ul_identity_write(int root_fd, const char *uid, int64_t generation,
		      struct ul_err *err);

/* What oci-layout holds (image-spec, image-layout.md, oci-layout File). */
extern const char ul_identity_layout[];

/* Whether it says a version that is ours to read, every 1.x. UL_E_ABSENT,
 * UL_E_CORRUPT, UL_E_IO, UL_E_NOMEM. */
int ul_identity_layout_check(int oci_fd, struct ul_err *err);

/* Whether oci-layout names any version at all: what it says is then no damage.
 */
bool ul_identity_layout_has_version(int oci_fd);

#endif
