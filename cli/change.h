/*
 * cli/change.h - what commands that change what is held have in common.
 */
#ifndef UL_CLI_CHANGE_H
#define UL_CLI_CHANGE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/cli.h"

/* What nothing holds any more once some roots are gone. */
struct ul_loss {
	size_t blob_count, snapshot_count;
	uint64_t allocated_bytes;
};

/*
 * What removing these objects as roots lets go of: what they alone hold, the
 * objects themselves left out. UL_E_NOMEM.
 */
int ul_loss_build(const struct ul_view *view, const uint32_t *objects,
		  size_t count, struct ul_loss *ret_loss, struct ul_err *err);

/* "3 blobs (1.2 MB) are now held by nothing; `ullage gc` takes them"; nothing
 * where there are none. */
void ul_loss_print(struct ul_cli *cli, const struct ul_loss *loss);

/* {"blobs":N,"snapshots":N,"allocated_bytes":N}; NULL without memory. */
json_t *ul_loss_json(const struct ul_loss *loss);

/*
 * Under the lock: scan and put back from the trash what is reachable again,
 * until nothing is left that is. What was put back is said. for_change: as for
 * ul_cli_scan(); hold: a blob's digest that counts as reachable too, or NULL.
 * Owner:   *ret_view is overwritten, released by ul_view_release().
 * Returns: as ul_store_ops.scan and restore.
 */
int ul_change_restore(struct ul_cli *cli, bool for_change, const char *hold,
		      struct ul_view *ret_view, struct ul_err *err);

/* Add "KEY=VALUE" (or "KEY") to a JSON object of labels. UL_E_INVALID (no
 * key, not UTF-8), UL_E_NOMEM. */
int ul_label_add(json_t *labels, const char *text, struct ul_err *err);

/* Labels in the store's form as a JSON object; NULL without memory. */
json_t *ul_labels_json(const char *labels);

/* "K=V, K=V" of labels in the store's form, for a table; free() it. NULL
 * without memory. */
char *ul_labels_text(const char *labels);

#endif
