/*
 * base/walk.h - measure directory trees: allocated bytes, every inode once.
 *
 * Several trees are walked together by a few threads, each directory's
 * entries in inode order (few seeks on a cold disk), all relative to open
 * directories. Symlinks are never followed and mount points never crossed
 * (told by mount id, so bind mounts of the same device too; what has another
 * device number without being mounted, a btrfs subvolume, is left out and named
 * like a mount, as du -x leaves it out).
 */
#ifndef UL_BASE_WALK_H
#define UL_BASE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ul_err;

/* An inode (no directory) with more links than this tree holds. */
struct ul_walk_link {
	uint64_t dev;
	uint64_t ino;
	uint32_t nlink; /* links it has */
	uint32_t seen;  /* of those, in this tree */
	uint64_t allocated_bytes;
	bool in_split; /* one of them below the split child */
};

struct ul_walk_tree {
	/* In. */
	const char *path;        /* relative to dirfd; a file or directory */
	const char *split_child; /* NULL, or the name of a child of `path`
				    whose bytes, with all below it, are
				    wanted apart ("fs") */
	const char *skip_child;  /* NULL, or a child of `path` to leave out */
	/* Out, zeroed by ul_walk(). */
	uint64_t allocated_bytes; /* st_blocks * 512, less what links[] hold */
	uint64_t split_bytes;     /* the part of it in split_child */
	uint64_t length_bytes;    /* st_size of regular files, each inode once*/
	uint64_t object_count;    /* inodes, directories too */
	uint64_t dev, ino;        /* of the tree's top */
	int64_t ctime_ns;         /* of the tree's top */
	int64_t newest_unix_s;    /* largest mtime or ctime of the top */
	bool is_absent;           /* the top was not there */
	bool is_partial;          /* see skip_denied */
	struct ul_walk_link *links; /* owned; by (dev, ino); only inodes that
				       have links outside this tree */
	size_t link_count;
	char **mounts; /* owned; paths below dirfd not entered */
	size_t mount_count;
};

struct ul_walk_options {
	int thread_count; /* 0: chosen (8 at most; 12 on a cold disk) */
	/* Leave out what we have no right to read, and only say so. */
	bool skip_denied;
	/* Called now and then from one thread at a time; may be NULL. Return
	 * false to stop (UL_E_CANCELED). */
	bool (*progress)(void *arg, uint64_t objects, uint64_t bytes);
	void *arg;
};

/*
 * Measure `count` trees. What vanishes meanwhile is not counted; what cannot
 * be read (EACCES, EIO) is an error naming the path (EACCES unless it is to
 * be skipped).
 * Owner:   links and mounts of each tree; free with ul_walk_trees_release().
 *          On failure they are released already.
 * Thread:  any; starts and joins its own threads.
 * Returns: 0, UL_E_IO, UL_E_NOMEM, UL_E_CANCELED.
 */
int ul_walk(int dirfd, struct ul_walk_tree *trees, size_t count,
	    const struct ul_walk_options *options, struct ul_err *err);
void ul_walk_trees_release(struct ul_walk_tree *trees, size_t count);

#endif
