/* store/embedded/records.h - what leases and snapshots have in common: keys,
 * labels, the store's row. Internal to the folder. */
#ifndef UL_STORE_EMBEDDED_RECORDS_H
#define UL_STORE_EMBEDDED_RECORDS_H

#include <stddef.h>
#include <stdint.h>

struct ul_buf;
struct ul_embedded;
struct ul_err;

/*
 * Hold a key against what can be stored and shown: not empty, max_bytes at
 * most, UTF-8 without control characters. `what` begins the message.
 * UL_E_INVALID, UL_E_NOMEM.
 */
int ul_record_key_check(const char *key, size_t max_bytes, const char *what,
			struct ul_err *err);

/*
 * Append labels in the form that is stored: a compact JSON object of strings;
 * NULL and "" are "{}".
 * Returns: 0; UL_E_INVALID (no JSON object of strings); UL_E_LIMIT (more than
 *          UL_LABELS_MAX_COUNT, or one longer than UL_LABEL_MAX_BYTES);
 *          UL_E_NOMEM.
 */
int ul_record_labels(const char *labels, struct ul_buf *ret_text,
		     struct ul_err *err);

/*
 * The store's row, for reading: unlike ul_embedded_store_row() nothing is
 * written. 1 with *ret_row, 0 where the database has none, negative.
 */
int ul_record_row(struct ul_embedded *store, int64_t *ret_row,
		  struct ul_err *err);

#endif
