/*
 * accounting/duplicates.h - layers that are kept in several packed forms.
 */
#ifndef UL_ACCOUNTING_DUPLICATES_H
#define UL_ACCOUNTING_DUPLICATES_H

#include <stdint.h>

struct ul_df;
struct ul_err;
struct ul_view;

/* Fill df->duplicates and df->duplicate_layer_bytes. UL_E_NOMEM. */
int ul_duplicates_find(const struct ul_view *view, struct ul_df *df,
		       struct ul_err *err);

/* Allocated bytes of an object's file, with what its links hold. */
uint64_t ul_object_allocated(const struct ul_view *view, uint32_t object);

#endif
