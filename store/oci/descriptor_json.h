/*
 * store/oci/descriptor_json.h - descriptors out of JSON and into it. For .c
 * files, as json.h is.
 */
#ifndef UL_STORE_OCI_DESCRIPTOR_JSON_H
#define UL_STORE_OCI_DESCRIPTOR_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "store/oci/descriptor.h"

struct ul_arena;
struct ul_err;

/*
 * A descriptor whose place in the document makes it one: digest and size have
 * to be there, whatever else we know has to be of the right type.
 * Returns: 0, UL_E_CORRUPT, UL_E_NOMEM; *ret untouched on failure.
 */
int ul_descriptor_read(const json_t *json, const char *what,
		       struct ul_arena *arena, struct ul_descriptor *ret,
		       struct ul_err *err);

/*
 * Something that may be a descriptor, told only by its "digest". What else
 * is of the wrong type is left out and, among the texts, what we would read
 * after it.
 * Returns: 1 with *ret, 0 where it is none, UL_E_CORRUPT where the digest is
 *          one of an unknown algorithm, UL_E_NOMEM.
 */
int ul_descriptor_guess(const json_t *json, const char *what,
			struct ul_arena *arena, struct ul_descriptor *ret,
			struct ul_err *err);

/* Whether a descriptor's member of that name is one we know. */
bool ul_descriptor_knows(const char *key);

/*
 * Descriptor as JSON, always with its members in the same order.
 * Returns: 0, UL_E_NOMEM, UL_E_INVALID (a text that is not UTF-8).
 */
int ul_descriptor_write(const struct ul_descriptor *descriptor, json_t **ret,
			struct ul_err *err);

/* The platform members of a config or a descriptor's "platform". */
int ul_platform_read(const json_t *json, const char *what,
		     struct ul_arena *arena, struct ul_platform *ret,
		     struct ul_err *err);

#endif
