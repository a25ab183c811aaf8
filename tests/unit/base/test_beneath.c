#include "tests/unit/base/fixture.h"

#include "base/beneath.h"
#include "base/fs.h"

static void tree_make(struct fixture *fixture)
{
	make_dir(fixture->fd, "a");
	make_dir(fixture->fd, "a/b");
	make_file(fixture->fd, "a/b/file", 1);
	assert_return_code(symlinkat("a", fixture->fd, "to-a"), errno);
	assert_return_code(symlinkat("b", fixture->fd, "a/to-b"), errno);
	assert_return_code(symlinkat("file", fixture->fd, "a/b/to-file"),
			   errno);
}

static void test_beneath__opens_the_folder_of_the_last_name(void **state)
{
	static const char *const paths[] = { "a", "a/b", "a/b/file",
					     "a/b/to-file", "a/b/absent" };
	struct fixture *fixture = *state;
	size_t i;

	tree_make(fixture);
	for (i = 0; i < ul_array_len(paths); i++) {
		ul_cleanup(ul_closep) int fd = -1;
		struct ul_err err = UL_ERR_INIT;
		const char *name = NULL;
		struct stat here, there;

		assert_int_equal(
		    ul_beneath_open(fixture->fd, paths[i], &fd, &name, &err),
		    0);
		if (!strcmp(name, "absent"))
			continue;
		assert_int_equal(fstatat(fd, name, &here, AT_SYMLINK_NOFOLLOW),
				 0);
		assert_int_equal(
		    fstatat(fixture->fd, paths[i], &there, AT_SYMLINK_NOFOLLOW),
		    0);
		assert_int_equal(here.st_ino, there.st_ino);
	}
}

static void test_beneath__leads_nowhere_else(void **state)
{
	static const struct {
		const char *path;
		int rc;
	} cases[] = {
		{ "to-a/b", UL_E_IO },
		{ "to-a/b/file", UL_E_IO },
		{ "a/to-b/file", UL_E_IO },
		{ "a/b/file/x", UL_E_IO },
		{ "a/absent/file", UL_E_ABSENT },
		{ "", UL_E_INVALID },
		{ "/", UL_E_INVALID },
		{ "/a", UL_E_INVALID },
		{ "a/", UL_E_INVALID },
		{ "a//b", UL_E_INVALID },
		{ ".", UL_E_INVALID },
		{ "..", UL_E_INVALID },
		{ "./a", UL_E_INVALID },
		{ "../a", UL_E_INVALID },
		{ "a/../a", UL_E_INVALID },
		{ "a/b/..", UL_E_INVALID },
	};
	struct fixture *fixture = *state;
	size_t i;

	tree_make(fixture);
	for (i = 0; i < ul_array_len(cases); i++) {
		struct ul_err err = UL_ERR_INIT;
		const char *name = NULL;
		int fd = -1;

		assert_int_equal(ul_beneath_open(fixture->fd, cases[i].path,
						 &fd, &name, &err),
				 cases[i].rc);
		assert_int_equal(fd, -1);
		assert_null(name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_beneath__opens_the_folder_of_the_last_name,
		    fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
		    test_beneath__leads_nowhere_else, fixture_setup,
		    fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
