/*
 * store/oci/layout.h - index.json of an image layout, read and rewritten.
 *
 * Other programs rewrite index.json without any lock (truncate, then write),
 * so a reading that is not whole never means "no images": it is
 * UL_E_CORRUPT and the caller reads again. Rewriting keeps every field and
 * entry that we do not know. (image-spec: image-layout.md)
 */
#ifndef UL_STORE_OCI_LAYOUT_H
#define UL_STORE_OCI_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "store/oci/descriptor.h"

struct ul_buf;
struct ul_err;

struct ul_layout_entry {
	struct ul_descriptor descriptor;
	/* ref.name annotation, else io.containerd.image.name, else NULL. The
	 * latter goes first where ref.name is only its tag: Docker and BuildKit
	 * write "1" beside "docker.io/library/app:1". */
	const char *name;
};

struct ul_layout_index; /* opaque: the document with all it holds */

/*
 * Parse index.json. Owner: *ret_index, freed by ul_layout_index_free().
 * Returns: 0, or
 *   UL_E_CORRUPT  empty, cut short, no JSON object, no "manifests" array
 *                 (null, as umoci leaves it, is an empty one), or an entry
 *                 that is no descriptor ("entry 3 has no digest")
 *   UL_E_LIMIT    UL_JSON_MAX_DEPTH, UL_JSON_MAX_VALUES
 *   UL_E_NOMEM
 */
int ul_layout_index_parse(const char *bytes, size_t len,
			  struct ul_layout_index **ret_index,
			  struct ul_err *err);

/* An index without entries. NULL without memory. */
struct ul_layout_index *ul_layout_index_new(void);
void ul_layout_index_free(struct ul_layout_index *index); /* NULL is fine */
void ul_layout_index_freep(struct ul_layout_index **index);

size_t ul_layout_index_count(const struct ul_layout_index *index);

/* Entry i, borrowed until the index changes. */
const struct ul_layout_entry *
ul_layout_index_entry(const struct ul_layout_index *index, size_t i);

/*
 * Whether anything but the entries looks like a descriptor: a member of the
 * document, or of an entry, that we do not know. What it names may be needed
 * by whoever wrote it. 1, 0; UL_E_NOMEM.
 */
int ul_layout_index_has_more(const struct ul_layout_index *index,
			     struct ul_err *err);

/*
 * What an entry goes by in records and on the command line: its name; its
 * digest where it has none. Other programs write what they like for a name: one
 * that looks like a digest, so that it would be taken for an entry without a
 * name, and one with a '=' before it, has one '=' more there.
 * Returns: text of the entry or the arena; NULL without memory.
 */
struct ul_arena;
const char *ul_layout_entry_key(const struct ul_layout_entry *entry,
				struct ul_arena *arena);

/* The name that a key stands for; NULL where it is a digest. */
const char *ul_layout_key_name(const char *key);

/*
 * Add an entry at the end: the descriptor (media type, digest, size,
 * platform, artifact type, its annotations) and, where name is not NULL, the
 * name in both annotations: ref.name always, io.containerd.image.name only
 * where it is a whole Docker reference (else that one is left out). A name
 * already in `annotations` is replaced; with a NULL name `annotations` stay as
 * they are. Returns: 0; UL_E_NOMEM; UL_E_INVALID (a text that is not UTF-8).
 */
int ul_layout_index_add(struct ul_layout_index *index,
			const struct ul_descriptor *descriptor,
			const char *name, struct ul_err *err);

/* Remove entry i; later ones move down. */
void ul_layout_index_remove(struct ul_layout_index *index, size_t i);

/* Take the name off entry i but keep the entry. 0: it needs no memory. */
int ul_layout_index_unname(struct ul_layout_index *index, size_t i,
			   struct ul_err *err);

/*
 * Whether a name in a layout's top directory is what a stopped skopeo
 * (oci-put-blob*) or umoci (.umoci-*) leaves behind.
 */
bool ul_layout_is_leftover(const char *name);

/* The document as text, appended to *ret_json: compact, stable. UL_E_NOMEM. */
int ul_layout_index_dump(const struct ul_layout_index *index,
			 struct ul_buf *ret_json, struct ul_err *err);

/*
 * An entry as JSON text and back, for the trash and for saved plans: all
 * that the document had, unknown fields too. Adding fails as parsing does.
 */
int ul_layout_index_entry_dump(const struct ul_layout_index *index, size_t i,
			       struct ul_buf *ret_json, struct ul_err *err);
int ul_layout_index_add_dumped(struct ul_layout_index *index, const char *json,
			       size_t len, struct ul_err *err);

#endif
