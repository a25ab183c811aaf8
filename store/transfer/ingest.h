/*
 * store/transfer/ingest.h - blobs that are on their way into the store.
 *
 * ingest/<random>/ is locked for as long as we live. What arrives is hashed
 * while it is written there; what the store has already is only noted. When
 * everything that is needed is known, ul_ingest_settle() moves it into place
 * in one go. What is left in the folder goes with it.
 */
#ifndef UL_STORE_TRANSFER_INGEST_H
#define UL_STORE_TRANSFER_INGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/map.h"

struct ul_buf;
struct ul_embedded;
struct ul_err;
struct ul_flusher;

enum { UL_INGEST_BLOCK_BYTES = 1 << 20 };

enum ul_held_where {
	UL_HELD_STORE,  /* in its place: an ingest without a folder */
	UL_HELD_LINKED, /* ingest/NAME/<hex>: linked from store or trash */
	UL_HELD_NEW,    /* ingest/NAME/<hex>: written by us, verified */
};

struct ul_held {
	struct ul_digest digest;
	uint64_t size_bytes;
	enum ul_held_where where;
	bool is_replacing; /* what stands in its place is damaged */
	bool is_needed;    /* ul_ingest_settle() is to place it */
	bool is_json;      /* begins with '{' */
};

/* A blob in the trash, as it was when we began. */
struct ul_trashed_blob {
	struct ul_digest digest;
	const char *path; /* below trash/ */
};

struct ul_ingest {
	struct ul_embedded *store; /* borrowed */
	char name[17];             /* below ingest/; "" while closed */
	int fd;                    /* the folder, locked */
	bool is_verifying;         /* hash what the store has, too */
	struct ul_held **held;     /* owned array, elements in the arena */
	size_t len, cap;
	struct ul_map by_digest;
	struct ul_trashed_blob *trashed; /* in the arena */
	size_t trashed_count;
	struct ul_arena arena;
	char *block; /* owned, UL_INGEST_BLOCK_BYTES: what is being copied */
	struct ul_flusher *flusher; /* owned; NULL without a folder */
	uint64_t written_bytes;
};
#define UL_INGEST_INIT ((struct ul_ingest){ .fd = -1 })

/*
 * Make the folder. With is_verifying, blobs that the store has are hashed
 * before they are relied upon.
 * Owner:   *ret_ingest, released by ul_ingest_release(), which removes the
 *          folder.
 * Returns: 0; UL_E_REFUSED (a store that we cannot write); UL_E_IO;
 *          UL_E_BUSY (ul_embedded_ingest_folder()); UL_E_NOMEM.
 */
int ul_ingest_open(struct ul_embedded *store, bool is_verifying,
		   struct ul_ingest *ret_ingest, struct ul_err *err);
void ul_ingest_release(struct ul_ingest *ingest); /* safe twice */

/*
 * One without a folder, for reading what the store has: additions that would
 * have to be written fail with UL_E_CORRUPT. UL_E_NOMEM.
 */
int ul_ingest_open_reading(struct ul_embedded *store,
			   struct ul_ingest *ret_ingest, struct ul_err *err);

/*
 * Where bytes come from: fill `data` with the next ones, *ret_len 0 at the
 * end. Its errors end the addition.
 */
typedef int ul_ingest_read(void *arg, void *data, size_t size, size_t *ret_len,
			   struct ul_err *err);

/*
 * Take a blob in. `expected` is what its name or descriptor says of it; NULL
 * where nothing does. size_bytes is what it has to be long.
 * Owner:   *ret_held stays the ingest's.
 * Returns: 0; UL_E_CORRUPT (other length or digest); what read() gave;
 *          UL_E_IO; UL_E_NOMEM. After a failure nothing of it is held.
 */
int ul_ingest_add(struct ul_ingest *ingest, const struct ul_digest *expected,
		  uint64_t size_bytes, ul_ingest_read *read, void *arg,
		  struct ul_held **ret_held, struct ul_err *err);

/*
 * Take in what the store or its trash has already, without any bytes of it:
 * 1 with *ret_held; 0 where it has none of that length, or (is_checked, or
 * an ingest that verifies) none that is intact; UL_E_IO, UL_E_NOMEM.
 */
int ul_ingest_reuse(struct ul_ingest *ingest, const struct ul_digest *digest,
		    uint64_t size_bytes, bool is_checked,
		    struct ul_held **ret_held, struct ul_err *err);

/* Bytes that we made ourselves. Returns as ul_ingest_add(). */
int ul_ingest_add_bytes(struct ul_ingest *ingest, const void *data, size_t len,
			struct ul_held **ret_held, struct ul_err *err);

/* What is held of that digest, or NULL. */
struct ul_held *ul_ingest_find(const struct ul_ingest *ingest,
			       const struct ul_digest *digest);

/* Open it for reading. UL_E_IO, UL_E_CONFLICT (the store lost it since). */
int ul_ingest_blob_open(const struct ul_ingest *ingest,
			const struct ul_held *held, int *ret_fd,
			struct ul_err *err);

/*
 * Append a held document, hashed again.
 * Returns: 0; UL_E_LIMIT (longer than UL_MANIFEST_MAX_BYTES); UL_E_CORRUPT;
 *          UL_E_CONFLICT; UL_E_IO; UL_E_NOMEM.
 */
int ul_ingest_blob_read(const struct ul_ingest *ingest,
			const struct ul_held *held, struct ul_buf *buf,
			struct ul_err *err);

/* Hash what the folder has of it: 1 intact, 0 not; UL_E_IO. */
int ul_ingest_blob_check(struct ul_ingest *ingest, const struct ul_held *held,
			 struct ul_err *err);

/* Make what was written durable; before the lock is taken. UL_E_IO. */
int ul_ingest_sync(struct ul_ingest *ingest, struct ul_err *err);

/*
 * Put everything that is needed in its place, durably, under the lock. What
 * the store or its trash lost since is there through our links.
 * Returns: 0; UL_E_CONFLICT (what was relied upon unread is damaged, and a
 *          repair has set it aside since); UL_E_IO; UL_E_NOMEM.
 */
int ul_ingest_settle(struct ul_ingest *ingest, struct ul_err *err);

#endif
