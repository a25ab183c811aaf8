#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "fuzz.h"
#include "store/limits.h"
#include "store/oci/manifest.h"

static void check_ref(const struct ul_manifest_ref *ref)
{
	const struct ul_descriptor *descriptor = &ref->descriptor;

	assert(ul_digest_size(descriptor->digest.alg));
	assert(ref->reason && strlen(ref->reason) <= UL_REASON_MAX_BYTES);
	assert(!ref->is_subject || !strcmp(ref->reason, "subject"));
	assert(descriptor->size_bytes <= INT64_MAX);
	assert(!descriptor->is_size_unknown || !descriptor->size_bytes);
}

static void check(const struct ul_manifest *manifest)
{
	size_t i;

	assert(manifest->media == UL_MEDIA_MANIFEST ||
	       manifest->media == UL_MEDIA_INDEX);
	assert(manifest->ref_count <= UL_MANIFEST_MAX_REFS);
	for (i = 0; i < manifest->ref_count; i++)
		check_ref(&manifest->refs[i]);
	if (manifest->config) {
		assert(manifest->config >= manifest->refs);
		assert(manifest->config < manifest->refs + manifest->ref_count);
		assert(!strcmp(manifest->config->reason, "config"));
	}
}

static int parse(const uint8_t *data, size_t size, struct ul_arena *arena,
		 struct ul_manifest *ret)
{
	struct ul_err err = UL_ERR_INIT;
	int rc =
	    ul_manifest_parse((const char *)data, size, NULL, arena, ret, &err);

	assert(rc == err.code);
	assert(!rc || !strpbrk(err.msg, "\n\033"));
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ul_arena arena = UL_ARENA_INIT;
	struct ul_manifest manifest, again;
	int rc = parse(data, size, &arena, &manifest), rc_again;

	if (!rc)
		check(&manifest);
	/* One allocation fails: then either nothing or the same comes out. */
	ul_mem_countdown = (long)(size % 64);
	rc_again = parse(data, size, &arena, &again);
	ul_mem_countdown = -1;
	assert(rc_again == UL_E_NOMEM || rc_again == rc);
	if (!rc_again)
		assert(again.ref_count == manifest.ref_count);
	ul_arena_release(&arena);
	return 0;
}
