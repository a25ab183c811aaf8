#include "store/oci/index_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/patience.h"
#include "store/oci/index_lock.h"
#include "store/oci/layout.h"

#define LOCK UL_INDEX_LOCK_NAME
#define EMPTY "{\"schemaVersion\":2,\"manifests\":[]}"

struct fixture {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);

	strcpy(fixture->path, "/tmp/ul-index-XXXXXX");
	if (!mkdtemp(fixture->path))
		return -1;
	fixture->fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = fixture;
	return fixture->fd < 0;
}

static int teardown(void **state)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	struct fixture *fixture = *state;
	struct ul_err err;
	size_t i;

	if (ul_dir_names(fixture->fd, &names, &err))
		return -1;
	for (i = 0; i < names.len; i++) {
		if (unlinkat(fixture->fd, names.names[i], 0))
			unlinkat(fixture->fd, names.names[i], AT_REMOVEDIR);
	}
	close(fixture->fd);
	rmdir(fixture->path);
	free(fixture);
	return 0;
}

static void put(const struct fixture *fixture, const char *name,
		const char *text)
{
	ul_cleanup(ul_closep) int fd = openat(
	    fixture->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void move(const struct fixture *fixture, const char *from,
		 const char *to)
{
	assert_int_equal(renameat(fixture->fd, from, fixture->fd, to), 0);
}

static bool exists(const struct fixture *fixture, const char *name)
{
	return !faccessat(fixture->fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static size_t file_count(const struct fixture *fixture)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	struct ul_err err;

	assert_int_equal(ul_dir_names(fixture->fd, &names, &err), 0);
	return names.len;
}

static struct ul_index_stamp stamp_read(const struct fixture *fixture)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	struct ul_patience patience = { .limit_ms = 0 };
	struct ul_index_stamp stamp;
	struct ul_err err = UL_ERR_INIT;

	if (ul_index_file_read(fixture->fd, &patience, 0, &index, &stamp, &err))
		fail_msg("%s", err.msg);
	return stamp;
}

/* Whether another program would get the lock that it opens by its name, as
 * BuildKit does: at once or not at all. */
static bool other_gets_it(const struct fixture *fixture)
{
	ul_cleanup(ul_closep) int fd =
	    openat(fixture->fd, LOCK, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void test_index_file__all_of_the_stamp_counts(void **state)
{
	struct ul_index_stamp stamp = { 1, 2, 3, 4 }, other = stamp;

	(void)state;
	assert_true(ul_index_stamp_equal(&stamp, &other));
	other.inode++;
	assert_false(ul_index_stamp_equal(&stamp, &other));
	other = stamp;
	other.size_bytes++;
	assert_false(ul_index_stamp_equal(&stamp, &other));
	other = stamp;
	other.ctime_ns++;
	assert_false(ul_index_stamp_equal(&stamp, &other));
	other = stamp;
	other.hash++;
	assert_false(ul_index_stamp_equal(&stamp, &other));
}

static void test_index_file__two_readings_are_equal(void **state)
{
	struct fixture *fixture = *state;
	struct ul_index_stamp stamp, again;
	struct ul_err err = UL_ERR_INIT;

	put(fixture, "index.json", EMPTY);
	stamp = stamp_read(fixture);
	again = stamp_read(fixture);
	assert_true(ul_index_stamp_equal(&stamp, &again));
	assert_int_equal(ul_index_file_expect(fixture->fd, &stamp, &err), 0);
	/* The same bytes in another file. */
	put(fixture, "new", EMPTY);
	move(fixture, "new", "index.json");
	assert_int_equal(ul_index_file_expect(fixture->fd, &stamp, &err),
			 UL_E_CONFLICT);
	again = stamp_read(fixture);
	assert_int_equal(again.hash, stamp.hash);
	assert_int_equal(again.size_bytes, stamp.size_bytes);
	assert_true(again.inode != stamp.inode);
	/* Other bytes of the same length, then another length. */
	put(fixture, "index.json", "{\"schemaVersion\":3,\"manifests\":[]}");
	assert_int_equal(ul_index_file_expect(fixture->fd, &again, &err),
			 UL_E_CONFLICT);
	put(fixture, "index.json", EMPTY " ");
	assert_int_equal(ul_index_file_expect(fixture->fd, &again, &err),
			 UL_E_CONFLICT);
	assert_int_equal(unlinkat(fixture->fd, "index.json", 0), 0);
	assert_int_equal(ul_index_file_expect(fixture->fd, &again, &err),
			 UL_E_CONFLICT);
}

static int read_count(const struct fixture *fixture, size_t *ret_count)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	struct ul_patience patience = { .limit_ms = 0 };
	struct ul_index_stamp stamp;
	struct ul_err err = UL_ERR_INIT;
	int rc =
	    ul_index_file_read(fixture->fd, &patience, 0, &index, &stamp, &err);

	if (rc)
		return rc;
	*ret_count = ul_layout_index_count(index);
	return ul_index_file_expect(fixture->fd, &stamp, &err);
}

/* As who makes a layout begins; any file below blobs/ makes its loss damage. */
static void test_index_file__may_lack_where_there_is_nothing(void **state)
{
	struct fixture *fixture = *state;
	size_t count = 7;

	assert_true(ul_index_file_may_lack(fixture->fd));
	assert_int_equal(read_count(fixture, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(mkdirat(fixture->fd, "blobs", 0755), 0);
	assert_int_equal(read_count(fixture, &count), 0);
	assert_int_equal(mkdirat(fixture->fd, "blobs/sha256", 0755), 0);
	assert_int_equal(read_count(fixture, &count), 0);
	put(fixture, "blobs/sha256/x", "");
	assert_false(ul_index_file_may_lack(fixture->fd));
	assert_int_equal(read_count(fixture, &count), UL_E_CORRUPT);
	move(fixture, "blobs/sha256/x", "blobs/x");
	assert_int_equal(read_count(fixture, &count), UL_E_CORRUPT);
	assert_int_equal(unlinkat(fixture->fd, "blobs/x", 0), 0);
	assert_int_equal(unlinkat(fixture->fd, "blobs/sha256", AT_REMOVEDIR),
			 0);
	assert_int_equal(unlinkat(fixture->fd, "blobs", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("elsewhere", fixture->fd, "blobs"), 0);
	assert_int_equal(read_count(fixture, &count), UL_E_CORRUPT);
	assert_int_equal(unlinkat(fixture->fd, "blobs", 0), 0);
}

/* What was read as none is replaced only while there is none. */
static void test_index_file__the_first_index_is_no_others(void **state)
{
	struct fixture *fixture = *state;
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	struct ul_index_lock lock = UL_INDEX_LOCK_INIT;
	struct ul_index_stamp none = stamp_read(fixture);
	struct ul_err err = UL_ERR_INIT;

	index = ul_layout_index_new();
	assert_non_null(index);
	put(fixture, "index.json", EMPTY);
	assert_int_equal(
	    ul_index_file_replace(fixture->fd, &lock, index, &none, &err),
	    UL_E_CONFLICT);
	assert_int_equal(unlinkat(fixture->fd, "index.json", 0), 0);
	if (ul_index_file_replace(fixture->fd, &lock, index, &none, &err))
		fail_msg("%s", err.msg);
	assert_true(exists(fixture, "index.json"));
}

/* Neither followed nor opened; and never written over. */
static void test_index_file__what_is_no_file_is_damage(void **state)
{
	static const struct {
		mode_t mode;
		const char *text;
	} kinds[] = {
		{ S_IFLNK, "index.json is a symlink, which is not followed" },
		{ S_IFDIR, "index.json is no regular file" },
		{ S_IFIFO, "index.json is no regular file" },
	};
	struct fixture *fixture = *state;
	size_t i;

	put(fixture, "elsewhere", EMPTY);
	for (i = 0; i < ul_array_len(kinds); i++) {
		ul_cleanup(
		    ul_layout_index_freep) struct ul_layout_index *index = NULL;
		struct ul_patience patience = { .limit_ms = 0 };
		struct ul_err err = UL_ERR_INIT;
		mode_t mode = kinds[i].mode;
		int rc = S_ISLNK(mode)
			     ? symlinkat("elsewhere", fixture->fd, "index.json")
			 : S_ISDIR(mode)
			     ? mkdirat(fixture->fd, "index.json", 0700)
			     : mkfifoat(fixture->fd, "index.json", 0600);

		assert_int_equal(rc, 0);
		assert_int_equal(ul_index_file_read(fixture->fd, &patience, 0,
						    &index, NULL, &err),
				 UL_E_CORRUPT);
		assert_string_equal(err.msg, kinds[i].text);
		assert_null(index);
		assert_int_equal(unlinkat(fixture->fd, "index.json",
					  S_ISDIR(mode) ? AT_REMOVEDIR : 0),
				 0);
	}
	assert_int_equal(unlinkat(fixture->fd, "elsewhere", 0), 0);
}

static void test_index_file__replaces_under_the_lock(void **state)
{
	struct fixture *fixture = *state;
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	struct ul_index_lock lock = UL_INDEX_LOCK_INIT;
	struct ul_patience patience = { .limit_ms = 0 };
	struct ul_index_stamp stamp;
	struct ul_err err = UL_ERR_INIT;

	put(fixture, "index.json", EMPTY "  ");
	assert_int_equal(
	    ul_index_file_read(fixture->fd, &patience, 0, &index, &stamp, &err),
	    0);
	assert_int_equal(
	    ul_index_file_replace(fixture->fd, &lock, index, &stamp, &err), 0);
	assert_int_equal(lock.taken, 1);
	assert_int_equal(lock.fd, -1);
	assert_int_equal(file_count(fixture), 1);
	/* It is another one now: the stamp no longer fits. */
	assert_int_equal(
	    ul_index_file_replace(fixture->fd, &lock, index, &stamp, &err),
	    UL_E_CONFLICT);
	assert_int_equal(file_count(fixture), 1);
}

static void test_index_lock__is_removed_when_it_is_let_go(void **state)
{
	struct fixture *fixture = *state;
	struct ul_index_lock lock = UL_INDEX_LOCK_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(ul_index_lock_take(&lock, fixture->fd, &err), 0);
	assert_true(exists(fixture, LOCK));
	assert_false(other_gets_it(fixture));
	ul_index_lock_drop(&lock);
	assert_false(exists(fixture, LOCK));
	assert_true(other_gets_it(fixture));
	ul_index_lock_drop(&lock);
	/* It is somebody's by now. */
	assert_true(exists(fixture, LOCK));
}

static void test_index_lock__one_left_by_a_dead_process_is_used(void **state)
{
	struct fixture *fixture = *state;
	struct ul_index_lock lock = UL_INDEX_LOCK_INIT;
	struct ul_err err = UL_ERR_INIT;

	put(fixture, LOCK, "");
	assert_int_equal(ul_index_lock_take(&lock, fixture->fd, &err), 0);
	assert_false(other_gets_it(fixture));
	ul_index_lock_drop(&lock);
	assert_false(exists(fixture, LOCK));
}

/* A child that holds the lock until the pipe's end is closed; it then removes
 * the file, as BuildKit does, before or after unlocking. */
static pid_t child_holds(const struct fixture *fixture, bool replaces,
			 int *ret_release)
{
	int ready[2], release[2];
	char byte;
	pid_t pid;

	assert_return_code(pipe(ready), errno);
	assert_return_code(pipe(release), errno);
	pid = fork();
	assert_return_code(pid, errno);
	if (!pid) {
		int fd = openat(fixture->fd, LOCK, O_RDONLY | O_CREAT, 0600);

		close(release[1]);
		if (flock(fd, LOCK_EX | LOCK_NB))
			_exit(1);
		(void)!write(ready[1], "r", 1);
		(void)!read(release[0], &byte, 1);
		if (replaces) {
			unlinkat(fixture->fd, LOCK, 0);
			close(openat(fixture->fd, LOCK, O_RDONLY | O_CREAT,
				     0600));
		}
		_exit(0);
	}
	close(ready[1]);
	close(release[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*ret_release = release[1];
	return pid;
}

static void wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_index_lock__says_who_holds_it(void **state)
{
	struct fixture *fixture = *state;
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	struct ul_index_lock lock = UL_INDEX_LOCK_INIT;
	struct ul_patience patience = { .limit_ms = 0 };
	struct ul_index_stamp stamp, after;
	struct ul_err err = UL_ERR_INIT;
	char expected[80];
	int release;
	pid_t pid;

	put(fixture, "index.json", EMPTY);
	assert_int_equal(
	    ul_index_file_read(fixture->fd, &patience, 0, &index, &stamp, &err),
	    0);
	pid = child_holds(fixture, false, &release);
	lock.wait_ms = 30;
	assert_int_equal(
	    ul_index_file_replace(fixture->fd, &lock, index, &stamp, &err),
	    UL_E_BUSY);
	snprintf(expected, sizeof expected,
		 "index.json.lock: locked by process %d (", (int)pid);
	assert_memory_equal(err.msg, expected, strlen(expected));
	assert_int_equal(lock.fd, -1);
	assert_int_equal(lock.taken, 0);
	/* Nothing was changed, and the lock is still theirs. */
	after = stamp_read(fixture);
	assert_true(ul_index_stamp_equal(&stamp, &after));
	assert_int_equal(file_count(fixture), 2);
	assert_false(other_gets_it(fixture));
	close(release);
	wait_for(pid);
	assert_int_equal(
	    ul_index_file_replace(fixture->fd, &lock, index, &stamp, &err), 0);
}

static void release_holder(void *arg, const char *holder, int limit_ms)
{
	(void)holder;
	(void)limit_ms;
	close(*(int *)arg);
}

/* Opened by us, then locked and replaced by another: what we get in the end is
 * no longer what the path says. */
static void test_index_lock__one_that_was_replaced_is_taken_anew(void **state)
{
	struct fixture *fixture = *state;
	struct ul_index_lock lock = UL_INDEX_LOCK_INIT;
	struct ul_err err = UL_ERR_INIT;
	int release;
	pid_t pid = child_holds(fixture, true, &release);
	struct stat held, there;

	lock.wait_ms = 60000;
	lock.waiting = release_holder;
	lock.waiting_arg = &release;
	assert_int_equal(ul_index_lock_take(&lock, fixture->fd, &err), 0);
	wait_for(pid);
	assert_int_equal(fstat(lock.fd, &held), 0);
	assert_int_equal(fstatat(fixture->fd, LOCK, &there, 0), 0);
	assert_int_equal(held.st_ino, there.st_ino);
	assert_false(other_gets_it(fixture));
	ul_index_lock_drop(&lock);
	assert_false(exists(fixture, LOCK));
}

static void test_index_lock__anothers_is_not_removed(void **state)
{
	struct fixture *fixture = *state;
	struct ul_index_lock lock = UL_INDEX_LOCK_INIT;
	struct ul_err err = UL_ERR_INIT;

	/* BuildKit removes the path after unlocking: by then it may be ours. */
	assert_int_equal(ul_index_lock_take(&lock, fixture->fd, &err), 0);
	put(fixture, "other", "");
	move(fixture, "other", LOCK);
	ul_index_lock_drop(&lock);
	assert_true(exists(fixture, LOCK));
}

static void test_index_lock__is_no_symlink_or_pipe(void **state)
{
	struct fixture *fixture = *state;
	struct ul_index_lock lock = UL_INDEX_LOCK_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(symlinkat("/etc/passwd", fixture->fd, LOCK), 0);
	assert_int_equal(ul_index_lock_take(&lock, fixture->fd, &err), UL_E_IO);
	assert_int_equal(unlinkat(fixture->fd, LOCK, 0), 0);
	assert_int_equal(mkfifoat(fixture->fd, LOCK, 0644), 0);
	assert_int_equal(ul_index_lock_take(&lock, fixture->fd, &err), UL_E_IO);
	assert_non_null(strstr(err.msg, "no regular file"));
	assert_true(exists(fixture, LOCK));
}

static void test_index_lock__is_due_when_it_was_held_long_enough(void **state)
{
	struct fixture *fixture = *state;
	struct ul_index_lock lock = UL_INDEX_LOCK_INIT;
	struct ul_err err = UL_ERR_INIT;

	lock.hold_ms = 0;
	assert_int_equal(ul_index_lock_take(&lock, fixture->fd, &err), 0);
	assert_true(ul_index_lock_is_due(&lock));
	lock.hold_ms = INT32_MAX;
	assert_false(ul_index_lock_is_due(&lock));
	ul_index_lock_drop(&lock);
	assert_true(lock.longest_ns > 0);
}

int main(void)
{
#define INDEX_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		INDEX_TEST(index_file__all_of_the_stamp_counts),
		INDEX_TEST(index_file__two_readings_are_equal),
		INDEX_TEST(index_file__what_is_no_file_is_damage),
		INDEX_TEST(index_file__may_lack_where_there_is_nothing),
		INDEX_TEST(index_file__the_first_index_is_no_others),
		INDEX_TEST(index_file__replaces_under_the_lock),
		INDEX_TEST(index_lock__is_removed_when_it_is_let_go),
		INDEX_TEST(index_lock__one_left_by_a_dead_process_is_used),
		INDEX_TEST(index_lock__says_who_holds_it),
		INDEX_TEST(index_lock__one_that_was_replaced_is_taken_anew),
		INDEX_TEST(index_lock__anothers_is_not_removed),
		INDEX_TEST(index_lock__is_no_symlink_or_pipe),
		INDEX_TEST(index_lock__is_due_when_it_was_held_long_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
