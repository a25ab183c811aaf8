#include "gc/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "tests/lib/view_maker.h"

#define D(c)                                                                   \
	"sha256:" c "00000000000000000000000000000000000000000000000000000000" \
	"0000000"
#define WEB D("a")
#define APP D("b")
#define OLD D("c")
#define BARE D("d")
#define PINNED D("e")
#define USED D("f")
#define ODD D("1")

/*
 * web:1 and web:2 (one image); app; a dangling one, one that never had a
 * name; a pinned one; one in use; one of which nothing is known.
 */
static struct ul_view *view_fill(struct view_maker *maker)
{
	struct ul_view_image *image;
	uint32_t manifest;

	view_begin(maker);
	view_image(maker, "docker.io/library/web:1", WEB, &image);
	view_image(maker, "docker.io/library/web:2", WEB, NULL);
	view_platform(maker, image, image->target, "config web",
		      "{\"env\":\"prod\",\"team\":\"x\"}");
	image->created_unix_s = VIEW_NOW - 100;
	image->used_unix_s = VIEW_NOW - 50;

	view_image(maker, "ghcr.io/org/app:latest", APP, &image);
	view_platform(maker, image, image->target, "config app 1",
		      "{\"env\":\"dev\"}");
	manifest = view_blob(maker, "second manifest", 10);
	view_platform(maker, image, manifest, "config app 2",
		      "{\"env\":\"dev\",\"arm\":\"\"}");
	image->created_unix_s = VIEW_NOW - 1000;
	image->used_unix_s = VIEW_NOW - 500;

	view_image(maker, NULL, OLD, &image);
	view_platform(maker, image, image->target, "config old", "{}");
	image->was_named = image->is_dangling = true;
	image->created_unix_s = VIEW_NOW - 5000;

	view_image(maker, NULL, BARE, &image);
	view_platform(maker, image, image->target, "config bare", "{}");

	view_image(maker, "docker.io/library/pinned:1", PINNED, &image);
	view_platform(maker, image, image->target, "config pinned", "{}");
	image->is_pinned = true;

	view_image(maker, "docker.io/library/used:1", USED, &image);
	view_platform(maker, image, image->target, "config used", "{}");
	image->containers = 2;

	view_image(maker, "docker.io/library/odd:1", ODD, &image);
	image->created_unix_s = image->used_unix_s = 0;
	return view_made(maker);
}

static struct ul_filter filter_of(const char *text)
{
	struct ul_filter filter;
	struct ul_err err = UL_ERR_INIT;

	if (ul_filter_parse(text, VIEW_NOW, &filter, &err))
		fail_msg("%s", err.msg);
	return filter;
}

/* The names that a rule removes, familiar and joined; declined ones in (). */
static const char *judged(struct ul_view *view, const struct ul_rule *rule)
{
	ul_cleanup(ul_freep) struct ul_verdict *verdicts = NULL;
	struct ul_err err = UL_ERR_INIT;
	static char text[1024];
	size_t i, count;

	if (ul_policy_judge(view, rule, &verdicts, &count, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(count, 8);
	*text = '\0';
	for (i = 0; i < count; i++) {
		const char *key = view->record.objects[verdicts[i].object].key;
		const char *name = strrchr(key, '/');

		if (verdicts[i].kind == UL_VERDICT_STAYS)
			continue;
		if (*text)
			strcat(text, " ");
		if (verdicts[i].kind == UL_VERDICT_DECLINED)
			strcat(text, "(");
		strncat(text, name ? name + 1 : key, 12);
		if (verdicts[i].kind == UL_VERDICT_DECLINED)
			strcat(text, ")");
	}
	return text;
}

struct policy_case {
	bool all, untagged;
	const char *patterns[3];
	const char *filters[4];
	const char *removed;
};

static const struct policy_case cases[] = {
	/* What is chosen. */
	{ .removed = "sha256:c0000" },
	{ .untagged = true, .removed = "sha256:c0000 sha256:d0000" },
	{ .all = true,
	  .removed = "web:1 web:2 app:latest sha256:c0000 (pinned:1) odd:1" },
	{ .all = true,
	  .untagged = true,
	  .removed = "web:1 web:2 app:latest sha256:c0000 sha256:d0000 "
		     "(pinned:1) odd:1" },
	{ .patterns = { "web:1" }, .removed = "web:1" },
	{ .patterns = { "docker.io/library/web:2" }, .removed = "web:2" },
	{ .patterns = { "ghcr.io/org/app" }, .removed = "app:latest" },
	{ .patterns = { "web:*" }, .removed = "web:1 web:2" },
	{ .patterns = { "web:[13]" }, .removed = "web:1" },
	{ .patterns = { "*:1", "ghcr.io/*/*:*" },
	  .removed = "web:1 app:latest (pinned:1) (used:1) odd:1" },
	{ .patterns = { "nothing*" }, .removed = "" },
	{ .patterns = { OLD }, .removed = "sha256:c0000" },
	{ .patterns = { "sha256:d" }, .removed = "sha256:d0000" },
	{ .patterns = { "sha256:a000" }, .removed = "web:1 web:2" },
	/* until: created before; not known: kept. */
	{ .all = true,
	  .filters = { "until=99s" },
	  .removed = "web:1 web:2 app:latest sha256:c0000 (pinned:1)" },
	{ .all = true,
	  .filters = { "until=100s" },
	  .removed = "app:latest sha256:c0000 (pinned:1)" },
	{ .filters = { "until=1h" }, .removed = "sha256:c0000" },
	{ .filters = { "until=2h" }, .removed = "" },
	{ .patterns = { "odd:1" }, .filters = { "until=1s" }, .removed = "" },
	/* unused-for: longer ago than. */
	{ .all = true,
	  .filters = { "unused-for=49s" },
	  .removed = "web:1 web:2 app:latest sha256:c0000 (pinned:1)" },
	{ .all = true,
	  .filters = { "unused-for=50s" },
	  .removed = "app:latest sha256:c0000 (pinned:1)" },
	/* label: has it; of several all; not known: kept. */
	{ .all = true,
	  .filters = { "label=env" },
	  .removed = "web:1 web:2 app:latest" },
	{ .all = true,
	  .filters = { "label=env=dev" },
	  .removed = "app:latest" },
	{ .all = true,
	  .filters = { "label=env", "label=team=x" },
	  .removed = "web:1 web:2" },
	{ .all = true, .filters = { "label=env=pro" }, .removed = "" },
	/* Only one of its platforms has it. */
	{ .all = true, .filters = { "label=arm" }, .removed = "" },
	/* label!: has it not, on any platform; not known: kept. */
	{ .all = true,
	  .filters = { "label!=env" },
	  .removed = "sha256:c0000 (pinned:1)" },
	{ .all = true,
	  .filters = { "label!=arm" },
	  .removed = "web:1 web:2 sha256:c0000 (pinned:1)" },
	{ .all = true,
	  .filters = { "label!=env=prod" },
	  .removed = "app:latest sha256:c0000 (pinned:1)" },
	/* reference: one of several is enough; with others all hold. */
	{ .all = true,
	  .filters = { "reference=web" },
	  .removed = "web:1 web:2" },
	{ .all = true,
	  .filters = { "reference=web:1", "reference=odd" },
	  .removed = "web:1 odd:1" },
	{ .all = true,
	  .filters = { "reference=web:1", "reference=odd", "until=1s" },
	  .removed = "web:1" },
};

static void test_policy__chooses_what_docker_documents(void **state)
{
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);
	size_t i, n;

	(void)state;
	for (i = 0; i < ul_array_len(cases); i++) {
		const struct policy_case *one = &cases[i];
		struct ul_filter filters[4];
		struct ul_rule rule = {
			.all = one->all,
			.untagged = one->untagged,
			.patterns = one->patterns,
			.filters = filters,
		};
		const char *got;

		for (n = 0; n < 3 && one->patterns[n]; n++)
			rule.pattern_count++;
		for (n = 0; n < 4 && one->filters[n]; n++)
			filters[rule.filter_count++] =
			    filter_of(one->filters[n]);
		got = judged(view, &rule);
		if (strcmp(got, one->removed))
			fail_msg("case %zu: \"%s\", not \"%s\"", i, got,
				 one->removed);
	}
	ul_view_release(view);
}

static void reasons_expect(struct ul_view *view, const struct ul_rule *rule,
			   const char *key, const char *reason)
{
	ul_cleanup(ul_freep) struct ul_verdict *verdicts = NULL;
	struct ul_err err = UL_ERR_INIT;
	size_t i, count;

	assert_int_equal(ul_policy_judge(view, rule, &verdicts, &count, &err),
			 0);
	for (i = 0; i < count; i++) {
		if (!strcmp(view->record.objects[verdicts[i].object].key, key))
			assert_string_equal(verdicts[i].reason, reason);
	}
}

static void test_policy__says_why(void **state)
{
	static const char *const patterns[] = { "*", "*/*/*" };
	const struct ul_rule all = { .all = true, .untagged = true };
	const struct ul_rule named = { .patterns = patterns,
				       .pattern_count = 2 };
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);

	(void)state;
	reasons_expect(view, &all, "docker.io/library/web:1", "unused");
	reasons_expect(view, &all, OLD, "dangling");
	reasons_expect(view, &all, BARE, "untagged");
	reasons_expect(view, &all, "docker.io/library/pinned:1", "pinned");
	reasons_expect(view, &all, "docker.io/library/used:1", "");
	reasons_expect(view, &named, "docker.io/library/web:1", "named");
	reasons_expect(view, &named, "docker.io/library/used:1",
		       "in use by 2 containers");
	view->images[5].containers = 1;
	reasons_expect(view, &named, "docker.io/library/used:1",
		       "in use by 1 container");
	view->images[5].is_pinned = true;
	reasons_expect(view, &named, "docker.io/library/used:1", "pinned");
	ul_view_release(view);
}

static void refused(struct ul_view *view, const char *pattern, int code,
		    const char *message)
{
	const struct ul_rule rule = { .patterns = &pattern,
				      .pattern_count = 1 };
	struct ul_verdict *verdicts = NULL;
	struct ul_err err = UL_ERR_INIT;
	size_t count = 7;

	assert_int_equal(ul_policy_judge(view, &rule, &verdicts, &count, &err),
			 code);
	assert_string_equal(err.msg, message);
	assert_null(verdicts);
	assert_int_equal(count, 7);
}

static void test_policy__names_that_are_none_get_a_hint(void **state)
{
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);

	(void)state;
	refused(view, "web:3", UL_E_ABSENT,
		"no image \"web:3\"; did you mean web:1?");
	refused(view, "ghcr.io/org/apq:latest", UL_E_ABSENT,
		"no image \"ghcr.io/org/apq:latest\"; did you mean "
		"ghcr.io/org/app:latest?");
	refused(view, "something/else:9", UL_E_ABSENT,
		"no image \"something/else:9\"");
	refused(view, "sha256:99", UL_E_ABSENT, "no image \"sha256:99\"");
	refused(view, "web:[1", UL_E_INVALID,
		"\"web:[1\" is no pattern: every [ needs its ], every \\ a "
		"character after it");
	ul_view_release(view);
}

static void test_policy__pins_of_a_rule_win_as_pins_do(void **state)
{
	static const char *const pins[] = { "web:*", "ghcr.io/org/app", OLD };
	struct ul_rule rule = { .all = true, .pins = pins, .pin_count = 1 };
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);

	(void)state;
	assert_string_equal(judged(view, &rule),
			    "(web:1) (web:2) app:latest sha256:c0000 "
			    "(pinned:1) odd:1");
	rule.pin_count = 3;
	assert_string_equal(judged(view, &rule),
			    "(web:1) (web:2) (app:latest) (sha256:c0000) "
			    "(pinned:1) odd:1");
	ul_view_release(view);
}

static void test_policy__a_standing_rule_may_name_what_is_gone(void **state)
{
	static const char *const patterns[] = { "gone:1", "web:1" };
	struct ul_rule rule = {
		.patterns = patterns,
		.pattern_count = 2,
		.is_standing = true,
	};
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);

	(void)state;
	assert_string_equal(judged(view, &rule), "web:1");
	ul_view_release(view);
}

static void test_policy__part_of_a_digest_means_one_image(void **state)
{
	struct view_maker maker;
	struct ul_view *view;

	(void)state;
	view_begin(&maker);
	view_image(&maker, NULL, D("a1"), NULL);
	view_image(&maker, "name", D("a2"), NULL);
	view = view_made(&maker);
	refused(view, "sha256:a", UL_E_INVALID,
		"sha256:a is the beginning of 2 images' digests");
	ul_view_release(view);
}

static void test_filter__tells_times_and_durations_apart(void **state)
{
	static const struct {
		const char *text;
		int64_t unix_s;
	} good[] = {
		{ "until=2026-11-01T08:00:00Z", 1793520000 },
		{ "until=2026-11-01T09:00:00+01:00", 1793520000 },
		{ "until=2026-11-01T08:00:00", 1793520000 },
		{ "until=2026-11-01", 1793491200 },
		{ "until=1793520000", 1793520000 },
		{ "until=24h", VIEW_NOW - 86400 },
		{ "until=1h30m", VIEW_NOW - 5400 },
		{ "unused-for=10d", 864000 },
		{ "unused-for=90", 90 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(good); i++)
		assert_int_equal(filter_of(good[i].text).unix_s,
				 good[i].unix_s);
	assert_int_equal(filter_of("label!=x=y").key, UL_FILTER_NOT_LABEL);
	assert_string_equal(filter_of("label!=x=y").value, "x=y");
	assert_int_equal(filter_of("label=x!=y").key, UL_FILTER_LABEL);
}

static void test_filter__says_what_is_wrong(void **state)
{
	static const struct {
		const char *text, *message;
	} bad[] = {
		{ "until=soon",
		  "until=soon is neither a time (2026-11-01T08:00:00Z, "
		  "2026-11-01, 1795423200) nor a duration (90m, 24h, 10d, "
		  "1h30m)" },
		{ "unused-for=2026-11-01", "unused-for=2026-11-01 is no "
					   "duration (90m, 24h, 10d, 1h30m)" },
		{ "dangling=true",
		  "unknown filter \"dangling=true\": until=, unused-for=, "
		  "label=, label!= and reference= are known" },
		{ "label=",
		  "filter \"label=\" needs a value: until= a time or a "
		  "duration, unused-for= a duration, label= KEY or KEY=VALUE, "
		  "reference= a pattern" },
		{ "",
		  "unknown filter \"\": until=, unused-for=, label=, label!= "
		  "and reference= are known" },
		{ "reference=[",
		  "\"[\" is no pattern: every [ needs its ], every \\ a "
		  "character after it" },
	};
	struct ul_filter filter = { .value = "untouched" };
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(bad); i++) {
		struct ul_err err = UL_ERR_INIT;

		assert_int_equal(
		    ul_filter_parse(bad[i].text, VIEW_NOW, &filter, &err),
		    UL_E_INVALID);
		assert_string_equal(err.msg, bad[i].message);
		assert_string_equal(filter.value, "untouched");
	}
}

static void test_policy__without_memory_judges_nothing(void **state)
{
	static const char *const patterns[] = { "*:1" };
	const struct ul_rule rule = { .patterns = patterns,
				      .pattern_count = 1 };
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);
	struct ul_verdict *verdicts = NULL;
	struct ul_err err = UL_ERR_INIT;
	int rc = UL_E_NOMEM;
	size_t count = 0;
	long n;

	(void)state;
	for (n = 0; rc; n++) {
		ul_mem_countdown = n;
		rc = ul_policy_judge(view, &rule, &verdicts, &count, &err);
		ul_mem_countdown = -1;
		if (rc) {
			assert_int_equal(rc, UL_E_NOMEM);
			assert_null(verdicts);
		}
	}
	assert_int_equal(count, 8);
	free(verdicts);
	ul_view_release(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy__chooses_what_docker_documents),
		cmocka_unit_test(test_policy__says_why),
		cmocka_unit_test(test_policy__names_that_are_none_get_a_hint),
		cmocka_unit_test(test_policy__pins_of_a_rule_win_as_pins_do),
		cmocka_unit_test(
		    test_policy__a_standing_rule_may_name_what_is_gone),
		cmocka_unit_test(test_policy__part_of_a_digest_means_one_image),
		cmocka_unit_test(test_policy__without_memory_judges_nothing),
		cmocka_unit_test(test_filter__tells_times_and_durations_apart),
		cmocka_unit_test(test_filter__says_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
