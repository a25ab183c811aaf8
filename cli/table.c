#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/terminal.h"
#include "cli/text.h"

enum { GAP = 2 };

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

static size_t widths_measure(const struct ul_table *table, size_t *widths)
{
	size_t i, width, total = 0;

	for (i = 0; i < table->column_count; i++)
		widths[i] = ul_text_width(table->columns[i].heading);
	for (i = 0; i < table->cell_count; i++) {
		width = ul_text_width(table->cells[i]);
		if (width > widths[i % table->column_count])
			widths[i % table->column_count] = width;
	}
	for (i = 0; i < table->column_count; i++)
		total += widths[i] + (i ? GAP : 0);
	return total;
}

/* The widest column that may still be cut, or column_count. */
static size_t widest_shrinkable(const struct ul_table *table,
				const size_t *widths)
{
	size_t i, best = table->column_count;

	for (i = 0; i < table->column_count; i++) {
		if (table->columns[i].is_shrink &&
		    widths[i] > ul_text_width(table->columns[i].heading) &&
		    (best == table->column_count || widths[i] >= widths[best]))
			best = i;
	}
	return best;
}

static void widths_shrink(const struct ul_table *table, size_t *widths,
			  size_t total, size_t columns)
{
	size_t at;

	for (; total > columns; total--) {
		at = widest_shrinkable(table, widths);
		if (at == table->column_count)
			return;
		widths[at]--;
	}
}

/* A row under way. Blanks wait until a text follows: none ends a line. */
struct row {
	FILE *out;
	size_t column;
	size_t blanks;
};

static void row_cell(struct row *row, const struct ul_table *table, char *text,
		     const size_t *widths)
{
	const struct ul_column *column = &table->columns[row->column];
	size_t width;

	ul_text_cut(text, widths[row->column]);
	width = ul_text_width(text);
	if (column->is_right)
		row->blanks += widths[row->column] - width;
	if (*text) {
		fprintf(row->out, "%*s%s", (int)row->blanks, "", text);
		row->blanks = 0;
	}
	row->blanks += GAP;
	if (!column->is_right)
		row->blanks += widths[row->column] - width;
	if (++row->column < table->column_count)
		return;
	fputc('\n', row->out);
	row->column = row->blanks = 0;
}

static bool print_rows(const struct ul_table *table, const size_t *widths,
		       FILE *out)
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
		row_cell(&row, table, text, widths);
	}
	return !ferror(out);
}

bool ul_table_print(const struct ul_table *table, FILE *out)
{
	ul_cleanup(ul_freep) size_t *widths = NULL;
	size_t total;

	if (table->failed)
		return false;
	assert(table->cell_count % table->column_count == 0);
	widths = ul_calloc(table->column_count, sizeof *widths);
	if (!widths)
		return false;
	total = widths_measure(table, widths);
	if (ul_terminal_is_cut(out))
		widths_shrink(table, widths, total, ul_terminal_columns(out));
	return print_rows(table, widths, out);
}
