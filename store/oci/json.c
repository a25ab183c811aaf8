#include "store/oci/json.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/limits.h"
#include "store/oci/descriptor.h"

/*
 * jansson 2.14 does not look whether the buffer of a token could grow: it
 * drops the byte and goes on, and where that byte was the closing quote it
 * then copies past the end of the buffer. So no allocation may come back
 * failed into its parser: it is left by longjmp, and what it had allocated
 * is freed from the list of blocks that is kept for that.
 */
struct block {
	struct block *older;
	struct block *newer;
	alignas(max_align_t) char data[];
};

static _Thread_local struct {
	bool is_parsing;
	bool has_failed;      /* an allocation outside of the parser */
	struct block *blocks; /* of the parse under way, newest first */
	jmp_buf no_memory;
} heap;

static void *json_alloc(size_t size)
{
	struct block *block = NULL;

	if (size <= SIZE_MAX - sizeof *block)
		block = ul_malloc(sizeof *block + size);
	if (!block && heap.is_parsing)
		longjmp(heap.no_memory, 1);
	if (!block) {
		heap.has_failed = true;
		return NULL;
	}
	block->newer = NULL;
	block->older = heap.is_parsing ? heap.blocks : NULL;
	if (block->older)
		block->older->newer = block;
	if (heap.is_parsing)
		heap.blocks = block;
	return block->data;
}

/* The blocks of a document stay linked to each other once it is parsed. */
static void json_free(void *data)
{
	struct block *block;

	if (!data)
		return;
	block = (void *)((char *)data - offsetof(struct block, data));
	if (block->older)
		block->older->newer = block->newer;
	if (block->newer)
		block->newer->older = block->older;
	if (heap.blocks == block)
		heap.blocks = block->older;
	free(block);
}

static void json_set_up(void)
{
	json_set_alloc_funcs(json_alloc, json_free);
}

/* Run before main() too: a json_t made elsewhere and freed here would not
 * have the block's head. */
__attribute__((constructor)) void ul_json_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, json_set_up);
}

static void blocks_free(void)
{
	while (heap.blocks) {
		struct block *block = heap.blocks;

		heap.blocks = block->older;
		free(block);
	}
}

/* UL_E_NOMEM, or 0 with *ret, NULL where the text is refused. */
static int load(const char *bytes, size_t len, json_t **ret,
		json_error_t *error)
{
	if (setjmp(heap.no_memory)) {
		heap.is_parsing = false;
		blocks_free();
		return UL_E_NOMEM;
	}
	heap.is_parsing = true;
	*ret = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, error);
	heap.is_parsing = false;
	heap.blocks = NULL;
	return 0;
}

void ul_json_freep(json_t **json)
{
	json_decref(*json);
	*json = NULL;
}

struct json_shape {
	size_t depth;
	size_t max_depth;
	size_t value_count; /* a bound from above */
};

static void shape_note(struct json_shape *shape, char c)
{
	switch (c) {
	case '{':
	case '[':
		shape->value_count++;
		if (++shape->depth > shape->max_depth)
			shape->max_depth = shape->depth;
		break;
	case '}':
	case ']':
		if (shape->depth)
			shape->depth--;
		break;
	case ',':
		shape->value_count++;
		break;
	default:
		break;
	}
}

/* Looks at the bytes only, so that nothing is allocated for a document that
 * is refused, nor the stack used. */
static struct json_shape shape_of(const char *bytes, size_t len)
{
	struct json_shape shape = { .value_count = 1 };
	bool in_string = false;
	size_t i;

	for (i = 0; i < len; i++) {
		if (bytes[i] == '"')
			in_string = !in_string;
		else if (!in_string)
			shape_note(&shape, bytes[i]);
		else if (bytes[i] == '\\')
			i++;
	}
	return shape;
}

int ul_json_parse_spot(const char *bytes, size_t len, size_t max_depth,
		       json_t **ret, struct ul_json_spot *ret_spot,
		       struct ul_err *err)
{
	struct json_shape shape = shape_of(bytes, len);
	char shown[UL_JSON_SHOWN_MAX];
	json_error_t error;
	json_t *json;

	*ret_spot = (struct ul_json_spot){ 0 };
	if (shape.max_depth > max_depth)
		return ul_err_set(err, UL_E_LIMIT,
				  "JSON nested deeper than %zu levels",
				  max_depth);
	if (shape.value_count > UL_JSON_MAX_VALUES)
		return ul_err_set(err, UL_E_LIMIT,
				  "JSON of more than %u values",
				  UL_JSON_MAX_VALUES);
	if (load(bytes, len, &json, &error))
		return ul_err_nomem(err);
	if (!json) {
		*ret_spot = (struct ul_json_spot){ error.line, error.column };
		return ul_err_set(err, UL_E_CORRUPT, "no valid JSON: %s",
				  ul_json_show(error.text, shown));
	}
	if (!json_is_object(json)) {
		json_decref(json);
		return ul_err_set(err, UL_E_CORRUPT, "no JSON object");
	}
	*ret = json;
	return 0;
}

int ul_json_parse(const char *bytes, size_t len, size_t max_depth, json_t **ret,
		  struct ul_err *err)
{
	struct ul_json_spot spot;
	struct ul_err why = UL_ERR_INIT;
	int rc = ul_json_parse_spot(bytes, len, max_depth, ret, &spot, &why);

	if (rc && spot.line)
		return ul_err_set(
		    err, (enum ul_code)rc, "no valid JSON: line %d column %d%s",
		    spot.line, spot.column, why.msg + strlen("no valid JSON"));
	if (rc)
		*err = why;
	return rc;
}

static int dump_part(const char *part, size_t len, void *buf)
{
	return ul_buf_add(buf, part, len) ? 0 : -1;
}

int ul_json_dump(const json_t *json, struct ul_buf *buf, struct ul_err *err)
{
	size_t old_len = buf->len;

	heap.has_failed = false;
	if (!json_dump_callback(json, dump_part, buf, JSON_COMPACT) &&
	    !heap.has_failed)
		return 0;
	buf->failed = true;
	buf->len = old_len;
	if (buf->data)
		buf->data[old_len] = '\0';
	return ul_err_nomem(err);
}

int ul_json_failed(const char *text, struct ul_err *err)
{
	char shown[UL_JSON_SHOWN_MAX];
	json_t *json;

	heap.has_failed = false;
	json = json_string(text);
	if (json || heap.has_failed) {
		json_decref(json);
		return ul_err_nomem(err);
	}
	return ul_err_set(err, UL_E_INVALID, "\"%s\" is not UTF-8",
			  ul_json_show(text, shown));
}

const json_t *ul_json_member(const json_t *object, const char *key)
{
	const json_t *member = json_object_get(object, key);

	return json_is_null(member) ? NULL : member;
}

static int wrong_type(const char *what, const char *key, const char *type,
		      struct ul_err *err)
{
	return ul_err_set(err, UL_E_CORRUPT, "%s: \"%s\" is no %s", what, key,
			  type);
}

int ul_json_text(const json_t *object, const char *key, const char *what,
		 struct ul_arena *arena, const char **ret, struct ul_err *err)
{
	const json_t *member = ul_json_member(object, key);
	const char *text = NULL;

	if (member && !json_is_string(member))
		return wrong_type(what, key, "string", err);
	if (member) {
		text = ul_arena_strdup(arena, json_string_value(member));
		if (!text)
			return ul_err_nomem(err);
	}
	*ret = text;
	return 0;
}

int ul_json_object(const json_t *object, const char *key, const char *what,
		   const json_t **ret, struct ul_err *err)
{
	const json_t *member = ul_json_member(object, key);

	if (member && !json_is_object(member))
		return wrong_type(what, key, "object", err);
	*ret = member;
	return 0;
}

int ul_json_array(const json_t *object, const char *key, const char *what,
		  const json_t **ret, struct ul_err *err)
{
	const json_t *member = ul_json_member(object, key);

	if (member && !json_is_array(member))
		return wrong_type(what, key, "array", err);
	*ret = member;
	return 0;
}

int ul_json_texts(const json_t *object, const char *key, const char *what,
		  struct ul_arena *arena, struct ul_annotation **ret,
		  size_t *ret_count, struct ul_err *err)
{
	struct ul_annotation *texts = NULL;
	const json_t *map, *value;
	const char *name;
	size_t n = 0;
	int rc;

	rc = ul_json_object(object, key, what, &map, err);
	if (rc)
		return rc;
	if (json_object_size(map)) {
		texts = ul_arena_alloc(arena,
				       json_object_size(map) * sizeof *texts);
		if (!texts)
			return ul_err_nomem(err);
	}
	json_object_foreach((json_t *)map, name, value)
	{
		if (!json_is_string(value))
			return wrong_type(what, key, "object of strings", err);
		texts[n].key = ul_arena_strdup(arena, name);
		texts[n].value =
		    ul_arena_strdup(arena, json_string_value(value));
		if (!texts[n].key || !texts[n].value)
			return ul_err_nomem(err);
		n++;
	}
	*ret = texts;
	*ret_count = n;
	return 0;
}

int ul_json_bytes(const json_t *object, const char *key, const char *what,
		  uint64_t *ret, struct ul_err *err)
{
	const json_t *member = ul_json_member(object, key);

	if (!member)
		return ul_err_set(err, UL_E_CORRUPT, "%s has no %s", what, key);
	if (!json_is_integer(member) || json_integer_value(member) < 0)
		return wrong_type(what, key, "length", err);
	*ret = (uint64_t)json_integer_value(member);
	return 0;
}

const char *ul_json_show(const char *text, char shown[UL_JSON_SHOWN_MAX])
{
	size_t i;

	for (i = 0; text[i] && i < UL_JSON_SHOWN_MAX - 1; i++)
		shown[i] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
	shown[i] = '\0';
	if (text[i])
		memcpy(shown + i - 3, "...", 3);
	return shown;
}
