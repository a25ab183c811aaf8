#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/change.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/unpacking.h"
#include "store/embedded/store.h"
#include "store/oci/reference.h"
#include "store/transfer/import.h"
#include "store/view.h"

enum { OPT_NAME = 256, OPT_REPLACE, OPT_UNPACK, OPT_VERIFY };

static const struct ul_option options[] = {
	{ 0, "name", "NAME", "name for an image that has none" },
	{ 0, "replace", NULL, "let names move that stand for another image" },
	{ 0, "unpack", NULL, "unpack the layers into snapshots as well" },
	{ 0, "verify", NULL, "hash the blobs that are there already, too" },
	{ .name = NULL },
};

/* The length of what will be read, where it is known. */
static uint64_t source_bytes(const char *path)
{
	struct stat st;
	int rc = strcmp(path, "-") ? stat(path, &st) : fstat(0, &st);

	return !rc && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

static bool on_progress(void *arg, uint64_t done_bytes)
{
	return ul_progress_update(arg, done_bytes);
}

static int take_in(struct ul_cli *cli, struct ul_embedded *store,
		   struct ul_import_options *import,
		   struct ul_import_report *ret_report, struct ul_err *err)
{
	struct ul_progress progress;
	int rc;

	ul_progress_start(&progress, cli, "importing",
			  source_bytes(import->path));
	progress.is_bytes = true;
	import->progress = on_progress;
	import->arg = &progress;
	rc = ul_import(store, import, ret_report, err);
	ul_progress_end(&progress);
	return rc;
}

/* Layers that were unpacked before and lie in the trash come back. */
static int restore(struct ul_cli *cli, struct ul_err *err)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *locked = NULL;
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	int rc = ul_embedded_lock(cli->store, err);

	if (rc)
		return rc;
	locked = cli->store;
	return ul_change_restore(cli, false, NULL, &view, err);
}

/* The record knows from now on what was unpacked. */
static int record(struct ul_cli *cli, struct ul_err *err)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;

	return ul_cli_scan(cli, false, &view, err);
}

static json_t *image_json(const struct ul_imported *image)
{
	char digest[UL_DIGEST_TEXT_MAX];
	json_t *json = json_object();

	ul_digest_format(&image->digest, digest);
	ul_json_put(&json, "name", ul_json_string(image->name));
	ul_json_put(&json, "digest", json_string(digest));
	ul_json_put(&json, "new_blobs",
		    json_integer((json_int_t)image->new_blobs));
	ul_json_put(&json, "reused_blobs",
		    json_integer((json_int_t)image->reused_blobs));
	ul_json_put(&json, "written_bytes",
		    json_integer((json_int_t)image->written_bytes));
	return json;
}

static int answer_json(const struct ul_import_report *report,
		       const struct ul_unpack_result *unpacked,
		       struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *answer =
	    ul_cli_answer("images", json_array());
	size_t i;

	for (i = 0; i < report->image_count; i++) {
		json_t *image = image_json(&report->images[i]);

		if (unpacked)
			ul_json_put(&image, "unpacked",
				    ul_unpacked_json(&unpacked[i]));
		ul_json_push(&answer, "images", image);
	}
	return ul_cli_print_json(answer, err);
}

static void answer_text(const struct ul_import_report *report)
{
	char digest[UL_DIGEST_TEXT_MAX], bytes[UL_HUMAN_MAX];
	int width = 0;
	size_t i;

	for (i = 0; i < report->image_count; i++) {
		int len = (int)strlen(report->images[i].name);

		width = len > width && len <= 40 ? len : width;
	}
	for (i = 0; i < report->image_count; i++) {
		const struct ul_imported *image = &report->images[i];

		ul_digest_format(&image->digest, digest);
		ul_cli_print("%-*s  %.19s  %zu new blob%s, %zu reused, %s\n",
			     width, image->name, digest, image->new_blobs,
			     image->new_blobs == 1 ? "" : "s",
			     image->reused_blobs,
			     ul_human_bytes(image->written_bytes, bytes));
	}
}

static void unpacked_text(const struct ul_cli *cli,
			  const struct ul_import_report *report,
			  const struct ul_unpack_result *unpacked)
{
	size_t i, new_layers = 0, reused_layers = 0;

	for (i = 0; i < report->image_count; i++) {
		new_layers += unpacked[i].new_layers;
		reused_layers += unpacked[i].reused_layers;
		if (!unpacked[i].platform_count)
			ul_cli_say(cli,
				   "%s has nothing to unpack: it is no image "
				   "(a build cache or another artifact)",
				   report->images[i].name);
	}
	if (!cli->json)
		ul_cli_print("%zu layer%s unpacked, %zu there already\n",
			     new_layers, new_layers == 1 ? "" : "s",
			     reused_layers);
}

static int unpack_all(struct ul_cli *cli, const struct ul_import_report *report,
		      struct ul_unpack_result **ret, struct ul_err *err)
{
	struct ul_unpack_result *unpacked =
	    ul_calloc(report->image_count + 1, sizeof *unpacked);
	size_t i;
	int rc = 0;

	if (!unpacked)
		return ul_err_nomem(err);
	*ret = unpacked;
	for (i = 0; !rc && i < report->image_count; i++)
		rc = ul_unpacking_run(cli, &report->images[i].digest,
				      report->images[i].name, NULL,
				      &unpacked[i], err);
	if (!rc)
		unpacked_text(cli, report, unpacked);
	return rc;
}

static int import_all(struct ul_cli *cli, struct ul_embedded *store,
		      struct ul_import_options *import, bool is_unpacking,
		      struct ul_err *err)
{
	ul_cleanup(ul_import_report_release) struct ul_import_report report =
	    UL_IMPORT_REPORT_INIT;
	ul_cleanup(ul_freep) struct ul_unpack_result *unpacked = NULL;
	size_t i;
	int rc = take_in(cli, store, import, &report, err);

	if (rc)
		return rc;
	for (i = 0; i < report.note_count; i++)
		ul_cli_say(cli, "%s", report.notes[i]);
	if (!cli->json)
		answer_text(&report);
	rc = restore(cli, err);
	if (!rc && is_unpacking)
		rc = unpack_all(cli, &report, &unpacked, err);
	if (!rc && is_unpacking)
		rc = record(cli, err);
	if (!rc && cli->json)
		rc = answer_json(&report, unpacked, err);
	return rc;
}

static int import_run(struct ul_cli *cli, int argc, char **argv)
{
	struct ul_import_options import = { .path = NULL };
	struct ul_err err = UL_ERR_INIT;
	struct ul_embedded *store;
	bool is_unpacking = false;
	struct ul_args args;
	int option;

	ul_args_init(&args, &ul_cmd_import, argc, argv);
	while ((option = ul_args_next(cli, &args)) >= 0) {
		if (option == OPT_NAME)
			import.name = args.value;
		else if (option == OPT_REPLACE)
			import.is_replacing = true;
		else if (option == OPT_UNPACK)
			is_unpacking = true;
		else
			import.is_verifying = true;
	}
	if (option == -2)
		return UL_EXIT_USAGE;
	if (args.operand_count != 1)
		return ul_cli_usage(&ul_cmd_import,
				    "FILE, DIR or - is needed, and one only");
	if (import.name &&
	    (!ul_reference_is_valid(import.name) || strchr(import.name, '@') ||
	     !strncmp(import.name, "sha256:", 7) ||
	     !strncmp(import.name, "sha512:", 7)))
		return ul_cli_usage(&ul_cmd_import,
				    "\"%s\" is no image name; one is like "
				    "\"app:2\" or \"host/team/app:2\"",
				    import.name);
	import.path = args.operands[0];
	cli->makes_store = true;
	store = ul_cli_store(cli);
	if (!store)
		return UL_EXIT_FAILED;
	if (import_all(cli, store, &import, is_unpacking, &err))
		return ul_cli_fail(&err);
	return UL_EXIT_DONE;
}

const struct ul_command ul_cmd_import = {
	.name = "import",
	.is_embedded = true,
	.summary = UL_SUMMARY_IMPORT,
	.synopsis = "FILE|DIR|- [--name NAME] [--replace] [--unpack] "
		    "[--verify]",
	.help = "Takes in what `docker save`, `docker buildx build -o`, "
		"skopeo, podman and others write: archives of Docker's old "
		"and new form and OCI archives, plain or packed with gzip or "
		"zstd, and directories that are an OCI layout. - reads an "
		"archive from standard input.\n\n"
		"Every digest and length is verified. All images of a file "
		"become visible together, or none. Blobs that are there "
		"already are not written again.\n\n"
		"Images keep the names that the file gives them: "
		"io.containerd.image.name, else RepoTags, else "
		"FILE:ref.name, where FILE is the file's name without .tar "
		"and the like. An image without any is called NAME (--name), "
		"else FILE; further ones NAME-2, NAME-3 and so on. A name "
		"that stands for another image is moved only with --replace.",
	.examples = "docker save app:2 | ullage import -\n"
		    "take in an image of the Docker daemon\n"
		    "ullage import app.tar.zst --unpack\n"
		    "take in an archive, and unpack its layers\n"
		    "ullage import build-output --name app:dev --replace\n"
		    "a layout that BuildKit wrote, under the name app:dev\n",
	.options = options,
	.program = "ullage-transfer",
	.run = import_run,
};
