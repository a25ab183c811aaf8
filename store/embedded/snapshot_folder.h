/* store/embedded/snapshot_folder.h - making and placing the folders below
 * snapshots/. Internal to the folder. */
#ifndef UL_STORE_EMBEDDED_SNAPSHOT_FOLDER_H
#define UL_STORE_EMBEDDED_SNAPSHOT_FOLDER_H

#include <stdbool.h>

struct ul_embedded;
struct ul_err;

/*
 * Make ingest/<random> with `fs` and (not for a view) `work`.
 * parent_dir names the folder below snapshots/ whose `fs` gives owner and
 * mode (overlayfs shows the top directory of the upper side), NULL for none.
 * Owner:   *ret_fd keeps the folder locked, so that no collection takes it
 *          before it is placed; close it afterwards.
 * Returns: 0; UL_E_ABSENT (no such parent folder); UL_E_IO; UL_E_BUSY.
 */
int ul_snapshot_folder_make(struct ul_embedded *store, const char *parent_dir,
			    bool is_view, char ret_name[17], int *ret_fd,
			    struct ul_err *err);

/* Make what ul_snapshot_folder_make() made durable. UL_E_IO. */
int ul_snapshot_folder_sync(int folder_fd, bool is_view, struct ul_err *err);

/*
 * ingest/NAME becomes snapshots/DIR, durably with ul_snapshot_folders_sync().
 * A folder of that name which no record has (the caller knows) is set aside to
 * ingest/, where a collection finds it when it is old enough.
 */
int ul_snapshot_folder_place(struct ul_embedded *store, const char *ingest_name,
			     const char *dir, struct ul_err *err);
int ul_snapshot_folders_sync(struct ul_embedded *store, struct ul_err *err);

/* The same for a folder that changes its name below snapshots/, durably. */
int ul_snapshot_folder_rename(struct ul_embedded *store, const char *from,
			      const char *to, struct ul_err *err);

#endif
