/*
 * A damaged index made again: what of it can still be read, then the names
 * that the database remembers, then an entry without a name for every
 * manifest that nothing else would keep.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/patience.h"
#include "store/embedded/store.h"
#include "store/limits.h"
#include "store/oci/index_file.h"
#include "store/oci/index_lock.h"
#include "store/oci/json.h"
#include "store/oci/layout.h"
#include "store/verify/internal.h"

struct rebuild {
	struct verify *verify;
	const struct ul_layout_check *whole;
	struct ul_layout_index *index; /* owned */
	bool is_read;
	struct ul_buf was; /* the old one's bytes, where it is_read */
};

static void rebuild_release(struct rebuild *rebuild)
{
	ul_layout_index_free(rebuild->index);
	ul_buf_release(&rebuild->was);
}

/* Whether an image of that digest can be had: its manifest is here, whole. */
static bool is_manifest(const struct ul_layout_check *whole,
			const struct ul_digest *digest)
{
	uint32_t at = ul_layout_check_find(whole, digest);
	const struct ul_layout_node *node;

	if (at == UL_MAP_NONE)
		return false;
	node = &whole->nodes[at];
	return node->is_here && !node->is_bad && !node->broken;
}

static bool has_name(const struct ul_layout_index *index, const char *name)
{
	size_t i;

	for (i = 0; i < ul_layout_index_count(index); i++) {
		const struct ul_layout_entry *entry =
		    ul_layout_index_entry(index, i);

		if (entry->name && !strcmp(entry->name, name))
			return true;
	}
	return false;
}

static bool has_digest(const struct ul_layout_index *index,
		       const struct ul_digest *digest)
{
	size_t i;

	for (i = 0; i < ul_layout_index_count(index); i++) {
		if (ul_digest_equal(
			&ul_layout_index_entry(index, i)->descriptor.digest,
			digest))
			return true;
	}
	return false;
}

/* An entry that makes no sense is left out; it is kept with the old index. */
static int entry_add(struct rebuild *rebuild, const char *json)
{
	struct ul_err *err = rebuild->verify->err;
	int rc =
	    ul_layout_index_add_dumped(rebuild->index, json, strlen(json), err);

	if (rc == UL_E_NOMEM)
		return rc;
	*err = UL_ERR_INIT;
	return 0;
}

static int entries_salvage(struct rebuild *rebuild, const json_t *document)
{
	const json_t *entry;
	size_t i;
	int rc = 0;

	json_array_foreach(json_object_get(document, "manifests"), i, entry)
	{
		ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;

		rc = ul_json_dump(entry, &text, rebuild->verify->err);
		if (!rc)
			rc = entry_add(rebuild, ul_buf_str(&text));
		if (rc)
			break;
	}
	return rc;
}

/* 1: what index.json holds; 0: there is none, or no file, or a larger one. */
static int index_bytes(struct verify *verify, struct ul_buf *text)
{
	struct ul_err why = UL_ERR_INIT;
	int rc = ul_file_read(verify->store->oci_fd, "index.json",
			      UL_INDEX_MAX_BYTES, text, &why);

	return rc == UL_E_NOMEM ? ul_err_nomem(verify->err) : !rc;
}

/* 1: another program has made it whole meanwhile. */
static int index_salvage(struct rebuild *rebuild)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *now = NULL;
	ul_cleanup(ul_json_freep) json_t *document = NULL;
	struct ul_buf *text = &rebuild->was;
	struct ul_err why = UL_ERR_INIT;
	int rc = index_bytes(rebuild->verify, text);

	if (rc <= 0)
		return rc;
	rebuild->is_read = true;
	if (!ul_layout_index_parse(ul_buf_str(text), text->len, &now, &why))
		return 1;
	rc = ul_json_parse(ul_buf_str(text), text->len, UL_JSON_MAX_DEPTH,
			   &document, &why);
	if (rc == UL_E_NOMEM)
		return ul_err_nomem(rebuild->verify->err);
	return rc ? 0 : entries_salvage(rebuild, document);
}

static int plain_add(struct rebuild *rebuild, const struct ul_digest *digest,
		     const char *name)
{
	uint32_t at = ul_layout_check_find(rebuild->whole, digest);
	const struct ul_layout_node *node = &rebuild->whole->nodes[at];
	struct ul_descriptor descriptor = {
		.media_type =
		    *node->media_type ? node->media_type
		    : node->media == UL_MEDIA_INDEX
			? "application/vnd.oci.image.index.v1+json"
			: "application/vnd.oci.image.manifest.v1+json",
		.digest = *digest,
		.size_bytes = node->size_bytes,
	};

	return ul_layout_index_add(rebuild->index, &descriptor, name,
				   rebuild->verify->err);
}

static int names_add(struct rebuild *rebuild)
{
	const struct ul_record *record = &rebuild->verify->record;
	struct ul_digest digest;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < record->name_count; i++) {
		const struct ul_name *name = &record->names[i];

		if (name->vanished_unix_s ||
		    !ul_digest_parse(name->digest, &digest) ||
		    !is_manifest(rebuild->whole, &digest) ||
		    has_name(rebuild->index, name->name))
			continue;
		rc = *name->entry ? entry_add(rebuild, name->entry) : 0;
		if (!rc && !has_name(rebuild->index, name->name))
			rc = plain_add(rebuild, &digest, name->name);
	}
	return rc;
}

/* Kept by an index that holds it, or by what it signs. */
static bool is_kept(const struct ul_layout_check *whole, const bool *is_target,
		    uint32_t at)
{
	const struct ul_layout_node *node = &whole->nodes[at];
	size_t i;

	if (is_target[at])
		return true;
	for (i = 0; i < node->ref_count; i++) {
		const struct ul_layout_ref *ref =
		    &whole->refs[node->first_ref + i];

		if (!strcmp(ref->reason, "subject") &&
		    whole->nodes[ref->to].is_here)
			return true;
	}
	return false;
}

static int rest_add(struct rebuild *rebuild)
{
	const struct ul_layout_check *whole = rebuild->whole;
	ul_cleanup(ul_freep) bool *is_target =
	    ul_calloc(whole->node_count + 1, sizeof *is_target);
	size_t i;
	int rc = 0;

	if (!is_target)
		return ul_err_nomem(rebuild->verify->err);
	for (i = 0; i < whole->ref_count; i++) {
		if (strcmp(whole->refs[i].reason, "subject") != 0)
			is_target[whole->refs[i].to] = true;
	}
	for (i = 0; !rc && i < whole->node_count; i++) {
		const struct ul_layout_node *node = &whole->nodes[i];

		if ((node->media == UL_MEDIA_MANIFEST ||
		     node->media == UL_MEDIA_INDEX) &&
		    is_manifest(whole, &node->digest) &&
		    !is_kept(whole, is_target, (uint32_t)i) &&
		    !has_digest(rebuild->index, &node->digest))
			rc = plain_add(rebuild, &node->digest, NULL);
	}
	return rc;
}

/* A copy goes aside: the old one stays in its place until the new one comes.
 * One that cannot be read, a directory say, is moved. */
static int index_keep(struct rebuild *rebuild)
{
	struct verify *verify = rebuild->verify;
	const struct ul_embedded *store = verify->store;
	int rc = repair_holder(verify);

	if (rc)
		return rc;
	return rebuild->is_read
		   ? verify_copy_aside(verify->holder_fd, "index.json",
				       &rebuild->was, verify->err)
		   : verify_set_aside(verify->holder_fd, store->oci_fd,
				      "index.json", "index.json", verify->err);
}

/*
 * The last look: 0 where it is still what was salvaged and nobody is at it, 1
 * where it is whole by now. A reading that is like the one before is no writer
 * at work, but for one that has stopped with the file open.
 */
static int index_expect(struct rebuild *rebuild)
{
	ul_cleanup(ul_layout_index_freep) struct ul_layout_index *now = NULL;
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	struct verify *verify = rebuild->verify;
	struct ul_layout_check_options options = verify_layout_options(verify);
	const struct ul_buf *was = &rebuild->was;
	struct ul_err why = UL_ERR_INIT;
	enum ul_layout_held held;
	int rc = index_bytes(verify, &text);

	if (rc < 0)
		return rc;
	if (rc &&
	    !ul_layout_index_parse(ul_buf_str(&text), text.len, &now, &why))
		return 1;
	rc = ul_layout_index_held(verify->store->oci_fd, &options, &held,
				  verify->err);
	if (rc)
		return rc;
	if (held != UL_HELD_NOT || text.len != was->len ||
	    (was->len && memcmp(text.data, was->data, was->len)))
		return ul_err_set(verify->err, UL_E_CONFLICT,
				  "index.json was changed by another program "
				  "just now; try again");
	return 0;
}

/* The lock keeps those out who know it. */
static int index_put(struct rebuild *rebuild, const char *temp)
{
	struct verify *verify = rebuild->verify;
	struct ul_embedded *store = verify->store;
	int rc;

	store->index_lock.waiting = store->waiting;
	store->index_lock.waiting_arg = store->waiting_arg;
	rc = ul_index_lock_take(&store->index_lock, store->oci_fd, verify->err);
	if (rc)
		return rc;
	rc = index_expect(rebuild);
	if (!rc)
		rc = ul_file_put_in_place(store->oci_fd, temp, "index.json",
					  verify->err);
	ul_index_lock_drop(&store->index_lock);
	return rc;
}

static int index_replace(struct rebuild *rebuild, const struct ul_buf *text)
{
	struct verify *verify = rebuild->verify;
	int fd = verify->store->oci_fd;
	char temp[UL_FILE_TEMP_MAX];
	int rc = ul_file_write_beside(fd, "index.json", text->data, text->len,
				      0644, temp, verify->err);

	if (!rc)
		rc = index_keep(rebuild);
	else
		return rc;
	if (!rc)
		rc = index_put(rebuild, temp);
	if (rc)
		unlinkat(fd, temp, 0);
	if (rc < 0)
		return rc;
	return ul_fd_sync(fd, "the layout's directory", verify->err);
}

int repair_index(struct verify *verify, const struct ul_layout_check *whole)
{
	ul_cleanup(rebuild_release) struct rebuild rebuild = {
		.verify = verify,
		.whole = whole,
		.index = ul_layout_index_new(),
	};
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	int rc;

	if (!rebuild.index)
		return ul_err_nomem(verify->err);
	rc = index_salvage(&rebuild);
	if (rc)
		return rc < 0 ? rc : 0;
	rc = names_add(&rebuild);
	if (!rc)
		rc = rest_add(&rebuild);
	if (!rc)
		rc = ul_layout_index_dump(rebuild.index, &text, verify->err);
	return rc ? rc : index_replace(&rebuild, &text);
}
