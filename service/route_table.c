/* The routes of the API, in the order of docs/api.md. */
#include "service/route.h"

#include <stdbool.h>
#include <stddef.h>

#define STORES                                                                 \
	{                                                                      \
		"store", UL_PARAM_LIST, "--store", false                       \
	}
#define STORE                                                                  \
	{                                                                      \
		"store", UL_PARAM_VALUE, "--store", false                      \
	}
#define SCOPE                                                                  \
	{ "namespace", UL_PARAM_VALUE, "--namespace", false },                 \
	{                                                                      \
		"as_of_unix_s", UL_PARAM_VALUE, "--as-of", false               \
	}
#define COLLECTING                                                             \
	{ "grace", UL_PARAM_VALUE, "--grace", false },                         \
	    { "now", UL_PARAM_FLAG, "--now", false },                          \
	    { "exclusive", UL_PARAM_FLAG, "--exclusive", false },              \
	{                                                                      \
		"orphans", UL_PARAM_FLAG, "--orphans", false                   \
	}
#define END                                                                    \
	{                                                                      \
		.name = NULL                                                   \
	}

static const struct ul_param df_params[] = {
	{ "verbose", UL_PARAM_FLAG, "--verbose", false },
	{ "measure", UL_PARAM_FLAG, "--measure", false },
	STORES,
	SCOPE,
	END,
};
static const struct ul_param images_params[] = {
	{ "sort", UL_PARAM_VALUE, "--sort", false },
	STORES,
	SCOPE,
	END,
};
static const struct ul_param why_params[] = {
	{ "object", UL_PARAM_OPERAND, NULL, true },
	STORE,
	SCOPE,
	END,
};
static const struct ul_param history_params[] = {
	{ "last", UL_PARAM_VALUE, "--last", false },
	STORE,
	END,
};
static const struct ul_param store_params[] = { STORE, END };
static const struct ul_param plan_params[] = {
	STORE,
	SCOPE,
	COLLECTING,
	END,
};
static const struct ul_param gc_params[] = {
	{ "dry_run", UL_PARAM_FLAG, "--dry-run", false },
	STORE,
	COLLECTING,
	END,
};
static const struct ul_param prune_params[] = {
	{ "dry_run", UL_PARAM_FLAG, "--dry-run", false },
	{ "all", UL_PARAM_FLAG, "--all", false },
	{ "untagged", UL_PARAM_FLAG, "--untagged", false },
	{ "filters", UL_PARAM_LIST, "--filter", false },
	{ "names", UL_PARAM_OPERANDS, NULL, false },
	STORE,
	COLLECTING,
	END,
};
static const struct ul_param undo_params[] = {
	{ "run", UL_PARAM_OPERAND, NULL, true },
	STORE,
	END,
};
static const struct ul_param pins_params[] = {
	{ "names", UL_PARAM_OPERANDS, NULL, true },
	STORE,
	END,
};
static const struct ul_param lease_params[] = {
	{ "id", UL_PARAM_OPERAND, NULL, false },
	{ "expire", UL_PARAM_VALUE, "--expire", false },
	{ "flat", UL_PARAM_FLAG, "--flat", false },
	{ "labels", UL_PARAM_LIST, "--label", false },
	STORE,
	END,
};
static const struct ul_param lease_end_params[] = {
	{ "id", UL_PARAM_OPERAND, NULL, true },
	STORE,
	END,
};

const struct ul_route ul_routes[] = {
	{ "GET",
	  "/v1/df",
	  { "df" },
	  NULL,
	  df_params,
	  UL_RIGHT_READ,
	  "where the disk went" },
	{ "GET",
	  "/v1/images",
	  { "images" },
	  NULL,
	  images_params,
	  UL_RIGHT_READ,
	  "what each image takes, shares and alone keeps" },
	{ "GET",
	  "/v1/why",
	  { "why" },
	  NULL,
	  why_params,
	  UL_RIGHT_READ,
	  "what keeps an object, or that nothing does" },
	{ "GET",
	  "/v1/plan",
	  { "gc" },
	  "--dry-run",
	  plan_params,
	  UL_RIGHT_READ,
	  "what a collection would remove" },
	{ "GET",
	  "/v1/history",
	  { "history" },
	  NULL,
	  history_params,
	  UL_RIGHT_READ,
	  "what was collected, when, and what it gave back" },
	{ "GET",
	  "/v1/leases",
	  { "lease", "list" },
	  NULL,
	  store_params,
	  UL_RIGHT_READ,
	  "leases and what they hold" },
	{ "POST",
	  "/v1/gc",
	  { "gc" },
	  NULL,
	  gc_params,
	  UL_RIGHT_CHANGE,
	  "remove what nothing reaches" },
	{ "POST",
	  "/v1/prune",
	  { "prune" },
	  "--yes",
	  prune_params,
	  UL_RIGHT_CHANGE,
	  "remove images by rules, and what they alone kept" },
	{ "POST",
	  "/v1/undo",
	  { "undo" },
	  NULL,
	  undo_params,
	  UL_RIGHT_CHANGE,
	  "put back what a run removed, while the trash holds it" },
	{ "POST",
	  "/v1/pins",
	  { "pin" },
	  NULL,
	  pins_params,
	  UL_RIGHT_CHANGE,
	  "keep images whatever prune's rules say" },
	{ "DELETE",
	  "/v1/pins/{names}",
	  { "unpin" },
	  NULL,
	  pins_params,
	  UL_RIGHT_CHANGE,
	  "let prune's rules decide again" },
	{ "POST",
	  "/v1/leases",
	  { "lease", "create" },
	  NULL,
	  lease_params,
	  UL_RIGHT_CHANGE,
	  "make a lease" },
	{ "DELETE",
	  "/v1/leases/{id}",
	  { "lease", "delete" },
	  NULL,
	  lease_end_params,
	  UL_RIGHT_CHANGE,
	  "end a lease" },
	{ .path = NULL },
};
