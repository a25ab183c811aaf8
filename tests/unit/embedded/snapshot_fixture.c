#include "tests/unit/embedded/snapshot_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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
