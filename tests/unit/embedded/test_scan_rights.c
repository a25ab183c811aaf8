/*
 * What a scan makes of what this user may not read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/embedded/store.h"
#include "tests/lib/content_fixture.h"

enum { NOBODY = 65534 };

/* The superuser reads everything: the store becomes somebody's who does not.
 */
static bool become_owner(const struct store_fixture *fixture)
{
	ul_cleanup(ul_buf_release) struct ul_buf command = UL_BUF_INIT;

	if (geteuid())
		return true;
	return ul_buf_printf(&command, "chown -R %d:%d %s", NOBODY, NOBODY,
			     fixture->top) &&
	       !system(ul_buf_str(&command)) && !setgid(NOBODY) &&
	       !setuid(NOBODY);
}

/* 1 with a refusal, 0 without one. */
static int scan_refuses(const struct store_fixture *fixture)
{
	const struct ul_scan_options options = {
		.as_of_unix_s = ul_clock_unix_s() + 2 * HOUR_S,
		.for_change = true,
	};
	ul_cleanup(ul_embedded_closep) struct ul_embedded *store = NULL;
	ul_cleanup(ul_view_release) struct ul_view view = UL_VIEW_INIT;
	struct ul_err err = UL_ERR_INIT;

	if (ul_embedded_open(fixture->state, &store, &err) ||
	    ul_embedded_lock(store, &err) ||
	    store->base.ops->scan(&store->base, &options, &view, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return -1;
	}
	if (view.refusal && !strstr(view.refusal, "cannot be read"))
		return -1;
	return view.refusal != NULL;
}

static int scan_as_owner(const struct store_fixture *fixture, const char *blob)
{
	if (!become_owner(fixture) || chmod(blob, 0))
		return 2;
	if (scan_refuses(fixture) != 1)
		return 3;
	if (chmod(blob, 0600))
		return 4;
	/* Nothing was recorded of it but that it is not known. */
	return scan_refuses(fixture) ? 5 : 0;
}

/* Nothing lists it, no descriptor says what it is: it lives with its subject,
 * and so does what it refers to. */
static void test_scan_rights__what_cannot_be_read_is_not_known(void **state)
{
	struct store_fixture *fixture = *state;
	struct content_image app = image_put(fixture, "app", NULL);
	struct content_digest payload = blob_put(fixture, "signature"), note;
	char path[256];
	int status;
	pid_t pid;

	note =
	    blob_put(fixture,
		     "{\"schemaVersion\":2,\"mediaType\":\"" TYPE_MANIFEST "\","
		     "\"config\":{\"mediaType\":\"application/"
		     "vnd.oci.empty.v1+json\",\"digest\":\"%s\",\"size\":9},"
		     "\"layers\":[],\"subject\":{\"mediaType\":\"" TYPE_MANIFEST
		     "\",\"digest\":\"%s\",\"size\":3}}",
		     payload.text, app.manifest.text);
	INDEX_PUT(fixture, { "app", app.manifest.text, NULL });
	snprintf(path, sizeof path, "%s", blob_path(fixture, note));
	ul_embedded_closep(&fixture->store);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(scan_as_owner(fixture, path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	store_fixture_open(fixture);
	content_gc(fixture, ul_clock_unix_s() + 2 * HOUR_S, HOUR_S, false);
	assert_true(blob_exists(fixture, note));
	assert_true(blob_exists(fixture, payload));
}

static int setup(void **state)
{
	if (store_fixture_setup(state))
		return -1;
	store_fixture_open(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_scan_rights__what_cannot_be_read_is_not_known, setup,
		    store_fixture_teardown),
	};

	return cmocka_run_group_tests(tests, store_fixture_group, NULL);
}
