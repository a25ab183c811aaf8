#include "cli/reports.h"

#include "accounting/record.h"
#include "accounting/report.h"
#include "cli/cli.h"
#include "store/embedded/store.h"
#include "store/view.h"

static int report_scan(struct ul_cli *cli, bool measure, bool for_plan,
		       struct ul_view *ret_view)
{
	struct ul_embedded *store = ul_cli_store(cli);
	struct ul_err err = UL_ERR_INIT;
	struct ul_progress progress;
	struct ul_scan_options options = {
		.as_of_unix_s = ul_cli_now(cli),
		.is_as_of = cli->as_of_unix_s != 0,
		.measure_all = measure,
		.for_plan = for_plan,
		.progress = ul_progress_walk,
		.arg = &progress,
	};
	int rc;

	if (!store)
		return UL_EXIT_FAILED;
	ul_progress_start(&progress, cli, "measuring", 0);
	rc = store->base.ops->scan(&store->base, &options, ret_view, &err);
	ul_progress_end(&progress);
	return rc ? ul_cli_fail(&err) : UL_EXIT_DONE;
}

int ul_report_scan(struct ul_cli *cli, bool measure, struct ul_view *ret_view)
{
	return report_scan(cli, measure, false, ret_view);
}

int ul_report_scan_for_plan(struct ul_cli *cli, struct ul_view *ret_view)
{
	return report_scan(cli, false, true, ret_view);
}

int ul_report_images(struct ul_cli *cli, const struct ul_view *view,
		     struct ul_image_rows *ret_rows)
{
	struct ul_err err = UL_ERR_INIT;

	if (ul_image_rows_build(view, ret_rows, &err))
		return ul_cli_fail(&err);
	/* The answer is right though the record of it may fail (disk full). */
	if (!cli->as_of_unix_s &&
	    ul_image_rows_record(cli->store->db, view, ret_rows, &err))
		ul_cli_say(cli, "note: %s", err.msg);
	return UL_EXIT_DONE;
}

void ul_cli_notes(const struct ul_cli *cli, const struct ul_view *view)
{
	size_t i;

	for (i = 0; i < view->note_count; i++)
		ul_cli_say(cli, "note: %s", view->notes[i]);
	if (view->refusal)
		ul_cli_say(cli, "nothing can be collected: %s", view->refusal);
	if (view->waiting)
		ul_cli_say(cli, "nothing can be collected: %s", view->waiting);
}
