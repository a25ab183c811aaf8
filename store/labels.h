/*
 * store/labels.h - labels, kept as the text of a JSON object of strings.
 */
#ifndef UL_STORE_LABELS_H
#define UL_STORE_LABELS_H

#include <stdbool.h>

/*
 * Whether the labels have "key", or "key=value" with exactly that value.
 * Text that is no JSON object has none.
 */
bool ul_labels_match(const char *labels_json, const char *wanted);

#endif
