/*
 * bench/layer.h - gzip layers with lengths, names and contents as system
 * images have them, the same for the same seed.
 */
#ifndef UL_BENCH_LAYER_H
#define UL_BENCH_LAYER_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct bench_layer {
	struct ul_digest diff_id, blob_digest;
	uint64_t packed_bytes;
};

/*
 * Write the layer to a new file: `tar_bytes` of tar, packed by gzip(1). Paths
 * begin with usr/share/packageFIRST, so that layers may lie beside each other.
 */
void bench_layer_make(const char *path, size_t tar_bytes, uint32_t first,
		      struct bench_layer *ret);

#endif
