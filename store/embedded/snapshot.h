/*
 * store/embedded/snapshot.h - snapshots, as containerd's snapshotters mean
 * them (core/snapshots/snapshotter.go), on overlayfs folders.
 *
 * Committed snapshots have a name and never change; active ones are written
 * through a mount; views are read-only. A parent is always committed.
 */
#ifndef UL_STORE_EMBEDDED_SNAPSHOT_H
#define UL_STORE_EMBEDDED_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct ul_embedded;
struct ul_err;

enum ul_snapshot_kind {
	UL_SNAPSHOT_ACTIVE,
	UL_SNAPSHOT_VIEW,
	UL_SNAPSHOT_COMMITTED,
};

/* "active", "view", "committed" */
const char *ul_snapshot_kind_name(enum ul_snapshot_kind kind);

struct ul_snapshot {
	const char *key;
	const char *parent; /* "" for none */
	enum ul_snapshot_kind kind;
	bool is_unpacked;   /* made by unpack: lives and dies with its image */
	const char *labels; /* a JSON object of strings */
	int64_t created_unix_s;
};

struct ul_snapshots {
	struct ul_snapshot *snapshots; /* all in the arena; by key */
	size_t len;
	struct ul_arena arena;
};
#define UL_SNAPSHOTS_INIT ((struct ul_snapshots){ .snapshots = NULL })

/* All snapshots. UL_E_DB, UL_E_CORRUPT, UL_E_NOMEM. Release after use. */
int ul_snapshots_load(struct ul_embedded *store, struct ul_snapshots *ret,
		      struct ul_err *err);
void ul_snapshots_release(struct ul_snapshots *snapshots);

/* The one of that key, borrowed from the list, or NULL. */
const struct ul_snapshot *ul_snapshots_find(const struct ul_snapshots *list,
					    const char *key);

/*
 * All of the following are done under the lock, folder first, record after
 * (removal the other way round), so that a stop in between leaves a folder
 * without a record, which a later collection takes. Only a commit that is
 * stopped leaves a record without a folder: for a moment its one folder has
 * two records, the old and the new one. Whichever lacks the folder holds
 * nothing and goes with the next change. `labels` may be NULL: none.
 *
 * Active keys and committed names, chain IDs among them, are one name space.
 * prepare: an active snapshot `key` on `parent` ("" for none), its top
 *          directory with owner and mode of the parent's.
 * view:    a read-only one.
 * commit:  the active snapshot `key` becomes the committed `name`; leases
 *          that hold the one hold the other. Labels are replaced (containerd,
 *          core/snapshots/storage/bolt.go, CommitActive).
 * Returns: 0; UL_E_CONFLICT (key or name taken); UL_E_ABSENT (no such parent
 *          or key); UL_E_INVALID (parent not committed, key not active, bad
 *          key or labels); UL_E_LIMIT (labels; more parents than overlayfs
 *          mounts); UL_E_CORRUPT (a parent's record is gone); UL_E_REFUSED
 *          (mounted: commit); UL_E_BUSY; UL_E_IO; UL_E_DB; UL_E_NOMEM.
 */
int ul_snapshot_prepare(struct ul_embedded *store, const char *key,
			const char *parent, bool is_view, const char *labels,
			struct ul_err *err);
int ul_snapshot_commit(struct ul_embedded *store, const char *name,
		       const char *key, const char *labels, struct ul_err *err);

/*
 * Remove any snapshot without children at once, whatever lease holds it:
 * record, then folder.
 * Returns: 0; UL_E_ABSENT; UL_E_REFUSED (has children, or is mounted
 *          anywhere); UL_E_IO; UL_E_DB; UL_E_NOMEM.
 */
int ul_snapshot_remove(struct ul_embedded *store, const char *key,
		       struct ul_err *err);

/* How to mount a snapshot, as mount(2) takes it. */
struct ul_snapshot_mount {
	const char *type; /* "bind" or "overlay" */
	char *source;     /* owned */
	char *options;    /* owned */
	char *directory;  /* owned; paths in the options are relative to it, so
			     the process that mounts has to be in it; NULL:
			     they are whole */
};
#define UL_SNAPSHOT_MOUNT_INIT ((struct ul_snapshot_mount){ .type = NULL })

/*
 * No parent: a bind mount of its own folder; view with one parent: a
 * read-only bind of the parent's; else overlay, nearest parent first
 * (containerd, snapshots/overlay). A comma, colon or backslash in the store's
 * path has a backslash before it in overlay's options. Where those do not fit
 * into the page that mount(2) takes, short names relative to `directory`
 * (containerd, core/mount: the same by a common prefix). Takes no lock.
 * Owner:   *ret_mount, released by ul_snapshot_mount_release().
 * Returns: 0; UL_E_ABSENT; UL_E_INVALID (committed); UL_E_LIMIT (more parents
 *          than overlayfs mounts; or the options do not fit, as the store's
 *          path was shorter when the snapshot was prepared and there are no
 *          short names, or is too long even for those);
 *          UL_E_CORRUPT (a parent's record is gone); UL_E_IO; UL_E_DB;
 *          UL_E_NOMEM.
 */
int ul_snapshot_mount_find(struct ul_embedded *store, const char *key,
			   struct ul_snapshot_mount *ret_mount,
			   struct ul_err *err);
void ul_snapshot_mount_release(struct ul_snapshot_mount *mount);

/* A folder that unpack has filled and synced, to become a layer. */
struct ul_new_layer {
	const char *ingest_name; /* it is ingest/NAME */
	const char *chain_id;
	const char *parent; /* the chain ID below, or "" */
	bool was_there;     /* out: the folder is left to the caller */
};

/*
 * Register layers, those below first, all or none: each ingest/NAME becomes
 * snapshots/layer-<chain>, then they are recorded. A layer that is there
 * already wins (perhaps as a snapshot that a user has committed under that
 * name: see is_unpacked for its folder). Under the lock; the caller keeps its
 * own locks on the folders until then.
 * Returns: 0; UL_E_CORRUPT (no chain ID); UL_E_BUSY; UL_E_IO; UL_E_DB;
 *          UL_E_NOMEM.
 */
int ul_snapshot_adopt_layers(struct ul_embedded *store,
			     struct ul_new_layer *layers, size_t count,
			     struct ul_err *err);

#endif
