#include "cli/change.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "store/embedded/store.h"
#include "store/graph/mark.h"
#include "store/view.h"

static int loss_mark(const struct ul_view *view, const struct ul_bits *without,
		     struct ul_mark *before, struct ul_mark *after,
		     struct ul_err *err)
{
	int rc = ul_mark_init(before, &view->graph, err);

	if (!rc)
		rc = ul_mark_init(after, &view->graph, err);
	if (rc)
		return rc;
	ul_mark_roots(before, &view->graph, NULL);
	ul_mark_roots(after, &view->graph, without);
	return 0;
}

static void loss_count(const struct ul_view *view, const struct ul_mark *before,
		       const struct ul_mark *after,
		       const struct ul_bits *without, struct ul_loss *loss)
{
	size_t i;

	for (i = 0; i < view->record.object_count; i++) {
		const struct ul_object *object = &view->record.objects[i];

		if (!object->is_present ||
		    !ul_mark_keeps(before, &view->graph, (uint32_t)i) ||
		    ul_mark_keeps(after, &view->graph, (uint32_t)i) ||
		    ul_bits_get(without, (uint32_t)i))
			continue;
		loss->blob_count += object->kind == UL_KIND_BLOB;
		loss->snapshot_count += object->kind == UL_KIND_SNAPSHOT;
	}
	for (i = 0; i < view->file_count; i++) {
		uint32_t node = view->files[i].node;

		if (ul_bits_get(&before->reached, node) &&
		    !ul_bits_get(&after->reached, node) &&
		    !ul_bits_get(without, view->files[i].object))
			loss->allocated_bytes +=
			    view->graph.nodes[node].weight_bytes;
	}
}

int ul_loss_build(const struct ul_view *view, const uint32_t *objects,
		  size_t count, struct ul_loss *ret_loss, struct ul_err *err)
{
	ul_cleanup(ul_mark_release) struct ul_mark before = UL_MARK_INIT;
	ul_cleanup(ul_mark_release) struct ul_mark after = UL_MARK_INIT;
	ul_cleanup(ul_bits_release) struct ul_bits without = UL_BITS_INIT;
	size_t i;
	int rc;

	if (!ul_bits_init(&without, view->graph.node_count))
		return ul_err_nomem(err);
	for (i = 0; i < count; i++)
		ul_bits_set(&without, objects[i]);
	rc = loss_mark(view, &without, &before, &after, err);
	if (rc)
		return rc;
	*ret_loss = (struct ul_loss){ .blob_count = 0 };
	loss_count(view, &before, &after, &without, ret_loss);
	return 0;
}

void ul_loss_print(struct ul_cli *cli, const struct ul_loss *loss)
{
	size_t blobs = loss->blob_count, snapshots = loss->snapshot_count;
	char size[UL_HUMAN_MAX];

	if (!blobs && !snapshots)
		return;
	if (blobs)
		ul_cli_print("%zu blob%s", blobs, blobs == 1 ? "" : "s");
	if (blobs && snapshots)
		ul_cli_print(" and ");
	if (snapshots)
		ul_cli_print("%zu snapshot%s", snapshots,
			     snapshots == 1 ? "" : "s");
	ul_cli_print(" (%s) %s now held by nothing; `%s gc` takes %s\n",
		     ul_human_bytes(loss->allocated_bytes, size),
		     blobs + snapshots == 1 ? "is" : "are", ul_cli_us(cli),
		     blobs + snapshots == 1 ? "it" : "them");
}

json_t *ul_loss_json(const struct ul_loss *loss)
{
	return json_pack("{s:I, s:I, s:I}", "blobs",
			 (json_int_t)loss->blob_count, "snapshots",
			 (json_int_t)loss->snapshot_count, "allocated_bytes",
			 (json_int_t)loss->allocated_bytes);
}

/* What a manifest refers to shows once the manifest itself is back. */
int ul_change_restore(struct ul_cli *cli, bool for_change, const char *hold,
		      struct ul_view *ret_view, struct ul_err *err)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	struct ul_store *store = &cli->store->base;
	size_t count, total = 0;
	int rc;

	do {
		count = 0;
		ul_view_release(&view);
		rc = ul_cli_scan_holding(cli, for_change, hold, &view, err);
		if (!rc)
			rc = store->ops->restore(store, &view, &count, err);
		total += count;
	} while (!rc && count);
	if (rc)
		return rc;
	if (total)
		ul_cli_say(cli, "%zu thing%s taken out of the trash", total,
			   total == 1 ? "" : "s");
	*ret_view = view;
	view = UL_VIEW_INIT;
	return 0;
}

int ul_label_add(json_t *labels, const char *text, struct ul_err *err)
{
	const char *equals = strchr(text, '=');
	size_t len = equals ? (size_t)(equals - text) : strlen(text);
	ul_cleanup(ul_freep) char *key = ul_strndup(text, len);
	json_t *value;

	if (!key || !labels)
		return ul_err_nomem(err);
	if (!len)
		return ul_err_set(err, UL_E_INVALID,
				  "a label is KEY=VALUE, not \"%s\"", text);
	value = json_string(equals ? equals + 1 : "");
	if (json_object_set_new(labels, key, value))
		return ul_err_set(err, UL_E_INVALID,
				  "label \"%s\" is not UTF-8", text);
	return 0;
}

json_t *ul_labels_json(const char *labels)
{
	return json_loads(labels, 0, NULL);
}

char *ul_labels_text(const char *labels)
{
	ul_cleanup(ul_json_freep) json_t *json = ul_labels_json(labels);
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	const char *key;
	json_t *value;

	if (!json)
		return NULL;
	json_object_foreach(json, key, value)
	{
		ul_buf_printf(&text, "%s%s=%s", text.len ? ", " : "", key,
			      json_string_value(value));
	}
	return text.len ? ul_buf_detach(&text) : ul_strdup("");
}
