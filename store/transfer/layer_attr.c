#include "store/transfer/layer_attr.h"

#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/transfer/layer_work.h"

/* The kernel's own bounds (include/uapi/linux/limits.h). */
enum { XATTR_NAME_BYTES = 255, XATTR_VALUE_BYTES = 65536 };

/* "/proc/self/fd/N": the one way to xattrs and modes of an O_PATH fd. */
struct fd_link {
	char path[32];
};

static struct fd_link fd_link(int fd)
{
	struct fd_link link;

	snprintf(link.path, sizeof link.path, "/proc/self/fd/%d", fd);
	return link;
}

static int id_check(int64_t id, struct ul_err *err)
{
	/* The last one means "leave as it is" to chown(). */
	if (id < 0 || id >= UINT32_MAX)
		return ul_err_set(err, UL_E_CORRUPT,
				  "owner %" PRId64 " is out of range", id);
	return 0;
}

int ul_layer_attr_of_entry(struct archive_entry *entry,
			   struct ul_layer_attr *ret, struct ul_err *err)
{
	int rc;

	rc = id_check(archive_entry_uid(entry), err);
	if (rc)
		return rc;
	rc = id_check(archive_entry_gid(entry), err);
	if (rc)
		return rc;
	ret->uid = (uid_t)archive_entry_uid(entry);
	ret->gid = (gid_t)archive_entry_gid(entry);
	ret->mode = archive_entry_perm(entry) & 07777;
	ret->mtime.tv_sec = archive_entry_mtime(entry);
	ret->mtime.tv_nsec = archive_entry_mtime_nsec(entry);
	ret->atime = ret->mtime;
	if (archive_entry_atime_is_set(entry)) {
		ret->atime.tv_sec = archive_entry_atime(entry);
		ret->atime.tv_nsec = archive_entry_atime_nsec(entry);
	}
	return 0;
}

void ul_layer_attr_of_stat(const struct stat *st, struct ul_layer_attr *ret)
{
	ret->uid = st->st_uid;
	ret->gid = st->st_gid;
	ret->mode = st->st_mode & 07777;
	ret->atime = st->st_atim;
	ret->mtime = st->st_mtim;
}

/* EINVAL: an id that our user namespace does not map. */
static bool is_privilege_error(int code)
{
	return code == EPERM || code == EINVAL || code == EACCES;
}

static int owner_set(struct ul_layer_work *work,
		     const struct ul_layer_object *object,
		     const struct ul_layer_attr *attr, struct ul_err *err)
{
	int rc;

	if (object->is_path)
		rc = fchownat(object->fd, "", attr->uid, attr->gid,
			      AT_EMPTY_PATH);
	else
		rc = fchown(object->fd, attr->uid, attr->gid);
	if (rc && !is_privilege_error(errno))
		return ul_err_sys(err, "set owner");
	if (rc)
		work->result.skipped_owners++;
	return 0;
}

int ul_layer_attr_set_owner_mode(struct ul_layer_work *work,
				 const struct ul_layer_object *object,
				 const struct ul_layer_attr *attr,
				 struct ul_err *err)
{
	int rc;

	rc = object->has_owner ? 0 : owner_set(work, object, attr, err);
	if (rc || object->is_symlink || object->has_mode)
		return rc;
	if (object->is_path)
		rc = chmod(fd_link(object->fd).path, attr->mode);
	else
		rc = fchmod(object->fd, attr->mode);
	return rc ? ul_err_sys(err, "set mode") : 0;
}

int ul_layer_attr_set_times(const struct ul_layer_object *object,
			    const struct ul_layer_attr *attr,
			    struct ul_err *err)
{
	struct timespec times[2] = { attr->atime, attr->mtime };
	int rc;

	if (object->is_path)
		rc = utimensat(object->fd, "", times, AT_EMPTY_PATH);
	else
		rc = futimens(object->fd, times);
	return rc ? ul_err_sys(err, "set times") : 0;
}

static bool xattr_is_overlay(const char *name)
{
	return !strncmp(name, "trusted.overlay.", 16) ||
	       !strncmp(name, "user.overlay.", 13);
}

static bool xattr_is_of_host(const char *name)
{
	return !strcmp(name, "security.selinux") ||
	       !strcmp(name, "system.nfs4_acl");
}

static int xattr_set(struct ul_layer_work *work,
		     const struct ul_layer_object *object, const char *name,
		     const void *value, size_t len, struct ul_err *err)
{
	int rc;

	if (xattr_is_of_host(name))
		return 0;
	if (object->is_path)
		rc = setxattr(fd_link(object->fd).path, name, value, len, 0);
	else
		rc = fsetxattr(object->fd, name, value, len, 0);
	if (rc && !is_privilege_error(errno) && errno != ENOTSUP)
		return ul_err_sys(err, "set xattr %s", name);
	if (rc)
		work->result.skipped_xattrs++;
	return 0;
}

static int xattr_check(const struct ul_layer_work *work, const char *name,
		       size_t len, size_t *total_bytes, struct ul_err *err)
{
	size_t name_len = strlen(name);

	*total_bytes += name_len + len;
	if (xattr_is_overlay(name))
		return ul_err_set(err, UL_E_CORRUPT,
				  "xattr %.64s is overlayfs' own", name);
	if (name_len > XATTR_NAME_BYTES || len > XATTR_VALUE_BYTES)
		return ul_err_set(err, UL_E_LIMIT,
				  "an xattr's name is longer than %d bytes or "
				  "its value than %d",
				  XATTR_NAME_BYTES, XATTR_VALUE_BYTES);
	if (*total_bytes > work->limits->xattr_bytes)
		return ul_err_set(err, UL_E_LIMIT,
				  "xattrs of more than %zu bytes",
				  work->limits->xattr_bytes);
	return 0;
}

int ul_layer_xattrs_of_entry(struct ul_layer_work *work,
			     const struct ul_layer_object *object,
			     struct archive_entry *entry, struct ul_err *err)
{
	size_t total_bytes = 0;
	const void *value;
	const char *name;
	size_t len;
	int count;
	int rc;

	/* Also rewinds. */
	count = archive_entry_xattr_reset(entry);
	if ((size_t)count > work->limits->xattr_count)
		return ul_err_set(err, UL_E_LIMIT, "more than %zu xattrs",
				  work->limits->xattr_count);
	while (archive_entry_xattr_next(entry, &name, &value, &len) == 0) {
		rc = xattr_check(work, name, len, &total_bytes, err);
		if (rc)
			return rc;
		rc = xattr_set(work, object, name, value, len, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* The names of an object's xattrs, one after the other, each with its NUL. */
static int xattr_list(int fd, char **ret_names, size_t *ret_len,
		      struct ul_err *err)
{
	ul_cleanup(ul_freep) char *names = NULL;
	ssize_t len;

	len = listxattr(fd_link(fd).path, NULL, 0);
	if (len < 0 && errno != ENOTSUP && errno != EACCES)
		return ul_err_sys(err, "list xattrs");
	*ret_names = NULL;
	*ret_len = 0;
	if (len <= 0)
		return 0;
	names = ul_malloc((size_t)len);
	if (!names)
		return ul_err_nomem(err);
	len = listxattr(fd_link(fd).path, names, (size_t)len);
	if (len < 0)
		return ul_err_sys(err, "list xattrs");
	*ret_len = (size_t)len;
	*ret_names = ul_steal(names);
	return 0;
}

static int xattr_copy(struct ul_layer_work *work, int from_path_fd,
		      const struct ul_layer_object *to, const char *name,
		      struct ul_err *err)
{
	ul_cleanup(ul_freep) char *value = NULL;
	ssize_t len;

	value = ul_malloc(XATTR_VALUE_BYTES);
	if (!value)
		return ul_err_nomem(err);
	len = getxattr(fd_link(from_path_fd).path, name, value,
		       XATTR_VALUE_BYTES);
	if (len < 0 && is_privilege_error(errno)) {
		work->result.skipped_xattrs++;
		return 0;
	}
	if (len < 0)
		return ul_err_sys(err, "read xattr %s", name);
	return xattr_set(work, to, name, value, (size_t)len, err);
}

int ul_layer_xattrs_copy(struct ul_layer_work *work, int from_path_fd,
			 const struct ul_layer_object *to, struct ul_err *err)
{
	ul_cleanup(ul_freep) char *names = NULL;
	const char *name;
	size_t len, at;
	int rc;

	rc = xattr_list(from_path_fd, &names, &len, err);
	if (rc)
		return rc;
	for (at = 0; at < len; at += strlen(name) + 1) {
		name = names + at;
		if (xattr_is_overlay(name) || xattr_is_of_host(name))
			continue;
		rc = xattr_copy(work, from_path_fd, to, name, err);
		if (rc)
			return rc;
	}
	return 0;
}

int ul_layer_xattrs_clear(struct ul_layer_work *work,
			  const struct ul_layer_object *object,
			  struct ul_err *err)
{
	ul_cleanup(ul_freep) char *names = NULL;
	const char *name;
	size_t len, at;
	int rc;

	rc = xattr_list(object->fd, &names, &len, err);
	if (rc)
		return rc;
	for (at = 0; at < len; at += strlen(name) + 1) {
		name = names + at;
		if (xattr_is_overlay(name) || xattr_is_of_host(name) ||
		    !removexattr(fd_link(object->fd).path, name))
			continue;
		if (!is_privilege_error(errno))
			return ul_err_sys(err, "remove xattr %s", name);
		work->result.skipped_xattrs++;
	}
	return 0;
}

int ul_layer_xattr_set_opaque(struct ul_layer_work *work, int dir_fd,
			      struct ul_err *err)
{
	if (!fsetxattr(dir_fd, "trusted.overlay.opaque", "y", 1, 0))
		return 0;
	if (errno != EPERM && errno != ENOTSUP)
		return ul_err_sys(err, "set xattr trusted.overlay.opaque");
	if (!fsetxattr(dir_fd, "user.overlay.opaque", "y", 1, 0))
		return 0;
	if (errno != EPERM && errno != ENOTSUP)
		return ul_err_sys(err, "set xattr user.overlay.opaque");
	work->result.skipped_xattrs++;
	return 0;
}
