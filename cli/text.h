/*
 * cli/text.h - text as a terminal shows it: columns, not bytes.
 *
 * Text comes from images and their makers. What could drive the terminal
 * (control characters) or is no UTF-8 is shown as '?'.
 */
#ifndef UL_CLI_TEXT_H
#define UL_CLI_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* Columns that a text takes. Any bytes. */
size_t ul_text_width(const char *text);

/* Replace what must not reach a terminal, in place. */
void ul_text_clean(char *text);

/*
 * Cut a clean text to `width` columns, in place: a quarter of its beginning and
 * more of its end, "abc..vwxyz".
 * Below 5 nothing of the beginning is left; below 4 the end is cut. Text that
 * fits is left alone.
 */
void ul_text_cut(char *text, size_t width);

/*
 * Print paragraphs, wrapped to `width` columns with `indent` blanks before
 * each line. Lines that begin with a blank are printed as they stand.
 */
void ul_text_wrap(const char *text, size_t indent, size_t width, FILE *out);

#endif
