/*
 * tests/fuzz/scratch.h - a directory of this process for targets that need
 * files: below $TMPDIR, else on tmpfs. Gone when the process ends normally.
 */
#ifndef UL_TESTS_FUZZ_SCRATCH_H
#define UL_TESTS_FUZZ_SCRATCH_H

#include <stddef.h>

/* Made by the first call. */
int scratch_fd(void);
const char *scratch_path(void);

/* Create or replace a file in it. */
void scratch_write(const char *path, const void *data, size_t size);

/* How many descriptors this process has open. */
size_t scratch_open_fds(void);

#endif
