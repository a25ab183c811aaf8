/*
 * service/http.h - HTTP on the loop: requests come whole, answers go when
 * they are ready.
 *
 * libmicrohttpd parses; it runs on the loop through its epoll descriptor. The
 * handler is called on the loop once a request is there with its body. It
 * answers then or later, once: what takes time is done by workers meanwhile,
 * and the connection waits without a thread.
 *
 * All functions are for the loop's thread.
 */
#ifndef UL_SERVICE_HTTP_H
#define UL_SERVICE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/peer.h"

struct ev_loop;
struct ul_err;
struct ul_http;

/* A request, and the answer it will get. */
struct ul_exchange {
	const char *method, *path; /* the path is decoded, without query */
	const char *body;          /* ends with NUL, which is not counted */
	size_t body_len;
	struct ul_peer peer;
	/* The handler's: called when the client is gone before the answer, or
	 * the server stops; the exchange is no longer to be used then. May be
	 * NULL. */
	void (*gone)(struct ul_exchange *exchange);
	void *arg;
};

typedef void ul_http_handler(void *arg, struct ul_exchange *exchange);

struct ul_http_options {
	int listen_fd; /* borrowed; listening, non-blocking */
	bool is_local; /* a unix socket: who asks is known */
	unsigned connections_max;
	unsigned idle_s; /* without a byte, then the connection ends */
	size_t body_max_bytes;
	ul_http_handler *handler;
	void *arg;
};

/*
 * Owner:   *ret_http, released by ul_http_free() while the loop lives.
 * Returns: 0; UL_E_IO (libmicrohttpd refused); UL_E_NOMEM.
 */
int ul_http_new(struct ev_loop *loop, const struct ul_http_options *options,
		struct ul_http **ret_http, struct ul_err *err);

/* End all connections, those that wait for an answer too. NULL is fine. */
void ul_http_free(struct ul_http *http);

/* No new connections from here on; those that are there go on. */
void ul_http_close(struct ul_http *http);

size_t ul_http_connections(const struct ul_http *http);

/* The parameters of the query, decoded, in their order, "" where one has no
 * value; false ends it. */
void ul_exchange_queries(const struct ul_exchange *exchange,
			 bool (*each)(void *arg, const char *name,
				      const char *value),
			 void *arg);

struct ul_http_answer {
	unsigned status;
	const char *type;  /* Content-Type; NULL: application/json */
	const char *etag;  /* with its quotes, or NULL */
	const char *allow; /* of 405, or NULL */
	char *body;        /* owned: taken over in every case */
	size_t body_len;
};

/* Answer, once. What cannot be answered for lack of memory is cut off. */
void ul_exchange_answer(struct ul_exchange *exchange,
			const struct ul_http_answer *answer);

/*
 * The same with a document of ours, whose reference is taken over; NULL (and
 * what cannot be written for lack of memory) is an empty 503. `allow` as above.
 */
struct json_t;
void ul_exchange_answer_json(struct ul_exchange *exchange, unsigned status,
			     const char *allow, struct json_t *json);

/* {"version":1,"error":MESSAGE} with that status; printf() form. */
void ul_exchange_refuse(struct ul_exchange *exchange, unsigned status,
			const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
