#include "store/labels.h"

#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/limits.h"
#include "store/oci/json.h"

bool ul_labels_match(const char *labels_json, const char *wanted)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	ul_cleanup(ul_json_freep) json_t *labels = NULL;
	const char *equals = strchr(wanted, '='), *key, *found;
	struct ul_err ignored = UL_ERR_INIT;

	if (ul_json_parse(labels_json, strlen(labels_json), UL_JSON_MAX_DEPTH,
			  &labels, &ignored))
		return false;
	key = equals
		  ? ul_arena_strndup(&arena, wanted, (size_t)(equals - wanted))
		  : wanted;
	if (!key)
		return false;
	found = json_string_value(ul_json_member(labels, key));
	return found && (!equals || !strcmp(found, equals + 1));
}
