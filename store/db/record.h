/*
 * store/db/record.h - all that the database knows of one store, in memory.
 *
 * Loaded in bulk, compared with what is on disk by the store's scan, and
 * saved by difference: only rows that were marked dirty are written, in one
 * transaction, so that one image added costs what the image has and a scan
 * that finds nothing new writes nothing.
 *
 * Objects are numbered by position and never move; references between them
 * use these numbers. The graph gives its nodes the same numbers.
 */
#ifndef UL_STORE_DB_RECORD_H
#define UL_STORE_DB_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/map.h"

struct ul_db;
struct ul_err;

#define UL_OBJECT_NONE UINT32_MAX

/* What of an object is to be written. */
enum ul_dirty {
	UL_DIRTY_ROW = 1 << 0,
	UL_DIRTY_REFS = 1 << 1, /* and the config */
	UL_DIRTY_MEASURE = 1 << 2,
	UL_DIRTY_ADDED = 1 << 3, /* by the save that is under way */
	UL_DIRTY_LISTED = 1 << 4,
};

enum ul_content {
	UL_CONTENT_UNKNOWN, /* not looked at yet */
	UL_CONTENT_REFS,    /* its references are known */
	UL_CONTENT_OPAQUE,  /* has none: a layer, or a type we do not read */
};

/* What an image config says; in the record's arena. */
struct ul_config_facts {
	int64_t created_unix_s;
	const char *diff_ids; /* digests, separated by spaces */
	const char *labels;   /* a JSON object */
};

/* An inode of a measured tree that has links outside it. */
struct ul_measure_link {
	uint64_t dev, ino;
	uint32_t nlink, seen;
	uint64_t allocated_bytes;
	bool in_split;
};

/* The file or directory under an object, as last measured. */
struct ul_measure {
	uint64_t dev, ino;
	int64_t ctime_ns;
	uint64_t allocated_bytes; /* without what links hold */
	uint64_t unpacked_bytes;  /* the part below `fs`; 0 for files */
	int64_t measured_unix_s;  /* 0: never */
	bool agreed; /* two measurements ten minutes apart were equal */
	struct ul_measure_link *links; /* in the arena */
	size_t link_count;
};

struct ul_object {
	int64_t row;     /* 0: not in the database yet */
	uint8_t kind;    /* enum ul_kind of store/graph, by number */
	uint8_t content; /* enum ul_content */
	bool is_attestation;
	bool is_present;   /* its file was there at the last scan */
	bool is_reachable; /* at the last scan */
	bool is_known;     /* ever seen reachable, or imported by us */
	bool is_released;  /* a prune or untag of ours let go of it */
	bool is_named;     /* an image that the index named, see index_hash */
	uint8_t dirty;     /* enum ul_dirty: set by ul_record_mark() */
	bool is_gone;      /* row to be deleted: ul_record_set_gone() */
	uint32_t scope;    /* into scopes */
	const char *ns;    /* "" outside containerd */
	const char *snapshotter; /* "" but for snapshots of containerd */
	const char *key;
	const char *media_type;    /* "" where unknown */
	const char *artifact_type; /* "" where none */
	const char *platform;      /* "linux/arm64/v8" or "" */
	const char *diff_id;       /* of a layer, where known; "" */
	uint64_t length_bytes;
	int64_t reachable_unix_s; /* last seen reachable, while it is not */
	uint32_t first_ref, ref_count; /* into refs */
	uint32_t kept_by;              /* object, or NONE: a root or nothing */
	const char *kept_reason;
	struct ul_config_facts *config; /* NULL but for image configs */
	struct ul_measure measure;
};

struct ul_object_ref {
	uint32_t target;
	uint8_t kind;       /* enum ul_ref_kind of store/graph, by number */
	const char *reason; /* one of the record's words */
};

/* What the objects of one kind in one namespace have in common. */
struct ul_scope {
	int64_t row;        /* 0: not in the database yet */
	const char *packed; /* kind; namespace, snapshotter with their NULs */
	size_t packed_len;
};

/* What many objects have in common. */
struct ul_type {
	const char *media_type, *artifact_type, *platform;
};

struct ul_name {
	const char *ns, *name, *digest;
	const char *entry; /* its JSON in the index, to bring it back */
	int64_t seen_unix_s;
	int64_t vanished_unix_s; /* 0 while it is there */
	bool is_ours;            /* we removed it */
	bool is_dirty, is_gone;
};

struct ul_used {
	const char *ns, *digest;
	int64_t used_unix_s;
	bool is_dirty;
};

enum { UL_RECORD_TEXTS = 64 };

struct ul_record {
	int64_t store_row;
	int64_t data_version; /* of the database, when this was loaded */
	const char *store_uid;
	int64_t generation;
	int64_t scanned_unix_s; /* time of the last scan that was saved */
	int64_t walked_unix_s;  /* of the last independent walk; 0: never */
	int64_t residual_bytes; /* what it found */
	uint64_t index_hash;    /* of the index as last read; 0: unknown */
	bool store_dirty;

	struct ul_object *objects; /* owned */
	size_t object_count, object_cap;
	/* Owned: objects that a save looks at, each once; has room for all,
	 * so that marking needs no memory. */
	uint32_t *dirty;
	size_t dirty_count, dirty_cap;
	struct ul_object_ref *refs; /* owned; ranges, with holes */
	size_t ref_count, ref_cap;
	struct ul_name *names; /* owned */
	size_t name_count, name_cap;
	struct ul_used *used; /* owned; by image digest */
	size_t used_count, used_cap;
	const char **pins; /* owned array; names or digests as pinned */
	size_t pin_count, pin_cap;
	const char **named; /* owned array; digests that had a name once */
	size_t named_count, named_cap;
	const char **words; /* owned array; reasons, by number */
	size_t word_count, word_cap;
	struct ul_scope *scopes; /* owned */
	size_t scope_count, scope_cap;
	struct ul_type *types; /* owned; those that are in the database, or
				* are to be, by number */
	size_t type_count, type_cap;

	struct ul_map object_ids; /* packed identity -> number */
	struct ul_map name_ids;   /* ns NUL name -> position */
	struct ul_map used_ids;   /* ns NUL digest -> position */
	struct ul_map named_ids;  /* digest -> position */
	struct ul_map pin_ids;    /* name or digest as pinned -> position */
	struct ul_map word_ids;   /* reason -> number */
	struct ul_map scope_ids;  /* packed -> position */
	struct ul_map type_ids;   /* its texts with their NULs -> number */
	/* Owned: where an identity is packed to be looked up. Never smaller
	 * than the longest that was added, so that finding needs no memory. */
	char *packed;
	size_t packed_cap;
	size_t packed_len;  /* of the longest identity while loading */
	size_t named_saved; /* of named, how many are in the database */
	size_t words_saved; /* of words */
	size_t scopes_saved, types_saved;
	const char *texts[UL_RECORD_TEXTS]; /* some that were copied lately */
	struct ul_arena arena;              /* owns all text */
};
#define UL_RECORD_INIT ((struct ul_record){ .store_row = 0 })

/*
 * Find the store's row by kind and path, or make a record without one (the
 * row comes with the first save). Then load everything.
 * Owner:   *ret_record is overwritten; release with ul_record_release().
 * Returns: 0; UL_E_DB, UL_E_BUSY; UL_E_CORRUPT for rows that make no sense;
 *          UL_E_NOMEM.
 */
int ul_record_load(struct ul_db *db, const char *store_kind,
		   const char *store_path, struct ul_record *ret_record,
		   struct ul_err *err);
void ul_record_release(struct ul_record *record);

/*
 * Write what is dirty, in one transaction (none where nothing is), and clear
 * the marks. On failure the database is as before and the marks stand.
 * A read-only database is left alone: 0. UL_E_CONFLICT, nothing written, where
 * another connection has written since this record was loaded: load again.
 */
int ul_record_save(struct ul_db *db, const char *store_kind,
		   const char *store_path, struct ul_record *record,
		   struct ul_err *err);

/* The object of this identity, or UL_OBJECT_NONE where there is none; needs no
 * memory. Thread: as all that looks things up here, one at a time. */
uint32_t ul_record_find(const struct ul_record *record, uint8_t kind,
			const char *ns, const char *snapshotter,
			const char *key);

/* Find or add (dirty). Text is copied. UL_OBJECT_NONE without memory. */
uint32_t ul_record_object(struct ul_record *record, uint8_t kind,
			  const char *ns, const char *snapshotter,
			  const char *key);

/* Have parts of an object (enum ul_dirty) written by the next save. */
void ul_record_mark(struct ul_record *record, struct ul_object *object,
		    unsigned parts);

/* Have its row deleted by the next save, or not after all. */
void ul_record_set_gone(struct ul_record *record, struct ul_object *object,
			bool is_gone);

/*
 * Replace an object's references (targets are numbers, reasons are copied).
 * Marks UL_DIRTY_REFS where they differ. False without memory.
 */
bool ul_record_set_refs(struct ul_record *record, uint32_t object,
			const struct ul_object_ref *refs, size_t count);

/* Find or add a name, a use. NULL without memory. */
struct ul_name *ul_record_name(struct ul_record *record, const char *ns,
			       const char *name);
struct ul_name *ul_record_find_name(const struct ul_record *record,
				    const char *ns, const char *name);
struct ul_used *ul_record_used(struct ul_record *record, const char *ns,
			       const char *digest);
int64_t ul_record_used_unix_s(const struct ul_record *record, const char *ns,
			      const char *digest); /* 0: never */

/* Remember that a digest has a name; whether one had one. */
bool ul_record_set_named(struct ul_record *record, const char *digest);
bool ul_record_was_named(const struct ul_record *record, const char *digest);
bool ul_record_is_pinned(const struct ul_record *record, const char *name);

/* The number of a reason that some reference has or had. */
uint32_t ul_record_word(const struct ul_record *record, const char *reason);

/* Text in the record's arena; equal texts mostly share one copy. NULL without
 * memory. */
const char *ul_record_text(struct ul_record *record, const char *text);

#endif
