/*
 * store/transfer/layer.h - one layer's bytes, applied to a directory in
 * overlayfs form.
 *
 * One pass: a thread decompresses (ISA-L for gzip, zstd), one reads the tar
 * (libarchive) and writes, and whichever of them has to wait hashes. Knows no
 * store: directories in, files out.
 *
 * Form (kernel, Documentation/filesystems/overlayfs.rst): a whiteout
 * ".wh.NAME" becomes a character device 0/0 called NAME, an opaque marker
 * ".wh..wh..opq" the xattr trusted.overlay.opaque=y (user.overlay.* where we
 * are not privileged) on its directory (OCI image-spec, layer.md, Whiteouts).
 * What follows from the rules of both:
 * - A whiteout hides what is below, never what this layer itself brings,
 *   whichever comes first in the tar (layer.md; umoci does the same): beside a
 *   directory of this layer it makes that directory opaque, beside a file it
 *   changes nothing. One that hides nothing is left out, since overlayfs shows
 *   stray ones in directories that it does not merge.
 * - overlayfs does not look for the opaque xattr on a layer's root: there,
 *   everything below that this layer lacks gets its whiteout.
 * - What the layer holds without an entry (directories made for a whiteout, the
 *   copy of what a hard link names) is hidden with what is below.
 * - Where an entry of the same tar is replaced by a directory, that directory
 *   is opaque, since the first one had hidden what is below.
 * - Names ".wh..wh.*" other than the opaque marker are aufs' own and ignored.
 * - Not applied: security.selinux and system.nfs4_acl (they belong to the host;
 *   umoci leaves them out too), ACLs in the form of SCHILY.acl records.
 */
#ifndef UL_STORE_TRANSFER_LAYER_H
#define UL_STORE_TRANSFER_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "store/limits.h"

struct ul_err;

/* Bounds on what a layer may ask for; tests lower them. */
struct ul_layer_limits {
	uint64_t entry_count; /* directories made unasked count too */
	uint64_t bytes;       /* of the stream; and of all files' lengths */
	uint64_t ratio;
	uint64_t ratio_from_bytes;
	size_t path_bytes;
	size_t depth;
	size_t kept_bytes;
	size_t xattr_bytes;
	size_t xattr_count;
	unsigned symlink_count;
};
#define UL_LAYER_LIMITS_INIT                                                   \
	((struct ul_layer_limits){                                             \
	    .entry_count = UL_LAYER_MAX_ENTRIES,                               \
	    .bytes = UL_LAYER_MAX_BYTES,                                       \
	    .ratio = UL_LAYER_MAX_RATIO,                                       \
	    .ratio_from_bytes = UL_LAYER_RATIO_FROM_BYTES,                     \
	    .path_bytes = UL_LAYER_PATH_MAX_BYTES,                             \
	    .depth = UL_LAYER_DEPTH_MAX,                                       \
	    .kept_bytes = UL_LAYER_KEPT_MAX_BYTES,                             \
	    .xattr_bytes = UL_XATTRS_MAX_BYTES,                                \
	    .xattr_count = UL_XATTRS_MAX_COUNT,                                \
	    .symlink_count = UL_SYMLINKS_MAX,                                  \
	})

struct ul_layer_job {
	int blob_fd; /* packed bytes, read from its current offset to the end */
	int fs_fd;   /* empty directory that becomes the layer's `fs` */
	const int *lower_fds; /* `fs` of the layers below, nearest first */
	size_t lower_count;
	struct ul_digest diff_id;     /* expected; alg NONE: do not check */
	struct ul_digest blob_digest; /* expected of the packed bytes; NONE:
					 do not check */
	/* Called now and then, by the thread that applies, with packed bytes
	 * read; may be NULL. False stops the work (UL_E_CANCELED). */
	bool (*progress)(void *arg, uint64_t packed_bytes);
	void *arg;
	const struct ul_layer_limits *limits; /* NULL: UL_LAYER_LIMITS_INIT */
};

struct ul_layer_result {
	struct ul_digest diff_id;     /* of the whole decompressed stream */
	struct ul_digest blob_digest; /* of the whole packed stream; NONE where
					 it was not asked for */
	uint64_t tar_bytes;           /* length of the decompressed stream */
	uint64_t entry_count;
	/* What could not be applied without root; all 0 with root. */
	uint64_t skipped_owners;  /* files left to us */
	uint64_t skipped_devices; /* devices made empty files or left out */
	uint64_t skipped_xattrs;
};

/*
 * Apply a layer. Format is told by the bytes (gzip, zstd, else tar), all
 * members, frames and trailing bytes are read and count for the digests.
 * Parents are resolved over this layer and those below, whiteouts observed,
 * the image's root as the limit, each step by openat2() beneath its layer's
 * directory. A directory that the layer does not list, but needs, takes
 * owner, mode, xattrs and times from the nearest below; a hard link to a
 * file of a lower layer copies that up.
 * A directory that no layer has becomes root's, 0755, with the time of the
 * entry that needed it (the image's root: of 1970); in a setgid directory it
 * takes group and bit from that, as mkdir() has it.
 * Hard links that the copied-up file has to other names of lower layers are
 * parted, as overlayfs parts them.
 * Nothing is ever written outside fs_fd, and nothing is synced. On failure
 * fs_fd's content is undefined: the caller removes it.
 *
 * Thread:  any; starts and joins one more.
 * Returns: 0, or
 *   UL_E_CORRUPT   damaged compression or tar, wrong digest, an entry that
 *                  tries to leave the root or is no sense ("layer entry
 *                  'a/../../b': path leaves the image")
 *   UL_E_LIMIT     a bound of store/limits.h
 *   UL_E_IO        the file system refused
 *   UL_E_NOMEM, UL_E_CANCELED
 */
int ul_layer_apply(const struct ul_layer_job *job, struct ul_layer_result *ret,
		   struct ul_err *err);

#endif
