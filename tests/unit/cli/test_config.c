#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/config.h"

static char path[] = "/tmp/ul-test-XXXXXX";

static int file_make(void **state)
{
	static const char text[] =
	    "{\"state\":\"/configured\",\"stores\":["
	    "{\"name\":\"own\",\"kind\":\"embedded\"},"
	    "{\"name\":\"cache\",\"kind\":\"oci\",\"path\":\"/c\"}]}";
	int fd = mkstemp(path);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;

	(void)state;
	return !ok || close(fd);
}

static int file_remove(void **state)
{
	(void)state;
	ul_mem_countdown = -1;
	return unlink(path);
}

static struct ul_cli cli_of(const char *config_path)
{
	return (struct ul_cli){
		.state_path = "/usual",
		.config_path = config_path,
		.is_config_named = true,
		.grace_s = -1,
	};
}

static void test_config__gives_stores_and_state_unless_named(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_cli cli = cli_of(path);

	(void)state;
	assert_int_equal(ul_cli_config_read(&cli, &err), 0);
	assert_string_equal(cli.state_path, "/configured");
	assert_int_equal(cli.store_count, 2);
	assert_string_equal(cli.stores[0], "embedded");
	assert_string_equal(cli.stores[1], "oci:/c");
	/* What works on one store goes to the embedded one. */
	assert_int_equal(ul_cli_config_choose(&cli, &err), 0);
	assert_null(cli.store_name);
	ul_cli_config_free(&cli);

	cli = cli_of(path);
	cli.is_state_named = true;
	cli.stores[cli.store_count++] = "cache";
	cli.stores[cli.store_count++] = "oci:/elsewhere";
	assert_int_equal(ul_cli_config_read(&cli, &err), 0);
	assert_string_equal(cli.state_path, "/usual");
	assert_string_equal(cli.store_name, "oci:/c");
	assert_string_equal(cli.stores[1], "oci:/elsewhere");
	ul_cli_config_free(&cli);
}

static void test_config__none_is_read_where_none_is_there(void **state)
{
	struct ul_err err = UL_ERR_INIT;
	struct ul_cli cli = cli_of("");

	(void)state;
	assert_int_equal(ul_cli_config_read(&cli, &err), 0);
	cli = cli_of(NULL);
	assert_int_equal(ul_cli_config_read(&cli, &err), 0);
	cli = cli_of("/nonexistent/ullage.json");
	cli.is_config_named = false;
	assert_int_equal(ul_cli_config_read(&cli, &err), 0);
	assert_null(cli.config);
	assert_int_equal(cli.store_count, 0);
	cli.is_config_named = true;
	assert_int_equal(ul_cli_config_read(&cli, &err), UL_E_IO);
	assert_string_equal(err.msg, "/nonexistent/ullage.json: No such file "
				     "or directory");
}

static void test_config__without_memory_is_said(void **state)
{
	int rc, n;

	(void)state;
	for (n = 0;; n++) {
		struct ul_err err = UL_ERR_INIT;
		struct ul_cli cli = cli_of(path);

		ul_mem_countdown = n;
		rc = ul_cli_config_read(&cli, &err);
		ul_mem_countdown = -1;
		ul_cli_config_free(&cli);
		if (!rc)
			break;
		assert_int_equal(rc, UL_E_NOMEM);
	}
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_config__gives_stores_and_state_unless_named),
		cmocka_unit_test(test_config__none_is_read_where_none_is_there),
		cmocka_unit_test(test_config__without_memory_is_said),
	};

	return cmocka_run_group_tests(tests, file_make, file_remove);
}
