/*
 * Schema steps. A database is at the step its user_version says; a new one
 * runs them all, so there is no second description of the schema. A released
 * step is never edited.
 */
#include "base/err.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/db_internal.h"
#include "store/db/schema_steps.h" /* generated from sql/NNNN_*.sql */

static int db_version(struct ul_db *db, int *ret_version, struct ul_err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db->sqlite, "PRAGMA user_version", -1,
				    &stmt, NULL);

	if (!rc)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret_version = sqlite3_column_int(stmt, 0);
	else
		rc = ul_db_fail(db->sqlite, rc, "reading the schema version",
				err);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? 0 : rc;
}

static int db_step(struct ul_db *db, struct ul_err *err)
{
	ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;
	char *pragma = NULL;
	int rc, version;

	rc = ul_db_begin(db, &tx, err);
	if (rc)
		return rc;
	/* Another process may have taken this step while we waited. */
	rc = db_version(db, &version, err);
	if (rc || version >= (int)ul_array_len(ul_schema_steps))
		return rc;
	rc = ul_db_exec(db, ul_schema_steps[version], err);
	if (rc)
		return ul_err_wrap(err, "schema step %d", version + 1);
	pragma = sqlite3_mprintf("PRAGMA user_version=%d", version + 1);
	if (!pragma)
		return ul_err_nomem(err);
	rc = ul_db_exec(db, pragma, err);
	sqlite3_free(pragma);
	return rc ? rc : ul_db_commit(&tx, err);
}

int ul_db_migrate(struct ul_db *db, struct ul_err *err)
{
	const int newest = (int)ul_array_len(ul_schema_steps);
	int rc, version;

	for (;;) {
		rc = db_version(db, &version, err);
		if (rc)
			return rc;
		if (version > newest)
			return ul_err_set(err, UL_E_UNSUPPORTED,
					  "the database has schema %d, this "
					  "ullage knows up to %d: use the "
					  "newer ullage that made it",
					  version, newest);
		if (version == newest)
			return 0;
		if (db->is_read_only)
			return ul_err_set(err, UL_E_ABSENT,
					  "the database has old schema %d",
					  version);
		rc = db_step(db, err);
		if (rc)
			return rc;
	}
}
