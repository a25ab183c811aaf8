/*
 * tests/unit/transfer/hostile_layers.h - layers that try to harm, each with
 * what it tries and what has to become of it.
 */
#ifndef UL_TESTS_UNIT_TRANSFER_HOSTILE_LAYERS_H
#define UL_TESTS_UNIT_TRANSFER_HOSTILE_LAYERS_H

#include <stddef.h>

#include "base/buf.h"
#include "store/transfer/layer.h"
#include "tests/lib/tar_fixture.h"

/* For names and paths that are too long. */
#define A16 "aaaaaaaaaaaaaaaa"
#define A64 A16 A16 A16 A16
#define A256 A64 A64 A64 A64
#define A1024 A256 A256 A256 A256
#define D16 "d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/"
#define D256 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16
#define C200 A64 A64 A64 "aaaaaaaa"

struct hostile {
	const char *name;
	const char *tries;
	struct tar_item items[6];
	void (*build)(struct ul_buf *bytes); /* instead of items */
	struct ul_layer_limits limits;       /* 0: as ever */
	int code;
	const char *msg; /* "" where it is applied, within the layer */
};

extern const struct hostile hostiles[];
extern const size_t hostile_count;

/* For `build`: append the bytes (hostile_bytes.c). */
void hostile_garbage(struct ul_buf *bytes);
void hostile_bad_checksum(struct ul_buf *bytes);
void hostile_negative_length(struct ul_buf *bytes);
void hostile_negative_owner(struct ul_buf *bytes);
void hostile_cut_data(struct ul_buf *bytes);
void hostile_cut_header(struct ul_buf *bytes);
void hostile_pax_wrong_length(struct ul_buf *bytes);
void hostile_pax_no_length(struct ul_buf *bytes);
void hostile_pax_giant(struct ul_buf *bytes);
void hostile_sparse_giant(struct ul_buf *bytes);
void hostile_sparse_beyond(struct ul_buf *bytes);
void hostile_sparse_backwards(struct ul_buf *bytes);
void hostile_sparse_nonsense(struct ul_buf *bytes);
void hostile_gzip_bomb(struct ul_buf *bytes);
void hostile_zstd_bomb(struct ul_buf *bytes);
void hostile_trailing_bomb(struct ul_buf *bytes);
void hostile_many_members(struct ul_buf *bytes);
void hostile_many_names(struct ul_buf *bytes);
void hostile_many_links(struct ul_buf *bytes);
void hostile_many_xattrs(struct ul_buf *bytes);
void hostile_large_xattrs(struct ul_buf *bytes);
void hostile_large_xattr(struct ul_buf *bytes);

#endif
