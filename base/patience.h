/*
 * base/patience.h - how long to wait for what others are just doing.
 */
#ifndef UL_BASE_PATIENCE_H
#define UL_BASE_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Patience with something that may become whole again by itself: limit_ms
 * altogether, however many things are looked at and however often. What ends
 * well costs nothing.
 */
struct ul_patience {
	int limit_ms;
	int64_t until_ns; /* 0: nothing is waited for yet */
};

/* Sleep a little before the next look; false when patience is at an end. */
bool ul_patience_wait(struct ul_patience *patience);

/* What was waited for is whole. */
void ul_patience_renew(struct ul_patience *patience);

#endif
