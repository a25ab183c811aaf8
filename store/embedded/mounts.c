#include "store/embedded/mounts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/err.h"
#include "base/mem.h"

void ul_mounts_release(struct ul_mounts *mounts)
{
	free(mounts->words);
	free(mounts->own);
	ul_arena_release(&mounts->arena);
	*mounts = UL_MOUNTS_INIT;
}

static bool is_octal(const char *text)
{
	return text[0] >= '0' && text[0] <= '3' && text[1] >= '0' &&
	       text[1] <= '7' && text[2] >= '0' && text[2] <= '7';
}

/* proc(5): space, tab, newline, comma and backslash stand as \040 and so. */
static void octal_decode(char *text)
{
	char *to = text;

	while (*text) {
		if (*text == '\\' && is_octal(text + 1)) {
			*to++ = (char)((text[1] - '0') * 64 +
				       (text[2] - '0') * 8 + text[3] - '0');
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* overlayfs.rst: a backslash takes the meaning from a colon in its options. */
static void colon_decode(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == '\\' && text[1])
			text++;
		*to++ = *text;
	}
	*to = '\0';
}

static bool word_add(struct ul_mounts *mounts, enum ul_mount_word_kind kind,
		     uint64_t dev, const char *path)
{
	struct ul_mount_word *words =
	    ul_grow(mounts->words, &mounts->word_cap, mounts->word_count + 1,
		    sizeof *words);

	if (!words)
		return false;
	mounts->words = words;
	words[mounts->word_count++] = (struct ul_mount_word){
		.path = path,
		.dev = dev,
		.kind = (uint8_t)kind,
	};
	return true;
}

/* A directory as it stands, and without its backslashes where it has some:
 * kernels differ in which of the two they show. */
static bool layer_add(struct ul_mounts *mounts, const char *path)
{
	char *plain;

	if (!*path)
		return true;
	if (!word_add(mounts, UL_MOUNT_LAYER, 0, path))
		return false;
	if (!strchr(path, '\\'))
		return true;
	plain = ul_arena_strdup(&mounts->arena, path);
	if (!plain)
		return false;
	colon_decode(plain);
	return word_add(mounts, UL_MOUNT_LAYER, 0, plain);
}

/* "a:b::c" with escaped colons. Cuts the list in pieces. */
static bool lower_add(struct ul_mounts *mounts, char *list)
{
	char *start = list, *at = list;

	for (;; at++) {
		if (*at == '\\' && at[1]) {
			at++;
		} else if (*at == ':' || !*at) {
			bool is_last = !*at;

			*at = '\0';
			if (!layer_add(mounts, start))
				return false;
			if (is_last)
				return true;
			start = at + 1;
		}
	}
}

static char *value_of(char *option, const char *name)
{
	size_t len = strlen(name);

	return strncmp(option, name, len) ? NULL : option + len;
}

static bool option_add(struct ul_mounts *mounts, char *option)
{
	/* "lowerdir+" and "datadir+" (Linux 6.8) hold one directory each, in
	 * which a colon is nothing special. */
	static const char *const single[] = { "upperdir=", "workdir=",
					      "lowerdir+=", "datadir+=" };
	char *value;
	size_t i;

	octal_decode(option);
	value = value_of(option, "lowerdir=");
	if (value)
		return lower_add(mounts, value);
	for (i = 0; i < ul_array_len(single); i++) {
		value = value_of(option, single[i]);
		if (value)
			return layer_add(mounts, value);
	}
	return true;
}

static bool overlay_add(struct ul_mounts *mounts, char *options)
{
	char *option;

	/* A comma within a value is escaped as \054 at this point. */
	while ((option = strsep(&options, ","))) {
		if (!option_add(mounts, option))
			return false;
	}
	return true;
}

static bool own_add(struct ul_mounts *mounts, const struct ul_mount *mount)
{
	struct ul_mount *own = ul_grow(mounts->own, &mounts->own_cap,
				       mounts->own_count + 1, sizeof *own);

	if (!own)
		return false;
	mounts->own = own;
	own[mounts->own_count++] = *mount;
	return true;
}

enum line_field {
	LINE_ID,
	LINE_DEV = 2,
	LINE_ROOT,
	LINE_POINT,
	LINE_FIXED = 6 /* then optional ones up to "-" */
};

/* proc(5), mountinfo: false without memory. */
static bool line_add(struct ul_mounts *mounts, char *line, bool is_own)
{
	char *fields[LINE_FIXED], *type, *source;
	struct ul_mount mount;
	unsigned major_no, minor_no;
	size_t i;

	for (i = 0; i < LINE_FIXED; i++) {
		fields[i] = strsep(&line, " ");
		if (!line)
			return true;
	}
	do
		type = strsep(&line, " ");
	while (type && strcmp(type, "-") != 0);
	type = strsep(&line, " ");
	source = strsep(&line, " ");
	if (!source || !line ||
	    sscanf(fields[LINE_DEV], "%u:%u", &major_no, &minor_no) != 2)
		return true;
	octal_decode(fields[LINE_ROOT]);
	octal_decode(fields[LINE_POINT]);
	mount = (struct ul_mount){
		.id = strtoull(fields[LINE_ID], NULL, 10),
		.dev = makedev(major_no, minor_no),
		.root = fields[LINE_ROOT],
		.point = fields[LINE_POINT],
	};
	return (!is_own || own_add(mounts, &mount)) &&
	       word_add(mounts, UL_MOUNT_ROOT, mount.dev, mount.root) &&
	       word_add(mounts, UL_MOUNT_POINT, 0, mount.point) &&
	       (strcmp(type, "overlay") != 0 || overlay_add(mounts, line));
}

int ul_mounts_add(struct ul_mounts *mounts, const char *text, bool is_own,
		  struct ul_err *err)
{
	char *rest = ul_arena_strdup(&mounts->arena, text);
	char *line;

	if (!rest)
		return ul_err_nomem(err);
	while ((line = strsep(&rest, "\n"))) {
		if (*line && !line_add(mounts, line, is_own))
			return ul_err_nomem(err);
	}
	return 0;
}

/* Is `path` the folder, or something in it? */
static bool is_within(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	while (len && folder[len - 1] == '/')
		len--;
	return !strncmp(path, folder, len) &&
	       (path[len] == '/' || path[len] == '\0');
}

/* What the folder is called, here and elsewhere. */
struct folder {
	const char *path;
	const char *name; /* last component of path */
	const char *tail; /* last two, from the slash before them */
	char *real;       /* owned; without symlinks, NULL: is not there */
	char *root;       /* owned; within its file system, NULL: unknown */
	uint64_t dev;     /* of that, as mountinfo numbers it */
};

static void folder_release(struct folder *folder)
{
	free(folder->real);
	free(folder->root);
}

/* Are these whole components of the path? */
static bool has_components(const char *path, const char *part)
{
	size_t len = strlen(part);
	const char *at;

	for (at = path; (at = strstr(at, part)); at++) {
		bool is_start = *part == '/' || at == path || at[-1] == '/';

		if (is_start && (at[len] == '/' || at[len] == '\0'))
			return true;
	}
	return false;
}

static bool leads_elsewhere(const struct folder *folder, const char *path)
{
	char *real = realpath(path, NULL);
	bool is_elsewhere =
	    real && folder->real && !is_within(real, folder->real);

	free(real);
	return is_elsewhere;
}

static bool layer_uses(const char *path, const struct folder *folder)
{
	if (is_within(path, folder->path) ||
	    (folder->real && is_within(path, folder->real)))
		return true;
	if (*path != '/')
		return has_components(path, folder->name);
	return has_components(path, folder->tail) &&
	       !leads_elsewhere(folder, path);
}

static bool word_uses(const struct ul_mount_word *word,
		      const struct folder *folder)
{
	switch ((enum ul_mount_word_kind)word->kind) {
	case UL_MOUNT_ROOT:
		if (!folder->root)
			return has_components(word->path, folder->tail);
		return word->dev == folder->dev &&
		       is_within(word->path, folder->root);
	case UL_MOUNT_POINT:
		return is_within(word->path, folder->path) ||
		       (folder->real && is_within(word->path, folder->real));
	case UL_MOUNT_LAYER:
		return layer_uses(word->path, folder);
	}
	return true;
}

static const struct ul_mount *mount_of(const struct ul_mounts *mounts,
				       const char *path)
{
	struct statx st;
	size_t i;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &st) ||
	    !(st.stx_mask & STATX_MNT_ID))
		return NULL;
	for (i = 0; i < mounts->own_count; i++) {
		if (mounts->own[i].id == st.stx_mnt_id)
			return &mounts->own[i];
	}
	return NULL;
}

/* Without memory or knowledge root stays NULL, which makes us say yes more
 * often, never less. */
static void folder_locate(struct folder *folder, const struct ul_mounts *mounts)
{
	const struct ul_mount *mount = mount_of(mounts, folder->real);
	const char *below, *root;

	if (!mount || !is_within(folder->real, mount->point))
		return;
	below = folder->real + strlen(mount->point);
	root = mount->root;
	/* "/" already has the slash that the other side begins with. */
	if (!strcmp(mount->point, "/"))
		below = folder->real;
	if (!strcmp(root, "/") && *below)
		root = "";
	folder->root = ul_asprintf("%s%s", root, below);
	folder->dev = mount->dev;
}

static const char *tail_of(const char *path, const char *name)
{
	const char *at = name;
	int slashes = 0;

	while (at > path && slashes < 2) {
		if (*--at == '/')
			slashes++;
	}
	return at;
}

bool ul_mounts_use(const struct ul_mounts *mounts, const char *path)
{
	const char *slash = strrchr(path, '/');
	ul_cleanup(folder_release) struct folder folder = {
		.path = path,
		.name = slash ? slash + 1 : path,
		.real = realpath(path, NULL),
	};
	size_t i;

	folder.tail = tail_of(path, folder.name);
	if (folder.real)
		folder_locate(&folder, mounts);
	for (i = 0; i < mounts->word_count; i++) {
		if (word_uses(&mounts->words[i], &folder))
			return true;
	}
	return false;
}
