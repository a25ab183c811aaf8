/*
 * store/view.h - what a store held at one moment, as a value.
 *
 * Every backend's scan makes one; reports and plans are computed from it and
 * from nothing else. Objects are those of the record, by number; the graph's
 * node i is object i, later nodes are files, shared inodes and groups.
 */
#ifndef UL_STORE_VIEW_H
#define UL_STORE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "store/db/record.h"
#include "store/graph/graph.h"
#include "store/oci/index_file.h"

/* Reason of the root on a shared inode that something outside links to: its
 * bytes are in a class, but no removal gives them back. */
#define UL_REASON_OUTSIDE_LINK "linked from outside the store"

/* Something on disk that an object stands for. */
struct ul_view_file {
	uint32_t object;
	uint32_t node;         /* its file node */
	const char *path;      /* relative to the store */
	int64_t newest_unix_s; /* later of mtime and ctime of its top; of what
				  another program left: latest of all within */
	int64_t min_grace_s;   /* whatever grace is asked for */
	bool is_orphan;        /* no record ever named it: class orphaned */
	bool is_trash;         /* lies in the trash */
	bool is_ingest;  /* a change under way (somebody holds its lock) */
	bool is_mounted; /* seen in some mount namespace */
	/* Of a snapshot: not seen, but not all mounts are shown to us. */
	bool may_be_mounted;
};

struct ul_view_platform {
	const char *platform;  /* "linux/amd64", "unknown" */
	uint32_t manifest;     /* object */
	uint32_t config;       /* object, or NONE */
	uint32_t top_snapshot; /* object, or NONE: not unpacked */
	bool is_attestation;   /* counted apart, no platform of its own */
	bool is_present;       /* the manifest's blob is here */
};

/* One row a digest and namespace, with all its names. */
struct ul_view_image {
	const char *ns;
	const char *digest;
	uint32_t target; /* object: the manifest or index */
	uint32_t group;  /* node over all names */
	uint32_t *names; /* objects of kind image, in order of the index */
	size_t name_count;
	bool is_nameless; /* the only entries have no name */
	bool was_named;   /* this digest has, or had, a name */
	bool is_dangling; /* nameless, and had a name once */
	struct ul_view_platform *platforms; /* attestations too */
	size_t platform_count;
	uint32_t containers;
	bool is_pinned;
	int64_t created_unix_s; /* newest of its configs; 0 unknown */
	int64_t used_unix_s;    /* 0 never */
};

/* A lease, and whether it stands for a container (holds a snapshot). */
struct ul_view_lease {
	uint32_t object;
	int64_t expire_unix_s; /* 0 never */
	bool is_container;
	bool is_expired;
};

/* What a trashed thing was, from the trash's own record. */
struct ul_view_trash {
	uint32_t object; /* of kind file, key = path */
	bool is_foreign; /* swept by another database: no run of ours */
	int64_t run;
	int64_t delete_unix_s; /* may be deleted from then on */
	uint8_t kind;          /* enum ul_kind of what it was */
	const char *key;
	bool is_wanted; /* reachable again: has to be put back first */
};

struct ul_view {
	const char *store_name, *store_kind, *store_path;
	int64_t as_of_unix_s;
	/* The index as it was read; differs now, it was changed. */
	struct ul_index_stamp roots_stamp;
	struct ul_record record;
	struct ul_graph graph;
	struct ul_view_file *files;
	size_t file_count;
	struct ul_view_image *images; /* in order of their first entry */
	size_t image_count;
	struct ul_view_lease *leases;
	size_t lease_count;
	struct ul_view_trash *trash;
	size_t trash_count;
	uint32_t *live_snapshots; /* objects: active, view, user-committed */
	size_t live_snapshot_count;

	uint64_t overhead_bytes; /* directories, indexes, unknown files */
	uint64_t overhead_count;
	uint64_t folder_bytes; /* as ops->overhead() counts it */
	uint64_t total_bytes, available_bytes; /* of the file system */
	const char *mount;
	/* Why nothing may be collected now; NULL: it may. */
	const char *refusal;
	/* It is that the index is damaged: names are those of the last good
	 * reading, and there may be more. */
	bool is_index_damaged;
	/* Why everything has to wait (clock); exit 3. NULL: nothing does. */
	const char *waiting;
	/* For people: vanished names, unknown files, unreadable manifests. */
	const char **notes;
	size_t note_count;
	struct ul_arena arena;
};
#define UL_VIEW_INIT ((struct ul_view){ .store_name = NULL })

/* Free what the view owns. Safe on UL_VIEW_INIT and safe twice. */
void ul_view_release(struct ul_view *view);

/* Add a line to the notes. False without memory. */
bool ul_view_note(struct ul_view *view, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
