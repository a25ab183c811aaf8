/* tests/unit/db/scratch.h - a database in a scratch directory. */
#ifndef UL_TESTS_UNIT_DB_SCRATCH_H
#define UL_TESTS_UNIT_DB_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/db_internal.h"
#include "store/db/stmt.h"

struct scratch {
	char dir[32];
	char path[64];
	struct ul_db *db;
};

/* For cmocka: *state is the scratch, not opened yet. */
int scratch_setup(void **state);
int scratch_teardown(void **state);

/* Open (again) for writing: scratch->db. */
struct ul_db *scratch_open(struct scratch *scratch);

/* SQL by another hand. */
void scratch_sql(struct scratch *scratch, const char *sql);

/* The first column of the first row. */
int64_t scratch_number(struct scratch *scratch, const char *sql);

#endif
