/* mountinfo, as the kernel writes it and as it does not. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "fuzz.h"
#include "store/embedded/mounts.h"

static void check(const struct ul_mounts *mounts)
{
	size_t i;

	for (i = 0; i < mounts->word_count; i++) {
		assert(mounts->words[i].path);
		assert(mounts->words[i].kind <= UL_MOUNT_LAYER);
	}
	for (i = 0; i < mounts->own_count; i++)
		assert(mounts->own[i].root && mounts->own[i].point);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_cleanup(ul_mounts_release) struct ul_mounts mounts = UL_MOUNTS_INIT;
	struct ul_err err = UL_ERR_INIT;
	char *text = malloc(size + 1);
	int rc;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	rc = ul_mounts_add(&mounts, text, true, &err);
	assert(!rc);
	check(&mounts);
	rc = ul_mounts_add(&mounts, text, false, &err);
	assert(!rc);
	check(&mounts);
	free(text);
	return 0;
}
