#include "store/db/jobs.h"

#include "base/err.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/stmt.h"

int ul_job_begun(struct ul_db *db, const char *name, int64_t *ret_begun_unix_s,
		 struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *job = NULL;
	int rc = ul_stmt_get(db, UL_SQL_JOB, &job, err);

	if (rc)
		return rc;
	ul_stmt_bind_text(job, ":name", name);
	rc = ul_stmt_next(job, err);
	if (rc > 0)
		*ret_begun_unix_s = ul_stmt_i64(job, 0);
	return rc;
}

int ul_job_begin(struct ul_db *db, const char *name, int64_t begun_unix_s,
		 struct ul_err *err)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *job = NULL;
	int rc = ul_stmt_get(db, UL_SQL_JOB_BEGUN, &job, err);

	if (rc)
		return rc;
	ul_stmt_bind_text(job, ":name", name);
	ul_stmt_bind_i64(job, ":begun", begun_unix_s);
	return ul_stmt_run(job, err);
}
