/*
 * Copying up: what a layer's hard link needs of a layer below.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/transfer/layer_attr.h"
#include "store/transfer/layer_make.h"
#include "store/transfer/layer_work.h"

enum { COPY_BYTES = 256 << 10 };

static int range_copy_by_hand(int from, int to, off_t at, off_t end,
			      struct ul_err *err)
{
	ul_cleanup(ul_freep) char *buf = ul_malloc(COPY_BYTES);
	ssize_t len, done;

	if (!buf)
		return ul_err_nomem(err);
	while (at < end) {
		len = end - at < COPY_BYTES ? end - at : COPY_BYTES;
		len = pread(from, buf, (size_t)len, at);
		if (len < 0)
			return ul_err_sys(err, "copy up: read");
		if (len == 0)
			return 0;
		done = ul_retry(pwrite(to, buf, (size_t)len, at));
		if (done < 0)
			return ul_err_sys(err, "copy up: write");
		at += done;
	}
	return 0;
}

/* Shares the blocks on file systems that can. */
static int range_copy(int from, int to, off_t at, off_t end, struct ul_err *err)
{
	off_t to_at = at;
	ssize_t len;

	while (at < end) {
		len = ul_retry(copy_file_range(from, &at, to, &to_at,
					       (size_t)(end - at), 0));
		if (len == 0)
			return 0;
		/* EXDEV, EINVAL, EOPNOTSUPP: these file systems cannot. */
		if (len < 0)
			return range_copy_by_hand(from, to, at, end, err);
	}
	return 0;
}

static int data_copy(int from, int to, off_t size, struct ul_err *err)
{
	off_t data = 0, hole;
	int rc;

	if (ul_retry(ftruncate(to, size)))
		return ul_err_sys(err, "copy up: set length");
	while (data < size) {
		data = lseek(from, data, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return 0;
		hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			return ul_err_sys(err, "copy up: find data");
		rc = range_copy(from, to, data, hole, err);
		if (rc)
			return rc;
		data = hole;
	}
	return 0;
}

static int file_copy(struct ul_layer_work *work, const char *path,
		     const struct ul_layer_found *found, int dir_fd,
		     const char *name, int *ret_fd, struct ul_err *err)
{
	ul_cleanup(ul_closep) int from = -1;
	ul_cleanup(ul_closep) int to = -1;
	int rc;

	from =
	    ul_layer_open_beneath(work->tree.fds[found->layer], path, O_RDONLY);
	if (from < 0)
		return ul_err_sys(err, "copy up: open %s", path);
	to = ul_retry(
	    openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	if (to < 0)
		return ul_err_sys(err, "copy up: make %s", path);
	rc = data_copy(from, to, found->st.st_size, err);
	if (rc)
		return rc;
	*ret_fd = ul_fd_steal(&to);
	return 0;
}

static int symlink_copy(int from, int dir_fd, const char *name,
			struct ul_err *err)
{
	char target[UL_LAYER_PATH_SIZE];
	ssize_t len = readlinkat(from, "", target, sizeof target - 1);

	if (len < 0)
		return ul_err_sys(err, "copy up: read symbolic link");
	target[len] = '\0';
	if (symlinkat(target, dir_fd, name))
		return ul_err_sys(err, "copy up: make symbolic link");
	return 0;
}

/* Without the right to make devices, an empty file stands in for one. */
static int node_copy(struct ul_layer_work *work, const struct stat *st,
		     int dir_fd, const char *name, struct ul_err *err)
{
	if (!mknodat(dir_fd, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev))
		return 0;
	if (errno != EPERM || mknodat(dir_fd, name, S_IFREG | 0600, 0))
		return ul_err_sys(err, "copy up: make device");
	work->result.skipped_devices++;
	return 0;
}

static int object_copy(struct ul_layer_work *work, const char *path, int from,
		       const struct ul_layer_found *found, int dir_fd,
		       const char *name, struct ul_layer_object *ret_object,
		       struct ul_err *err)
{
	int rc;

	*ret_object = (struct ul_layer_object){ .fd = -1 };
	if (S_ISREG(found->st.st_mode))
		return file_copy(work, path, found, dir_fd, name,
				 &ret_object->fd, err);
	if (S_ISLNK(found->st.st_mode))
		rc = symlink_copy(from, dir_fd, name, err);
	else
		rc = node_copy(work, &found->st, dir_fd, name, err);
	if (rc)
		return rc;
	ret_object->is_path = true;
	ret_object->is_symlink = S_ISLNK(found->st.st_mode);
	ret_object->fd = ul_layer_open_beneath(dir_fd, name, O_PATH);
	if (ret_object->fd < 0)
		return ul_err_sys(err, "copy up: open %s", path);
	return 0;
}

int ul_layer_copy_up(struct ul_layer_work *work, struct ul_layer_dir *dir,
		     const char *name, const struct ul_layer_found *found,
		     struct ul_err *err)
{
	ul_cleanup(ul_closep) int from = -1;
	ul_cleanup(ul_closep) int object_fd = -1;
	char path[UL_LAYER_PATH_SIZE];
	struct ul_layer_object object;
	struct ul_layer_attr attr;
	bool passes_on;
	int dir_fd;
	int rc;

	rc = ul_layer_path_join(dir, name, path, err);
	if (!rc)
		rc = ul_layer_make_here_unasked(work, dir, err);
	if (!rc)
		rc = ul_layer_tree_open(&work->tree, dir, &dir_fd, &passes_on,
					err);
	if (rc)
		return rc;
	from =
	    ul_layer_open_beneath(work->tree.fds[found->layer], path, O_PATH);
	if (from < 0)
		return ul_err_sys(err, "copy up: open %s", path);
	rc = object_copy(work, path, from, found, dir_fd, name, &object, err);
	object_fd = object.fd;
	if (rc)
		return rc;
	ul_layer_attr_of_stat(&found->st, &attr);
	rc = passes_on ? ul_layer_xattrs_clear(work, &object, err) : 0;
	if (!rc)
		rc = ul_layer_attr_set_owner_mode(work, &object, &attr, err);
	if (!rc)
		rc = ul_layer_xattrs_copy(work, from, &object, err);
	if (!rc)
		rc = ul_layer_attr_set_times(&object, &attr, err);
	return rc ? rc : ul_layer_extra_add(work, path, err);
}
