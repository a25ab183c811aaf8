/* The store-id file. */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "fuzz.h"
#include "store/embedded/identity.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ul_err err = UL_ERR_INIT;
	char uid[33], again[33];
	int64_t generation, generation_again;
	int rc;

	scratch_write("store-id", data, size);
	rc = ul_identity_read(scratch_fd(), uid, &generation, &err);
	if (rc) {
		assert(rc == err.code && !strpbrk(err.msg, "\n\033"));
		return 0;
	}
	/* It goes into database, JSON and messages as it is. */
	assert(strlen(uid) == 32);
	assert(strspn(uid, "0123456789abcdef") == 32);
	assert(generation >= 0 && generation < INT64_MAX);
	rc = ul_identity_write(scratch_fd(), uid, generation + 1, &err);
	assert(!rc);
	rc = ul_identity_read(scratch_fd(), again, &generation_again, &err);
	assert(!rc && !strcmp(uid, again));
	assert(generation_again == generation + 1);
	return 0;
}
