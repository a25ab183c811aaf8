#include "store/view.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/backend.h"

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

void ul_swept_release(struct ul_swept *swept)
{
	ul_names_release(&swept->files);
	ul_names_release(&swept->trees);
	*swept = UL_SWEPT_INIT;
}

void ul_store_close(struct ul_store *store)
{
	if (store)
		store->ops->close(store);
}
