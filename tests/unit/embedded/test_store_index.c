/* The index of a store, read and written beside others; and its lock. */
#include "store/embedded/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/oci/layout.h"
#include "tests/lib/store_fixture.h"

#define EMPTY_INDEX "{\"schemaVersion\":2,\"manifests\":[]}"

static void count_up(void *arg, const char *holder, int limit_ms)
{
	assert_int_equal(limit_ms, 30);
	assert_non_null(strstr(holder, "process "));
	++*(int *)arg;
}

static void test_store__says_why_it_could_not_be_locked(void **state)
{
	struct store_fixture *fixture = *state;
	ul_cleanup(ul_embedded_closep) struct ul_embedded *other = NULL;
	struct ul_err err = UL_ERR_INIT;
	char expected[256];
	int waits = 0;

	store_fixture_locked(fixture);
	assert_int_equal(ul_embedded_open(fixture->state, &other, &err), 0);
	other->lock_wait_ms = 30;
	other->waiting = count_up;
	other->waiting_arg = &waits;
	assert_int_equal(ul_embedded_lock(other, &err), UL_E_BUSY);
	assert_false(other->is_locked);
	assert_int_equal(waits, 1);
	snprintf(expected, sizeof expected,
		 "changing %s: locked by process %d (unit_embedded_s)",
		 other->path, (int)getpid());
	assert_string_equal(err.msg, expected);

	ul_embedded_unlock(fixture->store);
	assert_int_equal(ul_embedded_lock(other, &err), 0);
	assert_int_equal(waits, 1);
	ul_embedded_unlock(other);
	ul_embedded_unlock(other);
}

/* A collection looks and deletes under the lock: what is made in between
 * would be a left-over for as long as its own lock is not taken. */
static void test_store__makes_no_ingest_folder_during_a_collection(void **state)
{
	struct store_fixture *fixture = *state;
	ul_cleanup(ul_embedded_closep) struct ul_embedded *other = NULL;
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int fd = -1, second = -1;
	struct ul_err err = UL_ERR_INIT;
	char name[17] = "";

	store_fixture_locked(fixture);
	assert_int_equal(ul_embedded_open(fixture->state, &other, &err), 0);
	other->lock_wait_ms = 30;
	assert_int_equal(ul_embedded_ingest_folder(other, name, &fd, &err),
			 UL_E_BUSY);
	assert_int_equal(fd, -1);
	assert_string_equal(name, "");
	assert_int_equal(ul_dir_names(other->ingest_fd, &names, &err), 0);
	assert_int_equal(names.len, 0);

	ul_embedded_unlock(fixture->store);
	assert_int_equal(ul_embedded_ingest_folder(other, name, &fd, &err), 0);
	assert_false(other->is_locked);
	second =
	    openat(other->ingest_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(second >= 0);
	assert_int_equal(flock(second, LOCK_SH | LOCK_NB), -1);
	assert_int_equal(ul_embedded_lock(fixture->store, &err), 0);
	assert_int_equal(unlinkat(other->ingest_fd, name, AT_REMOVEDIR), 0);
}

struct writer {
	const char *path;
	const char *text;
	atomic_bool stop;
};

/* As skopeo does it: truncate, then write; here with time to be seen. */
static void rewrite(const struct writer *writer)
{
	const struct timespec pause = { .tv_nsec = 3 * 1000 * 1000 };
	size_t half = strlen(writer->text) / 2;
	int fd = open(writer->path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		abort();
	nanosleep(&pause, NULL);
	if (write(fd, writer->text, half) != (ssize_t)half)
		abort();
	nanosleep(&pause, NULL);
	if (write(fd, writer->text + half, strlen(writer->text + half)) < 0)
		abort();
	close(fd);
}

static void *rewrite_again_and_again(void *arg)
{
	const struct timespec pause = { .tv_nsec = 11 * 1000 * 1000 };
	struct writer *writer = arg;

	while (!writer->stop) {
		rewrite(writer);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

#define ONE_ENTRY                                                              \
	"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"                  \
	"\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" CHAIN_1 \
	"\",\"size\":2}]}"

static void test_store__reads_its_index_whole_while_others_write(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_open(fixture);
	struct ul_err err = UL_ERR_INIT;
	struct writer writer = {
		.path = store_path(fixture, "oci/index.json"),
		.text = ONE_ENTRY,
	};
	pthread_t thread;
	int i;

	file_write(writer.path, ONE_ENTRY);
	assert_int_equal(
	    pthread_create(&thread, NULL, rewrite_again_and_again, &writer), 0);
	for (i = 0; i < 30; i++) {
		struct ul_layout_index *index = NULL;

		if (ul_embedded_index_read(store, &index, NULL, &err))
			fail_msg("%s", err.msg);
		assert_int_equal(ul_layout_index_count(index), 1);
		ul_layout_index_free(index);
	}
	writer.stop = true;
	pthread_join(thread, NULL);
}

static void test_store__waits_for_an_index_that_is_empty(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_open(fixture);
	struct ul_layout_index *index = NULL;
	struct ul_err err = UL_ERR_INIT;
	struct ul_index_stamp stamp = { .hash = 1 };

	file_write(store_path(fixture, "oci/index.json"), "");
	store->patience.limit_ms = 60;
	assert_int_equal(ul_embedded_index_read(store, &index, &stamp, &err),
			 UL_E_CORRUPT);
	assert_null(index);
	assert_int_equal(stamp.hash, 1);
	assert_non_null(strstr(err.msg, "/store/oci/index.json: "));
}

static void test_store__writes_only_over_the_index_it_has_read(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	const char *path = store_path(fixture, "oci/index.json");
	struct ul_err err = UL_ERR_INIT;
	struct ul_index_stamp stamp, stamp_now;

	file_write(path, ONE_ENTRY);
	assert_int_equal(ul_embedded_index_read(store, &index, &stamp, &err),
			 0);
	ul_layout_index_remove(index, 0);
	file_write(path, ONE_ENTRY "\n");
	assert_int_equal(ul_embedded_index_write(store, index, &stamp, &err),
			 UL_E_CONFLICT);
	assert_non_null(strstr(err.msg, "changed by another program"));
	file_expect(path, ONE_ENTRY "\n");
	file_write(path, "{");
	assert_int_equal(ul_embedded_index_write(store, index, &stamp, &err),
			 UL_E_CONFLICT);
	file_expect(path, "{");
	/* The same bytes, but another file: somebody has written it. */
	file_write(store_path(fixture, "oci/index.new"), ONE_ENTRY);
	assert_int_equal(rename(store_path(fixture, "oci/index.new"), path), 0);
	assert_int_equal(ul_embedded_index_write(store, index, &stamp, &err),
			 UL_E_CONFLICT);
	file_expect(path, ONE_ENTRY);
	ul_layout_index_freep(&index);
	assert_int_equal(ul_embedded_index_read(store, &index, &stamp, &err),
			 0);
	ul_layout_index_remove(index, 0);
	assert_int_equal(ul_embedded_index_write(store, index, &stamp, &err),
			 0);
	file_expect(path, EMPTY_INDEX);
	ul_layout_index_freep(&index);
	assert_int_equal(
	    ul_embedded_index_read(store, &index, &stamp_now, &err), 0);
	assert_false(ul_index_stamp_equal(&stamp, &stamp_now));
	assert_int_equal(ul_layout_index_count(index), 0);
}

int main(void)
{
#define STORE_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(                                       \
	    test_store__##name, store_fixture_setup, store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		STORE_TEST(says_why_it_could_not_be_locked),
		STORE_TEST(makes_no_ingest_folder_during_a_collection),
		STORE_TEST(reads_its_index_whole_while_others_write),
		STORE_TEST(waits_for_an_index_that_is_empty),
		STORE_TEST(writes_only_over_the_index_it_has_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
