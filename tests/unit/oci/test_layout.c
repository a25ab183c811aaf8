#include "store/oci/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "documents.h"
#include "store/limits.h"

#define REF UL_ANNOTATION_REF_NAME
#define IMAGE UL_ANNOTATION_IMAGE_NAME
#define ENTRY_A                                                                \
	"{\"digest\":\"" SHA_A "\",\"size\":1,\"annotations\":{\"" REF         \
	"\":\"one\",\"z\":\"y\"},\"own\":{\"b\":[1.5,null],\"a\":true}}"
#define ENTRY_B "{\"x\":1,\"size\":2,\"digest\":\"" SHA_B "\"}"
#define INDEX                                                                  \
	"{\"zz\":{\"k\":7},\"schemaVersion\":2,\"manifests\":[" ENTRY_A        \
	"," ENTRY_B "],\"aa\":[]}"

static struct ul_layout_index *parse(const char *text)
{
	struct ul_layout_index *index = NULL;
	struct ul_err err = UL_ERR_INIT;

	if (ul_layout_index_parse(text, strlen(text), &index, &err))
		fail_msg("%s: %s", text, err.msg);
	return index;
}

static void assert_dump(const struct ul_layout_index *index, const char *text)
{
	struct ul_buf json = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(ul_layout_index_dump(index, &json, &err), 0);
	assert_string_equal(json.data, text);
	ul_buf_release(&json);
}

static struct ul_descriptor descriptor_of(uint8_t byte)
{
	struct ul_descriptor descriptor = { .media_type = TYPE_MANIFEST,
					    .size_bytes = 3 };

	descriptor.digest.alg = UL_DIGEST_SHA256;
	memset(descriptor.digest.bytes, byte, 32);
	return descriptor;
}

static void test_layout__keeps_what_it_does_not_know(void **state)
{
	struct ul_layout_index *index = parse(INDEX);

	(void)state;
	assert_int_equal(ul_layout_index_count(index), 2);
	assert_string_equal(ul_layout_index_entry(index, 0)->name, "one");
	assert_null(ul_layout_index_entry(index, 1)->name);
	assert_int_equal(ul_layout_index_entry(index, 1)->descriptor.size_bytes,
			 2);
	assert_dump(index, INDEX);
	ul_layout_index_free(index);
}

#define NAMED(ref, image)                                                      \
	"{\"manifests\":[{\"digest\":\"" SHA_A                                 \
	"\",\"size\":1,\"annotations\":{" ref image "}}]}"

static void test_layout__finds_the_name(void **state)
{
	static const struct {
		const char *text;
		const char *name;
	} table[] = {
		{ NAMED("", ""), NULL },
		{ NAMED("\"" REF "\":\"a\"", ""), "a" },
		{ NAMED("\"" REF "\":\"\"", ""), NULL },
		{ NAMED("\"" REF "\":\" \\t\"", ""), NULL },
		{ NAMED("\"" REF "\":\" \"", ",\"" IMAGE "\":\"b:1\""), "b:1" },
		{ NAMED("\"" REF "\":\"a\"", ",\"" IMAGE "\":\"\""), "a" },
		{ NAMED("", "\"" IMAGE "\":\"b:1\""), "b:1" },
		{ NAMED("\"" REF "\":\"a\"", ",\"" IMAGE "\":\"b:1\""), "a" },
		{ NAMED("\"" REF "\":\"1\"", ",\"" IMAGE "\":\"b:1\""), "b:1" },
		{ NAMED("\"" REF "\":\"b:1\"", ",\"" IMAGE "\":\"b:1\""),
		  "b:1" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(table); i++) {
		struct ul_layout_index *index = parse(table[i].text);
		const char *name = ul_layout_index_entry(index, 0)->name;

		if (table[i].name)
			assert_string_equal(name, table[i].name);
		else
			assert_null(name);
		ul_layout_index_free(index);
	}
}

static void test_layout__refuses_what_is_not_whole(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} table[] = {
		{ "", "empty" },
		{ "[]", "no JSON object" },
		{ "{}", "no \"manifests\" array" },
		{ "{\"manifests\":{}}", "no \"manifests\" array" },
		{ "{\"manifests\":[7]}", "entry 0 is no object" },
		{ "{\"manifests\":[" DESC(SHA_A) ",{\"size\":1}]}",
		  "entry 1 has no digest" },
		{ "{\"manifests\":[{\"digest\":\"sha1:x\",\"size\":1}]}",
		  "entry 0: digest \"sha1:x\" is of an unknown algorithm" },
		{ NAMED("\"" REF "\":7", ""),
		  "entry 0: \"annotations\" is no object of strings" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(table); i++) {
		struct ul_layout_index *index = NULL;
		struct ul_err err = UL_ERR_INIT;

		assert_int_equal(ul_layout_index_parse(table[i].text,
						       strlen(table[i].text),
						       &index, &err),
				 UL_E_CORRUPT);
		assert_string_equal(err.msg, table[i].message);
		assert_null(index);
	}
}

static void test_layout__refuses_every_prefix(void **state)
{
	struct ul_layout_index *index = NULL;
	struct ul_err err;
	size_t len;

	(void)state;
	for (len = 0; len < sizeof INDEX - 1; len++) {
		char *cut = malloc(len ? len : 1);

		memcpy(cut, INDEX, len);
		assert_int_equal(ul_layout_index_parse(cut, len, &index, &err),
				 UL_E_CORRUPT);
		assert_null(index);
		free(cut);
	}
}

/* umoci leaves null where there is no image. */
static void test_layout__takes_null_for_an_empty_array(void **state)
{
	struct ul_layout_index *index =
	    parse("{\"schemaVersion\":2,\"manifests\":null}");
	struct ul_descriptor descriptor = descriptor_of(0xaa);
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	assert_int_equal(ul_layout_index_count(index), 0);
	assert_int_equal(ul_layout_index_add(index, &descriptor, NULL, &err),
			 0);
	assert_dump(index, "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
			   "\"" TYPE_MANIFEST "\",\"digest\":\"" SHA_A
			   "\",\"size\":3}]}");
	ul_layout_index_free(index);
}

static void test_layout__adds_and_removes_without_touching_others(void **state)
{
	struct ul_layout_index *index = parse(INDEX);
	struct ul_descriptor descriptor = descriptor_of(0xcc);
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	assert_int_equal(ul_layout_index_add(index, &descriptor, "app:1", &err),
			 0);
	assert_int_equal(ul_layout_index_count(index), 3);
	assert_string_equal(ul_layout_index_entry(index, 2)->name, "app:1");
	ul_layout_index_remove(index, 0);
	assert_int_equal(ul_layout_index_count(index), 2);
	assert_null(ul_layout_index_entry(index, 0)->name);
	assert_string_equal(ul_layout_index_entry(index, 1)->name, "app:1");
	ul_layout_index_remove(index, 1);
	assert_dump(index,
		    "{\"zz\":{\"k\":7},\"schemaVersion\":2,\"manifests\":"
		    "[" ENTRY_B "],\"aa\":[]}");
	ul_layout_index_remove(index, 0);
	assert_dump(index,
		    "{\"zz\":{\"k\":7},\"schemaVersion\":2,\"manifests\":"
		    "[],\"aa\":[]}");
	ul_layout_index_free(index);
}

static void test_layout__writes_names_where_they_belong(void **state)
{
	struct ul_annotation annotations[] = { { "k", "v" },
					       { IMAGE, "old:1" },
					       { REF, "old" } };
	struct ul_descriptor descriptor = descriptor_of(0xaa);
	struct ul_layout_index *index = ul_layout_index_new();
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	descriptor.annotations = annotations;
	descriptor.annotation_count = 3;
	descriptor.artifact_type = "a/b";
	descriptor.platform.os = "linux";
	descriptor.platform.architecture = "arm64";
	assert_int_equal(ul_layout_index_add(index, &descriptor,
					     "docker.io/library/app:2", &err),
			 0);
	assert_int_equal(
	    ul_layout_index_add(index, &descriptor, "My File:latest", &err), 0);
	assert_int_equal(ul_layout_index_add(index, &descriptor, NULL, &err),
			 0);
	assert_int_equal(ul_layout_index_add(index, &descriptor, "\xff", &err),
			 UL_E_INVALID);
	assert_int_equal(ul_layout_index_count(index), 3);
#define START                                                                  \
	"{\"mediaType\":\"" TYPE_MANIFEST "\",\"digest\":\"" SHA_A             \
	"\",\"size\":3,\"annotations\":{\"k\":\"v\","
#define END                                                                    \
	"},\"platform\":{\"architecture\":\"arm64\",\"os\":\"linux\"},"        \
	"\"artifactType\":\"a/b\"}"
	assert_dump(index,
		    "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_INDEX
		    "\",\"manifests\":[" START "\"" REF
		    "\":\"docker.io/library/app:2\",\"" IMAGE
		    "\":\"docker.io/library/app:2\"" END "," START "\"" REF
		    "\":\"My File:latest\"" END "," START "\"" IMAGE
		    "\":\"old:1\",\"" REF "\":\"old\"" END "]}");
	ul_layout_index_free(index);
}

static void test_layout__unnames_without_losing_the_rest(void **state)
{
	struct ul_layout_index *index = parse(INDEX);
	struct ul_descriptor descriptor = descriptor_of(0xcc);
	const struct ul_layout_entry *entry;
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	assert_int_equal(ul_layout_index_add(index, &descriptor, "app:1", &err),
			 0);
	assert_int_equal(ul_layout_index_unname(index, 0, &err), 0);
	assert_int_equal(ul_layout_index_unname(index, 1, &err), 0);
	assert_int_equal(ul_layout_index_unname(index, 2, &err), 0);
	entry = ul_layout_index_entry(index, 0);
	assert_null(entry->name);
	assert_int_equal(entry->descriptor.annotation_count, 1);
	assert_string_equal(ul_descriptor_annotation(&entry->descriptor, "z"),
			    "y");
	assert_dump(index,
		    "{\"zz\":{\"k\":7},\"schemaVersion\":2,\"manifests\":["
		    "{\"digest\":\"" SHA_A "\",\"size\":1,\"annotations\":{"
		    "\"z\":\"y\"},\"own\":{\"b\":[1.5,null],\"a\":true}}"
		    "," ENTRY_B ",{\"mediaType\":\"" TYPE_MANIFEST
		    "\",\"digest\":\"" SHA_C "\",\"size\":3}],\"aa\":[]}");
	ul_layout_index_free(index);
}

static void test_layout__carries_entries_over_as_text(void **state)
{
	struct ul_layout_index *from = parse(INDEX);
	struct ul_layout_index *to = parse("{\"manifests\":[]}");
	struct ul_buf json = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;

	(void)state;
	assert_int_equal(ul_layout_index_entry_dump(from, 0, &json, &err), 0);
	assert_string_equal(json.data, ENTRY_A);
	assert_int_equal(
	    ul_layout_index_add_dumped(to, json.data, json.len, &err), 0);
	assert_string_equal(ul_layout_index_entry(to, 0)->name, "one");
	assert_dump(to, "{\"manifests\":[" ENTRY_A "]}");
	assert_int_equal(ul_layout_index_add_dumped(to, "{}", 2, &err),
			 UL_E_CORRUPT);
	assert_int_equal(ul_layout_index_count(to), 1);
	ul_buf_release(&json);
	ul_layout_index_free(from);
	ul_layout_index_free(to);
}

/* What is added must not make the whole document too deep to be read. */
static void test_layout__adds_nothing_that_it_could_not_read_back(void **state)
{
	struct ul_layout_index *index = ul_layout_index_new();
	struct ul_layout_index *again = NULL;
	struct ul_buf deep = UL_BUF_INIT, json = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	int depth, rc = 0, i;

	(void)state;
	for (depth = 1; !rc; depth++) {
		ul_buf_reset(&deep);
		ul_buf_add_str(&deep,
			       "{\"digest\":\"" SHA_A "\",\"size\":1,\"x\":");
		for (i = 0; i < depth; i++)
			ul_buf_add_char(&deep, '[');
		for (i = 0; i < depth; i++)
			ul_buf_add_char(&deep, ']');
		ul_buf_add_char(&deep, '}');
		rc = ul_layout_index_add_dumped(index, deep.data, deep.len,
						&err);
	}
	assert_int_equal(rc, UL_E_LIMIT);
	assert_int_equal(ul_layout_index_dump(index, &json, &err), 0);
	assert_int_equal(
	    ul_layout_index_parse(json.data, json.len, &again, &err), 0);
	assert_int_equal(ul_layout_index_count(again), UL_JSON_MAX_DEPTH - 3);
	ul_layout_index_free(again);
	ul_layout_index_free(index);
	ul_buf_release(&deep);
	ul_buf_release(&json);
}

static int work(struct ul_layout_index **ret, struct ul_buf *json,
		struct ul_err *err)
{
	struct ul_annotation annotation = { "k", "v" };
	struct ul_descriptor descriptor = descriptor_of(0xcc);
	int rc;

	descriptor.annotations = &annotation;
	descriptor.annotation_count = 1;
	descriptor.platform.os = "linux";
	rc = ul_layout_index_parse(INDEX, sizeof INDEX - 1, ret, err);
	if (!rc)
		rc = ul_layout_index_add(*ret, &descriptor, "app:1", err);
	if (!rc)
		rc = ul_layout_index_add_dumped(*ret, ENTRY_B,
						sizeof ENTRY_B - 1, err);
	if (!rc)
		rc = ul_layout_index_dump(*ret, json, err);
	return rc;
}

static void test_layout__survives_every_allocation_failure(void **state)
{
	long n;

	(void)state;
	for (n = 0;; n++) {
		struct ul_layout_index *index = NULL;
		struct ul_buf json = UL_BUF_INIT;
		struct ul_err err = UL_ERR_INIT;
		int rc;

		ul_mem_countdown = n;
		rc = work(&index, &json, &err);
		ul_mem_countdown = -1;
		/* Entries and document agree after whatever failed. */
		if (rc && index) {
			struct ul_layout_index *again = NULL;

			ul_buf_release(&json);
			assert_int_equal(
			    ul_layout_index_dump(index, &json, &err), 0);
			again = parse(json.data);
			assert_int_equal(ul_layout_index_count(again),
					 ul_layout_index_count(index));
			ul_layout_index_free(again);
		}
		if (!rc)
			assert_int_equal(ul_layout_index_count(index), 4);
		ul_layout_index_free(index);
		ul_buf_release(&json);
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
	}
	assert_true(n > 100);
}

static void test_layout__new_gives_null_without_memory(void **state)
{
	struct ul_layout_index *index;
	long n;

	(void)state;
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		index = ul_layout_index_new();
		ul_mem_countdown = -1;
		if (index)
			break;
	}
	assert_true(n > 5);
	assert_int_equal(ul_layout_index_count(index), 0);
	ul_layout_index_freep(&index);
	assert_null(index);
	ul_layout_index_free(NULL);
}

static void key_expect(const char *name, const char *expected)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	struct ul_layout_entry entry = { .name = name };
	const char *key;

	assert_true(ul_digest_parse("sha256:" HEX_A, &entry.descriptor.digest));
	key = ul_layout_entry_key(&entry, &arena);
	assert_string_equal(key, expected);
	if (name)
		assert_string_equal(ul_layout_key_name(key), name);
	else
		assert_null(ul_layout_key_name(key));
}

static void test_layout__keys_of_names_are_never_digests(void **state)
{
	(void)state;
	key_expect("app:1", "app:1");
	key_expect(NULL, "sha256:" HEX_A);
	key_expect("sha256:" HEX_A, "=sha256:" HEX_A);
	key_expect("=sha256:" HEX_A, "==sha256:" HEX_A);
	key_expect("sha256:ab", "sha256:ab");
	key_expect("=", "==");
}

static void more_expect(const char *text, int expected)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	struct ul_err err = UL_ERR_INIT;
	long n;
	int rc = UL_E_NOMEM;

	assert_int_equal(
	    ul_layout_index_parse(text, strlen(text), &index, &err), 0);
	for (n = 0; rc == UL_E_NOMEM; n++) {
		ul_mem_countdown = n;
		rc = ul_layout_index_has_more(index, &err);
		ul_mem_countdown = -1;
	}
	assert_int_equal(rc, expected);
}

#define TEN "0123456789"
#define SOME "\"digest\":\"sha256:" TEN TEN TEN TEN TEN TEN "0123\",\"size\":1"
#define ONE "{\"mediaType\":\"a/b\"," SOME

static void test_layout__knows_whether_more_is_named(void **state)
{
	(void)state;
	more_expect("{\"manifests\":[]}", 0);
	more_expect("{\"manifests\":[" ONE "}]}", 0);
	more_expect("{\"manifests\":[" ONE
		    ",\"annotations\":{\"digest\":\"x\"}}],"
		    "\"annotations\":{\"a\":\"b\"},\"x\":[1,{\"y\":null}]}",
		    0);
	more_expect("{\"manifests\":[],\"x\":{" SOME "}}", 1);
	more_expect("{\"manifests\":[],\"x\":[[{\"y\":{" SOME "}}]]}", 1);
	more_expect("{\"manifests\":[" ONE ",\"x\":{" SOME "}}]}", 1);
	more_expect("{\"manifests\":[],\"subject\":{" SOME "}}", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout__keys_of_names_are_never_digests),
		cmocka_unit_test(test_layout__keeps_what_it_does_not_know),
		cmocka_unit_test(test_layout__knows_whether_more_is_named),
		cmocka_unit_test(test_layout__finds_the_name),
		cmocka_unit_test(test_layout__refuses_what_is_not_whole),
		cmocka_unit_test(test_layout__refuses_every_prefix),
		cmocka_unit_test(test_layout__takes_null_for_an_empty_array),
		cmocka_unit_test(
		    test_layout__adds_and_removes_without_touching_others),
		cmocka_unit_test(test_layout__writes_names_where_they_belong),
		cmocka_unit_test(test_layout__unnames_without_losing_the_rest),
		cmocka_unit_test(test_layout__carries_entries_over_as_text),
		cmocka_unit_test(
		    test_layout__adds_nothing_that_it_could_not_read_back),
		cmocka_unit_test(
		    test_layout__survives_every_allocation_failure),
		cmocka_unit_test(test_layout__new_gives_null_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
