#include "service/config_check.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "service/config.h"
#include "service/config_keys.h"
#include "service/config_place.h"
#include "service/limits.h"

/* The path of stores[i].key, or prune[i].key; "" is all of it. */
static const char *item(struct ul_config_place *place, const char *list,
			size_t i, const char *key)
{
	snprintf(place->scratch, sizeof place->scratch, "%s[%zu].%s", list, i,
		 key);
	return place->scratch;
}

static bool is_same_path(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);

	while (a_len > 1 && a[a_len - 1] == '/')
		a_len--;
	while (b_len > 1 && b[b_len - 1] == '/')
		b_len--;
	return a_len == b_len && !memcmp(a, b, a_len);
}

/* One store beside an earlier one. */
static int stores_differ(struct ul_config_place *place,
			 const struct ul_config *config, size_t i, size_t other)
{
	const struct ul_config_store *store = &config->stores.items[i];
	const struct ul_config_store *before = &config->stores.items[other];

	if (!strcmp(store->name, before->name))
		return ul_config_refuse_at(
		    place, item(place, "stores", i, "name"),
		    "\"%s\" is the name of stores[%zu] too", store->name,
		    other);
	if (store->kind != before->kind)
		return 0;
	if (store->kind == UL_CONFIG_EMBEDDED)
		return ul_config_refuse_at(place,
					   item(place, "stores", i, "kind"),
					   "there is one embedded store, and "
					   "stores[%zu] is that",
					   other);
	if (is_same_path(store->path, before->path))
		return ul_config_refuse_at(
		    place, item(place, "stores", i, "path"),
		    "\"%.80s\" is the path of stores[%zu] too", store->path,
		    other);
	return 0;
}

static int store_check_embedded(struct ul_config_place *place,
				const struct ul_config_store *store, size_t i)
{
	if (store->path)
		return ul_config_refuse_at(
		    place, item(place, "stores", i, "path"),
		    "goes with kind oci; the embedded store is "
		    "in the directory that \"state\" names");
	if (store->is_exclusive)
		return ul_config_refuse_at(
		    place, item(place, "stores", i, "exclusive"),
		    "goes with kind oci; in the embedded store "
		    "it has no effect");
	return 0;
}

static int store_check_oci(struct ul_config_place *place,
			   const struct ul_config_store *store, size_t i)
{
	if (!store->path)
		return ul_config_refuse_at(
		    place, item(place, "stores", i, ""),
		    "has no \"path\", which kind oci needs");
	if (!strcmp(store->name, "embedded"))
		return ul_config_refuse_at(
		    place, item(place, "stores", i, "name"),
		    "\"embedded\" is the name of no other kind");
	if (!store->keeps_trash && !store->is_exclusive)
		return ul_config_refuse_at(
		    place, item(place, "stores", i, "trash"),
		    "false deletes at once what others may be "
		    "about to use: it needs \"exclusive\" true");
	return 0;
}

static int water_rule_check(struct ul_config_place *place,
			    const struct ul_config *config,
			    struct ul_config_store *store, size_t i)
{
	struct ul_config_water *water = &store->water;
	size_t at;

	if (!water->prune_name)
		return 0;
	for (at = 0; at < config->prunes.count; at++) {
		if (!strcmp(config->prunes.items[at].name, water->prune_name))
			break;
	}
	if (at == config->prunes.count)
		return ul_config_refuse_at(
		    place, item(place, "stores", i, "water.prune"),
		    "no rule \"%s\" in \"prune\"", water->prune_name);
	if (!ul_config_prune_covers(&config->prunes.items[at], store->name))
		return ul_config_refuse_at(
		    place, item(place, "stores", i, "water.prune"),
		    "the rule \"%s\" is not for this store", water->prune_name);
	water->prune = at;
	return 0;
}

static int water_check(struct ul_config_place *place,
		       const struct ul_config *config,
		       struct ul_config_store *store, size_t i)
{
	struct ul_config_water *water = &store->water;

	if (!water->is_on)
		return 0;
	if (water->low >= water->high)
		return ul_config_refuse_at(
		    place, item(place, "stores", i, "water.low"),
		    "is not below \"high\"");
	if (store->grace_s >= 0 && water->grace_s > store->grace_s)
		return ul_config_refuse_at(
		    place, item(place, "stores", i, "water.grace"),
		    "is longer than the grace of the store, "
		    "after which the trash is emptied anyway");
	if (!store->keeps_trash && water->grace_s > 0)
		return ul_config_refuse_at(
		    place, item(place, "stores", i, "water.grace"),
		    "goes with \"trash\" true");
	return water_rule_check(place, config, store, i);
}

static int store_check(struct ul_config_place *place,
		       const struct ul_config *config,
		       struct ul_config_store *store, size_t i)
{
	int rc = store->kind == UL_CONFIG_EMBEDDED
		     ? store_check_embedded(place, store, i)
		     : store_check_oci(place, store, i);
	size_t other;

	for (other = 0; !rc && other < i; other++)
		rc = stores_differ(place, config, i, other);
	return rc ? rc : water_check(place, config, store, i);
}

/* The items are in the arena, ours to change; the usual one never is. */
static int stores_check(struct ul_config_place *place, struct ul_config *config)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < config->stores.count; i++) {
		struct ul_config_store *store =
		    (struct ul_config_store *)&config->stores.items[i];

		if (store->grace_s < 0)
			store->grace_s = config->grace_s;
		rc = store_check(place, config, store, i);
		if (rc)
			return rc;
		if (store->water.grace_s >= 0)
			continue;
		store->water.grace_s = UL_CONFIG_PRESSURE_GRACE_S;
		if (store->grace_s >= 0 &&
		    store->grace_s < UL_CONFIG_PRESSURE_GRACE_S)
			store->water.grace_s = store->grace_s;
		if (!store->keeps_trash)
			store->water.grace_s = 0;
	}
	return rc;
}

static int jitter_check(struct ul_config_place *place,
			const struct ul_schedule *schedule, const char *path)
{
	if (schedule->kind == UL_SCHEDULE_INTERVAL &&
	    schedule->jitter_s > schedule->interval_s)
		return ul_config_refuse_at(place, path,
					   "is longer than the interval");
	if (schedule->kind == UL_SCHEDULE_CRON &&
	    schedule->jitter_s > UL_JITTER_CRON_MAX_S)
		return ul_config_refuse_at(place, path, "is longer than a day");
	return 0;
}

static int timers_check(struct ul_config_place *place,
			const struct ul_config *config)
{
	int rc = jitter_check(place, &config->sync, "schedules.sync.jitter");

	if (!rc)
		rc = jitter_check(place, &config->sample,
				  "schedules.sample.jitter");
	if (!rc)
		rc = jitter_check(place, &config->gc, "schedules.gc.jitter");
	return rc;
}

static bool is_used(const struct ul_config *config, size_t rule)
{
	size_t i;

	if (config->prunes.items[rule].schedule.kind != UL_SCHEDULE_OFF)
		return true;
	for (i = 0; i < config->stores.count; i++) {
		const struct ul_config_water *water =
		    &config->stores.items[i].water;

		if (water->is_on && water->prune == rule)
			return true;
	}
	return false;
}

static int prune_stores_check(struct ul_config_place *place,
			      const struct ul_config *config, size_t i)
{
	const struct ul_config_texts *stores = &config->prunes.items[i].stores;
	char key[32];
	size_t at;

	for (at = 0; at < stores->count; at++) {
		if (ul_config_store_find(config, stores->items[at]))
			continue;
		snprintf(key, sizeof key, "stores[%zu]", at);
		return ul_config_refuse_at(place, item(place, "prune", i, key),
					   "no store \"%s\" in \"stores\"",
					   stores->items[at]);
	}
	return 0;
}

static int prune_what_check(struct ul_config_place *place,
			    const struct ul_config_prune *prune, size_t i)
{
	bool is_class =
	    prune->is_dangling || prune->is_all || prune->is_untagged;

	if (!is_class && !prune->names.count)
		return ul_config_refuse_at(
		    place, item(place, "prune", i, ""),
		    "says nothing of what to remove: "
		    "\"dangling\", \"all\", \"untagged\" or "
		    "\"names\"");
	if (is_class && prune->names.count)
		return ul_config_refuse_at(
		    place, item(place, "prune", i, "names"),
		    "goes without \"dangling\", \"all\" and "
		    "\"untagged\": it takes what it names");
	return 0;
}

static int prune_name_check(struct ul_config_place *place,
			    const struct ul_config *config, size_t i)
{
	const struct ul_config_prune *prunes = config->prunes.items;
	size_t other;

	for (other = 0; other < i; other++) {
		if (!strcmp(prunes[i].name, prunes[other].name))
			return ul_config_refuse_at(
			    place, item(place, "prune", i, "name"),
			    "\"%s\" is the name of prune[%zu] "
			    "too",
			    prunes[i].name, other);
	}
	return 0;
}

static int prune_check(struct ul_config_place *place,
		       const struct ul_config *config, size_t i)
{
	const struct ul_config_prune *prune = &config->prunes.items[i];
	int rc = prune_name_check(place, config, i);

	if (!rc)
		rc = prune_stores_check(place, config, i);
	if (!rc)
		rc = prune_what_check(place, prune, i);
	if (!rc && !is_used(config, i))
		rc = ul_config_refuse_at(
		    place, item(place, "prune", i, ""),
		    "is never due, and no store's \"water\" names "
		    "it");
	return rc ? rc
		  : jitter_check(place, &prune->schedule,
				 item(place, "prune", i, "jitter"));
}

static int prunes_check(struct ul_config_place *place,
			const struct ul_config *config)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < config->prunes.count; i++)
		rc = prune_check(place, config, i);
	return rc;
}

static int access_check(struct ul_config_place *place,
			const struct ul_config *config)
{
	if (config->socket.group && config->socket.mode == 0600)
		return ul_config_refuse_at(place, "socket.group",
					   "mode 0600 lets no group connect");
	if (!config->everyone_reads)
		return 0;
	if (config->read.users.count || config->read.groups.count)
		return ul_config_refuse_at(place, "access.read.everyone",
					   "goes without \"users\" and "
					   "\"groups\"");
	if (config->socket.mode != 0666)
		return ul_config_refuse_at(place, "access.read.everyone",
					   "needs the mode 0666 of the socket: "
					   "%04o lets nobody else connect",
					   (unsigned)config->socket.mode);
	return 0;
}

static int history_check(struct ul_config_place *place,
			 const struct ul_config *config)
{
	if (config->history.full_s > config->history.hourly_s)
		return ul_config_refuse_at(place, "history",
					   "\"full\" is longer than "
					   "\"hourly\"");
	if (config->history.hourly_s > config->history.daily_s)
		return ul_config_refuse_at(place, "history",
					   "\"hourly\" is longer than "
					   "\"daily\"");
	return 0;
}

static void zone_spread(struct ul_config *config)
{
	size_t i;

	config->sync.is_utc = config->is_utc;
	config->sample.is_utc = config->is_utc;
	config->gc.is_utc = config->is_utc;
	for (i = 0; i < config->prunes.count; i++)
		((struct ul_config_prune *)&config->prunes.items[i])
		    ->schedule.is_utc = config->is_utc;
}

int ul_config_check(struct ul_config_place *place, struct ul_config *config)
{
	int rc = stores_check(place, config);

	if (!rc)
		rc = prunes_check(place, config);
	if (!rc)
		rc = timers_check(place, config);
	if (!rc)
		rc = access_check(place, config);
	if (!rc)
		rc = history_check(place, config);
	if (!rc)
		zone_spread(config);
	return rc;
}
