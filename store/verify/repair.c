#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/embedded/mounts.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/snapshot_record.h"
#include "store/embedded/store.h"
#include "store/verify/internal.h"

int repair_trash(struct verify *verify)
{
	struct ul_embedded *store = verify->store;
	char to[256];
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < verify->damaged_trash.len; i++) {
		const char *dir = verify->damaged_trash.names[i];

		snprintf(to, sizeof to, "trash-%.200s", dir);
		rc = verify_set_aside(store->root_fd, store->trash_fd, dir, to,
				      verify->err);
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

static int blob_aside(struct verify *verify, const struct ul_layout_node *node)
{
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_embedded *store = verify->store;
	const char *alg = ul_digest_alg_name(node->digest.alg);
	char hex[UL_DIGEST_HEX_MAX + 1], to[UL_DIGEST_TEXT_MAX], dir[32];
	int rc = is_still_bad(verify, node);

	if (rc <= 0)
		return rc;
	ul_digest_format_hex(&node->digest, hex);
	snprintf(to, sizeof to, "%s-%s", alg, hex);
	snprintf(dir, sizeof dir, "blobs/%s", alg);
	rc = ul_dir_open(store->oci_fd, dir, &fd, verify->err);
	return rc ? rc
		  : verify_set_aside(store->root_fd, fd, hex, to, verify->err);
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
	struct ul_embedded *store = verify->store;
	char dir[UL_SNAPSHOT_DIR_MAX];

	if (!ul_snapshot_dir_name(snapshot->key, snapshot->is_unpacked, dir))
		return 0;
	return verify_set_aside(store->root_fd, store->snapshots_fd, dir, dir,
				verify->err);
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
		    verify_is_stopped_commit(verify, snapshot))
			continue;
		rc = record_remove(verify, snapshot);
		if (!rc)
			rc = folder_aside(verify, snapshot);
	}
	return rc;
}

/* A snapshot of a user that stands on it, however far down. */
static bool is_stood_on(const struct verify *verify, const char *key)
{
	size_t i;

	for (i = 0; i < verify->snapshots.len; i++) {
		const struct ul_snapshot *child =
		    &verify->snapshots.snapshots[i];

		if (!strcmp(child->parent, key) &&
		    (!child->is_unpacked || is_stood_on(verify, child->key)))
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

	if (!snapshot || is_stood_on(verify, key) ||
	    !ul_snapshot_dir_name(key, snapshot->is_unpacked, dir))
		return 0;
	rc = is_mounted(verify, mounts, dir);
	if (rc)
		return rc < 0 ? rc : 0;
	/* The folder first: a record without one is what a repair removes. */
	rc = verify_set_aside(verify->store->root_fd,
			      verify->store->snapshots_fd, dir, dir,
			      verify->err);
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
	struct ul_layout_check_options options = {
		.is_whole = true,
		.progress = verify->options->progress,
		.arg = verify->options->arg,
	};

	return ul_layout_check_run(verify->store->oci_fd, &options, ret,
				   &ignored, verify->err);
}

/* Content first, then names, then records, and last what lets others collect
 * again: that database and store know each other. */
static int repair_all(struct verify *verify)
{
	ul_cleanup(ul_layout_check_release) struct ul_layout_check whole =
	    UL_LAYOUT_CHECK_INIT;
	bool is_rebuilt =
	    verify->layout.is_index_damaged || verify->is_mismatched;
	int rc = repair_trash(verify);

	if (!rc)
		rc = repair_blobs(verify);
	if (!rc && is_rebuilt)
		rc = whole_read(verify, &whole);
	if (!rc && verify->layout.is_index_damaged)
		rc = repair_index(verify, &whole);
	if (!rc)
		rc = repair_snapshots(verify);
	if (!rc && verify->is_mismatched)
		rc = repair_identity(verify, &whole);
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
	int rc = check_and_repair(store, options, findings, err);

	if (!rc)
		rc = ul_verify_store(store, options, &after, ret, err);
	if (rc)
		return ul_err_wrap(err, "repairing %s", store->path);
	return ul_findings_settle(findings, &after) ? 0 : ul_err_nomem(err);
}
