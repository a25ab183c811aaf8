/*
 * store/embedded/trash.h - what one collection moved to the trash.
 *
 * trash/DATABASE-RUN-RANDOM/ holds the things under the names 0, 1, 2 ... and
 * record.json, which says what each was and where it goes back to. The record
 * is durable before the first thing moves, so the trash describes itself to
 * any database that finds it. Runs have numbers within their database alone:
 * what another one has swept is put back when it is needed and deleted when
 * its own grace is over, but no run of ours, and not ours to empty.
 */
#ifndef UL_STORE_EMBEDDED_TRASH_H
#define UL_STORE_EMBEDDED_TRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/map.h"

struct ul_embedded;
struct ul_err;
struct ul_form;
struct ul_names;

/*
 * A tree that is being deleted has this before its name, so that a stop in
 * the middle leaves nothing half there that could be put back (I3).
 */
#define UL_TRASH_GONE "gone-"

/* Eight digits of the database's id, the run, eight random digits. */
#define UL_TRASH_FOLDER_MAX 64

struct ul_trash_item {
	const char *name; /* in the trash folder */
	uint8_t kind;     /* enum ul_kind of what it was */
	const char *key;
	const char *path;       /* relative to the store: where it goes back */
	const char *parent;     /* of a snapshot; "" for none */
	int64_t created_unix_s; /* of a snapshot's record */
};

struct ul_trash_record {
	const char *database; /* id of the one that numbers its runs */
	int64_t run;
	int64_t swept_unix_s;
	int64_t grace_s;
	struct ul_trash_item *items;
	size_t item_count;
	const char **entries; /* JSON of index entries removed by the run */
	size_t entry_count;
	const char **content; /* paths of the blobs that these had then */
	size_t content_count;
};

/* Swept by the database that the store is open with. */
bool ul_trash_is_ours(const struct ul_embedded *store,
		      const struct ul_trash_record *record);

/* The name of a new folder, and whether a name is one. */
void ul_trash_folder_name(const char *database, int64_t run,
			  char ret_name[UL_TRASH_FOLDER_MAX]);
bool ul_trash_folder_is_one(const char *name);

/* When the things may be deleted. */
int64_t ul_trash_delete_unix_s(const struct ul_trash_record *record);

/*
 * Read trash/DIR/record.json. All text is in the arena.
 * Returns: 0; UL_E_ABSENT (no record: nothing had moved yet); UL_E_CORRUPT;
 *          UL_E_LIMIT; UL_E_IO; UL_E_NOMEM.
 */
int ul_trash_read(int trash_fd, const struct ul_form *form, const char *dir,
		  struct ul_arena *arena, struct ul_trash_record *ret_record,
		  struct ul_err *err);

/* The names of the trash's folders; none where there is no trash. */
int ul_trash_folders(const struct ul_embedded *store,
		     struct ul_names *ret_names, struct ul_err *err);

/* Write it, durably, into the open trash/DIR. */
int ul_trash_write(int dir_fd, const struct ul_trash_record *record,
		   struct ul_err *err);

/*
 * The record of the folder of the run under way (store->trash_folder), which
 * is made where there is none yet ("": its name is set as soon as it is
 * there); durably.
 * Owner:   *ret_fd, the open folder.
 */
int ul_trash_folder_write(struct ul_embedded *store,
			  const struct ul_trash_record *record, int *ret_fd,
			  struct ul_err *err);

/* By the path that it goes back to, what lies in any folder of the trash. */
struct ul_trash_lies {
	struct ul_map by_path; /* keys in the arena */
	struct ul_arena arena;
};
#define UL_TRASH_LIES_INIT                                                     \
	((struct ul_trash_lies){ .by_path = UL_MAP_INIT,                       \
				 .arena = UL_ARENA_INIT })

/* Under the lock. Records that make no sense are passed over. UL_E_IO,
 * UL_E_NOMEM. */
int ul_trash_lies_read(struct ul_embedded *store,
		       struct ul_trash_lies *ret_lies, struct ul_err *err);
void ul_trash_lies_release(struct ul_trash_lies *lies);

/*
 * The first blob of a record's names that is neither in its place nor in the
 * trash, or NULL: names come back only to content that is all there.
 */
const char *ul_trash_lost(struct ul_embedded *store,
			  const struct ul_trash_lies *lies,
			  const struct ul_trash_record *record);

/*
 * Under the lock: remove folders that hold nothing but their record and have
 * no names to bring back either, or not any more at that time. Of our own runs
 * they go too where the names' content is no longer all there, and with
 * `forget_names` in any case.
 * UL_E_IO, UL_E_NOMEM.
 */
int ul_trash_tidy(struct ul_embedded *store, int64_t now_unix_s,
		  bool forget_names, struct ul_err *err);

/* The folder of a run whose names are back, unless things are left in it. */
int ul_trash_undone(struct ul_embedded *store, const char *dir,
		    struct ul_err *err);

/* ul_trash_tidy(), and files that a stopped writer of the store left half
 * written. */
int ul_trash_tidy_stopped(struct ul_embedded *store, int64_t now_unix_s,
			  struct ul_err *err);

#endif
