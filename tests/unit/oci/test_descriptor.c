#include "store/oci/descriptor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_descriptor__tells_media_types_apart(void **state)
{
	static const struct {
		const char *type;
		enum ul_media media;
	} table[] = {
		{ NULL, UL_MEDIA_OTHER },
		{ "", UL_MEDIA_OTHER },
		{ ";", UL_MEDIA_OTHER },
		{ "application/json", UL_MEDIA_OTHER },
		{ "application/vnd.in-toto+json", UL_MEDIA_OTHER },
		{ "application/vnd.oci.empty.v1+json", UL_MEDIA_OTHER },
		{ "application/vnd.oci.image.manifest.v1+jso", UL_MEDIA_OTHER },
		{ "application/vnd.oci.image.manifest.v1+jsonx",
		  UL_MEDIA_OTHER },
		{ "application/vnd.oci.image.manifest.v1+json",
		  UL_MEDIA_MANIFEST },
		{ "Application/vnd.OCI.image.manifest.v1+json ; charset=utf-8",
		  UL_MEDIA_MANIFEST },
		{ "application/vnd.docker.distribution.manifest.v2+json",
		  UL_MEDIA_MANIFEST },
		{ "application/vnd.oci.artifact.manifest.v1+json",
		  UL_MEDIA_MANIFEST },
		{ "application/vnd.oci.image.index.v1+json", UL_MEDIA_INDEX },
		{ "application/vnd.docker.distribution.manifest.list.v2+json",
		  UL_MEDIA_INDEX },
		{ "application/vnd.docker.distribution.manifest.v1+json",
		  UL_MEDIA_SCHEMA1 },
		{ "application/vnd.docker.distribution.manifest.v1+prettyjws",
		  UL_MEDIA_SCHEMA1 },
		{ "application/vnd.oci.image.config.v1+json", UL_MEDIA_CONFIG },
		{ "application/vnd.docker.container.image.v1+json",
		  UL_MEDIA_CONFIG },
		{ "application/vnd.oci.image.layer.v1.tar", UL_MEDIA_LAYER },
		{ "application/vnd.oci.image.layer.v1.tar+zstd",
		  UL_MEDIA_LAYER },
		{ "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
		  UL_MEDIA_OTHER },
		{ "application/vnd.oci.image.layer.nondistributable.v1.tar",
		  UL_MEDIA_LAYER },
		{ "application/vnd.docker.image.rootfs.diff.tar.gzip",
		  UL_MEDIA_LAYER },
		{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
		  UL_MEDIA_LAYER },
		{ "application/vnd.buildkit.cacheconfig.v0",
		  UL_MEDIA_CACHE_CONFIG },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(table); i++) {
		if (ul_media_of(table[i].type) != table[i].media)
			fail_msg("%s", table[i].type);
	}
}

static void test_descriptor__writes_platforms_as_people_do(void **state)
{
	static const struct {
		struct ul_platform platform;
		const char *text;
	} table[] = {
		{ { NULL, NULL, NULL, NULL }, "unknown" },
		{ { "unknown", "unknown", NULL, NULL }, "unknown" },
		{ { "", "", "", "" }, "unknown" },
		{ { "linux", "amd64", NULL, NULL }, "linux/amd64" },
		{ { "linux", "arm64", "v8", NULL }, "linux/arm64/v8" },
		{ { "linux", NULL, NULL, NULL }, "linux/unknown" },
		{ { "windows", "amd64", "", "10.0.17763.1" }, "windows/amd64" },
	};
	char text[UL_PLATFORM_TEXT_MAX];
	char lengthy[500] = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(table); i++) {
		ul_platform_format(&table[i].platform, text);
		assert_string_equal(text, table[i].text);
	}
	memset(lengthy, 'x', sizeof lengthy - 1);
	ul_platform_format(&(struct ul_platform){ .os = lengthy }, text);
	assert_int_equal(strlen(text), UL_PLATFORM_TEXT_MAX - 1);
}

static void test_descriptor__finds_annotations(void **state)
{
	struct ul_annotation annotations[] = { { "a", "1" }, { "b", "2" } };
	struct ul_descriptor descriptor = { .annotations = annotations,
					    .annotation_count = 2 };

	(void)state;
	assert_string_equal(ul_descriptor_annotation(&descriptor, "b"), "2");
	assert_null(ul_descriptor_annotation(&descriptor, "c"));
	descriptor.annotation_count = 0;
	assert_null(ul_descriptor_annotation(&descriptor, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptor__tells_media_types_apart),
		cmocka_unit_test(
		    test_descriptor__writes_platforms_as_people_do),
		cmocka_unit_test(test_descriptor__finds_annotations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
