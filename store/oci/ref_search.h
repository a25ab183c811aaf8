/*
 * store/oci/ref_search.h - the references of one document, and the search for
 * whatever in it looks like a descriptor. Internal to the folder.
 */
#ifndef UL_STORE_OCI_REF_SEARCH_H
#define UL_STORE_OCI_REF_SEARCH_H

#include <jansson.h>
#include <stddef.h>

#include "store/limits.h"
#include "store/oci/manifest.h"

struct ul_arena;
struct ul_err;

/* Where the search stands, as "blobs.1", cut at the limit of a reason. */
struct ul_ref_place {
	char text[UL_REASON_MAX_BYTES + 1];
	size_t len;
};

/* Begins as { .arena = arena }; released after use. */
struct ul_ref_search {
	struct ul_arena *arena;       /* borrowed; all text is in it */
	struct ul_manifest_ref *refs; /* owned */
	size_t len, cap;
	struct ul_ref_place place;
};
void ul_ref_search_release(struct ul_ref_search *search);

/* Step to a member or element; returns what ul_ref_leave() takes to go back. */
size_t ul_ref_enter(struct ul_ref_search *search, const char *key);
size_t ul_ref_enter_nth(struct ul_ref_search *search, size_t n);
void ul_ref_leave(struct ul_ref_search *search, size_t old_len);

/* One more reference. UL_E_LIMIT (UL_MANIFEST_MAX_REFS), UL_E_NOMEM. */
int ul_ref_append(struct ul_ref_search *search,
		  const struct ul_descriptor *descriptor, const char *reason,
		  struct ul_err *err);

/*
 * Append all that looks like a descriptor in a value, at any depth, with its
 * place as the reason; of a member, one step further.
 * Returns: 0; UL_E_CORRUPT (a digest of an unknown algorithm); UL_E_LIMIT;
 *          UL_E_NOMEM.
 */
int ul_ref_search_any(struct ul_ref_search *search, const json_t *json,
		      struct ul_err *err);
int ul_ref_search_member(struct ul_ref_search *search, const char *key,
			 const json_t *value, struct ul_err *err);

/* What was found, copied into the arena; NULL and 0 for nothing. UL_E_NOMEM. */
int ul_ref_search_take(const struct ul_ref_search *search,
		       struct ul_manifest_ref **ret, size_t *ret_count,
		       struct ul_err *err);

#endif
