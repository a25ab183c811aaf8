/*
 * Every layer unpacked: what the stream is (its diff ID), and what it makes
 * where it was unpacked before. Each is unpacked anew below ingest/, compared
 * and removed, one after the other, so that there has to be room for one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/each.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/remove.h"
#include "store/embedded/form.h"
#include "store/embedded/snapshot_dir.h"
#include "store/embedded/snapshot_folder.h"
#include "store/embedded/store.h"
#include "store/limits.h"
#include "store/transfer/inflate.h"
#include "store/transfer/layer.h"
#include "store/verify/internal.h"
#include "store/verify/tree_compare.h"

enum { THREADS = 2, BLOCK_BYTES = 256 << 10 };

/* What is known of a layer's stream, by node. */
struct stream {
	struct ul_digest diff_id; /* NONE: not read */
	bool is_wanted;           /* some image says what it is */
	const char *why_not;      /* it could not be read to its end, or NULL */
};

struct layers {
	struct verify *verify;
	struct stream *streams; /* owned; one a node */
	uint32_t *queue;        /* owned; those to read alone */
	size_t queue_len;
	uint64_t total_bytes;
	atomic_ullong done_bytes;
	struct ul_arena arena;
};

static void layers_release(struct layers *layers)
{
	free(layers->streams);
	free(layers->queue);
	ul_arena_release(&layers->arena);
}

static const struct ul_layout_node *node_of(const struct layers *layers,
					    const struct verify_link *link)
{
	return &layers->verify->layout.nodes[link->layer];
}

static bool is_usable(const struct layers *layers,
		      const struct verify_link *link)
{
	const struct ul_layout_node *node = node_of(layers, link);

	return node->is_here && !node->is_bad &&
	       ul_media_of(node->media_type) == UL_MEDIA_LAYER;
}

static int layers_init(struct layers *layers)
{
	struct verify *verify = layers->verify;
	size_t i, count = verify->layout.node_count;

	layers->streams = ul_calloc(count + 1, sizeof *layers->streams);
	layers->queue = ul_malloc((count + 1) * sizeof *layers->queue);
	if (!layers->streams || !layers->queue)
		return ul_err_nomem(verify->err);
	for (i = 0; i < verify->link_count; i++) {
		const struct verify_link *link = &verify->bottom_up[i];
		struct stream *stream = &layers->streams[link->layer];

		if (!is_usable(layers, link) || stream->is_wanted)
			continue;
		stream->is_wanted = true;
		layers->total_bytes += node_of(layers, link)->size_bytes;
	}
	return 0;
}

static bool tell(struct layers *layers, uint64_t done)
{
	const struct ul_verify_options *options = layers->verify->options;

	return !options->progress ||
	       options->progress(options->arg, "unpacking layers", done,
				 layers->total_bytes);
}

static int blob_open(const struct layers *layers, uint32_t node, int *ret_fd,
		     struct ul_err *err)
{
	const struct verify *verify = layers->verify;
	char path[UL_LAYOUT_PATH_MAX];

	ul_layout_blob_path(&verify->layout.nodes[node].digest, path);
	*ret_fd = openat(verify->store->oci_fd, path,
			 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return *ret_fd < 0 ? ul_err_sys(err, "open %s", path) : 0;
}

/* It is damaged, or an attack: said of the blob, and no reason to end. */
static bool is_of_layer(int rc)
{
	return rc == UL_E_CORRUPT || rc == UL_E_LIMIT;
}

static int stream_failed(struct layers *layers, uint32_t node, int rc)
{
	struct ul_err *err = layers->verify->err;

	if (!is_of_layer(rc))
		return rc;
	layers->streams[node].why_not =
	    ul_arena_strdup(&layers->arena, err->msg);
	*err = UL_ERR_INIT;
	return layers->streams[node].why_not ? 0 : ul_err_nomem(err);
}

/* One snapshot and its layer, side by side. */
struct pair {
	struct layers *layers;
	const struct verify_link *link;
	const struct ul_snapshot *snapshot;
	int fs_fd;                      /* of the snapshot */
	char name[17];                  /* of the new one below ingest/ */
	int folder_fd, new_fd, blob_fd; /* it is locked; its fs; the layer */
	int lower_fds[UL_IMAGE_MAX_LAYERS]; /* nearest first */
	size_t lower_count;
};

static void pair_release(struct pair *pair)
{
	const char *name = pair->name;
	struct ul_err ignored = UL_ERR_INIT;
	struct ul_removed removed;

	ul_closep(&pair->fs_fd);
	ul_closep(&pair->new_fd);
	ul_closep(&pair->blob_fd);
	while (pair->lower_count)
		ul_closep(&pair->lower_fds[--pair->lower_count]);
	/* What cannot be removed is found by a collection. */
	if (*name)
		ul_remove_trees(pair->layers->verify->store->ingest_fd, &name,
				1, &removed, &ignored);
	ul_closep(&pair->folder_fd);
}

/* 1 with its fs open, 0 where there is none. */
static int fs_open(const struct verify *verify,
		   const struct ul_snapshot *snapshot, int *ret_fd)
{
	char dir[UL_SNAPSHOT_DIR_MAX], path[UL_SNAPSHOT_DIR_MAX + 3];
	int rc;

	if (!snapshot ||
	    !ul_snapshot_dir_name(snapshot->key, snapshot->is_unpacked, dir))
		return 0;
	snprintf(path, sizeof path, "%s/fs", dir);
	rc =
	    ul_dir_open(verify->store->snapshots_fd, path, ret_fd, verify->err);
	if (rc == UL_E_ABSENT)
		return 0;
	return rc ? rc : 1;
}

/* 1 where all that it stands on is there as well. */
static int pair_open(struct pair *pair)
{
	const struct verify *verify = pair->layers->verify;
	const struct verify_link *link = pair->link;
	size_t i;
	int rc = fs_open(verify, pair->snapshot, &pair->fs_fd);

	for (i = 0; rc > 0 && i < link->at; i++) {
		const char *below = link[-(ptrdiff_t)(i + 1)].chain;

		rc = fs_open(verify,
			     ul_snapshots_find(&verify->snapshots, below),
			     &pair->lower_fds[i]);
		pair->lower_count += rc > 0;
	}
	return rc;
}

static bool on_packed(void *arg, uint64_t packed_bytes)
{
	struct pair *pair = arg;

	return tell(pair->layers,
		    atomic_load(&pair->layers->done_bytes) + packed_bytes);
}

static int pair_unpack(struct pair *pair, struct ul_layer_result *ret)
{
	struct verify *verify = pair->layers->verify;
	struct ul_layer_job job = {
		.lower_fds = pair->lower_fds,
		.lower_count = pair->lower_count,
		.progress = on_packed,
		.arg = pair,
	};
	int rc = ul_snapshot_folder_make(verify->store, NULL, true, pair->name,
					 &pair->folder_fd, verify->err);

	if (rc) {
		pair->name[0] = '\0';
		return rc;
	}
	rc = ul_dir_open(pair->folder_fd, "fs", &pair->new_fd, verify->err);
	if (!rc)
		rc = blob_open(pair->layers, pair->link->layer, &pair->blob_fd,
			       verify->err);
	if (rc)
		return rc;
	job.blob_fd = pair->blob_fd;
	job.fs_fd = pair->new_fd;
	return ul_layer_apply(&job, ret, verify->err);
}

static int changed_say(struct verify *verify, const char *chain, int count,
		       const char *first)
{
	char more[48] = "";

	if (count > 1)
		snprintf(more, sizeof more, ", and %d more", count - 1);
	if (!ul_names_add(&verify->changed, chain) ||
	    !ul_findings_add(verify->findings, UL_FINDING_DAMAGE, "snapshot",
			     chain,
			     "moves it to damaged/ and takes its record away, "
			     "unless a snapshot stands on it or it is mounted; "
			     "`ullage unpack` makes it again",
			     "differs from its layer: %s%s", first, more))
		return ul_err_nomem(verify->err);
	return verify_chain_hurts(verify, chain);
}

static int pair_compare(struct pair *pair, const struct ul_layer_result *result)
{
	ul_cleanup(ul_buf_release) struct ul_buf first = UL_BUF_INIT;
	struct verify *verify = pair->layers->verify;
	struct ul_tree_compare compare = {
		.left_fd = pair->new_fd,
		.right_fd = pair->fs_fd,
		.skip_owners = result->skipped_owners != 0,
		.skip_xattrs = result->skipped_xattrs != 0,
		.skip_devices = result->skipped_devices != 0,
	};
	int count = ul_tree_compare(&compare, &first, verify->err);

	if (count < 0)
		return ul_err_wrap(verify->err, "comparing snapshot %.19s",
				   pair->link->chain);
	verify->counts.compared_count++;
	return count ? changed_say(verify, pair->link->chain, count,
				   ul_buf_str(&first))
		     : 0;
}

/* 1: compared, whatever came of it. 0: it is not unpacked, or not wholly. */
static int pair_check(struct layers *layers, const struct verify_link *link,
		      const struct ul_snapshot *snapshot)
{
	ul_cleanup(pair_release) struct pair pair = {
		.layers = layers,
		.link = link,
		.snapshot = snapshot,
		.fs_fd = -1,
		.folder_fd = -1,
		.new_fd = -1,
		.blob_fd = -1,
	};
	struct ul_layer_result result;
	int rc = pair_open(&pair);

	if (rc <= 0)
		return rc;
	rc = pair_unpack(&pair, &result);
	atomic_fetch_add(&layers->done_bytes,
			 node_of(layers, link)->size_bytes);
	if (rc) {
		rc = stream_failed(layers, link->layer, rc);
		return rc ? rc : 1;
	}
	layers->streams[link->layer].diff_id = result.diff_id;
	if (!ul_digest_equal(&result.diff_id, &link->diff_id))
		return 1; /* it cannot be the same then */
	rc = pair_compare(&pair, &result);
	return rc ? rc : 1;
}

/* All links of one chain: the first of them whose layer is here will do. */
static int chain_check(struct layers *layers, size_t from, size_t end)
{
	struct verify *verify = layers->verify;
	const struct ul_snapshot *snapshot = ul_snapshots_find(
	    &verify->snapshots, verify->by_chain[from]->chain);
	size_t i;
	int rc = 0;

	if (!snapshot || !snapshot->is_unpacked)
		return 0;
	for (i = from; !rc && i < end; i++) {
		const struct verify_link *link = verify->by_chain[i];

		if (is_usable(layers, link) &&
		    !layers->streams[link->layer].why_not)
			rc = pair_check(layers, link, snapshot);
	}
	return rc < 0 ? rc : 0;
}

static int chains_check(struct layers *layers)
{
	const struct verify *verify = layers->verify;
	size_t i, end;
	int rc = 0;

	if (!verify->store->form->is_ours)
		return 0;
	if (!verify->store->is_writable)
		return ul_findings_add(verify->findings, UL_FINDING_NOTE,
				       "store", "snapshots", "",
				       "were not compared with their layers: "
				       "nothing can be unpacked here")
			   ? 0
			   : ul_err_nomem(verify->err);
	for (i = 0; !rc && i < verify->link_count; i = end) {
		for (end = i + 1; end < verify->link_count &&
				  !strcmp(verify->by_chain[end]->chain,
					  verify->by_chain[i]->chain);)
			end++;
		rc = chain_check(layers, i, end);
	}
	return rc;
}

static int stream_read(struct ul_inflate *inflate, uint64_t *told,
		       struct layers *layers, bool is_caller,
		       struct ul_digest *ret, struct ul_err *err)
{
	ul_cleanup(ul_freep) char *block = ul_malloc(BLOCK_BYTES);
	struct ul_hash hash;
	size_t len;
	int rc;

	if (!block)
		return ul_err_nomem(err);
	ul_hash_init(&hash, UL_DIGEST_SHA256);
	while (
	    !(rc = ul_inflate_read(inflate, block, BLOCK_BYTES, &len, err)) &&
	    len) {
		uint64_t packed = ul_inflate_packed_bytes(inflate);

		ul_hash_update(&hash, block, len);
		atomic_fetch_add(&layers->done_bytes, packed - *told);
		*told = packed;
		if (is_caller &&
		    !tell(layers, atomic_load(&layers->done_bytes)))
			return ul_err_set(err, UL_E_CANCELED, "stopped");
	}
	ul_hash_final(&hash, ret);
	return rc;
}

static int queue_work(void *arg, size_t i, bool is_caller, struct ul_err *err)
{
	const struct ul_inflate_limits limits = {
		.bytes = UL_LAYER_MAX_BYTES,
		.ratio = UL_LAYER_MAX_RATIO,
		.ratio_from_bytes = UL_LAYER_RATIO_FROM_BYTES,
	};
	/* In this order: the stream ends before its file. */
	ul_cleanup(ul_closep) int fd = -1;
	ul_cleanup(ul_inflate_closep) struct ul_inflate *inflate = NULL;
	struct layers *layers = arg;
	struct stream *stream = &layers->streams[layers->queue[i]];
	struct ul_digest diff_id;
	uint64_t told = 0;
	int rc = blob_open(layers, layers->queue[i], &fd, err);

	if (!rc)
		rc =
		    ul_inflate_open(fd, UL_DIGEST_NONE, &limits, &inflate, err);
	if (!rc)
		rc = stream_read(inflate, &told, layers, is_caller, &diff_id,
				 err);
	if (!rc)
		stream->diff_id = diff_id;
	/* Only said in general: an arena is one thread's. */
	if (is_of_layer(rc))
		stream->why_not = "its compression is damaged";
	return is_of_layer(rc) ? 0 : rc;
}

/* Those that no snapshot was compared with. */
static int rest_read(struct layers *layers)
{
	const struct verify *verify = layers->verify;
	size_t i;

	for (i = 0; i < verify->layout.node_count; i++) {
		const struct stream *stream = &layers->streams[i];

		if (stream->is_wanted && !stream->why_not &&
		    stream->diff_id.alg == UL_DIGEST_NONE)
			layers->queue[layers->queue_len++] = (uint32_t)i;
	}
	return ul_each(layers->queue_len, THREADS, queue_work, layers,
		       verify->err);
}

static int stream_say(struct layers *layers, const struct verify_link *link)
{
	struct stream *stream = &layers->streams[link->layer];
	struct verify *verify = layers->verify;
	const struct ul_layout_node *node = node_of(layers, link);
	struct ul_finding *finding;

	if (!stream->is_wanted)
		return 0;
	if (stream->why_not)
		finding = ul_findings_add(verify->findings, UL_FINDING_DAMAGE,
					  "blob", node->key, "",
					  "has its digest, but cannot be "
					  "unpacked: %s",
					  stream->why_not);
	else if (!ul_digest_equal(&stream->diff_id, &link->diff_id))
		finding = ul_findings_add(
		    verify->findings, UL_FINDING_DAMAGE, "blob", node->key, "",
		    "has its digest, but is another layer than the config of "
		    "its image says: the image was made like that");
	else
		return 0;
	if (!finding)
		return ul_err_nomem(verify->err);
	stream->is_wanted = false; /* once is enough */
	return ul_layout_check_hurts(&verify->layout, link->layer,
				     verify->findings, verify->err);
}

int verify_layers(struct verify *verify)
{
	ul_cleanup(layers_release) struct layers layers = { .verify = verify };
	size_t i;
	int rc = layers_init(&layers);

	if (!rc)
		rc = chains_check(&layers);
	if (!rc)
		rc = rest_read(&layers);
	for (i = 0; !rc && i < verify->link_count; i++)
		rc = stream_say(&layers, &verify->bottom_up[i]);
	return rc;
}
