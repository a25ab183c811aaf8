/*
 * tests/unit/transfer/layer_expect.h - apply a layer that stands in the test,
 * and look at what came of it. Everything fails the test itself where it
 * cannot do its part.
 *
 * `state` is what cmocka gives to a test: a layer_fixture, by layer_setup().
 */
#ifndef UL_TESTS_UNIT_TRANSFER_LAYER_EXPECT_H
#define UL_TESTS_UNIT_TRANSFER_LAYER_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "tests/lib/layer_fixture.h"

int layer_setup(void **state);
int layer_teardown(void **state);

#define NO_JOB ((struct ul_layer_job){ .blob_fd = -1 })

/* A whole tar of these; by ul_buf_release(). */
struct ul_buf tar_of(const struct tar_item *items, size_t count);

/* The next layer below; what is applied to the layer. */
void layer_lower(void *fixture, const struct tar_item *items, size_t count);
struct ul_layer_result layer_apply(void *fixture, const struct tar_item *items,
				   size_t count);

/* The same with the items themselves: LOWER(state, { .path = ... }, ...). */
#define LOWER(state, ...)                                                      \
	do {                                                                   \
		const struct tar_item items_[] = { __VA_ARGS__ };              \
		layer_lower(*(state), items_, ul_array_len(items_));           \
	} while (0)
#define APPLY(state, ...)                                                      \
	do {                                                                   \
		const struct tar_item items_[] = { __VA_ARGS__ };              \
		layer_apply(*(state), items_, ul_array_len(items_));           \
	} while (0)

int fs_fd(void **state);

/* What a path in the layer is; its st_mode is 0 where there is nothing. */
struct stat stat_of(void **state, const char *path);

void assert_absent(void **state, const char *path);
void assert_whiteout(void **state, const char *path);
void assert_text(void **state, const char *path, const char *text);
bool is_opaque(void **state, const char *path);

#endif
