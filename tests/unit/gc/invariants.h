/*
 * tests/unit/gc/invariants.h - what the tests of gc/INVARIANTS.md share. Each
 * of these is a ctest of its own, "invariant/I1_...": their programs run the
 * one that they are given, or all.
 */
#ifndef UL_TESTS_UNIT_GC_INVARIANTS_H
#define UL_TESTS_UNIT_GC_INVARIANTS_H

#include <stddef.h>
#include <stdint.h>

#include "gc/plan.h"
#include "tests/lib/content_fixture.h"

struct CMUnitTest;

/* A test of the table that invariants_main() is given. */
#define INVARIANT(name)                                                        \
	cmocka_unit_test_setup_teardown(test_##name, store_fixture_setup_open, \
					store_fixture_teardown)

int invariants_main(int argc, char **argv, const struct CMUnitTest *tests,
		    size_t count);

void set_mtime(const char *path, int64_t unix_s);

/* What the plan left of this key, which has to be there. */
const struct ul_plan_item *declined(const struct ul_plan *plan,
				    const char *key);

/* A new lease that holds this. */
void lease_put(struct store_fixture *fixture, const char *id, uint8_t kind,
	       const char *key);

/* An unpacked layer as the lower one of an overlay, once at a time. */
void mount_layer(struct store_fixture *fixture, struct content_digest chain);
void unmount_layer(struct store_fixture *fixture);

#endif
