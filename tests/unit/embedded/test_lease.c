#include "store/embedded/lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/graph/graph.h"
#include "store/limits.h"
#include "tests/lib/store_fixture.h"

static void create(struct ul_embedded *store, const char *id)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_lease_create(store, &(struct ul_lease){ .id = id }, &err))
		fail_msg("%s", err.msg);
}

static void add(struct ul_embedded *store, const char *id, uint8_t kind,
		const char *key)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_lease_add(store, id, kind, key, &err))
		fail_msg("%s", err.msg);
}

static struct ul_leases load(struct ul_embedded *store)
{
	struct ul_leases leases = UL_LEASES_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_leases_load(store, &leases, &err))
		fail_msg("%s", err.msg);
	return leases;
}

static void test_lease__comes_back_as_it_was_made(void **state)
{
	struct store_fixture *fixture = *state;
	struct ul_embedded *store = store_fixture_locked(fixture);
	struct ul_err err = UL_ERR_INIT;
	struct ul_leases leases;

	create(store, "b");
	assert_int_equal(ul_lease_create(store,
					 &(struct ul_lease){
					     .id = "a",
					     .created_unix_s = 100,
					     .expire_unix_s = 200,
					     .is_flat = true,
					     .labels = " { \"k\" : \"v\" } ",
					 },
					 &err),
			 0);
	add(store, "b", UL_KIND_SNAPSHOT, "work");
	add(store, "b", UL_KIND_BLOB, CHAIN_1);
	add(store, "b", UL_KIND_IMAGE, "docker.io/library/app:1");
	add(store, "b", UL_KIND_SNAPSHOT, "work");

	store = store_fixture_open(fixture);
	leases = load(store);
	assert_int_equal(leases.len, 2);
	assert_string_equal(leases.leases[0].id, "a");
	assert_int_equal(leases.leases[0].created_unix_s, 100);
	assert_int_equal(leases.leases[0].expire_unix_s, 200);
	assert_true(leases.leases[0].is_flat);
	assert_string_equal(leases.leases[0].labels, "{\"k\":\"v\"}");
	assert_int_equal(leases.leases[0].resource_count, 0);
	assert_string_equal(leases.leases[1].id, "b");
	assert_false(leases.leases[1].is_flat);
	assert_string_equal(leases.leases[1].labels, "{}");
	assert_int_equal(leases.leases[1].resource_count, 3);
	assert_int_equal(leases.leases[1].resources[0].kind, UL_KIND_BLOB);
	assert_string_equal(leases.leases[1].resources[0].key, CHAIN_1);
	assert_int_equal(leases.leases[1].resources[1].kind, UL_KIND_IMAGE);
	assert_int_equal(leases.leases[1].resources[2].kind, UL_KIND_SNAPSHOT);
	assert_string_equal(leases.leases[1].resources[2].key, "work");
	ul_leases_release(&leases);
}

static void test_lease__holds_until_the_second_it_expires(void **state)
{
	const struct ul_lease never = { .id = "n" };
	const struct ul_lease soon = { .id = "s", .expire_unix_s = 100 };

	(void)state;
	assert_false(ul_lease_is_expired(&never, INT64_MAX));
	assert_false(ul_lease_is_expired(&soon, 99));
	assert_true(ul_lease_is_expired(&soon, 100));
}

static void test_lease__gives_each_its_own_resources(void **state)
{
	struct ul_embedded *store = store_fixture_locked(*state);
	struct ul_leases leases;
	char id[8], key[8];
	size_t i, n;

	for (i = 0; i < 9; i++) {
		snprintf(id, sizeof id, "l%zu", i);
		create(store, id);
		for (n = 0; n < i % 4; n++) {
			snprintf(key, sizeof key, "%zu-%zu", i, n);
			add(store, id, UL_KIND_SNAPSHOT, key);
		}
	}
	leases = load(store);
	assert_int_equal(leases.len, 9);
	for (i = 0; i < 9; i++) {
		assert_int_equal(leases.leases[i].resource_count, i % 4);
		for (n = 0; n < i % 4; n++) {
			snprintf(key, sizeof key, "%zu-%zu", i, n);
			assert_string_equal(leases.leases[i].resources[n].key,
					    key);
		}
	}
	ul_leases_release(&leases);
}

static void test_lease__goes_with_all_that_it_held(void **state)
{
	struct ul_embedded *store = store_fixture_locked(*state);
	struct ul_err err = UL_ERR_INIT;
	struct ul_leases leases;

	create(store, "a");
	add(store, "a", UL_KIND_SNAPSHOT, "s");
	assert_int_equal(ul_lease_delete(store, "a", &err), 0);
	assert_int_equal(ul_lease_delete(store, "a", &err), UL_E_ABSENT);
	assert_string_equal(err.msg, "removing a lease: no lease \"a\"");
	create(store, "a");
	leases = load(store);
	assert_int_equal(leases.len, 1);
	assert_int_equal(leases.leases[0].resource_count, 0);
	ul_leases_release(&leases);
}

static void test_lease__lets_go_of_one_thing(void **state)
{
	struct ul_embedded *store = store_fixture_locked(*state);
	struct ul_err err = UL_ERR_INIT;
	struct ul_leases leases;

	create(store, "a");
	add(store, "a", UL_KIND_SNAPSHOT, "one");
	add(store, "a", UL_KIND_SNAPSHOT, "two");
	assert_int_equal(
	    ul_lease_remove(store, "a", UL_KIND_IMAGE, "one", &err),
	    UL_E_ABSENT);
	assert_int_equal(
	    ul_lease_remove(store, "a", UL_KIND_SNAPSHOT, "one", &err), 0);
	assert_int_equal(
	    ul_lease_remove(store, "a", UL_KIND_SNAPSHOT, "one", &err),
	    UL_E_ABSENT);
	assert_string_equal(err.msg, "taking from a lease: lease \"a\" does "
				     "not hold snapshot one");
	leases = load(store);
	assert_int_equal(leases.leases[0].resource_count, 1);
	assert_string_equal(leases.leases[0].resources[0].key, "two");
	ul_leases_release(&leases);
}

static void test_lease__names_one_that_is_not_there(void **state)
{
	struct ul_embedded *store = store_fixture_locked(*state);
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(ul_lease_add(store, "x", UL_KIND_IMAGE, "app", &err),
			 UL_E_ABSENT);
	assert_string_equal(err.msg, "adding to a lease: no lease \"x\"");
	assert_int_equal(
	    ul_lease_remove(store, "x", UL_KIND_IMAGE, "app", &err),
	    UL_E_ABSENT);
	assert_string_equal(err.msg, "taking from a lease: no lease \"x\"");
}

static void test_lease__is_made_once(void **state)
{
	struct ul_embedded *store = store_fixture_locked(*state);
	struct ul_err err = UL_ERR_INIT;

	create(store, "a");
	assert_int_equal(
	    ul_lease_create(store, &(struct ul_lease){ .id = "a" }, &err),
	    UL_E_CONFLICT);
	assert_string_equal(err.msg,
			    "making a lease: there is a lease \"a\" already");
}

static void test_lease__refuses_ids_that_cannot_be_shown(void **state)
{
	static const char *const bad[] = { "", "a\nb", "\x7f", "\xff\xfe" };
	struct ul_embedded *store = store_fixture_locked(*state);
	struct ul_err err = UL_ERR_INIT;
	char id[UL_KEY_MAX_BYTES + 2];
	size_t i;

	for (i = 0; i < ul_array_len(bad); i++)
		assert_int_equal(
		    ul_lease_create(store, &(struct ul_lease){ .id = bad[i] },
				    &err),
		    UL_E_INVALID);
	memset(id, 'i', sizeof id);
	id[UL_KEY_MAX_BYTES + 1] = '\0';
	assert_int_equal(
	    ul_lease_create(store, &(struct ul_lease){ .id = id }, &err),
	    UL_E_INVALID);
	id[UL_KEY_MAX_BYTES] = '\0';
	create(store, id);
}

static void test_lease__holds_only_what_can_be_held(void **state)
{
	struct ul_embedded *store = store_fixture_locked(*state);
	struct ul_err err = UL_ERR_INIT;

	create(store, "a");
	assert_int_equal(ul_lease_add(store, "a", UL_KIND_BLOB, "app", &err),
			 UL_E_INVALID);
	assert_int_equal(ul_lease_add(store, "a", UL_KIND_IMAGE, "", &err),
			 UL_E_INVALID);
	assert_int_equal(ul_lease_add(store, "a", UL_KIND_SNAPSHOT, "", &err),
			 UL_E_INVALID);
	assert_int_equal(ul_lease_add(store, "a", UL_KIND_LEASE, "b", &err),
			 UL_E_INVALID);
	assert_int_equal(ul_lease_remove(store, "a", UL_KIND_FILE, "b", &err),
			 UL_E_INVALID);
}

static int create_labelled(struct ul_embedded *store, const char *id,
			   const char *labels)
{
	struct ul_err err = UL_ERR_INIT;

	return ul_lease_create(
	    store, &(struct ul_lease){ .id = id, .labels = labels }, &err);
}

static void test_lease__holds_labels_against_their_bounds(void **state)
{
	static const char *const bad[] = { "[]",
					   "\"a\"",
					   "{",
					   "{\"a\":1}",
					   "{\"a\":null}",
					   "{\"a\":{}}",
					   "{\"a\":\"1\",\"a\":\"2\"}",
					   "{\"a\":{\"b\":{}}}" };
	struct ul_embedded *store = store_fixture_locked(*state);
	struct ul_buf labels = UL_BUF_INIT;
	size_t i;

	for (i = 0; i < ul_array_len(bad); i++) {
		if (create_labelled(store, "a", bad[i]) != UL_E_INVALID)
			fail_msg("%s was taken", bad[i]);
	}
	ul_buf_printf(&labels, "{\"key\":\"%*d\"}", UL_LABEL_MAX_BYTES - 3, 1);
	assert_int_equal(create_labelled(store, "long", labels.data), 0);
	ul_buf_reset(&labels);
	ul_buf_printf(&labels, "{\"key\":\"%*d\"}", UL_LABEL_MAX_BYTES - 2, 1);
	assert_int_equal(create_labelled(store, "longer", labels.data),
			 UL_E_LIMIT);
	ul_buf_reset(&labels);
	for (i = 0; i < UL_LABELS_MAX_COUNT; i++)
		ul_buf_printf(&labels, "%c\"%zu\":\"\"", i ? ',' : '{', i);
	ul_buf_add_char(&labels, '}');
	assert_int_equal(create_labelled(store, "many", labels.data), 0);
	labels.len--;
	ul_buf_add_str(&labels, ",\"more\":\"\"}");
	assert_int_equal(create_labelled(store, "more", labels.data),
			 UL_E_LIMIT);
	assert_int_equal(create_labelled(store, "empty", ""), 0);
	ul_buf_release(&labels);
}

static void test_lease__survives_every_allocation_failure(void **state)
{
	struct ul_embedded *store = store_fixture_locked(*state);
	const struct ul_lease lease = { .id = "n", .labels = "{\"a\":\"b\"}" };
	struct ul_err err = UL_ERR_INIT;
	struct ul_leases leases;
	int rc;
	long n;

	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = ul_lease_create(store, &lease, &err);
		ul_mem_countdown = -1;
		leases = load(store);
		/* The change may stand where only the store's own generation
		 * could not be written: the database is ahead then. */
		if (rc != UL_E_CONFLICT && rc)
			assert_int_equal(rc, UL_E_NOMEM);
		if (!rc || rc == UL_E_CONFLICT) {
			assert_int_equal(leases.len, 1);
			ul_leases_release(&leases);
			break;
		}
		ul_leases_release(&leases);
	}
	assert_true(n > 1);
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = ul_lease_add(store, "n", UL_KIND_IMAGE, "app", &err);
		ul_mem_countdown = -1;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
	}
	for (n = 0;; n++) {
		leases = UL_LEASES_INIT;
		ul_mem_countdown = n;
		rc = ul_leases_load(store, &leases, &err);
		ul_mem_countdown = -1;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_null(leases.leases);
		assert_null(leases.arena.blocks);
	}
	assert_true(n > 1);
	assert_int_equal(leases.len, 1);
	assert_int_equal(leases.leases[0].resource_count, 1);
	ul_leases_release(&leases);
}

int main(void)
{
#define LEASE_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(                                       \
	    test_lease__##name, store_fixture_setup, store_fixture_teardown)
	const struct CMUnitTest tests[] = {
		LEASE_TEST(comes_back_as_it_was_made),
		LEASE_TEST(holds_until_the_second_it_expires),
		LEASE_TEST(gives_each_its_own_resources),
		LEASE_TEST(goes_with_all_that_it_held),
		LEASE_TEST(lets_go_of_one_thing),
		LEASE_TEST(names_one_that_is_not_there),
		LEASE_TEST(is_made_once),
		LEASE_TEST(refuses_ids_that_cannot_be_shown),
		LEASE_TEST(holds_only_what_can_be_held),
		LEASE_TEST(holds_labels_against_their_bounds),
		LEASE_TEST(survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
