#include "cli/resolve.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "store/oci/reference.h"
#include "store/suggest.h"
#include "store/view.h"

enum { SHOWN_MAX = 4, HEX_LEAST = 4, HEX_SHOWN = 12 };

/* What a text may stand for: a few of them, and how many there are. */
struct matches {
	uint32_t at[SHOWN_MAX];
	size_t count;
};

static void matches_add(struct matches *matches, uint32_t at)
{
	size_t i;

	for (i = 0; i < matches->count && i < SHOWN_MAX; i++) {
		if (matches->at[i] == at)
			return;
	}
	if (matches->count < SHOWN_MAX)
		matches->at[matches->count] = at;
	matches->count++;
}

/* The beginning of a digest, as typed. */
struct prefix {
	const char *alg; /* NULL: any */
	size_t alg_len;
	const char *hex;
	size_t hex_len;
};

static bool prefix_parse(const char *text, struct prefix *ret)
{
	const char *colon = strchr(text, ':');
	const char *hex = colon ? colon + 1 : text;
	size_t len = strlen(hex);

	if (strspn(hex, "0123456789abcdef") != len ||
	    len < (colon ? 1 : HEX_LEAST))
		return false;
	if (colon && strncmp(text, "sha256:", 7) && strncmp(text, "sha512:", 7))
		return false;
	*ret = (struct prefix){
		.alg = colon ? text : NULL,
		.alg_len = colon ? (size_t)(colon - text) : 0,
		.hex = hex,
		.hex_len = len,
	};
	return true;
}

static bool prefix_fits(const struct prefix *prefix, const char *key)
{
	const char *colon = strchr(key, ':');

	return colon && !strncmp(colon + 1, prefix->hex, prefix->hex_len) &&
	       (!prefix->alg || ((size_t)(colon - key) == prefix->alg_len &&
				 !strncmp(key, prefix->alg, prefix->alg_len)));
}

static const char *key_of(const struct ul_view *view, uint32_t object)
{
	return view->record.objects[object].key;
}

/* "sha256:ab12cd34ef56": as much as tells it from what was typed. */
static void add_shown(struct ul_buf *text, const char *key, size_t typed_len)
{
	size_t len = strlen("sha256:") + HEX_SHOWN;

	if (len < typed_len + HEX_LEAST)
		len = typed_len + HEX_LEAST;
	if (strncmp(key, "sha", 3) || strlen(key) < len)
		len = strlen(key);
	ul_buf_add(text, key, len);
}

static int ambiguous(const char *text, const char *const *keys, size_t count,
		     struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf list = UL_BUF_INIT;
	size_t i;

	for (i = 0; i < count && i < SHOWN_MAX; i++) {
		ul_buf_add_str(&list, i ? ", " : "");
		add_shown(&list, keys[i], strlen(text));
	}
	if (count > SHOWN_MAX)
		ul_buf_printf(&list, " and %zu more", count - SHOWN_MAX);
	if (list.failed)
		return ul_err_nomem(err);
	return ul_err_set(err, UL_E_INVALID, "\"%s\" may be any of: %s", text,
			  ul_buf_str(&list));
}

static int ambiguous_objects(const struct ul_view *view, const char *text,
			     const struct matches *matches, struct ul_err *err)
{
	const char *keys[SHOWN_MAX];
	size_t i;

	for (i = 0; i < matches->count && i < SHOWN_MAX; i++)
		keys[i] = key_of(view, matches->at[i]);
	return ambiguous(text, keys, matches->count, err);
}

static bool is_nameless(const struct ul_view_image *image, const char *key)
{
	return image->is_nameless && !strcmp(image->digest, key);
}

/* Position of an image by one of its names, and the name's object. */
static bool image_by_name(const struct ul_view *view, const char *text,
			  size_t *ret_image, uint32_t *ret_object)
{
	char whole[UL_NAME_MAX_BYTES], other[UL_NAME_MAX_BYTES];
	bool is_reference =
	    ul_reference_is_valid(text) && ul_reference_normalize(text, whole);
	bool is_found = false;
	size_t i, n;

	for (i = 0; i < view->image_count; i++) {
		for (n = 0; n < view->images[i].name_count; n++) {
			uint32_t object = view->images[i].names[n];
			const char *key = key_of(view, object);
			bool is_exact = !strcmp(key, text);

			if (is_nameless(&view->images[i], key) ||
			    (!is_exact &&
			     (!is_reference || is_found ||
			      !ul_reference_normalize(key, other) ||
			      strcmp(whole, other) != 0)))
				continue;
			*ret_image = i;
			*ret_object = object;
			is_found = true;
			if (is_exact)
				return true;
		}
	}
	return is_found;
}

/* An image is known by its own digest, a platform's manifest and, as Docker
 * has it, a config. */
static bool image_fits(const struct ul_view *view,
		       const struct ul_view_image *image,
		       const struct prefix *prefix)
{
	size_t i;

	if (prefix_fits(prefix, image->digest))
		return true;
	for (i = 0; i < image->platform_count; i++) {
		const struct ul_view_platform *platform = &image->platforms[i];

		if (prefix_fits(prefix, key_of(view, platform->manifest)) ||
		    (platform->config != UL_OBJECT_NONE &&
		     prefix_fits(prefix, key_of(view, platform->config))))
			return true;
	}
	return false;
}

/* 0, 1: no image fits, negative: several do. */
static int image_by_digest(const struct ul_view *view, const char *text,
			   size_t *ret_image, struct ul_err *err)
{
	struct matches matches = { .count = 0 };
	const char *keys[SHOWN_MAX];
	struct prefix prefix;
	size_t i;

	if (!prefix_parse(text, &prefix))
		return 1;
	for (i = 0; i < view->image_count; i++) {
		if (!strcmp(view->images[i].digest, text)) {
			*ret_image = i;
			return 0;
		}
		if (image_fits(view, &view->images[i], &prefix))
			matches_add(&matches, (uint32_t)i);
	}
	if (matches.count == 1)
		*ret_image = matches.at[0];
	if (matches.count <= 1)
		return matches.count ? 0 : 1;
	for (i = 0; i < matches.count && i < SHOWN_MAX; i++)
		keys[i] = view->images[matches.at[i]].digest;
	return ambiguous(text, keys, matches.count, err);
}

/* The one object of kind image that an image has, to act upon it. */
static int image_object(const struct ul_view *view, const char *text,
			size_t image, uint32_t *ret_object, struct ul_err *err)
{
	const struct ul_view_image *row = &view->images[image];
	struct matches matches = { .count = 0 };
	size_t i;

	for (i = 0; i < row->name_count; i++)
		matches_add(&matches, row->names[i]);
	if (matches.count != 1)
		return ambiguous_objects(view, text, &matches, err);
	*ret_object = matches.at[0];
	return 0;
}

static int image_find(const struct ul_view *view, const char *text,
		      bool by_digest, uint32_t *ret_object, struct ul_err *err)
{
	size_t image;
	int rc;

	if (image_by_name(view, text, &image, ret_object))
		return 0;
	rc = by_digest ? image_by_digest(view, text, &image, err) : 1;
	return rc ? rc : image_object(view, text, image, ret_object, err);
}

/* A name that vanished leads to what it stood for. */
static const struct ul_name *name_vanished(const struct ul_view *view,
					   const char *text)
{
	char whole[UL_NAME_MAX_BYTES], other[UL_NAME_MAX_BYTES];
	bool is_whole =
	    ul_reference_is_valid(text) && ul_reference_normalize(text, whole);
	size_t i;

	for (i = 0; i < view->record.name_count; i++) {
		const struct ul_name *name = &view->record.names[i];

		if (!name->vanished_unix_s || name->is_gone)
			continue;
		if (!strcmp(name->name, text) ||
		    (is_whole && ul_reference_normalize(name->name, other) &&
		     !strcmp(whole, other)))
			return name;
	}
	return NULL;
}

static int vanished_find(const struct ul_view *view, const char *text,
			 uint32_t *ret_object)
{
	const struct ul_name *name = name_vanished(view, text);
	uint32_t object;

	if (!name)
		return 1;
	object =
	    ul_record_find(&view->record, UL_KIND_BLOB, "", "", name->digest);
	if (object == UL_OBJECT_NONE || view->record.objects[object].is_gone)
		return 1;
	*ret_object = object;
	return 0;
}

static bool is_meant(const struct ul_object *object, unsigned what)
{
	return !object->is_gone &&
	       ((object->kind == UL_KIND_BLOB && (what & UL_RESOLVE_BLOB)) ||
		(object->kind == UL_KIND_SNAPSHOT &&
		 (what & UL_RESOLVE_SNAPSHOT)));
}

static int digest_find(const struct ul_view *view, const char *text,
		       unsigned what, uint32_t *ret_object, struct ul_err *err)
{
	struct matches matches = { .count = 0 };
	struct prefix prefix;
	size_t i;

	if (!prefix_parse(text, &prefix))
		return 1;
	for (i = 0; i < view->record.object_count; i++) {
		if (is_meant(&view->record.objects[i], what) &&
		    prefix_fits(&prefix, view->record.objects[i].key))
			matches_add(&matches, (uint32_t)i);
	}
	if (!matches.count)
		return 1;
	/* A layer kept unpacked has its snapshot's key: the blob is meant. */
	if (matches.count == 2 &&
	    !strcmp(key_of(view, matches.at[0]), key_of(view, matches.at[1]))) {
		if (view->record.objects[matches.at[0]].kind != UL_KIND_BLOB)
			matches.at[0] = matches.at[1];
		matches.count = 1;
	}
	if (matches.count > 1)
		return ambiguous_objects(view, text, &matches, err);
	*ret_object = matches.at[0];
	return 0;
}

static int key_find(const struct ul_view *view, enum ul_kind kind,
		    const char *text, uint32_t *ret_object)
{
	uint32_t object =
	    ul_record_find(&view->record, (uint8_t)kind, "", "", text);

	if (object == UL_OBJECT_NONE || view->record.objects[object].is_gone)
		return 1;
	*ret_object = object;
	return 0;
}

/* The part of a path below the store ("" for itself); NULL: it is not. */
static const char *path_below(const struct ul_view *view, const char *text,
			      char real[PATH_MAX])
{
	/* "cache/blobs/...", as a shell completes it, or "oci/blobs/...". */
	const char *bare = text[0] == '/' || text[0] == '.' ? NULL : text;
	char store[PATH_MAX];
	size_t len = strlen(view->store_path);

	if (!strncmp(text, view->store_path, len) && text[len] == '/')
		return text + len + 1;
	if (!realpath(text, real) || !realpath(view->store_path, store))
		return bare;
	len = strlen(store);
	if (!strcmp(real, store))
		return "";
	return !strncmp(real, store, len) && real[len] == '/' ? real + len + 1
							      : bare;
}

bool ul_resolve_path(const struct ul_view *view, const char *text,
		     char path[PATH_MAX])
{
	char real[PATH_MAX];
	const char *below = path_below(view, text, real);

	return below && snprintf(path, PATH_MAX, "%s", below) < PATH_MAX;
}

/* The file or folder of the view that a path is, or lies in. */
static int path_find(const struct ul_view *view, const char *text,
		     uint32_t *ret_object)
{
	char real[PATH_MAX];
	const char *path = path_below(view, text, real);
	size_t i, len;

	for (i = 0; path && i < view->file_count; i++) {
		len = strlen(view->files[i].path);
		if (strncmp(path, view->files[i].path, len) ||
		    (path[len] && path[len] != '/'))
			continue;
		*ret_object = view->files[i].object;
		return 0;
	}
	return 1;
}

static const char *what_name(unsigned what)
{
	switch (what) {
	case UL_RESOLVE_IMAGE:
		return "image";
	case UL_RESOLVE_SNAPSHOT:
		return "snapshot";
	case UL_RESOLVE_LEASE:
		return "lease";
	case UL_RESOLVE_BLOB:
		return "blob";
	default:
		return "object";
	}
}

static int absent_key(const struct ul_view *view, const char *text,
		      unsigned what, struct ul_err *err)
{
	enum ul_kind kind =
	    what == UL_RESOLVE_LEASE ? UL_KIND_LEASE : UL_KIND_SNAPSHOT;
	ul_cleanup(ul_freep) const char **keys =
	    ul_calloc(view->record.object_count + 1, sizeof *keys);
	const char *close = NULL;
	size_t i, count = 0;

	if (!keys)
		return ul_err_nomem(err);
	for (i = 0; i < view->record.object_count; i++) {
		if (view->record.objects[i].kind == kind &&
		    !view->record.objects[i].is_gone)
			keys[count++] = view->record.objects[i].key;
	}
	close = ul_suggest(text, keys, count);
	if (!close)
		return ul_err_set(err, UL_E_ABSENT, "no %s \"%s\"",
				  what_name(what), text);
	return ul_err_set(err, UL_E_ABSENT, "no %s \"%s\"; did you mean %s?",
			  what_name(what), text, close);
}

static int absent(const struct ul_view *view, const char *text, unsigned what,
		  struct ul_err *err)
{
	bool is_ours = !strcmp(view->store_kind, "embedded");
	char close[UL_NAME_MAX_BYTES];

	if ((what & UL_RESOLVE_IMAGE) && view->is_index_damaged)
		return ul_err_set(err, UL_E_CORRUPT,
				  "whether there is an image \"%s\" is not "
				  "known: %s",
				  text, view->refusal);
	if (what == UL_RESOLVE_LEASE || what == UL_RESOLVE_SNAPSHOT)
		return absent_key(view, text, what, err);
	if ((what & UL_RESOLVE_IMAGE) && name_vanished(view, text))
		return ul_err_set(
		    err, UL_E_ABSENT,
		    "no image \"%s\" any more; `ullage%s%s tag %s "
		    "%s` may bring it back",
		    text, is_ours ? "" : " --store ",
		    is_ours ? "" : view->store_name, text, text);
	if ((what & UL_RESOLVE_IMAGE) && ul_suggest_image(view, text, close))
		return ul_err_set(err, UL_E_ABSENT,
				  "no image \"%s\"; did you mean %s?", text,
				  close);
	return ul_err_set(err, UL_E_ABSENT, "no %s \"%s\"", what_name(what),
			  text);
}

/* 1: nothing fits. */
static int resolve(const struct ul_view *view, const char *text, unsigned what,
		   uint32_t *ret, struct ul_err *err)
{
	int rc = 1;

	if (what & UL_RESOLVE_IMAGE)
		rc =
		    image_find(view, text, !(what & UL_RESOLVE_BLOB), ret, err);
	if (rc > 0 && (what & UL_RESOLVE_IMAGE) && (what & UL_RESOLVE_BLOB))
		rc = vanished_find(view, text, ret);
	/* What is spelled out wins over what merely begins like that. */
	if (rc > 0 && (what & UL_RESOLVE_BLOB))
		rc = key_find(view, UL_KIND_BLOB, text, ret);
	if (rc > 0 && (what & UL_RESOLVE_SNAPSHOT))
		rc = key_find(view, UL_KIND_SNAPSHOT, text, ret);
	if (rc > 0 && (what & UL_RESOLVE_LEASE))
		rc = key_find(view, UL_KIND_LEASE, text, ret);
	if (rc > 0)
		rc = digest_find(view, text, what, ret, err);
	if (rc > 0 && (what & UL_RESOLVE_FILE))
		rc = path_find(view, text, ret);
	return rc;
}

int ul_resolve(const struct ul_view *view, const char *text, unsigned what,
	       uint32_t *ret_object, struct ul_err *err)
{
	uint32_t object = UL_OBJECT_NONE;
	int rc;

	if (!*text)
		return ul_err_set(err, UL_E_INVALID, "an empty name");
	rc = resolve(view, text, what, &object, err);
	if (rc > 0)
		return absent(view, text, what, err);
	if (!rc)
		*ret_object = object;
	return rc;
}

int ul_resolve_image(const struct ul_view *view, const char *text,
		     uint32_t *ret_image, struct ul_err *err)
{
	uint32_t object;
	size_t image = 0;
	int rc = 0;

	if (!*text)
		return ul_err_set(err, UL_E_INVALID, "an empty name");
	if (!image_by_name(view, text, &image, &object))
		rc = image_by_digest(view, text, &image, err);
	if (rc > 0)
		return absent(view, text, UL_RESOLVE_IMAGE, err);
	if (!rc)
		*ret_image = (uint32_t)image;
	return rc;
}

bool ul_resolve_vanished(const struct ul_view *view, const char *text,
			 char digest[UL_DIGEST_TEXT_MAX])
{
	const struct ul_name *name;
	uint32_t object;
	size_t image;

	if (image_by_name(view, text, &image, &object))
		return false;
	name = name_vanished(view, text);
	if (name)
		snprintf(digest, UL_DIGEST_TEXT_MAX, "%s", name->digest);
	return name != NULL;
}

bool ul_resolve_trashed(const struct ul_view *view, const char *text,
			enum ul_kind kind, uint32_t *ret_position)
{
	struct prefix prefix;
	bool is_digest = prefix_parse(text, &prefix);
	const char *found = NULL;
	size_t i;

	for (i = 0; i < view->trash_count; i++) {
		const struct ul_view_trash *thing = &view->trash[i];

		if (thing->kind != kind ||
		    (strcmp(thing->key, text) != 0 &&
		     (!is_digest || !prefix_fits(&prefix, thing->key))))
			continue;
		/* Swept twice, it lies there twice. */
		if (found && strcmp(found, thing->key) != 0)
			return false;
		found = thing->key;
		*ret_position = (uint32_t)i;
	}
	return found != NULL;
}
