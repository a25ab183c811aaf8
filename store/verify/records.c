/*
 * The records against what lies in the folders.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/db/words.h"
#include "store/embedded/form.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/store.h"
#include "store/embedded/trash.h"
#include "store/graph/graph.h"
#include "store/verify/internal.h"

static struct ul_finding *note(struct verify *verify, const char *kind,
			       const char *key, const char *what)
{
	return ul_findings_add(verify->findings, UL_FINDING_NOTE, kind, key, "",
			       "%s", what);
}

/* A layer without a folder that nothing reached at the last look: nothing
 * but a deletion in place, in its result. */
static bool is_let_go(const struct verify *verify,
		      const struct ul_snapshot *snapshot)
{
	char dir[UL_SNAPSHOT_DIR_MAX];
	uint32_t at = ul_record_find(&verify->record, UL_KIND_SNAPSHOT, "", "",
				     snapshot->key);

	return snapshot->is_unpacked && at != UL_OBJECT_NONE &&
	       !verify->record.objects[at].is_reachable &&
	       ul_snapshot_dir_name(snapshot->key, true, dir) &&
	       faccessat(verify->store->snapshots_fd, dir, F_OK,
			 AT_SYMLINK_NOFOLLOW);
}

/* A record whose folder, or the `fs` in it, is not there. */
static int hollow_say(struct verify *verify, const struct ul_snapshot *snapshot)
{
	struct ul_finding *finding;

	if (verify_is_trashed(verify, snapshot))
		return note(verify, "snapshot", snapshot->key,
			    "is needed again and lies in the trash: the next "
			    "change puts it back")
			   ? 0
			   : ul_err_nomem(verify->err);
	if (is_let_go(verify, snapshot))
		return note(verify, "snapshot", snapshot->key,
			    "was deleted while the disk was full, and nothing "
			    "needs it: the next change takes its record away")
			   ? 0
			   : ul_err_nomem(verify->err);
	if (verify_is_stopped_commit(verify, snapshot))
		return note(verify, "snapshot", snapshot->key,
			    "is half of a commit that was stopped: the next "
			    "change takes its record away")
			   ? 0
			   : ul_err_nomem(verify->err);
	finding = ul_findings_add(
	    verify->findings, UL_FINDING_DAMAGE, "snapshot", snapshot->key,
	    snapshot->is_unpacked
		? "takes its record away; `ullage unpack` makes it again"
		: "takes its record away: what it held is lost",
	    "is recorded, but its folder is gone");
	if (!finding)
		return ul_err_nomem(verify->err);
	finding->is_loss = !snapshot->is_unpacked;
	return snapshot->is_unpacked ? verify_chain_hurts(verify, snapshot->key)
				     : 0;
}

/*
 * Layers can be unpacked again, as far as they are missing. What a user has
 * made on them cannot be mounted before that.
 */
static int parentless_say(struct verify *verify,
			  const struct ul_snapshot *snapshot)
{
	bool is_note = snapshot->is_unpacked;

	if (!ul_findings_add(
		verify->findings, is_note ? UL_FINDING_NOTE : UL_FINDING_DAMAGE,
		"snapshot", snapshot->key, "",
		is_note ? "stands on a layer that is not unpacked: `ullage "
			  "unpack` of its image completes it (parent %.19s)"
			: "cannot be mounted: its parent %.100s is not here; "
			  "`ullage unpack` of the image that it is of brings "
			  "it back",
		snapshot->parent))
		return ul_err_nomem(verify->err);
	return snapshot->is_unpacked ? verify_chain_hurts(verify, snapshot->key)
				     : 0;
}

static int snapshots_check(struct verify *verify)
{
	const struct ul_snapshots *list = &verify->snapshots;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < list->len; i++) {
		const struct ul_snapshot *snapshot = &list->snapshots[i];

		if (!verify_has_folder(verify->store, snapshot->key,
				       snapshot->is_unpacked))
			rc = hollow_say(verify, snapshot);
		else if (*snapshot->parent &&
			 !ul_snapshots_find(list, snapshot->parent))
			rc = parentless_say(verify, snapshot);
	}
	return rc;
}

static bool is_here(const struct verify *verify, const struct ul_map *items,
		    const struct ul_lease_resource *resource)
{
	const struct ul_name *name;

	if (resource->kind == UL_KIND_SNAPSHOT)
		return ul_snapshots_find(&verify->snapshots, resource->key);
	if (resource->kind == UL_KIND_BLOB)
		return ul_map_get_str(items, resource->key) != UL_MAP_NONE;
	name = ul_record_find_name(&verify->record, "", resource->key);
	return name && !name->vanished_unix_s;
}

static int lease_check(struct verify *verify, const struct ul_map *items,
		       const struct ul_lease *lease)
{
	size_t i;

	for (i = 0; i < lease->resource_count; i++) {
		const struct ul_lease_resource *resource = &lease->resources[i];

		if (!is_here(verify, items, resource) &&
		    !ul_findings_add(
			verify->findings, UL_FINDING_NOTE, "lease", lease->id,
			"", "holds %s %.100s, which is not here",
			ul_kind_words[resource->kind], resource->key))
			return ul_err_nomem(verify->err);
	}
	return 0;
}

static int leases_check(struct verify *verify)
{
	ul_cleanup(ul_map_release) struct ul_map items = UL_MAP_INIT;
	size_t i;
	int rc = 0;

	for (i = 0; i < verify->inventory.len; i++) {
		const struct ul_item *item = &verify->inventory.items[i];

		if (item->kind == UL_ITEM_BLOB &&
		    !ul_map_set(&items, item->key, strlen(item->key),
				(uint32_t)i))
			return ul_err_nomem(verify->err);
	}
	for (i = 0; !rc && i < verify->leases.len; i++)
		rc = lease_check(verify, &items, &verify->leases.leases[i]);
	return rc;
}

static bool is_in_trash(const struct verify *verify, const struct ul_item *item)
{
	const char *trash = verify->store->form->trash;
	size_t len = strlen(trash);

	return !strncmp(item->path, trash, len) && item->path[len] == '/';
}

/* 1: a folder of the trash that does not say what it holds. */
static int trash_check(struct verify *verify, const struct ul_item *item)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	const struct ul_embedded *store = verify->store;
	const char *dir = item->path + strlen(store->form->trash) + 1;
	struct ul_err why = UL_ERR_INIT;
	struct ul_trash_record record;
	char repair[80];
	int rc;

	if (!item->is_dir || strchr(dir, '/'))
		return 0;
	rc = ul_trash_read(store->trash_fd, store->form, dir, &arena, &record,
			   &why);
	if (!rc || rc == UL_E_ABSENT)
		return 0;
	snprintf(repair, sizeof repair, "moves it to %s with all that it holds",
		 verify_aside_text(store->form));
	if (rc == UL_E_NOMEM || !ul_names_add(&verify->damaged_trash, dir) ||
	    !ul_findings_add(verify->findings, UL_FINDING_DAMAGE, "trash",
			     item->path, repair,
			     "its record is damaged, so that nothing of it can "
			     "be put back or deleted"))
		return ul_err_nomem(verify->err);
	return 1;
}

static const char *unknown_what(const struct verify *verify,
				const struct ul_item *item)
{
	if (ul_embedded_is_aside(verify->store, item->path))
		return "holds what a repair set aside: kept, counted as "
		       "overhead";
	return "is none of ours: kept, counted as overhead";
}

static int unknown_say(struct verify *verify, const struct ul_item *item)
{
	int rc = is_in_trash(verify, item) ? trash_check(verify, item) : 0;

	if (rc)
		return rc < 0 ? rc : 0;
	return note(verify, "file", item->path, unknown_what(verify, item))
		   ? 0
		   : ul_err_nomem(verify->err);
}

static int folder_say(struct verify *verify, const struct ul_item *item)
{
	if (verify_record_of(verify, item) || verify->store->is_from_memory)
		return 0;
	return ul_findings_add(
		   verify->findings, UL_FINDING_NOTE, "snapshot", item->path,
		   verify->is_mismatched ? "records it again" : "",
		   verify->is_mismatched
		       ? "has no record"
		       : "has no record: orphaned, and collected after the "
			 "grace period")
		   ? 0
		   : ul_err_nomem(verify->err);
}

static int item_check(struct verify *verify, const struct ul_item *item)
{
	switch (item->kind) {
	case UL_ITEM_UNKNOWN:
		return unknown_say(verify, item);
	case UL_ITEM_SNAPSHOT:
		return folder_say(verify, item);
	case UL_ITEM_INGEST:
		if (item->is_locked)
			return 0;
		return note(verify, "ingest", item->path,
			    item->is_foreign
				? "was left by another program: collected "
				  "when it is a day old"
				: "was left by a change that was stopped: "
				  "collected after the grace period")
			   ? 0
			   : ul_err_nomem(verify->err);
	default:
		return 0;
	}
}

static int items_check(struct verify *verify)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < verify->inventory.len; i++)
		rc = item_check(verify, &verify->inventory.items[i]);
	return rc;
}

static int names_check(struct verify *verify)
{
	size_t i;

	for (i = 0; i < verify->record.name_count; i++) {
		const struct ul_name *name = &verify->record.names[i];

		if (name->vanished_unix_s && !name->is_ours &&
		    !note(verify, "image", name->name,
			  "vanished without ullage; its content is kept for "
			  "the grace period, and `ullage tag` brings it back"))
			return ul_err_nomem(verify->err);
	}
	return 0;
}

int verify_records(struct verify *verify)
{
	int rc = snapshots_check(verify);

	if (!rc)
		rc = leases_check(verify);
	if (!rc)
		rc = items_check(verify);
	return rc ? rc : names_check(verify);
}
