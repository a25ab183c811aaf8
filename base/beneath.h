/*
 * base/beneath.h - where a path of several components leads, without symlinks.
 */
#ifndef UL_BASE_BENEATH_H
#define UL_BASE_BENEATH_H

struct ul_err;

/*
 * Open the directory below dirfd that the last component of `path` lies in:
 * whoever may put a symlink in the place of a folder on the way must not lead
 * what is renamed or removed somewhere else.
 * Owner:   *ret_fd is the caller's to close; *ret_name lies in `path`.
 * Returns: 0; UL_E_ABSENT where a folder on the way is not there; UL_E_IO
 *          where one cannot be opened, or is a symlink or no directory;
 *          UL_E_INVALID (a path that is empty, absolute, has "..", or ends
 *          in a slash).
 */
int ul_beneath_open(int dirfd, const char *path, int *ret_fd,
		    const char **ret_name, struct ul_err *err);

#endif
