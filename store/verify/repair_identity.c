/*
 * A database that does not know its store, or has missed changes of it.
 *
 * Until the last step it stays so, and nothing is collected: folders get
 * records back, then a scan records all the rest, then what nothing reaches
 * is made to look as if it had been lost just now, in the one transaction
 * with which store and database know each other again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/stmt.h"
#include "store/embedded/form.h"
#include "store/embedded/ops.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/snapshot_record.h"
#include "store/embedded/store.h"
#include "store/embedded/trash.h"
#include "store/verify/internal.h"
#include "store/view.h"

/* So that whoever meets it can tell where it comes from. */
static const char recovered_labels[] =
    "{\"ullage.recovered\":\"by verify --repair; parent unknown\"}";

struct recover {
	struct verify *verify;
	struct verify_link *links; /* owned: of every image that is here */
	size_t link_count;
};

static void recover_release(struct recover *recover)
{
	free(recover->links);
}

static const struct verify_link *link_of(const struct recover *recover,
					 const char *chain)
{
	size_t i;

	for (i = 0; i < recover->link_count; i++) {
		if (!strcmp(recover->links[i].chain, chain))
			return &recover->links[i];
	}
	return NULL;
}

static int record_add(struct recover *recover, const char *key,
		      const struct ul_snapshot_record *record,
		      const char *labels)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	struct verify *verify = recover->verify;
	struct ul_snapshot_record there;
	int rc =
	    ul_snapshot_record_find(verify->store, key, &there, verify->err);

	if (rc)
		return rc < 0 ? rc : 0;
	rc = ul_embedded_change_begin(verify->store, &tx, verify->err);
	if (!rc)
		rc = ul_snapshot_record_add(verify->store, key, record, labels,
					    verify->err);
	return rc ? rc
		  : ul_embedded_change_commit(verify->store, &tx, verify->err);
}

static int layer_back(struct recover *recover, const struct verify_link *link)
{
	struct ul_snapshot_record record = {
		.kind = UL_SNAPSHOT_COMMITTED,
		.is_unpacked = true,
	};

	memcpy(record.parent, link->parent, strlen(link->parent) + 1);
	return record_add(recover, link->chain, &record, "{}");
}

/*
 * No image says what it is: it becomes a snapshot of the user's, which nothing
 * collects, under a name that says so. "key-..." first, so that the record
 * comes to a folder that is there.
 */
static int loose_back(struct recover *recover, const struct ul_item *item)
{
	static const struct ul_snapshot_record record = {
		.kind = UL_SNAPSHOT_COMMITTED,
	};
	const struct ul_embedded *store = recover->verify->store;
	char key[UL_SNAPSHOT_DIR_MAX], dir[UL_SNAPSHOT_DIR_MAX];
	const char *from = item->path + strlen("snapshots/");

	if (!item->is_unpacked)
		return record_add(recover, item->key, &record,
				  recovered_labels);
	snprintf(key, sizeof key, "recovered-%s", strchr(item->key, ':') + 1);
	if (!ul_snapshot_dir_name(key, false, dir))
		return ul_err_set(recover->verify->err, UL_E_CORRUPT,
				  "%s can have no key", item->path);
	if (renameat2(store->snapshots_fd, from, store->snapshots_fd, dir,
		      RENAME_NOREPLACE)) {
		/* Recovered once already: this one is unpacked anew since. */
		if (errno == EEXIST)
			return 0;
		return ul_err_sys(recover->verify->err, "rename %s",
				  item->path);
	}
	return record_add(recover, key, &record, recovered_labels);
}

static int folders_back(struct recover *recover)
{
	const struct verify *verify = recover->verify;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < verify->inventory.len; i++) {
		const struct ul_item *item = &verify->inventory.items[i];
		const struct verify_link *link;

		if (item->kind != UL_ITEM_SNAPSHOT ||
		    verify_record_of(verify, item) ||
		    !verify_has_folder(verify->store, item->key,
				       item->is_unpacked))
			continue;
		link = item->is_unpacked ? link_of(recover, item->key) : NULL;
		rc = link ? layer_back(recover, link)
			  : loose_back(recover, item);
	}
	return rc;
}

static int all_record(struct verify *verify)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	struct ul_scan_options options = {
		.as_of_unix_s = verify->options->now_unix_s,
	};

	return ul_embedded_scan(&verify->store->base, &options, &view,
				verify->err);
}

/* The highest number of a run in the trash. */
static int trash_run(struct verify *verify, int64_t *ret_run)
{
	ul_cleanup(ul_names_release) struct ul_names dirs = UL_NAMES_INIT;
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	struct ul_trash_record record;
	size_t i;
	int rc = ul_dir_names(verify->store->trash_fd, &dirs, verify->err);

	*ret_run = 0;
	for (i = 0; !rc && i < dirs.len; i++) {
		struct ul_err ignored = UL_ERR_INIT;

		if (!ul_trash_read(verify->store->trash_fd, verify->store->form,
				   dirs.names[i], &arena, &record, &ignored) &&
		    record.run > *ret_run)
			*ret_run = record.run;
	}
	return rc;
}

static int run_numbers(struct verify *verify)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *add = NULL, *set = NULL;
	struct ul_db *db = verify->store->db;
	int64_t run;
	int rc = trash_run(verify, &run);

	if (!rc)
		rc =
		    ul_stmt_get(db, UL_SQL_RUN_SEQUENCE_ADD, &add, verify->err);
	if (!rc)
		rc = ul_stmt_run(add, verify->err);
	if (!rc)
		rc =
		    ul_stmt_get(db, UL_SQL_RUN_SEQUENCE_SET, &set, verify->err);
	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":run", run);
	return ul_stmt_run(set, verify->err);
}

static int objects_relearn(struct verify *verify)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *set = NULL;
	int64_t row;
	int rc = ul_embedded_store_row(verify->store, &row, verify->err);

	if (!rc)
		rc = ul_stmt_get(verify->store->db, UL_SQL_OBJECTS_RELEARN,
				 &set, verify->err);
	if (rc)
		return rc;
	ul_stmt_bind_i64(set, ":store", row);
	ul_stmt_bind_i64(set, ":now", verify->options->now_unix_s);
	return ul_stmt_run(set, verify->err);
}

int repair_relearn(struct verify *verify)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	int rc = all_record(verify);

	if (!rc)
		rc = ul_embedded_change_begin(verify->store, &tx, verify->err);
	if (!rc)
		rc = objects_relearn(verify);
	return rc ? rc
		  : ul_embedded_change_commit(verify->store, &tx, verify->err);
}

static int adopt(struct verify *verify)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	int rc = ul_embedded_change_begin(verify->store, &tx, verify->err);

	if (!rc)
		rc = objects_relearn(verify);
	if (!rc)
		rc = run_numbers(verify);
	if (!rc)
		rc = ul_embedded_change_adopt(verify->store, verify->err);
	return rc ? rc
		  : ul_embedded_change_commit(verify->store, &tx, verify->err);
}

int repair_identity(struct verify *verify, const struct ul_layout_check *whole)
{
	ul_cleanup(recover_release) struct recover recover = {
		.verify = verify,
	};
	int rc = verify_links(whole, &recover.links, &recover.link_count,
			      verify->err);

	if (!rc)
		rc = folders_back(&recover);
	if (!rc)
		rc = all_record(verify);
	return rc ? rc : adopt(verify);
}
