/*
 * service/config_place.h - where in the file we are, for messages.
 *
 * jansson keeps no positions. A place is therefore counted: the third member
 * of the first item of the second member; the line is looked up in the bytes
 * once there is something to say. Internal to the configuration.
 */
#ifndef UL_SERVICE_CONFIG_PLACE_H
#define UL_SERVICE_CONFIG_PLACE_H

#include <stddef.h>

#include "service/limits.h"

struct json_t;
struct ul_arena;
struct ul_err;

struct ul_config_step {
	const char *key; /* NULL for an item of a list */
	size_t at;       /* how many members or items stand before it */
};

struct ul_config_place {
	const char *file;
	const char *bytes; /* valid JSON */
	size_t len;
	const struct json_t *root;
	struct ul_config_step steps[UL_CONFIG_MAX_DEPTH];
	size_t depth;
	char scratch[128];      /* for paths to go to */
	struct ul_arena *arena; /* of the configuration that is being made */
	struct ul_err *err;
};

void ul_config_enter(struct ul_config_place *place, const char *key, size_t at);
void ul_config_leave(struct ul_config_place *place);

/*
 * Go to "stores[1].water.high". As far as the file has that: what it has not
 * is said of what surrounds it.
 */
void ul_config_go(struct ul_config_place *place, const char *path);

/*
 * "FILE:LINE: KEY: REASON" for where we are; printable, whatever is in it.
 * Returns UL_E_INVALID.
 */
int ul_config_refuse(struct ul_config_place *place, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The same of a place to go to. */
int ul_config_refuse_at(struct ul_config_place *place, const char *path,
			const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The line, from 1, on which that member's key or that item begins; of what is
 * not there, the line of what it would be in.
 */
size_t ul_config_line(const char *bytes, size_t len,
		      const struct ul_config_step *steps, size_t depth);

#endif
