/*
 * store/limits.h - every bound on bytes that come from outside, with its
 * reason. Nothing is allocated, read or created for outside data before it
 * was held against one of these; exceeding one is UL_E_LIMIT.
 */
#ifndef UL_STORE_LIMITS_H
#define UL_STORE_LIMITS_H

/* A manifest, index or config. Registries cap manifests at 4 MiB; BuildKit
 * cache configs of huge builds were seen at 8 MiB. */
#define UL_MANIFEST_MAX_BYTES (16u << 20)

/* A layout's index.json: 100,000 images at 400 bytes an entry. */
#define UL_INDEX_MAX_BYTES (64u << 20)

/* JSON nesting. OCI documents need 6; more is an attack on recursion. */
#define UL_JSON_MAX_DEPTH 64

/* Values in one JSON document. An index.json of 100,000 images has 1.3
 * million; a parsed value takes up to 300 bytes, so this is 600 MB at worst,
 * where UL_INDEX_MAX_BYTES of "[]," alone would be 6 GB. */
#define UL_JSON_MAX_VALUES 2000000u

/* A path to a descriptor within a manifest, as the reason of a reference: one
 * long key must not be repeated for each of UL_MANIFEST_MAX_REFS. */
#define UL_REASON_MAX_BYTES 127

/* References out of one manifest or index. overlayfs stops at 500 layers;
 * multi-platform indexes and caches have some thousands of entries. */
#define UL_MANIFEST_MAX_REFS 65536

/* Indexes within indexes, followed when one image is looked at. */
#define UL_INDEX_MAX_NESTING 16

/* Layers of one image: overlayfs refuses more than 500 lower directories. */
#define UL_IMAGE_MAX_LAYERS 500

/* Options of one mount(2): a page, and its last byte has to be NUL. 4 KiB is
 * the smallest page of any machine that Linux runs on. */
#define UL_MOUNT_OPTIONS_MAX_BYTES 4095

/* An image name with tag and digest; Docker allows 255 + 128 + 72. */
#define UL_NAME_MAX_BYTES 512

/* A snapshot or lease key; it has to fit a file name when escaped. */
#define UL_KEY_MAX_BYTES 80

/* Labels of a lease or snapshot: as containerd, key plus value. */
#define UL_LABEL_MAX_BYTES 4096
#define UL_LABELS_MAX_COUNT 64

/* Entries in one layer's tar, ours to create on disk one by one. The largest
 * images seen have 600,000; a layer of more is an attack on inodes. */
#define UL_LAYER_MAX_ENTRIES 4000000u

/* Unpacked length of one layer. The largest images seen (CUDA with models)
 * have layers of 60 GiB. */
#define UL_LAYER_MAX_BYTES ((uint64_t)1 << 40)

/* Unpacked over packed length, once more than 1 GiB is unpacked: zstd and
 * gzip of real layers stay below 100; zeros reach 1000 (gzip), 30,000 (zstd).
 */
#define UL_LAYER_MAX_RATIO 2000u
#define UL_LAYER_RATIO_FROM_BYTES ((uint64_t)1 << 30)

/* One path in a layer, and one component of it (kernel: PATH_MAX, NAME_MAX).
 */
#define UL_LAYER_PATH_MAX_BYTES 4095
#define UL_LAYER_DEPTH_MAX 1024

/* Path text that has to be kept until a layer's end: of its directories
 * (their times are set last) and whiteouts. The largest images have 100,000
 * directories, 10 MB of text. */
#define UL_LAYER_KEPT_MAX_BYTES ((size_t)512 << 20)

/* Window of a zstd layer, as a power of two: the decoder allocates it. 27 is
 * what every zstd decoder accepts unasked (RFC 8878 recommends 23). */
#define UL_LAYER_ZSTD_WINDOW_LOG_MAX 27

/* Extended attributes of one entry (kernel: 64 KiB a value, 255 a name). */
#define UL_XATTRS_MAX_BYTES (256u << 10)
#define UL_XATTRS_MAX_COUNT 256

/* Symlinks followed when the parent of an entry is resolved (kernel: 40). */
#define UL_SYMLINKS_MAX 40

/* Entries in an image archive (docker save, OCI): blobs and folders. */
#define UL_ARCHIVE_MAX_ENTRIES 200000u

/* A whole image archive when it comes as a stream: 4 TiB. */
#define UL_ARCHIVE_MAX_BYTES ((uint64_t)1 << 42)

/* Different texts for why one object refers to another, in one store; an
 * index into them has 16 bits. Real stores have some dozens, "layer 499" and
 * all labels included. More read "reference". */
#define UL_GRAPH_REASONS_MAX 65000u

/* One namespace's mountinfo: the kernel allows 100,000 mounts; an overlay's
 * line has up to a page of options. */
#define UL_MOUNTINFO_MAX_BYTES (512u << 20)

/* What another program that was stopped left in a layout: each scan looks at
 * every file of it. skopeo and umoci leave one, containerd's ingests have four
 * in one directory. More counts as in use. */
#define UL_LEFTOVER_MAX_ENTRIES 10000u
#define UL_LEFTOVER_MAX_DEPTH 16u

/* The record of one folder of the trash, the things in it, and names that went
 * with the blobs they refer to. A thing has 7 of UL_JSON_MAX_VALUES, a name or
 * blob one. More of either makes several folders; one name that refers to more
 * is not pruned. */
#define UL_TRASH_RECORD_MAX_BYTES (512u << 20)
#define UL_TRASH_RECORD_MAX_ITEMS 150000u
#define UL_TRASH_RECORD_MAX_TEXTS 900000u

/* A saved plan; of its objects UL_JSON_MAX_VALUES permits 280,000. */
#define UL_PLAN_MAX_BYTES (512u << 20)

#endif
