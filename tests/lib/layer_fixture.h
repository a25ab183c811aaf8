/*
 * tests/lib/layer_fixture.h - a scratch directory with a layer to apply to,
 * and others around it that must not change.
 *
 *   outside/ secret, dir/file    what a hostile layer would like to reach
 *   lower/N                      layers below, applied with layer_below()
 *   fs                           the layer
 */
#ifndef UL_TESTS_LIB_LAYER_FIXTURE_H
#define UL_TESTS_LIB_LAYER_FIXTURE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/transfer/layer.h"
#include "tests/lib/tar_fixture.h"

enum { LAYER_LOWERS_MAX = 8 };

struct layer_fixture {
	char *top;
	int top_fd;
	int fs_fd;
	int lower_fds[LAYER_LOWERS_MAX]; /* nearest first */
	size_t lower_count;
};

void layer_fixture_open(struct layer_fixture *fixture);
void layer_fixture_close(struct layer_fixture *fixture);

/* Begin anew with an empty fs. */
void layer_fixture_clear(struct layer_fixture *fixture);

/* Apply a tar as the next layer below; it must succeed. */
void layer_below(struct layer_fixture *fixture, const struct ul_buf *tar);

/* Apply bytes to fs; `job` may hold limits, digests and progress. */
int layer_apply_bytes(struct layer_fixture *fixture, const void *bytes,
		      size_t len, struct ul_layer_job job,
		      struct ul_layer_result *result, struct ul_err *err);

#endif
