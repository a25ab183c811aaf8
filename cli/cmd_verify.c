#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "store/embedded/form.h"
#include "store/embedded/store.h"
#include "store/verify/findings.h"
#include "store/verify/verify.h"

enum { OPT_DEEP = 256, OPT_REPAIR };

/* Names of images on a line for people; JSON has them all. */
enum { IMAGES_SHOWN = 4, INDENT = 8 };

static const struct ul_option options[] = {
	{ 0, "deep", NULL, "hash every blob, compare every unpacked layer" },
	{ 0, "repair", NULL, "put in order what can be; throws nothing away" },
	{ .name = NULL },
};

struct run {
	struct ul_cli *cli;
	bool is_deep, is_repair;
	struct ul_findings findings;
	struct ul_verified verified;
	bool is_opened;
	struct ul_progress progress;
	const char *label; /* of the progress line */
};

static void run_release(struct run *run)
{
	ul_findings_release(&run->findings);
}

/* Each kind of work has a progress line of its own. */
static bool on_progress(void *arg, const char *what, uint64_t done,
			uint64_t total)
{
	struct run *run = arg;

	if (run->label != what) {
		ul_progress_end(&run->progress);
		ul_progress_start(&run->progress, run->cli, what, total);
		run->progress.is_bytes = true;
		run->label = what;
	}
	return ul_progress_update(&run->progress, done);
}

/* PATH of --store oci:PATH; NULL: the embedded store. */
static const char *layout_path(const struct ul_cli *cli)
{
	static const char kind[] = "oci:";
	size_t len = sizeof kind - 1;

	return cli->store_name && !strncmp(cli->store_name, kind, len)
		   ? cli->store_name + len
		   : NULL;
}

static struct ul_verify_options options_of(struct run *run)
{
	return (struct ul_verify_options){
		.is_deep = run->is_deep,
		.now_unix_s = ul_cli_now(run->cli),
		.grace_s = run->cli->grace_s >= 0 ? run->cli->grace_s
						  : ul_form_oci.grace_s,
		.progress = on_progress,
		.arg = run,
	};
}

static int place_look(struct run *run, const struct ul_verify_options *all,
		      struct ul_findings *findings, bool *ret_can_open,
		      struct ul_err *err)
{
	const char *path = layout_path(run->cli);

	return path ? ul_verify_layout_place(path, run->cli->state_path, all,
					     findings, ret_can_open, err)
		    : ul_verify_place(run->cli->state_path, all, findings,
				      ret_can_open, err);
}

/* Before it can be opened. With --repair what is wrong here is put right. */
static int place_check(struct run *run, bool *ret_can_open, struct ul_err *err)
{
	struct ul_verify_options all = options_of(run);
	ul_cleanup(ul_findings_release) struct ul_findings after =
	    UL_FINDINGS_INIT;
	const char *path = layout_path(run->cli);
	size_t done;
	int rc = place_look(run, &all, &run->findings, ret_can_open, err);

	if (rc || !run->is_repair || !run->findings.damage_count)
		return rc;
	rc = path ? ul_repair_layout_place(path, run->cli->state_path, &all,
					   &done, err)
		  : ul_repair_place(run->cli->state_path, all.now_unix_s, &done,
				    err);
	if (!rc)
		rc = place_look(run, &all, &after, ret_can_open, err);
	if (!rc && !ul_findings_settle(&run->findings, &after))
		rc = ul_err_nomem(err);
	return rc;
}

static int store_check(struct run *run, struct ul_err *err)
{
	ul_cleanup(ul_embedded_unlockp) struct ul_embedded *locked = NULL;
	ul_cleanup(ul_findings_release) struct ul_findings found =
	    UL_FINDINGS_INIT;
	struct ul_embedded *store = run->cli->store;
	struct ul_verify_options all = options_of(run);
	int rc;

	if (run->is_repair) {
		rc = ul_embedded_lock(store, err);
		if (rc)
			return rc;
		locked = store;
		rc = ul_repair_store(store, &all, &found, &run->verified, err);
	} else {
		rc = ul_verify_store(store, &all, &found, &run->verified, err);
	}
	if (!rc && !ul_findings_append(&run->findings, &found))
		rc = ul_err_nomem(err);
	return rc;
}

static json_t *finding_json(const struct run *run,
			    const struct ul_finding *finding)
{
	json_t *json = json_pack("{s:s, s:s}", "severity",
				 ul_severity_name(finding->severity), "kind",
				 finding->kind);
	json_t *images = json_array();
	size_t i;

	for (i = 0; images && i < finding->image_count; i++) {
		if (json_array_append_new(images,
					  ul_json_string(finding->images[i])))
			ul_json_freep(&images);
	}
	ul_json_put(&json, "key", ul_json_string(finding->key));
	ul_json_put(&json, "what", ul_json_string(finding->what));
	ul_json_put(&json, "images", images);
	ul_json_put(&json, "repair", ul_json_string(finding->repair));
	if (run->is_repair)
		ul_json_put(&json, "repaired",
			    json_boolean(finding->is_repaired));
	return json;
}

static int answer_json(const struct run *run, struct ul_err *err)
{
	const struct ul_embedded *store = run->cli->store;
	ul_cleanup(ul_json_freep) json_t *json = NULL;
	const char *layout = layout_path(run->cli);
	ul_cleanup(ul_freep) char *path =
	    layout ? ul_strdup(layout)
		   : ul_asprintf("%s/store", run->cli->state_path);
	size_t i;

	if (!path)
		return ul_err_nomem(err);
	json = ul_cli_answer("store",
			     ul_json_string(store    ? store->base.name
					    : layout ? run->cli->store_name
						     : "embedded"));
	ul_json_put(&json, "path",
		    ul_json_string(store ? store->base.path : path));
	ul_json_put(&json, "deep", json_boolean(run->is_deep));
	ul_json_put(&json, "images",
		    json_integer((json_int_t)run->verified.image_count));
	ul_json_put(&json, "blobs",
		    json_integer((json_int_t)run->verified.blob_count));
	ul_json_put(&json, "snapshots",
		    json_integer((json_int_t)run->verified.snapshot_count));
	ul_json_put(&json, "findings", json_array());
	for (i = 0; i < run->findings.len; i++)
		ul_json_push(&json, "findings",
			     finding_json(run, &run->findings.items[i]));
	return ul_cli_print_json(json, err);
}

/* "images a, b and 3 more" */
static bool images_text(const struct ul_finding *finding, struct ul_buf *text)
{
	size_t i, shown = finding->image_count;

	if (shown > IMAGES_SHOWN)
		shown = IMAGES_SHOWN - 1;
	ul_buf_add_str(text, "hurts ");
	for (i = 0; i < shown; i++)
		ul_buf_printf(text, "%s%s", i ? ", " : "", finding->images[i]);
	if (shown < finding->image_count)
		ul_buf_printf(text, " and %zu more",
			      finding->image_count - shown);
	return !text->failed;
}

static int wrapped(const char *before, const char *what, struct ul_err *err)
{
	ul_cleanup(ul_freep) char *text = ul_asprintf("%s%s", before, what);

	if (!text)
		return ul_err_nomem(err);
	ul_text_clean(text);
	ul_text_wrap(text, INDENT, ul_terminal_columns(ul_terminal()->out),
		     ul_terminal()->out);
	return 0;
}

/* As much of a digest as people read. */
static int key_width(const char *key)
{
	struct ul_digest digest;

	return ul_digest_parse(key, &digest) ? 19 : (int)strlen(key);
}

static int finding_print(const struct run *run,
			 const struct ul_finding *finding, struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf images = UL_BUF_INIT;
	const char *word = finding->is_repaired                     ? "mended"
			   : finding->severity == UL_FINDING_DAMAGE ? "DAMAGE"
								    : "note";
	int rc;

	ul_cli_print("%-*s%s %.*s\n", INDENT, word, finding->kind,
		     key_width(finding->key), finding->key);
	rc = wrapped("", finding->what, err);
	if (!rc && finding->image_count) {
		if (!images_text(finding, &images))
			return ul_err_nomem(err);
		rc = wrapped("", ul_buf_str(&images), err);
	}
	if (!rc && *finding->repair && !finding->is_repaired && !run->is_repair)
		rc = wrapped("--repair ", finding->repair, err);
	return rc;
}

static const char *plural(size_t count)
{
	return count == 1 ? "" : "s";
}

static size_t repaired_count(const struct ul_findings *findings)
{
	size_t i, count = 0;

	for (i = 0; i < findings->len; i++)
		count += findings->items[i].is_repaired;
	return count;
}

static void summary_print(const struct run *run)
{
	const struct ul_verified *seen = &run->verified;
	size_t damage = run->findings.damage_count;
	size_t notes = run->findings.len - damage;
	size_t repaired = repaired_count(&run->findings);

	if (!run->is_opened)
		ul_cli_print(
		    "the store cannot be opened before it is repaired");
	else
		ul_cli_print(
		    "%zu image%s, %zu blob%s (%zu hashed), %zu snapshot%s",
		    seen->image_count, plural(seen->image_count),
		    seen->blob_count, plural(seen->blob_count),
		    seen->hashed_count, seen->snapshot_count,
		    plural(seen->snapshot_count));
	if (run->is_opened && run->is_deep)
		ul_cli_print(" (%zu compared)", seen->compared_count);
	if (damage)
		ul_cli_print(": %zu damaged", damage - repaired);
	else
		ul_cli_print(": nothing is damaged");
	if (repaired)
		ul_cli_print(", %zu mended", repaired);
	ul_cli_print(", %zu note%s\n", notes, plural(notes));
}

static int answer_print(const struct run *run, struct ul_err *err)
{
	size_t i;
	int rc;

	for (i = 0; i < run->findings.len; i++) {
		rc = finding_print(run, &run->findings.items[i], err);
		if (rc)
			return rc;
	}
	if (run->findings.len)
		ul_cli_print("\n");
	summary_print(run);
	return 0;
}

static int verify_all(struct run *run, struct ul_err *err)
{
	bool can_open = true;
	int rc = ul_cli_config_choose(run->cli, err);

	if (!rc)
		rc = place_check(run, &can_open, err);
	/* ul_cli_store() has said why not. */
	if (!rc && can_open && !ul_cli_store(run->cli))
		return 1;
	run->is_opened = can_open;
	if (!rc && can_open)
		rc = store_check(run, err);
	ul_progress_end(&run->progress);
	if (rc)
		return rc;
	ul_findings_sort(&run->findings);
	return run->cli->json ? answer_json(run, err) : answer_print(run, err);
}

static int verify_run(struct ul_cli *cli, int argc, char **argv)
{
	ul_cleanup(run_release) struct run run = {
		.cli = cli,
		.findings = UL_FINDINGS_INIT,
	};
	struct ul_err err = UL_ERR_INIT;
	struct ul_args args;
	int option, rc;

	ul_args_init(&args, &ul_cmd_verify, argc, argv);
	while ((option = ul_args_next(cli, &args)) >= 0) {
		run.is_deep = run.is_deep || option == OPT_DEEP;
		run.is_repair = run.is_repair || option == OPT_REPAIR;
	}
	if (option == -2)
		return UL_EXIT_USAGE;
	if (args.operand_count)
		return ul_cli_usage(&ul_cmd_verify, "it takes no arguments");
	if (run.is_repair && cli->as_of_unix_s)
		return ul_cli_usage(&ul_cmd_verify,
				    "--as-of is for commands that change "
				    "nothing");
	ul_progress_start(&run.progress, cli, "checking the store", 0);
	rc = verify_all(&run, &err);
	if (rc)
		return rc < 0 ? ul_cli_fail(&err) : UL_EXIT_FAILED;
	return ul_findings_are_bad(&run.findings) ? UL_EXIT_FAILED
						  : UL_EXIT_DONE;
}

const struct ul_command ul_cmd_verify = {
	.name = "verify",
	.summary = UL_SUMMARY_VERIFY,
	.synopsis = "[--deep] [--repair]",
	.help =
	    "Checks folders, index and database, walks from every name to "
	    "everything it needs, and holds records and measured sizes against "
	    "what is on disk. Manifests are read and hashed. With --deep every "
	    "blob is, every layer is unpacked and held against the config of "
	    "its image, and what it makes against the snapshot that was "
	    "unpacked from it.\n\n"
	    "What is wrong is DAMAGE, with the images that it hurts; what is "
	    "merely worth knowing is a note. Exit status 0: nothing is "
	    "damaged; 1: something is.\n\n"
	    "--repair makes folders and records again from what is on disk, "
	    "and moves what is broken to the folder damaged/ of the store; "
	    "nothing is thrown away. It may be interrupted and begun again. "
	    "Exit status 0: all is whole, and nothing was lost; 1: something "
	    "is still damaged, or could not be brought back.\n\n"
	    "With --store oci:PATH a layout of others is checked and put in "
	    "order in the same ways; what is broken goes to "
	    ".ullage-trash/damaged/ in it. What is not whole but was changed "
	    "within the grace period may still be being written, and is left: "
	    "--grace 0 says that nobody writes there now.",
	.examples = "ullage verify\n"
		    "a quick look\n"
		    "ullage verify --deep --json | jq '.findings[]'\n"
		    "every byte, for a script\n"
		    "ullage verify --repair\n"
		    "after a crash, a lost database, a damaged index\n"
		    "ullage --store oci:cache verify --repair --grace 0\n"
		    "a cache that nobody else writes just now\n",
	.options = options,
	.program = "ullage-transfer",
	.run = verify_run,
};
