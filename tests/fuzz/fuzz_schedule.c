/* The text of a schedule, and when it is due. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "fuzz.h"
#include "service/schedule.h"

/* Times around which clocks change, at both ends, and where nothing happens. */
static const int64_t clocks[] = {
	0,          741800000,  1325203200,
	1774745999, 1774746000, 1792889999,
	1792890000, 1795000000, INT64_C(253402300799),
	INT64_MAX,
};
enum { CLOCK_COUNT = sizeof clocks / sizeof clocks[0] };

static void check_next(const struct ul_schedule *schedule, int64_t last,
		       int64_t now)
{
	int64_t next = ul_schedule_next(schedule, last, now, 11), later;

	assert(next >= now);
	if (next == UL_SCHEDULE_NEVER || next == now)
		return;
	/* Asked again on the way, the same; after it, at once. */
	later = now + (next - now) / 2;
	assert(ul_schedule_next(schedule, last, later, 11) == next);
	assert(ul_schedule_next(schedule, last, next, 11) == next);
	assert(ul_schedule_next(schedule, next, next, 11) > next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const zones[] = { "UTC", "Europe/Berlin",
					     "Pacific/Apia",
					     "Australia/Lord_Howe" };
	struct ul_err err = UL_ERR_INIT;
	struct ul_schedule schedule;
	char *text = malloc(size + 1);
	size_t i, k;

	if (!text)
		abort();
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	setenv("TZ", zones[size % 4], 1);
	tzset();
	if (ul_schedule_parse(text, &schedule, &err)) {
		assert(err.code == UL_E_INVALID && *err.msg);
		free(text);
		return 0;
	}
	free(text);
	schedule.jitter_s = size % 3 * 60;
	for (i = 0; i < CLOCK_COUNT; i++) {
		for (k = 0; k < CLOCK_COUNT; k++)
			check_next(&schedule, clocks[i], clocks[k]);
	}
	return 0;
}
