/*
 * What is not whole, and why it may be so without being damaged: other programs
 * write in place, under the name that a blob will have, and stop or take hours.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "store/embedded/leftover.h"
#include "store/verify/layout.h"

static bool is_young(const struct ul_layout_check_options *options,
		     int64_t newest_unix_s)
{
	int64_t until;

	if (!options->is_shared || options->grace_s <= 0)
		return false;
	return __builtin_add_overflow(newest_unix_s, options->grace_s,
				      &until) ||
	       until > options->now_unix_s;
}

int ul_layout_held(int dirfd, const char *path,
		   const struct ul_layout_check_options *options,
		   enum ul_layout_held *ret_held, struct ul_err *err)
{
	struct ul_leftover found;
	struct stat st;
	int rc;

	*ret_held = UL_HELD_NOT;
	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (options->is_shared && !S_ISREG(st.st_mode)) {
		*ret_held = UL_HELD_ALIEN;
		return 0;
	}
	rc = ul_leftover_look(dirfd, path, &found, err);
	if (rc)
		return rc;
	if (is_young(options, found.newest_unix_s))
		*ret_held = UL_HELD_YOUNG;
	else if (found.is_used && S_ISREG(st.st_mode))
		*ret_held = UL_HELD_USED;
	return 0;
}

/*
 * What is missing has no age. The directory's own says nothing: our trash and
 * the index's lock come and go in it. A copy that is under way brings blobs.
 */
static int64_t layout_newest(int layout_fd)
{
	static const char *const names[] = { "blobs", "blobs/sha256",
					     "blobs/sha512", "oci-layout" };
	int64_t newest = 0;
	struct stat st;
	size_t i;

	for (i = 0; i < ul_array_len(names); i++) {
		if (fstatat(layout_fd, names[i], &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (st.st_mtim.tv_sec > newest)
			newest = st.st_mtim.tv_sec;
		if (st.st_ctim.tv_sec > newest)
			newest = st.st_ctim.tv_sec;
	}
	return newest;
}

int ul_layout_index_held(int layout_fd,
			 const struct ul_layout_check_options *options,
			 enum ul_layout_held *ret_held, struct ul_err *err)
{
	struct stat st;

	if (!fstatat(layout_fd, "index.json", &st, AT_SYMLINK_NOFOLLOW))
		return ul_layout_held(layout_fd, "index.json", options,
				      ret_held, err);
	*ret_held = is_young(options, layout_newest(layout_fd)) ? UL_HELD_YOUNG
								: UL_HELD_NOT;
	return 0;
}

const char *ul_layout_held_text(enum ul_layout_held held)
{
	switch (held) {
	case UL_HELD_YOUNG:
		return "; it was changed within the grace period, so that "
		       "somebody may still be writing it";
	case UL_HELD_USED:
		return "; somebody has it open or locked, and may be writing "
		       "it";
	case UL_HELD_ALIEN:
		return "; it is no regular file, and what it leads to is not "
		       "looked at";
	default:
		return "";
	}
}
