#include "service/service.h"

#include <assert.h>
#include <ev.h>
#include <grp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "service/config.h"
#include "service/door.h"
#include "service/http.h"
#include "service/limits.h"
#include "service/peer.h"
#include "service/task.h"
#include "service/timers.h"
#include "service/workers.h"
#include "store/oci/json.h"

struct ul_service {
	const struct ul_service_options *options;
	struct ev_loop *loop;
	struct ul_workers *answers; /* side by side */
	struct ul_workers *changes; /* one after the other */
	struct ul_door door;
	struct ul_rights rights;
	struct ul_http *http;
	struct ul_timers *timers;
	ev_signal terminated, interrupted;
	int64_t started_unix_s;
	atomic_bool is_stopping;
	size_t task_count;
};

static bool is_stopping(void *arg)
{
	struct ul_service *service = arg;

	return atomic_load(&service->is_stopping);
}

/* Ends the loop when all that was begun has been answered. */
static void stop_if_done(struct ul_service *service)
{
	if (is_stopping(service) && !service->task_count &&
	    !ul_timers_running(service->timers))
		ev_break(service->loop, EVBREAK_ALL);
}

static void on_ended(void *arg)
{
	stop_if_done(arg);
}

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct ul_service *service = watcher->data;

	(void)loop;
	(void)events;
	sd_notify(0, "STOPPING=1");
	atomic_store(&service->is_stopping, true);
	ul_timers_stop(service->timers);
	ul_http_close(service->http);
	ul_workers_close(service->answers);
	ul_workers_close(service->changes);
	stop_if_done(service);
}

static void task_run(struct ul_work *work)
{
	struct ul_task *task = (struct ul_task *)work;
	const struct ul_service_options *options = task->service->options;

	options->runner(options->runner_arg, &task->run);
}

static void task_done(struct ul_work *work)
{
	struct ul_task *task = (struct ul_task *)work;
	struct ul_service *service = task->service;

	if (task->exchange && work->is_cancelled)
		ul_exchange_refuse(task->exchange, 503,
				   "the service is ending");
	else
		ul_task_answer(task);
	ul_task_free(task);
	service->task_count--;
	stop_if_done(service);
}

static void task_gone(struct ul_exchange *exchange)
{
	struct ul_task *task = exchange->arg;

	task->exchange = NULL;
}

static int task_start(struct ul_service *service, struct ul_task *task,
		      struct ul_err *err)
{
	bool is_change =
	    task->call.route->right == UL_RIGHT_CHANGE && !task->call.is_dry;
	int rc;

	task->work.run = task_run;
	task->work.done = task_done;
	task->run.is_stopping = is_stopping;
	task->run.arg = service;
	rc = ul_workers_add(is_change ? service->changes : service->answers,
			    &task->work, err);
	if (rc)
		return rc;
	service->task_count++;
	task->exchange->arg = task;
	task->exchange->gone = task_gone;
	return 0;
}

/* Stores are those of the configuration; no path that a client names is
 * opened. */
static int stores_check(const struct ul_service *service,
			const struct ul_call *call, struct ul_err *err)
{
	size_t i;

	for (i = 0; i < call->store_count; i++) {
		if (!ul_config_store_find(service->options->config,
					  call->stores[i]))
			return ul_err_set(err, UL_E_ABSENT,
					  "no store \"%.64s\" is configured",
					  call->stores[i]);
	}
	return 0;
}

static void command_start(struct ul_service *service,
			  struct ul_exchange *exchange,
			  const struct ul_route *route, const char *operand)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_task *task = NULL;
	int rc = ul_task_new(service, exchange, route, operand, &task, &err);

	if (!rc)
		rc = stores_check(service, &task->call, &err);
	if (!rc)
		rc = task_start(service, task, &err);
	if (!rc)
		return;
	if (task)
		ul_task_free(task);
	ul_exchange_refuse(exchange, ul_task_refusal(rc), "%s", err.msg);
}

static void health_answer(struct ul_service *service,
			  struct ul_exchange *exchange)
{
	ul_exchange_answer_json(
	    exchange, 200, NULL,
	    json_pack("{s:i,s:s,s:s,s:i,s:I,s:I,s:I,s:I}", "version", 1,
		      "status", is_stopping(service) ? "stopping" : "serving",
		      "program", service->options->version, "pid",
		      (int)getpid(), "started_unix_s",
		      (json_int_t)service->started_unix_s, "connections",
		      (json_int_t)ul_http_connections(service->http), "waiting",
		      (json_int_t)(ul_workers_waiting(service->answers) +
				   ul_workers_waiting(service->changes)),
		      "running",
		      (json_int_t)(ul_workers_running(service->answers) +
				   ul_workers_running(service->changes))));
}

static void stores_answer(struct ul_service *service,
			  struct ul_exchange *exchange)
{
	const struct ul_config *config = service->options->config;
	json_t *stores = json_array();
	size_t i;

	for (i = 0; i < config->stores.count; i++) {
		const struct ul_config_store *store = &config->stores.items[i];

		if (json_array_append_new(
			stores,
			json_pack("{s:s,s:s,s:s?}", "name", store->name, "kind",
				  store->kind == UL_CONFIG_OCI ? "oci"
							       : "embedded",
				  "path", store->path))) {
			json_decref(stores);
			stores = NULL;
		}
	}
	ul_exchange_answer_json(
	    exchange, 200, NULL,
	    json_pack("{s:i,s:o}", "version", 1, "stores", stores));
}

struct own_route {
	const char *path;
	void (*answer)(struct ul_service *service,
		       struct ul_exchange *exchange);
};

static const struct own_route own_routes[] = {
	{ "/v1/health", health_answer },
	{ "/v1/stores", stores_answer },
};

static bool own_answer(struct ul_service *service, struct ul_exchange *exchange)
{
	size_t i;

	for (i = 0; i < ul_array_len(own_routes); i++) {
		if (!strcmp(exchange->path, own_routes[i].path) &&
		    (!strcmp(exchange->method, "GET") ||
		     !strcmp(exchange->method, "HEAD"))) {
			own_routes[i].answer(service, exchange);
			return true;
		}
	}
	return false;
}

static void not_found(struct ul_exchange *exchange, const char *allow)
{
	if (*allow)
		ul_exchange_answer_json(exchange, 405, allow,
					json_pack("{s:i,s:s+}", "version", 1,
						  "error",
						  "here only: ", allow));
	else
		ul_exchange_refuse(exchange, 404,
				   "there is nothing at %.200s; the API is "
				   "below /v1, and docs/api.md lists it",
				   exchange->path);
}

static void forbidden(struct ul_exchange *exchange, enum ul_right right)
{
	if (right == UL_RIGHT_NONE)
		ul_exchange_refuse(exchange, 403,
				   "user %u may not read here; \"read\" in the "
				   "configuration names who may",
				   (unsigned)exchange->peer.user_id);
	else if (exchange->peer.is_local)
		ul_exchange_refuse(
		    exchange, 403,
		    "user %u may not change anything; \"change\" "
		    "in the configuration names who may",
		    (unsigned)exchange->peer.user_id);
	else
		ul_exchange_refuse(exchange, 403,
				   "nothing can be changed by this port; use "
				   "the socket");
}

static void on_request(void *arg, struct ul_exchange *exchange)
{
	struct ul_service *service = arg;
	enum ul_right right = ul_rights_of(&service->rights, &exchange->peer);
	const struct ul_route *route;
	const char *operand;
	char allow[UL_ROUTE_ALLOW_MAX];

	if (right == UL_RIGHT_NONE) {
		forbidden(exchange, right);
		return;
	}
	if (own_answer(service, exchange))
		return;
	route =
	    ul_route_find(exchange->method, exchange->path, &operand, allow);
	if (!route)
		not_found(exchange, allow);
	else if (route->right > right)
		forbidden(exchange, right);
	else
		command_start(service, exchange, route, operand);
}

static int group_find(const struct ul_config *config, gid_t *ret_group_id,
		      struct ul_err *err)
{
	const char *name = config->socket.group;
	const struct group *group = name ? getgrnam(name) : NULL;

	*ret_group_id = group ? group->gr_gid : (gid_t)-1;
	return name && !group ? ul_err_set(err, UL_E_INVALID,
					   "there is no group \"%s\"", name)
			      : 0;
}

static int door_open(struct ul_service *service, struct ul_err *err)
{
	const struct ul_config *config = service->options->config;
	const char *path = service->options->socket_path;
	gid_t group_id;
	int rc = ul_door_take_given(&service->door, err);

	if (rc)
		return rc < 0 ? rc : 0;
	rc = group_find(config, &group_id, err);
	return rc ? rc
		  : ul_door_open(path ? path : config->socket.path,
				 (mode_t)config->socket.mode, group_id,
				 &service->door, err);
}

static int http_open(struct ul_service *service, struct ul_err *err)
{
	const struct ul_config *config = service->options->config;
	const struct ul_http_options options = {
		.listen_fd = service->door.fd,
		.is_local = true,
		.connections_max = (unsigned)config->limits.connections,
		.idle_s = (unsigned)config->limits.idle_s,
		.body_max_bytes = config->limits.body_bytes,
		.handler = on_request,
		.arg = service,
	};

	return ul_http_new(service->loop, &options, &service->http, err);
}

static int timers_open(struct ul_service *service, struct ul_err *err)
{
	const struct ul_timers_options options = {
		.loop = service->loop,
		.service = service->options,
		.answers = service->answers,
		.changes = service->changes,
		.is_stopping = is_stopping,
		.ended = on_ended,
		.arg = service,
	};

	return ul_timers_new(&options, &service->timers, err);
}

static void signals_start(struct ul_service *service)
{
	ev_signal_init(&service->terminated, on_signal, SIGTERM);
	ev_signal_init(&service->interrupted, on_signal, SIGINT);
	service->terminated.data = service->interrupted.data = service;
	ev_signal_start(service->loop, &service->terminated);
	ev_signal_start(service->loop, &service->interrupted);
	signal(SIGPIPE, SIG_IGN);
}

static int service_open(struct ul_service *service, struct ul_err *err)
{
	const struct ul_config *config = service->options->config;
	int rc = ul_rights_init(config, geteuid(), &service->rights, err);

	if (!rc)
		rc = ul_workers_new(service->loop, "ullage-answer",
				    (unsigned)config->limits.workers,
				    (size_t)config->limits.requests,
				    &service->answers, err);
	if (!rc)
		rc = ul_workers_new(service->loop, "ullage-change", 1,
				    (size_t)config->limits.requests,
				    &service->changes, err);
	if (!rc)
		rc = door_open(service, err);
	if (!rc)
		rc = http_open(service, err);
	return rc ? rc : timers_open(service, err);
}

static void service_release(struct ul_service *service)
{
	atomic_store(&service->is_stopping, true);
	ul_workers_free(service->answers);
	ul_workers_free(service->changes);
	ul_timers_free(service->timers);
	ul_http_free(service->http);
	ul_door_release(&service->door);
	ul_rights_release(&service->rights);
	ev_signal_stop(service->loop, &service->terminated);
	ev_signal_stop(service->loop, &service->interrupted);
}

int ul_service_run(const struct ul_service_options *options, struct ul_err *err)
{
	struct ul_service service = {
		.options = options,
		.loop = ev_default_loop(EVFLAG_AUTO),
		.door = UL_DOOR_INIT,
		.started_unix_s = ul_clock_unix_s(),
	};
	int rc;

	if (!service.loop)
		return ul_err_set(err, UL_E_IO, "libev could not be started");
	signals_start(&service);
	rc = service_open(&service, err);
	if (!rc) {
		sd_notify(0, "READY=1");
		if (options->ready)
			options->ready(options->ready_arg);
		ev_run(service.loop, 0);
	}
	service_release(&service);
	return rc;
}
