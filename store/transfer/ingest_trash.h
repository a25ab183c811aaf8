/* store/transfer/ingest_trash.h - blobs that lie in the trash. Internal to
 * the folder. */
#ifndef UL_STORE_TRANSFER_INGEST_TRASH_H
#define UL_STORE_TRANSFER_INGEST_TRASH_H

#include <stddef.h>

struct ul_arena;
struct ul_digest;
struct ul_embedded;
struct ul_err;
struct ul_trashed_blob;

/*
 * What the trash's records name, by digest, whether it is still there or not. A
 * record that cannot be read names nothing. All of *ret is in the arena.
 * Returns: 0; UL_E_IO; UL_E_NOMEM.
 */
int ul_ingest_trash_list(struct ul_embedded *store, struct ul_arena *arena,
			 struct ul_trashed_blob **ret, size_t *ret_count,
			 struct ul_err *err);

/* The first blob of that digest in such a list (others may follow); NULL. */
const struct ul_trashed_blob *
ul_ingest_trash_find(const struct ul_trashed_blob *blobs, size_t count,
		     const struct ul_digest *digest);

#endif
