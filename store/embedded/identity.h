/* store/embedded/identity.h - the store-id file. Internal to the folder. */
#ifndef UL_STORE_EMBEDDED_IDENTITY_H
#define UL_STORE_EMBEDDED_IDENTITY_H

#include <stdint.h>

struct ul_err;

/* UL_E_ABSENT, UL_E_CORRUPT, UL_E_IO, UL_E_NOMEM. */
int ul_identity_read(int root_fd, char ret_uid[33], int64_t *ret_generation,
		     struct ul_err *err);

/* Durable. */
int ul_identity_write(int root_fd, const char *uid, int64_t generation,
		      struct ul_err *err);

#endif
