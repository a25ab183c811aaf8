#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/snapshot.h"
#include "store/embedded/snapshot_chain.h"
#include "store/embedded/snapshot_overlay.h"
#include "store/embedded/snapshot_record.h"
#include "store/embedded/store.h"
#include "store/limits.h"

void ul_snapshot_mount_release(struct ul_snapshot_mount *mount)
{
	free(mount->source);
	free(mount->options);
	free(mount->directory);
	*mount = UL_SNAPSHOT_MOUNT_INIT;
}

static int absolute(struct ul_embedded *store, const char *dir,
		    const char *below, char **ret_path, struct ul_err *err)
{
	ul_cleanup(ul_freep) char *real = realpath(store->path, NULL);

	if (!real)
		return ul_err_sys(err, "find the path of %s", store->path);
	*ret_path = ul_asprintf("%s/snapshots/%s/%s", real, dir, below);
	return *ret_path ? 0 : ul_err_nomem(err);
}

static int bind_find(struct ul_embedded *store, const char *dir,
		     bool is_writable, struct ul_snapshot_mount *mount,
		     struct ul_err *err)
{
	mount->type = "bind";
	mount->options = ul_strdup(is_writable ? "rw,rbind" : "ro,rbind");
	if (!mount->options)
		return ul_err_nomem(err);
	return absolute(store, dir, "fs", &mount->source, err);
}

static int too_long(struct ul_embedded *store, size_t len, const char *hint,
		    struct ul_err *err)
{
	return ul_err_set(err, UL_E_LIMIT,
			  "with paths as long as %s its mount options take "
			  "%zu bytes, and mount(2) takes %d%s",
			  store->path, len, UL_MOUNT_OPTIONS_MAX_BYTES, hint);
}

/* Too long with whole paths: by the short names that prepare has made. */
static int short_find(struct ul_embedded *store,
		      const struct ul_snapshot_overlay *overlay,
		      struct ul_buf *options, char **ret_directory,
		      struct ul_err *err)
{
	int rc;

	if (!ul_snapshot_lower_is_whole(store, overlay))
		return too_long(store, options->len,
				"; one that is prepared now gets short names",
				err);
	ul_buf_reset(options);
	rc = ul_snapshot_overlay_short(store, overlay, options, err);
	if (!rc && !ul_snapshot_overlay_fits(options->len))
		rc = too_long(store, options->len, "", err);
	return rc ? rc
		  : absolute(store, overlay->dir, UL_SNAPSHOT_LOWER,
			     ret_directory, err);
}

static int overlay_find(struct ul_embedded *store,
			const struct ul_snapshot_overlay *overlay,
			struct ul_snapshot_mount *mount, struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf options = UL_BUF_INIT;
	int rc = ul_snapshot_overlay_long(store, overlay, &options, err);

	if (!rc && !ul_snapshot_overlay_fits(options.len))
		rc = short_find(store, overlay, &options, &mount->directory,
				err);
	if (rc)
		return rc;
	mount->type = "overlay";
	mount->source = ul_strdup("overlay");
	mount->options = ul_buf_detach(&options);
	return mount->source && mount->options ? 0 : ul_err_nomem(err);
}

static int mount_find(struct ul_embedded *store, const char *key,
		      struct ul_snapshot_mount *mount, struct ul_err *err)
{
	ul_cleanup(ul_snapshot_chain_release) struct ul_snapshot_chain below =
	    UL_SNAPSHOT_CHAIN_INIT;
	char dir[UL_SNAPSHOT_DIR_MAX];
	struct ul_snapshot_overlay overlay = { .dir = dir, .below = &below };
	struct ul_snapshot_record record;
	int rc = ul_snapshot_record_get(store, key, &record, err);

	if (rc)
		return rc;
	if (record.kind == UL_SNAPSHOT_COMMITTED)
		return ul_err_set(err, UL_E_INVALID,
				  "it is committed: mount a view of it");
	if (!ul_snapshot_dir_name(key, record.is_unpacked, dir))
		return ul_err_set(err, UL_E_CORRUPT, "it can have no folder");
	rc = ul_snapshot_chain_find(store, record.parent, &below, err);
	if (rc == UL_E_ABSENT)
		rc = err->code = UL_E_CORRUPT;
	if (rc)
		return rc;
	overlay.has_upper = record.kind == UL_SNAPSHOT_ACTIVE;
	if (!below.len)
		return bind_find(store, dir, overlay.has_upper, mount, err);
	if (below.len == 1 && !overlay.has_upper)
		return bind_find(store, below.dirs[0], false, mount, err);
	return overlay_find(store, &overlay, mount, err);
}

int ul_snapshot_mount_find(struct ul_embedded *store, const char *key,
			   struct ul_snapshot_mount *ret_mount,
			   struct ul_err *err)
{
	ul_cleanup(ul_snapshot_mount_release) struct ul_snapshot_mount mount =
	    UL_SNAPSHOT_MOUNT_INIT;
	int rc = mount_find(store, key, &mount, err);

	if (rc)
		return ul_err_wrap(err, "mounting snapshot \"%s\"", key);
	*ret_mount = mount;
	mount = UL_SNAPSHOT_MOUNT_INIT;
	return 0;
}
