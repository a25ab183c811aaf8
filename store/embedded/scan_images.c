/*
 * What the graph stands for: images with their platforms and containers,
 * leases, snapshots that live by themselves, the trash.
 */
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/search.h"
#include "store/embedded/form.h"
#include "store/embedded/scan_internal.h"
#include "store/embedded/store.h"
#include "store/limits.h"
#include "store/oci/descriptor.h"
#include "store/oci/layout.h"

struct images {
	struct ul_scan *scan;
	struct ul_view *view;
	struct ul_map rows; /* digest -> position in view->images */
	size_t image_cap;
	struct ul_view_platform *platforms; /* owned; of the image at hand */
	size_t platform_count, platform_cap;
	uint32_t *met; /* owned; by object: the turn that met it last */
	uint32_t turn;
};

static void images_release(struct images *images)
{
	ul_map_release(&images->rows);
	free(images->platforms);
	free(images->met);
}

static const struct ul_object_ref *object_ref(const struct ul_record *record,
					      uint32_t at, const char *reason)
{
	const struct ul_object *object = &record->objects[at];
	uint32_t i;

	for (i = 0; i < object->ref_count; i++) {
		const struct ul_object_ref *ref =
		    &record->refs[object->first_ref + i];

		if (!strcmp(ref->reason, reason))
			return ref;
	}
	return NULL;
}

static bool is_index(const struct ul_object *object)
{
	return ul_media_of(object->media_type) == UL_MEDIA_INDEX;
}

static bool is_platform(const struct ul_record *record, uint32_t at)
{
	enum ul_media media = ul_media_of(record->objects[at].media_type);

	return media == UL_MEDIA_MANIFEST || media == UL_MEDIA_INDEX;
}

static void platform_fill(const struct ul_record *record, uint32_t manifest,
			  struct ul_view_platform *platform)
{
	const struct ul_object *object = &record->objects[manifest];
	const struct ul_object_ref *config, *top = NULL;

	config = object_ref(record, manifest, "config");
	if (config)
		top = object_ref(record, config->target, UL_REASON_UNPACKED);
	*platform = (struct ul_view_platform){
		.platform = object->platform,
		.manifest = manifest,
		.config = config ? config->target : UL_OBJECT_NONE,
		.top_snapshot = top ? top->target : UL_OBJECT_NONE,
		.is_attestation = object->is_attestation,
		.is_present = object->is_present,
	};
	if (!*platform->platform && config)
		platform->platform = record->objects[config->target].platform;
	if (!*platform->platform)
		platform->platform = "unknown";
}

/*
 * The platforms below a manifest or index, each once: indexes within indexes
 * may name the same thing over and over.
 */
static bool platforms_add(struct images *images, uint32_t at, int depth)
{
	const struct ul_record *record = images->scan->record;
	const struct ul_object *object = &record->objects[at];
	struct ul_view_platform *list;
	uint32_t i;

	if (images->met[at] == images->turn)
		return true;
	images->met[at] = images->turn;
	if (!is_index(object) || depth > UL_INDEX_MAX_NESTING) {
		list = ul_grow(images->platforms, &images->platform_cap,
			       images->platform_count + 1, sizeof *list);
		if (!list)
			return false;
		images->platforms = list;
		platform_fill(record, at, &list[images->platform_count++]);
		return true;
	}
	for (i = 0; i < object->ref_count; i++) {
		const struct ul_object_ref *ref =
		    &record->refs[object->first_ref + i];

		if (!strncmp(ref->reason, "manifest ", 9) &&
		    is_platform(record, ref->target) &&
		    !platforms_add(images, ref->target, depth + 1))
			return false;
	}
	return true;
}

static int image_fill(struct images *images, struct ul_view_image *image)
{
	const struct ul_record *record = images->scan->record;
	size_t i, count;

	images->turn++;
	images->platform_count = 0;
	if (!platforms_add(images, image->target, 0))
		return ul_err_nomem(images->scan->err);
	count = images->platform_count;
	image->platforms = ul_arena_alloc(&images->view->arena,
					  count * sizeof *image->platforms);
	if (!image->platforms)
		return ul_err_nomem(images->scan->err);
	if (count)
		memcpy(image->platforms, images->platforms,
		       count * sizeof *image->platforms);
	image->platform_count = count;
	image->used_unix_s =
	    ul_record_used_unix_s(record, image->ns, image->digest);
	for (i = 0; i < count; i++) {
		uint32_t config = image->platforms[i].config;
		const struct ul_config_facts *facts =
		    config == UL_OBJECT_NONE ? NULL
					     : record->objects[config].config;

		if (facts && facts->created_unix_s > image->created_unix_s)
			image->created_unix_s = facts->created_unix_s;
	}
	return 0;
}

/* The row of a digest, made where there is none. */
static struct ul_view_image *image_row(struct images *images, uint32_t target)
{
	struct ul_view *view = images->view;
	const char *digest = view->record.objects[target].key;
	struct ul_view_image *rows;
	uint32_t *at;
	bool added;

	rows = ul_grow(view->images, &images->image_cap, view->image_count + 1,
		       sizeof *rows);
	if (!rows)
		return NULL;
	view->images = rows;
	at = ul_map_put(&images->rows, digest, strlen(digest),
			(uint32_t)view->image_count, &added);
	if (!at || !added)
		return at ? &rows[*at] : NULL;
	rows[view->image_count] = (struct ul_view_image){
		.ns = "",
		.digest = digest,
		.target = target,
		.group = ul_map_get_str(&images->scan->groups, digest),
		.is_nameless = true,
	};
	if (image_fill(images, &rows[view->image_count]))
		return NULL;
	return &rows[view->image_count++];
}

/* Room is doubled whenever the count is a power of two. */
static int image_add_name(struct images *images, struct ul_view_image *image,
			  uint32_t name)
{
	size_t count = image->name_count;
	uint32_t *names = image->names;

	if (!(count & (count - 1))) {
		names = ul_arena_alloc(&images->view->arena,
				       (count ? 2 * count : 1) * sizeof *names);
		if (!names)
			return ul_err_nomem(images->scan->err);
		if (count)
			memcpy(names, image->names, count * sizeof *names);
	}
	names[image->name_count++] = name;
	image->names = names;
	return 0;
}

static int images_take(struct images *images, uint32_t at)
{
	const struct ul_record *record = images->scan->record;
	const struct ul_object *object = &record->objects[at];
	uint32_t i;
	int rc = 0;

	for (i = 0; !rc && i < object->ref_count; i++) {
		uint32_t target = record->refs[object->first_ref + i].target;
		struct ul_view_image *image = image_row(images, target);
		bool is_nameless;

		if (!image)
			return ul_err_nomem(images->scan->err);
		is_nameless = !strcmp(object->key, image->digest);
		image->is_nameless = image->is_nameless && is_nameless;
		if (ul_record_is_pinned(record, object->key))
			image->is_pinned = true;
		rc = image_add_name(images, image, at);
	}
	return rc;
}

static int images_list(struct images *images)
{
	const struct ul_record *record = images->scan->record;
	struct ul_view *view = images->view;
	size_t i;
	int rc = 0;

	images->met = ul_calloc(record->object_count, sizeof *images->met);
	if (!images->met)
		return ul_err_nomem(images->scan->err);
	for (i = 0; !rc && i < record->object_count; i++) {
		if (images->scan->objects[i].is_named)
			rc = images_take(images, (uint32_t)i);
	}
	for (i = 0; i < view->image_count; i++) {
		struct ul_view_image *image = &view->images[i];

		/* In a layout of others an entry without a name is as good
		 * a root as any other. */
		image->was_named = (!image->is_nameless ||
				    images->scan->store->form->is_ours) &&
				   ul_record_was_named(record, image->digest);
		image->is_dangling = image->is_nameless && image->was_named;
		if (ul_record_is_pinned(record, image->digest))
			image->is_pinned = true;
	}
	return rc;
}

/* The first unpacked layer at or below a snapshot: an image's top, perhaps. */
static uint32_t unpacked_below(const struct ul_scan *scan, uint32_t at)
{
	const struct ul_record *record = scan->record;
	size_t steps;

	for (steps = 0; steps <= scan->snapshots.len; steps++) {
		const struct ul_object *object = &record->objects[at];
		const struct ul_snapshot *snapshot =
		    ul_snapshots_find(&scan->snapshots, object->key);
		const struct ul_object_ref *parent;

		if (snapshot && snapshot->is_unpacked)
			return at;
		parent = object_ref(record, at, "parent");
		if (!parent)
			return UL_OBJECT_NONE;
		at = parent->target;
	}
	return UL_OBJECT_NONE;
}

/* An image, and the top snapshot of one of its platforms. */
struct standing {
	uint32_t top, image;
};

/* Which images stand on which snapshots, and whom a lease uses. */
struct uses {
	struct ul_scan *scan;
	struct standing *list; /* owned; by snapshot */
	size_t count;
	uint32_t *met; /* owned; by image: the lease + 1 that met it last */
};

static void uses_release(struct uses *uses)
{
	free(uses->list);
	free(uses->met);
}

static int standing_cmp(const void *a, const void *b)
{
	const struct standing *left = a, *right = b;

	if (left->top != right->top)
		return left->top < right->top ? -1 : 1;
	return left->image < right->image ? -1 : left->image > right->image;
}

static int uses_init(struct uses *uses, struct ul_scan *scan)
{
	const struct ul_view *view = scan->view;
	size_t i, n, most = 0;

	uses->scan = scan;
	for (i = 0; i < view->image_count; i++)
		most += view->images[i].platform_count;
	uses->list = ul_malloc(most * sizeof *uses->list);
	uses->met = ul_calloc(view->image_count, sizeof *uses->met);
	if (!uses->list || !uses->met)
		return ul_err_nomem(scan->err);
	for (i = 0; i < view->image_count; i++) {
		const struct ul_view_image *image = &view->images[i];

		for (n = 0; n < image->platform_count; n++) {
			uint32_t top = image->platforms[n].top_snapshot;

			if (top != UL_OBJECT_NONE)
				uses->list[uses->count++] =
				    (struct standing){ top, (uint32_t)i };
		}
	}
	if (uses->count)
		qsort(uses->list, uses->count, sizeof *uses->list,
		      standing_cmp);
	return 0;
}

/* The first that stands on a snapshot, or where it would. */
static size_t uses_at(const struct uses *uses, uint32_t top)
{
	const struct standing first = { .top = top };

	return ul_lower_bound(&first, uses->list, uses->count,
			      sizeof *uses->list, standing_cmp);
}

/* A lease that holds snapshots stands for a container (DESIGN 4, In use). */
static void lease_uses(struct uses *uses, const struct ul_object *lease,
		       uint32_t turn)
{
	const struct ul_record *record = uses->scan->record;
	size_t at;
	uint32_t r;

	for (r = 0; r < lease->ref_count; r++) {
		uint32_t top = record->refs[lease->first_ref + r].target;

		if (record->objects[top].kind != UL_KIND_SNAPSHOT)
			continue;
		top = unpacked_below(uses->scan, top);
		for (at = uses_at(uses, top);
		     at < uses->count && uses->list[at].top == top; at++) {
			uint32_t image = uses->list[at].image;

			if (uses->met[image] == turn)
				continue;
			uses->met[image] = turn;
			uses->scan->view->images[image].containers++;
		}
	}
}

static bool lease_holds_snapshot(const struct ul_lease *lease)
{
	size_t i;

	for (i = 0; i < lease->resource_count; i++) {
		if (lease->resources[i].kind == UL_KIND_SNAPSHOT)
			return true;
	}
	return false;
}

static int leases_list(struct ul_scan *scan)
{
	ul_cleanup(uses_release) struct uses uses = { .list = NULL };
	struct ul_view *view = scan->view;
	size_t i;

	view->leases = ul_calloc(scan->leases.len, sizeof *view->leases);
	if (!view->leases)
		return ul_err_nomem(scan->err);
	if (uses_init(&uses, scan))
		return scan->err->code;
	for (i = 0; i < scan->leases.len; i++) {
		const struct ul_lease *lease = &scan->leases.leases[i];
		struct ul_view_lease *row = &view->leases[view->lease_count++];

		row->object = ul_record_find(scan->record, UL_KIND_LEASE, "",
					     "", lease->id);
		row->expire_unix_s = lease->expire_unix_s;
		row->is_container = lease_holds_snapshot(lease);
		row->is_expired =
		    ul_lease_is_expired(lease, view->as_of_unix_s);
		if (!row->is_expired)
			lease_uses(&uses, &scan->record->objects[row->object],
				   (uint32_t)i + 1);
	}
	return 0;
}

static int live_snapshots_list(struct ul_scan *scan)
{
	struct ul_view *view = scan->view;
	size_t i;

	view->live_snapshots =
	    ul_calloc(scan->snapshots.len, sizeof *view->live_snapshots);
	if (!view->live_snapshots)
		return ul_err_nomem(scan->err);
	for (i = 0; i < scan->snapshots.len; i++) {
		const struct ul_snapshot *snapshot =
		    &scan->snapshots.snapshots[i];

		if (!snapshot->is_unpacked)
			view->live_snapshots[view->live_snapshot_count++] =
			    ul_record_find(scan->record, UL_KIND_SNAPSHOT, "",
					   "", snapshot->key);
	}
	return 0;
}

/* Chain IDs of all layers, unpacked or not, of configs that are needed. */
struct chains {
	struct ul_map set;
	struct ul_arena arena;
};

static void chains_release(struct chains *chains)
{
	ul_map_release(&chains->set);
	ul_arena_release(&chains->arena);
}

static bool chains_add(struct chains *chains, const char *diff_ids)
{
	struct ul_digest sum = UL_DIGEST_INIT, diff;
	char text[UL_DIGEST_TEXT_MAX];
	const char *copy;
	size_t len;

	for (; *diff_ids; diff_ids += len + (diff_ids[len] == ' ')) {
		len = strcspn(diff_ids, " ");
		if (len >= sizeof text)
			return true;
		memcpy(text, diff_ids, len);
		text[len] = '\0';
		if (!ul_digest_parse(text, &diff))
			return true;
		ul_digest_chain(&sum, &diff, &sum);
		ul_digest_format(&sum, text);
		copy = ul_arena_strdup(&chains->arena, text);
		if (!copy || !ul_map_set(&chains->set, copy, strlen(copy), 1))
			return false;
	}
	return true;
}

static bool has_trashed_snapshot(const struct ul_scan *scan)
{
	size_t i;

	for (i = 0; i < scan->inventory.len; i++) {
		if (scan->inventory.items[i].kind == UL_ITEM_TRASH &&
		    scan->inventory.items[i].was_kind == UL_KIND_SNAPSHOT)
			return true;
	}
	return false;
}

/* A flat lease on a config keeps that alone, and no layer of it. */
static bool chains_list(const struct ul_scan *scan, struct chains *chains)
{
	const struct ul_record *record = scan->record;
	size_t i;

	if (!has_trashed_snapshot(scan))
		return true;
	for (i = 0; i < record->object_count; i++) {
		if (record->objects[i].config &&
		    ul_bits_get(&scan->mark.reached, (uint32_t)i) &&
		    !chains_add(chains, record->objects[i].config->diff_ids))
			return false;
	}
	return true;
}

/*
 * What lies in the trash, but is needed and not in its place: a blob that is
 * reachable again, a layer of an image that is. A layer's record may be back
 * already where putting it back was stopped halfway.
 */
static bool is_wanted(const struct ul_scan *scan, const struct chains *chains,
		      const struct ul_item *item)
{
	uint32_t at;

	if (item->was_kind != UL_KIND_BLOB &&
	    item->was_kind != UL_KIND_SNAPSHOT)
		return false;
	at =
	    ul_record_find(scan->record, item->was_kind, "", "", item->was_key);
	if (at != UL_OBJECT_NONE && scan->objects[at].item != UL_OBJECT_NONE)
		return false;
	if (at != UL_OBJECT_NONE &&
	    ul_mark_keeps(&scan->mark, &scan->view->graph, at))
		return true;
	return item->was_kind == UL_KIND_SNAPSHOT &&
	       ul_map_get_str(&chains->set, item->was_key) != UL_MAP_NONE;
}

static int trash_add(struct ul_scan *scan, const struct chains *chains,
		     const struct ul_item *item)
{
	struct ul_view *view = scan->view;
	const char *key = ul_arena_strdup(&view->arena, item->was_key);

	if (!key)
		return ul_err_nomem(scan->err);
	view->trash[view->trash_count++] = (struct ul_view_trash){
		.object = ul_record_find(scan->record, UL_KIND_FILE, "", "",
					 item->path),
		.is_foreign = item->is_foreign_run,
		.run = item->run,
		.delete_unix_s = item->delete_unix_s,
		.kind = item->was_kind,
		.key = key,
		.is_wanted = is_wanted(scan, chains, item),
	};
	return 0;
}

static int trash_list(struct ul_scan *scan)
{
	ul_cleanup(chains_release) struct chains chains = {
		.set = UL_MAP_INIT,
		.arena = UL_ARENA_INIT,
	};
	struct ul_view *view = scan->view;
	size_t i, count = 0;
	int rc = 0;

	for (i = 0; i < scan->inventory.len; i++)
		count += scan->inventory.items[i].kind == UL_ITEM_TRASH;
	view->trash = ul_calloc(count, sizeof *view->trash);
	if (!view->trash || (count && !chains_list(scan, &chains)))
		return ul_err_nomem(scan->err);
	for (i = 0; !rc && i < scan->inventory.len; i++) {
		if (scan->inventory.items[i].kind == UL_ITEM_TRASH)
			rc =
			    trash_add(scan, &chains, &scan->inventory.items[i]);
	}
	return rc;
}

int scan_images(struct ul_scan *scan)
{
	ul_cleanup(images_release) struct images images = {
		.scan = scan,
		.view = scan->view,
		.rows = UL_MAP_INIT,
	};
	int rc = images_list(&images);

	if (!rc)
		rc = leases_list(scan);
	if (!rc)
		rc = live_snapshots_list(scan);
	return rc ? rc : trash_list(scan);
}
