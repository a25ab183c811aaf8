#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "gc/policy.h"
#include "service/config.h"
#include "service/limits.h"

static void config_parse(const char *text, struct ul_config *config)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_config_parse(text, strlen(text), "f", config, &err))
		fail_msg("%s\nis refused: %s", text, err.msg);
}

/* Names every key, on lines of their own, comments between. */
static const char whole[] =
    "{\n"
    "  \"// what\": \"everything there is\",\n"
    "  \"state\": \"/srv/ullage\",\n"
    "  \"grace\": \"2h\",\n"
    "  \"stores\": [\n"
    "    { \"name\": \"own\", \"kind\": \"embedded\",\n"
    "      \"water\": { \"high\": \"85%\", \"low\": \"72.5%\",\n"
    "                 \"look\": \"10s\", \"prune\": \"old\" } },\n"
    "    { \"name\": \"cache\", \"kind\": \"oci\", \"path\": \"/srv/cache\",\n"
    "      \"grace\": \"3d\", \"trash\": false, \"exclusive\": true },\n"
    "    { \"name\": \"c2\", \"kind\": \"oci\", \"path\": \"/srv/cache2/\",\n"
    "      \"//water\": { \"anything\": [ 1, 2.5, null ] },\n"
    "      \"water\": { \"low\": \"5 %\", \"high\": \"99.99%\",\n"
    "                 \"grace\": \"1m\" } }\n"
    "  ],\n"
    "  \"schedules\": {\n"
    "    \"gc\": { \"jitter\": \"10m\", \"when\": \"30 4 * * sun\" },\n"
    "    \"sync\": { \"when\": \"every 1h\" },\n"
    "    \"sample\": { \"when\": \"off\" },\n"
    "    \"zone\": \"UTC\"\n"
    "  },\n"
    "  \"prune\": [\n"
    "    { \"name\": \"old\", \"all\": true, \"filters\":\n"
    "      [ \"unused-for=30d\", \"until=24h\", \"label!=keep\" ],\n"
    "      \"pins\": [ \"prod/*\" ] },\n"
    "    { \"name\": \"dev\", \"stores\": [ \"cache\", \"own\" ],\n"
    "      \"when\": \"@weekly\", \"jitter\": \"1h\",\n"
    "      \"names\": [ \"team/*:dev-*\", \"app:1\" ] },\n"
    "    { \"name\": \"rest\", \"stores\": [ \"c2\" ], \"when\": \"every "
    "1d\",\n"
    "      \"dangling\": true, \"untagged\": true }\n"
    "  ],\n"
    "  \"socket\": { \"path\": \"/run/u.sock\", \"mode\": \"0666\",\n"
    "              \"group\": \"ops\" },\n"
    "  \"access\": { \"change\": { \"users\": [ \"ci\", \"1000\" ],\n"
    "                          \"groups\": [ \"ops\" ] },\n"
    "              \"read\": { \"everyone\": true } },\n"
    "  \"listen\": \"[::1]:9477\",\n"
    "  \"limits\": { \"connections\": 10, \"requests\": 9, \"workers\": 8,\n"
    "              \"body\": \"4KiB\", \"import\": \"20GiB\",\n"
    "              \"idle\": \"90\" },\n"
    "  \"history\": { \"full\": \"1d\", \"hourly\": \"2d\", \"daily\": "
    "\"3d\",\n"
    "               \"runs\": \"1w\" }\n"
    "}\n";

static void test_config__every_key_comes_out_as_its_value(void **state)
{
	struct ul_config config;

	(void)state;
	config_parse(whole, &config);
	assert_string_equal(config.state_path, "/srv/ullage");
	assert_int_equal(config.grace_s, 7200);
	assert_int_equal(config.socket.mode, 0666);
	assert_string_equal(config.socket.path, "/run/u.sock");
	assert_string_equal(config.socket.group, "ops");
	assert_int_equal(config.change.users.count, 2);
	assert_string_equal(config.change.users.items[1], "1000");
	assert_int_equal(config.change.groups.count, 1);
	assert_true(config.everyone_reads);
	assert_true(config.listen.is_on && config.listen.is_v6);
	assert_string_equal(config.listen.host, "::1");
	assert_int_equal(config.listen.port, 9477);
	assert_int_equal(config.limits.connections, 10);
	assert_int_equal(config.limits.requests, 9);
	assert_int_equal(config.limits.workers, 8);
	assert_int_equal(config.limits.body_bytes, 4096);
	assert_int_equal(config.limits.import_bytes, 20ll << 30);
	assert_int_equal(config.limits.idle_s, 90);
	assert_int_equal(config.history.full_s, 86400);
	assert_int_equal(config.history.hourly_s, 2 * 86400);
	assert_int_equal(config.history.daily_s, 3 * 86400);
	assert_int_equal(config.history.runs_s, 7 * 86400);
	ul_config_release(&config);
}

static void test_config__stores_have_their_own_or_the_common_grace(void **state)
{
	const struct ul_config_store *stores;
	struct ul_config config;

	(void)state;
	config_parse(whole, &config);
	stores = config.stores.items;
	assert_int_equal(config.stores.count, 3);
	assert_ptr_equal(ul_config_store_find(&config, "cache"), &stores[1]);
	assert_null(ul_config_store_find(&config, "cach"));
	assert_int_equal(stores[0].kind, UL_CONFIG_EMBEDDED);
	assert_null(stores[0].path);
	assert_int_equal(stores[0].grace_s, 7200);
	assert_true(stores[0].keeps_trash && !stores[0].is_exclusive);
	assert_true(stores[0].water.is_on);
	assert_int_equal(stores[0].water.high, 8500);
	assert_int_equal(stores[0].water.low, 7250);
	assert_int_equal(stores[0].water.look_s, 10);
	assert_int_equal(stores[0].water.grace_s, 600);
	assert_int_equal(stores[0].water.prune, 0);
	assert_int_equal(stores[1].kind, UL_CONFIG_OCI);
	assert_string_equal(stores[1].path, "/srv/cache");
	assert_int_equal(stores[1].grace_s, 3 * 86400);
	assert_true(!stores[1].keeps_trash && stores[1].is_exclusive);
	assert_false(stores[1].water.is_on);
	assert_int_equal(stores[2].water.high, 9999);
	assert_int_equal(stores[2].water.low, 500);
	assert_int_equal(stores[2].water.grace_s, 60);
	assert_true(stores[2].water.prune == UL_CONFIG_NO_PRUNE);
	ul_config_release(&config);
}

static void test_config__the_trash_is_emptied_no_later_than_grace(void **state)
{
	struct ul_config config;

	(void)state;
	config_parse("{\"grace\": \"5m\"}", &config);
	assert_int_equal(config.stores.items[0].grace_s, 300);
	assert_int_equal(config.stores.items[0].water.grace_s, 300);
	ul_config_release(&config);
	config_parse("{\"stores\":[{\"name\":\"a\",\"kind\":\"embedded\","
		     "\"trash\":false}]}",
		     &config);
	assert_int_equal(config.stores.items[0].water.grace_s, 0);
	ul_config_release(&config);
}

static void test_config__schedules_have_jitter_and_the_clock_named(void **state)
{
	struct ul_config config;

	(void)state;
	config_parse(whole, &config);
	assert_true(config.is_utc && config.gc.is_utc && config.sync.is_utc);
	assert_int_equal(config.gc.kind, UL_SCHEDULE_CRON);
	assert_int_equal(config.gc.jitter_s, 600);
	assert_int_equal(config.sync.interval_s, 3600);
	assert_int_equal(config.sample.kind, UL_SCHEDULE_OFF);
	assert_true(config.prunes.items[1].schedule.is_utc);
	assert_int_equal(config.prunes.items[1].schedule.jitter_s, 3600);
	assert_int_equal(config.prunes.items[0].schedule.kind, UL_SCHEDULE_OFF);
	ul_config_release(&config);
	/* The jitter of the usual time goes with it. */
	config_parse("{\"schedules\":{\"gc\":{\"when\":\"every 1m\"}}}",
		     &config);
	assert_int_equal(config.gc.jitter_s, 0);
	ul_config_release(&config);
	config_parse("{\"schedules\":{\"gc\":{\"jitter\":\"1m\"}}}", &config);
	assert_int_equal(config.gc.interval_s, 3600);
	assert_int_equal(config.gc.jitter_s, 60);
	ul_config_release(&config);
}

static void test_config__rules_are_those_of_prune(void **state)
{
	struct ul_arena arena = UL_ARENA_INIT;
	struct ul_err err = UL_ERR_INIT;
	const struct ul_config_prune *prunes;
	struct ul_config config;
	struct ul_rule rule;

	(void)state;
	config_parse(whole, &config);
	prunes = config.prunes.items;
	assert_int_equal(config.prunes.count, 3);
	assert_true(ul_config_prune_covers(&prunes[0], "c2"));
	assert_true(ul_config_prune_covers(&prunes[1], "own"));
	assert_false(ul_config_prune_covers(&prunes[1], "c2"));
	assert_int_equal(
	    ul_config_rule(&prunes[0], 1795000000, &arena, &rule, &err), 0);
	assert_true(rule.all && !rule.untagged && rule.is_standing);
	assert_int_equal(rule.pattern_count, 0);
	assert_int_equal(rule.filter_count, 3);
	assert_int_equal(rule.filters[0].key, UL_FILTER_UNUSED_FOR);
	assert_int_equal(rule.filters[0].unix_s, 30 * 86400);
	assert_int_equal(rule.filters[1].unix_s, 1795000000 - 86400);
	assert_string_equal(rule.filters[2].value, "keep");
	assert_int_equal(rule.pin_count, 1);
	assert_string_equal(rule.pins[0], "prod/*");
	assert_int_equal(ul_config_rule(&prunes[1], 0, &arena, &rule, &err), 0);
	assert_int_equal(rule.pattern_count, 2);
	assert_string_equal(rule.patterns[1], "app:1");
	assert_int_equal(ul_config_rule(&prunes[2], 0, &arena, &rule, &err), 0);
	assert_true(rule.untagged && !rule.all && !rule.pattern_count);
	ul_arena_release(&arena);
	ul_config_release(&config);
}

static void test_config__an_empty_one_is_the_usual_one(void **state)
{
	struct ul_config config, usual;

	(void)state;
	ul_config_init(&usual);
	config_parse("{}", &config);
	assert_null(config.state_path);
	assert_int_equal(config.stores.count, 1);
	assert_string_equal(config.stores.items[0].name, "embedded");
	assert_true(config.stores.items[0].grace_s == UL_CONFIG_GRACE_OF_KIND);
	assert_int_equal(config.stores.items[0].water.grace_s, 600);
	assert_false(config.stores.items[0].water.is_on);
	assert_int_equal(config.prunes.count, 0);
	assert_false(config.listen.is_on || config.everyone_reads);
	assert_int_equal(config.socket.mode, 0660);
	assert_string_equal(config.socket.path, "/run/ullage/ullage.sock");
	assert_memory_equal(&config.sync, &usual.sync, sizeof usual.sync);
	assert_memory_equal(&config.gc, &usual.gc, sizeof usual.gc);
	assert_memory_equal(&config.limits, &usual.limits, sizeof usual.limits);
	assert_memory_equal(&config.history, &usual.history,
			    sizeof usual.history);
	ul_config_release(&config);
	ul_config_release(&config);
	ul_config_release(&usual);
}

static const struct refusal {
	const char *text, *message;
} refusals[] = {
	/* What is no JSON, or no configuration. */
	{ "", "f:1:0: no valid JSON: '[' or '{' expected near end of file" },
	{ "{\n\"state\" \"/a\"}",
	  "f:2:12: no valid JSON: ':' expected near '\"/a\"'" },
	{ "{\n\"state\": \"/a\",\n\"state\": \"/b\" }",
	  "f:3:7: no valid JSON: duplicate object key near '\"state\"'" },
	{ "{} x", "f:1:4: no valid JSON: end of file expected near 'x'" },
	{ "// a\n{}", "f:1:1: no valid JSON: '[' or '{' expected near '/'" },
	{ "[]", "f: no JSON object" },
	{ "{\"//\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}",
	  "f: JSON nested deeper than 16 levels" },
	/* Keys. */
	{ "{\n\n\"sotres\": []}",
	  "f:3: sotres: no such key; did you mean \"stores\"?" },
	{ "{\"x\": 1}", "f:1: x: no such key" },
	{ "{\"/\": 1}", "f:1: /: no such key" },
	{ "{\"\": 1}", "f:1: \"\": no such key" },
	{ "{\"\xc3\xa4\\n\": 1}", "f:1: ???: no such key" },
	{ "{\"stores\":[{\"name\":\"a\",\n\"kind\":\"oci\",\n\"paht\":\"/\"}]}",
	  "f:3: stores[0].paht: no such key; did you mean \"path\"?" },
	{ "{\"access\":{\"read\":{\n\"user\":[]}}}",
	  "f:2: access.read.user: no such key; did you mean \"users\"?" },
	/* Types. */
	{ "{\"state\": 1}", "f:1: state: has to be a path, not a number" },
	{ "{\"state\": null}", "f:1: state: has to be a path, not null" },
	{ "{\"grace\": 3600}",
	  "f:1: grace: has to be a duration like \"90s\", not a number" },
	{ "{\"stores\": {}}", "f:1: stores: has to be a list, not an object" },
	{ "{\"stores\": [\"oci:/a\"]}",
	  "f:1: stores[0]: has to be an object, not text" },
	{ "{\"schedules\": []}",
	  "f:1: schedules: has to be an object, not a list" },
	{ "{\"schedules\":{\"gc\":\"@daily\"}}",
	  "f:1: schedules.gc: has to be an object, not text" },
	{ "{\"schedules\":{\"gc\":{\"when\":6}}}",
	  "f:1: schedules.gc.when: has to be a schedule like \"every 6h\", not "
	  "a number" },
	{ "{\"access\":{\"read\":{\"everyone\":\"yes\"}}}",
	  "f:1: access.read.everyone: has to be true or false, not text" },
	{ "{\"access\":{\"change\":{\"users\":\"ci\"}}}",
	  "f:1: access.change.users: has to be a list, not text" },
	{ "{\"access\":{\"change\":{\"users\":[\n\"ci\",\n7]}}}",
	  "f:3: access.change.users[1]: has to be a name, not a number" },
	{ "{\"limits\":{\"workers\":\"4\"}}",
	  "f:1: limits.workers: has to be a whole number, not text" },
	{ "{\"limits\":{\"workers\":4.0}}",
	  "f:1: limits.workers: has to be a whole number, not a fraction" },
	{ "{\"limits\":{\"body\":1048576}}",
	  "f:1: limits.body: has to be a size like \"1MiB\", not a number" },
	{ "{\"listen\": 9477}",
	  "f:1: listen: has to be an address like \"127.0.0.1:9477\", not a "
	  "number" },
	{ "{\"listen\": false}",
	  "f:1: listen: has to be an address like \"127.0.0.1:9477\", not "
	  "false" },
	{ "{\"socket\":{\"mode\":432}}",
	  "f:1: socket.mode: has to be text, not a number" },
	{ "{\"stores\":[{\"name\":true}]}",
	  "f:1: stores[0].name: has to be a name, not true" },
	{ "{\"stores\":[{\"water\":{\"high\":85}}]}",
	  "f:1: stores[0].water.high: has to be a share like \"85%\", not a "
	  "number" },
	{ "{\"prune\":[{\"filters\":[{}]}]}",
	  "f:1: prune[0].filters[0]: has to be a filter, not an object" },
	{ "{\"prune\":[{\"names\":[[]]}]}",
	  "f:1: prune[0].names[0]: has to be a name or pattern, not a list" },
	/* Units and ranges. */
	{ "{\"grace\": \"1 hour\"}",
	  "f:1: grace: \"1 hour\" is no duration like 90s, 1h30m or 10d" },
	{ "{\"grace\": \"24H\"}",
	  "f:1: grace: \"24H\" is no duration like 90s, 1h30m or 10d" },
	{ "{\"grace\": \"3654d\"}",
	  "f:1: grace: \"3654d\" is out of range: 0s to 3653d" },
	{ "{\"stores\":[{\"water\":{\"look\":\"6m\"}}]}",
	  "f:1: stores[0].water.look: \"6m\" is out of range: 1s to 5m" },
	{ "{\"stores\":[{\"water\":{\"look\":\"0\"}}]}",
	  "f:1: stores[0].water.look: \"0\" is out of range: 1s to 5m" },
	{ "{\"limits\":{\"body\":\"1MiB/s\"}}",
	  "f:1: limits.body: \"1MiB/s\" is no size like 512MiB or 20GB" },
	{ "{\"limits\":{\"body\":\"4095\"}}",
	  "f:1: limits.body: \"4095\" is out of range: 4KiB to 512MiB" },
	{ "{\"limits\":{\"import\":\"5TiB\"}}",
	  "f:1: limits.import: \"5TiB\" is out of range: 1MiB to 4TiB" },
	{ "{\"limits\":{\"connections\":0}}",
	  "f:1: limits.connections: 0 is out of range: 1 to 65536" },
	{ "{\"limits\":{\"requests\":5000}}",
	  "f:1: limits.requests: 5000 is out of range: 1 to 4096" },
	{ "{\"limits\":{\"workers\":-1}}",
	  "f:1: limits.workers: -1 is out of range: 1 to 256" },
	{ "{\"limits\":{\"idle\":\"2h\"}}",
	  "f:1: limits.idle: \"2h\" is out of range: 1s to 1h" },
	{ "{\"stores\":[{\"water\":{\"high\":\"85\"}}]}",
	  "f:1: stores[0].water.high: \"85\" is no share like 85% or 97.5%" },
	{ "{\"stores\":[{\"water\":{\"high\":\"20GiB\"}}]}",
	  "f:1: stores[0].water.high: \"20GiB\" is no share like 85% or "
	  "97.5%" },
	{ "{\"stores\":[{\"water\":{\"high\":\"100%\"}}]}",
	  "f:1: stores[0].water.high: \"100%\" is not between 0% and 100%" },
	{ "{\"stores\":[{\"water\":{\"low\":\"0%\"}}]}",
	  "f:1: stores[0].water.low: \"0%\" is not between 0% and 100%" },
	/* Texts. */
	{ "{\"state\": \"var/lib\"}",
	  "f:1: state: \"var/lib\" is no absolute path" },
	{ "{\"state\": \"\"}", "f:1: state: \"\" is no absolute path" },
	{ "{\"stores\":[{\"name\":\"My store\"}]}",
	  "f:1: stores[0].name: \"My store\" is no name: a to z, 0 to 9, and "
	  "within it . _ -, 64 at most" },
	{ "{\"stores\":[{\"name\":\"oci:/a\"}]}",
	  "f:1: stores[0].name: \"oci:/a\" is no name: a to z, 0 to 9, and "
	  "within it . _ -, 64 at most" },
	{ "{\"stores\":[{\"name\":\"-a\"}]}",
	  "f:1: stores[0].name: \"-a\" is no name: a to z, 0 to 9, and within "
	  "it . _ -, 64 at most" },
	{ "{\"stores\":[{\"name\":\"a\",\"kind\":\"containerd\"}]}",
	  "f:1: stores[0].kind: \"containerd\" is not embedded or oci" },
	{ "{\"schedules\":{\"zone\":\"CET\"}}",
	  "f:1: schedules.zone: \"CET\" is not local or UTC" },
	{ "{\"socket\":{\"mode\":\"0644\"}}",
	  "f:1: socket.mode: \"0644\" is not 0600, 0660 or 0666" },
	{ "{\"socket\":{\"path\":\"/"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "a"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}",
	  "f:1: socket.path: is longer than 107 bytes" },
	{ "{\"socket\":{\"group\":\"a:b\"}}",
	  "f:1: socket.group: \"a:b\" is no user or group" },
	{ "{\"access\":{\"read\":{\"groups\":[\"\"]}}}",
	  "f:1: access.read.groups[0]: \"\" is no user or group" },
	{ "{\"listen\": \"0.0.0.0:9477\"}",
	  "f:1: listen: \"0.0.0.0:9477\" is not of this machine alone: "
	  "127.0.0.1:PORT or [::1]:PORT" },
	{ "{\"listen\": \"[2001:db8::1]:9477\"}",
	  "f:1: listen: \"[2001:db8::1]:9477\" is not of this machine alone: "
	  "127.0.0.1:PORT or [::1]:PORT" },
	{ "{\"listen\": \"localhost:9477\"}",
	  "f:1: listen: \"localhost:9477\" is no address: 127.0.0.1:PORT or "
	  "[::1]:PORT" },
	{ "{\"listen\": \"127.0.0.1\"}",
	  "f:1: listen: \"127.0.0.1\" is no address: 127.0.0.1:PORT or "
	  "[::1]:PORT" },
	{ "{\"listen\": \"127.0.0.1:0\"}",
	  "f:1: listen: \"127.0.0.1:0\" is no address: 127.0.0.1:PORT or "
	  "[::1]:PORT" },
	{ "{\"listen\": \"127.0.0.1:65536\"}",
	  "f:1: listen: \"127.0.0.1:65536\" is no address: 127.0.0.1:PORT or "
	  "[::1]:PORT" },
	{ "{\"listen\": \"::1:9477\"}",
	  "f:1: listen: \"::1:9477\" is no address: 127.0.0.1:PORT or "
	  "[::1]:PORT" },
	{ "{\"listen\": \"[:9477\"}",
	  "f:1: listen: \"[:9477\" is no address: 127.0.0.1:PORT or "
	  "[::1]:PORT" },
	/* Rules and schedules. */
	{ "{\"prune\":[{\"filters\":[\"until=24h\",\n\"age=3\"]}]}",
	  "f:2: prune[0].filters[1]: unknown filter \"age=3\": until=, "
	  "unused-for=, label=, label!= and reference= are known" },
	{ "{\"prune\":[{\"filters\":[\"unused-for=long\"]}]}",
	  "f:1: prune[0].filters[0]: unused-for=long is no duration (90m, 24h, "
	  "10d, 1h30m)" },
	{ "{\"prune\":[{\"names\":[\"a[\"]}]}",
	  "f:1: prune[0].names[0]: \"a[\" is no name and no pattern" },
	{ "{\"prune\":[{\"pins\":[\"\"]}]}",
	  "f:1: prune[0].pins[0]: \"\" is no name and no pattern" },
	{ "{\"prune\":[{\"names\":[]}]}", "f:1: prune[0].names: is empty" },
	{ "{\"prune\":[{\"stores\":[]}]}", "f:1: prune[0].stores: is empty" },
	{ "{\"stores\": []}", "f:1: stores: is empty" },
	{ "{\"schedules\":{\"gc\":{\"when\":\"0 0 30 feb *\"}}}",
	  "f:1: schedules.gc.when: \"0 0 30 feb *\" never comes: no such month "
	  "has such a day" },
	{ "{\"schedules\":{\"sync\":{\"when\":\"daily\"}}}",
	  "f:1: schedules.sync.when: \"daily\" is no schedule: \"every 6h\", "
	  "five fields of cron (\"30 4 * * sun\"), @hourly, @daily, @weekly, "
	  "@monthly, @yearly, or \"off\"" },
	{ "{\"schedules\":{\"sync\":{\"jitter\":\"367d\"}}}",
	  "f:1: schedules.sync.jitter: \"367d\" is out of range: 0s to 366d" },
	/* What is missing. */
	{ "{\"stores\":[{\"kind\":\"embedded\"}]}",
	  "f:1: stores[0]: has no \"name\"" },
	{ "{\"stores\":[\n{\"name\":\"a\"}]}",
	  "f:2: stores[0]: has no \"kind\"" },
	{ "{\"stores\":[{\"name\":\"a\",\n\"kind\":\"oci\"}]}",
	  "f:1: stores[0]: has no \"path\", which kind oci needs" },
	{ "{\"stores\":[{\"name\":\"a\",\"kind\":\"embedded\",\n\"water\":{"
	  "\"high\":\"9%\"}}]}",
	  "f:2: stores[0].water: has no \"low\"" },
	{ "{\"prune\":[{\"all\":true}]}", "f:1: prune[0]: has no \"name\"" },
/* Contradictions. */
#define EMBEDDED "\"name\":\"e\",\"kind\":\"embedded\""
#define OCI(name)                                                              \
	"\"name\":\"" name "\",\"kind\":\"oci\",\"path\":\"/" name "\""
	{ "{\"stores\":[{" OCI("a") "},\n{" EMBEDDED "},\n{" OCI("a") "}]}",
	  "f:3: stores[2].name: \"a\" is the name of stores[0] too" },
	{ "{\"stores\":[{" EMBEDDED
	  "},\n{\"name\":\"f\",\n\"kind\":\"embedded\""
	  "}]}",
	  "f:3: stores[1].kind: there is one embedded store, and stores[0] is "
	  "that" },
	{ "{\"stores\":[{" OCI("a") "},{\"name\":\"b\",\"kind\":\"oci\",\n"
				    "\"path\":\"/a//\"}]}",
	  "f:2: stores[1].path: \"/a//\" is the path of stores[0] too" },
	{ "{\"stores\":[{" OCI("embedded") "}]}",
	  "f:1: stores[0].name: \"embedded\" is the name of no other kind" },
	{ "{\"stores\":[{" EMBEDDED ",\n\"path\":\"/a\"}]}",
	  "f:2: stores[0].path: goes with kind oci; the embedded store is in "
	  "the directory that \"state\" names" },
	{ "{\"stores\":[{" EMBEDDED ",\n\"exclusive\":true}]}",
	  "f:2: stores[0].exclusive: goes with kind oci; in the embedded store "
	  "it has no effect" },
	{ "{\"stores\":[{" OCI("a") ",\n\"trash\":false}]}",
	  "f:2: stores[0].trash: false deletes at once what others may be "
	  "about "
	  "to use: it needs \"exclusive\" true" },
	{ "{\"stores\":[{" EMBEDDED ",\"water\":{\"high\":\"80%\",\n\"low\":"
	  "\"85%\"}}]}",
	  "f:2: stores[0].water.low: is not below \"high\"" },
	{ "{\"stores\":[{" EMBEDDED ",\"water\":{\"high\":\"80%\",\n\"low\":"
	  "\"80.00%\"}}]}",
	  "f:2: stores[0].water.low: is not below \"high\"" },
	{ "{\"stores\":[{" EMBEDDED ",\"grace\":\"1h\",\"water\":{\"high\":"
	  "\"80%\",\"low\":\"70%\",\n\"grace\":\"61m\"}}]}",
	  "f:2: stores[0].water.grace: is longer than the grace of the store, "
	  "after which the trash is emptied anyway" },
	{ "{\"stores\":[{" EMBEDDED ",\"trash\":false,\"water\":{\"high\":"
	  "\"80%\",\"low\":\"70%\",\n\"grace\":\"1m\"}}]}",
	  "f:2: stores[0].water.grace: goes with \"trash\" true" },
	{ "{\"stores\":[{" EMBEDDED ",\"water\":{\"high\":\"80%\",\"low\":"
	  "\"70%\",\n\"prune\":\"all\"}}]}",
	  "f:2: stores[0].water.prune: no rule \"all\" in \"prune\"" },
	{ "{\"stores\":[{" EMBEDDED ",\"water\":{\"high\":\"80%\",\"low\":"
	  "\"70%\",\n\"prune\":\"r\"}},{" OCI(
	      "a") "}],\"prune\":[{\"name\":"
		   "\"r\",\"all\":true,\"stores\":[\"a\"],\"when\":\"@daily\"}]"
		   "}",
	  "f:2: stores[0].water.prune: the rule \"r\" is not for this store" },
	{ "{\"prune\":[{\"name\":\"r\",\"all\":true,\"when\":\"@daily\",\n"
	  "\"stores\":[\"embedded\",\n\"cache\"]}]}",
	  "f:3: prune[0].stores[1]: no store \"cache\" in \"stores\"" },
	{ "{\"prune\":[{\"name\":\"r\",\"all\":true,\"when\":\"@daily\"},{\n"
	  "\"name\":\"r\",\"all\":true,\"when\":\"@daily\"}]}",
	  "f:2: prune[1].name: \"r\" is the name of prune[0] too" },
	{ "{\"prune\":[\n{\"name\":\"r\",\"when\":\"@daily\"}]}",
	  "f:2: prune[0]: says nothing of what to remove: \"dangling\", "
	  "\"all\", \"untagged\" or \"names\"" },
	{ "{\"prune\":[{\"name\":\"r\",\"when\":\"@daily\",\"all\":true,\n"
	  "\"names\":[\"a\"]}]}",
	  "f:2: prune[0].names: goes without \"dangling\", \"all\" and "
	  "\"untagged\": it takes what it names" },
	{ "{\"prune\":[\n{\"name\":\"r\",\"all\":true}]}",
	  "f:2: prune[0]: is never due, and no store's \"water\" names it" },
	{ "{\"prune\":[{\"name\":\"r\",\"all\":true,\"when\":\"off\"}]}",
	  "f:1: prune[0]: is never due, and no store's \"water\" names it" },
	{ "{\"prune\":[{\"name\":\"r\",\"all\":true,\"when\":\"every 1h\",\n"
	  "\"jitter\":\"61m\"}]}",
	  "f:2: prune[0].jitter: is longer than the interval" },
	{ "{\"schedules\":{\"sample\":{\n\"jitter\":\"6m\"}}}",
	  "f:2: schedules.sample.jitter: is longer than the interval" },
	{ "{\"schedules\":{\"gc\":{\n\"jitter\":\"25h\",\"when\":\"@weekly\"}}"
	  "}",
	  "f:2: schedules.gc.jitter: is longer than a day" },
	{ "{\"socket\":{\"mode\":\"0600\",\n\"group\":\"ops\"}}",
	  "f:2: socket.group: mode 0600 lets no group connect" },
	{ "{\"access\":{\"read\":{\n\"everyone\":true}}}",
	  "f:2: access.read.everyone: needs the mode 0666 of the socket: 0660 "
	  "lets nobody else connect" },
	{ "{\"socket\":{\"mode\":\"0666\"},\"access\":{\"read\":{\"users\":"
	  "[\"a\"],\n\"everyone\":true}}}",
	  "f:2: access.read.everyone: goes without \"users\" and \"groups\"" },
	{ "{\n\"history\":{\"full\":\"61d\"}}",
	  "f:2: history: \"full\" is longer than \"hourly\"" },
	{ "{\n\"history\":{\"daily\":\"59d\"}}",
	  "f:2: history: \"hourly\" is longer than \"daily\"" },
};

static void test_config__what_is_wrong_is_refused_with_its_place(void **state)
{
	struct ul_config config, before;
	size_t i;

	(void)state;
	memset(&config, 7, sizeof config);
	before = config;
	for (i = 0; i < ul_array_len(refusals); i++) {
		const struct refusal *refusal = &refusals[i];
		struct ul_err err = UL_ERR_INIT;

		if (ul_config_parse(refusal->text, strlen(refusal->text), "f",
				    &config, &err) != UL_E_INVALID)
			fail_msg("taken, or %s: %s", err.msg, refusal->text);
		if (strcmp(err.msg, refusal->message) != 0)
			fail_msg("%s\nsays %s\nnot  %s", refusal->text, err.msg,
				 refusal->message);
		assert_int_equal(err.code, UL_E_INVALID);
		assert_memory_equal(&config, &before, sizeof before);
	}
}

/* One item more than there may be, of each list. */
static void test_config__lists_are_bounded(void **state)
{
	static const struct {
		const char *before, *item, *after;
		size_t most;
		const char *message;
	} lists[] = {
		{ "{\"stores\":[", "{}", "]}", UL_CONFIG_STORES_MAX,
		  "f:1: stores: has more than 64 items" },
		{ "{\"prune\":[", "{}", "]}", UL_CONFIG_PRUNES_MAX,
		  "f:1: prune: has more than 256 items" },
		{ "{\"access\":{\"read\":{\"users\":[", "\"a\"", "]}}}",
		  UL_CONFIG_LIST_MAX,
		  "f:1: access.read.users: has more than 1024 items" },
	};
	struct ul_config config;
	size_t i, k;

	(void)state;
	for (i = 0; i < ul_array_len(lists); i++) {
		struct ul_err err = UL_ERR_INIT;
		char text[16384];
		size_t len =
		    (size_t)snprintf(text, sizeof text, "%s", lists[i].before);

		for (k = 0; k <= lists[i].most; k++)
			len += (size_t)snprintf(text + len, sizeof text - len,
						"%s%s", k ? "," : "",
						lists[i].item);
		snprintf(text + len, sizeof text - len, "%s", lists[i].after);
		assert_int_equal(
		    ul_config_parse(text, strlen(text), "f", &config, &err),
		    UL_E_INVALID);
		assert_string_equal(err.msg, lists[i].message);
	}
}

static void test_config__a_file_too_long_is_not_looked_at(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_config config;
	char *text = calloc(1, UL_CONFIG_MAX_BYTES + 1);

	(void)state;
	memset(text, ' ', UL_CONFIG_MAX_BYTES + 1);
	text[0] = '{';
	text[UL_CONFIG_MAX_BYTES - 1] = '}';
	assert_int_equal(
	    ul_config_parse(text, UL_CONFIG_MAX_BYTES + 1, "f", &config, &err),
	    UL_E_INVALID);
	assert_string_equal(err.msg, "f: is longer than 1048576 bytes");
	err = UL_ERR_INIT;
	assert_int_equal(
	    ul_config_parse(text, UL_CONFIG_MAX_BYTES, "f", &config, &err), 0);
	ul_config_release(&config);
	free(text);
}

/* Escapes, brackets and quotes in what stands before do not move the line. */
static void test_config__the_line_is_that_of_the_key(void **state)
{
	static const char text[] =
	    "{ \"// \\\" ]}{[ \\\\\": \"}{\\\\\",\n"
	    "  \"//b\": [ [], {}, [ { \"a\": [ 1e5, true, null, \"]\" ] } ],\n"
	    "-0.5 ],\n"
	    "  \"\\u0073tores\": [ { \"kind\": \"embedded\",\n"
	    "     \"n\\u0061me\": \"e\",\n"
	    "     \"path\" :\n"
	    "       \"/a\" } ] }";
	struct ul_err err = UL_ERR_INIT;
	struct ul_config config;

	(void)state;
	assert_int_equal(
	    ul_config_parse(text, strlen(text), "f", &config, &err),
	    UL_E_INVALID);
	assert_string_equal(err.msg,
			    "f:6: stores[0].path: goes with kind oci; the "
			    "embedded store is in the directory that \"state\" "
			    "names");
}

static void test_config__without_memory_nothing_comes_out(void **state)
{
	struct ul_config config, before;
	int rc, n;

	(void)state;
	memset(&config, 7, sizeof config);
	before = config;
	for (n = 0;; n++) {
		struct ul_err err = UL_ERR_INIT;

		ul_mem_countdown = n;
		rc = ul_config_parse(whole, strlen(whole), "f", &config, &err);
		ul_mem_countdown = -1;
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_int_equal(err.code, UL_E_NOMEM);
		assert_memory_equal(&config, &before, sizeof before);
	}
	assert_true(n > 50);
	ul_config_release(&config);
}

static void test_config__a_refusal_needs_no_memory_of_its_own(void **state)
{
	const struct refusal *last = &refusals[ul_array_len(refusals) - 1];
	struct ul_config config;
	int rc, n;

	(void)state;
	for (n = 0;; n++) {
		struct ul_err err = UL_ERR_INIT;

		ul_mem_countdown = n;
		rc = ul_config_parse(last->text, strlen(last->text), "f",
				     &config, &err);
		ul_mem_countdown = -1;
		if (rc == UL_E_NOMEM)
			continue;
		assert_int_equal(rc, UL_E_INVALID);
		assert_string_equal(err.msg, last->message);
		break;
	}
}

static void test_config__a_rule_without_memory_is_none(void **state)
{
	struct ul_config config;
	struct ul_rule rule = { .all = true }, before = rule;
	int rc, n;

	(void)state;
	config_parse(whole, &config);
	for (n = 0;; n++) {
		struct ul_arena arena = UL_ARENA_INIT;
		struct ul_err err = UL_ERR_INIT;

		ul_mem_countdown = n;
		rc = ul_config_rule(&config.prunes.items[0], 1, &arena, &rule,
				    &err);
		ul_mem_countdown = -1;
		ul_arena_release(&arena);
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
		assert_memory_equal(&rule, &before, sizeof rule);
	}
	assert_int_equal(n, 1);
	ul_config_release(&config);
}

int main(void)
{
#define test(name) cmocka_unit_test(test_config__##name)
	const struct CMUnitTest tests[] = {
		test(every_key_comes_out_as_its_value),
		test(stores_have_their_own_or_the_common_grace),
		test(the_trash_is_emptied_no_later_than_grace),
		test(schedules_have_jitter_and_the_clock_named),
		test(rules_are_those_of_prune),
		test(an_empty_one_is_the_usual_one),
		test(what_is_wrong_is_refused_with_its_place),
		test(lists_are_bounded),
		test(a_file_too_long_is_not_looked_at),
		test(the_line_is_that_of_the_key),
		test(without_memory_nothing_comes_out),
		test(a_refusal_needs_no_memory_of_its_own),
		test(a_rule_without_memory_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
