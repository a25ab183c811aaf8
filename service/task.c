#include "service/task.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "service/http.h"

struct queries {
	struct ul_call_builder *builder;
	struct ul_err *err;
	int rc;
};

static bool on_query(void *arg, const char *name, const char *value)
{
	struct queries *queries = arg;

	queries->rc =
	    ul_call_add_query(queries->builder, name, value, queries->err);
	return !queries->rc;
}

static int call_make(struct ul_task *task, const struct ul_route *route,
		     const char *operand, struct ul_err *err)
{
	struct queries queries = {
		.builder = ul_call_begin(route, operand, &task->arena),
		.err = err,
	};

	if (!queries.builder)
		return ul_err_nomem(err);
	ul_exchange_queries(task->exchange, on_query, &queries);
	if (!queries.rc)
		queries.rc =
		    ul_call_add_body(queries.builder, task->exchange->body,
				     task->exchange->body_len, err);
	return queries.rc ? queries.rc
			  : ul_call_end(queries.builder, &task->call, err);
}

int ul_task_new(struct ul_service *service, struct ul_exchange *exchange,
		const struct ul_route *route, const char *operand,
		struct ul_task **ret_task, struct ul_err *err)
{
	struct ul_task *task = ul_calloc(1, sizeof *task);
	int rc;

	if (!task)
		return ul_err_nomem(err);
	task->service = service;
	task->exchange = exchange;
	task->arena = UL_ARENA_INIT;
	rc = call_make(task, route, operand, err);
	if (rc) {
		ul_task_free(task);
		return rc;
	}
	task->run.words = task->call.words;
	task->run.count = task->call.count;
	*ret_task = task;
	return 0;
}

void ul_task_free(struct ul_task *task)
{
	ul_arena_release(&task->arena);
	free(task->run.out);
	free(task->run.talk);
	free(task);
}

const char *ul_command_last_line(char *text)
{
	static const char prefix[] = "ullage: ";
	size_t len = text ? strlen(text) : 0;
	char *line;

	while (len && text[len - 1] == '\n')
		text[--len] = '\0';
	if (!len)
		return "";
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	return strncmp(line, prefix, sizeof prefix - 1)
		   ? line
		   : line + sizeof prefix - 1;
}

unsigned ul_task_refusal(int code)
{
	switch (code) {
	case UL_E_INVALID:
		return 400;
	case UL_E_LIMIT:
		return 413;
	case UL_E_BUSY:
	case UL_E_NOMEM:
	case UL_E_CANCELED:
		return 503;
	case UL_E_ABSENT:
		return 404;
	case UL_E_CONFLICT:
	case UL_E_REFUSED:
		return 409;
	case UL_E_UNSUPPORTED:
		return 501;
	default:
		return 500;
	}
}

unsigned ul_task_status(const struct ul_command_run *run)
{
	if (!run->out || !run->talk)
		return 503;
	/* 3: done, and the answer names what was left. Without an error 1 is
	 * an answer too: verify found damage. */
	if (run->status == 0 || run->status == 3 ||
	    (run->out_len && !run->error_code))
		return 200;
	if (run->status == 2)
		return 400;
	return ul_task_refusal(run->error_code);
}

void ul_task_answer(struct ul_task *task)
{
	struct ul_http_answer answer = {
		.status = ul_task_status(&task->run),
		.body_len = task->run.out_len,
	};

	if (!task->exchange)
		return;
	if (answer.status == 200) {
		answer.body = ul_steal(task->run.out);
		ul_exchange_answer(task->exchange, &answer);
		return;
	}
	ul_exchange_refuse(task->exchange, answer.status, "%s",
			   task->run.talk ? ul_command_last_line(task->run.talk)
					  : "out of memory");
}
