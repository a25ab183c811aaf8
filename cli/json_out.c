#include "cli/json_out.h"

#include <stdio.h>
#include <string.h>

#include "accounting/report.h"
#include "base/err.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "gc/run.h"
#include "store/oci/json.h"
#include "store/view.h"

static void put_int(json_t **object, const char *key, int64_t value)
{
	ul_json_put(object, key, json_integer(value));
}

static void put_bytes(json_t **object, const char *key, uint64_t bytes)
{
	ul_json_put(object, key, json_integer((json_int_t)bytes));
}

static void put_text(json_t **object, const char *key, const char *text)
{
	ul_json_put(object, key, text ? ul_json_string(text) : json_null());
}

static void put_text_or_null(json_t **object, const char *key, const char *text)
{
	put_text(object, key, text && *text ? text : NULL);
}

/* As ul_json_put(): what finds no memory makes the whole NULL. */
static void append(json_t **array, json_t *value)
{
	if (!*array)
		json_decref(value);
	else if (json_array_append_new(*array, value))
		ul_json_freep(array);
}

static json_t *document(void)
{
	json_t *json = json_object();

	put_int(&json, "version", 1);
	return json;
}

static json_t *class_json(enum ul_class which, const struct ul_class_row *row)
{
	json_t *json = json_object();

	put_text(&json, "class", ul_class_name(which));
	put_bytes(&json, "objects", row->object_count);
	put_bytes(&json, "packed_bytes", row->packed_bytes);
	put_bytes(&json, "unpacked_bytes", row->unpacked_bytes);
	put_bytes(&json, "allocated_bytes", row->allocated_bytes);
	put_bytes(&json, "reclaimable_bytes", row->reclaimable_bytes);
	return json;
}

static json_t *filesystem_json(const struct ul_view *view)
{
	json_t *json = json_object();

	put_text(&json, "mount", view->mount);
	put_bytes(&json, "total_bytes", view->total_bytes);
	put_bytes(&json, "available_bytes", view->available_bytes);
	return json;
}

static json_t *notes_json(const struct ul_view *view)
{
	json_t *notes = json_array();
	size_t i;

	for (i = 0; i < view->note_count; i++)
		append(&notes, ul_json_string(view->notes[i]));
	return notes;
}

static const char *image_name(const struct ul_view *view, uint32_t at)
{
	const struct ul_view_image *image = &view->images[at];

	return image->name_count ? view->record.objects[image->names[0]].key
				 : image->digest;
}

static json_t *duplicate_blob_json(const struct ul_view *view,
				   const struct ul_duplicate_blob *blob)
{
	json_t *json = json_object(), *images = json_array();
	size_t i;

	for (i = 0; i < blob->image_count; i++)
		append(&images,
		       ul_json_string(image_name(view, blob->images[i])));
	put_text(&json, "digest", view->record.objects[blob->object].key);
	ul_json_put(&json, "images", images);
	return json;
}

static json_t *duplicates_json(const struct ul_view *view,
			       const struct ul_df *df)
{
	json_t *list = json_array();
	size_t i, b;

	for (i = 0; i < df->duplicate_count; i++) {
		const struct ul_duplicate *duplicate = &df->duplicates[i];
		json_t *json = json_object(), *blobs = json_array();

		for (b = 0; b < duplicate->blob_count; b++)
			append(&blobs,
			       duplicate_blob_json(view, &duplicate->blobs[b]));
		put_text(&json, "diff_id", duplicate->diff_id);
		put_bytes(&json, "extra_bytes", duplicate->extra_bytes);
		ul_json_put(&json, "blobs", blobs);
		append(&list, json);
	}
	return list;
}

static json_t *store_json(const struct ul_view *view, const struct ul_df *df)
{
	json_t *json = json_object(), *classes = json_array();
	int which;

	for (which = 0; which < UL_CLASS_COUNT; which++)
		append(&classes, class_json(which, &df->rows[which]));
	put_text(&json, "name", view->store_name);
	put_text(&json, "kind", view->store_kind);
	put_text(&json, "path", view->store_path);
	ul_json_put(&json, "filesystem", filesystem_json(view));
	put_bytes(&json, "allocated_bytes", df->allocated_bytes);
	put_int(&json, "residual_bytes", df->residual_bytes);
	put_int(&json, "residual_as_of_unix_s", df->residual_as_of_unix_s);
	put_bytes(&json, "recorded_bytes", df->recorded_bytes);
	put_bytes(&json, "duplicate_layer_bytes", df->duplicate_layer_bytes);
	ul_json_put(&json, "classes", classes);
	ul_json_put(&json, "duplicate_layers", duplicates_json(view, df));
	ul_json_put(&json, "notes", notes_json(view));
	return json;
}

json_t *ul_json_df(const struct ul_view *view, const struct ul_df *df)
{
	json_t *json = document(), *stores = json_array();

	append(&stores, store_json(view, df));
	put_int(&json, "as_of_unix_s", view->as_of_unix_s);
	ul_json_put(&json, "stores", stores);
	return json;
}

static json_t *platforms_json(const struct ul_image_row *row)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < row->platform_count; i++) {
		const struct ul_platform_row *platform = &row->platforms[i];
		json_t *json = json_object();

		put_text(&json, "platform", platform->platform);
		put_text(&json, "manifest", platform->manifest);
		put_bytes(&json, "packed_bytes", platform->packed_bytes);
		put_bytes(&json, "unpacked_bytes", platform->unpacked_bytes);
		ul_json_put(&json, "unpacked",
			    json_boolean(platform->is_unpacked));
		append(&list, json);
	}
	return list;
}

static json_t *names_json(const struct ul_view *view,
			  const struct ul_view_image *image)
{
	json_t *names = json_array();
	size_t i;

	for (i = 0; !image->is_nameless && i < image->name_count; i++) {
		const char *name = view->record.objects[image->names[i]].key;
		json_t *text = ul_json_string(name);

		/* A nameless entry beside named ones has no name to list. */
		if (name[0] && strcmp(name, image->digest))
			append(&names,
			       text ? text : ul_json_string("(not UTF-8)"));
		else
			json_decref(text);
	}
	return names;
}

static json_t *image_json(const struct ul_view *view,
			  const struct ul_image_row *row)
{
	const struct ul_view_image *image = row->image;
	json_t *json = json_object();

	put_text(&json, "store", view->store_name);
	put_text_or_null(&json, "namespace", image->ns);
	ul_json_put(&json, "names", names_json(view, image));
	put_text(&json, "digest", image->digest);
	ul_json_put(
	    &json, "missing",
	    json_boolean(!view->record.objects[image->target].is_present));
	ul_json_put(&json, "platforms", platforms_json(row));
	put_bytes(&json, "packed_bytes", row->packed_bytes);
	put_bytes(&json, "unpacked_bytes", row->unpacked_bytes);
	put_bytes(&json, "allocated_bytes", row->allocated_bytes);
	put_bytes(&json, "shared_bytes", row->shared_bytes);
	put_bytes(&json, "unique_bytes", row->unique_bytes);
	put_int(&json, "attestations", row->attestation_count);
	put_int(&json, "containers", image->containers);
	ul_json_put(&json, "pinned", json_boolean(image->is_pinned));
	put_int(&json, "created_unix_s", image->created_unix_s);
	put_int(&json, "used_unix_s", image->used_unix_s);
	return json;
}

json_t *ul_json_images(const struct ul_view *view, const struct ul_df *df,
		       const struct ul_image_rows *rows, const uint32_t *order)
{
	json_t *json = document(), *images = json_array();
	size_t i;

	for (i = 0; i < rows->len; i++)
		append(&images, image_json(view, &rows->rows[order[i]]));
	ul_json_put(&json, "images", images);
	put_bytes(&json, "duplicate_layer_bytes", df->duplicate_layer_bytes);
	ul_json_put(&json, "duplicate_layers", duplicates_json(view, df));
	return json;
}

static json_t *identity_json(const struct ul_view *view,
			     const struct ul_plan_item *item)
{
	json_t *json = json_object();

	put_text(&json, "store", view->store_name);
	put_text_or_null(&json, "namespace", item->ns);
	put_text(&json, "kind", ul_kind_name(item->kind));
	put_text_or_null(&json, "snapshotter", item->snapshotter);
	put_text(&json, "key", item->key);
	return json;
}

static json_t *declined_json(const struct ul_plan *plan)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < plan->declined.len; i++) {
		const struct ul_plan_item *item = &plan->declined.items[i];
		json_t *json = json_object();

		put_text(&json, "kind", ul_kind_name(item->kind));
		put_text(&json, "key", item->key);
		put_text(&json, "reason", item->reason);
		if (item->not_before_unix_s)
			put_int(&json, "not_before_unix_s",
				item->not_before_unix_s);
		append(&list, json);
	}
	return list;
}

json_t *ul_json_plan(const struct ul_view *view, const struct ul_plan *plan)
{
	json_t *json = document(), *remove = json_array();
	json_t *collect = json_array();
	size_t i;

	for (i = 0; i < plan->remove.len; i++) {
		const struct ul_plan_item *item = &plan->remove.items[i];
		json_t *row = identity_json(view, item);

		put_text(&row, "reason", item->reason);
		put_text(&row, "digest", item->digest);
		append(&remove, row);
	}
	for (i = 0; i < plan->collect.len; i++) {
		const struct ul_plan_item *item = &plan->collect.items[i];
		json_t *row = identity_json(view, item);

		put_bytes(&row, "allocated_bytes", item->allocated_bytes);
		append(&collect, row);
	}
	put_text(&json, "plan", plan->fingerprint);
	ul_json_put(&json, "remove", remove);
	ul_json_put(&json, "collect", collect);
	put_bytes(&json, "freed_bytes", plan->freed_bytes);
	ul_json_put(&json, "declined", declined_json(plan));
	return json;
}

json_t *ul_json_run(const struct ul_run *run)
{
	json_t *json = document();

	put_int(&json, "run", run->run);
	put_text(&json, "plan", run->plan.fingerprint);
	put_bytes(&json, "planned_bytes", run->planned_bytes);
	put_bytes(&json, "freed_bytes", run->freed_bytes);
	put_bytes(&json, "trashed_bytes", run->trashed_bytes);
	put_bytes(&json, "in_place_bytes", run->in_place_bytes);
	put_int(&json, "overhead_delta_bytes", run->overhead_delta_bytes);
	put_bytes(&json, "removed", run->removed);
	ul_json_put(&json, "seconds", json_real(run->seconds));
	ul_json_put(&json, "declined", declined_json(&run->plan));
	return json;
}

bool ul_json_print(json_t *json)
{
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_cli_print_json(json, &err);

	json_decref(json);
	if (rc)
		ul_cli_fail(&err);
	return rc == 0;
}
