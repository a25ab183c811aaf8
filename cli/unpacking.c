#include "cli/unpacking.h"

#include <inttypes.h>

#include "cli/answer.h"
#include "cli/cli.h"

static bool on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct ul_progress *progress = arg;

	progress->total = total_bytes;
	return ul_progress_update(progress, done_bytes);
}

static void say_skipped(const struct ul_cli *cli, const char *name,
			const struct ul_unpack_result *unpacked)
{
	if (!unpacked->skipped_owners && !unpacked->skipped_devices &&
	    !unpacked->skipped_xattrs)
		return;
	ul_cli_say(cli,
		   "%s: not applied without root: the owners of %" PRIu64
		   " files, %" PRIu64 " devices, %" PRIu64
		   " extended attributes",
		   name, unpacked->skipped_owners, unpacked->skipped_devices,
		   unpacked->skipped_xattrs);
}

int ul_unpacking_run(struct ul_cli *cli, const struct ul_digest *digest,
		     const char *name, const char *platform,
		     struct ul_unpack_result *ret, struct ul_err *err)
{
	struct ul_progress progress;
	struct ul_unpack_options options = {
		.platform = platform,
		.progress = on_progress,
		.arg = &progress,
	};
	int rc;

	ul_progress_start(&progress, cli, "unpacking", 0);
	progress.is_bytes = true;
	rc = ul_unpack(cli->store, digest, &options, ret, err);
	ul_progress_end(&progress);
	if (rc)
		return ul_err_wrap(err, "unpacking %s", name);
	say_skipped(cli, name, ret);
	if (ret->absent_count)
		ul_cli_say(cli, "%s: %zu platform%s not here", name,
			   ret->absent_count,
			   ret->absent_count == 1 ? " is" : "s are");
	return 0;
}

json_t *ul_unpacked_json(const struct ul_unpack_result *unpacked)
{
	const struct {
		const char *key;
		uint64_t value;
	} members[] = {
		{ "platforms", unpacked->platform_count },
		{ "new_layers", unpacked->new_layers },
		{ "reused_layers", unpacked->reused_layers },
		{ "entries", unpacked->entry_count },
		{ "skipped_owners", unpacked->skipped_owners },
		{ "skipped_devices", unpacked->skipped_devices },
		{ "skipped_xattrs", unpacked->skipped_xattrs },
	};
	json_t *json = json_object();
	size_t i;

	for (i = 0; i < sizeof members / sizeof members[0]; i++)
		ul_json_put(&json, members[i].key,
			    json_integer((json_int_t)members[i].value));
	return json;
}
