/*
 * The lock of a store, and what is looked at anew once it is held: what other
 * processes changed meanwhile, a database that could not be opened before.
 */
#include "store/embedded/store.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "store/db/db.h"
#include "store/embedded/form.h"
#include "store/embedded/open.h"
#include "store/embedded/reserve.h"

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
	return store->form->is_ours ? ul_embedded_identity_load(store, err)
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
