#include "store/transfer/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/transfer/inflate.h"
#include "store/transfer/layer_entry.h"
#include "store/transfer/layer_make.h"
#include "store/transfer/layer_pipe.h"
#include "store/transfer/layer_whiteout.h"
#include "store/transfer/layer_work.h"

enum { TAR_BLOCK_BYTES = 512 };

/* The stream, as libarchive's callbacks see it. */
struct stream {
	const struct ul_layer_job *job;
	struct ul_inflate *inflate;
	struct ul_layer_pipe *pipe;
	size_t tail_bytes; /* read of the last block of 512 */
	struct ul_err err; /* why it ended, for ul_layer_work_tar_failed() */
};

int ul_layer_work_count(struct ul_layer_work *work, struct ul_err *err)
{
	if (++work->made_count > work->limits->entry_count)
		return ul_err_set(err, UL_E_LIMIT,
				  "more than %" PRIu64 " entries in one layer",
				  work->limits->entry_count);
	return 0;
}

const char *ul_layer_work_keep(struct ul_layer_work *work, const char *path,
			       struct ul_err *err)
{
	size_t len = strlen(path);
	const char *kept;

	work->kept_bytes += len + sizeof *work->dirs;
	if (work->kept_bytes > work->limits->kept_bytes) {
		ul_err_set(err, UL_E_LIMIT,
			   "paths of directories and whiteouts of more than "
			   "%zu bytes",
			   work->limits->kept_bytes);
		return NULL;
	}
	kept = ul_arena_strndup(&work->arena, path, len);
	if (!kept)
		ul_err_nomem(err);
	return kept;
}

int ul_layer_extra_add(struct ul_layer_work *work, const char *path,
		       struct ul_err *err)
{
	uint32_t index = ul_map_get_str(&work->extra_by_path, path);
	struct ul_layer_extra *extras;

	if (index != UL_MAP_NONE) {
		work->extras[index].is_claimed = false;
		return 0;
	}
	extras = ul_grow(work->extras, &work->extra_cap, work->extra_count + 1,
			 sizeof *extras);
	if (!extras)
		return ul_err_nomem(err);
	work->extras = extras;
	path = ul_layer_work_keep(work, path, err);
	if (!path)
		return err->code;
	if (!ul_map_set(&work->extra_by_path, path, strlen(path),
			(uint32_t)work->extra_count))
		return ul_err_nomem(err);
	extras[work->extra_count++] = (struct ul_layer_extra){ .path = path };
	return 0;
}

void ul_layer_extra_claim(struct ul_layer_work *work, const char *path)
{
	uint32_t index;

	if (work->extra_count == 0)
		return;
	index = ul_map_get_str(&work->extra_by_path, path);
	if (index != UL_MAP_NONE)
		work->extras[index].is_claimed = true;
}

void ul_layer_extra_claim_dir(struct ul_layer_work *work,
			      const struct ul_layer_dir *dir)
{
	for (; dir && work->extra_count > 0; dir = dir->parent)
		ul_layer_extra_claim(work, dir->path);
}

bool ul_layer_extra_is(const struct ul_layer_work *work, const char *path)
{
	uint32_t index = ul_map_get_str(&work->extra_by_path, path);

	return index != UL_MAP_NONE && !work->extras[index].is_claimed;
}

int ul_layer_work_tar_failed(const struct ul_layer_work *work,
			     struct ul_err *err)
{
	const char *text = archive_error_string(work->tar);

	if (work->stream_err->code) {
		*err = *work->stream_err;
		return err->code;
	}
	if (archive_errno(work->tar) == ENOMEM)
		return ul_err_nomem(err);
	return ul_err_set(err, UL_E_CORRUPT, "tar: %s",
			  text ? text : "damaged");
}

static void work_release(struct ul_layer_work *work)
{
	ul_layer_tree_release(&work->tree);
	ul_map_release(&work->dir_by_path);
	ul_map_release(&work->extra_by_path);
	ul_arena_release(&work->arena);
	free(work->dirs);
	free(work->extras);
}

static void tar_freep(struct archive **tar)
{
	archive_read_free(*tar);
}

/* Tells the caller, and takes its "stop". */
static int stream_next(struct stream *stream, const void **ret_data,
		       size_t *ret_len)
{
	const struct ul_layer_job *job = stream->job;
	uint64_t packed_bytes = ul_inflate_packed_bytes(stream->inflate);

	if (stream->err.code)
		return stream->err.code;
	if (job->progress && !job->progress(job->arg, packed_bytes))
		return ul_err_set(&stream->err, UL_E_CANCELED, "canceled");
	return ul_layer_pipe_next(stream->pipe, ret_data, ret_len,
				  &stream->err);
}

/*
 * Some tars end with their last byte of data, neither filled up nor ended
 * (umoci's insert makes such ones); readers in Go take them. Where the diff
 * ID vouches for the length, what is missing of the block is given as zeros.
 */
static la_ssize_t tar_fill(struct stream *stream, const void **data)
{
	static const char zeros[TAR_BLOCK_BYTES];
	size_t len = stream->tail_bytes ? sizeof zeros - stream->tail_bytes : 0;

	if (stream->job->diff_id.alg == UL_DIGEST_NONE)
		return 0;
	stream->tail_bytes = 0;
	*data = zeros;
	return (la_ssize_t)len;
}

static la_ssize_t tar_read(struct archive *tar, void *arg, const void **data)
{
	struct stream *stream = arg;
	size_t len;

	if (stream_next(stream, data, &len)) {
		archive_set_error(tar, EIO, "unpacking failed");
		return -1;
	}
	if (!len)
		return tar_fill(stream, data);
	stream->tail_bytes = (stream->tail_bytes + len) % TAR_BLOCK_BYTES;
	return (la_ssize_t)len;
}

/* What follows the tar's end counts for the digest too. */
static int stream_drain(struct stream *stream)
{
	const void *data;
	size_t len;
	int rc;

	do
		rc = stream_next(stream, &data, &len);
	while (!rc && len > 0);
	return rc;
}

static int tar_open(struct ul_layer_work *work, struct stream *stream,
		    struct ul_err *err)
{
	/* An empty stream is a layer without entries. */
	if (archive_read_support_format_tar(work->tar) != ARCHIVE_OK ||
	    archive_read_support_format_empty(work->tar) != ARCHIVE_OK ||
	    archive_read_open(work->tar, stream, NULL, tar_read, NULL) !=
		ARCHIVE_OK)
		return ul_layer_work_tar_failed(work, err);
	return 0;
}

/*
 * Names come as bytes. libarchive turns those of PAX headers from UTF-8 into
 * the locale's charset, gives the bytes as they are where that fails, and
 * warns; in the "C" locale it does so for every name that is not ASCII. All
 * other warnings are headers that it understood in part only.
 */
static bool is_charset_warning(struct archive *tar)
{
	const char *text = archive_error_string(tar);

	return text && strstr(text, "can't be converted");
}

static int tar_apply(struct ul_layer_work *work, struct stream *stream,
		     struct ul_err *err)
{
	struct archive_entry *entry;
	int rc;

	rc = tar_open(work, stream, err);
	if (rc)
		return rc;
	for (;;) {
		rc = archive_read_next_header(work->tar, &entry);
		if (rc == ARCHIVE_EOF)
			break;
		if (rc != ARCHIVE_OK &&
		    !(rc == ARCHIVE_WARN && is_charset_warning(work->tar)))
			return ul_layer_work_tar_failed(work, err);
		work->result.entry_count++;
		rc = ul_layer_entry_apply(work, entry, err);
		if (rc)
			return rc;
	}
	rc = stream_drain(stream);
	return rc ? ul_layer_work_tar_failed(work, err) : 0;
}

static int layer_build(struct ul_layer_work *work, struct stream *stream,
		       struct ul_err *err)
{
	ul_cleanup(tar_freep) struct archive *tar = archive_read_new();
	int rc;

	if (!tar)
		return ul_err_nomem(err);
	work->tar = tar;
	work->stream_err = &stream->err;
	rc = ul_layer_make_root(work, err);
	if (!rc)
		rc = tar_apply(work, stream, err);
	if (!rc)
		rc = ul_layer_extras_settle(work, err);
	if (!rc)
		rc = ul_layer_finish_dirs(work, err);
	work->tar = NULL;
	return rc;
}

static int digest_check(const char *what, const struct ul_digest *expected,
			const struct ul_digest *found, struct ul_err *err)
{
	char expected_text[UL_DIGEST_TEXT_MAX], found_text[UL_DIGEST_TEXT_MAX];

	if (expected->alg == UL_DIGEST_NONE || ul_digest_equal(expected, found))
		return 0;
	ul_digest_format(expected, expected_text);
	ul_digest_format(found, found_text);
	return ul_err_set(err, UL_E_CORRUPT, "layer: %s is %s instead of %s",
			  what, found_text, expected_text);
}

static int result_fill(const struct ul_layer_job *job,
		       const struct stream *stream,
		       struct ul_layer_result *result, struct ul_err *err)
{
	int rc;

	ul_layer_pipe_digest(stream->pipe, &result->diff_id,
			     &result->tar_bytes);
	ul_inflate_packed_digest(stream->inflate, &result->blob_digest);
	rc = digest_check("digest", &job->blob_digest, &result->blob_digest,
			  err);
	return rc ? rc
		  : digest_check("diff ID", &job->diff_id, &result->diff_id,
				 err);
}

/*
 * Asking with umask() would change it for the whole process meanwhile. Where
 * it is not known, every mode is set.
 */
static mode_t umask_read(void)
{
	ul_cleanup(ul_closep) int fd = -1;
	char status[512]; /* it is the second line */
	const char *line;
	ssize_t len;

	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, status, sizeof status - 1);
	if (len < 0)
		return 0777;
	status[len] = '\0';
	line = strstr(status, "\nUmask:");
	return line ? (mode_t)strtoul(line + 7, NULL, 8) : 0777;
}

static int layer_run(const struct ul_layer_job *job, struct ul_layer_work *work,
		     struct ul_err *err)
{
	const struct ul_inflate_limits limits = {
		.bytes = work->limits->bytes,
		.ratio = work->limits->ratio,
		.ratio_from_bytes = work->limits->ratio_from_bytes,
	};
	/* In this order: the pipe is closed before its source. */
	ul_cleanup(ul_inflate_closep) struct ul_inflate *inflate = NULL;
	ul_cleanup(ul_layer_pipe_closep) struct ul_layer_pipe *pipe = NULL;
	struct stream stream = { .job = job, .err = UL_ERR_INIT };
	uint8_t alg = job->diff_id.alg;
	int rc;

	if (alg == UL_DIGEST_NONE)
		alg = UL_DIGEST_SHA256;
	rc = ul_layer_tree_init(&work->tree, job->fs_fd, job->lower_fds,
				job->lower_count, work->limits, err);
	if (!rc)
		rc = ul_inflate_open(job->blob_fd, job->blob_digest.alg,
				     &limits, &inflate, err);
	if (!rc)
		rc = ul_layer_pipe_open(inflate, alg, &pipe, err);
	if (rc)
		return rc;
	stream.inflate = inflate;
	stream.pipe = pipe;
	rc = layer_build(work, &stream, err);
	return rc ? rc : result_fill(job, &stream, &work->result, err);
}

int ul_layer_apply(const struct ul_layer_job *job, struct ul_layer_result *ret,
		   struct ul_err *err)
{
	const struct ul_layer_limits limits = UL_LAYER_LIMITS_INIT;
	struct ul_layer_work work = {
		.limits = job->limits ? job->limits : &limits,
		.tree = UL_LAYER_TREE_INIT,
		.uid = geteuid(),
		.gid = getegid(),
		.umask = umask_read(),
	};
	locale_t plain, old;
	int rc;

	assert(job->lower_count <= UL_IMAGE_MAX_LAYERS);
	plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!plain)
		return ul_err_nomem(err);
	old = uselocale(plain);
	rc = layer_run(job, &work, err);
	uselocale(old);
	freelocale(plain);
	if (!rc)
		*ret = work.result;
	work_release(&work);
	return rc;
}
