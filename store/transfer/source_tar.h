/* store/transfer/source_tar.h - image archives. Internal to the folder. */
#ifndef UL_STORE_TRANSFER_SOURCE_TAR_H
#define UL_STORE_TRANSFER_SOURCE_TAR_H

#include <stdbool.h>

struct ul_err;
struct ul_source;

/* Read a whole archive from fd into the source; see ul_source_open(). */
int ul_source_tar_read(struct ul_source *source, int fd, struct ul_err *err);

/*
 * A path within an archive in its one form: no "./", no "//", no slash at the
 * end; "" is the root. `base` is the folder that it starts from, "" for the
 * root. Steps up are followed only where is_link.
 * Returns: NULL, or what is wrong with it; clean has room for
 *          UL_LAYER_PATH_MAX_BYTES + 1.
 */
const char *ul_source_path_clean(const char *base, const char *path,
				 bool is_link, char *clean);

#endif
