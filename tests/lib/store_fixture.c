#include "tests/lib/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "store/embedded/layout.h"
#include "store/embedded/snapshot.h"

int store_fixture_group(void **state)
{
	(void)state;
	return unshare(CLONE_NEWNS) ||
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

int store_fixture_setup(void **state)
{
	struct store_fixture *fixture = calloc(1, sizeof *fixture);

	if (!fixture)
		return -1;
	strcpy(fixture->top, "/tmp/ul-store-XXXXXX");
	if (!mkdtemp(fixture->top))
		return -1;
	snprintf(fixture->state, sizeof fixture->state, "%s/state",
		 fixture->top);
	*state = fixture;
	return 0;
}

int store_fixture_setup_open(void **state)
{
	int rc = store_fixture_setup(state);

	if (!rc)
		store_fixture_reopen(*state);
	return rc;
}

static int drop_one(const char *path, const struct stat *st, int type,
		    struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

int store_fixture_teardown(void **state)
{
	struct store_fixture *fixture = *state;

	ul_embedded_closep(&fixture->store);
	nftw(fixture->top, drop_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(fixture);
	return 0;
}

void store_fixture_layout(struct store_fixture *fixture)
{
	struct ul_err err = UL_ERR_INIT;

	fixture->is_layout = true;
	if (ul_dir_make(store_path(fixture, "oci/blobs/sha256"), &err))
		fail_msg("%s", err.msg);
	file_write(store_path(fixture, "oci/oci-layout"),
		   "{\"imageLayoutVersion\":\"1.0.0\"}");
	file_write(store_path(fixture, "oci/index.json"),
		   "{\"schemaVersion\":2,\"manifests\":[]}");
}

struct ul_embedded *store_fixture_open(struct store_fixture *fixture)
{
	struct ul_err err = UL_ERR_INIT;

	int rc;

	ul_embedded_closep(&fixture->store);
	rc = fixture->is_layout
		 ? ul_layout_open(store_path(fixture, "oci"), fixture->state,
				  &fixture->store, &err)
		 : ul_embedded_open(fixture->state, &fixture->store, &err);
	if (rc)
		fail_msg("%s", err.msg);
	return fixture->store;
}

struct ul_embedded *store_fixture_reopen(struct store_fixture *fixture)
{
	struct ul_embedded *store = store_fixture_open(fixture);

	store->patience.limit_ms = 0;
	return store;
}

struct ul_embedded *store_fixture_locked(struct store_fixture *fixture)
{
	struct ul_embedded *store = store_fixture_open(fixture);
	struct ul_err err = UL_ERR_INIT;

	if (ul_embedded_lock(store, &err))
		fail_msg("%s", err.msg);
	return store;
}

void store_fixture_layer(struct store_fixture *fixture, const char *chain_id,
			 const char *parent)
{
	struct ul_new_layer layer = { "layer", chain_id, parent, false };
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(mkdir(store_path(fixture, "ingest/layer"), 0700), 0);
	assert_int_equal(mkdir(store_path(fixture, "ingest/layer/fs"), 0755),
			 0);
	file_write(store_path(fixture, "ingest/layer/fs/f-%.4s", chain_id + 7),
		   chain_id);
	if (ul_snapshot_adopt_layers(fixture->store, &layer, 1, &err))
		fail_msg("%s", err.msg);
}

const char *store_path(const struct store_fixture *fixture, const char *format,
		       ...)
{
	static char paths[8][1024];
	static unsigned turn;
	char *path = paths[turn++ % 8];
	va_list ap;
	int len = snprintf(path, sizeof paths[0], "%s/store/", fixture->state);

	va_start(ap, format);
	vsnprintf(path + len, sizeof paths[0] - (size_t)len, format, ap);
	va_end(ap);
	return path;
}

bool path_exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

void file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

void file_expect(const char *path, const char *text)
{
	struct ul_buf got = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_file_read(AT_FDCWD, path, 1 << 20, &got, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(ul_buf_str(&got), text);
	ul_buf_release(&got);
}

size_t dir_count(const char *path)
{
	struct ul_names names = UL_NAMES_INIT;
	struct ul_err err = UL_ERR_INIT;
	size_t count;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ul_dir_names(fd, &names, &err), 0);
	close(fd);
	count = names.len;
	ul_names_release(&names);
	return count;
}

void tree_copy(const char *from, const char *to)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execlp("cp", "cp", "-a", from, to, (char *)NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}
