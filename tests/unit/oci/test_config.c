#include "store/oci/config.h"

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

static const char whole[] =
    "{\"architecture\":\"arm64\",\"variant\":\"v8\",\"os\":\"linux\","
    "\"os.version\":\"1.2\",\"created\":\"2026-11-23T08:40:22.14447087Z\","
    "\"config\":{\"Env\":[\"A=b\"],\"Labels\":{\"keep\":\"yes\","
    "\"empty\":\"\"}},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":"
    "[\"" SHA_A "\",\"" SHA_B "\"]},\"history\":[{\"digest\":7}]}";

static int parse(const char *text, struct ul_arena *arena,
		 struct ul_image_config *ret, struct ul_err *err)
{
	size_t len = strlen(text);
	char *exact = malloc(len ? len : 1);
	int rc;

	/* The parser gets a block that ends where the text does. */
	memcpy(exact, text, len);
	rc = ul_image_config_parse(exact, len, arena, ret, err);
	free(exact);
	assert_int_equal(rc, err->code);
	return rc;
}

static void test_config__reads_all_that_we_use(void **state)
{
	struct ul_arena arena = UL_ARENA_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_image_config config;

	(void)state;
	assert_int_equal(parse(whole, &arena, &config, &err), 0);
	assert_string_equal(config.platform.os, "linux");
	assert_string_equal(config.platform.architecture, "arm64");
	assert_string_equal(config.platform.variant, "v8");
	assert_string_equal(config.platform.os_version, "1.2");
	assert_int_equal(config.created_unix_s, 1795423222);
	assert_int_equal(config.diff_id_count, 2);
	assert_int_equal(config.diff_ids[0].bytes[0], 0xaa);
	assert_int_equal(config.diff_ids[1].bytes[31], 0xbb);
	assert_int_equal(config.label_count, 2);
	assert_string_equal(config.labels[0].key, "keep");
	assert_string_equal(config.labels[0].value, "yes");
	assert_string_equal(config.labels[1].value, "");
	ul_arena_release(&arena);
}

static void test_config__takes_absent_and_null_alike(void **state)
{
	static const char *const good[] = {
		"{}",
		"{\"config\":null,\"rootfs\":null,\"os\":null}",
		"{\"config\":{\"Labels\":null},\"rootfs\":{\"diff_ids\":null}}",
		"{\"rootfs\":{\"type\":\"layers\"},\"created\":\"yesterday\"}",
		"{\"created\":12,\"rootfs\":{\"diff_ids\":[]}}",
	};
	struct ul_arena arena = UL_ARENA_INIT;
	struct ul_image_config config;
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(good); i++) {
		struct ul_err err = UL_ERR_INIT;

		if (parse(good[i], &arena, &config, &err))
			fail_msg("%s: %s", good[i], err.msg);
		assert_int_equal(config.diff_id_count, 0);
		assert_int_equal(config.label_count, 0);
		assert_int_equal(config.created_unix_s, 0);
		assert_null(config.platform.os);
	}
	ul_arena_release(&arena);
}

static void test_config__refuses_the_malformed(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{\"os\":1}",
		"{\"architecture\":{}}",
		"{\"config\":[]}",
		"{\"config\":{\"Labels\":[]}}",
		"{\"config\":{\"Labels\":{\"a\":1}}}",
		"{\"rootfs\":[]}",
		"{\"rootfs\":{\"diff_ids\":{}}}",
		"{\"rootfs\":{\"diff_ids\":[7]}}",
		"{\"rootfs\":{\"diff_ids\":[null]}}",
		"{\"rootfs\":{\"diff_ids\":[\"" HEX_A "\"]}}",
		"{\"rootfs\":{\"diff_ids\":[\"sha256:AA" HEX_A "\"]}}",
		"{\"rootfs\":{\"diff_ids\":[\"md5:" HEX_A "\"]}}",
	};
	struct ul_arena arena = UL_ARENA_INIT;
	struct ul_image_config config = { .diff_id_count = 99 };
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(bad); i++) {
		struct ul_err err = UL_ERR_INIT;

		if (parse(bad[i], &arena, &config, &err) != UL_E_CORRUPT)
			fail_msg("%s", bad[i]);
		assert_int_equal(config.diff_id_count, 99);
	}
	ul_arena_release(&arena);
}

static int parse_layers(size_t count)
{
	struct ul_arena arena = UL_ARENA_INIT;
	struct ul_buf text = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_image_config config;
	size_t i;
	int rc;

	ul_buf_add_str(&text, "{\"rootfs\":{\"diff_ids\":[");
	for (i = 0; i < count; i++)
		ul_buf_printf(&text, "%s\"" SHA_A "\"", i ? "," : "");
	ul_buf_add_str(&text, "]}}");
	rc = parse(text.data, &arena, &config, &err);
	ul_buf_release(&text);
	ul_arena_release(&arena);
	return rc;
}

static void test_config__bounds_the_layers(void **state)
{
	(void)state;
	assert_int_equal(parse_layers(UL_IMAGE_MAX_LAYERS), 0);
	assert_int_equal(parse_layers(UL_IMAGE_MAX_LAYERS + 1), UL_E_LIMIT);
}

/* Independently: printf 'sha256:aa... sha256:bb...' | sha256sum. */
static void test_config__chains_diff_ids(void **state)
{
	struct ul_arena arena = UL_ARENA_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_image_config config;
	struct ul_digest chain;
	char text[UL_DIGEST_TEXT_MAX];

	(void)state;
	assert_int_equal(parse(whole, &arena, &config, &err), 0);
	chain = ul_image_config_chain(&config, 0);
	assert_int_equal(chain.alg, UL_DIGEST_NONE);
	chain = ul_image_config_chain(&config, 1);
	assert_true(ul_digest_equal(&chain, &config.diff_ids[0]));
	chain = ul_image_config_chain(&config, 2);
	ul_digest_format(&chain, text);
	assert_string_equal(
	    text,
	    "sha256:"
	    "ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c");
	ul_arena_release(&arena);
}

static void test_config__refuses_every_prefix(void **state)
{
	struct ul_arena arena = UL_ARENA_INIT;
	struct ul_image_config config;
	size_t len;

	(void)state;
	for (len = 0; len < sizeof whole - 1; len++) {
		struct ul_err err = UL_ERR_INIT;
		char *cut = ul_strndup(whole, len);

		assert_int_equal(parse(cut, &arena, &config, &err),
				 UL_E_CORRUPT);
		free(cut);
	}
	ul_arena_release(&arena);
}

static void test_config__survives_every_allocation_failure(void **state)
{
	struct ul_image_config config = { .label_count = 99 };
	long n;

	(void)state;
	for (n = 0;; n++) {
		struct ul_arena arena = UL_ARENA_INIT;
		struct ul_err err = UL_ERR_INIT;
		int rc;

		ul_mem_countdown = n;
		rc = parse(whole, &arena, &config, &err);
		ul_mem_countdown = -1;
		if (!rc)
			assert_int_equal(config.label_count, 2);
		ul_arena_release(&arena);
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_int_equal(config.label_count, 99);
	}
	assert_true(n > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config__reads_all_that_we_use),
		cmocka_unit_test(test_config__takes_absent_and_null_alike),
		cmocka_unit_test(test_config__refuses_the_malformed),
		cmocka_unit_test(test_config__bounds_the_layers),
		cmocka_unit_test(test_config__chains_diff_ids),
		cmocka_unit_test(test_config__refuses_every_prefix),
		cmocka_unit_test(
		    test_config__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
