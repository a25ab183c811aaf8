#include "cli/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "service/config.h"
#include "service/limits.h"
#include "store/embedded/store.h"

_Static_assert(UL_CONFIG_STORES_MAX <= UL_CLI_STORES_MAX,
	       "reports go through all stores of a configuration");

void ul_cli_config_free(struct ul_cli *cli)
{
	if (cli->config)
		ul_config_release(cli->config);
	free(cli->config);
	cli->config = NULL;
}

/* As --store takes it: "embedded", or KIND:PATH. */
static const char *spec_of(struct ul_config *config,
			   const struct ul_config_store *store)
{
	size_t size;
	char *spec;

	if (store->kind == UL_CONFIG_EMBEDDED)
		return "embedded";
	size = sizeof "oci:" + strlen(store->path);
	spec = ul_arena_alloc(&config->arena, size);
	if (spec)
		snprintf(spec, size, "oci:%s", store->path);
	return spec;
}

static int specs_fill(struct ul_cli *cli, struct ul_err *err)
{
	struct ul_config *config = cli->config;
	size_t i;

	for (i = 0; i < cli->store_count; i++) {
		const struct ul_config_store *store =
		    ul_config_store_find(config, cli->stores[i]);

		if (!store)
			continue;
		cli->stores[i] = spec_of(config, store);
		if (!cli->stores[i])
			return ul_err_nomem(err);
	}
	if (cli->store_count) {
		cli->store_name = cli->stores[0];
		return 0;
	}
	for (i = 0; i < config->stores.count; i++) {
		cli->stores[i] = spec_of(config, &config->stores.items[i]);
		if (!cli->stores[i])
			return ul_err_nomem(err);
	}
	/* One embedded store is what there is without a file, too. */
	if (i == 1 && !strcmp(cli->stores[0], "embedded"))
		cli->stores[--i] = NULL;
	cli->store_count = i;
	cli->is_store_chosen = true;
	return 0;
}

static int config_take(struct ul_cli *cli, const char *bytes, size_t len,
		       struct ul_err *err)
{
	struct ul_config *config = ul_malloc(sizeof *config);
	int rc;

	if (!config)
		return ul_err_nomem(err);
	rc = ul_config_parse(bytes, len, cli->config_path, config, err);
	if (rc) {
		free(config);
		return rc;
	}
	cli->config = config;
	if (config->state_path && !cli->is_state_named)
		cli->state_path = config->state_path;
	return specs_fill(cli, err);
}

int ul_cli_config_read(struct ul_cli *cli, struct ul_err *err)
{
	ul_cleanup(ul_buf_release) struct ul_buf text = UL_BUF_INIT;
	char real[PATH_MAX];
	int rc;

	if (cli->config || !cli->config_path || !*cli->config_path)
		return 0;
	if (cli->config_text)
		return config_take(cli, cli->config_text, cli->config_text_len,
				   err);
	/* It may be a symlink: somebody's wish, as on the command line. */
	if (!realpath(cli->config_path, real)) {
		if (cli->is_config_named)
			return ul_err_sys(err, "%s", cli->config_path);
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		snprintf(real, sizeof real, "%s", cli->config_path);
	}
	rc = ul_file_read(AT_FDCWD, real, UL_CONFIG_MAX_BYTES, &text, err);
	if (!rc)
		return config_take(cli, ul_buf_str(&text), text.len, err);
	/* Who may not read it has nothing to do with what it speaks of. */
	if (rc == UL_E_IO && err->sys_errno == EACCES &&
	    !cli->is_config_named) {
		*err = UL_ERR_INIT;
		return 0;
	}
	return rc;
}

static const struct ul_config_store *store_of_spec(const struct ul_cli *cli,
						   const char *spec)
{
	size_t i;

	for (i = 0; cli->config && i < cli->config->stores.count; i++) {
		const struct ul_config_store *store =
		    &cli->config->stores.items[i];

		if (store->kind == UL_CONFIG_EMBEDDED
			? !strcmp(spec, "embedded")
			: !strncmp(spec, "oci:", 4) &&
			      !strcmp(spec + 4, store->path))
			return store;
	}
	return NULL;
}

/* "a, b and c"; cut where it does not fit. */
static void names_list(const struct ul_config *config, char *text, size_t size)
{
	size_t count = config->stores.count, len = 0, i;

	for (i = 0; i < count && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s",
					!i               ? ""
					: i + 1 == count ? " and "
							 : ", ",
					config->stores.items[i].name);
}

int ul_cli_config_choose(struct ul_cli *cli, struct ul_err *err)
{
	char names[512];
	size_t i;

	if (!cli->is_store_chosen || cli->is_each)
		return 0;
	for (i = 0; i < cli->store_count; i++) {
		if (!strcmp(cli->stores[i], "embedded"))
			return 0;
	}
	if (cli->command && cli->command->is_embedded)
		return 0;
	if (cli->store_count == 1)
		cli->store_name = cli->stores[0];
	if (cli->store_count <= 1)
		return 0;
	cli->is_misused = true;
	names_list(cli->config, names, sizeof names);
	return ul_err_set(err, UL_E_INVALID,
			  "which store? --store takes one of %s", names);
}

void ul_cli_config_apply(struct ul_cli *cli)
{
	const struct ul_config_store *store =
	    store_of_spec(cli, cli->store_name ? cli->store_name : "embedded");

	if (!store)
		return;
	cli->store->base.name = store->name;
	if (store->grace_s != UL_CONFIG_GRACE_OF_KIND)
		cli->store->base.grace_s = store->grace_s;
}

int ul_cli_config_no_store(const struct ul_cli *cli, const char *name,
			   struct ul_err *err)
{
	char names[512];

	if (!cli->config)
		return ul_err_set(err, UL_E_ABSENT,
				  "no store \"%s\"; there is \"embedded\", "
				  "and oci:PATH for any image layout",
				  name);
	names_list(cli->config, names, sizeof names);
	return ul_err_set(err, UL_E_ABSENT,
			  "no store \"%s\"; %s has %s, and there is oci:PATH "
			  "for any image layout",
			  name, cli->config_path, names);
}
