/*
 * store/transfer/layer_entry.h - apply one entry of a layer's tar.
 */
#ifndef UL_STORE_TRANSFER_LAYER_ENTRY_H
#define UL_STORE_TRANSFER_LAYER_ENTRY_H

struct archive_entry;
struct ul_err;
struct ul_layer_work;

/*
 * Apply the entry whose header was just read; its data is read from work->tar.
 * Errors begin with "layer entry 'PATH': ", unprintable bytes of the path
 * written as \xHH.
 * Returns: as ul_layer_apply().
 */
int ul_layer_entry_apply(struct ul_layer_work *work,
			 struct archive_entry *entry, struct ul_err *err);

#endif
