/*
 * store/oci/json.h - JSON from outside, held to our limits, and JSON of ours.
 *
 * The only place that knows how jansson allocates and fails. For .c files of
 * this folder and those above it: no header includes it. A json_t and all
 * that it holds belong to one thread at a time.
 *
 * In all getters null counts as absent: programs written in Go write null
 * for an empty list or map (umoci leaves "manifests":null in an empty layout).
 */
#ifndef UL_STORE_OCI_JSON_H
#define UL_STORE_OCI_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ul_annotation;
struct ul_arena;
struct ul_buf;
struct ul_err;

/*
 * Let jansson allocate through base/mem.h. Happens by itself before main()
 * wherever this module is linked in; whoever makes a json_t without any other
 * function of this header calls it, so that it is. Any thread, any number of
 * times.
 */
void ul_json_init(void);

/* ul_cleanup(ul_json_freep): drop the reference a variable holds. */
void ul_json_freep(json_t **json);

/*
 * Parse a JSON object. Stricter than RFC 8259 asks: a name twice in one
 * object is refused, because readers differ in which value they take.
 * max_depth counts the object itself.
 * Owner:   *ret is a new reference, for ul_json_freep().
 * Returns: 0, UL_E_CORRUPT (no JSON, not UTF-8, NUL in a string, a number
 *          past 64 bits, no object), UL_E_LIMIT (max_depth,
 *          UL_JSON_MAX_VALUES), UL_E_NOMEM.
 */
int ul_json_parse(const char *bytes, size_t len, size_t max_depth, json_t **ret,
		  struct ul_err *err);

/*
 * The same for files that people write: where the text is no JSON, the message
 * says only why, and *ret_spot where, from 1; line 0: nowhere in particular.
 */
struct ul_json_spot {
	int line, column;
};
int ul_json_parse_spot(const char *bytes, size_t len, size_t max_depth,
		       json_t **ret, struct ul_json_spot *ret_spot,
		       struct ul_err *err);

/* Append the compact text. UL_E_NOMEM, with *buf as it was but `failed`. */
int ul_json_dump(const json_t *json, struct ul_buf *buf, struct ul_err *err);

/*
 * Why making a json_t from a text of ours gave none: UL_E_NOMEM, or
 * UL_E_INVALID where the text is not UTF-8.
 */
int ul_json_failed(const char *text, struct ul_err *err);

/* The member, or NULL where it is absent or null. Borrowed. */
const json_t *ul_json_member(const json_t *object, const char *key);

/*
 * Members as values; texts are copied into the arena. `what` begins the
 * message ("layer 3").
 * Returns: 0 (absent: NULL, 0), UL_E_CORRUPT for another type, UL_E_NOMEM.
 */
int ul_json_text(const json_t *object, const char *key, const char *what,
		 struct ul_arena *arena, const char **ret, struct ul_err *err);
int ul_json_texts(const json_t *object, const char *key, const char *what,
		  struct ul_arena *arena, struct ul_annotation **ret,
		  size_t *ret_count, struct ul_err *err);
int ul_json_object(const json_t *object, const char *key, const char *what,
		   const json_t **ret, struct ul_err *err);
int ul_json_array(const json_t *object, const char *key, const char *what,
		  const json_t **ret, struct ul_err *err);

/* A member that has to be there: an integer from 0 to 2^63 - 1. */
int ul_json_bytes(const json_t *object, const char *key, const char *what,
		  uint64_t *ret, struct ul_err *err);

/* Text from outside for one line of a message: printable ASCII, shortened. */
#define UL_JSON_SHOWN_MAX 96
const char *ul_json_show(const char *text, char shown[UL_JSON_SHOWN_MAX]);

#endif
