#include "cli/snapshot_parent.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/resolve.h"
#include "store/embedded/names.h"
#include "store/limits.h"
#include "store/oci/descriptor.h"
#include "store/view.h"

/* uname(2) and Go's GOARCH, which OCI platforms use, differ. */
static const char *host_architecture(const char *machine)
{
	static const struct {
		const char *machine, *architecture;
	} names[] = {
		{ "x86_64", "amd64" },
		{ "aarch64", "arm64" },
		{ "armv7l", "arm/v7" },
		{ "armv6l", "arm/v6" },
		{ "i686", "386" },
		{ "i386", "386" },
		{ "loongarch64", "loong64" },
	};
	size_t i;

	for (i = 0; i < ul_array_len(names); i++) {
		if (!strcmp(names[i].machine, machine))
			return names[i].architecture;
	}
	return machine;
}

/* A platform without variant is one for all of them. */
static bool is_host(const char *platform)
{
	char host[UL_PLATFORM_TEXT_MAX];
	struct utsname name;
	size_t len;

	if (uname(&name))
		return false;
	snprintf(host, sizeof host, "linux/%.64s",
		 host_architecture(name.machine));
	len = strlen(host);
	return !strncmp(platform, host, len) &&
	       (!platform[len] || platform[len] == '/');
}

static const struct ul_view_platform *
platform_find(const struct ul_view_image *image)
{
	const struct ul_view_platform *only = NULL;
	size_t i, count = 0;

	for (i = 0; i < image->platform_count; i++) {
		const struct ul_view_platform *platform = &image->platforms[i];

		if (platform->is_attestation)
			continue;
		if (is_host(platform->platform))
			return platform;
		only = platform;
		count++;
	}
	return count == 1 ? only : NULL;
}

static int image_parent(const struct ul_view *view, const char *text,
			const struct ul_view_image *image, const char **ret_key,
			struct ul_err *err)
{
	const struct ul_view_platform *platform = platform_find(image);

	if (!platform)
		return ul_err_set(err, UL_E_INVALID,
				  "%s has several platforms and none is this "
				  "machine's; give the snapshot's key",
				  text);
	if (platform->top_snapshot == UL_OBJECT_NONE)
		return ul_err_set(err, UL_E_ABSENT,
				  "%s is not unpacked for %s; `ullage unpack "
				  "%s` does that",
				  text, platform->platform, text);
	*ret_key = view->record.objects[platform->top_snapshot].key;
	return 0;
}

int ul_snapshot_parent(const struct ul_view *view, const char *text,
		       const char **ret_key, struct ul_err *err)
{
	struct ul_err ignored = UL_ERR_INIT;
	uint32_t object, image;
	int rc = ul_resolve(view, text, UL_RESOLVE_SNAPSHOT, &object, err);

	if (!rc)
		*ret_key = view->record.objects[object].key;
	if (rc != UL_E_ABSENT)
		return rc;
	rc = ul_resolve_image(view, text, &image, &ignored);
	if (!rc)
		return image_parent(view, text, &view->images[image], ret_key,
				    err);
	return ul_err_set(err, rc, "no snapshot \"%s\"; %s", text, ignored.msg);
}

/* The parent of a snapshot's object, or NONE. */
static uint32_t parent_of(const struct ul_record *record, uint32_t object)
{
	const struct ul_object *snapshot = &record->objects[object];

	return snapshot->ref_count ? record->refs[snapshot->first_ref].target
				   : UL_OBJECT_NONE;
}

static bool image_has(const struct ul_view *view,
		      const struct ul_view_image *image, uint32_t snapshot)
{
	size_t i, depth;
	uint32_t at;

	for (i = 0; i < image->platform_count; i++) {
		at = image->platforms[i].top_snapshot;
		for (depth = 0;
		     at != UL_OBJECT_NONE && depth <= UL_IMAGE_MAX_LAYERS;
		     depth++) {
			if (at == snapshot)
				return true;
			at = parent_of(&view->record, at);
		}
	}
	return false;
}

int ul_snapshot_used(struct ul_embedded *store, const struct ul_view *view,
		     const char *parent, struct ul_err *err)
{
	uint32_t snapshot =
	    ul_record_find(&view->record, UL_KIND_SNAPSHOT, "", "", parent);
	size_t i;
	int rc = 0;

	for (i = 0; !rc && snapshot != UL_OBJECT_NONE && i < view->image_count;
	     i++) {
		if (image_has(view, &view->images[i], snapshot))
			rc = ul_names_used(store, view->images[i].digest, err);
	}
	return rc;
}
