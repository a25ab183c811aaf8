#include "cli/stores.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json_out.h"
#include "cli/terminal.h"
#include "store/embedded/store.h"
#include "store/oci/json.h"

static bool member_join(json_t *all, const char *key, json_t *value)
{
	json_t *first = json_object_get(all, key);

	if (json_is_array(first))
		return !json_array_extend(first, value);
	if (strcmp(key, "duplicate_layer_bytes") != 0)
		return true;
	return !json_integer_set(first, json_integer_value(first) +
					    json_integer_value(value));
}

/* Takes over the answer. False without memory. */
static bool answer_join(json_t **all, json_t *answer)
{
	bool ok = answer != NULL;
	const char *key;
	json_t *value;

	if (ok && !*all) {
		*all = answer;
		return true;
	}
	json_object_foreach(answer, key, value) ok =
	    ok && member_join(*all, key, value);
	json_decref(answer);
	return ok;
}

static int report_one(struct ul_cli *cli, ul_store_report *report, void *arg,
		      json_t **all)
{
	json_t *answer = NULL;
	int status = report(cli, arg, &answer);

	if (status || !cli->json) {
		json_decref(answer);
		return status;
	}
	if (answer_join(all, answer))
		return UL_EXIT_DONE;
	/* Says that there is no memory. */
	(void)ul_json_print(NULL);
	return UL_EXIT_FAILED;
}

int ul_cli_each_store(struct ul_cli *cli, ul_store_report *report, void *arg)
{
	size_t i, count = cli->store_count ? cli->store_count : 1;
	json_t *all = NULL;
	int status = UL_EXIT_DONE;

	cli->is_each = true;
	for (i = 0; i < count; i++) {
		int one;

		ul_embedded_closep(&cli->store);
		cli->store_name = cli->stores[i];
		if (i && !cli->json && !cli->quiet)
			putc('\n', ul_terminal()->out);
		one = report_one(cli, report, arg, &all);
		if (!status)
			status = one;
	}
	if (!cli->json || status) {
		json_decref(all);
		return status;
	}
	return ul_json_print(all) ? UL_EXIT_DONE : UL_EXIT_FAILED;
}
