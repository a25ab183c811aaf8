#include "tests/unit/embedded/snapshot_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "store/embedded/store.h"

void snapshot_prepare(struct ul_embedded *store, const char *key,
		      const char *parent)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_snapshot_prepare(store, key, parent, false, NULL, &err))
		fail_msg("%s", err.msg);
}

void snapshot_view(struct ul_embedded *store, const char *key,
		   const char *parent)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_snapshot_prepare(store, key, parent, true, NULL, &err))
		fail_msg("%s", err.msg);
}

void snapshot_commit(struct ul_embedded *store, const char *name,
		     const char *key)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_snapshot_commit(store, name, key, NULL, &err))
		fail_msg("%s", err.msg);
}

int snapshot_adopt(struct ul_embedded *store, const char *ingest_name,
		   const char *chain_id, const char *parent, struct ul_err *err)
{
	struct ul_new_layer layer = { ingest_name, chain_id, parent, false };
	int rc = ul_snapshot_adopt_layers(store, &layer, 1, err);

	return rc ? rc : layer.was_there;
}

struct ul_snapshots snapshots_load(struct ul_embedded *store)
{
	struct ul_snapshots list = UL_SNAPSHOTS_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_snapshots_load(store, &list, &err))
		fail_msg("%s", err.msg);
	return list;
}

bool snapshot_is_listed(struct ul_embedded *store, const char *key)
{
	struct ul_snapshots list = snapshots_load(store);
	bool found = ul_snapshots_find(&list, key);

	ul_snapshots_release(&list);
	return found;
}

struct ul_snapshot_mount snapshot_mount_of(struct ul_embedded *store,
					   const char *key)
{
	struct ul_snapshot_mount found = UL_SNAPSHOT_MOUNT_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_snapshot_mount_find(store, key, &found, &err))
		fail_msg("%s", err.msg);
	return found;
}

static void bind_it(const struct ul_snapshot_mount *found, const char *point)
{
	const unsigned long read_only = MS_REMOUNT | MS_BIND | MS_RDONLY;

	assert_string_equal(found->type, "bind");
	assert_int_equal(
	    mount(found->source, point, NULL, MS_BIND | MS_REC, NULL), 0);
	if (!strncmp(found->options, "ro,", 3))
		assert_int_equal(mount(NULL, point, NULL, read_only, NULL), 0);
}

void snapshot_mount(struct ul_embedded *store, const char *key,
		    const char *point)
{
	struct ul_snapshot_mount found = snapshot_mount_of(store, key);
	char here[4096];

	assert_non_null(getcwd(here, sizeof here));
	if (found.directory)
		assert_int_equal(chdir(found.directory), 0);
	if (strcmp(found.type, "overlay") != 0)
		bind_it(&found, point);
	else if (mount(found.source, point, "overlay", 0, found.options))
		fail_msg("mount %s", found.options);
	assert_int_equal(chdir(here), 0);
	ul_snapshot_mount_release(&found);
}

const char *snapshot_mount_point(struct store_fixture *fixture)
{
	static char point[128];

	snprintf(point, sizeof point, "%s/mnt", fixture->top);
	mkdir(point, 0755);
	return point;
}
