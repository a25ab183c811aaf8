#include "store/embedded/kept_names.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/backend.h"
#include "store/embedded/form.h"
#include "store/embedded/open.h"
#include "store/embedded/store.h"
#include "store/embedded/trash.h"
#include "store/graph/mark.h"
#include "store/limits.h"
#include "store/view.h"

/* What the record of a folder holds beside them: less than twenty values. */
_Static_assert(UL_TRASH_RECORD_MAX_ITEMS * 7 + UL_TRASH_RECORD_MAX_TEXTS + 20 <=
		   UL_JSON_MAX_VALUES,
	       "things and names of one folder can be read again");

bool ul_kept_names_add(struct ul_kept_names *kept, const char *entry_json,
		       uint32_t object)
{
	uint32_t *objects = ul_grow(kept->objects, &kept->object_cap,
				    kept->entries.len + 1, sizeof *objects);

	if (!objects)
		return false;
	kept->objects = objects;
	objects[kept->entries.len] = object;
	return ul_names_add(&kept->entries, entry_json);
}

void ul_kept_names_release(struct ul_kept_names *kept)
{
	ul_names_release(&kept->entries);
	ul_names_release(&kept->folders);
	free(kept->objects);
	*kept = UL_KEPT_NAMES_INIT;
}

/* The blobs that these names stand for, with all that they refer to. */
static int content_take(const struct ul_view *view, const uint32_t *objects,
			size_t count, struct ul_names *content,
			struct ul_err *err)
{
	ul_cleanup(ul_mark_release) struct ul_mark mark = UL_MARK_INIT;
	size_t i;
	int rc = ul_mark_init(&mark, &view->graph, err);

	if (rc)
		return rc;
	ul_mark_from(&mark, &view->graph, objects, count);
	for (i = 0; i < view->file_count; i++) {
		const struct ul_view_file *file = &view->files[i];

		if (view->record.objects[file->object].kind != UL_KIND_BLOB ||
		    !ul_bits_get(&mark.reached, file->object))
			continue;
		if (!ul_names_add(content, file->path))
			return ul_err_nomem(err);
	}
	return 0;
}

static int folder_add(struct ul_embedded *store, struct ul_trash_record *record,
		      struct ul_names *folders, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	int rc;

	store->trash_folder[0] = '\0';
	rc = ul_trash_folder_write(store, record, &fd, err);
	if (*store->trash_folder && !ul_names_add(folders, store->trash_folder))
		return ul_err_nomem(err);
	return rc;
}

/* 1: kept, 0: these are too many for one folder. */
static int keep_some(struct ul_embedded *store, const struct ul_view *view,
		     struct ul_trash_record *record, struct ul_kept_names *kept,
		     size_t first, struct ul_err *err)
{
	ul_cleanup(ul_names_release) struct ul_names content = UL_NAMES_INIT;
	int rc = content_take(view, kept->objects + first, record->entry_count,
			      &content, err);

	if (rc)
		return rc;
	if (content.len + record->entry_count > store->keep_most)
		return 0;
	record->entries = (const char **)kept->entries.names + first;
	record->content = (const char **)content.names;
	record->content_count = content.len;
	rc = folder_add(store, record, &kept->folders, err);
	return rc ? rc : 1;
}

static int too_large(const struct ul_embedded *store,
		     const struct ul_view *view, uint32_t object,
		     struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf us = UL_BUF_INIT;
	const char *name = view->record.objects[object].key;

	if (!ul_embedded_command(store, &us))
		return ul_err_nomem(err);
	return ul_err_set(err, UL_E_LIMIT,
			  "%.300s refers to more than %zu blobs, which undo "
			  "could not bring back; `%.300s untag` takes it away",
			  name, store->keep_most - 1, ul_buf_str(&us));
}

static int keep_all(struct ul_embedded *store,
		    const struct ul_sweep_request *request,
		    const struct ul_view *view, struct ul_kept_names *kept,
		    struct ul_err *err)
{
	struct ul_trash_record record = {
		.database = store->db_uid,
		.run = request->run,
		.swept_unix_s = request->now_unix_s,
		.grace_s = request->grace_s,
	};
	size_t first = 0, most = kept->entries.len;

	while (first < kept->entries.len) {
		int rc;

		record.entry_count = kept->entries.len - first;
		if (record.entry_count > most)
			record.entry_count = most;
		rc = keep_some(store, view, &record, kept, first, err);
		if (rc < 0)
			return rc;
		if (rc)
			first += record.entry_count;
		else
			most = record.entry_count / 2;
		if (!most)
			return too_large(store, view, kept->objects[first],
					 err);
	}
	return 0;
}

int ul_sweep_keep_names(struct ul_embedded *store,
			const struct ul_sweep_request *request,
			const struct ul_view *view, struct ul_kept_names *kept,
			struct ul_err *err)
{
	int rc = keep_all(store, request, view, kept, err);

	if (rc)
		ul_sweep_forget_names(store, kept);
	return rc;
}

static void folder_forget(const struct ul_embedded *store, const char *folder)
{
	char path[UL_TRASH_FOLDER_MAX + 16];

	snprintf(path, sizeof path, "%s/record.json", folder);
	unlinkat(store->trash_fd, path, 0);
	unlinkat(store->trash_fd, folder, AT_REMOVEDIR);
}

void ul_sweep_forget_names(struct ul_embedded *store,
			   struct ul_kept_names *kept)
{
	struct ul_err ignored = UL_ERR_INIT; /* an earlier one is to tell */
	size_t i;

	for (i = 0; i < kept->folders.len; i++)
		folder_forget(store, kept->folders.names[i]);
	store->trash_folder[0] = '\0';
	(void)ul_trash_unmake(store, &ignored);
}
