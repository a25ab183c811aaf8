#include "store/embedded/snapshot_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/stmt.h"
#include "store/embedded/records.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/store.h"

static const char *const kind_names[] = { "active", "view", "committed" };

const char *ul_snapshot_kind_name(enum ul_snapshot_kind kind)
{
	return kind_names[kind];
}

static int kind_parse(const char *key, const char *word,
		      enum ul_snapshot_kind *ret_kind, struct ul_err *err)
{
	size_t i;

	for (i = 0; i < ul_array_len(kind_names); i++) {
		if (!strcmp(kind_names[i], word)) {
			*ret_kind = (enum ul_snapshot_kind)i;
			return 0;
		}
	}
	return ul_err_set(err, UL_E_CORRUPT, "snapshot %s of no known kind",
			  key);
}

enum snapshot_column {
	SNAPSHOT_KEY,
	SNAPSHOT_PARENT,
	SNAPSHOT_KIND,
	SNAPSHOT_IS_UNPACKED,
	SNAPSHOT_LABELS,
	SNAPSHOT_CREATED
};

void ul_snapshots_release(struct ul_snapshots *snapshots)
{
	ul_arena_release(&snapshots->arena);
	*snapshots = UL_SNAPSHOTS_INIT;
}

/* An array that grows while rows come in; it moves to the arena at the end. */
struct loading {
	struct ul_snapshot *snapshots;
	size_t len, cap;
	struct ul_arena arena;
};

static void loading_release(struct loading *loading)
{
	free(loading->snapshots);
	ul_arena_release(&loading->arena);
}

static int load_row(struct loading *loading, struct ul_stmt *row,
		    struct ul_err *err)
{
	struct ul_snapshot *snapshots =
	    ul_grow(loading->snapshots, &loading->cap, loading->len + 1,
		    sizeof *snapshots);
	struct ul_arena *arena = &loading->arena;
	struct ul_snapshot *to;

	if (!snapshots)
		return ul_err_nomem(err);
	loading->snapshots = snapshots;
	to = &snapshots[loading->len++];
	*to = (struct ul_snapshot){
		.key = ul_arena_strdup(arena, ul_stmt_text(row, SNAPSHOT_KEY)),
		.parent =
		    ul_arena_strdup(arena, ul_stmt_text(row, SNAPSHOT_PARENT)),
		.is_unpacked = ul_stmt_i64(row, SNAPSHOT_IS_UNPACKED) != 0,
		.labels =
		    ul_arena_strdup(arena, ul_stmt_text(row, SNAPSHOT_LABELS)),
		.created_unix_s = ul_stmt_i64(row, SNAPSHOT_CREATED),
	};
	if (!to->key || !to->parent || !to->labels)
		return ul_err_nomem(err);
	return kind_parse(to->key, ul_stmt_text(row, SNAPSHOT_KIND), &to->kind,
			  err);
}

static int load_rows(struct loading *loading, struct ul_embedded *store,
		     int64_t store_row, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_SNAPSHOTS, &row, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(row, ":store", store_row);
	while ((rc = ul_stmt_next(row, err)) > 0) {
		rc = load_row(loading, row, err);
		if (rc)
			return rc;
	}
	return rc;
}

int ul_snapshots_load(struct ul_embedded *store, struct ul_snapshots *ret,
		      struct ul_err *err)
{
	ul_cleanup(loading_release) struct loading loading = { .len = 0 };
	struct ul_snapshot *snapshots;
	int64_t store_row;
	int rc = ul_record_row(store, &store_row, err);

	if (rc > 0)
		rc = load_rows(&loading, store, store_row, err);
	if (rc)
		return ul_err_wrap(err, "reading the snapshots");
	snapshots =
	    ul_arena_alloc(&loading.arena, loading.len * sizeof *snapshots);
	if (!snapshots)
		return ul_err_nomem(err);
	if (loading.len)
		memcpy(snapshots, loading.snapshots,
		       loading.len * sizeof *snapshots);
	*ret = (struct ul_snapshots){
		.snapshots = snapshots,
		.len = loading.len,
		.arena = loading.arena,
	};
	loading.arena = UL_ARENA_INIT;
	return 0;
}

static int snapshot_cmp(const void *key, const void *snapshot)
{
	return strcmp(key, ((const struct ul_snapshot *)snapshot)->key);
}

const struct ul_snapshot *ul_snapshots_find(const struct ul_snapshots *list,
					    const char *key)
{
	if (!list->len)
		return NULL;
	return bsearch(key, list->snapshots, list->len, sizeof *list->snapshots,
		       snapshot_cmp);
}

int ul_snapshot_record_find(struct ul_embedded *store, const char *key,
			    struct ul_snapshot_record *ret, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *find = NULL;
	struct ul_snapshot_record record;
	int64_t store_row;
	int rc = ul_record_row(store, &store_row, err);

	if (rc <= 0)
		return rc;
	rc = ul_stmt_get(store->db, UL_SQL_SNAPSHOT_FIND, &find, err);
	if (rc)
		return rc;
	ul_stmt_bind_i64(find, ":store", store_row);
	ul_stmt_bind_text(find, ":key", key);
	rc = ul_stmt_next(find, err);
	if (rc <= 0)
		return rc;
	if (ul_stmt_text_len(find, SNAPSHOT_PARENT) > UL_KEY_MAX_BYTES)
		return ul_err_set(err, UL_E_CORRUPT,
				  "the parent of snapshot %s is no key", key);
	memcpy(record.parent, ul_stmt_text(find, SNAPSHOT_PARENT),
	       ul_stmt_text_len(find, SNAPSHOT_PARENT) + 1);
	record.is_unpacked = ul_stmt_i64(find, SNAPSHOT_IS_UNPACKED) != 0;
	rc = kind_parse(key, ul_stmt_text(find, SNAPSHOT_KIND), &record.kind,
			err);
	if (rc)
		return rc;
	*ret = record;
	return 1;
}

int ul_snapshot_record_get(struct ul_embedded *store, const char *key,
			   struct ul_snapshot_record *ret, struct ul_err *err)
{
	int rc = ul_snapshot_record_find(store, key, ret, err);

	if (!rc)
		return ul_err_set(err, UL_E_ABSENT, "no snapshot \"%s\"", key);
	return rc < 0 ? rc : 0;
}

/* Borrow a statement that is about the store. */
static int store_stmt(struct ul_embedded *store, enum ul_sql sql,
		      struct ul_stmt **ret_stmt, struct ul_err *err)
{
	int64_t store_row;
	int rc = ul_embedded_store_row(store, &store_row, err);

	if (!rc)
		rc = ul_stmt_get(store->db, sql, ret_stmt, err);
	if (!rc)
		ul_stmt_bind_i64(*ret_stmt, ":store", store_row);
	return rc;
}

int ul_snapshot_record_add(struct ul_embedded *store, const char *key,
			   const struct ul_snapshot_record *record,
			   const char *labels, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL;
	int rc = store_stmt(store, UL_SQL_SNAPSHOT_ADD, &add, err);

	if (rc)
		return rc;
	ul_stmt_bind_text(add, ":key", key);
	ul_stmt_bind_text(add, ":parent", record->parent);
	ul_stmt_bind_text(add, ":kind", ul_snapshot_kind_name(record->kind));
	ul_stmt_bind_i64(add, ":is_unpacked", record->is_unpacked);
	ul_stmt_bind_text(add, ":labels", labels);
	ul_stmt_bind_i64(add, ":created", ul_clock_unix_s());
	return ul_stmt_run(add, err);
}

int ul_snapshot_record_delete(struct ul_embedded *store, const char *key,
			      struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *drop = NULL;
	int rc = store_stmt(store, UL_SQL_SNAPSHOT_DELETE, &drop, err);

	if (rc)
		return rc;
	ul_stmt_bind_text(drop, ":key", key);
	return ul_stmt_run(drop, err);
}

int ul_snapshot_record_childless(struct ul_embedded *store, const char *key,
				 struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *children = NULL;
	int rc = store_stmt(store, UL_SQL_SNAPSHOT_CHILDREN, &children, err);

	if (rc)
		return rc;
	ul_stmt_bind_text(children, ":key", key);
	rc = ul_stmt_next(children, err);
	if (rc > 0)
		return ul_err_set(err, UL_E_REFUSED,
				  "snapshot \"%s\" is the parent of \"%s\"",
				  key, ul_stmt_text(children, 0));
	return rc;
}

int ul_snapshot_record_copy_leases(struct ul_embedded *store, const char *from,
				   const char *to, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *copy = NULL;
	int rc = store_stmt(store, UL_SQL_LEASE_RESOURCE_COPY, &copy, err);

	if (rc)
		return rc;
	ul_stmt_bind_text(copy, ":kind", "snapshot");
	ul_stmt_bind_text(copy, ":from", from);
	ul_stmt_bind_text(copy, ":to", to);
	return ul_stmt_run(copy, err);
}

int ul_snapshot_record_drop_leases(struct ul_embedded *store, const char *key,
				   struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *drop = NULL;
	int rc = store_stmt(store, UL_SQL_LEASE_RESOURCES_DELETE, &drop, err);

	if (rc)
		return rc;
	ul_stmt_bind_text(drop, ":kind", "snapshot");
	ul_stmt_bind_text(drop, ":key", key);
	return ul_stmt_run(drop, err);
}

static bool lacks_folder(struct ul_embedded *store, const char *key)
{
	char dir[UL_SNAPSHOT_DIR_MAX];
	struct stat st;

	return ul_snapshot_dir_name(key, false, dir) &&
	       fstatat(store->snapshots_fd, dir, &st, AT_SYMLINK_NOFOLLOW) &&
	       errno == ENOENT;
}

static int name_add(struct ul_names *names, const char *name,
		    struct ul_err *err)
{
	char **grown =
	    ul_grow(names->names, &names->cap, names->len + 1, sizeof *grown);

	if (!grown)
		return ul_err_nomem(err);
	names->names = grown;
	grown[names->len] = ul_strdup(name);
	if (!grown[names->len])
		return ul_err_nomem(err);
	names->len++;
	return 0;
}

static int hollow_find(struct ul_embedded *store, struct ul_names *ret_keys,
		       struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = store_stmt(store, UL_SQL_SNAPSHOTS_LOOSE, &row, err);

	if (rc)
		return rc;
	while ((rc = ul_stmt_next(row, err)) > 0) {
		if (!lacks_folder(store, ul_stmt_text(row, 0)))
			continue;
		rc = name_add(ret_keys, ul_stmt_text(row, 0), err);
		if (rc)
			return rc;
	}
	return rc;
}

int ul_snapshot_record_settle(struct ul_embedded *store, struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	ul_cleanup(ul_names_release) struct ul_names keys = UL_NAMES_INIT;
	size_t i;
	int rc = hollow_find(store, &keys, err);

	if (rc || !keys.len)
		return rc;
	rc = ul_embedded_change_begin(store, &tx, err);
	for (i = 0; !rc && i < keys.len; i++) {
		rc = ul_snapshot_record_delete(store, keys.names[i], err);
		if (!rc)
			rc = ul_snapshot_record_drop_leases(store,
							    keys.names[i], err);
	}
	return rc ? rc : ul_embedded_change_commit(store, &tx, err);
}
