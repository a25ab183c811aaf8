/*
 * Sizes against those that were measured: cheap, and it finds what somebody
 * has changed in a layer that nobody ever should.
 *
 * Directories may take other blocks than they did (they grow, are compacted,
 * and shrink on some file systems), so that a difference which they explain
 * says nothing. A file or directory that was changed after its tree was
 * measured says it all. A tree that was copied has another inode: whatever
 * its new file system makes of it is not compared.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/walk.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/store.h"
#include "store/graph/graph.h"
#include "store/verify/internal.h"

enum { SETTLED_S = 600 };

struct measures {
	struct verify *verify;
	struct ul_walk_tree *trees;       /* owned */
	const struct ul_object **objects; /* owned; that of each tree */
	size_t len;
};

static void measures_release(struct measures *measures)
{
	free(measures->trees);
	free(measures->objects);
}

static const struct ul_object *object_of(const struct verify *verify,
					 const struct ul_item *item)
{
	const struct ul_snapshot *snapshot;
	uint32_t at;

	if (item->kind != UL_ITEM_SNAPSHOT)
		return NULL;
	snapshot = verify_record_of(verify, item);
	if (!snapshot || snapshot->kind != UL_SNAPSHOT_COMMITTED)
		return NULL;
	at = ul_record_find(&verify->record, UL_KIND_SNAPSHOT, "", "",
			    item->key);
	return at == UL_OBJECT_NONE ? NULL : &verify->record.objects[at];
}

static int trees_make(struct measures *measures)
{
	struct verify *verify = measures->verify;
	size_t i;

	measures->trees =
	    ul_calloc(verify->inventory.len + 1, sizeof *measures->trees);
	measures->objects =
	    ul_calloc(verify->inventory.len + 1, sizeof *measures->objects);
	if (!measures->trees || !measures->objects)
		return ul_err_nomem(verify->err);
	for (i = 0; i < verify->inventory.len; i++) {
		const struct ul_item *item = &verify->inventory.items[i];
		const struct ul_object *object = object_of(verify, item);

		if (!object || !object->measure.measured_unix_s ||
		    object->measure.dev != item->dev ||
		    object->measure.ino != item->ino)
			continue;
		measures->trees[measures->len] = (struct ul_walk_tree){
			.path = item->path,
			.split_child = "fs",
		};
		measures->objects[measures->len++] = object;
	}
	return 0;
}

static uint64_t recorded_bytes(const struct ul_measure *measure)
{
	uint64_t bytes = measure->allocated_bytes;
	size_t i;

	for (i = 0; i < measure->link_count; i++)
		bytes += measure->links[i].allocated_bytes;
	return bytes;
}

static uint64_t walked_bytes(const struct ul_walk_tree *tree)
{
	uint64_t bytes = tree->allocated_bytes;
	size_t i;

	for (i = 0; i < tree->link_count; i++)
		bytes += tree->links[i].allocated_bytes;
	return bytes;
}

/* What a closer look at a tree gives. */
struct look {
	int root_fd;
	int64_t since_unix_s;
	uint64_t directory_bytes;
	struct ul_buf changed; /* the first path below fs changed since */
	struct ul_names queue;
	struct ul_err *err;
};

static void look_release(struct look *look)
{
	ul_buf_release(&look->changed);
	ul_names_release(&look->queue);
}

/*
 * A layer brings times of its own, from the past or the future; what changed
 * since then has both, and the second can only be set by the system.
 */
static bool is_changed(const struct look *look, const struct stat *st)
{
	return st->st_mtim.tv_sec > look->since_unix_s &&
	       st->st_ctim.tv_sec > look->since_unix_s &&
	       st->st_mtim.tv_sec <= st->st_ctim.tv_sec;
}

static int look_at(struct look *look, const char *path, size_t fs_len)
{
	struct stat st;

	if (fstatat(look->root_fd, path, &st, AT_SYMLINK_NOFOLLOW))
		return 0; /* gone meanwhile: others say so */
	if (is_changed(look, &st) && !look->changed.len &&
	    !ul_buf_add_str(&look->changed,
			    path[fs_len] ? path + fs_len + 1 : "/"))
		return ul_err_nomem(look->err);
	if (!S_ISDIR(st.st_mode))
		return 0;
	look->directory_bytes += (uint64_t)st.st_blocks * 512;
	return ul_names_add(&look->queue, path) ? 0 : ul_err_nomem(look->err);
}

static int look_into(struct look *look, const char *dir, size_t fs_len)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int fd = -1;
	size_t i;
	int rc = ul_dir_open(look->root_fd, dir, &fd, look->err);

	if (!rc)
		rc = ul_dir_names(fd, &names, look->err);
	if (rc)
		return rc == UL_E_NOMEM ? rc : 0;
	for (i = 0; !rc && i < names.len; i++) {
		ul_cleanup(ul_freep) char *path =
		    ul_asprintf("%s/%s", dir, names.names[i]);

		if (!path)
			return ul_err_nomem(look->err);
		rc = look_at(look, path, fs_len);
	}
	return rc;
}

static int look_run(struct look *look, const char *tree)
{
	char fs[UL_SNAPSHOT_DIR_MAX + 32];
	size_t fs_len = (size_t)snprintf(fs, sizeof fs, "%s/fs", tree);
	int rc = look_at(look, fs, fs_len);

	while (!rc && look->queue.len) {
		ul_cleanup(ul_freep) char *dir =
		    look->queue.names[--look->queue.len];

		rc = look_into(look, dir, fs_len);
	}
	return rc;
}

static bool is_settled(const struct ul_measure *measure)
{
	return measure->agreed ||
	       measure->measured_unix_s - measure->ctime_ns / 1000000000 >=
		   SETTLED_S;
}

static struct ul_finding *difference_add(struct verify *verify,
					 const struct look *look,
					 const struct ul_object *object,
					 uint64_t was, uint64_t is)
{
	uint64_t difference = was > is ? was - is : is - was;
	static const char repair[] =
	    "with --deep: moves it to damaged/ if it differs from its layer";

	if (look->changed.len)
		return ul_findings_add(verify->findings, UL_FINDING_DAMAGE,
				       "snapshot", object->key, repair,
				       "was changed after it was unpacked: %s",
				       ul_buf_str(&look->changed));
	if (difference <= look->directory_bytes ||
	    !is_settled(&object->measure))
		return ul_findings_add(verify->findings, UL_FINDING_NOTE,
				       "snapshot", object->key, "",
				       "takes %" PRIu64 " bytes where %" PRIu64
				       " were measured: %s",
				       is, was,
				       difference <= look->directory_bytes
					   ? "blocks of directories"
					   : "it had not settled then");
	return ul_findings_add(verify->findings, UL_FINDING_DAMAGE, "snapshot",
			       object->key, repair,
			       "takes %" PRIu64 " bytes where %" PRIu64
			       " were measured: it was changed after it was "
			       "unpacked",
			       is, was);
}

static int tree_check(struct measures *measures, size_t i)
{
	struct verify *verify = measures->verify;
	const struct ul_object *object = measures->objects[i];
	const struct ul_walk_tree *tree = &measures->trees[i];
	uint64_t was = recorded_bytes(&object->measure);
	uint64_t is = walked_bytes(tree);
	ul_cleanup(look_release) struct look look = {
		.root_fd = verify->store->root_fd,
		.since_unix_s = object->measure.measured_unix_s,
		.err = verify->err,
	};
	int rc;

	if (was == is || tree->is_absent || tree->is_partial)
		return 0;
	rc = look_run(&look, tree->path);
	if (rc)
		return rc;
	if (!difference_add(verify, &look, object, was, is))
		return ul_err_nomem(verify->err);
	return verify_chain_hurts(verify, object->key);
}

static bool on_walk(void *arg, uint64_t objects, uint64_t bytes)
{
	const struct verify *verify = arg;

	(void)objects;
	return !verify->options->progress ||
	       verify->options->progress(verify->options->arg,
					 "measuring snapshots", bytes, 0);
}

int verify_measures(struct verify *verify)
{
	ul_cleanup(measures_release) struct measures measures = {
		.verify = verify,
	};
	struct ul_walk_options options = {
		.skip_denied = true,
		.progress = on_walk,
		.arg = verify,
	};
	size_t i;
	int rc = trees_make(&measures);

	if (rc || !measures.len)
		return rc;
	rc = ul_walk(verify->store->root_fd, measures.trees, measures.len,
		     &options, verify->err);
	if (rc)
		return rc;
	for (i = 0; !rc && i < measures.len; i++)
		rc = tree_check(&measures, i);
	ul_walk_trees_release(measures.trees, measures.len);
	return rc;
}
