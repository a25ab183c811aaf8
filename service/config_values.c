#include "service/config_keys.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/human.h"
#include "base/mem.h"
#include "gc/policy.h"
#include "service/config.h"
#include "service/config_place.h"
#include "service/limits.h"
#include "store/oci/reference.h"

/* As much of a text as a message shows. */
#define SHOWN "\"%.80s\""

int ul_config_refuse_type(struct ul_config_place *place, const char *wanted,
			  const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",
		[JSON_STRING] = "text",      [JSON_INTEGER] = "a number",
		[JSON_REAL] = "a fraction",  [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",      [JSON_NULL] = "null",
	};

	return ul_config_refuse(place, "has to be %s, not %s", wanted,
				names[json_typeof(value)]);
}

/* NULL: refused. */
static const char *text_of(struct ul_config_place *place, const char *wanted,
			   const json_t *value)
{
	const char *text = json_string_value(value);

	if (!text)
		ul_config_refuse_type(place, wanted, value);
	return text;
}

static int text_keep(struct ul_config_place *place, const char *text,
		     const char **ret)
{
	const char *copy = ul_arena_strdup(place->arena, text);

	if (!copy)
		return ul_err_nomem(place->err);
	*ret = copy;
	return 0;
}

int ul_config_read_text(struct ul_config_place *place,
			const struct ul_config_key *key, const json_t *value,
			void *into)
{
	const char *text = text_of(place, "text", value);

	(void)key;
	if (!text)
		return UL_E_INVALID;
	if (!*text)
		return ul_config_refuse(place, "is empty");
	return text_keep(place, text, into);
}

/* It stands in URLs, labels of metrics and on command lines. */
static bool is_name(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return *text && !text[len] && len <= UL_CONFIG_NAME_MAX_BYTES &&
	       !strchr("._-", *text);
}

int ul_config_read_name(struct ul_config_place *place,
			const struct ul_config_key *key, const json_t *value,
			void *into)
{
	const char *text = text_of(place, "a name", value);

	(void)key;
	if (!text)
		return UL_E_INVALID;
	if (!is_name(text))
		return ul_config_refuse(place,
					SHOWN " is no name: a to z, 0 to 9, "
					      "and within it . _ -, %d at most",
					text, UL_CONFIG_NAME_MAX_BYTES);
	return text_keep(place, text, into);
}

int ul_config_read_path(struct ul_config_place *place,
			const struct ul_config_key *key, const json_t *value,
			void *into)
{
	const char *text = text_of(place, "a path", value);

	if (!text)
		return UL_E_INVALID;
	if (*text != '/')
		return ul_config_refuse(place, SHOWN " is no absolute path",
					text);
	if (strlen(text) > (size_t)key->max)
		return ul_config_refuse(
		    place, "is longer than %" PRId64 " bytes", key->max);
	return text_keep(place, text, into);
}

/* What no passwd(5) or group(5) can have, or nobody means. */
static bool is_user(const char *text)
{
	size_t len = strcspn(text, ":,/ \t\n\r\"\\");

	return *text && !text[len] && len <= UL_CONFIG_USER_MAX_BYTES &&
	       *text != '-' && *text != '+';
}

int ul_config_read_user(struct ul_config_place *place,
			const struct ul_config_key *key, const json_t *value,
			void *into)
{
	const char *text = text_of(place, "a name", value);

	(void)key;
	if (!text)
		return UL_E_INVALID;
	if (!is_user(text))
		return ul_config_refuse(place, SHOWN " is no user or group",
					text);
	return text_keep(place, text, into);
}

static int pattern_read(struct ul_config_place *place,
			const struct ul_config_key *key, const json_t *value,
			void *into)
{
	const char *text = text_of(place, "a name or pattern", value);

	(void)key;
	if (!text)
		return UL_E_INVALID;
	if (!*text || !ul_reference_pattern_is_valid(text))
		return ul_config_refuse(
		    place, SHOWN " is no name and no pattern", text);
	return text_keep(place, text, into);
}

/* Times are relative to when the rule runs: it is parsed again then. */
static int filter_read(struct ul_config_place *place,
		       const struct ul_config_key *key, const json_t *value,
		       void *into)
{
	const char *text = text_of(place, "a filter", value);
	struct ul_err why = UL_ERR_INIT;
	struct ul_filter filter;

	(void)key;
	if (!text)
		return UL_E_INVALID;
	if (ul_filter_parse(text, 0, &filter, &why))
		return ul_config_refuse(place, "%s", why.msg);
	return text_keep(place, text, into);
}

static int list_read(struct ul_config_place *place,
		     const struct ul_config_key *key, const json_t *value,
		     struct ul_config_texts *into, ul_config_read *read)
{
	size_t count = json_array_size(value), i;
	const char **items;
	int rc = 0;

	if (!json_is_array(value))
		return ul_config_refuse_type(place, "a list", value);
	if (count < (size_t)key->min)
		return ul_config_refuse(place, "is empty");
	if (count > UL_CONFIG_LIST_MAX)
		return ul_config_refuse(place, "has more than %d items",
					UL_CONFIG_LIST_MAX);
	items = ul_arena_alloc(place->arena, (count + 1) * sizeof *items);
	if (!items)
		return ul_err_nomem(place->err);
	for (i = 0; !rc && i < count; i++) {
		ul_config_enter(place, NULL, i);
		rc = read(place, key, json_array_get(value, i), &items[i]);
		ul_config_leave(place);
	}
	if (!rc)
		*into = (struct ul_config_texts){ items, count };
	return rc;
}

int ul_config_read_names(struct ul_config_place *place,
			 const struct ul_config_key *key, const json_t *value,
			 void *into)
{
	return list_read(place, key, value, into, ul_config_read_name);
}

int ul_config_read_users(struct ul_config_place *place,
			 const struct ul_config_key *key, const json_t *value,
			 void *into)
{
	return list_read(place, key, value, into, ul_config_read_user);
}

int ul_config_read_patterns(struct ul_config_place *place,
			    const struct ul_config_key *key,
			    const json_t *value, void *into)
{
	return list_read(place, key, value, into, pattern_read);
}

int ul_config_read_filters(struct ul_config_place *place,
			   const struct ul_config_key *key, const json_t *value,
			   void *into)
{
	return list_read(place, key, value, into, filter_read);
}

int ul_config_read_bool(struct ul_config_place *place,
			const struct ul_config_key *key, const json_t *value,
			void *into)
{
	(void)key;
	if (!json_is_boolean(value))
		return ul_config_refuse_type(place, "true or false", value);
	*(bool *)into = json_is_true(value);
	return 0;
}

static int word_refuse(struct ul_config_place *place,
		       const struct ul_config_word *words, const char *text)
{
	char all[128];
	size_t len = 0;

	for (; words->word && len < sizeof all; words++)
		len += (size_t)snprintf(all + len, sizeof all - len, "%s%s",
					words->word,
					!words[1].word  ? ""
					: words[2].word ? ", "
							: " or ");
	return ul_config_refuse(place, SHOWN " is not %s", text, all);
}

int ul_config_read_word(struct ul_config_place *place,
			const struct ul_config_key *key, const json_t *value,
			void *into)
{
	const char *text = text_of(place, "text", value);
	const struct ul_config_word *word;

	if (!text)
		return UL_E_INVALID;
	for (word = key->words; word->word; word++) {
		if (strcmp(word->word, text) != 0)
			continue;
		*(int *)into = word->value;
		return 0;
	}
	return word_refuse(place, key->words, text);
}

int ul_config_read_count(struct ul_config_place *place,
			 const struct ul_config_key *key, const json_t *value,
			 void *into)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value))
		return ul_config_refuse_type(place, "a whole number", value);
	if (number < key->min || number > key->max)
		return ul_config_refuse(place,
					"%" JSON_INTEGER_FORMAT
					" is out of range: %" PRId64
					" to %" PRId64,
					number, key->min, key->max);
	*(int64_t *)into = number;
	return 0;
}

/* A number of the largest unit of which it is a whole number. */
struct unit {
	const char *name;
	uint64_t of;
};

static void amount_print(uint64_t amount, const struct unit *units,
			 char text[32])
{
	while (units[1].name && amount % units[1].of == 0 && amount)
		units++;
	snprintf(text, 32, "%" PRIu64 "%s", amount / units->of, units->name);
}

static int range_refuse(struct ul_config_place *place,
			const struct ul_config_key *key, const char *text,
			const struct unit *units)
{
	char min[32], max[32];

	amount_print((uint64_t)key->min, units, min);
	amount_print((uint64_t)key->max, units, max);
	return ul_config_refuse(place, SHOWN " is out of range: %s to %s", text,
				min, max);
}

int ul_config_read_duration(struct ul_config_place *place,
			    const struct ul_config_key *key,
			    const json_t *value, void *into)
{
	static const struct unit units[] = {
		{ "s", 1 },     { "m", 60 }, { "h", 3600 },
		{ "d", 86400 }, { NULL, 0 },
	};
	const char *text = text_of(place, "a duration like \"90s\"", value);
	int64_t seconds;

	if (!text)
		return UL_E_INVALID;
	if (!ul_duration_parse(text, &seconds))
		return ul_config_refuse(place,
					SHOWN " is no duration like 90s, "
					      "1h30m or 10d",
					text);
	if (seconds < key->min || seconds > key->max)
		return range_refuse(place, key, text, units);
	*(int64_t *)into = seconds;
	return 0;
}

int ul_config_read_size(struct ul_config_place *place,
			const struct ul_config_key *key, const json_t *value,
			void *into)
{
	static const struct unit units[] = {
		{ "B", 1 },
		{ "KiB", 1 << 10 },
		{ "MiB", 1 << 20 },
		{ "GiB", 1 << 30 },
		{ "TiB", UINT64_C(1) << 40 },
		{ NULL, 0 },
	};
	const char *text = text_of(place, "a size like \"1MiB\"", value);
	uint64_t bytes;

	if (!text)
		return UL_E_INVALID;
	if (!ul_human_parse_bytes(text, &bytes))
		return ul_config_refuse(
		    place, SHOWN " is no size like 512MiB or 20GB", text);
	if (bytes < (uint64_t)key->min || bytes > (uint64_t)key->max)
		return range_refuse(place, key, text, units);
	*(uint64_t *)into = bytes;
	return 0;
}

int ul_config_read_percent(struct ul_config_place *place,
			   const struct ul_config_key *key, const json_t *value,
			   void *into)
{
	const char *text = text_of(place, "a share like \"85%\"", value);
	uint32_t hundredths;

	(void)key;
	if (!text)
		return UL_E_INVALID;
	if (!ul_human_parse_percent(text, &hundredths))
		return ul_config_refuse(
		    place, SHOWN " is no share like 85%% or 97.5%%", text);
	/* Nothing is above all of it, and nothing below nothing. */
	if (!hundredths || hundredths == 10000)
		return ul_config_refuse(
		    place, SHOWN " is not between 0%% and 100%%", text);
	*(uint32_t *)into = hundredths;
	return 0;
}

int ul_config_read_schedule(struct ul_config_place *place,
			    const struct ul_config_key *key,
			    const json_t *value, void *into)
{
	const char *text =
	    text_of(place, "a schedule like \"every 6h\"", value);
	struct ul_schedule *schedule = into, parsed;
	struct ul_err why = UL_ERR_INIT;

	(void)key;
	if (!text)
		return UL_E_INVALID;
	if (ul_schedule_parse(text, &parsed, &why))
		return ul_config_refuse(place, "%s", why.msg);
	parsed.jitter_s = schedule->jitter_s;
	*schedule = parsed;
	return 0;
}

/* "127.0.0.1:80" or "[::1]:80", with the host alone into host. */
static bool address_split(const char *text, char *host, size_t size,
			  uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	bool is_v6 = *text == '[';
	size_t len, digits;
	long port;

	if (!colon)
		return false;
	len = (size_t)(colon - text);
	if (is_v6) {
		if (len < 2 || text[len - 1] != ']')
			return false;
		text++;
		len -= 2;
	}
	digits = strspn(colon + 1, "0123456789");
	if (len >= size || !digits || digits > 5 || colon[1 + digits])
		return false;
	port = strtol(colon + 1, NULL, 10);
	if (port < 1 || port > UINT16_MAX)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	*ret_port = (uint16_t)port;
	return true;
}

/* Whether it is loopback; *ret_known: whether it is an address at all. */
static bool is_loopback(const char *host, bool is_v6, bool *ret_known)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (is_v6) {
		*ret_known = inet_pton(AF_INET6, host, &v6) == 1;
		return *ret_known && IN6_IS_ADDR_LOOPBACK(&v6);
	}
	*ret_known = inet_pton(AF_INET, host, &v4) == 1;
	return *ret_known && ntohl(v4.s_addr) >> 24 == 127;
}

int ul_config_read_listen(struct ul_config_place *place,
			  const struct ul_config_key *key, const json_t *value,
			  void *into)
{
	const char *text =
	    text_of(place, "an address like \"127.0.0.1:9477\"", value);
	__typeof__(((struct ul_config *)0)->listen) listen = { .is_on = true };
	bool is_known = false, is_ours;

	(void)key;
	if (!text)
		return UL_E_INVALID;
	listen.is_v6 = *text == '[';
	is_ours = address_split(text, listen.host, sizeof listen.host,
				&listen.port) &&
		  is_loopback(listen.host, listen.is_v6, &is_known);
	if (!is_known)
		return ul_config_refuse(place,
					SHOWN " is no address: 127.0.0.1:PORT "
					      "or [::1]:PORT",
					text);
	if (!is_ours)
		return ul_config_refuse(place,
					SHOWN " is not of this machine alone: "
					      "127.0.0.1:PORT or [::1]:PORT",
					text);
	memcpy(into, &listen, sizeof listen);
	return 0;
}
