/*
 * tests/unit/embedded/scan_fixture.h - looking at what a scan made of a store.
 */
#ifndef UL_TESTS_UNIT_EMBEDDED_SCAN_FIXTURE_H
#define UL_TESTS_UNIT_EMBEDDED_SCAN_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/lib/content_fixture.h"

/* Late enough for what is written now to be settled. */
int64_t scan_start(void);

/* A number that changes when another connection has written something. */
int64_t scan_db_stamp(struct store_fixture *fixture);

bool has_note(const struct ul_view *view, const char *part);

/* The image of this digest, which has to be there. */
const struct ul_view_image *scan_image(const struct ul_view *view,
				       struct content_digest digest);

/* Whether a blob is, which has to be there. */
bool is_reachable(const struct ul_view *view, struct content_digest digest);

/* A manifest that has another as its subject. */
struct content_digest referrer_put(struct store_fixture *fixture,
				   struct content_digest subject);

#endif
