/*
 * The place: what has to be there before a store can be opened.
 */
#include "store/verify/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/patience.h"
#include "store/db/check.h"
#include "store/embedded/form.h"
#include "store/embedded/identity.h"
#include "store/embedded/store.h"
#include "store/verify/findings.h"
#include "store/verify/internal.h"
#include "store/verify/verify.h"

const char *const verify_folders[] = {
	"oci",   "oci/blobs", "oci/blobs/sha256", "snapshots", "ingest",
	"trash", NULL
};

enum { MARKER_WAIT_MS = 500 };

struct place {
	const char *state_path;
	const struct ul_verify_options *options;
	struct ul_findings *findings;
	bool is_layout; /* of others: root_fd is the layout itself */
	int root_fd;
	bool is_bad;
	struct ul_err *err;
};

static int place_say(struct place *place, const char *kind, const char *key,
		     const char *repair, const char *what)
{
	place->is_bad = true;
	return ul_findings_add(place->findings, UL_FINDING_DAMAGE, kind, key,
			       repair, "%s", what)
		   ? 0
		   : ul_err_nomem(place->err);
}

static int folder_check(struct place *place, const char *path)
{
	struct stat st;

	if (fstatat(place->root_fd, path, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno == ENOENT || errno == ENOTDIR)
			return place_say(place, "store", path, "makes it",
					 "this folder is missing");
		return ul_err_sys(place->err, "stat %s/store/%s",
				  place->state_path, path);
	}
	if (S_ISDIR(st.st_mode))
		return 0;
	return place_say(place, "store", path,
			 "moves it to damaged/ and makes the folder",
			 "this is no folder");
}

static int marker_check(struct place *place)
{
	ul_cleanup(ul_closep) int fd = -1;
	int rc = ul_dir_open(place->root_fd, "oci", &fd, place->err);

	if (rc == UL_E_NOMEM)
		return rc;
	if (!rc)
		rc = ul_identity_layout_check(fd, place->err);
	if (rc != UL_E_CORRUPT && rc != UL_E_ABSENT)
		return rc == UL_E_NOMEM ? rc : 0;
	return place_say(place, "store", "oci/oci-layout",
			 "writes it; one that is there goes to damaged/",
			 "does not say that this is an image layout of "
			 "version 1");
}

static int identity_check(struct place *place)
{
	char uid[33];
	int64_t generation;
	int rc = ul_identity_read(place->root_fd, uid, &generation, place->err);

	if (rc == UL_E_NOMEM || rc == UL_E_IO)
		return rc;
	if (!rc)
		return 0;
	return place_say(place, "store", "store-id",
			 "writes a new one, which the database then adopts",
			 rc == UL_E_ABSENT ? "is missing"
					   : "is damaged: it does not say "
					     "which store this is");
}

bool verify_has_embedded(const char *state_path, struct ul_err *err)
{
	ul_cleanup(ul_freep) char *path = ul_asprintf("%s/store", state_path);

	if (!path)
		ul_err_nomem(err);
	return !path || !access(path, F_OK);
}

static int database_say(struct place *place, const struct ul_names *problems)
{
	bool is_others = place->is_layout &&
			 verify_has_embedded(place->state_path, place->err);
	struct ul_finding *finding = ul_findings_add(
	    place->findings, UL_FINDING_DAMAGE, "database", "ullage.db",
	    is_others ? "leaves it, for it is another store's too: `ullage "
			"verify --repair` makes a new one"
		      : "moves it to ullage.db.damaged-TIME and makes a new "
			"one from what is on disk; leases, pins, last use and "
			"history are lost with it",
	    "is damaged: %s%s", problems->names[0],
	    problems->len > 1 ? ", and more" : "");

	if (!finding)
		return ul_err_nomem(place->err);
	finding->is_loss = true;
	/* Without it there are reports still. */
	place->is_bad = place->is_bad || !place->is_layout;
	return 0;
}

static int database_check(struct place *place)
{
	ul_cleanup(ul_names_release) struct ul_names problems = UL_NAMES_INIT;
	ul_cleanup(ul_freep) char *path =
	    ul_asprintf("%s/ullage.db", place->state_path);
	int rc;

	if (!path)
		return ul_err_nomem(place->err);
	rc = ul_db_check(path, place->options->is_deep, &problems, place->err);
	if (rc > 0)
		return database_say(place, &problems);
	if (rc == UL_E_DB &&
	    !ul_findings_add(place->findings, UL_FINDING_NOTE, "database",
			     "ullage.db", "", "cannot be read now: %s",
			     place->err->msg))
		return ul_err_nomem(place->err);
	return rc == UL_E_ABSENT || rc == UL_E_DB ? 0 : rc;
}

/* Half made by a first user who was stopped: opening it makes the rest. */
static bool is_unborn(int root_fd)
{
	ul_cleanup(ul_names_release) struct ul_names blobs = UL_NAMES_INIT;
	ul_cleanup(ul_names_release) struct ul_names snapshots = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int blobs_fd = -1, snapshots_fd = -1;
	struct ul_err ignored = UL_ERR_INIT;
	struct stat st;

	if (!fstatat(root_fd, "store-id", &st, AT_SYMLINK_NOFOLLOW))
		return false;
	if (!ul_dir_open(root_fd, "oci/blobs/sha256", &blobs_fd, &ignored))
		ul_dir_names(blobs_fd, &blobs, &ignored);
	if (!ul_dir_open(root_fd, "snapshots", &snapshots_fd, &ignored))
		ul_dir_names(snapshots_fd, &snapshots, &ignored);
	return !blobs.len && !snapshots.len &&
	       fstatat(root_fd, "oci/index.json", &st, AT_SYMLINK_NOFOLLOW);
}

/* What can be said of the images though the store cannot be opened. */
static int layout_check(struct place *place)
{
	ul_cleanup(ul_layout_check_release) struct ul_layout_check check =
	    UL_LAYOUT_CHECK_INIT;
	struct ul_layout_check_options options = {
		.is_deep = place->options->is_deep,
		.progress = place->options->progress,
		.arg = place->options->arg,
	};
	ul_cleanup(ul_closep) int fd = -1;
	int rc = ul_dir_open(place->root_fd, place->is_layout ? "." : "oci",
			     &fd, place->err);

	if (place->is_layout)
		options = verify_shared_options(place->options);
	options.is_deep = place->options->is_deep;
	if (rc)
		return rc == UL_E_NOMEM ? rc : 0;
	return ul_layout_check_run(fd, &options, &check, place->findings,
				   place->err);
}

static int place_check(struct place *place)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && verify_folders[i]; i++)
		rc = folder_check(place, verify_folders[i]);
	if (!rc)
		rc = marker_check(place);
	if (!rc)
		rc = identity_check(place);
	if (!rc)
		rc = database_check(place);
	return !rc && place->is_bad ? layout_check(place) : rc;
}

int ul_verify_place(const char *state_path,
		    const struct ul_verify_options *options,
		    struct ul_findings *findings, bool *ret_can_open,
		    struct ul_err *err)
{
	struct place place = {
		.state_path = state_path,
		.options = options,
		.findings = findings,
		.err = err,
	};
	ul_cleanup(ul_freep) char *path = ul_asprintf("%s/store", state_path);
	ul_cleanup(ul_closep) int root_fd = -1;
	int rc;

	if (!path)
		return ul_err_nomem(err);
	rc = ul_dir_open(AT_FDCWD, path, &root_fd, err);
	if (rc == UL_E_ABSENT || (!rc && is_unborn(root_fd))) {
		*err = UL_ERR_INIT;
		*ret_can_open = true;
		return 0;
	}
	place.root_fd = root_fd;
	if (!rc)
		rc = place_check(&place);
	if (rc)
		return ul_err_wrap(err, "checking %s", path);
	*err = UL_ERR_INIT;
	*ret_can_open = !place.is_bad;
	return 0;
}

struct ul_layout_check_options
verify_shared_options(const struct ul_verify_options *options)
{
	return (struct ul_layout_check_options){
		.is_shared = true,
		.now_unix_s = options->now_unix_s,
		.grace_s = options->grace_s,
		.aside = verify_aside_text(&ul_form_oci),
		.progress = options->progress,
		.arg = options->arg,
	};
}

static bool is_dir(int dirfd, const char *name)
{
	struct stat st;

	return !fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       S_ISDIR(st.st_mode);
}

/* A version that is none of ours is no damage: another form of layout. */
static int marker_is_damaged(int layout_fd, struct ul_err *err)
{
	struct ul_patience patience = { .limit_ms = MARKER_WAIT_MS };
	struct stat st;
	int rc;

	/* Without its index and its blobs nothing says that it is a layout. */
	if (!is_dir(layout_fd, "blobs") ||
	    fstatat(layout_fd, "index.json", &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	do
		rc = ul_identity_layout_check(layout_fd, err);
	while (rc == UL_E_CORRUPT && ul_patience_wait(&patience));
	if (rc != UL_E_CORRUPT)
		return rc == UL_E_NOMEM ? rc : 0;
	return !ul_identity_layout_has_version(layout_fd);
}

int verify_layout_marker(int layout_fd,
			 const struct ul_layout_check_options *options,
			 enum ul_layout_held *ret_held, struct ul_err *err)
{
	int rc = marker_is_damaged(layout_fd, err);

	if (rc > 0 &&
	    ul_layout_held(layout_fd, "oci-layout", options, ret_held, err))
		return UL_E_NOMEM;
	return rc;
}

static const char *marker_repair(enum ul_layout_held held)
{
	return held == UL_HELD_NOT ? "writes it; the one that is there goes to "
				     ".ullage-trash/damaged/"
	       : held == UL_HELD_YOUNG
		   ? "leaves it, unless --grace 0 says that nobody writes here "
		     "now"
		   : "leaves it";
}

static int layout_marker_check(struct place *place)
{
	struct ul_layout_check_options options =
	    verify_shared_options(place->options);
	enum ul_layout_held held;
	int rc =
	    verify_layout_marker(place->root_fd, &options, &held, place->err);

	if (rc <= 0)
		return rc;
	place->is_bad = true;
	return ul_findings_add(place->findings, UL_FINDING_DAMAGE, "store",
			       "oci-layout", marker_repair(held),
			       "does not say that this is an image layout of "
			       "version 1%s",
			       ul_layout_held_text(held))
		   ? 0
		   : ul_err_nomem(place->err);
}

int ul_verify_layout_place(const char *path, const char *state_path,
			   const struct ul_verify_options *options,
			   struct ul_findings *findings, bool *ret_can_open,
			   struct ul_err *err)
{
	ul_cleanup(ul_closep) int root_fd = -1;
	struct place place = {
		.state_path = state_path,
		.options = options,
		.findings = findings,
		.is_layout = true,
		.err = err,
	};
	int rc = ul_dir_open(AT_FDCWD, path, &root_fd, err);

	place.root_fd = root_fd;
	/* Opening it says what is wrong. */
	if (rc)
		rc = rc == UL_E_NOMEM ? rc : 0;
	else
		rc = layout_marker_check(&place);
	if (!rc)
		rc = database_check(&place);
	if (!rc && place.is_bad)
		rc = layout_check(&place);
	if (rc)
		return ul_err_wrap(err, "checking %s", path);
	*err = UL_ERR_INIT;
	*ret_can_open = !place.is_bad;
	return 0;
}
