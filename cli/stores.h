/*
 * cli/stores.h - reports on several stores: --store given more than once.
 */
#ifndef UL_CLI_STORES_H
#define UL_CLI_STORES_H

#include <jansson.h>

struct ul_cli;

/*
 * Report on one store, the one that ul_cli_store() opens. With --json the
 * answer goes to *ret_answer (a new reference; NULL without memory), else it
 * is printed. Returns the exit status.
 */
typedef int ul_store_report(struct ul_cli *cli, void *arg, json_t **ret_answer);

/*
 * Do so for each store that was named, or the one there is without a name,
 * in their order. JSON answers are put together as one: arrays one after the
 * other, "duplicate_layer_bytes" added up, all else as the first says. One
 * that fails does not keep the others from being reported on, but nothing is
 * printed as JSON then. Returns the first exit status that is not 0.
 */
int ul_cli_each_store(struct ul_cli *cli, ul_store_report *report, void *arg);

#endif
