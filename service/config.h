/*
 * service/config.h - the configuration, /etc/ullage/ullage.json: bytes in, a
 * checked value out. No I/O: who reads the file hands over its bytes.
 *
 * ullage.json(5) describes each key. What is not understood is refused, never
 * passed over; members whose key begins with // are comments.
 */
#ifndef UL_SERVICE_CONFIG_H
#define UL_SERVICE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "service/config_stores.h"
#include "service/schedule.h"

struct ul_err;

/* Where the file is, unless --config or ULLAGE_CONFIG names another. */
#define UL_CONFIG_PATH "/etc/ullage/ullage.json"

struct ul_config_people {
	struct ul_config_texts users, groups; /* names, or numbers as text */
};

struct ul_config {
	const char *state_path; /* NULL: the user's usual one */
	int64_t grace_s;        /* of stores without one; as theirs */
	struct {
		const struct ul_config_store *items;
		size_t count;
	} stores;    /* never none */
	bool is_utc; /* the clock of cron times; it is in each schedule too */
	struct ul_schedule sync, sample, gc;
	struct {
		const struct ul_config_prune *items;
		size_t count;
	} prunes;
	struct {
		const char *path;
		int mode;          /* 0600, 0660 or 0666 */
		const char *group; /* NULL: the service's own */
	} socket;
	/* Beside root and the service's own user. Who may change may read. */
	struct ul_config_people change, read;
	bool everyone_reads;
	struct {
		bool is_on;
		bool is_v6;
		char host[64]; /* "127.0.0.1": loopback, in numbers */
		uint16_t port;
	} listen;
	struct {
		int64_t connections, requests, workers;
		uint64_t body_bytes, import_bytes;
		int64_t idle_s;
	} limits;
	struct {
		/* Samples as taken, then one an hour, then one a day. */
		int64_t full_s, hourly_s, daily_s;
		int64_t runs_s; /* what collections did */
	} history;
	struct ul_arena arena; /* all text and lists */
};

/* What holds without any file; nothing is allocated. */
void ul_config_init(struct ul_config *config);
void ul_config_release(struct ul_config *config);

/*
 * Parse and check a file; `file` begins the messages. What it leaves out is as
 * ul_config_init() says.
 * Owner:   *ret is released by ul_config_release().
 * Returns: 0; UL_E_INVALID with "FILE:LINE: KEY: REASON", KEY as in
 *          "stores[1].water.high", numbered from 0; UL_E_NOMEM.
 */
int ul_config_parse(const char *bytes, size_t len, const char *file,
		    struct ul_config *ret, struct ul_err *err);

/* The store of that name, or NULL. */
const struct ul_config_store *
ul_config_store_find(const struct ul_config *config, const char *name);

#endif
