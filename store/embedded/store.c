/*
 * A store's handle: making the folders, opening them and the database, closing
 * all; and its index.
 */
#include "store/embedded/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/patience.h"
#include "store/db/db.h"
#include "store/embedded/form.h"
#include "store/embedded/identity.h"
#include "store/embedded/open.h"
#include "store/embedded/ops.h"
#include "store/limits.h"

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
	store->keep_most = UL_TRASH_RECORD_MAX_TEXTS;
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
		rc = ul_dir_is_empty(blobs_fd, &is_empty, err);
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
	return rc ? rc : ul_embedded_identity_load(store, err);
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
		rc = ul_embedded_adopt_empty(store, err);
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

/* What a damaged one needs. */
static void index_advise(const struct ul_embedded *store, struct ul_err *err)
{
	struct ul_err why = *err;

	ul_err_set(err, why.code, "%.600s; %s", why.msg,
		   store->form->is_ours
		       ? "`ullage verify --repair` makes a new one"
		       : "it takes a whole one in its place");
}

int ul_embedded_index_read_new(struct ul_embedded *store, uint64_t known_hash,
			       struct ul_layout_index **ret_index,
			       struct ul_index_stamp *ret_stamp,
			       struct ul_err *err)
{
	int rc = ul_index_file_read(store->oci_fd, &store->patience, known_hash,
				    ret_index, ret_stamp, err);

	if (rc == UL_E_CORRUPT || rc == UL_E_LIMIT)
		index_advise(store, err);
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

bool ul_embedded_command(const struct ul_embedded *store,
			 struct ul_buf *ret_text)
{
	if (store->form->is_ours)
		return ul_buf_add_str(ret_text, "ullage");
	return ul_buf_printf(ret_text, "ullage --store %s:%s",
			     store->form->kind, store->path);
}

bool ul_embedded_is_aside(const struct ul_embedded *store, const char *path)
{
	const char *trash = store->form->trash;
	size_t len = strlen(trash);

	if (store->form->is_ours)
		return !strcmp(path, UL_EMBEDDED_DAMAGED);
	return !strncmp(path, trash, len) && path[len] == '/' &&
	       !strcmp(path + len + 1, UL_EMBEDDED_DAMAGED);
}
