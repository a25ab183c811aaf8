/*
 * store/embedded/inventory.h - what lies in the store's folders, by name and
 * by stat() alone; nothing is opened but directories, the trash's records and
 * what other programs left half written.
 */
#ifndef UL_STORE_EMBEDDED_INVENTORY_H
#define UL_STORE_EMBEDDED_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct ul_embedded;
struct ul_err;

enum ul_item_kind {
	UL_ITEM_BLOB,
	UL_ITEM_SNAPSHOT,
	UL_ITEM_INGEST,
	UL_ITEM_TRASH,
	UL_ITEM_UNKNOWN, /* overhead: never touched, named in notes */
};

struct ul_item {
	enum ul_item_kind kind;
	const char *path; /* relative to the store */
	const char *key;  /* digest, snapshot key; else the path */
	bool is_dir, is_regular;
	bool is_mount;    /* unknown, and not looked into, nor counted */
	bool is_unpacked; /* snapshot folder named by chain ID */
	bool is_locked;   /* ingest whose maker is alive, or may be */
	bool is_foreign;  /* ingest of another program */
	uint64_t dev, ino, size_bytes, allocated_bytes;
	uint32_t nlink;
	int64_t ctime_ns;
	int64_t newest_unix_s; /* later of mtime and ctime; of what is foreign:
				  latest of all within */
	/* Of trash. */
	bool is_foreign_run; /* of another database */
	int64_t run;
	int64_t delete_unix_s;
	uint8_t was_kind; /* enum ul_kind */
	const char *was_key;
	const char *was_path;
};

/* An inode with several names, one of them at least an unknown file's. */
struct ul_item_inode {
	uint64_t dev, ino, allocated_bytes;
};

struct ul_inventory {
	struct ul_item *items; /* owned */
	size_t len, cap;
	uint64_t overhead_bytes; /* known folders and files, unknown trees */
	uint64_t overhead_count;
	const char *mount; /* a folder of the store that is on a mount of its
			      own, so that nothing moves to or from it; or
			      NULL */
	/* Owned, sorted, each once: counted in overhead_bytes though a blob
	 * or a tree may hold it as well. */
	struct ul_item_inode *inodes;
	size_t inode_count, inode_cap;
	struct ul_arena arena;
};
#define UL_INVENTORY_INIT ((struct ul_inventory){ .items = NULL })

/*
 * Owner:   *ret, released by ul_inventory_release().
 * Returns: 0, UL_E_IO, UL_E_NOMEM. Damaged trash records are no error: what
 *          they stand for is UNKNOWN, and so kept.
 */
int ul_inventory_take(struct ul_embedded *store, struct ul_inventory *ret,
		      struct ul_err *err);
void ul_inventory_release(struct ul_inventory *inventory);

/* Whether this inode is counted in overhead_bytes. */
bool ul_inventory_has_inode(const struct ul_inventory *inventory, uint64_t dev,
			    uint64_t ino);

#endif
