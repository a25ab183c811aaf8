/* store/embedded/scan_internal.h - one scan under way; what scan.c,
 * scan_index.c, scan_content.c, scan_measure.c, scan_graph.c and scan_images.c
 * share. */
#ifndef UL_STORE_EMBEDDED_SCAN_INTERNAL_H
#define UL_STORE_EMBEDDED_SCAN_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "store/backend.h"
#include "store/embedded/inventory.h"
#include "store/embedded/lease.h"
#include "store/embedded/snapshot.h"
#include "store/graph/mark.h"
#include "store/view.h"

struct ul_embedded;
struct ul_layout_index;

/* Reason of a config's reference to the snapshot of its whole chain; another
 * one where only lower layers are there. */
#define UL_REASON_UNPACKED "unpacked"

/* What this scan knows of an object beside the record. */
struct scan_object {
	uint32_t item;      /* into the inventory, or UL_OBJECT_NONE */
	bool is_entry;      /* a target of index.json */
	bool is_named;      /* an image that stands in index.json */
	bool is_queued;     /* its content was looked at or will be */
	bool is_expected;   /* named by index, lease, snapshot or manifest */
	bool is_unread;     /* here, but this user may not or cannot read it */
	bool is_hidden;     /* something else stands in its place */
	const char *broken; /* why its references are unknown, or NULL */
};

struct ul_scan {
	struct ul_embedded *store;
	const struct ul_scan_options *options;
	struct ul_view *view;
	struct ul_record *record; /* view->record */
	struct ul_inventory inventory;
	struct ul_layout_index *index; /* NULL: damaged, or as recorded */
	struct ul_leases leases;
	struct ul_snapshots snapshots;
	struct scan_object *objects; /* owned; by object number */
	size_t object_cap;
	struct ul_mark mark;  /* from all roots */
	struct ul_map groups; /* digest -> group node */
	bool is_unread_told;  /* a blob that cannot be read was named */
	bool is_new_layout;   /* not the directory that the record is of */
	bool hides_blobs;     /* symlinks and the like stand below blobs/ */
	bool is_last_try;     /* a report is right without being recorded */
	struct ul_err *err;
};

/* The object of this identity with a scan_object to it; NONE: no memory. */
uint32_t scan_object(struct ul_scan *scan, enum ul_kind kind, const char *key);

/* Images, what they stand for, names that came, moved or vanished. A damaged
 * index becomes the view's refusal (I7). */
int scan_index(struct ul_scan *scan);

/* Read what blobs refer to, as far as not recorded yet. */
int scan_content(struct ul_scan *scan);

/*
 * A descriptor says what a blob is (NULL: it does not). What was not read for
 * want of that is read by this scan. False without memory.
 */
bool scan_set_media_type(struct ul_scan *scan, uint32_t at,
			 const char *media_type);

/* Measure every file; view->files, and the record's measures. */
int scan_measure(struct ul_scan *scan);

/* Forget what is neither here nor named; before the graph is made. */
void scan_gone(struct ul_scan *scan);

/* view->graph with file nodes, shared inodes, groups and flat twins. */
int scan_graph(struct ul_scan *scan);

/* Mark, note what is reachable since when, and who keeps whom. A needed
 * manifest that cannot be read becomes the view's refusal (I7). */
int scan_mark(struct ul_scan *scan);

/* view->images, leases, live_snapshots, trash: what the graph stands for. */
int scan_images(struct ul_scan *scan);

#endif
