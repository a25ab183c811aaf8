#include "store/followers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/view.h"
#include "tests/lib/view_maker.h"

/* Digests "sha256:aaa...", and tags of them. */
static const char *digest(char letter)
{
	static char texts[4][80];
	static int next;
	char *text = texts[next++ % 4];

	strcpy(text, "sha256:");
	memset(text + 7, letter, 64);
	text[71] = '\0';
	return text;
}

static const char *tag(const char *repository, char letter, const char *suffix)
{
	static char text[160];

	snprintf(text, sizeof text, "%s:sha256-%s.%s", repository,
		 digest(letter) + 7, suffix);
	return text;
}

/* Who goes with these images ("ac": the first and the third), in letters. */
static const char *follow(const struct ul_view *view, const char *images)
{
	static char all[32];
	struct ul_followers followers;
	struct ul_err err = UL_ERR_INIT;
	bool chosen[26] = { false };
	size_t i, len = 0;

	for (; *images; images++)
		chosen[*images - 'a'] = true;
	assert_int_equal(ul_followers_build(view, &followers, &err), 0);
	ul_followers_choose(&followers, chosen);
	for (i = 0; i < view->image_count; i++) {
		if (chosen[i])
			all[len++] = (char)('a' + i);
	}
	all[len] = '\0';
	ul_followers_release(&followers);
	return all;
}

/* a, its signature b, the signature c of that, a tag d of a and of e. */
static struct ul_view *view_fill(struct view_maker *maker)
{
	view_begin(maker);
	view_image(maker, "x:1", digest('a'), NULL);
	view_image(maker, tag("x", 'a', "sig"), digest('b'), NULL);
	view_image(maker, tag("x", 'b', "sig"), digest('c'), NULL);
	view_image(maker, tag("x", 'a', "att"), digest('d'), NULL);
	view_image(maker, tag("x", 'e', "sbom"), digest('d'), NULL);
	view_image(maker, "x:2", digest('e'), NULL);
	return view_made(maker);
}

static void test_followers__go_when_all_their_subjects_go(void **state)
{
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);

	(void)state;
	assert_int_equal(view->image_count, 5);
	assert_string_equal(follow(view, ""), "");
	assert_string_equal(follow(view, "a"), "abc");
	assert_string_equal(follow(view, "b"), "bc");
	assert_string_equal(follow(view, "c"), "c");
	assert_string_equal(follow(view, "e"), "e");
	assert_string_equal(follow(view, "ae"), "abcde");
	view->images[1].is_pinned = true;
	assert_string_equal(follow(view, "ae"), "ade");
	view->images[1].is_pinned = false;
	view->images[2].containers = 1;
	assert_string_equal(follow(view, "a"), "ab");
	ul_view_release(view);
}

/* The subject is a platform of two indexes: one that stays keeps it. */
static void test_followers__stay_while_one_image_has_the_subject(void **state)
{
	struct ul_view_image *first, *second;
	struct view_maker maker;
	struct ul_view *view;
	uint32_t manifest;

	(void)state;
	view_begin(&maker);
	manifest = view_blob(&maker, digest('f'), 1);
	view_image(&maker, "x:1", digest('a'), &first);
	view_platform(&maker, first, manifest, "config 1", "{}");
	view_image(&maker, "x:2", digest('b'), &second);
	view_platform(&maker, second, manifest, "config 2", "{}");
	view_image(&maker, tag("x", 'f', "sig"), digest('c'), NULL);
	view = view_made(&maker);
	assert_string_equal(follow(view, "a"), "a");
	assert_string_equal(follow(view, "b"), "b");
	assert_string_equal(follow(view, "ab"), "abc");
	ul_view_release(view);
}

static void
test_followers__a_tag_of_what_is_not_here_follows_nobody(void **state)
{
	struct ul_followers followers;
	struct ul_err err = UL_ERR_INIT;
	struct view_maker maker;
	struct ul_view *view;

	(void)state;
	view_begin(&maker);
	view_image(&maker, "x:1", digest('a'), NULL);
	view_image(&maker, tag("x", 'f', "sig"), digest('c'), NULL);
	view = view_made(&maker);
	assert_string_equal(follow(view, "a"), "a");
	assert_int_equal(ul_followers_build(view, &followers, &err), 0);
	assert_false(ul_followers_has(&followers, 0));
	assert_false(ul_followers_has(&followers, 1));
	ul_followers_release(&followers);
	ul_view_release(view);
}

static void test_followers__without_memory_there_are_none(void **state)
{
	struct ul_followers followers = UL_FOLLOWERS_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct view_maker maker;
	struct ul_view *view = view_fill(&maker);
	int rc = UL_E_NOMEM;
	long n;

	(void)state;
	for (n = 0; rc; n++) {
		ul_mem_countdown = n;
		rc = ul_followers_build(view, &followers, &err);
		ul_mem_countdown = -1;
		if (rc) {
			assert_int_equal(rc, UL_E_NOMEM);
			assert_null(followers.view);
		}
	}
	assert_true(n > 5);
	assert_true(ul_followers_has(&followers, 0));
	ul_followers_release(&followers);
	ul_view_release(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_followers__go_when_all_their_subjects_go),
		cmocka_unit_test(
		    test_followers__stay_while_one_image_has_the_subject),
		cmocka_unit_test(
		    test_followers__a_tag_of_what_is_not_here_follows_nobody),
		cmocka_unit_test(test_followers__without_memory_there_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
