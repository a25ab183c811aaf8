/*
 * tests/lib/store_fixture.h - an embedded store in a scratch state directory,
 * or an image layout that lies where the layout of that one would.
 *
 * Every function fails the test itself where it cannot do its part.
 */
#ifndef UL_TESTS_LIB_STORE_FIXTURE_H
#define UL_TESTS_LIB_STORE_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "store/embedded/store.h"

/* Layers of which tests need the names alone. */
#define HEX_1 "1111111111111111111111111111111111111111111111111111111111111111"
#define HEX_2 "2222222222222222222222222222222222222222222222222222222222222222"
#define HEX_3 "3333333333333333333333333333333333333333333333333333333333333333"
#define CHAIN_1 "sha256:" HEX_1
#define CHAIN_2 "sha256:" HEX_2
#define CHAIN_3 "sha256:" HEX_3

struct store_fixture {
	char top[64];              /* scratch directory */
	char state[80];            /* TOP/state, not made yet */
	struct ul_embedded *store; /* by store_fixture_open() */
	bool is_layout;            /* open STATE/store/oci as kind oci */
};

/* For cmocka: *state is the fixture. Group: mounts are the test's own. */
int store_fixture_group(void **state);
int store_fixture_setup(void **state);
int store_fixture_setup_open(void **state); /* by store_fixture_reopen() */
int store_fixture_teardown(void **state);

/* Make the folders of an empty layout, for is_layout. */
void store_fixture_layout(struct store_fixture *fixture);

/* Open (again): fixture->store, not locked. */
struct ul_embedded *store_fixture_open(struct store_fixture *fixture);

/* The same, and what is damaged is not waited for. */
struct ul_embedded *store_fixture_reopen(struct store_fixture *fixture);

/* store_fixture_open(), locked. */
struct ul_embedded *store_fixture_locked(struct store_fixture *fixture);

/* Adopt a layer with one file `f-<first four hex digits>`. */
void store_fixture_layer(struct store_fixture *fixture, const char *chain_id,
			 const char *parent);

/* "STATE/store/<format>" in a buffer that the next call but seven reuses. */
const char *store_path(const struct store_fixture *fixture, const char *format,
		       ...) __attribute__((format(printf, 2, 3)));

bool path_exists(const char *path);
void file_write(const char *path, const char *text);
void file_expect(const char *path, const char *text);
size_t dir_count(const char *path);

/* "cp -a" of a whole directory. */
void tree_copy(const char *from, const char *to);

#endif
