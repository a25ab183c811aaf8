#include "tests/unit/base/fixture.h"

#include "base/remove.h"

static struct ul_removed remove_one(struct fixture *fixture, const char *path)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_removed removed;

	if (ul_remove_trees(fixture->fd, &path, 1, &removed, &err))
		fail_msg("%s", err.msg);
	assert_false(exists(fixture->fd, path));
	return removed;
}

static void test_remove__frees_what_du_counted(void **state)
{
	struct fixture *fixture = *state;
	const char *paths[] = { "a", "b", "c", "d" };
	struct ul_err err = UL_ERR_INIT;
	struct ul_removed removed;
	uint64_t before;
	int seed, i;

	for (seed = 0; seed < 6; seed++) {
		fixture->random = 1234 + (uint64_t)seed;
		for (i = 0; i < 4; i++)
			make_random_tree(fixture, paths[i]);
		make_file(fixture->fd, "a/both", 9000);
		make_link(fixture->fd, "a/both", "b/both");
		make_link(fixture->fd, "a/both", "c/both");
		before = du(fixture, "a b c d");
		assert_int_equal(
		    ul_remove_trees(fixture->fd, paths, 4, &removed, &err), 0);
		if (removed.freed_bytes != before)
			fail_msg("seed %d: %llu freed of %llu", seed,
				 (unsigned long long)removed.freed_bytes,
				 (unsigned long long)before);
		for (i = 0; i < 4; i++)
			assert_false(exists(fixture->fd, paths[i]));
	}
}

static void test_remove__counts_linked_inodes_once(void **state)
{
	struct fixture *fixture = *state;
	const char *paths[8];
	char names[8][16], path[32];
	struct ul_err err = UL_ERR_INIT;
	struct ul_removed removed;
	uint64_t before;
	int i, j;

	make_dir(fixture->fd, "0");
	for (j = 0; j < 300; j++) {
		snprintf(path, sizeof path, "0/%d", j);
		make_file(fixture->fd, path, 4000);
	}
	paths[0] = "0";
	for (i = 1; i < 8; i++) {
		snprintf(names[i], sizeof names[i], "%d", i);
		paths[i] = names[i];
		make_dir(fixture->fd, names[i]);
		for (j = 0; j < 300; j++) {
			char from[32];

			snprintf(from, sizeof from, "0/%d", j);
			snprintf(path, sizeof path, "%d/%d", i, j);
			make_link(fixture->fd, from, path);
		}
	}
	before = du(fixture, "0 1 2 3 4 5 6 7");
	assert_int_equal(ul_remove_trees(fixture->fd, paths, 8, &removed, &err),
			 0);
	assert_int_equal(removed.freed_bytes, before);
	assert_int_equal(removed.object_count, 8 * 301);
}

static void test_remove__keeps_what_is_linked_outside(void **state)
{
	struct fixture *fixture = *state;
	struct ul_removed removed;

	make_dir(fixture->fd, "t");
	make_dir(fixture->fd, "outside");
	make_file(fixture->fd, "outside/file", 10000);
	make_link(fixture->fd, "outside/file", "t/one");
	make_link(fixture->fd, "outside/file", "t/two");
	assert_return_code(symlinkat("../outside", fixture->fd, "t/symlink"),
			   errno);
	removed = remove_one(fixture, "t");
	assert_int_equal(removed.object_count, 4);
	assert_int_equal(removed.freed_bytes,
			 blocks_of(fixture->fd, "outside"));
	assert_true(exists(fixture->fd, "outside/file"));
}

static void test_remove__takes_files_symlinks_and_absent_names(void **state)
{
	struct fixture *fixture = *state;
	struct ul_removed removed;

	make_dir(fixture->fd, "dir");
	make_file(fixture->fd, "file", 5000);
	make_file(fixture->fd, "dir/inside", 10);
	assert_return_code(symlinkat("dir", fixture->fd, "symlink"), errno);
	removed = remove_one(fixture, "file");
	assert_int_equal(removed.object_count, 1);
	assert_int_equal(removed.freed_bytes, 8192);
	removed = remove_one(fixture, "symlink");
	assert_int_equal(removed.object_count, 1);
	assert_true(exists(fixture->fd, "dir/inside"));
	removed = remove_one(fixture, "absent/below");
	assert_int_equal(removed.object_count, 0);
}

/* A directory that grew shrinks, or not, as it is emptied. */
static void test_remove__counts_directories_as_they_were(void **state)
{
	struct fixture *fixture = *state;
	char name[64];
	uint64_t before;
	int i;

	make_dir(fixture->fd, "t");
	for (i = 0; i < 1500; i++) {
		snprintf(name, sizeof name, "t/a-name-that-fills-blocks-%d", i);
		make_file(fixture->fd, name, 0);
	}
	before = du(fixture, "t");
	assert_true(before > 50000);
	assert_int_equal(remove_one(fixture, "t").freed_bytes, before);
}

static void test_remove__needs_few_descriptors(void **state)
{
	struct fixture *fixture = *state;
	int i, fd;

	fixture_use_tmpfs(fixture);
	for (i = 256; i > 0; i -= 208) {
		struct ul_removed removed;
		uint64_t bytes;
		rlim_t before;

		make_dir(fixture->fd, "t");
		fd = openat(fixture->fd, "t", O_RDONLY | O_CLOEXEC);
		make_deep(fd, 1500);
		close(fd);
		bytes = du(fixture, "t");
		before = limit_files((rlim_t)i);
		removed = remove_one(fixture, "t");
		limit_files(before);
		assert_int_equal(removed.object_count, 1 + 3 * 1500);
		assert_int_equal(removed.freed_bytes, bytes);
	}
}

static void refuse(struct fixture *fixture, const char *path, const char *says)
{
	const char *paths[] = { "first", path, "last" };
	struct ul_err err = UL_ERR_INIT;
	struct ul_removed removed;

	make_dir(fixture->fd, "first");
	make_dir(fixture->fd, "last");
	make_file(fixture->fd, "last/file", 1);
	assert_int_equal(ul_remove_trees(fixture->fd, paths, 3, &removed, &err),
			 UL_E_REFUSED);
	assert_string_equal(err.msg, says);
	assert_true(removed.object_count >= 3);
	assert_false(exists(fixture->fd, "first"));
	assert_false(exists(fixture->fd, "last"));
	assert_true(exists(fixture->fd, path));
}

static void test_remove__refuses_mounts(void **state)
{
	struct fixture *fixture = *state;
	char a[96], b[96];

	make_dir(fixture->fd, "outside");
	make_file(fixture->fd, "outside/file", 10);
	make_dir(fixture->fd, "t");
	make_dir(fixture->fd, "t/a");
	make_dir(fixture->fd, "t/a/bind");
	make_dir(fixture->fd, "u");
	make_file(fixture->fd, "u/bind", 0);
	snprintf(a, sizeof a, "%s/outside", fixture->path);
	snprintf(b, sizeof b, "%s/t/a/bind", fixture->path);
	assert_return_code(mount(a, b, NULL, MS_BIND, NULL), errno);
	refuse(fixture, "t", "t/a/bind is a mount point");
	refuse(fixture, "t/a/bind", "t/a/bind is a mount point");
	assert_return_code(umount2(b, 0), errno);
	snprintf(a, sizeof a, "%s/outside/file", fixture->path);
	snprintf(b, sizeof b, "%s/u/bind", fixture->path);
	assert_return_code(mount(a, b, NULL, MS_BIND, NULL), errno);
	refuse(fixture, "u", "u/bind is a mount point");
	assert_return_code(umount2(b, 0), errno);
	assert_true(exists(fixture->fd, "outside/file"));
	remove_one(fixture, "t");
}

static void test_remove__opens_up_its_own_directories(void **state)
{
	struct fixture *fixture = *state;
	struct ul_removed removed = { 0 };
	struct ul_err err = UL_ERR_INIT;
	const char *path = "t/closed";
	int rc;

	make_dir(fixture->fd, "t");
	assert_return_code(fchmod(fixture->fd, 0755), errno);
	assert_return_code(fchownat(fixture->fd, "t", 65534, 65534, 0), errno);
	assert_return_code(seteuid(65534), errno);
	make_dir(fixture->fd, "t/closed");
	make_dir(fixture->fd, "t/closed/none");
	make_file(fixture->fd, "t/closed/none/file", 1);
	make_dir(fixture->fd, "t/closed/read-only");
	make_file(fixture->fd, "t/closed/read-only/file", 1);
	assert_return_code(fchmodat(fixture->fd, "t/closed/none", 0, 0), errno);
	assert_return_code(fchmodat(fixture->fd, "t/closed/read-only", 0555, 0),
			   errno);
	assert_return_code(fchmodat(fixture->fd, "t/closed", 0, 0), errno);
	rc = ul_remove_trees(fixture->fd, &path, 1, &removed, &err);
	assert_return_code(seteuid(0), errno);
	if (rc)
		fail_msg("%s", err.msg);
	assert_int_equal(removed.object_count, 5);
	assert_false(exists(fixture->fd, path));
}

static void test_remove__names_what_it_could_not_remove(void **state)
{
	struct fixture *fixture = *state;
	const char *paths[] = { "t", "last" };
	struct ul_err err = UL_ERR_INIT;
	struct ul_removed removed;
	int rc;

	make_dir(fixture->fd, "t");
	make_dir(fixture->fd, "t/theirs");
	make_file(fixture->fd, "t/theirs/file", 1);
	make_dir(fixture->fd, "last");
	assert_return_code(fchmod(fixture->fd, 0777), errno);
	assert_return_code(seteuid(65534), errno);
	rc = ul_remove_trees(fixture->fd, paths, 2, &removed, &err);
	assert_return_code(seteuid(0), errno);
	assert_int_equal(rc, UL_E_IO);
	assert_int_equal(err.sys_errno, EACCES);
	assert_string_equal(err.msg, "remove t/theirs/file: Permission denied");
	assert_int_equal(removed.object_count, 1);
	assert_true(exists(fixture->fd, "t/theirs/file"));
	assert_false(exists(fixture->fd, "last"));
}

static void test_remove__survives_every_allocation_failure(void **state)
{
	struct fixture *fixture = *state;
	const char *paths[] = { "a", "b" };
	struct ul_err err = UL_ERR_INIT;
	struct ul_removed removed;
	uint64_t before, freed = 0;
	long n;
	int rc;

	make_random_tree(fixture, "a");
	make_random_tree(fixture, "b");
	before = du(fixture, "a b");
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = ul_remove_trees(fixture->fd, paths, 2, &removed, &err);
		freed += removed.freed_bytes;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_int_equal(err.code, UL_E_NOMEM);
	}
	ul_mem_countdown = -1;
	assert_true(n > 3);
	assert_false(exists(fixture->fd, "a"));
	assert_false(exists(fixture->fd, "b"));
	assert_int_equal(freed, before);
}

#define remove_test(name)                                                      \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		remove_test(test_remove__frees_what_du_counted),
		remove_test(test_remove__counts_linked_inodes_once),
		remove_test(test_remove__keeps_what_is_linked_outside),
		remove_test(test_remove__takes_files_symlinks_and_absent_names),
		remove_test(test_remove__counts_directories_as_they_were),
		remove_test(test_remove__needs_few_descriptors),
		remove_test(test_remove__refuses_mounts),
		remove_test(test_remove__opens_up_its_own_directories),
		remove_test(test_remove__names_what_it_could_not_remove),
		remove_test(test_remove__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
