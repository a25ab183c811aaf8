#include <string.h>

#include "base/mem.h"
#include "cli/answer.h"
#include "cli/change.h"
#include "cli/commands.h"
#include "cli/resolve.h"
#include "store/embedded/names.h"
#include "store/embedded/store.h"
#include "store/oci/layout.h"
#include "store/oci/reference.h"
#include "store/view.h"

enum { OPTION_REPLACE = 256 };

struct tag {
	struct ul_cli *cli;
	struct ul_embedded *store;
	const char *source;
	bool replace;
	struct ul_view view; /* owned; the newest */
	char digest[UL_DIGEST_TEXT_MAX];
	char name[UL_NAME_MAX_BYTES];  /* as it will stand in the index */
	struct ul_layout_index *index; /* owned; has the descriptor's text */
	struct ul_descriptor descriptor;
	struct ul_loss loss; /* of what the name stood for before */
};

static void tag_release(struct tag *tag)
{
	ul_view_release(&tag->view);
	ul_layout_index_free(tag->index);
}

static const struct ul_object *tag_object(const struct tag *tag)
{
	uint32_t at = ul_record_find(&tag->view.record, UL_KIND_BLOB, "", "",
				     tag->digest);

	return at == UL_OBJECT_NONE || tag->view.record.objects[at].is_gone
		   ? NULL
		   : &tag->view.record.objects[at];
}

static void set_digest(struct tag *tag, const char *digest)
{
	snprintf(tag->digest, sizeof tag->digest, "%s", digest);
}

/* The digest of an object that was named: an image's target, or a blob. */
static void digest_of(struct tag *tag, uint32_t at)
{
	const struct ul_record *record = &tag->view.record;
	const struct ul_object *object = &record->objects[at];

	if (object->kind == UL_KIND_IMAGE && object->ref_count)
		at = record->refs[object->first_ref].target;
	set_digest(tag, record->objects[at].key);
}

static bool is_manifest(const char *media_type)
{
	enum ul_media media = ul_media_of(media_type);

	return media == UL_MEDIA_MANIFEST || media == UL_MEDIA_INDEX;
}

/*
 * What the source stands for: a name, a name that vanished, the digest of
 * anything here or in the trash. An image ID (a config's digest) means the
 * image that has it.
 */
static int source_find(struct tag *tag, struct ul_err *err)
{
	const struct ul_view *view = &tag->view;
	const struct ul_object *object;
	uint32_t at, image;
	int rc;

	if (ul_resolve_vanished(view, tag->source, tag->digest))
		return 0;
	rc = ul_resolve(view, tag->source, UL_RESOLVE_IMAGE | UL_RESOLVE_BLOB,
			&at, err);
	if (rc == UL_E_ABSENT &&
	    ul_resolve_trashed(view, tag->source, UL_KIND_BLOB, &image)) {
		set_digest(tag, view->trash[image].key);
		return 0;
	}
	if (rc)
		return rc;
	digest_of(tag, at);
	object = tag_object(tag);
	if (object && *object->media_type && !is_manifest(object->media_type) &&
	    !ul_resolve_image(view, tag->source, &image, err))
		set_digest(tag, view->images[image].digest);
	return 0;
}

/*
 * How the new name stands in the index: as it stood there before if it did,
 * else whole, in a layout of others (who name "app:2" just that) as typed.
 */
static int name_find(struct tag *tag, const char *text, struct ul_err *err)
{
	const struct ul_record *record = &tag->view.record;
	uint32_t at;

	if (ul_record_find_name(record, "", text)) {
		snprintf(tag->name, sizeof tag->name, "%s", text);
		return 0;
	}
	/* What looks like a digest would stand in a digest's way. */
	if (!ul_reference_is_valid(text) || strchr(text, '@') ||
	    !strncmp(text, "sha256:", 7) || !strncmp(text, "sha512:", 7) ||
	    !ul_reference_normalize(text, tag->name))
		return ul_err_set(err, UL_E_INVALID,
				  "\"%s\" is no image name; one is like "
				  "\"app:2\" or \"host/team/app:2\"",
				  text);
	if (tag->cli->store->base.is_shared)
		snprintf(tag->name, sizeof tag->name, "%s", text);
	if (!ul_resolve(&tag->view, text, UL_RESOLVE_IMAGE, &at, err))
		snprintf(tag->name, sizeof tag->name, "%s",
			 record->objects[at].key);
	return 0;
}

/* Have the content in its place before the index names it. Stopped in between
 * it is as if others had let go of it. */
static int tag_fetch(struct tag *tag, struct ul_err *err)
{
	if (!tag->view.trash_count)
		return 0;
	ul_view_release(&tag->view);
	return ul_change_restore(tag->cli, false, tag->digest, &tag->view, err);
}

static const struct ul_layout_entry *
entry_find(const struct ul_layout_index *index, const struct ul_digest *digest)
{
	size_t i;

	for (i = 0; i < ul_layout_index_count(index); i++) {
		const struct ul_layout_entry *entry =
		    ul_layout_index_entry(index, i);

		if (ul_digest_equal(&entry->descriptor.digest, digest))
			return entry;
	}
	return NULL;
}

/* Entries of names that are gone are remembered whole. */
static int entries_remembered(struct tag *tag, struct ul_err *err)
{
	const struct ul_record *record = &tag->view.record;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < record->name_count; i++) {
		const struct ul_name *name = &record->names[i];

		if (!strcmp(name->digest, tag->digest) && *name->entry)
			rc = ul_layout_index_add_dumped(
			    tag->index, name->entry, strlen(name->entry), err);
	}
	return rc;
}

/* What the index says, or said, of this digest; else what the record knows. */
static int descriptor_find(struct tag *tag, struct ul_err *err)
{
	const struct ul_object *object = tag_object(tag);
	const struct ul_layout_entry *entry;
	struct ul_digest digest;
	int rc;

	if (!object || !object->is_present ||
	    !ul_digest_parse(tag->digest, &digest))
		return ul_err_set(err, UL_E_ABSENT,
				  "\"%s\" is %s, and that is not here any more",
				  tag->source, tag->digest);
	rc = ul_embedded_index_read(tag->store, &tag->index, NULL, err);
	if (!rc)
		rc = entries_remembered(tag, err);
	if (rc)
		return rc;
	entry = entry_find(tag->index, &digest);
	if (entry)
		tag->descriptor = entry->descriptor;
	else
		tag->descriptor = (struct ul_descriptor){
			.media_type = object->media_type,
			.artifact_type = *object->artifact_type
					     ? object->artifact_type
					     : NULL,
			.digest = digest,
			.size_bytes = object->length_bytes,
		};
	if (!is_manifest(tag->descriptor.media_type))
		return ul_err_set(err, UL_E_INVALID,
				  "%s is neither a manifest nor an index",
				  tag->digest);
	return 0;
}

/* With --replace: we let go of what the name stood for. */
static int tag_moved(struct tag *tag, struct ul_err *err)
{
	const struct ul_record *record = &tag->view.record;
	struct ul_store *base = &tag->store->base;
	uint32_t at = ul_record_find(record, UL_KIND_IMAGE, "", "", tag->name);
	const struct ul_object *object;
	int rc;

	if (!tag->replace || at == UL_OBJECT_NONE)
		return 0;
	object = &record->objects[at];
	if (object->is_gone || !object->ref_count ||
	    !strcmp(record->objects[record->refs[object->first_ref].target].key,
		    tag->digest))
		return 0;
	rc = ul_loss_build(&tag->view, &at, 1, &tag->loss, err);
	return rc ? rc : base->ops->release(base, &tag->view, &at, 1, err);
}

static int tag_put(struct tag *tag, struct ul_err *err)
{
	struct ul_new_name name = { .name = ul_layout_key_name(tag->name) };
	int rc = descriptor_find(tag, err);

	if (!rc)
		rc = tag_moved(tag, err);
	name.descriptor = tag->descriptor;
	if (!rc)
		rc = ul_names_put(tag->store, &name, 1, tag->replace, err);
	return rc ? rc : ul_names_used(tag->store, tag->digest, err);
}

static int tag_answer(const struct tag *tag, struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *answer = NULL;
	char name[UL_NAME_MAX_BYTES];

	if (tag->cli->json) {
		answer = ul_cli_answer("name", ul_json_string(tag->name));
		ul_json_put(&answer, "digest", json_string(tag->digest));
		ul_json_put(&answer, "released", ul_loss_json(&tag->loss));
		return ul_cli_print_json(answer, err);
	}
	ul_reference_familiar(tag->name, name);
	ul_cli_print("tagged %s (%.19s)\n", name, tag->digest);
	ul_loss_print(tag->cli, &tag->loss);
	return 0;
}

static int tag_all(struct tag *tag, const char *name, struct ul_err *err)
{
	ul_cleanup(ul_view_release) struct ul_view after = UL_VIEW_INIT;
	int rc = ul_cli_scan(tag->cli, false, &tag->view, err);

	if (!rc)
		rc = source_find(tag, err);
	if (!rc)
		rc = name_find(tag, name, err);
	if (!rc)
		rc = tag_fetch(tag, err);
	if (!rc)
		rc = tag_put(tag, err);
	if (!rc)
		rc = ul_cli_scan(tag->cli, false, &after, err);
	return rc ? rc : tag_answer(tag, err);
}

static const struct ul_option options[] = {
	{ 0, "replace", NULL, "move NAME if it stands for something else" },
	{ .name = NULL },
};

static int tag_run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *store = NULL;
	ul_cleanup(tag_release) struct tag tag = { .cli = cli,
						   .view = UL_VIEW_INIT };
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;
	int option;

	ul_args_init(&args, &ul_cmd_tag, argc, argv);
	while ((option = ul_args_next(cli, &args)) == OPTION_REPLACE)
		tag.replace = true;
	if (option != -1)
		return UL_EXIT_USAGE;
	if (args.operand_count != 2)
		return ul_cli_usage(&ul_cmd_tag, "SOURCE and NAME are needed");
	store = ul_cli_change(cli);
	if (!store)
		return UL_EXIT_FAILED;
	tag.store = store;
	tag.source = args.operands[0];
	if (tag_all(&tag, args.operands[1], &err))
		return ul_cli_fail(&err);
	return UL_EXIT_DONE;
}

const struct ul_command ul_cmd_tag = {
	.name = "tag",
	.summary = "give an image a name, or a name back",
	.synopsis = "[--replace] SOURCE NAME",
	.help = "SOURCE is a name, a digest or its beginning, an image ID, or "
		"a name that vanished: names are remembered, and what they "
		"stood for is kept for the grace period and taken out of the "
		"trash where it lies there.\n\n"
		"In a layout of others the name stands as it is typed; the "
		"embedded store has whole names.\n\n"
		"A NAME that stands for another image is moved only with "
		"--replace. What it stood for is then held by its other names "
		"alone; `ullage gc` takes what nothing holds.",
	.examples = "ullage tag app:2 app:stable\n"
		    "a second name for the same image\n"
		    "ullage tag app:1 app:1\n"
		    "bring app:1 back after another program removed it\n",
	.options = options,
	.run = tag_run,
};
