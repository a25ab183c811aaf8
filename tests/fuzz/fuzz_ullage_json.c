/* The configuration: bytes of a file in, a checked value or a place out. */
#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "fuzz.h"
#include "gc/policy.h"
#include "service/config.h"
#include "service/limits.h"

enum { NOW = 1795000000 };

static void check_schedule(const struct ul_schedule *schedule)
{
	int64_t next = ul_schedule_next(schedule, NOW, NOW, 7);

	assert(next > NOW);
	if (schedule->kind == UL_SCHEDULE_OFF)
		assert(next == UL_SCHEDULE_NEVER);
	if (schedule->kind == UL_SCHEDULE_INTERVAL)
		assert(schedule->jitter_s <= schedule->interval_s);
}

static void check_store(const struct ul_config *config, size_t i)
{
	const struct ul_config_store *store = &config->stores.items[i];
	const struct ul_config_water *water = &store->water;

	assert(ul_config_store_find(config, store->name) == store);
	assert((store->path != NULL) == (store->kind == UL_CONFIG_OCI));
	assert(store->kind == UL_CONFIG_EMBEDDED || store->keeps_trash ||
	       store->is_exclusive);
	assert(water->grace_s >= 0 && water->grace_s <= UL_CONFIG_AGE_MAX_S);
	if (!water->is_on)
		return;
	assert(water->low && water->low < water->high && water->high < 10000);
	if (water->prune == UL_CONFIG_NO_PRUNE)
		return;
	assert(water->prune < config->prunes.count);
	assert(ul_config_prune_covers(&config->prunes.items[water->prune],
				      store->name));
}

static void check_prune(const struct ul_config_prune *prune)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_rule rule;
	int rc = ul_config_rule(prune, NOW, &arena, &rule, &err);

	assert(!rc);
	assert(rule.filter_count == prune->filters.count);
	assert(prune->is_dangling || rule.all || rule.untagged ||
	       rule.pattern_count);
	check_schedule(&prune->schedule);
}

static void check(const struct ul_config *config)
{
	size_t i;

	assert(config->stores.count &&
	       config->stores.count <= UL_CONFIG_STORES_MAX);
	assert(config->prunes.count <= UL_CONFIG_PRUNES_MAX);
	for (i = 0; i < config->stores.count; i++)
		check_store(config, i);
	for (i = 0; i < config->prunes.count; i++)
		check_prune(&config->prunes.items[i]);
	check_schedule(&config->sync);
	check_schedule(&config->sample);
	check_schedule(&config->gc);
	assert(config->socket.path[0] == '/');
	assert(strlen(config->socket.path) <= UL_CONFIG_SOCKET_MAX_BYTES);
	assert(!config->listen.is_on || config->listen.port);
}

/* "f:LINE...", printable, with a line that the file has. */
static void check_refusal(const struct ul_err *err, const uint8_t *data,
			  size_t size)
{
	size_t line = 0, lines = 1, i;
	const char *at;

	assert(err->code == UL_E_INVALID && !strncmp(err->msg, "f:", 2));
	for (at = err->msg; *at; at++)
		assert(*at >= ' ' && *at <= '~');
	for (at = err->msg + 2; isdigit((unsigned char)*at); at++)
		line = line * 10 + (size_t)(*at - '0');
	for (i = 0; i < size; i++)
		lines += data[i] == '\n';
	assert(line <= lines);
}

static int parse(const uint8_t *data, size_t size, struct ul_config *ret,
		 struct ul_err *err)
{
	int rc = ul_config_parse((const char *)data, size, "f", ret, err);

	assert(rc == err->code);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ul_err err = UL_ERR_INIT, again = UL_ERR_INIT;
	struct ul_config config;
	int rc = parse(data, size, &config, &err), rc_again;

	if (!rc) {
		check(&config);
		ul_config_release(&config);
	} else {
		check_refusal(&err, data, size);
	}
	/* One allocation fails: then either nothing or the same comes out. */
	ul_mem_countdown = (long)(size % 64);
	rc_again = parse(data, size, &config, &again);
	ul_mem_countdown = -1;
	assert(rc_again == UL_E_NOMEM || rc_again == rc);
	if (!rc_again)
		ul_config_release(&config);
	return 0;
}
