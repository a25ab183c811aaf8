#include "store/oci/cache_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "documents.h"
#include "store/limits.h"

struct fixture {
	struct ul_arena arena;
	struct ul_cache_config config;
	struct ul_err err;
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ul_arena_release(&f->arena);
	free(f);
	return 0;
}

static int parse(struct fixture *f, const char *text)
{
	f->err = UL_ERR_INIT;
	memset(&f->config, 0x5a, sizeof f->config);
	return ul_cache_config_parse(text, strlen(text), &f->arena, &f->config,
				     &f->err);
}

static void refuses(struct fixture *f, const char *text, const char *message)
{
	assert_int_equal(parse(f, text), UL_E_CORRUPT);
	assert_string_equal(f->err.msg, message);
	assert_int_equal(f->config.ref_count, (size_t)0x5a5a5a5a5a5a5a5a);
}

static void assert_ref(const struct fixture *f, size_t n, const char *reason,
		       unsigned first_byte)
{
	assert_true(n < f->config.ref_count);
	assert_string_equal(f->config.refs[n].reason, reason);
	assert_int_equal(f->config.refs[n].descriptor.digest.bytes[0],
			 first_byte);
}

static void test_cache_config__follows_its_layers(void **state)
{
	struct fixture *f = *state;
	const struct ul_descriptor *second;

	assert_int_equal(
	    parse(f,
		  "{\"layers\":[{\"blob\":\"" SHA_A "\",\"parent\":-1},"
		  "{\"blob\":\"" SHA_B "\",\"annotations\":{"
		  "\"mediaType\":\"" TYPE_LAYER "\",\"size\":12,"
		  "\"diffID\":\"" SHA_C "\"}},{\"parent\":1}],"
		  "\"records\":[{\"digest\":\"" SHA_C "\",\"layers\":["
		  "{\"layer\":0}],\"chains\":[{\"layers\":[0,1]}],"
		  "\"inputs\":[[{\"selector\":\"" SHA_C "\",\"link\":0}]]}]}"),
	    0);
	assert_int_equal(f->config.ref_count, 2);
	assert_ref(f, 0, "cache layer 0", 0xaa);
	assert_true(f->config.refs[0].descriptor.is_size_unknown);
	assert_null(f->config.refs[0].descriptor.media_type);
	assert_ref(f, 1, "cache layer 1", 0xbb);
	second = &f->config.refs[1].descriptor;
	assert_false(second->is_size_unknown);
	assert_int_equal(second->size_bytes, 12);
	assert_string_equal(second->media_type, TYPE_LAYER);
	assert_string_equal(
	    ul_descriptor_annotation(second, UL_ANNOTATION_UNCOMPRESSED),
	    SHA_C);
}

static void test_cache_config__keeps_what_it_does_not_know(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
	    parse(f, "{\"layers\":[{\"more\":[" DESC(
			 SHA_A) "]}],"
				"\"records\":[{\"results\":{\"x\":" DESC(
				    SHA_B) "}}],"
					   "\"index\":{\"digest\":\"" SHA_C
					   "\"}}"),
	    0);
	assert_int_equal(f->config.ref_count, 3);
	assert_ref(f, 0, "layers.0.more.0", 0xaa);
	assert_ref(f, 1, "records.0.results.x", 0xbb);
	assert_ref(f, 2, "index", 0xcc);
	assert_int_equal(parse(f, "{}"), 0);
	assert_int_equal(f->config.ref_count, 0);
	assert_int_equal(parse(f, "{\"layers\":null,\"records\":null}"), 0);
}

static void test_cache_config__refuses_the_malformed(void **state)
{
	struct fixture *f = *state;

	refuses(f, "[]", "no JSON object");
	refuses(f, "{\"layers\":{}}", "cache config: \"layers\" is no array");
	refuses(f, "{\"layers\":[1]}",
		"cache config: \"layers\" is no array of objects");
	refuses(f, "{\"records\":[null]}",
		"cache config: \"records\" is no array of objects");
	refuses(f, "{\"layers\":[{\"blob\":7}]}",
		"cache layer 0: \"blob\" is no string");
	refuses(f, "{\"layers\":[{},{\"blob\":\"sha256:ab\"}]}",
		"cache layer 1: \"sha256:ab\" is no digest");
	refuses(f, "{\"layers\":[{\"blob\":\"md6:" HEX_A "\"}]}",
		"cache layer 0: \"md6:" HEX_A "\" is no digest");
	refuses(f, "{\"new\":{\"digest\":\"md6:" HEX_A "\"}}",
		"new: digest \"md6:" HEX_A "\" is of an unknown algorithm");
}

static void test_cache_config__refuses_every_prefix(void **state)
{
	static const char text[] =
	    "{\"layers\":[{\"blob\":\"" SHA_A "\"}],\"records\":[{}]}";
	struct fixture *f = *state;
	char cut[sizeof text];
	size_t len;

	for (len = 0; len < sizeof text - 1; len++) {
		memcpy(cut, text, len);
		cut[len] = '\0';
		assert_int_equal(parse(f, cut), UL_E_CORRUPT);
	}
	assert_int_equal(parse(f, text), 0);
}

static void test_cache_config__survives_every_allocation_failure(void **state)
{
	struct fixture *f = *state;
	long n;
	int rc;

	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc =
		    parse(f, "{\"layers\":[{\"blob\":\"" SHA_A
			     "\",\"annotations\":{\"diffID\":\"d\","
			     "\"mediaType\":\"m\"}}],\"new\":" DESC(SHA_B) "}");
		ul_mem_countdown = -1;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_int_equal(f->config.ref_count,
				 (size_t)0x5a5a5a5a5a5a5a5a);
		ul_arena_release(&f->arena);
	}
	assert_true(n > 20);
	assert_int_equal(f->config.ref_count, 2);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(test_cache_config__follows_its_layers),
		UNIT(test_cache_config__keeps_what_it_does_not_know),
		UNIT(test_cache_config__refuses_the_malformed),
		UNIT(test_cache_config__refuses_every_prefix),
		UNIT(test_cache_config__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
