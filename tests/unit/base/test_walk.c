#include "tests/unit/base/fixture.h"

#include <pthread.h>

#include "base/walk.h"

static uint64_t total(const struct ul_walk_tree *tree)
{
	uint64_t bytes = tree->allocated_bytes;
	size_t i;

	for (i = 0; i < tree->link_count; i++)
		bytes += tree->links[i].allocated_bytes;
	return bytes;
}

static void walk_one(struct fixture *fixture, struct ul_walk_tree *tree)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_walk(fixture->fd, tree, 1, NULL, &err))
		fail_msg("%s", err.msg);
}

static void test_walk__agrees_with_du_on_random_trees(void **state)
{
	struct fixture *fixture = *state;
	struct ul_walk_options options = { .thread_count = 0 };
	struct ul_walk_tree trees[] = { { .path = "a" }, { .path = "b" } };
	struct ul_err err = UL_ERR_INIT;
	char name[16];
	int seed;

	for (seed = 0; seed < 6; seed++) {
		snprintf(name, sizeof name, "r%d", seed);
		make_dir(fixture->fd, name);
		fixture->random = 77 + (uint64_t)seed;
		fixture->fd = openat(fixture->fd, name, O_RDONLY | O_CLOEXEC);
		make_random_tree(fixture, "a");
		make_random_tree(fixture, "b");
		make_file(fixture->fd, "a/both", 9000);
		make_link(fixture->fd, "a/both", "b/both");
		make_link(fixture->fd, "a/both", "b/twice");
		options.thread_count = 1 + seed % 5;
		assert_int_equal(ul_walk(fixture->fd, trees, 2, &options, &err),
				 0);
		snprintf(name, sizeof name, "r%d/a", seed);
		if (total(&trees[0]) != du(fixture, name))
			fail_msg("seed %d: a", seed);
		snprintf(name, sizeof name, "r%d/b", seed);
		if (total(&trees[1]) != du(fixture, name))
			fail_msg("seed %d: b", seed);
		assert_int_equal(trees[0].link_count, 1);
		assert_int_equal(trees[0].links[0].nlink, 3);
		assert_int_equal(trees[0].links[0].seen, 1);
		assert_int_equal(trees[1].link_count, 1);
		assert_int_equal(trees[1].links[0].seen, 2);
		assert_int_equal(trees[1].links[0].ino, trees[0].links[0].ino);
		assert_int_equal(trees[1].links[0].dev, trees[0].dev);
		ul_walk_trees_release(trees, 2);
		close(fixture->fd);
		fixture->fd = open(fixture->path, O_RDONLY | O_CLOEXEC);
	}
}

static void test_walk__counts_each_inode_once(void **state)
{
	struct fixture *fixture = *state;
	struct ul_walk_tree tree = { .path = "t" };
	struct stat st;

	make_dir(fixture->fd, "t");
	make_file(fixture->fd, "t/one", 5000);
	make_link(fixture->fd, "t/one", "t/two");
	make_file(fixture->fd, "t/three", 11);
	assert_return_code(symlinkat("three", fixture->fd, "t/four"), errno);
	walk_one(fixture, &tree);
	assert_int_equal(tree.object_count, 4);
	assert_int_equal(tree.length_bytes, 5011);
	assert_int_equal(tree.link_count, 0);
	assert_int_equal(tree.allocated_bytes, du(fixture, "t"));
	assert_return_code(fstatat(fixture->fd, "t", &st, 0), errno);
	assert_int_equal(tree.ino, st.st_ino);
	assert_int_equal(tree.dev, st.st_dev);
	assert_int_equal(tree.ctime_ns,
			 st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec);
	assert_int_equal(tree.newest_unix_s, st.st_ctim.tv_sec);
	assert_false(tree.is_absent);
	ul_walk_trees_release(&tree, 1);
}

static void test_walk__splits_and_skips_children(void **state)
{
	struct fixture *fixture = *state;
	struct ul_walk_tree tree = { .path = "t",
				     .split_child = "fs",
				     .skip_child = "trash" };

	make_dir(fixture->fd, "t");
	make_dir(fixture->fd, "t/fs");
	make_dir(fixture->fd, "t/work");
	make_dir(fixture->fd, "t/work/fs");
	make_dir(fixture->fd, "t/trash");
	make_file(fixture->fd, "t/trash/big", 300000);
	make_file(fixture->fd, "t/fs/in", 9000);
	make_file(fixture->fd, "t/fs/linked", 5000);
	make_link(fixture->fd, "t/fs/linked", "t/work/linked");
	make_file(fixture->fd, "t/work/fs/out", 7000);
	make_file(fixture->fd, "t/fs/away", 6000);
	make_link(fixture->fd, "t/fs/away", "away");
	walk_one(fixture, &tree);
	assert_int_equal(tree.link_count, 1);
	assert_true(tree.links[0].in_split);
	assert_int_equal(total(&tree), du(fixture, "--exclude=trash t"));
	assert_int_equal(tree.split_bytes + tree.links[0].allocated_bytes,
			 du(fixture, "t/fs"));
	ul_walk_trees_release(&tree, 1);
}

static void test_walk__leaves_out_mounts(void **state)
{
	struct fixture *fixture = *state;
	struct ul_walk_tree tree = { .path = "t" };
	uint64_t before;
	char a[96], b[96];

	make_dir(fixture->fd, "t");
	make_file(fixture->fd, "t/kept", 100);
	make_dir(fixture->fd, "outside");
	make_file(fixture->fd, "outside/big", 100000);
	before = du(fixture, "t");
	make_dir(fixture->fd, "t/bind");
	make_dir(fixture->fd, "t/tmpfs");
	make_file(fixture->fd, "t/file", 5000);
	snprintf(a, sizeof a, "%s/outside", fixture->path);
	snprintf(b, sizeof b, "%s/t/bind", fixture->path);
	assert_return_code(mount(a, b, NULL, MS_BIND, NULL), errno);
	snprintf(a, sizeof a, "%s/outside/big", fixture->path);
	snprintf(b, sizeof b, "%s/t/file", fixture->path);
	assert_return_code(mount(a, b, NULL, MS_BIND, NULL), errno);
	snprintf(b, sizeof b, "%s/t/tmpfs", fixture->path);
	assert_return_code(mount("none", b, "tmpfs", 0, NULL), errno);
	make_file(fixture->fd, "t/tmpfs/more", 50000);

	walk_one(fixture, &tree);
	assert_int_equal(tree.mount_count, 3);
	assert_string_equal(tree.mounts[0], "t/bind");
	assert_string_equal(tree.mounts[1], "t/file");
	assert_string_equal(tree.mounts[2], "t/tmpfs");
	assert_int_equal(tree.object_count, 2);
	assert_int_equal(tree.allocated_bytes, before);
	ul_walk_trees_release(&tree, 1);

	/* A top may be a mount point itself. */
	tree.path = "t/bind";
	walk_one(fixture, &tree);
	assert_int_equal(tree.object_count, 2);
	assert_int_equal(tree.mount_count, 0);
	ul_walk_trees_release(&tree, 1);
	snprintf(a, sizeof a, "umount %s/t/bind %s/t/file", fixture->path,
		 fixture->path);
	assert_int_equal(system(a), 0);
	assert_return_code(umount2(b, MNT_DETACH), errno);
}

static void test_walk__takes_files_and_absent_paths(void **state)
{
	struct fixture *fixture = *state;
	struct ul_walk_tree trees[] = {
		{ .path = "file" },       { .path = "absent" },
		{ .path = "file/below" }, { .path = "linked" },
		{ .path = "empty" },      { .path = "symlink" }
	};
	struct ul_err err = UL_ERR_INIT;

	make_file(fixture->fd, "file", 9000);
	make_file(fixture->fd, "linked", 100);
	make_link(fixture->fd, "linked", "linked2");
	make_dir(fixture->fd, "empty");
	assert_return_code(symlinkat("empty", fixture->fd, "symlink"), errno);
	assert_int_equal(ul_walk(fixture->fd, trees, 6, NULL, &err), 0);
	assert_int_equal(trees[0].allocated_bytes, du(fixture, "file"));
	assert_int_equal(trees[0].length_bytes, 9000);
	assert_int_equal(trees[0].object_count, 1);
	assert_true(trees[1].is_absent);
	assert_int_equal(trees[1].object_count, 0);
	assert_true(trees[2].is_absent);
	assert_int_equal(trees[3].allocated_bytes, 0);
	assert_int_equal(trees[3].link_count, 1);
	assert_int_equal(trees[3].length_bytes, 100);
	assert_int_equal(total(&trees[3]), du(fixture, "linked"));
	assert_int_equal(trees[4].allocated_bytes, du(fixture, "empty"));
	assert_int_equal(trees[5].allocated_bytes,
			 blocks_of(fixture->fd, "symlink"));
	assert_false(trees[5].is_absent);
	ul_walk_trees_release(trees, 6);
	assert_int_equal(ul_walk(fixture->fd, trees, 0, NULL, &err), 0);
}

static void test_walk__takes_thousands_of_files(void **state)
{
	struct fixture *fixture = *state;
	enum { COUNT = 5000 };
	struct ul_walk_tree *trees = calloc(COUNT, sizeof *trees);
	char(*names)[16] = calloc(COUNT, sizeof *names);
	struct ul_err err = UL_ERR_INIT;
	uint64_t sum = 0;
	size_t i;

	fixture_use_tmpfs(fixture);
	make_dir(fixture->fd, "t");
	for (i = 0; i < COUNT; i++) {
		snprintf(names[i], sizeof names[i], "t/%zu", i);
		make_file(fixture->fd, names[i], i % 2 ? 1 : 0);
		trees[i].path = names[i];
	}
	assert_int_equal(ul_walk(fixture->fd, trees, COUNT, NULL, &err), 0);
	for (i = 0; i < COUNT; i++) {
		assert_int_equal(trees[i].length_bytes, i % 2);
		sum += trees[i].allocated_bytes;
	}
	assert_int_equal(sum + blocks_of(fixture->fd, "t"), du(fixture, "t"));
	ul_walk_trees_release(trees, COUNT);

	trees[0].path = "t";
	walk_one(fixture, &trees[0]);
	assert_int_equal(trees[0].allocated_bytes, du(fixture, "t"));
	assert_int_equal(trees[0].object_count, COUNT + 1);
	ul_walk_trees_release(trees, 1);
	free(trees);
	free(names);
}

static void test_walk__needs_few_descriptors(void **state)
{
	struct fixture *fixture = *state;
	struct ul_walk_tree tree = { .path = "." };
	rlim_t before;
	char name[32];
	int i;

	fixture_use_tmpfs(fixture);
	make_deep(fixture->fd, 1500);
	for (i = 0; i < 2000; i++) {
		snprintf(name, sizeof name, "wide%d", i);
		make_dir(fixture->fd, name);
		snprintf(name, sizeof name, "wide%d/d", i);
		make_dir(fixture->fd, name);
	}
	for (i = 256; i > 0; i -= 208) {
		before = limit_files((rlim_t)i);
		walk_one(fixture, &tree);
		limit_files(before);
		assert_int_equal(tree.object_count, 1 + 3 * 1500 + 2 * 2000);
		assert_int_equal(tree.allocated_bytes, du(fixture, "."));
		ul_walk_trees_release(&tree, 1);
	}
}

static void test_walk__survives_every_allocation_failure(void **state)
{
	struct fixture *fixture = *state;
	struct ul_walk_options options = { .thread_count = 3 };
	struct ul_walk_tree trees[2] = { { .path = "a" }, { .path = "b" } };
	struct ul_err err = UL_ERR_INIT;
	char a[96];
	long n;
	int rc;

	make_random_tree(fixture, "a");
	make_random_tree(fixture, "b");
	make_link(fixture->fd, "a/n1", "b/link");
	make_dir(fixture->fd, "a/mount");
	snprintf(a, sizeof a, "%s/a/mount", fixture->path);
	assert_return_code(mount("none", a, "tmpfs", 0, NULL), errno);
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = ul_walk(fixture->fd, trees, 2, &options, &err);
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_int_equal(err.code, UL_E_NOMEM);
		assert_null(trees[0].links);
		assert_null(trees[0].mounts);
		assert_int_equal(trees[1].allocated_bytes, 0);
	}
	ul_mem_countdown = -1;
	assert_true(n > 10);
	assert_int_equal(trees[0].mount_count, 1);
	assert_int_equal(total(&trees[0]), du(fixture, "a"));
	ul_walk_trees_release(trees, 2);
	assert_return_code(umount2(a, MNT_DETACH), errno);
}

struct churn {
	int fd;
	atomic_bool stop;
};

static void *churn_main(void *arg)
{
	struct churn *churn = arg;
	char name[32];
	unsigned i;

	for (i = 0; !atomic_load(&churn->stop); i++) {
		snprintf(name, sizeof name, "t/d%u", i % 50);
		if (mkdirat(churn->fd, name, 0700)) {
			snprintf(name, sizeof name, "t/d%u/f", i % 50);
			unlinkat(churn->fd, name, 0);
			snprintf(name, sizeof name, "t/d%u", i % 50);
			unlinkat(churn->fd, name, AT_REMOVEDIR);
			continue;
		}
		snprintf(name, sizeof name, "t/d%u/f", i % 50);
		close(openat(churn->fd, name, O_CREAT | O_WRONLY, 0600));
	}
	return NULL;
}

static void test_walk__ignores_what_vanishes(void **state)
{
	struct fixture *fixture = *state;
	struct churn churn = { .fd = fixture->fd };
	struct ul_walk_tree tree = { .path = "t" };
	pthread_t thread;
	int i;

	make_dir(fixture->fd, "t");
	make_random_tree(fixture, "t/stays");
	assert_int_equal(pthread_create(&thread, NULL, churn_main, &churn), 0);
	for (i = 0; i < 300; i++) {
		walk_one(fixture, &tree);
		assert_true(tree.object_count > 50);
		ul_walk_trees_release(&tree, 1);
	}
	atomic_store(&churn.stop, true);
	pthread_join(thread, NULL);
	walk_one(fixture, &tree);
	assert_int_equal(total(&tree), du(fixture, "t"));
	ul_walk_trees_release(&tree, 1);
}

static bool count_call(void *arg, uint64_t objects, uint64_t bytes)
{
	int *calls = arg;

	(void)objects;
	(void)bytes;
	return ++*calls && false;
}

static void test_walk__stops_when_asked(void **state)
{
	struct fixture *fixture = *state;
	int calls = 0;
	struct ul_walk_options options = { .progress = count_call,
					   .arg = &calls };
	struct ul_walk_tree tree = { .path = "t" };
	struct ul_err err = UL_ERR_INIT;

	make_random_tree(fixture, "t");
	assert_int_equal(ul_walk(fixture->fd, &tree, 1, &options, &err),
			 UL_E_CANCELED);
	assert_int_equal(err.code, UL_E_CANCELED);
	assert_int_equal(calls, 1);
	assert_int_equal(tree.object_count, 0);
	assert_string_equal(tree.path, "t");
}

/* Root reads everything, so the walk happens as somebody else. */
static void test_walk__names_what_it_may_not_read(void **state)
{
	const struct ul_walk_options skip = { .skip_denied = true };
	struct fixture *fixture = *state;
	struct ul_walk_tree tree = { .path = "t" };
	struct ul_err err = UL_ERR_INIT;
	int rc;

	make_dir(fixture->fd, "t");
	make_dir(fixture->fd, "t/a");
	make_dir(fixture->fd, "t/a/closed");
	make_file(fixture->fd, "t/a/open", 1);
	assert_return_code(fchmodat(fixture->fd, "t/a/closed", 0, 0), errno);
	assert_return_code(fchmod(fixture->fd, 0755), errno);
	assert_return_code(seteuid(65534), errno);
	rc = ul_walk(fixture->fd, &tree, 1, NULL, &err);
	assert_return_code(seteuid(0), errno);
	assert_int_equal(rc, UL_E_IO);
	assert_int_equal(err.sys_errno, EACCES);
	assert_non_null(strstr(err.msg, "t/a/closed: "));
	assert_int_equal(tree.object_count, 0);
	assert_return_code(seteuid(65534), errno);
	rc = ul_walk(fixture->fd, &tree, 1, &skip, &err);
	assert_return_code(seteuid(0), errno);
	assert_int_equal(rc, 0);
	assert_true(tree.is_partial);
	assert_int_equal(tree.object_count, 3);
	ul_walk_trees_release(&tree, 1);
	assert_return_code(unlinkat(fixture->fd, "t/a/closed", AT_REMOVEDIR),
			   errno);
	assert_return_code(seteuid(65534), errno);
	rc = ul_walk(fixture->fd, &tree, 1, NULL, &err);
	assert_return_code(seteuid(0), errno);
	assert_int_equal(rc, 0);
	assert_false(tree.is_partial);
	assert_int_equal(tree.object_count, 3);
	ul_walk_trees_release(&tree, 1);
}

#define walk_test(name)                                                        \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		walk_test(test_walk__agrees_with_du_on_random_trees),
		walk_test(test_walk__counts_each_inode_once),
		walk_test(test_walk__splits_and_skips_children),
		walk_test(test_walk__leaves_out_mounts),
		walk_test(test_walk__takes_files_and_absent_paths),
		walk_test(test_walk__takes_thousands_of_files),
		walk_test(test_walk__needs_few_descriptors),
		walk_test(test_walk__survives_every_allocation_failure),
		walk_test(test_walk__ignores_what_vanishes),
		walk_test(test_walk__stops_when_asked),
		walk_test(test_walk__names_what_it_may_not_read),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
