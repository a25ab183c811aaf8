/*
 * cli/image_table.h - images as a table, for `images` and `df -v`.
 */
#ifndef UL_CLI_IMAGE_TABLE_H
#define UL_CLI_IMAGE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct ul_image_rows;
struct ul_view;

enum ul_sort {
	UL_SORT_NAME,
	UL_SORT_UNIQUE,
	UL_SORT_SHARED,
	UL_SORT_PACKED,
	UL_SORT_UNPACKED,
	UL_SORT_ALLOCATED,
	UL_SORT_CREATED,
	UL_SORT_USED,
	UL_SORT_COUNT
};

/* The order of that name, or UL_SORT_COUNT. */
enum ul_sort ul_sort_parse(const char *name);

/* Positions of rows in that order: largest or newest first, names a to z. */
void ul_sort_rows(const struct ul_view *view, const struct ul_image_rows *rows,
		  enum ul_sort sort, uint32_t *order);

/* Print the table. False where a write fails or memory is out. */
bool ul_images_print(const struct ul_view *view,
		     const struct ul_image_rows *rows, enum ul_sort sort);

#endif
