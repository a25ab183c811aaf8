/* store/verify/layout_internal.h - one check of a layout under way; what
 * layout.c, layout_digests.c and layout_report.c share. */
#ifndef UL_STORE_VERIFY_LAYOUT_INTERNAL_H
#define UL_STORE_VERIFY_LAYOUT_INTERNAL_H

#include "store/verify/layout.h"

struct verify_layout {
	int layout_fd;
	const struct ul_layout_check_options *options;
	struct ul_layout_check *check;
	struct ul_findings *findings;
	int64_t retry_until_ns;
	struct ul_err *err;
};

/* Find or add. UL_MAP_NONE without memory. */
uint32_t verify_node(struct verify_layout *verify,
		     const struct ul_digest *digest);

/* Hash those whose length is not what a descriptor says. */
int verify_lengths(struct verify_layout *verify);

/* Nodes for all files below blobs/ that have a digest's name. */
int verify_files(struct verify_layout *verify);

/* Hash all that was not hashed yet. */
int verify_digests(struct verify_layout *verify);

/* What is wrong with the nodes, as findings. */
int verify_report(struct verify_layout *verify);

#endif
