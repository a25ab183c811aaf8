#include "accounting/report.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/image_table.h"
#include "cli/json_out.h"
#include "cli/reports.h"
#include "cli/stores.h"
#include "store/view.h"

static const struct ul_option images_options[] = {
	{ 's', "sort", "BY",
	  "name, unique, shared, packed, unpacked, allocated, created, used" },
	{ 0 },
};

static int images_json(const struct ul_view *view, const struct ul_df *df,
		       const struct ul_image_rows *rows, enum ul_sort sort,
		       json_t **ret_answer)
{
	ul_cleanup(ul_freep) uint32_t *order =
	    ul_malloc(rows->len * sizeof *order);
	struct ul_err err = UL_ERR_INIT;

	if (!order) {
		ul_err_nomem(&err);
		return ul_cli_fail(&err);
	}
	ul_sort_rows(view, rows, sort, order);
	*ret_answer = ul_json_images(view, df, rows, order);
	return UL_EXIT_DONE;
}

static void print_duplicates(struct ul_cli *cli, const struct ul_df *df)
{
	char text[UL_HUMAN_MAX];

	if (df->duplicate_layer_bytes)
		ul_cli_print("\n%s are layers kept in another packed form too "
			     "(`%s df -v`).\n",
			     ul_human_bytes(df->duplicate_layer_bytes, text),
			     ul_cli_us(cli));
}

static int images_answer(struct ul_cli *cli, const struct ul_view *view,
			 enum ul_sort sort, json_t **ret_answer)
{
	ul_cleanup(ul_image_rows_release) struct ul_image_rows rows =
	    UL_IMAGE_ROWS_INIT;
	ul_cleanup(ul_df_release) struct ul_df df = UL_DF_INIT;
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_report_images(cli, view, &rows);

	if (rc)
		return rc;
	if (ul_df_build(view, &df, &err))
		return ul_cli_fail(&err);
	if (cli->json)
		return images_json(view, &df, &rows, sort, ret_answer);
	if (cli->store_count > 1)
		ul_cli_print("Store %s\n", view->store_name);
	if (!ul_images_print(view, &rows, sort))
		return UL_EXIT_FAILED;
	print_duplicates(cli, &df);
	ul_cli_notes(cli, view);
	return UL_EXIT_DONE;
}

/* --quiet: names alone, one a line, for scripts and completion. */
static void images_names(const struct ul_view *view)
{
	size_t i, n;

	for (i = 0; i < view->image_count; i++) {
		const struct ul_view_image *image = &view->images[i];

		for (n = 0; n < image->name_count; n++)
			ul_cli_print("%s\n",
				     view->record.objects[image->names[n]].key);
	}
}

static int images_one(struct ul_cli *cli, void *arg, json_t **ret_answer)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	const enum ul_sort *sort = arg;
	int rc = ul_report_scan(cli, false, &view);

	if (rc)
		return rc;
	if (cli->quiet && !cli->json) {
		images_names(&view);
		return UL_EXIT_DONE;
	}
	return images_answer(cli, &view, *sort, ret_answer);
}

static int images_run(struct ul_cli *cli, int argc, char **argv)
{
	enum ul_sort sort = UL_SORT_NAME;
	struct ul_args args;
	int option;

	ul_args_init(&args, &ul_cmd_images, argc, argv);
	while ((option = ul_args_next(cli, &args)) >= 0) {
		sort = ul_sort_parse(args.value);
		if (sort == UL_SORT_COUNT)
			return ul_cli_usage(&ul_cmd_images,
					    "cannot sort by \"%s\"",
					    args.value);
	}
	if (option == -2)
		return UL_EXIT_USAGE;
	if (args.operand_count)
		return ul_cli_usage(&ul_cmd_images, "it takes no arguments");
	return ul_cli_each_store(cli, images_one, &sort);
}

const struct ul_command ul_cmd_images = {
	.name = "images",
	.summary = "what each image takes, shares and alone keeps",
	.synopsis = "[--sort BY]",
	.help = "One row an image. PACKED are the lengths of its blobs, "
		"UNPACKED is what its unpacked\nlayers take. UNIQUE is what "
		"would come back to the byte if this image alone were\n"
		"removed, SHARED what others keep. USES counts containers "
		"(leases that hold a\nsnapshot on it). With --quiet: names "
		"alone.",
	.examples = "ullage images --sort unique\n"
		    "first what would give back most\n"
		    "ullage images --json | jq -r '.images[] | [.unique_bytes, "
		    ".names[0]] | @tsv'\n"
		    "bytes and names for a script\n",
	.options = images_options,
	.run = images_run,
};
