#define XXH_INLINE_ALL
#include "store/oci/index_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/patience.h"
#include "store/limits.h"
#include "store/oci/index_lock.h"
#include "store/oci/layout.h"

static const char index_name[] = "index.json";

bool ul_index_stamp_equal(const struct ul_index_stamp *a,
			  const struct ul_index_stamp *b)
{
	return a->inode == b->inode && a->size_bytes == b->size_bytes &&
	       a->ctime_ns == b->ctime_ns && a->hash == b->hash;
}

/* As the path has it now; all zero where there is none. */
static struct ul_index_stamp stamp_of_path(int layout_fd)
{
	struct stat st;

	if (fstatat(layout_fd, index_name, &st, AT_SYMLINK_NOFOLLOW))
		return UL_INDEX_STAMP_INIT;
	return (struct ul_index_stamp){
		.inode = st.st_ino,
		.size_bytes = (uint64_t)st.st_size,
		.ctime_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 +
			    st.st_ctim.tv_nsec,
	};
}

/* Not so what cannot be looked into. */
static bool is_empty(int dirfd, const char *path)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_err ignored = UL_ERR_INIT;
	int rc = ul_dir_open(dirfd, path, &fd, &ignored);

	if (rc)
		return rc == UL_E_ABSENT;
	return !ul_dir_names(fd, &names, &ignored) && !names.len;
}

bool ul_index_file_may_lack(int layout_fd)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int fd = -1;
	struct ul_err ignored = UL_ERR_INIT;
	size_t i;
	int rc = ul_dir_open(layout_fd, "blobs", &fd, &ignored);

	if (rc)
		return rc == UL_E_ABSENT;
	if (ul_dir_names(fd, &names, &ignored))
		return false;
	for (i = 0; i < names.len; i++) {
		if (!is_empty(fd, names.names[i]))
			return false;
	}
	return true;
}

/* What is no file is never followed nor opened: 0 where it may be one. */
static int index_kind(int layout_fd, struct ul_err *err)
{
	struct stat st;

	if (fstatat(layout_fd, index_name, &st, AT_SYMLINK_NOFOLLOW) ||
	    S_ISREG(st.st_mode))
		return 0;
	return ul_err_set(err, UL_E_CORRUPT,
			  S_ISLNK(st.st_mode)
			      ? "index.json is a symlink, which is not followed"
			      : "index.json is no regular file");
}

/* The index of a layout that was only begun. Its stamp is that of no file. */
static int index_none(int layout_fd, struct ul_buf *text,
		      struct ul_index_stamp *ret_stamp, struct ul_err *err)
{
	struct ul_index_stamp stamp = stamp_of_path(layout_fd);

	if (stamp.inode)
		return ul_err_set(err, UL_E_CORRUPT,
				  "changes while it is read");
	if (!ul_buf_add_str(text, "{\"schemaVersion\":2,\"manifests\":[]}"))
		return ul_err_nomem(err);
	stamp.hash = XXH3_64bits(text->data, text->len);
	*ret_stamp = stamp;
	return 0;
}

/* 0, or UL_E_CORRUPT where it is missing, no file, or changed while it was
 * read. */
static int index_bytes(int layout_fd, struct ul_buf *text,
		       struct ul_index_stamp *ret_stamp, struct ul_err *err)
{
	struct ul_index_stamp before = stamp_of_path(layout_fd), after;
	int rc = index_kind(layout_fd, err);

	if (rc)
		return rc;
	ul_buf_reset(text);
	rc = ul_file_read(layout_fd, index_name, UL_INDEX_MAX_BYTES, text, err);
	if (rc == UL_E_ABSENT && !ul_index_file_may_lack(layout_fd))
		return ul_err_set(err, UL_E_CORRUPT, "index.json is missing");
	if (rc == UL_E_ABSENT)
		return index_none(layout_fd, text, ret_stamp, err);
	if (rc)
		return rc;
	after = stamp_of_path(layout_fd);
	if (!ul_index_stamp_equal(&before, &after) ||
	    text->len != after.size_bytes)
		return ul_err_set(err, UL_E_CORRUPT,
				  "changes while it is read");
	after.hash = XXH3_64bits(text->data, text->len);
	*ret_stamp = after;
	return 0;
}

static int read_once(int layout_fd, uint64_t known_hash,
		     struct ul_layout_index **ret_index,
		     struct ul_index_stamp *ret_stamp, struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	struct ul_index_stamp stamp;
	int rc = index_bytes(layout_fd, &text, &stamp, err);

	if (!rc && (!known_hash || stamp.hash != known_hash))
		rc = ul_layout_index_parse(ul_buf_str(&text), text.len,
					   ret_index, err);
	if (!rc && ret_stamp)
		*ret_stamp = stamp;
	return rc;
}

int ul_index_file_read(int layout_fd, struct ul_patience *patience,
		       uint64_t known_hash, struct ul_layout_index **ret_index,
		       struct ul_index_stamp *ret_stamp, struct ul_err *err)
{
	bool has_waited = false;
	int rc;

	for (;;) {
		rc =
		    read_once(layout_fd, known_hash, ret_index, ret_stamp, err);
		/* Nobody is writing what is no file. */
		if (rc != UL_E_CORRUPT || index_kind(layout_fd, err) ||
		    !ul_patience_wait(patience))
			break;
		has_waited = true;
	}
	if (!rc && has_waited)
		ul_patience_renew(patience);
	return rc;
}

int ul_index_file_expect(int layout_fd, const struct ul_index_stamp *expected,
			 struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	struct ul_index_stamp now;
	int rc = index_bytes(layout_fd, &text, &now, err);

	if (rc && rc != UL_E_CORRUPT && rc != UL_E_LIMIT)
		return rc;
	if (rc || !ul_index_stamp_equal(&now, expected))
		return ul_err_set(err, UL_E_CONFLICT,
				  "index.json was changed by another program "
				  "just now; try again");
	return 0;
}

static int put_in_place(int layout_fd, struct ul_index_lock *lock,
			const char *temp, const struct ul_index_stamp *expected,
			struct ul_err *err)
{
	int rc = ul_index_lock_take(lock, layout_fd, err);

	if (rc)
		return rc;
	rc = ul_index_file_expect(layout_fd, expected, err);
	if (!rc)
		rc = ul_file_put_in_place(layout_fd, temp, index_name, err);
	ul_index_lock_drop(lock);
	return rc;
}

int ul_index_file_replace(int layout_fd, struct ul_index_lock *lock,
			  const struct ul_layout_index *index,
			  const struct ul_index_stamp *expected,
			  struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	char temp[UL_FILE_TEMP_MAX];
	int rc = ul_layout_index_dump(index, &text, err);

	if (!rc)
		rc = ul_index_file_expect(layout_fd, expected, err);
	if (!rc)
		rc = ul_file_write_beside(layout_fd, index_name, text.data,
					  text.len, 0644, temp, err);
	if (rc)
		return rc;
	rc = put_in_place(layout_fd, lock, temp, expected, err);
	if (rc) {
		unlinkat(layout_fd, temp, 0);
		return rc;
	}
	return ul_fd_sync(layout_fd, "the layout's directory", err);
}
