/*
 * tests/unit/db/record_fixture.h - records of random content, saved to and
 * loaded from a scratch database, and compared.
 *
 * They are those of the store "oci" at "path". Everything fails the test
 * itself where it cannot do its part.
 */
#ifndef UL_TESTS_UNIT_DB_RECORD_FIXTURE_H
#define UL_TESTS_UNIT_DB_RECORD_FIXTURE_H

#include "store/db/record.h"
#include "store/graph/graph.h"
#include "tests/unit/db/scratch.h"

enum { RECORD_SEED = 20261124, RECORD_KIND_COUNT = UL_KIND_FILE + 1 };

/* What is random from now on. */
void record_seed(uint64_t seed);

/* Add objects and names, and change some of those that are there. */
void record_fill(struct ul_record *record);
void record_fill_measure(struct ul_record *record, struct ul_object *object);

/* This reference is all that `from` has. */
void record_set_ref(struct ul_record *record, uint32_t from, uint32_t to,
		    uint8_t kind, const char *reason);

/* Blobs "a" and "b", of which the first refers to the second. */
void record_refer(struct ul_record *record, uint32_t *ret_a, uint32_t *ret_b);

/* Open the database and load what it has; the seed is RECORD_SEED + this. */
struct ul_record record_begin(struct scratch *scratch, uint64_t seed);
/* The same, filled and saved. */
struct ul_record record_filled(struct scratch *scratch, uint64_t seed);

struct ul_record record_load(struct scratch *scratch);
void record_save(struct scratch *scratch, struct ul_record *record);

/* Save; how many rows that has changed. */
int record_changes(struct scratch *scratch, struct ul_record *record);

/* As if it had been loaded after whatever a second connection wrote. */
void record_refresh(struct scratch *scratch, struct ul_record *record);

/* All that `a` says `b` says too. */
void records_expect_same(const struct ul_record *a, const struct ul_record *b);

#endif
