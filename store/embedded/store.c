#include "store/embedded/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/patience.h"
#include "store/db/db.h"
#include "store/db/stmt.h"
#include "store/embedded/form.h"
#include "store/embedded/identity.h"
#include "store/embedded/open.h"
#include "store/embedded/ops.h"
#include "store/embedded/reserve.h"
#include "store/limits.h"
#include "store/oci/json.h"
#include "store/oci/layout.h"

enum { LOCK_WAIT_MS = 30000, DAMAGE_WAIT_MS = 5000, LAYOUT_RETRY_MS = 500 };

const struct ul_form ul_form_embedded = {
	.kind = "embedded",
	.layout = "oci/",
	.trash = "trash",
	/* Longer than any pull leaves its blobs without a name. */
	.grace_s = 3600,
	.is_ours = true,
};

static void embedded_close(struct ul_embedded *store)
{
	int *fds[] = { &store->root_fd,   &store->oci_fd,
		       &store->blobs_fd,  &store->snapshots_fd,
		       &store->ingest_fd, &store->trash_fd };
	size_t i;

	for (i = 0; i < ul_array_len(fds); i++)
		ul_closep(fds[i]);
	ul_db_close(store->db);
	free(store->state_path);
	free(store->path);
	free(store->record_path);
	free(store->name);
	free(store->db_path);
	free(store);
}

void ul_embedded_close_base(struct ul_store *base)
{
	embedded_close((struct ul_embedded *)base);
}

void ul_embedded_closep(struct ul_embedded **store)
{
	if (*store)
		embedded_close(*store);
	*store = NULL;
}

struct ul_embedded *ul_embedded_new(const struct ul_form *form,
				    const char *state_path, const char *path,
				    const char *record_path)
{
	struct ul_embedded *store = ul_calloc(1, sizeof *store);

	if (!store)
		return NULL;
	store->root_fd = store->oci_fd = store->blobs_fd = -1;
	store->snapshots_fd = store->ingest_fd = store->trash_fd = -1;
	store->sweep_most = UL_TRASH_RECORD_MAX_ITEMS;
	store->lock_wait_ms = LOCK_WAIT_MS;
	store->patience.limit_ms = DAMAGE_WAIT_MS;
	store->index_lock = UL_INDEX_LOCK_INIT;
	store->state_path = ul_strdup(state_path);
	store->form = form;
	store->path = ul_strdup(path);
	store->record_path = ul_strdup(record_path);
	store->name = form->is_ours ? ul_strdup(form->kind)
				    : ul_asprintf("%s:%s", form->kind, path);
	store->db_path = ul_asprintf("%s/ullage.db", state_path);
	if (!store->state_path || !store->path || !store->record_path ||
	    !store->name || !store->db_path) {
		embedded_close(store);
		return NULL;
	}
	store->base = (struct ul_store){
		.ops = &ul_embedded_ops,
		.name = store->name,
		.kind = form->kind,
		.path = store->path,
		.record_path = store->record_path,
		.grace_s = form->grace_s,
		.is_shared = !form->is_ours,
	};
	return store;
}

/* A folder that is there already is as good as one that was made. */
static int make_dir(int dirfd, const char *name, struct ul_err *err)
{
	if (mkdirat(dirfd, name, 0755) && errno != EEXIST)
		return ul_err_sys(err, "make directory %s", name);
	return 0;
}

static int sync_dir(int dirfd, const char *name, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	int rc = ul_dir_open(dirfd, name, &fd, err);

	return rc ? rc : ul_fd_sync(fd, name, err);
}

/* All of them before the index can name anything in one. */
static int make_dirs(int root_fd, struct ul_err *err)
{
	static const char *const dirs[] = {
		"oci",       "oci/blobs", "oci/blobs/sha256",
		"snapshots", "ingest",    "trash"
	};
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < ul_array_len(dirs); i++)
		rc = make_dir(root_fd, dirs[i], err);
	for (i = 0; !rc && i < ul_array_len(dirs); i++)
		rc = sync_dir(root_fd, dirs[i], err);
	return rc ? rc : ul_fd_sync(root_fd, "the store's folder", err);
}

static int make_file(int dirfd, const char *name, const char *text,
		     struct ul_err *err)
{
	if (!faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW))
		return 0;
	return ul_file_replace(dirfd, name, text, strlen(text), 0644, err);
}

static int dir_is_empty(int fd, bool *ret_empty, struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	int rc = ul_dir_names(fd, &names, err);

	if (!rc)
		*ret_empty = names.len == 0;
	return rc;
}

static int make_identity(int root_fd, struct ul_err *err)
{
	char uid[33];
	int64_t generation;
	int rc = ul_identity_read(root_fd, uid, &generation, err);

	if (rc != UL_E_ABSENT)
		return rc;
	ul_random_hex(uid);
	ul_random_hex(uid + 16);
	return ul_identity_write(root_fd, uid, 0, err);
}

/*
 * index.json comes last but one, store-id last: with it the store is one. An
 * index that is missing where there are blobs is damage, whatever else is.
 */
static int embedded_make(int root_fd, struct ul_err *err)
{
	ul_cleanup(ul_closep) int oci_fd = -1, blobs_fd = -1;
	bool is_empty = false;
	int rc = make_dirs(root_fd, err);

	if (!rc)
		rc = ul_dir_open(root_fd, "oci", &oci_fd, err);
	if (!rc)
		rc = make_file(oci_fd, "oci-layout", ul_identity_layout, err);
	if (!rc && !faccessat(root_fd, "store-id", F_OK, AT_SYMLINK_NOFOLLOW))
		return 0; /* a lost index.json of a store is damage */
	if (!rc)
		rc = ul_dir_open(oci_fd, "blobs/sha256", &blobs_fd, err);
	if (!rc)
		rc = dir_is_empty(blobs_fd, &is_empty, err);
	if (!rc && is_empty)
		rc = make_file(oci_fd, "index.json",
			       "{\"schemaVersion\":2,\"manifests\":[]}", err);
	return rc ? rc : make_identity(root_fd, err);
}

/* image-spec, image-layout.md, oci-layout File: every 1.x is ours to read. */
static int layout_marker_check(struct ul_embedded *store, struct ul_err *err)
{
	int rc = ul_identity_layout_check(store->oci_fd, err);

	return rc ? ul_err_wrap(err, "%soci-layout", store->form->layout) : 0;
}

/* skopeo truncates it, and writes it again, as it does the index. */
int ul_layout_marker_wait(struct ul_embedded *store, struct ul_err *err)
{
	struct ul_patience patience = { .limit_ms = LAYOUT_RETRY_MS };
	int rc;

	do {
		rc = layout_marker_check(store, err);
	} while (rc == UL_E_CORRUPT && ul_patience_wait(&patience));
	return rc;
}

/*
 * What cannot be understood stands between store and database, as much as
 * what says something else: no reason to show nothing.
 */
static int identity_load(struct ul_embedded *store, struct ul_err *err)
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

static int embedded_open_dirs(struct ul_embedded *store, struct ul_err *err)
{
	const struct {
		int *fd;
		const char *name;
	} dirs[] = {
		{ &store->oci_fd, "oci" },
		{ &store->blobs_fd, "oci/blobs" },
		{ &store->snapshots_fd, "snapshots" },
		{ &store->ingest_fd, "ingest" },
		{ &store->trash_fd, "trash" },
	};
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < ul_array_len(dirs); i++)
		rc = ul_dir_open(store->root_fd, dirs[i].name, dirs[i].fd, err);
	if (!rc)
		rc = ul_layout_marker_wait(store, err);
	if (rc == UL_E_ABSENT) {
		err->code = UL_E_CORRUPT;
		return ul_err_wrap(err, "%s is not whole", store->path);
	}
	return rc ? rc : identity_load(store, err);
}

/* 0 made or there, 1 no right to write here, negative: failed. */
static int embedded_prepare(struct ul_embedded *store, struct ul_err *err)
{
	int rc = ul_dir_make(store->path, err);

	if (rc == UL_E_IO &&
	    (err->sys_errno == EACCES || err->sys_errno == EROFS ||
	     err->sys_errno == EPERM))
		return 1;
	if (rc)
		return rc;
	rc = ul_dir_open(AT_FDCWD, store->path, &store->root_fd, err);
	if (rc)
		return rc;
	if (faccessat(store->root_fd, ".", W_OK, AT_EACCESS) ||
	    access(store->state_path, W_OK))
		return 1;
	if (!faccessat(store->root_fd, "store-id", F_OK, AT_SYMLINK_NOFOLLOW))
		return 0;
	/* Two first users at once: one makes it, the other finds it made. */
	rc = ul_fd_lock(store->root_fd, true, LOCK_WAIT_MS, NULL, NULL, err);
	if (rc)
		return rc;
	rc = embedded_make(store->root_fd, err);
	flock(store->root_fd, LOCK_UN);
	return rc;
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
			rc = dir_is_empty(fd, &is_empty, err);
		else if (rc == UL_E_ABSENT && alg != UL_DIGEST_SHA256)
			rc = 0;
	}
	if (!rc)
		*ret_none = is_empty;
	return rc;
}

static int generation_in_db(struct ul_embedded *store, int64_t generation,
			    struct ul_err *err);

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
			rc = dir_is_empty(store->snapshots_fd, &no_snapshots,
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
	int rc = dir_is_empty(store->trash_fd, &is_empty, err);

	if (!rc && !is_empty)
		rc = ul_db_renew_uid(store->db, err);
	return rc ? rc : ul_db_uid(store->db, store->db_uid, err);
}

/*
 * A database that does not know the store, or is behind, and an empty store
 * belong together from now on. Looked at again under the lock: meanwhile
 * another process may have filled it.
 */
static int embedded_adopt(struct ul_embedded *store, struct ul_err *err)
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

int ul_embedded_open_db(struct ul_embedded *store, struct ul_err *err)
{
	int rc = UL_E_ABSENT;

	if (store->is_writable)
		rc = ul_db_open(store->db_path, UL_DB_WRITE, &store->db, err);
	if (rc == UL_E_DB)
		snprintf(store->problem, sizeof store->problem, "%.250s",
			 err->msg);
	if (rc == UL_E_DB || !store->is_writable)
		rc = ul_db_open(store->db_path, UL_DB_READ, &store->db, err);
	if (*store->problem)
		store->is_writable = false;
	store->base.db = store->db;
	/* Reports still work, from what is on disk alone. */
	store->is_from_memory = rc == UL_E_ABSENT || rc == UL_E_DB;
	if (store->is_from_memory)
		rc = ul_db_open(NULL, UL_DB_MEMORY, &store->db, err);
	store->base.db = store->db;
	return rc ? rc : ul_db_uid(store->db, store->db_uid, err);
}

static struct ul_embedded *embedded_new(const char *state_path)
{
	ul_cleanup(ul_freep) char *path = ul_asprintf("%s/store", state_path);

	return path ? ul_embedded_new(&ul_form_embedded, state_path, path,
				      UL_EMBEDDED_RECORD_PATH)
		    : NULL;
}

int ul_embedded_open(const char *state_path, struct ul_embedded **ret_store,
		     struct ul_err *err)
{
	ul_cleanup(ul_embedded_closep) struct ul_embedded *store =
	    embedded_new(state_path);
	int rc;

	if (!store)
		return ul_err_nomem(err);
	rc = embedded_prepare(store, err);
	if (rc < 0)
		return ul_err_wrap(err, "opening the store in %s", state_path);
	store->is_writable = rc == 0;
	rc = 0;
	if (store->root_fd < 0)
		rc = ul_dir_open(AT_FDCWD, store->path, &store->root_fd, err);
	if (!rc)
		rc = embedded_open_dirs(store, err);
	if (!rc)
		rc = ul_embedded_open_db(store, err);
	if (!rc && store->is_writable)
		rc = embedded_adopt(store, err);
	if (rc)
		return ul_err_wrap(err, "opening the store in %s", state_path);
	*ret_store = ul_steal(store);
	return 0;
}

static bool is_nothing(const char *dir, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof path, "%s/%s", dir, name) < PATH_MAX &&
	       faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) &&
	       errno == ENOENT;
}

int ul_embedded_find(const char *state_path, struct ul_embedded **ret_store,
		     struct ul_err *err)
{
	ul_cleanup(ul_embedded_closep) struct ul_embedded *store =
	    embedded_new(state_path);
	int rc;

	if (!store)
		return ul_err_nomem(err);
	/* One that lost its store-id is one still. */
	if (!is_nothing(store->path, "store-id") ||
	    !is_nothing(store->path, "oci/index.json"))
		return ul_embedded_open(state_path, ret_store, err);
	store->is_absent = true;
	rc = ul_db_open(NULL, UL_DB_MEMORY, &store->db, err);
	if (rc)
		return rc;
	store->base.db = store->db;
	*ret_store = ul_steal(store);
	return 0;
}

/* What was opened from memory because the disk is full, opened after all. */
static int reopen_db(struct ul_embedded *store, struct ul_err *err)
{
	struct ul_db *db = NULL;
	int rc = store->is_stateless ? ul_dir_make(store->state_path, err) : 0;

	if (!rc)
		rc = ul_db_open(store->db_path, UL_DB_WRITE, &db, err);
	if (rc)
		return rc;
	ul_db_close(store->db);
	store->db = store->base.db = db;
	store->is_writable = true;
	store->is_from_memory = store->is_stateless = false;
	*store->problem = '\0';
	return 0;
}

/* What others may have changed while there was no lock. */
static int lock_load(struct ul_embedded *store, struct ul_err *err)
{
	int rc = ul_db_uid(store->db, store->db_uid, err);

	if (rc)
		return rc;
	return store->form->is_ours ? identity_load(store, err)
				    : ul_trash_reopen(store, err);
}

static int lock_take(struct ul_embedded *store, struct ul_err *err)
{
	int rc = ul_fd_lock(store->root_fd, true, store->lock_wait_ms,
			    store->waiting, store->waiting_arg, err);

	if (rc)
		return rc;
	store->is_locked = true;
	store->trash_folder[0] = '\0';
	ul_reserve_release(store->state_path);
	rc = *store->problem ? reopen_db(store, err) : 0;
	if (rc == UL_E_NOMEM)
		return rc;
	if (rc) {
		int sys_errno = err->sys_errno;

		ul_err_set(err, UL_E_REFUSED, "nothing can be changed: %s",
			   store->problem);
		err->sys_errno = sys_errno;
		return UL_E_REFUSED;
	}
	return lock_load(store, err);
}

/* Whether there is nothing to be read: no database was ever made. */
static bool db_is_none(const struct ul_embedded *store)
{
	struct stat st;

	return store->is_stateless &&
	       (stat(store->db_path, &st) ? errno == ENOENT : !st.st_size);
}

/*
 * I11: leases and pins are what the database says under the lock. What was
 * read of it before may be older than the last change of another process.
 */
static int reread_db(struct ul_embedded *store, struct ul_err *err)
{
	struct ul_db *db = NULL;
	int rc;

	if (!*store->problem || db_is_none(store))
		return 0;
	rc = ul_db_open(store->db_path, UL_DB_STILL, &db, err);
	if (rc == UL_E_NOMEM)
		return rc;
	if (rc)
		return ul_err_set(err, UL_E_REFUSED,
				  "what is leased or pinned cannot be read, so "
				  "that nothing was deleted: %s",
				  rc == UL_E_ABSENT ? store->problem
						    : err->msg);
	ul_db_close(store->db);
	store->db = store->base.db = db;
	store->is_from_memory = false;
	return 0;
}

int ul_embedded_lock_full(struct ul_embedded *store, struct ul_err *err)
{
	int rc;

	if (store->is_absent)
		return ul_err_set(err, UL_E_ABSENT, "there is no store in %s",
				  store->state_path);
	rc = ul_fd_lock(store->root_fd, true, store->lock_wait_ms,
			store->waiting, store->waiting_arg, err);
	if (rc)
		return ul_err_wrap(err, "changing %s", store->path);
	store->is_locked = store->is_full = true;
	store->trash_folder[0] = '\0';
	rc = reread_db(store, err);
	if (!rc)
		rc = lock_load(store, err);
	if (rc)
		ul_embedded_unlock(store);
	return rc;
}

int ul_embedded_lock(struct ul_embedded *store, struct ul_err *err)
{
	int rc;

	if (store->is_absent)
		return ul_err_set(err, UL_E_ABSENT,
				  "there is no store in %s; `ullage import` "
				  "makes one",
				  store->state_path);
	if (!store->is_writable && !*store->problem)
		return ul_err_set(
		    err, UL_E_REFUSED, "%s cannot be written by this user",
		    access(store->state_path, W_OK) ? store->state_path
						    : store->path);
	rc = lock_take(store, err);
	if (!rc)
		return 0;
	ul_embedded_unlock(store);
	return rc == UL_E_REFUSED
		   ? rc
		   : ul_err_wrap(err, "changing %s", store->path);
}

void ul_embedded_unlock(struct ul_embedded *store)
{
	if (!store->is_locked)
		return;
	if (!store->is_full)
		ul_reserve_keep(store->state_path);
	flock(store->root_fd, LOCK_UN);
	store->is_locked = store->is_full = false;
}

void ul_embedded_unlockp(struct ul_embedded **locked)
{
	if (*locked)
		ul_embedded_unlock(*locked);
	*locked = NULL;
}

int ul_embedded_index_read_new(struct ul_embedded *store, uint64_t known_hash,
			       struct ul_layout_index **ret_index,
			       struct ul_index_stamp *ret_stamp,
			       struct ul_err *err)
{
	int rc = ul_index_file_read(store->oci_fd, &store->patience, known_hash,
				    ret_index, ret_stamp, err);

	return rc ? ul_err_wrap(err, "%s/%sindex.json", store->path,
				store->form->layout)
		  : 0;
}

int ul_embedded_index_read(struct ul_embedded *store,
			   struct ul_layout_index **ret_index,
			   struct ul_index_stamp *ret_stamp, struct ul_err *err)
{
	return ul_embedded_index_read_new(store, 0, ret_index, ret_stamp, err);
}

int ul_embedded_index_write(struct ul_embedded *store,
			    const struct ul_layout_index *index,
			    const struct ul_index_stamp *expected,
			    struct ul_err *err)
{
	int rc;

	assert(store->is_locked);
	store->index_lock.waiting = store->waiting;
	store->index_lock.waiting_arg = store->waiting_arg;
	rc = ul_index_file_replace(store->oci_fd, &store->index_lock, index,
				   expected, err);
	return rc ? ul_err_wrap(err, "writing the index of %s%s", store->path,
				store->form->is_ours ? "/oci" : "")
		  : 0;
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

int ul_embedded_identify(struct ul_embedded *store, struct ul_err *err)
{
	return generation_in_db(store, store->generation, err);
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

bool ul_embedded_command(const struct ul_embedded *store,
			 struct ul_buf *ret_text)
{
	if (store->form->is_ours)
		return ul_buf_add_str(ret_text, "ullage");
	return ul_buf_printf(ret_text, "ullage --store %s:%s",
			     store->form->kind, store->path);
}
