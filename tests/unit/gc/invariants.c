#include "tests/unit/gc/invariants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/err.h"
#include "store/embedded/lease.h"
#include "store/embedded/store.h"

void set_mtime(const char *path, int64_t unix_s)
{
	const struct timespec times[] = { { .tv_sec = unix_s },
					  { .tv_sec = unix_s } };

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

const struct ul_plan_item *declined(const struct ul_plan *plan, const char *key)
{
	size_t i;

	for (i = 0; i < plan->declined.len; i++) {
		if (!strcmp(plan->declined.items[i].key, key))
			return &plan->declined.items[i];
	}
	fail_msg("%s is not declined", key);
	return NULL;
}

void lease_put(struct store_fixture *fixture, const char *id, uint8_t kind,
	       const char *key)
{
	const struct ul_lease lease = { .id = id };
	struct ul_err err = UL_ERR_INIT;

	if (ul_embedded_lock(fixture->store, &err) ||
	    ul_lease_create(fixture->store, &lease, &err) ||
	    ul_lease_add(fixture->store, id, kind, key, &err))
		fail_msg("%s", err.msg);
	ul_embedded_unlock(fixture->store);
}

void mount_layer(struct store_fixture *fixture, struct content_digest chain)
{
	char options[600];

	assert_int_equal(mkdir(store_path(fixture, "../upper"), 0755), 0);
	assert_int_equal(mkdir(store_path(fixture, "../work"), 0755), 0);
	assert_int_equal(mkdir(store_path(fixture, "../merged"), 0755), 0);
	/* overlayfs on overlayfs is refused: upper and work in memory. */
	assert_int_equal(
	    mount("none", store_path(fixture, "../upper"), "tmpfs", 0, NULL),
	    0);
	assert_int_equal(mkdir(store_path(fixture, "../upper/u"), 0755), 0);
	assert_int_equal(mkdir(store_path(fixture, "../upper/w"), 0755), 0);
	snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s",
		 store_path(fixture, "snapshots/layer-%s/fs", chain.text + 7),
		 store_path(fixture, "../upper/u"),
		 store_path(fixture, "../upper/w"));
	assert_int_equal(mount("overlay", store_path(fixture, "../merged"),
			       "overlay", 0, options),
			 0);
}

void unmount_layer(struct store_fixture *fixture)
{
	assert_int_equal(umount(store_path(fixture, "../merged")), 0);
	assert_int_equal(umount(store_path(fixture, "../upper")), 0);
}

static int run_one(const char *name, const struct CMUnitTest *tests,
		   size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		const struct CMUnitTest one[] = { tests[i] };

		if (!strcmp(tests[i].name + strlen("test_"), name))
			return cmocka_run_group_tests_name(
			    name, one, store_fixture_group, NULL);
	}
	fprintf(stderr, "no invariant %s\n", name);
	return 2;
}

int invariants_main(int argc, char **argv, const struct CMUnitTest *tests,
		    size_t count)
{
	if (argc > 1)
		return run_one(argv[1], tests, count);
	return _cmocka_run_group_tests("invariants", tests, count,
				       store_fixture_group, NULL);
}
