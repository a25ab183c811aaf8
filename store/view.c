#include "store/view.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "store/backend.h"
#include "store/oci/reference.h"

void ul_view_release(struct ul_view *view)
{
	ul_record_release(&view->record);
	ul_graph_release(&view->graph);
	free(view->files);
	free(view->images);
	free(view->leases);
	free(view->trash);
	free(view->live_snapshots);
	free(view->notes);
	ul_arena_release(&view->arena);
	*view = UL_VIEW_INIT;
}

static bool image_has(const struct ul_view *view,
		      const struct ul_view_image *image, const char *digest)
{
	size_t i;

	if (!strcmp(image->digest, digest))
		return true;
	for (i = 0; i < image->platform_count; i++) {
		uint32_t manifest = image->platforms[i].manifest;

		if (!strcmp(view->record.objects[manifest].key, digest))
			return true;
	}
	return false;
}

/* Whether some chosen image has this manifest, and no other image has. */
static bool subject_goes(const struct ul_view *view, const bool *chosen,
			 const char *digest)
{
	bool goes = false;
	size_t i;

	for (i = 0; i < view->image_count; i++) {
		if (!image_has(view, &view->images[i], digest))
			continue;
		if (!chosen[i])
			return false;
		goes = true;
	}
	return goes;
}

static bool image_follows(const struct ul_view *view, const bool *chosen,
			  const struct ul_view_image *image)
{
	char digest[UL_DIGEST_TEXT_MAX];
	struct ul_digest subject;
	size_t i;

	for (i = 0; i < image->name_count; i++) {
		const char *name = view->record.objects[image->names[i]].key;

		if (!ul_reference_subject_tag(name, &subject))
			return false;
		ul_digest_format(&subject, digest);
		if (!subject_goes(view, chosen, digest))
			return false;
	}
	return image->name_count > 0;
}

void ul_view_follow(const struct ul_view *view, bool *chosen)
{
	bool is_changed;
	size_t i;

	/* A signature may itself be signed. */
	do {
		is_changed = false;
		for (i = 0; i < view->image_count; i++) {
			if (chosen[i] || view->images[i].is_pinned ||
			    view->images[i].containers ||
			    !image_follows(view, chosen, &view->images[i]))
				continue;
			chosen[i] = is_changed = true;
		}
	} while (is_changed);
}

bool ul_view_note(struct ul_view *view, const char *fmt, ...)
{
	ul_cleanup(ul_freep) char *text = NULL;
	const char **notes;
	char *copy;
	va_list ap;

	va_start(ap, fmt);
	text = ul_vasprintf(fmt, ap);
	va_end(ap);
	copy = text ? ul_arena_strdup(&view->arena, text) : NULL;
	notes = ul_realloc(view->notes, (view->note_count + 1) * sizeof *notes);
	if (notes)
		view->notes = notes;
	if (!copy || !notes)
		return false;
	notes[view->note_count++] = copy;
	return true;
}

void ul_store_close(struct ul_store *store)
{
	if (store)
		store->ops->close(store);
}
