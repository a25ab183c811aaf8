/*
 * store/transfer/layer_pipe.h - a thread that decompresses, and the ring of
 * blocks between it and the thread that reads the tar. Whichever of the two
 * would have to wait for the other hashes a block meanwhile.
 */
#ifndef UL_STORE_TRANSFER_LAYER_PIPE_H
#define UL_STORE_TRANSFER_LAYER_PIPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct ul_err;
struct ul_inflate;
struct ul_layer_pipe;

/*
 * Start the thread. From now on only it touches `source`, but for
 * ul_inflate_packed_bytes(), until ul_layer_pipe_close(). alg: how the
 * decompressed bytes are hashed.
 *
 * Owner:   *ret is closed with ul_layer_pipe_close(), before `source`.
 * Returns: 0, UL_E_NOMEM, UL_E_IO (no thread to be had).
 */
int ul_layer_pipe_open(struct ul_inflate *source, uint8_t alg,
		       struct ul_layer_pipe **ret, struct ul_err *err);

/* Stop and join the thread, free everything. Accepts NULL. */
void ul_layer_pipe_close(struct ul_layer_pipe *pipe);
void ul_layer_pipe_closep(struct ul_layer_pipe **pipe);

/*
 * The next bytes of the stream, valid until the next call; *ret_len is 0 at
 * the end. Every block but the last is a multiple of 512 bytes long, so tar
 * headers are never split.
 * Returns: 0, or what ul_inflate_read() returned in its thread; again and
 * again the same, once it did.
 */
int ul_layer_pipe_next(struct ul_layer_pipe *pipe, const void **ret_data,
		       size_t *ret_len, struct ul_err *err);

/* Digest and length of the whole stream; only after its end was returned. */
void ul_layer_pipe_digest(const struct ul_layer_pipe *pipe,
			  struct ul_digest *ret_digest, uint64_t *ret_bytes);

#endif
