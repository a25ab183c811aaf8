/*
 * layer_tool - apply a layer by hand, for tests and measurements.
 * Usage: layer_tool BLOB FS_DIR [LOWER_DIR ...]   (nearest lower first)
 * Prints what ul_layer_apply() gave; ends with 1 and its message on failure.
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "base/fs.h"
#include "store/transfer/layer.h"

static int dir_open(const char *path)
{
	struct ul_err ul_err = UL_ERR_INIT;
	int fd;

	if (ul_dir_open(AT_FDCWD, path, &fd, &ul_err))
		errx(1, "%s", ul_err.msg);
	return fd;
}

int main(int argc, char **argv)
{
	static int lower_fds[UL_IMAGE_MAX_LAYERS];
	struct ul_layer_job job = { .blob_fd = -1 };
	struct ul_err ul_err = UL_ERR_INIT;
	struct ul_layer_result result;
	char diff[UL_DIGEST_TEXT_MAX];
	int i;

	if (argc < 3 || argc - 3 > UL_IMAGE_MAX_LAYERS)
		errx(2, "usage: layer_tool BLOB FS_DIR [LOWER_DIR ...]");
	job.blob_fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (job.blob_fd < 0)
		err(1, "%s", argv[1]);
	job.fs_fd = dir_open(argv[2]);
	for (i = 3; i < argc; i++)
		lower_fds[job.lower_count++] = dir_open(argv[i]);
	job.lower_fds = lower_fds;
	if (ul_layer_apply(&job, &result, &ul_err))
		errx(1, "%s", ul_err.msg);
	ul_digest_format(&result.diff_id, diff);
	printf(
	    "%s bytes=%" PRIu64 " entries=%" PRIu64 " skipped_owners=%" PRIu64
	    " skipped_devices=%" PRIu64 " skipped_xattrs=%" PRIu64 "\n",
	    diff, result.tar_bytes, result.entry_count, result.skipped_owners,
	    result.skipped_devices, result.skipped_xattrs);
	return 0;
}
