/* store/embedded/snapshot_record.h - one snapshot's row in the database.
 * Internal to the folder; changes are made between ul_embedded_change_begin()
 * and _commit(). */
#ifndef UL_STORE_EMBEDDED_SNAPSHOT_RECORD_H
#define UL_STORE_EMBEDDED_SNAPSHOT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "store/embedded/snapshot.h"
#include "store/limits.h"

struct ul_embedded;
struct ul_err;

struct ul_snapshot_record {
	enum ul_snapshot_kind kind;
	bool is_unpacked;
	char parent[UL_KEY_MAX_BYTES + 1]; /* "" for none */
};

/* 1 with *ret, 0 where there is none, UL_E_CORRUPT, UL_E_DB, UL_E_NOMEM. */
int ul_snapshot_record_find(struct ul_embedded *store, const char *key,
			    struct ul_snapshot_record *ret, struct ul_err *err);

/* The same, or UL_E_ABSENT. */
int ul_snapshot_record_get(struct ul_embedded *store, const char *key,
			   struct ul_snapshot_record *ret, struct ul_err *err);

/* labels as ul_record_labels() makes them. */
int ul_snapshot_record_add(struct ul_embedded *store, const char *key,
			   const struct ul_snapshot_record *record,
			   const char *labels, struct ul_err *err);
int ul_snapshot_record_delete(struct ul_embedded *store, const char *key,
			      struct ul_err *err);

/* UL_E_REFUSED, naming a child, where the snapshot has one. */
int ul_snapshot_record_childless(struct ul_embedded *store, const char *key,
				 struct ul_err *err);

/* Leases that hold `from` hold `to` as well; leases no longer hold `key`. */
int ul_snapshot_record_copy_leases(struct ul_embedded *store, const char *from,
				   const char *to, struct ul_err *err);
int ul_snapshot_record_drop_leases(struct ul_embedded *store, const char *key,
				   struct ul_err *err);

/*
 * Remove the records of snapshots of users that have neither folder nor
 * child: what a commit leaves that was stopped in the middle (snapshot.c).
 * Under the lock, outside of a change.
 */
int ul_snapshot_record_settle(struct ul_embedded *store, struct ul_err *err);

#endif
