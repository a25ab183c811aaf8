/*
 * The parser, its manual page and the example say the same: every key of one is
 * in the others, in the same order, and every default that the page names is
 * the one that holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "service/config.h"
#include "service/config_keys.h"
#include "store/oci/json.h"

enum { FILE_MAX_BYTES = 1 << 20 };

static void file_read(const char *path, struct ul_buf *text)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_file_read(AT_FDCWD, path, FILE_MAX_BYTES, text, &err))
		fail_msg("%s", err.msg);
}

/* "state\nstores\nstores[].name\n..." */
static void keys_list(const struct ul_config_key *keys, const char *before,
		      struct ul_buf *list)
{
	char path[128];

	for (; keys->name; keys++) {
		snprintf(path, sizeof path, "%s%s%s", before,
			 *before ? "." : "", keys->name);
		ul_buf_printf(list, "%s\n", path);
		if (keys->is_list)
			strcat(path, "[]");
		if (keys->members)
			keys_list(keys->members, path, list);
	}
}

/* The headings "\fBkey\fP = kind" between KEYS and the next section. */
static void page_keys_list(const char *page, struct ul_buf *list)
{
	const char *at = strstr(page, "\n.SH KEYS\n"), *end;

	assert_non_null(at);
	end = strstr(at + 1, "\n.SH ");
	while ((at = strstr(at, "\n.TP\n\\fB")) && at < end) {
		size_t len;

		at += strlen("\n.TP\n\\fB");
		len = strcspn(at, "\\");
		assert_memory_equal(at + len, "\\fP = ", 6);
		ul_buf_printf(list, "%.*s\n", (int)len, at);
	}
}

static void test_config_pages__the_manual_has_every_key_and_no_other(void **s)
{
	ul_cleanup(ul_buf_release) struct ul_buf page = UL_BUF_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf keys = UL_BUF_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf headings = UL_BUF_INIT;

	(void)s;
	file_read(UL_SOURCE "/docs/man/ullage.json.5", &page);
	keys_list(ul_config_root_keys, "", &keys);
	page_keys_list(ul_buf_str(&page), &headings);
	assert_string_equal(ul_buf_str(&headings), ul_buf_str(&keys));
}

static bool has_line(const struct ul_buf *list, const char *line)
{
	size_t len = strlen(line);
	const char *at = ul_buf_str(list);

	for (; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, line, len) && at[len] == '\n')
			return true;
	}
	return false;
}

static void example_walk(const json_t *json, const char *path,
			 struct ul_buf *list)
{
	char below[128];
	const json_t *value;
	const char *name;
	size_t i;

	json_array_foreach(json, i, value)
	{
		snprintf(below, sizeof below, "%s[]", path);
		example_walk(value, below, list);
	}
	if (!json_is_object(json))
		return;
	json_object_foreach((json_t *)json, name, value)
	{
		if (!strncmp(name, "//", 2))
			continue;
		snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "",
			 name);
		ul_buf_printf(list, "%s\n", below);
		example_walk(value, below, list);
	}
}

static void test_config_pages__the_example_has_every_key(void **state)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf keys = UL_BUF_INIT;
	ul_cleanup(ul_buf_release) struct ul_buf used = UL_BUF_INIT;
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	struct ul_err err = UL_ERR_INIT;
	char *key, *rest;

	(void)state;
	file_read(UL_SOURCE "/packaging/ullage.json", &text);
	if (ul_json_parse(text.data, text.len, 16, &json, &err))
		fail_msg("%s", err.msg);
	example_walk(json, "", &used);
	keys_list(ul_config_root_keys, "", &keys);
	for (key = strtok_r(keys.data, "\n", &rest); key;
	     key = strtok_r(NULL, "\n", &rest)) {
		if (!has_line(&used, key))
			fail_msg("the example has no %s", key);
	}
}

/* Strictly: so it has no key that the parser has not. */
static void test_config_pages__the_example_is_taken(void **state)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_config config;

	(void)state;
	file_read(UL_SOURCE "/packaging/ullage.json", &text);
	if (ul_config_parse(text.data, text.len, "example", &config, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(config.stores.count, 2);
	assert_int_equal(config.prunes.count, 2);
	ul_config_release(&config);
}

/* Every member before has a comment of its own, or stands in its owner's. */
static void test_config_pages__the_example_is_commented(void **state)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	struct ul_err err = UL_ERR_INIT;
	const char *name;
	json_t *value;

	(void)state;
	file_read(UL_SOURCE "/packaging/ullage.json", &text);
	assert_int_equal(ul_json_parse(text.data, text.len, 16, &json, &err),
			 0);
	json_object_foreach(json, name, value)
	{
		char comment[64];

		snprintf(comment, sizeof comment, "//%s", name);
		if (strncmp(name, "//", 2) != 0 &&
		    !json_is_string(json_object_get(json, comment)))
			fail_msg("%s has no comment", name);
	}
}

#define STORE(more)                                                            \
	"{\"stores\":[{\"name\":\"embedded\",\"kind\":\"embedded\"" more "}]}"
#define OCI(more)                                                              \
	"{\"stores\":[{\"name\":\"a\",\"kind\":\"oci\",\"path\":\"/a\"" more   \
	"}]}"
#define WATER(more)                                                            \
	STORE(",\"water\":{\"high\":\"90%\",\"low\":\"80%\"" more "}")
#define PRUNE(more) "{\"prune\":[{\"name\":\"a\",\"when\":\"@daily\"" more "}]}"

/* The page's word for what holds without a key, and two files, without it and
 * with that as its value, that have to mean the same. */
static const struct usual {
	const char *key, *word, *without, *with;
} usuals[] = {
	{ "stores[].trash", "true", STORE(""), STORE(",\"trash\":true") },
	{ "stores[].exclusive", "false", OCI(""), OCI(",\"exclusive\":false") },
	{ "stores[].water.look", "5s", WATER(""), WATER(",\"look\":\"5s\"") },
	{ "stores[].water.grace",
	  "10m, or the grace of the store if that is shorter", WATER(""),
	  WATER(",\"grace\":\"10m\"") },
	{ "schedules.zone", "local", "{}",
	  "{\"schedules\":{\"zone\":\"local\"}}" },
	{ "schedules.sync.when", "every 15m", "{}",
	  "{\"schedules\":{\"sync\":{\"when\":\"every 15m\"}}}" },
	{ "schedules.sync.jitter", "0s", "{}",
	  "{\"schedules\":{\"sync\":{\"jitter\":\"0s\"}}}" },
	{ "schedules.sample.when", "every 5m", "{}",
	  "{\"schedules\":{\"sample\":{\"when\":\"every 5m\"}}}" },
	{ "schedules.sample.jitter", "0s", "{}",
	  "{\"schedules\":{\"sample\":{\"jitter\":\"0s\"}}}" },
	{ "schedules.gc.when", "every 1h",
	  "{\"schedules\":{\"gc\":{\"jitter\":"
	  "\"5m\"}}}",
	  "{\"schedules\":{\"gc\":{\"when\":\"every "
	  "1h\",\"jitter\":\"5m\"}}}" },
	{ "prune[].dangling", "false", PRUNE(",\"all\":true"),
	  PRUNE(",\"all\":true,\"dangling\":false") },
	{ "prune[].all", "false", PRUNE(",\"dangling\":true"),
	  PRUNE(",\"dangling\":true,\"all\":false") },
	{ "prune[].untagged", "false", PRUNE(",\"all\":true"),
	  PRUNE(",\"all\":true,\"untagged\":false") },
	{ "prune[].jitter", "0s", PRUNE(",\"all\":true"),
	  PRUNE(",\"all\":true,\"jitter\":\"0s\"") },
	{ "socket.path", "/run/ullage/ullage.sock", "{}",
	  "{\"socket\":{\"path\":\"/run/ullage/ullage.sock\"}}" },
	{ "socket.mode", "0660", "{}", "{\"socket\":{\"mode\":\"0660\"}}" },
	{ "access.read.everyone", "false", "{}",
	  "{\"access\":{\"read\":{\"everyone\":false}}}" },
	{ "limits.connections", "1024", "{}",
	  "{\"limits\":{\"connections\":1024}}" },
	{ "limits.requests", "64", "{}", "{\"limits\":{\"requests\":64}}" },
	{ "limits.workers", "4", "{}", "{\"limits\":{\"workers\":4}}" },
	{ "limits.body", "1MiB", "{}", "{\"limits\":{\"body\":\"1MiB\"}}" },
	{ "limits.import", "1TiB", "{}", "{\"limits\":{\"import\":\"1TiB\"}}" },
	{ "limits.idle", "60s", "{}", "{\"limits\":{\"idle\":\"60s\"}}" },
	{ "history.full", "2d", "{}", "{\"history\":{\"full\":\"2d\"}}" },
	{ "history.hourly", "60d", "{}", "{\"history\":{\"hourly\":\"60d\"}}" },
	{ "history.daily", "1826d", "{}",
	  "{\"history\":{\"daily\":\"1826d\"}}" },
	{ "history.runs", "400d", "{}", "{\"history\":{\"runs\":\"400d\"}}" },
};

static void assert_same(const struct ul_config *a, const struct ul_config *b,
			const char *key)
{
	const struct ul_config_store *stores[] = { a->stores.items,
						   b->stores.items };
	bool same = !memcmp(&a->sync, &b->sync, sizeof a->sync) &&
		    !memcmp(&a->sample, &b->sample, sizeof a->sample) &&
		    !memcmp(&a->gc, &b->gc, sizeof a->gc) &&
		    !memcmp(&a->limits, &b->limits, sizeof a->limits) &&
		    !memcmp(&a->history, &b->history, sizeof a->history) &&
		    !strcmp(a->socket.path, b->socket.path) &&
		    a->socket.mode == b->socket.mode &&
		    a->is_utc == b->is_utc &&
		    a->everyone_reads == b->everyone_reads &&
		    stores[0]->keeps_trash == stores[1]->keeps_trash &&
		    stores[0]->is_exclusive == stores[1]->is_exclusive &&
		    !memcmp(&stores[0]->water, &stores[1]->water,
			    sizeof stores[0]->water);

	if (a->prunes.count)
		same = same &&
		       a->prunes.items->is_all == b->prunes.items->is_all &&
		       a->prunes.items->is_dangling ==
			   b->prunes.items->is_dangling &&
		       a->prunes.items->is_untagged ==
			   b->prunes.items->is_untagged &&
		       !memcmp(&a->prunes.items->schedule,
			       &b->prunes.items->schedule,
			       sizeof a->prunes.items->schedule);
	if (!same)
		fail_msg("%s: another default than the manual says", key);
}

static struct ul_config parsed(const char *text)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_config config;

	if (ul_config_parse(text, strlen(text), "f", &config, &err))
		fail_msg("%s: %s", text, err.msg);
	return config;
}

/* "Default: WORD." before the next key. */
static void assert_page_says(const char *page, const char *key,
			     const char *word)
{
	char heading[128], line[160];
	const char *at, *end, *found;

	snprintf(heading, sizeof heading, "\n\\fB%s\\fP = ", key);
	at = strstr(page, heading);
	if (!at)
		fail_msg("no %s in the manual", key);
	end = strstr(at, "\n.TP\n");
	snprintf(line, sizeof line, "\nDefault: %s.\n", word);
	found = strstr(at, line);
	if (!found || found >= end)
		fail_msg("%s: the manual does not say%s", key, line);
}

static void test_config_pages__defaults_are_those_of_the_manual(void **state)
{
	ul_cleanup(ul_buf_release) struct ul_buf page = UL_BUF_INIT;
	size_t i;

	(void)state;
	file_read(UL_SOURCE "/docs/man/ullage.json.5", &page);
	for (i = 0; i < ul_array_len(usuals); i++) {
		const struct usual *usual = &usuals[i];
		struct ul_config without = parsed(usual->without);
		struct ul_config with = parsed(usual->with);

		assert_same(&without, &with, usual->key);
		assert_page_says(ul_buf_str(&page), usual->key, usual->word);
		ul_config_release(&without);
		ul_config_release(&with);
	}
	assert_page_says(ul_buf_str(&page), "listen", "none");
	assert_page_says(ul_buf_str(&page), "prune", "none");
	assert_page_says(ul_buf_str(&page), "stores[].water", "no marks");
}

int main(void)
{
#define test(name) cmocka_unit_test(test_config_pages__##name)
	const struct CMUnitTest tests[] = {
		test(the_manual_has_every_key_and_no_other),
		test(the_example_has_every_key),
		test(the_example_is_taken),
		test(the_example_is_commented),
		test(defaults_are_those_of_the_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
