/*
 * Setting aside: what is broken is kept, out of everybody's way, on the same
 * file system.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/form.h"
#include "store/embedded/open.h"
#include "store/embedded/store.h"
#include "store/verify/internal.h"

enum { TRIES_MAX = 10000 };

struct verify_aside {
	int from_fd;
	const char *from;
	const char *name; /* that it gets */
};

int verify_aside_holder(int root_fd, const struct ul_form *form, int *ret_fd,
			struct ul_err *err)
{
	int rc;

	if (form->is_ours)
		return ul_dir_open(root_fd, ".", ret_fd, err);
	if (mkdirat(root_fd, form->trash, 0700) && errno != EEXIST)
		return ul_err_sys(err, "make directory %s", form->trash);
	rc = ul_dir_open(root_fd, form->trash, ret_fd, err);
	return rc ? rc : ul_fd_sync(root_fd, "the layout", err);
}

int repair_holder(struct verify *verify)
{
	struct ul_embedded *store = verify->store;
	int rc;

	if (verify->holder_fd >= 0)
		return 0;
	rc = verify_aside_holder(store->root_fd, store->form,
				 &verify->holder_fd, verify->err);
	/* There may have been no trash before. */
	return rc ? rc : ul_trash_reopen(store, verify->err);
}

static int aside_open(int holder_fd, int *ret_fd, struct ul_err *err)
{
	int rc;

	if (mkdirat(holder_fd, UL_EMBEDDED_DAMAGED, 0700) && errno != EEXIST)
		return ul_err_sys(err, "make directory %s",
				  UL_EMBEDDED_DAMAGED);
	rc = ul_dir_open(holder_fd, UL_EMBEDDED_DAMAGED, ret_fd, err);
	return rc ? rc : ul_fd_sync(holder_fd, "store", err);
}

/* Under `name` or, where that is taken, "name.2" and so on. */
static int aside_put(const struct verify_aside *what, int fd,
		     char ret_to[NAME_MAX + 1])
{
	int tries;

	snprintf(ret_to, NAME_MAX + 1, "%s", what->name);
	for (tries = 2; tries < TRIES_MAX; tries++) {
		int rc = renameat2(what->from_fd, what->from, fd, ret_to,
				   RENAME_NOREPLACE);

		if (!rc || errno != EEXIST)
			return rc;
		snprintf(ret_to, NAME_MAX + 1, "%s.%d", what->name, tries);
	}
	return -1;
}

static int aside(int holder_fd, const struct verify_aside *what, int *ret_fd,
		 char ret_to[NAME_MAX + 1], struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	int rc;

	if (faccessat(what->from_fd, what->from, F_OK, AT_SYMLINK_NOFOLLOW) &&
	    errno == ENOENT)
		return 0;
	rc = aside_open(holder_fd, &fd, err);
	if (rc)
		return rc;
	if (aside_put(what, fd, ret_to)) {
		if (errno == ENOENT)
			return 0;
		return ul_err_sys(err, "move %s to %s", what->from,
				  UL_EMBEDDED_DAMAGED);
	}
	rc = ul_fd_sync(fd, UL_EMBEDDED_DAMAGED, err);
	if (!rc)
		rc = ul_fd_sync(what->from_fd, what->from, err);
	if (rc)
		return rc;
	*ret_fd = ul_fd_steal(&fd);
	return 1;
}

int verify_set_aside(int holder_fd, int from_fd, const char *from,
		     const char *name, struct ul_err *err)
{
	const struct verify_aside what = {
		.from_fd = from_fd,
		.from = from,
		.name = name,
	};
	ul_cleanup(ul_closep) int fd = -1;
	char to[NAME_MAX + 1];
	int rc = aside(holder_fd, &what, &fd, to, err);

	return rc < 0 ? rc : 0;
}

/* By a repair that was stopped; what it copied is in its place still. */
static int half_written_remove(int fd, const char *name, struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	size_t i;
	int rc = ul_dir_names(fd, &names, err);

	for (i = 0; !rc && i < names.len; i++) {
		if (ul_file_is_half_written(names.names[i], name))
			unlinkat(fd, names.names[i], 0);
	}
	return rc;
}

int verify_copy_aside(int holder_fd, const char *name,
		      const struct ul_buf *text, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	char to[NAME_MAX + 1];
	int tries, rc = aside_open(holder_fd, &fd, err);

	if (rc)
		return rc;
	snprintf(to, sizeof to, "%s", name);
	for (tries = 2;
	     tries < TRIES_MAX && !faccessat(fd, to, F_OK, AT_SYMLINK_NOFOLLOW);
	     tries++)
		snprintf(to, sizeof to, "%s.%d", name, tries);
	rc = half_written_remove(fd, to, err);
	return rc ? rc
		  : ul_file_replace(fd, to, text->data, text->len, 0644, err);
}

/*
 * Between the look at it and the move another program may have put the whole
 * one in its place, or have begun to write into this one: then it goes back,
 * unless there is one again.
 */
static int blob_check(const struct verify_aside *what, int fd, const char *to,
		      const struct ul_digest *digest, struct ul_err *err)
{
	static const struct ul_layout_check_options no_grace = { .grace_s = 0 };
	enum ul_layout_held held;
	struct ul_err why = UL_ERR_INIT;
	int rc = ul_layout_held(fd, to, &no_grace, &held, err);

	if (rc)
		return rc;
	rc = ul_layout_file_hash(fd, to, digest, &why);
	if (rc == UL_E_NOMEM)
		return ul_err_nomem(err);
	if (rc <= 0 && held == UL_HELD_NOT)
		return 0;
	if (renameat2(fd, to, what->from_fd, what->from, RENAME_NOREPLACE) &&
	    errno != EEXIST)
		return ul_err_sys(err, "put back %s", what->from);
	rc = ul_fd_sync(what->from_fd, what->from, err);
	return rc ? rc : ul_fd_sync(fd, UL_EMBEDDED_DAMAGED, err);
}

int verify_blob_aside(int holder_fd, int from_fd,
		      const struct ul_digest *digest, struct ul_err *err)
{
	char hex[UL_DIGEST_HEX_MAX + 1], name[UL_DIGEST_TEXT_MAX];
	const struct verify_aside what = {
		.from_fd = from_fd,
		.from = hex,
		.name = name,
	};
	ul_cleanup(ul_closep) int fd = -1;
	char to[NAME_MAX + 1];
	int rc;

	ul_digest_format_hex(digest, hex);
	snprintf(name, sizeof name, "%s-%s", ul_digest_alg_name(digest->alg),
		 hex);
	rc = aside(holder_fd, &what, &fd, to, err);
	return rc > 0 ? blob_check(&what, fd, to, digest, err) : rc;
}
