#include "store/embedded/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/db/db.h"
#include "store/db/stmt.h"
#include "store/embedded/lease.h"
#include "store/oci/layout.h"
#include "store/view.h"
#include "tests/lib/store_fixture.h"

#define EMPTY_INDEX "{\"schemaVersion\":2,\"manifests\":[]}"

/* Between store and database, as the database has it now; NULL: nothing. */
static const char *mismatch_of(struct ul_embedded *store)
{
	ul_cleanup(ul_stmt_putp) struct ul_stmt *find = NULL;
	ul_cleanup(ul_buf_release) struct ul_buf line = UL_BUF_INIT;
	static char text[1024];
	struct ul_err err = UL_ERR_INIT;
	char uid[64] = "";
	int64_t generation = 0;

	assert_int_equal(ul_stmt_get(store->db, UL_SQL_STORE_FIND, &find, &err),
			 0);
	ul_stmt_bind_text(find, ":kind", "embedded");
	ul_stmt_bind_text(find, ":path", "store");
	if (ul_stmt_next(find, &err) > 0) {
		snprintf(uid, sizeof uid, "%s", ul_stmt_text(find, 1));
		generation = ul_stmt_i64(find, 2);
	}
	if (!ul_embedded_is_mismatched(store, uid, generation))
		return NULL;
	assert_true(ul_embedded_mismatch(store, uid, generation, &line));
	snprintf(text, sizeof text, "%s", ul_buf_str(&line));
	return text;
}

static void change(struct store_fixture *fixture, const char *lease)
{
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;

	if (ul_lease_create(store, &(struct ul_lease){ .id = lease }, &err))
		fail_msg("%s", err.msg);
	ul_embedded_unlock(store);
}

static void db_remove(struct store_fixture *fixture)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	char path[128];
	size_t i;

	ul_embedded_closep(&fixture->store);
	for (i = 0; i < ul_array_len(suffixes); i++) {
		snprintf(path, sizeof path, "%s/ullage.db%s", fixture->state,
			 suffixes[i]);
		unlink(path);
	}
}

static void db_copy(struct store_fixture *fixture, bool back)
{
	char db[128], copy[128];

	snprintf(db, sizeof db, "%s/ullage.db", fixture->state);
	snprintf(copy, sizeof copy, "%s/copy.db", fixture->top);
	if (back)
		db_remove(fixture);
	/* Closing the last connection writes the log back. */
	ul_embedded_closep(&fixture->store);
	tree_copy(back ? copy : db, back ? db : copy);
}

static void blob_put(struct store_fixture *fixture)
{
	file_write(store_path(fixture, "oci/blobs/sha256/%s", HEX_1), "x");
}

static void test_store__is_made_where_there_is_none(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_open(fixture);
	struct ul_layout_index *index = NULL;
	struct ul_err err = UL_ERR_INIT;
	char uid[33];

	assert_true(store->is_writable);
	assert_false(store->is_locked);
	assert_int_equal(strlen(store->uid), 32);
	file_expect(store_path(fixture, "oci/oci-layout"),
		    "{\"imageLayoutVersion\":\"1.0.0\"}");
	file_expect(store_path(fixture, "oci/index.json"), EMPTY_INDEX);
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 0);
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
	assert_int_equal(dir_count(store->path), 5);
	assert_null(mismatch_of(store));
	assert_int_equal(ul_embedded_index_read(store, &index, NULL, &err), 0);
	assert_int_equal(ul_layout_index_count(index), 0);
	ul_layout_index_free(index);

	memcpy(uid, store->uid, sizeof uid);
	store = store_fixture_open(fixture);
	assert_string_equal(store->uid, uid);
}

static void test_store__is_made_once_by_many_at_once(void **state)
{
	enum { MAKERS = 6 };
	struct store_fixture *fixture = *state;
	struct ul_err err = UL_ERR_INIT;
	int start[2], result[2], status, i;
	char uids[MAKERS][33], byte;
	pid_t pids[MAKERS];

	assert_int_equal(pipe(start), 0);
	assert_int_equal(pipe(result), 0);
	for (i = 0; i < MAKERS; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		close(start[1]);
		if (read(start[0], &byte, 1) != 0)
			_exit(2);
		if (ul_embedded_open(fixture->state, &fixture->store, &err)) {
			fprintf(stderr, "%s\n", err.msg);
			_exit(1);
		}
		_exit(write(result[1], fixture->store->uid, 33) != 33);
	}
	close(start[0]);
	close(start[1]);
	for (i = 0; i < MAKERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
		assert_int_equal(read(result[0], uids[i], 33), 33);
		assert_string_equal(uids[i], uids[0]);
	}
	close(result[0]);
	close(result[1]);
	assert_string_equal(store_fixture_open(fixture)->uid, uids[0]);
	assert_null(mismatch_of(fixture->store));
}

static void test_store__is_finished_where_making_it_stopped(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_open(fixture);

	/* store-id comes last: without it nothing counts as made. */
	assert_int_equal(unlink(store_path(fixture, "store-id")), 0);
	assert_int_equal(unlink(store_path(fixture, "oci/index.json")), 0);
	assert_int_equal(rmdir(store_path(fixture, "trash")), 0);
	store = store_fixture_open(fixture);
	assert_int_equal(strlen(store->uid), 32);
	file_expect(store_path(fixture, "oci/index.json"), EMPTY_INDEX);
	assert_null(mismatch_of(store));
}

static void test_store__never_makes_up_a_lost_index(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_open(fixture);
	struct ul_layout_index *index = NULL;
	struct ul_err err = UL_ERR_INIT;

	file_write(store_path(fixture, "oci/blobs/sha256/blob"),
		   "of some image");
	assert_int_equal(unlink(store_path(fixture, "oci/index.json")), 0);
	store = store_fixture_open(fixture);
	assert_false(path_exists(store_path(fixture, "oci/index.json")));
	store->patience.limit_ms = 0;
	assert_int_equal(ul_embedded_index_read(store, &index, NULL, &err),
			 UL_E_CORRUPT);
	assert_null(index);
	assert_non_null(strstr(err.msg, "index.json is missing"));
}

static void refuses(struct store_fixture *fixture, int code, const char *says)
{
	struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(ul_embedded_open(fixture->state, &store, &err), code);
	assert_null(store);
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
}

static void test_store__refuses_what_is_no_store(void **state)
{
	struct store_fixture *fixture = *state;
	const char *marker;

	store_fixture_open(fixture);
	ul_embedded_closep(&fixture->store);
	marker = store_path(fixture, "oci/oci-layout");
	file_write(marker, "{\"imageLayoutVersion\":\"2.0.0\"}");
	refuses(fixture, UL_E_CORRUPT, "no image layout of version 1");
	file_write(marker, "{}");
	refuses(fixture, UL_E_CORRUPT, "no image layout of version 1");
	file_write(marker, "");
	refuses(fixture, UL_E_CORRUPT, "oci-layout");
	assert_int_equal(unlink(marker), 0);
	refuses(fixture, UL_E_CORRUPT, "oci-layout");
	file_write(marker, "{\"imageLayoutVersion\":\"1.1.0\"}");
	store_fixture_open(fixture);
	ul_embedded_closep(&fixture->store);
	assert_int_equal(rmdir(store_path(fixture, "ingest")), 0);
	refuses(fixture, UL_E_CORRUPT, "no directory ingest");
}

/* Run as a user who owns nothing here; the exit status is what fails. */
static int as_nobody(struct store_fixture *fixture,
		     int (*work)(struct store_fixture *fixture))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(100);
		_exit(work(fixture));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int read_as_nobody(struct store_fixture *fixture)
{
	ul_cleanup(ul_embedded_closep) struct ul_embedded *store = NULL;
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	struct ul_leases leases = UL_LEASES_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_embedded_open(fixture->state, &store, &err))
		return 1;
	if (store->is_writable || strlen(store->uid) != 32)
		return 2;
	if (ul_embedded_index_read(store, &index, NULL, &err) ||
	    ul_layout_index_count(index))
		return 3;
	if (ul_embedded_lock(store, &err) != UL_E_REFUSED ||
	    !strstr(err.msg, "cannot be written by this user") ||
	    store->is_locked)
		return 4;
	if (ul_leases_load(store, &leases, &err))
		return 5;
	ul_leases_release(&leases);
	return 0;
}

static void test_store__that_is_none_is_looked_at_and_not_made(void **state)
{
	struct store_fixture *fixture = *state;
	ul_cleanup(ul_freep) char *state_path =
	    ul_asprintf("%s/none", fixture->top);
	ul_cleanup(ul_freep) char *folder =
	    ul_asprintf("%s/none/store", fixture->top);
	ul_cleanup(ul_embedded_closep) struct ul_embedded *store = NULL;
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	const struct ul_scan_options options = { .as_of_unix_s = 1000 };
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(ul_embedded_find(state_path, &store, &err), 0);
	assert_true(store->is_absent);
	assert_int_equal(
	    store->base.ops->scan(&store->base, &options, &view, &err), 0);
	assert_int_equal(view.image_count + view.file_count, 0);
	assert_null(view.refusal);
	assert_int_equal(ul_embedded_lock(store, &err), UL_E_ABSENT);
	assert_non_null(strstr(err.msg, "there is no store in"));
	assert_int_equal(access(state_path, F_OK), -1);
	ul_embedded_closep(&store);

	/* A folder that happens to be called store is none. */
	assert_int_equal(mkdir(state_path, 0755), 0);
	assert_int_equal(mkdir(folder, 0755), 0);
	assert_int_equal(ul_embedded_find(state_path, &store, &err), 0);
	assert_true(store->is_absent);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(rmdir(state_path), 0);
	ul_embedded_closep(&store);

	/* One that is there is opened, for changes too. */
	store_fixture_open(fixture);
	assert_int_equal(ul_embedded_find(fixture->state, &store, &err), 0);
	assert_false(store->is_absent);
	assert_int_equal(ul_embedded_lock(store, &err), 0);
}

static void test_store__without_memory_is_not_found(void **state)
{
	struct store_fixture *fixture = *state;
	ul_cleanup(ul_freep) char *state_path =
	    ul_asprintf("%s/none", fixture->top);
	struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;
	int n, rc = UL_E_NOMEM;

	for (n = 0; rc == UL_E_NOMEM; n++) {
		assert_null(store);
		ul_mem_countdown = n;
		rc = ul_embedded_find(state_path, &store, &err);
		ul_mem_countdown = -1;
	}
	assert_int_equal(rc, 0);
	assert_true(n > 3 && store->is_absent);
	ul_embedded_closep(&store);
}

static int find_none_as_nobody(struct store_fixture *fixture)
{
	struct ul_embedded *store = NULL;
	struct ul_err err = UL_ERR_INIT;

	return ul_embedded_open(fixture->state, &store, &err) != UL_E_ABSENT ||
	       store;
}

static void test_store__is_read_where_it_cannot_be_written(void **state)
{
	struct store_fixture *fixture = *state;

	assert_int_equal(chmod(fixture->top, 0755), 0);
	assert_int_equal(as_nobody(fixture, find_none_as_nobody), 0);
	change(fixture, "l");
	ul_embedded_closep(&fixture->store);
	assert_int_equal(as_nobody(fixture, read_as_nobody), 0);
	db_remove(fixture);
	assert_int_equal(as_nobody(fixture, read_as_nobody), 0);
}

/* Nothing is made of what it says, and nothing is put in its place. */
static void test_store__may_not_know_what_it_is(void **state)
{
	static const struct {
		const char *text, *says;
	} garbage[] = {
		{ "", "no valid JSON" },
		{ "{\"version\":1,\"id\":\"short\",\"generation\":0}",
		  "(store-id has no id)" },
		/* Written back as it is, this would be no JSON. */
		{ "{\"version\":1,\"id\":"
		  "\"0000000000000000000000000000000\\\"\","
		  "\"generation\":0}",
		  "(store-id has no id)" },
		{ "{\"version\":1,\"id\":\"00000000000000000000000000000000\","
		  "\"generation\":9223372036854775807}",
		  "(store-id has no generation)" },
	};
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_open(fixture);
	const char *id = store_path(fixture, "store-id"), *text;
	char copy[128], uid[33], lease[24];
	size_t i;

	memcpy(uid, store->uid, sizeof uid);
	snprintf(copy, sizeof copy, "%s/store-id", fixture->top);
	change(fixture, "l");
	tree_copy(id, copy);
	for (i = 0; i < ul_array_len(garbage); i++) {
		file_write(id, garbage[i].text);
		store = store_fixture_open(fixture);
		text = mismatch_of(store);
		assert_non_null(text);
		assert_non_null(strstr(text, garbage[i].says));
		assert_non_null(strstr(text, store->path));
		assert_non_null(strstr(text, store->db_path));
		assert_non_null(strstr(text, uid));
		snprintf(lease, sizeof lease, "l%zu", i);
		change(fixture, lease);
		file_expect(store_path(fixture, "store-id"), garbage[i].text);
	}
	tree_copy(copy, store_path(fixture, "store-id"));
	assert_null(mismatch_of(store_fixture_open(fixture)));
	file_write(store_path(fixture, "store-id"),
		   "{\"version\":1,\"id\":\"00000000000000000000000000000000\","
		   "\"generation\":7}");
	assert_int_equal(store_fixture_open(fixture)->generation, 7);
}

static void test_store__adopts_a_new_database_while_empty(void **state)
{
	struct store_fixture *fixture = *state;
	char uid[33];

	change(fixture, "l");
	db_remove(fixture);
	assert_null(mismatch_of(store_fixture_open(fixture)));
	/* As does one that is behind. */
	db_copy(fixture, false);
	change(fixture, "m");
	memcpy(uid, fixture->store->db_uid, sizeof uid);
	file_write(store_path(fixture, "trash/something"), "");
	db_copy(fixture, true);
	assert_null(mismatch_of(store_fixture_open(fixture)));
	/* Its runs will have the numbers of those that it has not seen. */
	assert_string_not_equal(fixture->store->db_uid, uid);
}

static void test_store__does_not_know_a_new_database_once_filled(void **state)
{
	struct store_fixture *fixture = *state;
	char says[512];

	change(fixture, "l");
	blob_put(fixture);
	assert_null(mismatch_of(store_fixture_open(fixture)));
	db_remove(fixture);
	store_fixture_open(fixture);
	snprintf(says, sizeof says,
		 "the database %s does not know the store %s: it is of store "
		 "none, not of %s; put back the ullage.db that belongs to it, "
		 "or run `ullage verify --repair`",
		 fixture->store->db_path, fixture->store->path,
		 fixture->store->uid);
	assert_string_equal(mismatch_of(fixture->store), says);
	/* Nor after a change, which does not bring back what was lost. */
	change(fixture, "m");
	assert_non_null(mismatch_of(store_fixture_open(fixture)));
}

static void test_store__notices_a_database_that_is_behind(void **state)
{
	struct store_fixture *fixture = *state;
	char says[512];

	change(fixture, "l");
	blob_put(fixture);
	db_copy(fixture, false);
	change(fixture, "m");
	assert_null(mismatch_of(fixture->store));
	db_copy(fixture, true);
	store_fixture_open(fixture);
	snprintf(says, sizeof says,
		 "the database %s is older than the store %s (%s): it is at "
		 "generation 1, not at 2; put back the newest ullage.db that "
		 "belongs to it, or run `ullage verify --repair`",
		 fixture->store->db_path, fixture->store->path,
		 fixture->store->uid);
	assert_string_equal(mismatch_of(fixture->store), says);
	change(fixture, "n");
	assert_non_null(mismatch_of(store_fixture_open(fixture)));
}

static void test_store__goes_on_with_a_database_that_is_ahead(void **state)
{
	struct store_fixture *fixture = *state;
	char copy[128];
	int64_t generation;

	/* Stopped between the database's commit and the store's own number. */
	change(fixture, "l");
	blob_put(fixture);
	snprintf(copy, sizeof copy, "%s/store-id", fixture->top);
	tree_copy(store_path(fixture, "store-id"), copy);
	generation = fixture->store->generation;
	change(fixture, "m");
	tree_copy(copy, store_path(fixture, "store-id"));
	assert_null(mismatch_of(store_fixture_open(fixture)));
	assert_int_equal(fixture->store->generation, generation);
	/* A copy of this database has the number that was taken already. */
	db_copy(fixture, false);
	change(fixture, "n");
	assert_null(mismatch_of(store_fixture_open(fixture)));
	assert_int_equal(fixture->store->generation, generation + 2);
	db_copy(fixture, true);
	assert_non_null(mismatch_of(store_fixture_open(fixture)));
}

static void test_store__may_be_copied_with_its_database(void **state)
{
	struct store_fixture *fixture = *state;
	char copy[128];

	change(fixture, "l");
	blob_put(fixture);
	ul_embedded_closep(&fixture->store);
	snprintf(copy, sizeof copy, "%s-2", fixture->state);
	tree_copy(fixture->state, copy);
	strcat(fixture->state, "-2");
	assert_null(mismatch_of(store_fixture_open(fixture)));
	change(fixture, "m");
	assert_null(mismatch_of(store_fixture_open(fixture)));
}

static void test_store__learns_of_changes_when_it_locks(void **state)
{
	struct store_fixture *fixture = *state;
	ul_cleanup(ul_embedded_closep) struct ul_embedded *other = NULL;
	struct ul_err err = UL_ERR_INIT;

	store_fixture_open(fixture);
	assert_int_equal(ul_embedded_open(fixture->state, &other, &err), 0);
	change(fixture, "l");
	assert_int_equal(other->generation + 1, fixture->store->generation);
	assert_int_equal(ul_embedded_lock(other, &err), 0);
	assert_int_equal(other->generation, fixture->store->generation);
	ul_embedded_unlock(other);
	/* Of what has been lost, too. */
	file_write(store_path(fixture, "store-id"), "");
	assert_null(mismatch_of(other));
	assert_int_equal(ul_embedded_lock(other, &err), 0);
	assert_non_null(mismatch_of(other));
}

static void test_store__undoes_a_change_that_is_not_committed(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;
	int64_t generation = store->generation;

	{
		ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;

		assert_int_equal(ul_embedded_change_begin(store, &tx, &err), 0);
		assert_non_null(tx);
	}
	assert_int_equal(store->generation, generation);
	assert_null(mismatch_of(store));
	{
		ul_cleanup(ul_db_rollbackp) struct ul_db *tx = NULL;

		assert_int_equal(ul_embedded_change_begin(store, &tx, &err), 0);
		assert_int_equal(ul_embedded_change_commit(store, &tx, &err),
				 0);
		assert_null(tx);
	}
	assert_int_equal(store->generation, generation + 1);
	assert_int_equal(store_fixture_open(fixture)->generation,
			 generation + 1);
	assert_null(mismatch_of(fixture->store));
}

static void test_store__survives_every_allocation_failure(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = NULL;
	struct ul_layout_index *index = NULL;
	struct ul_err err = UL_ERR_INIT;
	struct ul_index_stamp stamp = UL_INDEX_STAMP_INIT;
	int rc;
	long n;

	/* The first ones stop while the store is made. */
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = ul_embedded_open(fixture->state, &store, &err);
		ul_mem_countdown = -1;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_null(store);
	}
	assert_true(n > 5);
	assert_null(mismatch_of(store));
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = ul_embedded_index_read(store, &index, &stamp, &err);
		ul_mem_countdown = -1;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_null(index);
		assert_int_equal(stamp.hash, 0);
	}
	assert_int_equal(ul_embedded_lock(store, &err), 0);
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = ul_embedded_index_write(store, index, &stamp, &err);
		ul_mem_countdown = -1;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		file_expect(store_path(fixture, "oci/index.json"), EMPTY_INDEX);
	}
	ul_layout_index_free(index);
	ul_embedded_closep(&store);
}

int main(void)
{
#define STORE_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(                                       \
	    test_store__##name, store_fixture_setup, store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		STORE_TEST(is_made_where_there_is_none),
		STORE_TEST(is_made_once_by_many_at_once),
		STORE_TEST(is_finished_where_making_it_stopped),
		STORE_TEST(never_makes_up_a_lost_index),
		STORE_TEST(refuses_what_is_no_store),
		STORE_TEST(that_is_none_is_looked_at_and_not_made),
		STORE_TEST(without_memory_is_not_found),
		STORE_TEST(is_read_where_it_cannot_be_written),
		STORE_TEST(may_not_know_what_it_is),
		STORE_TEST(adopts_a_new_database_while_empty),
		STORE_TEST(does_not_know_a_new_database_once_filled),
		STORE_TEST(notices_a_database_that_is_behind),
		STORE_TEST(goes_on_with_a_database_that_is_ahead),
		STORE_TEST(may_be_copied_with_its_database),
		STORE_TEST(learns_of_changes_when_it_locks),
		STORE_TEST(undoes_a_change_that_is_not_committed),
		STORE_TEST(survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
