#include "base/patience.h"

#include <time.h>

#include "base/clock.h"

enum { PATIENCE_PAUSE_MS = 50 };

bool ul_patience_wait(struct ul_patience *patience)
{
	const struct timespec pause = { .tv_nsec =
					    PATIENCE_PAUSE_MS * 1000000L };
	int64_t now_ns = ul_clock_mono_ns();

	if (!patience->until_ns)
		patience->until_ns = now_ns + patience->limit_ms * 1000000LL;
	if (now_ns >= patience->until_ns)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

void ul_patience_renew(struct ul_patience *patience)
{
	patience->until_ns = 0;
}
