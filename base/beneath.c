#include "base/beneath.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"

static bool is_name(const char *name, size_t len)
{
	return len && len <= NAME_MAX && !(len == 1 && name[0] == '.') &&
	       !(len == 2 && name[0] == '.' && name[1] == '.');
}

int ul_beneath_open(int dirfd, const char *path, int *ret_fd,
		    const char **ret_name, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	const char *name = path, *slash;
	char part[NAME_MAX + 1];
	int rc = ul_dir_open(dirfd, ".", &fd, err);

	for (; !rc && (slash = strchr(name, '/')); name = slash + 1) {
		size_t len = (size_t)(slash - name);
		int next = -1;

		if (!is_name(name, len))
			break;
		memcpy(part, name, len);
		part[len] = '\0';
		rc = ul_dir_open(fd, part, &next, err);
		ul_closep(&fd);
		fd = next;
	}
	if (rc)
		return ul_err_wrap(err, "on the way to %s", path);
	if (strchr(name, '/') || !is_name(name, strlen(name)))
		return ul_err_set(err, UL_E_INVALID,
				  "%s does not lead below a folder", path);
	*ret_fd = ul_fd_steal(&fd);
	*ret_name = name;
	return 0;
}
