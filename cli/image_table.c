#include "cli/image_table.h"

#include <stdlib.h>
#include <string.h>

#include "accounting/report.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "store/view.h"

static const char *const sort_names[UL_SORT_COUNT] = {
	[UL_SORT_NAME] = "name",         [UL_SORT_UNIQUE] = "unique",
	[UL_SORT_SHARED] = "shared",     [UL_SORT_PACKED] = "packed",
	[UL_SORT_UNPACKED] = "unpacked", [UL_SORT_ALLOCATED] = "allocated",
	[UL_SORT_CREATED] = "created",   [UL_SORT_USED] = "used",
};

enum ul_sort ul_sort_parse(const char *name)
{
	int sort;

	for (sort = 0; sort < UL_SORT_COUNT; sort++) {
		if (!strcmp(name, sort_names[sort]))
			break;
	}
	return (enum ul_sort)sort;
}

struct sorting {
	const struct ul_view *view;
	const struct ul_image_rows *rows;
	enum ul_sort sort;
};

static const char *row_name(const struct ul_view *view,
			    const struct ul_view_image *image)
{
	return image->name_count ? view->record.objects[image->names[0]].key
				 : image->digest;
}

static uint64_t row_value(const struct ul_image_row *row, enum ul_sort sort)
{
	switch (sort) {
	case UL_SORT_UNIQUE:
		return row->unique_bytes;
	case UL_SORT_SHARED:
		return row->shared_bytes;
	case UL_SORT_PACKED:
		return row->packed_bytes;
	case UL_SORT_UNPACKED:
		return row->unpacked_bytes;
	case UL_SORT_ALLOCATED:
		return row->allocated_bytes;
	case UL_SORT_CREATED:
		return (uint64_t)row->image->created_unix_s;
	case UL_SORT_USED:
		return (uint64_t)row->image->used_unix_s;
	default:
		return 0;
	}
}

static int order_cmp(const void *a, const void *b, void *arg)
{
	const struct sorting *sorting = arg;
	const struct ul_image_row *left =
	    &sorting->rows->rows[*(const uint32_t *)a];
	const struct ul_image_row *right =
	    &sorting->rows->rows[*(const uint32_t *)b];
	uint64_t left_value = row_value(left, sorting->sort);
	uint64_t right_value = row_value(right, sorting->sort);

	if (left_value != right_value)
		return left_value > right_value ? -1 : 1;
	return strcmp(row_name(sorting->view, left->image),
		      row_name(sorting->view, right->image));
}

void ul_sort_rows(const struct ul_view *view, const struct ul_image_rows *rows,
		  enum ul_sort sort, uint32_t *order)
{
	struct sorting sorting = { view, rows, sort };
	size_t i;

	for (i = 0; i < rows->len; i++)
		order[i] = (uint32_t)i;
	if (rows->len)
		qsort_r(order, rows->len, sizeof *order, order_cmp, &sorting);
}

static void add_bytes(struct ul_table *table, uint64_t bytes)
{
	char text[UL_HUMAN_MAX];

	ul_table_add(table, ul_human_bytes(bytes, text));
}

static void add_name(struct ul_table *table, const struct ul_view_image *image,
		     const char *name)
{
	const char *mark = image->is_pinned ? " *" : "";

	if (strcmp(name, image->digest))
		ul_table_addf(table, "%s%s", name, mark);
	else
		ul_table_addf(table, "%.19s%s", name, mark);
}

static void add_image(struct ul_table *table, const struct ul_view *view,
		      const struct ul_image_row *row)
{
	const struct ul_view_image *image = row->image;
	char when[UL_HUMAN_MAX];
	size_t i;
	int column;

	add_name(table, image, row_name(view, image));
	if (view->record.objects[image->target].is_present)
		add_bytes(table, row->packed_bytes);
	else
		ul_table_add(table, "missing");
	add_bytes(table, row->unpacked_bytes);
	add_bytes(table, row->shared_bytes);
	add_bytes(table, row->unique_bytes);
	ul_table_addf(table, "%u", image->containers);
	ul_table_add(
	    table, ul_human_when(image->used_unix_s, view->as_of_unix_s, when));
	/* Further names of the same digest: the bytes are told once. */
	for (i = 1; i < image->name_count; i++) {
		add_name(table, image,
			 view->record.objects[image->names[i]].key);
		for (column = 1; column < 7; column++)
			ul_table_add(table, column < 5 ? "same" : "");
	}
}

static bool has_pins(const struct ul_view *view)
{
	size_t i;

	for (i = 0; i < view->image_count; i++) {
		if (view->images[i].is_pinned)
			return true;
	}
	return false;
}

static bool print_rows(const struct ul_view *view,
		       const struct ul_image_rows *rows, const uint32_t *order)
{
	static const struct ul_column columns[] = {
		{ .heading = "NAME", .is_shrink = true },
		{ .heading = "PACKED", .is_right = true, .leave = 4 },
		{ .heading = "UNPACKED", .is_right = true, .leave = 3 },
		{ .heading = "SHARED", .is_right = true, .leave = 2 },
		{ .heading = "UNIQUE", .is_right = true },
		{ .heading = "USES", .is_right = true, .leave = 1 },
		{ .heading = "LAST USE", .is_shrink = true },
	};
	ul_cleanup(ul_table_release) struct ul_table table;
	size_t i;

	ul_table_init(&table, columns, ul_array_len(columns));
	for (i = 0; i < rows->len; i++)
		add_image(&table, view, &rows->rows[order[i]]);
	if (!ul_table_print(&table, ul_terminal()->out))
		return false;
	return !has_pins(view) || fputs("* pinned\n", ul_terminal()->out) >= 0;
}

bool ul_images_print(const struct ul_view *view,
		     const struct ul_image_rows *rows, enum ul_sort sort)
{
	ul_cleanup(ul_freep) uint32_t *order =
	    ul_malloc(rows->len * sizeof *order);

	if (!order)
		return false;
	ul_sort_rows(view, rows, sort, order);
	return print_rows(view, rows, order);
}
