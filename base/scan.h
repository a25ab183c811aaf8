/*
 * base/scan.h - one open directory's entries in batches, and their stat.
 *
 * Shared by the walker and the remover. Nothing here follows a symlink,
 * starts an automount or asks a server for what is known already.
 */
#ifndef UL_BASE_SCAN_H
#define UL_BASE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct statx;

struct ul_scan_entry {
	uint64_t ino;
	const char *name; /* borrowed from the batch */
};

/* The batch read last. */
struct ul_scan {
	struct ul_scan_entry *entries; /* owned; in inode order */
	char *bytes;                   /* owned */
	size_t len;
};
#define UL_SCAN_INIT ((struct ul_scan){ .entries = NULL })

/* Free the batch; usable afterwards. */
void ul_scan_release(struct ul_scan *scan);

/*
 * Read the next batch of a directory, . and .. left out.
 * Returns: 1 with entries, 0 at the end, -1 with errno (ENOMEM too).
 */
int ul_scan_next(struct ul_scan *scan, int fd);

/*
 * Open a directory for reading, its access time left alone where the kernel
 * permits (owner or CAP_FOWNER). Returns the descriptor, or -1 with errno.
 */
int ul_scan_open(int dirfd, const char *name);

/*
 * Stat a name, or with "" the descriptor itself. stx_mnt_id is the device
 * where the kernel (before 5.8) knows no mount ids. 0, or -1 with errno.
 */
int ul_scan_stat(int dirfd, const char *name, struct statx *ret_st);

/* st_blocks in bytes, and st_dev in one number. */
uint64_t ul_scan_allocated_bytes(const struct statx *st);
uint64_t ul_scan_dev(const struct statx *st);

/* Does errno say that the name is gone, or no directory any more? */
bool ul_scan_is_gone(int error);

#endif
