#include "store/db/check.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/db_internal.h"

enum { PROBLEMS_MAX = 20 };

struct check {
	struct ul_names *problems;
	bool failed;
};

static void problem_add(struct check *check, const char *text)
{
	if (check->problems->len < PROBLEMS_MAX &&
	    !ul_names_add(check->problems, text))
		check->failed = true;
}

static int on_check_row(void *arg, int count, char **values, char **names)
{
	(void)names;
	if (count && values[0] && strcmp(values[0], "ok") != 0)
		problem_add(arg, values[0]);
	return 0;
}

/* table, rowid, parent, foreign key */
static int on_key_row(void *arg, int count, char **values, char **names)
{
	char line[200];

	(void)names;
	if (count < 3)
		return 0;
	snprintf(line, sizeof line,
		 "a row of %.60s refers to one of %.60s that is not there",
		 values[0] ? values[0] : "?", values[2] ? values[2] : "?");
	problem_add(arg, line);
	return 0;
}

static bool is_damage(int sqlite_rc)
{
	int code = sqlite_rc & 0xff;

	return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

static int run(struct ul_db *db, const char *sql,
	       int (*on_row)(void *, int, char **, char **),
	       struct check *check, struct ul_err *err)
{
	int rc = sqlite3_exec(db->sqlite, sql, on_row, check, NULL);

	if (is_damage(rc))
		problem_add(check, sqlite3_errmsg(db->sqlite));
	else if (rc)
		return ul_db_fail(db->sqlite, rc, "checking the database", err);
	return check->failed ? ul_err_nomem(err) : 0;
}

/* Why it could not be opened: 1 where it is no database, or none any more. */
static int why_not(const char *path, struct check *check, struct ul_err *err)
{
	sqlite3 *sqlite = NULL;
	int rc = sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READONLY, NULL);

	if (!rc)
		rc = sqlite3_exec(sqlite,
				  "PRAGMA schema_version; SELECT count(*)"
				  " FROM sqlite_schema",
				  NULL, NULL, NULL);
	if (is_damage(rc))
		problem_add(check, sqlite3_errmsg(sqlite));
	sqlite3_close(sqlite);
	if (check->failed)
		return ul_err_nomem(err);
	return is_damage(rc) ? 1 : err->code;
}

int ul_db_check(const char *path, bool is_deep, struct ul_names *ret_problems,
		struct ul_err *err)
{
	ul_cleanup(ul_db_closep) struct ul_db *db = NULL;
	struct check check = { .problems = ret_problems };
	int rc = ul_db_open(path, UL_DB_READ, &db, err);

	if (rc == UL_E_DB)
		return why_not(path, &check, err);
	if (rc)
		return rc;
	rc = run(db,
		 is_deep ? "PRAGMA integrity_check(20)"
			 : "PRAGMA quick_check(20)",
		 on_check_row, &check, err);
	if (!rc && !ret_problems->len)
		rc = run(db, "PRAGMA foreign_key_check", on_key_row, &check,
			 err);
	return rc ? rc : ret_problems->len != 0;
}
