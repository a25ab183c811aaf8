#include "store/transfer/layer_pipe.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "store/transfer/inflate.h"

/* Small enough to stay in the processor's cache between the two threads. */
enum { BLOCK_COUNT = 8, BLOCK_BYTES = 256 << 10 };

struct ul_layer_pipe {
	/* The maker's own. */
	struct ul_inflate *source; /* borrowed */
	uint64_t stream_bytes;
	/* The reader's own. */
	pthread_t maker;
	bool has_block; /* block `taken` is in the reader's hands */
	/* Of whoever has set is_hashing. */
	struct ul_hash hash;
	/* Shared, under lock. Block n lies in blocks[n % BLOCK_COUNT], until
	 * the reader has taken it and it was hashed. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t made, taken, hashed;
	bool is_hashing;   /* block `hashed` is being hashed */
	bool is_over;      /* the maker makes no more blocks */
	bool is_stopped;   /* the reader wants no more */
	struct ul_err err; /* why it is over; code 0: the stream's end */
	size_t lens[BLOCK_COUNT];
	unsigned char blocks[BLOCK_COUNT][BLOCK_BYTES];
};

static bool is_full(const struct ul_layer_pipe *pipe)
{
	uint64_t done = pipe->taken < pipe->hashed ? pipe->taken : pipe->hashed;

	return pipe->made - done == BLOCK_COUNT;
}

/*
 * Whoever would have to wait hashes a block instead, so that two threads keep
 * two processors busy, whichever of them has more to do. Otherwise wait for
 * the other. Under the lock, which is free meanwhile.
 */
static void pipe_wait(struct ul_layer_pipe *pipe)
{
	size_t block = pipe->hashed % BLOCK_COUNT;

	if (pipe->is_hashing || pipe->hashed == pipe->made) {
		pthread_cond_wait(&pipe->changed, &pipe->lock);
		return;
	}
	pipe->is_hashing = true;
	pthread_mutex_unlock(&pipe->lock);
	ul_hash_update(&pipe->hash, pipe->blocks[block], pipe->lens[block]);
	pthread_mutex_lock(&pipe->lock);
	pipe->is_hashing = false;
	pipe->hashed++;
	pthread_cond_broadcast(&pipe->changed);
}

/* Wait for a free block. False: the reader wants no more. */
static bool pipe_wait_free(struct ul_layer_pipe *pipe)
{
	bool is_stopped;

	pthread_mutex_lock(&pipe->lock);
	while (is_full(pipe) && !pipe->is_stopped)
		pipe_wait(pipe);
	is_stopped = pipe->is_stopped;
	pthread_mutex_unlock(&pipe->lock);
	return !is_stopped;
}

/* Give the filled block to the reader, or say that there are no more. */
static void pipe_publish(struct ul_layer_pipe *pipe, size_t len,
			 const struct ul_err *err)
{
	pthread_mutex_lock(&pipe->lock);
	if (len > 0) {
		pipe->lens[pipe->made % BLOCK_COUNT] = len;
		pipe->made++;
	}
	if (len < BLOCK_BYTES) {
		pipe->is_over = true;
		pipe->err = *err;
	}
	pthread_cond_broadcast(&pipe->changed);
	pthread_mutex_unlock(&pipe->lock);
}

/* The reader may be busy with the last blocks for long. */
static void pipe_hash_rest(struct ul_layer_pipe *pipe)
{
	pthread_mutex_lock(&pipe->lock);
	while (pipe->hashed < pipe->made && !pipe->is_stopped)
		pipe_wait(pipe);
	pthread_mutex_unlock(&pipe->lock);
}

static void *maker_thread(void *arg)
{
	struct ul_layer_pipe *pipe = arg;
	struct ul_err err = UL_ERR_INIT;
	size_t len = BLOCK_BYTES;
	unsigned char *block;

	while (len == BLOCK_BYTES && pipe_wait_free(pipe)) {
		block = pipe->blocks[pipe->made % BLOCK_COUNT];
		if (ul_inflate_read(pipe->source, block, BLOCK_BYTES, &len,
				    &err))
			len = 0;
		pipe->stream_bytes += len;
		pipe_publish(pipe, len, &err);
	}
	pipe_hash_rest(pipe);
	return NULL;
}

static void pipe_stop(struct ul_layer_pipe *pipe)
{
	pthread_mutex_lock(&pipe->lock);
	pipe->is_stopped = true;
	pthread_cond_broadcast(&pipe->changed);
	pthread_mutex_unlock(&pipe->lock);
}

/* Signals are for the program's own threads, never for this one. */
static int maker_start(struct ul_layer_pipe *pipe)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&pipe->maker, NULL, maker_thread, pipe);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static void pipe_free(struct ul_layer_pipe *pipe)
{
	pthread_cond_destroy(&pipe->changed);
	pthread_mutex_destroy(&pipe->lock);
	free(pipe);
}

int ul_layer_pipe_open(struct ul_inflate *source, uint8_t alg,
		       struct ul_layer_pipe **ret, struct ul_err *err)
{
	struct ul_layer_pipe *pipe = ul_malloc(sizeof *pipe);

	if (!pipe)
		return ul_err_nomem(err);
	memset(pipe, 0, offsetof(struct ul_layer_pipe, blocks));
	pipe->source = source;
	ul_hash_init(&pipe->hash, alg);
	pthread_mutex_init(&pipe->lock, NULL);
	pthread_cond_init(&pipe->changed, NULL);
	errno = maker_start(pipe);
	if (errno) {
		pipe_free(pipe);
		return ul_err_sys(err, "start a thread");
	}
	*ret = pipe;
	return 0;
}

void ul_layer_pipe_close(struct ul_layer_pipe *pipe)
{
	if (!pipe)
		return;
	pipe_stop(pipe);
	pthread_join(pipe->maker, NULL);
	pipe_free(pipe);
}

void ul_layer_pipe_closep(struct ul_layer_pipe **pipe)
{
	ul_layer_pipe_close(*pipe);
	*pipe = NULL;
}

static bool is_hashed(const struct ul_layer_pipe *pipe)
{
	return pipe->hashed == pipe->made;
}

int ul_layer_pipe_next(struct ul_layer_pipe *pipe, const void **ret_data,
		       size_t *ret_len, struct ul_err *err)
{
	size_t block;
	int code = 0;

	pthread_mutex_lock(&pipe->lock);
	if (pipe->has_block) {
		pipe->taken++;
		pipe->has_block = false;
		pthread_cond_broadcast(&pipe->changed);
	}
	while (pipe->made == pipe->taken &&
	       !(pipe->is_over && (pipe->err.code || is_hashed(pipe))))
		pipe_wait(pipe);
	block = pipe->taken % BLOCK_COUNT;
	if (pipe->made > pipe->taken) {
		pipe->has_block = true;
		*ret_data = pipe->blocks[block];
		*ret_len = pipe->lens[block];
	} else if (pipe->err.code) {
		*err = pipe->err;
		code = pipe->err.code;
	} else {
		*ret_len = 0;
	}
	pthread_mutex_unlock(&pipe->lock);
	return code;
}

void ul_layer_pipe_digest(const struct ul_layer_pipe *pipe,
			  struct ul_digest *ret_digest, uint64_t *ret_bytes)
{
	struct ul_hash hash = pipe->hash;

	/* Nobody writes here any more: the reader has seen the end. */
	assert(pipe->is_over && is_hashed(pipe) && !pipe->err.code);
	ul_hash_final(&hash, ret_digest);
	*ret_bytes = pipe->stream_bytes;
}
