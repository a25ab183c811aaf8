#include "tests/lib/tree_print.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/remove.h"

static void must(bool is_ok)
{
	if (!is_ok)
		abort();
}

static void content_print(const char *path, struct ul_buf *text)
{
	struct ul_buf content = UL_BUF_INIT;
	char hex[UL_DIGEST_HEX_MAX + 1];
	struct ul_err err = UL_ERR_INIT;
	struct ul_digest digest;

	must(!ul_file_read(AT_FDCWD, path, 64 << 20, &content, &err));
	ul_digest_of(UL_DIGEST_SHA256, ul_buf_str(&content), content.len,
		     &digest);
	ul_digest_format_hex(&digest, hex);
	must(ul_buf_printf(text, " %s", hex));
	ul_buf_release(&content);
}

static void object_print(const char *path, const struct stat *st,
			 struct ul_buf *text)
{
	char target[4096];
	ssize_t len;

	must(ul_buf_printf(text,
			   "%s ino=%ju mode=%o nlink=%ju owner=%u:%u len=%jd "
			   "mtime=%jd.%09ld ctime=%jd.%09ld",
			   path, (uintmax_t)st->st_ino, st->st_mode,
			   (uintmax_t)st->st_nlink, st->st_uid, st->st_gid,
			   (intmax_t)st->st_size, (intmax_t)st->st_mtim.tv_sec,
			   st->st_mtim.tv_nsec, (intmax_t)st->st_ctim.tv_sec,
			   st->st_ctim.tv_nsec));
	if (S_ISREG(st->st_mode))
		content_print(path, text);
	if (S_ISLNK(st->st_mode)) {
		len = readlink(path, target, sizeof target - 1);
		must(len >= 0);
		target[len] = '\0';
		must(ul_buf_printf(text, " -> %s", target));
	}
	must(ul_buf_add_char(text, '\n'));
}

void tree_print(const char *top, const char *skip, struct ul_buf *text)
{
	struct ul_names names = UL_NAMES_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct stat st;
	char *path;
	size_t i;
	int fd;

	must(!lstat(top, &st));
	if (!skip)
		object_print(top, &st, text);
	if (!S_ISDIR(st.st_mode))
		return;
	must(!ul_dir_open(AT_FDCWD, top, &fd, &err));
	must(!ul_dir_names(fd, &names, &err));
	close(fd);
	for (i = 0; i < names.len; i++) {
		if (skip && !strcmp(names.names[i], skip))
			continue;
		path = ul_asprintf("%s/%s", top, names.names[i]);
		must(path);
		tree_print(path, NULL, text);
		free(path);
	}
	ul_names_release(&names);
}

char *tree_temp(void)
{
	const char *base = getenv("TMPDIR");
	char *path =
	    ul_asprintf("%s/ullage-test.XXXXXX", base && *base ? base : "/tmp");

	must(path && mkdtemp(path));
	return path;
}

void tree_remove(char *path)
{
	const char *tree = path;
	struct ul_err err = UL_ERR_INIT;
	struct ul_removed removed;

	must(!ul_remove_trees(AT_FDCWD, &tree, 1, &removed, &err));
	free(path);
}
