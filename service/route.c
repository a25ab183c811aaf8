#include "service/route.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "service/limits.h"
#include "store/oci/json.h"

/* Whether `path` is what the route's path says; *ret_operand for {name}. */
static bool path_fits(const char *pattern, const char *path,
		      const char **ret_operand)
{
	const char *brace = strchr(pattern, '{');

	*ret_operand = NULL;
	if (!brace)
		return !strcmp(pattern, path);
	if (strncmp(pattern, path, (size_t)(brace - pattern)) != 0 ||
	    !path[brace - pattern])
		return false;
	*ret_operand = path + (brace - pattern);
	return true;
}

static bool method_fits(const char *method, const char *asked)
{
	/* RFC 9110, 9.3.2: HEAD is GET without the body. */
	return !strcmp(method, asked) ||
	       (!strcmp(method, "GET") && !strcmp(asked, "HEAD"));
}

const struct ul_route *ul_route_find(const char *method, const char *path,
				     const char **ret_operand,
				     char ret_allow[UL_ROUTE_ALLOW_MAX])
{
	const struct ul_route *route;
	size_t len = 0;

	*ret_allow = '\0';
	for (route = ul_routes; route->path; route++) {
		if (!path_fits(route->path, path, ret_operand))
			continue;
		if (method_fits(route->method, method))
			return route;
		len +=
		    (size_t)snprintf(ret_allow + len, UL_ROUTE_ALLOW_MAX - len,
				     "%s%s", len ? ", " : "", route->method);
		assert(len < UL_ROUTE_ALLOW_MAX);
	}
	return NULL;
}

struct ul_call_builder {
	struct ul_arena *arena; /* this is in it */
	const struct ul_route *route;
	const char *words[UL_CALL_WORDS_MAX];
	const char *operands[UL_CALL_WORDS_MAX];
	const char *stores[UL_CONFIG_STORES_MAX];
	size_t word_count, operand_count, store_count;
	bool is_dry;
};

static int word_add(struct ul_call_builder *builder, const char *word,
		    struct ul_err *err)
{
	/* Room for "--", operands and the end is asked for at the end. */
	if (builder->word_count == UL_CALL_WORDS_MAX)
		return ul_err_set(err, UL_E_LIMIT, "more than %d parameters",
				  UL_CALL_WORDS_MAX);
	builder->words[builder->word_count++] = word;
	return 0;
}

static int operand_add(struct ul_call_builder *builder, const char *value,
		       struct ul_err *err)
{
	const char *copy = ul_arena_strdup(builder->arena, value);

	if (!copy)
		return ul_err_nomem(err);
	if (builder->operand_count == UL_CALL_WORDS_MAX)
		return ul_err_set(err, UL_E_LIMIT, "more than %d names",
				  UL_CALL_WORDS_MAX);
	builder->operands[builder->operand_count++] = copy;
	return 0;
}

/* "--option=value": a value can never be taken for an option. */
static int option_add(struct ul_call_builder *builder,
		      const struct ul_param *param, const char *value,
		      struct ul_err *err)
{
	size_t size = strlen(param->option) + strlen(value) + 2;
	char *word = ul_arena_alloc(builder->arena, size);

	if (!word)
		return ul_err_nomem(err);
	snprintf(word, size, "%s=%s", param->option, value);
	if (strcmp(param->option, "--store") != 0)
		return word_add(builder, word, err);
	if (builder->store_count == UL_CONFIG_STORES_MAX)
		return ul_err_set(err, UL_E_LIMIT, "more than %d stores",
				  UL_CONFIG_STORES_MAX);
	builder->stores[builder->store_count++] =
	    word + strlen(param->option) + 1;
	return word_add(builder, word, err);
}

static int flag_add(struct ul_call_builder *builder,
		    const struct ul_param *param, bool is_set,
		    struct ul_err *err)
{
	if (!is_set)
		return 0;
	if (!strcmp(param->option, "--dry-run"))
		builder->is_dry = true;
	return word_add(builder, param->option, err);
}

struct ul_call_builder *ul_call_begin(const struct ul_route *route,
				      const char *operand,
				      struct ul_arena *arena)
{
	struct ul_call_builder *builder =
	    ul_arena_alloc(arena, sizeof *builder);
	const char *copy = operand ? ul_arena_strdup(arena, operand) : NULL;
	size_t i;

	if (!builder || (operand && !copy))
		return NULL;
	*builder = (struct ul_call_builder){ .arena = arena, .route = route };
	for (i = 0; i < ul_array_len(route->command) && route->command[i]; i++)
		builder->words[builder->word_count++] = route->command[i];
	builder->words[builder->word_count++] = "--json";
	if (route->always)
		builder->words[builder->word_count++] = route->always;
	if (route->always && !strcmp(route->always, "--dry-run"))
		builder->is_dry = true;
	if (copy)
		builder->operands[builder->operand_count++] = copy;
	return builder;
}

static const struct ul_param *param_find(const struct ul_route *route,
					 const char *name)
{
	const struct ul_param *param = route->params;

	while (param->name && strcmp(param->name, name) != 0)
		param++;
	return param->name ? param : NULL;
}

/* What there is instead, for the message. */
static int param_unknown(const struct ul_route *route, const char *name,
			 struct ul_err *err)
{
	const struct ul_param *param;
	char all[512] = "";
	size_t len = 0;

	for (param = route->params; param->name; param++)
		len += (size_t)snprintf(all + len, sizeof all - len, "%s%s",
					len ? ", " : "", param->name);
	assert(len < sizeof all);
	return ul_err_set(err, UL_E_INVALID,
			  "there is no parameter \"%.100s\"; there is: %s",
			  name, all);
}

int ul_call_add_query(struct ul_call_builder *builder, const char *name,
		      const char *value, struct ul_err *err)
{
	const struct ul_param *param = param_find(builder->route, name);

	if (!param)
		return param_unknown(builder->route, name, err);
	if (param->kind == UL_PARAM_OPERAND || param->kind == UL_PARAM_OPERANDS)
		return operand_add(builder, value, err);
	if (param->kind != UL_PARAM_FLAG)
		return option_add(builder, param, value, err);
	if (!*value || !strcmp(value, "true") || !strcmp(value, "1"))
		return flag_add(builder, param, true, err);
	if (!strcmp(value, "false") || !strcmp(value, "0"))
		return 0;
	return ul_err_set(err, UL_E_INVALID, "%s is true or false", name);
}

static int text_take(struct ul_call_builder *builder,
		     const struct ul_param *param, const json_t *json,
		     struct ul_err *err)
{
	bool is_operand =
	    param->kind == UL_PARAM_OPERAND || param->kind == UL_PARAM_OPERANDS;
	char number[32];
	const char *value = json_string_value(json);

	if (json_is_integer(json)) {
		snprintf(number, sizeof number, "%lld",
			 (long long)json_integer_value(json));
		value = number;
	}
	/* A NUL would end it where nobody sees. */
	if (!value ||
	    (json_is_string(json) && strlen(value) != json_string_length(json)))
		return ul_err_set(err, UL_E_INVALID, "%s is a text%s",
				  param->name,
				  is_operand ? "" : " or a number");
	return is_operand ? operand_add(builder, value, err)
			  : option_add(builder, param, value, err);
}

static int list_take(struct ul_call_builder *builder,
		     const struct ul_param *param, const json_t *json,
		     struct ul_err *err)
{
	size_t i;
	int rc = 0;

	if (!json_is_array(json))
		return ul_err_set(err, UL_E_INVALID, "%s is a list of texts",
				  param->name);
	for (i = 0; !rc && i < json_array_size(json); i++)
		rc = text_take(builder, param, json_array_get(json, i), err);
	return rc;
}

static int member_take(struct ul_call_builder *builder, const char *name,
		       const json_t *json, struct ul_err *err)
{
	const struct ul_param *param = param_find(builder->route, name);

	if (!param)
		return param_unknown(builder->route, name, err);
	if (param->kind == UL_PARAM_LIST || param->kind == UL_PARAM_OPERANDS)
		return list_take(builder, param, json, err);
	if (param->kind != UL_PARAM_FLAG)
		return text_take(builder, param, json, err);
	if (!json_is_boolean(json))
		return ul_err_set(err, UL_E_INVALID, "%s is true or false",
				  name);
	return flag_add(builder, param, json_is_true(json), err);
}

int ul_call_add_body(struct ul_call_builder *builder, const char *body,
		     size_t len, struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	json_t *value;
	const char *name;
	int rc;

	if (!len)
		return 0;
	rc = ul_json_parse(body, len, UL_REQUEST_MAX_DEPTH, &json, err);
	if (rc == UL_E_CORRUPT)
		err->code = UL_E_INVALID;
	if (rc)
		return ul_err_wrap(err, "the body");
	json_object_foreach(json, name, value)
	{
		if (!rc)
			rc = member_take(builder, name, value, err);
	}
	return rc;
}

static int needed_check(const struct ul_call_builder *builder,
			struct ul_err *err)
{
	const struct ul_param *param;

	for (param = builder->route->params; param->name; param++) {
		bool is_operand = param->kind == UL_PARAM_OPERAND ||
				  param->kind == UL_PARAM_OPERANDS;

		assert(is_operand || !param->is_needed);
		if (param->is_needed && !builder->operand_count)
			return ul_err_set(err, UL_E_INVALID, "%s is needed",
					  param->name);
		if (param->kind == UL_PARAM_OPERAND &&
		    builder->operand_count > 1)
			return ul_err_set(err, UL_E_INVALID,
					  "%s is given more than once",
					  param->name);
	}
	return 0;
}

int ul_call_end(struct ul_call_builder *builder, struct ul_call *ret_call,
		struct ul_err *err)
{
	size_t count = builder->word_count + 1 + builder->operand_count, i;
	char **words;
	int rc = needed_check(builder, err);

	if (rc)
		return rc;
	words = ul_arena_alloc(builder->arena, (count + 1) * sizeof *words);
	if (!words)
		return ul_err_nomem(err);
	for (i = 0; i < builder->word_count; i++)
		words[i] = (char *)builder->words[i];
	words[i++] = (char *)"--";
	memcpy(words + i, builder->operands,
	       builder->operand_count * sizeof *words);
	words[count] = NULL;
	*ret_call = (struct ul_call){
		.route = builder->route,
		.words = words,
		.count = (int)count,
		.is_dry = builder->is_dry,
		.stores = builder->stores,
		.store_count = builder->store_count,
	};
	return 0;
}
