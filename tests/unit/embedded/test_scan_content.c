/* What a scan makes of content: what blobs, leases and folders refer to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/lease.h"
#include "store/embedded/store.h"
#include "tests/unit/embedded/scan_fixture.h"

static void test_scan__referrers_live_with_their_subject(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	struct content_digest sig = referrer_put(fixture, app.manifest);
	struct content_digest of_sig = referrer_put(fixture, sig);
	int64_t now = scan_start();
	struct ul_view view;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	view = content_scan(fixture, now);
	assert_true(is_reachable(&view, sig));
	assert_true(is_reachable(&view, of_sig));
	ul_view_release(&view);

	index_put(fixture, NULL, 0);
	view = content_scan(fixture, now + 1);
	assert_false(is_reachable(&view, sig));
	assert_false(is_reachable(&view, of_sig));
	ul_view_release(&view);

	/* A referrer that is a root itself keeps its subject. */
	INDEX_PUT(fixture, { NULL, sig.text, NULL });
	view = content_scan(fixture, now + 2);
	assert_true(is_reachable(&view, app.manifest));
	assert_true(is_reachable(&view, app.layer));
	assert_true(is_reachable(&view, of_sig));
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
	view = content_scan(fixture, scan_start());
	assert_true(is_reachable(&view, app.layer));
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
	view = content_scan(fixture, scan_start());
	assert_null(view.refusal);
	assert_true(is_reachable(&view, odd));
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
	view = content_scan(fixture, scan_start());
	assert_true(is_reachable(&view, layer));
	assert_false(is_reachable(&view, other));
	assert_null(view.refusal);
	ul_view_release(&view);

	/* What one that makes no sense refers to is not known. */
	cache_put(fixture, broken);
	fixture->store->patience.limit_ms = 0;
	view = content_scan(fixture, scan_start());
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
	view = content_scan(fixture, scan_start());
	assert_null(view.refusal);
	image = scan_image(&view, index);
	assert_int_equal(image->platform_count, 2);
	assert_true(image->platforms[0].is_present);
	assert_false(image->platforms[1].is_present);
	assert_string_equal(image->platforms[1].platform, "linux/s390x");
	assert_true(is_reachable(&view, here.layer));
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
		view = content_scan(fixture, scan_start());
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
	int64_t now = scan_start();
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
		assert_true(is_reachable(&view, app.layer));
		ul_view_release(&view);
	}
	file_write(blob_path(fixture, app.manifest), good);
	view = content_scan(fixture, now);
	assert_null(view.refusal);
	assert_true(is_reachable(&view, app.layer));
	ul_view_release(&view);
}

static void test_scan__ingests_live_while_their_maker_does(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now = scan_start();
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
	view = content_scan(fixture, scan_start());
	object = object_of(&view, UL_KIND_BLOB, blob.text);
	assert_true(object->is_reachable);
	assert_int_not_equal(object->kept_by, UL_OBJECT_NONE);
	assert_string_equal(view.record.objects[object->kept_by].key, "flat");
	assert_string_equal(object->kept_reason, "lease");
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
	view = content_scan(fixture, scan_start());
	for (i = 0; i < view.file_count; i++)
		snapshots += view.record.objects[view.files[i].object].kind ==
			     UL_KIND_SNAPSHOT;
	assert_int_equal(snapshots, 1);
	ul_view_release(&view);
	content_gc(fixture, scan_start(), 0, true);
	assert_true(layer_exists(fixture, app.diff_id));
	assert_int_equal(dir_count(store_path(fixture, "snapshots")), 1);
}

int main(void)
{
#define SCAN(name)                                                             \
	cmocka_unit_test_setup_teardown(test_scan__##name,                     \
					store_fixture_setup_open,              \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		SCAN(referrers_live_with_their_subject),
		SCAN(indexes_within_indexes_give_each_platform_once),
		SCAN(types_it_does_not_know_are_kept_whole),
		SCAN(cache_configs_hold_what_they_name),
		SCAN(absent_platforms_are_no_damage),
		SCAN(config_facts_reach_the_view),
		SCAN(a_blob_rewritten_in_place_is_read_again),
		SCAN(ingests_live_while_their_maker_does),
		SCAN(a_folder_of_another_form_is_not_the_layers),
		SCAN(what_a_flat_lease_holds_says_so),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
