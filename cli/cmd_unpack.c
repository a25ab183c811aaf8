#include "base/mem.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/resolve.h"
#include "cli/unpacking.h"
#include "store/view.h"

enum { OPT_PLATFORM = 256 };

static const struct ul_option options[] = {
	{ 0, "platform", "OS/ARCH", "that platform alone (linux/arm64)" },
	{ .name = NULL },
};

static int answer(struct ul_cli *cli, const char *name, const char *digest,
		  const struct ul_unpack_result *unpacked, struct ul_err *err)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;

	if (cli->json) {
		json = ul_cli_answer("name", ul_json_string(name));
		ul_json_put(&json, "digest", json_string(digest));
		ul_json_put(&json, "unpacked", ul_unpacked_json(unpacked));
		return ul_cli_print_json(json, err);
	}
	ul_cli_print("%s  %zu platform%s, %zu new layer%s, %zu there already\n",
		     name, unpacked->platform_count,
		     unpacked->platform_count == 1 ? "" : "s",
		     unpacked->new_layers, unpacked->new_layers == 1 ? "" : "s",
		     unpacked->reused_layers);
	return 0;
}

static int unpack_one(struct ul_cli *cli, const struct ul_view *view,
		      const char *name, const char *platform,
		      struct ul_err *err)
{
	struct ul_unpack_result unpacked;
	struct ul_digest digest;
	uint32_t image;
	int rc = ul_resolve_image(view, name, &image, err);

	if (rc)
		return rc;
	if (!ul_digest_parse(view->images[image].digest, &digest))
		return ul_err_set(err, UL_E_CORRUPT, "%s has no digest", name);
	rc = ul_unpacking_run(cli, &digest, name, platform, &unpacked, err);
	if (!rc && !unpacked.platform_count)
		return ul_err_set(err, UL_E_UNSUPPORTED,
				  "%s has nothing to unpack: it is no image (a "
				  "build cache or another artifact)",
				  name);
	return rc ? rc
		  : answer(cli, name, view->images[image].digest, &unpacked,
			   err);
}

static int unpack_all(struct ul_cli *cli, const struct ul_args *args,
		      const char *platform, struct ul_err *err)
{
	ul_cleanup(ul_view_release) struct ul_view before = UL_VIEW_INIT;
	ul_cleanup(ul_view_release) struct ul_view after = UL_VIEW_INIT;
	int i, rc = ul_cli_scan(cli, false, &before, err);

	for (i = 0; !rc && i < args->operand_count; i++)
		rc = unpack_one(cli, &before, args->operands[i], platform, err);
	/* The record knows from now on what was unpacked. */
	return rc ? rc : ul_cli_scan(cli, false, &after, err);
}

static int unpack_run(struct ul_cli *cli, int argc, char **argv)
{
	struct ul_err err = UL_ERR_INIT;
	const char *platform = NULL;
	struct ul_args args;
	int option;

	ul_args_init(&args, &ul_cmd_unpack, argc, argv);
	while ((option = ul_args_next(cli, &args)) == OPT_PLATFORM)
		platform = args.value;
	if (option != -1)
		return UL_EXIT_USAGE;
	if (!args.operand_count)
		return ul_cli_usage(&ul_cmd_unpack, "which image?");
	if (!ul_cli_store(cli))
		return UL_EXIT_FAILED;
	if (unpack_all(cli, &args, platform, &err))
		return ul_cli_fail(&err);
	return UL_EXIT_DONE;
}

const struct ul_command ul_cmd_unpack = {
	.name = "unpack",
	.is_embedded = true,
	.summary = UL_SUMMARY_UNPACK,
	.synopsis = "[--platform OS/ARCH] NAME ...",
	.help = "Each layer becomes a snapshot under its chain ID, in "
		"overlayfs form, so that images on one base share it. Layers "
		"that have one are skipped. All platforms are unpacked, unless "
		"--platform names one; attestations, artifacts and build "
		"caches are not.\n\n"
		"Without root, owners, devices and some extended attributes "
		"cannot be applied; what was left out is said.",
	.examples = "ullage unpack app:2\n"
		    "every platform of app:2\n"
		    "ullage unpack --platform linux/arm64 app:2\n"
		    "that one alone\n",
	.options = options,
	.program = "ullage-transfer",
	.run = unpack_run,
};
