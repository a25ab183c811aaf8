/*
 * store/embedded/snapshot_overlay.h - the options of an overlay mount.
 *
 * mount(2) takes one page of them, and whole paths of layers are 100 bytes
 * each: from about 40 layers on they do not fit. Such a snapshot's folder
 * then holds short names for what it stands on,
 *
 *	snapshots/key-K/lower/0 -> ../../layer-<hex>/fs    (the parent)
 *	snapshots/key-K/lower/1 -> ...
 *
 * for a process that is in lower/ when it mounts; all 500 layers that
 * overlayfs takes then fit. The first name is written with its whole path:
 * the kernel's list of mounts shows what it was given, and so tells which
 * snapshot is in use (mounts.h). Internal to the folder.
 */
#ifndef UL_STORE_EMBEDDED_SNAPSHOT_OVERLAY_H
#define UL_STORE_EMBEDDED_SNAPSHOT_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>

struct ul_buf;
struct ul_embedded;
struct ul_err;
struct ul_snapshot_chain;

#define UL_SNAPSHOT_LOWER "lower"

struct ul_snapshot_overlay {
	const char *dir; /* the snapshot's folder below snapshots/ */
	bool has_upper;  /* active: written to */
	const struct ul_snapshot_chain *below;
};

/* Options with whole paths, appended. UL_E_IO (the store's own path),
 * UL_E_NOMEM. */
int ul_snapshot_overlay_long(struct ul_embedded *store,
			     const struct ul_snapshot_overlay *overlay,
			     struct ul_buf *ret_text, struct ul_err *err);

/* Options for a process that is in the folder's lower/. UL_E_IO, UL_E_NOMEM.
 */
int ul_snapshot_overlay_short(struct ul_embedded *store,
			      const struct ul_snapshot_overlay *overlay,
			      struct ul_buf *ret_text, struct ul_err *err);

/* Whether mount(2) takes so many bytes of options. */
bool ul_snapshot_overlay_fits(size_t len);

/* Make lower/ in the folder that is open, durably. UL_E_IO. */
int ul_snapshot_lower_make(int folder_fd, const struct ul_snapshot_chain *below,
			   struct ul_err *err);

/* Whether lower/ is there and leads to all that the snapshot stands on. */
bool ul_snapshot_lower_is_whole(struct ul_embedded *store,
				const struct ul_snapshot_overlay *overlay);

#endif
