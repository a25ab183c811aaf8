#include "gc/scan.h"

#include <stdbool.h>

#include "base/mem.h"
#include "gc/run.h"
#include "store/backend.h"
#include "store/view.h"

int ul_gc_scan(struct ul_store *store, const struct ul_run_request *request,
	       struct ul_view *ret_view, struct ul_err *err)
{
	struct ul_scan_options options = {
		.as_of_unix_s = request->now_unix_s,
		.for_change = true,
		.progress = request->progress,
		.arg = request->progress_arg,
	};

	return store->ops->scan(store, &options, ret_view, err);
}

int ul_gc_scan_restored(struct ul_store *store,
			const struct ul_run_request *request,
			struct ul_view *ret_view, uint64_t *ret_folder_bytes,
			struct ul_err *err)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	uint64_t folder_bytes = 0;
	bool is_first = true;
	size_t restored;
	int rc;

	do {
		restored = 0;
		ul_view_release(&view);
		rc = ul_gc_scan(store, request, &view, err);
		if (!rc && is_first)
			folder_bytes = view.folder_bytes;
		is_first = false;
		if (!rc && !view.refusal)
			rc = store->ops->restore(store, &view, &restored, err);
	} while (!rc && restored);
	if (rc)
		return rc;
	*ret_folder_bytes = folder_bytes;
	*ret_view = view;
	view = UL_VIEW_INIT;
	return 0;
}
