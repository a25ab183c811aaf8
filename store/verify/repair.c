#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/embedded/form.h"
#include "store/embedded/mounts.h"
#include "store/embedded/ops.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/snapshot_record.h"
#include "store/embedded/store.h"
#include "store/embedded/trash.h"
#include "store/verify/internal.h"
#include "store/view.h"

static int set_aside(struct verify *verify, int from_fd, const char *from,
		     const char *name)
{
	int rc = repair_holder(verify);

	return rc ? rc
		  : verify_set_aside(verify->holder_fd, from_fd, from, name,
				     verify->err);
}

int repair_trash(struct verify *verify)
{
	char to[256];
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < verify->damaged_trash.len; i++) {
		const char *dir = verify->damaged_trash.names[i];

		snprintf(to, sizeof to, "trash-%.200s", dir);
		rc = set_aside(verify, verify->store->trash_fd, dir, to);
	}
	return rc;
}

/* Other programs write without a lock: it may be whole by now. */
static int is_still_bad(struct verify *verify,
			const struct ul_layout_node *node)
{
	struct ul_err why = UL_ERR_INIT;
	int rc;

	if (node->broken)
		return 1;
	rc = ul_layout_blob_hash(verify->store->oci_fd, &node->digest, &why);
	if (rc == UL_E_NOMEM)
		return ul_err_nomem(verify->err);
	/* No regular file, or one that cannot be read: no blob either way. */
	return rc == UL_E_ABSENT ? 0 : rc <= 0;
}

/* 1: nobody is at it, and it is ours to move; 0: it stays. */
static int is_to_move(struct verify *verify, const struct ul_layout_node *node)
{
	struct ul_layout_check_options options = verify_layout_options(verify);
	enum ul_layout_held held = (enum ul_layout_held)node->held;
	char path[UL_LAYOUT_PATH_MAX];
	int rc = 0;

	ul_layout_blob_path(&node->digest, path);
	if (held == UL_HELD_NOT)
		rc = ul_layout_held(verify->store->oci_fd, path, &options,
				    &held, verify->err);
	return rc ? rc : held == UL_HELD_NOT;
}

static int blob_aside(struct verify *verify, const struct ul_layout_node *node)
{
	ul_cleanup(ul_closep) int fd = -1;
	char hex[UL_DIGEST_HEX_MAX + 1], to[UL_DIGEST_TEXT_MAX];
	const char *alg = ul_digest_alg_name(node->digest.alg);
	int rc = is_still_bad(verify, node);

	if (rc > 0)
		rc = is_to_move(verify, node);
	if (rc <= 0)
		return rc;
	/* Behind a symlink nothing is ours. */
	rc = ul_embedded_blob_folder_open(verify->store, node->digest.alg, &fd,
					  verify->err);
	if (!rc && fd >= 0)
		rc = repair_holder(verify);
	if (rc || fd < 0)
		return rc;
	if (!node->broken)
		return verify_blob_aside(verify->holder_fd, fd, &node->digest,
					 verify->err);
	ul_digest_format_hex(&node->digest, hex);
	snprintf(to, sizeof to, "%s-%s", alg, hex);
	return set_aside(verify, fd, hex, to);
}

int repair_blobs(struct verify *verify)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < verify->layout.node_count; i++) {
		const struct ul_layout_node *node = &verify->layout.nodes[i];

		if (node->is_here && (node->is_bad || node->broken))
			rc = blob_aside(verify, node);
	}
	return rc;
}

static int record_remove(struct verify *verify,
			 const struct ul_snapshot *snapshot)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	struct ul_embedded *store = verify->store;
	int rc = ul_embedded_change_begin(store, &tx, verify->err);

	if (!rc)
		rc = ul_snapshot_record_delete(store, snapshot->key,
					       verify->err);
	/* A layer may be unpacked again; its leases hold it then as before. */
	if (!rc && !snapshot->is_unpacked)
		rc = ul_snapshot_record_drop_leases(store, snapshot->key,
						    verify->err);
	return rc ? rc : ul_embedded_change_commit(store, &tx, verify->err);
}

/* Its folder without `fs`, if there is one, is of no use to anybody. */
static int folder_aside(struct verify *verify,
			const struct ul_snapshot *snapshot)
{
	char dir[UL_SNAPSHOT_DIR_MAX];

	if (!ul_snapshot_dir_name(snapshot->key, snapshot->is_unpacked, dir))
		return 0;
	return set_aside(verify, verify->store->snapshots_fd, dir, dir);
}

static int hollow_remove(struct verify *verify)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < verify->snapshots.len; i++) {
		const struct ul_snapshot *snapshot =
		    &verify->snapshots.snapshots[i];

		if (verify_has_folder(verify->store, snapshot->key,
				      snapshot->is_unpacked) ||
		    verify_is_stopped_commit(verify, snapshot) ||
		    verify_is_trashed(verify, snapshot))
			continue;
		rc = record_remove(verify, snapshot);
		if (!rc)
			rc = folder_aside(verify, snapshot);
	}
	return rc;
}

/*
 * A snapshot of a user that stands on it, however far down. A chain that is
 * longer than there are snapshots is a ring, in a damaged database: kept.
 */
static bool is_stood_on(const struct verify *verify, const char *key,
			size_t depth)
{
	size_t i;

	if (depth > verify->snapshots.len)
		return true;
	for (i = 0; i < verify->snapshots.len; i++) {
		const struct ul_snapshot *child =
		    &verify->snapshots.snapshots[i];

		if (!strcmp(child->parent, key) &&
		    (!child->is_unpacked ||
		     is_stood_on(verify, child->key, depth + 1)))
			return true;
	}
	return false;
}

static int is_mounted(struct verify *verify, const struct ul_mounts *mounts,
		      const char *dir)
{
	ul_cleanup(ul_freep) char *path =
	    ul_asprintf("%s/snapshots/%s", verify->store->path, dir);

	return path ? ul_mounts_use(mounts, path) : ul_err_nomem(verify->err);
}

static int changed_aside(struct verify *verify, const struct ul_mounts *mounts,
			 const char *key)
{
	const struct ul_snapshot *snapshot =
	    ul_snapshots_find(&verify->snapshots, key);
	char dir[UL_SNAPSHOT_DIR_MAX];
	int rc;

	if (!snapshot || is_stood_on(verify, key, 0) ||
	    !ul_snapshot_dir_name(key, snapshot->is_unpacked, dir))
		return 0;
	/* I10: what cannot be known is kept. */
	rc = mounts->is_partial ? 1 : is_mounted(verify, mounts, dir);
	if (rc)
		return rc < 0 ? rc : 0;
	/* The folder first: a record without one is what a repair removes. */
	rc = set_aside(verify, verify->store->snapshots_fd, dir, dir);
	return rc ? rc : record_remove(verify, snapshot);
}

int repair_snapshots(struct verify *verify)
{
	ul_cleanup(ul_mounts_release) struct ul_mounts mounts = UL_MOUNTS_INIT;
	size_t i;
	int rc = hollow_remove(verify);

	if (!rc && verify->changed.len)
		rc = ul_mounts_read(&mounts, verify->err);
	for (i = 0; !rc && i < verify->changed.len; i++)
		rc = changed_aside(verify, &mounts, verify->changed.names[i]);
	return rc;
}

/* Every manifest that is here, named or not. */
static int whole_read(struct verify *verify, struct ul_layout_check *ret)
{
	ul_cleanup(ul_findings_release) struct ul_findings ignored =
	    UL_FINDINGS_INIT;
	struct ul_layout_check_options options = verify_layout_options(verify);

	options.is_whole = true;
	return ul_layout_check_run(verify->store->oci_fd, &options, ret,
				   &ignored, verify->err);
}

static bool is_index_to_repair(const struct verify *verify)
{
	return verify->layout.is_index_damaged &&
	       verify->layout.index_held == UL_HELD_NOT;
}

static bool has_trash(struct ul_embedded *store)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	struct ul_err ignored = UL_ERR_INIT;

	return ul_trash_folders(store, &names, &ignored) || names.len;
}

/*
 * As with every change: what the trash holds but something needs again, perhaps
 * by a name that came back just now, goes back (I1), and what a stop has left
 * half written goes.
 */
static int trash_back(struct ul_embedded *store,
		      const struct ul_verify_options *verify_options,
		      size_t *ret_total, struct ul_err *err)
{
	struct ul_scan_options options = {
		.as_of_unix_s = verify_options->now_unix_s,
	};
	struct ul_store *base = &store->base;
	size_t count;
	int rc = ul_trash_tidy_stopped(store, options.as_of_unix_s, err);

	*ret_total = 0;
	/* A scan measures anew what somebody has changed: not for nothing. */
	if (rc || !has_trash(store))
		return rc;
	do {
		ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;

		count = 0;
		rc = ul_embedded_scan(base, &options, &view, err);
		if (!rc && !view.refusal)
			rc = ul_embedded_restore(base, &view, &count, err);
		*ret_total += count;
	} while (!rc && count);
	return rc;
}

/* Of a layout that this database has not seen, or only another one there. */
static bool is_unknown(const struct verify *verify)
{
	return !verify->store->form->is_ours &&
	       strcmp(verify->record.store_uid, verify->store->uid) != 0;
}

/*
 * Names first, which lead to whole content alone; what is moved after that
 * makes no folder younger that tells whether the index is still being written.
 * Then content, then records, and last what lets others collect again: that
 * database and store know each other.
 */
static int repair_all(struct verify *verify)
{
	ul_cleanup(ul_layout_check_release) struct ul_layout_check whole =
	    UL_LAYOUT_CHECK_INIT;
	bool is_rebuilt = is_index_to_repair(verify) || verify->is_mismatched;
	int rc = repair_trash(verify);

	if (!rc && is_rebuilt)
		rc = whole_read(verify, &whole);
	if (!rc && is_index_to_repair(verify))
		rc = repair_index(verify, &whole);
	if (!rc)
		rc = repair_blobs(verify);
	if (!rc)
		rc = repair_snapshots(verify);
	if (!rc && verify->is_mismatched)
		rc = repair_identity(verify, &whole);
	if (!rc && is_unknown(verify))
		rc = repair_relearn(verify);
	return rc;
}

static int check_and_repair(struct ul_embedded *store,
			    const struct ul_verify_options *options,
			    struct ul_findings *findings, struct ul_err *err)
{
	ul_cleanup(verify_release) struct verify verify = {
		.store = store,
		.options = options,
		.findings = findings,
		.holder_fd = -1,
		.err = err,
	};
	int rc = verify_all(&verify);

	return rc ? rc : repair_all(&verify);
}

int ul_repair_store(struct ul_embedded *store,
		    const struct ul_verify_options *options,
		    struct ul_findings *findings, struct ul_verified *ret,
		    struct ul_err *err)
{
	ul_cleanup(ul_findings_release) struct ul_findings after =
	    UL_FINDINGS_INIT;
	size_t count = 0;
	int rc = check_and_repair(store, options, findings, err);

	if (!rc)
		rc = ul_verify_store(store, options, &after, ret, err);
	if (!rc)
		rc = trash_back(store, options, &count, err);
	if (!rc && count) {
		ul_findings_release(&after);
		rc = ul_verify_store(store, options, &after, ret, err);
	}
	if (rc)
		return ul_err_wrap(err, "repairing %s", store->path);
	return ul_findings_settle(findings, &after) ? 0 : ul_err_nomem(err);
}
