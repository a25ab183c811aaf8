/*
 * cli/reports.h - scanning for a report, and the notes below it.
 */
#ifndef UL_CLI_REPORTS_H
#define UL_CLI_REPORTS_H

#include <stdbool.h>

struct ul_cli;
struct ul_image_rows;
struct ul_view;

/*
 * Open the store and scan it, with progress. `measure` renews everything.
 * Returns an exit status: UL_EXIT_DONE with *ret_view, or one that was
 * reported already.
 */
int ul_report_scan(struct ul_cli *cli, bool measure, struct ul_view *ret_view);

/* The same for a dry run: it has to see what is mounted, as a real one does. */
int ul_report_scan_for_plan(struct ul_cli *cli, struct ul_view *ret_view);

/*
 * The images' figures, recorded for the public view image_usage unless the
 * time is not now. Returns an exit status, reported already where it is bad.
 */
int ul_report_images(struct ul_cli *cli, const struct ul_view *view,
		     struct ul_image_rows *ret_rows);

/* Notes, refusal and waiting of a view, as talk. */
void ul_cli_notes(const struct ul_cli *cli, const struct ul_view *view);

#endif
