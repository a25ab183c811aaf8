/* Documents that skopeo, buildx and docker wrote, read from disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/limits.h"
#include "store/oci/cache_config.h"
#include "store/oci/config.h"
#include "store/oci/layout.h"
#include "store/oci/manifest.h"

extern char **environ;

static char folder[] = "/tmp/ullage-samples-XXXXXX";

static int run(const char *const argv[])
{
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv,
			 environ))
		return -1;
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int unpack(const char *archive, const char *into)
{
	const char *const zstd[] = { "tar", "--zstd", "-xf", archive,
				     "-C",  into,     NULL };
	const char *const plain[] = { "tar", "-xf", archive, "-C", into, NULL };

	return run(strstr(archive, ".zst") ? zstd : plain);
}

static int setup(void **state)
{
	static const char *const archives[] = { "buildx-zstd",
						"docker-save-three-images" };
	size_t i;

	(void)state;
	if (!mkdtemp(folder) || unpack(UL_TEST_SAMPLES, folder))
		return -1;
	for (i = 0; i < ul_array_len(archives); i++) {
		char archive[200], into[200];

		snprintf(archive, sizeof archive, "%s/%s.tar", folder,
			 archives[i]);
		snprintf(into, sizeof into, "%s/%s", folder, archives[i]);
		if (mkdir(into, 0700) || unpack(archive, into))
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	const char *const argv[] = { "rm", "-rf", folder, NULL };

	(void)state;
	return run(argv);
}

struct counts {
	int entries, indexes, manifests, configs, diff_ids, cache_configs;
	int cache_layers, layers, others;
};

struct walk {
	const char *layout;
	struct ul_arena arena;
	struct counts counts;
};

static void read_file(struct walk *walk, const char *name, struct ul_buf *ret)
{
	struct ul_err err = UL_ERR_INIT;
	char path[400];

	snprintf(path, sizeof path, "%s/%s/%s", folder, walk->layout, name);
	if (ul_file_read(AT_FDCWD, path, UL_MANIFEST_MAX_BYTES, ret, &err))
		fail_msg("%s: %s", path, err.msg);
}

static void read_blob(struct walk *walk, const struct ul_descriptor *descriptor,
		      struct ul_buf *ret)
{
	char hex[UL_DIGEST_HEX_MAX + 1], name[200];

	ul_digest_format_hex(&descriptor->digest, hex);
	snprintf(name, sizeof name, "blobs/sha256/%s", hex);
	read_file(walk, name, ret);
	assert_int_equal(ret->len, descriptor->size_bytes);
}

static void walk_to(struct walk *walk, const struct ul_descriptor *descriptor);

static void walk_manifest(struct walk *walk,
			  const struct ul_descriptor *descriptor)
{
	struct ul_buf text = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_manifest manifest;
	size_t i;

	read_blob(walk, descriptor, &text);
	if (ul_manifest_parse(text.data, text.len, descriptor->media_type,
			      &walk->arena, &manifest, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(manifest.media, ul_media_of(descriptor->media_type));
	for (i = 0; i < manifest.ref_count; i++)
		walk_to(walk, &manifest.refs[i].descriptor);
	ul_buf_release(&text);
}

static void walk_config(struct walk *walk,
			const struct ul_descriptor *descriptor)
{
	struct ul_buf text = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_image_config config;

	read_blob(walk, descriptor, &text);
	if (ul_image_config_parse(text.data, text.len, &walk->arena, &config,
				  &err))
		fail_msg("%s", err.msg);
	assert_non_null(config.platform.os);
	assert_non_null(config.platform.architecture);
	walk->counts.diff_ids += (int)config.diff_id_count;
	ul_buf_release(&text);
}

static void walk_cache_config(struct walk *walk,
			      const struct ul_descriptor *descriptor)
{
	struct ul_buf text = UL_BUF_INIT, blob = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_cache_config config;
	size_t i;

	read_blob(walk, descriptor, &text);
	if (ul_cache_config_parse(text.data, text.len, &walk->arena, &config,
				  &err))
		fail_msg("%s", err.msg);
	for (i = 0; i < config.ref_count; i++) {
		char hex[UL_DIGEST_HEX_MAX + 1], name[200];

		assert_true(config.refs[i].descriptor.is_size_unknown);
		ul_digest_format_hex(&config.refs[i].descriptor.digest, hex);
		snprintf(name, sizeof name, "blobs/sha256/%s", hex);
		ul_buf_reset(&blob);
		read_file(walk, name, &blob);
	}
	walk->counts.cache_layers += (int)config.ref_count;
	ul_buf_release(&text);
	ul_buf_release(&blob);
}

static void walk_to(struct walk *walk, const struct ul_descriptor *descriptor)
{
	switch (ul_media_of(descriptor->media_type)) {
	case UL_MEDIA_INDEX:
		walk->counts.indexes++;
		walk_manifest(walk, descriptor);
		break;
	case UL_MEDIA_MANIFEST:
		walk->counts.manifests++;
		walk_manifest(walk, descriptor);
		break;
	case UL_MEDIA_CONFIG:
		walk->counts.configs++;
		walk_config(walk, descriptor);
		break;
	case UL_MEDIA_CACHE_CONFIG:
		walk->counts.cache_configs++;
		walk_cache_config(walk, descriptor);
		break;
	case UL_MEDIA_LAYER:
		walk->counts.layers++;
		break;
	default:
		walk->counts.others++;
		break;
	}
}

static void refuse_prefixes(const struct ul_buf *text)
{
	struct ul_layout_index *index = NULL;
	struct ul_err err;
	size_t len;

	for (len = 0; len < text->len; len++) {
		char *cut = malloc(len ? len : 1);

		memcpy(cut, text->data, len);
		assert_int_equal(ul_layout_index_parse(cut, len, &index, &err),
				 UL_E_CORRUPT);
		free(cut);
	}
}

static void walk_layout(const char *layout, const char *names,
			const struct counts *expected)
{
	struct walk walk = { .layout = layout };
	struct ul_buf text = UL_BUF_INIT, json = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_layout_index *index = NULL;
	size_t i;

	read_file(&walk, "index.json", &text);
	refuse_prefixes(&text);
	assert_int_equal(
	    ul_layout_index_parse(text.data, text.len, &index, &err), 0);
	for (i = 0; i < ul_layout_index_count(index); i++) {
		const struct ul_layout_entry *entry =
		    ul_layout_index_entry(index, i);

		walk.counts.entries++;
		ul_buf_printf(&json, "%s ", entry->name ? entry->name : "-");
		walk_to(&walk, &entry->descriptor);
	}
	assert_string_equal(json.data, names);
	assert_memory_equal(&walk.counts, expected, sizeof *expected);
	ul_buf_reset(&json);
	assert_int_equal(ul_layout_index_dump(index, &json, &err), 0);
	assert_string_equal(json.data, text.data);
	ul_layout_index_free(index);
	ul_buf_release(&text);
	ul_buf_release(&json);
	ul_arena_release(&walk.arena);
}

static void test_samples__reads_what_skopeo_wrote(void **state)
{
	(void)state;
	walk_layout("skopeo-layout", "zst app ",
		    &(struct counts){ .entries = 2,
				      .manifests = 2,
				      .configs = 2,
				      .diff_ids = 8,
				      .layers = 8 });
}

static void test_samples__reads_a_buildkit_cache(void **state)
{
	(void)state;
	walk_layout("buildx-local-cache", "latest ",
		    &(struct counts){ .entries = 1,
				      .manifests = 1,
				      .cache_configs = 1,
				      .cache_layers = 5,
				      .layers = 5 });
}

static void test_samples__reads_platforms_and_attestations(void **state)
{
	(void)state;
	walk_layout("buildx-multi-attested", "latest ",
		    &(struct counts){ .entries = 1,
				      .indexes = 1,
				      .manifests = 4,
				      .configs = 4,
				      .diff_ids = 4,
				      .layers = 2,
				      .others = 2 });
}

static void test_samples__reads_what_buildx_wrote(void **state)
{
	(void)state;
	walk_layout("buildx-zstd", "- ",
		    &(struct counts){ .entries = 1,
				      .manifests = 1,
				      .configs = 1,
				      .diff_ids = 5,
				      .layers = 5 });
}

static void test_samples__reads_what_docker_saved(void **state)
{
	(void)state;
	walk_layout("docker-save-three-images",
		    "docker.io/library/app:1 docker.io/library/app:2 "
		    "docker.io/library/base:1 ",
		    &(struct counts){ .entries = 3,
				      .indexes = 3,
				      .manifests = 6,
				      .configs = 6,
				      .diff_ids = 12,
				      .layers = 9,
				      .others = 3 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples__reads_what_skopeo_wrote),
		cmocka_unit_test(test_samples__reads_a_buildkit_cache),
		cmocka_unit_test(
		    test_samples__reads_platforms_and_attestations),
		cmocka_unit_test(test_samples__reads_what_buildx_wrote),
		cmocka_unit_test(test_samples__reads_what_docker_saved),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
