/*
 * Hashing blobs: those of a wrong length, or all of them, with two threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/each.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/verify/layout_internal.h"

/* Disks give most with a few large reads at once; SHA-256 in hardware is as
 * fast as two of them. */
enum { THREADS = 2, BLOCK_BYTES = 1 << 20 };

/* Called with the bytes that were read since; false stops. */
struct reading {
	bool (*read)(void *arg, uint64_t bytes);
	void *arg;
};

static int fd_hash(int fd, const char *path, uint8_t alg, char *block,
		   const struct reading *reading, struct ul_digest *ret,
		   struct ul_err *err)
{
	struct ul_hash hash;
	ssize_t len;

	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	ul_hash_init(&hash, alg);
	while ((len = read(fd, block, BLOCK_BYTES)) != 0) {
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return ul_err_sys(err, "read %s", path);
		ul_hash_update(&hash, block, (size_t)len);
		if (reading && !reading->read(reading->arg, (uint64_t)len))
			return ul_err_set(err, UL_E_CANCELED, "stopped");
	}
	ul_hash_final(&hash, ret);
	return 0;
}

/* 1: it has that digest, 0: it has not, UL_E_ABSENT. */
static int file_hash(int dirfd, const char *path,
		     const struct ul_digest *digest,
		     const struct reading *reading, struct ul_err *err)
{
	ul_cleanup(ul_closep) int fd = -1;
	ul_cleanup(ul_freep) char *block = NULL;
	struct ul_digest found;
	struct stat st;
	int rc;

	fd =
	    openat(dirfd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return ul_err_set(err, UL_E_ABSENT, "%s is not here", path);
	if (fd < 0 || fstat(fd, &st))
		return ul_err_sys(err, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return ul_err_set(err, UL_E_IO, "%s is no regular file", path);
	block = ul_malloc(BLOCK_BYTES);
	if (!block)
		return ul_err_nomem(err);
	rc = fd_hash(fd, path, digest->alg, block, reading, &found, err);
	return rc ? rc : ul_digest_equal(&found, digest);
}

static int blob_hash(int layout_fd, const struct ul_digest *digest,
		     const struct reading *reading, struct ul_err *err)
{
	char path[UL_LAYOUT_PATH_MAX];

	ul_layout_blob_path(digest, path);
	return file_hash(layout_fd, path, digest, reading, err);
}

int ul_layout_file_hash(int dirfd, const char *path,
			const struct ul_digest *digest, struct ul_err *err)
{
	return file_hash(dirfd, path, digest, NULL, err);
}

int ul_layout_blob_hash(int layout_fd, const struct ul_digest *digest,
			struct ul_err *err)
{
	return blob_hash(layout_fd, digest, NULL, err);
}

static int node_hash(struct verify_layout *verify, uint32_t at)
{
	struct ul_layout_node *node = &verify->check->nodes[at];
	int rc;

	if (!node->is_here || node->is_hashed)
		return 0;
	rc = blob_hash(verify->layout_fd, &node->digest, NULL, verify->err);
	if (rc == UL_E_ABSENT)
		node->is_here = false;
	if (rc < 0)
		return rc == UL_E_ABSENT ? 0 : rc;
	node->is_hashed = true;
	node->is_bad = !rc;
	return 0;
}

/* What a descriptor says is held against what is there. */
static int length_look(struct verify_layout *verify, uint32_t at,
		       uint64_t wanted_bytes, bool is_unknown)
{
	struct ul_layout_node *node = &verify->check->nodes[at];
	int rc;

	if (is_unknown || !node->is_here || wanted_bytes == node->size_bytes)
		return 0;
	rc = node_hash(verify, at);
	if (!rc && !node->is_other_length) {
		node->is_other_length = true;
		node->wanted_bytes = wanted_bytes;
	}
	return rc;
}

int verify_lengths(struct verify_layout *verify)
{
	struct ul_layout_check *check = verify->check;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < check->ref_count; i++)
		rc = length_look(verify, check->refs[i].to,
				 check->refs[i].size_bytes,
				 check->refs[i].is_size_unknown);
	for (i = 0; !rc && i < check->root_count; i++)
		rc = length_look(verify, check->roots[i].node,
				 check->roots[i].size_bytes,
				 check->roots[i].is_size_unknown);
	return rc;
}

struct all {
	struct verify_layout *verify;
	uint32_t *nodes; /* owned; those to hash */
	size_t count;
	uint64_t total_bytes;
	atomic_ullong done_bytes;
	atomic_size_t hashed_count;
};

static void all_release(struct all *all)
{
	free(all->nodes);
}

/* One thread's work: only the caller's draws. */
struct worker {
	struct all *all;
	bool is_caller;
};

static bool on_read(void *arg, uint64_t bytes)
{
	const struct worker *worker = arg;
	struct all *all = worker->all;
	const struct ul_layout_check_options *options = all->verify->options;
	uint64_t done = atomic_fetch_add(&all->done_bytes, bytes) + bytes;

	return !worker->is_caller || !options->progress ||
	       options->progress(options->arg, "hashing blobs", done,
				 all->total_bytes);
}

static int all_work(void *arg, size_t i, bool is_caller, struct ul_err *err)
{
	struct all *all = arg;
	struct worker worker = { all, is_caller };
	struct reading reading = { on_read, &worker };
	struct ul_layout_node *node = &all->verify->check->nodes[all->nodes[i]];
	int rc =
	    blob_hash(all->verify->layout_fd, &node->digest, &reading, err);

	/* Taken away meanwhile: the walk has said whether it is needed. */
	if (rc == UL_E_ABSENT)
		return 0;
	if (rc < 0)
		return rc;
	node->is_hashed = true;
	node->is_bad = !rc;
	atomic_fetch_add(&all->hashed_count, 1);
	return 0;
}

static int file_take(struct verify_layout *verify, int dirfd, uint8_t alg,
		     const char *name)
{
	struct ul_digest digest;
	struct ul_layout_node *node;
	struct stat st;
	uint32_t at;

	if (!ul_digest_parse_hex(alg, name, &digest) ||
	    fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode))
		return 0;
	if (ul_layout_check_find(verify->check, &digest) != UL_MAP_NONE)
		return 0;
	at = verify_node(verify, &digest);
	if (at == UL_MAP_NONE)
		return ul_err_nomem(verify->err);
	node = &verify->check->nodes[at];
	node->is_loose = node->is_here = true;
	node->size_bytes = (uint64_t)st.st_size;
	return 0;
}

static int files_take(struct verify_layout *verify, uint8_t alg)
{
	ul_cleanup(ul_names_release) struct ul_names names = UL_NAMES_INIT;
	ul_cleanup(ul_closep) int fd = -1;
	const char *path =
	    alg == UL_DIGEST_SHA256 ? "blobs/sha256" : "blobs/sha512";
	struct stat st;
	size_t i;
	int rc;

	if (fstatat(verify->layout_fd, path, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISDIR(st.st_mode))
		return 0;
	rc = ul_dir_open(verify->layout_fd, path, &fd, verify->err);
	if (!rc)
		rc = ul_dir_names(fd, &names, verify->err);
	for (i = 0; !rc && i < names.len; i++)
		rc = file_take(verify, fd, alg, names.names[i]);
	return rc;
}

int verify_files(struct verify_layout *verify)
{
	int rc = files_take(verify, UL_DIGEST_SHA256);

	return rc ? rc : files_take(verify, UL_DIGEST_SHA512);
}

int verify_digests(struct verify_layout *verify)
{
	struct ul_layout_check *check = verify->check;
	ul_cleanup(all_release) struct all all = { .verify = verify };
	size_t i;
	int rc;

	all.nodes = ul_malloc((check->node_count + 1) * sizeof *all.nodes);
	if (!all.nodes)
		return ul_err_nomem(verify->err);
	for (i = 0; i < check->node_count; i++) {
		if (!check->nodes[i].is_here || check->nodes[i].is_hashed)
			continue;
		all.nodes[all.count++] = (uint32_t)i;
		all.total_bytes += check->nodes[i].size_bytes;
	}
	rc = ul_each(all.count, THREADS, all_work, &all, verify->err);
	check->hashed_count += all.hashed_count;
	return rc;
}
