/*
 * treecmp - print a tree, one sorted line an object, so that two trees are
 * equal when their prints are:
 *
 *   PATH type=T mode=M uid=U gid=G mtime=S.NS rdev=A:B size=N link=TARGET
 *   xattrs={NAME=HEX,...} sha256=HEX group=FIRST_PATH
 *
 * all on one line, only what applies. PATH and TARGET have spaces, quotes and
 * other than printable ASCII as \xHH. size is that of regular files. group is
 * the first path of the same inode where it has several in the tree.
 * Usage: treecmp [--no-times] [--no-owners] DIR
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"

struct object {
	char *path; /* "." is the top */
	struct stat st;
};

static struct object *objects;
static size_t object_count, object_cap;
static bool want_times = true;
static bool want_owners = true;

static void add(char *path)
{
	objects =
	    ul_grow(objects, &object_cap, object_count + 1, sizeof *objects);
	if (!objects || !path)
		err(1, "memory");
	objects[object_count].path = path;
	if (fstatat(AT_FDCWD, path, &objects[object_count].st,
		    AT_SYMLINK_NOFOLLOW))
		err(1, "%s", path);
	object_count++;
}

static void collect(void)
{
	struct ul_names names;
	struct ul_err ul_err = UL_ERR_INIT;
	const char *top;
	size_t at, i;
	int fd;

	add(ul_strdup("."));
	for (at = 0; at < object_count; at++) {
		if (!S_ISDIR(objects[at].st.st_mode))
			continue;
		names = UL_NAMES_INIT;
		top = objects[at].path;
		if (ul_dir_open(AT_FDCWD, top, &fd, &ul_err) ||
		    ul_dir_names(fd, &names, &ul_err))
			errx(1, "%s", ul_err.msg);
		close(fd);
		for (i = 0; i < names.len; i++)
			add(at == 0 ? ul_strdup(names.names[i])
				    : ul_asprintf("%s/%s", objects[at].path,
						  names.names[i]));
		ul_names_release(&names);
	}
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct object *)a)->path,
		      ((const struct object *)b)->path);
}

static void print_text(const char *text)
{
	for (; *text; text++)
		if (*text > ' ' && *text < 0x7f && *text != '\\')
			putchar(*text);
		else
			printf("\\x%02x", (unsigned char)*text);
}

static int name_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_xattrs(const char *path)
{
	static char list[65536], value[65536];
	ssize_t len = llistxattr(path, list, sizeof list);
	char *names[1024];
	size_t count = 0, i;
	ssize_t size, k;
	char *name;

	for (name = list; len > 0 && name < list + len;
	     name += strlen(name) + 1)
		if (count < ul_array_len(names))
			names[count++] = name;
	if (count == 0)
		return;
	qsort(names, count, sizeof *names, name_cmp);
	printf(" xattrs={");
	for (i = 0; i < count; i++) {
		size = lgetxattr(path, names[i], value, sizeof value);
		printf("%s%s=", i ? "," : "", names[i]);
		for (k = 0; k < size; k++)
			printf("%02x", (unsigned char)value[k]);
	}
	putchar('}');
}

static void print_sha256(const char *path)
{
	static char data[256 << 10];
	char hex[UL_DIGEST_HEX_MAX + 1];
	struct ul_digest digest;
	struct ul_hash hash;
	ssize_t len;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	ul_hash_init(&hash, UL_DIGEST_SHA256);
	while ((len = read(fd, data, sizeof data)) > 0)
		ul_hash_update(&hash, data, (size_t)len);
	if (len < 0)
		err(1, "%s", path);
	close(fd);
	ul_hash_final(&hash, &digest);
	ul_digest_format_hex(&digest, hex);
	printf(" sha256=%s", hex);
}

static void print_group(const struct object *object)
{
	const struct object *other;

	if (S_ISDIR(object->st.st_mode) || object->st.st_nlink < 2)
		return;
	for (other = objects; other < objects + object_count; other++)
		if (other != object && other->st.st_ino == object->st.st_ino &&
		    other->st.st_dev == object->st.st_dev)
			break;
	if (other == objects + object_count)
		return;
	printf(" group=");
	print_text(other < object ? other->path : object->path);
}

static char type_char(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return 'd';
	case S_IFREG:
		return 'f';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	default:
		return 's';
	}
}

static void print_target(const char *path)
{
	char target[4096];
	ssize_t len = readlink(path, target, sizeof target - 1);

	if (len < 0)
		err(1, "%s", path);
	target[len] = '\0';
	printf(" link=");
	print_text(target);
}

static void print_object(const struct object *object)
{
	const struct stat *st = &object->st;
	mode_t mode = st->st_mode;

	print_text(object->path);
	printf(" type=%c mode=%04o", type_char(mode), mode & 07777);
	if (want_owners)
		printf(" uid=%u gid=%u", st->st_uid, st->st_gid);
	if (want_times)
		printf(" mtime=%" PRId64 ".%09ld", (int64_t)st->st_mtim.tv_sec,
		       st->st_mtim.tv_nsec);
	if (S_ISCHR(mode) || S_ISBLK(mode))
		printf(" rdev=%u:%u", major(st->st_rdev), minor(st->st_rdev));
	if (S_ISLNK(mode))
		print_target(object->path);
	if (S_ISREG(mode))
		printf(" size=%" PRId64, (int64_t)st->st_size);
	print_xattrs(object->path);
	if (S_ISREG(mode))
		print_sha256(object->path);
	print_group(object);
	putchar('\n');
}

int main(int argc, char **argv)
{
	size_t i;

	for (; argc > 2; argc--, argv++) {
		if (!strcmp(argv[1], "--no-times"))
			want_times = false;
		else if (!strcmp(argv[1], "--no-owners"))
			want_owners = false;
		else
			break;
	}
	if (argc != 2)
		errx(2, "usage: treecmp [--no-times] [--no-owners] DIR");
	if (chdir(argv[1]))
		err(1, "%s", argv[1]);
	collect();
	qsort(objects, object_count, sizeof *objects, by_path);
	for (i = 0; i < object_count; i++)
		print_object(&objects[i]);
	for (i = 0; i < object_count; i++)
		free(objects[i].path);
	free(objects);
	return fflush(stdout) || ferror(stdout);
}
