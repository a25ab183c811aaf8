/*
 * service/route.h - which command a request means.
 *
 * The API is the command line over HTTP: each route names a command, each
 * parameter one of its options, so that what is answered is what the command
 * prints with --json. GET takes parameters from the query, POST from a JSON
 * object. Pure: a request in, the words of a command out.
 */
#ifndef UL_SERVICE_ROUTE_H
#define UL_SERVICE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "service/peer.h"

struct ul_arena;
struct ul_err;

enum ul_param_kind {
	UL_PARAM_FLAG,    /* true or false; in a query also without a value */
	UL_PARAM_VALUE,   /* text or a number */
	UL_PARAM_LIST,    /* several: in a query given again, in JSON a list */
	UL_PARAM_OPERAND, /* what the command is about */
	UL_PARAM_OPERANDS,
};

struct ul_param {
	const char *name;
	enum ul_param_kind kind;
	const char *option; /* of the command: "--sort"; NULL for operands */
	bool is_needed;
};

struct ul_route {
	const char *method;
	/* "/v1/images/{name}": what stands for {name} is one operand, to the
	 * end of the path, slashes and all. */
	const char *path;
	const char *command[3]; /* words, ends with NULL where shorter */
	const char *always;     /* an option that is always given, or NULL */
	const struct ul_param *params; /* ends with name NULL */
	enum ul_right right;
	const char *summary; /* one line */
};

/* Words of one command, and names it is given: both bounds keep a request's
 * memory small; a prune by a thousand names is better told by patterns. */
#define UL_CALL_WORDS_MAX 1024
#define UL_ROUTE_ALLOW_MAX 32

/* All of them; ends with path NULL. */
extern const struct ul_route ul_routes[];

/*
 * The route of a request. *ret_operand is what stands for {name} (within
 * path), or NULL. NULL: no such path, or it has other methods, which
 * ret_allow then lists ("GET, POST").
 */
const struct ul_route *ul_route_find(const char *method, const char *path,
				     const char **ret_operand,
				     char ret_allow[UL_ROUTE_ALLOW_MAX]);

/* A command to run: words without "ullage", in an arena. */
struct ul_call {
	const struct ul_route *route;
	char **words;
	int count;
	bool is_dry; /* changes nothing: --dry-run is among them */
	const char *const *stores; /* the names given as "store" */
	size_t store_count;
};

struct ul_call_builder;

/* Begin with what the path says. NULL: no memory. */
struct ul_call_builder *ul_call_begin(const struct ul_route *route,
				      const char *operand,
				      struct ul_arena *arena);

/*
 * One parameter of a query; all of a body.
 * Returns: 0; UL_E_INVALID (no such parameter, not of its type; JSON that is
 *          none); UL_E_LIMIT (too many); UL_E_NOMEM.
 */
int ul_call_add_query(struct ul_call_builder *builder, const char *name,
		      const char *value, struct ul_err *err);
int ul_call_add_body(struct ul_call_builder *builder, const char *body,
		     size_t len, struct ul_err *err);

/* UL_E_INVALID: a parameter that is needed was not given. UL_E_NOMEM. */
int ul_call_end(struct ul_call_builder *builder, struct ul_call *ret_call,
		struct ul_err *err);

#endif
