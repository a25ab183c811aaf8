#include "service/http.h"

#include <assert.h>
#include <ev.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/oci/json.h"

/* Of a request's line and headers: paths name images; each connection
 * holds as much. */
enum { HEAD_MAX_BYTES = 32 * 1024 };
enum { MESSAGE_MAX_BYTES = 2048 };

struct waiting {
	struct ul_exchange exchange;
	struct ul_http *http;
	struct MHD_Connection *connection;
	struct MHD_Response *response;
	unsigned status;
	struct ul_buf body;
	bool is_body_refused; /* too long, or no memory: bytes are passed by */
	bool is_handled, is_answered, is_suspended;
	struct waiting *previous, *next;
};

struct ul_http {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	ev_io ready;
	ev_timer timeout;
	struct ul_http_options options;
	struct waiting *all; /* requests under way */
	size_t connection_count;
	bool is_closing;
};

static struct waiting *waiting_of(const struct ul_exchange *exchange)
{
	return (struct waiting *)exchange;
}

static void timeout_set(struct ul_http *http)
{
	MHD_UNSIGNED_LONG_LONG left_ms;

	ev_timer_stop(http->loop, &http->timeout);
	if (MHD_get_timeout(http->daemon, &left_ms) != MHD_YES)
		return;
	ev_timer_set(&http->timeout, (double)left_ms / 1000, 0.);
	ev_timer_start(http->loop, &http->timeout);
}

static void http_run(struct ul_http *http)
{
	MHD_run(http->daemon);
	timeout_set(http);
}

static void on_ready(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	http_run(io->data);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	http_run(timer->data);
}

static void waiting_free(struct waiting *waiting)
{
	if (waiting->previous)
		waiting->previous->next = waiting->next;
	else
		waiting->http->all = waiting->next;
	if (waiting->next)
		waiting->next->previous = waiting->previous;
	if (waiting->response)
		MHD_destroy_response(waiting->response);
	ul_buf_release(&waiting->body);
	free(waiting);
}

static struct waiting *waiting_new(struct ul_http *http,
				   struct MHD_Connection *connection)
{
	struct waiting *waiting = ul_calloc(1, sizeof *waiting);

	if (!waiting)
		return NULL;
	waiting->http = http;
	waiting->connection = connection;
	waiting->body = UL_BUF_INIT;
	waiting->next = http->all;
	if (http->all)
		http->all->previous = waiting;
	http->all = waiting;
	return waiting;
}

static int connection_fd(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

/* Who cannot be known has no rights. */
static void peer_find(struct waiting *waiting)
{
	struct ul_err ignored = UL_ERR_INIT;

	waiting->exchange.peer.is_local = waiting->http->options.is_local;
	waiting->exchange.peer.user_id = (uid_t)-1;
	if (waiting->http->options.is_local)
		(void)ul_peer_of(connection_fd(waiting->connection),
				 &waiting->exchange.peer, &ignored);
}

static void body_add(struct waiting *waiting, const char *data, size_t len)
{
	size_t most = waiting->http->options.body_max_bytes;

	if (len > most - waiting->body.len ||
	    !ul_buf_add(&waiting->body, data, len)) {
		waiting->is_body_refused = true;
		ul_buf_release(&waiting->body);
	}
}

static void handle(struct waiting *waiting)
{
	struct ul_http *http = waiting->http;

	waiting->is_handled = true;
	waiting->exchange.body =
	    waiting->body.len ? ul_buf_str(&waiting->body) : "";
	waiting->exchange.body_len = waiting->body.len;
	if (waiting->is_body_refused) {
		ul_exchange_refuse(&waiting->exchange,
				   MHD_HTTP_CONTENT_TOO_LARGE,
				   "the body is longer than %zu bytes",
				   http->options.body_max_bytes);
		return;
	}
	peer_find(waiting);
	http->options.handler(http->options.arg, &waiting->exchange);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection,
				  const char *url, const char *method,
				  const char *version, const char *upload_data,
				  size_t *upload_len, void **context)
{
	struct waiting *waiting = *context;

	(void)version;
	if (!waiting) {
		waiting = waiting_new(arg, connection);
		*context = waiting;
		return waiting ? MHD_YES : MHD_NO;
	}
	if (*upload_len) {
		if (!waiting->is_body_refused)
			body_add(waiting, upload_data, *upload_len);
		*upload_len = 0;
		return MHD_YES;
	}
	waiting->exchange.method = method;
	waiting->exchange.path = url;
	if (!waiting->is_handled)
		handle(waiting);
	if (waiting->is_answered)
		return waiting->response
			   ? MHD_queue_response(connection, waiting->status,
						waiting->response)
			   : MHD_NO;
	waiting->is_suspended = true;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *connection,
			 void **context, enum MHD_RequestTerminationCode code)
{
	struct waiting *waiting = *context;

	(void)arg;
	(void)connection;
	(void)code;
	if (!waiting)
		return;
	*context = NULL;
	if (waiting->is_handled && !waiting->is_answered &&
	    waiting->exchange.gone)
		waiting->exchange.gone(&waiting->exchange);
	waiting_free(waiting);
}

static void on_connection(void *arg, struct MHD_Connection *connection,
			  void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct ul_http *http = arg;

	(void)connection;
	(void)context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		http->connection_count++;
	else
		http->connection_count--;
}

/* Faults of clients: they are told, nobody else is. */
static void on_log(void *arg, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void on_log(void *arg, const char *fmt, va_list ap)
{
	(void)arg;
	(void)fmt;
	(void)ap;
}

static int daemon_start(struct ul_http *http, struct ul_err *err)
{
	const struct ul_http_options *options = &http->options;
	const union MHD_DaemonInfo *info;

	http->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
	    NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET,
	    options->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
	    options->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
	    options->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)HEAD_MAX_BYTES, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
	    http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_EXTERNAL_LOGGER, on_log,
	    NULL, MHD_OPTION_END);
	if (!http->daemon)
		return ul_err_set(err, UL_E_IO, "HTTP could not be started");
	info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	ev_io_init(&http->ready, on_ready, info->epoll_fd, EV_READ);
	http->ready.data = http;
	ev_io_start(http->loop, &http->ready);
	ev_timer_init(&http->timeout, on_timeout, 0., 0.);
	http->timeout.data = http;
	return 0;
}

int ul_http_new(struct ev_loop *loop, const struct ul_http_options *options,
		struct ul_http **ret_http, struct ul_err *err)
{
	struct ul_http *http = ul_calloc(1, sizeof *http);
	int rc;

	if (!http)
		return ul_err_nomem(err);
	http->loop = loop;
	http->options = *options;
	rc = daemon_start(http, err);
	if (rc) {
		free(http);
		return rc;
	}
	*ret_http = http;
	return 0;
}

void ul_http_close(struct ul_http *http)
{
	if (!http->is_closing)
		MHD_quiesce_daemon(http->daemon);
	http->is_closing = true;
}

/* What waits for an answer gets none: the library wants none suspended. */
static void all_resume(struct ul_http *http)
{
	struct waiting *waiting;

	for (waiting = http->all; waiting; waiting = waiting->next) {
		if (!waiting->is_suspended)
			continue;
		if (waiting->exchange.gone)
			waiting->exchange.gone(&waiting->exchange);
		waiting->exchange.gone = NULL;
		waiting->is_answered = true;
		waiting->is_suspended = false;
		MHD_resume_connection(waiting->connection);
	}
	/* Answers given just now are written by the second. */
	MHD_run(http->daemon);
	MHD_run(http->daemon);
}

void ul_http_free(struct ul_http *http)
{
	if (!http)
		return;
	ul_http_close(http);
	all_resume(http);
	ev_io_stop(http->loop, &http->ready);
	ev_timer_stop(http->loop, &http->timeout);
	MHD_stop_daemon(http->daemon);
	free(http);
}

size_t ul_http_connections(const struct ul_http *http)
{
	return http->connection_count;
}

struct each {
	bool (*each)(void *arg, const char *name, const char *value);
	void *arg;
};

static enum MHD_Result on_query(void *arg, enum MHD_ValueKind kind,
				const char *name, const char *value)
{
	struct each *each = arg;

	(void)kind;
	return each->each(each->arg, name, value ? value : "") ? MHD_YES
							       : MHD_NO;
}

void ul_exchange_queries(const struct ul_exchange *exchange,
			 bool (*each)(void *arg, const char *name,
				      const char *value),
			 void *arg)
{
	struct each all = { each, arg };

	MHD_get_connection_values(waiting_of(exchange)->connection,
				  MHD_GET_ARGUMENT_KIND, on_query, &all);
}

static struct MHD_Response *response_make(const struct ul_http_answer *answer)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
	    answer->body_len, answer->body, MHD_RESPMEM_MUST_FREE);
	bool ok = response != NULL;

	if (!ok) {
		free(answer->body);
		return NULL;
	}
	ok = MHD_add_response_header(
		 response, MHD_HTTP_HEADER_CONTENT_TYPE,
		 answer->type ? answer->type : "application/json") == MHD_YES;
	if (ok && answer->etag)
		ok = MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG,
					     answer->etag) == MHD_YES;
	if (ok && answer->allow)
		ok = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
					     answer->allow) == MHD_YES;
	if (ok)
		return response;
	MHD_destroy_response(response);
	return NULL;
}

void ul_exchange_answer(struct ul_exchange *exchange,
			const struct ul_http_answer *answer)
{
	struct waiting *waiting = waiting_of(exchange);

	assert(!waiting->is_answered);
	waiting->is_answered = true;
	waiting->status = answer->status;
	waiting->response = response_make(answer);
	if (!waiting->is_suspended)
		return;
	waiting->is_suspended = false;
	MHD_resume_connection(waiting->connection);
	/* That does not make its descriptor ready. In this turn of the loop,
	 * once for all that is answered in it. */
	ev_feed_event(waiting->http->loop, &waiting->http->timeout, EV_TIMER);
}

void ul_exchange_answer_json(struct ul_exchange *exchange, unsigned status,
			     const char *allow, json_t *json)
{
	struct ul_http_answer answer = { .status = status, .allow = allow };
	struct ul_buf text = UL_BUF_INIT;
	struct ul_err ignored = UL_ERR_INIT; /* no memory: an empty body */

	if (json && !ul_json_dump(json, &text, &ignored)) {
		answer.body_len = text.len;
		answer.body = ul_buf_detach(&text);
	}
	if (!answer.body)
		answer.status = MHD_HTTP_SERVICE_UNAVAILABLE;
	json_decref(json);
	ul_buf_release(&text);
	ul_exchange_answer(exchange, &answer);
}

void ul_exchange_refuse(struct ul_exchange *exchange, unsigned status,
			const char *fmt, ...)
{
	char message[MESSAGE_MAX_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	ul_exchange_answer_json(
	    exchange, status, NULL,
	    json_pack("{s:i,s:s}", "version", 1, "error", message));
}
