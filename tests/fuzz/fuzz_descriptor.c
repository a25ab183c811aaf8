/* A descriptor on its own: as one of a known place, and as a guess. */
#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "fuzz.h"
#include "store/limits.h"
#include "store/oci/descriptor_json.h"
#include "store/oci/json.h"

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_annotations(const struct ul_descriptor *a,
			     const struct ul_descriptor *b)
{
	size_t i;

	if (a->annotation_count != b->annotation_count)
		return false;
	for (i = 0; i < a->annotation_count; i++) {
		const struct ul_annotation *one = &a->annotations[i];
		const char *other = ul_descriptor_annotation(b, one->key);

		if (!other || strcmp(one->value, other) != 0)
			return false;
	}
	return true;
}

static void assert_same(const struct ul_descriptor *a,
			const struct ul_descriptor *b)
{
	assert(ul_digest_equal(&a->digest, &b->digest));
	assert(a->size_bytes == b->size_bytes);
	assert(a->is_size_unknown == b->is_size_unknown);
	assert(same_text(a->media_type, b->media_type));
	assert(same_text(a->artifact_type, b->artifact_type));
	assert(same_text(a->platform.os, b->platform.os));
	assert(same_text(a->platform.architecture, b->platform.architecture));
	assert(same_text(a->platform.variant, b->platform.variant));
	assert(same_text(a->platform.os_version, b->platform.os_version));
	assert(same_annotations(a, b));
}

/* What is written is read back as the same; links are not written. */
static void assert_reads_back(const struct ul_descriptor *descriptor,
			      struct ul_arena *arena)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	char platform[UL_PLATFORM_TEXT_MAX];
	struct ul_descriptor again;
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_descriptor_write(descriptor, &json, &err);

	assert(!rc);
	if (descriptor->is_size_unknown)
		rc = ul_descriptor_guess(json, "it", arena, &again, &err) - 1;
	else
		rc = ul_descriptor_read(json, "it", arena, &again, &err);
	assert(!rc);
	assert_same(descriptor, &again);
	ul_platform_format(&descriptor->platform, platform);
	assert(*platform && strlen(platform) < sizeof platform);
	(void)ul_media_of(descriptor->media_type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	struct ul_descriptor known, guessed;
	struct ul_err err = UL_ERR_INIT, why = UL_ERR_INIT;
	int rc, rc_guess;

	if (ul_json_parse((const char *)data, size, UL_JSON_MAX_DEPTH, &json,
			  &err))
		return 0;
	rc = ul_descriptor_read(json, "it", &arena, &known, &err);
	rc_guess = ul_descriptor_guess(json, "it", &arena, &guessed, &why);
	assert(rc == err.code && !strpbrk(err.msg, "\n\033"));
	if (!rc)
		assert_reads_back(&known, &arena);
	if (rc_guess > 0)
		assert_reads_back(&guessed, &arena);
	/* Whatever is a descriptor looks like one, and the same. */
	assert(rc || rc_guess == 1);
	if (!rc)
		assert_same(&known, &guessed);
	return 0;
}
