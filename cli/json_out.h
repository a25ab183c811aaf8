/*
 * cli/json_out.h - answers as JSON: what others rely on (DESIGN 6). Fields
 * are added, never renamed.
 */
#ifndef UL_CLI_JSON_OUT_H
#define UL_CLI_JSON_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct ul_df;
struct ul_image_rows;
struct ul_plan;
struct ul_run;
struct ul_view;

/* All of these return a new reference, NULL without memory. */
json_t *ul_json_df(const struct ul_view *view, const struct ul_df *df);
json_t *ul_json_images(const struct ul_view *view, const struct ul_df *df,
		       const struct ul_image_rows *rows, const uint32_t *order);
json_t *ul_json_plan(const struct ul_view *view, const struct ul_plan *plan);
json_t *ul_json_run(const struct ul_run *run);

/*
 * Print one document and a newline on stdout, and drop it. False, with a
 * message on stderr, where it is NULL or cannot be written.
 */
bool ul_json_print(json_t *json);

#endif
