/*
 * store/db/jobs.h - when what is done at times was last begun.
 */
#ifndef UL_STORE_DB_JOBS_H
#define UL_STORE_DB_JOBS_H

#include <stdint.h>

struct ul_db;
struct ul_err;

/*
 * Returns: 1 with *ret_begun_unix_s; 0: never; UL_E_DB; UL_E_BUSY;
 *          UL_E_NOMEM.
 */
int ul_job_begun(struct ul_db *db, const char *name, int64_t *ret_begun_unix_s,
		 struct ul_err *err);

/* Durably, in a transaction of its own. UL_E_DB, UL_E_BUSY, UL_E_NOMEM. */
int ul_job_begin(struct ul_db *db, const char *name, int64_t begun_unix_s,
		 struct ul_err *err);

#endif
