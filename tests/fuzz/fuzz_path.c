/* Paths of layers and of image archives, folder names of snapshots. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "fuzz.h"
#include "store/embedded/snapshot_dir.h"
#include "store/transfer/layer.h"
#include "store/transfer/layer_path.h"
#include "store/transfer/source_tar.h"

/* Relative, and no step in it is empty, "." or "..". */
static void assert_clean(const char *path)
{
	const char *step = path;
	size_t len;

	while (*path) {
		len = strcspn(step, "/");
		assert(len > 0);
		assert(len != 1 || step[0] != '.');
		assert(len != 2 || step[0] != '.' || step[1] != '.');
		if (!step[len])
			break;
		step += len + 1;
	}
}

static void check_layer(const char *raw)
{
	const struct ul_layer_limits limits = UL_LAYER_LIMITS_INIT;
	char clean[UL_LAYER_PATH_SIZE], again[UL_LAYER_PATH_SIZE];
	struct ul_err err = UL_ERR_INIT;

	if (ul_layer_path_clean(raw, &limits, clean, &err)) {
		assert(err.code == UL_E_CORRUPT || err.code == UL_E_LIMIT);
		return;
	}
	assert_clean(clean);
	/* "" is the root, which only "." and its like may write. */
	if (!*clean || ul_layer_path_clean(clean, &limits, again, &err))
		assert(!*clean);
	else
		assert(!strcmp(clean, again));
}

static void check_archive(const char *base, const char *raw, bool is_link)
{
	char clean[UL_LAYER_PATH_MAX_BYTES + 1];

	if (!ul_source_path_clean(base, raw, is_link, clean))
		assert_clean(clean);
}

static void check_snapshot(const char *text)
{
	char dir[UL_SNAPSHOT_DIR_MAX], key[UL_SNAPSHOT_DIR_MAX];
	char again[UL_SNAPSHOT_DIR_MAX];
	bool is_unpacked;
	int i;

	for (i = 0; i < 2; i++) {
		if (!ul_snapshot_dir_name(text, i, dir))
			continue;
		assert(*dir && !strpbrk(dir, "/:,") && dir[0] != '.');
		assert(ul_snapshot_dir_parse(dir, key, &is_unpacked));
		assert(is_unpacked == (i == 1) && !strcmp(key, text));
	}
	if (!ul_snapshot_dir_parse(text, key, &is_unpacked))
		return;
	assert(ul_snapshot_dir_name(key, is_unpacked, again));
	assert(!strcmp(again, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char clean[UL_LAYER_PATH_MAX_BYTES + 1];
	const char *second;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	/* A second path behind a NUL is the target of a link in the first. */
	second = strlen(text) < size ? text + strlen(text) + 1 : text;
	check_layer(text);
	check_archive("", text, false);
	check_archive("", text, true);
	if (!ul_source_path_clean("", text, false, clean))
		check_archive(clean, second, true);
	check_snapshot(text);
	free(text);
	return 0;
}
