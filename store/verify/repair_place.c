/*
 * Repairing the place, before the store can be opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/db/check.h"
#include "store/embedded/form.h"
#include "store/embedded/identity.h"
#include "store/embedded/store.h"
#include "store/verify/internal.h"
#include "store/verify/place.h"
#include "store/verify/verify.h"

enum { LOCK_WAIT_MS = 30000, TRIES_MAX = 10000 };

struct place {
	const char *state_path;
	int64_t now_unix_s;
	int root_fd;
	size_t count;
	struct ul_err *err;
};

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int folder_repair(struct place *place, const char *path)
{
	struct stat st;
	int rc = 0;

	if (!fstatat(place->root_fd, path, &st, AT_SYMLINK_NOFOLLOW)) {
		if (S_ISDIR(st.st_mode))
			return 0;
		rc = verify_set_aside(place->root_fd, place->root_fd, path,
				      last_name(path), place->err);
	}
	if (rc)
		return rc;
	place->count++;
	if (mkdirat(place->root_fd, path, 0755) && errno != EEXIST)
		return ul_err_sys(place->err, "make directory %s/store/%s",
				  place->state_path, path);
	return 0;
}

static int marker_repair(struct place *place)
{
	ul_cleanup(ul_closep) int fd = -1;
	int rc = ul_dir_open(place->root_fd, "oci", &fd, place->err);

	if (!rc)
		rc = ul_identity_layout_check(fd, place->err);
	if (rc != UL_E_CORRUPT && rc != UL_E_ABSENT)
		return rc;
	place->count++;
	rc = verify_set_aside(place->root_fd, fd, "oci-layout", "oci-layout",
			      place->err);
	return rc ? rc
		  : ul_file_replace(fd, "oci-layout", ul_identity_layout,
				    strlen(ul_identity_layout), 0644,
				    place->err);
}

/* Without a generation: no database is in step with it until it adopts it. */
static int identity_repair(struct place *place)
{
	char uid[33];
	int64_t generation;
	int rc = ul_identity_read(place->root_fd, uid, &generation, place->err);

	if (!rc || rc == UL_E_NOMEM || rc == UL_E_IO)
		return rc;
	place->count++;
	rc = verify_set_aside(place->root_fd, place->root_fd, "store-id",
			      "store-id", place->err);
	if (rc)
		return rc;
	ul_random_hex(uid);
	ul_random_hex(uid + 16);
	return ul_identity_write(place->root_fd, uid, 0, place->err);
}

/* Beside the database, not in the store: it is none of its bytes. */
static int database_aside(struct place *place, int state_fd)
{
	static const char *const parts[] = { "", "-wal", "-shm" };
	char from[32], to[96], end[32] = "";
	size_t i;
	int tries = 1;

	for (i = 0; i < ul_array_len(parts);) {
		snprintf(from, sizeof from, "ullage.db%s", parts[i]);
		snprintf(to, sizeof to, "ullage.db.damaged-%" PRId64 "%s%s",
			 place->now_unix_s, end, parts[i]);
		if (!renameat2(state_fd, from, state_fd, to,
			       RENAME_NOREPLACE) ||
		    errno == ENOENT) {
			i++;
			continue;
		}
		if (errno != EEXIST || i || ++tries == TRIES_MAX)
			return ul_err_sys(place->err, "move %s/%s aside",
					  place->state_path, from);
		snprintf(end, sizeof end, ".%d", tries);
	}
	return ul_fd_sync(state_fd, place->state_path, place->err);
}

static int database_repair(struct place *place)
{
	ul_cleanup(ul_names_release) struct ul_names problems = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int state_fd = -1;
	ul_cleanup(ul_freep) char *path =
	    ul_asprintf("%s/ullage.db", place->state_path);
	int rc;

	if (!path)
		return ul_err_nomem(place->err);
	rc = ul_db_check(path, true, &problems, place->err);
	if (rc == UL_E_ABSENT || rc == UL_E_DB)
		return 0;
	if (rc <= 0)
		return rc;
	place->count++;
	rc = ul_dir_open(AT_FDCWD, place->state_path, &state_fd, place->err);
	return rc ? rc : database_aside(place, state_fd);
}

static int place_repair(struct place *place)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && verify_folders[i]; i++)
		rc = folder_repair(place, verify_folders[i]);
	if (!rc)
		rc = marker_repair(place);
	if (!rc)
		rc = identity_repair(place);
	return rc ? rc : database_repair(place);
}

int ul_repair_place(const char *state_path, int64_t now_unix_s,
		    size_t *ret_count, struct ul_err *err)
{
	ul_cleanup(ul_freep) char *path = ul_asprintf("%s/store", state_path);
	ul_cleanup(ul_closep) int root_fd = -1;
	struct place place = {
		.state_path = state_path,
		.now_unix_s = now_unix_s,
		.err = err,
	};
	int rc;

	if (!path)
		return ul_err_nomem(err);
	rc = ul_dir_open(AT_FDCWD, path, &root_fd, err);
	if (!rc)
		rc = ul_fd_lock(root_fd, true, LOCK_WAIT_MS, NULL, NULL, err);
	place.root_fd = root_fd;
	if (!rc)
		rc = place_repair(&place);
	/* Closing it gives the lock back. */
	if (rc)
		return ul_err_wrap(err, "repairing %s", path);
	*err = UL_ERR_INIT;
	*ret_count = place.count;
	return 0;
}

static int layout_marker_repair(struct place *place,
				const struct ul_layout_check_options *options)
{
	ul_cleanup(ul_closep) int holder_fd = -1;
	enum ul_layout_held held;
	int rc =
	    verify_layout_marker(place->root_fd, options, &held, place->err);

	if (rc <= 0 || held != UL_HELD_NOT)
		return rc < 0 ? rc : 0;
	place->count++;
	rc = verify_aside_holder(place->root_fd, &ul_form_oci, &holder_fd,
				 place->err);
	if (!rc)
		rc = verify_set_aside(holder_fd, place->root_fd, "oci-layout",
				      "oci-layout", place->err);
	return rc ? rc
		  : ul_file_replace(
			place->root_fd, "oci-layout", ul_identity_layout,
			strlen(ul_identity_layout), 0644, place->err);
}

static int layout_place_repair(struct place *place,
			       const struct ul_layout_check_options *options)
{
	bool is_others = verify_has_embedded(place->state_path, place->err);
	int rc = layout_marker_repair(place, options);

	return rc || is_others ? rc : database_repair(place);
}

int ul_repair_layout_place(const char *path, const char *state_path,
			   const struct ul_verify_options *options,
			   size_t *ret_count, struct ul_err *err)
{
	struct ul_layout_check_options check = verify_shared_options(options);
	ul_cleanup(ul_closep) int root_fd = -1;
	struct place place = {
		.state_path = state_path,
		.now_unix_s = options->now_unix_s,
		.err = err,
	};
	int rc = ul_dir_open(AT_FDCWD, path, &root_fd, err);

	if (!rc)
		rc = ul_fd_lock(root_fd, true, LOCK_WAIT_MS, NULL, NULL, err);
	place.root_fd = root_fd;
	if (!rc)
		rc = layout_place_repair(&place, &check);
	/* Closing it gives the lock back. */
	if (rc)
		return ul_err_wrap(err, "repairing %s", path);
	*err = UL_ERR_INIT;
	*ret_count = place.count;
	return 0;
}
