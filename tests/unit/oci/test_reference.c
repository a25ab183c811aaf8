#include "store/oci/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"
#include "documents.h"

#define X32 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X128 X32 X32 X32 X32

static const struct {
	const char *text;
	const char *whole;
	const char *familiar;
} good[] = {
	{ "app", "docker.io/library/app:latest", "app" },
	{ "app:2", "docker.io/library/app:2", "app:2" },
	{ "library/app", "docker.io/library/app:latest", "app" },
	{ "docker.io/app:2", "docker.io/library/app:2", "app:2" },
	{ "docker.io/library/app:2", "docker.io/library/app:2", "app:2" },
	{ "index.docker.io/app", "docker.io/library/app:latest", "app" },
	{ "index.docker.io/me/app:1", "docker.io/me/app:1", "me/app:1" },
	{ "me/app", "docker.io/me/app:latest", "me/app" },
	{ "library/me/app", "docker.io/library/me/app:latest",
	  "library/me/app" },
	{ "a/b/c/d:t", "docker.io/a/b/c/d:t", "a/b/c/d:t" },
	{ "localhost/app", "localhost/app:latest", "localhost/app" },
	{ "localhost:5000/app:x", "localhost:5000/app:x",
	  "localhost:5000/app:x" },
	{ "docker.io", "docker.io/library/docker.io:latest", "docker.io" },
	{ "localhost:5000", "docker.io/library/localhost:5000",
	  "localhost:5000" },
	{ "host:5000/a/b", "host:5000/a/b:latest", "host:5000/a/b" },
	{ "ghcr.io/o/r:v1.2_3-x", "ghcr.io/o/r:v1.2_3-x",
	  "ghcr.io/o/r:v1.2_3-x" },
	{ "[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app" },
	{ "[2001:DB8::1]/a", "[2001:DB8::1]/a:latest", "[2001:DB8::1]/a" },
	{ "Foo/app", "Foo/app:latest", "Foo/app" },
	{ "xn--n3h.com/a", "xn--n3h.com/a:latest", "xn--n3h.com/a" },
	{ "a-b--c__d_e.f", "docker.io/library/a-b--c__d_e.f:latest",
	  "a-b--c__d_e.f" },
	{ "app@" SHA_A, "docker.io/library/app@" SHA_A, "app@" SHA_A },
	{ "app:1@" SHA_A, "docker.io/library/app:1@" SHA_A, "app:1@" SHA_A },
	{ "app@sha512:" HEX_A HEX_B,
	  "docker.io/library/app@sha512:" HEX_A HEX_B,
	  "app@sha512:" HEX_A HEX_B },
	{ "app@md5:d41d8cd98f00b204e9800998ecf8427e",
	  "docker.io/library/app@md5:d41d8cd98f00b204e9800998ecf8427e",
	  "app@md5:d41d8cd98f00b204e9800998ecf8427e" },
	{ "app:_T", "docker.io/library/app:_T", "app:_T" },
	/* Names on Docker Hub whose short form would mean another host. */
	{ "docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c" },
	{ "docker.io/docker.io/a/b", "docker.io/docker.io/a/b:latest",
	  "docker.io/docker.io/a/b" },
	{ "docker.io/localhost/c", "docker.io/localhost/c:latest",
	  "docker.io/localhost/c" },
	{ "docker.io/library/" HEX_A, "docker.io/library/" HEX_A ":latest",
	  "docker.io/library/" HEX_A },
};

static const char *const bad[] = {
	"",
	"/",
	"App",
	":1",
	"@" SHA_A,
	"app:",
	"app@",
	"app/",
	"/app",
	"a//b",
	"app:-x",
	"app:.x",
	"app:a/b",
	"app:a:b",
	"app: 1",
	" app",
	"app ",
	"app\n",
	"a..b",
	"a.-b",
	"a._b",
	"a___b",
	"-a",
	"a-",
	"_a",
	"a_",
	".a",
	"a.",
	"h\xc3\xa9",
	"me/App",
	"docker.io/App",
	"docker.io/",

	"-h.com/a/..",
	"-h.com/a",
	"h-.com/a",
	"h..com/a",
	".com/a",
	"h.com./a",
	"h.com:/a",
	"h.com:x/a",
	"h.com:1:2/a",
	"[::1/a",
	"[]/a",
	"[::g]/a",
	"[::1]x/a",
	"[::1]:/a",
	"app@sha256:12",
	"app@sha256:A" HEX_A,
	"app@sha256:" HEX_A "a",
	"app@sha256",
	"app@sha512:" HEX_A,
	"app@:" HEX_A,
	"app@1x:" HEX_A,
	"app@a..b:" HEX_A,
	"app@md5:short",
	"app@md5:g41d8cd98f00b204e9800998ecf8427e",
	"app@" SHA_A ":t",
	"app@" SHA_A "@" SHA_A,
	"a*",
	"app:[x]",
	HEX_A,
	"app:" X128 "x",
	"FILE.tar:latest",
	"a.b__c/d",
	"My File:latest",
};

static void test_reference__takes_what_docker_takes(void **state)
{
	char text[UL_NAME_MAX_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(good); i++) {
		if (!ul_reference_is_valid(good[i].text))
			fail_msg("%s", good[i].text);
		assert_true(ul_reference_normalize(good[i].text, text));
		assert_string_equal(text, good[i].whole);
		ul_reference_familiar(good[i].text, text);
		assert_string_equal(text, good[i].familiar);
	}
}

static void test_reference__refuses_and_copies_the_rest(void **state)
{
	char text[UL_NAME_MAX_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(bad); i++) {
		if (ul_reference_is_valid(bad[i]))
			fail_msg("%s", bad[i]);
		assert_true(ul_reference_normalize(bad[i], text));
		assert_string_equal(text, bad[i]);
		ul_reference_familiar(bad[i], text);
		assert_string_equal(text, bad[i]);
		ul_reference_repository(bad[i], text);
		assert_string_equal(text, bad[i]);
	}
}

static void test_reference__bounds_lengths(void **state)
{
	char name[600], text[UL_NAME_MAX_BYTES];
	const size_t prefix = sizeof "docker.io/library/" - 1;

	(void)state;
	memset(name, 'a', sizeof name);
	name[255 - prefix] = '\0';
	assert_true(ul_reference_is_valid(name));
	name[255 - prefix] = 'a';
	name[255 - prefix + 1] = '\0';
	assert_false(ul_reference_is_valid(name));
	assert_true(ul_reference_is_valid("app:" X128));
	memset(name, 'a', sizeof name);
	name[UL_NAME_MAX_BYTES - 1] = '\0';
	assert_true(ul_reference_normalize(name, text));
	assert_string_equal(text, name);
	name[UL_NAME_MAX_BYTES - 1] = 'a';
	name[UL_NAME_MAX_BYTES] = '\0';
	assert_false(ul_reference_normalize(name, text));
	assert_int_equal(strlen(text), UL_NAME_MAX_BYTES - 1);
}

/* The largest that the limit's comment promises: 255 + 128 + 72. */
static void test_reference__holds_the_largest_name(void **state)
{
	struct ul_buf name = UL_BUF_INIT;
	char text[UL_NAME_MAX_BYTES];
	size_t i;

	(void)state;
	ul_buf_add_str(&name, "h.io/");
	for (i = 0; i < 250; i++)
		ul_buf_add_char(&name, 'a');
	ul_buf_printf(&name, ":" X128 "@" SHA_A);
	assert_true(ul_reference_is_valid(name.data));
	assert_true(ul_reference_normalize(name.data, text));
	assert_string_equal(text, name.data);
	ul_buf_release(&name);
}

static void test_reference__gives_the_repository(void **state)
{
	static const char *const table[][2] = {
		{ "app", "docker.io/library/app" },
		{ "me/app:1", "docker.io/me/app" },
		{ "localhost:5000/app:1@" SHA_A, "localhost:5000/app" },
	};
	char text[UL_NAME_MAX_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(table); i++) {
		ul_reference_repository(table[i][0], text);
		assert_string_equal(text, table[i][1]);
	}
}

static void test_reference__matches_as_dockers_filter_does(void **state)
{
	static const struct {
		const char *pattern;
		const char *name;
		bool matches;
	} table[] = {
		/* From Docker's documentation of `images --filter`. */
		{ "busy*:*libc", "docker.io/library/busybox:uclibc", true },
		{ "busy*:*libc", "docker.io/library/busybox:glibc", true },
		{ "busy*:*libc", "docker.io/library/busybox:musl", false },
		{ "busy*:uclibc", "docker.io/library/busybox:uclibc", true },
		{ "busy*:glibc", "docker.io/library/busybox:uclibc", false },
		{ "alpine", "docker.io/library/alpine:3.21", true },
		{ "alpine", "docker.io/library/alpine:latest", true },
		{ "alpine:3.21", "docker.io/library/alpine:3.21", true },
		{ "alpine:3.21", "docker.io/library/alpine:latest", false },
		/* Components. */
		{ "*", "docker.io/library/app:1", true },
		{ "*", "docker.io/me/app:1", false },
		{ "*/*", "docker.io/me/app:1", true },
		{ "*/*", "docker.io/library/app:1", false },
		{ "*/*/*", "docker.io/library/app:1", true },
		{ "*/*/*", "docker.io/me/app:1", true },
		{ "docker.io/*/app", "docker.io/library/app:1", true },
		{ "docker.io/*/app:2", "docker.io/library/app:1", false },
		{ "localhost:5000/*", "localhost:5000/app:1", true },
		{ "localhost:5000/*:1", "localhost:5000/app:1", true },
		{ "localhost:5000/*:2", "localhost:5000/app:1", false },
		{ "*app", "docker.io/me/app:1", false },
		{ "[::1]:80/app", "[::1]:80/app:1", true },
		{ "[::1]:80/app:2", "[::1]:80/app:1", false },
		/* Whole and other forms of a plain name. */
		{ "docker.io/library/app", "docker.io/library/app:1", true },
		{ "docker.io/library/app:1", "docker.io/library/app:1", true },
		{ "docker.io/app", "docker.io/library/app:1", true },
		{ "index.docker.io/app:1", "docker.io/library/app:1", true },
		{ "index.docker.io/app:2", "docker.io/library/app:1", false },
		{ "library/app", "docker.io/library/app:1", true },
		{ "ap", "docker.io/library/app:1", false },
		{ "app", "localhost/app:1", false },
		{ "app", "app:1", true },
		/* Digests. */
		{ "app", "docker.io/library/app@" SHA_A, true },
		{ "app@*", "docker.io/library/app@" SHA_A, true },
		{ "app@" SHA_A, "docker.io/library/app@" SHA_A, true },
		{ "app@" SHA_B, "docker.io/library/app@" SHA_A, false },
		{ "app:1", "docker.io/library/app:1@" SHA_A, false },
		{ "app:1*", "docker.io/library/app:1@" SHA_A, true },
		/* One character. */
		{ "a?p", "docker.io/library/app:1", true },
		{ "me?app", "docker.io/me/app:1", false },
		{ "a[o-q]p:[^2-9]", "docker.io/library/app:1", true },
		{ "a[^p]p", "docker.io/library/app:1", false },
		{ "me[/]app", "docker.io/me/app:1", false },
		{ "me[^x]app", "docker.io/me/app:1", false },
		{ "a\\pp", "docker.io/library/app:1", true },
		{ "a\\*p", "docker.io/library/app:1", false },
		{ "[\\]a]pp", "docker.io/library/app:1", true },
		{ "[!b]pp", "docker.io/library/app:1", false },
		/* Malformed: nothing. */
		{ "[", "[", false },
		{ "[]", "[]", false },
		{ "[]a]pp", "docker.io/library/app:1", false },
		{ "[a-]pp", "docker.io/library/app:1", false },
		{ "app*[", "docker.io/library/app:1", false },
		{ "app\\", "docker.io/library/app:1", false },
		{ "", "docker.io/library/app:1", false },
		/* No references. */
		{ "My*", "My File:latest", true },
		{ "My File", "My File:latest", false },
		{ "My File:latest", "My File:latest", true },
		{ "b?cher.TAR",
		  "b\xc3\xbc"
		  "cher.TAR",
		  true },
		{ "b[\xc3\xa9-\xc3\xbf]cher.TAR",
		  "b\xc3\xbc"
		  "cher.TAR",
		  true },
		{ "b[\xc3\xa9]cher.TAR",
		  "b\xc3\xbc"
		  "cher.TAR",
		  false },
		{ "?", "\xff", true },
		{ "[\xc3\xbf]", "\xff", false },
		{ "\xff", "\xff", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(table); i++) {
		if (ul_reference_matches(table[i].pattern, table[i].name) !=
		    table[i].matches)
			fail_msg("%s on %s", table[i].pattern, table[i].name);
	}
}

static void test_reference__knows_malformed_patterns(void **state)
{
	(void)state;
	assert_true(ul_reference_pattern_is_valid(""));
	assert_true(ul_reference_pattern_is_valid("*a?[b-d\\]][^x]\\["));
	assert_false(ul_reference_pattern_is_valid("a["));
	assert_false(ul_reference_pattern_is_valid("a[]"));
	assert_false(ul_reference_pattern_is_valid("a[^]"));
	assert_false(ul_reference_pattern_is_valid("a[b"));
	assert_false(ul_reference_pattern_is_valid("a[b-]"));
	assert_false(ul_reference_pattern_is_valid("a[-b]"));
	assert_false(ul_reference_pattern_is_valid("a[b\\"));
	assert_false(ul_reference_pattern_is_valid("a\\"));
}

/* Plain and exponential, after the words of the header. */
static bool naive_glob(const char *p, const char *s)
{
	if (!*p)
		return !*s;
	if (*p == '*')
		return naive_glob(p + 1, s) ||
		       (*s && *s != '/' && naive_glob(p, s + 1));
	if (!*s)
		return false;
	if (*p == '?')
		return *s != '/' && naive_glob(p + 1, s + 1);
	if (*p == '[') /* only [^b] is made */
		return *s != 'b' && *s != '/' && naive_glob(p + 4, s + 1);
	return *p == *s && naive_glob(p + 1, s + 1);
}

static void test_reference__agrees_with_a_naive_glob(void **state)
{
	static const char *const parts[] = { "a", "b", "/", "*", "?", "[^b]" };
	const unsigned int seed = 1;
	unsigned int random = seed;
	int round, i, matched = 0;

	(void)state;
	for (round = 0; round < 200000; round++) {
		/* No reference, so matched as it is. */
		char pattern[64] = "_", text[16] = "_";

		for (i = rand_r(&random) % 8; i > 0; i--)
			strcat(pattern, parts[rand_r(&random) % 6]);
		for (i = rand_r(&random) % 10; i > 0; i--)
			strcat(text, parts[rand_r(&random) % 3]);
		if (ul_reference_matches(pattern, text) !=
		    naive_glob(pattern, text))
			fail_msg("seed %u: %s on %s", seed, pattern, text);
		matched += naive_glob(pattern, text);
	}
	assert_in_range(matched, 1000, 199000);
}

static void test_reference__selects_one_name_or_a_pattern(void **state)
{
	static const struct {
		const char *argument;
		const char *name;
		bool selects;
	} table[] = {
		{ "app", "docker.io/library/app:latest", true },
		{ "app", "docker.io/library/app:2", false },
		{ "app:2", "docker.io/library/app:2", true },
		{ "docker.io/app", "docker.io/library/app:latest", true },
		{ "app@" SHA_A, "docker.io/library/app@" SHA_A, true },
		{ "app", "docker.io/library/app@" SHA_A, false },
		{ "app*", "docker.io/library/app:2", true },
		{ "ap[p]", "docker.io/library/app:2", true },
		{ "My File:latest", "My File:latest", true },
		{ "My File", "My File:latest", false },
		{ "a[", "a[", true },
		{ "[::1]:80/app", "[::1]:80/app:latest", true },
		{ "[::1]:80/app", "[::1]:80/app:2", false },
		{ "[::1]:80/app", "1:80/app:latest", false },
		{ "\\[::1]:80/*", "[::1]:80/app:2", true },
		{ "", "", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(table); i++) {
		if (ul_reference_selects(table[i].argument, table[i].name) !=
		    table[i].selects)
			fail_msg("%s on %s", table[i].argument, table[i].name);
	}
}

static void test_reference__finds_subjects_by_tag(void **state)
{
	static const struct {
		const char *name;
		bool is_subject;
	} table[] = {
		{ "docker.io/me/app:sha256-" HEX_A ".sig", true },
		{ "localhost:5000/app:sha256-" HEX_A ".att", true },
		{ "app:sha256-" HEX_A ".sbom", true },
		{ "app:sha256-" HEX_A ".sbom@" SHA_B, true },
		{ "sha256-" HEX_A ".sig", true },
		{ "FILE:sha256-" HEX_A ".sig", true },
		{ "app:sha256-" HEX_A, false },
		{ "app:sha256-" HEX_A ".sigx", false },
		{ "app:sha256-" HEX_A "a.sig", false },
		{ "app:sha256-AA" HEX_A ".sig", false },
		{ "app:sha256-12.sig", false },
		{ "sha256-" HEX_A ".sig/app", false },
		{ "me/sha256-" HEX_A ".sig", false },
		{ "app@" SHA_A, false },
		{ "app:latest", false },
		{ "", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(table); i++) {
		struct ul_digest subject = UL_DIGEST_INIT;

		if (ul_reference_subject_tag(table[i].name, &subject) !=
		    table[i].is_subject)
			fail_msg("%s", table[i].name);
		assert_int_equal(subject.bytes[31],
				 table[i].is_subject ? 0xaa : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference__takes_what_docker_takes),
		cmocka_unit_test(test_reference__refuses_and_copies_the_rest),
		cmocka_unit_test(test_reference__bounds_lengths),
		cmocka_unit_test(test_reference__holds_the_largest_name),
		cmocka_unit_test(test_reference__gives_the_repository),
		cmocka_unit_test(
		    test_reference__matches_as_dockers_filter_does),
		cmocka_unit_test(test_reference__knows_malformed_patterns),
		cmocka_unit_test(test_reference__agrees_with_a_naive_glob),
		cmocka_unit_test(test_reference__selects_one_name_or_a_pattern),
		cmocka_unit_test(test_reference__finds_subjects_by_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
