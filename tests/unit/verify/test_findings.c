#include "store/verify/findings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"

static void add(struct ul_findings *findings, enum ul_severity severity,
		const char *kind, const char *key, const char *what)
{
	assert_non_null(
	    ul_findings_add(findings, severity, kind, key, "", "%s", what));
}

static void test_findings__sorts_damage_first(void **state)
{
	ul_cleanup(ul_findings_release) struct ul_findings findings =
	    UL_FINDINGS_INIT;

	(void)state;
	add(&findings, UL_FINDING_NOTE, "blob", "a", "x");
	add(&findings, UL_FINDING_DAMAGE, "snapshot", "a", "x");
	add(&findings, UL_FINDING_DAMAGE, "blob", "b", "x");
	assert_true(ul_findings_hurts(&findings, "z:1"));
	assert_true(ul_findings_hurts(&findings, "m:1"));
	assert_true(ul_findings_hurts(&findings, "z:1"));
	assert_true(ul_findings_hurts(&findings, "a:1"));
	add(&findings, UL_FINDING_DAMAGE, "blob", "a", "x");
	ul_findings_sort(&findings);
	assert_int_equal(findings.damage_count, 3);
	assert_string_equal(findings.items[0].key, "a");
	assert_string_equal(findings.items[1].key, "b");
	assert_int_equal(findings.items[1].image_count, 3);
	assert_string_equal(findings.items[1].images[0], "a:1");
	assert_string_equal(findings.items[1].images[2], "z:1");
	assert_string_equal(findings.items[2].kind, "snapshot");
	assert_int_equal(findings.items[3].severity, UL_FINDING_NOTE);
}

static void test_findings__keeps_every_image(void **state)
{
	ul_cleanup(ul_findings_release) struct ul_findings findings =
	    UL_FINDINGS_INIT;
	ul_cleanup(ul_findings_release) struct ul_findings copy =
	    UL_FINDINGS_INIT;
	char name[16];
	size_t i;

	(void)state;
	add(&findings, UL_FINDING_DAMAGE, "blob", "a", "x");
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "image-%02zu", i);
		assert_true(ul_findings_hurts(&findings, name));
	}
	assert_true(ul_findings_append(&copy, &findings));
	assert_int_equal(copy.items[0].image_count, 100);
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "image-%02zu", i);
		assert_string_equal(copy.items[0].images[i], name);
	}
}

static void test_findings__settle_tells_what_a_repair_did(void **state)
{
	ul_cleanup(ul_findings_release) struct ul_findings before =
	    UL_FINDINGS_INIT;
	ul_cleanup(ul_findings_release) struct ul_findings after =
	    UL_FINDINGS_INIT;

	(void)state;
	add(&before, UL_FINDING_DAMAGE, "index", "i", "is empty");
	add(&before, UL_FINDING_DAMAGE, "blob", "a", "is too short");
	add(&before, UL_FINDING_DAMAGE, "blob", "b", "is missing");
	add(&before, UL_FINDING_NOTE, "file", "f", "is none of ours");
	add(&after, UL_FINDING_DAMAGE, "blob", "a", "is missing");
	add(&after, UL_FINDING_DAMAGE, "blob", "b", "is missing");
	add(&after, UL_FINDING_DAMAGE, "blob", "c", "is missing");
	add(&after, UL_FINDING_NOTE, "file", "damaged", "is ours");
	assert_true(ul_findings_settle(&before, &after));
	assert_int_equal(before.len, 5);
	assert_true(before.items[0].is_repaired);
	assert_false(before.items[1].is_repaired);
	assert_string_equal(before.items[1].what,
			    "is too short; now it is missing");
	assert_false(before.items[2].is_repaired);
	assert_false(before.items[3].is_repaired);
	assert_string_equal(before.items[4].key, "c");
	assert_true(ul_findings_are_bad(&before));
}

static void test_findings__a_loss_is_bad_though_repaired(void **state)
{
	ul_cleanup(ul_findings_release) struct ul_findings before =
	    UL_FINDINGS_INIT;
	struct ul_findings after = UL_FINDINGS_INIT;

	(void)state;
	add(&before, UL_FINDING_DAMAGE, "index", "i", "is empty");
	add(&before, UL_FINDING_NOTE, "file", "f", "is none of ours");
	assert_true(ul_findings_are_bad(&before));
	assert_true(ul_findings_settle(&before, &after));
	assert_false(ul_findings_are_bad(&before));
	before.items[0].is_loss = true;
	assert_true(ul_findings_are_bad(&before));
}

static void test_findings__survive_every_allocation_failure(void **state)
{
	long n;

	(void)state;
	for (n = 0;; n++) {
		ul_cleanup(ul_findings_release) struct ul_findings findings =
		    UL_FINDINGS_INIT;
		bool ok;

		ul_mem_countdown = n;
		ok = ul_findings_add(&findings, UL_FINDING_DAMAGE, "blob", "a",
				     "moves it", "%0999d", 1) &&
		     ul_findings_hurts(&findings, "app:1") &&
		     ul_findings_hurts(&findings, "app:2");
		ul_mem_countdown = -1;
		if (ok)
			break;
		ul_findings_sort(&findings);
	}
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_findings__sorts_damage_first),
		cmocka_unit_test(test_findings__keeps_every_image),
		cmocka_unit_test(test_findings__settle_tells_what_a_repair_did),
		cmocka_unit_test(test_findings__a_loss_is_bad_though_repaired),
		cmocka_unit_test(
		    test_findings__survive_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
