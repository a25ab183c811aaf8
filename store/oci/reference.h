/*
 * store/oci/reference.h - image names as Docker writes and understands them.
 *
 * Grammar and defaults: distribution's reference package: a first component
 * without '.' or ':' that is not "localhost" is no registry; the registry is
 * docker.io, its single-component repositories are below "library/", the tag
 * is "latest" where neither tag nor digest is given.
 */
#ifndef UL_STORE_OCI_REFERENCE_H
#define UL_STORE_OCI_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "store/limits.h"

/* Whether text is a Docker reference (familiar or whole). */
bool ul_reference_is_valid(const char *text);

/*
 * The whole form ("app:2" gives "docker.io/library/app:2"). Text that is no
 * reference is copied as it is; false where it does not fit.
 */
bool ul_reference_normalize(const char *text, char whole[UL_NAME_MAX_BYTES]);

/* The short form people type ("docker.io/library/app:2" gives "app:2"). */
void ul_reference_familiar(const char *text, char shorter[UL_NAME_MAX_BYTES]);

/*
 * Docker's reference patterns (`--filter reference=`, prune's NAME): a glob
 * (* ? [...], '*' not across '/') that matches the familiar name with or
 * without tag, or the whole name with or without tag. A pattern without
 * glob characters is the exact name, tag "latest" understood.
 */
bool ul_reference_matches(const char *pattern, const char *name);

/* The part before tag and digest, whole form, into repository. */
void ul_reference_repository(const char *text,
			     char repository[UL_NAME_MAX_BYTES]);

/*
 * The tag by which a referrer names its subject: "sha256-<hex>.sig", ".att"
 * or ".sbom" (cosign's scheme). True with the digest where the name's tag is
 * one of those.
 */
struct ul_digest;
bool ul_reference_subject_tag(const char *name, struct ul_digest *ret_subject);

#endif
