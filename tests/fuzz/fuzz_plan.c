/* A saved plan: what is read is what its fingerprint was made of. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/plan_file.h"
#include "fuzz.h"
#include "store/graph/graph.h"
#include "store/limits.h"
#include "store/oci/json.h"
#include "tests/fuzz/scratch.h"

static void fingerprint_of(struct ul_plan *plan, char ret[33])
{
	char own[33];

	memcpy(own, plan->fingerprint, sizeof own);
	ul_plan_seal(plan);
	memcpy(ret, plan->fingerprint, sizeof own);
	memcpy(plan->fingerprint, own, sizeof own);
}

static void assert_seals_as(struct ul_plan *plan, bool is_same)
{
	char sealed[33];

	fingerprint_of(plan, sealed);
	assert(!strcmp(sealed, plan->fingerprint) == is_same);
}

/* Any change of what it removes or collects shows in the fingerprint. */
static void check_items(struct ul_plan *plan, struct ul_plan_items *items)
{
	struct ul_plan_item *first = items->items, item;

	if (!items->len)
		return;
	assert(*ul_kind_name(first->kind) && *first->key);
	item = *first;
	first->key = "another";
	assert_seals_as(plan, !strcmp(item.key, "another"));
	*first = item;
	first->kind = item.kind ? 0 : 1;
	assert_seals_as(plan, false);
	*first = item;
	if (items == &plan->collect) {
		first->allocated_bytes++;
		assert_seals_as(plan, false);
		*first = item;
	}
	items->len--;
	assert_seals_as(plan, false);
	items->len++;
	assert_seals_as(plan, true);
}

/* The file itself says what was read. */
static void check_document(const struct ul_plan *plan, const uint8_t *data,
			   size_t size)
{
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	struct ul_err err = UL_ERR_INIT;
	const char *fingerprint = NULL;
	json_int_t freed;
	int rc = ul_json_parse((const char *)data, size, UL_JSON_MAX_DEPTH,
			       &json, &err);

	assert(!rc);
	fingerprint = json_string_value(json_object_get(json, "plan"));
	assert(fingerprint && !strcmp(fingerprint, plan->fingerprint));
	freed = json_integer_value(json_object_get(json, "freed_bytes"));
	assert((uint64_t)freed == plan->freed_bytes);
	assert(json_array_size(json_object_get(json, "remove")) ==
	       plan->remove.len);
	assert(json_array_size(json_object_get(json, "collect")) ==
	       plan->collect.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_cleanup(ul_plan_release) struct ul_plan plan = UL_PLAN_INIT;
	struct ul_err err = UL_ERR_INIT;
	char path[300];
	int rc;

	scratch_write("plan", data, size);
	snprintf(path, sizeof path, "%s/plan", scratch_path());
	rc = ul_plan_file_read(path, "embedded", &plan, &err);
	if (rc) {
		assert(rc == err.code && !strpbrk(err.msg, "\n\033"));
		assert(!plan.remove.len && !plan.collect.len);
		return 0;
	}
	check_document(&plan, data, size);
	assert_seals_as(&plan, true);
	check_items(&plan, &plan.remove);
	check_items(&plan, &plan.collect);
	return 0;
}
