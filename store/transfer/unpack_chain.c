#include "store/transfer/unpack_chain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/flusher.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/remove.h"
#include "store/embedded/snapshot.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/snapshot_folder.h"
#include "store/embedded/store.h"
#include "store/oci/config.h"
#include "store/transfer/layer.h"
#include "store/transfer/unpack.h"

/* About so many bytes become of one that was packed. */
enum { GROWTH = 3 };

struct link {
	char chain_id[UL_DIGEST_TEXT_MAX];
	int blob_fd;   /* open until it is unpacked, whatever becomes of it */
	int fs_fd;     /* of its snapshot, or of the folder being filled */
	int folder_fd; /* that folder, locked; -1: it had a snapshot */
	char name[17]; /* of it below ingest/; "" once it was adopted */
};

struct chain {
	struct ul_embedded *store;
	const struct ul_image_config *config;
	const struct ul_descriptor *layers;
	const struct ul_unpack_options *options;
	struct link *links; /* owned; base layer first */
	size_t len;
	uint64_t total_bytes, done_bytes;
	struct ul_flusher *flusher; /* owned */
	uint64_t flushed_bytes;     /* of those done, told to it */
	int lower_fds[UL_IMAGE_MAX_LAYERS];
};

static void chain_release(struct chain *chain)
{
	struct ul_err ignored = UL_ERR_INIT;
	struct ul_removed removed;
	size_t i;

	for (i = 0; chain->links && i < chain->len; i++) {
		struct link *link = &chain->links[i];
		const char *name = link->name;

		ul_closep(&link->blob_fd);
		ul_closep(&link->fs_fd);
		/* What cannot be removed is found by a collection. */
		if (*name)
			ul_remove_trees(chain->store->ingest_fd, &name, 1,
					&removed, &ignored);
		ul_closep(&link->folder_fd);
	}
	free(chain->links);
	ul_flusher_close(chain->flusher);
}

static int chain_init(struct chain *chain, struct ul_err *err)
{
	struct ul_digest chain_id = UL_DIGEST_INIT;
	size_t i;

	chain->len = chain->config->diff_id_count;
	chain->links = ul_calloc(chain->len + 1, sizeof *chain->links);
	if (!chain->links)
		return ul_err_nomem(err);
	for (i = 0; i < chain->len; i++) {
		struct link *link = &chain->links[i];

		link->blob_fd = link->fs_fd = link->folder_fd = -1;
		chain_id = ul_image_config_chain(chain->config, i + 1);
		ul_digest_format(&chain_id, link->chain_id);
	}
	return 0;
}

/* 1 with its fs open, 0 no such snapshot. */
static int link_find(struct chain *chain, struct link *link,
		     const struct ul_snapshots *snapshots, struct ul_err *err)
{
	const struct ul_snapshot *snapshot =
	    ul_snapshots_find(snapshots, link->chain_id);
	char dir[UL_SNAPSHOT_DIR_MAX], path[UL_SNAPSHOT_DIR_MAX + 4];
	int rc;

	if (!snapshot || snapshot->kind != UL_SNAPSHOT_COMMITTED ||
	    !ul_snapshot_dir_name(snapshot->key, snapshot->is_unpacked, dir))
		return 0;
	snprintf(path, sizeof path, "%s/fs", dir);
	rc = ul_dir_open(chain->store->snapshots_fd, path, &link->fs_fd, err);
	if (rc == UL_E_ABSENT)
		return 0;
	return rc ? rc : 1;
}

static int link_open_blob(struct chain *chain, size_t at, struct ul_err *err)
{
	const struct ul_descriptor *layer = &chain->layers[at];
	char path[UL_DIGEST_TEXT_MAX], hex[UL_DIGEST_HEX_MAX + 1];
	int fd;

	ul_digest_format_hex(&layer->digest, hex);
	ul_digest_format_path(&layer->digest, path);
	fd = openat(chain->store->blobs_fd, path,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return ul_err_set(err, UL_E_ABSENT,
				  "layer %zu: its blob %.12s is not here%s", at,
				  hex,
				  layer->has_urls ? " (a foreign layer, to be "
						    "downloaded elsewhere)"
						  : "");
	if (fd < 0)
		return ul_err_sys(err, "open blob %s", hex);
	chain->links[at].blob_fd = fd;
	return 0;
}

/* What is there, and the blobs of all that is not. */
static int chain_look(struct chain *chain, struct ul_unpack_result *result,
		      struct ul_err *err)
{
	ul_cleanup(ul_snapshots_release) struct ul_snapshots snapshots =
	    UL_SNAPSHOTS_INIT;
	size_t i;
	int rc = ul_snapshots_load(chain->store, &snapshots, err);

	for (i = 0; !rc && i < chain->len; i++) {
		rc = link_find(chain, &chain->links[i], &snapshots, err);
		if (rc > 0) {
			result->reused_layers++;
			rc = 0;
		} else if (!rc) {
			chain->total_bytes += chain->layers[i].size_bytes;
			rc = link_open_blob(chain, i, err);
		}
	}
	return rc;
}

static int chain_look_locked(struct chain *chain,
			     struct ul_unpack_result *result,
			     struct ul_err *err)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *locked = NULL;
	int rc = ul_embedded_lock(chain->store, err);

	if (rc)
		return rc;
	locked = chain->store;
	return chain_look(chain, result, err);
}

static bool on_packed(void *arg, uint64_t packed_bytes)
{
	struct chain *chain = arg;
	const struct ul_unpack_options *options = chain->options;
	uint64_t done_bytes = chain->done_bytes + packed_bytes;

	ul_flusher_add(chain->flusher,
		       GROWTH * (done_bytes - chain->flushed_bytes));
	chain->flushed_bytes = done_bytes;
	return !options->progress ||
	       options->progress(options->arg, done_bytes, chain->total_bytes);
}

static int link_apply(struct chain *chain, size_t at,
		      struct ul_unpack_result *result, struct ul_err *err)
{
	struct link *link = &chain->links[at];
	struct ul_layer_job job = {
		.blob_fd = link->blob_fd,
		.lower_fds = chain->lower_fds,
		.lower_count = at,
		.diff_id = chain->config->diff_ids[at],
		.progress = on_packed,
		.arg = chain,
	};
	struct ul_layer_result applied;
	size_t i;
	int rc;

	rc = ul_snapshot_folder_make(chain->store, NULL, true, link->name,
				     &link->folder_fd, err);
	if (rc) {
		link->name[0] = '\0';
		return rc;
	}
	rc = ul_dir_open(link->folder_fd, "fs", &link->fs_fd, err);
	if (rc)
		return rc;
	for (i = 0; i < at; i++)
		chain->lower_fds[i] = chain->links[at - 1 - i].fs_fd;
	job.fs_fd = link->fs_fd;
	rc = ul_layer_apply(&job, &applied, err);
	if (rc)
		return rc;
	ul_closep(&link->blob_fd);
	chain->done_bytes += chain->layers[at].size_bytes;
	result->entry_count += applied.entry_count;
	result->skipped_owners += applied.skipped_owners;
	result->skipped_devices += applied.skipped_devices;
	result->skipped_xattrs += applied.skipped_xattrs;
	return 0;
}

static int chain_apply(struct chain *chain, struct ul_unpack_result *result,
		       struct ul_err *err)
{
	size_t i;

	for (i = 0; i < chain->len; i++) {
		if (chain->links[i].fs_fd < 0 &&
		    link_apply(chain, i, result, err))
			return ul_err_wrap(err, "layer %zu", i);
	}
	return 0;
}

/* One that was there when we looked may have been collected since. */
static int link_expect(const struct ul_snapshots *snapshots,
		       const struct link *link, struct ul_err *err)
{
	if (ul_snapshots_find(snapshots, link->chain_id))
		return 0;
	return ul_err_set(err, UL_E_CONFLICT,
			  "snapshot %.19s below it was collected meanwhile; "
			  "try again",
			  link->chain_id);
}

/* The new ones, from below, and what they were found to be. */
static int links_adopt(struct chain *chain, struct ul_new_layer *layers,
		       struct ul_unpack_result *result, struct ul_err *err)
{
	struct link *links[UL_IMAGE_MAX_LAYERS];
	size_t i, count = 0;
	int rc;

	for (i = 0; i < chain->len; i++) {
		struct link *link = &chain->links[i];

		if (link->folder_fd < 0)
			continue;
		links[count] = link;
		layers[count++] = (struct ul_new_layer){
			.ingest_name = link->name,
			.chain_id = link->chain_id,
			.parent = i ? chain->links[i - 1].chain_id : "",
		};
	}
	rc = ul_snapshot_adopt_layers(chain->store, layers, count, err);
	if (rc)
		return rc;
	for (i = 0; i < count; i++) {
		/* Where another was faster, ours is removed. */
		if (!layers[i].was_there)
			links[i]->name[0] = '\0';
		result->new_layers += !layers[i].was_there;
		result->reused_layers += layers[i].was_there;
	}
	return 0;
}

static int chain_adopt(struct chain *chain, struct ul_unpack_result *result,
		       struct ul_err *err)
{
	ul_cleanup(ul_snapshots_release) struct ul_snapshots snapshots =
	    UL_SNAPSHOTS_INIT;
	ul_cleanup(ul_freep) struct ul_new_layer *layers =
	    ul_calloc(chain->len, sizeof *layers);
	size_t i;
	int rc;

	if (!layers)
		return ul_err_nomem(err);
	rc = ul_snapshots_load(chain->store, &snapshots, err);
	for (i = 0; !rc && i < chain->len; i++) {
		if (chain->links[i].folder_fd < 0)
			rc = link_expect(&snapshots, &chain->links[i], err);
	}
	return rc ? rc : links_adopt(chain, layers, result, err);
}

static int chain_place(struct chain *chain, struct ul_unpack_result *result,
		       struct ul_err *err)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *locked = NULL;
	int rc;

	rc = ul_flusher_finish(chain->flusher, err);
	if (rc)
		return ul_err_wrap(err, "%s/ingest", chain->store->path);
	rc = ul_embedded_lock(chain->store, err);
	if (rc)
		return rc;
	locked = chain->store;
	return chain_adopt(chain, result, err);
}

static bool is_complete(const struct chain *chain)
{
	size_t i;

	for (i = 0; i < chain->len; i++) {
		if (chain->links[i].fs_fd < 0)
			return false;
	}
	return true;
}

int ul_unpack_chain(struct ul_embedded *store,
		    const struct ul_image_config *config,
		    const struct ul_descriptor *layers,
		    const struct ul_unpack_options *options,
		    struct ul_unpack_result *result, struct ul_err *err)
{
	ul_cleanup(chain_release) struct chain chain = {
		.store = store,
		.config = config,
		.layers = layers,
		.options = options,
	};
	int rc = chain_init(&chain, err);

	if (!rc)
		rc = chain_look_locked(&chain, result, err);
	if (rc || is_complete(&chain))
		return rc;
	rc = ul_flusher_open(store->ingest_fd, &chain.flusher, err);
	if (!rc)
		rc = chain_apply(&chain, result, err);
	return rc ? rc : chain_place(&chain, result, err);
}
