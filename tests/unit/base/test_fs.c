#include "tests/unit/base/fixture.h"

#include "base/buf.h"
#include "base/fs.h"

static void test_fs__reads_up_to_the_limit_and_no_further(void **state)
{
	static const size_t limits[] = { 0,     1,      65535, 65536,
					 65537, 131072, 131073 };
	struct fixture *fixture = *state;
	struct ul_err err = UL_ERR_INIT;
	char name[32];
	size_t i;
	int more;

	for (i = 0; i < ul_array_len(limits); i++) {
		for (more = limits[i] ? -1 : 0; more <= 1; more++) {
			ul_cleanup(ul_buf_release) struct ul_buf buf =
			    UL_BUF_INIT;
			size_t len = limits[i] + (size_t)more;
			int rc;

			snprintf(name, sizeof name, "%zu.%d", i, more);
			make_file(fixture->fd, name, len);
			ul_buf_add_str(&buf, "before");
			rc = ul_file_read(fixture->fd, name, limits[i], &buf,
					  &err);
			assert_int_equal(rc, more > 0 ? UL_E_LIMIT : 0);
			assert_int_equal(buf.len, 6 + (rc ? 0 : len));
			assert_int_equal(strlen(buf.data), buf.len);
			assert_memory_equal(buf.data, "before", 6);
		}
	}
}

static void test_fs__reads_regular_files_only(void **state)
{
	struct fixture *fixture = *state;
	ul_cleanup(ul_buf_release) struct ul_buf buf = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;

	make_file(fixture->fd, "file", 10);
	make_dir(fixture->fd, "dir");
	assert_return_code(mkfifoat(fixture->fd, "pipe", 0600), errno);
	assert_return_code(symlinkat("file", fixture->fd, "symlink"), errno);
	assert_int_equal(ul_file_read(fixture->fd, "absent", 9, &buf, &err),
			 UL_E_ABSENT);
	assert_int_equal(ul_file_read(fixture->fd, "dir", 9, &buf, &err),
			 UL_E_IO);
	assert_int_equal(ul_file_read(fixture->fd, "pipe", 9, &buf, &err),
			 UL_E_IO);
	assert_int_equal(ul_file_read(fixture->fd, "symlink", 99, &buf, &err),
			 UL_E_IO);
	ul_mem_countdown = 0;
	assert_int_equal(ul_file_read(fixture->fd, "file", 99, &buf, &err),
			 UL_E_NOMEM);
	ul_mem_countdown = -1;
	assert_int_equal(buf.len, 0);
}

static void test_fs__replaces_a_file_whole_or_not_at_all(void **state)
{
	struct fixture *fixture = *state;
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf buf = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	char *big = calloc(1, 2 << 20), name[300];

	assert_return_code(mount("none", fixture->path, "tmpfs", 0, "size=1m"),
			   errno);
	close(fixture->fd);
	fixture->fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(
	    ul_file_replace(fixture->fd, "f", "old", 3, 0600, &err), 0);
	assert_int_equal(
	    ul_file_replace(fixture->fd, "f", "newer", 5, 0600, &err), 0);
	assert_int_equal(
	    ul_file_replace(fixture->fd, "f", big, 2 << 20, 0600, &err),
	    UL_E_IO);
	assert_int_equal(err.sys_errno, ENOSPC);
	free(big);
	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = '\0';
	assert_int_equal(ul_file_replace(fixture->fd, name, "x", 1, 0600, &err),
			 UL_E_INVALID);
	make_dir(fixture->fd, "dir");
	assert_int_equal(
	    ul_file_replace(fixture->fd, "dir", "x", 1, 0600, &err), UL_E_IO);
	assert_int_equal(ul_file_read(fixture->fd, "f", 9, &buf, &err), 0);
	assert_string_equal(buf.data, "newer");
	assert_int_equal(ul_dir_names(fixture->fd, &names, &err), 0);
	assert_int_equal(names.len, 2);
	assert_string_equal(names.names[0], "dir");
	assert_string_equal(names.names[1], "f");
}

static void count_wait(void *arg, const char *holder, int limit_ms)
{
	assert_int_equal(limit_ms, 50);
	assert_non_null(strstr(holder, "process "));
	++*(int *)arg;
}

/* A child holds the lock until the pipe's other end is closed. */
static pid_t child_lock(int dirfd, int op, int *ret_release)
{
	int ready[2], release[2];
	char byte;
	pid_t pid;

	assert_return_code(pipe(ready), errno);
	assert_return_code(pipe(release), errno);
	pid = fork();
	assert_return_code(pid, errno);
	if (!pid) {
		struct ul_err err;
		int fd = openat(dirfd, "lock", O_RDWR | O_CLOEXEC);

		close(release[1]);
		if (ul_fd_lock(fd, op, 0, NULL, NULL, &err))
			_exit(1);
		(void)!write(ready[1], "r", 1);
		(void)!read(release[0], &byte, 1);
		_exit(0);
	}
	close(ready[1]);
	close(release[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*ret_release = release[1];
	return pid;
}

static void test_fs__locks_and_gives_up_in_time(void **state)
{
	struct fixture *fixture = *state;
	struct ul_err err = UL_ERR_INIT;
	int fd, release, calls = 0, status;
	char expected[64];
	pid_t pid;

	make_file(fixture->fd, "lock", 0);
	fd = openat(fixture->fd, "lock", O_RDWR | O_CLOEXEC);
	pid = child_lock(fixture->fd, true, &release);
	assert_int_equal(ul_fd_lock(fd, true, 0, count_wait, &calls, &err),
			 UL_E_BUSY);
	assert_int_equal(calls, 0);
	assert_int_equal(ul_fd_lock(fd, false, 50, count_wait, &calls, &err),
			 UL_E_BUSY);
	assert_int_equal(calls, 1);
	snprintf(expected, sizeof expected, "locked by process %d (", (int)pid);
	assert_memory_equal(err.msg, expected, strlen(expected));
	close(release);
	assert_int_equal(ul_fd_lock(fd, true, 60000, NULL, NULL, &err), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
	fd = openat(fixture->fd, "lock", O_RDWR | O_CLOEXEC);
	pid = child_lock(fixture->fd, false, &release);
	assert_int_equal(ul_fd_lock(fd, false, 0, NULL, NULL, &err), 0);
	assert_int_equal(ul_fd_lock(fd, true, 20, NULL, NULL, &err), UL_E_BUSY);
	close(release);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	assert_int_equal(ul_fd_lock(fd, true, 0, NULL, NULL, &err), UL_E_IO);
}

static void test_fs__makes_and_opens_directories(void **state)
{
	struct fixture *fixture = *state;
	struct ul_err err = UL_ERR_INIT;
	char path[64];
	int fd = -1;

	snprintf(path, sizeof path, "%s/a/b//c/", fixture->path);
	assert_int_equal(ul_dir_make(path, &err), 0);
	assert_int_equal(ul_dir_make(path, &err), 0);
	assert_int_equal(ul_dir_open(fixture->fd, "a/b/c", &fd, &err), 0);
	ul_closep(&fd);
	assert_int_equal(fd, -1);
	make_file(fixture->fd, "file", 1);
	snprintf(path, sizeof path, "%s/file", fixture->path);
	assert_int_equal(ul_dir_make(path, &err), UL_E_IO);
	assert_int_equal(ul_dir_make("", &err), UL_E_INVALID);
	assert_int_equal(ul_dir_open(fixture->fd, "no", &fd, &err),
			 UL_E_ABSENT);
	assert_int_equal(ul_dir_open(fixture->fd, "file", &fd, &err), UL_E_IO);
	assert_return_code(symlinkat("a", fixture->fd, "symlink"), errno);
	assert_int_equal(ul_dir_open(fixture->fd, "symlink", &fd, &err),
			 UL_E_IO);
	assert_int_equal(fd, -1);
	snprintf(path, sizeof path, "%s/symlink", fixture->path);
	assert_int_equal(ul_dir_open(AT_FDCWD, path, &fd, &err), 0);
	assert_int_equal(ul_fd_sync(fd, "a", &err), 0);
	close(ul_fd_steal(&fd));
	assert_int_equal(fd, -1);
}

static void test_fs__lists_names_whatever_memory_does(void **state)
{
	struct fixture *fixture = *state;
	struct ul_names names = UL_NAMES_INIT;
	struct ul_err err = UL_ERR_INIT;
	char name[16];
	long n;
	int i;

	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "n%02d", 39 - i);
		make_file(fixture->fd, name, 0);
	}
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		if (!ul_dir_names(fixture->fd, &names, &err))
			break;
		assert_int_equal(err.code, UL_E_NOMEM);
		assert_null(names.names);
	}
	ul_mem_countdown = -1;
	assert_true(n > 40);
	assert_int_equal(names.len, 40);
	assert_string_equal(names.names[0], "n00");
	assert_string_equal(names.names[39], "n39");
	ul_names_release(&names);
	ul_names_release(&names);
}

static void test_fs__tells_whether_a_directory_is_empty(void **state)
{
	struct fixture *fixture = *state;
	struct ul_err err = UL_ERR_INIT;
	bool is_empty = false;

	assert_int_equal(ul_dir_is_empty(fixture->fd, &is_empty, &err), 0);
	assert_true(is_empty);
	make_file(fixture->fd, ".hidden", 0);
	assert_int_equal(ul_dir_is_empty(fixture->fd, &is_empty, &err), 0);
	assert_false(is_empty);
	is_empty = true;
	ul_mem_countdown = 0;
	assert_int_equal(ul_dir_is_empty(fixture->fd, &is_empty, &err),
			 UL_E_NOMEM);
	ul_mem_countdown = -1;
	assert_true(is_empty);
}

#define fs_test(name)                                                          \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		fs_test(test_fs__reads_up_to_the_limit_and_no_further),
		fs_test(test_fs__reads_regular_files_only),
		fs_test(test_fs__replaces_a_file_whole_or_not_at_all),
		fs_test(test_fs__locks_and_gives_up_in_time),
		fs_test(test_fs__makes_and_opens_directories),
		fs_test(test_fs__lists_names_whatever_memory_does),
		fs_test(test_fs__tells_whether_a_directory_is_empty),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
