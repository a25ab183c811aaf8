#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "store/embedded/lease.h"
#include "store/embedded/snapshot.h"
#include "store/embedded/store.h"
#include "store/graph/mark.h"
#include "tests/lib/content_fixture.h"

static int setup(void **state)
{
	int rc = store_fixture_setup(state);

	if (!rc)
		store_fixture_open(*state);
	return rc;
}

/* Long enough for what was made just now to be remembered when measured. */
static int64_t later(int turns)
{
	return ul_clock_unix_s() + turns * HOUR_S;
}

static uint64_t classes_of(const struct ul_view *view)
{
	uint64_t bytes = view->overhead_bytes;
	uint32_t i;

	for (i = 0; i < view->graph.node_count; i++)
		bytes += view->graph.nodes[i].weight_bytes;
	return bytes;
}

static size_t outside_links(const struct ul_view *view)
{
	const struct ul_graph *graph = &view->graph;
	size_t count = 0;
	uint32_t i;

	for (i = 0; i < graph->root_count; i++)
		count += !strcmp(graph->reasons[graph->roots[i].reason],
				 UL_REASON_OUTSIDE_LINK);
	return count;
}

/* Twice: what the first one has learned, the second one knows. */
static void expect_exact(struct store_fixture *fixture, int64_t now,
			 size_t outside)
{
	int turn;

	for (turn = 0; turn < 2; turn++) {
		struct ul_view view = content_scan(fixture, now + turn);

		assert_int_equal(classes_of(&view), content_du(fixture));
		assert_int_equal(outside_links(&view), outside);
		ul_view_release(&view);
	}
}

static struct content_image remembered_image(struct store_fixture *fixture)
{
	struct content_image app = image_put(fixture, "app", NULL);

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	image_unpack(fixture, &app);
	expect_exact(fixture, later(1), 0);
	return app;
}

/* A path of the layer's one file. */
static const char *layer_file(const struct store_fixture *fixture,
			      const struct content_image *app)
{
	const char *hex = image_top(app).text + 7;

	return store_path(fixture, "snapshots/layer-%s/fs/f-%.4s", hex, hex);
}

/* More below the layer's tree, whose own times stay. */
static void tree_grow(const struct store_fixture *fixture,
		      const struct content_image *app)
{
	const char *file = layer_file(fixture, app);
	FILE *out = fopen(file, "a");
	int i;

	assert_non_null(out);
	for (i = 0; i < 1 << 16; i++)
		fputc('x', out);
	assert_int_equal(fclose(out), 0);
}

static void snapshot_make(struct store_fixture *fixture, const char *key)
{
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(ul_snapshot_prepare(store, key, "", false, NULL, &err),
			 0);
	ul_embedded_unlock(store);
}

static void
test_scan_links__a_new_link_to_a_remembered_tree_is_noticed(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = remembered_image(fixture);
	const char *file = layer_file(fixture, &app);
	const char *copy = store_path(fixture, "snapshots/key-work/fs/copy");

	assert_true(path_exists(file));
	snapshot_make(fixture, "work");
	assert_int_equal(link(file, copy), 0);
	expect_exact(fixture, later(2), 0);

	/* The other one goes: the tree's again alone, not linked outside. */
	assert_int_equal(unlink(copy), 0);
	expect_exact(fixture, later(3), 0);
}

/* What a scan knows a layer's tree to hold. */
static uint64_t layer_bytes(struct store_fixture *fixture, int64_t now,
			    const struct content_image *app)
{
	struct ul_view view = content_scan(fixture, now);
	const struct ul_record *record = &view.record;
	uint32_t at = ul_record_find(record, UL_KIND_SNAPSHOT, "", "",
				     image_top(app).text);
	uint64_t bytes;

	assert_int_not_equal(at, UL_OBJECT_NONE);
	bytes = record->objects[at].measure.allocated_bytes;
	ul_view_release(&view);
	return bytes;
}

/* Both names of it are where they are seen: no tree has to be walked again. */
static void
test_scan_links__an_import_under_way_makes_no_tree_be_walked_again(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = remembered_image(fixture);
	uint64_t bytes = layer_bytes(fixture, later(2), &app);
	struct ul_embedded *store = fixture->store;
	struct ul_err err = UL_ERR_INIT;
	char name[17], path[64];
	int fd;

	assert_int_equal(ul_embedded_ingest_folder(store, name, &fd, &err), 0);
	snprintf(path, sizeof path, "%s/blob", name);
	/* What nobody would notice who does not walk it. */
	tree_grow(fixture, &app);
	assert_int_equal(linkat(AT_FDCWD, blob_path(fixture, app.layer),
				store->ingest_fd, path, 0),
			 0);
	assert_int_equal(layer_bytes(fixture, later(3), &app), bytes);
	assert_int_equal(unlinkat(store->ingest_fd, path, 0), 0);
	assert_int_equal(unlinkat(store->ingest_fd, name, AT_REMOVEDIR), 0);
	close(fd);
	assert_int_equal(layer_bytes(fixture, later(4), &app), bytes);
}

static void
test_scan_links__a_tree_that_goes_leaves_its_links_to_the_others(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = remembered_image(fixture);
	struct ul_err err = UL_ERR_INIT;
	struct ul_embedded *store;

	snapshot_make(fixture, "work");
	assert_int_equal(
	    link(layer_file(fixture, &app),
		 store_path(fixture, "snapshots/key-work/fs/copy")),
	    0);
	expect_exact(fixture, later(2), 0);
	store = store_fixture_locked(fixture);
	assert_int_equal(ul_snapshot_remove(store, "work", &err), 0);
	ul_embedded_unlock(store);
	expect_exact(fixture, later(3), 0);
}

static void test_scan_links__files_of_others_are_counted_once(void **state)
{
	static const char *const places[] = {
		"copy",           "oci/copy",
		"oci/blobs/copy", "oci/blobs/sha256/copy",
		"snapshots/copy", "trash/copy",
	};
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	size_t i;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	for (i = 0; i < sizeof places / sizeof *places; i++)
		assert_int_equal(link(blob_path(fixture, app.layer),
				      store_path(fixture, "%s", places[i])),
				 0);
	assert_int_equal(link(store_path(fixture, "oci/index.json"),
			      store_path(fixture, "oci/index.json.bak")),
			 0);
	expect_exact(fixture, later(1), 1);

	/* They keep the blob's bytes when the image goes. */
	index_put(fixture, NULL, 0);
	content_gc(fixture, later(3), 0, true);
	expect_exact(fixture, later(4), 0);
	assert_true(path_exists(store_path(fixture, "trash/copy")));
}

static void
test_scan_links__what_lies_beside_trashed_things_is_counted(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	struct ul_names names = UL_NAMES_INIT;
	struct ul_err err = UL_ERR_INIT;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	expect_exact(fixture, later(1), 0);
	index_put(fixture, NULL, 0);
	expect_exact(fixture, later(2), 0);
	content_gc(fixture, later(3), 60, false);
	assert_true(trash_count(fixture) > 0);
	assert_int_equal(ul_dir_names(fixture->store->trash_fd, &names, &err),
			 0);
	assert_int_equal(names.len, 1);
	file_write(store_path(fixture, "trash/%s/note", names.names[0]), "!");
	ul_names_release(&names);
	expect_exact(fixture, later(3), 0);
}

/* Layers of an unpacking that was stopped, with a collection in between. */
static void
test_scan_links__layers_unpacked_in_part_stay_with_the_image(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", "base");
	struct content_digest lower = app.shared_diff_id;
	struct ul_view view;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	store_fixture_locked(fixture);
	store_fixture_layer(fixture, lower.text, "");
	ul_embedded_unlock(fixture->store);
	content_gc(fixture, later(2), 0, true);
	assert_true(layer_exists(fixture, lower));
	view = content_scan(fixture, later(3));
	assert_int_equal(view.images[0].platforms[0].top_snapshot,
			 UL_OBJECT_NONE);
	ul_view_release(&view);

	index_put(fixture, NULL, 0);
	content_gc(fixture, later(5), 0, true);
	assert_false(layer_exists(fixture, lower));
}

/* A flat lease on a config wants the config back, and no layer of it. */
static void
test_scan_links__a_flat_lease_on_a_config_wants_no_layer(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	struct ul_lease lease = { .id = "flat", .is_flat = true };
	struct ul_err err = UL_ERR_INIT;
	struct ul_embedded *store;
	struct ul_view view;
	size_t i;

	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	image_unpack(fixture, &app);
	store = store_fixture_locked(fixture);
	assert_int_equal(ul_lease_create(store, &lease, &err), 0);
	assert_int_equal(
	    ul_lease_add(store, "flat", UL_KIND_BLOB, app.config.text, &err),
	    0);
	ul_embedded_unlock(store);
	expect_exact(fixture, later(1), 0);
	index_put(fixture, NULL, 0);
	expect_exact(fixture, later(2), 0);
	content_gc(fixture, later(3), 60, false);
	assert_false(layer_exists(fixture, image_top(&app)));
	view = content_scan(fixture, later(3));
	for (i = 0; i < view.trash_count; i++)
		assert_false(view.trash[i].is_wanted);
	ul_view_release(&view);
	assert_true(blob_exists(fixture, app.config));
}

/* What is kept where all names of the index are gone. */
static bool kept_without_names(const struct ul_view *view, const char *digest)
{
	const struct ul_object *object = object_of(view, UL_KIND_BLOB, digest);
	struct ul_bits without = UL_BITS_INIT;
	struct ul_mark mark = UL_MARK_INIT;
	struct ul_err err = UL_ERR_INIT;
	size_t i, n;
	bool kept;

	assert_true(ul_bits_init(&without, view->graph.node_count));
	for (i = 0; i < view->image_count; i++) {
		for (n = 0; n < view->images[i].name_count; n++)
			ul_bits_set(&without, view->images[i].names[n]);
	}
	assert_int_equal(ul_mark_init(&mark, &view->graph, &err), 0);
	ul_mark_roots(&mark, &view->graph, &without);
	kept = ul_mark_keeps(&mark, &view->graph,
			     (uint32_t)(object - view->record.objects));
	ul_mark_release(&mark);
	ul_bits_release(&without);
	return kept;
}

/* What a plan says of the names' removal is what the next scan finds. */
static void
test_scan_links__a_referrers_name_takes_its_subject_along(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	struct ul_lease lease = { .id = "lease" };
	struct ul_err err = UL_ERR_INIT;
	struct content_digest sig;
	struct ul_embedded *store;
	struct ul_view view;

	sig = blob_put(fixture,
		       "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_MANIFEST
		       "\",\"config\":{\"mediaType\":\"" TYPE_CONFIG
		       "\",\"digest\":\"%s\",\"size\":2},\"layers\":[],"
		       "\"subject\":{\"mediaType\":\"" TYPE_MANIFEST
		       "\",\"digest\":\"%s\",\"size\":1}}",
		       app.config.text, app.manifest.text);
	INDEX_PUT(fixture, { "sig", sig.text, NULL });
	store = store_fixture_locked(fixture);
	assert_int_equal(ul_lease_create(store, &lease, &err), 0);
	assert_int_equal(
	    ul_lease_add(store, "lease", UL_KIND_BLOB, sig.text, &err), 0);
	ul_embedded_unlock(store);

	view = content_scan(fixture, later(1));
	assert_true(
	    object_of(&view, UL_KIND_BLOB, app.manifest.text)->is_reachable);
	assert_false(kept_without_names(&view, app.manifest.text));
	assert_true(kept_without_names(&view, sig.text));
	ul_view_release(&view);

	index_put(fixture, NULL, 0);
	view = content_scan(fixture, later(2));
	assert_false(
	    object_of(&view, UL_KIND_BLOB, app.manifest.text)->is_reachable);
	assert_true(object_of(&view, UL_KIND_BLOB, sig.text)->is_reachable);
	ul_view_release(&view);
}

int main(void)
{
#define LINKS(name)                                                            \
	cmocka_unit_test_setup_teardown(test_scan_links__##name, setup,        \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		LINKS(a_new_link_to_a_remembered_tree_is_noticed),
		LINKS(an_import_under_way_makes_no_tree_be_walked_again),
		LINKS(a_tree_that_goes_leaves_its_links_to_the_others),
		LINKS(files_of_others_are_counted_once),
		LINKS(what_lies_beside_trashed_things_is_counted),
		LINKS(layers_unpacked_in_part_stay_with_the_image),
		LINKS(a_flat_lease_on_a_config_wants_no_layer),
		LINKS(a_referrers_name_takes_its_subject_along),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
