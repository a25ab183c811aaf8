#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "fuzz.h"
#include "store/limits.h"
#include "store/transfer/docker_archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf json = UL_BUF_INIT;
	struct ul_docker_image *images = NULL;
	struct ul_err err = UL_ERR_INIT;
	size_t i, n, count = 0;
	bool ok = ul_buf_add(&json, data, size);

	assert(ok);
	if (ul_docker_archive_parse(&json, &arena, &images, &count, &err)) {
		assert(err.code && *err.msg && !images);
		return 0;
	}
	for (i = 0; i < count; i++) {
		assert(images[i].config);
		assert(images[i].layer_count <= UL_IMAGE_MAX_LAYERS);
		for (n = 0; n < images[i].layer_count; n++)
			assert(memchr(images[i].layers[n], '\0', size + 1));
		for (n = 0; n < images[i].tag_count; n++)
			assert(images[i].tags[n]);
	}
	return 0;
}
