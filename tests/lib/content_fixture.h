/*
 * tests/lib/content_fixture.h - blobs, images and an index, written into a
 * scratch store as another program would: by hand, without any lock.
 *
 * Every function fails the test itself where it cannot do its part. Time is
 * the fixture's own: it begins now and moves only when a test says so.
 */
#ifndef UL_TESTS_LIB_CONTENT_FIXTURE_H
#define UL_TESTS_LIB_CONTENT_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "gc/run.h"
#include "store/backend.h"
#include "store/view.h"
#include "tests/lib/store_fixture.h"

#define TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define TYPE_CONFIG "application/vnd.oci.image.config.v1+json"
#define TYPE_LAYER "application/vnd.oci.image.layer.v1.tar+gzip"

enum { HOUR_S = 3600 };

/* A digest as text, by value, so that it can be passed and returned. */
struct content_digest {
	char text[UL_DIGEST_TEXT_MAX];
};

/* "oci/blobs/sha256/<hex>" of the store, as store_path() gives it. */
const char *blob_path(const struct store_fixture *fixture,
		      struct content_digest digest);
bool blob_exists(const struct store_fixture *fixture,
		 struct content_digest digest);

/* A blob of this text. */
struct content_digest blob_put(const struct store_fixture *fixture,
			       const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An image config that lists these diff IDs (text; spaces between them). */
struct content_digest config_put(const struct store_fixture *fixture,
				 const char *labels_json, const char *diff_ids);

/* A manifest of a config and up to four layers ("" ends them). */
struct content_digest manifest_put(const struct store_fixture *fixture,
				   struct content_digest config,
				   const char *const *layers, size_t count);

/*
 * A whole image with a layer of its own (made from `seed`) and, where shared
 * is not NULL, one more that others have too.
 */
struct content_image {
	struct content_digest manifest, config, layer, shared;
	struct content_digest diff_id, shared_diff_id;
	bool has_shared;
};
struct content_image image_put(const struct store_fixture *fixture,
			       const char *seed, const char *shared);

/* Adopt its layers, with a file in each; takes and drops the lock. */
void image_unpack(struct store_fixture *fixture,
		  const struct content_image *image);
/* The chain ID of all its layers. */
struct content_digest image_top(const struct content_image *image);
/* Whether all its blobs are in their places. */
bool image_is_whole(const struct store_fixture *fixture,
		    const struct content_image *image);
/* Whether an unpacked layer has both its record and its folder. */
bool layer_exists(struct store_fixture *fixture, struct content_digest chain);

/* An entry of index.json; NULL name for none, NULL type for a manifest. */
struct content_entry {
	const char *name;
	const char *digest;
	const char *type;
};

/* index.json anew, in one step. */
void index_put(const struct store_fixture *fixture,
	       const struct content_entry *entries, size_t count);
#define INDEX_PUT(fixture, ...)                                                \
	index_put(fixture, (const struct content_entry[]){ __VA_ARGS__ },      \
		  sizeof((const struct content_entry[]){ __VA_ARGS__ }) /      \
		      sizeof(struct content_entry))

/* Scan at `now`; released by the caller. */
struct ul_view content_scan(struct store_fixture *fixture, int64_t now_unix_s);

/* The same, for what it records alone. */
void note_scan(struct store_fixture *fixture, int64_t now_unix_s);

/* The object of this identity, which has to be there. */
const struct ul_object *object_of(const struct ul_view *view, enum ul_kind kind,
				  const char *key);

/* A collection; what ul_run_execute() says. *ret_run by ul_run_release(). */
struct content_run {
	int64_t now_unix_s, grace_s;
	bool now;
	const struct ul_rule *rule;
	const struct ul_plan *saved;
	int (*confirm)(void *arg, const struct ul_plan *plan);
	void *arg;
};
int content_collect(struct store_fixture *fixture,
		    const struct content_run *how, struct ul_run *ret_run,
		    struct ul_err *err);

/* The same where it has to go well and its figures do not matter. */
void content_gc(struct store_fixture *fixture, int64_t now_unix_s,
		int64_t grace_s, bool now);

/* "du -csx -B1" of the store, with STATE/outside* where there is any. */
uint64_t content_du(const struct store_fixture *fixture);

/* Things below the trash's folders (without their records). */
size_t trash_count(const struct store_fixture *fixture);

bool items_have(const struct ul_plan_items *items, const char *key);

#endif
