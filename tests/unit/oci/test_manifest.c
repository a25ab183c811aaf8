#include "store/oci/manifest.h"

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

struct fixture {
	struct ul_arena arena;
	struct ul_manifest manifest;
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

static int parse_bytes(struct fixture *f, const char *text, size_t len,
		       const char *declared)
{
	char *exact = malloc(len ? len : 1);
	int rc;

	/* The parser gets a block that ends where the text does. */
	memcpy(exact, text, len);
	f->err = UL_ERR_INIT;
	memset(&f->manifest, 0x5a, sizeof f->manifest);
	rc = ul_manifest_parse(exact, len, declared, &f->arena, &f->manifest,
			       &f->err);
	free(exact);
	assert_int_equal(rc, f->err.code);
	if (rc)
		assert_int_equal(f->manifest.ref_count,
				 (size_t)0x5a5a5a5a5a5a5a5a);
	return rc;
}

static int parse(struct fixture *f, const char *text)
{
	return parse_bytes(f, text, strlen(text), NULL);
}

/* All reasons, each followed by its digest's first byte: "config aa,". */
static const char *reasons(struct fixture *f)
{
	struct ul_buf text = UL_BUF_INIT;
	char *copy;
	size_t i;

	for (i = 0; i < f->manifest.ref_count; i++)
		ul_buf_printf(&text, "%s %02x,", f->manifest.refs[i].reason,
			      f->manifest.refs[i].descriptor.digest.bytes[0]);
	copy = ul_arena_strdup(&f->arena, ul_buf_str(&text));
	ul_buf_release(&text);
	return copy;
}

static void assert_reasons(struct fixture *f, const char *text,
			   const char *expected)
{
	if (parse(f, text))
		fail_msg("%s: %s", text, f->err.msg);
	assert_string_equal(reasons(f), expected);
}

static void test_manifest__reads_all_of_a_descriptor(void **state)
{
	struct fixture *f = *state;
	const struct ul_descriptor *d;

	assert_int_equal(
	    parse(f, "{\"mediaType\":\"" TYPE_INDEX "\",\"artifactType\":"
		     "\"a/b\",\"annotations\":{\"x\":\"y\"},\"manifests\":[{"
		     "\"mediaType\":\"" TYPE_MANIFEST "\",\"size\":12345678901,"
		     "\"digest\":\"sha512:" HEX_A HEX_B "\",\"artifactType\":"
		     "\"c/d\",\"platform\":{\"os\":\"linux\",\"architecture\":"
		     "\"arm\",\"variant\":\"v7\",\"os.version\":\"1\","
		     "\"os.features\":[\"z\"]},\"annotations\":{\"k\":\"v\"},"
		     "\"urls\":[\"https://x\"],\"data\":\"e30=\"}]}"),
	    0);
	assert_int_equal(f->manifest.media, UL_MEDIA_INDEX);
	assert_string_equal(f->manifest.media_type, TYPE_INDEX);
	assert_string_equal(f->manifest.artifact_type, "a/b");
	assert_int_equal(f->manifest.annotation_count, 1);
	assert_string_equal(f->manifest.annotations[0].value, "y");
	assert_null(f->manifest.config);
	assert_int_equal(f->manifest.ref_count, 1);
	assert_string_equal(f->manifest.refs[0].reason, "manifest 0");
	assert_false(f->manifest.refs[0].is_subject);
	d = &f->manifest.refs[0].descriptor;
	assert_string_equal(d->media_type, TYPE_MANIFEST);
	assert_string_equal(d->artifact_type, "c/d");
	assert_int_equal(d->digest.alg, UL_DIGEST_SHA512);
	assert_int_equal(d->digest.bytes[63], 0xbb);
	assert_int_equal(d->size_bytes, 12345678901);
	assert_false(d->is_size_unknown);
	assert_true(d->has_urls);
	assert_string_equal(d->platform.os, "linux");
	assert_string_equal(d->platform.architecture, "arm");
	assert_string_equal(d->platform.variant, "v7");
	assert_string_equal(d->platform.os_version, "1");
	assert_string_equal(ul_descriptor_annotation(d, "k"), "v");
}

static void test_manifest__points_to_its_config(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, "{\"layers\":[" LAYER_B "]," CONFIG_A "}"),
			 0);
	assert_int_equal(f->manifest.media, UL_MEDIA_MANIFEST);
	assert_ptr_equal(f->manifest.config, &f->manifest.refs[1]);
	assert_string_equal(reasons(f), "layer 0 bb,config aa,");
	assert_false(f->manifest.refs[0].descriptor.has_urls);
}

static void test_manifest__takes_all_that_looks_like_a_descriptor(void **state)
{
	struct fixture *f = *state;

	assert_reasons(f,
		       "{" CONFIG_A ",\"blobs\":[7," DESC(
			   SHA_B) "],"
				  "\"x\":{\"y\":{\"z.z\":" DESC(SHA_C) "}}}",
		       "config aa,blobs.1 bb,x.y.z.z cc,");
	/* Descriptors' own unknown members are searched, known ones not. */
	assert_reasons(f,
		       "{\"config\":{\"digest\":\"" SHA_A "\",\"size\":1,"
		       "\"platform\":{\"digest\":\"" SHA_C "\"},"
		       "\"extra\":[" DESC(SHA_B) "]}}",
		       "config aa,config.extra.0 bb,");
	assert_reasons(f,
		       "{\"layers\":[" DESC(
			   SHA_A) ",{\"digest\":\"" SHA_B
				  "\",\"size\":1,\"source\":" DESC(SHA_C) "}]}",
		       "layer 0 aa,layer 1 bb,layers.1.source cc,");
	/* Within what is a descriptor only by its looks, everything is. */
	assert_reasons(f,
		       "{\"layers\":[],\"x\":{\"digest\":\"" SHA_A
		       "\",\"platform\":" DESC(
			   SHA_B) ",\"labels\":{\"l\":" DESC(SHA_C) "}}}",
		       "x aa,x.platform bb,x.labels.l cc,");
	assert_reasons(f,
		       "{\"layers\":null,\"manifests\":[" DESC(
			   SHA_A) "],\"subject\":" DESC(SHA_B) "}",
		       "manifest 0 aa,subject bb,");
	assert_true(f->manifest.refs[1].is_subject);
	assert_false(f->manifest.refs[0].is_subject);
}

static void test_manifest__guesses_without_size_and_types(void **state)
{
	struct fixture *f = *state;
	const struct ul_descriptor *d;

	assert_reasons(f,
		       "{\"layers\":[],\"a\":{\"digest\":\"" SHA_A
		       "\"},\"b\":{\"digest\":\"" SHA_B "\",\"size\":-1,"
		       "\"mediaType\":7,\"urls\":7},\"c\":{\"digest\":\"" SHA_C
		       "\",\"size\":5,\"mediaType\":\"t\"}}",
		       "a aa,b bb,c cc,");
	d = &f->manifest.refs[1].descriptor;
	assert_true(d->is_size_unknown);
	assert_int_equal(d->size_bytes, 0);
	assert_null(d->media_type);
	d = &f->manifest.refs[2].descriptor;
	assert_false(d->is_size_unknown);
	assert_int_equal(d->size_bytes, 5);
	assert_string_equal(d->media_type, "t");
	/* Neither digests nor unknown ones: just words. */
	assert_reasons(f,
		       "{\"layers\":[],\"a\":{\"digest\":\"sha256:12\"},"
		       "\"b\":{\"digest\":\"x:y\"},\"c\":{\"digest\":7},"
		       "\"d\":{\"digest\":\":\"},\"digest\":\"" SHA_A "\"}",
		       "");
	assert_int_equal(
	    parse(f,
		  "{\"layers\":[],\"a\":[{\"digest\":\"blake3:" HEX_A "\"}]}"),
	    UL_E_CORRUPT);
	assert_string_equal(f->err.msg, "a.0: digest \"blake3:" HEX_A
					"\" is of an unknown algorithm");
}

static void test_manifest__refuses_the_malformed(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} table[] = {
		{ "[]", "no JSON object" },
		{ "{\"config\":7}", "config is no object" },
		{ "{\"config\":{}}", "config has no digest" },
		{ "{\"config\":{\"digest\":null}}", "config has no digest" },
		{ "{\"config\":{\"digest\":7}}", "config: \"\" is no digest" },
		{ "{\"config\":{\"digest\":\"sha256:12\"}}",
		  "config: \"sha256:12\" is no digest" },
		{ "{\"config\":{\"digest\":\"md5:12\"}}",
		  "config: digest \"md5:12\" is of an unknown algorithm" },
		{ "{\"config\":{\"digest\":\"" SHA_A "\"}}",
		  "config has no size" },
		{ "{\"config\":{\"digest\":\"" SHA_A "\",\"size\":-1}}",
		  "config: \"size\" is no length" },
		{ "{\"config\":{\"digest\":\"" SHA_A "\",\"size\":1.0}}",
		  "config: \"size\" is no length" },
		{ "{\"config\":{\"digest\":\"" SHA_A "\",\"size\":\"1\"}}",
		  "config: \"size\" is no length" },
		{ "{\"layers\":{}}", "\"layers\" is no array" },
		{ "{\"manifests\":7}", "\"manifests\" is no array" },
		{ "{\"layers\":[" DESC(SHA_A) ",null]}",
		  "layer 1 is no object" },
		{ "{\"layers\":[],\"subject\":[]}", "subject is no object" },
		{ "{\"manifests\":[{\"digest\":\"" SHA_A
		  "\",\"size\":1,\"urls\":[1]}]}",
		  "manifest 0: \"urls\" is no array of strings" },
		{ "{\"manifests\":[{\"digest\":\"" SHA_A
		  "\",\"size\":1,\"data\":{}}]}",
		  "manifest 0: \"data\" is no string" },
		{ "{\"manifests\":[{\"digest\":\"" SHA_A
		  "\",\"size\":1,\"platform\":\"linux\"}]}",
		  "manifest 0: \"platform\" is no object" },
		{ "{\"manifests\":[{\"digest\":\"" SHA_A
		  "\",\"size\":1,\"annotations\":{\"a\":1}}]}",
		  "manifest 0: \"annotations\" is no object of strings" },
		{ "{\"layers\":[],\"annotations\":{\"a\":{}}}",
		  "manifest: \"annotations\" is no object of strings" },
		{ "{\"layers\":[],\"mediaType\":{}}",
		  "manifest: \"mediaType\" is no string" },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ul_array_len(table); i++) {
		if (parse(f, table[i].text) != UL_E_CORRUPT)
			fail_msg("%s", table[i].text);
		assert_string_equal(f->err.msg, table[i].message);
	}
}

static void assert_media(struct fixture *f, const char *text,
			 const char *declared, int expected)
{
	int rc = parse_bytes(f, text, strlen(text), declared);

	if (expected < 0 && rc == expected)
		return;
	if (rc || f->manifest.media != (enum ul_media)expected)
		fail_msg("%s as %s: %d %s", text, declared ? declared : "-", rc,
			 f->err.msg);
}

#define OWN(type) "\"mediaType\":\"" type "\""

static void test_manifest__is_told_by_type_then_fields(void **state)
{
	struct fixture *f = *state;

	assert_media(f, "{\"layers\":[]," OWN(TYPE_INDEX) "}", TYPE_MANIFEST,
		     UL_MEDIA_INDEX);
	assert_media(f, "{\"manifests\":[]}", TYPE_MANIFEST, UL_MEDIA_MANIFEST);
	assert_media(f, "{\"manifests\":[]}", "x/y", UL_MEDIA_INDEX);
	assert_media(f, "{\"config\":" DESC(SHA_A) "}", NULL,
		     UL_MEDIA_MANIFEST);
	assert_media(f, "{\"manifests\":[]," OWN("x/y") "}", NULL,
		     UL_MEDIA_INDEX);
	assert_media(f,
		     "{\"blobs\":[" DESC(SHA_A) "]," OWN(
			 "application/vnd.oci.artifact.manifest.v1+json") "}",
		     NULL, UL_MEDIA_MANIFEST);
	assert_string_equal(reasons(f), "blobs.0 aa,");
	assert_media(f, "{}", NULL, UL_E_UNSUPPORTED);
	assert_string_equal(f->err.msg, "neither manifest nor index");
	assert_media(f, "{" OWN("x/y") "}", TYPE_CONFIG, UL_E_UNSUPPORTED);
	assert_media(f, "{\"manifests\":null}", NULL, UL_E_UNSUPPORTED);
}

static void test_manifest__refuses_schema_1_however_told(void **state)
{
	struct fixture *f = *state;

	assert_media(f, "{\"schemaVersion\":1,\"fsLayers\":[]}", NULL,
		     UL_E_UNSUPPORTED);
	assert_string_equal(f->err.msg,
			    "Docker schema 1 manifest; pull the image again "
			    "with a current client");
	assert_media(
	    f, "{\"schemaVersion\":1,\"layers\":[]," OWN(TYPE_MANIFEST) "}",
	    TYPE_MANIFEST, UL_E_UNSUPPORTED);
	assert_media(f,
		     "{\"schemaVersion\":2,\"layers\":[]," OWN(
			 TYPE_DOCKER "v1+prettyjws") "}",
		     TYPE_MANIFEST, UL_E_UNSUPPORTED);
	assert_media(f, "{\"layers\":[]}", TYPE_DOCKER "v1+json",
		     UL_E_UNSUPPORTED);
	assert_media(f, "{\"layers\":[]," OWN(TYPE_MANIFEST) "}",
		     TYPE_DOCKER "v1+json", UL_MEDIA_MANIFEST);
}

static int parse_layers(struct fixture *f, size_t count)
{
	struct ul_buf text = UL_BUF_INIT;
	size_t i;
	int rc;

	ul_buf_add_str(&text, "{\"layers\":[");
	for (i = 0; i < count; i++)
		ul_buf_printf(&text, "%s" DESC(SHA_A), i ? "," : "");
	ul_buf_add_str(&text, "]}");
	rc = parse_bytes(f, text.data, text.len, NULL);
	ul_buf_release(&text);
	return rc;
}

static void test_manifest__bounds_the_references(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse_layers(f, UL_MANIFEST_MAX_REFS), 0);
	assert_int_equal(f->manifest.ref_count, UL_MANIFEST_MAX_REFS);
	assert_string_equal(f->manifest.refs[65535].reason, "layer 65535");
	assert_int_equal(parse_layers(f, UL_MANIFEST_MAX_REFS + 1), UL_E_LIMIT);
}

/* A key of two-byte characters behind `start`, on which a descriptor hangs. */
static const char *reason_of_key(struct fixture *f, const char *start)
{
	struct ul_buf text = UL_BUF_INIT;
	int i;

	ul_buf_printf(&text, "{\"layers\":[],\"%s", start);
	for (i = 0; i < 100; i++)
		ul_buf_add_str(&text, "\xc3\xa9");
	ul_buf_add_str(&text, "\":{\"b\":[" DESC(SHA_A) "]}}");
	assert_int_equal(parse_bytes(f, text.data, text.len, NULL), 0);
	ul_buf_release(&text);
	return f->manifest.refs[0].reason;
}

static void test_manifest__cuts_lengthy_reasons(void **state)
{
	struct fixture *f = *state;
	const char *reason = reason_of_key(f, "a");

	assert_int_equal(strlen(reason), UL_REASON_MAX_BYTES);
	assert_string_equal(reason + UL_REASON_MAX_BYTES - 2, "\xc3\xa9");
	/* Never within a character; what follows may still find room. */
	reason = reason_of_key(f, "");
	assert_int_equal(strlen(reason), UL_REASON_MAX_BYTES);
	assert_string_equal(reason + UL_REASON_MAX_BYTES - 3, "\xc3\xa9.");
}

static void test_manifest__keeps_reasons_on_one_line(void **state)
{
	assert_reasons(*state, "{\"layers\":[],\"c\\n\":[" DESC(SHA_B) "]}",
		       "c?.0 bb,");
}

static void test_manifest__refuses_every_prefix(void **state)
{
	struct fixture *f = *state;
	size_t len;

	for (len = 0; len < sizeof MANIFEST - 1; len++)
		assert_int_equal(parse_bytes(f, MANIFEST, len, NULL),
				 UL_E_CORRUPT);
	assert_int_equal(parse_bytes(f, MANIFEST, len, NULL), 0);
}

/* Whatever a byte becomes, a digest that was not touched stays referenced
 * where the document is taken at all. */
static void test_manifest__survives_every_single_byte_change(void **state)
{
	static const char text[] =
	    "{\"schemaVersion\":2," CONFIG_A ",\"x\":[" DESC(SHA_B) "]}";
	struct fixture *f = *state;
	char changed[sizeof text];
	size_t i;
	int byte, rc;

	for (i = 0; i < sizeof text - 1; i++) {
		memcpy(changed, text, sizeof text);
		for (byte = 0; byte < 256; byte++) {
			changed[i] = (char)byte;
			rc = parse_bytes(f, changed, sizeof text - 1, NULL);
			assert_true(!rc || rc == UL_E_CORRUPT ||
				    rc == UL_E_UNSUPPORTED);
			if (!rc)
				assert_in_range(f->manifest.ref_count, 1, 2);
		}
		ul_arena_release(&f->arena);
	}
}

static void test_manifest__survives_every_allocation_failure(void **state)
{
	static const char text[] =
	    "{\"mediaType\":\"" TYPE_MANIFEST "\"," CONFIG_A
	    ",\"layers\":[{\"digest\":\"" SHA_B "\",\"size\":1,\"platform\":"
	    "{\"os\":\"a\"},\"annotations\":{\"b\":\"c\"}}],\"d\":[" DESC(
		SHA_C) "],\"annotations\":{\"e\":\"f\"}}";
	struct fixture *f = *state;
	long n;
	int rc;

	for (n = 0;; n++) {
		ul_mem_countdown = n;
		rc = parse_bytes(f, text, sizeof text - 1, NULL);
		ul_mem_countdown = -1;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		ul_arena_release(&f->arena);
	}
	assert_true(n > 40);
	assert_string_equal(reasons(f), "config aa,layer 0 bb,d.0 cc,");
}

static void digest_fill(struct ul_digest *digest, uint8_t byte)
{
	digest->alg = UL_DIGEST_SHA256;
	memset(digest->bytes, byte, 32);
}

static void test_manifest__makes_the_same_bytes_each_time(void **state)
{
	struct fixture *f = *state;
	struct ul_descriptor config = { .media_type = TYPE_CONFIG,
					.size_bytes = 1 };
	struct ul_descriptor layer = { .media_type = TYPE_LAYER,
				       .size_bytes = 2 };
	struct ul_buf json = UL_BUF_INIT;
	long n;

	digest_fill(&config.digest, 0xaa);
	digest_fill(&layer.digest, 0xbb);
	for (n = 0;; n++) {
		ul_mem_countdown = n;
		if (!ul_manifest_make(&config, &layer, 1, &json, &f->err))
			break;
		assert_int_equal(f->err.code, UL_E_NOMEM);
		assert_int_equal(json.len, 0);
		ul_buf_release(&json);
	}
	ul_mem_countdown = -1;
	assert_true(n > 20);
	assert_string_equal(json.data, MANIFEST);
	assert_int_equal(parse_bytes(f, json.data, json.len, NULL), 0);
	assert_string_equal(reasons(f), "config aa,layer 0 bb,");
	ul_buf_release(&json);
	config.media_type = "\xff";
	assert_int_equal(ul_manifest_make(&config, &layer, 1, &json, &f->err),
			 UL_E_INVALID);
	assert_string_equal(f->err.msg, "\"?\" is not UTF-8");
	assert_int_equal(json.len, 0);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(test_manifest__reads_all_of_a_descriptor),
		UNIT(test_manifest__points_to_its_config),
		UNIT(test_manifest__takes_all_that_looks_like_a_descriptor),
		UNIT(test_manifest__guesses_without_size_and_types),
		UNIT(test_manifest__refuses_the_malformed),
		UNIT(test_manifest__is_told_by_type_then_fields),
		UNIT(test_manifest__refuses_schema_1_however_told),
		UNIT(test_manifest__bounds_the_references),
		UNIT(test_manifest__cuts_lengthy_reasons),
		UNIT(test_manifest__keeps_reasons_on_one_line),
		UNIT(test_manifest__refuses_every_prefix),
		UNIT(test_manifest__survives_every_single_byte_change),
		UNIT(test_manifest__survives_every_allocation_failure),
		UNIT(test_manifest__makes_the_same_bytes_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
