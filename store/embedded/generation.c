/*
 * Whether a store and the database belong together, by the id and generation
 * that both have; and the changes that keep these in step.
 */
#include "store/embedded/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/stmt.h"
#include "store/embedded/form.h"
#include "store/embedded/identity.h"
#include "store/embedded/open.h"

/*
 * What cannot be understood stands between store and database, as much as
 * what says something else: no reason to show nothing.
 */
int ul_embedded_identity_load(struct ul_embedded *store, struct ul_err *err)
{
	int rc = ul_identity_read(store->root_fd, store->uid,
				  &store->generation, err);

	*store->identity_problem = '\0';
	if (rc != UL_E_CORRUPT && rc != UL_E_ABSENT && rc != UL_E_LIMIT)
		return rc;
	*store->uid = '\0';
	snprintf(store->identity_problem, sizeof store->identity_problem,
		 "%.150s", err->msg);
	return 0;
}

int ul_embedded_store_row(struct ul_embedded *store, int64_t *ret_row,
			  struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *find = NULL, *add = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_STORE_FIND, &find, err);

	if (rc)
		return rc;
	ul_stmt_bind_text(find, ":kind", store->form->kind);
	ul_stmt_bind_text(find, ":path", store->record_path);
	rc = ul_stmt_next(find, err);
	if (rc > 0)
		*ret_row = ul_stmt_i64(find, 0);
	if (rc)
		return rc < 0 ? rc : 0;
	rc = ul_stmt_get(store->db, UL_SQL_STORE_ADD, &add, err);
	if (rc)
		return rc;
	ul_stmt_bind_text(add, ":kind", store->form->kind);
	ul_stmt_bind_text(add, ":path", store->record_path);
	rc = ul_stmt_run(add, err);
	if (!rc)
		*ret_row = ul_db_last_id(store->db);
	return rc;
}

static int generation_in_db(struct ul_embedded *store, int64_t generation,
			    struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int64_t row;
	int rc = ul_embedded_store_row(store, &row, err);

	if (!rc)
		rc = ul_stmt_get(store->db, UL_SQL_STORE_SET_GENERATION, &set,
				 err);
	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":id", row);
	ul_stmt_bind_text(set, ":uid", store->uid);
	ul_stmt_bind_i64(set, ":generation", generation);
	return ul_stmt_run(set, err);
}

int ul_embedded_identify(struct ul_embedded *store, struct ul_err *err)
{
	return generation_in_db(store, store->generation, err);
}

/* What the database has for this store: "" and 0 for none. */
static int db_identity(struct ul_embedded *store, char ret_uid[33],
		       int64_t *ret_generation, struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *find = NULL;
	int rc = ul_stmt_get(store->db, UL_SQL_STORE_FIND, &find, err);

	ret_uid[0] = '\0';
	*ret_generation = 0;
	if (rc)
		return rc;
	ul_stmt_bind_text(find, ":kind", store->form->kind);
	ul_stmt_bind_text(find, ":path", store->record_path);
	rc = ul_stmt_next(find, err);
	if (rc > 0 && ul_stmt_text_len(find, 1) == 32) {
		memcpy(ret_uid, ul_stmt_text(find, 1), 33);
		*ret_generation = ul_stmt_i64(find, 2);
	}
	return rc < 0 ? rc : 0;
}

bool ul_embedded_is_mismatched(const struct ul_embedded *store,
			       const char *record_uid,
			       int64_t record_generation)
{
	if (store->is_stateless)
		return false;
	if (store->is_from_memory)
		return true;
	/* What it knew of another directory is forgotten (scan_forget()). */
	return store->form->is_ours && (*store->identity_problem ||
					strcmp(record_uid, store->uid) != 0 ||
					record_generation < store->generation);
}

bool ul_embedded_mismatch(const struct ul_embedded *store,
			  const char *record_uid, int64_t record_generation,
			  struct ul_buf *ret_text)
{
	if (store->is_from_memory)
		return ul_buf_printf(ret_text,
				     "the database %s cannot be read: this is "
				     "what lies on disk alone",
				     store->db_path);
	if (*store->identity_problem)
		return ul_buf_printf(
		    ret_text,
		    "%s/store-id does not say which store this is (%s): put "
		    "back the one that belongs to it, or run `ullage verify "
		    "--repair`; the database %s is of store %s",
		    store->path, store->identity_problem, store->db_path,
		    *record_uid ? record_uid : "none");
	if (strcmp(record_uid, store->uid))
		return ul_buf_printf(
		    ret_text,
		    "the database %s does not know the store %s: it is of "
		    "store %s, not of %s; put back the ullage.db that belongs "
		    "to it, or run `ullage verify --repair`",
		    store->db_path, store->path,
		    *record_uid ? record_uid : "none", store->uid);
	return ul_buf_printf(
	    ret_text,
	    "the database %s is older than the store %s (%s): it is at "
	    "generation %" PRId64 ", not at %" PRId64 "; put back the newest "
	    "ullage.db that belongs to it, or run `ullage verify --repair`",
	    store->db_path, store->path, store->uid, record_generation,
	    store->generation);
}

static int has_no_blobs(struct ul_embedded *store, bool *ret_none,
			struct ul_err *err)
{
	bool is_empty = true;
	uint8_t alg;
	int rc = 0;

	for (alg = UL_DIGEST_SHA256; is_empty && !rc && ul_digest_size(alg);
	     alg++) {
		ul_cleanup(ul_closep) int fd = -1;

		rc = ul_dir_open(store->blobs_fd, ul_digest_alg_name(alg), &fd,
				 err);
		if (!rc)
			rc = ul_dir_is_empty(fd, &is_empty, err);
		else if (rc == UL_E_ABSENT && alg != UL_DIGEST_SHA256)
			rc = 0;
	}
	if (!rc)
		*ret_none = is_empty;
	return rc;
}

static int may_adopt(struct ul_embedded *store, bool *ret_may,
		     struct ul_err *err)
{
	bool no_blobs = false, no_snapshots = false;
	int64_t generation;
	char uid[33];
	int rc = db_identity(store, uid, &generation, err);

	if (!rc && !*store->identity_problem &&
	    ul_embedded_is_mismatched(store, uid, generation)) {
		rc = has_no_blobs(store, &no_blobs, err);
		if (!rc)
			rc = ul_dir_is_empty(store->snapshots_fd, &no_snapshots,
					     err);
	}
	if (!rc)
		*ret_may = no_blobs && no_snapshots;
	return rc;
}

/*
 * What lies in the trash of a store that is taken over is another database's,
 * or of a time that this one has not seen and in which its runs had the
 * numbers of those to come: with a new id none of it is its own.
 */
static int disown_trash(struct ul_embedded *store, struct ul_err *err)
{
	bool is_empty = false;
	int rc = ul_dir_is_empty(store->trash_fd, &is_empty, err);

	if (!rc && !is_empty)
		rc = ul_db_renew_uid(store->db, err);
	return rc ? rc : ul_db_uid(store->db, store->db_uid, err);
}

/* Looked at again under the lock: meanwhile another process may have filled
 * it. */
int ul_embedded_adopt_empty(struct ul_embedded *store, struct ul_err *err)
{
	bool may;
	int rc = may_adopt(store, &may, err);

	if (rc || !may)
		return rc;
	rc = ul_embedded_lock(store, err);
	if (rc)
		return rc;
	rc = may_adopt(store, &may, err);
	if (!rc && may)
		rc = disown_trash(store, err);
	if (!rc && may)
		rc = ul_embedded_identify(store, err);
	ul_embedded_unlock(store);
	return rc;
}

/* In the transaction. A database that is behind has to stay so. */
static int generation_step(struct ul_embedded *store, struct ul_err *err)
{
	int64_t generation;
	char uid[33];
	int rc = db_identity(store, uid, &generation, err);

	if (rc || !store->form->is_ours ||
	    ul_embedded_is_mismatched(store, uid, generation))
		return rc;
	/* Ahead: a change was committed but its writer then stopped. The next
	 * number has to be one that no copy of this database has either. */
	if (generation > store->generation)
		store->generation = generation;
	return generation_in_db(store, store->generation + 1, err);
}

int ul_embedded_change_begin(struct ul_embedded *store, struct ul_db **ret_tx,
			     struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	int rc;

	assert(store->is_locked);
	rc = ul_db_begin(store->db, &tx, err);
	if (!rc)
		rc = generation_step(store, err);
	if (rc)
		return rc;
	*ret_tx = ul_steal(tx);
	return 0;
}

int ul_embedded_change_adopt(struct ul_embedded *store, struct ul_err *err)
{
	return generation_in_db(store, store->generation + 1, err);
}

int ul_embedded_change_commit(struct ul_embedded *store, struct ul_db **tx,
			      struct ul_err *err)
{
	int rc = ul_db_commit(tx, err);

	/* What it said is not ours to make up. */
	if (!rc && store->form->is_ours && !*store->identity_problem)
		rc = ul_identity_write(store->root_fd, store->uid,
				       store->generation + 1, err);
	if (!rc)
		store->generation++;
	return rc;
}
