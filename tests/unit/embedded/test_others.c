/*
 * Other programs that write the layout while we change it (DESIGN 2, "Who else
 * writes there"): locks of theirs, and what they do between two steps of ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "gc/policy.h"
#include "store/embedded/store.h"
#include "tests/lib/content_fixture.h"

static void strays_put(struct store_fixture *fixture, int count)
{
	int i;

	for (i = 0; i < count; i++)
		blob_put(fixture, "stray %d", i);
}

static size_t taken_by_gc(struct store_fixture *fixture, int hold_ms)
{
	struct ul_index_lock *lock = &fixture->store->index_lock;
	size_t before = lock->taken;

	lock->hold_ms = hold_ms;
	lock->pause_ms = 0;
	content_gc(fixture, ul_clock_unix_s() + 2 * HOUR_S, HOUR_S, false);
	return lock->taken - before;
}

static void test_others__a_sweep_lets_go_of_the_lock_in_between(void **state)
{
	struct store_fixture *fixture = *state;

	index_put(fixture, NULL, 0);
	strays_put(fixture, 7);
	/* One look before anything is done, then the batches. */
	assert_int_equal(taken_by_gc(fixture, INT32_MAX), 1 + 1);
	assert_int_equal(trash_count(fixture), 7);
	strays_put(fixture, 7);
	assert_int_equal(taken_by_gc(fixture, 0), 1 + 7);
	assert_int_equal(trash_count(fixture), 14);
	assert_false(path_exists(store_path(fixture, "oci/index.json.lock")));
}

struct holder {
	pid_t pid;
	int release;
};

/* A child has index.json.lock until holder_end(). */
static struct holder holder_begin(struct store_fixture *fixture)
{
	int ready[2], release[2];
	struct holder holder;
	char byte;

	assert_return_code(pipe(ready), errno);
	assert_return_code(pipe(release), errno);
	holder.pid = fork();
	assert_return_code(holder.pid, errno);
	if (!holder.pid) {
		int fd = openat(fixture->store->oci_fd, "index.json.lock",
				O_RDONLY | O_CREAT, 0600);

		close(release[1]);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
			_exit(1);
		(void)!write(ready[1], "r", 1);
		(void)!read(release[0], &byte, 1);
		_exit(0);
	}
	close(ready[1]);
	close(release[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	holder.release = release[1];
	return holder;
}

static void holder_end(struct holder holder)
{
	int status;

	close(holder.release);
	assert_int_equal(waitpid(holder.pid, &status, 0), holder.pid);
	assert_int_equal(status, 0);
}

static void busy(struct store_fixture *fixture, const struct content_run *how,
		 struct holder holder)
{
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	char who[80];

	assert_int_equal(content_collect(fixture, how, &run, &err), UL_E_BUSY);
	snprintf(who, sizeof who, "index.json.lock: locked by process %d (",
		 (int)holder.pid);
	if (!strstr(err.msg, who))
		fail_msg("%s", err.msg);
}

static void test_others__a_lock_that_is_held_changes_nothing(void **state)
{
	static const char *const names[] = { "app" };
	const struct ul_rule rule = { .patterns = names, .pattern_count = 1 };
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image app = image_put(fixture, "app", "base");
	struct content_image old = image_put(fixture, "old", NULL);
	struct content_run how = { .now_unix_s = now, .grace_s = HOUR_S };
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct holder holder;

	image_unpack(fixture, &app);
	image_unpack(fixture, &old);
	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	fixture->store->index_lock.wait_ms = 20;
	holder = holder_begin(fixture);
	busy(fixture, &how, holder);
	how.rule = &rule;
	busy(fixture, &how, holder);
	assert_int_equal(trash_count(fixture), 0);
	assert_int_equal(dir_count(store_path(fixture, "trash")), 0);
	assert_true(image_is_whole(fixture, &app));
	assert_true(image_is_whole(fixture, &old));
	assert_true(layer_exists(fixture, image_top(&app)));
	assert_true(layer_exists(fixture, image_top(&old)));
	holder_end(holder);

	if (content_collect(fixture, &how, &run, &err))
		fail_msg("%s", err.msg);
	holder = holder_begin(fixture);
	assert_int_equal(
	    ul_run_undo(&fixture->store->base, run.run, &(size_t){ 0 }, &err),
	    UL_E_BUSY);
	holder_end(holder);
	assert_int_equal(
	    ul_run_undo(&fixture->store->base, run.run, &(size_t){ 0 }, &err),
	    0);
	assert_true(image_is_whole(fixture, &app));
	ul_run_release(&run);
}

/* Waits until something was moved, then writes the index, and wakes the run
 * from its pause between two batches. */
struct writer {
	struct store_fixture *fixture;
	const struct content_entry *entry;
	pthread_t runner;
	atomic_bool stop;
};

static void wake(int signal_number)
{
	(void)signal_number;
}

/* The first thing that a run moves lies there as "0". */
static bool has_moved(const struct store_fixture *fixture)
{
	ul_cleanup(ul_names_release) struct ul_names dirs = UL_NAMES_INIT;
	struct ul_err err = UL_ERR_INIT;
	char path[300];

	if (ul_dir_names(fixture->store->trash_fd, &dirs, &err) || !dirs.len)
		return false;
	snprintf(path, sizeof path, "%.200s/0", dirs.names[0]);
	return !faccessat(fixture->store->trash_fd, path, F_OK, 0);
}

static void *write_when_moved(void *arg)
{
	const struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };
	struct writer *writer = arg;
	bool has_written = false;

	while (!writer->stop) {
		if (!has_written && has_moved(writer->fixture)) {
			index_put(writer->fixture, writer->entry, 1);
			has_written = true;
		}
		if (has_written)
			pthread_kill(writer->runner, SIGURG);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void
test_others__a_name_that_comes_between_batches_keeps_all(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s();
	struct content_image app = image_put(fixture, "app", "base");
	const struct content_entry entry = { "app", app.manifest.text, NULL };
	struct content_run how = { .now_unix_s = now + 4 * HOUR_S,
				   .grace_s = HOUR_S };
	struct writer writer = { fixture, &entry, pthread_self(), false };
	struct ul_index_lock *lock = &fixture->store->index_lock;
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct sigaction action = { .sa_handler = wake };
	pthread_t thread;

	sigaction(SIGURG, &action, NULL);
	image_unpack(fixture, &app);
	index_put(fixture, &entry, 1);
	note_scan(fixture, now);
	index_put(fixture, NULL, 0);
	note_scan(fixture, now + 60);
	lock->hold_ms = 0;
	lock->pause_ms = 600000;
	assert_int_equal(
	    pthread_create(&thread, NULL, write_when_moved, &writer), 0);
	if (content_collect(fixture, &how, &run, &err))
		fail_msg("%s", err.msg);
	writer.stop = true;
	pthread_join(thread, NULL);
	assert_true(run.is_left);
	assert_int_equal(run.trashed_bytes, 0);
	assert_true(run.planned_bytes > 0);
	assert_true(image_is_whole(fixture, &app));
	assert_true(layer_exists(fixture, image_top(&app)));
	assert_true(layer_exists(fixture, app.shared_diff_id));
	assert_int_equal(trash_count(fixture), 0);
	ul_run_release(&run);
	/* And nothing of it is garbage now. */
	lock->pause_ms = 0;
	content_gc(fixture, now + 5 * HOUR_S, 0, true);
	assert_true(image_is_whole(fixture, &app));
	assert_true(layer_exists(fixture, image_top(&app)));
}

static void refused(struct store_fixture *fixture, const char *names)
{
	const struct content_run how = {
		.now_unix_s = ul_clock_unix_s() + 2 * HOUR_S,
		.now = true,
	};
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(content_collect(fixture, &how, &run, &err),
			 UL_E_REFUSED);
	if (!strstr(err.msg, names))
		fail_msg("%s", err.msg);
}

/* Damaged so that `names` is told, nothing is collected; whole again, it is. */
static void damaged(struct store_fixture *fixture,
		    void (*damage)(struct store_fixture *fixture,
				   const struct content_image *image,
				   const char *text),
		    const char *text, const char *names)
{
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image app = image_put(fixture, "app", "base");
	struct content_digest stray = blob_put(fixture, "stray");
	ul_cleanup(ul_buf_release) struct ul_buf manifest = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	int round;

	assert_int_equal(ul_file_read(AT_FDCWD,
				      blob_path(fixture, app.manifest), 4096,
				      &manifest, &err),
			 0);
	for (round = 0; round < 2; round++) {
		/* Before it was ever read, and after. */
		damage(fixture, &app, text);
		refused(fixture, names);
		refused(fixture, names);
		assert_true(blob_exists(fixture, app.config));
		assert_true(blob_exists(fixture, app.layer));
		assert_true(blob_exists(fixture, app.shared));
		assert_true(blob_exists(fixture, stray));
		assert_int_equal(trash_count(fixture), 0);
		file_write(blob_path(fixture, app.manifest),
			   ul_buf_str(&manifest));
		INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
		note_scan(fixture, now);
	}
	content_gc(fixture, now, 0, true);
	assert_true(image_is_whole(fixture, &app));
	assert_false(blob_exists(fixture, stray));
}

static void damage_index(struct store_fixture *fixture,
			 const struct content_image *image, const char *text)
{
	(void)image;
	file_write(store_path(fixture, "oci/index.json"), text);
}

static void remove_index(struct store_fixture *fixture,
			 const struct content_image *image, const char *text)
{
	(void)image;
	(void)text;
	assert_int_equal(unlink(store_path(fixture, "oci/index.json")), 0);
}

/* Where it leads there is a whole one, which is none of the layout's. */
static void link_index(struct store_fixture *fixture,
		       const struct content_image *image, const char *text)
{
	(void)image;
	file_write(store_path(fixture, "../index.json"), text);
	remove_index(fixture, image, text);
	assert_int_equal(
	    symlink("../../index.json", store_path(fixture, "oci/index.json")),
	    0);
}

static void damage_manifest(struct store_fixture *fixture,
			    const struct content_image *image, const char *text)
{
	INDEX_PUT(fixture, { "app", image->manifest.text, NULL });
	file_write(blob_path(fixture, image->manifest), text);
}

/* One byte of it is another one. */
static void flip_manifest(struct store_fixture *fixture,
			  const struct content_image *image, const char *text)
{
	ul_cleanup(ul_closep) int fd =
	    open(blob_path(fixture, image->manifest), O_WRONLY | O_CLOEXEC);

	INDEX_PUT(fixture, { "app", image->manifest.text, NULL });
	assert_int_equal(pwrite(fd, text, 1, 0), 1);
}

/* Named too: text that has its digest but is no manifest. */
static void name_nonsense(struct store_fixture *fixture,
			  const struct content_image *image, const char *text)
{
	struct content_digest nonsense = blob_put(fixture, "%s", text);

	INDEX_PUT(fixture, { "app", image->manifest.text, NULL },
		  { "nonsense", nonsense.text, NULL });
}

/* An index leads to the manifest that is damaged. */
static void damage_below(struct store_fixture *fixture,
			 const struct content_image *image, const char *text)
{
	struct content_digest index =
	    blob_put(fixture,
		     "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_INDEX
		     "\",\"manifests\":[{\"mediaType\":\"" TYPE_MANIFEST
		     "\",\"digest\":\"%s\",\"size\":1}]}",
		     image->manifest.text);

	INDEX_PUT(fixture, { "app", index.text, TYPE_INDEX });
	file_write(blob_path(fixture, image->manifest), text);
}

#define DAMAGED(name, damage, text, names)                                     \
	static void test_others__##name(void **state)                          \
	{                                                                      \
		damaged(*state, damage, text, names);                          \
	}
DAMAGED(an_index_that_is_missing, remove_index, "", "index.json is missing")
DAMAGED(an_index_that_is_a_symlink, link_index,
	"{\"schemaVersion\":2,\"manifests\":[]}",
	"index.json is a symlink, which is not followed")
DAMAGED(an_index_that_is_empty, damage_index, "", "index.json")
DAMAGED(an_index_that_is_short, damage_index,
	"{\"schemaVersion\":2,\"manifests\":[", "index.json")
DAMAGED(an_index_that_is_no_json, damage_index, "manifests", "index.json")
DAMAGED(an_index_that_is_no_object, damage_index, "[]", "index.json")
DAMAGED(an_index_without_manifests, damage_index, "{\"schemaVersion\":2}",
	"index.json")
DAMAGED(an_index_of_another_manifests, damage_index, "{\"manifests\":{}}",
	"index.json")
DAMAGED(an_entry_without_a_digest, damage_index,
	"{\"manifests\":[{\"mediaType\":\"" TYPE_MANIFEST "\",\"size\":1}]}",
	"index.json")
DAMAGED(an_entry_with_no_valid_digest, damage_index,
	"{\"manifests\":[{\"mediaType\":\"" TYPE_MANIFEST
	"\",\"size\":1,\"digest\":\"sha256:12\"}]}",
	"index.json")
DAMAGED(a_manifest_that_is_empty, damage_manifest, "",
	"does not have its digest")
DAMAGED(a_manifest_that_is_short, damage_manifest, "{\"schemaVersion",
	"does not have its digest")
DAMAGED(a_manifest_of_other_bytes, flip_manifest, " ",
	"does not have its digest")
DAMAGED(a_manifest_that_is_none, name_nonsense, "nonsense", "is needed but")
DAMAGED(a_manifest_below_an_index, damage_below, "", "does not have its digest")

static void test_others__an_absent_manifest_is_no_damage(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image app = image_put(fixture, "app", NULL);
	struct content_image two = image_put(fixture, "two", NULL);
	struct content_digest index =
	    blob_put(fixture,
		     "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_INDEX
		     "\",\"manifests\":[{\"mediaType\":\"" TYPE_MANIFEST
		     "\",\"digest\":\"%s\",\"size\":1},{\"mediaType\":"
		     "\"" TYPE_MANIFEST "\",\"digest\":\"%s\",\"size\":1}]}",
		     app.manifest.text, two.manifest.text);

	assert_int_equal(unlink(blob_path(fixture, two.manifest)), 0);
	INDEX_PUT(fixture, { "app", index.text, TYPE_INDEX });
	content_gc(fixture, now, 0, true);
	assert_true(image_is_whole(fixture, &app));
	assert_false(blob_exists(fixture, two.layer));
}

/* As skopeo does, only slower: truncate, then write, over and over, until told
 * to stop; leaves the file whole. */
static pid_t rewriter_begin(const char *path, int *ret_stop)
{
	const struct timespec empty = { .tv_nsec = 200 * 1000 * 1000 };
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	int stop[2], fd;
	char byte;
	pid_t pid;

	assert_int_equal(ul_file_read(AT_FDCWD, path, 1 << 20, &text, &err), 0);
	assert_return_code(pipe(stop), errno);
	fcntl(stop[0], F_SETFL, O_NONBLOCK);
	pid = fork();
	assert_return_code(pid, errno);
	if (!pid) {
		close(stop[1]);
		while (read(stop[0], &byte, 1) < 0) {
			fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
			nanosleep(&empty, NULL);
			(void)!write(fd, text.data, text.len);
			close(fd);
			nanosleep(&(struct timespec){ .tv_nsec = 20000000 },
				  NULL);
		}
		_exit(0);
	}
	close(stop[0]);
	*ret_stop = stop[1];
	return pid;
}

static void rewritten(struct store_fixture *fixture,
		      const struct content_image *app, const char *path)
{
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_run how = { .now_unix_s = now, .now = true };
	int stop, status, round;
	pid_t pid;

	fixture->store->patience.limit_ms = 60000;
	pid = rewriter_begin(path, &stop);
	for (round = 0; round < 4; round++) {
		struct ul_view view = content_scan(fixture, now);
		struct ul_run run = UL_RUN_INIT;
		struct ul_err err = UL_ERR_INIT;
		int rc;

		assert_null(view.refusal);
		assert_int_equal(view.image_count, 1);
		assert_true(object_of(&view, UL_KIND_BLOB, app->layer.text)
				->is_reachable);
		ul_view_release(&view);
		/* It may meet the writer every time, but takes nothing. */
		rc = content_collect(fixture, &how, &run, &err);
		if (rc && rc != UL_E_CONFLICT)
			fail_msg("%s", err.msg);
		ul_run_release(&run);
		assert_true(blob_exists(fixture, app->config));
		assert_true(blob_exists(fixture, app->layer));
	}
	close(stop);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	content_gc(fixture, now, 0, true);
	assert_true(image_is_whole(fixture, app));
}

static void test_others__an_index_that_is_being_rewritten(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	rewritten(fixture, &app, store_path(fixture, "oci/index.json"));
}

static void test_others__a_manifest_that_is_being_rewritten(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	char path[256];

	snprintf(path, sizeof path, "%s", blob_path(fixture, app.manifest));
	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	rewritten(fixture, &app, path);
}

static void test_others__damage_is_waited_for_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	struct content_image two = image_put(fixture, "two", NULL);
	struct ul_patience *patience = &fixture->store->patience;
	int64_t until_ns;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL },
		  { "two", two.manifest.text, NULL });
	file_write(blob_path(fixture, app.manifest), "");
	file_write(blob_path(fixture, two.manifest), "");
	patience->limit_ms = 60;
	refused(fixture, app.manifest.text);
	until_ns = patience->until_ns;
	assert_true(until_ns > 0 && until_ns <= ul_clock_mono_ns());
	refused(fixture, app.manifest.text);
	file_write(store_path(fixture, "oci/index.json"), "");
	refused(fixture, "index.json");
	assert_int_equal(patience->until_ns, until_ns);
}

static void test_others__what_no_root_leads_to_is_not_waited_for(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = ul_clock_unix_s() + 2 * HOUR_S;
	struct content_image app = image_put(fixture, "app", NULL);

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	note_scan(fixture, now);
	index_put(fixture, NULL, 0);
	note_scan(fixture, now);
	file_write(blob_path(fixture, app.manifest), "");
	fixture->store->patience.limit_ms = 600000;
	note_scan(fixture, now);
	assert_int_equal(fixture->store->patience.until_ns, 0);
}

int main(void)
{
#define OTHERS(name)                                                           \
	cmocka_unit_test_setup_teardown(test_others__##name,                   \
					store_fixture_setup_open,              \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		OTHERS(a_sweep_lets_go_of_the_lock_in_between),
		OTHERS(a_lock_that_is_held_changes_nothing),
		OTHERS(a_name_that_comes_between_batches_keeps_all),
		OTHERS(an_index_that_is_missing),
		OTHERS(an_index_that_is_a_symlink),
		OTHERS(an_index_that_is_empty),
		OTHERS(an_index_that_is_short),
		OTHERS(an_index_that_is_no_json),
		OTHERS(an_index_that_is_no_object),
		OTHERS(an_index_without_manifests),
		OTHERS(an_index_of_another_manifests),
		OTHERS(an_entry_without_a_digest),
		OTHERS(an_entry_with_no_valid_digest),
		OTHERS(a_manifest_that_is_empty),
		OTHERS(a_manifest_that_is_short),
		OTHERS(a_manifest_of_other_bytes),
		OTHERS(a_manifest_that_is_none),
		OTHERS(a_manifest_below_an_index),
		OTHERS(an_absent_manifest_is_no_damage),
		OTHERS(an_index_that_is_being_rewritten),
		OTHERS(a_manifest_that_is_being_rewritten),
		OTHERS(damage_is_waited_for_once),
		OTHERS(what_no_root_leads_to_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
