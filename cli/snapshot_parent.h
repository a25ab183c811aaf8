/*
 * cli/snapshot_parent.h - images as parents of snapshots.
 */
#ifndef UL_CLI_SNAPSHOT_PARENT_H
#define UL_CLI_SNAPSHOT_PARENT_H

struct ul_embedded;
struct ul_err;
struct ul_view;

/*
 * The key that PARENT means: a snapshot's, as it stands or, of an image, that
 * of all its layers: for this machine's platform, else for the only one.
 * Owner:   *ret_key is borrowed from the view.
 * Returns: 0; UL_E_ABSENT (neither a snapshot nor an image; not unpacked);
 *          UL_E_INVALID (several are meant; no platform fits); UL_E_NOMEM.
 */
int ul_snapshot_parent(const struct ul_view *view, const char *text,
		       const char **ret_key, struct ul_err *err);

/* Note a use of every image whose layers a snapshot on `parent` is made of:
 * of those with `parent` in the chain of a platform. UL_E_DB. */
int ul_snapshot_used(struct ul_embedded *store, const struct ul_view *view,
		     const char *parent, struct ul_err *err);

#endif
