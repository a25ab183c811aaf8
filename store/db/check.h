/*
 * store/db/check.h - whether the database file itself is sound.
 */
#ifndef UL_STORE_DB_CHECK_H
#define UL_STORE_DB_CHECK_H

#include <stdbool.h>

struct ul_err;
struct ul_names;

/*
 * Look at the file at `path` as SQLite does (quick_check, is_deep:
 * integrity_check, which looks at every index too), and at what its rows
 * refer to. Nothing is written.
 * Owner:   *ret_problems gets a line each, 20 at most; ul_names_release().
 * Returns: 0 (sound: no lines); 1 (damaged: some); UL_E_ABSENT (no such
 *          file); UL_E_UNSUPPORTED (made by a newer ullage); UL_E_DB (it
 *          cannot be read now: rights, disk); UL_E_BUSY; UL_E_NOMEM.
 */
int ul_db_check(const char *path, bool is_deep, struct ul_names *ret_problems,
		struct ul_err *err);

#endif
