#include "store/oci/ref_search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/limits.h"
#include "store/oci/descriptor_json.h"
#include "store/oci/json.h"

void ul_ref_search_release(struct ul_ref_search *search)
{
	free(search->refs);
}

/* Keys come from outside and reasons go to terminals. */
static void place_copy(char *to, const char *part, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)part[i];

		to[i] = c < ' ' || c == 0x7f ? '?' : (char)c;
	}
	to[len] = '\0';
}

size_t ul_ref_enter(struct ul_ref_search *search, const char *part)
{
	struct ul_ref_place *place = &search->place;
	size_t left, len = strlen(part), old_len = place->len;

	if (place->len && place->len < UL_REASON_MAX_BYTES)
		place->text[place->len++] = '.';
	left = UL_REASON_MAX_BYTES - place->len;
	if (len > left) {
		/* Not in the middle of a character. */
		for (len = left; len && (part[len] & 0xc0) == 0x80;)
			len--;
	}
	place_copy(place->text + place->len, part, len);
	place->len += len;
	return old_len;
}

void ul_ref_leave(struct ul_ref_search *search, size_t old_len)
{
	search->place.len = old_len;
	search->place.text[old_len] = '\0';
}

size_t ul_ref_enter_nth(struct ul_ref_search *search, size_t n)
{
	char number[24];

	snprintf(number, sizeof number, "%zu", n);
	return ul_ref_enter(search, number);
}

int ul_ref_append(struct ul_ref_search *search,
		  const struct ul_descriptor *descriptor, const char *reason,
		  struct ul_err *err)
{
	struct ul_manifest_ref *refs;

	if (search->len == UL_MANIFEST_MAX_REFS)
		return ul_err_set(err, UL_E_LIMIT, "more than %d references",
				  UL_MANIFEST_MAX_REFS);
	refs =
	    ul_grow(search->refs, &search->cap, search->len + 1, sizeof *refs);
	if (!refs)
		return ul_err_nomem(err);
	search->refs = refs;
	refs += search->len;
	*refs = (struct ul_manifest_ref){ .descriptor = *descriptor };
	refs->reason = ul_arena_strdup(search->arena, reason);
	if (!refs->reason)
		return ul_err_nomem(err);
	search->len++;
	return 0;
}

static int search_array(struct ul_ref_search *search, const json_t *array,
			struct ul_err *err)
{
	const json_t *item;
	size_t i, old_len;
	int rc = 0;

	json_array_foreach(array, i, item)
	{
		old_len = ul_ref_enter_nth(search, i);
		rc = ul_ref_search_any(search, item, err);
		ul_ref_leave(search, old_len);
		if (rc)
			break;
	}
	return rc;
}

int ul_ref_search_member(struct ul_ref_search *search, const char *key,
			 const json_t *value, struct ul_err *err)
{
	size_t old_len = ul_ref_enter(search, key);
	int rc = ul_ref_search_any(search, value, err);

	ul_ref_leave(search, old_len);
	return rc;
}

static int search_object(struct ul_ref_search *search, const json_t *object,
			 struct ul_err *err)
{
	struct ul_descriptor descriptor;
	const char *key, *where = search->place.text;
	const json_t *value;
	int rc;

	rc =
	    ul_descriptor_guess(object, where, search->arena, &descriptor, err);
	if (rc > 0)
		rc = ul_ref_append(search, &descriptor, where, err);
	if (rc)
		return rc;
	json_object_foreach((json_t *)object, key, value)
	{
		rc = ul_ref_search_member(search, key, value, err);
		if (rc)
			break;
	}
	return rc;
}

/* Depth is bounded by ul_json_parse(). */
int ul_ref_search_any(struct ul_ref_search *search, const json_t *json,
		      struct ul_err *err)
{
	if (json_is_array(json))
		return search_array(search, json, err);
	if (json_is_object(json))
		return search_object(search, json, err);
	return 0;
}

int ul_ref_search_take(const struct ul_ref_search *search,
		       struct ul_manifest_ref **ret, size_t *ret_count,
		       struct ul_err *err)
{
	size_t bytes = search->len * sizeof **ret;
	struct ul_manifest_ref *refs = NULL;

	if (bytes) {
		refs = ul_arena_alloc(search->arena, bytes);
		if (!refs)
			return ul_err_nomem(err);
		memcpy(refs, search->refs, bytes);
	}
	*ret = refs;
	*ret_count = search->len;
	return 0;
}
