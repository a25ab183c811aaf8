#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/snapshot.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/snapshot_record.h"
#include "store/embedded/store.h"
#include "store/limits.h"

/* A snapshot's folder and those of its parents, nearest first. */
struct chain {
	char *base; /* owned: absolute path of snapshots/ */
	char (*dirs)[UL_SNAPSHOT_DIR_MAX]; /* owned */
	size_t len, cap;
};

static void chain_release(struct chain *chain)
{
	free(chain->base);
	free(chain->dirs);
}

static int chain_add(struct chain *chain, const char *key, bool is_unpacked,
		     struct ul_err *err)
{
	char(*dirs)[UL_SNAPSHOT_DIR_MAX] =
	    ul_grow(chain->dirs, &chain->cap, chain->len + 1, sizeof *dirs);

	if (!dirs)
		return ul_err_nomem(err);
	chain->dirs = dirs;
	if (!ul_snapshot_dir_name(key, is_unpacked, dirs[chain->len]))
		return ul_err_set(err, UL_E_CORRUPT,
				  "snapshot \"%s\" can have no folder", key);
	chain->len++;
	return 0;
}

static int chain_base(struct ul_embedded *store, struct chain *chain,
		      struct ul_err *err)
{
	char *real = realpath(store->path, NULL);

	if (!real)
		return ul_err_sys(err, "find the path of %s", store->path);
	chain->base = ul_asprintf("%s/snapshots", real);
	free(real);
	return chain->base ? 0 : ul_err_nomem(err);
}

static int chain_add_parents(struct ul_embedded *store, struct chain *chain,
			     struct ul_snapshot_record record,
			     struct ul_err *err)
{
	char key[UL_KEY_MAX_BYTES + 1];
	int rc = 0;

	while (!rc && *record.parent) {
		/* Also ends a circle that a damaged database may hold. */
		if (chain->len > UL_IMAGE_MAX_LAYERS)
			return ul_err_set(err, UL_E_LIMIT,
					  "more than %d parents, which "
					  "overlayfs does not mount",
					  UL_IMAGE_MAX_LAYERS);
		memcpy(key, record.parent, sizeof key);
		rc = ul_snapshot_record_get(store, key, &record, err);
		if (rc == UL_E_ABSENT)
			return ul_err_set(err, UL_E_CORRUPT,
					  "the parent \"%s\" is gone", key);
		if (!rc)
			rc = chain_add(chain, key, record.is_unpacked, err);
	}
	return rc;
}

static void add_bind(const struct chain *chain, size_t at, const char *options,
		     struct ul_buf *text)
{
	ul_buf_printf(text, "bind %s/%s/fs %s", chain->base, chain->dirs[at],
		      options);
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

static void add_path(const struct chain *chain, size_t at, const char *below,
		     struct ul_buf *text)
{
	add_escaped(text, chain->base);
	ul_buf_printf(text, "/%s/%s", chain->dirs[at], below);
}

static void add_overlay(const struct chain *chain, bool is_active,
			struct ul_buf *text)
{
	size_t i;

	ul_buf_add_str(text, "overlay overlay lowerdir=");
	for (i = 1; i < chain->len; i++) {
		if (i > 1)
			ul_buf_add_char(text, ':');
		add_path(chain, i, "fs", text);
	}
	if (is_active) {
		ul_buf_add_str(text, ",upperdir=");
		add_path(chain, 0, "fs", text);
		ul_buf_add_str(text, ",workdir=");
		add_path(chain, 0, "work", text);
	}
	/* What was unpacked without privileges says "opaque" in user.*, and
	 * only such attributes can be written there. */
	if (geteuid())
		ul_buf_add_str(text, ",userxattr");
}

static void add_mount(const struct chain *chain, bool is_active,
		      struct ul_buf *text)
{
	if (chain->len == 1)
		add_bind(chain, 0, is_active ? "rw,rbind" : "ro,rbind", text);
	else if (chain->len == 2 && !is_active)
		add_bind(chain, 1, "ro,rbind", text);
	else
		add_overlay(chain, is_active, text);
}

static int chain_find(struct ul_embedded *store, const char *key,
		      struct chain *chain, bool *ret_is_active,
		      struct ul_err *err)
{
	struct ul_snapshot_record record;
	int rc = ul_snapshot_record_get(store, key, &record, err);

	if (rc)
		return rc;
	if (record.kind == UL_SNAPSHOT_COMMITTED)
		return ul_err_set(err, UL_E_INVALID,
				  "it is committed: mount a view of it");
	*ret_is_active = record.kind == UL_SNAPSHOT_ACTIVE;
	rc = chain_base(store, chain, err);
	if (!rc)
		rc = chain_add(chain, key, record.is_unpacked, err);
	return rc ? rc : chain_add_parents(store, chain, record, err);
}

int ul_snapshot_mounts(struct ul_embedded *store, const char *key,
		       struct ul_buf *ret_text, struct ul_err *err)
{
	ul_cleanup(chain_release) struct chain chain = { .base = NULL };
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	bool is_active = false;
	int rc = chain_find(store, key, &chain, &is_active, err);

	if (!rc) {
		add_mount(&chain, is_active, &text);
		if (text.failed || !ul_buf_add(ret_text, text.data, text.len))
			rc = ul_err_nomem(err);
	}
	return rc ? ul_err_wrap(err, "mounting snapshot \"%s\"", key) : 0;
}
