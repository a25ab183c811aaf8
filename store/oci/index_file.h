/*
 * store/oci/index_file.h - index.json in the directory of a layout: read so
 * that a half-written one is never taken for what it is not, and replaced so
 * that what others wrote meanwhile is never lost.
 *
 * All of it works on the open directory of any layout.
 */
#ifndef UL_STORE_OCI_INDEX_FILE_H
#define UL_STORE_OCI_INDEX_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct ul_err;
struct ul_index_lock;
struct ul_layout_index;
struct ul_patience;

/* What index.json was when it was read. Before anything is done about what it
 * said, another reading has to be equal in all of it. */
struct ul_index_stamp {
	uint64_t inode, size_bytes;
	int64_t ctime_ns;
	uint64_t hash; /* of the bytes */
};
#define UL_INDEX_STAMP_INIT ((struct ul_index_stamp){ .inode = 0 })

bool ul_index_stamp_equal(const struct ul_index_stamp *a,
			  const struct ul_index_stamp *b);

/*
 * Whether the layout holds nothing at all: no file, whatever it is, stands
 * below blobs/, or that is not there. Only then a missing index.json means
 * that there are no images: who makes a layout begins so.
 */
bool ul_index_file_may_lack(int layout_fd);

/*
 * Read it whole: again, as long as patience lasts, while it is missing, damaged
 * or changes under the reading. *ret_stamp (may be NULL) identifies it. Where
 * it may lack and does it reads as one without entries. Content of `known_hash`
 * (0: none is known) is not parsed: *ret_index stays as it is. Owner:
 * *ret_index, freed by ul_layout_index_free(). Returns: 0; UL_E_CORRUPT (still
 * not whole, or a symlink or what else is no file); UL_E_LIMIT; UL_E_IO;
 * UL_E_NOMEM.
 */
int ul_index_file_read(int layout_fd, struct ul_patience *patience,
		       uint64_t known_hash, struct ul_layout_index **ret_index,
		       struct ul_index_stamp *ret_stamp, struct ul_err *err);

/*
 * Look whether it is still that, without parsing or waiting.
 * Returns: 0; UL_E_CONFLICT (it is not); UL_E_IO; UL_E_NOMEM.
 */
int ul_index_file_expect(int layout_fd, const struct ul_index_stamp *expected,
			 struct ul_err *err);

/*
 * Replace it, durably: written aside, then under its lock looked at once more
 * and renamed.
 * Returns: 0; UL_E_CONFLICT where it is not `expected`, or UL_E_BUSY where
 *          `lock` is not to be had, with nothing done; UL_E_IO; UL_E_NOMEM.
 */
int ul_index_file_replace(int layout_fd, struct ul_index_lock *lock,
			  const struct ul_layout_index *index,
			  const struct ul_index_stamp *expected,
			  struct ul_err *err);

#endif
