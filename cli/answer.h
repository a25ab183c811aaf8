/*
 * cli/answer.h - answers on stdout: text, or one JSON document.
 *
 * A json_t that could not be made for lack of memory is carried on as NULL:
 * the additions take it, and printing reports it once.
 */
#ifndef UL_CLI_ANSWER_H
#define UL_CLI_ANSWER_H

#include "store/oci/json.h" /* ul_json_freep() */
#include <jansson.h>

struct ul_err;

/* {"version":1, key: value}; takes over the value. NULL without memory. */
json_t *ul_cli_answer(const char *key, json_t *value);

/* Set a member, or append to the array that is a member. Take over the value;
 * where something is NULL, *answer is dropped and becomes NULL. */
void ul_json_put(json_t **answer, const char *key, json_t *value);
void ul_json_push(json_t **answer, const char *key, json_t *value);

/* Text from outside as a JSON string: bytes that are no UTF-8 become '?'. */
json_t *ul_json_string(const char *text);

/* Print it in one line. UL_E_NOMEM for NULL, UL_E_IO. */
int ul_cli_print_json(const json_t *answer, struct ul_err *err);

/* A table on stdout. UL_E_NOMEM, UL_E_IO. */
struct ul_table;
int ul_cli_print_table(const struct ul_table *table, struct ul_err *err);

/* printf() to stdout, 4 KiB at most, made harmless to a terminal. */
void ul_cli_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Lines of any length, each ended by a newline. UL_E_NOMEM. */
int ul_cli_print_long(const char *text, struct ul_err *err);

#endif
