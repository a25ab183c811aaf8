#include "cli/collect.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/json_out.h"
#include "cli/plan_file.h"
#include "cli/reports.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "gc/run.h"
#include "store/embedded/store.h"

enum { NAMES_SHOWN = 12 };

struct collecting {
	struct ul_cli *cli;
	const struct ul_collect *collect;
	struct ul_plan saved; /* of --plan */
	struct ul_plan_request request;
};

static void print_removed(const struct ul_plan *plan)
{
	size_t i;

	if (!plan->remove.len)
		return;
	ul_cli_print("To be removed:\n");
	for (i = 0; i < plan->remove.len && i < NAMES_SHOWN; i++)
		ul_cli_print("  %s  (%s)\n", plan->remove.items[i].key,
			     plan->remove.items[i].reason);
	if (i < plan->remove.len)
		ul_cli_print("  ... and %zu more\n", plan->remove.len - i);
}

static void print_kinds(const struct ul_plan *plan)
{
	static const struct ul_column columns[] = {
		{ .heading = "WHAT" },
		{ .heading = "OBJECTS", .is_right = true },
		{ .heading = "ON DISK", .is_right = true },
	};
	ul_cleanup(ul_table_release) struct ul_table table;
	int kind;

	ul_table_init(&table, columns, ul_array_len(columns));
	for (kind = 0; kind < UL_KIND_COUNT; kind++) {
		uint64_t bytes = 0;
		char text[UL_HUMAN_MAX];
		size_t i, count = 0;

		for (i = 0; i < plan->collect.len; i++) {
			if (plan->collect.items[i].kind != kind)
				continue;
			bytes += plan->collect.items[i].allocated_bytes;
			count++;
		}
		if (!count)
			continue;
		ul_table_addf(&table, "%s%s", ul_kind_name(kind),
			      count == 1 ? "" : "s");
		ul_table_addf(&table, "%zu", count);
		ul_table_add(&table, ul_human_bytes(bytes, text));
	}
	if (table.cell_count)
		ul_table_print(&table, ul_terminal()->out);
}

static void print_declined(const struct ul_plan *plan)
{
	struct ul_digest digest;
	size_t i;

	if (!plan->declined.len)
		return;
	ul_cli_print("Left:\n");
	for (i = 0; i < plan->declined.len && i < NAMES_SHOWN; i++)
		ul_cli_print(
		    "  %s %.*s  (%s)\n",
		    ul_kind_name(plan->declined.items[i].kind),
		    ul_digest_parse(plan->declined.items[i].key, &digest) ? 19
									  : 200,
		    plan->declined.items[i].key,
		    plan->declined.items[i].reason);
	if (i < plan->declined.len)
		ul_cli_print("  ... and %zu more\n", plan->declined.len - i);
}

static void print_plan(const struct ul_plan *plan)
{
	char text[UL_HUMAN_MAX], waits[UL_HUMAN_MAX];
	uint64_t later_bytes = plan->freed_bytes - plan->now_bytes;

	print_removed(plan);
	if (!plan->remove.len && !plan->collect.len)
		ul_cli_print("Nothing to collect.\n");
	else
		print_kinds(plan);
	print_declined(plan);
	if (!plan->collect.len)
		return;
	ul_cli_print("Gives back %s (%" PRIu64 " bytes)",
		     ul_human_bytes(plan->freed_bytes, text),
		     plan->freed_bytes);
	if (later_bytes == plan->freed_bytes)
		ul_cli_print(", once the trash's grace period is over");
	else if (later_bytes)
		ul_cli_print(", %s of it once the trash's grace period is over",
			     ul_human_bytes(later_bytes, waits));
	ul_cli_print(".\n");
}

/*
 * Plan and ask without the lock: whoever thinks for long holds up nobody. What
 * was agreed to is then carried out as a saved plan is. Where there is nothing
 * to agree to the plan is empty, so that nothing else is done instead.
 */
static int agree(struct collecting *collecting, struct ul_view *view,
		 struct ul_plan *plan)
{
	struct ul_err err = UL_ERR_INIT;
	char text[UL_HUMAN_MAX];
	int answer, rc = ul_report_scan_for_plan(collecting->cli, view);

	if (rc || view->refusal || view->waiting)
		return rc;
	if (ul_plan_build(view, &collecting->request, plan, &err))
		return ul_cli_fail(&err);
	if (!plan->remove.len && !plan->collect.len)
		return UL_EXIT_DONE;
	if (!collecting->cli->json)
		print_plan(plan);
	answer = ul_cli_ask(plan->now_bytes == plan->freed_bytes
				? "Remove %zu name%s and give back %s?"
				: "Remove %zu name%s and move %s to the trash?",
			    plan->remove.len, plan->remove.len == 1 ? "" : "s",
			    ul_human_bytes(plan->freed_bytes, text));
	if (answer > 0)
		return UL_EXIT_DONE;
	return answer < 0 ? UL_EXIT_USAGE : UL_EXIT_FAILED;
}

/* The lock opens a database that a full disk has kept from us, or says why
 * nothing can be changed: before a question, not after it. */
static int writable_check(struct ul_embedded *store)
{
	struct ul_err err = UL_ERR_INIT;

	if (store->is_writable)
		return UL_EXIT_DONE;
	if (ul_embedded_lock(store, &err))
		return ul_cli_fail(&err);
	ul_embedded_unlock(store);
	return UL_EXIT_DONE;
}

static void print_ways_back(struct ul_cli *cli, const struct ul_run *run)
{
	const char *exclusive =
	    cli->store->base.is_shared ? " --exclusive" : "";

	const char *us = ul_cli_us(cli);

	ul_cli_print("`%s undo %" PRId64 "` brings it back,", us, run->run);
	ul_cli_print(strcmp(us, "ullage") ? "\n" : " ");
	ul_cli_print("`%s gc --now%s` gives it back", us, exclusive);
}

/* "Run 4: removed 2 names, gave back 1.5 MB (...), moved 3 kB to the trash." */
static void print_done(struct ul_cli *cli, const struct ul_run *run)
{
	char text[UL_HUMAN_MAX];
	const char *comma = "";

	ul_cli_print("Run %" PRId64 ": ", run->run);
	if (run->removed) {
		ul_cli_print("removed %" PRIu64 " name%s", run->removed,
			     run->removed == 1 ? "" : "s");
		comma = ", ";
	}
	if (run->freed_bytes || !run->trashed_bytes) {
		ul_cli_print("%sgave back %s (%" PRIu64 " bytes)", comma,
			     ul_human_bytes(run->freed_bytes, text),
			     run->freed_bytes);
		comma = ", ";
	}
	if (run->trashed_bytes) {
		ul_cli_print("%smoved %s to the trash.\n", comma,
			     ul_human_bytes(run->trashed_bytes, text));
		print_ways_back(cli, run);
	}
	ul_cli_print(".\n");
}

static void print_in_place(const struct ul_run *run)
{
	char text[UL_HUMAN_MAX];

	ul_cli_print("The disk was full: %s (%" PRIu64 " bytes) that nothing "
		     "needs were deleted where they lay.\n",
		     ul_human_bytes(run->in_place_bytes, text),
		     run->in_place_bytes);
}

static void print_run(struct ul_cli *cli, const struct ul_run *run)
{
	if (run->in_place_bytes)
		print_in_place(run);
	if (run->run)
		print_done(cli, run);
	else if (run->stopped.code)
		ul_cli_print("Nothing else was done.\n");
	else
		ul_cli_print(run->view.waiting ? "Nothing was collected.\n"
					       : "Nothing to collect.\n");
	print_declined(&run->plan);
}

static int collect_dry(struct collecting *collecting)
{
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	ul_cleanup(ul_plan_release) struct ul_plan plan = UL_PLAN_INIT;
	const struct ul_collect *collect = collecting->collect;
	struct ul_err err = UL_ERR_INIT;
	int rc = ul_report_scan_for_plan(collecting->cli, &view);

	if (rc)
		return rc;
	if (view.refusal) {
		ul_cli_notes(collecting->cli, &view);
		return UL_EXIT_FAILED;
	}
	/* As the real run would: no plan until the clock has caught up. */
	if (view.waiting) {
		ul_cli_say(collecting->cli, "%s", view.waiting);
		return UL_EXIT_LEFT;
	}
	if (ul_plan_build(&view, &collecting->request, &plan, &err) ||
	    (collect->out_path &&
	     ul_plan_file_write(collect->out_path, &view, &plan, &err)))
		return ul_cli_fail(&err);
	if (collect->out_path && !strcmp(collect->out_path, "-"))
		return UL_EXIT_DONE; /* that was it on stdout */
	if (!collecting->cli->json) {
		print_plan(&plan);
		return UL_EXIT_DONE;
	}
	return ul_json_print(ul_json_plan(&view, &plan)) ? UL_EXIT_DONE
							 : UL_EXIT_FAILED;
}

static int collect_status(const struct collecting *collecting,
			  const struct ul_run *run)
{
	if (run->view.waiting)
		ul_cli_say(collecting->cli, "%s", run->view.waiting);
	if (run->stopped.code)
		ul_cli_say(collecting->cli,
			   "ullage: %s\nmake room on the disk, and run `%s "
			   "%s` again",
			   run->stopped.msg, ul_cli_us(collecting->cli),
			   collecting->collect->command);
	return run->is_left ? UL_EXIT_LEFT : UL_EXIT_DONE;
}

/* What was agreed to no longer fits: nobody else's change is undone by it. */
static int collect_fail(const struct collecting *collecting, bool was_asked,
			const struct ul_err *err)
{
	struct ul_err again = UL_ERR_INIT;

	if (err->code != UL_E_CONFLICT || !was_asked)
		return ul_cli_fail(err);
	ul_err_set(&again, UL_E_CONFLICT,
		   "%.500s; nothing was done, run `%.300s %s` again", err->msg,
		   ul_cli_us(collecting->cli), collecting->collect->command);
	return ul_cli_fail(&again);
}

/* Where there is no store there is nothing to lock, nor to remove; a name that
 * is none is still a mistake. */
static int run_of_nothing(const struct collecting *collecting,
			  struct ul_run *ret_run, struct ul_err *err)
{
	int rc = ul_cli_scan(collecting->cli, false, &ret_run->view, err);

	if (rc)
		return rc;
	return ul_plan_build(&ret_run->view, &collecting->request,
			     &ret_run->plan, err);
}

static int collect_act(struct collecting *collecting, struct ul_embedded *store,
		       bool was_asked)
{
	ul_cleanup(ul_run_release) struct ul_run run = UL_RUN_INIT;
	struct ul_err err = UL_ERR_INIT;
	struct ul_progress progress;
	struct ul_run_request request = {
		.command = collecting->collect->command,
		.plan = collecting->request,
		.now_unix_s = ul_clock_unix_s(),
		.progress = ul_progress_walk,
		.progress_arg = &progress,
	};
	int rc;

	ul_progress_start(&progress, collecting->cli, "measuring", 0);
	rc = store->is_absent
		 ? run_of_nothing(collecting, &run, &err)
		 : ul_run_execute(&store->base, &request, &run, &err);
	ul_progress_end(&progress);
	if (rc)
		return collect_fail(collecting, was_asked, &err);
	if (collecting->cli->json) {
		if (!ul_json_print(ul_json_run(&run)))
			return UL_EXIT_FAILED;
	} else {
		print_run(collecting->cli, &run);
	}
	return collect_status(collecting, &run);
}

static int collect_run(struct collecting *collecting)
{
	struct ul_embedded *store = ul_cli_store(collecting->cli);
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	ul_cleanup(ul_plan_release) struct ul_plan plan = UL_PLAN_INIT;
	const struct ul_collect *collect = collecting->collect;
	int status;

	if (!store)
		return UL_EXIT_FAILED;
	if (collect->yes || !collect->rule || store->is_absent)
		return collect_act(collecting, store, false);
	status = writable_check(store);
	if (!status)
		status = agree(collecting, &view, &plan);
	if (status)
		return status;
	collecting->request.saved = &plan;
	return collect_act(collecting, store, true);
}

int ul_cli_collect(struct ul_cli *cli, const struct ul_collect *collect)
{
	struct collecting collecting = {
		.cli = cli,
		.collect = collect,
		.saved = UL_PLAN_INIT,
		.request = {
			.rule = collect->rule,
			.now = cli->now,
			.is_exclusive = cli->exclusive,
		},
	};
	struct ul_err err = UL_ERR_INIT;
	struct ul_embedded *store;
	int status;

	store = ul_cli_store(cli);
	if (!store)
		return UL_EXIT_FAILED;
	if (store->base.is_shared && cli->now && !cli->exclusive) {
		ul_err_set(&err, UL_E_INVALID,
			   "--now deletes at once what others may be about to "
			   "use: on %s it needs --exclusive, which says that "
			   "nobody else is writing there",
			   cli->store_name);
		return ul_cli_fail(&err);
	}
	collecting.request.is_shared = store->base.is_shared;
	collecting.request.grace_s =
	    cli->grace_s >= 0 ? cli->grace_s : store->base.grace_s;
	if (cli->orphans)
		ul_cli_say(cli, "note: --orphans has no effect on this store: "
				"gc always takes them");
	if (collect->plan_path) {
		if (ul_plan_file_read(collect->plan_path, store->base.name,
				      &collecting.saved, &err))
			return ul_cli_fail(&err);
		collecting.request.saved = &collecting.saved;
	}
	if (cli->as_of_unix_s && !collect->dry_run) {
		ul_cli_say(cli,
			   "ullage: --as-of goes with -n: it sets the clock of "
			   "commands that change nothing");
		ul_plan_release(&collecting.saved);
		return UL_EXIT_USAGE;
	}
	status = collect->dry_run ? collect_dry(&collecting)
				  : collect_run(&collecting);
	ul_plan_release(&collecting.saved);
	return status;
}
