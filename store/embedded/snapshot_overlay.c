#include "store/embedded/snapshot_overlay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/snapshot_chain.h"
#include "store/embedded/store.h"
#include "store/limits.h"

enum {
	NAME_MAX_BYTES = 24,
	TARGET_MAX_BYTES = UL_SNAPSHOT_DIR_MAX + sizeof "../..//fs"
};

bool ul_snapshot_overlay_fits(size_t len)
{
	return len <= UL_MOUNT_OPTIONS_MAX_BYTES;
}

/* overlayfs splits its options at commas and lowerdir at colons; a backslash
 * before one makes it part of the path. Our folder names have neither. */
static void add_escaped(struct ul_buf *text, const char *path)
{
	for (; *path; path++) {
		if (strchr(",:\\", *path))
			ul_buf_add_char(text, '\\');
		ul_buf_add_char(text, *path);
	}
}

static void add_path(const char *base, const char *dir, const char *below,
		     struct ul_buf *text)
{
	add_escaped(text, base);
	ul_buf_printf(text, "/snapshots/%s/%s", dir, below);
}

static int add_upper(const struct ul_snapshot_overlay *overlay,
		     const char *base, struct ul_buf *text, struct ul_err *err)
{
	if (overlay->has_upper) {
		ul_buf_add_str(text, ",upperdir=");
		add_path(base, overlay->dir, "fs", text);
		ul_buf_add_str(text, ",workdir=");
		add_path(base, overlay->dir, "work", text);
	}
	/* What was unpacked without privileges says "opaque" in user.*, and
	 * only such attributes can be written there. */
	if (geteuid())
		ul_buf_add_str(text, ",userxattr");
	return text->failed ? ul_err_nomem(err) : 0;
}

int ul_snapshot_overlay_long(struct ul_embedded *store,
			     const struct ul_snapshot_overlay *overlay,
			     struct ul_buf *ret_text, struct ul_err *err)
{
	ul_cleanup(ul_freep) char *base = realpath(store->path, NULL);
	size_t i;

	if (!base)
		return ul_err_sys(err, "find the path of %s", store->path);
	ul_buf_add_str(ret_text, "lowerdir=");
	for (i = 0; i < overlay->below->len; i++) {
		if (i)
			ul_buf_add_char(ret_text, ':');
		add_path(base, overlay->below->dirs[i], "fs", ret_text);
	}
	return add_upper(overlay, base, ret_text, err);
}

int ul_snapshot_overlay_short(struct ul_embedded *store,
			      const struct ul_snapshot_overlay *overlay,
			      struct ul_buf *ret_text, struct ul_err *err)
{
	ul_cleanup(ul_freep) char *base = realpath(store->path, NULL);
	size_t i;

	if (!base)
		return ul_err_sys(err, "find the path of %s", store->path);
	ul_buf_add_str(ret_text, "lowerdir=");
	add_path(base, overlay->dir, UL_SNAPSHOT_LOWER "/0", ret_text);
	for (i = 1; i < overlay->below->len; i++)
		ul_buf_printf(ret_text, ":%zu", i);
	return add_upper(overlay, base, ret_text, err);
}

static void target_of(const struct ul_snapshot_chain *below, size_t at,
		      char target[TARGET_MAX_BYTES])
{
	snprintf(target, TARGET_MAX_BYTES, "../../%s/fs", below->dirs[at]);
}

int ul_snapshot_lower_make(int folder_fd, const struct ul_snapshot_chain *below,
			   struct ul_err *err)
{
	char name[NAME_MAX_BYTES], target[TARGET_MAX_BYTES];
	ul_cleanup(ul_closep) int fd = -1;
	size_t i;
	int rc;

	if (mkdirat(folder_fd, UL_SNAPSHOT_LOWER, 0700))
		return ul_err_sys(err, "make directory " UL_SNAPSHOT_LOWER);
	rc = ul_dir_open(folder_fd, UL_SNAPSHOT_LOWER, &fd, err);
	for (i = 0; !rc && i < below->len; i++) {
		snprintf(name, sizeof name, "%zu", i);
		target_of(below, i, target);
		if (symlinkat(target, fd, name))
			rc = ul_err_sys(err, "link " UL_SNAPSHOT_LOWER "/%s",
					name);
	}
	if (!rc)
		rc = ul_fd_sync(fd, UL_SNAPSHOT_LOWER, err);
	return rc ? rc : ul_fd_sync(folder_fd, "snapshot folder", err);
}

bool ul_snapshot_lower_is_whole(struct ul_embedded *store,
				const struct ul_snapshot_overlay *overlay)
{
	char path[UL_SNAPSHOT_DIR_MAX + sizeof UL_SNAPSHOT_LOWER +
		  NAME_MAX_BYTES];
	char target[TARGET_MAX_BYTES], there[TARGET_MAX_BYTES];
	ssize_t len;
	size_t i;

	for (i = 0; i < overlay->below->len; i++) {
		snprintf(path, sizeof path, "%s/" UL_SNAPSHOT_LOWER "/%zu",
			 overlay->dir, i);
		target_of(overlay->below, i, target);
		len =
		    readlinkat(store->snapshots_fd, path, there, sizeof there);
		if (len < 0 || (size_t)len != strlen(target) ||
		    memcmp(there, target, (size_t)len))
			return false;
	}
	return true;
}
