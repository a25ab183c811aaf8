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

/*
 * Whether text is a Docker reference (familiar or whole). 64 hex digits alone
 * are none but an image ID, as for Docker.
 */
bool ul_reference_is_valid(const char *text);

/*
 * The whole form ("app:2" gives "docker.io/library/app:2"). Text that is no
 * reference is copied as it is; false, with whole cut, where it does not fit.
 */
bool ul_reference_normalize(const char *text, char whole[UL_NAME_MAX_BYTES]);

/*
 * The short form people type ("docker.io/library/app:2" gives "app:2"), as
 * far as it still means the same: "docker.io/a.b/c" has none. Text that is no
 * reference is copied, cut where it does not fit.
 */
void ul_reference_familiar(const char *text, char shorter[UL_NAME_MAX_BYTES]);

/*
 * Docker's `--filter reference=`: a pattern that matches the familiar name
 * with or without its tag and digest, or the whole name with or without. So
 * "app" and "docker.io/library/app" take every tag of app, "app:2" one. A name
 * that is no reference is matched as it is. A malformed pattern matches
 * nothing; see ul_reference_pattern_is_valid().
 *
 * Patterns are those of Go's path.Match: * any text and ? any one character,
 * neither of them '/'; [a-c] and [^a-c] one character; \ before a character
 * takes it literally. Classes too never match '/' here, so that what a
 * pattern takes stays within one component.
 */
bool ul_reference_matches(const char *pattern, const char *name);

/* Whether every [ and \ of a pattern is complete. */
bool ul_reference_pattern_is_valid(const char *pattern);

/*
 * What a person names on the command line to be removed. A reference is the
 * one exact name, in any of its forms, with the tag "latest" understood ("app"
 * takes app:latest and leaves app:2); anything else with one of * ? [ in it
 * is a pattern, without them it is the name as it stands.
 */
bool ul_reference_selects(const char *argument, const char *name);

/*
 * The part before tag and digest, whole form, into repository. Text that is
 * no reference is copied, cut where it does not fit.
 */
void ul_reference_repository(const char *text,
			     char repository[UL_NAME_MAX_BYTES]);

/*
 * The tag by which a referrer names its subject: "sha256-<hex>.sig", ".att"
 * or ".sbom" (cosign's scheme). True with the digest where the name's tag is
 * one of those, or the name is nothing but such a tag, as layouts have it.
 */
struct ul_digest;
bool ul_reference_subject_tag(const char *name, struct ul_digest *ret_subject);

#endif
