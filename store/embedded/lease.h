/*
 * store/embedded/lease.h - leases: roots that people and programs set.
 *
 * As containerd means them: a lease holds what it names, and what that
 * refers to; a flat one only what it names (snapshots with their parents).
 * One that has expired holds nothing and is swept by the next collection.
 */
#ifndef UL_STORE_EMBEDDED_LEASE_H
#define UL_STORE_EMBEDDED_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct ul_embedded;
struct ul_err;

struct ul_lease_resource {
	uint8_t kind; /* enum ul_kind: BLOB, SNAPSHOT or IMAGE */
	const char *key;
};

struct ul_lease {
	const char *id;
	int64_t created_unix_s;
	int64_t expire_unix_s; /* 0: never */
	bool is_flat;
	const char *labels; /* a JSON object of strings; NULL to create: none */
	struct ul_lease_resource *resources;
	size_t resource_count;
};

struct ul_leases {
	struct ul_lease *leases; /* all in the arena; by id */
	size_t len;
	struct ul_arena arena;
};
#define UL_LEASES_INIT ((struct ul_leases){ .leases = NULL })

/* All leases. UL_E_DB, UL_E_CORRUPT, UL_E_NOMEM. Release after use. */
int ul_leases_load(struct ul_embedded *store, struct ul_leases *ret_leases,
		   struct ul_err *err);
void ul_leases_release(struct ul_leases *leases);

/* Whether it holds anything at that time. */
bool ul_lease_is_expired(const struct ul_lease *lease, int64_t now_unix_s);

/*
 * Make a lease (its resources are ignored). Under the lock.
 * Returns: 0; UL_E_CONFLICT (there is one of that id); UL_E_INVALID (empty,
 *          too long or unprintable id, labels that are no JSON object of
 *          strings); UL_E_LIMIT (too many or too long labels); UL_E_BUSY;
 *          UL_E_DB; UL_E_IO; UL_E_NOMEM.
 */
int ul_lease_create(struct ul_embedded *store, const struct ul_lease *lease,
		    struct ul_err *err);

/*
 * Remove it; what it held is then released by us (no grace). Under the lock.
 * UL_E_ABSENT, and what a change can end with.
 */
int ul_lease_delete(struct ul_embedded *store, const char *id,
		    struct ul_err *err);

/*
 * Add to or take from a lease. add does not ask whether the thing is there:
 * a lease protects from then on, it does not bring back; scan after adding.
 * Under the lock.
 * Returns: 0 (add: also where it holds that already); UL_E_ABSENT (no such
 *          lease; remove: it does not hold that); UL_E_INVALID (another kind,
 *          a key that can be none); and what a change can end with.
 */
int ul_lease_add(struct ul_embedded *store, const char *id, uint8_t kind,
		 const char *key, struct ul_err *err);
int ul_lease_remove(struct ul_embedded *store, const char *id, uint8_t kind,
		    const char *key, struct ul_err *err);

#endif
