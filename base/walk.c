#include "base/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirpool.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"

/* Where the disk has to be read: it answers so many at once. */
enum { COLD_THREADS = 12 };

/* One name of an inode that has several. */
struct walk_name {
	size_t tree;
	struct ul_walk_link link;
	uint64_t length_bytes;
};

struct walk_mount {
	size_t tree;
	char *path; /* owned */
};

/* What one thread found, merged at the end. */
struct walk_found {
	struct walk_name *names; /* owned */
	size_t name_count, name_cap;
	struct walk_mount *mounts; /* owned */
	size_t mount_count, mount_cap;
};

struct walk_sums {
	uint64_t allocated_bytes, split_bytes, length_bytes, object_count;
};

struct walk {
	struct ul_walk_tree *trees;
	size_t count;
	const struct ul_walk_options *options;
	struct walk_found *found; /* owned; one a thread */
	size_t found_count;
	atomic_uint_fast64_t objects, bytes; /* for progress only */
	pthread_mutex_t lock;                /* of err */
	struct ul_err err;                   /* the first */
};

static struct walk *walk_of(const struct ul_dirpool_worker *worker)
{
	return worker->pool->user;
}

static struct walk_found *found_of(const struct ul_dirpool_worker *worker)
{
	return &walk_of(worker)->found[worker->index];
}

static void walk_fail(struct ul_dirpool_worker *worker,
		      const struct ul_err *err)
{
	struct walk *walk = walk_of(worker);

	pthread_mutex_lock(&walk->lock);
	if (!walk->err.code)
		walk->err = *err;
	pthread_mutex_unlock(&walk->lock);
	ul_dirpool_stop(worker->pool);
}

/* What errno says of a name below dir. */
static int path_error(const char *what, const struct ul_dirpool_dir *dir,
		      const char *name, struct ul_err *err)
{
	int saved = errno;
	ul_cleanup(ul_freep) char *path = ul_dirpool_path(dir, name);

	if (!path)
		return ul_err_nomem(err);
	errno = saved;
	return ul_err_sys(err, "%s %s", what, path);
}

static int mount_add(struct ul_dirpool_worker *worker,
		     const struct ul_dirpool_dir *dir, const char *name,
		     struct ul_err *err)
{
	struct walk_found *found = found_of(worker);
	struct walk_mount *mounts =
	    ul_grow(found->mounts, &found->mount_cap, found->mount_count + 1,
		    sizeof *mounts);
	char *path;

	if (!mounts)
		return ul_err_nomem(err);
	found->mounts = mounts;
	path = ul_dirpool_path(dir, name);
	if (!path)
		return ul_err_nomem(err);
	mounts[found->mount_count++] = (struct walk_mount){
		.tree = dir->tree,
		.path = path,
	};
	return 0;
}

static int name_add(struct ul_dirpool_worker *worker, size_t tree,
		    const struct statx *st, bool in_split, struct ul_err *err)
{
	struct walk_found *found = found_of(worker);
	struct walk_name *names = ul_grow(found->names, &found->name_cap,
					  found->name_count + 1, sizeof *names);

	if (!names)
		return ul_err_nomem(err);
	found->names = names;
	names[found->name_count++] = (struct walk_name){
		.tree = tree,
		.link = { .dev = ul_scan_dev(st),
			  .ino = st->stx_ino,
			  .nlink = st->stx_nlink,
			  .seen = 1,
			  .allocated_bytes = ul_scan_allocated_bytes(st),
			  .in_split = in_split },
		.length_bytes = S_ISREG(st->stx_mode) ? st->stx_size : 0,
	};
	return 0;
}

static void sums_add(struct walk_sums *sums, const struct statx *st,
		     bool in_split)
{
	uint64_t bytes = ul_scan_allocated_bytes(st);

	sums->allocated_bytes += bytes;
	sums->split_bytes += in_split ? bytes : 0;
	sums->length_bytes += S_ISREG(st->stx_mode) ? st->stx_size : 0;
	sums->object_count++;
}

static void tree_add(struct ul_walk_tree *tree, const struct walk_sums *sums)
{
	__atomic_fetch_add(&tree->allocated_bytes, sums->allocated_bytes,
			   __ATOMIC_RELAXED);
	__atomic_fetch_add(&tree->split_bytes, sums->split_bytes,
			   __ATOMIC_RELAXED);
	__atomic_fetch_add(&tree->length_bytes, sums->length_bytes,
			   __ATOMIC_RELAXED);
	__atomic_fetch_add(&tree->object_count, sums->object_count,
			   __ATOMIC_RELAXED);
}

static void walk_add(struct walk *walk, size_t tree,
		     const struct walk_sums *sums)
{
	tree_add(&walk->trees[tree], sums);
	atomic_fetch_add_explicit(&walk->objects, sums->object_count,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&walk->bytes, sums->allocated_bytes,
				  memory_order_relaxed);
}

static void tree_set_top(struct ul_walk_tree *tree, const struct statx *st)
{
	tree->dev = ul_scan_dev(st);
	tree->ino = st->stx_ino;
	tree->ctime_ns =
	    st->stx_ctime.tv_sec * 1000000000 + st->stx_ctime.tv_nsec;
	tree->newest_unix_s = st->stx_ctime.tv_sec > st->stx_mtime.tv_sec
				  ? st->stx_ctime.tv_sec
				  : st->stx_mtime.tv_sec;
}

static void dir_set(struct ul_dirpool_dir *dir, const struct statx *st)
{
	dir->dev = ul_scan_dev(st);
	dir->ino = st->stx_ino;
	dir->mnt_id = st->stx_mnt_id;
}

/* One device of a mount may have several numbers (btrfs subvolumes): those
 * are not the tree's either, as du -x has it. */
static bool is_elsewhere(const struct ul_dirpool_dir *dir,
			 const struct statx *st)
{
	return st->stx_mnt_id != dir->mnt_id || ul_scan_dev(st) != dir->dev;
}

static int top_look(struct ul_dirpool_worker *worker, size_t index,
		    struct ul_err *err)
{
	struct walk *walk = walk_of(worker);
	struct ul_walk_tree *tree = &walk->trees[index];
	struct walk_sums sums = { 0 };
	struct ul_dirpool_dir *dir;
	struct statx st;

	if (ul_scan_stat(worker->pool->dirfd, tree->path, &st)) {
		if (errno != ENOENT && errno != ENOTDIR)
			return ul_err_sys(err, "stat %s", tree->path);
		tree->is_absent = true;
		return 0;
	}
	tree_set_top(tree, &st);
	if (S_ISDIR(st.stx_mode)) {
		dir = ul_dirpool_add(worker, NULL, index, tree->path);
		if (!dir)
			return ul_err_nomem(err);
		dir_set(dir, &st);
		return 0;
	}
	if (st.stx_nlink > 1)
		return name_add(worker, index, &st, false, err);
	sums_add(&sums, &st, false);
	walk_add(walk, index, &sums);
	return 0;
}

static void walk_top(struct ul_dirpool_worker *worker, size_t index)
{
	struct ul_err err;

	if (top_look(worker, index, &err))
		walk_fail(worker, &err);
}

static int child_add(struct ul_dirpool_worker *worker,
		     struct ul_dirpool_dir *dir, const char *name,
		     const struct statx *st, bool in_split, struct ul_err *err)
{
	struct ul_dirpool_dir *child =
	    ul_dirpool_add(worker, dir, dir->tree, name);

	if (!child)
		return ul_err_nomem(err);
	dir_set(child, st);
	child->in_split = in_split;
	return 0;
}

static int entry_look(struct ul_dirpool_worker *worker,
		      struct ul_dirpool_dir *dir, int fd, const char *name,
		      struct walk_sums *sums, struct ul_err *err)
{
	const struct ul_walk_tree *tree = &walk_of(worker)->trees[dir->tree];
	bool in_split = dir->in_split;
	struct statx st;

	if (!dir->parent && tree->skip_child && !strcmp(name, tree->skip_child))
		return 0;
	if (!dir->parent && tree->split_child)
		in_split = !strcmp(name, tree->split_child);
	if (ul_scan_stat(fd, name, &st))
		return ul_scan_is_gone(errno)
			   ? 0
			   : path_error("stat", dir, name, err);
	if (is_elsewhere(dir, &st))
		return mount_add(worker, dir, name, err);
	if (S_ISDIR(st.stx_mode))
		return child_add(worker, dir, name, &st, in_split, err);
	if (st.stx_nlink > 1)
		return name_add(worker, dir->tree, &st, in_split, err);
	sums_add(sums, &st, in_split);
	return 0;
}

static int entries_look(struct ul_dirpool_worker *worker,
			struct ul_dirpool_dir *dir, int fd,
			struct walk_sums *sums, struct ul_err *err)
{
	struct ul_scan *scan = &worker->scan;
	size_t i;
	int rc;

	while ((rc = ul_scan_next(scan, fd)) > 0) {
		if (atomic_load(&worker->pool->is_stopped))
			return 0;
		for (i = 0; i < scan->len; i++) {
			rc = entry_look(worker, dir, fd, scan->entries[i].name,
					sums, err);
			if (rc)
				return rc;
		}
	}
	if (rc && !ul_scan_is_gone(errno))
		return path_error("read directory", dir, NULL, err);
	return 0;
}

/* Any worker of the tree may say so. */
static void tree_set_partial(struct ul_dirpool_worker *worker,
			     const struct ul_dirpool_dir *dir)
{
	__atomic_store_n(&walk_of(worker)->trees[dir->tree].is_partial, true,
			 __ATOMIC_RELAXED);
}

/*
 * Open a directory and look again at what was opened: it may have been
 * mounted over, replaced or removed while it waited.
 * Returns: 0, 1 where there is nothing to visit, or an error.
 */
static int dir_enter(struct ul_dirpool_worker *worker,
		     struct ul_dirpool_dir *dir, int *ret_fd,
		     struct statx *ret_st, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	int parent_fd = ul_dirpool_parent_fd(worker, dir);
	int rc;

	if (parent_fd != -1)
		fd = ul_scan_open(parent_fd, dir->name);
	if (fd < 0 && errno == EACCES &&
	    walk_of(worker)->options->skip_denied) {
		tree_set_partial(worker, dir);
		return 1;
	}
	if (fd < 0)
		return ul_scan_is_gone(errno)
			   ? 1
			   : path_error("open directory", dir, NULL, err);
	if (ul_scan_stat(fd, "", ret_st))
		return path_error("stat", dir, NULL, err);
	if (dir->parent && is_elsewhere(dir, ret_st)) {
		rc = mount_add(worker, dir, NULL, err);
		return rc ? rc : 1;
	}
	if (!ret_st->stx_nlink)
		return 1;
	dir_set(dir, ret_st);
	*ret_fd = ul_fd_steal(&fd);
	return 0;
}

static int dir_look(struct ul_dirpool_worker *worker,
		    struct ul_dirpool_dir *dir, struct ul_err *err)
{
	struct walk *walk = walk_of(worker);
	struct ul_walk_tree *tree = &walk->trees[dir->tree];
	struct walk_sums sums = { 0 };
	struct statx st;
	int fd = -1, rc = dir_enter(worker, dir, &fd, &st, err);

	if (rc) {
		if (rc > 0 && !dir->parent)
			tree->is_absent = true;
		return rc < 0 ? rc : 0;
	}
	if (!dir->parent)
		tree_set_top(tree, &st);
	sums_add(&sums, &st, dir->in_split);
	rc = entries_look(worker, dir, fd, &sums, err);
	ul_dirpool_settle(worker, dir, fd);
	walk_add(walk, dir->tree, &sums);
	return rc;
}

static void walk_visit(struct ul_dirpool_worker *worker,
		       struct ul_dirpool_dir *dir)
{
	struct ul_err err;

	if (dir_look(worker, dir, &err))
		walk_fail(worker, &err);
}

static bool walk_tick(struct ul_dirpool *pool)
{
	struct walk *walk = pool->user;

	if (walk->options->progress(walk->options->arg,
				    atomic_load(&walk->objects),
				    atomic_load(&walk->bytes)))
		return true;
	pthread_mutex_lock(&walk->lock);
	if (!walk->err.code)
		ul_err_set(&walk->err, UL_E_CANCELED, "canceled");
	pthread_mutex_unlock(&walk->lock);
	return false;
}

static int name_cmp(const void *a, const void *b)
{
	const struct walk_name *x = a, *y = b;

	if (x->tree != y->tree)
		return x->tree < y->tree ? -1 : 1;
	if (x->link.dev != y->link.dev)
		return x->link.dev < y->link.dev ? -1 : 1;
	return x->link.ino < y->link.ino ? -1 : x->link.ino > y->link.ino;
}

static int mount_cmp(const void *a, const void *b)
{
	const struct walk_mount *x = a, *y = b;

	if (x->tree != y->tree)
		return x->tree < y->tree ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* Move what all threads found into the first one's arrays, sorted. */
static int found_merge(struct walk *walk, struct ul_err *err)
{
	struct walk_found *all = &walk->found[0];
	size_t i, name_count = 0, mount_count = 0;
	struct walk_name *names;
	struct walk_mount *mounts;

	for (i = 0; i < walk->found_count; i++) {
		name_count += walk->found[i].name_count;
		mount_count += walk->found[i].mount_count;
	}
	names = ul_grow(all->names, &all->name_cap, name_count, sizeof *names);
	if (!names)
		return ul_err_nomem(err);
	all->names = names;
	mounts =
	    ul_grow(all->mounts, &all->mount_cap, mount_count, sizeof *mounts);
	if (!mounts)
		return ul_err_nomem(err);
	all->mounts = mounts;
	for (i = 1; i < walk->found_count; i++) {
		struct walk_found *found = &walk->found[i];

		if (found->name_count)
			memcpy(names + all->name_count, found->names,
			       found->name_count * sizeof *names);
		all->name_count += found->name_count;
		if (found->mount_count)
			memcpy(mounts + all->mount_count, found->mounts,
			       found->mount_count * sizeof *mounts);
		all->mount_count += found->mount_count;
		found->mount_count = 0;
	}
	qsort(names, name_count, sizeof *names, name_cmp);
	qsort(mounts, mount_count, sizeof *mounts, mount_cmp);
	return 0;
}

/* Fold a run of equal inodes into its first element. */
static size_t name_fold(struct walk_name *names, size_t len)
{
	struct ul_walk_link *first = &names->link;
	size_t i;

	for (i = 1; i < len && !name_cmp(names, &names[i]); i++) {
		const struct ul_walk_link *link = &names[i].link;

		first->seen++;
		first->in_split |= link->in_split;
		/* Linked once more meanwhile: the larger number is newer. */
		if (first->nlink < link->nlink)
			first->nlink = link->nlink;
	}
	return i;
}

/* An inode whose links are all here is the tree's; the others are listed. */
static size_t tree_take_names(struct ul_walk_tree *tree,
			      struct walk_name *names, size_t len)
{
	size_t i, next, kept = 0;

	for (i = 0; i < len; i = next) {
		const struct ul_walk_link *link = &names[i].link;

		next = i + name_fold(names + i, len - i);
		tree->object_count++;
		tree->length_bytes += names[i].length_bytes;
		if (link->seen < link->nlink) {
			names[kept++] = names[i];
			continue;
		}
		tree->allocated_bytes += link->allocated_bytes;
		if (link->in_split)
			tree->split_bytes += link->allocated_bytes;
	}
	return kept;
}

static int tree_set_links(struct ul_walk_tree *tree, struct walk_name *names,
			  size_t len, struct ul_err *err)
{
	size_t i, kept = tree_take_names(tree, names, len);

	if (!kept)
		return 0;
	tree->links = ul_calloc(kept, sizeof *tree->links);
	if (!tree->links)
		return ul_err_nomem(err);
	for (i = 0; i < kept; i++)
		tree->links[i] = names[i].link;
	tree->link_count = kept;
	return 0;
}

static int trees_set_links(struct walk *walk, struct ul_err *err)
{
	const struct walk_found *all = &walk->found[0];
	size_t i, next;
	int rc;

	for (i = 0; i < all->name_count; i = next) {
		size_t tree = all->names[i].tree;

		for (next = i; next < all->name_count; next++) {
			if (all->names[next].tree != tree)
				break;
		}
		rc = tree_set_links(&walk->trees[tree], &all->names[i],
				    next - i, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int trees_set_mounts(struct walk *walk, struct ul_err *err)
{
	struct walk_found *all = &walk->found[0];
	size_t i, next;

	for (i = 0; i < all->mount_count; i = next) {
		struct ul_walk_tree *tree = &walk->trees[all->mounts[i].tree];

		for (next = i; next < all->mount_count; next++) {
			if (all->mounts[next].tree != all->mounts[i].tree)
				break;
		}
		tree->mounts = ul_calloc(next - i, sizeof *tree->mounts);
		if (!tree->mounts)
			return ul_err_nomem(err);
		for (; i < next; i++)
			tree->mounts[tree->mount_count++] =
			    ul_steal(all->mounts[i].path);
	}
	return 0;
}

static void walk_release(struct walk *walk)
{
	size_t i, j;

	for (i = 0; walk->found && i < walk->found_count; i++) {
		struct walk_found *found = &walk->found[i];

		for (j = 0; j < found->mount_count; j++)
			free(found->mounts[j].path);
		free(found->mounts);
		free(found->names);
	}
	free(walk->found);
	pthread_mutex_destroy(&walk->lock);
}

static int walk_run(struct walk *walk, int dirfd, struct ul_err *err)
{
	const struct ul_dirpool_ops ops = {
		.top = walk_top,
		.visit = walk_visit,
		.tick = walk->options->progress ? walk_tick : NULL,
	};
	struct ul_dirpool pool = {
		.ops = &ops,
		.user = walk,
		.dirfd = dirfd,
		.tree_count = walk->count,
		.thread_count = walk->found_count,
		.warm_count =
		    walk->options->thread_count ? 0 : ul_dirpool_threads(0),
	};
	int rc;

	walk->found = ul_calloc(walk->found_count, sizeof *walk->found);
	if (!walk->found)
		return ul_err_nomem(err);
	rc = ul_dirpool_run(&pool, err);
	if (rc)
		return rc;
	if (walk->err.code) {
		*err = walk->err;
		return err->code;
	}
	rc = found_merge(walk, err);
	if (rc)
		return rc;
	rc = trees_set_links(walk, err);
	return rc ? rc : trees_set_mounts(walk, err);
}

static void tree_reset(struct ul_walk_tree *tree)
{
	*tree = (struct ul_walk_tree){
		.path = tree->path,
		.split_child = tree->split_child,
		.skip_child = tree->skip_child,
	};
}

int ul_walk(int dirfd, struct ul_walk_tree *trees, size_t count,
	    const struct ul_walk_options *options, struct ul_err *err)
{
	static const struct ul_walk_options none;
	ul_cleanup(walk_release) struct walk walk = {
		.trees = trees,
		.count = count,
		.options = options ? options : &none,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.err = UL_ERR_INIT,
	};
	size_t i;
	int rc;

	for (i = 0; i < count; i++)
		tree_reset(&trees[i]);
	walk.found_count = ul_dirpool_threads(
	    walk.options->thread_count ? (size_t)walk.options->thread_count
				       : COLD_THREADS);
	rc = walk_run(&walk, dirfd, err);
	if (rc)
		ul_walk_trees_release(trees, count);
	return rc;
}

void ul_walk_trees_release(struct ul_walk_tree *trees, size_t count)
{
	size_t i, j;

	for (i = 0; i < count; i++) {
		for (j = 0; j < trees[i].mount_count; j++)
			free(trees[i].mounts[j]);
		free(trees[i].mounts);
		free(trees[i].links);
		tree_reset(&trees[i]);
	}
}
