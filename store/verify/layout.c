#include "store/verify/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/limits.h"
#include "store/oci/config.h"
#include "store/oci/index_file.h"
#include "store/oci/layout.h"
#include "store/oci/manifest.h"
#include "store/verify/findings.h"
#include "store/verify/layout_internal.h"

void ul_layout_check_release(struct ul_layout_check *check)
{
	free(check->nodes);
	free(check->refs);
	free(check->roots);
	free(check->first_back);
	free(check->backs);
	ul_map_release(&check->by_digest);
	ul_arena_release(&check->arena);
	*check = UL_LAYOUT_CHECK_INIT;
}

uint32_t ul_layout_check_find(const struct ul_layout_check *check,
			      const struct ul_digest *digest)
{
	return ul_map_get(&check->by_digest, digest, sizeof *digest);
}

void ul_layout_blob_path(const struct ul_digest *digest,
			 char path[UL_LAYOUT_PATH_MAX])
{
	char hex[UL_DIGEST_HEX_MAX + 1];

	ul_digest_format_hex(digest, hex);
	snprintf(path, UL_LAYOUT_PATH_MAX, "blobs/%s/%s",
		 ul_digest_alg_name(digest->alg), hex);
}

uint32_t verify_node(struct verify_layout *verify,
		     const struct ul_digest *digest)
{
	struct ul_layout_check *check = verify->check;
	uint32_t found = ul_layout_check_find(check, digest);
	struct ul_layout_node *nodes;
	struct ul_digest *copy;
	char text[UL_DIGEST_TEXT_MAX];

	if (found != UL_MAP_NONE) {
		check->nodes[found].is_loose = false;
		return found;
	}
	nodes = ul_grow(check->nodes, &check->node_cap, check->node_count + 1,
			sizeof *nodes);
	if (!nodes)
		return UL_MAP_NONE;
	check->nodes = nodes;
	copy = ul_arena_alloc(&check->arena, sizeof *copy);
	ul_digest_format(digest, text);
	nodes[check->node_count] = (struct ul_layout_node){
		.digest = *digest,
		.key = ul_arena_strdup(&check->arena, text),
		.media_type = "",
		.first_root = UL_MAP_NONE,
	};
	if (!copy || !nodes[check->node_count].key)
		return UL_MAP_NONE;
	*copy = *digest;
	if (!ul_map_set(&check->by_digest, copy, sizeof *copy,
			(uint32_t)check->node_count))
		return UL_MAP_NONE;
	return (uint32_t)check->node_count++;
}

static bool node_describe(struct verify_layout *verify, uint32_t at,
			  const char *media_type)
{
	struct ul_layout_node *node = &verify->check->nodes[at];

	if (!media_type || *node->media_type)
		return true;
	node->media_type = ul_arena_strdup(&verify->check->arena, media_type);
	/* Looked at before anything said what it is. */
	if (node->media == UL_MEDIA_OTHER)
		node->is_looked = false;
	return node->media_type != NULL;
}

static bool root_add(struct verify_layout *verify, const char *name,
		     const struct ul_descriptor *descriptor)
{
	struct ul_layout_check *check = verify->check;
	struct ul_layout_root *roots =
	    ul_grow(check->roots, &check->root_cap, check->root_count + 1,
		    sizeof *roots);
	struct ul_layout_root *root;

	if (!roots)
		return false;
	check->roots = roots;
	root = &roots[check->root_count];
	*root = (struct ul_layout_root){
		.name = name ? ul_arena_strdup(&check->arena, name) : NULL,
		.node = verify_node(verify, &descriptor->digest),
		.size_bytes = descriptor->size_bytes,
		.is_size_unknown = descriptor->is_size_unknown,
	};
	if ((name && !root->name) || root->node == UL_MAP_NONE ||
	    !node_describe(verify, root->node, descriptor->media_type))
		return false;
	root->next = check->nodes[root->node].first_root;
	check->nodes[root->node].first_root = (uint32_t)check->root_count++;
	return true;
}

static int index_read(struct verify_layout *verify,
		      struct ul_layout_index **ret_index)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	struct stat st;
	int rc;

	if (!fstatat(verify->layout_fd, "index.json", &st,
		     AT_SYMLINK_NOFOLLOW) &&
	    !S_ISREG(st.st_mode))
		return ul_err_set(verify->err, UL_E_CORRUPT,
				  S_ISLNK(st.st_mode)
				      ? "a symlink, which is not followed"
				      : "no regular file");
	rc = ul_file_read(verify->layout_fd, "index.json", UL_INDEX_MAX_BYTES,
			  &text, verify->err);
	if (rc == UL_E_ABSENT && ul_index_file_may_lack(verify->layout_fd))
		return (*ret_index = ul_layout_index_new())
			   ? 0
			   : ul_err_nomem(verify->err);
	if (rc == UL_E_ABSENT)
		return ul_err_set(verify->err, UL_E_CORRUPT, "missing");
	if (rc)
		return rc;
	return ul_layout_index_parse(ul_buf_str(&text), text.len, ret_index,
				     verify->err);
}

/*
 * A file that is not whole may be one that another program is just writing.
 * One that nobody has changed for as long as we would wait is not. Where it is
 * missing, its directory tells.
 */
static bool is_being_written(const struct verify_layout *verify,
			     const char *path)
{
	const int64_t wait_s = verify->options->wait_ms / 1000 + 1;
	struct stat st;

	if (fstatat(verify->layout_fd, path, &st, AT_SYMLINK_NOFOLLOW) &&
	    fstat(verify->layout_fd, &st))
		return true;
	return st.st_mtim.tv_sec + wait_s >= ul_clock_unix_s();
}

/* A moment has passed: look again. False: that is of no use any more. */
static bool may_wait(const struct verify_layout *verify, const char *path)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

	if (ul_clock_mono_ns() >= verify->retry_until_ns ||
	    !is_being_written(verify, path))
		return false;
	nanosleep(&pause, NULL);
	return true;
}

static int roots_remembered(struct verify_layout *verify)
{
	const struct ul_names *pairs = verify->options->remembered;
	struct ul_descriptor descriptor = { .is_size_unknown = true };
	size_t i;

	for (i = 0; pairs && i + 1 < pairs->len; i += 2) {
		if (ul_digest_parse(pairs->names[i + 1], &descriptor.digest) &&
		    !root_add(verify, pairs->names[i], &descriptor))
			return ul_err_nomem(verify->err);
	}
	return 0;
}

static const char *index_repair(enum ul_layout_held held)
{
	switch (held) {
	case UL_HELD_NOT:
		return "moves it aside and makes a new one from the names that "
		       "are remembered and the manifests that are here";
	case UL_HELD_YOUNG:
		return "leaves it, unless --grace 0 says that nobody writes "
		       "here now";
	default:
		return "leaves it";
	}
}

static int index_damaged(struct verify_layout *verify)
{
	const struct ul_names *pairs = verify->options->remembered;
	char why[sizeof verify->err->msg];
	enum ul_layout_held held;
	size_t i;
	int rc;

	snprintf(why, sizeof why, "%s", verify->err->msg);
	rc = ul_layout_index_held(verify->layout_fd, verify->options, &held,
				  verify->err);
	if (rc)
		return rc;
	verify->check->is_index_damaged = true;
	verify->check->index_held = (uint8_t)held;
	if (!ul_findings_add(verify->findings, UL_FINDING_DAMAGE, "index",
			     "index.json", index_repair(held),
			     "is not whole: %s%s", why,
			     ul_layout_held_text(held)))
		return ul_err_nomem(verify->err);
	for (i = 0; pairs && i + 1 < pairs->len; i += 2) {
		if (!ul_findings_hurts(verify->findings, pairs->names[i]))
			return ul_err_nomem(verify->err);
	}
	*verify->err = UL_ERR_INIT;
	return roots_remembered(verify);
}

static int roots_take(struct verify_layout *verify)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *index = NULL;
	size_t i;
	int rc;

	do
		rc = index_read(verify, &index);
	while (rc == UL_E_CORRUPT && may_wait(verify, "index.json"));
	if (rc == UL_E_CORRUPT || rc == UL_E_LIMIT)
		return index_damaged(verify);
	for (i = 0; !rc && i < ul_layout_index_count(index); i++) {
		const struct ul_layout_entry *entry =
		    ul_layout_index_entry(index, i);

		if (!root_add(verify, entry->name, &entry->descriptor))
			return ul_err_nomem(verify->err);
	}
	return rc;
}

static bool ref_add(struct verify_layout *verify, uint32_t from,
		    const struct ul_manifest_ref *ref)
{
	struct ul_layout_check *check = verify->check;
	struct ul_layout_ref *refs = ul_grow(
	    check->refs, &check->ref_cap, check->ref_count + 1, sizeof *refs);
	uint32_t to;

	if (!refs)
		return false;
	check->refs = refs;
	to = verify_node(verify, &ref->descriptor.digest);
	if (to == UL_MAP_NONE ||
	    !node_describe(verify, to, ref->descriptor.media_type))
		return false;
	refs[check->ref_count] = (struct ul_layout_ref){
		.from = from,
		.to = to,
		.reason = ul_arena_strdup(&check->arena, ref->reason),
		.size_bytes = ref->descriptor.size_bytes,
		.is_size_unknown = ref->descriptor.is_size_unknown,
		.has_urls = ref->descriptor.has_urls,
	};
	return refs[check->ref_count++].reason != NULL;
}

static int manifest_take(struct verify_layout *verify, uint32_t at,
			 const struct ul_buf *bytes)
{
	ul_cleanup(ul_arena_release) struct ul_arena arena = UL_ARENA_INIT;
	struct ul_layout_check *check = verify->check;
	const char *type = check->nodes[at].media_type;
	struct ul_manifest manifest;
	size_t i;
	int rc = ul_manifest_parse(bytes->data, bytes->len, *type ? type : NULL,
				   &arena, &manifest, verify->err);

	if (rc)
		return rc;
	check->nodes[at].media = (uint8_t)manifest.media;
	/* Whoever makes an entry for it says the same: readers go by that. */
	if (!*type && manifest.media_type) {
		check->nodes[at].media_type =
		    ul_arena_strdup(&check->arena, manifest.media_type);
		if (!check->nodes[at].media_type)
			return ul_err_nomem(verify->err);
	}
	check->nodes[at].first_ref = check->ref_count;
	check->nodes[at].ref_count = manifest.ref_count;
	for (i = 0; i < manifest.ref_count; i++) {
		if (!ref_add(verify, at, &manifest.refs[i]))
			return ul_err_nomem(verify->err);
	}
	return 0;
}

static int config_take(struct verify_layout *verify, uint32_t at,
		       const struct ul_buf *bytes)
{
	struct ul_arena *arena = &verify->check->arena;
	struct ul_image_config *config = ul_arena_alloc(arena, sizeof *config);
	int rc;

	if (!config)
		return ul_err_nomem(verify->err);
	rc = ul_image_config_parse(bytes->data, bytes->len, arena, config,
				   verify->err);
	if (rc)
		return rc;
	verify->check->nodes[at].config = config;
	verify->check->nodes[at].media = UL_MEDIA_CONFIG;
	return 0;
}

/* 1: its bytes are read and are right, 0: they are not, negative: failed. */
static int document_read(struct verify_layout *verify, uint32_t at,
			 struct ul_buf *bytes)
{
	const struct ul_layout_node *node = &verify->check->nodes[at];
	char path[UL_LAYOUT_PATH_MAX];
	struct ul_digest found;
	int rc;

	ul_layout_blob_path(&node->digest, path);
	ul_buf_reset(bytes);
	rc = ul_file_read(verify->layout_fd, path, UL_MANIFEST_MAX_BYTES, bytes,
			  verify->err);
	if (rc)
		return rc;
	ul_digest_of(node->digest.alg, bytes->data, bytes->len, &found);
	return ul_digest_equal(&found, &node->digest);
}

static bool looks_like_json(const struct ul_buf *bytes)
{
	return bytes->len && strchr("{ \t\r\n", bytes->data[0]);
}

static int document_take(struct verify_layout *verify, uint32_t at,
			 enum ul_media media, const struct ul_buf *bytes)
{
	struct ul_layout_check *check = verify->check;
	int rc;

	if (media == UL_MEDIA_OTHER && !looks_like_json(bytes))
		return 0;
	rc = media == UL_MEDIA_CONFIG ? config_take(verify, at, bytes)
				      : manifest_take(verify, at, bytes);
	if (!rc || rc == UL_E_NOMEM)
		return rc;
	/* What nothing calls a manifest need not be one. */
	if (media != UL_MEDIA_OTHER) {
		check->nodes[at].broken =
		    ul_arena_strdup(&check->arena, verify->err->msg);
		if (!check->nodes[at].broken)
			return ul_err_nomem(verify->err);
	}
	*verify->err = UL_ERR_INIT;
	return 0;
}

static int document_look(struct verify_layout *verify, uint32_t at,
			 enum ul_media media)
{
	ul_cleanup(ul_buf_release) struct ul_buf bytes = UL_BUF_INIT;
	struct ul_layout_node *node = &verify->check->nodes[at];
	char path[UL_LAYOUT_PATH_MAX];
	int rc;

	ul_layout_blob_path(&node->digest, path);
	do
		rc = document_read(verify, at, &bytes);
	while (!rc && may_wait(verify, path));
	node->is_hashed = rc >= 0;
	node->is_bad = !rc;
	/* Removed since it was looked at. */
	if (rc == UL_E_ABSENT) {
		node->is_here = node->is_bad = false;
		rc = 0;
	}
	if (rc == UL_E_LIMIT) {
		node->broken = "it is too long for a manifest";
		rc = 0;
	}
	if (rc > 0)
		verify->check->hashed_count++;
	return rc > 0 ? document_take(verify, at, media, &bytes) : rc;
}

static int node_look(struct verify_layout *verify, uint32_t at)
{
	struct ul_layout_node *node = &verify->check->nodes[at];
	enum ul_media media = ul_media_of(node->media_type);
	char path[UL_LAYOUT_PATH_MAX];
	struct stat st;

	node->is_looked = true;
	node->is_here = false;
	ul_layout_blob_path(&node->digest, path);
	if (fstatat(verify->layout_fd, path, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return ul_err_sys(verify->err, "stat %s", path);
	}
	node->is_here = true;
	node->size_bytes = (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode)) {
		node->is_hashed = node->is_bad = true;
		return 0;
	}
	if (media == UL_MEDIA_LAYER || media == UL_MEDIA_CACHE_CONFIG ||
	    (media == UL_MEDIA_OTHER &&
	     node->size_bytes > UL_MANIFEST_MAX_BYTES))
		return 0;
	return document_look(verify, at, media);
}

static bool tell(const struct verify_layout *verify, uint64_t bytes)
{
	const struct ul_layout_check_options *options = verify->options;

	return !options->progress ||
	       options->progress(options->arg, "reading manifests", bytes, 0);
}

/* Files that nothing names are only read where everything is wanted. */
static bool is_to_look(const struct verify_layout *verify,
		       const struct ul_layout_node *node)
{
	return !node->is_looked &&
	       (!node->is_loose || verify->options->is_whole);
}

/* Everything that is found on the way is looked at in turn. */
static int nodes_look(struct verify_layout *verify)
{
	bool is_news = true;
	uint64_t bytes = 0;
	size_t i;
	int rc = 0;

	while (!rc && is_news) {
		is_news = false;
		for (i = 0; !rc && i < verify->check->node_count; i++) {
			if (!is_to_look(verify, &verify->check->nodes[i]))
				continue;
			is_news = true;
			rc = node_look(verify, (uint32_t)i);
			bytes += verify->check->nodes[i].size_bytes;
			if (!rc && !tell(verify, bytes))
				rc = ul_err_set(verify->err, UL_E_CANCELED,
						"stopped");
		}
	}
	return rc;
}

int ul_layout_check_run(int layout_fd,
			const struct ul_layout_check_options *options,
			struct ul_layout_check *ret,
			struct ul_findings *findings, struct ul_err *err)
{
	ul_cleanup(ul_layout_check_release) struct ul_layout_check check =
	    UL_LAYOUT_CHECK_INIT;
	struct verify_layout verify = {
		.layout_fd = layout_fd,
		.options = options,
		.check = &check,
		.findings = findings,
		.retry_until_ns =
		    ul_clock_mono_ns() + options->wait_ms * 1000000LL,
		.err = err,
	};
	int rc = roots_take(&verify);

	if (!rc && (options->is_whole || options->is_deep))
		rc = verify_files(&verify);
	if (!rc)
		rc = nodes_look(&verify);
	if (!rc)
		rc = verify_lengths(&verify);
	if (!rc && options->is_deep)
		rc = verify_digests(&verify);
	if (!rc)
		rc = verify_report(&verify);
	if (rc)
		return ul_err_wrap(err, "checking the layout");
	*ret = check;
	check = UL_LAYOUT_CHECK_INIT;
	return 0;
}
