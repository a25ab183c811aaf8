#include "store/verify/verify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/form.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/store.h"
#include "store/oci/config.h"
#include "store/verify/internal.h"

void verify_release(struct verify *verify)
{
	ul_layout_check_release(&verify->layout);
	ul_record_release(&verify->record);
	ul_inventory_release(&verify->inventory);
	ul_snapshots_release(&verify->snapshots);
	ul_leases_release(&verify->leases);
	ul_trash_lies_release(&verify->lies);
	ul_names_release(&verify->damaged_trash);
	ul_names_release(&verify->changed);
	free(verify->bottom_up);
	free(verify->by_chain);
	ul_closep(&verify->holder_fd);
}

const char *verify_aside_text(const struct ul_form *form)
{
	return form->is_ours ? UL_EMBEDDED_DAMAGED "/"
			     : ".ullage-trash/" UL_EMBEDDED_DAMAGED "/";
}

struct ul_layout_check_options
verify_layout_options(const struct verify *verify)
{
	return (struct ul_layout_check_options){
		.is_shared = !verify->store->form->is_ours,
		.now_unix_s = verify->options->now_unix_s,
		.grace_s = verify->options->grace_s,
		.aside = verify_aside_text(verify->store->form),
		.progress = verify->options->progress,
		.arg = verify->options->arg,
	};
}

/* Names and digests that the database knows to be in the index. */
static int remembered(const struct ul_record *record, struct ul_names *pairs,
		      struct ul_err *err)
{
	size_t i;

	for (i = 0; i < record->name_count; i++) {
		const struct ul_name *name = &record->names[i];

		if (!name->vanished_unix_s &&
		    (!ul_names_add(pairs, name->name) ||
		     !ul_names_add(pairs, name->digest)))
			return ul_err_nomem(err);
	}
	return 0;
}

/* Under the lock it is the second look: others were waited for before. */
enum { WAIT_AGAIN_MS = 500 };

static int layout_read(struct verify *verify)
{
	ul_cleanup(ul_names_release) struct ul_names pairs = UL_NAMES_INIT;
	struct ul_layout_check_options options = verify_layout_options(verify);
	int rc = remembered(&verify->record, &pairs, verify->err);

	options.is_deep = verify->options->is_deep;
	options.wait_ms =
	    verify->is_again ? WAIT_AGAIN_MS : verify->store->patience.limit_ms;
	options.remembered = &pairs;
	options.trashed = &verify->lies.by_path;
	options.trashed_prefix = verify->store->form->layout;
	return rc ? rc
		  : ul_layout_check_run(verify->store->oci_fd, &options,
					&verify->layout, verify->findings,
					verify->err);
}

struct links {
	struct verify_link *links; /* owned */
	size_t len, cap;
};

static bool is_layer(const struct ul_layout_ref *ref)
{
	return !strncmp(ref->reason, "layer ", 6);
}

/* The config of an image whose layers are as many as it says, or NULL. */
static const struct ul_image_config *
image_config(const struct ul_layout_check *layout,
	     const struct ul_layout_node *manifest)
{
	const struct ul_image_config *config = NULL;
	size_t i, layer_count = 0;

	if (manifest->media != UL_MEDIA_MANIFEST)
		return NULL;
	for (i = 0; i < manifest->ref_count; i++) {
		const struct ul_layout_ref *ref =
		    &layout->refs[manifest->first_ref + i];

		if (!strcmp(ref->reason, "config"))
			config = layout->nodes[ref->to].config;
		layer_count += is_layer(ref);
	}
	return config && config->diff_id_count == layer_count ? config : NULL;
}

static bool link_add(struct links *links, const struct ul_image_config *config,
		     uint32_t manifest, uint32_t layer, size_t at)
{
	struct verify_link *grown =
	    ul_grow(links->links, &links->cap, links->len + 1, sizeof *grown);
	struct ul_digest chain;
	struct verify_link *link;

	if (!grown)
		return false;
	links->links = grown;
	link = &grown[links->len++];
	*link = (struct verify_link){
		.manifest = manifest,
		.layer = layer,
		.diff_id = config->diff_ids[at],
		.first = links->len - 1 - at,
		.at = at,
	};
	chain = ul_image_config_chain(config, at + 1);
	ul_digest_format(&chain, link->chain);
	if (at)
		memcpy(link->parent, link[-1].chain, sizeof link->parent);
	return true;
}

static bool links_add(struct links *links, const struct ul_layout_check *layout,
		      uint32_t manifest)
{
	const struct ul_layout_node *node = &layout->nodes[manifest];
	const struct ul_image_config *config = image_config(layout, node);
	size_t i, at = 0;

	for (i = 0; config && i < node->ref_count; i++) {
		const struct ul_layout_ref *ref =
		    &layout->refs[node->first_ref + i];

		if (is_layer(ref) &&
		    !link_add(links, config, manifest, ref->to, at++))
			return false;
	}
	return true;
}

int verify_links(const struct ul_layout_check *layout,
		 struct verify_link **ret_links, size_t *ret_count,
		 struct ul_err *err)
{
	struct links links = { .links = NULL };
	size_t i;

	for (i = 0; i < layout->node_count; i++) {
		if (!links_add(&links, layout, (uint32_t)i)) {
			free(links.links);
			return ul_err_nomem(err);
		}
	}
	*ret_links = links.links;
	*ret_count = links.len;
	return 0;
}

static int chain_cmp(const void *a, const void *b)
{
	const struct verify_link *left = *(const struct verify_link *const *)a;
	const struct verify_link *right = *(const struct verify_link *const *)b;
	int order = strcmp(left->chain, right->chain);

	if (order)
		return order;
	return left < right ? -1 : left > right;
}

static int chains_sort(struct verify *verify)
{
	size_t i;
	int rc = verify_links(&verify->layout, &verify->bottom_up,
			      &verify->link_count, verify->err);

	if (rc)
		return rc;
	verify->by_chain =
	    ul_malloc((verify->link_count + 1) * sizeof *verify->by_chain);
	if (!verify->by_chain)
		return ul_err_nomem(verify->err);
	for (i = 0; i < verify->link_count; i++)
		verify->by_chain[i] = &verify->bottom_up[i];
	if (verify->link_count)
		qsort(verify->by_chain, verify->link_count,
		      sizeof *verify->by_chain, chain_cmp);
	return 0;
}

size_t verify_chain_first(const struct verify *verify, const char *chain)
{
	size_t low = 0, high = verify->link_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(verify->by_chain[middle]->chain, chain) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int verify_chain_hurts(struct verify *verify, const char *chain)
{
	size_t i = verify_chain_first(verify, chain);
	int rc = 0;

	for (; !rc && i < verify->link_count &&
	       !strcmp(verify->by_chain[i]->chain, chain);
	     i++)
		rc = ul_layout_check_hurts(&verify->layout,
					   verify->by_chain[i]->manifest,
					   verify->findings, verify->err);
	return rc;
}

bool verify_has_folder(const struct ul_embedded *store, const char *key,
		       bool is_unpacked)
{
	char dir[UL_SNAPSHOT_DIR_MAX], path[UL_SNAPSHOT_DIR_MAX + 3];
	struct stat st;

	if (!ul_snapshot_dir_name(key, is_unpacked, dir))
		return false;
	snprintf(path, sizeof path, "%s/fs", dir);
	return !fstatat(store->snapshots_fd, path, &st, AT_SYMLINK_NOFOLLOW) &&
	       S_ISDIR(st.st_mode);
}

bool verify_is_trashed(const struct verify *verify,
		       const struct ul_snapshot *snapshot)
{
	char dir[UL_SNAPSHOT_DIR_MAX], path[UL_SNAPSHOT_DIR_MAX + 16];

	if (!ul_snapshot_dir_name(snapshot->key, snapshot->is_unpacked, dir))
		return false;
	snprintf(path, sizeof path, "snapshots/%s", dir);
	return ul_map_get_str(&verify->lies.by_path, path) != UL_MAP_NONE;
}

const struct ul_snapshot *verify_record_of(const struct verify *verify,
					   const struct ul_item *item)
{
	const struct ul_snapshot *snapshot =
	    ul_snapshots_find(&verify->snapshots, item->key);

	return snapshot && snapshot->is_unpacked == item->is_unpacked ? snapshot
								      : NULL;
}

static bool is_other_half(const struct ul_snapshot *a,
			  const struct ul_snapshot *b)
{
	return a != b && !b->is_unpacked && !strcmp(a->parent, b->parent) &&
	       a->kind != UL_SNAPSHOT_VIEW && b->kind != UL_SNAPSHOT_VIEW &&
	       a->kind != b->kind;
}

bool verify_is_stopped_commit(const struct verify *verify,
			      const struct ul_snapshot *snapshot)
{
	size_t i;

	if (snapshot->is_unpacked)
		return false;
	for (i = 0; i < verify->snapshots.len; i++) {
		const struct ul_snapshot *other =
		    &verify->snapshots.snapshots[i];

		if (is_other_half(snapshot, other) &&
		    verify_has_folder(verify->store, other->key, false))
			return true;
	}
	return false;
}

static bool has_orphans(const struct verify *verify)
{
	size_t i;

	for (i = 0; i < verify->inventory.len; i++) {
		const struct ul_item *item = &verify->inventory.items[i];

		if (item->kind == UL_ITEM_SNAPSHOT &&
		    !verify_record_of(verify, item))
			return true;
	}
	return false;
}

static int identity_check(struct verify *verify)
{
	const struct ul_embedded *store = verify->store;
	const struct ul_record *record = &verify->record;
	bool is_foreign = strcmp(record->store_uid, store->uid) != 0;
	struct ul_finding *finding;

	/* That its file is damaged was said before the store was opened. */
	if (store->is_from_memory ||
	    !ul_embedded_is_mismatched(store, record->store_uid,
				       record->generation))
		return 0;
	verify->is_mismatched = true;
	finding = ul_findings_add(
	    verify->findings, UL_FINDING_DAMAGE, "database", "ullage.db",
	    "makes the records again from what is on disk, and keeps "
	    "everything; what other records were in the right one (leases, "
	    "pins, history) is not brought back",
	    is_foreign ? "does not know this store"
		       : "is older than the store: it has missed changes");
	if (!finding)
		return ul_err_nomem(verify->err);
	finding->is_loss =
	    !is_foreign || !record->object_count || has_orphans(verify);
	return 0;
}

int verify_init(struct verify *verify)
{
	struct ul_embedded *store = verify->store;
	int rc = ul_record_load(store->db, store->base.kind, store->record_path,
				&verify->record, verify->err);

	if (!rc)
		rc = ul_snapshots_load(store, &verify->snapshots, verify->err);
	if (!rc)
		rc = ul_leases_load(store, &verify->leases, verify->err);
	if (!rc)
		rc = ul_trash_lies_read(store, &verify->lies, verify->err);
	if (!rc)
		rc = layout_read(verify);
	if (!rc)
		rc = ul_inventory_take(store, &verify->inventory, verify->err);
	if (!rc)
		rc = chains_sort(verify);
	return rc;
}

static void count(struct verify *verify)
{
	size_t i;

	verify->counts.image_count = verify->layout.root_count;
	verify->counts.hashed_count = verify->layout.hashed_count;
	for (i = 0; i < verify->inventory.len; i++) {
		enum ul_item_kind kind = verify->inventory.items[i].kind;

		verify->counts.blob_count += kind == UL_ITEM_BLOB;
		verify->counts.snapshot_count += kind == UL_ITEM_SNAPSHOT;
	}
}

int verify_all(struct verify *verify)
{
	int rc = verify_init(verify);

	if (!rc)
		rc = identity_check(verify);
	if (!rc)
		rc = verify_records(verify);
	if (!rc)
		rc = verify_measures(verify);
	if (!rc && verify->options->is_deep)
		rc = verify_layers(verify);
	if (!rc)
		count(verify);
	return rc;
}

static int verify_once(struct ul_embedded *store,
		       const struct ul_verify_options *options, bool is_again,
		       struct ul_findings *findings, struct ul_verified *ret,
		       struct ul_err *err)
{
	ul_cleanup(verify_release) struct verify verify = {
		.store = store,
		.options = options,
		.findings = findings,
		.holder_fd = -1,
		.is_again = is_again,
		.err = err,
	};
	int rc = verify_all(&verify);

	if (!rc)
		*ret = verify.counts;
	return rc;
}

/*
 * Reads take no lock: what another ullage is just changing may look damaged.
 * Then it is looked at again while nobody else of us changes anything.
 */
int ul_verify_store(struct ul_embedded *store,
		    const struct ul_verify_options *options,
		    struct ul_findings *findings, struct ul_verified *ret,
		    struct ul_err *err)
{
	ul_cleanup(ul_findings_release) struct ul_findings found =
	    UL_FINDINGS_INIT;
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *locked = NULL;
	struct ul_err ignored = UL_ERR_INIT;
	int rc;

	*ret = (struct ul_verified){ .image_count = 0 };
	/* There is none: nothing can be wrong with it. */
	if (store->is_absent)
		return 0;
	rc = verify_once(store, options, store->is_locked, &found, ret, err);
	if (!rc && found.damage_count && store->is_writable &&
	    !store->is_locked && !ul_embedded_lock(store, &ignored)) {
		locked = store;
		ul_findings_release(&found);
		rc = verify_once(store, options, true, &found, ret, err);
	}
	if (rc)
		return ul_err_wrap(err, "checking %s", store->path);
	return ul_findings_append(findings, &found) ? 0 : ul_err_nomem(err);
}
