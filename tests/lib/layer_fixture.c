#include "tests/lib/layer_fixture.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/remove.h"
#include "tests/lib/tree_print.h"

static void must(bool is_ok)
{
	if (!is_ok)
		abort();
}

static int dir_new(int at_fd, const char *path)
{
	struct ul_err err = UL_ERR_INIT;
	int fd;

	must(!mkdirat(at_fd, path, 0755));
	must(!ul_dir_open(at_fd, path, &fd, &err));
	return fd;
}

static void file_new(int at_fd, const char *path, const char *text)
{
	struct ul_err err = UL_ERR_INIT;
	int fd = openat(at_fd, path, O_WRONLY | O_CREAT | O_EXCL, 0640);

	must(fd >= 0 && !ul_fd_write_all(fd, text, strlen(text), &err));
	close(fd);
}

void layer_fixture_open(struct layer_fixture *fixture)
{
	struct ul_err err = UL_ERR_INIT;

	*fixture = (struct layer_fixture){ .top = tree_temp() };
	must(!ul_dir_open(AT_FDCWD, fixture->top, &fixture->top_fd, &err));
	close(dir_new(fixture->top_fd, "outside"));
	close(dir_new(fixture->top_fd, "outside/dir"));
	close(dir_new(fixture->top_fd, "lower"));
	file_new(fixture->top_fd, "outside/secret", "secret");
	file_new(fixture->top_fd, "outside/dir/file", "file");
	fixture->fs_fd = dir_new(fixture->top_fd, "fs");
}

void layer_fixture_close(struct layer_fixture *fixture)
{
	size_t i;

	for (i = 0; i < fixture->lower_count; i++)
		close(fixture->lower_fds[i]);
	close(fixture->fs_fd);
	close(fixture->top_fd);
	tree_remove(fixture->top);
}

void layer_fixture_clear(struct layer_fixture *fixture)
{
	struct ul_err err = UL_ERR_INIT;
	const char *path = "fs";
	struct ul_removed removed;

	close(fixture->fs_fd);
	must(!ul_remove_trees(fixture->top_fd, &path, 1, &removed, &err));
	fixture->fs_fd = dir_new(fixture->top_fd, "fs");
}

static int fd_apply(struct layer_fixture *fixture, int fs_fd, const void *bytes,
		    size_t len, struct ul_layer_job job,
		    struct ul_layer_result *result, struct ul_err *err)
{
	int rc;

	job.blob_fd = fd_of_bytes(bytes, len);
	job.fs_fd = fs_fd;
	job.lower_fds = fixture->lower_fds;
	job.lower_count = fixture->lower_count;
	rc = ul_layer_apply(&job, result, err);
	close(job.blob_fd);
	return rc;
}

void layer_below(struct layer_fixture *fixture, const struct ul_buf *tar)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_layer_result result;
	char path[32];
	int fd;

	must(fixture->lower_count < LAYER_LOWERS_MAX);
	snprintf(path, sizeof path, "lower/%zu", fixture->lower_count);
	fd = dir_new(fixture->top_fd, path);
	must(!fd_apply(fixture, fd, tar->data, tar->len,
		       (struct ul_layer_job){ .blob_fd = -1 }, &result, &err));
	memmove(fixture->lower_fds + 1, fixture->lower_fds,
		fixture->lower_count * sizeof fd);
	fixture->lower_fds[0] = fd;
	fixture->lower_count++;
}

int layer_apply_bytes(struct layer_fixture *fixture, const void *bytes,
		      size_t len, struct ul_layer_job job,
		      struct ul_layer_result *result, struct ul_err *err)
{
	return fd_apply(fixture, fixture->fs_fd, bytes, len, job, result, err);
}
