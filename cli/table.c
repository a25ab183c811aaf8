#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/terminal.h"
#include "cli/text.h"

/* Columns between columns; and what can be read of a name that is cut. */
enum { GAP = 2, CUT_READABLE = 12 };

void ul_table_init(struct ul_table *table, const struct ul_column *columns,
		   size_t column_count)
{
	*table = (struct ul_table){
		.columns = columns,
		.column_count = column_count,
	};
}

void ul_table_release(struct ul_table *table)
{
	size_t i;

	for (i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
	table->cell_count = table->cell_cap = 0;
}

/* Takes over the text. */
static void table_push(struct ul_table *table, char *text)
{
	char **cells = NULL;

	if (text)
		cells = ul_grow(table->cells, &table->cell_cap,
				table->cell_count + 1, sizeof *cells);
	if (!cells) {
		table->failed = true;
		free(text);
		return;
	}
	ul_text_clean(text);
	table->cells = cells;
	table->cells[table->cell_count++] = text;
}

void ul_table_add(struct ul_table *table, const char *text)
{
	table_push(table, ul_strdup(text));
}

void ul_table_addf(struct ul_table *table, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = ul_vasprintf(fmt, ap);
	va_end(ap);
	table_push(table, text);
}

/* How columns are shown. */
struct layout {
	size_t *widths; /* owned */
	bool *is_left;  /* owned: out */
	size_t left_count;
};

static void layout_release(struct layout *layout)
{
	ul_freep(&layout->widths);
	ul_freep(&layout->is_left);
}

static bool layout_init(struct layout *layout, const struct ul_table *table)
{
	layout->widths = ul_calloc(table->column_count, sizeof *layout->widths);
	layout->is_left =
	    ul_calloc(table->column_count, sizeof *layout->is_left);
	return layout->widths && layout->is_left;
}

static void widths_measure(const struct ul_table *table, size_t *widths)
{
	size_t i, width;

	for (i = 0; i < table->column_count; i++)
		widths[i] = ul_text_width(table->columns[i].heading);
	for (i = 0; i < table->cell_count; i++) {
		width = ul_text_width(table->cells[i]);
		if (width > widths[i % table->column_count])
			widths[i % table->column_count] = width;
	}
}

/* A row's width, with what may be cut at so much at most. */
static size_t layout_width(const struct layout *layout,
			   const struct ul_table *table, size_t cut)
{
	size_t i, total = 0;

	for (i = 0; i < table->column_count; i++) {
		size_t width = layout->widths[i];
		size_t least = ul_text_width(table->columns[i].heading);

		if (layout->is_left[i])
			continue;
		if (least < cut)
			least = cut;
		if (table->columns[i].is_shrink && width > least)
			width = least;
		total += width + (total ? GAP : 0);
	}
	return total;
}

/* The column that is to go next, or column_count. */
static size_t least_needed(const struct layout *layout,
			   const struct ul_table *table)
{
	size_t i, best = table->column_count;

	for (i = 0; i < table->column_count; i++) {
		const struct ul_column *column = &table->columns[i];

		if (column->leave && !layout->is_left[i] &&
		    (best == table->column_count ||
		     column->leave < table->columns[best].leave))
			best = i;
	}
	return best;
}

static void layout_leave(struct layout *layout, const struct ul_table *table,
			 size_t columns)
{
	while (layout_width(layout, table, CUT_READABLE) > columns) {
		size_t at = least_needed(layout, table);

		if (at == table->column_count)
			return;
		layout->is_left[at] = true;
		layout->left_count++;
	}
}

/* The widest column that may still be cut, or column_count. */
static size_t widest_shrinkable(const struct ul_table *table,
				const struct layout *layout)
{
	const size_t *widths = layout->widths;
	size_t i, best = table->column_count;

	for (i = 0; i < table->column_count; i++) {
		if (table->columns[i].is_shrink && !layout->is_left[i] &&
		    widths[i] > ul_text_width(table->columns[i].heading) &&
		    (best == table->column_count || widths[i] >= widths[best]))
			best = i;
	}
	return best;
}

static void layout_shrink(struct layout *layout, const struct ul_table *table,
			  size_t columns)
{
	size_t total = layout_width(layout, table, SIZE_MAX);
	size_t at;

	for (; total > columns; total--) {
		at = widest_shrinkable(table, layout);
		if (at == table->column_count)
			return;
		layout->widths[at]--;
	}
}

/* A row under way. Blanks wait until a text follows: none ends a line. */
struct row {
	FILE *out;
	size_t column;
	size_t blanks;
};

static void row_text(struct row *row, const struct ul_column *column,
		     char *text, size_t room)
{
	size_t width;

	ul_text_cut(text, room);
	width = ul_text_width(text);
	if (column->is_right)
		row->blanks += room - width;
	if (*text) {
		fprintf(row->out, "%*s%s", (int)row->blanks, "", text);
		row->blanks = 0;
	}
	row->blanks += GAP;
	if (!column->is_right)
		row->blanks += room - width;
}

static void row_cell(struct row *row, const struct ul_table *table, char *text,
		     const struct layout *layout)
{
	size_t at = row->column;

	if (!layout->is_left[at])
		row_text(row, &table->columns[at], text, layout->widths[at]);
	if (++row->column < table->column_count)
		return;
	fputc('\n', row->out);
	row->column = row->blanks = 0;
}

static bool print_rows(const struct ul_table *table,
		       const struct layout *layout, FILE *out)
{
	struct row row = { .out = out };
	size_t i, count = table->column_count + table->cell_count;

	for (i = 0; i < count; i++) {
		bool is_heading = i < table->column_count;
		ul_cleanup(ul_freep) char *text = ul_strdup(
		    is_heading ? table->columns[i].heading
			       : table->cells[i - table->column_count]);

		if (!text)
			return false;
		row_cell(&row, table, text, layout);
	}
	return !ferror(out);
}

static bool print_left(const struct ul_table *table,
		       const struct layout *layout, size_t columns, FILE *out)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	const char *before = "No room for ";
	size_t i;

	for (i = 0; i < table->column_count; i++) {
		if (!layout->is_left[i])
			continue;
		ul_buf_printf(&text, "%s%s", before, table->columns[i].heading);
		before = ", ";
	}
	ul_buf_add_str(&text, ".");
	if (text.failed)
		return false;
	ul_text_wrap(ul_buf_str(&text), 0, columns, out);
	return !ferror(out);
}

bool ul_table_print(const struct ul_table *table, FILE *out)
{
	ul_cleanup(layout_release) struct layout layout = { .widths = NULL };
	size_t columns = SIZE_MAX;

	if (table->failed)
		return false;
	assert(table->cell_count % table->column_count == 0);
	if (!layout_init(&layout, table))
		return false;
	widths_measure(table, layout.widths);
	if (ul_terminal_is_cut(out))
		columns = ul_terminal_columns(out);
	layout_leave(&layout, table, columns);
	layout_shrink(&layout, table, columns);
	if (!print_rows(table, &layout, out))
		return false;
	return !layout.left_count || print_left(table, &layout, columns, out);
}
