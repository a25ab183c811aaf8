/*
 * service/task.h - one request, from its route to its answer.
 */
#ifndef UL_SERVICE_TASK_H
#define UL_SERVICE_TASK_H

#include <stdatomic.h>

#include "base/arena.h"
#include "service/route.h"
#include "service/service.h"
#include "service/workers.h"

struct ul_exchange;
struct ul_service;

struct ul_task {
	struct ul_work work; /* first: it is cast */
	struct ul_service *service;
	struct ul_exchange *exchange; /* NULL: the client is gone */
	struct ul_arena arena;
	struct ul_call call;
	struct ul_command_run run;
};

/*
 * The task of a request that may be carried out: route found, rights given.
 * Owner:   *ret_task, freed by ul_task_free() once it was answered.
 * Returns: 0; UL_E_INVALID (its parameters), UL_E_LIMIT, UL_E_NOMEM.
 */
int ul_task_new(struct ul_service *service, struct ul_exchange *exchange,
		const struct ul_route *route, const char *operand,
		struct ul_task **ret_task, struct ul_err *err);
void ul_task_free(struct ul_task *task);

/*
 * The last line of what a command said, which is its sum or its error, without
 * "ullage: ". Cuts newlines off the text; "" for NULL.
 */
const char *ul_command_last_line(char *text);

/* The HTTP status that tells of a command's end. Pure. */
unsigned ul_task_status(const struct ul_command_run *run);

/* Answer with what the command said. */
void ul_task_answer(struct ul_task *task);

/* 400, 413, 503: what kept it from becoming a task. Pure. */
unsigned ul_task_refusal(int code);

#endif
