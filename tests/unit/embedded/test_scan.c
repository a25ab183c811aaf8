#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "gc/policy.h"
#include "store/embedded/lease.h"
#include "store/embedded/snapshot.h"
#include "store/embedded/store.h"
#include "tests/lib/content_fixture.h"

static int setup(void **state)
{
	int rc = store_fixture_setup(state);

	if (rc)
		return rc;
	store_fixture_open(*state)->patience.limit_ms = 0;
	return 0;
}

static int64_t start(void)
{
	return ul_clock_unix_s() + 2 * HOUR_S;
}

/* A number that changes when another connection has written something. */
static int64_t db_stamp(struct store_fixture *fixture)
{
	static sqlite3 *sqlite;
	static char opened[128];
	sqlite3_stmt *stmt = NULL;
	char path[128];
	int64_t stamp;

	snprintf(path, sizeof path, "%s/ullage.db", fixture->state);
	if (strcmp(path, opened)) {
		sqlite3_close(sqlite);
		assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
		strcpy(opened, path);
	}
	assert_int_equal(
	    sqlite3_prepare_v2(sqlite, "PRAGMA data_version", -1, &stmt, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	stamp = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return stamp;
}

static void db_expect_sound(struct store_fixture *fixture)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *sqlite = NULL;
	char path[128];

	snprintf(path, sizeof path, "%s/ullage.db", fixture->state);
	assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(sqlite, "PRAGMA foreign_key_check",
					    -1, &stmt, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
	sqlite3_finalize(stmt);
	sqlite3_close(sqlite);
}

static bool has_note(const struct ul_view *view, const char *part)
{
	size_t i;

	for (i = 0; i < view->note_count; i++) {
		if (strstr(view->notes[i], part))
			return true;
	}
	return false;
}

static const struct ul_view_image *image_of(const struct ul_view *view,
					    struct content_digest digest)
{
	size_t i;

	for (i = 0; i < view->image_count; i++) {
		if (!strcmp(view->images[i].digest, digest.text))
			return &view->images[i];
	}
	fail_msg("no image %s", digest.text);
	return NULL;
}

static bool reachable(const struct ul_view *view, struct content_digest digest)
{
	return object_of(view, UL_KIND_BLOB, digest.text)->is_reachable;
}

static void test_scan__names_vanish_and_come_back(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	int64_t now = start();
	const struct ul_name *name;
	struct ul_view view;

	INDEX_PUT(fixture, { "app:1", app.manifest.text, NULL });
	view = content_scan(fixture, now);
	assert_true(reachable(&view, app.layer));
	assert_int_equal(view.note_count, 0);
	ul_view_release(&view);

	index_put(fixture, NULL, 0);
	view = content_scan(fixture, now + 10);
	assert_int_equal(view.image_count, 0);
	assert_false(reachable(&view, app.layer));
	assert_int_equal(
	    object_of(&view, UL_KIND_BLOB, app.layer.text)->reachable_unix_s,
	    now + 10);
	assert_true(object_of(&view, UL_KIND_BLOB, app.layer.text)->is_known);
	assert_true(has_note(&view, "name app:1 vanished"));
	ul_view_release(&view);

	INDEX_PUT(fixture, { "app:1", app.manifest.text, NULL });
	view = content_scan(fixture, now + 20);
	name = ul_record_find_name(&view.record, "", "app:1");
	assert_non_null(name);
	assert_int_equal(name->vanished_unix_s, 0);
	assert_true(reachable(&view, app.layer));
	assert_int_equal(view.note_count, 0);
	ul_view_release(&view);
}

static void test_scan__a_moved_name_leaves_its_old_digest_behind(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image old = image_put(fixture, "old", "base");
	struct content_image new = image_put(fixture, "new", "base");
	int64_t now = start();
	struct ul_view view;

	INDEX_PUT(fixture, { "app", old.manifest.text, NULL });
	view = content_scan(fixture, now);
	ul_view_release(&view);
	INDEX_PUT(fixture, { "app", new.manifest.text, NULL });
	view = content_scan(fixture, now + 1);
	assert_int_equal(view.image_count, 1);
	assert_false(reachable(&view, old.layer));
	assert_true(reachable(&view, old.shared));
	assert_true(reachable(&view, new.layer));
	assert_string_equal(
	    ul_record_find_name(&view.record, "", "app")->digest,
	    new.manifest.text);
	assert_true(ul_record_was_named(&view.record, old.manifest.text));
	ul_view_release(&view);

	/* As skopeo leaves it: the old entry stays, without its name. */
	INDEX_PUT(fixture, { NULL, old.manifest.text, NULL },
		  { "app", new.manifest.text, NULL });
	view = content_scan(fixture, now + 2);
	assert_true(image_of(&view, old.manifest)->is_nameless);
	assert_true(image_of(&view, old.manifest)->is_dangling);
	assert_false(image_of(&view, new.manifest)->is_nameless);
	assert_true(reachable(&view, old.layer));
	ul_view_release(&view);
}

/* The names of a view's images, in order, in one line. */
static const char *names_of(const struct ul_view *view)
{
	static char line[256];
	size_t i, n;

	line[0] = '\0';
	for (i = 0; i < view->image_count; i++) {
		for (n = 0; n < view->images[i].name_count; n++) {
			uint32_t name = view->images[i].names[n];

			snprintf(line + strlen(line),
				 sizeof line - strlen(line), "%.12s ",
				 view->record.objects[name].key);
		}
	}
	return line;
}

static void test_scan__an_index_that_is_recorded_says_the_same(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", "base");
	struct content_image nameless = image_put(fixture, "nameless", "base");
	int64_t now = start();
	struct ul_view view;
	char names[256];
	int i;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL },
		  { NULL, nameless.manifest.text, NULL },
		  { "also", app.manifest.text, NULL });
	view = content_scan(fixture, now);
	assert_int_not_equal(view.record.index_hash, 0);
	strcpy(names, names_of(&view));
	assert_int_equal(view.image_count, 2);
	ul_view_release(&view);
	for (i = 1; i < 3; i++) {
		view = content_scan(fixture, now + i);
		assert_int_equal(view.record.index_hash, view.roots_stamp.hash);
		assert_string_equal(names_of(&view), names);
		assert_true(reachable(&view, app.layer));
		assert_true(reachable(&view, nameless.layer));
		assert_true(image_of(&view, nameless.manifest)->is_nameless);
		ul_view_release(&view);
	}
	/* As long as before, and another. */
	INDEX_PUT(fixture, { "apq", app.manifest.text, NULL },
		  { NULL, nameless.manifest.text, NULL },
		  { "also", app.manifest.text, NULL });
	view = content_scan(fixture, now + 4);
	assert_null(strstr(names_of(&view), "app"));
	assert_non_null(strstr(names_of(&view), "apq"));
	ul_view_release(&view);
}

/* What no reading has seen: the name left the index, and is in it again. */
static void test_scan__a_recorded_index_that_came_back_is_read(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	int64_t now = start();
	struct ul_view view;
	uint32_t name;
	struct ul_err err = UL_ERR_INIT;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	view = content_scan(fixture, now);
	name = ul_record_find(&view.record, UL_KIND_IMAGE, "", "", "app");
	assert_int_equal(
	    fixture->store->base.ops->lock(&fixture->store->base, &err), 0);
	assert_int_equal(
	    fixture->store->base.ops->remove_roots(&fixture->store->base, &view,
						   &name, 1, NULL, NULL, &err),
	    0);
	ul_embedded_unlock(fixture->store);
	ul_view_release(&view);
	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	view = content_scan(fixture, now + 1);
	assert_int_equal(
	    ul_record_find_name(&view.record, "", "app")->vanished_unix_s, 0);
	assert_true(reachable(&view, app.layer));
	assert_int_equal(view.note_count, 0);
	ul_view_release(&view);
}

static void
test_scan__entries_that_never_had_a_name_are_no_dangling(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	struct ul_view view;

	INDEX_PUT(fixture, { NULL, app.manifest.text, NULL });
	view = content_scan(fixture, start());
	assert_int_equal(view.image_count, 1);
	assert_true(view.images[0].is_nameless);
	assert_false(view.images[0].is_dangling);
	assert_true(reachable(&view, app.layer));
	ul_view_release(&view);
}

static void test_scan__a_name_like_its_digest_is_a_name(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	const struct ul_rule rule = { .untagged = true };
	struct content_run how = { .grace_s = HOUR_S, .rule = &rule };
	char key[UL_DIGEST_TEXT_MAX + 1];
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	int64_t now = start();
	struct ul_view view;

	snprintf(key, sizeof key, "=%s", app.manifest.text);
	INDEX_PUT(fixture, { app.manifest.text, app.manifest.text, NULL },
		  { NULL, app.manifest.text, NULL });
	view = content_scan(fixture, now);
	assert_int_equal(view.image_count, 1);
	assert_int_equal(view.images[0].name_count, 2);
	assert_false(view.images[0].is_nameless);
	object_of(&view, UL_KIND_IMAGE, key);
	object_of(&view, UL_KIND_IMAGE, app.manifest.text);
	assert_non_null(ul_record_find_name(&view.record, "", key));
	ul_view_release(&view);

	/* The entry without a name goes alone. */
	how.now_unix_s = now + 1;
	if (content_collect(fixture, &how, &run, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(run.removed, 1);
	ul_run_release(&run);
	view = content_scan(fixture, now + 2);
	assert_int_equal(view.images[0].name_count, 1);
	object_of(&view, UL_KIND_IMAGE, key);
	assert_true(reachable(&view, app.layer));
	ul_view_release(&view);

	/* And the other one is remembered when it vanishes. */
	index_put(fixture, NULL, 0);
	view = content_scan(fixture, now + 3);
	assert_true(has_note(&view, key));
	ul_view_release(&view);
}

static void test_scan__one_name_on_many_digests_keeps_them_all(void **state)
{
	enum { COUNT = 12 };
	struct store_fixture *fixture = *state;
	struct content_image images[COUNT];
	struct content_entry entries[COUNT];
	int64_t now = start(), stamp;
	struct ul_view view;
	char seed[16];
	size_t i;

	for (i = 0; i < COUNT; i++) {
		snprintf(seed, sizeof seed, "seed %zu", i);
		images[i] = image_put(fixture, seed, NULL);
		entries[i] =
		    (struct content_entry){ "same", images[i].manifest.text,
					    NULL };
	}
	index_put(fixture, entries, COUNT);
	stamp = db_stamp(fixture);
	view = content_scan(fixture, now);
	assert_int_equal(view.image_count, COUNT);
	for (i = 0; i < COUNT; i++)
		assert_true(reachable(&view, images[i].layer));
	/* The first is what the name stands for. */
	assert_string_equal(
	    ul_record_find_name(&view.record, "", "same")->digest,
	    images[0].manifest.text);
	ul_view_release(&view);
	assert_int_not_equal(db_stamp(fixture), stamp);
	stamp = db_stamp(fixture);
	view = content_scan(fixture, now);
	ul_view_release(&view);
	assert_int_equal(db_stamp(fixture), stamp);
}

static struct content_digest referrer_put(struct store_fixture *fixture,
					  struct content_digest subject)
{
	struct content_digest payload =
	    blob_put(fixture, "signature of %s", subject.text);

	return blob_put(fixture,
			"{\"schemaVersion\":2,\"mediaType\":\"" TYPE_MANIFEST
			"\",\"artifactType\":\"application/x-sig\",\"config\":"
			"{\"mediaType\":\"application/vnd.oci.empty.v1+json\","
			"\"digest\":\"%s\",\"size\":2},\"layers\":[],"
			"\"subject\":{\"mediaType\":\"" TYPE_MANIFEST
			"\",\"digest\":\"%s\",\"size\":1}}",
			payload.text, subject.text);
}

static void test_scan__referrers_live_with_their_subject(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	struct content_digest sig = referrer_put(fixture, app.manifest);
	struct content_digest of_sig = referrer_put(fixture, sig);
	int64_t now = start();
	struct ul_view view;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	view = content_scan(fixture, now);
	assert_true(reachable(&view, sig));
	assert_true(reachable(&view, of_sig));
	ul_view_release(&view);

	index_put(fixture, NULL, 0);
	view = content_scan(fixture, now + 1);
	assert_false(reachable(&view, sig));
	assert_false(reachable(&view, of_sig));
	ul_view_release(&view);

	/* A referrer that is a root itself keeps its subject. */
	INDEX_PUT(fixture, { NULL, sig.text, NULL });
	view = content_scan(fixture, now + 2);
	assert_true(reachable(&view, app.manifest));
	assert_true(reachable(&view, app.layer));
	assert_true(reachable(&view, of_sig));
	ul_view_release(&view);
}

static void
test_scan__indexes_within_indexes_give_each_platform_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	struct content_digest at = app.manifest;
	const char *type = TYPE_MANIFEST;
	struct ul_view view;
	int level, i;

	/* Ten ways down at each of twelve levels: 10^12 paths. */
	for (level = 0; level < 12; level++) {
		ul_cleanup(ul_buf_release) struct ul_buf list = UL_BUF_INIT;

		for (i = 0; i < 10; i++)
			ul_buf_printf(&list,
				      "%s{\"mediaType\":\"%s\",\"digest\":"
				      "\"%s\",\"size\":1}",
				      i ? "," : "", type, at.text);
		at = blob_put(fixture,
			      "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_INDEX
			      "\",\"manifests\":[%s]}",
			      ul_buf_str(&list));
		type = TYPE_INDEX;
	}
	INDEX_PUT(fixture, { "deep", at.text, TYPE_INDEX });
	view = content_scan(fixture, start());
	assert_true(reachable(&view, app.layer));
	assert_int_equal(view.images[0].platform_count, 1);
	assert_string_equal(view.images[0].platforms[0].platform,
			    "linux/amd64");
	assert_int_equal(view.images[0].created_unix_s, 1577836800);
	ul_view_release(&view);
}

static void test_scan__types_it_does_not_know_are_kept_whole(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_digest odd = blob_put(fixture, "whatever this is");
	struct ul_view view;

	INDEX_PUT(fixture, { "odd", odd.text, "application/x-odd" });
	view = content_scan(fixture, start());
	assert_null(view.refusal);
	assert_true(reachable(&view, odd));
	assert_int_equal(object_of(&view, UL_KIND_BLOB, odd.text)->content,
			 UL_CONTENT_OPAQUE);
	ul_view_release(&view);
}

/* A cache manifest whose config is this blob, called "cache:1". */
static void cache_put(struct store_fixture *fixture,
		      struct content_digest config)
{
	struct content_digest manifest = blob_put(
	    fixture,
	    "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_MANIFEST "\","
	    "\"config\":{\"mediaType\":"
	    "\"application/vnd.buildkit.cacheconfig.v0\",\"digest\":\"%s\","
	    "\"size\":1},\"layers\":[]}",
	    config.text);

	INDEX_PUT(fixture, { "cache:1", manifest.text, NULL });
}

static void test_scan__cache_configs_hold_what_they_name(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_digest layer = blob_put(fixture, "layer of a step");
	struct content_digest other = blob_put(fixture, "another");
	struct content_digest absent = blob_put(fixture, "soon gone");
	struct content_digest broken = blob_put(fixture, "{\"layers\":[");
	struct ul_view view;

	assert_int_equal(unlink(blob_path(fixture, absent)), 0);
	cache_put(fixture, blob_put(fixture,
				    "{\"layers\":[{\"blob\":\"%s\"},{\"blob\":"
				    "\"%s\"}],\"records\":[{\"digest\":\"%s\","
				    "\"layers\":[{\"layer\":0}]}]}",
				    layer.text, absent.text, other.text));
	view = content_scan(fixture, start());
	assert_true(reachable(&view, layer));
	assert_false(reachable(&view, other));
	assert_null(view.refusal);
	ul_view_release(&view);

	/* What one that makes no sense refers to is not known. */
	cache_put(fixture, broken);
	fixture->store->patience.limit_ms = 0;
	view = content_scan(fixture, start());
	assert_non_null(view.refusal);
	ul_view_release(&view);
}

static void test_scan__absent_platforms_are_no_damage(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image here = image_put(fixture, "here", NULL);
	struct content_digest index = blob_put(
	    fixture,
	    "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_INDEX
	    "\",\"manifests\":[{\"mediaType\":\"" TYPE_MANIFEST
	    "\",\"digest\":\"%s\",\"size\":1},{\"mediaType\":\"" TYPE_MANIFEST
	    "\",\"digest\":\"" CHAIN_1
	    "\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":"
	    "\"s390x\"}}]}",
	    here.manifest.text);
	const struct ul_view_image *image;
	struct ul_view view;

	INDEX_PUT(fixture, { "app", index.text, TYPE_INDEX });
	view = content_scan(fixture, start());
	assert_null(view.refusal);
	image = image_of(&view, index);
	assert_int_equal(image->platform_count, 2);
	assert_true(image->platforms[0].is_present);
	assert_false(image->platforms[1].is_present);
	assert_string_equal(image->platforms[1].platform, "linux/s390x");
	assert_true(reachable(&view, here.layer));
	ul_view_release(&view);
}

static void test_scan__config_facts_reach_the_view(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_digest layer = blob_put(fixture, "layer");
	struct content_digest config =
	    config_put(fixture, "{\"a\":\"1\"}", CHAIN_1);
	const char *const layers[] = { layer.text };
	struct content_digest manifest =
	    manifest_put(fixture, config, layers, 1);
	const struct ul_object *object;
	struct ul_view view;
	int round;

	INDEX_PUT(fixture, { "app", manifest.text, NULL });
	for (round = 0; round < 2; round++) {
		view = content_scan(fixture, start());
		object = object_of(&view, UL_KIND_BLOB, config.text);
		assert_non_null(object->config);
		assert_string_equal(object->config->labels, "{\"a\":\"1\"}");
		assert_string_equal(object->config->diff_ids, CHAIN_1);
		assert_string_equal(
		    object_of(&view, UL_KIND_BLOB, layer.text)->diff_id,
		    CHAIN_1);
		ul_view_release(&view);
		store_fixture_open(fixture);
	}
}

static void test_scan__a_blob_rewritten_in_place_is_read_again(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	const char *path = blob_path(fixture, app.manifest);
	char good[4096] = "";
	int64_t now = start();
	struct ul_view view;
	FILE *file;
	int round;

	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(good, 1, sizeof good - 1, file) > 0);
	fclose(file);
	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	view = content_scan(fixture, now);
	assert_null(view.refusal);
	ul_view_release(&view);
	file_write(blob_path(fixture, app.manifest), "");
	for (round = 0; round < 3; round++) {
		view = content_scan(fixture, now);
		assert_non_null(view.refusal);
		assert_non_null(strstr(view.refusal, app.manifest.text));
		/* What it once referred to is still known. */
		assert_true(reachable(&view, app.layer));
		ul_view_release(&view);
	}
	file_write(blob_path(fixture, app.manifest), good);
	view = content_scan(fixture, now);
	assert_null(view.refusal);
	assert_true(reachable(&view, app.layer));
	ul_view_release(&view);
}

static void test_scan__ingests_live_while_their_maker_does(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = start();
	struct ul_view view;
	int fd;
	size_t i;

	assert_int_equal(mkdir(store_path(fixture, "ingest/alive"), 0700), 0);
	assert_int_equal(mkdir(store_path(fixture, "ingest/dead"), 0700), 0);
	file_write(store_path(fixture, "ingest/dead/part"), "bytes");
	fd = open(store_path(fixture, "ingest/alive"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	view = content_scan(fixture, now);
	assert_int_equal(view.file_count, 2);
	for (i = 0; i < 2; i++) {
		const struct ul_view_file *file = &view.files[i];
		bool is_alive = !strcmp(file->path, "ingest/alive");

		assert_int_equal(file->is_ingest, is_alive);
		assert_int_equal(file->is_orphan, !is_alive);
		assert_int_equal(view.record.objects[file->object].kind,
				 is_alive ? UL_KIND_INGEST : UL_KIND_FILE);
	}
	ul_view_release(&view);
	content_gc(fixture, now, 0, true);
	assert_true(path_exists(store_path(fixture, "ingest/alive")));
	assert_false(path_exists(store_path(fixture, "ingest/dead")));
	close(fd);
	content_gc(fixture, now, 0, true);
	assert_false(path_exists(store_path(fixture, "ingest/alive")));
}

/* A store with some of everything. */
static struct content_image store_fill(struct store_fixture *fixture)
{
	struct content_image app = image_put(fixture, "app", "base");
	struct content_image two = image_put(fixture, "two", "base");
	const struct ul_lease flat = { .id = "flat", .is_flat = true };
	const struct ul_lease whole = { .id = "whole" };
	struct ul_err err = UL_ERR_INIT;

	referrer_put(fixture, app.manifest);
	blob_put(fixture, "stray");
	image_unpack(fixture, &app);
	INDEX_PUT(fixture, { "app", app.manifest.text, NULL },
		  { "same", app.manifest.text, NULL },
		  { NULL, two.manifest.text, NULL });
	if (ul_embedded_lock(fixture->store, &err) ||
	    ul_snapshot_prepare(fixture->store, "work", image_top(&app).text,
				false, "{}", &err) ||
	    ul_lease_create(fixture->store, &flat, &err) ||
	    ul_lease_create(fixture->store, &whole, &err) ||
	    ul_lease_add(fixture->store, "flat", UL_KIND_SNAPSHOT,
			 app.shared_diff_id.text, &err) ||
	    ul_lease_add(fixture->store, "flat", UL_KIND_BLOB, CHAIN_3, &err) ||
	    ul_lease_add(fixture->store, "whole", UL_KIND_SNAPSHOT, "work",
			 &err))
		fail_msg("%s", err.msg);
	ul_embedded_unlock(fixture->store);
	return app;
}

static void test_scan__a_second_one_writes_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = start(), stamp;
	struct ul_view view;
	int round;

	store_fill(fixture);
	view = content_scan(fixture, now);
	ul_view_release(&view);
	stamp = db_stamp(fixture);
	for (round = 0; round < 3; round++) {
		view = content_scan(fixture, now + round);
		ul_view_release(&view);
		if (round == 1)
			store_fixture_open(fixture);
		assert_int_equal(db_stamp(fixture), stamp);
	}
}

static void test_scan__as_of_another_time_records_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	const struct ul_scan_options options = {
		.as_of_unix_s = start() + 100 * HOUR_S,
		.is_as_of = true,
	};
	struct ul_view view = UL_VIEW_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct content_image app = store_fill(fixture);
	int64_t stamp = db_stamp(fixture);

	assert_int_equal(fixture->store->base.ops->scan(&fixture->store->base,
							&options, &view, &err),
			 0);
	assert_true(reachable(&view, app.layer));
	ul_view_release(&view);
	assert_int_equal(db_stamp(fixture), stamp);
}

static void test_scan__what_a_flat_lease_holds_says_so(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_digest blob = blob_put(fixture, "held");
	const struct ul_lease flat = { .id = "flat", .is_flat = true };
	const struct ul_object *object;
	struct ul_err err = UL_ERR_INIT;
	struct ul_view view;

	if (ul_embedded_lock(fixture->store, &err) ||
	    ul_lease_create(fixture->store, &flat, &err) ||
	    ul_lease_add(fixture->store, "flat", UL_KIND_BLOB, blob.text, &err))
		fail_msg("%s", err.msg);
	ul_embedded_unlock(fixture->store);
	view = content_scan(fixture, start());
	object = object_of(&view, UL_KIND_BLOB, blob.text);
	assert_true(object->is_reachable);
	assert_int_not_equal(object->kept_by, UL_OBJECT_NONE);
	assert_string_equal(view.record.objects[object->kept_by].key, "flat");
	assert_string_equal(object->kept_reason, "lease");
	ul_view_release(&view);
}

/* As nobody: nothing may be written, not even opened for it. */
static int scan_as_nobody(const char *state_path, const char *layer)
{
	const struct ul_scan_options options = { .as_of_unix_s = start() };
	ul_cleanup(ul_embedded_closep) struct ul_embedded *store = NULL;
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	struct ul_err err = UL_ERR_INIT;
	uint32_t at;

	if (setgid(65534) || setuid(65534))
		return 2;
	if (ul_embedded_open(state_path, &store, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 3;
	}
	if (store->is_writable || ul_embedded_lock(store, &err) != UL_E_REFUSED)
		return 4;
	if (store->base.ops->scan(&store->base, &options, &view, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 5;
	}
	at = ul_record_find(&view.record, UL_KIND_BLOB, "", "", layer);
	if (at == UL_OBJECT_NONE || !view.record.objects[at].is_reachable)
		return 6;
	return view.image_count == 2 ? 0 : 7;
}

static void test_scan__without_rights_it_works_from_memory(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = store_fill(fixture);
	uint64_t before;
	int status;
	pid_t pid;

	assert_int_equal(chmod(fixture->top, 0755), 0);
	ul_embedded_closep(&fixture->store);
	before = content_du(fixture);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(scan_as_nobody(fixture->state, app.layer.text));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(content_du(fixture), before);
}

static void test_scan__without_memory_the_record_stays_sound(void **state)
{
	struct store_fixture *fixture = *state;
	const struct ul_scan_options options = { .as_of_unix_s = start() };
	struct content_image app = store_fill(fixture);
	struct ul_store *store = &fixture->store->base;
	struct ul_err err = UL_ERR_INIT;
	struct ul_view view;
	int rc = UL_E_NOMEM;
	long n;

	for (n = 0; rc; n++) {
		view = UL_VIEW_INIT;
		ul_mem_countdown = n;
		rc = store->ops->scan(store, &options, &view, &err);
		ul_mem_countdown = -1;
		if (rc) {
			assert_int_equal(rc, UL_E_NOMEM);
			assert_null(view.files);
		}
	}
	assert_true(n > 100);
	assert_true(reachable(&view, app.layer));
	assert_int_equal(view.image_count, 2);
	ul_view_release(&view);
	db_expect_sound(fixture);
	/* Halfway through it failed again and again: all is recorded once. */
	view = content_scan(fixture, options.as_of_unix_s);
	assert_int_equal(view.image_count, 2);
	assert_null(view.refusal);
	ul_view_release(&view);
}

static void test_scan__a_folder_of_another_form_is_not_the_layers(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	struct ul_view view;
	size_t i, snapshots = 0;

	image_unpack(fixture, &app);
	/* Left by a removal of what a user had committed under that name. */
	assert_int_equal(mkdir(store_path(fixture, "snapshots/key-sha256%%3A%s",
					  app.diff_id.text + 7),
			       0755),
			 0);
	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	view = content_scan(fixture, start());
	for (i = 0; i < view.file_count; i++)
		snapshots += view.record.objects[view.files[i].object].kind ==
			     UL_KIND_SNAPSHOT;
	assert_int_equal(snapshots, 1);
	ul_view_release(&view);
	content_gc(fixture, start(), 0, true);
	assert_true(layer_exists(fixture, app.diff_id));
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 1);
}

int main(void)
{
#define SCAN(name)                                                             \
	cmocka_unit_test_setup_teardown(test_scan__##name, setup,              \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		SCAN(names_vanish_and_come_back),
		SCAN(a_moved_name_leaves_its_old_digest_behind),
		SCAN(an_index_that_is_recorded_says_the_same),
		SCAN(a_recorded_index_that_came_back_is_read),
		SCAN(entries_that_never_had_a_name_are_no_dangling),
		SCAN(one_name_on_many_digests_keeps_them_all),
		SCAN(referrers_live_with_their_subject),
		SCAN(indexes_within_indexes_give_each_platform_once),
		SCAN(types_it_does_not_know_are_kept_whole),
		SCAN(cache_configs_hold_what_they_name),
		SCAN(a_name_like_its_digest_is_a_name),
		SCAN(absent_platforms_are_no_damage),
		SCAN(config_facts_reach_the_view),
		SCAN(a_blob_rewritten_in_place_is_read_again),
		SCAN(ingests_live_while_their_maker_does),
		SCAN(a_second_one_writes_nothing),
		SCAN(as_of_another_time_records_nothing),
		SCAN(what_a_flat_lease_holds_says_so),
		SCAN(without_rights_it_works_from_memory),
		SCAN(without_memory_the_record_stays_sound),
		SCAN(a_folder_of_another_form_is_not_the_layers),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
