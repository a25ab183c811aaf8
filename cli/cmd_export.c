#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/resolve.h"
#include "store/embedded/store.h"
#include "store/oci/layout.h"
#include "store/transfer/export.h"
#include "store/view.h"

static const struct ul_option options[] = {
	{ 'o', "output", "FILE", "where to write; - is standard output" },
	{ .name = NULL },
};

/* The name that was meant; of an image by its digest, all it has. */
static int image_find(const struct ul_view *view, const char *text,
		      struct ul_export_image *ret, struct ul_err *err)
{
	const struct ul_object *object;
	const struct ul_view_image *image;
	struct ul_err ignored = UL_ERR_INIT;
	uint32_t position, name;
	int rc = ul_resolve_image(view, text, &position, err);

	if (rc)
		return rc;
	image = &view->images[position];
	if (!ul_digest_parse(image->digest, &ret->digest))
		return ul_err_set(err, UL_E_CORRUPT, "%s has no digest", text);
	ret->name = NULL;
	if (image->is_nameless || !image->name_count)
		return 0;
	for (name = 0; !ret->name && name < image->name_count; name++)
		ret->name = ul_layout_key_name(
		    view->record.objects[image->names[name]].key);
	if (ul_resolve(view, text, UL_RESOLVE_IMAGE, &name, &ignored))
		return 0;
	object = &view->record.objects[name];
	if (object->kind == UL_KIND_IMAGE && ul_layout_key_name(object->key))
		ret->name = ul_layout_key_name(object->key);
	return 0;
}

static int images_find(const struct ul_view *view, const struct ul_args *args,
		       struct ul_export_image **ret, struct ul_err *err)
{
	struct ul_export_image *images =
	    ul_calloc((size_t)args->operand_count, sizeof *images);
	int i, rc = 0;

	if (!images)
		return ul_err_nomem(err);
	*ret = images;
	for (i = 0; !rc && i < args->operand_count; i++)
		rc = image_find(view, args->operands[i], &images[i], err);
	return rc;
}

static bool on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct ul_progress *progress = arg;

	progress->total = total_bytes;
	return ul_progress_update(progress, done_bytes);
}

static int answer(struct ul_cli *cli, const char *path, size_t image_count,
		  const struct ul_export_result *result, struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	char bytes[UL_HUMAN_MAX];

	if (!strcmp(path, "-"))
		return 0; /* the archive is the answer */
	if (cli->json) {
		json = ul_cli_answer("file", ul_json_string(path));
		ul_json_put(&json, "images",
			    json_integer((json_int_t)image_count));
		ul_json_put(&json, "blobs",
			    json_integer((json_int_t)result->blob_count));
		ul_json_put(&json, "written_bytes",
			    json_integer((json_int_t)result->written_bytes));
		return ul_cli_print_json(json, err);
	}
	ul_cli_print("%s  %zu image%s, %zu blobs, %s\n", path, image_count,
		     image_count == 1 ? "" : "s", result->blob_count,
		     ul_human_bytes(result->written_bytes, bytes));
	return 0;
}

static int export_all(struct ul_cli *cli, const struct ul_args *args,
		      const char *path, struct ul_err *err)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	ul_cleanup(ul_freep) struct ul_export_image *images = NULL;
	struct ul_export_result result = { .blob_count = 0 };
	struct ul_export_options export = {
		.image_count = (size_t)args->operand_count,
		.progress = on_progress,
	};
	struct ul_progress progress;
	int rc = ul_cli_scan(cli, false, &view, err);

	if (!rc)
		rc = images_find(&view, args, &images, err);
	if (rc)
		return rc;
	export.images = images;
	export.arg = &progress;
	ul_progress_start(&progress, cli, "exporting", 0);
	progress.is_bytes = true;
	rc = strcmp(path, "-")
		 ? ul_export_file(cli->store, &export, path, &result, err)
		 : ul_export(cli->store, &export, STDOUT_FILENO, &result, err);
	ul_progress_end(&progress);
	if (!rc && result.absent_count)
		ul_cli_say(cli, "left out, since %s not here: %zu platform%s",
			   result.absent_count == 1 ? "it is" : "they are",
			   result.absent_count,
			   result.absent_count == 1 ? "" : "s");
	return rc ? rc : answer(cli, path, export.image_count, &result, err);
}

static int export_run(struct ul_cli *cli, int argc, char **argv)
{
	struct ul_err err = UL_ERR_INIT;
	const char *path = NULL;
	struct ul_args args;
	int option;

	ul_args_init(&args, &ul_cmd_export, argc, argv);
	while ((option = ul_args_next(cli, &args)) == 'o')
		path = args.value;
	if (option != -1)
		return UL_EXIT_USAGE;
	if (!args.operand_count)
		return ul_cli_usage(&ul_cmd_export, "which image?");
	if (!path)
		return ul_cli_usage(&ul_cmd_export,
				    "-o FILE is needed (- for a pipe)");
	if (!strcmp(path, "-") && isatty(STDOUT_FILENO))
		return ul_cli_usage(&ul_cmd_export,
				    "an archive is not for a terminal; give "
				    "a file, or a pipe");
	if (!ul_cli_store(cli))
		return UL_EXIT_FAILED;
	if (export_all(cli, &args, path, &err))
		return ul_cli_fail(&err);
	return UL_EXIT_DONE;
}

const struct ul_command ul_cmd_export = {
	.name = "export",
	.is_embedded = true,
	.summary = UL_SUMMARY_EXPORT,
	.synopsis = "NAME ... -o FILE|-",
	.help = "One OCI archive with these images, all platforms, "
		"attestations and referrers that are here, digests unchanged. "
		"`docker load`, skopeo and podman read it. The same images "
		"always give the same bytes. A file that is there is replaced "
		"when the new one is whole.",
	.examples = "ullage export app:2 -o app.tar\n"
		    "an archive of app:2\n"
		    "ullage export app:1 app:2 -o - | docker load\n"
		    "hand two images to the Docker daemon\n",
	.options = options,
	.program = "ullage-transfer",
	.run = export_run,
};
