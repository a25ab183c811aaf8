/*
 * tests/unit/base/fixture.h - a scratch directory, random trees, du.
 */
#ifndef UL_TESTS_UNIT_BASE_FIXTURE_H
#define UL_TESTS_UNIT_BASE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

struct fixture {
	char path[24];
	int fd;
	uint64_t random; /* state */
};

/* For cmocka: *state is the fixture. Group: mounts of a test are its own and
 * go with it. */
int group_setup(void **state);
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Go on in memory: for tests that make thousands of names. */
void fixture_use_tmpfs(struct fixture *fixture);

/* From 0 to below - 1; the same in every run. */
uint64_t fixture_random(struct fixture *fixture, uint64_t below);

void make_dir(int fd, const char *path);
void make_file(int fd, const char *path, size_t bytes);
void make_link(int fd, const char *from, const char *to);
bool exists(int fd, const char *path);

/*
 * Some hundred names below `top`: files, sparse files, symlinks, pipes,
 * directories, hard links within it.
 */
void make_random_tree(struct fixture *fixture, const char *top);

/* A chain of `depth` directories, each with a sibling and a file. */
void make_deep(int at, int depth);

/* st_blocks of one name, in bytes. */
uint64_t blocks_of(int fd, const char *path);

/* What `du -sx -B1` says of paths below the scratch directory. */
uint64_t du(struct fixture *fixture, const char *arguments);

/* How many files this process may have open; what it was before. */
rlim_t limit_files(rlim_t count);

#endif
