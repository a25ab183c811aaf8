/*
 * store/transfer/import_names.h - what imported images are called. Internal
 * to the folder.
 */
#ifndef UL_STORE_TRANSFER_IMPORT_NAMES_H
#define UL_STORE_TRANSFER_IMPORT_NAMES_H

#include <stddef.h>

#include "store/limits.h"

struct ul_err;

/*
 * FILE: the last component of a path, without what tells that it is an
 * archive (.tar, .tar.gz, .tgz, .tar.zst, .tzst, .oci). "" for "-" and where
 * nothing is left.
 */
void ul_import_file_name(const char *path, char name[UL_NAME_MAX_BYTES]);

/*
 * The name as it is stored: whole where it is a reference.
 * Returns: 0; UL_E_INVALID (empty, too long, control characters).
 */
int ul_import_name_whole(const char *text, char whole[UL_NAME_MAX_BYTES],
			 struct ul_err *err);

/*
 * FILE:ref.name; ref.name alone where it is a whole reference by itself, or
 * where there is no FILE.
 */
int ul_import_name_ref(const char *file, const char *ref_name,
		       char whole[UL_NAME_MAX_BYTES], struct ul_err *err);

/* The name of the n-th nameless image, from 1: base, base-2 ... */
int ul_import_name_nth(const char *base, size_t n,
		       char whole[UL_NAME_MAX_BYTES], struct ul_err *err);

#endif
