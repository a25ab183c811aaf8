#include "cli/reports.h"

#include <string.h>

#include "accounting/record.h"
#include "accounting/report.h"
#include "cli/cli.h"
#include "store/embedded/store.h"
#include "store/limits.h"
#include "store/view.h"

static bool is_wanted_back(const struct ul_view *view)
{
	size_t i;

	for (i = 0; i < view->trash_count; i++) {
		if (view->trash[i].is_wanted)
			return true;
	}
	return false;
}

/*
 * What the trash holds though something needs it again (another program has
 * put a name back) goes back before it is reported on, or the report would say
 * other bytes than the collection that puts it back first. Where we may not,
 * or somebody else is changing the store now, the report is of what is there.
 */
static size_t report_restore(struct ul_cli *cli, const struct ul_view *view)
{
	struct ul_embedded *store = cli->store;
	int wait_ms = store->lock_wait_ms;
	struct ul_err ignored = UL_ERR_INIT;
	size_t count = 0;
	int rc;

	if (cli->as_of_unix_s || !store->is_writable || view->refusal ||
	    !is_wanted_back(view))
		return 0;
	store->lock_wait_ms = 0;
	rc = ul_embedded_lock(store, &ignored);
	store->lock_wait_ms = wait_ms;
	if (rc)
		return 0;
	(void)store->base.ops->restore(&store->base, view, &count, &ignored);
	ul_embedded_unlock(store);
	return count;
}

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
	int rc, turns;

	if (!store)
		return UL_EXIT_FAILED;
	ul_progress_start(&progress, cli, "measuring", 0);
	rc = store->base.ops->scan(&store->base, &options, ret_view, &err);
	/* A manifest that is back may need more of what lies there. */
	for (turns = 0; !rc && turns < UL_INDEX_MAX_NESTING &&
			report_restore(cli, ret_view);
	     turns++) {
		ul_view_release(ret_view);
		rc = store->base.ops->scan(&store->base, &options, ret_view,
					   &err);
	}
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

	/* What is the reason for refusing as well is said as that alone. */
	for (i = 0; i < view->note_count; i++) {
		if (!view->refusal || strcmp(view->notes[i], view->refusal))
			ul_cli_say(cli, "note: %s", view->notes[i]);
	}
	if (view->refusal)
		ul_cli_say(cli, "nothing can be collected: %s", view->refusal);
	if (view->waiting)
		ul_cli_say(cli, "nothing can be collected: %s", view->waiting);
}
