#include "accounting/report.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/image_table.h"
#include "cli/json_out.h"
#include "cli/reports.h"
#include "cli/stores.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "gc/plan.h"
#include "store/embedded/store.h"
#include "store/view.h"

static const struct ul_option df_options[] = {
	{ 'v', "verbose", NULL,
	  "empty classes too, every image, layers kept twice" },
	{ 0, "measure", NULL, "measure everything again, and check the sum" },
	{ 0 },
};

/* What the next collection takes of the orphaned. */
static int orphans_reclaimable(const struct ul_cli *cli, struct ul_view *view,
			       struct ul_df *df, struct ul_err *err)
{
	ul_cleanup(ul_plan_release) struct ul_plan plan = UL_PLAN_INIT;
	struct ul_plan_request request = {
		.grace_s =
		    cli->grace_s >= 0 ? cli->grace_s : cli->store->base.grace_s,
	};
	ul_cleanup(ul_freep) bool *goes =
	    ul_calloc(view->record.object_count, sizeof *goes);
	size_t i;
	int rc;

	if (!goes)
		return ul_err_nomem(err);
	rc = ul_plan_build(view, &request, &plan, err);
	if (rc)
		return rc;
	for (i = 0; i < plan.collect.len; i++)
		goes[plan.collect.items[i].object] = true;
	return ul_df_take_orphans(view, goes, df, err);
}

static void add_bytes(struct ul_table *table, uint64_t bytes)
{
	char text[UL_HUMAN_MAX];

	ul_table_add(table, ul_human_bytes(bytes, text));
}

static void add_class(struct ul_table *table, const char *name,
		      const struct ul_class_row *row)
{
	ul_table_add(table, name);
	ul_table_addf(table, "%llu", (unsigned long long)row->object_count);
	add_bytes(table, row->packed_bytes);
	add_bytes(table, row->unpacked_bytes);
	add_bytes(table, row->allocated_bytes);
	add_bytes(table, row->reclaimable_bytes);
}

static struct ul_class_row df_total(const struct ul_df *df)
{
	struct ul_class_row total = { 0 };
	int which;

	for (which = 0; which < UL_CLASS_COUNT; which++) {
		total.object_count += df->rows[which].object_count;
		total.packed_bytes += df->rows[which].packed_bytes;
		total.unpacked_bytes += df->rows[which].unpacked_bytes;
		total.allocated_bytes += df->rows[which].allocated_bytes;
		total.reclaimable_bytes += df->rows[which].reclaimable_bytes;
	}
	return total;
}

static bool print_classes(const struct ul_df *df, bool verbose)
{
	static const struct ul_column columns[] = {
		{ .heading = "CLASS" },
		{ .heading = "OBJECTS", .is_right = true, .leave = 1 },
		{ .heading = "PACKED", .is_right = true, .leave = 3 },
		{ .heading = "UNPACKED", .is_right = true, .leave = 2 },
		{ .heading = "ON DISK", .is_right = true },
		{ .heading = "RECLAIMABLE", .is_right = true },
	};
	ul_cleanup(ul_table_release) struct ul_table table;
	struct ul_class_row total = df_total(df);
	int which;

	ul_table_init(&table, columns, ul_array_len(columns));
	for (which = 0; which < UL_CLASS_COUNT; which++) {
		if (verbose || df->rows[which].object_count)
			add_class(&table, ul_class_name(which),
				  &df->rows[which]);
	}
	add_class(&table, "total", &total);
	return ul_table_print(&table, ul_terminal()->out);
}

static void print_residual(struct ul_cli *cli, const struct ul_view *view,
			   const struct ul_df *df)
{
	char text[UL_HUMAN_MAX], when[UL_HUMAN_MAX];

	if (!df->residual_as_of_unix_s)
		return;
	ul_cli_print(
	    "\nChecked %s by a walk that knows nothing of classes: %s.\n",
	    ul_human_when(df->residual_as_of_unix_s, view->as_of_unix_s, when),
	    df->residual_bytes ? ul_human_signed(df->residual_bytes, text)
			       : "no difference");
	if (df->residual_bytes)
		ul_cli_print("That is beyond the sum: a change under way, or a "
			     "fault of ullage's; see `%s df --measure`.\n",
			     ul_cli_us(cli));
}

static void print_holders(const struct ul_view *view,
			  const struct ul_duplicate_blob *blob)
{
	const struct ul_object *object = &view->record.objects[blob->object];
	size_t i;

	ul_cli_print("    %.19s  %s\n", object->key, object->media_type);
	for (i = 0; i < blob->image_count; i++) {
		const struct ul_view_image *image =
		    &view->images[blob->images[i]];

		ul_cli_print("      %s\n",
			     image->name_count
				 ? view->record.objects[image->names[0]].key
				 : image->digest);
	}
}

static void print_duplicates(const struct ul_view *view, const struct ul_df *df)
{
	char text[UL_HUMAN_MAX];
	size_t i, b;

	if (!df->duplicate_count)
		return;
	ul_cli_print(
	    "\nLayers kept in more than one packed form: %s beyond the "
	    "smallest of each.\n",
	    ul_human_bytes(df->duplicate_layer_bytes, text));
	for (i = 0; i < df->duplicate_count; i++) {
		const struct ul_duplicate *duplicate = &df->duplicates[i];

		ul_cli_print("  layer %.19s  %s more\n", duplicate->diff_id,
			     ul_human_bytes(duplicate->extra_bytes, text));
		for (b = 0; b < duplicate->blob_count; b++)
			print_holders(view, &duplicate->blobs[b]);
	}
}

static int print_df(struct ul_cli *cli, const struct ul_view *view,
		    const struct ul_df *df, const struct ul_image_rows *rows,
		    bool verbose)
{
	char total[UL_HUMAN_MAX], free_text[UL_HUMAN_MAX];

	ul_cli_print("Store %s (%s)\non a file system of %s with %s free\n\n",
		     view->store_path, view->store_kind,
		     ul_human_bytes(view->total_bytes, total),
		     ul_human_bytes(view->available_bytes, free_text));
	if (!print_classes(df, verbose))
		return UL_EXIT_FAILED;
	print_residual(cli, view, df);
	if (verbose) {
		putc('\n', ul_terminal()->out);
		if (!ul_images_print(view, rows, UL_SORT_UNIQUE))
			return UL_EXIT_FAILED;
		print_duplicates(view, df);
	} else if (df->duplicate_layer_bytes) {
		ul_cli_print("%s are layers kept in another packed form too "
			     "(`%s df -v`).\n",
			     ul_human_bytes(df->duplicate_layer_bytes, total),
			     ul_cli_us(cli));
	}
	ul_cli_notes(cli, view);
	return UL_EXIT_DONE;
}

struct df_options {
	bool verbose, measure;
};

/* No store takes no bytes; that there is none was said. */
static int df_absent(const struct ul_cli *cli, const struct ul_view *view,
		     json_t **ret_answer)
{
	if (cli->json)
		*ret_answer =
		    json_pack("{s:i, s:I, s:[]}", "version", 1, "as_of_unix_s",
			      (json_int_t)view->as_of_unix_s, "stores");
	return UL_EXIT_DONE;
}

static int df_report(struct ul_cli *cli, struct ul_view *view, bool verbose,
		     json_t **ret_answer)
{
	ul_cleanup(ul_df_release) struct ul_df df = UL_DF_INIT;
	ul_cleanup(ul_image_rows_release) struct ul_image_rows rows =
	    UL_IMAGE_ROWS_INIT;
	struct ul_err err = UL_ERR_INIT;
	int rc;

	if (ul_df_build(view, &df, &err) ||
	    orphans_reclaimable(cli, view, &df, &err))
		return ul_cli_fail(&err);
	rc = ul_report_images(cli, view, &rows);
	if (rc)
		return rc;
	if (!cli->json)
		return print_df(cli, view, &df, &rows, verbose);
	*ret_answer = ul_json_df(view, &df);
	return UL_EXIT_DONE;
}

static int df_one(struct ul_cli *cli, void *arg, json_t **ret_answer)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	const struct df_options *options = arg;
	int rc = ul_report_scan(cli, options->measure, &view);

	if (rc)
		return rc;
	return cli->store->is_absent
		   ? df_absent(cli, &view, ret_answer)
		   : df_report(cli, &view, options->verbose, ret_answer);
}

static int df_run(struct ul_cli *cli, int argc, char **argv)
{
	struct df_options options = { .verbose = false };
	struct ul_args args;
	int option;

	ul_args_init(&args, &ul_cmd_df, argc, argv);
	while ((option = ul_args_next(cli, &args)) >= 0) {
		options.verbose = options.verbose || option == 'v';
		options.measure = options.measure || option == 256 + 1;
	}
	if (option == -2)
		return UL_EXIT_USAGE;
	if (args.operand_count)
		return ul_cli_usage(&ul_cmd_df, "it takes no arguments");
	return ul_cli_each_store(cli, df_one, &options);
}

const struct ul_command ul_cmd_df = {
	.name = "df",
	.summary = "where the disk went",
	.synopsis = "[-v] [--measure]",
	.help = "Every byte on disk below the store is in exactly one class; "
		"the classes add up to\nwhat `du -sx` says.\n\n"
		"PACKED are lengths of blobs (compressed layers, manifests), "
		"UNPACKED is what\nunpacked layers take, ON DISK is what is "
		"allocated, everything in it counted\nonce. RECLAIMABLE is "
		"what would come back: of unused images by `ullage prune -a`,"
		"\nof the rest by `ullage gc`.",
	.examples = "ullage df\n"
		    "where the bytes of every store are\n"
		    "ullage df --json | jq '.stores[].classes[]'\n"
		    "the same for a script\n",
	.options = df_options,
	.run = df_run,
};
