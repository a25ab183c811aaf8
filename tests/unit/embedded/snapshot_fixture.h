/*
 * tests/unit/embedded/snapshot_fixture.h - changes of snapshots that have to
 * go well, where they are not what a test is about; and their mounts. The
 * store is locked.
 */
#ifndef UL_TESTS_UNIT_EMBEDDED_SNAPSHOT_FIXTURE_H
#define UL_TESTS_UNIT_EMBEDDED_SNAPSHOT_FIXTURE_H

#include <stdbool.h>

#include "store/embedded/snapshot.h"
#include "tests/lib/store_fixture.h"

/* A new one to write to, or to read, on a parent ("" for none). */
void snapshot_prepare(struct ul_embedded *store, const char *key,
		      const char *parent);
void snapshot_view(struct ul_embedded *store, const char *key,
		   const char *parent);

void snapshot_commit(struct ul_embedded *store, const char *name,
		     const char *key);

/* As ul_snapshot_adopt_layers() of one; 1: it was there. */
int snapshot_adopt(struct ul_embedded *store, const char *ingest_name,
		   const char *chain_id, const char *parent,
		   struct ul_err *err);

/* All of them; by ul_snapshots_release(). */
struct ul_snapshots snapshots_load(struct ul_embedded *store);
bool snapshot_is_listed(struct ul_embedded *store, const char *key);

/* How it is mounted; by ul_snapshot_mount_release(). */
struct ul_snapshot_mount snapshot_mount_of(struct ul_embedded *store,
					   const char *key);

/* A folder to mount on; mount(2) of one there. */
const char *snapshot_mount_point(struct store_fixture *fixture);
void snapshot_mount(struct ul_embedded *store, const char *key,
		    const char *point);

#endif
