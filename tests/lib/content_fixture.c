#include "tests/lib/content_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/embedded/snapshot.h"
#include "store/embedded/store.h"
#include "store/embedded/trash.h"

static struct content_digest digest_of(const char *text)
{
	struct content_digest made;
	struct ul_digest digest;

	ul_digest_of(UL_DIGEST_SHA256, text, strlen(text), &digest);
	ul_digest_format(&digest, made.text);
	return made;
}

const char *blob_path(const struct store_fixture *fixture,
		      struct content_digest digest)
{
	return store_path(fixture, "oci/blobs/sha256/%s", digest.text + 7);
}

bool blob_exists(const struct store_fixture *fixture,
		 struct content_digest digest)
{
	return path_exists(blob_path(fixture, digest));
}

struct content_digest blob_put(const struct store_fixture *fixture,
			       const char *format, ...)
{
	struct content_digest digest;
	va_list ap;
	char *text;

	va_start(ap, format);
	text = ul_vasprintf(format, ap);
	va_end(ap);
	assert_non_null(text);
	digest = digest_of(text);
	file_write(blob_path(fixture, digest), text);
	free(text);
	return digest;
}

static void add_quoted_words(struct ul_buf *json, const char *words)
{
	const char *comma = "";

	while (*words) {
		size_t len = strcspn(words, " ");

		ul_buf_printf(json, "%s\"%.*s\"", comma, (int)len, words);
		comma = ",";
		words += len + (words[len] == ' ');
	}
}

struct content_digest config_put(const struct store_fixture *fixture,
				 const char *labels_json, const char *diff_ids)
{
	ul_cleanup(ul_buf_release) struct ul_buf json = UL_BUF_INIT;

	ul_buf_printf(&json,
		      "{\"created\":\"2020-01-01T00:00:00Z\","
		      "\"architecture\":\"amd64\",\"os\":\"linux\","
		      "\"config\":{\"Labels\":%s},"
		      "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
		      labels_json);
	add_quoted_words(&json, diff_ids);
	ul_buf_printf(&json, "]}}");
	return blob_put(fixture, "%s", ul_buf_str(&json));
}

struct content_digest manifest_put(const struct store_fixture *fixture,
				   struct content_digest config,
				   const char *const *layers, size_t count)
{
	ul_cleanup(ul_buf_release) struct ul_buf json = UL_BUF_INIT;
	size_t i;

	ul_buf_printf(&json,
		      "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_MANIFEST
		      "\",\"config\":{\"mediaType\":\"" TYPE_CONFIG
		      "\",\"digest\":\"%s\",\"size\":1},\"layers\":[",
		      config.text);
	for (i = 0; i < count; i++)
		ul_buf_printf(&json,
			      "%s{\"mediaType\":\"" TYPE_LAYER
			      "\",\"digest\":\"%s\",\"size\":1}",
			      i ? "," : "", layers[i]);
	ul_buf_printf(&json, "]}");
	return blob_put(fixture, "%s", ul_buf_str(&json));
}

struct content_image image_put(const struct store_fixture *fixture,
			       const char *seed, const char *shared)
{
	struct content_image image = { .has_shared = shared != NULL };
	char diff_ids[2 * UL_DIGEST_TEXT_MAX], bulk[9000];
	const char *layers[2];
	size_t count = 0;

	/* Some blocks, so that sums say something. */
	memset(bulk, 'x', sizeof bulk);
	bulk[sizeof bulk - 1] = '\0';
	image.diff_id = digest_of(seed);
	snprintf(diff_ids, sizeof diff_ids, "%s", image.diff_id.text);
	if (shared) {
		image.shared = blob_put(fixture, "shared %s %s", shared, bulk);
		layers[count++] = image.shared.text;
		image.shared_diff_id = digest_of(shared);
		snprintf(diff_ids, sizeof diff_ids, "%s %s",
			 image.shared_diff_id.text, image.diff_id.text);
	}
	image.layer = blob_put(fixture, "layer %s %s", seed, bulk);
	layers[count++] = image.layer.text;
	image.config = config_put(fixture, "{}", diff_ids);
	image.manifest = manifest_put(fixture, image.config, layers, count);
	return image;
}

void index_put(const struct store_fixture *fixture,
	       const struct content_entry *entries, size_t count)
{
	ul_cleanup(ul_buf_release) struct ul_buf json = UL_BUF_INIT;
	size_t i;

	ul_buf_printf(&json, "{\"schemaVersion\":2,\"manifests\":[");
	for (i = 0; i < count; i++) {
		ul_buf_printf(&json,
			      "%s{\"mediaType\":\"%s\",\"digest\":\"%s\","
			      "\"size\":1",
			      i ? "," : "",
			      entries[i].type ? entries[i].type : TYPE_MANIFEST,
			      entries[i].digest);
		if (entries[i].name)
			ul_buf_printf(&json,
				      ",\"annotations\":{\"org."
				      "opencontainers.image.ref.name\":"
				      "\"%s\"}",
				      entries[i].name);
		ul_buf_printf(&json, "}");
	}
	ul_buf_printf(&json, "]}");
	file_write(store_path(fixture, "oci/index.new"), ul_buf_str(&json));
	assert_int_equal(rename(store_path(fixture, "oci/index.new"),
				store_path(fixture, "oci/index.json")),
			 0);
}

struct ul_view content_scan(struct store_fixture *fixture, int64_t now_unix_s)
{
	const struct ul_scan_options options = { .as_of_unix_s = now_unix_s };
	struct ul_store *store = &fixture->store->base;
	struct ul_view view = UL_VIEW_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (store->ops->scan(store, &options, &view, &err))
		fail_msg("%s", err.msg);
	return view;
}

void note_scan(struct store_fixture *fixture, int64_t now_unix_s)
{
	struct ul_view view = content_scan(fixture, now_unix_s);

	ul_view_release(&view);
}

const struct ul_object *object_of(const struct ul_view *view, enum ul_kind kind,
				  const char *key)
{
	uint32_t at = ul_record_find(&view->record, (uint8_t)kind, "", "", key);

	if (at == UL_OBJECT_NONE)
		fail_msg("no %s %s", ul_kind_name(kind), key);
	return &view->record.objects[at];
}

int content_collect(struct store_fixture *fixture,
		    const struct content_run *how, struct ul_run *ret_run,
		    struct ul_err *err)
{
	const struct ul_run_request request = {
		.command = how->rule ? "prune" : "gc",
		.plan = {
			.rule = how->rule,
			.grace_s = how->grace_s,
			.now = how->now,
			.saved = how->saved,
			.is_shared = fixture->store->base.is_shared,
		},
		.now_unix_s = how->now_unix_s,
		.confirm = how->confirm,
		.arg = how->arg,
	};

	return ul_run_execute(&fixture->store->base, &request, ret_run, err);
}

void content_gc(struct store_fixture *fixture, int64_t now_unix_s,
		int64_t grace_s, bool now)
{
	const struct content_run how = {
		.now_unix_s = now_unix_s,
		.grace_s = grace_s,
		.now = now,
	};
	struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (content_collect(fixture, &how, &run, &err))
		fail_msg("%s", err.msg);
	ul_run_release(&run);
}

uint64_t content_du(const struct store_fixture *fixture)
{
	unsigned long long bytes = 0;
	char command[256];
	FILE *out;

	/* What is linked there as well leaves the store, but not the disk. */
	snprintf(command, sizeof command,
		 "cd %s && du -csx -B1 store $(ls -d outside* 2>/dev/null) | "
		 "tail -n1",
		 fixture->state);
	out = popen(command, "r");
	assert_non_null(out);
	assert_int_equal(fscanf(out, "%llu", &bytes), 1);
	assert_int_equal(pclose(out), 0);
	return bytes;
}

static size_t dir_things(const char *path)
{
	size_t count = dir_count(path);
	char record[1200];

	snprintf(record, sizeof record, "%s/record.json", path);
	return count - path_exists(record);
}

size_t trash_count(const struct store_fixture *fixture)
{
	ul_cleanup(ul_names_release) struct ul_names dirs = UL_NAMES_INIT;
	struct ul_err err = UL_ERR_INIT;
	const char *trash = fixture->is_layout ? "oci/.ullage-trash" : "trash";
	size_t i, count = 0;

	if (fixture->is_layout &&
	    !path_exists(store_path(fixture, "%s", trash)))
		return 0;
	assert_int_equal(ul_trash_folders(fixture->store, &dirs, &err), 0);
	for (i = 0; i < dirs.len; i++)
		count += dir_things(
		    store_path(fixture, "%s/%s", trash, dirs.names[i]));
	return count;
}

bool items_have(const struct ul_plan_items *items, const char *key)
{
	size_t i;

	for (i = 0; i < items->len; i++) {
		if (!strcmp(items->items[i].key, key))
			return true;
	}
	return false;
}

void image_unpack(struct store_fixture *fixture,
		  const struct content_image *image)
{
	struct ul_digest base, own, top;
	struct ul_err err = UL_ERR_INIT;
	char text[UL_DIGEST_TEXT_MAX];

	if (ul_embedded_lock(fixture->store, &err))
		fail_msg("%s", err.msg);
	if (!image->has_shared) {
		store_fixture_layer(fixture, image->diff_id.text, "");
	} else {
		assert_true(ul_digest_parse(image->shared_diff_id.text, &base));
		assert_true(ul_digest_parse(image->diff_id.text, &own));
		ul_digest_chain(&base, &own, &top);
		ul_digest_format(&top, text);
		if (!layer_exists(fixture, image->shared_diff_id))
			store_fixture_layer(fixture, image->shared_diff_id.text,
					    "");
		store_fixture_layer(fixture, text, image->shared_diff_id.text);
	}
	ul_embedded_unlock(fixture->store);
}

struct content_digest image_top(const struct content_image *image)
{
	struct content_digest top = image->diff_id;
	struct ul_digest base, own;

	if (!image->has_shared)
		return top;
	assert_true(ul_digest_parse(image->shared_diff_id.text, &base));
	assert_true(ul_digest_parse(image->diff_id.text, &own));
	ul_digest_chain(&base, &own, &own);
	ul_digest_format(&own, top.text);
	return top;
}

bool image_is_whole(const struct store_fixture *fixture,
		    const struct content_image *image)
{
	return blob_exists(fixture, image->manifest) &&
	       blob_exists(fixture, image->config) &&
	       blob_exists(fixture, image->layer) &&
	       (!image->has_shared || blob_exists(fixture, image->shared));
}

bool layer_exists(struct store_fixture *fixture, struct content_digest chain)
{
	ul_cleanup(ul_snapshots_release) struct ul_snapshots list =
	    UL_SNAPSHOTS_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_snapshots_load(fixture->store, &list, &err))
		fail_msg("%s", err.msg);
	return ul_snapshots_find(&list, chain.text) &&
	       path_exists(store_path(fixture, "snapshots/layer-%s/fs",
				      chain.text + 7));
}
