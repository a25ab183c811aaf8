#include <assert.h>

#include "base/arena.h"
#include "base/err.h"
#include "fuzz.h"
#include "store/limits.h"
#include "store/oci/config.h"

static void check(const struct ul_image_config *config)
{
	char text[UL_PLATFORM_TEXT_MAX];
	struct ul_digest chain;
	size_t i;

	assert(config->diff_id_count <= UL_IMAGE_MAX_LAYERS);
	for (i = 0; i < config->diff_id_count; i++)
		assert(ul_digest_size(config->diff_ids[i].alg));
	for (i = 0; i < config->label_count; i++)
		assert(config->labels[i].key && config->labels[i].value);
	chain = ul_image_config_chain(config, config->diff_id_count);
	assert((chain.alg == UL_DIGEST_NONE) == !config->diff_id_count);
	ul_platform_format(&config->platform, text);
	assert(*text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ul_arena arena = UL_ARENA_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_image_config config;

	if (!ul_image_config_parse((const char *)data, size, &arena, &config,
				   &err))
		check(&config);
	else
		assert(err.code < 0 && *err.msg);
	ul_arena_release(&arena);
	return 0;
}
