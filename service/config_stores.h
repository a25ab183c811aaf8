/*
 * service/config_stores.h - the part of the configuration that says what there
 * is to look after, and which images go by themselves: stores and rules.
 *
 * All text is borrowed from the configuration.
 */
#ifndef UL_SERVICE_CONFIG_STORES_H
#define UL_SERVICE_CONFIG_STORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/schedule.h"

struct ul_arena;
struct ul_err;
struct ul_rule;

/* grace_s of a store: what is usual for its kind. */
#define UL_CONFIG_GRACE_OF_KIND (-1)
/* Of struct ul_config_water: no rule, collect only. */
#define UL_CONFIG_NO_PRUNE SIZE_MAX

struct ul_config_texts {
	const char **items;
	size_t count;
};

/* Marks of used space on the file system that holds a store's bytes. */
struct ul_config_water {
	bool is_on;
	uint32_t high, low; /* hundredths of a percent of its size */
	int64_t look_s;     /* how often to look */
	int64_t grace_s;    /* what is younger stays in the trash; < 0 before
			       the store's own is known */
	size_t prune;       /* the rule of a pressure run, in prunes.items */
	const char *prune_name; /* as in the file, or NULL */
};

enum ul_config_kind { UL_CONFIG_EMBEDDED, UL_CONFIG_OCI };

struct ul_config_store {
	const char *name; /* of its own among all stores */
	enum ul_config_kind kind;
	const char *path;  /* NULL for the embedded one */
	int64_t grace_s;   /* or UL_CONFIG_GRACE_OF_KIND */
	bool keeps_trash;  /* false: runs give back at once, as --now */
	bool is_exclusive; /* nobody else writes there, as --exclusive */
	struct ul_config_water water;
};

/* What `ullage prune` can be told, and when. */
struct ul_config_prune {
	const char *name;
	struct ul_config_texts stores; /* names; none: all stores */
	struct ul_schedule schedule;   /* off: for pressure runs alone */
	bool is_dangling, is_all, is_untagged;
	struct ul_config_texts names;   /* names and patterns to remove */
	struct ul_config_texts filters; /* "until=24h": all have to hold */
	struct ul_config_texts pins;    /* names and patterns that stay */
};

/* Whether a rule is for the store of that name. */
bool ul_config_prune_covers(const struct ul_config_prune *prune,
			    const char *store);

/*
 * The rule as gc/policy.h takes it; times in its filters count from now. It
 * borrows from the configuration and the arena. UL_E_NOMEM.
 */
int ul_config_rule(const struct ul_config_prune *prune, int64_t now_unix_s,
		   struct ul_arena *arena, struct ul_rule *ret,
		   struct ul_err *err);

#endif
