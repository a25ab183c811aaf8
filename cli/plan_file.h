/*
 * cli/plan_file.h - plans as files: written by -o, read by --plan.
 */
#ifndef UL_CLI_PLAN_FILE_H
#define UL_CLI_PLAN_FILE_H

#include "gc/plan.h"

struct ul_err;
struct ul_view;

/* Write durably, replacing what is there; "-" is standard output. */
int ul_plan_file_write(const char *path, const struct ul_view *view,
		       const struct ul_plan *plan, struct ul_err *err);

/*
 * Read a plan of this store back. Returns: 0 with *ret_plan
 * (ul_plan_release()); UL_E_ABSENT, UL_E_IO; UL_E_CORRUPT: no plan, or one that
 * was changed since it was written (its fingerprint does not fit);
 * UL_E_CONFLICT: it is of another store; UL_E_LIMIT; UL_E_NOMEM.
 */
int ul_plan_file_read(const char *path, const char *store,
		      struct ul_plan *ret_plan, struct ul_err *err);

#endif
