/*
 * cli/unpacking.h - unpacking with a progress line and its answer; for
 * `import --unpack` and `unpack`.
 */
#ifndef UL_CLI_UNPACKING_H
#define UL_CLI_UNPACKING_H

#include <jansson.h>

#include "store/transfer/unpack.h"

struct ul_cli;

/*
 * Unpack one image of the store that was opened, and say what was left out:
 * what cannot be done without root, platforms that are not here.
 * Returns as ul_unpack().
 */
int ul_unpacking_run(struct ul_cli *cli, const struct ul_digest *digest,
		     const char *name, const char *platform,
		     struct ul_unpack_result *ret, struct ul_err *err);

/* {"platforms":N,"new_layers":N,"reused_layers":N,...}; NULL without memory. */
json_t *ul_unpacked_json(const struct ul_unpack_result *unpacked);

#endif
