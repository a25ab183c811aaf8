/*
 * tests/lib/import_fixture.h - importing into a store_fixture, and looking at
 * what came of it. Everything fails the test itself where it should succeed.
 */
#ifndef UL_TESTS_LIB_IMPORT_FIXTURE_H
#define UL_TESTS_LIB_IMPORT_FIXTURE_H

#include "store/transfer/import.h"
#include "tests/lib/image_fixture.h"
#include "tests/lib/store_fixture.h"

/* Of the last import that succeeded: notes, a line each, and lines of
 * "name digest new reused". */
extern char report_text[8192];
extern char image_text[8192];

int import(struct store_fixture *fixture,
	   const struct ul_import_options *options, struct ul_err *err);
void import_path(struct store_fixture *fixture, const char *path);

/* It has to fail with this code, this in its message, and the store has to be
 * byte for byte what it was. */
void import_fails(struct store_fixture *fixture,
		  const struct ul_import_options *options, int code,
		  const char *message);

/* "TOP/name" in a buffer that the next call but seven reuses. */
const char *in_top(const struct store_fixture *fixture, const char *name);

/* All names of the index, space between, in order; of the last call. */
const char *index_names(struct store_fixture *fixture);

/* End the tar, write it and release it. */
void archive_write(const char *path, struct ul_buf *tar);

/* An OCI archive of one image; entry annotations as in image_index(). */
void oci_archive(const char *path, const struct image *image,
		 const char *annotations);

/* Where the store has a blob; that it has it, or all of an image, right, and
 * nothing is under way. */
const char *blob_path(struct store_fixture *fixture,
		      const struct image_blob *blob);
void blob_expect(struct store_fixture *fixture, const struct image_blob *blob);
void image_expect(struct store_fixture *fixture, const struct image *image);

#endif
