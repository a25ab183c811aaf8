#include "store/embedded/lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/stmt.h"
#include "store/db/words.h"
#include "store/embedded/records.h"
#include "store/embedded/store.h"
#include "store/graph/graph.h"
#include "store/limits.h"

void ul_leases_release(struct ul_leases *leases)
{
	ul_arena_release(&leases->arena);
	*leases = UL_LEASES_INIT;
}

bool ul_lease_is_expired(const struct ul_lease *lease, int64_t now_unix_s)
{
	return lease->expire_unix_s && lease->expire_unix_s <= now_unix_s;
}

/* Arrays that grow while rows come in; they move to the arena at the end. */
struct loading {
	struct ul_lease *leases;
	size_t len, cap;
	struct ul_lease_resource *resources;
	size_t resource_len, resource_cap;
	struct ul_arena arena;
};

static void loading_release(struct loading *loading)
{
	free(loading->leases);
	free(loading->resources);
	ul_arena_release(&loading->arena);
}

enum lease_column {
	LEASE_ID,
	LEASE_CREATED,
	LEASE_EXPIRE,
	LEASE_IS_FLAT,
	LEASE_LABELS
};

static int load_lease(struct loading *loading, struct ul_stmt *row,
		      struct ul_err *err)
{
	struct ul_lease *leases = ul_grow(loading->leases, &loading->cap,
					  loading->len + 1, sizeof *leases);
	struct ul_lease *lease;

	if (!leases)
		return ul_err_nomem(err);
	loading->leases = leases;
	lease = &leases[loading->len++];
	*lease = (struct ul_lease){
		.id = ul_arena_strdup(&loading->arena,
				      ul_stmt_text(row, LEASE_ID)),
		.created_unix_s = ul_stmt_i64(row, LEASE_CREATED),
		.expire_unix_s = ul_stmt_i64(row, LEASE_EXPIRE),
		.is_flat = ul_stmt_i64(row, LEASE_IS_FLAT) != 0,
		.labels = ul_arena_strdup(&loading->arena,
					  ul_stmt_text(row, LEASE_LABELS)),
	};
	return lease->id && lease->labels ? 0 : ul_err_nomem(err);
}

static int load_leases(struct loading *loading, struct ul_embedded *store,
		       int64_t store_row, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_LEASES, &row, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(row, ":store", store_row);
	while ((rc = ul_stmt_next(row, err)) > 0) {
		rc = load_lease(loading, row, err);
		if (rc)
			return rc;
	}
	return rc;
}

static int load_resource(struct loading *loading, struct ul_stmt *row,
			 struct ul_err *err)
{
	struct ul_lease_resource *resources =
	    ul_grow(loading->resources, &loading->resource_cap,
		    loading->resource_len + 1, sizeof *resources);
	int kind = ul_word_find(ul_kind_words, ul_stmt_text(row, 1));
	const char *key;

	if (!resources)
		return ul_err_nomem(err);
	loading->resources = resources;
	if (kind < 0)
		return ul_err_set(err, UL_E_CORRUPT,
				  "lease %s holds something of no known kind",
				  ul_stmt_text(row, 0));
	key = ul_arena_strdup(&loading->arena, ul_stmt_text(row, 2));
	if (!key)
		return ul_err_nomem(err);
	resources[loading->resource_len++] = (struct ul_lease_resource){
		.kind = (uint8_t)kind,
		.key = key,
	};
	return 0;
}

/* Both lists come in the order of ids; every resource has its lease. */
static int load_resources(struct loading *loading, struct ul_embedded *store,
			  int64_t store_row, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *row = NULL;
	size_t at = 0;
	int rc = ul_stmt_get(store->db, UL_SQL_LEASE_RESOURCES, &row, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(row, ":store", store_row);
	while ((rc = ul_stmt_next(row, err)) > 0) {
		while (at < loading->len &&
		       strcmp(loading->leases[at].id, ul_stmt_text(row, 0)) < 0)
			at++;
		if (at == loading->len ||
		    strcmp(loading->leases[at].id, ul_stmt_text(row, 0)) != 0)
			return ul_err_set(err, UL_E_CORRUPT,
					  "something held by no lease");
		rc = load_resource(loading, row, err);
		if (rc)
			return rc;
		loading->leases[at].resource_count++;
	}
	return rc;
}

static void *into_arena(struct ul_arena *arena, const void *array, size_t size)
{
	void *copy = ul_arena_alloc(arena, size);

	if (copy && size)
		memcpy(copy, array, size);
	return copy;
}

static int loading_finish(struct loading *loading, struct ul_leases *ret,
			  struct ul_err *err)
{
	struct ul_lease *leases = into_arena(&loading->arena, loading->leases,
					     loading->len * sizeof *leases);
	struct ul_lease_resource *resources =
	    into_arena(&loading->arena, loading->resources,
		       loading->resource_len * sizeof *resources);
	size_t i;

	if (!leases || !resources)
		return ul_err_nomem(err);
	for (i = 0; i < loading->len; i++) {
		leases[i].resources = resources;
		resources += leases[i].resource_count;
	}
	*ret = (struct ul_leases){
		.leases = leases,
		.len = loading->len,
		.arena = loading->arena,
	};
	loading->arena = UL_ARENA_INIT;
	return 0;
}

int ul_leases_load(struct ul_embedded *store, struct ul_leases *ret_leases,
		   struct ul_err *err)
{
	ul_cleanup(loading_release) struct loading loading = { .len = 0 };
	ul_cleanup(ul_db_read_endp) struct ul_db *read = NULL;
	int64_t store_row;
	int rc = ul_db_read_begin(store->db, &read, err);

	if (!rc)
		rc = ul_record_row(store, &store_row, err);
	if (rc > 0) {
		rc = load_leases(&loading, store, store_row, err);
		if (!rc)
			rc = load_resources(&loading, store, store_row, err);
	}
	if (!rc)
		rc = loading_finish(&loading, ret_leases, err);
	return rc ? ul_err_wrap(err, "reading the leases") : 0;
}

/* 1: there is one of that id, 0: none. */
static int lease_exists(struct ul_embedded *store, int64_t store_row,
			const char *id, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *find = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_LEASE_FIND, &find, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(find, ":store", store_row);
	ul_stmt_bind_text(find, ":id", id);
	return ul_stmt_next(find, err);
}

static int lease_expect(struct ul_embedded *store, int64_t store_row,
			const char *id, struct ul_err *err)
{
	int rc = lease_exists(store, store_row, id, err);

	if (!rc)
		return ul_err_set(err, UL_E_ABSENT, "no lease \"%s\"", id);
	return rc < 0 ? rc : 0;
}

static int lease_insert(struct ul_embedded *store, int64_t store_row,
			const struct ul_lease *lease, const char *labels,
			struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_LEASE_ADD, &add, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(add, ":store", store_row);
	ul_stmt_bind_text(add, ":id", lease->id);
	ul_stmt_bind_i64(add, ":created", lease->created_unix_s);
	ul_stmt_bind_i64(add, ":expire", lease->expire_unix_s);
	ul_stmt_bind_i64(add, ":is_flat", lease->is_flat);
	ul_stmt_bind_text(add, ":labels", labels);
	return ul_stmt_run(add, err);
}

int ul_lease_create(struct ul_embedded *store, const struct ul_lease *lease,
		    struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	ul_cleanup(ul_buf_release) struct ul_buf labels = UL_BUF_INIT;
	int64_t row;
	int rc;

	rc = ul_record_key_check(lease->id, UL_KEY_MAX_BYTES, "lease id", err);
	if (!rc)
		rc = ul_record_labels(lease->labels, &labels, err);
	if (!rc)
		rc = ul_embedded_change_begin(store, &tx, err);
	if (!rc)
		rc = ul_embedded_store_row(store, &row, err);
	if (!rc)
		rc = lease_exists(store, row, lease->id, err);
	if (rc > 0)
		rc = ul_err_set(err, UL_E_CONFLICT,
				"there is a lease \"%s\" already", lease->id);
	if (!rc)
		rc = lease_insert(store, row, lease, ul_buf_str(&labels), err);
	if (!rc)
		rc = ul_embedded_change_commit(store, &tx, err);
	return rc ? ul_err_wrap(err, "making a lease") : 0;
}

static int lease_drop(struct ul_embedded *store, int64_t store_row,
		      const char *id, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *drop = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_LEASE_DELETE, &drop, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(drop, ":store", store_row);
	ul_stmt_bind_text(drop, ":id", id);
	return ul_stmt_run(drop, err);
}

int ul_lease_delete(struct ul_embedded *store, const char *id,
		    struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	int64_t row;
	int rc = ul_embedded_change_begin(store, &tx, err);

	if (!rc)
		rc = ul_embedded_store_row(store, &row, err);
	if (!rc)
		rc = lease_expect(store, row, id, err);
	if (!rc)
		rc = lease_drop(store, row, id, err);
	if (!rc)
		rc = ul_embedded_change_commit(store, &tx, err);
	return rc ? ul_err_wrap(err, "removing a lease") : 0;
}

static int resource_check(uint8_t kind, const char *key, struct ul_err *err)
{
	struct ul_digest digest;

	switch (kind) {
	case UL_KIND_BLOB:
		if (!ul_digest_parse(key, &digest))
			return ul_err_set(err, UL_E_INVALID,
					  "a blob is named by its digest");
		return 0;
	case UL_KIND_SNAPSHOT:
		return ul_record_key_check(key, UL_KEY_MAX_BYTES,
					   "snapshot key", err);
	case UL_KIND_IMAGE:
		return ul_record_key_check(key, UL_NAME_MAX_BYTES, "image name",
					   err);
	default:
		return ul_err_set(err, UL_E_INVALID,
				  "a lease holds blobs, snapshots and images");
	}
}

/* Bind what names a resource and run it: 1 where a row came back. */
static int resource_run(struct ul_embedded *store, enum ul_sql sql,
			int64_t store_row, const char *id,
			const struct ul_lease_resource *resource,
			struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *change = NULL;
	int rc = ul_stmt_get(store->db, sql, &change, err);

	if (rc)
		return rc;
	ul_stmt_bind_i64(change, ":store", store_row);
	ul_stmt_bind_text(change, ":lease", id);
	ul_stmt_bind_text(change, ":kind", ul_kind_words[resource->kind]);
	ul_stmt_bind_text(change, ":key", resource->key);
	return ul_stmt_next(change, err);
}

int ul_lease_add(struct ul_embedded *store, const char *id, uint8_t kind,
		 const char *key, struct ul_err *err)
{
	const struct ul_lease_resource resource = { .kind = kind, .key = key };
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	int64_t row;
	int rc = resource_check(kind, key, err);

	if (!rc)
		rc = ul_embedded_change_begin(store, &tx, err);
	if (!rc)
		rc = ul_embedded_store_row(store, &row, err);
	if (!rc)
		rc = lease_expect(store, row, id, err);
	if (!rc)
		rc = resource_run(store, UL_SQL_LEASE_RESOURCE_ADD, row, id,
				  &resource, err);
	if (!rc)
		rc = ul_embedded_change_commit(store, &tx, err);
	return rc ? ul_err_wrap(err, "adding to a lease") : 0;
}

int ul_lease_remove(struct ul_embedded *store, const char *id, uint8_t kind,
		    const char *key, struct ul_err *err)
{
	const struct ul_lease_resource resource = { .kind = kind, .key = key };
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	int64_t row;
	int rc = resource_check(kind, key, err);

	if (!rc)
		rc = ul_embedded_change_begin(store, &tx, err);
	if (!rc)
		rc = ul_embedded_store_row(store, &row, err);
	if (!rc)
		rc = lease_expect(store, row, id, err);
	if (!rc)
		rc = resource_run(store, UL_SQL_LEASE_RESOURCE_DELETE, row, id,
				  &resource, err);
	if (!rc)
		rc = ul_err_set(err, UL_E_ABSENT,
				"lease \"%s\" does not hold %s %s", id,
				ul_kind_words[kind], key);
	if (rc > 0)
		rc = ul_embedded_change_commit(store, &tx, err);
	return rc ? ul_err_wrap(err, "taking from a lease") : 0;
}
