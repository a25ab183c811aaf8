#include "store/verify/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/backend.h"
#include "store/embedded/snapshot.h"
#include "store/transfer/unpack.h"
#include "store/verify/findings.h"
#include "store/view.h"
#include "tests/lib/import_fixture.h"

enum { LAYERS = 2 };

/* A store with one unpacked image, app:1, and its record. */
static void store_make(struct store_fixture *fixture, struct image *image)
{
	const struct ul_unpack_options all = { .platform = NULL };
	struct ul_unpack_result result;
	struct ul_err err = UL_ERR_INIT;
	struct ul_digest digest;

	store_fixture_open(fixture);
	image_init(image, "verify", "amd64", LAYERS, false);
	oci_archive(in_top(fixture, "app.tar"), image,
		    "\"io.containerd.image.name\":\"docker.io/library/app:1\"");
	import_path(fixture, in_top(fixture, "app.tar"));
	assert_true(ul_digest_parse(image->manifest.digest, &digest));
	if (ul_unpack(fixture->store, &digest, &all, &result, &err))
		fail_msg("%s", err.msg);
}

static void record(struct store_fixture *fixture)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	struct ul_scan_options options = {
		.as_of_unix_s = ul_clock_unix_s(),
	};
	struct ul_err err = UL_ERR_INIT;

	if (fixture->store->base.ops->scan(&fixture->store->base, &options,
					   &view, &err))
		fail_msg("%s", err.msg);
}

static int check(struct store_fixture *fixture, bool is_deep,
		 struct ul_findings *findings, struct ul_err *err)
{
	struct ul_verify_options options = {
		.is_deep = is_deep,
		.now_unix_s = ul_clock_unix_s(),
	};
	struct ul_verified counts;

	fixture->store->patience.limit_ms = 0;
	return ul_verify_store(fixture->store, &options, findings, &counts,
			       err);
}

static void damage_expect(struct store_fixture *fixture, bool is_deep,
			  size_t count)
{
	ul_cleanup(ul_findings_release) struct ul_findings findings =
	    UL_FINDINGS_INIT;
	struct ul_err err = UL_ERR_INIT;
	size_t i;

	if (check(fixture, is_deep, &findings, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(dir_count(store_path(fixture, "ingest")), 0);
	if (findings.damage_count == count)
		return;
	for (i = 0; i < findings.len; i++)
		print_message("%s %s: %s\n", findings.items[i].kind,
			      findings.items[i].key, findings.items[i].what);
	fail_msg("%zu are damaged", findings.damage_count);
}

static int repair(struct store_fixture *fixture, struct ul_findings *findings,
		  struct ul_err *err)
{
	struct ul_verify_options options = {
		.is_deep = true,
		.now_unix_s = ul_clock_unix_s(),
	};
	struct ul_verified counts;
	int rc;

	fixture->store->patience.limit_ms = 0;
	rc = ul_embedded_lock(fixture->store, err);
	if (!rc)
		rc = ul_repair_store(fixture->store, &options, findings,
				     &counts, err);
	ul_embedded_unlock(fixture->store);
	return rc;
}

static void test_verify__a_new_store_is_whole(void **state)
{
	struct store_fixture *fixture = *state;
	struct image image;

	store_make(fixture, &image);
	damage_expect(fixture, false, 0);
	damage_expect(fixture, true, 0);
	record(fixture);
	damage_expect(fixture, true, 0);
	image_release(&image);
}

static void test_verify__nothing_there_is_no_damage(void **state)
{
	struct store_fixture *fixture = *state;
	ul_cleanup(ul_findings_release) struct ul_findings findings =
	    UL_FINDINGS_INIT;
	struct ul_verify_options options = { .is_deep = false };
	struct ul_err err = UL_ERR_INIT;
	bool can_open = false;

	assert_int_equal(ul_verify_place(fixture->state, &options, &findings,
					 &can_open, &err),
			 0);
	assert_true(can_open);
	assert_int_equal(findings.len, 0);
	assert_false(path_exists(fixture->state));
	store_fixture_open(fixture);
	damage_expect(fixture, true, 0);
}

static void test_verify__place_is_made_one_that_opens(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_verify_options options = { .is_deep = false };
	ul_cleanup(ul_findings_release) struct ul_findings found =
	    UL_FINDINGS_INIT;
	ul_cleanup(ul_findings_release) struct ul_findings after =
	    UL_FINDINGS_INIT;
	struct ul_err err = UL_ERR_INIT;
	bool can_open = true;
	size_t count;

	store_fixture_open(fixture);
	ul_embedded_closep(&fixture->store);
	file_write(store_path(fixture, "store-id"), "{");
	assert_int_equal(rmdir(store_path(fixture, "ingest")), 0);
	assert_int_equal(unlink(store_path(fixture, "oci/oci-layout")), 0);
	assert_int_equal(
	    ul_verify_place(fixture->state, &options, &found, &can_open, &err),
	    0);
	assert_false(can_open);
	assert_int_equal(found.damage_count, 3);
	assert_int_equal(ul_repair_place(fixture->state, 5, &count, &err), 0);
	assert_int_equal(count, 3);
	assert_int_equal(
	    ul_verify_place(fixture->state, &options, &after, &can_open, &err),
	    0);
	assert_true(can_open);
	assert_int_equal(after.len, 0);
	file_expect(store_path(fixture, "damaged/store-id"), "{");
	assert_int_equal(ul_repair_place(fixture->state, 5, &count, &err), 0);
	assert_int_equal(count, 0);
	store_fixture_open(fixture);
}

static void test_verify__set_aside_keeps_what_was_there_before(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_err err = UL_ERR_INIT;
	size_t count;

	store_fixture_open(fixture);
	ul_embedded_closep(&fixture->store);
	file_write(store_path(fixture, "store-id"), "first");
	assert_int_equal(ul_repair_place(fixture->state, 5, &count, &err), 0);
	file_write(store_path(fixture, "store-id"), "second");
	assert_int_equal(ul_repair_place(fixture->state, 5, &count, &err), 0);
	file_expect(store_path(fixture, "damaged/store-id"), "first");
	file_expect(store_path(fixture, "damaged/store-id.2"), "second");
}

static void test_verify__check_survives_every_allocation_failure(void **state)
{
	struct store_fixture *fixture = *state;
	struct image image;
	long n;

	store_make(fixture, &image);
	record(fixture);
	for (n = 0;; n++) {
		ul_cleanup(ul_findings_release) struct ul_findings findings =
		    UL_FINDINGS_INIT;
		struct ul_err err = UL_ERR_INIT;
		int rc;

		ul_mem_countdown = n;
		rc = check(fixture, true, &findings, &err);
		ul_mem_countdown = -1;
		assert_int_equal(findings.damage_count, 0);
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
	}
	assert_true(n > 100);
	image_release(&image);
}

/* A lost database, an empty index, a damaged blob that nothing needs. */
static void wreck(struct store_fixture *fixture)
{
	char path[128];

	ul_embedded_closep(&fixture->store);
	snprintf(path, sizeof path, "%s/ullage.db", fixture->state);
	assert_int_equal(unlink(path), 0);
	file_write(store_path(fixture, "oci/index.json"), "");
	file_write(store_path(fixture, "oci/blobs/sha256/" HEX_1), "not it");
	store_fixture_open(fixture);
}

/* Where there was no memory to remove what was unpacked, it is left. */
static void ingest_clear(struct store_fixture *fixture)
{
	char command[256];

	snprintf(command, sizeof command, "rm -rf '%s'/*",
		 store_path(fixture, "ingest"));
	assert_int_equal(system(command), 0);
}

/* Wherever a repair ends, the next one goes on; nothing is lost. */
static void test_verify__repair_may_stop_at_every_allocation(void **state)
{
	struct store_fixture *fixture = *state;
	struct image image;
	long n;

	store_make(fixture, &image);
	for (n = 0;; n += 7) {
		ul_cleanup(ul_findings_release) struct ul_findings findings =
		    UL_FINDINGS_INIT;
		ul_cleanup(ul_findings_release) struct ul_findings again =
		    UL_FINDINGS_INIT;
		struct ul_err err = UL_ERR_INIT;
		int rc;

		wreck(fixture);
		ul_mem_countdown = n;
		rc = repair(fixture, &findings, &err);
		ul_mem_countdown = -1;
		if (rc)
			assert_int_equal(rc, UL_E_NOMEM);
		if (rc && repair(fixture, &again, &err))
			fail_msg("after stop %ld: %s", n, err.msg);
		ingest_clear(fixture);
		damage_expect(fixture, true, 0);
		image_expect(fixture, &image);
		assert_int_equal(dir_count(store_path(fixture, "snapshots")),
				 LAYERS);
		if (!rc)
			break;
	}
	assert_true(n > 100);
	image_release(&image);
}

/* The one that brings no database along takes over what is there. */
static void test_verify__repair_gives_layers_their_records_back(void **state)
{
	struct store_fixture *fixture = *state;
	ul_cleanup(ul_findings_release) struct ul_findings findings =
	    UL_FINDINGS_INIT;
	ul_cleanup(ul_snapshots_release) struct ul_snapshots snapshots =
	    UL_SNAPSHOTS_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct image image;
	size_t i, bases = 0;

	store_make(fixture, &image);
	wreck(fixture);
	if (repair(fixture, &findings, &err))
		fail_msg("%s", err.msg);
	assert_true(ul_findings_are_bad(&findings)); /* leases are lost */
	assert_int_equal(ul_snapshots_load(fixture->store, &snapshots, &err),
			 0);
	assert_int_equal(snapshots.len, LAYERS);
	for (i = 0; i < snapshots.len; i++) {
		assert_true(snapshots.snapshots[i].is_unpacked);
		bases += !*snapshots.snapshots[i].parent;
	}
	assert_int_equal(bases, 1);
	image_release(&image);
}

int main(void)
{
#define STORE_TEST(test)                                                       \
	cmocka_unit_test_setup_teardown(test, store_fixture_setup,             \
					store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_verify__a_new_store_is_whole),
		STORE_TEST(test_verify__nothing_there_is_no_damage),
		STORE_TEST(test_verify__place_is_made_one_that_opens),
		STORE_TEST(test_verify__set_aside_keeps_what_was_there_before),
		STORE_TEST(
		    test_verify__check_survives_every_allocation_failure),
		STORE_TEST(test_verify__repair_may_stop_at_every_allocation),
		STORE_TEST(test_verify__repair_gives_layers_their_records_back),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
