/*
 * accounting/report.h - where a store's bytes went, as values.
 *
 * Pure: a view in, a report out. Every allocated byte under the store's root
 * is in exactly one class; the classes add up to what du says (docs/numbers).
 */
#ifndef UL_ACCOUNTING_REPORT_H
#define UL_ACCOUNTING_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct ul_err;
struct ul_view;
struct ul_view_image;

/* In this order: an object is in the first class that reaches it. */
enum ul_class {
	UL_CLASS_IMAGES_IN_USE,
	UL_CLASS_IMAGES_UNUSED,
	UL_CLASS_CONTAINERS,
	UL_CLASS_BUILD_CACHE,
	UL_CLASS_TRASH,
	UL_CLASS_LEASED,
	UL_CLASS_INGESTS,
	UL_CLASS_COLLECTABLE,
	UL_CLASS_ORPHANED,
	UL_CLASS_OVERHEAD,
	UL_CLASS_COUNT
};

/* "images-in-use", ... as in JSON. */
const char *ul_class_name(enum ul_class which);

struct ul_class_row {
	uint64_t object_count;   /* files and trees */
	uint64_t packed_bytes;   /* lengths of blobs */
	uint64_t unpacked_bytes; /* allocated below `fs` of snapshots */
	uint64_t allocated_bytes;
	uint64_t reclaimable_bytes;
};

/* One packed form of a layer, and who names it. */
struct ul_duplicate_blob {
	uint32_t object;
	uint32_t *images; /* positions in view->images */
	size_t image_count;
};

/* Blobs that hold the same layer in different packed forms. */
struct ul_duplicate {
	const char *diff_id;             /* borrowed from the view */
	struct ul_duplicate_blob *blobs; /* the smallest first */
	size_t blob_count;
	uint64_t extra_bytes; /* allocated beyond the smallest */
};

struct ul_df {
	struct ul_class_row rows[UL_CLASS_COUNT];
	uint64_t allocated_bytes; /* sum of the rows */
	uint64_t recorded_bytes;  /* on other devices, outside the sum */
	int64_t residual_bytes;   /* of the last independent walk */
	int64_t residual_as_of_unix_s;
	uint64_t duplicate_layer_bytes;
	struct ul_duplicate *duplicates; /* by extra bytes, largest first */
	size_t duplicate_count;
	uint8_t *class_of;     /* enum ul_class by node; COUNT: none */
	struct ul_arena arena; /* owns the arrays */
};
#define UL_DF_INIT ((struct ul_df){ .duplicates = NULL })

/*
 * Attribute every byte. What the next collection takes of the orphaned is
 * the collector's to say: that row's reclaimable_bytes is left 0 here.
 * Returns: 0 with *ret_df, released by ul_df_release(); UL_E_NOMEM.
 */
int ul_df_build(const struct ul_view *view, struct ul_df *ret_df,
		struct ul_err *err);
/*
 * Fill in what the next collection takes of the orphaned: goes has a flag an
 * object that it takes. An inode that a collectable file links too is that
 * class's already. UL_E_NOMEM, df untouched.
 */
int ul_df_take_orphans(const struct ul_view *view, const bool *goes,
		       struct ul_df *df, struct ul_err *err);
void ul_df_release(struct ul_df *df);

struct ul_platform_row {
	const char *platform;
	const char *manifest; /* digest */
	uint64_t packed_bytes, unpacked_bytes;
	bool is_unpacked;
};

/* One image: a digest in a namespace with all its names. */
struct ul_image_row {
	const struct ul_view_image *image; /* borrowed from the view */
	struct ul_platform_row *platforms; /* without attestations */
	size_t platform_count;
	uint32_t attestation_count;
	uint64_t packed_bytes, unpacked_bytes, allocated_bytes;
	uint64_t unique_bytes;          /* what removing it alone would free */
	uint64_t shared_bytes;          /* allocated less unique */
	uint64_t duplicate_layer_bytes; /* of its layers, others' copies */
};

struct ul_image_rows {
	struct ul_image_row *rows; /* in the view's order */
	size_t len;
	struct ul_arena arena;
};
#define UL_IMAGE_ROWS_INIT ((struct ul_image_rows){ .rows = NULL })

/* Returns: 0 with *ret_rows (release after use), UL_E_NOMEM. */
int ul_image_rows_build(const struct ul_view *view,
			struct ul_image_rows *ret_rows, struct ul_err *err);
void ul_image_rows_release(struct ul_image_rows *rows);

#endif
