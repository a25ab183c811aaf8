/*
 * service/config_keys.h - every key of the configuration as a table, and how
 * values are read. Internal to the configuration and to the test that holds
 * the manual page and the example against it.
 */
#ifndef UL_SERVICE_CONFIG_KEYS_H
#define UL_SERVICE_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;
struct ul_config_key;
struct ul_config_place;
struct ul_config_store;

/*
 * Read a value to where it belongs. UL_E_INVALID with the reason, UL_E_NOMEM.
 */
typedef int ul_config_read(struct ul_config_place *place,
			   const struct ul_config_key *key,
			   const struct json_t *value, void *into);

/* One of some words, and what it stands for. */
struct ul_config_word {
	const char *word; /* NULL past the last */
	int value;
};

struct ul_config_key {
	const char *name; /* NULL past the last */
	ul_config_read *read;
	size_t offset; /* from where the object is read to */
	/* Of objects, and of the items of lists of objects; else NULL. */
	const struct ul_config_key *members;
	const struct ul_config_word *words;
	int64_t min, max; /* of numbers, durations, sizes, lengths of lists */
	bool is_needed;
	bool is_list; /* members are those of an item */
};

/*
 * How young things stay in the trash even when the disk runs full, where the
 * store's own grace is not shorter: long enough to see what a run has done and
 * undo it.
 */
#define UL_CONFIG_PRESSURE_GRACE_S (10 * 60)

/* What a store is before its members are read. */
extern const struct ul_config_store ul_config_store_usual;

/* All of the file. */
extern const struct ul_config_key ul_config_root_keys[];

/* Members of an object, comments left out, into *into. */
int ul_config_read_members(struct ul_config_place *place,
			   const struct ul_config_key *keys,
			   const struct json_t *object, void *into);

/* An object with key->members, whose values go to where it stands. */
ul_config_read ul_config_read_object;

/* const char *: any text but an empty one; a name; an absolute path. */
ul_config_read ul_config_read_text, ul_config_read_name, ul_config_read_path;
ul_config_read ul_config_read_user;
/* struct ul_config_texts, key->min to key->max of them. */
ul_config_read ul_config_read_names, ul_config_read_users;
ul_config_read ul_config_read_patterns, ul_config_read_filters;
/* bool; int by key->words; int64_t; int64_t seconds; uint64_t bytes. */
ul_config_read ul_config_read_bool, ul_config_read_word, ul_config_read_count;
ul_config_read ul_config_read_duration, ul_config_read_size;
/* uint32_t hundredths of a percent. */
ul_config_read ul_config_read_percent;
/* struct ul_schedule, all of it but jitter_s and is_utc. */
ul_config_read ul_config_read_schedule;
/* struct ul_config.listen. */
ul_config_read ul_config_read_listen;

/* UL_E_INVALID: "has to be WANTED, not a number". */
int ul_config_refuse_type(struct ul_config_place *place, const char *wanted,
			  const struct json_t *value);

#endif
