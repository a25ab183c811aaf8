/*
 * service/service.h - `ullage serve`: the loop with its door, its workers and
 * its clients.
 *
 * Requests become commands (service/route.h), which workers carry out through
 * the runner that the program hands over: those that change something one
 * after the other, the others side by side. The loop itself never waits for a
 * disk or a lock.
 */
#ifndef UL_SERVICE_SERVICE_H
#define UL_SERVICE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ul_config;
struct ul_err;

/* A command to carry out, and what it said. */
struct ul_command_run {
	char **words; /* without "ullage"; ends with NULL */
	int count;
	size_t columns; /* of who reads it; 0: a program */
	/* Asked between steps: true ends it there. */
	bool (*is_stopping)(void *arg);
	void *arg;
	/* Filled in by the runner; the texts are owned by the caller then. */
	char *out, *talk; /* NULL: no memory */
	size_t out_len, talk_len;
	int status;     /* the command's exit status */
	int error_code; /* of its last error, enum ul_code; 0: none */
};

/* Carry it out, on a worker's thread; several at once. */
typedef void ul_command_runner(void *arg, struct ul_command_run *run);

struct ul_service_options {
	const struct ul_config *config; /* borrowed while it serves */
	const char *socket_path;        /* NULL: the configuration's */
	const char *state_path;         /* where the database is */
	const char *version;            /* of the program */
	ul_command_runner *runner;
	void *runner_arg;
	/* Called once, on the loop, when clients can come. May be NULL. */
	void (*ready)(void *arg);
	void *ready_arg;
};

/*
 * Serve until SIGTERM or SIGINT; runs that were begun end between two steps.
 * Thread:  the main one; signals are caught while it serves.
 * Returns: 0 (asked to end); UL_E_BUSY (another one serves there);
 *          UL_E_INVALID (a user or group that there is not); UL_E_REFUSED,
 *          UL_E_IO, UL_E_NOMEM.
 */
int ul_service_run(const struct ul_service_options *options,
		   struct ul_err *err);

#endif
