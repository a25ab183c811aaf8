/* Input: a name, a NUL byte, a pattern (the name itself where there is none).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "fuzz.h"
#include "store/oci/reference.h"

static void check_forms(const char *name)
{
	char whole[UL_NAME_MAX_BYTES], again[UL_NAME_MAX_BYTES];
	char familiar[UL_NAME_MAX_BYTES], repository[UL_NAME_MAX_BYTES];
	bool fits = ul_reference_normalize(name, whole);

	ul_reference_familiar(name, familiar);
	ul_reference_repository(name, repository);
	if (!ul_reference_is_valid(name)) {
		assert(fits == !strcmp(name, whole));
		return;
	}
	assert(fits && ul_reference_is_valid(whole));
	assert(ul_reference_normalize(whole, again) && !strcmp(whole, again));
	assert(ul_reference_normalize(familiar, again) &&
	       !strcmp(whole, again));
	assert(!strncmp(whole, repository, strlen(repository)));
	assert(ul_reference_selects(name, whole));
	assert(ul_reference_selects(familiar, whole));
	assert(ul_reference_matches(repository, whole));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *name = malloc(size + 1), *pattern;
	struct ul_digest subject;

	if (!name)
		abort();
	memcpy(name, data, size);
	name[size] = '\0';
	pattern = strlen(name) < size ? name + strlen(name) + 1 : name;
	check_forms(name);
	if (!ul_reference_pattern_is_valid(pattern))
		assert(!ul_reference_matches(pattern, name));
	(void)ul_reference_matches(pattern, name);
	(void)ul_reference_selects(pattern, name);
	if (ul_reference_subject_tag(name, &subject))
		assert(subject.alg == UL_DIGEST_SHA256);
	free(name);
	return 0;
}
