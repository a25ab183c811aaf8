#include "store/verify/tree_compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "tests/lib/tree_print.h"

struct trees {
	char *top;
	int left_fd, right_fd;
};

static void shell(const struct trees *trees, const char *script)
{
	ul_cleanup(ul_freep) char *command =
	    ul_asprintf("cd '%s' && %s", trees->top, script);

	assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
	struct trees *trees = calloc(1, sizeof *trees);
	struct ul_err err = UL_ERR_INIT;
	char *path;

	trees->top = tree_temp();
	shell(trees, "mkdir -p left/etc/deep left/bin && "
		     "printf one >left/etc/one && printf 0123456789 >left/ten "
		     "&& ln -s one left/etc/link && mkfifo left/pipe && "
		     "ln left/ten left/bin/ten && cp -a left right");
	path = ul_asprintf("%s/left", trees->top);
	assert_int_equal(ul_dir_open(AT_FDCWD, path, &trees->left_fd, &err), 0);
	free(path);
	path = ul_asprintf("%s/right", trees->top);
	assert_int_equal(ul_dir_open(AT_FDCWD, path, &trees->right_fd, &err),
			 0);
	free(path);
	*state = trees;
	return 0;
}

static int teardown(void **state)
{
	struct trees *trees = *state;

	close(trees->left_fd);
	close(trees->right_fd);
	tree_remove(trees->top);
	free(trees);
	return 0;
}

static void expect(const struct trees *trees, int count, const char *first)
{
	ul_cleanup(ul_buf_release) struct ul_buf said = UL_BUF_INIT;
	struct ul_tree_compare compare = {
		.left_fd = trees->left_fd,
		.right_fd = trees->right_fd,
	};
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(ul_tree_compare(&compare, &said, &err), count);
	assert_string_equal(ul_buf_str(&said), first);
}

static void test_tree_compare__copies_are_equal(void **state)
{
	expect(*state, 0, "");
}

/* One change each, the times of directories put back. */
static void test_tree_compare__finds_every_kind_of_change(void **state)
{
	static const struct {
		const char *script, *first;
	} changes[] = {
		{ "printf two >right/etc/one", "etc/one: content" },
		{ "printf four >right/etc/one", "etc/one: length" },
		{ "chmod 600 right/etc/one", "etc/one: mode" },
		{ "chown 3:4 right/etc/one", "etc/one: owner" },
		{ "chown -h 3 right/etc/link", "etc/link: owner" },
		{ "rm right/etc/one", "etc/one: is missing" },
		{ "touch right/etc/two", "etc/two: is too much" },
		{ "ln -sfn two right/etc/link", "etc/link: content" },
		{ "rm right/pipe && printf x >right/pipe",
		  "pipe: another type" },
		{ "cp -p right/ten x && mv x right/bin/ten",
		  "bin/ten: hard links" },
		{ "rmdir right/etc/deep", "etc/deep: is missing" },
		{ "setfattr -n user.x -v 1 right/etc/one",
		  "etc/one: extended attributes" },
		{ "setfattr -n user.x -v 1 right", "/: extended attributes" },
		{ "chmod 711 right", "/: mode" },
	};
	struct trees *trees = *state;
	size_t i;

	for (i = 0; i < ul_array_len(changes); i++) {
		shell(trees, "rm -rf right/* && cp -a left/. right/ && "
			     "(setfattr -x user.x right 2>/dev/null || :)");
		shell(trees, changes[i].script);
		shell(trees,
		      "cd left && find . ! -type p | while read -r f; do "
		      "[ ! -e \"../right/$f\" -a ! -L \"../right/$f\" ] || [ "
		      "-p \"../right/$f\" ] || "
		      "touch -h -r \"$f\" \"../right/$f\"; done; "
		      "touch -r pipe ../right/pipe");
		expect(trees, 1, changes[i].first);
	}
}

static void test_tree_compare__finds_a_time_alone(void **state)
{
	struct trees *trees = *state;

	shell(trees, "touch -d @1.5 right/etc/one");
	expect(trees, 1, "etc/one: time of change");
	shell(trees, "touch -d @1.5 left/etc/one");
	expect(trees, 0, "");
	shell(trees, "touch -d @1.6 right/etc/one right/pipe right/etc");
	expect(trees, 3, "etc: time of change");
}

static void test_tree_compare__whiteouts_have_no_time(void **state)
{
	struct trees *trees = *state;

	if (mknodat(trees->left_fd, "gone", S_IFCHR, makedev(0, 0)) ||
	    mknodat(trees->right_fd, "gone", S_IFCHR, makedev(0, 0)))
		fail_msg("a whiteout cannot be made");
	shell(trees, "touch -h -d @1 left/gone && touch -r left right");
	expect(trees, 0, "");
}

static void test_tree_compare__skips_what_it_is_told(void **state)
{
	struct trees *trees = *state;
	ul_cleanup(ul_buf_release) struct ul_buf said = UL_BUF_INIT;
	struct ul_tree_compare compare = {
		.left_fd = trees->left_fd,
		.right_fd = trees->right_fd,
		.skip_owners = true,
		.skip_xattrs = true,
	};
	struct ul_err err = UL_ERR_INIT;

	shell(trees, "chown 3:4 right/etc/one && "
		     "setfattr -n user.x -v 1 right/etc/one");
	assert_int_equal(ul_tree_compare(&compare, &said, &err), 0);
}

static void test_tree_compare__survives_every_allocation_failure(void **state)
{
	struct trees *trees = *state;
	struct ul_tree_compare compare = {
		.left_fd = trees->left_fd,
		.right_fd = trees->right_fd,
	};
	long n;

	shell(trees, "setfattr -n user.x -v 1 right/etc/one");
	for (n = 0;; n++) {
		ul_cleanup(ul_buf_release) struct ul_buf said = UL_BUF_INIT;
		struct ul_err err = UL_ERR_INIT;
		int rc;

		ul_mem_countdown = n;
		rc = ul_tree_compare(&compare, &said, &err);
		ul_mem_countdown = -1;
		if (rc >= 0) {
			assert_int_equal(rc, 1);
			break;
		}
		assert_int_equal(rc, UL_E_NOMEM);
	}
	assert_true(n > 10);
}

int main(void)
{
#define TREES_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TREES_TEST(test_tree_compare__copies_are_equal),
		TREES_TEST(test_tree_compare__finds_every_kind_of_change),
		TREES_TEST(test_tree_compare__finds_a_time_alone),
		TREES_TEST(test_tree_compare__whiteouts_have_no_time),
		TREES_TEST(test_tree_compare__skips_what_it_is_told),
		TREES_TEST(
		    test_tree_compare__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
