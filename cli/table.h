/*
 * cli/table.h - aligned columns for a terminal.
 *
 * Cells are copied. Columns are as wide as their widest cell; when a row
 * would be wider than the terminal (or than COLUMNS, where that is set),
 * columns declared `shrink` are cut with ".." to what can still be read; then
 * those that matter least are left out, and a line below says which; then the
 * cut ones are cut more, never below their heading. Nothing is cut or left
 * out in output that is no terminal: a script gets whole names.
 */
#ifndef UL_CLI_TABLE_H
#define UL_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct ul_column {
	const char *heading;
	bool is_right;  /* numbers */
	bool is_shrink; /* may be cut */
	/* Place in the order in which columns are left out: 1 goes first, of 0
	 * never. */
	uint8_t leave;
};

struct ul_table {
	const struct ul_column *columns;
	size_t column_count;
	char **cells; /* owned; row by row */
	size_t cell_count, cell_cap;
	bool failed; /* an addition found no memory */
};

void ul_table_init(struct ul_table *table, const struct ul_column *columns,
		   size_t column_count);
void ul_table_release(struct ul_table *table);

/* Add the next cell, row by row. */
void ul_table_add(struct ul_table *table, const char *text);
void ul_table_addf(struct ul_table *table, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Print with headings; false where a write or an addition failed. */
bool ul_table_print(const struct ul_table *table, FILE *out);

#endif
