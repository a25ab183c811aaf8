#include "base/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/mem.h"

enum {
	SCAN_BYTES = 128 * 1024,
	/* The kernel's shortest record: header, one letter, NUL, padding. */
	SCAN_RECORD_MIN_BYTES = 24,
	SCAN_ENTRIES = SCAN_BYTES / SCAN_RECORD_MIN_BYTES,
	SCAN_INSERT_MAX = 24,
};

void ul_scan_release(struct ul_scan *scan)
{
	free(scan->entries);
	free(scan->bytes);
	*scan = UL_SCAN_INIT;
}

static bool scan_alloc(struct ul_scan *scan)
{
	if (!scan->bytes)
		scan->bytes = ul_malloc(SCAN_BYTES);
	if (!scan->entries)
		scan->entries = ul_malloc(SCAN_ENTRIES * sizeof *scan->entries);
	return scan->bytes && scan->entries;
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static int entry_cmp(const void *a, const void *b)
{
	uint64_t x = ((const struct ul_scan_entry *)a)->ino;
	uint64_t y = ((const struct ul_scan_entry *)b)->ino;

	return x < y ? -1 : x > y;
}

static void insert_sorted(struct ul_scan_entry *entries, size_t at)
{
	struct ul_scan_entry entry = entries[at];

	for (; at && entries[at - 1].ino > entry.ino; at--)
		entries[at] = entries[at - 1];
	entries[at] = entry;
}

/* Most directories are so small that the calls of qsort() would show. */
static void scan_sort(struct ul_scan *scan)
{
	size_t i;

	if (scan->len > SCAN_INSERT_MAX) {
		qsort(scan->entries, scan->len, sizeof *scan->entries,
		      entry_cmp);
		return;
	}
	for (i = 1; i < scan->len; i++)
		insert_sorted(scan->entries, i);
}

static void scan_parse(struct ul_scan *scan, size_t bytes)
{
	size_t at;

	scan->len = 0;
	for (at = 0; at < bytes;) {
		const struct dirent64 *record =
		    (const void *)(scan->bytes + at);

		at += record->d_reclen;
		if (is_dots(record->d_name))
			continue;
		scan->entries[scan->len++] = (struct ul_scan_entry){
			.ino = record->d_ino,
			.name = record->d_name,
		};
	}
}

int ul_scan_next(struct ul_scan *scan, int fd)
{
	ssize_t bytes;

	if (!scan_alloc(scan))
		return -1;
	do {
		bytes = getdents64(fd, scan->bytes, SCAN_BYTES);
		if (bytes <= 0)
			return (int)bytes;
		scan_parse(scan, (size_t)bytes);
	} while (!scan->len);
	scan_sort(scan);
	return 1;
}

int ul_scan_open(int dirfd, const char *name)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dirfd, name, flags | O_NOATIME);

	return fd < 0 && errno == EPERM ? openat(dirfd, name, flags) : fd;
}

int ul_scan_stat(int dirfd, const char *name, struct statx *ret_st)
{
	struct statx st;

	if (statx(dirfd, name,
		  AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC |
		      (*name ? 0 : AT_EMPTY_PATH),
		  STATX_BASIC_STATS | STATX_MNT_ID, &st))
		return -1;
	if (!(st.stx_mask & STATX_MNT_ID))
		st.stx_mnt_id = ul_scan_dev(&st);
	*ret_st = st;
	return 0;
}

uint64_t ul_scan_allocated_bytes(const struct statx *st)
{
	return st->stx_blocks * 512;
}

uint64_t ul_scan_dev(const struct statx *st)
{
	return makedev(st->stx_dev_major, st->stx_dev_minor);
}

bool ul_scan_is_gone(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP;
}
