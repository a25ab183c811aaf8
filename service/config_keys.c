#include "service/config_keys.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "service/config.h"
#include "service/config_place.h"
#include "service/limits.h"
#include "store/suggest.h"

static bool is_comment(const char *key)
{
	return !strncmp(key, "//", 2);
}

static const struct ul_config_key *key_find(const struct ul_config_key *keys,
					    const char *name)
{
	for (; keys->name; keys++) {
		if (!strcmp(keys->name, name))
			return keys;
	}
	return NULL;
}

static int key_unknown(struct ul_config_place *place,
		       const struct ul_config_key *keys, const char *name)
{
	size_t best = strlen(name) / 3, steps;
	const char *close = NULL;

	for (; keys->name; keys++) {
		steps = ul_edit_distance(name, keys->name, best);
		if (steps > best || (close && steps == best))
			continue;
		best = steps;
		close = keys->name;
	}
	if (close)
		return ul_config_refuse(place,
					"no such key; did you mean "
					"\"%s\"?",
					close);
	return ul_config_refuse(place, "no such key");
}

static int needed_check(struct ul_config_place *place,
			const struct ul_config_key *keys, const json_t *object)
{
	for (; keys->name; keys++) {
		if (keys->is_needed && !json_object_get(object, keys->name))
			return ul_config_refuse(place, "has no \"%s\"",
						keys->name);
	}
	return 0;
}

int ul_config_read_members(struct ul_config_place *place,
			   const struct ul_config_key *keys,
			   const json_t *object, void *into)
{
	const struct ul_config_key *key;
	const char *name;
	json_t *value;
	size_t at = 0;
	int rc = 0;

	json_object_foreach((json_t *)object, name, value)
	{
		ul_config_enter(place, name, at++);
		key = key_find(keys, name);
		if (key)
			rc = key->read(place, key, value,
				       (char *)into + key->offset);
		else if (!is_comment(name))
			rc = key_unknown(place, keys, name);
		ul_config_leave(place);
		if (rc)
			return rc;
	}
	return needed_check(place, keys, object);
}

int ul_config_read_object(struct ul_config_place *place,
			  const struct ul_config_key *key, const json_t *value,
			  void *into)
{
	if (!json_is_object(value))
		return ul_config_refuse_type(place, "an object", value);
	return ul_config_read_members(place, key->members, value, into);
}

/* A list of objects, each beginning as `first` is. */
static int items_read(struct ul_config_place *place,
		      const struct ul_config_key *key, const json_t *value,
		      const void *first, size_t size, void **ret)
{
	size_t count = json_array_size(value), i;
	char *items;
	int rc = 0;

	if (!json_is_array(value))
		return ul_config_refuse_type(place, "a list", value);
	if (count < (size_t)key->min)
		return ul_config_refuse(place, "is empty");
	if (count > (size_t)key->max)
		return ul_config_refuse(place, "has more than %d items",
					(int)key->max);
	items = ul_arena_alloc(place->arena, (count + 1) * size);
	if (!items)
		return ul_err_nomem(place->err);
	for (i = 0; !rc && i < count; i++) {
		memcpy(items + i * size, first, size);
		ul_config_enter(place, NULL, i);
		rc = ul_config_read_object(place, key, json_array_get(value, i),
					   items + i * size);
		ul_config_leave(place);
	}
	*ret = items;
	return rc;
}

static int stores_read(struct ul_config_place *place,
		       const struct ul_config_key *key, const json_t *value,
		       void *into)
{
	struct ul_config *config = into;
	void *items;
	int rc = items_read(place, key, value, &ul_config_store_usual,
			    sizeof *config->stores.items, &items);

	if (rc)
		return rc;
	config->stores.items = items;
	config->stores.count = json_array_size(value);
	return 0;
}

static int prunes_read(struct ul_config_place *place,
		       const struct ul_config_key *key, const json_t *value,
		       void *into)
{
	const struct ul_config_prune first = { .name = NULL };
	struct ul_config *config = into;
	void *items;
	int rc = items_read(place, key, value, &first, sizeof first, &items);

	if (rc)
		return rc;
	config->prunes.items = items;
	config->prunes.count = json_array_size(value);
	return 0;
}

static int water_read(struct ul_config_place *place,
		      const struct ul_config_key *key, const json_t *value,
		      void *into)
{
	struct ul_config_water *water = into;

	water->is_on = true;
	return ul_config_read_object(place, key, value, into);
}

/* The usual jitter goes with the usual time alone. */
static int timer_read(struct ul_config_place *place,
		      const struct ul_config_key *key, const json_t *value,
		      void *into)
{
	struct ul_schedule *schedule = into;

	if (json_object_get(value, "when"))
		schedule->jitter_s = 0;
	return ul_config_read_object(place, key, value, into);
}

static int zone_read(struct ul_config_place *place,
		     const struct ul_config_key *key, const json_t *value,
		     void *into)
{
	int is_utc;
	int rc = ul_config_read_word(place, key, value, &is_utc);

	if (!rc)
		*(bool *)into = is_utc;
	return rc;
}

static const struct ul_config_word kind_words[] = {
	{ "embedded", UL_CONFIG_EMBEDDED }, { "oci", UL_CONFIG_OCI }, { 0 }
};
static const struct ul_config_word zone_words[] = { { "local", false },
						    { "UTC", true },
						    { 0 } };
static const struct ul_config_word mode_words[] = {
	{ "0600", 0600 }, { "0660", 0660 }, { "0666", 0666 }, { 0 }
};

#define WHERE(type, member) .offset = offsetof(struct type, member)
#define AGE .min = 0, .max = UL_CONFIG_AGE_MAX_S
#define JITTER .min = 0, .max = UL_SCHEDULE_MAX_S
#define LIST .min = 0, .max = UL_CONFIG_LIST_MAX
#define LIST_OF_ONE .min = 1, .max = UL_CONFIG_LIST_MAX

static const struct ul_config_key water_keys[] = {
	{ "high", ul_config_read_percent, WHERE(ul_config_water, high),
	  .is_needed = true },
	{ "low", ul_config_read_percent, WHERE(ul_config_water, low),
	  .is_needed = true },
	{ "look", ul_config_read_duration, WHERE(ul_config_water, look_s),
	  .min = UL_CONFIG_LOOK_MIN_S, .max = UL_CONFIG_LOOK_MAX_S },
	{ "grace", ul_config_read_duration, WHERE(ul_config_water, grace_s),
	  AGE },
	{ "prune", ul_config_read_name, WHERE(ul_config_water, prune_name) },
	{ 0 },
};

static const struct ul_config_key store_keys[] = {
	{ "name", ul_config_read_name, WHERE(ul_config_store, name),
	  .is_needed = true },
	{ "kind", ul_config_read_word, WHERE(ul_config_store, kind),
	  .words = kind_words, .is_needed = true },
	{ "path", ul_config_read_path, WHERE(ul_config_store, path),
	  .max = UL_CONFIG_PATH_MAX_BYTES },
	{ "grace", ul_config_read_duration, WHERE(ul_config_store, grace_s),
	  AGE },
	{ "trash", ul_config_read_bool, WHERE(ul_config_store, keeps_trash) },
	{ "exclusive", ul_config_read_bool,
	  WHERE(ul_config_store, is_exclusive) },
	{ "water", water_read, WHERE(ul_config_store, water),
	  .members = water_keys },
	{ 0 },
};

static const struct ul_config_key timer_keys[] = {
	{ "when", ul_config_read_schedule, .offset = 0 },
	{ "jitter", ul_config_read_duration, WHERE(ul_schedule, jitter_s),
	  JITTER },
	{ 0 },
};

static const struct ul_config_key schedules_keys[] = {
	{ "zone", zone_read, WHERE(ul_config, is_utc), .words = zone_words },
	{ "sync", timer_read, WHERE(ul_config, sync), .members = timer_keys },
	{ "sample", timer_read, WHERE(ul_config, sample),
	  .members = timer_keys },
	{ "gc", timer_read, WHERE(ul_config, gc), .members = timer_keys },
	{ 0 },
};

static const struct ul_config_key prune_keys[] = {
	{ "name", ul_config_read_name, WHERE(ul_config_prune, name),
	  .is_needed = true },
	{ "stores", ul_config_read_names, WHERE(ul_config_prune, stores),
	  LIST_OF_ONE },
	{ "when", ul_config_read_schedule, WHERE(ul_config_prune, schedule) },
	{ "jitter", ul_config_read_duration,
	  WHERE(ul_config_prune, schedule.jitter_s), JITTER },
	{ "dangling", ul_config_read_bool,
	  WHERE(ul_config_prune, is_dangling) },
	{ "all", ul_config_read_bool, WHERE(ul_config_prune, is_all) },
	{ "untagged", ul_config_read_bool,
	  WHERE(ul_config_prune, is_untagged) },
	{ "names", ul_config_read_patterns, WHERE(ul_config_prune, names),
	  LIST_OF_ONE },
	{ "filters", ul_config_read_filters, WHERE(ul_config_prune, filters),
	  LIST },
	{ "pins", ul_config_read_patterns, WHERE(ul_config_prune, pins), LIST },
	{ 0 },
};

static const struct ul_config_key socket_keys[] = {
	{ "path", ul_config_read_path, WHERE(ul_config, socket.path),
	  .max = UL_CONFIG_SOCKET_MAX_BYTES },
	{ "mode", ul_config_read_word, WHERE(ul_config, socket.mode),
	  .words = mode_words },
	{ "group", ul_config_read_user, WHERE(ul_config, socket.group) },
	{ 0 },
};

static const struct ul_config_key change_keys[] = {
	{ "users", ul_config_read_users, WHERE(ul_config, change.users), LIST },
	{ "groups", ul_config_read_users, WHERE(ul_config, change.groups),
	  LIST },
	{ 0 },
};

static const struct ul_config_key read_keys[] = {
	{ "everyone", ul_config_read_bool, WHERE(ul_config, everyone_reads) },
	{ "users", ul_config_read_users, WHERE(ul_config, read.users), LIST },
	{ "groups", ul_config_read_users, WHERE(ul_config, read.groups), LIST },
	{ 0 },
};

static const struct ul_config_key access_keys[] = {
	{ "change", ul_config_read_object, .members = change_keys },
	{ "read", ul_config_read_object, .members = read_keys },
	{ 0 },
};

static const struct ul_config_key limits_keys[] = {
	{ "connections", ul_config_read_count,
	  WHERE(ul_config, limits.connections), .min = 1,
	  .max = UL_CONFIG_CONNECTIONS_MAX },
	{ "requests", ul_config_read_count, WHERE(ul_config, limits.requests),
	  .min = 1, .max = UL_CONFIG_REQUESTS_MAX },
	{ "workers", ul_config_read_count, WHERE(ul_config, limits.workers),
	  .min = 1, .max = UL_CONFIG_WORKERS_MAX },
	{ "body", ul_config_read_size, WHERE(ul_config, limits.body_bytes),
	  .min = UL_CONFIG_BODY_MIN_BYTES, .max = UL_CONFIG_BODY_MAX_BYTES },
	{ "import", ul_config_read_size, WHERE(ul_config, limits.import_bytes),
	  .min = UL_CONFIG_IMPORT_MIN_BYTES,
	  .max = UL_CONFIG_IMPORT_MAX_BYTES },
	{ "idle", ul_config_read_duration, WHERE(ul_config, limits.idle_s),
	  .min = UL_CONFIG_IDLE_MIN_S, .max = UL_CONFIG_IDLE_MAX_S },
	{ 0 },
};

static const struct ul_config_key history_keys[] = {
	{ "full", ul_config_read_duration, WHERE(ul_config, history.full_s),
	  AGE },
	{ "hourly", ul_config_read_duration, WHERE(ul_config, history.hourly_s),
	  AGE },
	{ "daily", ul_config_read_duration, WHERE(ul_config, history.daily_s),
	  AGE },
	{ "runs", ul_config_read_duration, WHERE(ul_config, history.runs_s),
	  AGE },
	{ 0 },
};

const struct ul_config_key ul_config_root_keys[] = {
	{ "state", ul_config_read_path, WHERE(ul_config, state_path),
	  .max = UL_CONFIG_PATH_MAX_BYTES },
	{ "grace", ul_config_read_duration, WHERE(ul_config, grace_s), AGE },
	{ "stores", stores_read, .members = store_keys, .is_list = true,
	  .min = 1, .max = UL_CONFIG_STORES_MAX },
	{ "schedules", ul_config_read_object, .members = schedules_keys },
	{ "prune", prunes_read, .members = prune_keys, .is_list = true,
	  .max = UL_CONFIG_PRUNES_MAX },
	{ "socket", ul_config_read_object, .members = socket_keys },
	{ "access", ul_config_read_object, .members = access_keys },
	{ "listen", ul_config_read_listen, WHERE(ul_config, listen) },
	{ "limits", ul_config_read_object, .members = limits_keys },
	{ "history", ul_config_read_object, .members = history_keys },
	{ 0 },
};
