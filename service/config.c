#include "service/config.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "gc/policy.h"
#include "service/config_check.h"
#include "service/config_keys.h"
#include "service/config_place.h"
#include "service/limits.h"
#include "store/oci/json.h"

#define MINUTE_S 60
#define HOUR_S 3600
#define DAY_S INT64_C(86400)

/* What a store is unless the file says more of it. */
const struct ul_config_store ul_config_store_usual = {
	.name = "embedded",
	.kind = UL_CONFIG_EMBEDDED,
	.grace_s = UL_CONFIG_GRACE_OF_KIND,
	/* What was removed by mistake can be brought back. */
	.keeps_trash = true,
	.water = {
		/* A fast disk takes 10 GB in that time, a tenth of a small
		 * one; a statvfs() takes microseconds. */
		.look_s = 5,
		/* UL_CONFIG_PRESSURE_GRACE_S, or less. */
		.grace_s = -1,
		.prune = UL_CONFIG_NO_PRUNE,
	},
};

/* Every default there is, with its reason. Marks, rules, a port and rights of
 * others have none: nothing is removed or opened that nobody asked for. */
static const struct ul_config usual = {
	.grace_s = UL_CONFIG_GRACE_OF_KIND,
	.stores = { &ul_config_store_usual, 1 },
	/* Changes are watched for; this is for those that go unseen (network
	 * file systems, an overflown queue), and costs a quiet store some
	 * milliseconds. */
	.sync = { .kind = UL_SCHEDULE_INTERVAL, .interval_s = 15 * MINUTE_S },
	/* 288 a day: enough for a curve of a day. */
	.sample = { .kind = UL_SCHEDULE_INTERVAL, .interval_s = 5 * MINUTE_S },
	/* What the embedded store's grace of an hour lets go comes back within
	 * two; jitter, so that machines that share a disk do not begin
	 * together. */
	.gc = { .kind = UL_SCHEDULE_INTERVAL,
		.interval_s = HOUR_S,
		.jitter_s = 5 * MINUTE_S },
	.socket = {
		/* Where systemd makes a directory for a service of that name.
		 */
		.path = "/run/ullage/ullage.sock",
		/* As Docker's. */
		.mode = 0660,
	},
	.limits = {
		/* As many as a process may have descriptors in most shells. */
		.connections = 1024,
		/* Each may hold a view of 100,000 objects, some 10 MB. */
		.requests = 64,
		/* One for each store that is changed, walked or read at a
		 * time; a walk brings eight threads of its own. */
		.workers = 4,
		/* Some thousand names in one request. */
		.body_bytes = 1 << 20,
		/* What one archive is on the disks of today. */
		.import_bytes = UINT64_C(1) << 40,
		/* As proxies and browsers keep connections. */
		.idle_s = 60,
	},
	.history = {
		/* Two days at five minutes, two months of hours and five years
		 * of days are 576, 1440 and 1826 samples. */
		.full_s = 2 * DAY_S,
		.hourly_s = 60 * DAY_S,
		.daily_s = 1826 * DAY_S,
		/* Somebody asks in a year's review what was removed. */
		.runs_s = 400 * DAY_S,
	},
};

void ul_config_init(struct ul_config *config)
{
	*config = usual;
}

void ul_config_release(struct ul_config *config)
{
	ul_arena_release(&config->arena);
	ul_config_init(config);
}

static int stores_own(struct ul_config *config, struct ul_err *err)
{
	struct ul_config_store *store;

	if (config->stores.items != &ul_config_store_usual)
		return 0;
	store = ul_arena_alloc(&config->arena, sizeof *store);
	if (!store)
		return ul_err_nomem(err);
	*store = ul_config_store_usual;
	config->stores.items = store;
	return 0;
}

static int json_read(const char *bytes, size_t len, const char *file,
		     json_t **ret, struct ul_err *err)
{
	struct ul_json_spot spot = { 0 };
	int rc;

	if (len > UL_CONFIG_MAX_BYTES)
		return ul_err_set(err, UL_E_INVALID,
				  "%s: is longer than %u bytes", file,
				  UL_CONFIG_MAX_BYTES);
	rc = ul_json_parse_spot(bytes, len, UL_CONFIG_MAX_DEPTH, ret, &spot,
				err);
	if (!rc || rc == UL_E_NOMEM)
		return rc;
	err->code = UL_E_INVALID;
	if (spot.line)
		return ul_err_wrap(err, "%s:%d:%d", file, spot.line,
				   spot.column);
	return ul_err_wrap(err, "%s", file);
}

int ul_config_parse(const char *bytes, size_t len, const char *file,
		    struct ul_config *ret, struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	ul_cleanup(ul_config_release) struct ul_config config = usual;
	struct ul_config_place place = {
		.file = file,
		.bytes = bytes,
		.len = len,
		.arena = &config.arena,
		.err = err,
	};
	int rc = json_read(bytes, len, file, &json, err);

	if (rc)
		return rc;
	place.root = json;
	rc = ul_config_read_members(&place, ul_config_root_keys, json, &config);
	if (!rc)
		rc = stores_own(&config, err);
	if (!rc)
		rc = ul_config_check(&place, &config);
	if (rc)
		return rc;
	*ret = config;
	config.arena = UL_ARENA_INIT;
	return 0;
}

const struct ul_config_store *
ul_config_store_find(const struct ul_config *config, const char *name)
{
	size_t i;

	for (i = 0; i < config->stores.count; i++) {
		if (!strcmp(config->stores.items[i].name, name))
			return &config->stores.items[i];
	}
	return NULL;
}

bool ul_config_prune_covers(const struct ul_config_prune *prune,
			    const char *store)
{
	size_t i;

	for (i = 0; i < prune->stores.count; i++) {
		if (!strcmp(prune->stores.items[i], store))
			return true;
	}
	return !prune->stores.count;
}

int ul_config_rule(const struct ul_config_prune *prune, int64_t now_unix_s,
		   struct ul_arena *arena, struct ul_rule *ret,
		   struct ul_err *err)
{
	size_t i, count = prune->filters.count;
	struct ul_filter *filters =
	    ul_arena_alloc(arena, (count + 1) * sizeof *filters);
	int rc = 0;

	if (!filters)
		return ul_err_nomem(err);
	for (i = 0; !rc && i < count; i++)
		rc = ul_filter_parse(prune->filters.items[i], now_unix_s,
				     &filters[i], err);
	if (rc)
		return rc;
	*ret = (struct ul_rule){
		.all = prune->is_all,
		.untagged = prune->is_untagged,
		.patterns = (const char *const *)prune->names.items,
		.pattern_count = prune->names.count,
		.filters = filters,
		.filter_count = count,
		.pins = (const char *const *)prune->pins.items,
		.pin_count = prune->pins.count,
		.is_standing = true,
	};
	return 0;
}
