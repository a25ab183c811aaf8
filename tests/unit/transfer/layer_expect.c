#include "tests/unit/transfer/layer_expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fs.h"

int layer_setup(void **state)
{
	struct layer_fixture *fixture = malloc(sizeof *fixture);

	layer_fixture_open(fixture);
	*state = fixture;
	return 0;
}

int layer_teardown(void **state)
{
	layer_fixture_close(*state);
	free(*state);
	return 0;
}

struct ul_buf tar_of(const struct tar_item *items, size_t count)
{
	struct ul_buf tar = UL_BUF_INIT;
	size_t i;

	for (i = 0; i < count; i++)
		tar_add(&tar, &items[i]);
	tar_end(&tar);
	return tar;
}

void layer_lower(void *fixture, const struct tar_item *items, size_t count)
{
	struct ul_buf tar = tar_of(items, count);

	layer_below(fixture, &tar);
	ul_buf_release(&tar);
}

struct ul_layer_result layer_apply(void *fixture, const struct tar_item *items,
				   size_t count)
{
	struct ul_buf tar = tar_of(items, count);
	struct ul_err err = UL_ERR_INIT;
	struct ul_layer_result result;

	if (layer_apply_bytes(fixture, tar.data, tar.len, NO_JOB, &result,
			      &err))
		fail_msg("%s", err.msg);
	ul_buf_release(&tar);
	return result;
}

int fs_fd(void **state)
{
	return ((struct layer_fixture *)*state)->fs_fd;
}

struct stat stat_of(void **state, const char *path)
{
	struct stat st = { 0 };

	if (fstatat(fs_fd(state), path, &st, AT_SYMLINK_NOFOLLOW))
		st.st_mode = 0;
	return st;
}

void assert_absent(void **state, const char *path)
{
	assert_int_equal(stat_of(state, path).st_mode, 0);
}

void assert_whiteout(void **state, const char *path)
{
	struct stat st = stat_of(state, path);

	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(st.st_rdev, makedev(0, 0));
}

void assert_text(void **state, const char *path, const char *text)
{
	struct ul_buf content = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_file_read(fs_fd(state), path, 1 << 20, &content, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(ul_buf_str(&content), text);
	ul_buf_release(&content);
}

bool is_opaque(void **state, const char *path)
{
	char value[2] = { 0 };
	int fd = openat(fs_fd(state), path, O_RDONLY | O_DIRECTORY);
	ssize_t len = fgetxattr(fd, "trusted.overlay.opaque", value, 1);

	if (len != 1)
		len = fgetxattr(fd, "user.overlay.opaque", value, 1);
	close(fd);
	return len == 1 && value[0] == 'y';
}
